#include "common/db/shape.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

/* Statements, and "TABLE; TABLE.COLUMN TYPE, …" of what is there then. */
static const struct {
    const char *statements[4], *shape;
} shapes[] = {
    {{"CREATE TABLE t (id UUID NOT NULL, n INT(3) DEFAULT (1 + 2), PRIMARY KEY (id, n))"},
     "t t.id:UUID t.n:INT"},
    {{"SET STATEMENT innodb_strict_mode = OFF FOR\nCREATE TABLE IF NOT EXISTS t (\n"
      "    a VARCHAR(9), -- a comment, with a comma (and more\n    /* b INT, */\n"
      "    `key` ENUM('x,', '(', 'it''s') NOT NULL,\n"
      "    c TEXT GENERATED ALWAYS AS (CONCAT(a, ',', a)) STORED,\n"
      "    CONSTRAINT fk FOREIGN KEY (a) REFERENCES u (a), INDEX i (a), FULLTEXT INDEX f (c)\n"
      ") ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"},
     "t t.a:VARCHAR t.key:ENUM t.c:TEXT"},
    {{"CREATE TABLE t (a INT)", "CREATE TABLE IF NOT EXISTS t (b INT)"}, "t t.a:INT"},
    {{"CREATE TABLE t (a INT)",
      "ALTER TABLE t ADD COLUMN IF NOT EXISTS b UUID AFTER a, ADD c TEXT"},
     "t t.a:INT t.b:UUID t.c:TEXT"},
    {{"CREATE TABLE t (a INT, b INT, c INT, d INT, e INT)",
      "ALTER TABLE t DROP a, DROP COLUMN IF EXISTS b, MODIFY c TEXT, CHANGE COLUMN d f INT"},
     "t t.e:INT"},
    {{"CREATE TABLE t (a INT)",
      "ALTER TABLE t ADD INDEX i (a), DROP INDEX i, ADD CONSTRAINT c CHECK (a > 1), "
      "DROP FOREIGN KEY f, RENAME INDEX i TO j, ENGINE = InnoDB"},
     "t t.a:INT"},
    {{"CREATE TABLE t (a INT, b INT)", "ALTER TABLE t RENAME COLUMN a TO c"}, "t t.b:INT"},
    {{"CREATE TABLE t (a INT)", "ALTER TABLE t RENAME TO u"}, ""},
    {{"CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)", "CREATE TABLE v (a INT)",
      "DROP TABLE IF EXISTS t, u"},
     "v v.a:INT"},
    {{"CREATE TABLE t (a INT)", "CREATE TABLE u (a INT)", "RENAME TABLE t TO w"}, "u u.a:INT"},
    {{"CREATE TABLE t AS SELECT 1", "CREATE TABLE u LIKE t", "CREATE TABLE v (LIKE t)"}, "t u v"},
    {{"INSERT INTO t VALUES ('CREATE TABLE u (a INT)')", "UPDATE t SET a = 1", "DROP INDEX i ON t",
      "CREATE INDEX i ON t (a)"},
     ""},
    {{"", "CREATE", "CREATE TABLE", "ALTER TABLE t ADD"}, ""},
};

static void put(struct arena *a, const char **out, const char *separator, struct text t)
{
    *out = arena_printf(a, "%s%s%.*s", *out, separator, (int)t.len, t.data ? t.data : "");
}

CASE("shape", NULL, NULL);

TEST_EACH(what_statements_make_is_read, shapes)
{
    struct arena *a = arena_open(1u << 20);
    const size_t origins[4] = {0, 1, 2, 3};
    const char *out = "";
    size_t count = 0;
    while (count < 4 && shapes[_i].statements[count])
        count++;

    struct shape s = shape_read(a, shapes[_i].statements, origins, count);

    for (size_t i = 0; i < s.table_count; i++)
        put(a, &out, *out ? " " : "", s.tables[i].name);
    for (size_t i = 0; i < s.column_count; i++) {
        put(a, &out, " ", s.columns[i].table);
        put(a, &out, ".", s.columns[i].name);
        put(a, &out, ":", s.columns[i].type);
    }
    ck_assert_str_eq(out, shapes[_i].shape);
    arena_close(a);
}

TEST(types_have_other_names_too)
{
    ck_assert(shape_is_type(TEXT("UUID"), TEXT("uuid")));
    ck_assert(shape_is_type(TEXT("BOOLEAN"), TEXT("tinyint")));
    ck_assert(shape_is_type(TEXT("Integer"), TEXT("int")));
    ck_assert(!shape_is_type(TEXT("UUID"), TEXT("varchar")));
    ck_assert(!shape_is_type(TEXT("VARCHAR"), TEXT("char")));
    ck_assert(!shape_is_type(TEXT("BOOLEAN"), TEXT("boolean")));
}

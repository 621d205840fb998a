#include "tests/support/plans.h"

#include <stdio.h>
#include <string.h>

#include "common/db/counter.h"
#include "common/db/db.h"
#include "tests/support/loopback.h"

void watch_allow(void)
{
    FILE *client = popen("\"$DATABASE_CONTROL\" sql", "w");
    ck_assert_ptr_nonnull(client);
    fputs("GRANT ALL ON *.* TO 'postern'@'localhost'", client);
    ck_assert_int_eq(pclose(client), 0);
}

static void count_row(void *context, const void *row)
{
    (void)row;
    ++*(int64_t *)context;
}

static void forget(void *context)
{
    *(int64_t *)context = 0;
}

/* A row of the answer to EXPLAIN. */
struct explained {
    int64_t id;
    struct text rows, select_type, table, type, possible_keys, key, key_len, ref, Extra;
};

static const struct field explained_fields[] = {
    FIELD(struct explained, id, .use = 0),
    FIELD(struct explained, rows, .use = 0),
    FIELD(struct explained, select_type, .use = 0),
    FIELD(struct explained, table, .use = 0),
    FIELD(struct explained, type, .use = 0),
    FIELD(struct explained, possible_keys, .use = 0),
    FIELD(struct explained, key, .use = 0),
    FIELD(struct explained, key_len, .use = 0),
    FIELD(struct explained, ref, .use = 0),
    FIELD(struct explained, Extra, .use = 0),
};
static const struct record explained_record =
    RECORD("Explained", struct explained, explained_fields, 0);

struct statement_text {
    struct text argument;
};

static const struct field statement_fields[] = {FIELD(struct statement_text, argument, .use = 0)};
static const struct record statement_record =
    RECORD("Statement", struct statement_text, statement_fields, 0);

/* What a plan must be: the rows of the table come by that index, and only what was taken from it
 * already is sorted. */
struct plan {
    const char *table, *index, *text;
    int by_index;
};

static void check_step(void *context, const void *row)
{
    struct plan *plan = context;
    const struct explained *step = row;
    const char *extra = step->Extra.data ? step->Extra.data : "";
    bool is_ours = text_equal(step->table, text_of(plan->table));
    if (step->table.data && strncmp(step->table.data, "<derived", 8) == 0)
        return; /* one page, or rows that were counted to a bound */
    ck_assert_msg(!strstr(extra, "filesort") && !strstr(extra, "temporary"), "%s: %s", plan->text,
                  extra);
    if (!is_ours || text_equal(step->type, TEXT("eq_ref")))
        return;
    ck_assert_msg(text_equal(step->key, text_of(plan->index)), "%s: by %s", plan->text,
                  step->key.data ? step->key.data : "nothing");
    plan->by_index++;
}

static void keep_text(void *context, const void *row)
{
    struct texts *texts = context;
    ck_assert_uint_lt(texts->count, TEXTS_MAX);
    texts->list[texts->count++] =
        arena_text(the_arena, ((const struct statement_text *)row)->argument).data;
}

void watch(void)
{
    run_sql("SET GLOBAL log_output = 'TABLE'");
    run_sql("SET GLOBAL general_log = ON");
}

struct texts *watched(const char *table, bool prepared)
{
    struct texts *texts = arena_alloc(the_arena, sizeof *texts);
    const struct sql sql = {"SELECT CAST(argument AS CHAR) AS argument FROM mysql.general_log "
                            "WHERE command_type = ? AND argument LIKE ? AND argument LIKE ? "
                            "AND argument NOT LIKE '%general_log%' GROUP BY argument",
                            &statement_record};
    run_sql("SET GLOBAL general_log = OFF");
    must(db_each(the_app->db, the_arena, &sql,
                 DB_ARGS(db_text(prepared ? TEXT("Prepare") : TEXT("Execute")),
                         db_text(TEXT("%SELECT%")), db_text(text_of(say("%%FROM %s%%", table)))),
                 keep_text, texts));
    return texts;
}

void ck_plans(const struct list *list, const char *index, int at_least)
{
    const struct texts *texts = watched(list->table, false);
    ck_assert_uint_ge(texts->count, 1);
    for (size_t i = 0; i < texts->count; i++) {
        const char *select = strstr(texts->list[i], "SELECT");
        struct plan plan = {list->table, index, select, 0};
        const struct sql sql = {say("EXPLAIN %s", select), &explained_record};
        must(db_each(the_app->db, the_arena, &sql, DB_NO_ARGS, check_step, &plan));
        ck_assert_msg(plan.by_index >= at_least && plan.by_index <= 1, "%s: %d times", select,
                      plan.by_index);
    }
    run_sql("TRUNCATE mysql.general_log");
}

void read_form(const struct list *list, const struct list_scope *scope, unsigned sort,
               const struct list_window *window)
{
    int64_t rows = 0;
    const struct list_query query = {.sort = sort}; /* totals are another test's */
    const struct list_taker taker = {count_row, forget, &rows};
    struct list_total total;
    must(list_read(the_app->db, the_arena, list, &query, scope, window, &taker, &total));
    ck_assert_msg(rows > 0, "%s by %s: nothing", list->table, list->sorts[sort]);
}

bool is_sort_of(const struct list *list, unsigned sort, const struct list_path *path)
{
    const char *word = list->sorts[sort];
    return strcmp(*word == '-' ? word + 1 : word, list->keys[path->key].name) == 0;
}

int64_t status_of(const char *names)
{
    static const struct field fields[] = {FIELD(struct counted, n, .use = 0)};
    static const struct record record = RECORD("Read", struct counted, fields, 0);
    static const struct sql sql = {"SELECT CAST(SUM(variable_value) AS INTEGER) AS n FROM "
                                   "information_schema.session_status WHERE variable_name LIKE ?",
                                   &record};
    struct counted row = {0};
    bool found;
    must(db_find(the_app->db, the_arena, &sql, DB_ARGS(db_text(text_of(names))), &row, &found));
    return row.n;
}

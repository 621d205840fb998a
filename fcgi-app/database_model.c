#include "database_model.h"

#include "common/field.h"
#include "common/problem.h"

static const struct field database_fields[] = {
    FIELD(struct database, version, .doc = "What it calls itself."),
    FIELD(struct database, now, .doc = "Its time."),
    FIELD(struct database, connections_max, .doc = "How many may be connected."),
    FIELD(struct database, read_only, .doc = "Whether it takes no writes."),
    FIELD(struct database, word_min, .doc = "The shortest word that it indexes."),
    FIELD(struct database, word_max, .doc = "The longest."),
};
static const struct record database_record =
    RECORD("Database", struct database, database_fields, .rule = NULL);

/* `read_only` became a word in later versions. */
static const struct sql ask = {
    "SELECT VERSION() AS version, UTC_TIMESTAMP(6) AS now, @@max_connections AS connections_max, "
    "@@read_only NOT IN ('0', 'OFF') AS read_only, @@innodb_ft_min_token_size AS word_min, "
    "@@innodb_ft_max_token_size AS word_max",
    &database_record};

struct problem *database_ask(struct db *db, struct arena *a, struct database *ret)
{
    bool found;
    struct problem *p = db_find(db, a, &ask, DB_NO_ARGS, ret, &found);
    if (!p && !found)
        p = problem_because(a, &problem_unavailable, "the database does not tell its version");
    return p;
}

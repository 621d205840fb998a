#include "common/db/turn.h"

#include <assert.h>

/* No total has the number 0. */
static const struct sql sql_take = {
    "INSERT INTO list_counts (total, owner, kind, n) VALUES (0, ?, ?, 1) "
    "ON DUPLICATE KEY UPDATE n = list_counts.n + 1",
    NULL};

struct problem *turn_take(struct db *db, struct arena *a, unsigned number)
{
    assert(number < TURNS_MAX);
    return db_execute(db, a, &sql_take, DB_ARGS(db_uuid((struct uuid){{0}}), db_integer(number)),
                      NULL);
}

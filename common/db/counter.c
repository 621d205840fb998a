#include "common/db/counter.h"

#include <unistd.h>

#include "common/db/budget.h"
#include "common/db/window.h"
#include "common/field/field.h"

static const struct field counted_fields[] = {
    FIELD(struct counted, n, .doc = "How many."),
};

const struct record counted_record =
    RECORD("Counted", struct counted, counted_fields, .rule = NULL);

int64_t count_slot(void)
{
    return getpid() % COUNT_SLOTS;
}

struct problem *count_read(struct db *db, struct arena *a, const struct sql *sql,
                           struct db_args args, int64_t *ret)
{
    struct counted row = {0};
    bool found;
    struct problem *p = db_find(db, a, sql, args, &row, &found);
    if (!p)
        *ret = found ? row.n : 0;
    return p;
}

struct problem *count_matches(struct db *db, struct arena *a, const char *from, struct db_args args,
                              struct page_total *ret)
{
    const struct sql sql = {
        arena_printf(a, "SELECT COUNT(*) AS n FROM (SELECT 1 FROM %s LIMIT %d) AS matches", from,
                     SEARCH_COUNT_MAX + 1),
        &counted_record};
    struct counted row = {0};
    bool found;
    struct problem *p = budget_find(db, a, &sql, args, &row, &found);
    if (p)
        return p;
    ret->capped = row.n > SEARCH_COUNT_MAX;
    ret->count = ret->capped ? SEARCH_COUNT_MAX : row.n;
    return NULL;
}

static void drop_row(void *context, const void *row)
{
    (void)context, (void)row; /* locking is all that was wanted */
}

struct problem *count_lock(struct db *db, struct arena *a, const struct sql *sql)
{
    return db_each(db, a, sql, DB_NO_ARGS, drop_row, NULL);
}

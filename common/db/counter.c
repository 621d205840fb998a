#include "common/db/counter.h"

#include "common/field/field.h"

static const struct field counted_fields[] = {
    FIELD(struct counted, n, .doc = "How many."),
};

const struct record counted_record =
    RECORD("Counted", struct counted, counted_fields, .rule = NULL);

struct of_kind {
    int64_t kind, n;
};

static const struct field of_kind_fields[] = {
    FIELD(struct of_kind, kind, .doc = "Of which kind."),
    FIELD(struct of_kind, n, .doc = "How many."),
};
static const struct record of_kind_record =
    RECORD("OfKind", struct of_kind, of_kind_fields, .rule = NULL);

static const struct sql sql_add = {COUNTER_ADD, NULL};
static const struct sql sql_change = {COUNTER_ADD ", (?, ?, ?, ?, ?)", NULL};

/* Counts and journal by one statement, and so from one snapshot: a sweep that commits meanwhile
 * is seen in both or in neither. The counts' index gives them by key, the journal is read whole. */
#define COUNTS                                                                                     \
    "(SELECT SUM(n) FROM list_counts FORCE INDEX (PRIMARY) WHERE total = ? AND owner = ? AND "     \
    "kind BETWEEN "
#define JOURNAL "(SELECT SUM(n) FROM list_journal WHERE total = ? AND kind BETWEEN "
#define TOTAL(of_)                                                                                 \
    "SELECT COALESCE(" COUNTS "? AND ?), 0) + COALESCE(" JOURNAL "? AND ?" of_ "), 0) AS n"

static const struct sql sql_whole = {TOTAL(""), &counted_record};
static const struct sql sql_of_owner = {TOTAL(" AND owner = ?"), &counted_record};
static const struct sql sql_kinds = {
    "SELECT kind, SUM(n) AS n FROM ("
    "SELECT kind, n FROM list_counts FORCE INDEX (PRIMARY) WHERE total = ? AND owner = ? UNION ALL "
    "SELECT kind, n FROM list_journal WHERE total = ? AND owner = ?"
    ") AS held GROUP BY kind HAVING SUM(n) <> 0 ORDER BY kind",
    &of_kind_record};

/* ---- keeping them ---- */

static struct db_arg row_or_null(struct uuid row)
{
    return uuid_is_nil(&row) ? db_bytes(NULL, 0) : db_uuid(row);
}

struct problem *counter_add(struct db *db, struct arena *a, const struct counter *counter,
                            struct uuid owner, unsigned kind, int64_t by, struct uuid row)
{
    return db_execute(db, a, &sql_add,
                      DB_ARGS(db_integer(counter->number), db_uuid(owner), db_integer(kind),
                              db_integer(by), row_or_null(row)),
                      NULL);
}

struct problem *counter_change(struct db *db, struct arena *a, const struct counter *counter,
                               struct uuid owner, unsigned before, unsigned after, struct uuid row)
{
    if (before == after)
        return counter_add(db, a, counter, owner, after, 0, row);
    struct db_arg total = db_integer(counter->number), whose = db_uuid(owner);
    return db_execute(db, a, &sql_change,
                      DB_ARGS(total, whose, db_integer(before), db_integer(-1),
                              row_or_null((struct uuid){{0}}), total, whose, db_integer(after),
                              db_integer(1), row_or_null(row)),
                      NULL);
}

struct kinds {
    struct of_kind list[COUNTER_KINDS];
    size_t count;
};

static void keep_kind(void *context, const void *row)
{
    struct kinds *kinds = context;
    if (kinds->count < COUNTER_KINDS)
        kinds->list[kinds->count++] = *(const struct of_kind *)row;
}

struct problem *counter_clear(struct db *db, struct arena *a, const struct counter *counter,
                              struct uuid owner)
{
    struct kinds kinds = {.count = 0};
    struct db_arg total = db_integer(counter->number), whose = db_uuid(owner);
    struct problem *p =
        db_each(db, a, &sql_kinds, DB_ARGS(total, whose, total, whose), keep_kind, &kinds);
    for (size_t i = 0; !p && i < kinds.count; i++)
        p = counter_add(db, a, counter, owner, (unsigned)kinds.list[i].kind, -kinds.list[i].n,
                        (struct uuid){{0}});
    return p;
}

/* ---- reading them ---- */

struct problem *counter_read(struct db *db, struct arena *a, const struct counter *counter,
                             const struct uuid *owner, unsigned lowest, unsigned highest,
                             int64_t *ret)
{
    struct db_arg total = db_integer(counter->number), nil = db_uuid((struct uuid){{0}});
    struct db_arg from = db_integer(lowest), to = db_integer(highest);
    if (!owner)
        return count_read(db, a, &sql_whole, DB_ARGS(total, nil, from, to, total, from, to), ret);
    if (!uuid_is_nil(owner))
        return count_read(
            db, a, &sql_of_owner,
            DB_ARGS(total, db_uuid(*owner), from, to, total, from, to, db_uuid(*owner)), ret);
    *ret = 0;
    return NULL;
}

/* ---- one number ---- */

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

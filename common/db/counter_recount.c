#include "common/db/counter_recount.h"

#include "common/db/turn.h"
#include "common/field/field.h"

#define OWNED_ROWS "2000" /* of the table, and of the counts, that are compared at once */
#define ROWS_AT_ONCE 16

/* So many more than the totals say. */
struct difference {
    struct uuid owner;
    int64_t kind;
    int64_t n;
};

static const struct field difference_fields[] = {
    FIELD(struct difference, owner, .doc = "Whose, or nil."),
    FIELD(struct difference, kind, .doc = "Of which kind."),
    FIELD(struct difference, n, .doc = "How many more there are."),
};
static const struct record difference_record =
    RECORD("Difference", struct difference, difference_fields, .rule = NULL);

#define ROW "(?, ?, ?, ?)"
#define FOUR_ROWS ROW ", " ROW ", " ROW ", " ROW
#define INSERT "INSERT INTO list_journal (total, owner, kind, n) VALUES "

static const struct sql sql_correct = {INSERT ROW, NULL};
static const struct sql sql_correct_many = {
    INSERT FOUR_ROWS ", " FOUR_ROWS ", " FOUR_ROWS ", " FOUR_ROWS, NULL};

struct recount {
    struct db *db;
    struct arena *arena;
    const struct counter *counter;
    struct uuid after, upto; /* owners; `upto` nil: to the end */
    struct difference *differences;
    size_t count, room;
};

static void keep_difference(void *context, const void *row)
{
    struct recount *r = context;
    if (r->count == r->room) {
        struct difference *more = arena_array(r->arena, 2 * r->room + 64, sizeof *more);
        for (size_t i = 0; i < r->count; i++)
            more[i] = r->differences[i];
        r->differences = more;
        r->room = 2 * r->room + 64;
    }
    r->differences[r->count++] = *(const struct difference *)row;
}

static struct problem *write_some(struct recount *r, size_t from, size_t count)
{
    struct db_arg args[4 * ROWS_AT_ONCE], *arg = args;
    for (size_t i = from; i < from + count; i++) {
        *arg++ = db_integer(r->counter->number);
        *arg++ = db_uuid(r->differences[i].owner);
        *arg++ = db_integer(r->differences[i].kind);
        *arg++ = db_integer(r->differences[i].n);
    }
    return db_execute(r->db, r->arena, count == 1 ? &sql_correct : &sql_correct_many,
                      (struct db_args){args, 4 * count}, NULL);
}

static struct problem *compare(struct recount *r, const char *text, const struct db_arg *args,
                               size_t count)
{
    const struct sql sql = {text, &difference_record};
    r->count = 0;
    struct problem *p =
        db_each(r->db, r->arena, &sql, (struct db_args){args, count}, keep_difference, r);
    for (size_t i = 0, n; !p && i < r->count; i += n) {
        n = r->count - i >= ROWS_AT_ONCE ? ROWS_AT_ONCE : 1;
        p = write_some(r, i, n);
    }
    return p;
}

static const char *kind_of(const struct counter *c)
{
    return c->kind ? c->kind : "0";
}

static const char *where_of(const struct counter *c)
{
    return c->where ? c->where : "TRUE";
}

/* ---- owners ---- */

/* Where to stop: nil where so many rows do not follow. */
static struct problem *find_end(struct recount *r)
{
    const struct counter *c = r->counter;
    struct difference end = {0};
    bool found;
    const struct sql sql = {
        arena_printf(r->arena,
                     "SELECT owner FROM ("
                     "(SELECT %s AS owner FROM %s WHERE %s > ? ORDER BY %s LIMIT 1"
                     " OFFSET " OWNED_ROWS ") UNION ALL "
                     "(SELECT owner FROM list_counts WHERE total = ? AND owner > ? ORDER BY owner"
                     " LIMIT 1 OFFSET " OWNED_ROWS ")) AS ends ORDER BY owner LIMIT 1",
                     c->owner, c->table, c->owner, c->owner),
        &difference_record};
    struct problem *p =
        db_find(r->db, r->arena, &sql,
                DB_ARGS(db_uuid(r->after), db_integer(c->number), db_uuid(r->after)), &end, &found);
    if (!p)
        r->upto = end.owner;
    return p;
}

#define COMPARE_OWNERS(of_table_, of_counts_)                                                      \
    "SELECT owner, kind, SUM(n) AS n FROM ("                                                       \
    "SELECT %s AS owner, %s AS kind, COUNT(*) AS n FROM %s WHERE %s AND " of_table_                \
    " GROUP BY 1, 2 UNION ALL "                                                                    \
    "SELECT owner, kind, -n FROM list_counts WHERE total = ? AND " of_counts_ " UNION ALL "        \
    "SELECT owner, kind, -n FROM list_journal WHERE total = ? AND " of_counts_                     \
    ") AS both_sides GROUP BY owner, kind HAVING SUM(n) <> 0"

static struct problem *compare_owners(struct recount *r)
{
    const struct counter *c = r->counter;
    struct db_arg total = db_integer(c->number), from = db_uuid(r->after), to = db_uuid(r->upto);
    const struct db_arg to_end[] = {from, total, from, total, from};
    const struct db_arg within[] = {from, to, total, from, to, total, from, to};
    if (uuid_is_nil(&r->upto))
        return compare(r,
                       arena_printf(r->arena, COMPARE_OWNERS("%s > ?", "owner > ?"), c->owner,
                                    kind_of(c), c->table, where_of(c), c->owner),
                       to_end, sizeof to_end / sizeof *to_end);
    return compare(r,
                   arena_printf(r->arena,
                                COMPARE_OWNERS("%s > ? AND %s <= ?", "owner > ? AND owner <= ?"),
                                c->owner, kind_of(c), c->table, where_of(c), c->owner, c->owner),
                   within, sizeof within / sizeof *within);
}

/* ---- the whole ---- */

static struct problem *compare_whole(struct recount *r)
{
    const struct counter *c = r->counter;
    const struct db_arg args[] = {db_integer(c->number), db_uuid((struct uuid){{0}}),
                                  db_integer(c->number)};
    return compare(r,
                   arena_printf(r->arena,
                                "SELECT kind, SUM(n) AS n FROM ("
                                "SELECT %s AS kind, COUNT(*) AS n FROM %s WHERE %s GROUP BY 1"
                                " UNION ALL "
                                "SELECT kind, -n FROM list_counts WHERE total = ? AND owner = ?"
                                " UNION ALL "
                                "SELECT kind, -n FROM list_journal WHERE total = ?"
                                ") AS both_sides GROUP BY kind HAVING SUM(n) <> 0",
                                kind_of(c), c->table, where_of(c)),
                   args, sizeof args / sizeof *args);
}

/* The whole comes last: what was corrected of the owners counts for it already. */
static struct problem *step(void *context)
{
    struct recount *r = context;
    /* No two recounts at once, and none beside a sweep: both would correct the same. */
    struct problem *p = turn_take(r->db, r->arena, TURN_SWEEP);
    if (!p && r->counter->owner)
        p = find_end(r);
    if (!p && r->counter->owner)
        p = compare_owners(r);
    return p || !uuid_is_nil(&r->upto) ? p : compare_whole(r);
}

struct problem *counter_recount(struct db *db, struct arena *a, const struct counter *counter,
                                struct uuid *after)
{
    struct recount r = {.db = db, .arena = a, .counter = counter, .after = *after};
    /* Of a step that was made already, nothing differs any more. */
    struct problem *p = db_transaction(db, a, step, db_in_doubt_repeat, &r);
    if (!p)
        *after = r.upto;
    return p;
}

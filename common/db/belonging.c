#include "common/db/belonging.h"

#include <string.h>

#include "common/db/counter.h"

struct leftover {
    struct uuid owner;
    struct text table_name;
};

static const struct field leftover_fields[] = {
    FIELD(struct leftover, owner, .doc = "What is gone."),
    FIELD(struct leftover, table_name, .doc = "Where it was."),
};
static const struct record leftover_record =
    RECORD("Leftover", struct leftover, leftover_fields, .rule = NULL);

static const struct sql sql_note = {
    "INSERT INTO leftovers (owner, table_name, left_at) VALUES (?, ?, UTC_TIMESTAMP(6))", NULL};
static const struct sql sql_claim = {
    "SELECT owner, table_name FROM leftovers WHERE owner = ? FOR UPDATE SKIP LOCKED",
    &leftover_record};
static const struct sql sql_forget = {"DELETE FROM leftovers WHERE owner = ?", NULL};

static bool is_of(const struct belonging *b, const char *of)
{
    return strcmp(b->of, of) == 0;
}

bool belonging_any(const struct belonging *all, const char *of)
{
    for (; all->of; all++)
        if (is_of(all, of))
            return true;
    return false;
}

/* ---- of one, and of several ---- */

static struct problem *delete_declared(struct db *db, struct arena *a, const struct belonging *b,
                                       struct uuid owner, int64_t limit, uint64_t *ret_deleted)
{
    const char *rows = arena_printf(a,
                                    "%s FORCE INDEX (%s) WHERE %s = ? "
                                    "ORDER BY created_at DESC, id DESC LIMIT ?",
                                    b->table->name, b->index, b->column);
    return table_delete_rows(db, a, b->table, rows, DB_ARGS(db_uuid(owner), db_integer(limit)),
                             ret_deleted);
}

struct problem *belonging_delete(struct db *db, struct arena *a, const struct belonging *all,
                                 const char *of, struct uuid owner, int64_t limit,
                                 uint64_t *ret_deleted)
{
    struct problem *p = NULL;
    uint64_t sum = 0;
    for (; !p && all->of && (int64_t)sum < limit; all++) {
        uint64_t deleted = 0;
        int64_t left = limit - (int64_t)sum;
        if (!is_of(all, of))
            continue;
        p = all->table ? delete_declared(db, a, all, owner, left, &deleted)
                       : all->delete_newest(db, a, owner, left, &deleted);
        sum += deleted;
    }
    *ret_deleted = sum;
    return p;
}

static struct problem *lock_owners(struct db *db, struct arena *a, const char *owners,
                                   struct db_args args)
{
    const struct sql sql = {
        arena_printf(a, "SELECT COUNT(*) AS n FROM (%s FOR UPDATE) AS owners", owners),
        &counted_record};
    int64_t n;
    return count_read(db, a, &sql, args, &n);
}

struct problem *belonging_delete_of(struct db *db, struct arena *a, const struct belonging *all,
                                    const char *of, const char *owners, struct db_args args,
                                    int64_t limit, uint64_t *ret_deleted)
{
    struct db_arg *values = arena_array(a, args.count + 1, sizeof *values);
    memcpy(values, args.list, args.count * sizeof *values);
    *ret_deleted = 0;
    struct problem *p = belonging_any(all, of) ? lock_owners(db, a, owners, args) : NULL;
    for (; !p && all->of && (int64_t)*ret_deleted < limit; all++) {
        uint64_t deleted = 0;
        if (!is_of(all, of))
            continue;
        values[args.count] = db_integer(limit - (int64_t)*ret_deleted);
        const char *rows = arena_printf(
            a, "(%s) AS owners STRAIGHT_JOIN %s FORCE INDEX (%s) ON %s.%s = owners.id LIMIT ?",
            owners, all->table->name, all->index, all->table->name, all->column);
        p = table_delete_rows(db, a, all->table, rows, (struct db_args){values, args.count + 1},
                              &deleted);
        *ret_deleted += deleted;
    }
    return p;
}

/* ---- what is left ---- */

struct problem *belonging_leave(struct db *db, struct arena *a, const struct belonging *all,
                                const char *of, struct uuid owner, bool *ret_left)
{
    uint64_t deleted = 0;
    struct problem *p = belonging_delete(db, a, all, of, owner, BELONGING_BATCH, &deleted);
    *ret_left = !p && deleted == BELONGING_BATCH;
    if (*ret_left)
        p = db_execute(db, a, &sql_note, DB_ARGS(db_uuid(owner), db_text(text_of(of))), NULL);
    return p;
}

struct sweep {
    struct db *db;
    struct arena *arena;
    const struct belonging *all;
    struct uuid owner;
    bool claimed;
};

static struct problem *sweep_one(void *context)
{
    struct sweep *s = context;
    struct leftover of;
    uint64_t deleted = 0;
    struct problem *p =
        db_find(s->db, s->arena, &sql_claim, DB_ARGS(db_uuid(s->owner)), &of, &s->claimed);
    if (p || !s->claimed)
        return p;
    p = belonging_delete(s->db, s->arena, s->all, of.table_name.data, s->owner, BELONGING_BATCH,
                         &deleted);
    if (!p && deleted < BELONGING_BATCH)
        p = db_execute(s->db, s->arena, &sql_forget, DB_ARGS(db_uuid(s->owner)), NULL);
    return p;
}

struct problem *belonging_sweep(struct db *db, struct arena *a, const struct belonging *all,
                                struct uuid owner, bool *ret_more)
{
    struct sweep s = {.db = db, .arena = a, .all = all, .owner = owner};
    struct problem *p = db_transaction(db, a, sweep_one, db_in_doubt_repeat, &s); /* none twice */
    if (!p)
        *ret_more = s.claimed;
    return p;
}

#include "common/db/counter_sweep.h"

#include <stdlib.h>
#include <string.h>

#include "common/db/counter.h"
#include "common/field/field.h"

static const struct field journal_row_fields[] = {
    FIELD(struct journal_row, id, .doc = "The order in which they began to be written."),
    FIELD(struct journal_row, total, .doc = "Which counter."),
    FIELD(struct journal_row, owner, .doc = "Whose it is, or nil."),
    FIELD(struct journal_row, kind, .doc = "Of which kind."),
    FIELD(struct journal_row, n, .doc = "How many more."),
    FIELD(struct journal_row, row_id, .doc = "What was written."),
};
static const struct record journal_row_record =
    RECORD("JournalRow", struct journal_row, journal_row_fields, .rule = NULL);

static const struct field backlog_fields[] = {
    FIELD(struct backlog, count, .doc = "How many rows wait."),
    FIELD(struct backlog, age_s, .doc = "For how long the oldest has."),
};
static const struct record backlog_record =
    RECORD("Backlog", struct backlog, backlog_fields, .rule = NULL);

/* ---- statements ---- */

/* Few forms, each for so many rows; where there are fewer, the rest is filled with what does
 * nothing. */
#define FOUR(what_, by_) what_ by_ what_ by_ what_ by_ what_
#define SIXTEEN(what_, by_) FOUR(FOUR(what_, by_), by_)
#define SIXTY_FOUR(what_, by_) FOUR(SIXTEEN(what_, by_), by_)
#define COUNTS_AT_ONCE 64

/* Whoever has this row is the one who sweeps: TURN_SWEEP. Another node's step is met by writing it,
 * before anything else is. */
static const struct sql sql_claim = {
    "SELECT n FROM list_counts WHERE total = 0 AND owner = ? AND kind = 0 FOR UPDATE SKIP LOCKED",
    &counted_record};
static const struct sql sql_turn = {
    "UPDATE list_counts SET n = n + 1 WHERE total = 0 AND owner = ? AND kind = 0 AND n = ?", NULL};
static const struct sql sql_take = {
    "SELECT id, total, owner, kind, n, row_id FROM list_journal FORCE INDEX (PRIMARY) "
    "ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED",
    &journal_row_record};
static const struct sql sql_count = {
    "INSERT INTO list_counts (total, owner, kind, n) VALUES " SIXTY_FOUR(
        "(?, ?, ?, ?)", ", ") " ON DUPLICATE KEY UPDATE n = n + VALUES(n)",
    NULL};
/* The index is forced, here and below: a scan would wait for rows that are being written. */
static const struct sql sql_forget = {
    "DELETE list_journal FROM list_journal FORCE INDEX (PRIMARY) WHERE id IN (" FOUR(
        SIXTY_FOUR("?", ", "), ", ") ")",
    NULL};
static const struct sql sql_drop_empty = {
    "DELETE list_counts FROM list_counts FORCE INDEX (PRIMARY) WHERE n = 0 AND (" SIXTY_FOUR(
        "(total = ? AND owner = ? AND kind = ?)", " OR ") ")",
    NULL};
static const struct sql sql_backlog = {
    "SELECT COUNT(*) AS count, COALESCE(TIMESTAMPDIFF(SECOND, (SELECT written_at FROM list_journal "
    "ORDER BY id LIMIT 1), UTC_TIMESTAMP()), 0) AS age_s "
    "FROM (SELECT 1 FROM list_journal LIMIT ?) AS waiting",
    &backlog_record};

/* ---- a step ---- */

/* What becomes of one row of the counts. */
struct change {
    int64_t total;
    struct uuid owner;
    int64_t kind;
    int64_t n;
};

struct sweep {
    struct db *db;
    struct arena *arena;
    const struct sweep_hook *hook;
    bool claimed, whole; /* all rows that there are were taken */
    int64_t turn;        /* as it was found */
    struct journal_row rows[SWEEP_ROWS];
    size_t row_count;
    struct change changes[2 * SWEEP_ROWS];
    size_t change_count;
};

static void keep_row(void *context, const void *row)
{
    struct sweep *s = context;
    if (s->row_count < SWEEP_ROWS)
        s->rows[s->row_count++] = *(const struct journal_row *)row;
}

static struct problem *take_rows(struct sweep *s)
{
    struct counted claim;
    struct problem *p = db_find(s->db, s->arena, &sql_claim, DB_ARGS(db_uuid((struct uuid){{0}})),
                                &claim, &s->claimed);
    s->row_count = s->change_count = 0;
    s->whole = true;
    if (p || !s->claimed)
        return p;
    s->turn = claim.n;
    return db_each(s->db, s->arena, &sql_take, DB_ARGS(db_integer(SWEEP_ROWS)), keep_row, s);
}

static struct problem *take_turn(struct sweep *s)
{
    uint64_t taken = 0;
    struct problem *p = db_guard(s->db, s->arena); /* counting twice is the harm */
    if (!p)
        p = db_execute(s->db, s->arena, &sql_turn,
                       DB_ARGS(db_uuid((struct uuid){{0}}), db_integer(s->turn)), &taken);
    return p || taken ? p : db_conflict(s->db, s->arena);
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Any order would do, if it is one: then no two who change the same rows wait for each other. */
static int compare_changes(const void *first, const void *second)
{
    const struct change *a = first, *b = second;
    int order = compare_numbers(a->total, b->total);
    if (!order)
        order = memcmp(&a->owner, &b->owner, sizeof a->owner);
    return order ? order : compare_numbers(a->kind, b->kind);
}

static void note_change(struct sweep *s, const struct journal_row *row, struct uuid owner)
{
    s->changes[s->change_count++] = (struct change){row->total, owner, row->kind, row->n};
}

/* Of those for the same row of the counts one is left, and none where they outweigh each other. */
static void join_changes(struct sweep *s)
{
    size_t kept = 0;
    for (size_t i = 0, next; i < s->change_count; i = next) {
        struct change sum = s->changes[i];
        for (next = i + 1; next < s->change_count; next++) {
            if (compare_changes(&sum, &s->changes[next]) != 0)
                break;
            sum.n += s->changes[next].n;
        }
        if (sum.n)
            s->changes[kept++] = sum;
    }
    s->change_count = kept;
}

static void add_up(struct sweep *s)
{
    for (size_t i = 0; i < s->row_count; i++) {
        const struct journal_row *row = &s->rows[i];
        if (!row->n)
            continue;
        note_change(s, row, (struct uuid){{0}});
        if (!uuid_is_nil(&row->owner))
            note_change(s, row, row->owner);
    }
    qsort(s->changes, s->change_count, sizeof *s->changes, compare_changes);
    join_changes(s);
}

/* Nothing more for the row that is locked anyway fills a statement up. */
static struct problem *put_counts(struct sweep *s, const struct change *changes, size_t count)
{
    static const struct change nothing = {0};
    struct db_arg args[4 * COUNTS_AT_ONCE], *arg = args;
    for (size_t i = 0; i < COUNTS_AT_ONCE; i++) {
        const struct change *c = i < count ? &changes[i] : &nothing;
        *arg++ = db_integer(c->total);
        *arg++ = db_uuid(c->owner);
        *arg++ = db_integer(c->kind);
        *arg++ = db_integer(c->n);
    }
    return db_execute(s->db, s->arena, &sql_count, (struct db_args){args, 4 * COUNTS_AT_ONCE},
                      NULL);
}

/* Owners come and go; what is left of one who has nothing any more would stay for ever. A total
 * that nothing has fills the statement up. */
static struct problem *drop_empty(struct sweep *s, const struct change *changes, size_t count)
{
    struct db_arg args[3 * COUNTS_AT_ONCE], *arg = args;
    size_t owners = 0;
    for (size_t i = 0; i < COUNTS_AT_ONCE; i++) {
        bool of_owner = i < count && !uuid_is_nil(&changes[i].owner);
        *arg++ = db_integer(of_owner ? changes[i].total : 0);
        *arg++ = db_uuid(of_owner ? changes[i].owner : (struct uuid){{0}});
        *arg++ = db_integer(of_owner ? changes[i].kind : COUNTER_KINDS - 1);
        owners += of_owner;
    }
    if (!owners)
        return NULL;
    return db_execute(s->db, s->arena, &sql_drop_empty, (struct db_args){args, 3 * COUNTS_AT_ONCE},
                      NULL);
}

static struct problem *put_changes(struct sweep *s)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < s->change_count; i += COUNTS_AT_ONCE) {
        size_t left = s->change_count - i, count = left < COUNTS_AT_ONCE ? left : COUNTS_AT_ONCE;
        p = put_counts(s, &s->changes[i], count);
        if (!p)
            p = drop_empty(s, &s->changes[i], count);
    }
    return p;
}

/* All must be there still: another node of a cluster does not see our locks. */
static struct problem *forget_rows(struct sweep *s)
{
    struct db_arg args[SWEEP_ROWS];
    for (size_t i = 0; i < SWEEP_ROWS; i++)
        args[i] = db_integer(i < s->row_count ? s->rows[i].id : 0);
    uint64_t forgotten = 0;
    struct problem *p =
        db_execute(s->db, s->arena, &sql_forget, (struct db_args){args, SWEEP_ROWS}, &forgotten);
    return p || forgotten == s->row_count ? p : db_conflict(s->db, s->arena);
}

/* First, for it may take fewer rows than there are. */
static struct problem *let_take(struct sweep *s)
{
    size_t count = s->row_count;
    struct problem *p = NULL;
    if (s->hook)
        p = s->hook->take(s->hook->context, s->db, s->arena, s->rows, &count);
    s->whole = s->row_count < SWEEP_ROWS && count == s->row_count;
    s->row_count = count;
    return p;
}

static struct problem *step(void *context)
{
    struct sweep *s = context;
    struct problem *p = take_rows(s);
    if (p || !s->row_count)
        return p;
    p = take_turn(s);
    if (!p)
        p = let_take(s);
    if (p)
        return p;
    add_up(s);
    p = put_changes(s);
    return p ? p : forget_rows(s);
}

struct problem *counter_sweep(struct db *db, struct arena *a, const struct sweep_hook *hook,
                              bool *ret_more)
{
    struct sweep *s = arena_alloc(a, sizeof *s);
    s->db = db;
    s->arena = a;
    s->hook = hook;
    struct problem *p = db_transaction(db, a, step, db_in_doubt_repeat, s); /* none goes twice */
    if (!p)
        *ret_more = !s->whole;
    return p;
}

struct problem *counter_backlog(struct db *db, struct arena *a, struct backlog *ret)
{
    bool found;
    return db_find(db, a, &sql_backlog, DB_ARGS(db_integer(BACKLOG_MAX + 1)), ret, &found);
}

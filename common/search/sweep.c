#include "common/search/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/search/store.h"
#include "common/search/times.h"

#define STEP_BYTES ((size_t)256 * 1024)   /* of texts, after which a step ends */
#define STEP_PAIRS ((size_t)1024 * 1024)  /* terms of all its rows */
#define PATCH_TEXT 8192                   /* bytes; a row with more gets another ordinal */
#define PATCH_FULL 65536                  /* bytes of a patch, from which on all do */
#define SEGMENT_FULL ((size_t)512 * 1024) /* bytes of the open segment, with which it is closed */
#define SCRATCH_MAX ((size_t)64 * 1024 * 1024)

/* One index in one step. */
struct part {
    const struct search_index *index;
    struct db *db;
    struct arena *arena, *scratch;
    bool begun; /* its builds are locked */
    struct builds builds;
    uint32_t open;                       /* where the open segment of the live build begins */
    struct postings_writer fresh, patch; /* of level 1 and 0 */
    bool freshened, patched;             /* something was noted there */
    struct uuid ids[SWEEP_ROWS];         /* that were met */
    size_t id_count, done, found;
    bool is_there[SWEEP_ROWS];           /* of `ids` */
    bool is_deferred[SWEEP_ROWS];        /* to the next step */
    struct ordinals appended, scheduled; /* in the live build, and in the one that is made */
    uint32_t left[SWEEP_ROWS]; /* ordinals of the live build, by rows that moved or are gone */
    size_t left_count;
    struct uuid moved[SWEEP_ROWS], rescheduled[SWEEP_ROWS];
    size_t moved_count, rescheduled_count;
    size_t bytes;
};

static void part_release(void *object)
{
    struct part *part = object;
    postings_writer_release(&part->fresh);
    postings_writer_release(&part->patch);
    arena_close(part->scratch);
}

static struct part *part_open(struct db *db, struct arena *a, const struct search_index *index)
{
    struct part *part = arena_alloc(a, sizeof *part);
    *part = (struct part){.index = index, .db = db, .arena = a};
    part->scratch = arena_open(SCRATCH_MAX);
    postings_writer_init(&part->fresh, STEP_PAIRS);
    postings_writer_init(&part->patch, STEP_PAIRS);
    arena_defer(a, part_release, part);
    return part;
}

/* Which of the rows that were met. */
static size_t find_id(const struct part *part, const struct uuid *id)
{
    size_t i = 0;
    while (i < part->id_count && !uuid_equal(&part->ids[i], id))
        i++;
    return i;
}

/* Which rows of the table these are, each once. */
static void meet(struct part *part, const struct journal_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].total == part->index->counter->number && !uuid_is_nil(&rows[i].row_id) &&
            find_id(part, &rows[i].row_id) == part->id_count)
            part->ids[part->id_count++] = rows[i].row_id;
}

/* ---- one row ---- */

static void append(struct part *part, const struct indexed *row)
{
    struct ordinal o = {(uint32_t)part->builds.live.next_ord++, row->id, row->created_at};
    store_add_ordinal(part->arena, &part->appended, o);
    (void)indexed_add(&part->fresh, part->scratch, part->index, row, o.ord);
    part->freshened = true;
}

/* A patch costs each step that has one; it stays short. */
static bool is_patchable(const struct part *part, const struct indexed *row)
{
    return indexed_size(row) <= PATCH_TEXT && part->builds.live.patch_max < PATCH_FULL;
}

static void take_live(struct part *part, const struct indexed *row)
{
    uint32_t ord = (uint32_t)(row->live - 1);
    if (!row->live) {
        append(part, row);
    } else if (ord >= part->open) { /* in the segment that is written again anyway */
        (void)indexed_add(&part->fresh, part->scratch, part->index, row, ord);
        part->freshened = true;
    } else if (is_patchable(part, row)) {
        (void)indexed_add(&part->patch, part->scratch, part->index, row, ord);
        part->patched = true;
    } else {
        part->left[part->left_count++] = ord;
        part->moved[part->moved_count++] = row->id;
        append(part, row);
    }
}

/* Whoever makes the build reads the row when it comes to the ordinal; it may have read an earlier
 * one, and so there is a new one each time. */
static void take_making(struct part *part, const struct indexed *row)
{
    struct ordinal o = {(uint32_t)part->builds.making.next_ord++, row->id, row->created_at};
    if (row->making)
        part->rescheduled[part->rescheduled_count++] = row->id;
    store_add_ordinal(part->arena, &part->scheduled, o);
}

static void take_row(void *context, const void *row)
{
    struct part *part = context;
    const struct indexed *indexed = row;
    size_t number = find_id(part, &indexed->id);
    part->found++;
    part->is_there[number] = true;
    part->is_deferred[number] = number > 0 && part->bytes >= STEP_BYTES;
    if (part->is_deferred[number])
        return;
    part->bytes += indexed_size(indexed);
    if (part->builds.live.build)
        take_live(part, indexed);
    if (part->builds.making.build && indexed->passed)
        take_making(part, indexed);
    arena_reset(part->scratch);
}

/* ---- some rows ---- */

#define FOUR(what_, by_) what_ by_ what_ by_ what_ by_ what_
#define THIRTY_TWO_IDS FOUR(FOUR("?", ", "), ", ") ", " FOUR(FOUR("?", ", "), ", ")

static const char *rows_sql(struct arena *a, const struct search_index *index)
{
    const char *table = index->counter->table;
    return arena_printf(
        a,
        "SELECT %s, read_rows.ord + 1 AS live, made_rows.ord + 1 AS making, "
        "(%s.created_at < ? OR (%s.created_at = ? AND %s.id <= ?)) AS passed "
        "FROM %s FORCE INDEX (PRIMARY) "
        "LEFT JOIN search_rows AS read_rows ON read_rows.build = ? AND read_rows.id = %s.id "
        "LEFT JOIN search_rows AS made_rows ON made_rows.build = ? AND made_rows.id = %s.id "
        "WHERE %s.id IN (" THIRTY_TWO_IDS ") AND %s ORDER BY %s.created_at, %s.id",
        indexed_columns(a, index), table, table, table, table, table, table, table,
        index->counter->where, table, table);
}

/* Up to STORE_AT_ONCE rows, those that were met last. */
static struct problem *take_rows(struct part *part)
{
    const struct build *making = &part->builds.making;
    const struct sql sql = {rows_sql(part->arena, part->index), &indexed_record};
    struct db_arg args[5 + STORE_AT_ONCE], *arg = args;
    *arg++ = db_time(making->built_at);
    *arg++ = db_time(making->built_at);
    *arg++ = db_uuid(making->built_id);
    *arg++ = db_integer(part->builds.live.build);
    *arg++ = db_integer(making->build);
    for (size_t i = 0; i < STORE_AT_ONCE; i++)
        *arg++ = db_uuid(part->ids[part->done + i < part->id_count ? part->done + i : part->done]);
    struct problem *p = db_each(part->db, part->arena, &sql,
                                (struct db_args){args, 5 + STORE_AT_ONCE}, take_row, part);
    part->done = part->id_count;
    return p;
}

static struct problem *begin(struct part *part)
{
    if (part->begun)
        return NULL;
    struct builds *b = &part->builds;
    struct problem *p = store_lock(part->db, part->arena, part->index, b);
    if (!p && b->live.build)
        p = store_take_turn(part->db, part->arena, &b->live);
    if (!p && b->making.build)
        p = store_take_turn(part->db, part->arena, &b->making);
    part->begun = true;
    part->open = (uint32_t)part->builds.live.next_ord / SEARCH_BLOCK * SEARCH_BLOCK;
    return p;
}

static struct problem *take_some(struct part *part, const struct journal_row *rows, size_t count)
{
    meet(part, rows, count);
    if (part->done == part->id_count)
        return NULL;
    struct problem *p = begin(part);
    if (!p && (part->builds.live.build || part->builds.making.build))
        return take_rows(part);
    part->done = part->id_count;
    return p;
}

/* ---- storing it ---- */

/* The segments of level 1 that have rows of this step. Where the last has become long it is closed,
 * and the ordinals that it has left over are nobody's. */
static struct problem *write_segments(struct part *part)
{
    struct build *live = &part->builds.live;
    struct problem *p = NULL;
    size_t sum = 0, longest;
    if (!part->freshened)
        return NULL;
    for (int64_t base = part->open; !p && base < live->next_ord; base += SEARCH_BLOCK)
        p = store_add_postings(part->db, part->arena, live, &part->fresh, 1, (uint32_t)base, &sum,
                               &longest);
    if (sum > SEGMENT_FULL)
        live->next_ord = (live->next_ord + SEARCH_BLOCK - 1) / SEARCH_BLOCK * SEARCH_BLOCK;
    return p;
}

static struct problem *write_patch(struct part *part)
{
    size_t sum, longest;
    if (!part->patched)
        return NULL;
    struct problem *p = store_add_postings(part->db, part->arena, &part->builds.live, &part->patch,
                                           POSTINGS_PATCH, 0, &sum, &longest);
    if (!p && (int64_t)longest > part->builds.live.patch_max)
        part->builds.live.patch_max = (int64_t)longest;
    return p;
}

/* Rows that are gone from the table have no ordinal any more. */
static struct problem *forget_gone(struct part *part)
{
    const struct build *live = &part->builds.live, *making = &part->builds.making;
    size_t gone = 0, found;
    if (part->found == part->id_count)
        return NULL;
    for (size_t i = 0; i < part->id_count; i++)
        if (!part->is_there[i])
            part->ids[gone++] = part->ids[i];
    struct problem *p = store_find_rows(part->db, part->arena, live, part->ids, gone,
                                        part->left + part->left_count, &found);
    part->left_count += p ? 0 : found;
    return p ? p : store_forget_rows(part->db, part->arena, live, making, part->ids, gone);
}

static struct problem *forget_moved(struct part *part)
{
    const struct build *live = &part->builds.live;
    return store_forget_rows(part->db, part->arena, live, live, part->moved, part->moved_count);
}

static int compare_ordinals(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The blocks that rows have left, each once, and they rise. Not the open one: the row that closes
 * it is there, and tells when it goes. */
static size_t find_blocks(struct part *part, uint32_t *ret)
{
    size_t count = 0;
    qsort(part->left, part->left_count, sizeof *part->left, compare_ordinals);
    for (size_t i = 0; i < part->left_count; i++) {
        uint32_t block = part->left[i] / SEARCH_BLOCK * SEARCH_BLOCK;
        if (block < part->open && (!count || ret[count - 1] != block))
            ret[count++] = block;
    }
    return count;
}

/* Postings stay when their rows go, and each search for the words meets them; but a block that has
 * no row any more is passed over. */
static struct problem *forget_empty_blocks(struct part *part)
{
    struct build *live = &part->builds.live;
    uint32_t blocks[SWEEP_ROWS], empty[SWEEP_ROWS];
    size_t count = find_blocks(part, blocks), empty_count;
    struct problem *p =
        store_find_empty(part->db, part->arena, live, blocks, count, empty, &empty_count);
    return p ? p : times_forget(part->db, part->arena, live, empty, empty_count);
}

static struct problem *write_live(struct part *part)
{
    struct build *live = &part->builds.live;
    struct problem *p = store_write_rows(part->db, part->arena, live, &part->appended);
    if (!p)
        p = times_note(part->db, part->arena, live, &part->appended);
    if (!p)
        p = write_segments(part);
    if (!p)
        p = forget_empty_blocks(part);
    if (!p)
        p = write_patch(part);
    live->written = live->next_ord;
    return p ? p : store_save(part->db, part->arena, live);
}

static struct problem *write_making(struct part *part)
{
    struct build *making = &part->builds.making;
    struct problem *p = store_forget_rows(part->db, part->arena, making, making, part->rescheduled,
                                          part->rescheduled_count);
    if (!p)
        p = store_write_rows(part->db, part->arena, making, &part->scheduled);
    return p ? p : store_save(part->db, part->arena, making);
}

static struct problem *finish(struct part *part)
{
    struct problem *p = NULL;
    if (!part->begun || !(part->builds.live.build || part->builds.making.build))
        return NULL;
    p = forget_gone(part);
    if (!p)
        p = forget_moved(part);
    if (!p && part->builds.live.build)
        p = write_live(part);
    if (!p && part->builds.making.build)
        p = write_making(part);
    return p;
}

/* ---- a step ---- */

struct step {
    struct part *parts[SEARCH_INDEXES_MAX];
    size_t count;
};

static void open_parts(struct step *step, struct db *db, struct arena *a,
                       const struct search_index *const *indexes)
{
    for (; indexes[step->count] && step->count < SEARCH_INDEXES_MAX; step->count++)
        step->parts[step->count] = part_open(db, a, indexes[step->count]);
}

static struct problem *take_from_all(struct step *step, const struct journal_row *rows,
                                     size_t count, size_t *ret_bytes)
{
    struct problem *p = NULL;
    *ret_bytes = 0;
    for (size_t i = 0; !p && i < step->count; i++) {
        p = take_some(step->parts[i], rows, count);
        *ret_bytes += step->parts[i]->bytes;
    }
    return p;
}

static bool is_deferred(const struct part *part, const struct uuid *id)
{
    size_t number = find_id(part, id);
    return number < part->id_count && part->is_deferred[number];
}

/* How many of the rows are done with. What was taken of those behind them is taken again. */
static size_t count_done(const struct step *step, const struct journal_row *rows, size_t count)
{
    for (size_t n = 0; n < count; n++)
        for (size_t i = 0; i < step->count; i++)
            if (is_deferred(step->parts[i], &rows[n].row_id))
                return n;
    return count;
}

static struct problem *take(void *context, struct db *db, struct arena *a,
                            const struct journal_row *rows, size_t *count)
{
    struct step step = {.count = 0};
    struct problem *p = NULL;
    size_t taken = 0, bytes = 0;
    open_parts(&step, db, a, context);
    while (!p && taken < *count && bytes < STEP_BYTES) {
        size_t left = *count - taken, some = left < STORE_AT_ONCE ? left : STORE_AT_ONCE;
        p = take_from_all(&step, rows + taken, some, &bytes);
        size_t done = count_done(&step, rows + taken, some);
        bytes = done < some ? STEP_BYTES : bytes;
        taken += done;
    }
    for (size_t i = 0; !p && i < step.count; i++)
        p = finish(step.parts[i]);
    *count = taken;
    return p;
}

struct sweep_hook search_hook(const struct search_index *const *indexes)
{
    return (struct sweep_hook){take, (void *)(uintptr_t)indexes};
}

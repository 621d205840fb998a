#include "common/search/build.h"

#include <assert.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/db/turn.h"
#include "common/field/field.h"
#include "common/search/folding.h"
#include "common/search/merge.h"
#include "common/search/store.h"
#include "common/search/times.h"

#define ANNOUNCED "4096"                     /* rows that get their ordinals in one transaction */
#define READ_AT_ONCE 1024                    /* ordinals whose rows are read by one statement */
#define PAIRS_MAX ((size_t)16 * 1024 * 1024) /* terms of the rows that wait: 128 MiB */
#define LAST_ROWS 200                        /* that are left for the last transaction */
#define WRITE_AT_ONCE 256                    /* blobs of one transaction */
#define MERGE_AT_ONCE 16                     /* buckets */
#define SCRATCH_MAX ((size_t)64 * 1024 * 1024)
#define STEP_MAX ((size_t)512 * 1024 * 1024)

struct builder {
    struct db *db;
    struct arena *arena; /* of problems */
    struct arena *step;  /* of one step */
    struct arena *scratch;
    const struct search_index *index;
    const struct build_progress *progress;
    const char *rows_sql; /* of indexed rows by their ordinals */
    int64_t number;       /* of the build */
    struct build build;   /* its row, as it was last */
    int64_t read;         /* ordinals below this were read, */
    struct postings_writer writer;
    struct ordinals rows; /* and from build.written on these are there */
    size_t row_room;
    int64_t told;       /* rows of this run */
    uint64_t announced; /* rows, by the last call */
    bool is_done, is_merged;
    struct blobs blobs; /* to be written */
    size_t kept;        /* of `rows`, before the last transaction */
};

/* What a step has used up; a problem is part of it, and stays. */
static struct problem *end_step(struct builder *b, struct problem *p)
{
    if (!p)
        arena_reset(b->step);
    return p;
}

/* ---- which build ---- */

struct next {
    int64_t next;
};

static const struct field next_fields[] = {FIELD(struct next, next, .doc = "The next ordinal.")};
static const struct record next_record = RECORD("Next", struct next, next_fields, .rule = NULL);

#define PLACE_FIRST "'1000-01-01', '00000000-0000-0000-0000-000000000000'"

static const struct sql sql_give_up = {
    "UPDATE search_builds SET state = 'leaving', since = UTC_TIMESTAMP(6), turn = turn + 1 "
    "WHERE list = ? AND state = 'building' AND build <> ?",
    NULL};
static const struct sql sql_begin = {
    "INSERT INTO search_builds (list, state, since, built_at, built_id, format, unicode) "
    "VALUES (?, 'building', UTC_TIMESTAMP(6), " PLACE_FIRST ", ?, ?)",
    NULL};
static const struct sql sql_find = {"SELECT " BUILD_COLUMNS
                                    " FROM search_builds WHERE list = ? AND state = 'building' "
                                    "ORDER BY build DESC LIMIT 1",
                                    &build_record};

static bool is_ours(const struct build *b)
{
    return b->format == SEARCH_FORMAT && text_equal(b->unicode, text_of(fold_unicode()));
}

/* Is a row of the table behind the place that a build has come to, and neither in it nor about to
 * be swept? Then it was imported since. */
static struct problem *look_for_imports(struct builder *b, const struct build *build, bool *ret_any)
{
    const char *table = b->index->counter->table;
    struct db_arg at = db_time(build->built_at);
    struct next next;
    const struct sql sql = {
        arena_printf(b->arena,
                     "SELECT 1 AS next FROM %s LEFT JOIN search_rows AS made_rows ON "
                     "made_rows.build = ? AND made_rows.id = %s.id WHERE made_rows.id IS NULL AND "
                     "(%s.created_at < ? OR (%s.created_at = ? AND %s.id <= ?)) AND NOT EXISTS "
                     "(SELECT 1 FROM list_journal WHERE total = ? AND row_id = %s.id) LIMIT 1",
                     table, table, table, table, table, table),
        &next_record};
    struct problem *p = db_pin(b->db, b->arena); /* it may take longer than a statement has */
    if (p)
        return p;
    p = db_find(b->db, b->arena, &sql,
                DB_ARGS(db_integer(build->build), at, at, db_uuid(build->built_id),
                        db_integer(b->index->counter->number)),
                &next, ret_any);
    db_unpin(b->db);
    return p;
}

/* Which build to go on with: 0: none. */
static struct problem *find_interrupted(struct builder *b)
{
    struct build build;
    bool found, imported = false;
    struct problem *p = db_find(b->db, b->arena, &sql_find,
                                DB_ARGS(db_integer(b->index->counter->number)), &build, &found);
    if (p || !found || !is_ours(&build))
        return p;
    p = look_for_imports(b, &build, &imported);
    if (!p && !imported)
        b->number = build.build;
    return p;
}

/* Go on with the one that was found, or begin. */
static struct problem *begin(void *context)
{
    struct builder *b = context;
    struct db_arg list = db_integer(b->index->counter->number);
    bool found;
    struct problem *p = turn_take(b->db, b->arena, TURN_SWEEP); /* one begins at a time */
    if (!p)
        p = db_find(b->db, b->arena, &sql_find, DB_ARGS(list), &b->build, &found);
    if (p)
        return p;
    bool resumed = found && b->build.build == b->number;
    p = db_execute(b->db, b->arena, &sql_give_up,
                   DB_ARGS(list, db_integer(resumed ? b->build.build : 0)), NULL);
    if (!p && !resumed)
        p = db_execute(b->db, b->arena, &sql_begin,
                       DB_ARGS(list, db_integer(SEARCH_FORMAT), db_text(text_of(fold_unicode()))),
                       NULL);
    if (!p && !resumed)
        p = db_find(b->db, b->arena, &sql_find, DB_ARGS(list), &b->build, &found);
    b->number = b->build.build;
    b->read = b->build.written;
    return p;
}

/* Lock its row. Who finds it further than it was left is not alone. */
static struct problem *hold(struct builder *b, struct builds *builds)
{
    struct problem *p = store_lock(b->db, b->step, b->index, builds);
    if (p)
        return p;
    if (builds->making.build != b->number || builds->making.written != b->build.written)
        return problem_because(b->arena, &problem_unavailable,
                               "another process builds the search index of %s, too",
                               b->index->counter->table);
    b->build = builds->making;
    b->build.unicode = (struct text){NULL, 0};
    return store_take_turn(b->db, b->step, &b->build);
}

/* ---- ordinals ---- */

struct place {
    struct instant created_at;
    struct uuid id;
};

static const struct field place_fields[] = {
    FIELD(struct place, created_at, .doc = "When the row was made."),
    FIELD(struct place, id, .doc = "Its id."),
};
static const struct record place_record = RECORD("Place", struct place, place_fields, .rule = NULL);

/* The rows after a place, of all slices, each in order; `bound` is added to their conditions. */
static const char *slices_sql(struct builder *b, const char *bound, const char *limit)
{
    const char *table = b->index->counter->table, *sql = "";
    for (size_t i = 0; i < SEARCH_SLICES_MAX && b->index->slices[i].condition; i++)
        sql = arena_printf(
            b->step,
            "%s%s(SELECT created_at, id FROM %s FORCE INDEX (%s) WHERE %s AND created_at >= ? AND "
            "(created_at > ? OR id > ?)%s ORDER BY created_at, id%s)",
            sql, i ? " UNION ALL " : "", table, b->index->slices[i].index,
            b->index->slices[i].condition, bound, limit);
    return sql;
}

static size_t slice_count(const struct search_index *index)
{
    size_t count = 0;
    while (count < SEARCH_SLICES_MAX && index->slices[count].condition)
        count++;
    return count;
}

/* Where the next rows end. */
static struct problem *find_end(struct builder *b, struct place *ret, bool *ret_found)
{
    struct db_arg args[3 * SEARCH_SLICES_MAX], *arg = args;
    size_t slices = slice_count(b->index);
    const struct sql sql = {
        arena_printf(b->step,
                     "SELECT created_at, id FROM (SELECT created_at, id FROM (%s) AS slices ORDER "
                     "BY created_at, id LIMIT " ANNOUNCED ") AS next_rows ORDER BY created_at "
                     "DESC, id DESC LIMIT 1",
                     slices_sql(b, "", " LIMIT " ANNOUNCED)),
        &place_record};
    for (size_t i = 0; i < slices; i++) {
        *arg++ = db_time(b->build.built_at);
        *arg++ = db_time(b->build.built_at);
        *arg++ = db_uuid(b->build.built_id);
    }
    return db_find(b->db, b->step, &sql, (struct db_args){args, 3 * slices}, ret, ret_found);
}

/* Whose time of creation was changed by hand may be there already. */
static struct problem *give_ordinals(struct builder *b, const struct place *end)
{
    struct db_arg args[2 + 6 * SEARCH_SLICES_MAX], *arg = args;
    size_t slices = slice_count(b->index);
    const struct sql sql = {
        arena_printf(b->step,
                     "INSERT IGNORE INTO search_rows (build, ord, id, created_at) SELECT ?, ? + "
                     "ROW_NUMBER() OVER (ORDER BY created_at, id), id, created_at FROM (%s) AS "
                     "slices",
                     slices_sql(b, " AND created_at <= ? AND (created_at < ? OR id <= ?)", "")),
        NULL};
    *arg++ = db_integer(b->number);
    *arg++ = db_integer(b->build.next_ord - 1);
    for (size_t i = 0; i < slices; i++) {
        *arg++ = db_time(b->build.built_at);
        *arg++ = db_time(b->build.built_at);
        *arg++ = db_uuid(b->build.built_id);
        *arg++ = db_time(end->created_at);
        *arg++ = db_time(end->created_at);
        *arg++ = db_uuid(end->id);
    }
    return db_execute(b->db, b->step, &sql, (struct db_args){args, 2 + 6 * slices}, &b->announced);
}

static const struct sql sql_next = {
    "SELECT ord + 1 AS next FROM search_rows WHERE build = ? ORDER BY ord DESC LIMIT 1",
    &next_record};

/* Give the next rows their ordinals, in a transaction that has the build locked. */
static struct problem *announce(struct builder *b)
{
    struct place end;
    struct next next = {b->build.next_ord};
    bool found;
    b->announced = 0;
    struct problem *p = find_end(b, &end, &found);
    if (p || !found)
        return p;
    p = give_ordinals(b, &end);
    if (!p)
        p = db_find(b->db, b->step, &sql_next, DB_ARGS(db_integer(b->number)), &next, &found);
    if (p)
        return p;
    if (next.next > b->build.next_ord)
        b->build.next_ord = next.next;
    b->build.built_at = end.created_at;
    b->build.built_id = end.id;
    return NULL;
}

static struct problem *announce_once(void *context)
{
    struct builder *b = context;
    struct builds builds;
    struct problem *p = hold(b, &builds);
    if (!p)
        p = announce(b);
    return p ? p : store_save(b->db, b->step, &b->build);
}

/* ---- terms ---- */

static void take_row(void *context, const void *at)
{
    struct builder *b = context;
    const struct indexed *row = at;
    uint32_t ord = (uint32_t)(row->making - 1);
    (void)indexed_add(&b->writer, b->scratch, b->index, row, ord);
    arena_reset(b->scratch);
    assert(b->rows.count < b->row_room);
    b->rows.list[b->rows.count++] = (struct ordinal){ord, row->id, row->created_at};
}

static const char *rows_sql(struct arena *a, const struct search_index *index)
{
    const char *table = index->counter->table;
    return arena_printf(a,
                        "SELECT %s, made_rows.ord + 1 AS making FROM search_rows AS made_rows "
                        "FORCE INDEX (PRIMARY) STRAIGHT_JOIN %s FORCE INDEX (PRIMARY) "
                        "ON %s.id = made_rows.id WHERE made_rows.build = ? AND "
                        "made_rows.ord BETWEEN ? AND ? AND %s ORDER BY made_rows.ord",
                        indexed_columns(a, index), table, table, index->counter->where);
}

/* Read the rows of the ordinals up to `end`, which is in the range of those that wait. */
static struct problem *read_rows(struct builder *b, int64_t end)
{
    const struct sql sql = {b->rows_sql, &indexed_record};
    struct problem *p = db_each(
        b->db, b->step, &sql,
        DB_ARGS(db_integer(b->number), db_integer(b->read), db_integer(end - 1)), take_row, b);
    if (!p)
        b->read = end;
    return p;
}

/* ---- postings ---- */

/* The largest level of which the ordinals that wait have a whole segment, with all before it merged
 * as far. */
static unsigned level_of(const struct builder *b)
{
    const struct build *build = &b->build;
    int64_t from = build->written, count = b->read - from;
    if (count >= SEARCH_RANGE && build->merged2_base == from && build->merged1_base == from)
        return 3;
    return count >= 1 << postings_levels[2].width && build->merged1_base == from ? 2 : 1;
}

static void advance(struct build *build, unsigned level, int64_t size)
{
    build->written += size;
    if (level >= 2)
        build->merged1_base = build->written;
    if (level == 3)
        build->merged2_base = build->written;
}

static struct problem *write_once(void *context)
{
    struct builder *b = context;
    struct builds builds;
    struct problem *p = hold(b, &builds);
    if (!p)
        p = store_write_blobs(b->db, b->step, &b->build, &b->blobs);
    return p ? p : store_save(b->db, b->step, &b->build);
}

/* Nobody reads them yet, so they need not be there at once. */
static struct problem *write_blobs(struct builder *b)
{
    struct problem *p = NULL;
    if (b->blobs.count)
        p = db_transaction(b->db, b->step, write_once, db_in_doubt_repeat, b);
    b->blobs = (struct blobs){NULL, 0, 0};
    return p;
}

static struct problem *write_segment(struct builder *b, unsigned level, uint32_t base)
{
    struct problem *p = NULL;
    for (uint32_t bucket = 0; !p && bucket < 1u << postings_levels[level].bits; bucket++) {
        struct postings_key key = {level, bucket, base};
        struct text bytes;
        if (!postings_write(&b->writer, key, &bytes))
            return problem_because(b->arena, &problem_internal, "a segment is too long");
        if (bytes.data)
            store_add_blob(b->step, &b->blobs, key,
                           (struct text){arena_copy(b->step, bytes.data, bytes.len), bytes.len});
        if (b->blobs.count >= WRITE_AT_ONCE)
            p = end_step(b, write_blobs(b));
    }
    return p ? p : write_blobs(b);
}

/* The rows below an ordinal. */
static struct ordinals rows_below(const struct builder *b, int64_t ord)
{
    struct ordinals rows = {b->rows.list, 0, 0};
    while (rows.count < b->rows.count && rows.list[rows.count].ord < ord)
        rows.count++;
    return rows;
}

struct advance {
    struct builder *builder;
    unsigned level;
    int64_t size;
};

static struct problem *advance_once(void *context)
{
    struct advance *to = context;
    struct builder *b = to->builder;
    struct builds builds;
    struct problem *p = hold(b, &builds);
    const struct ordinals rows = rows_below(b, b->build.written + to->size);
    struct build build = b->build;
    if (!p)
        p = times_note(b->db, b->step, &build, &rows);
    advance(&build, to->level, to->size);
    return p ? p : store_save(b->db, b->step, &build);
}

/* A commit that is in doubt is looked at: the build has come as far, or it has not. */
static struct problem *has_advanced(void *context, bool *ret_yes)
{
    struct advance *to = context;
    struct builds builds;
    struct problem *p = store_lock(to->builder->db, to->builder->step, to->builder->index, &builds);
    *ret_yes = builds.making.build == to->builder->number &&
               builds.making.written == to->builder->build.written + to->size;
    return p;
}

static void drop_rows(struct builder *b)
{
    const struct ordinals gone = rows_below(b, b->build.written);
    b->told += (int64_t)gone.count;
    b->rows.count -= gone.count;
    memmove(b->rows.list, b->rows.list + gone.count, b->rows.count * sizeof *b->rows.list);
}

/* Write one segment of those that wait. */
static struct problem *write_next(struct builder *b)
{
    unsigned level = level_of(b);
    struct advance to = {b, level, INT64_C(1) << postings_levels[level].width};
    struct problem *p = write_segment(b, level, (uint32_t)b->build.written);
    if (!p)
        p = db_transaction(b->db, b->step, advance_once, has_advanced, &to);
    if (p)
        return p;
    advance(&b->build, level, to.size);
    drop_rows(b);
    return end_step(b, NULL);
}

/* ---- merging what is smaller ---- */

static struct problem *merge_once(void *context)
{
    struct builder *b = context;
    struct builds builds;
    struct problem *p = hold(b, &builds);
    bool more = false;
    if (!p)
        p = merge_some(b->db, b->step, &b->build, MERGE_AT_ONCE, &more);
    b->is_merged = !more;
    return p ? p : store_save(b->db, b->step, &b->build);
}

static struct problem *merge_all(struct builder *b)
{
    struct problem *p;
    do {
        p = end_step(b, db_transaction(b->db, b->step, merge_once, db_in_doubt_repeat, b));
    } while (!p && !b->is_merged);
    return p;
}

/* Write all whole segments of what waits. */
static struct problem *write_waiting(struct builder *b)
{
    struct problem *p = NULL;
    while (!p && b->read - b->build.written >= SEARCH_BLOCK)
        p = write_next(b);
    if (!p)
        p = merge_all(b);
    if (b->read == b->build.written)
        postings_writer_reset(&b->writer);
    if (!p && b->progress)
        b->progress->tell(b->progress->context, b->index, b->told);
    return p;
}

/* ---- the end ---- */

static const struct sql sql_leave = {
    "UPDATE search_builds SET state = 'leaving', since = UTC_TIMESTAMP(6), turn = turn + 1 "
    "WHERE list = ? AND state = 'live'",
    NULL};
static const struct sql sql_live = {
    "UPDATE search_builds SET state = 'live', since = UTC_TIMESTAMP(6), turn = turn + 1 "
    "WHERE build = ?",
    NULL};

static struct problem *write_last(struct builder *b, struct build *build)
{
    size_t sum, longest;
    struct problem *p = times_note(b->db, b->step, build, &b->rows);
    for (int64_t base = build->written / SEARCH_BLOCK * SEARCH_BLOCK; !p && base < build->next_ord;
         base += SEARCH_BLOCK)
        p = store_add_postings(b->db, b->step, build, &b->writer, 1, (uint32_t)base, &sum,
                               &longest);
    build->written = build->next_ord;
    return p ? p : store_save(b->db, b->step, build);
}

static struct problem *replace(struct builder *b)
{
    struct problem *p = db_execute(b->db, b->step, &sql_leave,
                                   DB_ARGS(db_integer(b->index->counter->number)), NULL);
    return p ? p : db_execute(b->db, b->step, &sql_live, DB_ARGS(db_integer(b->number)), NULL);
}

/* Take what is left and be the one that is read, unless too much has come meanwhile. */
static struct problem *finish_once(void *context)
{
    struct builder *b = context;
    struct builds builds;
    b->is_done = false;
    b->rows.count = b->kept;
    struct problem *p = hold(b, &builds);
    if (!p)
        p = announce(b);
    if (p || b->announced > LAST_ROWS || b->build.next_ord - b->read > LAST_ROWS)
        return p ? p : store_save(b->db, b->step, &b->build);
    int64_t read = b->read;
    struct build build = b->build;
    if (b->read < build.next_ord)
        p = read_rows(b, build.next_ord);
    if (!p)
        p = write_last(b, &build);
    if (!p)
        p = replace(b);
    b->read = read; /* it may run again, and what was noted twice does no harm */
    b->is_done = true;
    return p;
}

static struct problem *is_read_now(void *context, bool *ret_yes)
{
    struct builder *b = context;
    struct builds builds;
    struct problem *p = store_lock(b->db, b->step, b->index, &builds);
    *ret_yes = b->is_done && builds.live.build == b->number;
    return p;
}

/* ---- all of it ---- */

static int64_t lower(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Read what has ordinals and write it when that is enough. */
static struct problem *take_some(struct builder *b)
{
    int64_t range = b->build.written + SEARCH_RANGE - b->build.written % SEARCH_RANGE;
    int64_t end =
        lower(lower(range, b->build.next_ord), b->read - b->read % READ_AT_ONCE + READ_AT_ONCE);
    struct problem *p = end_step(b, read_rows(b, end));
    bool is_full = b->writer.pairs.len > PAIRS_MAX / 4 * 3 * sizeof(uint64_t);
    if (!p && (end == range || (is_full && end % SEARCH_BLOCK == 0)))
        p = write_waiting(b);
    return p;
}

/* The transaction that ends it, or one that gives more rows their ordinals. */
static struct problem *try_to_finish(struct builder *b)
{
    struct problem *p = write_waiting(b);
    b->kept = b->rows.count;
    if (!p)
        p = db_transaction(b->db, b->step, finish_once, is_read_now, b);
    return end_step(b, p);
}

static struct problem *go_through(struct builder *b)
{
    struct problem *p = NULL;
    b->is_done = false;
    while (!p && !b->is_done) {
        while (!p && b->read < b->build.next_ord)
            p = take_some(b);
        if (!p)
            p = end_step(b, db_transaction(b->db, b->step, announce_once, db_in_doubt_repeat, b));
        if (!p && b->announced <= LAST_ROWS)
            p = try_to_finish(b);
    }
    return p;
}

static void builder_release(void *object)
{
    struct builder *b = object;
    postings_writer_release(&b->writer);
    arena_close(b->scratch);
    arena_close(b->step);
}

static struct builder *builder_open(struct db *db, struct arena *a,
                                    const struct search_index *index,
                                    const struct build_progress *progress)
{
    struct builder *b = arena_alloc(a, sizeof *b);
    *b = (struct builder){.db = db, .arena = a, .index = index, .progress = progress};
    b->rows_sql = rows_sql(a, index);
    b->scratch = arena_open(SCRATCH_MAX);
    b->step = arena_open(STEP_MAX);
    b->row_room = SEARCH_RANGE + READ_AT_ONCE;
    b->rows.list = arena_array(a, b->row_room, sizeof *b->rows.list);
    postings_writer_init(&b->writer, PAIRS_MAX);
    arena_defer(a, builder_release, b);
    return b;
}

struct problem *search_build(struct db *db, struct arena *a, const struct search_index *index,
                             const struct build_progress *progress)
{
    struct builder *b = builder_open(db, a, index, progress);
    struct problem *p = find_interrupted(b);
    if (!p)
        p = db_transaction(db, a, begin, db_in_doubt_repeat, b);
    return p ? p : go_through(b);
}

/* ---- looking ---- */

static const struct sql sql_builds = {
    "SELECT " BUILD_COLUMNS " FROM search_builds WHERE list = ? AND state IN ('building', 'live') "
    "ORDER BY build",
    &build_record};

static void look_at(void *context, const void *row)
{
    struct index_state *state = context;
    const struct build *b = row;
    if (b->state == BUILD_BUILDING) {
        state->is_making = true;
        return;
    }
    state->is_live = true;
    state->is_ours = is_ours(b);
    state->patch_max = b->patch_max;
    state->lost = b->lost;
}

struct problem *search_look(struct db *db, struct arena *a, const struct search_index *index,
                            struct index_state *ret)
{
    *ret = (struct index_state){.is_live = false};
    return db_each(db, a, &sql_builds, DB_ARGS(db_integer(index->counter->number)), look_at, ret);
}

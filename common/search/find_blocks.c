#include "common/search/find_blocks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/db/budget.h"
#include "common/field/field.h"
#include "common/search/find.h"
#include "common/search/postings_query.h"

#define HIGHEST (POSTINGS_LEVELS - 1)
#define RANGES_FIRST 4 /* read at once; the first of all comes with the lower levels */
#define RANGES_MAX 16
#define MATCHED_AT_ONCE 1024
#define TERMS_FEW 4 /* statements are for so many, or for all that there can be */
#define BLOCKS_OF_RANGE (SEARCH_RANGE / SEARCH_BLOCK)
#define TIMES_SIZE (2 * sizeof(int64_t)) /* of a block, in search_ranges.blocks */
#define MEMORY_MAX ((size_t)64 * 1024 * 1024)

struct range {
    uint32_t base;
    int64_t lowest, highest; /* ranks */
};

/* Ordinals that may match: of a block, or of a range that has few. */
struct block {
    int64_t lowest;
    size_t at, count; /* in `ordinals` */
};

/* Of a blob, what a term has in it. */
struct kept_list {
    size_t group, at; /* `at`: in `bytes` */
    struct posting_list list;
};

struct lists {
    struct buf list; /* struct kept_list */
    struct buf bytes;
};

struct blocks {
    struct finding of;
    int64_t build, next_ord;
    struct buf ranges;  /* struct range, those with the lowest ranks first */
    size_t next_range;  /* not matched yet */
    size_t range_ahead; /* so many from there on are in `high` */
    size_t step;        /* how many are read next */
    struct lists low, high;
    struct postings_query *query;
    struct buf found;    /* uint32_t: ordinals of one range */
    struct buf list;     /* struct block, in the same order */
    size_t next_block;   /* not taken yet */
    struct buf ordinals; /* uint32_t */
    unsigned char times[BLOCKS_OF_RANGE * TIMES_SIZE];
    size_t times_len;
    bool passed_empty;
    int64_t unreadable;
};

static void release_buf(void *b)
{
    buf_release(b);
}

static void open_buf(struct arena *a, struct buf *b)
{
    buf_init(b, MEMORY_MAX);
    arena_defer(a, release_buf, b);
}

static size_t count_of(const struct buf *b, size_t size)
{
    return b->len / size;
}

static struct range *range_at(const struct blocks *b, size_t i)
{
    return &((struct range *)(void *)b->ranges.data)[i];
}

static struct block *block_at(const struct blocks *b, size_t i)
{
    return &((struct block *)(void *)b->list.data)[i];
}

static bool has_range(const struct blocks *b)
{
    return b->next_range < count_of(&b->ranges, sizeof(struct range));
}

static bool has_block(const struct blocks *b)
{
    return b->next_block < count_of(&b->list, sizeof(struct block));
}

static bool is_wanted(const struct blocks *b, int64_t lowest, int64_t highest)
{
    return lowest <= highest && lowest <= b->of.highest && highest >= b->of.lowest;
}

/* ---- the index, and its ranges ---- */

struct range_row {
    int64_t build, next_ord, base;
    struct instant first_at, last_at;
};

static const struct field range_fields[] = {
    FIELD(struct range_row, build, .doc = "The number of the index."),
    FIELD(struct range_row, next_ord, .doc = "The ordinal that the next row gets."),
    FIELD(struct range_row, base, .doc = "The first ordinal."),
    FIELD(struct range_row, first_at, .doc = "When its first row was made."),
    FIELD(struct range_row, last_at, .doc = "When its last one was."),
};
static const struct record range_record =
    RECORD("Range", struct range_row, range_fields, .rule = NULL);

static const struct sql sql_ranges = {
    "SELECT search_builds.build, next_ord, COALESCE(base, -1) AS base, first_at, last_at "
    "FROM search_builds "
    "LEFT JOIN search_ranges ON search_ranges.build = search_builds.build "
    "WHERE list = ? AND state = 'live'",
    &range_record};

static void forget_ranges(void *context)
{
    struct blocks *b = context;
    b->build = 0;
    buf_reset(&b->ranges);
}

static void add_range(void *context, const void *row)
{
    struct blocks *b = context;
    const struct range_row *r = row;
    int64_t first = rank_of(&b->of, r->first_at.us), last = rank_of(&b->of, r->last_at.us);
    struct range range = {.base = (uint32_t)r->base};
    range.lowest = b->of.oldest_first ? first : last;
    range.highest = b->of.oldest_first ? last : first;
    b->build = r->build;
    b->next_ord = r->next_ord;
    if (r->base >= 0 && r->base % SEARCH_RANGE == 0 && is_wanted(b, range.lowest, range.highest))
        buf_add(&b->ranges, &range, sizeof range);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->lowest != y->lowest)
        return x->lowest < y->lowest ? -1 : 1;
    return (x->base > y->base) - (x->base < y->base);
}

static struct problem *read_ranges(struct blocks *b)
{
    struct problem *p =
        budget_each(b->of.db, b->of.arena, &sql_ranges,
                    DB_ARGS(db_integer(b->of.index->counter->number)), forget_ranges, add_range, b);
    if (!p && !b->build)
        return problem_because(
            b->of.arena, &problem_unavailable,
            "the search index of %s is not there yet; `postern migrate` makes it",
            b->of.index->counter->table);
    if (!p && b->ranges.len)
        qsort(b->ranges.data, count_of(&b->ranges, sizeof(struct range)), sizeof(struct range),
              compare_ranges);
    return p;
}

/* ---- postings ---- */

struct postings_row {
    int64_t lvl, bucket, base;
    struct text postings;
};

static const struct field postings_fields[] = {
    FIELD(struct postings_row, lvl, .doc = "The level."),
    FIELD(struct postings_row, bucket, .doc = "The bucket."),
    FIELD(struct postings_row, base, .doc = "The first ordinal."),
    FIELD(struct postings_row, postings, .doc = "The blob."),
};
static const struct record postings_record =
    RECORD("Postings", struct postings_row, postings_fields, .rule = NULL);

/* Both begin again: a statement that reads the lower levels reads a range, too. */
static void forget_lists(struct lists *lists)
{
    buf_reset(&lists->list);
    buf_reset(&lists->bytes);
}

static void forget_all(void *context)
{
    struct blocks *b = context;
    b->unreadable = 0;
    forget_lists(&b->low);
    forget_lists(&b->high);
}

static void forget_high(void *context)
{
    forget_lists(&((struct blocks *)context)->high);
}

static size_t size_of(const struct posting_list *list)
{
    return posting_list_is_bitmap(list)
               ? postings_bitmap_size(list->level)
               : (size_t)list->count * postings_levels[list->level].offset_size;
}

static void keep_list(struct lists *lists, size_t group, struct posting_list list)
{
    struct kept_list kept = {group, lists->bytes.len, list};
    if (!list.count)
        return;
    buf_add(&lists->bytes, list.at, size_of(&list));
    buf_add(&lists->list, &kept, sizeof kept);
}

static void keep_lists(struct blocks *b, struct postings *blob)
{
    struct lists *lists = blob->key.level == HIGHEST ? &b->high : &b->low;
    for (size_t i = 0; i < b->of.term_count; i++) {
        if (postings_bucket(blob->key.level, b->of.terms[i]) != blob->key.bucket)
            continue;
        keep_list(lists, i, postings_find(blob, b->of.terms[i]));
        keep_list(lists, i, blob->wild);
    }
}

static void add_blob(void *context, const void *row)
{
    struct blocks *b = context;
    const struct postings_row *r = row;
    struct postings blob;
    const struct postings_key key = {(unsigned)r->lvl, (uint32_t)r->bucket, (uint32_t)r->base};
    if (postings_open(&blob, key, r->postings))
        b->unreadable++;
    else
        keep_lists(b, &blob);
}

/* ---- statements, of few forms: what is listed is repeated until the list is as long as one of
 * these ---- */

struct arguments {
    struct db_arg *list;
    size_t count;
};

static void add_arg(struct arguments *args, int64_t n)
{
    args->list[args->count++] = db_integer(n);
}

static size_t buckets_of(const struct blocks *b)
{
    return b->of.term_count <= TERMS_FEW ? TERMS_FEW : FIND_GROUPS_MAX;
}

static void add_buckets(const struct blocks *b, struct arguments *args, unsigned level)
{
    size_t last = b->of.term_count - 1;
    add_arg(args, b->build);
    for (size_t i = 0; i < buckets_of(b); i++)
        add_arg(args, postings_bucket(level, b->of.terms[i < last ? i : last]));
}

#define SELECT_POSTINGS(level_)                                                                    \
    "SELECT lvl, bucket, base, postings FROM search_postings WHERE build = ? AND lvl = " level_    \
    " AND bucket IN (%s)"

/* One statement, so that a merge in between is seen in both levels or in none. */
static struct problem *read_low(struct blocks *b)
{
    struct arena *a = b->of.arena;
    const char *in = search_marks(a, buckets_of(b));
    struct arguments args = {
        arena_array(a, POSTINGS_LEVELS * (buckets_of(b) + 1) + 1, sizeof *args.list), 0};
    for (unsigned level = 0; level < POSTINGS_LEVELS; level++)
        add_buckets(b, &args, level);
    add_arg(&args, range_at(b, 0)->base);
    const struct sql sql = {
        arena_printf(
            a,
            SELECT_POSTINGS("0") " UNION ALL " SELECT_POSTINGS("1") " UNION ALL " SELECT_POSTINGS(
                "2") " UNION ALL " SELECT_POSTINGS("3") " AND base = ?",
            in, in, in, in),
        &postings_record};
    return budget_each(b->of.db, a, &sql, (struct db_args){args.list, args.count}, forget_all,
                       add_blob, b);
}

static struct problem *read_high(struct blocks *b)
{
    struct arena *a = b->of.arena;
    size_t left = count_of(&b->ranges, sizeof(struct range)) - b->next_range, size = b->step;
    struct arguments args = {arena_array(a, 1 + FIND_GROUPS_MAX + RANGES_MAX, sizeof *args.list),
                             0};
    b->range_ahead = left < size ? left : size;
    b->step = RANGES_MAX;
    forget_high(b);
    add_buckets(b, &args, HIGHEST);
    for (size_t i = 0; i < size; i++)
        add_arg(&args,
                range_at(b, b->next_range + (i < b->range_ahead ? i : b->range_ahead - 1))->base);
    const struct sql sql = {arena_printf(a, SELECT_POSTINGS("3") " AND base IN (%s)",
                                         search_marks(a, buckets_of(b)), search_marks(a, size)),
                            &postings_record};
    return budget_each(b->of.db, a, &sql, (struct db_args){args.list, args.count}, forget_high,
                       add_blob, b);
}

/* ---- the ordinals of a range ---- */

static void feed(struct blocks *b, const struct lists *lists, uint32_t base)
{
    size_t count = count_of(&lists->list, sizeof(struct kept_list));
    const struct kept_list *kept = (const void *)lists->list.data;
    for (size_t i = 0; i < count; i++) {
        struct posting_list list = kept[i].list;
        if (list.level != POSTINGS_PATCH && list.base / SEARCH_RANGE != base / SEARCH_RANGE)
            continue;
        list.at = (const unsigned char *)lists->bytes.data + kept[i].at;
        postings_query_list(b->query, kept[i].group, list);
    }
}

static void match_range(struct blocks *b, uint32_t base)
{
    const enum postings_order order = b->of.oldest_first ? POSTINGS_OLDEST : POSTINGS_NEWEST;
    uint32_t from = base, to = base + (SEARCH_RANGE - 1), some[MATCHED_AT_ONCE];
    size_t n;
    buf_reset(&b->found);
    postings_query_range(b->query, HIGHEST, base);
    feed(b, &b->high, base); /* first: a list of the range itself can be read where it lies */
    feed(b, &b->low, base);
    do {
        n = postings_query_match(b->query, order, from, to, some, MATCHED_AT_ONCE);
        buf_add(&b->found, some, n * sizeof *some);
        if (n && order == POSTINGS_NEWEST)
            to = some[n - 1] - 1;
        else if (n)
            from = some[n - 1] + 1;
    } while (n == MATCHED_AT_ONCE && from <= to && to - base < SEARCH_RANGE);
}

static void add_block(struct blocks *b, int64_t lowest, const uint32_t *ordinals, size_t count)
{
    const struct block block = {lowest, count_of(&b->ordinals, sizeof *ordinals), count};
    buf_add(&b->ordinals, ordinals, count * sizeof *ordinals);
    buf_add(&b->list, &block, sizeof block);
}

static int64_t time_at(const unsigned char *at)
{
    uint64_t us;
    memcpy(&us, at, sizeof us);
    return (int64_t)le64toh(us);
}

/* A block that was empty when its times were read holds nothing but what was in the journal when
 * that was read, or has got other ordinals since. */
static void add_one_block(struct blocks *b, const uint32_t *ordinals, size_t count)
{
    size_t at = *ordinals % SEARCH_RANGE / SEARCH_BLOCK * TIMES_SIZE;
    bool is_there = at + TIMES_SIZE <= b->times_len;
    int64_t first = is_there ? time_at(b->times + at) : INT64_MAX,
            last = is_there ? time_at(b->times + at + sizeof first) : INT64_MIN;
    if (first > last) {
        b->passed_empty = true;
        return;
    }
    int64_t lowest = rank_of(&b->of, b->of.oldest_first ? first : last);
    if (is_wanted(b, lowest, rank_of(&b->of, b->of.oldest_first ? last : first)))
        add_block(b, lowest, ordinals, count);
}

static void cut_into_blocks(struct blocks *b, const uint32_t *found, size_t count)
{
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count; to++)
            if (found[to] / SEARCH_BLOCK != found[from] / SEARCH_BLOCK)
                break;
        add_one_block(b, found + from, to - from);
    }
}

struct times_row {
    struct text blocks;
};

static const struct field times_fields[] = {
    FIELD(struct times_row, blocks, .doc = "Of each block, when its rows were made."),
};
static const struct record times_record =
    RECORD("Times", struct times_row, times_fields, .rule = NULL);

static const struct sql sql_times = {
    "SELECT blocks FROM search_ranges WHERE build = ? AND base = ?", &times_record};

static struct problem *read_times(struct blocks *b, uint32_t base)
{
    struct times_row row = {{NULL, 0}};
    bool found;
    struct problem *p = budget_find(b->of.db, b->of.arena, &sql_times,
                                    DB_ARGS(db_integer(b->build), db_integer(base)), &row, &found);
    if (p)
        return p;
    b->times_len = row.blocks.len < sizeof b->times ? row.blocks.len : sizeof b->times;
    if (b->times_len)
        memcpy(b->times, row.blocks.data, b->times_len);
    return NULL;
}

static int compare_blocks(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    if (x->lowest != y->lowest)
        return x->lowest < y->lowest ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void sort_blocks(struct blocks *b)
{
    if (has_block(b))
        qsort(block_at(b, b->next_block), count_of(&b->list, sizeof(struct block)) - b->next_block,
              sizeof(struct block), compare_blocks);
}

static void begin_blocks(struct blocks *b)
{
    if (has_block(b))
        return;
    b->next_block = 0;
    buf_reset(&b->list);
    buf_reset(&b->ordinals);
}

static struct problem *take_range(struct blocks *b)
{
    struct problem *p = b->range_ahead ? NULL : read_high(b);
    if (p)
        return p;
    const struct range *range = range_at(b, b->next_range);
    match_range(b, range->base);
    const uint32_t *found = (const void *)b->found.data;
    size_t count = count_of(&b->found, sizeof *found);
    if (count > FIND_BLOCK_MAX)
        p = read_times(b, range->base);
    if (p)
        return p;
    begin_blocks(b);
    if (count > FIND_BLOCK_MAX)
        cut_into_blocks(b, found, count);
    else if (count)
        add_block(b, range->lowest, found, count);
    b->next_range++;
    b->range_ahead--;
    sort_blocks(b);
    return NULL;
}

/* ---- the whole ---- */

static void open_lists(struct arena *a, struct lists *lists)
{
    open_buf(a, &lists->list);
    open_buf(a, &lists->bytes);
}

struct problem *blocks_open(const struct finding *of, struct blocks **ret)
{
    struct arena *a = of->arena;
    struct blocks *b = *ret = arena_alloc(a, sizeof *b);
    b->of = *of;
    b->step = RANGES_FIRST;
    open_buf(a, &b->ranges);
    open_buf(a, &b->list);
    open_buf(a, &b->found);
    open_buf(a, &b->ordinals);
    open_lists(a, &b->low);
    open_lists(a, &b->high);
    struct problem *p = read_ranges(b);
    if (p || !has_range(b))
        return p;
    b->query = postings_query_open(a, of->term_count);
    b->range_ahead = 1;
    return read_low(b);
}

int64_t blocks_build(const struct blocks *b)
{
    return b->build;
}

int64_t blocks_end(const struct blocks *b)
{
    return b->next_ord;
}

bool blocks_passed_empty(struct blocks *b)
{
    bool passed = b->passed_empty;
    b->passed_empty = false;
    return passed;
}

int64_t blocks_unreadable(const struct blocks *b)
{
    return b->unreadable;
}

bool blocks_bound(const struct blocks *b, int64_t *ret)
{
    if (has_block(b))
        *ret = block_at(b, b->next_block)->lowest;
    if (has_range(b) && (!has_block(b) || range_at(b, b->next_range)->lowest < *ret))
        *ret = range_at(b, b->next_range)->lowest;
    return has_block(b) || has_range(b);
}

static bool is_full(const struct blocks *b)
{
    return b->ranges.full || b->list.full || b->ordinals.full || b->low.list.full ||
           b->low.bytes.full || b->high.list.full || b->high.bytes.full;
}

/* Is there a block whose rows may all come before those of the ranges that are left? */
static bool block_is_next(const struct blocks *b)
{
    return has_block(b) && (!has_range(b) || block_at(b, b->next_block)->lowest <
                                                 range_at(b, b->next_range)->lowest);
}

struct problem *blocks_take(struct blocks *b, size_t want, uint32_t ret[FIND_BLOCK_MAX],
                            size_t *ret_count)
{
    size_t count = 0;
    while (count < want && (has_block(b) || has_range(b))) {
        if (!block_is_next(b)) {
            struct problem *p = take_range(b);
            if (!p && is_full(b))
                p = problem_because(b->of.arena, &problem_unavailable,
                                    "a search found too many rows of the same time");
            if (p)
                return p;
            continue;
        }
        const struct block *block = block_at(b, b->next_block);
        if (block->count > FIND_BLOCK_MAX - count)
            break;
        memcpy(ret + count, (const uint32_t *)(const void *)b->ordinals.data + block->at,
               block->count * sizeof *ret);
        count += block->count;
        b->next_block++;
    }
    *ret_count = count;
    return NULL;
}

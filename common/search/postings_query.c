#include "common/search/postings_query.h"

#include <assert.h>
#include <string.h>

#define BITMAP_MAX (65536 / 8) /* bytes */

/* One group: a list of the range's own segment, read where it lies, or a bitmap that several were
 * united into. */
struct set {
    const unsigned char *at; /* offsets, or a bitmap */
    uint32_t count;          /* of ordinals, or more; 0: the set is empty */
    bool is_bitmap;
    unsigned char *united; /* a bitmap of our own, or NULL until one is needed */
    uint32_t passed;       /* how many offsets, from the first in order, are below what is asked */
};

/*
 * While matching, an ordinal of the range is known by its *place*: how many come before it in the
 * order that is asked for. So places always rise, and one code serves both orders: with the oldest
 * first a place is an offset, with the newest first the offset with all bits flipped.
 */
struct postings_query {
    struct arena *arena;
    unsigned level;
    uint32_t base;
    uint32_t flip; /* 0, or 2^width - 1 */
    size_t count;
    struct set **rarest_first;
    struct set sets[];
};

/* What a match has found so far. */
struct found {
    uint32_t *ret; /* or NULL */
    size_t count, room;
};

struct postings_query *postings_query_open(struct arena *a, size_t groups)
{
    struct postings_query *q = arena_alloc(a, sizeof *q + groups * sizeof *q->sets);
    q->arena = a;
    q->count = groups;
    q->rarest_first = arena_array(a, groups, sizeof(struct set *));
    for (size_t i = 0; i < groups; i++)
        q->rarest_first[i] = &q->sets[i];
    return q;
}

void postings_query_range(struct postings_query *q, unsigned level, uint32_t base)
{
    assert(level != POSTINGS_PATCH && postings_key_is_good((struct postings_key){level, 0, base}));
    q->level = level;
    q->base = base;
    for (size_t i = 0; i < q->count; i++)
        q->sets[i].count = 0;
}

static uint32_t last_offset(const struct postings_query *q)
{
    return (1u << postings_levels[q->level].width) - 1;
}

static void unite_bitmaps(unsigned char *bitmap, const unsigned char *more, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = htole64(postings_word(bitmap + i) | postings_word(more + i));
        memcpy(bitmap + i, &word, sizeof word);
    }
}

/* Is it a list of the very range that is asked for? */
static bool is_own(const struct postings_query *q, const struct posting_list *list)
{
    return list->level == q->level && list->base == q->base;
}

static void unite(const struct postings_query *q, struct set *s, const struct posting_list *list)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    size_t n;
    if (is_own(q, list) && posting_list_is_bitmap(list)) {
        unite_bitmaps(s->united, list->at, postings_bitmap_size(q->level));
        return;
    }
    while ((n = posting_list_read(list, &at, chunk)) > 0)
        for (size_t i = 0; i < n; i++) {
            uint32_t offset = chunk[i] - q->base;
            if (offset <= last_offset(q))
                s->united[offset / 8] |= (unsigned char)(1u << offset % 8);
        }
}

/* Make the set a bitmap of our own, of what it has. */
static void own_bitmap(struct postings_query *q, struct set *s)
{
    if (s->count && s->at == s->united)
        return;
    if (!s->united)
        s->united = arena_alloc(q->arena, BITMAP_MAX);
    memset(s->united, 0, postings_bitmap_size(q->level));
    if (s->count)
        unite(q, s, &(struct posting_list){s->at, s->count, q->base, q->level});
    s->at = s->united;
    s->is_bitmap = true;
}

/* How many offsets of a patch's list are below `ordinal`. */
static uint32_t count_below(const struct posting_list *list, uint64_t ordinal)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (postings_offset(list->at + (size_t)4 * middle, POSTINGS_PATCH) < ordinal)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What a patch's list has in the range. */
static struct posting_list in_range(const struct postings_query *q, struct posting_list list)
{
    uint32_t first = count_below(&list, q->base);
    uint32_t end = count_below(&list, (uint64_t)q->base + last_offset(q) + 1);
    if (first) /* else there may be nothing */
        list.at += (size_t)4 * first;
    list.count = end - first;
    return list;
}

void postings_query_list(struct postings_query *q, size_t group, struct posting_list list)
{
    assert(group < q->count);
    struct set *s = &q->sets[group];
    if (list.level == POSTINGS_PATCH)
        list = in_range(q, list);
    if (list.count == 0)
        return;
    if (s->count == 0 && is_own(q, &list)) {
        s->at = list.at;
        s->count = list.count;
        s->is_bitmap = posting_list_is_bitmap(&list);
        return;
    }
    own_bitmap(q, s);
    unite(q, s, &list);
    s->count += list.count; /* some may be there twice: this is the most */
}

void postings_query_any(struct postings_query *q, size_t group, struct postings *blob,
                        uint32_t term)
{
    postings_query_list(q, group, postings_find(blob, term));
    postings_query_list(q, group, blob->wild);
}

static void sort_by_count(struct postings_query *q)
{
    for (size_t i = 1; i < q->count; i++) {
        struct set *s = q->rarest_first[i];
        size_t j = i;
        for (; j > 0 && q->rarest_first[j - 1]->count > s->count; j--)
            q->rarest_first[j] = q->rarest_first[j - 1];
        q->rarest_first[j] = s;
    }
}

/* The place of the offset that has `i` before it in order. */
static uint32_t place_at(const struct postings_query *q, const struct set *s, uint32_t i)
{
    uint32_t index = q->flip ? s->count - 1 - i : i;
    return postings_offset(s->at + (size_t)index * postings_levels[q->level].offset_size,
                           q->level) ^
           q->flip;
}

/* Pass the offsets whose place is below `place`: in steps that double, then by halves. */
static void pass(const struct postings_query *q, struct set *s, uint32_t place)
{
    uint32_t low = s->passed, step = 1;
    while (low + step <= s->count && place_at(q, s, low + step - 1) < place) {
        low += step;
        step *= 2;
    }
    uint32_t high = low + step - 1 < s->count ? low + step - 1 : s->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (place_at(q, s, middle) < place)
            low = middle + 1;
        else
            high = middle;
    }
    s->passed = low;
}

static bool has(const struct postings_query *q, struct set *s, uint32_t place)
{
    if (s->is_bitmap) {
        uint32_t offset = place ^ q->flip;
        return s->at[offset / 8] >> offset % 8 & 1;
    }
    pass(q, s, place);
    return s->passed < s->count && place_at(q, s, s->passed) == place;
}

static void note(const struct postings_query *q, struct found *f, uint32_t place)
{
    if (f->ret)
        f->ret[f->count] = q->base + (place ^ q->flip);
    f->count++;
}

/* Go through the offsets of one set and look for each in the others. */
static void match_offsets(struct postings_query *q, struct set *rare, uint32_t place, uint32_t last,
                          struct found *f)
{
    for (pass(q, rare, place); rare->passed < rare->count && f->count < f->room; rare->passed++) {
        size_t i = 0;
        place = place_at(q, rare, rare->passed);
        if (place > last)
            return;
        while (i < q->count && (q->rarest_first[i] == rare || has(q, q->rarest_first[i], place)))
            i++;
        if (i == q->count)
            note(q, f, place);
    }
}

/* The places from `word` * 64 on that are in all sets, all of which are bitmaps: the first place is
 * the lowest bit, or, with the newest first, the highest. */
static uint64_t common_word(const struct postings_query *q, uint32_t word)
{
    uint64_t common = UINT64_MAX;
    size_t at = (size_t)(word ^ q->flip / 64) * sizeof common;
    for (size_t i = 0; i < q->count && common; i++)
        common &= postings_word(q->rarest_first[i]->at + at);
    return common;
}

/* Drop the places of a word before `first`, which is one of its 64. */
static uint64_t from_place(const struct postings_query *q, uint64_t common, uint32_t first)
{
    return common & (q->flip ? UINT64_MAX >> first : UINT64_MAX << first);
}

static uint64_t to_place(const struct postings_query *q, uint64_t common, uint32_t last)
{
    return common & (q->flip ? UINT64_MAX << (63 - last) : UINT64_MAX >> (63 - last));
}

static void match_word(const struct postings_query *q, uint32_t word, uint64_t common,
                       struct found *f)
{
    if (!f->ret) {
        size_t more = postings_bits(common);
        f->count = more < f->room - f->count ? f->count + more : f->room;
        return;
    }
    while (common && f->count < f->room) {
        unsigned bit = (unsigned)(q->flip ? __builtin_clzll(common) : __builtin_ctzll(common));
        note(q, f, word * 64 + bit);
        common &= ~(q->flip ? (uint64_t)1 << (63 - bit) : (uint64_t)1 << bit);
    }
}

static void match_bitmaps(const struct postings_query *q, uint32_t place, uint32_t last,
                          struct found *f)
{
    for (uint32_t word = place / 64; word <= last / 64 && f->count < f->room; word++) {
        uint64_t common = common_word(q, word);
        if (word == place / 64)
            common = from_place(q, common, place % 64);
        if (word == last / 64)
            common = to_place(q, common, last % 64);
        match_word(q, word, common, f);
    }
}

/* The rarest of those that are not bitmaps; NULL where all are. */
static struct set *rarest_offsets(const struct postings_query *q)
{
    for (size_t i = 0; i < q->count; i++)
        if (!q->rarest_first[i]->is_bitmap)
            return q->rarest_first[i];
    return NULL;
}

size_t postings_query_match(struct postings_query *q, enum postings_order order, uint32_t from,
                            uint32_t to, uint32_t *ret, size_t room)
{
    struct found f = {.ret = ret, .room = room};
    uint32_t end = q->base + last_offset(q);
    uint32_t first = (from > q->base ? from : q->base) - q->base;
    uint32_t last = (to < end ? to : end) - q->base;
    sort_by_count(q);
    if (from > to || from > end || to < q->base || (q->count && !q->rarest_first[0]->count))
        return 0;
    q->flip = order == POSTINGS_NEWEST ? last_offset(q) : 0;
    for (size_t i = 0; i < q->count; i++)
        q->sets[i].passed = 0;
    if (q->flip) {
        uint32_t swap = first ^ q->flip;
        first = last ^ q->flip;
        last = swap;
    }
    struct set *rare = rarest_offsets(q);
    if (rare)
        match_offsets(q, rare, first, last, &f);
    else
        match_bitmaps(q, first, last, &f);
    return f.count;
}

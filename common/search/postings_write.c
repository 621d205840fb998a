#include "common/search/postings_write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WILD_MAX ((size_t)4 * 1024 * 1024) /* bytes */
#define OFFSETS_MANY (POSTINGS_MAX / 4)    /* numbers; no patch has room for more in a list */

/* Where terms come from, in rising order: blobs, or what was noted. */
struct source {
    struct postings *in;
    size_t count;
    const uint64_t *first, *next, *end; /* pairs that were noted */
    const uint32_t *wild;
    size_t wild_count;
};

void postings_writer_init(struct postings_writer *w, size_t max)
{
    *w = (struct postings_writer){.sorted = true};
    buf_init(&w->pairs, max * sizeof(uint64_t));
    buf_init(&w->wild, WILD_MAX);
    buf_init(&w->offsets, (size_t)2 * OFFSETS_MANY * sizeof(uint32_t));
    buf_init(&w->blob, POSTINGS_MAX);
}

void postings_writer_release(struct postings_writer *w)
{
    buf_release(&w->pairs);
    buf_release(&w->wild);
    buf_release(&w->offsets);
    buf_release(&w->blob);
}

void postings_writer_reset(struct postings_writer *w)
{
    buf_reset(&w->pairs);
    buf_reset(&w->wild);
    w->sorted = true;
}

static uint64_t pair_of(uint32_t term, uint32_t ordinal)
{
    return (uint64_t)term << 32 | ordinal;
}

void postings_add(struct postings_writer *w, uint32_t ordinal, const uint32_t *terms, size_t count)
{
    w->sorted = false;
    if (count > (w->pairs.max - w->pairs.len) / sizeof(uint64_t)) {
        buf_add(&w->wild, &ordinal, sizeof ordinal);
        assert(!w->wild.full);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t pair = pair_of(terms[i], ordinal);
        buf_add(&w->pairs, &pair, sizeof pair);
    }
}

static int order_pairs(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int order_offsets(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Go to the first term that is not below `term`. */
static void source_seek(struct source *s, uint32_t term)
{
    for (size_t i = 0; i < s->count; i++)
        postings_seek(&s->in[i], term);
    const uint64_t *low = s->first, *high = s->end;
    while (low < high) {
        const uint64_t *middle = low + (high - low) / 2;
        if (*middle < pair_of(term, 0))
            low = middle + 1;
        else
            high = middle;
    }
    s->next = low;
}

/* The term that comes next; false after the last. */
static bool source_term(const struct source *s, uint32_t *ret)
{
    uint64_t lowest = s->next < s->end ? *s->next >> 32 : UINT64_MAX;
    for (size_t i = 0; i < s->count; i++)
        if (s->in[i].on_entry && s->in[i].term < lowest)
            lowest = s->in[i].term;
    *ret = (uint32_t)lowest;
    return lowest != UINT64_MAX;
}

static uint32_t offset_count(const struct postings_writer *w)
{
    return (uint32_t)(w->offsets.len / sizeof(uint32_t));
}

static uint32_t *offsets_of(const struct postings_writer *w)
{
    return (uint32_t *)(void *)w->offsets.data;
}

/* Sort the offsets and drop what is there twice. */
static void settle(struct postings_writer *w)
{
    uint32_t *offset = offsets_of(w), n = offset_count(w), kept = n ? 1 : 0, i = 1;
    while (i < n && offset[i - 1] < offset[i])
        i++;
    if (i >= n)
        return;
    qsort(offset, n, sizeof *offset, order_offsets);
    for (i = 1; i < n; i++)
        if (offset[i] != offset[kept - 1])
            offset[kept++] = offset[i];
    w->offsets.len = kept * sizeof *offset;
}

/* Add the ordinals that are in the segment to the list. */
static void take(struct postings_writer *w, uint32_t *ordinals, size_t n)
{
    unsigned width = postings_levels[w->key.level].width;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t offset = ordinals[i] - w->key.base;
        ordinals[kept] = offset;
        kept += (uint64_t)offset >> width == 0;
    }
    if (offset_count(w) > OFFSETS_MANY) {
        settle(w);
        w->offsets.full |= offset_count(w) > OFFSETS_MANY;
    }
    buf_add(&w->offsets, ordinals, kept * sizeof *ordinals);
}

static void take_list(struct postings_writer *w, const struct posting_list *list)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    size_t n;
    while ((n = posting_list_read(list, &at, chunk)) > 0)
        take(w, chunk, n);
}

/* Take the ordinals of the term that comes next, and go past it. */
static void take_term(struct postings_writer *w, struct source *s, uint32_t term)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->in[i].on_entry && s->in[i].term == term) {
            take_list(w, &s->in[i].list);
            postings_step(&s->in[i]);
        }
    for (; s->next < s->end && *s->next >> 32 == term; s->next++) {
        uint32_t ordinal = (uint32_t)*s->next;
        take(w, &ordinal, 1);
    }
}

static bool buckets_meet(struct postings_key a, struct postings_key b)
{
    unsigned a_bits = postings_levels[a.level].bits, b_bits = postings_levels[b.level].bits;
    if (a_bits > b_bits)
        return a.bucket >> (a_bits - b_bits) == b.bucket;
    return b.bucket >> (b_bits - a_bits) == a.bucket;
}

static void take_wild(struct postings_writer *w, const struct source *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (buckets_meet(s->in[i].key, w->key))
            take_list(w, &s->in[i].wild);
    for (size_t i = 0; i < s->wild_count; i++) {
        uint32_t ordinal = s->wild[i];
        take(w, &ordinal, 1);
    }
}

static void put_number(struct postings_writer *w, uint32_t number)
{
    unsigned char bytes[5];
    size_t n = 0;
    for (; number >= 0x80; number >>= 7)
        bytes[n++] = (unsigned char)(number | 0x80);
    bytes[n++] = (unsigned char)number;
    buf_add(&w->blob, bytes, n);
}

static void put_bitmap(struct postings_writer *w)
{
    unsigned char bitmap[65536 / 8] = {0};
    const uint32_t *offset = offsets_of(w);
    for (uint32_t i = 0, n = offset_count(w); i < n; i++)
        bitmap[offset[i] / 8] |= (unsigned char)(1u << offset[i] % 8);
    buf_add(&w->blob, bitmap, postings_bitmap_size(w->key.level));
}

static void put_offsets(struct postings_writer *w)
{
    unsigned char chunk[POSTINGS_CHUNK * sizeof(uint32_t)];
    size_t size = postings_levels[w->key.level].offset_size, len = 0;
    const uint32_t *offset = offsets_of(w);
    for (uint32_t i = 0, n = offset_count(w); i < n; i++) {
        uint32_t little = htole32(offset[i]);
        memcpy(chunk + len, &little, size);
        len += size;
        if (len > sizeof chunk - sizeof little || i + 1 == n) {
            buf_add(&w->blob, chunk, len);
            len = 0;
        }
    }
}

static void put_list(struct postings_writer *w)
{
    const struct posting_list list = {.count = offset_count(w), .level = w->key.level};
    if (posting_list_is_bitmap(&list))
        put_bitmap(w);
    else
        put_offsets(w);
}

static void put_entry(struct postings_writer *w, uint32_t term)
{
    settle(w);
    if (offset_count(w) == 0)
        return;
    put_number(w, term - w->least);
    put_number(w, offset_count(w) - 1);
    put_list(w);
    w->least = term + 1;
}

/* What comes before the entries. */
static void put_head(struct postings_writer *w)
{
    const unsigned char head[] = {POSTINGS_VERSION, (unsigned char)w->key.level};
    settle(w);
    buf_add(&w->blob, head, sizeof head);
    put_number(w, offset_count(w));
    put_list(w);
    w->least = 0;
}

/* The blob with an entry for each term, or, when these are too many, with all ordinals wild. */
static bool pack(struct postings_writer *w, struct source *s, bool all_wild)
{
    unsigned bits = postings_levels[w->key.level].bits;
    uint32_t first = w->key.bucket << (32 - bits), last = first | UINT32_MAX >> bits, term;
    buf_reset(&w->blob);
    buf_reset(&w->offsets);
    take_wild(w, s);
    if (!all_wild)
        put_head(w);
    source_seek(s, first);
    while (source_term(s, &term) && term <= last && !w->offsets.full && !w->blob.full) {
        if (!all_wild)
            buf_reset(&w->offsets);
        take_term(w, s, term);
        if (!all_wild)
            put_entry(w, term);
    }
    if (all_wild)
        put_head(w);
    return !w->offsets.full && !w->blob.full;
}

static bool make(struct postings_writer *w, struct source *s, struct postings_key key,
                 struct text *ret)
{
    static const size_t empty = 3; /* bytes that say that there is nothing */
    *ret = (struct text){NULL, 0};
    assert(postings_key_is_good(key));
    w->key = key;
    if (!pack(w, s, false) && !pack(w, s, true))
        return false;
    if (w->blob.len > empty)
        *ret = (struct text){w->blob.data, w->blob.len};
    return true;
}

bool postings_write(struct postings_writer *w, struct postings_key key, struct text *ret)
{
    uint64_t *pairs = (uint64_t *)(void *)w->pairs.data;
    size_t count = w->pairs.len / sizeof *pairs;
    if (!w->sorted && count)
        qsort(pairs, count, sizeof *pairs, order_pairs);
    w->sorted = true;
    struct source s = {.first = pairs, .end = count ? pairs + count : pairs};
    s.wild = (const uint32_t *)(void *)w->wild.data;
    s.wild_count = w->wild.len / sizeof *s.wild;
    return make(w, &s, key, ret);
}

bool postings_merge(struct postings_writer *w, struct postings *in, size_t count,
                    struct postings_key key, struct text *ret)
{
    struct source s = {.in = in, .count = count};
    return make(w, &s, key, ret);
}

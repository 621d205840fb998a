#include "common/search/postings.h"

#define PAST_ALL ((uint64_t)UINT32_MAX + 1)

const struct postings_level postings_levels[POSTINGS_LEVELS] = {
    {.width = 32, .bits = 5, .offset_size = 4},
    {.width = 8, .bits = 5, .offset_size = 1},
    {.width = 12, .bits = 8, .offset_size = 2},
    {.width = 16, .bits = 12, .offset_size = 2},
};

uint32_t postings_bucket(unsigned level, uint32_t term)
{
    return term >> (32 - postings_levels[level].bits);
}

static uint64_t size_of_segment(unsigned level)
{
    return (uint64_t)1 << postings_levels[level].width;
}

static bool is_bitmap(unsigned level, uint32_t count)
{
    size_t size = postings_bitmap_size(level);
    return size && (size_t)count * postings_levels[level].offset_size >= size;
}

bool posting_list_is_bitmap(const struct posting_list *list)
{
    return is_bitmap(list->level, list->count);
}

/* POSTINGS_CHUNK bits of a bitmap, from the offset `at` on. */
static size_t read_bits(const struct posting_list *list, uint32_t at, uint32_t *ret)
{
    size_t n = 0;
    for (uint32_t offset = at; offset < at + POSTINGS_CHUNK; offset += 64) {
        uint64_t word = postings_word(list->at + offset / 8);
        for (; word; word &= word - 1)
            ret[n++] = list->base + offset + (uint32_t)__builtin_ctzll(word);
    }
    return n;
}

static size_t read_offsets(const struct posting_list *list, uint32_t at, uint32_t *ret)
{
    size_t size = postings_levels[list->level].offset_size;
    size_t n = list->count - at < POSTINGS_CHUNK ? list->count - at : POSTINGS_CHUNK;
    const unsigned char *offset = list->at + at * size;
    for (size_t i = 0; i < n; i++, offset += size)
        ret[i] = list->base + postings_offset(offset, list->level);
    return n;
}

size_t posting_list_read(const struct posting_list *list, uint32_t *at,
                         uint32_t ret[POSTINGS_CHUNK])
{
    bool bitmap = posting_list_is_bitmap(list);
    uint64_t end = bitmap ? size_of_segment(list->level) : list->count;
    size_t n = 0;
    while (n == 0 && *at < end) {
        n = bitmap ? read_bits(list, *at, ret) : read_offsets(list, *at, ret);
        *at += POSTINGS_CHUNK;
    }
    return n;
}

/* Read a number of at most 32 bits and go past it; false when it is cut, too large, or spelled with
 * a group too many. */
static bool read_number(struct postings *p, uint32_t *ret)
{
    if (p->next < p->end && *p->next < 0x80) { /* the most common */
        *ret = *p->next++;
        return true;
    }
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 35 && p->next < p->end; shift += 7) {
        unsigned char byte = *p->next++;
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret = (uint32_t)number;
            return number <= UINT32_MAX && (byte || shift == 0);
        }
    }
    return false;
}

static const char *read_list(struct postings *p, uint64_t count, struct posting_list *ret)
{
    unsigned level = p->key.level;
    if (count > size_of_segment(level))
        return "a list has more ordinals than its segment";
    *ret = (struct posting_list){p->next, (uint32_t)count, p->key.base, level};
    size_t len = is_bitmap(level, ret->count) ? postings_bitmap_size(level)
                                              : (size_t)count * postings_levels[level].offset_size;
    if (len > (size_t)(p->end - p->next))
        return "a list is cut";
    p->next += len;
    return NULL;
}

/* Read the next entry, if there is one. */
static const char *read_entry(struct postings *p)
{
    uint32_t gap, less;
    uint64_t least = p->next == p->first ? 0 : (uint64_t)p->term + 1;
    p->on_entry = false;
    if (p->next == p->end)
        return NULL;
    if (!read_number(p, &gap) || !read_number(p, &less))
        return "a number is cut or has a spelling that is not ours";
    if (least + gap >= PAST_ALL ||
        postings_bucket(p->key.level, (uint32_t)(least + gap)) != p->key.bucket)
        return "a term is of another bucket";
    p->term = (uint32_t)(least + gap);
    p->on_entry = true;
    return read_list(p, (uint64_t)less + 1, &p->list);
}

static const char *check_bitmap(const struct posting_list *list)
{
    uint32_t count = 0;
    for (size_t i = 0; i < postings_bitmap_size(list->level); i += 8)
        count += postings_bits(postings_word(list->at + i));
    return count == list->count ? NULL : "a bitmap has more or fewer bits than its count says";
}

static const char *check_list(const struct posting_list *list)
{
    if (posting_list_is_bitmap(list))
        return check_bitmap(list);
    const unsigned char *at = list->at;
    bool rise = true;
    uint64_t least = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t offset = postings_offset(at, list->level);
        at += postings_levels[list->level].offset_size;
        rise &= offset >= least;
        least = (uint64_t)offset + 1;
    }
    return rise && least <= size_of_segment(list->level) ? NULL : "offsets do not rise";
}

bool postings_key_is_good(struct postings_key key)
{
    return key.level < POSTINGS_LEVELS && key.bucket >> postings_levels[key.level].bits == 0 &&
           (key.base & (size_of_segment(key.level) - 1)) == 0;
}

static const char *check_head(struct postings *p, struct text blob)
{
    unsigned level = p->key.level;
    uint32_t count;
    if (!postings_key_is_good(p->key))
        return "there is no such segment";
    if (blob.len < 3 || blob.len > POSTINGS_MAX)
        return "it is too short or too long";
    if (p->next[0] != POSTINGS_VERSION)
        return "it is of another version";
    if (p->next[1] != level)
        return "it is of another level";
    p->next += 2;
    if (!read_number(p, &count))
        return "a number is cut or has a spelling that is not ours";
    return read_list(p, count, &p->wild);
}

const char *postings_open(struct postings *ret, struct postings_key key, struct text blob)
{
    const unsigned char *data = (const unsigned char *)blob.data;
    struct postings p = {.key = key, .next = data, .end = data ? data + blob.len : NULL};
    const char *why = check_head(&p, blob);
    if (!why)
        why = check_list(&p.wild);
    if (why)
        return why;
    p.first = p.next;
    do {
        why = read_entry(&p);
        if (!why && p.on_entry)
            why = check_list(&p.list);
    } while (!why && p.on_entry);
    p.next = p.first;
    *ret = p;
    return why;
}

void postings_step(struct postings *p)
{
    (void)read_entry(p); /* postings_open() found nothing wrong */
}

void postings_seek(struct postings *p, uint32_t term)
{
    bool below = p->next != p->first && p->term < term;
    if (!below && !(p->on_entry && p->term == term)) {
        p->next = p->first;
        postings_step(p);
    }
    while (p->on_entry && p->term < term)
        postings_step(p);
}

struct posting_list postings_find(struct postings *p, uint32_t term)
{
    postings_seek(p, term);
    if (p->on_entry && p->term == term)
        return p->list;
    return (struct posting_list){.base = p->key.base, .level = p->key.level};
}

bool posting_list_has(const struct posting_list *list, uint32_t ordinal)
{
    uint32_t offset = ordinal - list->base, low = 0, high = list->count;
    if (ordinal < list->base || (uint64_t)offset >> postings_levels[list->level].width)
        return false;
    if (posting_list_is_bitmap(list))
        return list->at[offset / 8] >> offset % 8 & 1;
    size_t size = postings_levels[list->level].offset_size;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (postings_offset(list->at + middle * size, list->level) < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && postings_offset(list->at + low * size, list->level) == offset;
}

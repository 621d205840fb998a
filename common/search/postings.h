/* postings.h -- which rows have which terms, packed into blobs: the format of a search index, and
 * the reader of one blob. postings_write.h makes blobs, postings_query.h asks several at once.
 *
 * Rows have ordinals, numbers of 32 bits that rise in the order in which rows are listed. A term is
 * a number of 32 bits as well, the hash of a string (term_of(), terms.h): a word, a part of one, or
 * a value that is filtered by. Hashes of two strings may be equal, and rows may have changed since,
 * so what an index finds is tested again by who asks; it may hold too much and never too little.
 *
 * A segment is the index of the 2^width ordinals from its base on, which is a multiple of that; it
 * is cut into 2^bits buckets, by the first bits of the term. A blob is one bucket of one segment.
 * There are three sizes of segments, called levels, so that sixteen of one merge into one of the
 * next, and patches:
 *
 *     level            ordinals   width   bits   an offset takes
 *     0   a patch           all      32      5           4 bytes
 *     1                     256       8      5           1
 *     2                   4,096      12      8           2
 *     3                  65,536      16     12           2
 *
 * A patch has terms that rows got after their segment was written; its base is 0. Level, bucket and
 * base are the key of the row that a blob is stored in, and not in the blob, but for the level:
 *
 *     +---------+-------+------------+------------+------------+-- ... --+
 *     | version | level | wild       | entry      | entry      |         |     to the end of the
 * blob
 *     +---------+-------+------------+------------+------------+-- ... --+
 *        1 byte   1 byte
 *
 *     wild      +-------+------+
 *               | count | list |                 count from 0 on, and no list with 0
 *               +-------+------+
 *
 *     entry     +-----+-----------+------+
 *               | gap | count - 1 | list |       of one term
 *               +-----+-----------+------+
 *
 *     list      +--------+--------+-- ... --+        +----------------------+
 *               | offset | offset |         |   or   | bitmap               |
 *               +--------+--------+-- ... --+        +----------------------+
 *
 * `version` is 1. `count` is how many ordinals are in the list. `gap` is the term minus the one of
 * the entry before, minus 1; in the first entry it is the term itself. Terms rise, then, and each
 * is of the bucket. These three numbers are written in groups of seven bits, the lowest group
 * first, one group in a byte, whose highest bit is set when another follows; in as few bytes as
 * will do (unsigned LEB128). An offset is the ordinal minus the base, little endian; offsets rise.
 * In levels 1 to 3 a list whose offsets would take 2^width / 8 bytes or more is a bitmap of that
 * many bytes instead: offset o is in the list when bit o % 8 of byte o / 8 is set, bit 0 being the
 * lowest.
 *
 * Each ordinal of `wild` may have any term of the bucket. That keeps a blob within POSTINGS_MAX
 * whatever is in the rows: entries that would make it longer are left out, and all their ordinals
 * are wild.
 *
 * So there is one spelling for each content, and anything else is refused.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/compiler.h"
#include "common/base/text.h"

#define POSTINGS_VERSION 1
#define POSTINGS_LEVELS 4
#define POSTINGS_PATCH 0             /* the level of patches */
#define POSTINGS_MAX (1024u * 1024u) /* bytes of a blob */
#define POSTINGS_CHUNK 256           /* ordinals that are read at once */

struct postings_level {
    unsigned width, bits; /* 2^width ordinals in a segment, 2^bits buckets */
    unsigned offset_size; /* bytes */
};

extern const struct postings_level postings_levels[POSTINGS_LEVELS];

/* Which bucket of which segment. */
struct postings_key {
    unsigned level;
    uint32_t bucket, base;
};

/* The ordinals of one term in one blob; borrowed from the blob. */
struct posting_list {
    const unsigned char *at; /* offsets, or a bitmap: posting_list_is_bitmap() */
    uint32_t count;
    uint32_t base;
    unsigned level;
};

/* A blob that was found to be whole. On the caller's storage; borrows the bytes. */
struct postings {
    struct postings_key key;
    struct posting_list wild;
    /* Of postings_step(): the entry that it stands on, if it does. */
    bool on_entry;
    uint32_t term;
    struct posting_list list;
    const unsigned char *first, *next, *end;
};

/** The bucket that the term is in, at this level. */
uint32_t postings_bucket(unsigned level, uint32_t term);

/** Is there such a bucket of such a segment? */
bool postings_key_is_good(struct postings_key key);

/**
 * Read a blob that was stored under `key`. All of it is looked at: bytes of another key or another
 * version, cut or changed ones are refused, unless they happen to be the spelling of something
 * else. Takes time by `blob.len` only. NULL when it is whole, else why it is not, `ret` undefined.
 */
const char *postings_open(struct postings *ret, struct postings_key key, struct text blob) MUST_USE;

/** The ordinals of `term`, without those of `p->wild`; `count` is 0 when there are none. Cheapest
 *  for terms that rise from call to call. */
struct posting_list postings_find(struct postings *p, uint32_t term);

/** Stand on the first entry whose term is `term` or a higher one; `on_entry` tells if there is one.
 */
void postings_seek(struct postings *p, uint32_t term);

/** Go to the next entry, from one. */
void postings_step(struct postings *p);

bool posting_list_is_bitmap(const struct posting_list *list);

/** Is this ordinal in the list? */
bool posting_list_has(const struct posting_list *list, uint32_t ordinal);

/**
 * The next ordinals of a list, rising; `*at` is 0 before the first call and the reader's own.
 *
 * Returns how many there are in `ret`, 0 after the last.
 */
size_t posting_list_read(const struct posting_list *list, uint32_t *at,
                         uint32_t ret[POSTINGS_CHUNK]);

/** The bytes that a bitmap of this level has; 0 for patches, which have none. */
static inline size_t postings_bitmap_size(unsigned level)
{
    return level == POSTINGS_PATCH ? 0 : (size_t)1 << (postings_levels[level].width - 3);
}

/** The offset at `at`, of a list of this level. */
static inline uint32_t postings_offset(const unsigned char *at, unsigned level)
{
    uint32_t low = at[0];
    if (level == 1)
        return low;
    low |= (uint32_t)at[1] << 8;
    return level != POSTINGS_PATCH ? low : low | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/** Eight bytes of a bitmap: the lowest bit is the lowest offset. */
static inline uint64_t postings_word(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return le64toh(word);
}

/** How many bits of the word are set. */
static inline uint32_t postings_bits(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0F;
    return (uint32_t)(word * 0x0101010101010101 >> 56);
}

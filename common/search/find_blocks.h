/* find_blocks.h -- inside search: which ordinals have all of some terms, in blocks of which it is
 * known when the rows were made. For find.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/search/index.h"

struct arena;
struct db;
struct problem;

#define FIND_GROUPS_MAX 20 /* terms */
#define FIND_BLOCK_MAX 256 /* ordinals of a block */

/* What is looked for. A *rank* is a time as a number that rises in the order that is asked for:
 * microseconds since 1970, or, with the newest first, those below zero. */
struct finding {
    struct db *db;
    struct arena *arena;
    const struct search_index *index;
    uint32_t terms[FIND_GROUPS_MAX]; /* ascending */
    size_t term_count;
    bool oldest_first;
    int64_t lowest, highest; /* ranks of rows that are wanted */
};

struct blocks;

static inline int64_t rank_of(const struct finding *of, int64_t us)
{
    return of->oldest_first ? us : -us;
}

/** Find the index that is read, and its latest postings. problem_unavailable when there is none. */
struct problem *blocks_open(const struct finding *of, struct blocks **ret) MUST_USE;

/** The number of the index, for search_rows. */
int64_t blocks_build(const struct blocks *b);

/** The first ordinal that no row had when the postings were read. */
int64_t blocks_end(const struct blocks *b);

/** The lowest rank that a row may have which is not taken yet. False: all are taken. */
bool blocks_bound(const struct blocks *b, int64_t *ret);

/** Take the next blocks, those first whose rows may have the lowest ranks, until there are `want`
 *  ordinals, if they fit. None only when all are taken. */
struct problem *blocks_take(struct blocks *b, size_t want, uint32_t ret[FIND_BLOCK_MAX],
                            size_t *ret_count) MUST_USE;

/** Was a block passed over as it has no rows, since this was asked? What it had may have got new
 *  ordinals after the postings were read. */
bool blocks_passed_empty(struct blocks *b);

/** How many blobs were passed over because they were not whole. */
int64_t blocks_unreadable(const struct blocks *b);

/* build.h -- make a search index from the whole table, beside the one that is read.
 *
 * The builder gives ordinals to rows in the order of created_at and id, some thousand in one short
 * transaction, and notes how far it has come; only then does it read their texts, and writes their
 * postings when it has those of a large segment. What is written meanwhile is swept: a row before
 * that place gets a new ordinal, which the builder comes to later; one after it will be met. So
 * nobody waits, and nothing is missed. At the end, what is left is taken in the transaction that
 * makes the build the one that is read.
 *
 * Where it was killed it goes on: ordinals that have no postings yet are read again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/db.h"
#include "common/search/index.h"

/* How far it has come, for who watches. */
struct build_progress {
    void (*tell)(void *context, const struct search_index *index, int64_t rows);
    void *context;
};

/**
 * Build `index` and let it be read in place of the former one, whose rows go when search_tend() is
 * called a minute later. Goes on with a build that was interrupted, unless rows were imported since
 * that it would miss. `progress` may be NULL. Not in a transaction.
 *
 * problem_unavailable when another process is building it, too, and has come further.
 */
struct problem *search_build(struct db *db, struct arena *a, const struct search_index *index,
                             const struct build_progress *progress) MUST_USE;

/* What there is of an index. */
struct index_state {
    bool is_live, is_making; /* one is read; one is being made, or was interrupted */
    bool is_ours;            /* the live one has our format and Unicode */
    int64_t patch_max, lost; /* of the live one: see struct build */
};

/** Look at the builds of an index. */
struct problem *search_look(struct db *db, struct arena *a, const struct search_index *index,
                            struct index_state *ret) MUST_USE;

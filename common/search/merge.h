/* merge.h -- keep a search index short to read: segments become larger ones, patches go into the
 * segments, and what nobody reads any more goes. */
#pragma once

#include <stdbool.h>

#include "common/search/index.h"
#include "common/search/store.h"

/** Do some of it for `indexes`, NULL at the end, for some 20 ms, in short transactions; not in one.
 *  `*ret_more` tells that there is more. A build that was replaced goes a minute later, for
 *  somebody may still be reading it. */
struct problem *search_tend(struct db *db, struct arena *a,
                            const struct search_index *const *indexes, bool *ret_more) MUST_USE;

/** Merge so many buckets of a build that is locked, in its transaction, where as many ordinals as a
 *  larger segment has are there; `*ret_more` tells that there was something to do. */
struct problem *merge_some(struct db *db, struct arena *a, struct build *build, unsigned buckets,
                           bool *ret_more) MUST_USE;

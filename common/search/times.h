/* times.h -- when the rows of a search index were made, of each range and of each of its blocks
 * (search_ranges): so a search knows which ordinals it wants, and in which order. In a transaction
 * that has the build locked, as all of store.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/search/store.h"

/** Note when these rows were made. Ordinals rise. */
struct problem *times_note(struct db *db, struct arena *a, struct build *build,
                           const struct ordinals *ordinals) MUST_USE;

/** Note that no row has an ordinal of these blocks any more, and none ever will. They are given by
 *  their first ordinals, which rise. */
struct problem *times_forget(struct db *db, struct arena *a, struct build *build,
                             const uint32_t *blocks, size_t count) MUST_USE;

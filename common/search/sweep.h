/* sweep.h -- take what was written into the search indexes, as the journal of counter.h tells it.
 */
#pragma once

#include "common/db/counter_sweep.h"
#include "common/search/index.h"

/**
 * The hook of counter_sweep() by which `indexes`, NULL at the end, follow their tables.
 *
 * Rows that are new get the next ordinals. Of a row that was changed the terms that it has now are
 * noted, for its ordinal; where they are many, or much is noted already, it gets another ordinal
 * instead. An index that nobody has built is left alone: it will be built from the table.
 */
struct sweep_hook search_hook(const struct search_index *const *indexes);

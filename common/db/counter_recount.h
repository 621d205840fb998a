/* counter_recount.h -- compare the totals of counter.h with the rows, after an import. */
#pragma once

#include "common/db/counter.h"

/**
 * Correct the totals of some owners, in the order of their ids after `*after`, which becomes the
 * last one's; nil when that were the last, and then the total of all rows is correct, too. To be
 * called with nil first, and until it is nil again. Not in a transaction.
 *
 * Rows and totals are compared by one statement each time, and so as of one moment; the difference
 * is left in the journal like any other write. So nobody who writes waits, and what is written
 * meanwhile counts. What differed because somebody counted wrong, and not because of an import,
 * is corrected as well. Counting all rows takes its time: see db_pin().
 */
struct problem *counter_recount(struct db *db, struct arena *a, const struct counter *counter,
                                struct uuid *after) MUST_USE;

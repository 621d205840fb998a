/* turn.h -- rows that are written for their own sake, so that two who must not pass each other
 * meet.
 *
 * A lock is seen on its own server only. The nodes of a Galera cluster compare what transactions
 * write: of two on two nodes that wrote the same row, the later one has not been, and
 * db_transaction() runs it again. One that has read what the other wrote, locked or not, and wrote
 * something else is no conflict to them. So what must not happen twice, or by halves, writes one of
 * these rows as well as it locks what it reads.
 *
 * On a single server a turn is one more lock until the transaction ends: take it after all others.
 */
#pragma once

#include "common/db/db.h"

#define TURNS_MAX 255 /* and those from 0 on; a program numbers its own from 1 */
#define TURN_SWEEP 0  /* of counter_sweep.h and counter_recount.h, and of who begins an index */

/** Take the turn of this number, in a transaction. */
struct problem *turn_take(struct db *db, struct arena *a, unsigned number) MUST_USE;

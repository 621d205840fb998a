/* idempotency.h -- Idempotency-Key: the answer of a write, stored with the write and replayed when
 * the same request comes again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/instant.h"
#include "common/base/uuid.h"

struct arena;
struct db;
struct problem;
struct response;

#define IDEMPOTENCY_TTL_S (24 * 60 * 60)
#define IDEMPOTENCY_KEY_MIN 8 /* characters, from ! to ~ */
#define IDEMPOTENCY_KEY_MAX 128

/* One request that has a key. */
struct idempotency {
    unsigned char id[32];              /* of caller, operation and key */
    struct uuid caller;                /* kept too, so that what is stored can go with them */
    unsigned char (*fingerprints)[32]; /* of path ids and body: one for each key of the server */
    size_t fingerprint_count;          /* the first is stored */
};

/**
 * Claim the key for this transaction, or find what it was answered with before.
 *
 * `*ret_replayed` is set, and `rs` filled, when the same request was done within the last 24
 * hours (48 at most, where the clock was set back meanwhile). A concurrent request with the key is
 * waited for. IDEMPOTENCY_MISMATCH when the body is another, IDEMPOTENCY_BUSY when that request
 * takes longer than a lock may. Inside a transaction, before its write.
 */
struct problem *idempotency_begin(struct db *db, struct arena *a, const struct idempotency *key,
                                  struct instant now, struct response *rs,
                                  bool *ret_replayed) MUST_USE;

/** Store the finished success in `rs` under the key. Before the transaction ends. */
struct problem *idempotency_finish(struct db *db, struct arena *a, const struct idempotency *key,
                                   const struct response *rs) MUST_USE;

/** Give the claim up, where the transaction is committed and its answer must not be stored. */
struct problem *idempotency_delete(struct db *db, struct arena *a,
                                   const struct idempotency *key) MUST_USE;

/** Delete up to `limit` answers that a caller got; fewer only where no more were left. */
struct problem *idempotency_forget_caller(struct db *db, struct arena *a, struct uuid caller,
                                          int64_t limit, uint64_t *ret_deleted) MUST_USE;

/** Delete what was answered about one (response.subject), to whomever. */
struct problem *idempotency_forget_subject(struct db *db, struct arena *a,
                                           struct uuid subject) MUST_USE;

/** Delete a few keys that have expired. */
struct problem *idempotency_purge(struct db *db, struct arena *a, struct instant now) MUST_USE;

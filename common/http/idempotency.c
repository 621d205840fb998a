#include "common/http/idempotency.h"

#include <string.h>

#include "common/base/problem.h"
#include "common/db/db.h"
#include "common/field/field.h"
#include "common/http/http_problems.h"
#include "common/http/request.h"
#include "common/http/response.h"

struct stored {
    struct text fingerprint;
    int64_t status;
    struct text headers;
    struct text body;
    struct instant expires_at;
};

static const struct field stored_fields[] = {
    FIELD(struct stored, fingerprint, .doc = "An HMAC of the path's ids and the body."),
    FIELD(struct stored, status, .doc = "What was answered; 0 while it is not."),
    FIELD(struct stored, headers, .doc = "Whole lines."),
    FIELD(struct stored, body, .doc = "As it went out."),
    FIELD(struct stored, expires_at, .doc = "When the key may be used again."),
};

static const struct record stored_record =
    RECORD("StoredReply", struct stored, stored_fields, .rule = NULL);

/* A key that has expired counts as none. */
static const struct sql sql_forget = {
    "DELETE FROM idempotency_keys WHERE id = ? AND expires_at <= ?", NULL};
static const struct sql sql_claim = {
    "INSERT IGNORE INTO idempotency_keys (id, fingerprint, expires_at, caller_id) "
    "VALUES (?, ?, ?, ?)",
    NULL};
static const struct sql sql_find = {
    "SELECT fingerprint, status, headers, body, expires_at FROM idempotency_keys WHERE id = ? "
    "FOR UPDATE",
    &stored_record};
static const struct sql sql_store = {
    "UPDATE idempotency_keys SET status = ?, headers = ?, body = ?, subject_id = ? WHERE id = ?",
    NULL};
static const struct sql sql_drop = {"DELETE FROM idempotency_keys WHERE id = ?", NULL};
static const struct sql sql_forget_caller = {
    "DELETE FROM idempotency_keys WHERE caller_id = ? LIMIT ?", NULL};
static const struct sql sql_forget_subject = {"DELETE FROM idempotency_keys WHERE subject_id = ?",
                                              NULL};
static const struct sql sql_purge = {
    "DELETE FROM idempotency_keys WHERE expires_at <= ? ORDER BY expires_at LIMIT 20", NULL};

static bool same_body(const struct idempotency *key, struct text fingerprint)
{
    for (size_t i = 0; i < key->fingerprint_count; i++)
        if (fingerprint.len == 32 && memcmp(fingerprint.data, key->fingerprints[i], 32) == 0)
            return true;
    return false;
}

static void replay(const struct stored *stored, struct response *rs)
{
    response_reset(rs);
    rs->status = (int)stored->status;
    buf_add(&rs->headers, stored->headers.data, stored->headers.len);
    buf_add(&rs->body, stored->body.data, stored->body.len);
}

static struct db_arg id_of(const struct idempotency *key)
{
    return db_bytes(key->id, sizeof key->id);
}

/* Does it expire so late that the clock must have been wrong? Where a clock was set back, keys live
 * longer by as much, because one that is forgotten too early would let its request run twice; but
 * not for ever. */
static bool is_far_ahead(const struct stored *stored, struct instant now)
{
    return stored->expires_at.us > instant_plus_s(now, 2 * IDEMPOTENCY_TTL_S).us;
}

static struct problem *read_earlier(struct db *db, struct arena *a, const struct idempotency *key,
                                    struct instant now, struct response *rs, bool *ret_expired)
{
    struct stored stored = {0};
    bool found;
    struct problem *p = db_find(db, a, &sql_find, DB_ARGS(id_of(key)), &stored, &found);
    if (p)
        return p;
    if (!found || !stored.status) /* its owner gave it up between our two statements */
        return problem(a, &problem_idempotency_busy, NULL);
    *ret_expired = is_far_ahead(&stored, now);
    if (*ret_expired)
        return idempotency_delete(db, a, key);
    if (!same_body(key, stored.fingerprint))
        return problem(a, &problem_idempotency_mismatch, NULL);
    replay(&stored, rs);
    response_header(rs, "Idempotency-Replayed", "true");
    rs->replayed = true;
    return NULL;
}

/* The unique key makes concurrent requests wait for the first one's commit; db.c's
 * lock_wait_timeout says how long. A wait that was too long is not tried again: the client asks
 * later. */
static struct problem *or_busy(struct arena *a, struct problem *p)
{
    return db_is_lock_timeout(p) ? problem(a, &problem_idempotency_busy, NULL) : p;
}

static struct problem *claim_key(struct db *db, struct arena *a, const struct idempotency *key,
                                 struct instant now, uint64_t *ret_claimed)
{
    return db_execute(db, a, &sql_claim,
                      DB_ARGS(id_of(key), db_bytes(key->fingerprints[0], 32),
                              db_time(instant_plus_s(now, IDEMPOTENCY_TTL_S)),
                              db_uuid(key->caller)),
                      ret_claimed);
}

struct problem *idempotency_begin(struct db *db, struct arena *a, const struct idempotency *key,
                                  struct instant now, struct response *rs, bool *ret_replayed)
{
    uint64_t claimed = 0;
    bool expired = false;
    struct problem *p = db_execute(db, a, &sql_forget, DB_ARGS(id_of(key), db_time(now)), NULL);
    if (!p)
        p = claim_key(db, a, key, now, &claimed);
    if (!p && !claimed)
        p = read_earlier(db, a, key, now, rs, &expired);
    if (!p && expired)
        p = claim_key(db, a, key, now, &claimed);
    if (!p)
        *ret_replayed = !claimed;
    return or_busy(a, p);
}

struct problem *idempotency_finish(struct db *db, struct arena *a, const struct idempotency *key,
                                   const struct response *rs)
{
    const struct text headers = {rs->headers.data ? rs->headers.data : "", rs->headers.len};
    const struct text body = {rs->body.data ? rs->body.data : "", rs->body.len};
    const struct db_arg subject =
        uuid_is_nil(&rs->subject) ? db_text((struct text){0}) : db_uuid(rs->subject);
    return db_execute(
        db, a, &sql_store,
        DB_ARGS(db_integer(rs->status), db_text(headers), db_text(body), subject, id_of(key)),
        NULL);
}

struct problem *idempotency_delete(struct db *db, struct arena *a, const struct idempotency *key)
{
    return db_execute(db, a, &sql_drop, DB_ARGS(id_of(key)), NULL);
}

struct problem *idempotency_forget_caller(struct db *db, struct arena *a, struct uuid caller,
                                          int64_t limit, uint64_t *ret_deleted)
{
    return db_execute(db, a, &sql_forget_caller, DB_ARGS(db_uuid(caller), db_integer(limit)),
                      ret_deleted);
}

struct problem *idempotency_forget_subject(struct db *db, struct arena *a, struct uuid subject)
{
    return db_execute(db, a, &sql_forget_subject, DB_ARGS(db_uuid(subject)), NULL);
}

struct problem *idempotency_purge(struct db *db, struct arena *a, struct instant now)
{
    return db_execute(db, a, &sql_purge, DB_ARGS(db_time(now)), NULL);
}

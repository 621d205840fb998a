/* outbox.h -- messages that wait to be sent: a row each, written in the transaction of its cause.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/instant.h"
#include "common/base/text.h"
#include "common/base/uuid.h"
#include "fcgi-app/mail/letters.h"

struct app;
struct arena;
struct db;
struct problem;

/* ---- for whom has something to tell ---- */

#define NOTICE_TTL_S (24 * 60 * 60) /* of a message without a token */

struct letter {
    struct uuid id; /* of the row; its token is made from it (secret.h) */
    enum letter_kind kind;
    struct text to;
    struct text other;         /* another address that the text names; may be null */
    struct instant expires_at; /* of its token; for a notice NOTICE_TTL_S from now */
    struct instant at;         /* when its cause happened; zero: now */
};

/**
 * Add a message, by one INSERT; in the transaction of its cause, so that there is never one without
 * the other. Every kind takes the same time, LETTER_NOBODY too.
 *
 * problem_internal for a kind with a token where the app has no keys. Whether mail is set up at all
 * is for the caller to ask: without MAIL_COMMAND nobody sends it.
 */
struct problem *outbox_add(struct app *app, struct arena *a, const struct letter *letter) MUST_USE;

/** Tell the sender that there is something to send. A worker does so by itself when a request that
 *  has added something is answered. */
void outbox_wake(struct app *app);

/* ---- for the sender ---- */

enum outbox_state { OUTBOX_WAITING, OUTBOX_FAILED, OUTBOX_GIVEN_UP, OUTBOX_NOBODY };

struct outbox_row {
    struct uuid id;
    struct text kind; /* a name of letters.h, or one that a newer program knows */
    struct text address, other;
    struct text kid; /* of the key that its token is made with */
    struct instant created_at, expires_at;
    unsigned state;        /* enum outbox_state */
    struct instant due_at; /* when it may be taken next, or, where it is not sent, is deleted */
    struct uuid claim;     /* of who is sending it; nil: nobody */
    int64_t attempts;
    struct text last_end; /* of the last attempt, in words: "exit 75" */
};

/* A claim ends after so long, and then whoever finds it sends the message. */
#define OUTBOX_CLAIM_S 120
/* A message that was not sent is there for so long after its last attempt. */
#define OUTBOX_KEPT_S (7 * 24 * 60 * 60)
/* No attempt is further ahead; see outbox_tidy(). */
#define OUTBOX_PAUSE_MAX_S (60 * 60)

/** Take the message that is due for longest; no other sender gets it until `claim_s` from now.
 *  `ret` has the claim, and counts this attempt. `*ret_found` is false when none is due. */
struct problem *outbox_claim(struct db *db, struct arena *a, struct instant now, int64_t claim_s,
                             struct outbox_row *ret, bool *ret_found) MUST_USE;

/** It was taken by the mail command: delete it. Nothing happens when the claim is not ours any more
 *  (the same for the next). */
struct problem *outbox_done(struct db *db, struct arena *a, const struct outbox_row *row) MUST_USE;

/** It was not: store its new state, `due_at` and `last_end`, and end the claim. */
struct problem *outbox_put_back(struct db *db, struct arena *a,
                                const struct outbox_row *row) MUST_USE;

/** When the next message is due. `*ret_found` is false when none waits. */
struct problem *outbox_next(struct db *db, struct arena *a, struct instant *ret,
                            bool *ret_found) MUST_USE;

/**
 * Delete some of the rows that are there for nobody and of the messages that were not sent long
 * ago; and make those due that wait for longer than any pause, because the clock was set back.
 * `*ret_more` when there is more of it.
 */
struct problem *outbox_tidy(struct db *db, struct arena *a, struct instant now,
                            bool *ret_more) MUST_USE;

#define OUTBOX_COUNT_MAX 1000

struct outbox_counts {
    int64_t waiting, failed, given_up; /* each at most OUTBOX_COUNT_MAX */
    struct instant oldest;             /* of those that wait; zero without any */
};

struct problem *outbox_count(struct db *db, struct arena *a, struct outbox_counts *ret) MUST_USE;

/* ---- for commands ---- */

/** Call `each` for up to `limit` messages in order of their ids, from the one after `after`. The
 *  row is borrowed for the call. */
struct problem *outbox_walk(struct db *db, struct arena *a, struct uuid after, int64_t limit,
                            void (*each)(void *context, const void *row), void *context) MUST_USE;

/** Have one message tried again at `now`, as if for the first time. `*ret_found` is false when
 *  there is none of this id, its token has expired, or it is being sent. */
struct problem *outbox_retry(struct db *db, struct arena *a, const struct uuid *id,
                             struct instant now, bool *ret_found) MUST_USE;

/** The same for all of which that can be said, a part at a time: 0 when there are no more. */
struct problem *outbox_retry_some(struct db *db, struct arena *a, struct instant now,
                                  uint64_t *ret_count) MUST_USE;

/* sender.h -- send what waits in the outbox: claim, make the message, run the mail command, note
 * how it ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/instant.h"
#include "common/process/mail.h"
#include "fcgi-app/mail/texts.h"

struct app;
struct arena;
struct outbox_row;
struct problem;

/* After each attempt that failed a message pauses for longer: 1, 2, 4 … 60 minutes. A day after its
 * cause, and when its token expires, it is given up; but every message is tried once while its
 * token is good. */
#define SENDER_GIVES_UP_S (24 * 60 * 60)

/* A process that sends. */
struct sender {
    struct app *app;         /* of its own, with a connection of its own */
    struct mail_texts texts; /* what messages say */
    int wake;                /* readable when there is something new (eventfd(2)); -1: nothing is */
    /* The rest is as sender_init() leaves it, but for tests. */
    struct instant (*now)(void);
    int64_t claim_s;
    unsigned limit_ms; /* of the mail command */
    unsigned look_ms;  /* after so long the outbox is looked at, whether woken or not */
};

/** Take the texts from the settings of `app`, whose database it uses. problem_internal with the
 *  reason in `cause`. */
struct problem *sender_init(struct sender *s, struct arena *a, struct app *app, int wake) MUST_USE;

/** Let SIGTERM and SIGINT end what follows when the message in hand is finished. */
void sender_watch_signals(void);

/**
 * Send what is due, and then what becomes due, until SIGTERM or SIGINT: the message in hand is
 * finished first.
 *
 * What fails is logged, without addresses and without anything of the token, also where the command
 * has said it. While the database is away it waits for it; that a message was taken is noted before
 * anything else is done. Numbers for /api/metrics are in what the workers share.
 */
void sender_serve(struct sender *s);

/** Send what is due, and return when nothing is, or with the first problem of the database. Before
 *  each message `before(context)` is called, unless it is NULL. */
struct problem *sender_send_due(struct sender *s, struct arena *a, void (*before)(void *context),
                                void *context) MUST_USE;

/** Make and send one message just now, without a row. */
struct problem *sender_try(struct sender *s, struct arena *a, const struct outbox_row *row,
                           struct mail_end *ret) MUST_USE;

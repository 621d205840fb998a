/* mail.h -- hand a message to a sendmail-compatible program. */
#pragma once

#include "common/base/text.h"

struct arena;

/* What the end of the command says about the message. */
enum mail_verdict {
    MAIL_SENT,    /* exit 0 */
    MAIL_AGAIN,   /* it was not taken now, and may be later */
    MAIL_REFUSED, /* the same message would never be taken */
};

struct mail_end {
    enum mail_verdict verdict;
    const char *how;  /* in words, in ASCII: "exit 75", "signal 9", "no end after 30 s" */
    struct text said; /* the beginning of its standard error, MAIL_SAID_MAX bytes at most. It may
                         have said anything, what is secret in the message too. */
};

#define MAIL_LIMIT_MS 30000
#define MAIL_SAID_MAX 500

/**
 * Run `command` (words separated by spaces, the first a path; no shell looks at them) with
 * `message` on its standard input, and wait for its end, `limit_ms` at most: then it is killed with
 * its process group. It inherits nothing else of ours (child.h), and runs in a session of its own.
 *
 * Of sysexits.h three statuses are MAIL_REFUSED, for with the same message they come again:
 * EX_USAGE (64, the command is called wrongly), EX_DATAERR (65, the message is) and EX_NOUSER (67,
 * there is no such mailbox). All others are MAIL_AGAIN: EX_TEMPFAIL (75) asks for it;
 * EX_UNAVAILABLE, EX_CONFIG, EX_NOPERM and the like are fixed by an operator; EX_NOHOST is what
 * some say while no name server answers. So is a signal, and a command that cannot be started.
 *
 * The message is whole, headers and all, and at most 64 KiB; a longer one is MAIL_REFUSED.
 * The texts live as long as `a`.
 */
void mail_deliver(struct arena *a, const char *command, const char *message, unsigned limit_ms,
                  struct mail_end *ret);

/* message.h -- a row of the outbox as a message (RFC 5322), when it is sent. */
#pragma once

#include "common/base/compiler.h"
#include "common/base/instant.h"
#include "common/base/text.h"
#include "common/base/uuid.h"
#include "fcgi-app/mail/letters.h"

struct arena;
struct mail_texts;
struct problem;
struct settings;

struct message {
    struct uuid id; /* of the row: two copies of a message have the same Message-ID */
    enum letter_kind kind;
    struct text to, other;
    const char *token; /* NULL: it has none */
    struct instant created_at, expires_at;
};

/**
 * Headers and body; lines end in a newline alone, as sendmail(1) wants them. Lives as long as `a`.
 *
 * problem_internal for an address that could be read as another one, or as more than one, or as a
 * header: one with blanks, control characters, letters beyond ASCII, or of `"(),:;<>[\]`.
 */
struct problem *message_write(struct arena *a, const struct settings *settings,
                              const struct mail_texts *texts, const struct message *message,
                              const char **ret) MUST_USE;

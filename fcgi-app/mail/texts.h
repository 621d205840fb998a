/* texts.h -- what messages say: built-in texts, and a file that replaces some of them. */
#pragma once

#include "common/base/compiler.h"
#include "common/base/text.h"
#include "fcgi-app/mail/letters.h"

struct arena;
struct problem;

/* Both have variables in them. */
struct mail_text {
    struct text subject; /* one line */
    struct text body;    /* ends with a newline */
};

struct mail_texts {
    struct mail_text of[LETTER_KINDS]; /* of LETTER_NOBODY both are null */
};

/* The variables, by their names in the texts. */
#define MAIL_VARIABLES(X)                                                                          \
    X(link)    /* the setting and the token after it; without one the token alone */               \
    X(token)   /* the token */                                                                     \
    X(address) /* to whom it goes */                                                               \
    X(other)   /* the other address, the new one or the one before */                              \
    X(hours)   /* how long the token is good */                                                    \
    X(site)    /* the host of PUBLIC_URL; without one what is after the @ of MAIL_FROM */

struct mail_words {
#define X(name) struct text name;
    MAIL_VARIABLES(X)
#undef X
};

/**
 * All texts: those of the file at `path`, else the built-in ones; "" is no file. The file is UTF-8:
 *
 *     # A comment, before the first message.
 *     [reset]
 *     Subject: Your password at {site}
 *
 *     The lines of the message, to the next name in brackets that has a line for itself.
 *     {link}
 *
 * problem_internal with path, line and fault in `cause` for a name that is no kind of letters.h, a
 * variable that is none or that such a message has not, a message with a token that says neither
 * {link} nor {token}, one without a subject, and a line that could become longer than a message may
 * have. A brace that is none of a variable is written twice. Texts live as long as `a`.
 */
struct problem *texts_load(struct arena *a, struct text path, struct mail_texts *ret) MUST_USE;

/** `text` with its variables filled in; a null word is nothing. Lives as long as `a`. */
const char *text_fill(struct arena *a, struct text text, const struct mail_words *words);

/* letters.h -- the one table of what is mailed: each kind of message, and what it carries. */
#pragma once

#include <stdbool.h>

#include "common/base/text.h"

struct settings;

enum letter_kind {
    LETTER_NOBODY, /* a row that is written so that an answer takes the same time; never sent */
    LETTER_RESET,
    LETTER_INVITE,
    LETTER_VERIFY,
    LETTER_CHANGE, /* to the new address: confirm it */
    LETTER_TAKEN,  /* somebody tried to register or to take the address */
    LETTER_PASSWORD_CHANGED,
    LETTER_PASSWORD_RESET,
    LETTER_EMAIL_CHANGED,          /* to the former mailbox, which can undo it */
    LETTER_EMAIL_CHANGED_BY_ADMIN, /* to both */
    LETTER_UNDONE_RESET,           /* a token to reset the password with, after an undo */
    LETTER_ACCOUNT_DELETED,
    LETTER_TEST, /* of `postern mail test` */
    LETTER_KINDS
};

/* Which setting the link begins with. */
enum letter_link { LINK_NONE, LINK_VERIFY, LINK_UNDO, LINK_RESET };

struct letter_row {
    const char *name;      /* in the database, in MAIL_TEXTS, for `postern mail` */
    enum letter_link link; /* what it links to; LINK_NONE: it has no token */
    bool has_other;        /* it names another address */
    bool is_limited;       /* counts for the limit by mailbox: a stranger can cause it */
};

extern const struct letter_row letters[LETTER_KINDS];

/** The kind of this name; LETTER_KINDS where there is none. */
enum letter_kind letter_find(struct text name);

/** Does it carry a token? */
bool letter_has_token(enum letter_kind kind);

/** What the token is appended to, as it stands; empty where that is not set, or without a link.
 *  Borrowed from the settings. */
struct text letter_url(const struct settings *settings, enum letter_kind kind);

/** The name of the setting, for complaints: "VERIFY_URL"; NULL without a link. */
const char *letter_url_name(enum letter_kind kind);

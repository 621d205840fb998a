/* mailed_tokens.h -- tokens that come by mail and are good once: the one table of their kinds, and
 * the rules on them, in the database.
 *
 * A token belongs to an account and to an address, and is stored as its SHA-256 beside both. What
 * ends an account's access (account_end()) voids all of its tokens but those of undo; a token that
 * is used voids the others of its kind. An undo token also keeps its address: until it is used,
 * voided by an earlier one, or has expired nobody but its account can have it, and nobody at all
 * once the account is gone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/db.h"
#include "fcgi-app/accounts/user_model.h"

enum mailed_kind {
    MAILED_NOBODY, /* is there so that a write takes the same time; leads nowhere */
    MAILED_RESET,
    MAILED_INVITE, /* the same for who was invited */
    MAILED_VERIFY,
    MAILED_REGISTER, /* of a registration that waits, registration_model.h */
    MAILED_CHANGE,   /* of the address */
    MAILED_UNDO,     /* of such a change */
    MAILED_KINDS
};

/* What must be so still when a token is used. */
enum mailed_bond {
    BOND_NONE,
    BOND_ADDRESS, /* its address is the account's, in any case; */
    BOND_PENDING, /* or the one that the account waits for */
};

struct mailed_rule {
    int64_t ttl_s;
    enum mailed_bond bond;
    bool needs_active;    /* it is of no use to a disabled account */
    bool is_replaced;     /* a newer one voids the older ones */
    bool is_awaited;      /* a row waits for it, and goes with it; so it is there even where nobody
                             gets it */
    bool outlives_others; /* what voids an account's tokens leaves it */
};

extern const struct mailed_rule mailed_rules[MAILED_KINDS];

/* For sets of them. */
#define MAILED(kind_) (1U << MAILED_##kind_)

struct mailed_token {
    struct uuid id;      /* of the message, too */
    unsigned kind;       /* enum mailed_kind */
    struct uuid user_id; /* or of a registration */
    struct text address; /* that it was mailed to; of MAILED_UNDO, that it puts back */
    int64_t sequence;    /* of MAILED_UNDO: the version of the user that the change has made */
    struct instant expires_at;
};

/** Store a token with the SHA-256 of its text. `expires_at` is as its kind has it from now. In a
 *  transaction that holds the user locked. */
struct problem *mailed_insert(struct db *db, struct arena *a, const struct mailed_token *token,
                              const unsigned char hash[32]) MUST_USE;

/** The token of this text, where it is one of `kinds` and good at `now`: it has not expired, and
 *  was not made after `now`, as by a clock that was ahead and has been set back; it would be good
 *  for longer. */
struct problem *mailed_find(struct db *db, struct arena *a, struct text text, unsigned kinds,
                            struct instant now, struct mailed_token *ret, bool *ret_found) MUST_USE;

/** How a token that is none, was used or has expired is refused. */
struct problem *mailed_refusal(struct arena *a);

/** Is the user, as read at `now`, still as the token's kind wants it? */
bool mailed_suits(struct arena *a, const struct mailed_token *token, const struct user *user,
                  struct instant now);

/** Use a token up, and void the others of its kind; `*ret_used` is false when it is not there any
 *  more. In a transaction that holds its user or registration locked. */
struct problem *mailed_use(struct db *db, struct arena *a, const struct mailed_token *token,
                           bool *ret_used) MUST_USE;

/** Void all tokens of a user that are of a kind. */
struct problem *mailed_void_kind(struct db *db, struct arena *a, struct uuid user_id,
                                 enum mailed_kind kind) MUST_USE;

/** Void all tokens of a user but those that outlive others. */
struct problem *mailed_void(struct db *db, struct arena *a, struct uuid user_id) MUST_USE;

/** Void the undos of changes that came after that of `token`, which is one. */
struct problem *mailed_void_later(struct db *db, struct arena *a,
                                  const struct mailed_token *token) MUST_USE;

/** Is the address kept for another than `user_id`, because that one may yet undo its change? A
 *  locking read, so that one that is asked after a write with the address knows. */
struct problem *mailed_keeps(struct db *db, struct arena *a, struct text address,
                             struct uuid user_id, struct instant now, bool *ret_yes) MUST_USE;

/** Delete up to `limit` tokens of a user who is going; fewer only where no more were left. What
 *  keeps an address stays. For belonging.h. */
struct problem *mailed_delete_some(struct db *db, struct arena *a, struct uuid user_id,
                                   int64_t limit, uint64_t *ret_deleted) MUST_USE;

/** Delete a few tokens that have expired, or expire later than any that is made now, with the
 *  registrations and changes of an address that waited for them. Not in a transaction. */
struct problem *mailed_purge(struct db *db, struct arena *a, struct instant now) MUST_USE;

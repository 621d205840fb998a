/* letters.h -- the messages that wait in the outbox, and the tokens that they will have. */
#pragma once

#include "tests/support/loopback.h"

/** How many of that kind (a name of fcgi-app/mail/letters.h) wait for that address; NULL: any. */
int64_t letters_to(const char *kind, const char *to);

/** The token of the last of them; fails the test where there is none. */
const char *token_mailed(const char *kind, const char *to);

/** The only messages since the last call of this are these, "verify ada@example.org, …" in order of
 *  their making; "" for none. Rows that are there for nobody are not among them. */
void ck_mailed(const char *messages);

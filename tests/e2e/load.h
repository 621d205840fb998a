/* load.h -- clients that write and read without pause, and know what they were promised. */
#pragma once

#include <stdbool.h>

#include "tests/e2e/world.h"

#define LOAD_CLIENTS 8

struct load;

/* What happened so far. Refused is 502, 503 or 504 in the form of an error. */
struct load_tally {
    unsigned served, refused, refused_502, refused_reads;
};

/** Start them, with the token of the author of all posts. */
struct load *load_start(const struct front *at, const char *token);

/** The same with so many requests a second, evenly, as far as the answers let them. */
struct load *load_start_paced(const struct front *at, const char *token, unsigned per_second);

/**
 * The same, where each post is written under an Idempotency-Key of its own and asked for again
 * until it is served: then none may be missing, and none be there twice, whatever happened. They
 * have `content_len` bytes.
 */
struct load *load_start_named(const struct front *at, const char *token, unsigned per_second,
                              unsigned content_len);

/** Nobody need be there: no answer at all is a refusal, too. */
void load_bear_silence(struct load *l);

/** When something was refused last, by now_ms(); 0: never. */
long load_refused_at(struct load *l);

/** Until it is taken back, reads may show what was a moment ago. */
void load_bear_lag(struct load *l, bool lag);

/** A deletion whose answer was lost may have been repeated, as its method allows: then what it
 * finds is 404. */
void load_bear_repeats(struct load *l);

/** What is created has an Idempotency-Key, and who is refused asks again until it is there; so all
 *  of it must be there once. */
void load_insist(struct load *l);

/** From here on nothing that is begun may be refused. */
void load_be_strict(struct load *l);

struct load_tally load_tally(struct load *l);

/** Wait until so many more are served; until so many more are refused; until so many in a row are
 *  served while none is refused. Each fails the test where that takes PATIENCE_MS. */
void load_await_served(struct load *l, unsigned more);
void load_await_refused(struct load *l, unsigned more);
void load_await_calm(struct load *l, unsigned in_a_row);

/** Let each finish what it does; fails the test if any answer was wrong. */
void load_finish(struct load *l);

/**
 * Hold the table against what the clients were told: what was acknowledged is there once and in
 * its last state, what was deleted is not. Of what was refused `refused_may_exist` tells whether
 * it may be there (at most once), or must not.
 */
void load_verify(struct load *l, bool refused_may_exist);
/** Search for what is there by a word of its own, for every one in `each`: exactly that is found.
 *  Returns how many were looked for. */
unsigned load_find(struct load *l, const struct front *at, unsigned each);

void load_free(struct load *l);

/* plain.h -- a search index as a plain list, to compare a packed one with; and random numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Terms and the ordinals of rows that have them, in no order. Zero is an empty one. */
struct plain {
    struct plain_pair {
        uint32_t term, ordinal;
    } * pairs;
    size_t count, room;
};

void plain_add(struct plain *p, uint32_t term, uint32_t ordinal);
void plain_release(struct plain *p);

/** The ordinals of `term` from `from` to `to`, both included: rising, each once. Returns how many;
 *  `ret` has room for as many as there are pairs. */
size_t plain_find(const struct plain *p, uint32_t term, uint32_t from, uint32_t to, uint32_t *ret);

/** Begin a row of random numbers that differs from run to run, and print its seed: with SEED=… in
 *  the environment it is the same again. */
void random_begin(void);

uint64_t random_number(void);

/** A random number below `end`. */
uint32_t random_below(uint32_t end);

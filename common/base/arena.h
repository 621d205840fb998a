/* arena.h -- the memory of one request: allocate freely, release all of it at once. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/text.h"

struct arena;

/**
 * Make an arena that may grow to `max` bytes.
 *
 * A program that asks for more ends by exhausted(), which is better than one that runs short of
 * memory.
 */
struct arena *arena_open(size_t max);

/** Run the deferred destructors, wipe and free everything. NULL does nothing. */
void arena_close(struct arena *a);

/** As arena_close(), but keep the first block, ready for the next request. */
void arena_reset(struct arena *a);

/** `size` zeroed bytes, aligned for any type; they live until the arena is reset. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull, malloc));

/** `n` zeroed elements of `size` bytes; an overflow of the product ends the program. */
void *arena_array(struct arena *a, size_t n, size_t size) __attribute__((returns_nonnull, malloc));

/** A copy of `len` bytes at `data`, with a NUL after it. */
char *arena_copy(struct arena *a, const void *data, size_t len) __attribute__((returns_nonnull));

/** A copy of the C string `s`. */
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));

/** A copy of `t` that lives in `a`; null stays null. */
struct text arena_text(struct arena *a, struct text t);

char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));
char *arena_vprintf(struct arena *a, const char *format, va_list args) PRINTF_LIKE(2, 0)
    __attribute__((returns_nonnull));

/** Call `destroy(object)` when the arena is reset or closed, the latest first. */
void arena_defer(struct arena *a, void (*destroy)(void *), void *object);

/** Overwrite memory so that the compiler cannot leave it out. */
void wipe(void *data, size_t len);

/* shm.h -- memory that several processes share. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct arena;

struct problem;

/**
 * Map `size` bytes that every process with the same `path`, or the same `*fd`, shares; zeroed
 * when they are new.
 *
 * `path` names a file of our own, mode 0600, that is made when it is not there; it is for
 * processes that do not descend from one another, and what is in it outlives them. With NULL the
 * memory has no name: `*fd` is its descriptor, or -1 for new memory, whose descriptor is stored
 * there. `layout` is a word of the caller's for what is in the memory. Memory of another layout or
 * size is left to those who use it, and new memory takes its place.
 *
 * Processes may be killed at any moment, so keep to atomics in it. It stays mapped until the
 * process ends. problem_internal with the reason in `cause`: a file that is another user's, or no
 * file.
 */
struct problem *shm_map(struct arena *a, const char *path, uint32_t layout, size_t size, int *fd,
                        void **ret) MUST_USE;

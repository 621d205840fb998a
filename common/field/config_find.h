/* config_find.h -- find the configuration file without a flag: beside the program, or above it. */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

struct arena;

struct problem;

/** The absolute path of the running program's file; NULL if the system does not tell. */
const char *program_path(struct arena *a);

/**
 * Look for the file `name` in the folder of `program`, then in the one above, and so on, six at
 * most; `*ret_path` is the first that is there, or NULL. `program` is an absolute path; NULL has no
 * folders.
 *
 * The search ends at a folder that belongs neither to us nor to root, and at one to which everybody
 * may add files. problem_internal, with what to do in `cause`, for a file that is not ours, or that
 * its group or others may read or write: it holds secrets, and on a shared host the group is often
 * everybody's. For hosts on which a program gets neither arguments nor an environment.
 */
struct problem *config_find(struct arena *a, const char *program, const char *name,
                            const char **ret_path) MUST_USE;

/** Why that search ended before its last folder, as words that go on from "not looked for in
 * FOLDER, which"; `*ret_folder` is the folder. NULL where it did not. */
const char *config_find_stop(struct arena *a, const char *program, const char **ret_folder);

/** The nearest file `name` as that search goes, but whomever it and the folders belong to; or NULL.
 */
const char *config_nearest(struct arena *a, const char *program, const char *name);

/** Does the file lie in the folder `root` or below, by whatever links either is reached? An
 *  answer that cannot be had is no. */
bool config_is_below(const char *path, const char *root);

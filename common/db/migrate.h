/* migrate.h -- bring the schema to the version that the program was built for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"

struct arena;

struct db;
struct problem;

/* One file of sql/, compiled in. Not changed after release, unless what it makes stays the same. */
struct migration {
    int number;       /* 1, 2, … without a gap */
    const char *name; /* "0001_users.sql" */
    const char *text;
    const char *const *former; /* SHA-256, in hex, of its texts of earlier releases; may be NULL */
};

enum migration_state { MIGRATION_PENDING, MIGRATION_PARTIAL, MIGRATION_APPLIED, MIGRATION_CHANGED };

/**
 * Apply what is missing of `list`, in order, under a lock that one program holds at a time
 * (GET_LOCK, up to 60 s). `applied(context, migration)`, unless NULL, is called after each.
 *
 * A file is a sequence of statements, each ended by `;` at the end of a line (none of
 * which may stand inside a string), with `--` comment lines. After each statement its
 * number is stored with the file's SHA-256, so that a run which stopped half-way continues
 * after it; MariaDB commits DDL by itself, and so statements are written to be repeatable
 * (IF NOT EXISTS). CHANGED files, unknown later versions, and what migrate_compare() finds are
 * refused before anything is written: problem_internal with `cause`. problem_unavailable when the
 * lock stays taken, or goes with its connection.
 */
struct problem *migrate_up(struct db *db, struct arena *a, const struct migration *list,
                           size_t count, void (*applied)(void *context, const struct migration *m),
                           void *context) MUST_USE;

/** Fill `ret_states[count]`, and `*ret_unknown` with how many the database has beyond `list`. */
struct problem *migrate_status(struct db *db, struct arena *a, const struct migration *list,
                               size_t count, enum migration_state *ret_states,
                               size_t *ret_unknown) MUST_USE;

/**
 * Are the tables of the database those that the files make? NULL when they are; else
 * problem_internal with what is wrong, and what to do, in `cause`.
 *
 * A table must have the columns of what is applied, with their types, as far as they can be read
 * from the files (shape.h); more are fine. Where a file is pending or half-way, its tables may be
 * there, but not other ones under their names. Without schema_migrations nothing says that tables
 * are ours, so none may be there. Asks information_schema, which takes a few milliseconds.
 */
struct problem *migrate_compare(struct db *db, struct arena *a, const struct migration *list,
                                size_t count) MUST_USE;

/** NULL when the schema has at least what `list` makes: all of it applied, and each table and
 *  column there; what later programs have added does not matter. Else problem_unavailable with what
 * is wrong in `cause`. One cheap statement when all is well. */
struct problem *migrate_check(struct db *db, struct arena *a, const struct migration *list,
                              size_t count) MUST_USE;

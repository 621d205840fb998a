/* config.h -- settings from flags, environment and a file, over a table of fields. */
#pragma once

#include <stddef.h>

#include "common/field/field.h"

/* One `--name value` of the command line. */
struct config_flag {
    const char *name; /* as the field is called */
    const char *value;
};

struct config_flags {
    const struct config_flag *list;
    size_t count;
    const char *const *unread; /* secrets whose NAME_FILE is left alone, NULL at the end; or NULL */
};

/* Where a setting came from; the zero value: it is set nowhere. */
enum origin_kind { ORIGIN_NONE, ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct origin {
    enum origin_kind kind;
    const char *text; /* "flag", "environment", "PATH:LINE" or "default", and " < PATH" after it for
                         a value from a NAME_FILE; NULL for ORIGIN_NONE */
    const char *file; /* the file of its own that the value was read from; NULL for none */
};

/**
 * Fill the struct at `ret` (zeroed, described by `r`) from the strongest source of each
 * setting: a flag, the environment, the file at `path` (NULL: none), its default.
 *
 * A byte order mark at the beginning of a file is skipped.
 * The field `max_body` is MAX_BODY in environment and file. The file has lines `NAME = value`;
 * blank lines and lines that begin with `#` are skipped; an unknown name, a name twice and a
 * line without `=` are errors that tell the line. For a FIELD_SECRET, NAME_FILE names a file
 * that holds the value, up to its last newline; a secret has no flag. `ret_origins` (zeroed)
 * has one place per field. A secret of `flags.unread` that is in a file of its own has its origin
 * and no value, so that whoever has no use for it need not be able to read it. Texts live as long
 * as `a`. problem_internal with the fault in `cause`, never a secret.
 */
struct problem *config_load(struct arena *a, const struct record *r, struct config_flags flags,
                            char *const *environment, const char *path, void *ret,
                            struct origin *ret_origins) MUST_USE;

/** The same with what a file holds, less its byte order mark; `path` is for the origins and for
 * what is told of its lines. */
struct problem *config_load_text(struct arena *a, const struct record *r, struct config_flags flags,
                                 char *const *environment, struct text text, const char *path,
                                 void *ret, struct origin *ret_origins) MUST_USE;

/** The name of a setting in environment and file: upper case. */
const char *config_name(struct arena *a, const struct field *f);

/** The field that the flag `--max-body` belongs to; NULL for none, and for secrets. */
const struct field *config_flag_field(const struct record *r, const char *flag);

/* field.h -- a struct described once: to and from JSON, query strings, rows, settings, schemas. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/base/uuid.h"

struct buf;
struct json;

enum field_type {
    FIELD_TEXT,    /* struct text */
    FIELD_INTEGER, /* int64_t */
    FIELD_BOOLEAN, /* bool */
    FIELD_ENUM,    /* unsigned: the place of a word in `choices` */
    FIELD_TIME,    /* struct instant */
    FIELD_UUID,    /* struct uuid */
};

/* Where a field takes part. The zero value takes part in nothing: a forgotten column hides. */
enum field_use {
    FIELD_SHOWN = 1 << 0,        /* in replies */
    FIELD_CREATE = 1 << 1,       /* may be given when the thing is made */
    FIELD_REQUIRED = 1 << 2,     /* must be given then */
    FIELD_CHANGE = 1 << 3,       /* may be given in a change */
    FIELD_ADMIN_CHANGE = 1 << 4, /* may be given in a change by an admin; from others ignored */
    FIELD_NULLABLE = 1 << 5,
    FIELD_NOT_EMPTY = 1 << 6,  /* null and empty count as missing */
    FIELD_BYTES = 1 << 7,      /* min and max count bytes, not code points */
    FIELD_SECRET = 1 << 8,     /* never printed, not even by `postern config` */
    FIELD_OMIT_EMPTY = 1 << 9, /* left out of replies while it is null, false or 0 */
    FIELD_VERSION = 1 << 10,   /* an integer that rises with every change; ETags are made of it */
    FIELD_PRIVATE = 1 << 11,   /* in replies to some only: see record.hidden */
    FIELD_NOT_OWN = 1 << 12,   /* FIELD_ADMIN_CHANGE of others: for oneself it is ignored */
};

/* Who gives a value. */
enum rank {
    RANK_USER,
    RANK_ADMIN,
    RANK_ADMIN_OWN, /* an admin, of what is their own */
};

/* A rule for text beyond its length. */
struct format {
    const char *name;    /* as JSON Schema calls it, or NULL */
    const char *pattern; /* as JSON Schema wants it, or NULL */
    bool (*valid)(struct text value);
    enum fault_code code; /* what it is called when it is not valid */
    const char *message;
    const struct problem_type *problem; /* of the whole answer when it is broken and nothing is
                                           missing; NULL: problem_invalid */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    unsigned use;               /* of enum field_use */
    int64_t min, max;           /* length of text or value of an integer; max 0: no bound */
    const int64_t *min_at;      /* where a setting has left the least, in place of `min`; or NULL */
    const char *const *choices; /* FIELD_ENUM: words, NULL at the end */
    const struct format *format;
    const char *default_value; /* what an absent value is read from, except in a change */
    const char *unless;        /* FIELD_REQUIRED: not where the boolean member of this name is true;
                                  or NULL */
    const char *replaced_by;   /* in a query: not looked at beside the field of this name; or
                                  NULL */
    const char *example;       /* for the documentation */
    const char *new_example;   /* where another one is made beside that of `example`; or NULL */
    const char *refers_to;     /* FIELD_UUID: the name of the record whose id it is; or NULL */
    const char *doc;           /* one sentence */
};

/* The type column follows from the member, so that a mismatch does not compile. */
#define FIELD(struct_, member_, ...)                                                               \
    {                                                                                              \
        .name = #member_, .offset = offsetof(struct_, member_),                                    \
        .type = _Generic(((struct_ *)0)->member_, struct text                                      \
                         : FIELD_TEXT, int64_t                                                     \
                         : FIELD_INTEGER, bool                                                     \
                         : FIELD_BOOLEAN, unsigned                                                 \
                         : FIELD_ENUM, struct instant                                              \
                         : FIELD_TIME, struct uuid                                                 \
                         : FIELD_UUID),                                                            \
        __VA_ARGS__                                                                                \
    }

/* A rule between fields, looked at when the struct is filled as far as it is valid. */
struct rule {
    const char *field; /* the one to be named */
    bool (*broken)(const void *row);
    enum fault_code code;
    const char *message;
};

/* A struct and all that is known of it. At most 64 fields. */
struct record {
    const char *name; /* "Post" */
    size_t size;
    const struct field *fields;
    size_t count;
    const struct rule *rule; /* or NULL */
    unsigned hidden;         /* fields with any of these uses are left out of replies */
};

#define RECORD(name_, struct_, fields_, ...)                                                       \
    {                                                                                              \
        .name = (name_), .size = sizeof(struct_), .fields = (fields_),                             \
        .count = sizeof(fields_) / sizeof *(fields_), __VA_ARGS__                                  \
    }

enum record_mode { RECORD_CREATE, RECORD_CHANGE };

/* Which fields were given: bit n for the n-th of the record. */
typedef uint64_t field_set;

/**
 * Fill the struct at `ret` from `object`, and `*ret_given` with what was there.
 *
 * All faults are reported at once: problem_missing_fields (or `missing`, unless
 * NULL) when a required key is absent, else the format's own problem, else problem_invalid.
 * Fields that `mode` or the caller's `rank` do not let in are ignored, whatever they
 * contain. Texts borrow from the document. `ret` must be zeroed and is only partly filled on
 * failure.
 */
struct problem *record_from_json(struct arena *a, const struct record *r, const struct json *object,
                                 enum record_mode mode, enum rank rank,
                                 const struct problem_type *missing, void *ret,
                                 field_set *ret_given) MUST_USE;

/** Fill `ret` from a query string (application/x-www-form-urlencoded), defaults included. Of
 *  a name given twice the first counts; unknown ones are ignored, and so are those that another
 *  replaces: they count as not given. All faults at once. */
struct problem *record_from_query(struct arena *a, const struct record *r, const char *query,
                                  void *ret, field_set *ret_given) MUST_USE;

/** Set one member of `row` from text, as in a query string or a setting. FAULT_NONE, or what
 *  is wrong with a sentence in `*ret_message`. Texts are borrowed. */
enum fault_code field_from_text(struct arena *a, const struct field *f, struct text value,
                                void *row, const char **ret_message);

/** The least length or value. */
int64_t field_min(const struct field *f);

/** Is the field looked at when a body is read so, from somebody of this rank? */
bool field_lets_in(const struct field *f, enum record_mode mode, enum rank rank);

/** May a body that is read so have null there? */
bool field_may_be_null(const struct field *f, enum record_mode mode);

/** The value as text, for logs and listings; never call it for a secret. */
const char *field_to_text(struct arena *a, const struct field *f, const void *row);

/** Its name in upper case: how settings are called, and columns of a table headed. */
const char *field_heading(struct arena *a, const struct field *f);

/** Write the shown fields of `row` as an object. */
void record_to_json(struct buf *b, const struct record *r, const void *row);

/** Write the shown fields as members of the object that is open in `b`. */
void record_members_to_json(struct buf *b, const struct record *r, const void *row);

/** Copy the `given` members of `from` over those of `to`; both are of the struct of `r`. */
void record_overlay(const struct record *r, field_set given, const void *from, void *to);

/** The number of the field at `offset`, as a set of one: `given & FIELD_AT(&r, struct post,
 * title)`. */
#define FIELD_AT(record_, struct_, member_) record_field_at(record_, offsetof(struct_, member_))
field_set record_field_at(const struct record *r, size_t offset);

/** The field called `name`; NULL when there is none. */
const struct field *record_find(const struct record *r, const char *name);

/** Where the member called `name` stands in `row`; aborts where the record has none. */
void *record_member(const struct record *r, const char *name, void *row);
const void *record_value(const struct record *r, const char *name, const void *row);

/** The field with FIELD_VERSION; NULL when there is none. */
const struct field *record_version(const struct record *r);

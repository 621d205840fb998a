/* list.h -- lists: the ways through a table's rows are declared in a table of their own, and one
 * reader orders, filters, counts and pages all of them. No HTTP.
 *
 * What has no row in `paths` cannot be asked. Every path has an index that holds its filters and
 * its key in this order, so that a page costs what it shows, however many rows there are:
 *
 *      filters equal ── key ── id          one index of the database
 *      ──────────────┬─────────┬──────►    rows in the order of the list
 *           created_after   a cursor
 *
 * A page by number takes the ids first, from the index alone, and is refused beyond `page_reach`.
 * Where rows are looked through and left out, a page looks through `search_reach` of them at most,
 * and may then hold fewer rows than asked for, with a place where the next one goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/db/db.h"
#include "common/field/field.h"

struct counter;
struct search_index;

#define LIST_LIMIT_MAX 100  /* rows of a page */
#define LIST_COUNT_MAX 1000 /* where counting stops */
#define LIST_FILTERS_MAX 4  /* of one list */

/* ---- what a client asks ---- */

/* The first member of every list's query struct. A list's table has LIST_FIELDS and, where they
 * mean something, LIST_RANGE_FIELDS and rows for `q` and `sort`. */
struct list_query {
    int64_t page, limit;
    struct text cursor;
    bool total;
    struct instant created_after, created_before;
    struct text q;
    unsigned sort; /* the place of a word in the `choices` of its row: a key's name, with a minus
                      before it or not */
};

/* Offsets are those of the struct that it begins. */
#define LIST_FIELDS                                                                                \
    FIELD(struct list_query, page, .min = 1, .max = 9007199254740991, .default_value = "1",        \
          .replaced_by = "cursor", .example = "1",                                                 \
          .doc = "Which page, from 1; far ones are reached by cursor only."),                      \
        FIELD(struct list_query, limit, .min = 1, .max = LIST_LIMIT_MAX, .default_value = "20",    \
              .example = "20", .doc = "How many things a page has."),                              \
        FIELD(struct list_query, cursor, .max = 2000,                                              \
              .doc = "The next_cursor of a page, in place of its number."),                        \
        FIELD(struct list_query, total, .default_value = "true",                                   \
              .doc = "Whether to tell how many things and pages there are.")

#define LIST_RANGE_FIELDS                                                                          \
    FIELD(struct list_query, created_after, .example = "2026-01-01T00:00:00Z",                     \
          .doc = "Only what was made then or later."),                                             \
        FIELD(struct list_query, created_before, .example = "2027-01-01T00:00:00Z",                \
              .doc = "Only what was made before that.")

/* ---- what a list is ---- */

/* A column that has only so many values, or an id. */
struct list_filter {
    const char *column;
    const char *const *words; /* of an ENUM; NULL: an id, a number or a boolean */
};

/* What a list can be sorted by: a time or a text. */
struct list_key {
    const char *name;   /* of the member of its rows, and the word of `sort` */
    const char *column; /* that the indexes have; NULL: it has that name */
    const char *value;  /* what is compared with it, "LOWER(?)"; NULL: "?" */
    bool unique;        /* needs no id to tell two rows apart */
    bool generated;     /* the column is computed by the database */
};

struct list_path {
    unsigned key;      /* its number */
    unsigned filters;  /* a set of them: 1 << the number of each */
    const char *index; /* that begins with the filters' columns, then has the key's */
};

/* A total that is kept: of all rows, of an owner's, each by a small filter. */
struct list_counter {
    const struct counter *counter;
    unsigned owner, kind; /* filters as a set of one; 0: none */
    unsigned kinds;       /* how many values the latter has */
};

/* Rows that are there but must not be shown. */
struct list_test {
    const char *condition; /* on a row that is shown; the values of its `?` are of the scope */
    const char *columns;   /* that it reads */
    const char *unless;    /* when this holds, every row is shown; NULL: nobody knows */
};

/* Who looks at a row, and when. */
struct viewer {
    struct uuid id; /* nil: nobody knows */
    bool admin;
    struct instant now;
};

struct list {
    const char *table;
    const char *columns; /* of a row, as the record wants them; values of a `?` are the scope's;
                            NULL: the record's own */
    const struct record *row; /* with a member `id` and those of the keys */
    /* Fill `ret_row` with what somebody sees of a row, and return how it is written; NULL: all see
     * all of it. */
    const struct record *(*view)(const struct viewer *by, const void *row, void *ret_row);
    const char *const *sorts; /* the words for `sort`; the first is the default where there is none
                                 to choose */
    struct list_filter filters[LIST_FILTERS_MAX];
    const struct list_key *keys;         /* the first is `created_at`, which the range is over */
    const struct list_path *paths;       /* without an index at the end */
    const struct list_counter *counters; /* without a counter at the end; NULL: none is kept */
    struct list_test shown;              /* without a condition: every row is */
    const struct search_index *search;   /* what `q` is looked up in; NULL: there is none */
};

/* A list that has no other order than that of time, the newest first or last: its sorts, its keys
 * and its query, a struct list_query. */
extern const char *const list_by_time_sorts[];
extern const struct list_key list_by_time_keys[];
extern const struct record list_by_time_record;
#define LIST_BY_TIME .sorts = list_by_time_sorts, .keys = list_by_time_keys

/* ---- which rows ---- */

/* What a caller gets to see: set from what was asked and from who asks. */
struct list_scope {
    unsigned filters;                       /* a set: which of the list's are given */
    struct db_arg values[LIST_FILTERS_MAX]; /* an id, or an integer: the place of an ENUM's word */
    struct db_arg column_args[1];           /* of list.columns */
    size_t column_arg_count;
    struct db_arg shown_args[2]; /* of list_test.condition */
    size_t shown_arg_count;
    bool nothing; /* no row at all */
};

/** Take the filter number `n` into the scope. */
void list_filter_by(struct list_scope *scope, unsigned n, struct db_arg value);

/* A place in a list: after this row. */
struct list_place {
    struct uuid id;
    struct instant time; /* its key, if that is a time, */
    struct text text;    /* or a text */
};

/* Whatever was made, was made between these. */
#define LIST_FROM ((struct instant){INT64_C(-30610224000000000)})   /* 1000-01-01 */
#define LIST_BEFORE ((struct instant){INT64_C(253402214400000000)}) /* 9999-12-31 */

/* The rows that are to be read. */
struct list_window {
    int64_t limit;  /* one more than are shown, to see whether there is a next page */
    int64_t offset; /* 0 with `after` */
    bool after;     /* begin after `place` */
    struct list_place place;
    bool ranged; /* only those with `from` <= created_at < `before` */
    struct instant from, before;
    int64_t page_reach, search_reach; /* rows */
};

/* Who takes the rows. */
struct list_taker {
    void (*each)(void *context, const void *row); /* borrowed for that call; must not use the db */
    void (*restart)(void *context);               /* forget all rows so far: they come again */
    void *context;
};

/* What was found besides. */
struct list_total {
    int64_t count;
    bool capped;           /* there are at least so many */
    bool counted;          /* `count` says something */
    bool bounded;          /* no total is kept: counting stops at LIST_COUNT_MAX, and pages that
                              have a number end there */
    bool left_out;         /* rows were met that must not be shown */
    bool cut;              /* so many that it ends early, though there may be more, */
    struct list_place end; /* after this one, which was the last that was looked at */
    int64_t unreadable;    /* blobs of the search index, which may miss rows, then */
};

/**
 * Hand out the rows of a page, in order, and tell how many there are in all unless the window
 * begins after a place or `query->total` is false. Takes one statement for the rows and one for the
 * total; a few more where rows are left out. With a `q` it takes some five to ten, and what may
 * match is read and tested here.
 *
 * problem_invalid for `page` where it is beyond the reach; problem_unavailable for a `q` while
 * there is no index.
 */
struct problem *list_read(struct db *db, struct arena *a, const struct list *list,
                          const struct list_query *query, const struct list_scope *scope,
                          const struct list_window *window, const struct list_taker *taker,
                          struct list_total *ret) MUST_USE;

/** The field of a row that a list sorted by that word of its `sorts` is ordered by. */
const struct field *list_key_field(const struct list *list, unsigned sort);

/** The place of a row in such a list; its text is borrowed. */
struct list_place list_place_of(const struct list *list, unsigned sort, const void *row);

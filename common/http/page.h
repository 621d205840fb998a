/* page.h -- lists in pages: by number with an exact total, or by cursor at flat cost. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/field/field.h"
#include "common/http/http.h"

struct keyring;

#define PAGE_LIMIT_MAX 100

/* The query struct of a list has members `int64_t page, limit` and `struct text cursor`, and
 * its table begins with PAGE_FIELDS, so that every list takes the same. Where it has a choice
 * `sort`, each word is the name of a member of its rows, with a minus before it or not. */
#define PAGE_FIELDS(struct_)                                                                       \
    FIELD(struct_, page, .min = 1, .max = 9007199254740991, .default_value = "1", .example = "1",  \
          .doc = "Which page, from 1."),                                                           \
        FIELD(struct_, limit, .min = 1, .max = PAGE_LIMIT_MAX, .default_value = "20",              \
              .example = "20", .doc = "How many things a page has."),                              \
        FIELD(struct_, cursor, .max = 2000,                                                        \
              .doc = "The next_cursor of a page, in place of its number.")

/* The answer: an object with the rows and, beside them, pagination_record or, for a
 * cursor, the other. */
extern const struct record pagination_record, cursor_pagination_record;
#define PAGE_DATA_KEY "data"
#define PAGE_PAGINATION_KEY "pagination"

/* The rows that a model must read. */
struct page_window {
    int64_t limit; /* one more than are shown, to see whether there is a next page */
    int64_t offset;
    bool after; /* a row is given, behind which it begins */
    struct uuid id;
    struct instant time; /* its member by which is sorted, if that is a time, */
    struct text text;    /* or a text */
};

/* How many there are in all, and what a model did not look at. */
struct page_total {
    int64_t count;
    bool capped;            /* a search stopped counting here */
    bool left_out;          /* there are rows that the list leaves out */
    bool cut;               /* so many that the page ends early, though there may be more rows */
    struct page_window end; /* behind this one, which was the last that was looked at */
};

/* A list while it is read and written. */
struct page {
    struct page_window window;
    struct request *rq;
    struct response *rs;
    const struct record *r;
    const struct keyring *keys;
    const struct field *key; /* of `r`: by which is sorted */
    int64_t number, limit;   /* as asked for */
    int64_t written;
    bool more;               /* there is a row behind the last one shown, */
    struct page_window last; /* which this describes */
    bool cut;                /* or the looking ended there */
};

/**
 * Read what rq->query wants of a list of `r`, sorted by `default_key` where it has no say, and open
 * `{"data": [` in `rs`. A cursor must be one that we made for the same list, filters and sort,
 * under one of `keys`: else problem_invalid.
 */
struct problem *page_open(struct page *page, struct request *rq, struct response *rs,
                          const struct record *r, const char *default_key,
                          const struct keyring *keys) MUST_USE;

/** Add one row; the form that db_each() wants. `page` is a struct page. */
void page_add(void *page, const void *row);

/** Close list and object with their `pagination`, and add Link (RFC 8288). `base_path` comes
 *  before the request's path. With a cursor the count of `total` is not looked at. */
void page_close(struct page *page, const char *base_path, struct page_total total);

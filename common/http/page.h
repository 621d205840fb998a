/* page.h -- lists in pages over HTTP: by number with an exact total, or by cursor at flat cost;
 * which rows that is, is in common/db/window.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/window.h"
#include "common/field/field.h"

struct keyring;

/* The answer: an object with the rows and, beside them, pagination_record or, for a
 * cursor, the other. */
extern const struct record pagination_record, cursor_pagination_record;
#define PAGE_DATA_KEY "data"
#define PAGE_PAGINATION_KEY "pagination"

/* A list while it is read and written. */
struct page {
    struct page_window window;
    struct request *rq;
    struct response *rs;
    const struct record *r;
    const struct keyring *keys;
    const struct field *key; /* of `r`: by which is sorted */
    int64_t number, limit;   /* as asked for */
    size_t began;            /* where the rows begin in the body of `rs` */
    int64_t written;
    bool more;               /* there is a row after the last one shown, */
    struct page_window last; /* which this describes */
    bool cut;                /* or the search ended there */
};

/**
 * Read what rq->query, which begins with a struct page_query, wants of a list of `r`, and open
 * `{"data": [` in `rs`. `sorts` are the words for its `sort`, or the one by which the list is
 * always sorted. A cursor must be one that we made for the same list, filters and sort, under one
 * of `keys`: else problem_invalid.
 */
struct problem *page_open(struct page *page, struct request *rq, struct response *rs,
                          const struct record *r, const char *const *sorts,
                          const struct keyring *keys) MUST_USE;

/** Add one row; the form that db_each() wants. `page` is a struct page. */
void page_add(void *page, const void *row);

/** Forget the rows that were added, for they come again; the form that budget_each() wants. */
void page_restart(void *page);

/** Close list and object with their `pagination`, and add Link (RFC 8288). `base_path` comes
 *  before the request's path. With a cursor the count of `total` is not looked at. */
void page_close(struct page *page, const char *base_path, struct page_total total);

/* page.h -- lists in pages over HTTP: by number with a total, or by cursor at flat cost; which rows
 * that is, is in common/list/list.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list/list.h"
#include "common/field/field.h"

struct keyring;
struct request;
struct response;

#define PAGE_BYTES_MAX ((size_t)8 * 1024 * 1024) /* of a body, but for the row that crosses it */

/* The answer: an object with the rows and, beside them, pagination_record, or without a total the
 * second, or for a cursor the third. */
extern const struct record pagination_record, uncounted_pagination_record, cursor_pagination_record;
#define PAGE_DATA_KEY "data"
#define PAGE_PAGINATION_KEY "pagination"

/* What all lists of a program are read with. */
struct page_source {
    struct db *db;
    const struct keyring *keys;       /* for cursors */
    int64_t page_reach, search_reach; /* rows, see list.h */
};

/* A list while it is read and written. */
struct page {
    struct list_window window;
    struct request *rq;
    struct response *rs;
    const struct list *list;
    const struct list_query *query;
    const struct list_scope *scope;
    const struct keyring *keys;
    struct viewer viewer;  /* who sees the rows, */
    void *seen;            /* and one as they see it; for a list with a view */
    int64_t number, limit; /* as asked for */
    size_t begin;          /* of the rows, in the body */
    int64_t written;
    bool more;              /* there is a row after the last one shown, */
    struct list_place last; /* which is this */
    bool cut;               /* the page ended before it had as many as asked for */
};

/**
 * Answer with what rq->query, which begins with a struct list_query, wants of the rows of `list`
 * that `scope` lets the caller see: `{"data": […], "pagination": …}` and Link (RFC 8288). The links
 * are below rq->base. `ret` is list_read()'s, `*ret_written` how many rows there are.
 *
 * problem_invalid for a page that is too far, or a cursor that is not one that we made for the same
 * list, filters, sort and scope, under one of the keys.
 */
struct problem *page_list(const struct page_source *source, struct request *rq, struct response *rs,
                          const struct list *list, const struct list_scope *scope,
                          struct list_total *ret, int64_t *ret_written) MUST_USE;

/* ---- its parts ---- */

/** Read what is wanted, and open `{"data": [` in `rs`. */
struct problem *page_open(struct page *page, const struct page_source *source, struct request *rq,
                          struct response *rs, const struct list *list,
                          const struct list_scope *scope) MUST_USE;

/** Add one row; of the form that list_taker wants. `page` is a struct page. */
void page_add(void *page, const void *row);

/** Take all rows out again. */
void page_restart(void *page);

/** Close list and object with their `pagination`, and add Link. With a cursor the count of `total`
 *  is not looked at. */
void page_close(struct page *page, const struct list_total *total);

/* page.h -- lists in pages: what may be asked, and the `pagination` of the answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "field.h"

#define PAGE_LIMIT_MAX 100

/* The query struct of a list has members `int64_t page, limit`, and its table begins with
 * PAGE_FIELDS, so that every list takes the same two. */
#define PAGE_FIELDS(struct_)                                                                       \
    FIELD(struct_, page, .min = 1, .max = 9007199254740991, .preset = "1", .example = "1",         \
          .doc = "Which page, from 1."),                                                           \
        FIELD(struct_, limit, .min = 1, .max = PAGE_LIMIT_MAX, .preset = "20", .example = "20",    \
              .doc = "How many things a page has.")

/* The answer: an object with the rows and, beside them, pagination_record. */
extern const struct record pagination_record;
#define PAGE_DATA_KEY "data"
#define PAGE_PAGINATION_KEY "pagination"

/* How many there are in all. */
struct page_total {
    int64_t count;
    bool capped; /* a search stopped counting here */
};

/* Writes a list while its rows are read. */
struct page_writer {
    struct buf *b;
    const struct record *r;
};

/** The number of things before this page; past any table's end where it would overflow. */
int64_t page_offset(int64_t page, int64_t limit);

/** Open `{"data": [`. */
void page_begin(const struct page_writer *w);

/** Add one row; the form that db_each() wants. `writer` is a struct page_writer. */
void page_add(void *writer, const void *row);

/** Close the list and the object with their `pagination`. */
void page_end(const struct page_writer *w, int64_t page, int64_t limit, struct page_total total);

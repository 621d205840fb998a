/* window.h -- pages of a list as a model sees them: what a query asks for, which rows that is, and
 * how many there are. No HTTP. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/field/field.h"

#define PAGE_LIMIT_MAX 100

/* What every list takes: the first member of its query struct, whose table begins with
 * PAGE_FIELDS. A list that can be sorted has a row for `sort`, whose words name a member of its
 * rows each, with a minus before it or not. */
struct page_query {
    int64_t page, limit;
    struct text cursor;
    unsigned sort;
};

/* Offsets are those of the struct that it begins. */
#define PAGE_FIELDS                                                                                \
    FIELD(struct page_query, page, .min = 1, .max = 9007199254740991, .default_value = "1",        \
          .example = "1", .doc = "Which page, from 1."),                                           \
        FIELD(struct page_query, limit, .min = 1, .max = PAGE_LIMIT_MAX, .default_value = "20",    \
              .example = "20", .doc = "How many things a page has."),                              \
        FIELD(struct page_query, cursor, .max = 2000,                                              \
              .doc = "The next_cursor of a page, in place of its number.")

/* The rows that a model must read. */
struct page_window {
    int64_t limit; /* one more than are shown, to see whether there is a next page */
    int64_t offset;
    bool after; /* a row is given, after which it begins */
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
    struct page_window end; /* after this one, which was the last that was looked at */
};

/* window.h -- which rows of a list are asked for, and how many there are. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/field/field.h"

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

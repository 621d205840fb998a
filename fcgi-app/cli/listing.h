/* listing.h -- rows as an aligned table for readers, or as one JSON object per line for scripts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/field/field.h"

#define LISTING_ROWS 500
#define LISTING_COLUMNS 16

/* A list while it is printed, page by page, so that its length does not matter. A page's columns
 * are as wide as its rows need, and never narrower than those before. */
struct listing {
    const struct record *r; /* whose shown fields are the columns */
    bool json;
    struct arena *page;                               /* holds the cells below */
    const char *cells[LISTING_ROWS][LISTING_COLUMNS]; /* with `json` the first is the line */
    size_t rows, columns;
    size_t widths[LISTING_COLUMNS]; /* places on a terminal */
    bool headed;
};

/** Begin a list of `r`, of at most LISTING_COLUMNS shown fields. */
void listing_open(struct listing *l, const struct record *r, bool json);

/** Keep one row for the page, which has room for LISTING_ROWS. */
void listing_add(struct listing *l, const void *row);

/** Print the page. Apart from listing_add(), so that no answer of the database waits for whoever
 *  reads the output. */
void listing_print(struct listing *l);

/** Print the heads if there was no row at all, unless the reading `failed`, and free the memory. */
void listing_close(struct listing *l, bool failed);

/** Print one row: a line for each shown field, or one JSON object. */
void print_record(struct arena *a, const struct record *r, const void *row, bool json);

/* index.h -- what a search index holds of a table: its texts as terms, and the columns that lists
 * filter by. A program declares one for each list that can be searched; list.h hangs it on a list.
 *
 * The tables of an index, search_builds, search_rows, search_postings and search_ranges, are those
 * of sql/0008_search.sql.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/db/counter.h"

#define SEARCH_TEXTS_MAX 3
#define SEARCH_FILTERS_MAX 4
#define SEARCH_BLOCK 256u /* ordinals whose times are noted together */
#define SEARCH_SLICES_MAX 2
#define SEARCH_INDEXES_MAX 4 /* of a program */
#define SEARCH_RANGE                                                                               \
    65536u              /* ordinals of a row of search_ranges: a segment of the highest level      \
                         */
#define SEARCH_FORMAT 1 /* of all that is stored: another one when terms or blobs change */

enum search_kind {
    SEARCH_WORDS, /* whole words, all of them; query_of_words() */
    SEARCH_PART,  /* a part of one of the texts; query_of_part() */
};

/* A column that is a term, too, so that a search with a filter finds only rows that pass it. */
struct search_filter {
    const char *column; /* a UUID, or a number from 0 to 255 as `value` says */
    const char *value;  /* SQL for that number, "role + 0 - 1"; NULL: the column is a UUID */
};

/* Some of the rows, which an index of the database has in the order of created_at and id. */
struct search_slice {
    const char *condition, *index;
};

struct search_index {
    const struct counter *counter; /* whose journal names the rows that were written; its `table` is
                                      indexed, its `number` names the index */
    enum search_kind kind;
    const char *texts[SEARCH_TEXTS_MAX];              /* columns; NULL after the last */
    struct search_filter filters[SEARCH_FILTERS_MAX]; /* without a column after the last */
    struct search_slice slices[SEARCH_SLICES_MAX]; /* together all rows, each in one only; without
                                                      a condition after the last */
};

/* All of the program's, NULL at the end. */
extern const struct search_index *const search_indexes[];

/** The term of a filter: the number of it, and its value (16 bytes of a UUID, or one byte). */
uint32_t search_filter_term(unsigned filter, const void *value, size_t len);

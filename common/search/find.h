/* find.h -- which rows of a list may match a search, one after another in the order of created_at
 * and id; from an index that is written meanwhile.
 *
 *     rows that were written a moment ago (list_journal) ──────────────┐
 *     terms ── postings ── ordinals, in blocks ── search_rows ── keys ─┴─ in order
 *
 * Ordinals are given to rows as they are swept, nearly in the order of time, and nothing depends on
 * how nearly: of each block of 256 it is known when the first and the last of its rows were made,
 * and a row is handed out when no block that is left can have one before it. So rows that were
 * committed late, imported, or made by a clock that was wrong are in the right place without a rule
 * for each, and where blocks hardly overlap it costs nothing.
 *
 * What is read first is what is written last: the journal, then the times of blocks, then postings
 * of the lower levels, then of the highest. A row that is swept meanwhile is met twice, never not
 * at all; what is met twice has the same key and is dropped.
 *
 * What is handed out may match. Whether it does is for query_matches() to say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/instant.h"
#include "common/base/uuid.h"
#include "common/search/index.h"
#include "common/search/query.h"

struct arena;
struct db;
struct problem;
struct record;

#define SEARCH_TERMS_MAX 16   /* of a query; with more of them no less is found */
#define SEARCH_GONE_MAX 16384 /* rows that are gone, which one search passes over */

/* The key of a row. */
struct search_place {
    struct instant time; /* created_at */
    struct uuid id;
};

/* What to find. */
struct search_question {
    const struct search_index *index;
    struct query *query;
    uint32_t filters[SEARCH_FILTERS_MAX]; /* search_filter_term() of those that are given */
    size_t filter_count;
    bool oldest_first;
    bool after; /* only what comes after `place` */
    struct search_place place;
    struct instant from, before; /* when it was made */
};

struct search;

/** The query that `q` is for this index. */
struct query *search_query(struct arena *a, const struct search_index *index, struct text q);

/** Can it be looked up? A part of one or two characters cannot. */
bool search_is_indexed(const struct query *query, struct arena *a);

/** Begin; three or four statements. Lives as long as `a`. problem_unavailable when there is no
 *  index. */
struct problem *search_open(struct db *db, struct arena *a, const struct search_question *question,
                            struct search **ret) MUST_USE;

/** The next rows, at most `want`; fewer only at the end, or where search_stopped(). */
struct problem *search_next(struct search *s, size_t want, struct search_place *ret,
                            size_t *ret_count) MUST_USE;

/** Were so many rows gone that it does not go on? Whatever may match up to `ret` was handed out, so
 *  another search can begin after that. False at the end. */
bool search_stopped(const struct search *s, struct search_place *ret);

/** A row that was handed out has this key now: hand it out again in its place, if that comes. */
void search_again(struct search *s, struct search_place place);

/** How many blobs of the index were passed over because they were not whole: it misses rows. */
int64_t search_unreadable(const struct search *s);

/* ---- texts of rows ---- */

/* As a statement gives them that selects search_columns(). */
struct search_row {
    struct uuid id;
    struct instant created_at;
    struct text text0, text1, text2;
};

extern const struct record search_row_record;

/** "id, created_at, title AS text0, content AS text1" */
const char *search_columns(struct arena *a, const struct search_index *index);

bool search_row_matches(struct query *query, const struct search_index *index,
                        const struct search_row *row);

/** "?, ?, ?": so many. */
const char *search_marks(struct arena *a, size_t count);

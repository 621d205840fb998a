/* query.h -- what a search asks for: read once, looked up by terms, and held against each row.
 *
 *     struct query *query = query_of_words(a, q);
 *     struct terms terms = query_terms(query, a, max);  rows that have all of these may match
 *     query_matches(query, (struct text[]){title, content}, 2)  this one does
 *
 * The terms come from an index, which may be behind or find too much; what matches is decided by
 * query_matches() alone.
 */
#pragma once

#include <stdbool.h>

#include "common/search/terms.h"

/* A thing that must be there. */
enum need_kind {
    NEED_WORD,   /* a word that is this */
    NEED_PREFIX, /* a word that begins so */
    NEED_RUN,    /* these neighbours in a run */
    NEED_PART,   /* these neighbours anywhere */
};

struct need {
    enum need_kind kind;
    struct text text; /* folded */
};

struct query {
    const struct need *needs; /* none twice */
    size_t count;
    bool is_empty;      /* nothing was asked: every row matches */
    bool finds_nothing; /* something was asked, but no word is left: no row matches */
    struct query_memo *memo;
};

/**
 * Read `q` as words: all of them must occur in a row's texts.
 *
 * Words of less than TERM_WORD_MIN code points are ignored, and runs of less than TERM_RUN_MIN
 * letters. A star right after a word that is long enough, and with no letter right after it, lets
 * the word stand for all that begin so; any other star is a blank. Lives as long as `a`.
 */
struct query *query_of_words(struct arena *a, struct text q);

/** Read `q` as a part of any of a row's texts. Lives as long as `a`. */
struct query *query_of_part(struct arena *a, struct text q);

/**
 * The terms that each row has which matches; terms_of_words() or terms_of_parts() of its texts has
 * them all. None for a part of less than TERM_GRAM_POINTS code points. At most `max`: with fewer
 * terms more rows are found, never less.
 */
struct terms query_terms(const struct query *query, struct arena *a, size_t max);

/** Does a row with these texts match? Nothing spans two texts. They need not be folded. Keeps its
 *  memory in the query: at most four times the longest row, folded, however many rows there are. */
bool query_matches(struct query *query, const struct text *texts, size_t count);

/* folding.h -- the one form in which searches compare text, for writing and for asking alike.
 *
 * What identifies an account is compared by common/base/fold.h, which changes only case.
 */
#pragma once

#include <stdint.h>

#include "common/base/arena.h"

/**
 * `t` in the form in which searches compare it; null stays null.
 *
 * Letters are case folded (Unicode's simple folding: sharp s stays one letter), in compatibility
 * form (NFKC: full width, ligatures, superscripts and half-width kana become plain), and in Latin,
 * Greek and Cyrillic without marks, as on 0 to 9; elsewhere marks stay, composed with their letter.
 * Left out are marks that follow no letter, marks of one letter beyond the thirtieth, and what
 * shows nothing (soft hyphen, joiners, variation selectors). A byte that is no UTF-8 becomes a
 * blank.
 *
 * Folded text folds to itself. It is at most eleven times as long as `t`.
 */
struct text fold_text(struct arena *a, struct text t);

/* Memory for one folded text after another; zeroed to begin with. */
struct fold_room {
    char *data;
    size_t size;
};

/** As fold_text(), into `room`, which grows when it must; the text lives until the next call. */
struct text fold_into(struct arena *a, struct fold_room *room, struct text t);

/** Which Unicode this is, as "15.0.0". A later one folds letters that it adds, no others, so that
 *  an index made by an earlier one may miss words that have them. */
const char *fold_unicode(void);

/* How a code point of folded text counts in a search. */
enum point_kind {
    POINT_BLANK,
    POINT_WORD, /* a letter or digit */
    POINT_RUN,  /* a letter of scripts that write without blanks: Chinese, Japanese, Korean, Thai */
    POINT_MARK, /* belongs to the letter before it */
};

/** Read the code point at `at`, before `end`, into `*ret_kind`; its length in bytes. */
size_t point_at(const char *at, const char *end, enum point_kind *ret_kind);

/* fold.h -- text for searching: case folded, and cut into trigrams that a word index takes. */
#pragma once

#include "common/base/arena.h"

#define GRAM_POINTS 3 /* code points in one gram */
#define WORD_MIN 3    /* innodb_ft_min_token_size, code points */
#define WORD_MAX 84   /* innodb_ft_max_token_size */

/** `t` with every letter in lower case (Unicode's simple mapping); null stays null. */
struct text fold(struct arena *a, struct text t);

/** The grams of folded text, each as one word of ASCII with `before` in front, separated by
 *  spaces, at most `max` of them; empty for less than three code points. */
const char *fold_grams(struct arena *a, struct text folded, const char *before, size_t max);

/** `%t%` for LIKE, with `%`, `_` and `\` in `t` standing for themselves. */
struct text like_pattern(struct arena *a, struct text t);

/**
 * The words of `q` as a boolean full-text query that asks for all of them: `+foo +bar`.
 *
 * Words are runs of letters, digits and underscores, as InnoDB cuts them; those below three
 * characters are left out, as they are not in the index. Empty when none is left, and when
 * one is longer than the index takes: then nothing can be found by it.
 */
const char *match_all_words(struct arena *a, struct text q);

/* terms.h -- what a text is found by: its words, beginnings of words, pairs and grams, as numbers.
 *
 *     "Café 漢字!"  folds to  "cafe 漢字!"     (folding.h)
 *                  pieces    cafe, 漢字       a word, a run
 *                  terms     w cafe, p caf, r 漢字, each hashed to 32 bits
 *
 * An index keeps terms, for ever: what is hashed here, and how, is part of its format. Two terms
 * may have one number, so that an index finds too much, never too little; query.h holds each row
 * that was found against the query itself.
 */
#pragma once

#include <stdint.h>

#include "common/base/arena.h"

/* The first byte of what is hashed, so that a word and a pair of the same letters are two terms. */
enum term_kind {
    TERM_WORD = 'w',   /* a whole word */
    TERM_PREFIX = 'p', /* its first TERM_PREFIX_SHORT or TERM_PREFIX_LONG characters */
    TERM_PAIR = 'r',   /* two neighbours in a run */
    TERM_GRAM = 'g',   /* three neighbours, whatever they are */
    TERM_FILTER = 'f', /* no text: an author, a tag */
};

#define TERM_WORD_MIN 3 /* code points; shorter words are not searched for */
#define TERM_RUN_MIN 2  /* letters; shorter runs are not */
#define TERM_GRAM_POINTS 3

/* Two lengths suffice: of what begins with five given characters little does not begin with the
 * sixth, too. A term for each length would make the index twice as large again. */
#define TERM_PREFIX_SHORT 3
#define TERM_PREFIX_LONG 5

/** The number of a term: FNV-1a with 64 bits over the byte `kind` and the `len` bytes at `data`,
 *  then h ^= h >> 32, h *= 0x9E3779B97F4A7C15, and of that the upper half. */
uint32_t term_of(enum term_kind kind, const char *data, size_t len);

/* Ascending, none twice. */
struct terms {
    const uint32_t *list;
    size_t count;
};

/** The terms that a search for words finds `texts` by. They are folded here; null has none. A text
 *  of 64 KiB has some 33,000 at most. */
struct terms terms_of_words(struct arena *a, const struct text *texts, size_t count);

/** The terms that a search for a part of any of `texts` finds them by; none spans two. */
struct terms terms_of_parts(struct arena *a, const struct text *texts, size_t count);

/* ---- what they are made of ---- */

enum piece_kind {
    PIECE_END,
    PIECE_WORD, /* letters, digits and marks */
    PIECE_RUN,  /* letters that are written without blanks, and their marks */
};

struct piece {
    enum piece_kind kind;
    const char *data;
    size_t len;
    size_t points;  /* code points */
    size_t letters; /* the same without marks */
};

/** Take the next piece from folded text, however short, and shorten `rest` to what is after it. */
struct piece piece_next(struct text *rest);

/** How many bytes the first `points` code points of a piece have; all of it, when it has fewer. */
size_t piece_bytes(const struct piece *piece, size_t points);

/* ---- for those who gather terms of their own ---- */

struct term_list {
    uint32_t *terms;
    size_t count, room;
};

void term_add(struct arena *a, struct term_list *list, uint32_t term);

/** Each `width` neighbouring code points of `folded`. */
void term_add_grams(struct arena *a, struct term_list *list, enum term_kind kind,
                    struct text folded, size_t width);

/** Sort `list` and drop what is there twice. Borrows from it. */
struct terms term_list_close(struct arena *a, struct term_list *list);

#include "common/search/terms.h"

#include <string.h>

#include "common/base/utf8.h"
#include "common/search/folding.h"

uint32_t term_of(enum term_kind kind, const char *data, size_t len)
{
    const uint64_t prime = 0x100000001B3;
    uint64_t h = (0xCBF29CE484222325 ^ (unsigned char)kind) * prime;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)data[i]) * prime;
    h ^= h >> 32;
    h *= 0x9E3779B97F4A7C15;
    return (uint32_t)(h >> 32);
}

/* ---- pieces ---- */

/* Most letters, without a call. */
static size_t kind_at(const char *at, const char *end, enum point_kind *ret_kind)
{
    unsigned char c = (unsigned char)*at;
    if ((c >= 'a' && c <= 'z') || c == ' ') {
        *ret_kind = c == ' ' ? POINT_BLANK : POINT_WORD;
        return 1;
    }
    return point_at(at, end, ret_kind);
}

struct piece piece_next(struct text *rest)
{
    struct piece piece = {PIECE_END, rest->data, 0, 0, 0};
    enum point_kind kind;
    if (rest->len == 0)
        return piece;
    const char *at = rest->data, *end = rest->data + rest->len;
    for (size_t n; at < end; at += n) {
        n = kind_at(at, end, &kind);
        if (piece.kind == PIECE_END && kind != POINT_BLANK) {
            piece.data = at;
            piece.kind = kind == POINT_RUN ? PIECE_RUN : PIECE_WORD;
        } else if (piece.kind != PIECE_END && kind != POINT_MARK &&
                   kind != (piece.kind == PIECE_RUN ? POINT_RUN : POINT_WORD)) {
            break;
        }
        piece.points += kind != POINT_BLANK;
        piece.letters += kind == POINT_WORD || kind == POINT_RUN;
    }
    piece.len = piece.kind == PIECE_END ? 0 : (size_t)(at - piece.data);
    *rest = (struct text){at, (size_t)(end - at)};
    return piece;
}

/* How many bytes the code point at `at` has, whether it is well-formed or not. */
static size_t step(const char *at, size_t room)
{
    size_t n = utf8_sequence(at, room);
    return n ? n : 1;
}

static size_t bytes_of_points(const char *data, size_t len, size_t points)
{
    size_t bytes = 0;
    for (; points > 0 && bytes < len; points--)
        bytes += step(data + bytes, len - bytes);
    return bytes;
}

size_t piece_bytes(const struct piece *piece, size_t points)
{
    return bytes_of_points(piece->data, piece->len, points);
}

/* ---- lists ---- */

void term_add(struct arena *a, struct term_list *list, uint32_t term)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 256;
        uint32_t *terms = arena_array(a, room, sizeof *terms);
        if (list->count)
            memcpy(terms, list->terms, list->count * sizeof *terms);
        *list = (struct term_list){terms, list->count, room};
    }
    list->terms[list->count++] = term;
}

/* By one byte of each, so that a list of tens of thousands takes no longer than reading its text.
 */
static void sort_by_byte(const uint32_t *from, size_t count, unsigned shift, uint32_t *ret)
{
    size_t begin[256] = {0}, sum = 0;
    for (size_t i = 0; i < count; i++)
        begin[from[i] >> shift & 0xFF]++;
    for (size_t byte = 0; byte < 256; byte++) {
        size_t n = begin[byte];
        begin[byte] = sum;
        sum += n;
    }
    for (size_t i = 0; i < count; i++)
        ret[begin[from[i] >> shift & 0xFF]++] = from[i];
}

struct terms term_list_close(struct arena *a, struct term_list *list)
{
    if (list->count == 0)
        return (struct terms){NULL, 0};
    uint32_t *other = arena_array(a, list->count, sizeof *other), *terms = list->terms;
    for (unsigned shift = 0; shift < 32; shift += 16) {
        sort_by_byte(terms, list->count, shift, other);
        sort_by_byte(other, list->count, shift + 8, terms);
    }
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++)
        if (terms[i] != terms[kept - 1])
            terms[kept++] = terms[i];
    list->count = kept;
    return (struct terms){terms, kept};
}

void term_add_grams(struct arena *a, struct term_list *list, enum term_kind kind,
                    struct text folded, size_t width)
{
    size_t len = bytes_of_points(folded.data, folded.len, width - 1);
    for (size_t at = 0; at + len < folded.len;) {
        len += step(folded.data + at + len, folded.len - at - len);
        term_add(a, list, term_of(kind, folded.data + at, len));
        size_t first = step(folded.data + at, folded.len - at);
        at += first;
        len -= first;
    }
}

/* ---- of texts ---- */

static void add_word(struct arena *a, struct term_list *list, const struct piece *word)
{
    static const size_t prefixes[] = {TERM_PREFIX_SHORT, TERM_PREFIX_LONG};
    term_add(a, list, term_of(TERM_WORD, word->data, word->len));
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (word->points >= prefixes[i])
            term_add(a, list, term_of(TERM_PREFIX, word->data, piece_bytes(word, prefixes[i])));
}

struct terms terms_of_words(struct arena *a, const struct text *texts, size_t count)
{
    struct term_list list = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        struct text rest = fold_text(a, texts[i]);
        struct piece piece;
        while ((piece = piece_next(&rest)).kind != PIECE_END)
            if (piece.kind == PIECE_RUN)
                term_add_grams(a, &list, TERM_PAIR, (struct text){piece.data, piece.len}, 2);
            else if (piece.points >= TERM_WORD_MIN)
                add_word(a, &list, &piece);
    }
    return term_list_close(a, &list);
}

struct terms terms_of_parts(struct arena *a, const struct text *texts, size_t count)
{
    struct term_list list = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++)
        term_add_grams(a, &list, TERM_GRAM, fold_text(a, texts[i]), TERM_GRAM_POINTS);
    return term_list_close(a, &list);
}

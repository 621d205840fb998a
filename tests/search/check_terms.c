#include "common/search/terms.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/search/folding.h"
#include "tests/support/suite.h"

static struct arena *a;

static void set_up(void)
{
    a = arena_open((size_t)64 * 1024 * 1024);
}

static void tear_down(void)
{
    arena_close(a);
}

static bool has(struct terms terms, uint32_t term)
{
    for (size_t i = 0; i < terms.count; i++)
        if (terms.list[i] == term)
            return true;
    return false;
}

static bool has_term(struct terms terms, enum term_kind kind, const char *s)
{
    return has(terms, term_of(kind, s, strlen(s)));
}

static struct terms words_of(const char *text)
{
    struct text t = text_of(text);
    return terms_of_words(a, &t, 1);
}

static struct terms parts_of(const char *text)
{
    struct text t = text_of(text);
    return terms_of_parts(a, &t, 1);
}

/* ---- numbers ---- */

/* By another program than this one. They are stored: if one changes, no index is right any more. */
static const struct {
    enum term_kind kind;
    const char *text;
    uint32_t term;
} numbers[] = {
    {TERM_WORD, "", 0xB0200282},
    {TERM_WORD, "cafe", 0x6CD45F93},
    {TERM_PREFIX, "caf", 0x8AC61227},
    {TERM_PAIR, "\u6F22\u5B57", 0xF54EF1CD},
    {TERM_GRAM, "a@b", 0x3778E568},
    {TERM_FILTER, "cafe", 0x4E3D123A},
    {TERM_WORD, "\u03B3\u03B9\u03B1\u03BD\u03BD\u03B7\u03C3", 0x57D1E69B},
};

CASE("numbers", set_up, tear_down);

TEST_EACH(a_term_has_the_same_number_for_ever, numbers)
{
    ck_assert_uint_eq(term_of(numbers[_i].kind, numbers[_i].text, strlen(numbers[_i].text)),
                      numbers[_i].term);
}

TEST(words_of_three_letters_have_numbers_of_their_own)
{
    struct term_list list = {NULL, 0, 0};
    for (int i = 0; i < 26 * 26 * 26; i++) {
        char word[] = {(char)('a' + i / 676), (char)('a' + i / 26 % 26), (char)('a' + i % 26)};
        term_add(a, &list, term_of(TERM_WORD, word, sizeof word));
    }
    ck_assert_uint_eq(term_list_close(a, &list).count, 26 * 26 * 26);
}

TEST(a_list_is_sorted_and_has_none_twice)
{
    struct term_list list = {NULL, 0, 0};
    for (uint32_t i = 0; i < 3000; i++)
        term_add(a, &list, i % 1000 * 0x89ABCDE1);

    struct terms terms = term_list_close(a, &list);

    ck_assert_uint_eq(terms.count, 1000);
    for (size_t i = 1; i < terms.count; i++)
        ck_assert_uint_lt(terms.list[i - 1], terms.list[i]);
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert(has(terms, i * 0x89ABCDE1));
}

TEST(an_empty_list_has_no_terms)
{
    struct term_list list = {NULL, 0, 0};
    ck_assert_uint_eq(term_list_close(a, &list).count, 0);
}

/* ---- pieces ---- */

/* A word in angles, a run in brackets. */
static const struct {
    const char *text, *pieces;
} cuts[] = {
    {"", ""},
    {" .,!\u2028\u2764 ", ""},
    {"Two words", "<two><words>"},
    {"foo_bar don't a-b x.y@z", "<foo><bar><don><t><a><b><x><y><z>"},
    {"one,two;3.14", "<one><two><3><14>"},
    {"abc\u6F22\u5B57def", "<abc>[\u6F22\u5B57]<def>"},
    {"\u6F22", "[\u6F22]"},
    {"\u6F22\u5B57\u3068\u304B\u306A\u3001\u30AB\u30CA",
     "[\u6F22\u5B57\u3068\u304B\u306A][\u30AB\u30CA]"},
    {"\u30B3\u30FC\u30D2\u30FC \u4EBA\u3005 \u3007\u4E00",
     "[\u30B3\u30FC\u30D2\u30FC][\u4EBA\u3005][\u3007\u4E00]"},
    {"\uFF76\uFF9E\uFF77\uFF61\uFF76", "[\u30AC\u30AD][\u30AB]"},
    {"\uD55C\uAD6D\uC5B4 \uAE00", "[\uD55C\uAD6D\uC5B4][\uAE00]"},
    {"\u0E17\u0E35\u0E48\u0E19\u0E35\u0E48 abc", "[\u0E17\u0E35\u0E48\u0E19\u0E35\u0E48]<abc>"},
    {"\u0E1B\u0E352567", "[\u0E1B\u0E35]<2567>"},
    {"\u0E1B\u0E35\u0E52\u0E55", "[\u0E1B\u0E35]<\u0E52\u0E55>"}, /* digits make words */
    {"\u0939\u093F\u0928\u094D\u0926\u0940 \u092E\u0947\u0902",
     "<\u0939\u093F\u0928\u094D\u0926\u0940><\u092E\u0947\u0902>"},
    {"\u05E9\u05B8\u05DC\u05D5\u05DD", "<\u05E9\u05B8\u05DC\u05D5\u05DD>"},
    {"\u0EA5\u0EB2\u0EA7 \u1781\u17D2\u1798\u17C2\u179A",
     "<\u0EA5\u0EB2\u0EA7><\u1781\u17D2\u1798\u17C2\u179A>"},
    {"a\u200Bb \u00ADa\u00ADb", "<a><b><ab>"},
    {"\u337F\u00BD", "[\u682A\u5F0F\u4F1A\u793E]<1><2>"},
    {"\u304B\u3099 \u3042\u3099", "[\u304C][\u3042\u3099]"},
    {"bad\xFFtext", "<bad><text>"},
};

CASE("pieces", set_up, tear_down);

TEST_EACH(text_is_cut_into_words_and_runs, cuts)
{
    const char *pieces = "";
    struct text rest = fold_text(a, text_of(cuts[_i].text));
    struct piece piece;

    while ((piece = piece_next(&rest)).kind != PIECE_END)
        pieces = arena_printf(a, piece.kind == PIECE_RUN ? "%s[%.*s]" : "%s<%.*s>", pieces,
                              (int)piece.len, piece.data);

    ck_assert_str_eq(pieces, cuts[_i].pieces);
    ck_assert_uint_eq(rest.len, 0);
    ck_assert_int_eq(piece_next(&rest).kind, PIECE_END);
}

TEST(a_piece_counts_its_points_and_letters)
{
    struct text rest = TEXT("\u0939\u093F\u0928\u094D\u0926\u0940");
    struct piece piece = piece_next(&rest);

    ck_assert_uint_eq(piece.points, 6);
    ck_assert_uint_eq(piece.letters, 3);
    ck_assert_uint_eq(piece_bytes(&piece, 2), 6);
    ck_assert_uint_eq(piece_bytes(&piece, 99), piece.len);
}

TEST(nothing_has_no_pieces)
{
    struct text rest = {NULL, 0};
    ck_assert_int_eq(piece_next(&rest).kind, PIECE_END);
}

/* ---- terms of words ---- */

CASE("words", set_up, tear_down);

TEST(a_word_gives_itself_and_its_beginnings)
{
    struct terms terms = words_of("Caf\u00E9s");

    ck_assert_uint_eq(terms.count, 3);
    ck_assert(has_term(terms, TERM_WORD, "cafes"));
    ck_assert(has_term(terms, TERM_PREFIX, "caf"));
    ck_assert(has_term(terms, TERM_PREFIX, "cafes"));
}

TEST(a_short_word_begins_with_itself)
{
    struct terms terms = words_of("abc");

    ck_assert_uint_eq(terms.count, 2);
    ck_assert(has_term(terms, TERM_WORD, "abc"));
    ck_assert(has_term(terms, TERM_PREFIX, "abc"));
}

TEST(words_that_are_too_short_give_none)
{
    ck_assert_uint_eq(words_of("ab c 12 \u00E9\u0301a").count, 0);
}

TEST(a_run_gives_its_pairs)
{
    struct terms terms = words_of("\u6F22\u5B57\u6F22");

    ck_assert_uint_eq(terms.count, 2);
    ck_assert(has_term(terms, TERM_PAIR, "\u6F22\u5B57"));
    ck_assert(has_term(terms, TERM_PAIR, "\u5B57\u6F22"));
}

TEST(one_letter_alone_gives_none)
{
    ck_assert_uint_eq(words_of("\u6F22 \uAE00,\u304B\u3099").count, 0);
}

TEST(no_pair_spans_what_ends_a_run)
{
    struct terms terms = words_of("\u6F22\u5B57\u3002\u4EBA\u540D");

    ck_assert_uint_eq(terms.count, 2);
    ck_assert(!has_term(terms, TERM_PAIR, "\u5B57\u4EBA"));
}

TEST(title_and_content_give_one_list)
{
    struct text texts[] = {TEXT("one two"), {NULL, 0}, TEXT(""), TEXT("Two ONE six")};
    struct terms terms = terms_of_words(a, texts, COUNT(texts));

    ck_assert_uint_eq(terms.count, 6);
    ck_assert(!has_term(terms, TERM_WORD, "twotwo"));
    ck_assert(has_term(terms, TERM_WORD, "six"));
}

/* ---- terms of parts ---- */

CASE("parts", set_up, tear_down);

TEST(three_neighbours_make_a_gram)
{
    struct terms terms = parts_of("\u00C9va@x");

    ck_assert_uint_eq(terms.count, 3);
    ck_assert(has_term(terms, TERM_GRAM, "eva"));
    ck_assert(has_term(terms, TERM_GRAM, "va@"));
    ck_assert(has_term(terms, TERM_GRAM, "a@x"));
}

TEST(less_than_three_make_none)
{
    ck_assert_uint_eq(parts_of("").count, 0);
    ck_assert_uint_eq(parts_of("ab").count, 0);
    ck_assert_uint_eq(parts_of("\u00DF\u00DF").count, 0);
}

TEST(no_gram_spans_two_texts)
{
    struct text texts[] = {TEXT("abc"), TEXT("def"), {NULL, 0}};
    struct terms terms = terms_of_parts(a, texts, COUNT(texts));

    ck_assert_uint_eq(terms.count, 2);
}

/* ---- hostile texts ---- */

static struct text long_text(size_t (*put)(char *at, int i))
{
    char *text = arena_alloc(a, 65535 + 16);
    size_t len = 0, n = 0;
    for (int i = 0; len + n <= 65535; i++)
        len += n = put(text + len, i);
    return (struct text){text, len};
}

static size_t put_words(char *at, int i)
{
    memcpy(at,
           (char[]){(char)('a' + i % 26), (char)('a' + i / 26 % 26), (char)('a' + i / 676), ' '},
           4);
    return 4;
}

static size_t put_letter(char *at, int i)
{
    *at = (char)('a' + i % 26);
    return 1;
}

static size_t put_han(char *at, int i)
{
    unsigned c = 0x4E00 + (unsigned)i * 7919 % 20000;
    memcpy(at,
           (char[]){(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))},
           3);
    return 3;
}

CASE("hostile", set_up, tear_down);

TEST(distinct_words_are_all_there)
{
    struct text text = long_text(put_words);
    ck_assert_uint_eq(terms_of_words(a, &text, 1).count, 2 * (65535 / 4));
}

TEST(one_long_word_is_one_word)
{
    struct text text = long_text(put_letter);
    struct terms terms = terms_of_words(a, &text, 1);

    ck_assert_uint_eq(terms.count, 3);
    ck_assert(has(terms, term_of(TERM_WORD, text.data, text.len)));
}

TEST(distinct_pairs_are_all_there)
{
    struct text text = long_text(put_han);
    ck_assert_uint_eq(terms_of_words(a, &text, 1).count, 20000);
}

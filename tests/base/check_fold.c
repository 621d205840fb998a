#include "common/base/fold.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/utf8.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* ---- folding ---- */

static const struct {
    const char *text, *folded;
} folds[] = {
    {"", ""},
    {"abc", "abc"},
    {"ABC xyz 123 !?_", "abc xyz 123 !?_"},
    {"\xC3\x84\xC3\x96\xC3\x9C", "\xC3\xA4\xC3\xB6\xC3\xBC"}, /* Latin with marks */
    {"\xC3\x9F", "\xC3\x9F"},                                 /* sharp s stays */
    {"\xE1\xBA\x9E", "\xC3\x9F"},                             /* capital sharp s */
    {"\xCE\xA3\xCE\x91\xCF\x82", "\xCF\x83\xCE\xB1\xCF\x82"}, /* Greek; final sigma stays */
    {"\xD0\x96\xD0\xAF", "\xD0\xB6\xD1\x8F"},                 /* Cyrillic */
    {"\xD5\x80", "\xD5\xB0"},                                 /* Armenian */
    {"\xE2\x84\xAA", "k"},                                    /* the Kelvin sign: shorter */
    {"\xC8\xBA", "\xE2\xB1\xA5"},                             /* A with stroke: longer */
    {"\xF0\x90\x90\x80", "\xF0\x90\x90\xA8"},                 /* Deseret, past 16 bits */
    {"\xE6\x97\xA5\xE6\x9C\xAC", "\xE6\x97\xA5\xE6\x9C\xAC"}, /* no case at all */
    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
    {"\xEF\xBC\xA1", "\xEF\xBD\x81"}, /* full width */
};

CASE("fold", scratch_open, scratch_close);

TEST_EACH(letters_of_all_scripts_are_folded, folds)
{
    struct text folded = fold(a, text_of(folds[_i].text));

    ck_assert_str_eq(folded.data, folds[_i].folded);
    ck_assert_uint_eq(folded.len, strlen(folds[_i].folded));
}

TEST(folding_twice_is_folding_once)
{
    for (unsigned c = 0x80; c < 0x20000; c++) {
        char text[5] = {0};
        if (c < 0x800)
            memcpy(text, (char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 63))}, 2);
        else if (c < 0x10000)
            memcpy(text,
                   (char[]){(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 63)),
                            (char)(0x80 | (c & 63))},
                   3);
        else
            memcpy(text,
                   (char[]){(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                            (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))},
                   4);
        if (!utf8_is_clean(text, strlen(text)))
            continue; /* surrogates */
        struct text once = fold(a, text_of(text)), twice = fold(a, once);
        ck_assert_msg(utf8_is_clean(once.data, once.len), "U+%04X", c);
        ck_assert_msg(utf8_length(once.data, once.len) == 1, "U+%04X", c);
        ck_assert_msg(text_equal(once, twice), "U+%04X", c);
        if (c % 0x1000 == 0)
            arena_reset(a);
    }
}

TEST(null_stays_null)
{
    ck_assert_ptr_null(fold(a, (struct text){NULL, 0}).data);
}

TEST(text_that_grows_by_folding_fits)
{
    char *text = arena_alloc(a, 2001);
    for (int i = 0; i < 1000; i++)
        memcpy(text + 2 * i, "\xC8\xBA", 2);

    struct text folded = fold(a, text_of(text));

    ck_assert_uint_eq(folded.len, 3000);
    ck_assert_mem_eq(folded.data + 2997, "\xE2\xB1\xA5", 3);
}

/* ---- grams ---- */

static const struct {
    const char *text, *before;
    size_t max;
    const char *words;
} grams[] = {
    {"", "", 100, ""},
    {"ab", "", 100, ""},
    {"abc", "", 100, "x616263"},
    {"abcd", "", 100, "x616263 x626364"},
    {"abcde", "+", 100, "+x616263 +x626364 +x636465"},
    {"abcde", "", 2, "x616263 x626364"},
    {"abcde", "", 0, ""},
    {"a@b", "", 100, "x614062"},
    {"a b", "", 100, "x612062"},
    {"+-*", "", 100, "x2b2d2a"},
    {"\xC3\xA9\xC3\xA9", "", 100, ""},
    {"\xC3\xA9\xC3\xA9z", "", 100, "xc3a9c3a97a"},
    {"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "+", 100, "+xf09f9880f09f9880f09f9880"},
};

TEST_EACH(every_three_code_points_make_one_word, grams)
{
    ck_assert_str_eq(fold_grams(a, text_of(grams[_i].text), grams[_i].before, grams[_i].max),
                     grams[_i].words);
}

TEST(nothing_has_no_grams)
{
    ck_assert_str_eq(fold_grams(a, (struct text){NULL, 0}, "+", 10), "");
}

TEST(grams_are_words_that_no_index_drops)
{
    static const char allowed[] = "x0123456789abcdef ";
    const char *words = fold_grams(a, TEXT("the and \"<>~@*()' \xE6\x97\xA5\xE6\x9C\xAC"), "", 99);

    ck_assert_uint_eq(strspn(words, allowed), strlen(words));
    for (const char *word = words; *word; word += strcspn(word, " ")) {
        word += *word == ' ';
        ck_assert_int_eq(*word, 'x');
        ck_assert_uint_ge(strcspn(word, " "), 7);
    }
}

/* The reason for grams: a text holds a part exactly when it holds the part's bytes, and then
 * it has all grams of the part. */
TEST(a_text_has_all_grams_of_all_its_parts)
{
    static const char text[] = "user.name+tag@example.org";
    const char *all = arena_printf(a, " %s ", fold_grams(a, text_of(text), "", 1000));
    for (size_t from = 0; from + 3 <= sizeof text - 1; from++) {
        for (size_t len = 3; from + len <= sizeof text - 1; len++) {
            char *parts = arena_strdup(a, fold_grams(a, (struct text){text + from, len}, "", 1000));
            for (char *gram = strtok(parts, " "); gram; gram = strtok(NULL, " "))
                ck_assert_ptr_nonnull(strstr(all, arena_printf(a, " %s ", gram)));
        }
    }
}

/* ---- LIKE ---- */

static const struct {
    const char *text, *pattern;
} patterns[] = {
    {"", "%%"},           {"abc", "%abc%"},
    {"100%", "%100\\%%"}, {"a_b", "%a\\_b%"},
    {"a\\b", "%a\\\\b%"}, {"%_\\", "%\\%\\_\\\\%"},
    {"'; --", "%'; --%"}, {"\xC3\xA9%", "%\xC3\xA9\\%%"},
};

TEST_EACH(like_takes_the_text_for_itself, patterns)
{
    struct text pattern = like_pattern(a, text_of(patterns[_i].text));

    ck_assert_str_eq(pattern.data, patterns[_i].pattern);
    ck_assert_uint_eq(pattern.len, strlen(patterns[_i].pattern));
}

/* ---- words ---- */

static const struct {
    const char *text, *query;
} queries[] = {
    {"", ""},
    {"   ", ""},
    {"foo", "+foo"},
    {"foo bar", "+foo +bar"},
    {"  foo\tbar\n", "+foo +bar"},
    {"a ab abc", "+abc"},
    {"to be or", ""},
    {"foo_bar x1y2", "+foo_bar +x1y2"},
    {"foo-bar", "+foo +bar"},
    {"don't", "+don"},
    {"one,two;three.four", "+one +two +three +four"},
    {"\xC3\xA9t\xC3\xA9 \xC3\xA9t", "+\xC3\xA9t\xC3\xA9"}, /* code points count, not bytes */
    {"\xD0\xBC\xD0\xB8\xD1\x80", "+\xD0\xBC\xD0\xB8\xD1\x80"},
    {"foo\xE2\x80\x94zoo", "+foo +zoo"}, /* a dash */
    {"foo\xC2\xA0zoo", "+foo +zoo"},     /* a space that does not break */
    {"foo\xF0\x9F\x98\x80zoo", "+foo +zoo"},
    /* the operators of boolean mode: MariaDB's page Full-Text Index Overview */
    {"+foo -bar", "+foo +bar"},
    {"foo*", "+foo"},
    {"\"foo bar\"", "+foo +bar"},
    {"(foo) <bar >baz ~qux", "+foo +bar +baz +qux"},
    {"\"foo bar\" @3", "+foo +bar"},
    {"+++---***\"\"(()", ""},
    {"foo\\bar%baz'", "+foo +bar +baz"},
};

TEST_EACH(all_words_are_asked_for_and_nothing_else_gets_in, queries)
{
    ck_assert_str_eq(match_all_words(a, text_of(queries[_i].text)), queries[_i].query);
}

TEST(no_words_come_out_of_null)
{
    ck_assert_str_eq(match_all_words(a, (struct text){NULL, 0}), "");
}

/* A plus may stand only in front of a word of three or more, after a space or at the start. */
static bool is_plain_query(const char *q)
{
    while (*q == '+') {
        size_t len = strcspn(++q, " +-*\"()<>~@'\\%\n\t");
        if (utf8_length(q, len) < 3)
            return false;
        q += len;
        if (*q == ' ')
            q++;
    }
    return *q == '\0';
}

TEST(no_random_text_brings_in_an_operator)
{
    static const char letters[] = "abAB01_+-*\"()<>~@' \\%\n\t";
    unsigned seed = (unsigned)time(NULL), now = seed;
    for (int round = 0; round < 20000; round++) {
        char text[40] = {0};
        size_t len = (size_t)rand_r(&now) % (sizeof text - 1);
        for (size_t i = 0; i < len; i++)
            text[i] = letters[(size_t)rand_r(&now) % (sizeof letters - 1)];

        const char *query = match_all_words(a, (struct text){text, len});

        ck_assert_msg(is_plain_query(query), "%s from %s, seed %u", query, text, seed);
        arena_reset(a);
    }
}

#include "common/search/query.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/search/folding.h"
#include "tests/support/suite.h"

static struct arena *a;

static void set_up(void)
{
    a = arena_open((size_t)256 * 1024 * 1024);
}

static void tear_down(void)
{
    arena_close(a);
}

#define ALL ((size_t)-1)

/* ---- reading ---- */

static const char marks[] = {
    [NEED_WORD] = '=', [NEED_PREFIX] = '^', [NEED_RUN] = '~', [NEED_PART] = '%'};

static const char *tell(const struct query *query)
{
    const char *told = query->is_empty ? "empty" : query->finds_nothing ? "nothing" : "";
    for (size_t i = 0; i < query->count; i++)
        told = arena_printf(a, "%s%s%c%.*s", told, i ? " " : "", marks[query->needs[i].kind],
                            (int)query->needs[i].text.len, query->needs[i].text.data);
    return told;
}

static const struct {
    const char *q, *needs;
} queries[] = {
    {"", "empty"},
    {" ", "nothing"},
    {"***", "nothing"},
    {"ab", "nothing"},
    {"ab*", "nothing"},
    {"a b! cd", "nothing"},
    {"\u6F22", "nothing"},
    {"\u0301", "nothing"},
    {"\u0E01\u0E47", "nothing"}, /* a letter and a mark are not two letters */
    {"Foo", "=foo"},
    {"foo bar", "=foo =bar"},
    {"foo FOO f\u00F2\u00F3", "=foo"},
    {"foo ab", "=foo"},
    {"foo*", "^foo"},
    {"foo* foo", "^foo =foo"},
    {"foo**", "^foo"},
    {"foo*, bar", "^foo =bar"},
    {"*foo", "=foo"},
    {"*foo*", "^foo"},
    {"foo *", "=foo"},
    {"f*o", "nothing"},
    {"fo*", "nothing"},
    {"foo*bar", "=foo =bar"},
    {"foo*bar*", "=foo ^bar"},
    {"foo*-bar", "^foo =bar"},
    {"foo\uFF0A", "^foo"}, /* a star of full width */
    {"\u0393\u0399\u0386*", "^\u03B3\u03B9\u03B1"},
    {"caf\u00E9*", "^cafe"},
    {"cafe\u0301*", "^cafe"},
    {"\u6F22\u5B57", "~\u6F22\u5B57"},
    {"\u6F22\u5B57*", "~\u6F22\u5B57"}, /* it is a part of text anyway */
    {"\u6F22*\u5B57", "nothing"},
    {"foo*\u6F22\u5B57", "=foo ~\u6F22\u5B57"},
    {"abc\u6F22\u5B57x\u4EBA", "=abc ~\u6F22\u5B57"},
    {"\u0E01\u0E32*", "~\u0E01\u0E32"},
    {"+foo -bar \"baz qux\" (~x)", "=foo =bar =baz =qux"},
    {"foo_bar don't", "=foo =bar =don"},
    {"\xFF"
     "foo\x80",
     "=foo"},
};

CASE("reading", set_up, tear_down);

TEST_EACH(a_query_becomes_what_must_be_there, queries)
{
    ck_assert_str_eq(tell(query_of_words(a, text_of(queries[_i].q))), queries[_i].needs);
}

static const struct {
    const char *q, *needs;
} part_queries[] = {
    {"", "empty"}, {"Ad", "%ad"},         {"\u00C9va*", "%eva*"},
    {" ", "% "},   {"\u00AD", "nothing"}, {"_%\\", "%_%\\"},
};

TEST_EACH(a_part_is_taken_as_it_is_folded, part_queries)
{
    ck_assert_str_eq(tell(query_of_part(a, text_of(part_queries[_i].q))), part_queries[_i].needs);
}

TEST(null_asks_nothing)
{
    ck_assert(query_of_words(a, (struct text){NULL, 0})->is_empty);
    ck_assert(query_of_part(a, (struct text){NULL, 0})->is_empty);
}

TEST(fifty_words_are_fifty_needs)
{
    char q[201] = "";
    for (int i = 0; i < 50; i++)
        sprintf(q + 4 * i, "%c%c%c ", 'a' + i % 26, 'a' + i / 26, 'x');

    struct query *query = query_of_words(a, text_of(q));

    ck_assert_uint_eq(query->count, 50);
    ck_assert(query_matches(query, (struct text[]){text_of(q)}, 1));
    q[0] = '-';
    ck_assert(!query_matches(query, (struct text[]){text_of(q)}, 1));
}

/* ---- terms ---- */

CASE("terms", set_up, tear_down);

static struct terms terms_of(const char *q)
{
    return query_terms(query_of_words(a, text_of(q)), a, ALL);
}

static uint32_t number(enum term_kind kind, const char *s)
{
    return term_of(kind, s, strlen(s));
}

TEST(each_need_is_looked_up)
{
    struct {
        const char *q;
        enum term_kind kind;
        const char *term;
    } rows[] = {
        {"Word", TERM_WORD, "word"},          {"wor*", TERM_PREFIX, "wor"},
        {"word*", TERM_PREFIX, "wor"},        {"wordy*", TERM_PREFIX, "wordy"},
        {"wordyness*", TERM_PREFIX, "wordy"}, {"\u6F22\u5B57", TERM_PAIR, "\u6F22\u5B57"},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        struct terms terms = terms_of(rows[i].q);
        ck_assert_uint_eq(terms.count, 1);
        ck_assert_uint_eq(terms.list[0], number(rows[i].kind, rows[i].term));
    }
}

TEST(a_run_is_looked_up_by_all_its_pairs)
{
    ck_assert_uint_eq(terms_of("\u6F22\u5B57\u4EBA\u540D").count, 3);
}

TEST(a_short_part_has_no_terms)
{
    ck_assert_uint_eq(query_terms(query_of_part(a, TEXT("ab")), a, ALL).count, 0);
    ck_assert_uint_eq(query_terms(query_of_part(a, TEXT("abcd")), a, ALL).count, 2);
}

TEST(terms_can_be_bounded)
{
    ck_assert_uint_eq(query_terms(query_of_words(a, TEXT("one two six")), a, 2).count, 2);
    ck_assert_uint_eq(terms_of("").count, 0);
}

/* ---- matching ---- */

static const struct {
    const char *q, *title, *content;
    bool matches;
} rows[] = {
    {"", "any", "thing", true},
    {"ab", "ab", "ab", false},
    {"foo", "foo", "", true},
    {"foo", "", "a foo.", true},
    {"foo", "food", "foo_d", true},
    {"foo", "food", "foods", false},
    {"foo", "xfoo", "foo\u0939", false},
    {"foo", "xfoo foofoo food", "foox foo", true},
    {"foo*", "xfoo foofoo", "xfoox", true},
    {"foo*", "xfoo xfoofoo", "xfoo", false},
    {"foo", "\u0939foo", "x\u0300foo", false},
    {"foo", "\u6F22foo", "", true},
    {"foo", "\u3001foo\u3001", "", true},
    {"foo bar", "Foo", "BAR", true},
    {"foo bar", "foo", "baz", false},
    {"foobar", "foo", "bar", false}, /* nothing spans two texts */
    {"bar", "f\u00F2\u00F3-b\u00E0r", "", true},
    {"foo*", "x food", "", true},
    {"foo*", "foo", "", true},
    {"foo*", "xfoo", "fo o", false},
    {"food*", "foo", "", false},
    {"wordyness*", "wordyness", "", true},
    {"wordyness*", "wordy", "wordynes", false},
    {"foo* foo", "food", "", false},
    {"\u0393\u0399\u0391\u039D\u039D\u0397\u03A3", "\u0393\u03B9\u03AC\u03BD\u03BD\u03B7\u03C2", "",
     true},
    {"\u0393\u03B9\u03B1\u03BD\u03BD\u03B7\u03C2", "\u0393\u0399\u0386\u039D\u039D\u0397\u03A3", "",
     true},
    {"stra\u00DFe", "STRA\u1E9EE", "", true},
    {"strasse", "stra\u00DFe", "", false}, /* simple folding makes no two letters of one */
    {"viet", "Vi\u1EC7t Nam", "", true},
    {"istanbul", "\u0130stanbul", "", true},
    {"\u0435\u043B\u043A\u0430", "\u0401\u043B\u043A\u0430", "", true},
    {"office", "o\uFB03ce", "", true},
    {"abc", "\uFF21\uFF22\uFF23", "", true},
    {"\u6F22\u5B57", "\u65E5\u672C\u6F22\u5B57\u6587", "", true},
    {"\u6F22\u5B57", "\u6F22\u3001\u5B57", "\u6F22", false},
    {"\u6F22\u5B57", "abc\u6F22\u5B57abc", "", true},
    {"\u6F22\u5B57", "\u6F22", "\u5B57", false},
    {"\u6F22\u5B57\u4EBA", "\u6F22\u5B57 \u5B57\u4EBA", "", false}, /* it has both pairs */
    {"abc\u6F22\u5B57", "\u6F22\u5B57 abc", "", true},
    {"\u30AC\u30AD", "\uFF76\uFF9E\uFF77", "", true},
    {"\uAD6D\uC5B4", "\uD55C\uAD6D\uC5B4\uB97C", "", true},
    {"\u1112\u1161\u11AB\u1100\u1173\u11AF", "\uD55C\uAE00", "", true},
    {"\u0E17\u0E22\u0E40", "\u0E20\u0E32\u0E29\u0E32\u0E44\u0E17\u0E22\u0E40", "", true},
    {"\u0939\u093F\u0928\u094D\u0926\u0940",
     "\u0939\u093F\u0928\u094D\u0926\u0940 \u092D\u093E\u0937\u093E", "", true},
    {"\u0939\u093F\u0928", "\u0939\u093F\u0928\u094D\u0926\u0940", "", false},
    {"abc", "\u2764\uFE0Fabc\u2764\uFE0F", "", true},
    {"avion", "l\u00B4avion", "", true},
    {"wortteil", "Wort\u00ADteil", "", true},
};

CASE("matching", set_up, tear_down);

TEST_EACH(a_row_is_held_against_the_query, rows)
{
    struct query *query = query_of_words(a, text_of(rows[_i].q));
    struct text texts[] = {text_of(rows[_i].title), text_of(rows[_i].content)};

    ck_assert_int_eq(query_matches(query, texts, 2), rows[_i].matches);
    ck_assert_int_eq(query_matches(query, texts, 2), rows[_i].matches); /* it can be asked again */
}

TEST(a_part_is_found_in_any_text_but_in_no_two)
{
    struct query *query = query_of_part(a, TEXT("DA@"));
    struct text in_first[] = {TEXT("ada@example.org"), {NULL, 0}};
    struct text in_second[] = {TEXT("x@example.org"), TEXT("\u00C1d\u00E1@")};
    struct text in_both[] = {TEXT("ada"), TEXT("@example.org")};

    ck_assert(query_matches(query, in_first, 2));
    ck_assert(query_matches(query, in_second, 2));
    ck_assert(!query_matches(query, in_both, 2));
}

TEST(signs_of_a_part_stand_for_themselves)
{
    struct text texts[] = {TEXT("a_b%c*\\")};

    ck_assert(query_matches(query_of_part(a, TEXT("_b%c*\\")), texts, 1));
    ck_assert(!query_matches(query_of_part(a, TEXT("a%")), texts, 1));
    ck_assert(!query_matches(query_of_part(a, TEXT("b*")), texts, 1));
}

TEST(many_long_rows_take_the_memory_of_one)
{
    struct arena *small = arena_open((size_t)1024 * 1024);
    struct query *query = query_of_words(small, TEXT("absent"));
    char *content = arena_alloc(a, 65536);
    memset(content, 'x', 65535);

    for (int i = 0; i < 1000; i++)
        ck_assert(!query_matches(query, (struct text[]){{content, (size_t)(65535 - i)}}, 1));

    arena_close(small);
}

/* ---- random texts and queries ---- */

/* So few syllables that they meet often, of every kind that there is. */
static const char *const syllables[] = {
    "a",      "b",      "aB",     "ab",     "\u00E0", "e\u0301", "\u00DF", "\u03C3", "\u03A3",
    "\u0439", "\u6F22", "\u5B57", "\u304B", "\u3099", "\uFF76",  "\uAC00", "\u1100", "\u1161",
    "\u0E01", "\u0E34", "\u0939", "\u094D", "\u05D0", "\u05B8",  "1",      "\uFB01", "\u00B2",
    " ",      " ",      " ",      ".",      "*",      "_",       "\u00AD", "\u200B", "\xFF",
};

static struct text random_text(int most)
{
    const char *text = "";
    for (int i = (int)(random() % (most + 1)); i > 0; i--)
        text = arena_printf(a, "%s%s", text, syllables[random() % COUNT(syllables)]);
    return text_of(text);
}

/* Now and then some bytes of `text`, with a star, so that it is found. */
static struct text random_query(struct text text)
{
    if (text.len == 0 || random() % 2)
        return random_text(8);
    size_t from = (size_t)random() % text.len, len = (size_t)random() % (text.len - from) + 1;
    const char *star = random() % 2 ? "*" : "";
    return text_of(arena_printf(a, "%.*s%s", (int)len, text.data + from, star));
}

/* Words are looked for one by one, and runs at each of their letters. */
static bool piece_satisfies(const struct piece *piece, const struct need *need)
{
    struct text t = need->text;
    bool is_long = piece->kind == PIECE_WORD && piece->points >= TERM_WORD_MIN;
    if (need->kind == NEED_WORD)
        return is_long && text_equal((struct text){piece->data, piece->len}, t);
    if (need->kind == NEED_PREFIX)
        return is_long && piece->len >= t.len && memcmp(piece->data, t.data, t.len) == 0;
    for (size_t i = 0; piece->kind == PIECE_RUN && i + t.len <= piece->len; i++)
        if (memcmp(piece->data + i, t.data, t.len) == 0)
            return true;
    return false;
}

static bool is_satisfied(const struct need *need, const struct text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text rest = fold_text(a, texts[i]);
        struct piece piece;
        while ((piece = piece_next(&rest)).kind != PIECE_END)
            if (piece_satisfies(&piece, need))
                return true;
    }
    return false;
}

static bool matches_plainly(const struct query *query, const struct text *texts, size_t count)
{
    for (size_t i = 0; i < query->count; i++)
        if (!is_satisfied(&query->needs[i], texts, count))
            return false;
    return !query->finds_nothing;
}

static bool has_all(struct terms terms, struct terms wanted)
{
    size_t at = 0;
    for (size_t i = 0; i < wanted.count; i++) {
        while (at < terms.count && terms.list[at] < wanted.list[i])
            at++;
        if (at == terms.count || terms.list[at] != wanted.list[i])
            return false;
    }
    return true;
}

static unsigned seed_and_tell(void)
{
    unsigned seed = (unsigned)time(NULL);
    const char *given = getenv("SEED");
    if (given)
        seed = (unsigned)atoi(given);
    srandom(seed);
    return seed;
}

#define ROUNDS 20000

CASE("random", set_up, tear_down);

TEST(what_matches_is_what_a_plain_look_finds_and_has_all_terms)
{
    unsigned seed = seed_and_tell();
    int matched = 0, missed = 0, looked_up = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct text texts[] = {random_text(12), random_text(30)}, q = random_query(texts[1]);
        struct query *query = query_of_words(a, q);
        struct terms wanted = query_terms(query, a, ALL);
        bool matches = query_matches(query, texts, 2);

        ck_assert_msg(matches == matches_plainly(query, texts, 2), "SEED=%u round %d: %s in %s, %s",
                      seed, round, q.data, texts[0].data, texts[1].data);
        ck_assert_msg(!matches || has_all(terms_of_words(a, texts, 2), wanted),
                      "SEED=%u round %d: terms of %s in %s, %s", seed, round, q.data, texts[0].data,
                      texts[1].data);
        matched += matches && query->count;
        missed += !matches && query->count;
        looked_up += matches && wanted.count;
        if (round % 1000 == 0)
            arena_reset(a);
    }
    ck_assert_int_gt(matched, ROUNDS / 100); /* else this test would show nothing */
    ck_assert_int_gt(missed, ROUNDS / 100);
    ck_assert_int_eq(looked_up, matched);
}

TEST(a_text_is_found_by_its_own_words)
{
    unsigned seed = seed_and_tell();
    for (int round = 0; round < ROUNDS; round++) {
        struct text text = random_text(12), other[] = {random_text(5), text};
        struct query *query = query_of_words(a, text);

        ck_assert_msg(query->finds_nothing || query_matches(query, other, 2),
                      "SEED=%u round %d: %s", seed, round, text.data);
        if (round % 1000 == 0)
            arena_reset(a);
    }
}

TEST(a_part_that_matches_has_all_its_grams)
{
    unsigned seed = seed_and_tell();
    int matched = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct text texts[] = {random_text(12), random_text(12)};
        struct query *query = query_of_part(a, random_query(texts[0]));
        bool matches = query_matches(query, texts, 2);
        struct terms wanted = query_terms(query, a, ALL);

        ck_assert_msg(!matches || has_all(terms_of_parts(a, texts, 2), wanted), "SEED=%u round %d",
                      seed, round);
        matched += matches && query->count;
        if (round % 1000 == 0)
            arena_reset(a);
    }
    ck_assert_int_gt(matched, ROUNDS / 100);
}

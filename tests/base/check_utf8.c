#include "common/base/utf8.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

/* ---- single sequences ---- */

/* The encoding by RFC 3629 section 3's table; returns its length. */
static size_t encode(uint32_t c, char *ret)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    ret[0] = (char)(marks[len] | c);
    return len;
}

CASE("utf8", NULL, NULL);

TEST(every_code_point_but_the_surrogates_is_well_formed)
{
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char text[4];
        size_t len = encode(c, text);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;

        if (utf8_sequence(text, len) != (surrogate ? 0 : len))
            ck_abort_msg("U+%04X", c);
    }
}

/* What the bytes spell by the bare arithmetic of RFC 3629 section 3, or -1. */
static int64_t decode(const unsigned char *at, size_t len)
{
    static const unsigned char masks[] = {0, 0x80, 0xE0, 0xF0, 0xF8};
    static const unsigned char marks[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    if ((at[0] & masks[len]) != marks[len])
        return -1;
    int64_t c = at[0] & ~masks[len] & 0xFF;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return -1;
        c = c * 64 + (at[i] & 0x3F);
    }
    return c;
}

/* The same by a rule told otherwise: bytes that decode, and encode to themselves. */
static size_t length_by_round_trip(const unsigned char *at)
{
    for (size_t len = 1; len <= 4; len++) {
        char again[4];
        int64_t c = decode(at, len);
        if (c >= 0 && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF) &&
            encode((uint32_t)c, again) == len && memcmp(again, at, len) == 0)
            return len;
    }
    return 0;
}

TEST(all_triples_and_the_corners_of_all_quadruples_are_judged_rightly)
{
    static const unsigned char fourth[] = {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF};
    for (uint32_t n = 0; n < 0x1000000; n++) {
        unsigned char text[4] = {(unsigned char)(n >> 16), (unsigned char)(n >> 8),
                                 (unsigned char)n, fourth[n % sizeof fourth]};
        size_t expected = length_by_round_trip(text);

        if (utf8_sequence((const char *)text, 4) != expected)
            ck_abort_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
    }
}

TEST(a_cut_sequence_is_no_sequence)
{
    static const uint32_t points[] = {0x41, 0xE9, 0x20AC, 0x1F600, 0x10FFFF};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char text[4];
        size_t len = encode(points[i], text);
        for (size_t room = 0; room < len; room++) {
            char *exact = malloc(room + 1); /* a sanitizer sees a look past the end */
            memcpy(exact + 1, text, room);
            ck_assert_uint_eq(utf8_sequence(exact + 1, room), 0);
            free(exact);
        }
    }
}

TEST(more_room_does_not_make_a_sequence_longer)
{
    ck_assert_uint_eq(utf8_sequence("aaaa", 4), 1);
    ck_assert_uint_eq(utf8_sequence("\xC3\xA9\xA9", 3), 2);
}

/* ---- whole texts ---- */

#define ROW(text, clean, length)                                                                   \
    {                                                                                              \
        text, sizeof(text) - 1, clean, length                                                      \
    }

static const struct {
    const char *text;
    size_t len;
    bool clean;
    size_t points; /* of clean ones */
} texts[] = {
    ROW("", true, 0),
    ROW("plain", true, 5),
    ROW("\x01\x7F", true, 2),
    ROW("h\xC3\xA9llo", true, 5),
    ROW("\xE2\x82\xAC", true, 1),
    ROW("\xF0\x9F\x98\x80\xF0\x9F\x98\x80", true, 2),
    ROW("e\xCC\x81", true, 2), /* an accent of its own is a code point of its own */
    ROW("\xEF\xBF\xBF\xF4\x8F\xBF\xBF", true, 2),
    ROW("\0", false, 0),
    ROW("a\0b", false, 0),
    ROW("ab\0", false, 0),
    ROW("\x80", false, 0),
    ROW("a\xC3", false, 0),
    ROW("a\xC3z", false, 0),
    ROW("\xE2\x82", false, 0),
    ROW("\xC0\x80", false, 0),         /* overlong NUL */
    ROW("\xC1\xBF", false, 0),         /* overlong DEL */
    ROW("\xE0\x9F\xBF", false, 0),     /* overlong U+07FF */
    ROW("\xF0\x8F\xBF\xBF", false, 0), /* overlong U+FFFF */
    ROW("\xED\xA0\x80", false, 0),     /* surrogates */
    ROW("\xED\xBF\xBF", false, 0),
    ROW("\xF4\x90\x80\x80", false, 0), /* U+110000 */
    ROW("\xF8\x88\x80\x80\x80", false, 0),
    ROW("\xFE", false, 0),
    ROW("\xFF", false, 0),
    ROW("good until here \xFF", false, 0),
};

TEST_EACH(text_is_clean_when_all_of_it_is_well_formed_and_none_is_nul, texts)
{
    ck_assert_int_eq(utf8_is_clean(texts[_i].text, texts[_i].len), texts[_i].clean);
}

TEST_EACH(the_length_counts_code_points, texts)
{
    if (texts[_i].clean)
        ck_assert_uint_eq(utf8_length(texts[_i].text, texts[_i].len), texts[_i].points);
}

TEST(nothing_is_clean_and_has_no_length)
{
    ck_assert(utf8_is_clean(NULL, 0));
    ck_assert_uint_eq(utf8_length(NULL, 0), 0);
}

TEST(only_a_whole_mark_at_the_beginning_counts)
{
    ck_assert_uint_eq(utf8_mark("\xEF\xBB\xBF", 3), 3);
    ck_assert_uint_eq(utf8_mark("\xEF\xBB\xBFtext", 7), 3);
    ck_assert_uint_eq(utf8_mark("\xEF\xBB", 2), 0);
    ck_assert_uint_eq(utf8_mark("x\xEF\xBB\xBF", 4), 0);
    ck_assert_uint_eq(utf8_mark("", 0), 0);
}

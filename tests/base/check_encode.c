#include "common/base/encode.h"

#include <check.h>
#include <string.h>

#include "tests/support/suite.h"

static const struct {
    const char *text, *decoded;
} good[] = {
    {"", ""},         {"plain", "plain"},     {"a+b", "a+b"},
    {"%41", "A"},     {"%2f%2F", "//"},       {"100%25", "100%"},
    {"%2541", "%41"}, {"%01%fF", "\001\377"}, {"x%20y%20", "x y "},
};

CASE("percent", NULL, NULL);

TEST_EACH(what_is_encoded_is_undone_once, good)
{
    char text[32];
    strcpy(text, good[_i].text);
    ck_assert(percent_decode(text));
    ck_assert_str_eq(text, good[_i].decoded);
}

static const char *const bad[] = {"%",    "a%",  "%4",    "%4g",  "%g4",
                                  "%%41", "%00", "a%00b", "% 41", "%-1"};

TEST_EACH(no_digits_and_a_nul_are_refused, bad)
{
    char text[32];
    strcpy(text, bad[_i]);
    ck_assert(!percent_decode(text));
}

TEST(a_byte_is_looked_for_within_its_room)
{
    ck_assert_int_eq(percent_byte("%4142", 5), 0x41);
    ck_assert_int_eq(percent_byte("%00", 3), 0);
    ck_assert_int_eq(percent_byte("%41", 2), -1);
    ck_assert_int_eq(percent_byte("%", 1), -1);
    ck_assert_int_eq(percent_byte("", 0), -1);
    ck_assert_int_eq(percent_byte("41%", 3), -1);
}

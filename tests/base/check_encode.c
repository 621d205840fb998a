#include "common/base/encode.h"

#include <check.h>
#include <string.h>

#include "tests/support/suite.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static const struct {
    const char *text, *decoded;
} good[] = {
    {"", ""},         {"plain", "plain"},     {"a+b", "a+b"},
    {"%41", "A"},     {"%2f%2F", "//"},       {"100%25", "100%"},
    {"%2541", "%41"}, {"%01%fF", "\001\377"}, {"x%20y%20", "x y "},
};

START_TEST(what_is_encoded_is_undone_once)
{
    char text[32];
    strcpy(text, good[_i].text);
    ck_assert(percent_decode(text));
    ck_assert_str_eq(text, good[_i].decoded);
}
END_TEST

static const char *const bad[] = {"%",    "a%",  "%4",    "%4g",  "%g4",
                                  "%%41", "%00", "a%00b", "% 41", "%-1"};

START_TEST(no_digits_and_a_nul_are_refused)
{
    char text[32];
    strcpy(text, bad[_i]);
    ck_assert(!percent_decode(text));
}
END_TEST

START_TEST(a_byte_is_looked_for_within_its_room)
{
    ck_assert_int_eq(percent_byte("%4142", 5), 0x41);
    ck_assert_int_eq(percent_byte("%00", 3), 0);
    ck_assert_int_eq(percent_byte("%41", 2), -1);
    ck_assert_int_eq(percent_byte("%", 1), -1);
    ck_assert_int_eq(percent_byte("", 0), -1);
    ck_assert_int_eq(percent_byte("41%", 3), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("percent");
    TCase *t = tcase_create("percent");
    tcase_add_loop_test(t, what_is_encoded_is_undone_once, 0, COUNT(good));
    tcase_add_loop_test(t, no_digits_and_a_nul_are_refused, 0, COUNT(bad));
    tcase_add_test(t, a_byte_is_looked_for_within_its_room);
    suite_add_tcase(suite, t);
    return suite_run(suite);
}

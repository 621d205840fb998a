#include "common/base/encode.h"

#include <check.h>
#include <string.h>

#include "common/base/arena.h"
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

/* RFC 4648 section 10 without its padding (section 3.2), and the two characters of section 5. */
static const struct {
    const char *data, *text;
} encodings[] = {
    {"", ""},
    {"f", "Zg"},
    {"fo", "Zm8"},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg"},
    {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"},
    {"\xFB\xFF\xBE", "-_--"},
    {"\xFF\xFF\xFF", "____"},
};

CASE("base64url", NULL, NULL);

TEST_EACH(base64url_gives_the_values_of_rfc_4648, encodings)
{
    struct arena *a = arena_open(1024);
    const char *data = encodings[_i].data;

    ck_assert_str_eq(base64url(a, data, strlen(data)), encodings[_i].text);

    arena_close(a);
}

TEST_EACH(base64url_is_read_back, encodings)
{
    unsigned char bytes[8];
    size_t len = 99;

    ck_assert(base64url_read(encodings[_i].text, strlen(encodings[_i].text), bytes, &len));

    ck_assert_uint_eq(len, strlen(encodings[_i].data));
    ck_assert_mem_eq(bytes, encodings[_i].data, len);
}

/* Other characters, a letter too much, and bits behind the last byte: a text has one spelling. */
static const char *const no_base64url[] = {"Z",   "Zm9vY", "Zg=", "Zm8=", "Zm+v", "Zm/v",
                                           "Z g", "Zh",    "Zm9", "Zv",   "Zm8\n"};

TEST_EACH(what_is_no_base64url_is_refused, no_base64url)
{
    unsigned char bytes[8];
    size_t len = 99;

    ck_assert(!base64url_read(no_base64url[_i], strlen(no_base64url[_i]), bytes, &len));
    ck_assert_uint_eq(len, 99);
}

#include "common/base/fold.h"

#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/exhausted.h"
#include "common/base/utf8.h"
#include "tests/support/child.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* ---- where the C library has no such locale ---- */

static int missing; /* why not; 0: it has */

/* In the place of the C library's. */
locale_t newlocale(int mask, const char *name, locale_t base)
{
    static locale_t (*real)(int, const char *, locale_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "newlocale");
    errno = missing;
    return missing ? (locale_t)0 : real(mask, name, base);
}

/* First, for it is asked once. */
CASE("without a locale", scratch_open, scratch_close);

TEST(only_ascii_is_folded)
{
    missing = ENOENT;

    ck_assert_str_eq(fold(a, TEXT("Ada \xC3\x84.")).data, "ada \xC3\x84.");
}

static void end(void)
{
    _exit(EX_SOFTWARE);
}

TEST(a_lack_of_memory_ends_the_program)
{
    pid_t pid = fork();
    if (pid == 0) {
        missing = ENOMEM;
        on_exhausted(end);
        (void)fold(a, TEXT("\xC3\x84"));
        _exit(EX_OK);
    }

    ck_assert_int_eq(end_of(pid), EX_SOFTWARE);
}

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

TEST(text_is_folded_as_far_as_it_is_well_formed)
{
    ck_assert_str_eq(fold(a, TEXT("ABC\xFFXYZ")).data, "abc");
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

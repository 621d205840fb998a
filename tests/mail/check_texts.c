/* What messages say: the built-in texts, and the file that replaces some. */
#include "fcgi-app/mail/texts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static char folder[] = "check-texts-XXXXXX";

static void set_up(void)
{
    scratch_open();
    folder_make(folder);
}

static void tear_down(void)
{
    folder_remove(folder);
    scratch_close();
}

static struct text write_bytes(const char *text, size_t len)
{
    const char *path = arena_printf(a, "%s/mail.txt", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    return text_of(path);
}

static struct mail_texts load(const char *text)
{
    struct mail_texts texts;
    must(texts_load(a, write_bytes(text, strlen(text)), &texts));
    return texts;
}

#define ck_text(text_, expected_)                                                                  \
    ck_assert_str_eq(arena_copy(a, (text_).data, (text_).len), expected_)

CASE("texts", set_up, tear_down);

/* As if an operator had written them. */
TEST(what_is_built_in_is_as_a_file_must_be)
{
    struct mail_texts built_in, again;
    struct buf all;
    must(texts_load(a, TEXT(""), &built_in));
    buf_init(&all, (size_t)64 * 1024);
    for (int kind = LETTER_NOBODY + 1; kind < LETTER_KINDS; kind++)
        buf_printf(&all, "[%s]\nSubject: %s\n\n%s\n", letters[kind].name,
                   built_in.of[kind].subject.data, built_in.of[kind].body.data);

    must(texts_load(a, write_bytes(all.data, all.len), &again));

    for (int kind = LETTER_NOBODY + 1; kind < LETTER_KINDS; kind++) {
        ck_text(again.of[kind].subject, built_in.of[kind].subject.data);
        ck_text(again.of[kind].body, built_in.of[kind].body.data);
    }
    buf_release(&all);
}

TEST(a_file_replaces_what_it_has)
{
    struct mail_texts built_in,
        texts = load("# ours\n\n[reset]\nSubject: Neues Passwort für {site}\n\n\nHallo,\n\n"
                     "  {link}\n{{so}}\n\n\n[test]\r\nSubject:Test\r\nEin Test.\r\n");
    must(texts_load(a, TEXT(""), &built_in));

    ck_text(texts.of[LETTER_RESET].subject, "Neues Passwort für {site}");
    ck_text(texts.of[LETTER_RESET].body, "Hallo,\n\n  {link}\n{{so}}\n");
    ck_text(texts.of[LETTER_TEST].subject, "Test");
    ck_text(texts.of[LETTER_TEST].body, "Ein Test.\n");
    ck_text(texts.of[LETTER_VERIFY].body, built_in.of[LETTER_VERIFY].body.data);
}

static const char *const harmless[] = {"", "\n\n", "# nothing\n", "\xEF\xBB\xBF# a mark\n"};

TEST_EACH(a_file_may_replace_nothing, harmless)
{
    struct mail_texts built_in, texts = load(harmless[_i]);
    must(texts_load(a, TEXT(""), &built_in));

    ck_text(texts.of[LETTER_RESET].body, built_in.of[LETTER_RESET].body.data);
}

TEST(brackets_may_be_in_a_message)
{
    struct mail_texts texts =
        load("[test]\nSubject: s\n\n[1] one [two]\n[Three]\n[ four ]\n# no comment\n");

    ck_text(texts.of[LETTER_TEST].body, "[1] one [two]\n[Three]\n[ four ]\n# no comment\n");
}

#define S "Subject: s\n"
#define HUNDRED                                                                                    \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxx"                                                                                         \
    "xxxx"

static const struct {
    const char *text, *says;
} wrong[] = {
    {"hello\n", ":1: is before the first name"},
    {"[resett]\n" S "{link}\n", ":1: [resett] is no kind of message"},
    {"[nobody]\n" S "x\n", ":1: [nobody] is no kind"},
    {"[reset]\n" S "{link}\n[reset]\n" S "{link}\n", ":4: [reset] is there twice"},
    {"[reset]\n", "[reset] has no line `Subject: …`"},
    {"[reset]\n\n{link}\n", ":2: [reset] has no line `Subject: …`"},
    {"[reset]\nSubject:\n{link}\n", ":1: [reset] has no line `Subject: …`"},
    {"[reset]\n" S "\n\n", ":1: [reset] has no message"},
    {"[reset]\n" S "no way\n", ":1: [reset] has neither {link} nor {token}"},
    {"[verify]\n" S "{tokem}\n", ":3: {tokem} is no variable"},
    {"[verify]\n" S "{link}\na {\n", ":4: { is no variable"},
    {"[verify]\n" S "{link}\na } b\n", ":4: } is no variable"},
    {"[verify]\nSubject: {Site}\n{link}\n", ":2: {Site} is no variable"},
    {"[verify]\nSubject: {token}\n{link}\n", ":2: {token} is in no subject of [verify]"},
    {"[verify]\n" S "{link} {other}\n", ":3: {other} is in no message of [verify]"},
    {"[taken]\n" S "{link}\n", ":3: {link} is in no message of [taken]"},
    {"[taken]\n" S "{hours}\n", ":3: {hours} is in no message of [taken]"},
    {"[taken]\n" S "a\x07\n", ":3: has a control character"},
    {"[taken]\nSubject: a\rBcc: b@example.org\nx\n", ":2: has a control character"},
    {"[taken]\n" S HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
     "\n",
     ":3: the line may become longer"},
    {"[reset]\n" S HUNDRED HUNDRED "{link}\n", ":3: the line may become longer"},
    {"[taken]\n" S "\xFF\n", "is not UTF-8"},
};

TEST_EACH(what_is_wrong_is_told_with_its_line, wrong)
{
    struct mail_texts texts;
    struct text path = write_bytes(wrong[_i].text, strlen(wrong[_i].text));

    struct problem *p = texts_load(a, path, &texts);

    ck_assert_msg(p != NULL, "%s", wrong[_i].text);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_msg(strstr(p->cause, wrong[_i].says) != NULL, "%s", p->cause);
    ck_assert(strncmp(p->cause, "MAIL_TEXTS: ", 12) == 0);
    ck_assert_ptr_nonnull(strstr(p->cause, path.data));
}

TEST(a_file_that_is_not_there_or_too_large_is_wrong)
{
    struct mail_texts texts;
    char *large = arena_alloc(a, (size_t)65 * 1024);
    memset(large, '#', (size_t)65 * 1024);

    struct problem *missing = texts_load(a, TEXT("/nonexistent/mail.txt"), &texts),
                   *folded = texts_load(a, text_of(folder), &texts),
                   *too_large = texts_load(a, write_bytes(large, (size_t)65 * 1024), &texts),
                   *with_nul = texts_load(a, write_bytes("#\0", 2), &texts);

    ck_assert_ptr_nonnull(strstr(missing->cause, "/nonexistent/mail.txt"));
    ck_assert_ptr_nonnull(strstr(folded->cause, "cannot be read"));
    ck_assert_ptr_nonnull(strstr(too_large->cause, "64 KiB"));
    ck_assert_ptr_nonnull(strstr(with_nul->cause, "UTF-8"));
}

static const struct {
    const char *text, *filled;
} fillings[] = {
    {"", ""},
    {"{link}", "https://x/#T"},
    {"{token}{token}", "TT"},
    {"a {address} b {other} c", "a ada@example.org b  c"},
    {"{hours} {site}", "24 example.org"},
    {"{{link}} }} {{", "{link} } {"},
    {"{{{token}}}", "{T}"},
};

TEST_EACH(variables_are_filled_in, fillings)
{
    const struct mail_words words = {.link = TEXT("https://x/#T"),
                                     .token = TEXT("T"),
                                     .address = TEXT("ada@example.org"),
                                     .hours = TEXT("24"),
                                     .site = TEXT("example.org")};

    ck_assert_str_eq(text_fill(a, text_of(fillings[_i].text), &words), fillings[_i].filled);
}

/* A brace in an address is no variable. */
TEST(what_is_filled_in_is_not_filled_again)
{
    const struct mail_words words = {.address = TEXT("{token}@example.org"), .token = TEXT("T")};

    ck_assert_str_eq(text_fill(a, TEXT("{address}"), &words), "{token}@example.org");
}

/* Rows of the outbox as messages: headers that nothing can break, and what they say. */
#include "fcgi-app/mail/message.h"

#include <string.h>

#include "common/base/problem.h"
#include "fcgi-app/mail/texts.h"
#include "fcgi-app/settings.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define TOKEN "lVFjyexh_JitftosmZ_77Wxsu35XmCJ20tYumdy4k2s"
#define ID "01890a5d-ac96-774b-bcce-b302099a8057"
#define HOUR_US INT64_C(3600000000)

static struct settings settings;
static struct message message;
static struct mail_texts texts;

static void set_up(void)
{
    scratch_open();
    settings = (struct settings){.mail_from = TEXT("postern@example.org"),
                                 .reset_url = TEXT("https://app.example.org/reset#")};
    message = (struct message){.kind = LETTER_RESET,
                               .to = TEXT("ada@example.org"),
                               .token = TOKEN,
                               .created_at = {INT64_C(1795914000123456)},
                               .expires_at = {INT64_C(1795914000123456) + HOUR_US}};
    ck_assert(uuid_parse(ID, strlen(ID), &message.id));
    must(texts_load(a, TEXT(""), &texts));
}

static const char *text_of_message(void)
{
    static const char *text;
    must(message_write(a, &settings, &texts, &message, &text));
    return text;
}

static const char *head_of(const char *text)
{
    const char *end = strstr(text, "\n\n");
    ck_assert_ptr_nonnull(end);
    return arena_copy(a, text, (size_t)(end - text) + 1);
}

static const char *body_of(const char *text)
{
    return strstr(text, "\n\n") + 2;
}

/* The value of a header, folded lines and all. */
static const char *header(const char *name)
{
    const char *head = arena_printf(a, "\n%s", head_of(text_of_message()));
    const char *at = strstr(head, arena_printf(a, "\n%s: ", name));
    ck_assert_msg(at != NULL, "no %s in %s", name, head);
    at += strlen(name) + 3;
    const char *end = strchr(at, '\n');
    while (end[1] == ' ')
        end = strchr(end + 1, '\n');
    return arena_copy(a, at, (size_t)(end - at));
}

CASE("messages", set_up, scratch_close);

TEST(a_message_has_the_headers_that_a_message_needs)
{
    ck_assert_str_eq(head_of(text_of_message()), "From: postern@example.org\n"
                                                 "To: ada@example.org\n"
                                                 "Subject: Your password at example.org\n"
                                                 "Date: Sun, 29 Nov 2026 01:00:00 +0000\n"
                                                 "Message-ID: <" ID "@example.org>\n"
                                                 "MIME-Version: 1.0\n"
                                                 "Content-Type: text/plain; charset=utf-8\n"
                                                 "Content-Transfer-Encoding: 8bit\n"
                                                 "Auto-Submitted: auto-generated\n");
}

static const struct {
    const char *to, *header;
} recipients[] = {
    {"a.b.c@example.org", "a.b.c@example.org"},   {"{o'}+t@example.org", "{o'}+t@example.org"},
    {"a..b@example.org", "\"a..b\"@example.org"}, {".a@example.org", "\".a\"@example.org"},
    {"a.@example.org", "\"a.\"@example.org"},     {".@example.org", "\".\"@example.org"},
};

TEST_EACH(a_recipient_is_quoted_where_its_dots_want_it, recipients)
{
    message.to = text_of(recipients[_i].to);

    ck_assert_str_eq(header("To"), recipients[_i].header);
}

TEST(the_token_is_appended_to_the_setting_as_it_stands)
{
    ck_assert_ptr_nonnull(
        strstr(body_of(text_of_message()), "\n\nhttps://app.example.org/reset#" TOKEN "\n\n"));
}

TEST(without_a_setting_it_is_alone)
{
    settings.reset_url = TEXT("");

    ck_assert_ptr_nonnull(strstr(body_of(text_of_message()), "\n\n" TOKEN "\n\n"));
}

static const struct {
    enum letter_kind kind;
    const char *link;
} links[] = {
    {LETTER_RESET, "https://r/"},        {LETTER_INVITE, "https://r/"},
    {LETTER_UNDONE_RESET, "https://r/"}, {LETTER_VERIFY, "https://v/"},
    {LETTER_CHANGE, "https://v/"},       {LETTER_EMAIL_CHANGED, "https://u/"},
};

TEST_EACH(each_kind_has_its_link, links)
{
    settings.reset_url = TEXT("https://r/");
    settings.verify_url = TEXT("https://v/");
    settings.undo_url = TEXT("https://u/");
    message.kind = links[_i].kind;

    ck_assert_ptr_nonnull(
        strstr(text_of_message(), arena_printf(a, "\n%s" TOKEN "\n", links[_i].link)));
}

static const struct {
    enum letter_kind kind;
    int hours;
    const char *said;
} lives[] = {
    {LETTER_RESET, 1, " within an hour:"},        {LETTER_CHANGE, 1, " within an hour:"},
    {LETTER_UNDONE_RESET, 1, " within an hour:"}, {LETTER_VERIFY, 24, " within 24 hours:"},
    {LETTER_INVITE, 7 * 24, " within 7 days:"},   {LETTER_EMAIL_CHANGED, 72, " within 72 hours "},
};

TEST_EACH(how_long_a_token_is_good_is_said_as_people_say_it, lives)
{
    message.kind = lives[_i].kind;
    message.expires_at.us = message.created_at.us + lives[_i].hours * HOUR_US;

    ck_assert_ptr_nonnull(strstr(body_of(text_of_message()), lives[_i].said));
}

static const enum letter_kind notices[] = {LETTER_TAKEN,           LETTER_PASSWORD_CHANGED,
                                           LETTER_PASSWORD_RESET,  LETTER_EMAIL_CHANGED_BY_ADMIN,
                                           LETTER_ACCOUNT_DELETED, LETTER_TEST};

/* Even if somebody handed one over. */
TEST_EACH(notices_have_no_token_and_no_link, notices)
{
    settings.reset_url = settings.verify_url = settings.undo_url = TEXT("https://link/");
    settings.public_url = TEXT("https://api.example.org");
    message.kind = notices[_i];
    message.other = TEXT("countess@example.org");

    const char *text = text_of_message();

    ck_assert_ptr_null(strstr(text, TOKEN));
    ck_assert_ptr_null(strstr(text, "://"));
}

TEST(a_message_names_the_site_and_the_other_address)
{
    settings.public_url = TEXT("https://api.example.org:8443");
    message.kind = LETTER_EMAIL_CHANGED;
    message.other = TEXT("countess@example.org");
    message.expires_at.us = message.created_at.us + 72 * HOUR_US;

    const char *body = body_of(text_of_message());

    ck_assert_ptr_nonnull(strstr(body, "api.example.org:8443"));
    ck_assert_ptr_nonnull(strstr(body, "countess@example.org"));
    ck_assert_ptr_nonnull(strstr(body, "72 hours"));
}

static const struct {
    int64_t us;
    const char *date;
} dates[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 +0000"},
    {-1, "Wed, 31 Dec 1969 23:59:59 +0000"},
    {INT64_C(951782400000000), "Tue, 29 Feb 2000 00:00:00 +0000"},
    {INT64_C(1795996799999999), "Sun, 29 Nov 2026 23:59:59 +0000"},
    {INT64_C(1767225600000000), "Thu, 01 Jan 2026 00:00:00 +0000"},
};

TEST_EACH(dates_are_those_of_rfc_5322, dates)
{
    message.created_at.us = dates[_i].us;

    ck_assert_str_eq(header("Date"), dates[_i].date);
}

static const struct {
    const char *from, *shown, *domain;
} senders[] = {
    {"a@b.example", "a@b.example", "b.example"},
    {"<a@b.example>", "a@b.example", "b.example"},
    {"Postern <a@b.example>", "Postern <a@b.example>", "b.example"},
    {"\"Postern\" <a@b.example>", "Postern <a@b.example>", "b.example"},
    {"Example, Inc. <a@b.example>", "\"Example, Inc.\" <a@b.example>", "b.example"},
    {"\"Example, Inc.\" <a@b.example>", "\"Example, Inc.\" <a@b.example>", "b.example"},
    {"a\\b <a@b.example>", "\"a\\\\b\" <a@b.example>", "b.example"},
    {"Grüße <a@b.example>", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?= <a@b.example>", "b.example"},
    {"李明 <a@b.example>", "=?UTF-8?Q?=E6=9D=8E=E6=98=8E?= <a@b.example>", "b.example"},
};

TEST_EACH(a_sender_may_have_a_name, senders)
{
    settings.mail_from = text_of(senders[_i].from);

    ck_assert_str_eq(header("From"), senders[_i].shown);
    ck_assert_str_eq(header("Message-ID"), arena_printf(a, "<" ID "@%s>", senders[_i].domain));
}

TEST(a_long_subject_is_in_words_that_are_short_enough)
{
    texts.of[LETTER_RESET].subject =
        TEXT("Ein neues Passwort für alle Größen, die es über die Straßen schafften: ÄÖÜäöüß");

    const char *subject = header("Subject");

    ck_assert_ptr_nonnull(strchr(subject, '\n'));
    for (const char *at = subject; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        ck_assert_uint_le(strcspn(at, "\n"), 78);
        ck_assert_msg(strncmp(at + (*at == ' '), "=?UTF-8?Q?", 10) == 0, "%s", at);
        ck_assert(strncmp(at + strcspn(at, "\n") - 2, "?=", 2) == 0);
    }
    /* No character is cut in two. */
    ck_assert_ptr_null(strstr(subject, "=C3?="));
}

/* ---- what must break nothing ---- */

static const char *const strange[] = {
    "",
    "ada",
    "ada@example.org\nBcc: bob@example.org",
    "ada@example.org\rBcc: bob@example.org",
    "ada@example.org, bob@example.org",
    "ada@example.org;bob@example.org",
    "ada@example.org bob@example.org",
    "ada@bob@example.org",
    "<ada@example.org>",
    "\"a b\"@example.org",
    "ada(x)@example.org",
    "\xC3\xA4@example.org",
    "ada@example.org\t",
    "ada@[192.0.2.1]",
};

TEST_EACH(an_address_that_could_be_read_otherwise_is_refused, strange)
{
    const char *text = NULL;
    message.to = text_of(strange[_i]);

    struct problem *p = message_write(a, &settings, &texts, &message, &text);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_null(text);
    ck_assert_ptr_null(strstr(p->cause, "bob"));
}

static const char *const strange_but_good[] = {"a'b@example.org", "o{token}x@example.org",
                                               "a=?b?=@example.org", "-t@example.org"};

TEST_EACH(any_address_that_may_register_can_be_written_to, strange_but_good)
{
    message.to = text_of(strange_but_good[_i]);

    ck_assert_str_eq(header("To"), strange_but_good[_i]);
}

/* The subject is one line, whatever is filled in. */
TEST(a_subject_takes_no_line_from_what_is_filled_in)
{
    texts.of[LETTER_CHANGE].subject = TEXT("{address} and {other}");
    message.kind = LETTER_CHANGE;
    message.other = TEXT("x\nBcc: bob@example.org");

    ck_assert_ptr_null(strstr(head_of(text_of_message()), "\nBcc"));
}

/* needs: mariadb */
/* `postern mail …`, and what doctor says of the outbox. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/secret.h"
#include "tests/support/folder.h"
#include "tests/support/people.h"
#include "tests/support/program.h"
#include "tests/support/suite.h"

#define DAY_S 86400

static char folder[] = "check-command-mail-XXXXXX";

static const char *path_of(const char *name)
{
    return say("%s/%s", folder, name);
}

static void set_up(void)
{
    loopback_open();
    program_expect();
    folder_make(folder);
    setenv("JWT_SECRET_KEY", SECRET_KEY, 1);
    setenv("MAIL_FROM", "postern@example.org", 1);
    unsetenv("POSTERN_CONFIG");
}

static void tear_down(void)
{
    folder_remove(folder);
    loopback_close();
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path_of(name), mode), 0);
}

static const char *read_file(const char *name)
{
    char *text = arena_alloc(the_arena, 65536);
    int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, 65535), 0);
    close(fd);
    return text;
}

static void set_command(const char *script)
{
    write_file("send", say("#!/bin/sh\ncat >\"${0%%/*}\"/mail\n%s\n", script), 0700);
    setenv("MAIL_COMMAND", path_of("send"), 1);
}

static const char *quiet(const char *line)
{
    struct run r = run(line);
    ck_run(r, EX_OK);
    ck_assert_str_eq(r.err, "");
    return r.out;
}

static struct uuid add(enum letter_kind kind, const char *address)
{
    const struct letter letter = {.id = uuid_make(instant_now()),
                                  .kind = kind,
                                  .to = text_of(address),
                                  .expires_at = instant_plus_s(instant_now(), DAY_S)};
    must(outbox_add(the_app, the_arena, &letter));
    return letter.id;
}

static const char *id_text(struct uuid id)
{
    char *text = arena_alloc(the_arena, UUID_TEXT_SIZE);
    uuid_format(&id, text);
    return text;
}

static void set_state(struct uuid id, const char *values)
{
    run_sql(say("UPDATE outbox SET %s WHERE id = '%s'", values, id_text(id)));
}

CASE("list", set_up, tear_down);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

static const struct {
    const char *values, *shown;
} states[] = {
    {"attempts = 0", "waiting"},
    {"attempts = 1, claim = UUID(), due_at = UTC_TIMESTAMP(6) + INTERVAL 1 MINUTE", "sending"},
    {"attempts = 1, claim = UUID(), due_at = UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE", "waiting"},
    {"attempts = 2, last_end = 'exit 75', due_at = UTC_TIMESTAMP(6) + INTERVAL 2 MINUTE",
     "waiting"},
    {"attempts = 1, last_end = 'exit 67', state = 'failed'", "failed"},
    {"attempts = 9, last_end = 'signal 9', state = 'given_up'", "given_up"},
};

TEST_EACH(a_list_shows_how_each_message_stands, states)
{
    struct uuid id = add(LETTER_RESET, "ada@example.org");
    (void)add(LETTER_NOBODY, "nobody@example.org");
    set_state(id, states[_i].values);

    const char *out = quiet("mail list"), *json = quiet("mail list --json");

    ck_says(out, id_text(id));
    ck_says(out, "ada@example.org");
    ck_says(out, say(" %s ", states[_i].shown));
    ck_says(json, say("\"state\":\"%s\"", states[_i].shown));
    ck_says(json, say("\"kind\":\"reset\",\"address\":\"ada@example.org\""));
    ck_assert((strstr(json, "\"next_try\":null") == NULL) ==
              (strcmp(states[_i].shown, "waiting") == 0));
    ck_assert_ptr_null(strstr(out, "nobody"));
}

TEST(no_list_has_a_token)
{
    struct uuid id = add(LETTER_RESET, "ada@example.org");
    const char *token = letter_secret(the_app, the_arena, &id, letter_kid(the_app));

    ck_assert_ptr_null(strstr(quiet("mail list"), token));
    ck_assert_ptr_null(strstr(quiet("mail list --json"), token));
}

TEST(a_list_of_many_has_each_once)
{
    for (int i = 0; i < 501; i++)
        (void)add(LETTER_PASSWORD_CHANGED, say("a%d@example.org", i));

    const char *out = quiet("mail list --json");

    for (int i = 0; i < 501; i++)
        ck_says(out, say("\"a%d@example.org\"", i));
    size_t lines = 0;
    for (const char *c = out; *c; c++)
        lines += *c == '\n';
    ck_assert_uint_eq(lines, 501);
}

CASE("retry", set_up, tear_down);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

#define FAILED "state = 'failed', due_at = UTC_TIMESTAMP(6) + INTERVAL 7 DAY, attempts = 3"

TEST(one_or_all_are_tried_again)
{
    struct uuid one = add(LETTER_RESET, "ada@example.org"),
                two = add(LETTER_RESET, "b@example.org");
    set_state(one, FAILED);
    set_state(two, FAILED);

    ck_assert_str_eq(quiet(say("mail retry %s", id_text(one))), "");
    ck_rows("outbox WHERE state = 'waiting' AND due_at <= UTC_TIMESTAMP(6) AND attempts = 0", 1);

    ck_assert_str_eq(quiet("mail retry all"), "1\n");
    ck_rows("outbox WHERE state = 'waiting' AND due_at <= UTC_TIMESTAMP(6)", 2);
}

static const struct {
    const char *line;
    int status;
    const char *says;
} refusals[] = {
    {"mail retry " NOBODY_ID, EX_NOUSER, "is not there"},
    {"mail retry one", EX_DATAERR, "not the id"},
    {"mail retry", EX_USAGE, "ID|all is missing"},
    {"mail test", EX_USAGE, "ADDRESS is missing"},
    {"mail test ada", EX_DATAERR, "not an e-mail"},
    {"mail test ada@example.org", EX_CONFIG, "MAIL_COMMAND is not set"},
    {"mail send", EX_USAGE, "mail what? list, retry, test"},
};

TEST_EACH(what_cannot_be_is_refused, refusals)
{
    struct run r = run(refusals[_i].line);

    ck_run(r, refusals[_i].status);
    ck_says(r.err, refusals[_i].says);
}

CASE("test", set_up, tear_down);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(a_message_is_sent_at_once)
{
    set_command("exit 0");

    const char *out = quiet("mail test ada@example.org");

    ck_says(out, "sent: exit 0");
    ck_says(read_file("mail"), "\nTo: ada@example.org\n");
    ck_says(read_file("mail"), "A test from example.org");
    ck_rows("outbox", 0);
}

TEST(it_tells_how_the_command_ended_and_what_it_said)
{
    set_command("echo no relay >&2; echo at night >&2; exit 75");
    struct run r = run("mail test ada@example.org");
    ck_run(r, EX_TEMPFAIL);
    ck_says(r.err, "exit 75: no relay at night\n");

    set_command("exit 67");
    r = run("mail test ada@example.org");
    ck_run(r, EX_UNAVAILABLE);
    ck_says(r.err, "exit 67");
}

TEST(texts_of_a_file_are_used_and_a_bad_one_is_told)
{
    set_command("exit 0");
    setenv("MAIL_TEXTS", path_of("texts"), 1);
    write_file("texts", "[test]\nSubject: Gruß von {site}\n\nHallo {address}.\n", 0600);
    (void)quiet("mail test ada@example.org");
    ck_says(read_file("mail"), "\nSubject: =?UTF-8?Q?Gru=C3=9F_von_example=2Eorg?=\n");
    ck_says(read_file("mail"), "\n\nHallo ada@example.org.\n");

    write_file("texts", "[test]\nSubject: s\n\n{user}\n", 0600);
    struct run test = run("mail test ada@example.org"), check = run("config --check"),
               doctor = run("doctor"), serve = run("serve --listen /nonexistent/x");
    ck_run(test, EX_CONFIG);
    ck_run(check, EX_CONFIG);
    ck_run(doctor, EX_UNAVAILABLE);
    ck_run(serve, EX_CONFIG);
    ck_says(test.err, "texts:4: {user} is no variable");
    ck_says(check.err, "texts:4: {user} is no variable");
    ck_says(doctor.out, "texts:4: {user} is no variable");
    ck_says(serve.err, "texts:4: {user} is no variable");
}

CASE("doctor", set_up, tear_down);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(doctor_sees_an_outbox_that_is_sent)
{
    set_command("exit 0");
    (void)add(LETTER_RESET, "ada@example.org");

    ck_says(run("doctor").out, "1 messages wait to be sent");
}

TEST(doctor_sees_what_waits_for_long)
{
    struct uuid id = add(LETTER_RESET, "ada@example.org");
    set_state(id, "created_at = created_at - INTERVAL 20 MINUTE");
    ck_says(run("doctor").out, "warn mail: 1 messages wait, and there is no MAIL_COMMAND");

    set_command("exit 0");
    ck_says(run("doctor").out, "warn mail: 1 messages wait, the oldest for 20 min");
}

TEST(doctor_sees_what_was_refused)
{
    set_command("exit 0");
    set_state(add(LETTER_RESET, "ada@example.org"), FAILED);
    set_state(add(LETTER_RESET, "ada@example.org"), "state = 'given_up'");

    ck_says(run("doctor").out, "1 messages were refused and 1 given up");
}

/* needs: mariadb */
/* Messages on their way: made, handed to a mail command, and what its end means. */
#include "fcgi-app/mail/sender.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/problem.h"
#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/secret.h"
#include "tests/support/child.h"
#include "tests/support/clock.h"
#include "tests/support/folder.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define MINUTE_S 60
#define HOUR_S 3600
#define DAY_S (24 * HOUR_S)
#define RESET_URL "https://app.example.org/reset#"

static char folder[] = "check-sender-XXXXXX";
static struct sender sender;

static struct instant test_time(void)
{
    return the_time;
}

static const char *path_of(const char *name)
{
    return say("%s/%s", folder, name);
}

static const char *read_file(const char *name)
{
    char *text = arena_alloc(the_arena, (size_t)256 * 1024);
    int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "";
    ssize_t len = read(fd, text, (size_t)256 * 1024 - 1);
    (void)close(fd);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

/* The mail command is a script; `exit` and whatever else is after the message is kept in a file. */
static void set_command(const char *script)
{
    FILE *file = fopen(path_of("send"), "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\ncd \"${0%%/*}\" || exit 99\ncat >>mail\necho . >>count\n%s\n",
            script);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path_of("send"), 0700), 0);
}

static void set_up(void)
{
    loopback_open();
    folder_make(folder);
    set_command("exit 0");
    loopback_set(say("MAIL_COMMAND=%s -t", path_of("send")), "MAIL_FROM=postern@example.org",
                 "RESET_URL=" RESET_URL);
    must(sender_init(&sender, the_arena, the_app, -1));
    sender.now = test_time;
    ck_assert_int_eq(log_open(say("%s/%s/log", getenv("PWD"), folder)), 0);
}

static void tear_down(void)
{
    folder_remove(folder);
    loopback_close();
}

static struct uuid add_until(enum letter_kind kind, int64_t expires_s)
{
    const struct letter letter = {.id = uuid_make(instant_now()),
                                  .kind = kind,
                                  .to = TEXT("ada@example.org"),
                                  .expires_at = instant_plus_s(the_time, expires_s),
                                  .at = the_time};
    must(outbox_add(the_app, the_arena, &letter));
    return letter.id;
}

static struct uuid add(enum letter_kind kind)
{
    return add_until(kind, DAY_S);
}

static void send_due(void)
{
    must(sender_send_due(&sender, the_arena, NULL, NULL));
}

static size_t runs(void)
{
    return strlen(read_file("count")) / 2;
}

static int64_t rows_where(const char *condition)
{
    return rows_in(say("outbox WHERE %s", condition));
}

static struct mail_numbers *numbers(void)
{
    return &the_app->shared->mail;
}

CASE("sending", set_up, tear_down);

TEST(what_is_due_is_sent_and_its_row_goes)
{
    struct uuid id = add(LETTER_RESET);

    send_due();

    const char *token = letter_secret(the_app, the_arena, &id, letter_kid(the_app));
    ck_assert_ptr_nonnull(strstr(read_file("mail"), "\nTo: ada@example.org\n"));
    ck_assert_ptr_nonnull(strstr(read_file("mail"), say("\n" RESET_URL "%s\n", token)));
    ck_assert_uint_eq(runs(), 1);
    ck_assert_int_eq(rows_where("1"), 0);
    ck_assert_uint_eq(numbers()->sent, 1);
    ck_assert_ptr_nonnull(strstr(read_file("log"), "\"mail_sent\""));
}

TEST(all_that_are_due_go_in_one_run)
{
    for (int i = 0; i < 5; i++)
        (void)add(LETTER_PASSWORD_CHANGED);
    (void)add(LETTER_NOBODY);

    send_due();

    ck_assert_uint_eq(runs(), 5);
    ck_assert_int_eq(rows_where("state = 'waiting'"), 0);
}

/* Neither the log nor the arguments of a command, which all on the machine can read. */
TEST(the_token_is_in_the_message_alone)
{
    set_command("echo \"$@\" >words; exit 75");
    struct uuid id = add(LETTER_RESET);

    send_due();

    const char *token = letter_secret(the_app, the_arena, &id, letter_kid(the_app));
    ck_assert_ptr_nonnull(strstr(read_file("mail"), token));
    ck_assert_str_eq(read_file("words"), "-t\n");
    ck_assert_ptr_null(strstr(read_file("log"), token));
    ck_assert_ptr_null(strstr(read_file("log"), "ada@"));
}

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"

/* In whatever spelling: as it is, cut into lines, in base64. */
static const char *const echoes[] = {
    "cat mail >&2",
    "grep app.example.org mail | sed 's/.*#//' | fold -w 11 >&2",
    "base64 -w 0 mail >&2",
    "tr '\\n' ' ' <mail >&2",
};

TEST_EACH(what_the_command_says_is_logged_without_the_token, echoes)
{
    set_command(say("echo cannot connect >&2\n%s\nexit 75", echoes[_i]));
    struct uuid id = add(LETTER_RESET);
    const char *token = letter_secret(the_app, the_arena, &id, letter_kid(the_app));

    send_due();

    const char *log = read_file("log");
    ck_assert_ptr_nonnull(strstr(log, "cannot connect"));
    for (size_t i = 0; i + 6 <= strlen(token); i++)
        ck_assert_msg(strstr(log, arena_copy(the_arena, token + i, 6)) == NULL, "%s", log);
    const char *said = strstr(log, "\"said\":");
    ck_assert_ptr_nonnull(said);
    for (size_t len; *(said += strcspn(said, BASE64)); said += len) { /* in another spelling */
        len = strspn(said, BASE64);
        ck_assert_msg(len < 24, "%s", said);
    }
}

TEST(a_log_line_stays_short)
{
    set_command("i=0; while [ $i -lt 3000 ]; do echo 'no way to the host' >&2; i=$((i+1)); done\n"
                "exit 75");
    (void)add(LETTER_RESET);

    send_due();

    ck_assert_ptr_nonnull(strstr(read_file("log"), "no way to the host"));
    ck_assert_uint_lt(strlen(read_file("log")), 1200);
    ck_assert_int_eq(rows_where("last_end = 'exit 75'"), 1);
}

/* ---- ends ---- */

static const struct {
    const char *script, *state, *end;
    int64_t pause_s;
} ends[] = {
    {"exit 75", "waiting", "exit 75", MINUTE_S},
    {"exit 1", "waiting", "exit 1", MINUTE_S},
    {"exit 69", "waiting", "exit 69", MINUTE_S},
    {"exit 68", "waiting", "exit 68", MINUTE_S},
    {"exit 78", "waiting", "exit 78", MINUTE_S},
    {"kill -9 $$", "waiting", "signal 9", MINUTE_S},
    {"kill -15 $$", "waiting", "signal 15", MINUTE_S},
    {"exit 64", "failed", "exit 64", OUTBOX_KEPT_S},
    {"exit 65", "failed", "exit 65", OUTBOX_KEPT_S},
    {"exit 67", "failed", "exit 67", OUTBOX_KEPT_S},
};

TEST_EACH(how_the_command_ends_decides, ends)
{
    bool waits = strcmp(ends[_i].state, "waiting") == 0;
    set_command(ends[_i].script);
    (void)add(LETTER_RESET);

    send_due();
    send_due();

    ck_assert_uint_eq(runs(), 1);
    ck_assert_int_eq(rows_where(say("state = '%s' AND last_end = '%s' AND claim IS NULL",
                                    ends[_i].state, ends[_i].end)),
                     1);
    struct outbox_row row = {0};
    bool found;
    must(outbox_claim(the_app->db, the_arena, instant_plus_s(the_time, ends[_i].pause_s - 1), 1,
                      &row, &found));
    ck_assert(!found);
    must(outbox_claim(the_app->db, the_arena, instant_plus_s(the_time, ends[_i].pause_s), 1, &row,
                      &found));
    ck_assert(found == waits);
    ck_assert_uint_eq(numbers()->postponed, waits);
    ck_assert_uint_eq(numbers()->failed, !waits);
}

TEST(a_command_that_hangs_is_killed_and_tried_again)
{
    set_command("sleep 600 & echo $! >child; wait");
    (void)add(LETTER_RESET);
    sender.limit_ms = 500;

    send_due();

    ck_assert_int_eq(rows_where("state = 'waiting' AND last_end LIKE 'no end after %'"), 1);
    pid_t child = (pid_t)strtol(read_file("child"), NULL, 10);
    ck_assert_int_gt(child, 1);
    for (long end = now_ms() + PATIENCE_MS; kill(child, 0) == 0;) { /* its group too */
        ck_assert_int_lt(now_ms(), end);
        const char *stat = say("/proc/%d/stat", (int)child);
        FILE *file = fopen(stat, "r");
        char state = 'X';
        if (file && fscanf(file, "%*d %*s %c", &state) == 1 && state == 'Z')
            kill(child, SIGCONT);
        if (file)
            (void)fclose(file);
        if (state == 'Z' || state == 'X')
            break; /* nobody has waited for it */
        pause_ms(5);
    }
}

TEST(a_command_that_cannot_be_run_is_tried_again)
{
    ck_assert_int_eq(unlink(path_of("send")), 0);
    (void)add(LETTER_RESET);

    send_due();

    ck_assert_int_eq(rows_where("state = 'waiting' AND last_end = 'cannot be started'"), 1);
}

static const int64_t pauses_min[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

TEST(pauses_grow_to_an_hour)
{
    set_command("exit 75");
    (void)add(LETTER_RESET);

    for (int i = 0; i < COUNT(pauses_min); i++) {
        send_due();
        ck_assert_uint_eq(runs(), i + 1);
        pass_s(pauses_min[i] * MINUTE_S - 1);
        send_due();
        ck_assert_uint_eq(runs(), i + 1);
        pass_s(1);
    }
}

/* ---- giving up ---- */

TEST(a_message_is_given_up_when_its_token_expires)
{
    set_command("exit 75");
    (void)add_until(LETTER_RESET, HOUR_S);

    for (int minute = 0; minute < 120; minute++, pass_s(MINUTE_S))
        send_due();

    ck_assert_uint_eq(runs(), 6); /* after 0, 1, 3, 7, 15 and 31 minutes; the next would be late */
    ck_assert_int_eq(rows_where("state = 'given_up' AND last_end = 'exit 75'"), 1);
    ck_assert_uint_eq(numbers()->given_up, 1);
}

TEST(a_message_is_given_up_after_a_day)
{
    set_command("exit 75");
    (void)add_until(LETTER_INVITE, 7 * DAY_S);

    for (int minute = 0; minute < 30 * 60; minute += 5, pass_s(5 * MINUTE_S))
        send_due();

    ck_assert_int_eq(rows_where("state = 'given_up'"), 1);
    ck_assert_uint_ge(runs(), 28);
    ck_assert_uint_le(runs(), 30);
}

TEST(what_nobody_tried_for_a_day_is_tried_once)
{
    (void)add_until(LETTER_INVITE, 7 * DAY_S);
    pass_s(3 * DAY_S);

    send_due();

    ck_assert_uint_eq(runs(), 1);
    ck_assert_int_eq(rows_where("1"), 0);
}

TEST(a_token_that_has_expired_is_not_mailed)
{
    (void)add_until(LETTER_RESET, HOUR_S);
    pass_s(HOUR_S);

    send_due();

    ck_assert_uint_eq(runs(), 0);
    ck_assert_int_eq(rows_where("state = 'given_up' AND last_end = 'too late'"), 1);
}

TEST(what_is_tried_again_by_hand_is_sent)
{
    set_command("exit 67");
    struct uuid id = add(LETTER_RESET);
    bool found;
    send_due();
    set_command("exit 0");

    must(outbox_retry(the_app->db, the_arena, &id, the_time, &found));
    send_due();

    ck_assert(found);
    ck_assert_uint_eq(runs(), 2);
    ck_assert_int_eq(rows_where("1"), 0);
}

/* ---- rows that cannot become messages ---- */

static const struct {
    const char *change, *state, *end;
} strange[] = {
    {"kind = 'of_the_future'", "waiting", "unknown kind"},
    {"kid = 'another'", "failed", "no key"},
    {"address = 'a@example.org, b@example.org'", "failed", "bad address"},
    {"address = 'a@example.org\\nBcc: b@example.org'", "failed", "bad address"},
};

TEST_EACH(a_row_that_is_no_message_runs_no_command, strange)
{
    (void)add(LETTER_RESET);
    run_sql(say("UPDATE outbox SET %s", strange[_i].change));

    send_due();

    ck_assert_uint_eq(runs(), 0);
    ck_assert_int_eq(
        rows_where(say("state = '%s' AND last_end = '%s'", strange[_i].state, strange[_i].end)), 1);
}

TEST(a_previous_key_is_enough)
{
    struct uuid id = add(LETTER_RESET);
    const char *token = letter_secret(the_app, the_arena, &id, letter_kid(the_app));
    loopback_set(say("MAIL_COMMAND=%s -t", path_of("send")), "MAIL_FROM=postern@example.org",
                 "JWT_SECRET_KEY=Vb7xE1oTq5zHk0aMs8WjPf2cGy4rNd6l",
                 "JWT_PREVIOUS_KEYS=" SECRET_KEY);
    must(sender_init(&sender, the_arena, the_app, -1));

    send_due();

    ck_assert_ptr_nonnull(strstr(read_file("mail"), token));
}

/* ---- clocks and claims ---- */

TEST(a_clock_that_was_set_back_delays_nothing_for_long)
{
    bool more;
    set_command("exit 75");
    (void)add_until(LETTER_RESET, 20 * DAY_S);
    send_due();
    set_clock(-10 * DAY_S);
    set_command("exit 0");
    send_due();
    ck_assert_uint_eq(runs(), 1);

    must(outbox_tidy(the_app->db, the_arena, the_time, &more)); /* as each look does */
    send_due();

    ck_assert_uint_eq(runs(), 2);
    ck_assert_int_eq(rows_where("1"), 0);
}

TEST(a_clock_that_jumps_ahead_loses_no_first_attempt)
{
    (void)add_until(LETTER_INVITE, 7 * DAY_S);
    set_clock(2 * DAY_S);

    send_due();

    ck_assert_uint_eq(runs(), 1);
}

static void die_while_sending(void *context)
{
    (void)context;
    sender.app = the_app; /* which has a connection of its own */
    send_due();
}

/* Its command goes on, and this is the one case in which a message may come twice. */
TEST(what_a_killed_sender_had_in_hand_is_sent_by_another)
{
    set_command("kill -9 $PPID; exit 0");
    (void)add(LETTER_RESET);
    pid_t pid = run_aside(die_while_sending, NULL);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    set_command("exit 0");

    send_due();
    ck_assert_int_eq(rows_where("state = 'waiting' AND claim IS NOT NULL"), 1);
    pass_s(sender.claim_s);
    send_due();

    ck_assert_uint_eq(runs(), 2);
    ck_assert_int_eq(rows_where("1"), 0);
}

static void send_all(void *context)
{
    (void)context;
    sender.app = the_app;
    send_due();
}

/* Two pools with one outbox. */
TEST(of_two_senders_each_message_goes_out_once)
{
    pid_t pids[3];
    for (int i = 0; i < 20; i++)
        (void)add(LETTER_PASSWORD_CHANGED);

    for (int i = 0; i < COUNT(pids); i++)
        pids[i] = run_aside(send_all, NULL);
    for (int i = 0; i < COUNT(pids); i++)
        wait_for(pids[i]);

    ck_assert_uint_eq(runs(), 20);
    ck_assert_int_eq(rows_where("1"), 0);
}

/* ---- the database goes away ---- */

static void touch(const char *name)
{
    FILE *file = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
}

/* Cuts a connection while the first command runs, and lets this one go on then. */
static void cut(void *context)
{
    for (long end = now_ms() + PATIENCE_MS; runs() < 1; pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
    run_sql(say("KILL %lld", *(long long *)context));
    touch("go");
}

#define UNTIL_GO "while [ ! -e go ]; do sleep 0.01; done; exit 0"

TEST(that_a_message_was_taken_is_noted_over_another_connection)
{
    long long id = ask_number("SELECT CONNECTION_ID() AS n");
    set_command(UNTIL_GO);
    (void)add(LETTER_RESET);
    (void)add(LETTER_RESET);
    pid_t pid = run_aside(cut, &id);

    send_due();

    wait_for(pid);
    ck_assert_int_ne(ask_number("SELECT CONNECTION_ID() AS n"), id);
    ck_assert_uint_eq(runs(), 2);
    ck_assert_int_eq(rows_where("1"), 0);
}

/* As a database that takes no writes for a moment. */
static void lock_and_release(void *context)
{
    (void)context;
    for (long end = now_ms() + PATIENCE_MS; runs() < 1; pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
    run_sql("RENAME TABLE outbox TO outbox_away");
    touch("go");
    for (long end = now_ms() + PATIENCE_MS; !strstr(read_file("log"), "mail_not_noted");
         pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
    run_sql("RENAME TABLE outbox_away TO outbox");
}

TEST(that_a_message_was_taken_is_noted_as_soon_as_that_can_be)
{
    set_command(UNTIL_GO);
    (void)add(LETTER_RESET);
    pid_t pid = run_aside(lock_and_release, NULL);

    send_due();

    wait_for(pid);
    ck_assert_uint_eq(runs(), 1);
    ck_assert_int_eq(rows_where("1"), 0);
}

/* ---- the process ---- */

static int news = -1;

static void serve(void *context)
{
    (void)context;
    sender.app = the_app;
    sender.wake = news;
    sender.now = instant_now;
    sender.look_ms = 600000;
    sender_serve(&sender);
}

static void await_runs(size_t count)
{
    for (long end = now_ms() + PATIENCE_MS; runs() < count; pause_ms(5))
        ck_assert_msg(now_ms() < end, "%zu messages instead of %zu", runs(), count);
}

static void await_rows(int64_t count)
{
    for (long end = now_ms() + PATIENCE_MS; rows_where("1") != count; pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
}

static pid_t start_server(void)
{
    news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_ge(news, 0);
    the_app->mail_wake = news;
    return run_aside(serve, NULL);
}

CASE("process", set_up, tear_down);

TEST(a_sender_sends_what_it_is_told_of_until_its_end)
{
    (void)add(LETTER_RESET);
    pid_t pid = start_server();
    await_rows(0);

    (void)add(LETTER_RESET);
    outbox_wake(the_app);
    await_rows(0);
    (void)add(LETTER_NOBODY);
    outbox_wake(the_app);
    await_rows(0);

    ck_assert_uint_eq(runs(), 2);
    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    ck_assert_int_eq(end_of(pid), 0);
}

TEST(what_nobody_told_of_is_found_when_it_is_due)
{
    the_time = instant_now();
    const struct letter letter = {.id = uuid_make(the_time),
                                  .kind = LETTER_RESET,
                                  .to = TEXT("ada@example.org"),
                                  .expires_at = instant_plus_s(the_time, DAY_S),
                                  .at = instant_plus_s(the_time, 1)};
    must(outbox_add(the_app, the_arena, &letter));

    pid_t pid = start_server();
    await_runs(1);

    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    ck_assert_int_eq(end_of(pid), 0);
}

TEST(a_message_in_hand_is_finished_before_the_end)
{
    set_command(UNTIL_GO);
    (void)add(LETTER_RESET);
    (void)add(LETTER_RESET);
    pid_t pid = start_server();
    await_runs(1);

    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    touch("go");

    ck_assert_int_eq(end_of(pid), 0);
    ck_assert_uint_eq(runs(), 1);
    ck_assert_int_eq(rows_where("state = 'waiting' AND claim IS NULL"), 1);
    ck_assert_int_eq(rows_where("1"), 1);
}

/* It ends after one look: the signal is there already. */
static void look_once(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    ck_assert_int_eq(raise(SIGTERM), 0);
    sender_serve(&sender);
}

TEST(what_waits_is_in_the_numbers)
{
    struct instant first = the_time;
    set_command("exit 75");
    (void)add(LETTER_RESET);
    pass_s(60);
    (void)add(LETTER_RESET);
    run_sql("UPDATE outbox SET due_at = due_at + INTERVAL 1 HOUR");

    look_once();

    ck_assert_uint_eq(runs(), 0);
    ck_assert_int_eq(numbers()->waiting, 2);
    ck_assert_int_eq(numbers()->oldest_us, first.us);
}

TEST(a_database_that_is_away_ends_no_sender)
{
    run_sql("RENAME TABLE outbox TO outbox_away");
    pid_t pid = start_server();
    for (long end = now_ms() + PATIENCE_MS; !strstr(read_file("log"), "outbox_unavailable");
         pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
    run_sql("RENAME TABLE outbox_away TO outbox");

    (void)add(LETTER_RESET);
    await_runs(1);

    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    ck_assert_int_eq(end_of(pid), 0);
}

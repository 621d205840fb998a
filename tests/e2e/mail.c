/* mail.c -- messages that wait in the database, and whatever dies before they are sent. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/own.h"

static char box[WORLD_PATH];          /* where the mail command is, and what it leaves */
static char command[WORLD_PATH + 40]; /* the setting */

static const char *in_box(const char *name)
{
    return say("%s/%s", box, name);
}

static void write_in_box(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(in_box(name), "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(in_box(name), mode), 0);
}

/* A line in `count` for each message that it was given; then what the test wants. */
static void set_command(const char *script)
{
    write_in_box(
        "send", say("#!/bin/sh\ncd \"${0%%/*}\" || exit\ncat >>mail\necho x >>count\n%s\n", script),
        0755);
}

static void set_up(void)
{
    static int number;
    http_set_up();
    snprintf(box, sizeof box, "%.90s/mail.%d.%d", world_folder(), (int)getpid(), number++);
    ck_assert_int_eq(mkdir(box, 0700), 0);
    ck_assert_int_eq(chmod(box, 0777), 0); /* the pool may run as another user */
    snprintf(command, sizeof command, "MAIL_COMMAND=%s/send -t", box);
    set_command("exit 0");
    struct buf none;
    buf_init(&none, 4096);
    database_lines("DELETE FROM outbox", &none);
    buf_release(&none);
}

static void tear_down(void)
{
    http_tear_down();
}

static int runs(void)
{
    return file_has(in_box("count"), "x\n");
}

static void await_runs(int count)
{
    file_await(in_box("count"), "x\n", count, PATIENCE_MS);
}

static void sql(const char *text)
{
    struct buf none;
    buf_init(&none, 65536);
    database_lines(text, &none);
    buf_release(&none);
}

/* As a request leaves it whose worker was killed after the commit: nobody is told of it. */
static void add(int count)
{
    sql(say("INSERT INTO outbox (id, kind, address, created_at, expires_at, due_at) "
            "SELECT UUID(), 'password_changed', CONCAT('a', seq, '@example.org'), "
            "UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 DAY, UTC_TIMESTAMP(6) "
            "FROM seq_1_to_%d",
            count));
}

static long rows(void)
{
    return database_number("SELECT COUNT(*) FROM outbox");
}

static void await_empty(void)
{
    for (long end = now_ms() + PATIENCE_MS; rows() > 0; pause_ms(20))
        ck_assert_msg(now_ms() < end, "%ld messages wait, see %s", rows(), own.log);
}

#define POOL "WORKERS=2", "HASH_WORKERS=1", command, "MAIL_FROM=postern@example.org"

CASE("mail", set_up, tear_down);
CASE_LIMIT_S(180);

NGINX_TEST(what_a_killed_worker_left_is_sent)
{
    add(3);

    start_own(LIST(POOL));

    await_empty();
    ck_assert_int_eq(runs(), 3);
    ck_assert_int_eq(file_has(in_box("mail"), "To: a2@example.org\n"), 1);
    ck_assert(backend_logged(&own, "\"mail_sent\""));
    stop_own();
}

static void stop_helper(pid_t helper)
{
    ck_assert_int_eq(kill(helper, SIGSTOP), 0);
}

static void ask_for_reset(void)
{
    ck_status(
        fetch(.path = "/api/auth/password/forgot", .body = object("{'email':'%s'}", ADMIN_EMAIL)),
        202);
}

#define LOOKS_MS                                                                                   \
    60000 /* how often the helper looks by itself: so there are two of these between               \
             three messages that nobody tells it of */

NGINX_TEST(a_request_that_mails_wakes_the_helper)
{
    start_own(LIST(POOL));
    (void)backend_await_mailer(&own, 0);
    long start = now_ms();

    for (int i = 1; i <= 3; i++) {
        ask_for_reset();
        await_runs(i);
    }

    ck_assert_int_lt(now_ms() - start, 2 * LOOKS_MS);
    stop_own();
}

/* After the answer, and so after the commit; the helper was not told of it. */
NGINX_TEST(a_worker_that_is_killed_after_its_commit_loses_nothing)
{
    pid_t workers[WORKERS_MAX];
    start_own(LIST(POOL));
    pid_t helper = backend_await_mailer(&own, 0);
    stop_helper(helper);

    ask_for_reset();
    for (long end = now_ms() + PATIENCE_MS; rows() == 0; pause_ms(5)) /* it follows the answer */
        ck_assert_int_lt(now_ms(), end);
    size_t count = backend_workers(&own, workers);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(kill(workers[i], SIGKILL), 0);
    ck_assert_int_eq(kill(helper, SIGKILL), 0);

    await_empty();
    ck_assert_int_eq(runs(), 1);
    ck_assert_int_eq(file_has(in_box("mail"), "To: " ADMIN_EMAIL "\n"), 1);
    stop_own();
}

/* It dies in the middle of a message; another helper goes on when the claim has ended. */
NGINX_TEST(a_helper_that_is_killed_loses_nothing)
{
    set_command("while [ ! -e go ]; do sleep 0.02; done; exit 0");
    start_own(LIST(POOL));
    pid_t first = backend_await_mailer(&own, 0);
    add(1);
    ck_assert_int_eq(kill(own.pid, SIGHUP), 0); /* the new one looks at once */
    pid_t second = backend_await_mailer(&own, first);
    await_runs(1);

    ck_assert_int_eq(kill(second, SIGKILL), 0);
    pid_t third = backend_await_mailer(&own, second);
    write_in_box("go", "", 0644);
    ck_assert_int_eq(rows(), 1);
    sql("UPDATE outbox SET due_at = UTC_TIMESTAMP(6)"); /* so long passes until then */
    ck_assert_int_eq(kill(third, SIGKILL), 0);
    (void)backend_await_mailer(&own, third);

    await_empty();
    ck_assert_int_eq(runs(), 2);
    ck_assert(backend_logged(&own, "\"helper_died\""));
    ck_assert(!backend_logged(&own, "\"worker_died\""));
    stop_own();
}

NGINX_TEST(two_pools_with_one_outbox_send_one_copy)
{
    struct backend other;
    add(20);

    backend_start(&other, LIST(POOL));
    start_own(LIST(POOL));

    await_empty();
    ck_assert_int_eq(runs(), 20);
    backend_stop(&other);
    stop_own();
}

NGINX_TEST(a_message_that_was_taken_while_the_database_died_is_not_sent_again)
{
    set_command("while [ ! -e go ]; do sleep 0.02; done; exit 0");
    add(1);
    start_own(LIST(POOL));
    await_runs(1);

    database("kill");
    write_in_box("go", "", 0644);
    file_await(own.log, "\"mail_not_noted\"", 1, PATIENCE_MS);
    database("start");

    await_empty();
    ck_assert_int_eq(runs(), 1);
    stop_own();
}

/* A process that is not our child; whoever adopts it may not wait for it. */
static bool runs_still(pid_t pid)
{
    char state = 'X';
    FILE *file = fopen(say("/proc/%d/stat", (int)pid), "re");
    if (!file)
        return false;
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'X';
    (void)fclose(file);
    return state != 'X' && state != 'Z';
}

NGINX_TEST(the_helper_ends_with_a_pool_that_was_killed)
{
    start_own(LIST(POOL));
    pid_t helper = backend_await_mailer(&own, 0);

    front_stop(&own_front);
    (void)world_end(own.pid, SIGKILL);
    own.pid = 0;

    for (long end = now_ms() + PATIENCE_MS; runs_still(helper); pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
}

NGINX_TEST(without_a_mail_command_nothing_sends)
{
    pid_t pids[WORKERS_MAX];
    add(1);
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));

    ck_assert_uint_eq(backend_workers(&own, pids), 3);
    ck_assert_int_eq(rows(), 1);
    stop_own();
}

/* No parent keeps a helper there: a worker starts a sender that ends again. */
NGINX_TEST(one_worker_alone_sends_by_a_process_of_its_own)
{
    backend_make(&own);
    snprintf(own.hash, sizeof own.hash, "%s", own.fast);
    add(3);

    own.pid = world_start(
        LIST("spawn-fcgi", "-s", own.fast, "-M", "0660", "-n", "--", "/bin/sh", "-c",
             say("exec ../bin/postern serve --mail-command '%s/send -t' 2>>pool.log", box)),
        NULL, own.folder, say("%s/starter.log", own.folder));
    start_own_front();
    (void)http_await(&(const struct http_call){.path = "/api/health"}, 200, PATIENCE_MS);

    await_empty();
    ck_assert_int_eq(runs(), 3);
    (void)fetch(.path = "/api/ready"); /* its connection to the database is its own still */
    ck_status(fetch(.path = "/api/ready"), 200);
    ck_assert(!backend_logged(&own, "failed"));
    stop_own();
}

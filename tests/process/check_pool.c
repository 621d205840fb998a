#include "common/process/pool.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/http/metrics.h"
#include "common/process/reexec.h"
#include "tests/support/child.h"
#include "tests/support/clock.h"
#include "tests/support/suite.h"

#define POOL_RETURNED 42

/* ---- a pool in a process of its own ---- */

/* What a worker tells of itself. */
struct note {
    char what; /* 's' at its start, 'd' when it is done */
    pid_t pid;
    int listen_fd;
};

static int notes[2];
static int log_fd = -1;             /* where the pool's lines go; -1: nowhere */
static struct metrics *counted;     /* by the pool of this test */
static void (*help)(void *context); /* what its helper does; NULL: it has none */

static void tell(char what, int listen_fd)
{
    const struct note note = {what, getpid(), listen_fd};
    if (write(notes[1], &note, sizeof note) != sizeof note)
        _exit(EXIT_FAILURE);
}

static void set_up(void)
{
    ck_assert_int_eq(pipe2(notes, O_CLOEXEC), 0);
    counted =
        mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(counted, MAP_FAILED);
    (void)signal(SIGTERM, SIG_DFL); /* Check's own would pass a worker's end on to the test */
    (void)signal(SIGINT, SIG_DFL);
}

/* The next note, or what = '\0' when none came in time, or 'e' when nobody is left to write. */
static struct note next_note(int timeout_ms)
{
    struct note note = {0};
    struct pollfd ready = {.fd = notes[0], .events = POLLIN};
    if (poll(&ready, 1, timeout_ms) <= 0)
        return note;
    ssize_t got = read(notes[0], &note, sizeof note);
    if (got == 0)
        note.what = 'e';
    else
        ck_assert_int_eq(got, sizeof note);
    return note;
}

static struct note expect(char what)
{
    struct note note = next_note(PATIENCE_MS);
    ck_assert_msg(note.what == what, "'%c' came instead of '%c'", note.what ? note.what : '0',
                  what);
    return note;
}

static void expect_all(char what, int count)
{
    for (int i = 0; i < count; i++)
        (void)expect(what);
}

/* What a pool starts on SIGHUP. */
static char *program[] = {NULL, NULL};

/* In the pool's process: have a worker as from before a reload, which dies after a while. */
static const char *old_form; /* how it is handed over; NULL: there is none */

static void make_old(void)
{
    char list[32];
    pid_t pid = fork();
    if (pid == 0) {
        pause_ms(100);
        (void)raise(SIGKILL);
    }
    (void)snprintf(list, sizeof list, "%s%d,", old_form, (int)pid);
    (void)setenv("POOL_OLD", list, 1);
}

/* Only the pool and its workers keep the writing end, so that its end shows theirs. */
static pid_t start_pool(const struct pool_group *groups, size_t count, unsigned drain_s,
                        void (*work)(void *context, const struct pool_worker *worker))
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        /* The deaths that it logs are meant. */
        (void)dup2(log_fd < 0 ? null : log_fd, STDERR_FILENO);
        (void)close(notes[0]);
        if (old_form)
            make_old();
        pool_run(&(const struct pool){.groups = groups,
                                      .count = count,
                                      .drain_s = drain_s,
                                      .hang_s = 1,
                                      .argv = program,
                                      .work = work,
                                      .help = help,
                                      .context = notes,
                                      .metrics = counted});
        _exit(POOL_RETURNED);
    }
    (void)close(notes[1]);
    return pid;
}

static pid_t start_workers(unsigned workers, unsigned drain_s,
                           void (*work)(void *context, const struct pool_worker *worker))
{
    static struct pool_group group = {.name = "test", .listen_fd = 9};
    group.workers = workers;
    return start_pool(&group, 1, drain_s, work);
}

static void stop(pid_t pool)
{
    ck_assert_int_eq(kill(pool, SIGTERM), 0);
    ck_assert_int_eq(end_of(pool), POOL_RETURNED);
}

/* ---- what workers do ---- */

static _Noreturn void stay(void)
{
    for (;;)
        pause_ms(1000);
}

static void wait_for_signal(void *context, const struct pool_worker *worker)
{
    ck_assert_ptr_eq(context, notes);
    tell('s', worker->listen_fd);
    stay();
}

static void crash_at_once(void *context, const struct pool_worker *worker)
{
    (void)context;
    tell('s', worker->listen_fd);
}

static volatile sig_atomic_t asked_to_end;

static void note_signal(int signal)
{
    (void)signal;
    asked_to_end = 1;
}

/* Like a server that has a request in hand: finishes it, then ends. */
static void finish_first(void *context, const struct pool_worker *worker)
{
    (void)context;
    (void)signal(SIGTERM, note_signal);
    tell('s', worker->listen_fd);
    while (!asked_to_end)
        pause_ms(5);
    pause_ms(300);
    tell('d', worker->listen_fd);
}

static void never_end(void *context, const struct pool_worker *worker)
{
    (void)context;
    (void)signal(SIGTERM, SIG_IGN);
    tell('s', worker->listen_fd);
    stay();
}

/* Says that it is busy, since long ago; who takes its place does not. */
static void hang_once(void *context, const struct pool_worker *worker)
{
    (void)context;
    (void)signal(SIGTERM, SIG_IGN);
    if (!counted->counters[METRIC_WORKER_HANGS])
        *worker->busy_since = (now_ms() - 5000) * 1000000;
    tell('s', worker->listen_fd);
    stay();
}

static void say_ready(void *context, const struct pool_worker *worker)
{
    (void)context;
    pool_worker_is_ready();
    tell('s', worker->listen_fd);
    stay();
}

/* Says that it is busy if its socket is 200, and how many are, in the place of the socket. */
static void tell_busy(void *context, const struct pool_worker *worker)
{
    (void)context;
    *worker->busy_since = worker->listen_fd == 200 ? now_ms() * 1000000 : 0;
    (void)signal(SIGUSR1, note_signal);
    tell('s', worker->listen_fd);
    while (!asked_to_end)
        pause_ms(5);
    tell('b', (int)(10 * pool_busy(worker, 0) + pool_busy(worker, 1)));
    stay();
}

/* ---- keeping workers alive ---- */

CASE("pool", set_up, NULL);
CASE_LIMIT_S(120);

TEST(every_worker_knows_how_many_are_busy)
{
    const struct pool_group groups[] = {{"idle", 100, 3}, {"busy", 200, 2}};
    pid_t pids[5];
    pid_t pool = start_pool(groups, 2, 5, tell_busy);
    for (int i = 0; i < 5; i++)
        pids[i] = expect('s').pid;

    for (int i = 0; i < 5; i++) {
        (void)kill(pids[i], SIGUSR1);
        ck_assert_int_eq(expect('b').listen_fd, 2);
    }

    stop(pool);
}

TEST(a_worker_that_hangs_is_replaced)
{
    pid_t pool = start_workers(1, 1, hang_once);
    pid_t first = expect('s').pid;

    pid_t second = expect('s').pid;

    ck_assert_int_ne(first, second);
    ck_assert_int_ne(kill(first, 0), 0);
    ck_assert_uint_eq(counted->counters[METRIC_WORKER_HANGS], 1);
    ck_assert_uint_eq(counted->counters[METRIC_WORKER_RESTARTS], 1);
    stop(pool);
}

TEST(a_program_that_would_not_start_replaces_nothing)
{
    static char refuses[] = "/bin/false";
    program[0] = refuses;
    pid_t pool = start_workers(1, 5, wait_for_signal);
    pid_t worker = expect('s').pid;

    ck_assert_int_eq(kill(pool, SIGHUP), 0);

    ck_assert_int_eq(next_note(500).what, '\0');
    ck_assert_int_eq(kill(worker, 0), 0);
    ck_assert_uint_eq(counted->counters[METRIC_REFUSED_RELOADS], 1);
    ck_assert_uint_eq(counted->counters[METRIC_RELOADS], 0);
    stop(pool);
}

TEST(a_reload_is_the_program_in_the_same_process)
{
    static char starts[] = "/bin/true";
    program[0] = starts; /* its trial succeeds, and then it takes our place */
    pid_t pool = start_workers(1, 5, wait_for_signal);
    (void)expect('s');

    ck_assert_int_eq(kill(pool, SIGHUP), 0);

    ck_assert_int_eq(end_of(pool), 0);
    ck_assert_uint_eq(counted->counters[METRIC_RELOADS], 1);
}

/* In a worker of a pool that kept nothing but 100 of what there was before. */
static void tell_open(void *context, const struct pool_worker *worker)
{
    (void)context;
    (void)worker;
    tell(fcntl(100, F_GETFD) >= 0 ? 'o' : 'c', 100);
    tell(fcntl(101, F_GETFD) >= 0 ? 'o' : 'c', 101);
    stay();
}

TEST(a_socket_that_is_no_more_configured_is_closed_by_a_reload)
{
    ck_assert_int_eq(dup2(STDIN_FILENO, 100), 100);
    ck_assert_int_eq(dup2(STDIN_FILENO, 101), 101);
    ck_assert_int_eq(setenv("POOL_SOCKETS", "/run/kept.sock=100,/run/old.sock=101,", 1), 0);
    ck_assert_int_eq(reexec_inherited_fd("/run/kept.sock"), 100);
    reexec_keep_fd("/run/kept.sock", 100);

    pid_t pool = start_workers(1, 5, tell_open);

    ck_assert_int_eq(expect('o').listen_fd, 100);
    ck_assert_int_eq(expect('c').listen_fd, 101);
    stop(pool);
}

/* The next message to a socket in the place of the service manager's. */
static const char *next_message(int manager)
{
    static char message[200];
    struct pollfd ready = {.fd = manager, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
    ssize_t len = recv(manager, message, sizeof message - 1, 0);
    ck_assert_int_ge(len, 0);
    message[len] = '\0';
    return message;
}

TEST(a_service_manager_is_told)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/check-pool-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", folder);
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (const struct sockaddr *)&address, sizeof address), 0);
    (void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
    (void)setenv("WATCHDOG_USEC", "400000", 1);

    pid_t pool = start_workers(2, 5, say_ready);

    const char *message = next_message(manager);
    while (strcmp(message, "WATCHDOG=1") == 0)
        message = next_message(manager);
    ck_assert_str_eq(message, "READY=1\nSTATUS=Serving.");
    ck_assert_str_eq(next_message(manager), "WATCHDOG=1");
    ck_assert_str_eq(next_message(manager), "WATCHDOG=1");
    stop(pool);
    message = next_message(manager);
    while (strcmp(message, "WATCHDOG=1") == 0)
        message = next_message(manager);
    ck_assert_str_eq(message, "STOPPING=1");
    (void)close(manager);
    (void)unlink(address.sun_path);
    (void)rmdir(folder);
}

TEST(every_group_has_its_workers_on_its_socket)
{
    const struct pool_group groups[] = {{"fast", 100, 3}, {"slow", 200, 2}, {"none", 300, 0}};
    pid_t pids[5];
    int fast = 0, slow = 0;

    pid_t pool = start_pool(groups, 3, 5, wait_for_signal);

    for (int i = 0; i < 5; i++) {
        struct note note = expect('s');
        fast += note.listen_fd == 100;
        slow += note.listen_fd == 200;
        pids[i] = note.pid;
        for (int k = 0; k < i; k++)
            ck_assert_int_ne(pids[k], pids[i]);
    }
    ck_assert_int_eq(fast, 3);
    ck_assert_int_eq(slow, 2);
    ck_assert_int_eq(next_note(200).what, '\0'); /* and no more */
    stop(pool);
}

static void tell_priority(void *context, const struct pool_worker *worker)
{
    (void)context;
    tell(worker->listen_fd == 200 ? 'n' : 'o', getpriority(PRIO_PROCESS, 0));
    stay();
}

TEST(a_group_may_let_all_else_come_first)
{
    enum { LOWEST = 19 };
    const struct pool_group groups[] = {
        {.name = "fast", .listen_fd = 100, .workers = 1},
        {.name = "slow", .listen_fd = 200, .workers = 1, .nice = 7}};
    const int ours = getpriority(PRIO_PROCESS, 0);
    pid_t pool = start_pool(groups, 2, 5, tell_priority);

    for (int i = 0; i < 2; i++) {
        struct note note = next_note(PATIENCE_MS);
        if (note.what == 'o')
            ck_assert_int_eq(note.listen_fd, ours);
        else
            ck_assert_int_eq(note.listen_fd, ours + 7 < LOWEST ? ours + 7 : LOWEST);
    }
    stop(pool);
}

TEST(a_killed_worker_is_replaced_on_the_same_socket)
{
    const struct pool_group groups[] = {{"fast", 100, 1}, {"slow", 200, 1}};
    pid_t pool = start_pool(groups, 2, 5, wait_for_signal);
    struct note one = expect('s'), other = expect('s');

    ck_assert_int_eq(kill(one.pid, SIGKILL), 0);

    struct note replacement = expect('s');
    ck_assert_int_eq(replacement.listen_fd, one.listen_fd);
    ck_assert_int_ne(replacement.pid, one.pid);
    ck_assert_int_eq(kill(other.pid, 0), 0); /* its neighbour did not notice */
    stop(pool);
}

TEST(all_workers_may_die_together)
{
    pid_t pids[4];
    pid_t pool = start_workers(4, 5, wait_for_signal);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            pids[i] = expect('s').pid;
        for (int i = 0; i < 4; i++)
            (void)kill(pids[i], SIGKILL);
    }

    expect_all('s', 4);

    stop(pool);
    ck_assert_uint_eq(counted->counters[METRIC_WORKER_RESTARTS], 3 * 4); /* the end is no restart */
}

TEST(one_from_before_a_reload_that_dies_untold_is_a_restart_too)
{
    old_form = "";
    pid_t pool = start_workers(1, 5, wait_for_signal); /* never ready, and so relieves nobody */
    (void)expect('s');

    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5))
        if (counted->counters[METRIC_WORKER_RESTARTS])
            break;

    stop(pool);
    ck_assert_uint_eq(counted->counters[METRIC_WORKER_RESTARTS], 1);
}

TEST(one_that_was_told_to_stop_before_the_reload_is_none)
{
    old_form = "-";
    pid_t pool = start_workers(1, 5, wait_for_signal);
    (void)expect('s');
    pause_ms(300);

    stop(pool);
    ck_assert_uint_eq(counted->counters[METRIC_WORKER_RESTARTS], 0);
}

TEST(a_crash_loop_is_slowed_down)
{
    int64_t began = now_ms();

    pid_t pool = start_workers(1, 5, crash_at_once);
    expect_all('s', 6);

    ck_assert_int_ge(now_ms() - began, 50 + 100 + 200 + 400 + 800);
    stop(pool);
}

/* What pools from now on write to their log. */
static FILE *read_log(void)
{
    int log[2];
    ck_assert_int_eq(pipe2(log, O_CLOEXEC), 0);
    log_fd = log[1];
    return fdopen(log[0], "r");
}

/* How long the pool means to wait, in ms, after the next death that it tells of. */
static long told_pause(FILE *log)
{
    static const char name[] = "\"pause_ms\":";
    static char line[1000];
    char *at = NULL;
    while (!at && fgets(line, sizeof line, log))
        at = strstr(line, name);
    ck_assert_ptr_nonnull(at);
    return strtol(at + strlen(name), NULL, 10);
}

TEST(the_pause_has_an_upper_bound)
{
    FILE *log = read_log();
    pid_t pool = start_workers(1, 5, crash_at_once);

    long pause;
    while ((pause = told_pause(log)) < 2000)
        continue;

    ck_assert_int_eq(pause, 2000);
    ck_assert_int_le(told_pause(log), 2000);
    stop(pool);
    (void)fclose(log);
}

/* Each line that the pool writes is met by EPIPE, and by SIGPIPE unless somebody sees to it. */
TEST(a_log_that_nobody_reads_ends_nothing)
{
    static char refuses[] = "/bin/false";
    int log[2];
    program[0] = refuses;
    ck_assert_int_eq(pipe2(log, O_CLOEXEC), 0);
    (void)close(log[0]);
    log_fd = log[1];
    (void)signal(SIGPIPE, SIG_DFL);
    pid_t pool = start_workers(2, 5, wait_for_signal);
    struct note one = expect('s'), other = expect('s');

    ck_assert_int_eq(kill(pool, SIGHUP), 0); /* "reload_refused" */
    for (int64_t end = now_ms() + PATIENCE_MS; !counted->counters[METRIC_REFUSED_RELOADS];
         pause_ms(5))
        ck_assert_int_lt(now_ms(), end);
    ck_assert_int_eq(kill(one.pid, SIGKILL), 0); /* "worker_died" */
    (void)expect('s');

    ck_assert_int_eq(kill(other.pid, 0), 0);
    stop(pool);
}

/* What the parent ignores would stay ignored in its trial, in the program that takes its place, and
 * in all that they start. */
TEST(a_program_that_it_starts_does_not_ignore_sigpipe)
{
    static char path[] = "/tmp/check-pool-XXXXXX";
    char out[sizeof path + 4], line[80];
    int fd = mkstemp(path), lines = 0;
    (void)snprintf(out, sizeof out, "%s.out", path);
    ck_assert_int_gt(dprintf(fd, "#!/bin/sh\ngrep SigIgn /proc/self/status >>%s\n", out), 0);
    ck_assert_int_eq(fchmod(fd, 0700), 0);
    ck_assert_int_eq(close(fd), 0);
    program[0] = path;
    (void)signal(SIGPIPE, SIG_DFL);
    pid_t pool = start_workers(1, 5, wait_for_signal);
    (void)expect('s');

    ck_assert_int_eq(kill(pool, SIGHUP), 0);
    ck_assert_int_eq(end_of(pool), 0); /* which is the script's */

    FILE *told = fopen(out, "r");
    ck_assert_ptr_nonnull(told);
    for (; fgets(line, sizeof line, told); lines++)
        ck_assert_uint_eq(strtoull(line + strlen("SigIgn:"), NULL, 16) & 1 << (SIGPIPE - 1), 0);
    (void)fclose(told);
    (void)unlink(out);
    (void)unlink(path);
    ck_assert_int_eq(lines, 2); /* the trial, and the one after it */
}

TEST(who_lived_long_enough_is_replaced_without_a_pause)
{
    FILE *log = read_log();
    pid_t pool = start_workers(1, 5, wait_for_signal);
    for (int i = 0; i < 6; i++) { /* the next pause would be 1.6 s */
        (void)kill(expect('s').pid, SIGKILL);
        (void)told_pause(log);
    }
    pid_t worker = expect('s').pid;
    pause_ms(1200);

    (void)kill(worker, SIGKILL);

    ck_assert_int_eq(told_pause(log), 0);
    (void)expect('s');
    stop(pool);
    (void)fclose(log);
}

/* Both die, and the other comes back while the one still has to wait. */
static bool overtakes(struct note *one, struct note *other)
{
    long died = now_ms();
    (void)kill(one->pid, SIGKILL);
    pause_ms(50);
    (void)kill(other->pid, SIGKILL);
    struct note first = expect('s');
    bool in_time = now_ms() - died < 1600, overtaken = first.listen_fd == other->listen_fd;
    struct note second = expect('s');
    *one = overtaken ? second : first;
    *other = overtaken ? first : second;
    return overtaken && in_time;
}

/* A busy machine may be too late now and then, but not each time. */
TEST(a_crashing_group_does_not_hold_up_the_others)
{
    const struct pool_group groups[] = {{"good", 100, 1}, {"good too", 200, 1}};
    bool overtaken = false;
    pid_t pool = start_pool(groups, 2, 5, wait_for_signal);
    struct note one = expect('s'), other = expect('s');
    for (int i = 0; i < 6; i++) { /* the next pause is 1.6 s */
        (void)kill(one.pid, SIGKILL);
        one = expect('s');
    }

    for (int tries = 0; tries < 10 && !overtaken; tries++)
        overtaken = overtakes(&one, &other);

    ck_assert(overtaken);
    stop(pool);
}

/* ---- ending ---- */

TEST_TIMES(both_signals_end_the_pool_with_all_its_workers, 2)
{
    static const int signals[] = {SIGTERM, SIGINT};
    pid_t pool = start_workers(3, 5, wait_for_signal);
    expect_all('s', 3);

    ck_assert_int_eq(kill(pool, signals[_i]), 0);

    ck_assert_int_eq(end_of(pool), POOL_RETURNED);
    (void)expect('e');
}

TEST(workers_finish_what_they_have)
{
    pid_t pool = start_workers(3, 10, finish_first);
    expect_all('s', 3);

    ck_assert_int_eq(kill(pool, SIGTERM), 0);

    expect_all('d', 3);
    (void)expect('e'); /* and none was started again */
    ck_assert_int_eq(end_of(pool), POOL_RETURNED);
}

TEST(workers_that_do_not_end_are_killed_after_their_time)
{
    pid_t pool = start_workers(2, 1, never_end);
    expect_all('s', 2);
    int64_t began = now_ms();

    ck_assert_int_eq(kill(pool, SIGTERM), 0);

    ck_assert_int_eq(end_of(pool), POOL_RETURNED);
    ck_assert_int_ge(now_ms() - began, 900);
    (void)expect('e');
}

TEST(a_pool_that_waits_to_start_a_worker_ends_too)
{
    pid_t pool = start_workers(1, 5, crash_at_once);
    expect_all('s', 5);

    stop(pool);
    (void)expect('e');
}

TEST(workers_end_with_a_parent_that_was_killed)
{
    pid_t pool = start_workers(3, 5, wait_for_signal);
    expect_all('s', 3);

    ck_assert_int_eq(kill(pool, SIGKILL), 0);

    (void)expect('e');
    ck_assert_int_eq(end_of(pool), 128 + SIGKILL);
}

/* SIGTERM at any moment, also while workers are being started. */
TEST(no_moment_is_wrong_for_an_end)
{
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(pipe2(notes, O_CLOEXEC), 0);
        pid_t pool = start_workers(2, 5, wait_for_signal);
        (void)expect('s');
        const struct timespec moment = {0, i * 20000};
        (void)nanosleep(&moment, NULL);

        ck_assert_int_eq(kill(pool, SIGTERM), 0);

        ck_assert_int_eq(end_of(pool), POOL_RETURNED);
        while (next_note(PATIENCE_MS).what == 's')
            ;
        (void)close(notes[0]);
    }
}

/* ---- the caller's own signals ---- */

static void show_signals(void *context, const struct pool_worker *worker)
{
    (void)context;
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    bool free_ones = !sigismember(&blocked, SIGTERM) && !sigismember(&blocked, SIGINT) &&
                     !sigismember(&blocked, SIGCHLD);
    tell(free_ones ? 'f' : 'b', worker->listen_fd);
    stay();
}

TEST(workers_have_the_signals_of_the_caller)
{
    pid_t pool = start_workers(1, 5, show_signals);

    (void)expect('f');

    stop(pool);
}

/* ---- a helper ---- */

CASE("helper", set_up, NULL);
CASE_LIMIT_S(120);

static void help_quietly(void *context)
{
    ck_assert_ptr_eq(context, notes);
    tell('h', fcntl(100, F_GETFD) >= 0);
    stay();
}

static void help_to_the_end(void *context)
{
    (void)context;
    (void)signal(SIGTERM, note_signal);
    tell('h', 0);
    while (!asked_to_end)
        pause_ms(5);
    tell('x', 0);
}

static void help_for_ever(void *context)
{
    (void)context;
    (void)signal(SIGTERM, SIG_IGN);
    tell('h', 0);
    stay();
}

#define PIDS_MAX 32768 /* after which they begin again, or later */

static pid_t lowest_worker;

/* All that start, in whatever order they tell so; returns the helper's note. */
static struct note expect_start(int workers)
{
    struct note helper = {0};
    lowest_worker = INT_MAX;
    for (int i = 0; i <= workers; i++) {
        struct note note = next_note(PATIENCE_MS);
        ck_assert(note.what == 'h' || note.what == 's');
        if (note.what == 'h')
            helper = note;
        else if (note.pid < lowest_worker)
            lowest_worker = note.pid;
    }
    ck_assert_int_eq(helper.what, 'h');
    return helper;
}

TEST(the_helper_is_there_before_any_worker)
{
    help = help_quietly;
    pid_t pool = start_workers(3, 5, wait_for_signal);

    struct note first = expect_start(3);

    ck_assert(lowest_worker > first.pid || lowest_worker < first.pid - PIDS_MAX / 2);
    stop(pool);
}

TEST(it_has_none_of_the_sockets)
{
    const struct pool_group groups[] = {{"test", 100, 1}};
    help = help_quietly;
    ck_assert_int_eq(dup2(STDIN_FILENO, 100), 100);

    pid_t pool = start_pool(groups, 1, 5, wait_for_signal);

    ck_assert_int_eq(expect_start(1).listen_fd, 0);
    stop(pool);
}

TEST(it_is_replaced_and_counts_as_no_worker)
{
    help = help_quietly;
    pid_t pool = start_workers(1, 5, wait_for_signal);
    pid_t first = expect_start(1).pid;

    ck_assert_int_eq(kill(first, SIGKILL), 0);

    ck_assert_int_ne(expect('h').pid, first);
    ck_assert_uint_eq(counted->counters[METRIC_WORKER_RESTARTS], 0);
    stop(pool);
}

/* What they tell it at their end it can still do. */
TEST(it_ends_after_the_workers)
{
    help = help_to_the_end;
    pid_t pool = start_workers(1, 20, finish_first);
    (void)expect_start(1);

    ck_assert_int_eq(kill(pool, SIGTERM), 0);

    (void)expect('d');
    (void)expect('x');
    ck_assert_int_eq(end_of(pool), POOL_RETURNED);
}

TEST(one_that_does_not_end_is_killed)
{
    help = help_for_ever;
    pid_t pool = start_workers(1, 1, wait_for_signal);
    (void)expect_start(1);

    stop(pool);

    ck_assert_int_eq(next_note(PATIENCE_MS).what, 'e');
}

TEST(it_ends_with_a_parent_that_was_killed)
{
    help = help_quietly;
    pid_t pool = start_workers(1, 5, wait_for_signal);
    (void)expect_start(1);

    ck_assert_int_eq(kill(pool, SIGKILL), 0);
    (void)end_of(pool);

    ck_assert_int_eq(next_note(PATIENCE_MS).what, 'e');
}

#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define MS 1000000LL          /* nanoseconds */
#define SHORT_LIFE (1000 * MS) /* who lives shorter than this has crashed at its start */
#define PAUSE_MIN (50 * MS)
#define PAUSE_MAX (2000 * MS)

struct slot {
    const struct pool_group *group;
    pid_t pid;         /* 0: none runs */
    int64_t started;   /* monotonic, ns */
    int64_t start_at;  /* not before */
    int64_t pause;     /* the last one, 0 after a worker that lived */
};

struct pool {
    struct slot *slots;
    size_t count;
    void (*work)(void *context, int listen_fd);
    void *context;
    sigset_t watched, before;
};

static int64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

/* ---- one worker ---- */

_Noreturn static void be_worker(const struct pool *pool, const struct slot *slot, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before the line above */
        _exit(EX_OK);
    (void)sigprocmask(SIG_SETMASK, &pool->before, NULL);
    pool->work(pool->context, slot->group->listen_fd);
    exit(EX_OK);
}

static void start(const struct pool *pool, struct slot *slot)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        be_worker(pool, slot, parent);
    slot->started = now_ns();
    if (pid > 0) {
        slot->pid = pid;
        return;
    }
    LOG(LOG_LEVEL_ERROR, log_event("fork_failed"), log_text("cause", strerror(errno)));
    slot->start_at = slot->started + PAUSE_MAX;
}

static int64_t next_pause(const struct slot *slot, int64_t now)
{
    if (now - slot->started >= SHORT_LIFE)
        return 0;
    if (slot->pause == 0)
        return PAUSE_MIN;
    return slot->pause * 2 < PAUSE_MAX ? slot->pause * 2 : PAUSE_MAX;
}

static void note_death(struct slot *slot, int status, bool expected)
{
    int64_t now = now_ns();
    slot->pause = next_pause(slot, now);
    slot->start_at = now + slot->pause;
    if (!expected)
        LOG(LOG_LEVEL_WARNING, log_event("worker_died"), log_text("pool", slot->group->name),
            log_number("pid", slot->pid),
            WIFSIGNALED(status) ? log_number("signal", WTERMSIG(status))
                                : log_number("exit", WEXITSTATUS(status)),
            log_number("pause_ms", slot->pause / MS));
    slot->pid = 0;
}

/* ---- all of them ---- */

static void reap(struct pool *pool, bool expected)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < pool->count; i++)
            if (pool->slots[i].pid == pid)
                note_death(&pool->slots[i], status, expected);
}

/* Start whose time has come; returns the time until the next, or a minute. */
static int64_t start_due(struct pool *pool)
{
    int64_t now = now_ns(), wait = 60000 * MS;
    for (size_t i = 0; i < pool->count; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->pid == 0 && slot->start_at <= now)
            start(pool, slot);
        if (slot->pid == 0 && slot->start_at - now < wait)
            wait = slot->start_at - now;
    }
    return wait > 0 ? wait : 1;
}

static void signal_all(const struct pool *pool, int signal)
{
    for (size_t i = 0; i < pool->count; i++)
        if (pool->slots[i].pid)
            (void)kill(pool->slots[i].pid, signal);
}

static bool any_runs(const struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        if (pool->slots[i].pid)
            return true;
    return false;
}

/* Wait for a watched signal; 0 when `ns` went by without one. */
static int wait_signal(const struct pool *pool, int64_t ns)
{
    const struct timespec timeout = {ns / (1000 * MS), ns % (1000 * MS)};
    int signal = sigtimedwait(&pool->watched, NULL, &timeout);
    return signal > 0 ? signal : 0;
}

static void drain(struct pool *pool, unsigned drain_s)
{
    int64_t end = now_ns() + drain_s * 1000 * MS;
    signal_all(pool, SIGTERM);
    for (int64_t now = now_ns(); any_runs(pool) && now < end; now = now_ns()) {
        (void)wait_signal(pool, end - now);
        reap(pool, true);
    }
    signal_all(pool, SIGKILL);
    while (any_runs(pool)) {
        (void)wait_signal(pool, 100 * MS);
        reap(pool, true);
    }
}

static void ignore_nothing(int signal)
{
    (void)signal; /* a handler, so that the signal is pending for sigtimedwait and not dropped */
}

static void watch_signals(struct pool *pool)
{
    static const int watched[] = {SIGCHLD, SIGTERM, SIGINT};
    const struct sigaction action = {.sa_handler = ignore_nothing};
    (void)sigemptyset(&pool->watched);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        (void)sigaddset(&pool->watched, watched[i]);
    (void)sigaction(SIGCHLD, &action, NULL);
    (void)sigprocmask(SIG_BLOCK, &pool->watched, &pool->before);
}

static void make_slots(struct pool *pool, const struct pool_group *groups, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pool->count += groups[i].workers;
    pool->slots = calloc(pool->count, sizeof *pool->slots);
    if (!pool->slots) {
        fprintf(stderr, "postern: out of memory for %zu workers\n", pool->count);
        exit(EX_OSERR);
    }
    size_t next = 0;
    for (size_t i = 0; i < count; i++)
        for (unsigned n = 0; n < groups[i].workers; n++)
            pool->slots[next++].group = &groups[i];
}

void pool_run(const struct pool_group *groups, size_t count, unsigned drain_s,
              void (*work)(void *context, int listen_fd), void *context)
{
    struct pool pool = {.work = work, .context = context};
    make_slots(&pool, groups, count);
    watch_signals(&pool);
    for (;;) {
        int signal = wait_signal(&pool, start_due(&pool));
        reap(&pool, false);
        if (signal == SIGTERM || signal == SIGINT)
            break;
    }
    drain(&pool, drain_s);
    free(pool.slots);
    (void)sigprocmask(SIG_SETMASK, &pool.before, NULL);
}

#include "common/process/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/base/log.h"
#include "common/http/metrics.h"
#include "common/process/child.h"
#include "common/process/reexec.h"
#include "common/process/systemd.h"
#include "common/process/title.h"

#define MS 1000000LL           /* nanoseconds */
#define SHORT_LIFE (1000 * MS) /* a worker that lives shorter has crashed at its start */
#define PAUSE_MIN (50 * MS)
#define PAUSE_MAX (2000 * MS)
#define LOOK_EVERY (1000 * MS) /* for workers that hang */
#define ENV_OLD "POOL_OLD"     /* pid,… of workers from before a reload; -pid: told to stop */

struct slot {
    const struct pool_group *group;
    pid_t pid; /* 0: none runs */
    bool ready;
    int64_t started;  /* monotonic, ns */
    int64_t start_at; /* not before */
    int64_t pause;    /* the last one, 0 after a worker that lived */
};

struct old {
    pid_t pid;
    bool told_to_stop;
};

struct state {
    const struct pool *pool;
    struct slot *slots;
    size_t count;
    struct slot helper;
    _Atomic int64_t *busy; /* one for each slot, shared with the workers */
    struct old *old;       /* workers from before a reload */
    size_t old_count;
    int64_t kill_old_at; /* 0: not all of them were told to stop yet */
    int signals;         /* signalfd */
    int ready[2];        /* pipe: a worker writes its pid when it is ready */
    bool told_ready;
    int64_t watchdog_at;
};

static int ready_fd = -1; /* in a worker: the pipe's end */

static void *must(void *p)
{
    if (!p) {
        fputs("postern: out of memory: pool\n", stderr);
        exit(EX_OSERR);
    }
    return p;
}

/* ---- one worker ---- */

unsigned pool_busy(const struct pool_worker *worker, size_t group)
{
    const _Atomic int64_t *at = worker->all;
    unsigned busy = 0;
    for (size_t i = 0; i < group; i++)
        at += worker->pool->groups[i].workers;
    for (unsigned i = 0; i < worker->pool->groups[group].workers; i++)
        busy += atomic_load_explicit(&at[i], memory_order_relaxed) != 0;
    return busy;
}

void pool_worker_is_ready(void)
{
    pid_t pid = getpid();
    if (ready_fd < 0)
        return; /* not of a pool */
    ssize_t written = write(ready_fd, &pid, sizeof pid);
    (void)written; /* a parent that has ended does not need it */
    (void)close(ready_fd);
    ready_fd = -1;
}

_Noreturn static void be_worker(const struct state *s, size_t slot, pid_t parent)
{
    const struct pool_worker worker = {s->slots[slot].group->listen_fd, &s->busy[slot], s->pool,
                                       s->busy};
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before the line above */
        _exit(EX_OK);
    (void)close(s->signals);
    (void)close(s->ready[0]);
    ready_fd = s->ready[1];
    child_reset_signals();
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + s->slots[slot].group->nice);
    char title[32];
    (void)snprintf(title, sizeof title, "%s worker", s->slots[slot].group->name);
    title_set(title);
    s->pool->work(s->pool->context, &worker);
    exit(EX_OK);
}

/* It serves nobody: a socket that it kept open would take connections after the pool's end. */
_Noreturn static void be_helper(const struct state *s, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EX_OK);
    (void)close(s->signals);
    (void)close(s->ready[0]);
    (void)close(s->ready[1]);
    for (size_t i = 0; i < s->pool->count; i++)
        (void)close(s->pool->groups[i].listen_fd);
    child_reset_signals();
    s->pool->help(s->pool->context);
    exit(EX_OK);
}

static void note_start(struct slot *at, pid_t pid)
{
    at->started = monotonic_ns();
    at->ready = false;
    if (pid > 0) {
        at->pid = pid;
        return;
    }
    LOG(LOG_LEVEL_ERROR, log_event("fork_failed"), log_text("cause", strerror(errno)));
    at->start_at = at->started + PAUSE_MAX;
}

static void start(struct state *s, size_t slot)
{
    atomic_store(&s->busy[slot], 0);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        be_worker(s, slot, parent);
    note_start(&s->slots[slot], pid);
}

static void start_helper(struct state *s)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        be_helper(s, parent);
    note_start(&s->helper, pid);
}

static int64_t next_pause(const struct slot *slot, int64_t now)
{
    if (now - slot->started >= SHORT_LIFE)
        return 0;
    if (slot->pause == 0)
        return PAUSE_MIN;
    return slot->pause * 2 < PAUSE_MAX ? slot->pause * 2 : PAUSE_MAX;
}

static void count_metric(const struct pool *pool, enum metric what)
{
    if (pool->metrics)
        metrics_add(pool->metrics, what, 1);
}

static void log_death(const char *event, const char *group, pid_t pid, int status, int64_t pause)
{
    LOG(LOG_LEVEL_WARNING, log_event(event), log_text("pool", group), log_number("pid", pid),
        WIFSIGNALED(status) ? log_number("signal", WTERMSIG(status))
                            : log_number("exit", WEXITSTATUS(status)),
        log_number("pause_ms", pause / MS));
}

/* Of a worker that was not told to stop. `group` is NULL for one from before a reload. */
static void tell_death(const struct pool *pool, const char *group, pid_t pid, int status,
                       int64_t pause)
{
    count_metric(pool, METRIC_WORKER_RESTARTS);
    log_death("worker_died", group, pid, status, pause);
}

static void free_slot(struct slot *slot)
{
    int64_t now = monotonic_ns();
    slot->pause = next_pause(slot, now);
    slot->start_at = now + slot->pause;
    slot->pid = 0;
    slot->ready = false;
}

static void note_death(const struct pool *pool, struct slot *slot, int status, bool expected)
{
    pid_t pid = slot->pid;
    free_slot(slot);
    if (!expected)
        tell_death(pool, slot->group->name, pid, status, slot->pause);
}

static void note_helper_death(struct slot *slot, int status, bool expected)
{
    pid_t pid = slot->pid;
    free_slot(slot);
    if (!expected)
        log_death("helper_died", NULL, pid, status, slot->pause);
}

/* ---- all of them ---- */

static void forget_old(struct state *s, pid_t pid, int status, bool expected)
{
    for (size_t i = 0; i < s->old_count; i++) {
        if (s->old[i].pid != pid)
            continue;
        if (!expected && !s->old[i].told_to_stop)
            tell_death(s->pool, NULL, pid, status, 0);
        s->old[i] = s->old[--s->old_count];
    }
}

static void reap(struct state *s, bool expected)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        forget_old(s, pid, status, expected);
        if (s->helper.pid == pid)
            note_helper_death(&s->helper, status, expected);
        for (size_t i = 0; i < s->count; i++)
            if (s->slots[i].pid == pid)
                note_death(s->pool, &s->slots[i], status, expected);
    }
}

static bool all_ready(const struct state *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->slots[i].ready)
            return false;
    return true;
}

static bool one_is_starting(const struct state *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid && !s->slots[i].ready)
            return true;
    return false;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Returns when it is due. */
static int64_t start_helper_if_due(struct state *s, int64_t now)
{
    if (s->pool->help && !s->helper.pid && s->helper.start_at <= now)
        start_helper(s);
    return s->pool->help && !s->helper.pid ? s->helper.start_at : INT64_MAX;
}

/* Start those whose pause has ended, the helper first; workers one after another while old ones are
 * being replaced. Returns when the next is due. */
static int64_t start_due(struct state *s, int64_t now)
{
    int64_t due = earlier(now + 60000 * MS, start_helper_if_due(s, now));
    for (size_t i = 0; i < s->count; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->pid || (s->old_count && one_is_starting(s)))
            continue;
        if (slot->start_at <= now)
            start(s, i);
        if (!slot->pid)
            due = earlier(due, slot->start_at);
    }
    return due;
}

static void kill_hanging(const struct state *s, int64_t now)
{
    for (size_t i = 0; s->pool->hang_s && i < s->count; i++) {
        int64_t since = atomic_load(&s->busy[i]);
        if (!s->slots[i].pid || !since || now - since < s->pool->hang_s * 1000 * MS)
            continue;
        LOG(LOG_LEVEL_ERROR, log_event("worker_hangs"), log_number("pid", s->slots[i].pid),
            log_number("busy_s", (now - since) / (1000 * MS)));
        count_metric(s->pool, METRIC_WORKER_HANGS);
        (void)kill(s->slots[i].pid, SIGKILL);
        atomic_store(&s->busy[i], 0); /* its end may take a while: log it once */
    }
}

static void signal_all(const struct state *s, int signal)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid)
            (void)kill(s->slots[i].pid, signal);
    for (size_t i = 0; i < s->old_count; i++)
        (void)kill(s->old[i].pid, signal);
}

static bool any_runs(const struct state *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid)
            return true;
    return s->old_count > 0;
}

/* Stop `count` of the old workers that were not told to yet. */
static void stop_old(struct state *s, size_t count)
{
    for (size_t i = 0; i < s->old_count && count; i++) {
        if (s->old[i].told_to_stop)
            continue;
        (void)kill(s->old[i].pid, SIGTERM);
        s->old[i].told_to_stop = true;
        count--;
    }
}

/* A new worker is ready: one from before the reload can stop; when all are ready, the rest can. */
static void note_ready(struct state *s, pid_t pid)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid == pid)
            s->slots[i].ready = true;
    stop_old(s, 1);
    if (!all_ready(s))
        return;
    stop_old(s, s->old_count);
    s->kill_old_at = monotonic_ns() + s->pool->drain_s * 1000 * MS;
    if (!s->told_ready)
        systemd_notify("READY=1\nSTATUS=Serving.");
    s->told_ready = true;
}

/* Returns the signal that came, or 0. */
static int wait_until(struct state *s, int64_t due)
{
    struct pollfd fds[] = {{.fd = s->signals, .events = POLLIN},
                           {.fd = s->ready[0], .events = POLLIN}};
    struct signalfd_siginfo info;
    pid_t pid;
    int64_t wait = due - monotonic_ns();
    const struct timespec timeout = {wait > 0 ? wait / (1000 * MS) : 0,
                                     wait > 0 ? wait % (1000 * MS) : 0};
    (void)ppoll(fds, 2, &timeout, NULL);
    while (fds[1].revents & POLLIN && read(s->ready[0], &pid, sizeof pid) == sizeof pid)
        note_ready(s, pid);
    if (read(s->signals, &info, sizeof info) == sizeof info)
        return (int)info.ssi_signo;
    return 0;
}

/* ---- the end ---- */

/* What workers had to tell it until their end it finds, now or when it is started again. */
static void end_helper(struct state *s, int64_t end)
{
    if (s->helper.pid)
        (void)kill(s->helper.pid, SIGTERM);
    for (int64_t now = monotonic_ns(); s->helper.pid && now < end; now = monotonic_ns()) {
        (void)wait_until(s, end);
        reap(s, true);
    }
    if (s->helper.pid)
        (void)kill(s->helper.pid, SIGKILL);
    while (s->helper.pid) {
        (void)wait_until(s, monotonic_ns() + 100 * MS);
        reap(s, true);
    }
}

static void drain(struct state *s)
{
    int64_t end = monotonic_ns() + s->pool->drain_s * 1000 * MS;
    systemd_notify("STOPPING=1");
    signal_all(s, SIGTERM);
    for (int64_t now = monotonic_ns(); any_runs(s) && now < end; now = monotonic_ns()) {
        (void)wait_until(s, end);
        reap(s, true);
    }
    signal_all(s, SIGKILL);
    while (any_runs(s)) {
        (void)wait_until(s, monotonic_ns() + 100 * MS);
        reap(s, true);
    }
    end_helper(s, end);
}

/* ---- a reload ---- */

static void hand_over_workers(const struct state *s)
{
    char *list;
    size_t size;
    FILE *out = must(open_memstream(&list, &size));
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid)
            fprintf(out, "%d,", (int)s->slots[i].pid);
    if (s->helper.pid)
        fprintf(out, "-%d,", (int)s->helper.pid);
    for (size_t i = 0; i < s->old_count; i++)
        fprintf(out, "%d,", s->old[i].told_to_stop ? -(int)s->old[i].pid : (int)s->old[i].pid);
    (void)fclose(out);
    (void)setenv(ENV_OLD, must(list), 1);
    free(list);
}

static void reload(struct state *s)
{
    char state[80];
    if (!reexec_trial(s->pool->argv)) {
        count_metric(s->pool, METRIC_REFUSED_RELOADS);
        return;
    }
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   monotonic_ns() / 1000);
    systemd_notify(state);
    count_metric(s->pool, METRIC_RELOADS);
    hand_over_workers(s);
    if (s->helper.pid)
        (void)kill(s->helper.pid, SIGTERM); /* the new one takes over at once */
    (void)close(s->signals);
    (void)close(s->ready[0]);
    (void)close(s->ready[1]);
    reexec_become(s->pool->argv);
}

static void read_old(struct state *s)
{
    const char *list = getenv(ENV_OLD);
    char *end;
    for (const char *at = list; at && *at; at = *end ? end + 1 : end) {
        s->old = must(realloc(s->old, (s->old_count + 1) * sizeof *s->old));
        long pid = strtol(at, &end, 10);
        s->old[s->old_count++] = (struct old){.pid = (pid_t)labs(pid), .told_to_stop = pid < 0};
    }
    (void)unsetenv(ENV_OLD);
}

/* ---- the beginning ---- */

static void watch_signals(struct state *s)
{
    static const int watched[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        (void)sigaddset(&set, watched[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a log whose reader has ended must not end us all */
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0 || pipe2(s->ready, O_CLOEXEC | O_NONBLOCK) != 0) {
        LOG(LOG_LEVEL_ERROR, log_event("cannot_start"), log_text("cause", strerror(errno)));
        exit(EX_OSERR);
    }
}

static void make_slots(struct state *s)
{
    const struct pool *pool = s->pool;
    for (size_t i = 0; i < pool->count; i++)
        s->count += pool->groups[i].workers;
    s->slots = must(calloc(s->count, sizeof *s->slots));
    s->busy = mmap(NULL, s->count * sizeof *s->busy, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(s->busy == MAP_FAILED ? NULL : s->busy);
    size_t next = 0;
    for (size_t i = 0; i < pool->count; i++)
        for (unsigned n = 0; n < pool->groups[i].workers; n++)
            s->slots[next++].group = &pool->groups[i];
}

/* What is due by now. Returns when the next is. */
static int64_t do_due(struct state *s)
{
    int64_t now = monotonic_ns(), due = start_due(s, now), interval = systemd_watchdog_ns();
    kill_hanging(s, now);
    if (s->pool->hang_s)
        due = earlier(due, now + LOOK_EVERY);
    for (size_t i = 0; s->kill_old_at && now >= s->kill_old_at && i < s->old_count; i++)
        (void)kill(s->old[i].pid, SIGKILL);
    if (s->kill_old_at && s->old_count)
        due = earlier(due, now >= s->kill_old_at ? now + 100 * MS : s->kill_old_at);
    if (interval && now >= s->watchdog_at) {
        systemd_notify("WATCHDOG=1");
        s->watchdog_at = now + interval;
    }
    return interval ? earlier(due, s->watchdog_at) : due;
}

void pool_run(const struct pool *pool)
{
    struct state s = {.pool = pool};
    make_slots(&s);
    read_old(&s);
    reexec_close_the_rest();
    watch_signals(&s);
    for (;;) {
        int signal = wait_until(&s, do_due(&s));
        reap(&s, false);
        if (signal == SIGTERM || signal == SIGINT)
            break;
        if (signal == SIGHUP)
            reload(&s);
    }
    drain(&s);
    (void)munmap(s.busy, s.count * sizeof *s.busy);
    free(s.slots);
    free(s.old);
}

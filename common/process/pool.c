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
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/base/log.h"
#include "common/http/metrics.h"
#include "common/process/systemd.h"

#define MS 1000000LL           /* nanoseconds */
#define SHORT_LIFE (1000 * MS) /* who lives shorter than this has crashed at its start */
#define PAUSE_MIN (50 * MS)
#define PAUSE_MAX (2000 * MS)
#define LOOK_EVERY (1000 * MS) /* for workers that hang */
#define TRIAL_MAX_S 20
#define KEPT_MAX 4
#define ENV_TRIAL "POOL_TRIAL"
#define ENV_SOCKETS "POOL_SOCKETS" /* address=fd,… */
#define ENV_OLD "POOL_OLD"         /* pid,… of workers from before a reload; -pid: told to stop */

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
    bool told; /* to stop */
};

struct state {
    const struct pool *pool;
    struct slot *slots;
    size_t count;
    _Atomic int64_t *busy; /* one for each slot, shared with the workers */
    struct old *old;       /* workers from before a reload */
    size_t old_count;
    int64_t kill_old_at; /* 0: they have not all been told to stop */
    int signals;         /* signalfd */
    int ready[2];        /* pipe: a worker writes its pid when it is ready */
    bool told_ready;
    int64_t watchdog_at;
};

static struct {
    char *address;
    int fd;
} kept[KEPT_MAX];
static size_t kept_count;

static int ready_fd = -1; /* in a worker: the pipe's end */

static void *must(void *p)
{
    if (!p) {
        fputs("postern: out of memory: pool\n", stderr);
        exit(EX_OSERR);
    }
    return p;
}

/* ---- sockets that stay ---- */

void pool_keep_fd(const char *address, int fd)
{
    if (kept_count == KEPT_MAX)
        return;
    kept[kept_count].address = must(strdup(address));
    kept[kept_count++].fd = fd;
}

static void hand_over_fds(void)
{
    char *list;
    size_t size;
    FILE *out = must(open_memstream(&list, &size));
    for (size_t i = 0; i < kept_count; i++) {
        fprintf(out, "%s=%d,", kept[i].address, kept[i].fd);
        (void)fcntl(kept[i].fd, F_SETFD, 0); /* stays open over exec */
    }
    (void)fclose(out);
    (void)setenv(ENV_SOCKETS, must(list), 1);
    free(list);
}

int pool_inherited_fd(const char *address)
{
    const char *at = getenv(ENV_SOCKETS);
    size_t len = strlen(address);
    for (; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        if (strncmp(at, address, len) != 0 || at[len] != '=')
            continue;
        int fd = (int)strtol(at + len + 1, NULL, 10);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* as it was before */
        return fd;
    }
    return -1;
}

static bool is_kept(int fd)
{
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].fd == fd)
            return true;
    return false;
}

/* What was ours before a reload and is no more. A socket that stayed open would take connections,
 * and nobody would ever answer. */
static void close_the_rest(void)
{
    const char *list = getenv(ENV_SOCKETS);
    for (const char *at = list; at && (at = strchr(at, '=')); at++) {
        char *end;
        long fd = strtol(at + 1, &end, 10);
        if (*end == ',' && fd > STDERR_FILENO && !is_kept((int)fd))
            (void)close((int)fd);
    }
    (void)unsetenv(ENV_SOCKETS);
}

bool pool_is_trial(void)
{
    return getenv(ENV_TRIAL) != NULL;
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
    (void)written; /* a parent that is gone needs no word */
    (void)close(ready_fd);
    ready_fd = -1;
}

static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)signal(SIGHUP, SIG_IGN); /* the parent's affair, also from a terminal that goes */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
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
    reset_signals();
    s->pool->work(s->pool->context, &worker);
    exit(EX_OK);
}

static void start(struct state *s, size_t slot)
{
    struct slot *at = &s->slots[slot];
    atomic_store(&s->busy[slot], 0);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        be_worker(s, slot, parent);
    at->started = monotonic_ns();
    at->ready = false;
    if (pid > 0) {
        at->pid = pid;
        return;
    }
    LOG(LOG_LEVEL_ERROR, log_event("fork_failed"), log_text("cause", strerror(errno)));
    at->start_at = at->started + PAUSE_MAX;
}

static int64_t next_pause(const struct slot *slot, int64_t now)
{
    if (now - slot->started >= SHORT_LIFE)
        return 0;
    if (slot->pause == 0)
        return PAUSE_MIN;
    return slot->pause * 2 < PAUSE_MAX ? slot->pause * 2 : PAUSE_MAX;
}

static void tally(const struct pool *pool, enum metric what)
{
    if (pool->metrics)
        metrics_add(pool->metrics, what, 1);
}

/* Nobody asked for it. `group` is NULL for one from before a reload. */
static void tell_death(const struct pool *pool, const char *group, pid_t pid, int status,
                       int64_t pause)
{
    tally(pool, METRIC_WORKER_RESTARTS);
    LOG(LOG_LEVEL_WARNING, log_event("worker_died"), log_text("pool", group),
        log_number("pid", pid),
        WIFSIGNALED(status) ? log_number("signal", WTERMSIG(status))
                            : log_number("exit", WEXITSTATUS(status)),
        log_number("pause_ms", pause / MS));
}

static void note_death(const struct pool *pool, struct slot *slot, int status, bool expected)
{
    int64_t now = monotonic_ns();
    slot->pause = next_pause(slot, now);
    slot->start_at = now + slot->pause;
    if (!expected)
        tell_death(pool, slot->group->name, slot->pid, status, slot->pause);
    slot->pid = 0;
    slot->ready = false;
}

/* ---- all of them ---- */

static void forget_old(struct state *s, pid_t pid, int status, bool expected)
{
    for (size_t i = 0; i < s->old_count; i++) {
        if (s->old[i].pid != pid)
            continue;
        if (!expected && !s->old[i].told)
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

static bool one_is_on_its_way(const struct state *s)
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

/* Start whose time has come, one after another while old workers are relieved. Returns when
 * the next is due. */
static int64_t start_due(struct state *s, int64_t now)
{
    int64_t due = now + 60000 * MS;
    for (size_t i = 0; i < s->count; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->pid || (s->old_count && one_is_on_its_way(s)))
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
        tally(s->pool, METRIC_WORKER_HANGS);
        (void)kill(s->slots[i].pid, SIGKILL);
        atomic_store(&s->busy[i], 0); /* its end may take a while: told once is enough */
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

/* Tell `count` of the old workers to stop that have not been told yet. */
static void relieve(struct state *s, size_t count)
{
    for (size_t i = 0; i < s->old_count && count; i++) {
        if (s->old[i].told)
            continue;
        (void)kill(s->old[i].pid, SIGTERM);
        s->old[i].told = true;
        count--;
    }
}

/* A new worker is ready: one from before the reload may go; when all are, the rest may. */
static void note_ready(struct state *s, pid_t pid)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid == pid)
            s->slots[i].ready = true;
    relieve(s, 1);
    if (!all_ready(s))
        return;
    relieve(s, s->old_count);
    s->kill_old_at = monotonic_ns() + s->pool->drain_s * 1000 * MS;
    if (!s->told_ready)
        notify("READY=1\nSTATUS=Serving.");
    s->told_ready = true;
}

static void take_ready(struct state *s)
{
    pid_t pid;
    while (read(s->ready[0], &pid, sizeof pid) == sizeof pid)
        note_ready(s, pid);
}

/* Returns the signal that came, or 0. */
static int wait_until(struct state *s, int64_t due)
{
    struct pollfd fds[] = {{.fd = s->signals, .events = POLLIN},
                           {.fd = s->ready[0], .events = POLLIN}};
    struct signalfd_siginfo info;
    int64_t wait = due - monotonic_ns();
    const struct timespec timeout = {wait > 0 ? wait / (1000 * MS) : 0,
                                     wait > 0 ? wait % (1000 * MS) : 0};
    (void)ppoll(fds, 2, &timeout, NULL);
    if (fds[1].revents & POLLIN)
        take_ready(s);
    if (read(s->signals, &info, sizeof info) == sizeof info)
        return (int)info.ssi_signo;
    return 0;
}

/* ---- the end ---- */

static void drain(struct state *s)
{
    int64_t end = monotonic_ns() + s->pool->drain_s * 1000 * MS;
    notify("STOPPING=1");
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
}

/* ---- a new program in our place ---- */

/* What we ignore, a program that is started from here would ignore too. */
static void start_program(char *const *argv)
{
    (void)signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
    (void)signal(SIGPIPE, SIG_IGN); /* for whoever tells of it */
}

_Noreturn static void be_trial(char *const *argv, int says)
{
    (void)alarm(TRIAL_MAX_S);
    reset_signals();
    hand_over_fds(); /* as to the program itself, so that it can try the rest */
    (void)setenv(ENV_TRIAL, "1", 1);
    (void)dup2(says, STDERR_FILENO);
    start_program(argv);
    _exit(EX_UNAVAILABLE);
}

/* Read to the end, and keep the last line, as far as it has room: a program that does not start
 * says there why. */
static void read_last_line(int fd, char *ret, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, ret + len, size - 1 - len)) > 0) {
        len += (size_t)got;
        ret[len] = '\0';
        char *newline = memrchr(ret, '\n', len > 0 ? len - 1 : 0);
        if (newline) {
            len -= (size_t)(newline + 1 - ret);
            memmove(ret, newline + 1, len);
        } else if (len == size - 1) {
            len = 0;
        }
    }
    ret[len] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
}

static bool refuse_reload(const char *why)
{
    LOG(LOG_LEVEL_ERROR, log_event("reload_refused"), log_text("cause", why));
    return false;
}

bool pool_trial(char *const *argv)
{
    char why[1000] = "";
    int status = 0, says[2];
    if (pipe2(says, O_CLOEXEC) != 0)
        return refuse_reload(strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        be_trial(argv, says[1]);
    (void)close(says[1]);
    if (pid > 0)
        read_last_line(says[0], why, sizeof why);
    (void)close(says[0]);
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    return refuse_reload(*why ? why : "the program would not start with what is there now");
}

static void hand_over_workers(const struct state *s)
{
    char *list;
    size_t size;
    FILE *out = must(open_memstream(&list, &size));
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].pid)
            fprintf(out, "%d,", (int)s->slots[i].pid);
    for (size_t i = 0; i < s->old_count; i++)
        fprintf(out, "%d,", s->old[i].told ? -(int)s->old[i].pid : (int)s->old[i].pid);
    (void)fclose(out);
    (void)setenv(ENV_OLD, must(list), 1);
    free(list);
}

void pool_become(char *const *argv)
{
    LOG(LOG_LEVEL_INFO, log_event("reloading"));
    hand_over_fds();
    start_program(argv);
    LOG(LOG_LEVEL_ERROR, log_event("reload_failed"), log_text("cause", strerror(errno)));
    exit(EX_OSERR); /* the trial worked a moment ago: let whoever runs us start again */
}

static void reload(struct state *s)
{
    char state[80];
    if (!pool_trial(s->pool->argv)) {
        tally(s->pool, METRIC_REFUSED_RELOADS);
        return;
    }
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   monotonic_ns() / 1000);
    notify(state);
    tally(s->pool, METRIC_RELOADS);
    hand_over_workers(s);
    (void)close(s->signals);
    (void)close(s->ready[0]);
    (void)close(s->ready[1]);
    pool_become(s->pool->argv);
}

static void read_old(struct state *s)
{
    const char *list = getenv(ENV_OLD);
    char *end;
    for (const char *at = list; at && *at; at = *end ? end + 1 : end) {
        s->old = must(realloc(s->old, (s->old_count + 1) * sizeof *s->old));
        long pid = strtol(at, &end, 10);
        s->old[s->old_count++] = (struct old){.pid = (pid_t)labs(pid), .told = pid < 0};
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
    (void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more must not end us all */
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

/* What is to be done by the clock. Returns when the next is due. */
static int64_t by_clock(struct state *s)
{
    int64_t now = monotonic_ns(), due = start_due(s, now), interval = notify_interval_ns();
    kill_hanging(s, now);
    if (s->pool->hang_s)
        due = earlier(due, now + LOOK_EVERY);
    for (size_t i = 0; s->kill_old_at && now >= s->kill_old_at && i < s->old_count; i++)
        (void)kill(s->old[i].pid, SIGKILL);
    if (s->kill_old_at && s->old_count)
        due = earlier(due, now >= s->kill_old_at ? now + 100 * MS : s->kill_old_at);
    if (interval && now >= s->watchdog_at) {
        notify("WATCHDOG=1");
        s->watchdog_at = now + interval;
    }
    return interval ? earlier(due, s->watchdog_at) : due;
}

void pool_run(const struct pool *pool)
{
    struct state s = {.pool = pool};
    make_slots(&s);
    read_old(&s);
    close_the_rest();
    watch_signals(&s);
    for (;;) {
        int signal = wait_until(&s, by_clock(&s));
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

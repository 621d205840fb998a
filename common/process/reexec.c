#include "common/process/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/process/child.h"

#define TRIAL_MAX_S 20
#define KEPT_MAX 8

/* The program that we start may be of another version: these names are fixed. */
#define ENV_TRIAL "POOL_TRIAL"
#define ENV_SOCKETS "POOL_SOCKETS" /* address=fd,… */

static struct {
    char *address;
    int fd;
} kept[KEPT_MAX];
static size_t kept_count;

static void *must(void *p)
{
    if (!p) {
        fputs("postern: out of memory: reexec\n", stderr);
        exit(EX_OSERR);
    }
    return p;
}

/* ---- the descriptors that stay open ---- */

void reexec_keep_fd(const char *address, int fd)
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
        (void)fcntl(kept[i].fd, F_SETFD, 0); /* stays open across exec */
    }
    (void)fclose(out);
    (void)setenv(ENV_SOCKETS, must(list), 1);
    free(list);
}

int reexec_inherited_fd(const char *address)
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

void reexec_close_the_rest(void)
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

/* ---- the new program ---- */

bool reexec_is_trial(void)
{
    return getenv(ENV_TRIAL) != NULL;
}

/* A program that is started from here would ignore what we ignore. */
static void start_program(char *const *argv)
{
    (void)signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
    (void)signal(SIGPIPE, SIG_IGN); /* for whoever logs the failure */
}

_Noreturn static void be_trial(char *const *argv, int says)
{
    (void)alarm(TRIAL_MAX_S);
    child_reset_signals();
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

bool reexec_trial(char *const *argv)
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

void reexec_become(char *const *argv)
{
    LOG(LOG_LEVEL_INFO, log_event("reloading"));
    hand_over_fds();
    start_program(argv);
    LOG(LOG_LEVEL_ERROR, log_event("reload_failed"), log_text("cause", strerror(errno)));
    exit(EX_OSERR); /* the trial worked a moment ago: let whoever runs us start again */
}

/* ---- a program that serves alone ---- */

/* The file as it is now; false when there is none. */
static bool look_at(const char *path, struct reexec_file *ret)
{
    struct stat s;
    if (!path || stat(path, &s) != 0)
        return false;
    *ret = (struct reexec_file){path, s.st_dev, s.st_ino, s.st_size, s.st_mode, s.st_mtim};
    return true;
}

static bool is_same(const struct reexec_file *a, const struct reexec_file *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mode == b->mode && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

void reexec_init(struct reexec *r, char **argv, const char *program, const char *config)
{
    const char *const paths[REEXEC_FILES] = {program, config};
    *r = (struct reexec){.argv = argv};
    for (size_t i = 0; i < REEXEC_FILES; i++) {
        r->files[i].path = paths[i];
        (void)look_at(paths[i], &r->files[i]); /* one that comes later is a change */
    }
}

bool reexec_watches(const struct reexec *r)
{
    for (size_t i = 0; i < REEXEC_FILES; i++)
        if (r->files[i].path)
            return true;
    return false;
}

bool reexec_is_due(struct reexec *r)
{
    bool due = false;
    for (size_t i = 0; i < REEXEC_FILES; i++) {
        struct reexec_file now;
        if (!look_at(r->files[i].path, &now) || is_same(&now, &r->files[i]))
            continue;
        r->files[i] = now;
        due = true;
    }
    return due;
}

/* A signal that comes while the new program is not ready for it would kill: it must wait until
 * the server lets it in. */
static void hold_signals_back(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

bool reexec_try(const struct reexec *r)
{
    if (!reexec_trial(r->argv))
        return false;
    hold_signals_back();
    return true;
}

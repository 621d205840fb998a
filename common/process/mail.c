#include "common/process/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/process/child.h"

#define WORDS_MAX 32
#define MS INT64_C(1000000) /* nanoseconds */
#define LOOK_MS 20          /* where the system cannot tell us of a child's end */

/* Cut the command into words; false for too many or none. */
static bool split(struct arena *a, const char *command, char *ret_words[WORDS_MAX + 1])
{
    size_t count = 0;
    char *rest = arena_strdup(a, command), *word;
    while ((word = strtok_r(rest, " \t", &rest)) != NULL) {
        if (count == WORDS_MAX)
            return false;
        ret_words[count++] = word;
    }
    ret_words[count] = NULL;
    return count > 0;
}

/* A descriptor to read the whole message from, or -1, with EMSGSIZE for one that is too long. A
 * pair of sockets, for it has room for all of it before it is read. */
static int hold(const char *message)
{
    int ends[2];
    size_t len = strlen(message);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    bool whole = send(ends[1], message, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
    (void)shutdown(ends[1], SHUT_WR);
    (void)close(ends[1]);
    if (whole)
        return ends[0];
    (void)close(ends[0]);
    errno = EMSGSIZE;
    return -1;
}

/* A command that runs. */
struct run {
    pid_t pid;
    int told;  /* tells its end by being readable; -1: nothing does */
    int error; /* the other end of its standard error; -1: closed there */
    char said[MAIL_SAID_MAX];
    size_t said_len;
};

/* What it says past our room is read as well, so that it need not wait for us. */
static void listen_to(struct run *run)
{
    char skipped[512];
    for (;;) {
        size_t room = sizeof run->said - run->said_len;
        ssize_t got = read(run->error, room ? run->said + run->said_len : skipped,
                           room ? room : sizeof skipped);
        if (got > 0 && room)
            run->said_len += (size_t)got;
        if (got > 0 || (got < 0 && errno == EINTR))
            continue;
        if (got == 0) {
            (void)close(run->error);
            run->error = -1;
        }
        return;
    }
}

static void wait_a_little(const struct run *run, int64_t until_ns)
{
    struct pollfd fds[] = {{.fd = run->error, .events = POLLIN},
                           {.fd = run->told, .events = POLLIN}};
    int64_t left_ms = (until_ns - monotonic_ns()) / MS + 1;
    if (left_ms < 0)
        left_ms = 0;
    (void)poll(fds, 2, (int)(run->told < 0 && left_ms > LOOK_MS ? LOOK_MS : left_ms));
}

/* Its status, in `*ret`; false when it had to be killed. What it has started by then and left
 * behind goes on: so do programs that deliver on their own. */
static bool wait_for(struct run *run, unsigned limit_ms, int *ret)
{
    int64_t until_ns = monotonic_ns() + limit_ms * MS;
    for (;;) {
        if (run->error >= 0)
            listen_to(run);
        pid_t ended = waitpid(run->pid, ret, WNOHANG);
        if (ended != 0 && errno != EINTR) {
            if (run->error >= 0)
                listen_to(run);
            return true;
        }
        if (monotonic_ns() >= until_ns)
            break;
        wait_a_little(run, until_ns);
    }
    (void)kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, ret, 0) < 0 && errno == EINTR)
        continue;
    return false;
}

static bool start(struct arena *a, char **words, int input, struct run *ret)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), ends[2] = {-1, -1};
    ret->pid = ret->told = ret->error = -1;
    if (nowhere >= 0 && pipe2(ends, O_CLOEXEC) == 0)
        ret->pid = child_start(&(const struct child){.words = words,
                                                     .environment = child_environment(a),
                                                     .in = input,
                                                     .out = nowhere,
                                                     .err = ends[1],
                                                     .alone = true});
    int failed = errno;
    if (nowhere >= 0)
        (void)close(nowhere);
    if (ends[1] >= 0)
        (void)close(ends[1]);
    if (ret->pid < 0 && ends[0] >= 0)
        (void)close(ends[0]);
    errno = failed;
    if (ret->pid < 0)
        return false;
    ret->told = pidfd_open(ret->pid, 0);
    ret->error = ends[0];
    (void)fcntl(ret->error, F_SETFL, O_NONBLOCK);
    return true;
}

static enum mail_verdict verdict_of(int exit_status)
{
    switch (exit_status) {
    case EX_OK:
        return MAIL_SENT;
    case EX_USAGE:
    case EX_DATAERR:
    case EX_NOUSER:
        return MAIL_REFUSED;
    default:
        return MAIL_AGAIN;
    }
}

static struct mail_end end_of(struct arena *a, int status)
{
    if (WIFEXITED(status))
        return (struct mail_end){.verdict = verdict_of(WEXITSTATUS(status)),
                                 .how = arena_printf(a, "exit %d", WEXITSTATUS(status))};
    return (struct mail_end){.verdict = MAIL_AGAIN,
                             .how = arena_printf(a, "signal %d", WTERMSIG(status))};
}

static void run(struct arena *a, char **words, int input, unsigned limit_ms, struct mail_end *ret)
{
    struct run run = {0};
    int status = W_EXITCODE(EX_OSERR, 0); /* where somebody else has waited for it */
    if (!start(a, words, input, &run)) {
        *ret = (struct mail_end){
            .verdict = MAIL_AGAIN, .how = "cannot be started", .said = text_of(strerror(errno))};
        return;
    }
    bool ended = wait_for(&run, limit_ms, &status);
    *ret = ended ? end_of(a, status)
                 : (struct mail_end){.verdict = MAIL_AGAIN,
                                     .how = arena_printf(a, "no end after %u s", limit_ms / 1000)};
    ret->said = (struct text){arena_copy(a, run.said, run.said_len), run.said_len};
    if (run.told >= 0)
        (void)close(run.told);
    if (run.error >= 0)
        (void)close(run.error);
}

void mail_deliver(struct arena *a, const char *command, const char *message, unsigned limit_ms,
                  struct mail_end *ret)
{
    char *words[WORDS_MAX + 1];
    if (!split(a, command, words) || access(words[0], X_OK) != 0) {
        *ret = (struct mail_end){.verdict = MAIL_AGAIN, .how = "cannot be started"};
        return;
    }
    int input = hold(message);
    if (input < 0) {
        *ret = errno == EMSGSIZE ? (struct mail_end){.verdict = MAIL_REFUSED, .how = "too long"}
                                 : (struct mail_end){.verdict = MAIL_AGAIN, .how = "no socket"};
        return;
    }
    run(a, words, input, limit_ms, ret);
    (void)close(input);
}

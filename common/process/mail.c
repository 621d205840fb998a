#include "common/process/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/process/child.h"

#define WORDS_MAX 32

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

/* A child of a child, so that we need not wait for it. */
static bool spawn(const struct child *sender)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child_start(sender) < 0 ? EX_OSERR : EX_OK);
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return errno == ECHILD; /* the pool's parent may have taken it */
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EX_OK;
}

/* It reads the message, and its errors go to our standard error. */
static bool start(struct arena *a, char **words, int input)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0)
        return false;
    bool started = spawn(&(const struct child){.words = words,
                                               .environment = child_environment(a),
                                               .in = input,
                                               .out = nowhere,
                                               .err = STDERR_FILENO,
                                               .alone = true});
    (void)close(nowhere);
    return started;
}

struct problem *mail_send(struct arena *a, const char *command, const char *message)
{
    char *words[WORDS_MAX + 1];
    int ends[2];
    size_t len = strlen(message);
    if (!split(a, command, words) || access(words[0], X_OK) != 0)
        return problem_because(a, &problem_internal, "MAIL_COMMAND cannot be run: %s", command);
    /* A pair of sockets, for it has room for the whole message before it is read. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return problem_because(a, &problem_internal, "no pipe for mail: %s", strerror(errno));
    bool sent = send(ends[1], message, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
    (void)shutdown(ends[1], SHUT_WR);
    bool started = sent && start(a, words, ends[0]);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return started ? NULL : problem_because(a, &problem_internal, "mail cannot be handed over");
}

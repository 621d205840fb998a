#include "mail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "problem.h"

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

/* Between fork and exec, and so only with what is safe there. Signals that the worker holds
 * back shall reach the program, and it shall outlive the worker. */
_Noreturn static void become(char **words, int input)
{
    sigset_t none;
    int nowhere = open("/dev/null", O_RDWR);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setsid();
    (void)dup2(input, STDIN_FILENO);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)close_range(3, ~0u, 0); /* the listening socket and the database are not its own */
    execv(words[0], words);
    _exit(EX_UNAVAILABLE);
}

/* A child of a child: nobody has to wait for it. */
static bool spawn(char **words, int input)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            become(words, input);
        _exit(grandchild < 0 ? EX_OSERR : EX_OK);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return errno == ECHILD; /* the pool's parent may have taken it */
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EX_OK;
}

struct problem *mail_send(struct arena *a, const char *command, const char *message)
{
    char *words[WORDS_MAX + 1];
    int ends[2];
    size_t len = strlen(message);
    if (!split(a, command, words) || access(words[0], X_OK) != 0)
        return problem_because(a, &problem_internal, "MAIL_COMMAND cannot be run: %s", command);
    /* A pair of sockets, for it has room for the message before anybody reads. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return problem_because(a, &problem_internal, "no pipe for mail: %s", strerror(errno));
    bool sent = send(ends[1], message, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
    (void)shutdown(ends[1], SHUT_WR);
    bool started = sent && spawn(words, ends[0]);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return started ? NULL : problem_because(a, &problem_internal, "mail cannot be handed over");
}

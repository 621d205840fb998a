#include "tests/support/child.h"

#include <signal.h>
#include <sys/wait.h>

#include "tests/support/clock.h"

int end_of(pid_t pid)
{
    int status;
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(1))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    (void)kill(pid, SIGKILL);
    return -1;
}

/* counters.c -- _exit(2) and abort(3) of a build for coverage keep what was counted.
 *
 * The counters are written by exit(3), which a child that was forked does not call, nor a worker
 * that gives up. The program and the tests take these in place of the C library's. What another
 * signal ends writes nothing. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The compiler's; of gcc it is in <gcov.h>, and clang has no header for it. */
void __gcov_dump(void);

void _exit(int status)
{
    __gcov_dump();
    for (;;)
        (void)syscall(SYS_exit_group, status);
}

void abort(void)
{
    __gcov_dump();
    (void)signal(SIGABRT, SIG_DFL);
    for (;;)
        (void)raise(SIGABRT);
}

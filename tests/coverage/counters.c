/* counters.c -- _exit(2), abort(3) and execvp(3) of a build for coverage keep what was counted.
 *
 * The counters are written by exit(3), which a child that was forked does not call, nor a worker
 * that gives up or starts itself again. The program and the tests take these in place of the C
 * library's. What another signal ends writes nothing. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The compiler's; of gcc they are in <gcov.h>, and clang has no header for them. */
void __gcov_dump(void);
void __gcov_reset(void);

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

/* Once it has been written, nothing is before it was reset. */
int execvp(const char *file, char *const *argv)
{
    int (*real)(const char *, char *const *);
    *(void **)&real = dlsym(RTLD_NEXT, "execvp");
    __gcov_dump();
    __gcov_reset();
    return real(file, argv);
}

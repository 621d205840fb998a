#include "common/base/exhausted.h"

#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

CASE("exhausted", scratch_open, scratch_close);

static void say_so(void)
{
    ck_assert_int_eq(write(STDERR_FILENO, "last\n", 5), 5);
}

/* The function that is run last lacks something too. */
static void want_more(void)
{
    say_so();
    exhausted("more than %s", "that");
}

/* What the process says whose `last` that is; it must end with status 70. */
static const char *words_of(void (*last)(void))
{
    static char said[256];
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
        scratch_close(); /* or it would be called a leak */
        on_exhausted(last);
        exhausted("out of %s", "paper");
    }
    (void)close(ends[1]);
    memset(said, 0, sizeof said);
    for (size_t len = 0; len < sizeof said - 1;) {
        ssize_t got = read(ends[0], said + len, sizeof said - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    (void)close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), EX_SOFTWARE);
    return said;
}

TEST(the_end_tells_what_is_missing_and_does_one_thing_more)
{
    ck_assert_str_eq(words_of(NULL), "postern: out of paper\n");
    ck_assert_str_eq(words_of(say_so), "postern: out of paper\nlast\n");
}
END_TEST

TEST(the_last_thing_is_done_once)
{
    ck_assert_str_eq(words_of(want_more), "postern: out of paper\nlast\npostern: more than that\n");
}
END_TEST

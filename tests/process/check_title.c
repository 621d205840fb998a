#include "common/process/title.h"

#include <string.h>

#include "common/base/arena.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* As the kernel lays arguments and environment: one behind the other. */
static char memory[64];
static char *args[4];

static int lay(const char *const *words)
{
    char *to = memory;
    int argc = 0;
    for (; words[argc]; argc++) {
        args[argc] = strcpy(to, words[argc]);
        to += strlen(to) + 1;
    }
    args[argc] = NULL;
    (void)strcpy(to, "NAME=value");
    return argc;
}

static const char *environment_after(int argc)
{
    return args[argc - 1] + strlen(args[argc - 1]) + 1;
}

CASE("title", scratch_open, scratch_close);

TEST(the_title_stands_where_the_arguments_were)
{
    int argc = lay((const char *const[]){"/usr/bin/program", "--config", "/etc/a.conf", NULL});
    const char *environment = environment_after(argc);
    char **kept = title_keep(a, argc, args);

    title_set("fast worker");

    ck_assert_str_eq(memory, "program: fast worker");
    for (const char *rest = memory + strlen(memory); rest < environment; rest++)
        ck_assert_int_eq(*rest, 0);
    ck_assert_str_eq(environment, "NAME=value");
    ck_assert_str_eq(kept[0], "/usr/bin/program");
    ck_assert_str_eq(kept[2], "/etc/a.conf");
    ck_assert_ptr_null(kept[3]);

    title_set("x");
    ck_assert_str_eq(memory, "program: x");
}

TEST(what_is_too_long_is_cut)
{
    int argc = lay((const char *const[]){"postern", "serve", NULL});
    const char *environment = environment_after(argc);
    (void)title_keep(a, argc, args);

    title_set("fast worker");

    ck_assert_str_eq(memory, "postern: fast");
    ck_assert_str_eq(environment, "NAME=value");
}

TEST(without_arguments_there_is_nothing_to_write_on)
{
    args[0] = NULL;
    char **kept = title_keep(a, 0, args);

    title_set("worker");

    ck_assert_ptr_null(kept[0]);
}

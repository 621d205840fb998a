#include "common/process/reexec.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/suite.h"

/* reexec_try() is looked at with a server around it, in check_server.c. */

static char folder[64], program[80], config[80];
static struct reexec reexec;
static char *argv[] = {NULL};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void set_time(const char *path, time_t s, long ns)
{
    const struct timespec times[] = {{s, ns}, {s, ns}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void set_up(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/check-reexec.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(program, sizeof program, "%s/api.fcgi", folder);
    (void)snprintf(config, sizeof config, "%s/postern.conf", folder);
    put(program, "program");
    put(config, "A = 1\n");
    set_time(program, 1000, 0);
    set_time(config, 1000, 0);
    reexec_init(&reexec, argv, program, config);
}

static void tear_down(void)
{
    (void)unlink(program);
    (void)unlink(config);
    (void)rmdir(folder);
}

static void touch_program(void)
{
    set_time(program, 2000, 0);
}

static void touch_config(void)
{
    set_time(config, 1000, 1); /* by as little as that */
}

static void turn_clock_back(void)
{
    set_time(config, 10, 0);
}

static void lengthen(void)
{
    put(config, "A = 12\n");
    set_time(config, 1000, 0);
}

static void open_to_others(void)
{
    ck_assert_int_eq(chmod(config, 0604), 0);
}

static void replace(void)
{
    char other[90];
    (void)snprintf(other, sizeof other, "%s.new", config);
    put(other, "A = 2\n");
    set_time(other, 1000, 0);
    ck_assert_int_eq(rename(other, config), 0);
}

static void (*const changes[])(void) = {touch_program, touch_config,   turn_clock_back,
                                        lengthen,      open_to_others, replace};

CASE("reexec", set_up, tear_down);

TEST_EACH(a_change_is_seen_once, changes)
{
    ck_assert(!reexec_is_due(&reexec));

    changes[_i]();

    ck_assert(reexec_is_due(&reexec));
    ck_assert(!reexec_is_due(&reexec));
}

TEST(a_file_that_is_gone_is_no_change_until_it_is_back)
{
    ck_assert_int_eq(unlink(config), 0);
    ck_assert(!reexec_is_due(&reexec));

    put(config, "A = 2\n");

    ck_assert(reexec_is_due(&reexec));
}

TEST(without_files_there_is_nothing_to_watch)
{
    ck_assert(reexec_watches(&reexec));

    reexec_init(&reexec, argv, NULL, NULL);

    ck_assert(!reexec_watches(&reexec));
    ck_assert(!reexec_is_due(&reexec));
}

#include "common/process/mail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "tests/support/clock.h"
#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define PATIENCE_S 30

/* ---- a folder for files, below the current one: a command's path has no spaces ---- */

static char folder[] = "check-mail-XXXXXX";

static void set_up(void)
{
    scratch_open();
    folder_make(folder);
}

static void tear_down(void)
{
    folder_remove(folder);
    scratch_close();
}

static const char *path_of(const char *name)
{
    return arena_printf(a, "%s/%s", folder, name);
}

/* Write a program, and return its path. */
static const char *write_program(const char *text, mode_t mode)
{
    const char *path = path_of("send");
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

static const char *write_script(const char *text, mode_t mode)
{
    return write_program(arena_printf(a, "#!/bin/sh\n%s\n", text), mode);
}

/* Fail the test when the program does not come to the point. */
static void keep_waiting(time_t since, const char *what)
{
    ck_assert_msg(time(NULL) - since < PATIENCE_S, "nothing happens: %s", what);
    pause_ms(5);
}

/* What is in a file of the folder, once it is there; a NUL follows. */
static struct text wait_for_file(const char *name)
{
    char *text = arena_alloc(a, (size_t)128 * 1024);
    time_t start = time(NULL);
    int fd;
    while ((fd = open(path_of(name), O_RDONLY | O_CLOEXEC)) < 0)
        keep_waiting(start, name);
    size_t len = 0;
    for (ssize_t got; (got = read(fd, text + len, (size_t)128 * 1024 - 1 - len)) > 0;)
        len += (size_t)got;
    close(fd);
    return (struct text){text, len};
}

/* ---- the message ---- */

/* Keeps standard input; the file appears when all of it is there. */
#define KEEP "cd \"${0%/*}\" && cat >part && mv part message"

CASE("messages", set_up, tear_down);
CASE_LIMIT_S(2 * PATIENCE_S);

TEST(a_message_arrives_as_it_is)
{
    static const char message[] =
        "To: ada@example.org\nSubject: \303\204\n\n.\n..\n\\n $HOME\r\nend";
    const char *script = write_script(KEEP, 0700);

    must(mail_send(a, script, message));

    struct text got = wait_for_file("message");
    ck_assert_uint_eq(got.len, strlen(message));
    ck_assert_mem_eq(got.data, message, got.len);
}

static const size_t lengths[] = {0, 1, 4096, 65536};

TEST_EACH(a_message_of_any_length_up_to_64_kib_arrives_whole, lengths)
{
    size_t len = lengths[_i];
    char *message = arena_alloc(a, len + 1);
    for (size_t i = 0; i < len; i++)
        message[i] = (char)('a' + i % 26);
    message[len] = '\0';
    const char *script = write_script(KEEP, 0700);

    must(mail_send(a, script, message));

    struct text got = wait_for_file("message");
    ck_assert_uint_eq(got.len, len);
    ck_assert(len == 0 || memcmp(got.data, message, len) == 0);
}

TEST(a_message_that_is_too_large_is_refused_and_nothing_runs)
{
    size_t len = (size_t)2 * 1024 * 1024;
    char *message = arena_alloc(a, len + 1);
    memset(message, 'x', len);
    message[len] = '\0';
    const char *script = write_script(KEEP, 0700);

    struct problem *p = mail_send(a, script, message);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    pause_ms(100);
    ck_assert_int_ne(access(path_of("part"), F_OK), 0);
    ck_assert_int_ne(access(path_of("message"), F_OK), 0);
}

/* ---- the command ---- */

#define SHOW_WORDS "cd \"${0%/*}\" && { for word; do echo \"<$word>\"; done; } >part; mv part words"

static const struct {
    const char *arguments, *words;
} commands[] = {
    {"", ""},
    {" -t -i", "<-t>\n<-i>\n"},
    {"  -t \t -i\t ", "<-t>\n<-i>\n"},
    {" a; touch b", "<a;>\n<touch>\n<b>\n"},
    {" $(id) `id` $HOME ${0} ~", "<$(id)>\n<`id`>\n<$HOME>\n<${0}>\n<~>\n"},
    {" * ? [a-z] {a,b}", "<*>\n<?>\n<[a-z]>\n<{a,b}>\n"},
    {" 'one two' \"x\" \\y", "<'one>\n<two'>\n<\"x\">\n<\\y>\n"},
    {" a|b &&c >d <e &", "<a|b>\n<&&c>\n<>d>\n<<e>\n<&>\n"},
};

CASE("commands", set_up, tear_down);
CASE_LIMIT_S(2 * PATIENCE_S);

TEST_EACH(a_command_is_cut_into_words_and_no_shell_looks_at_them, commands)
{
    const char *script = write_script(SHOW_WORDS, 0700);

    must(mail_send(a, arena_printf(a, "%s%s", script, commands[_i].arguments), ""));

    ck_assert_str_eq(wait_for_file("words").data, commands[_i].words);
}

TEST(the_path_may_have_blanks_before_it)
{
    const char *script = write_script(KEEP, 0700);

    must(mail_send(a, arena_printf(a, " \t%s", script), "m"));

    ck_assert_uint_eq(wait_for_file("message").len, 1);
}

TEST(a_command_has_at_most_32_words)
{
    const char *command = write_script(SHOW_WORDS, 0700);
    for (int i = 1; i < 32; i++)
        command = arena_printf(a, "%s w", command);

    must(mail_send(a, command, ""));
    ck_assert_uint_eq(wait_for_file("words").len, 31 * strlen("<w>\n"));

    ck_assert_ptr_nonnull(mail_send(a, arena_printf(a, "%s w", command), ""));
}

static const char *const bad_commands[] = {
    "", " ", "\t", "/nonexistent/sendmail -t", "sendmail-that-is-nowhere", "; true",
};

TEST_EACH(a_command_that_is_not_there_is_a_problem, bad_commands)
{
    struct problem *p = mail_send(a, bad_commands[_i], "secret message");

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_nonnull(strstr(p->cause, "MAIL_COMMAND"));
    ck_assert_ptr_null(strstr(p->cause, "secret"));
}

TEST(a_file_that_cannot_be_run_is_a_problem)
{
    ck_assert_ptr_nonnull(mail_send(a, write_script(KEEP, 0600), "message"));

    ck_assert_int_ne(access(path_of("part"), F_OK), 0);
}

/* ---- the process ---- */

/* The program tells its number and then sleeps; it is what it will be once it is "sleep". */
#define SLEEP "cd \"${0%/*}\" && echo $$ >part && mv part pid && exec sleep 60"

static struct text read_proc(pid_t pid, const char *name)
{
    char *text = arena_alloc(a, 4096);
    int fd = open(arena_printf(a, "/proc/%d/%s", (int)pid, name), O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ssize_t len = read(fd, text, 4095);
    close(fd);
    ck_assert_int_ge(len, 0);
    text[len] = '\0';
    return (struct text){text, (size_t)len};
}

static pid_t start_sleeper(void)
{
    must(mail_send(a, write_script(SLEEP, 0700), "message"));
    pid_t pid = (pid_t)strtol(wait_for_file("pid").data, NULL, 10);
    time_t start = time(NULL);
    ck_assert_int_gt(pid, 1);
    while (strcmp(read_proc(pid, "comm").data, "sleep\n") != 0)
        keep_waiting(start, "exec sleep");
    return pid;
}

CASE("processes", set_up, tear_down);
CASE_LIMIT_S(2 * PATIENCE_S);

TEST(nobody_waits_for_the_command)
{
    time_t start = time(NULL);

    pid_t pid = start_sleeper();

    ck_assert_int_lt(time(NULL) - start, 55);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

TEST(no_child_stays_behind)
{
    pid_t pid = start_sleeper();

    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

TEST(no_child_stays_behind_when_the_command_fails)
{
    for (int i = 0; i < 3; i++)
        must(mail_send(a, "/bin/false", "message"));

    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* A shell adds some of its own, such as PWD. */
TEST(the_command_gets_none_of_our_settings)
{
    const char *script = write_script("cd \"${0%/*}\" && env >part && mv part env", 0700);
    setenv("DATABASE_URL", "mysql://u:hunter2@localhost/d", 1);
    setenv("JWT_SECRET_KEY", "hunter2", 1);
    setenv("ANYTHING", "hunter2", 1);
    setenv("HOMELY", "hunter2", 1);
    setenv("HOME", "/home/ada", 1);
    setenv("LC_TIME", "C", 1);

    must(mail_send(a, script, "message"));

    const char *text = arena_printf(a, "\n%s", wait_for_file("env").data);
    ck_assert_ptr_null(strstr(text, "hunter2"));
    ck_assert_ptr_nonnull(strstr(text, arena_printf(a, "\nPATH=%s\n", getenv("PATH"))));
    ck_assert_ptr_nonnull(strstr(text, "\nHOME=/home/ada\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nLC_TIME=C\n"));
}

TEST(the_command_has_a_path_where_we_have_none)
{
    const char *script = write_script("cd \"${0%/*}\" && env >part && mv part env", 0700);
    clearenv();

    must(mail_send(a, script, "message"));

    ck_assert_ptr_nonnull(strstr(wait_for_file("env").data, "PATH=/usr/local/bin:"));
}

TEST(a_command_that_cannot_be_started_is_a_problem)
{
    const char *script = write_program("#!/nonexistent/shell\n", 0700);

    ck_assert_ptr_nonnull(mail_send(a, script, "message"));
}

static const char *target_of(pid_t pid, int fd)
{
    char *target = arena_alloc(a, 256);
    ssize_t len = readlink(arena_printf(a, "/proc/%d/fd/%d", (int)pid, fd), target, 255);
    ck_assert_int_ge(len, 0);
    target[len] = '\0';
    return target;
}

static int count_descriptors(pid_t pid)
{
    int count = 0;
    DIR *listing = opendir(arena_printf(a, "/proc/%d/fd", (int)pid));
    for (struct dirent *entry; (entry = readdir(listing));)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

TEST(the_command_gets_no_descriptor_but_its_own_three)
{
    int ends[2], count = 0;
    time_t start = time(NULL);
    ck_assert_int_eq(pipe(ends), 0); /* without CLOEXEC */
    ck_assert_int_eq(dup2(ends[0], 200), 200);

    pid_t pid = start_sleeper();
    while (count_descriptors(pid) > 3) /* the loader still reads a library */
        keep_waiting(start, "more than three descriptors");

    DIR *listing = opendir(arena_printf(a, "/proc/%d/fd", (int)pid));
    for (struct dirent *entry; (entry = readdir(listing));)
        if (entry->d_name[0] != '.') {
            ck_assert_msg(strtol(entry->d_name, NULL, 10) < 3, "descriptor %s", entry->d_name);
            count++;
        }
    closedir(listing);
    ck_assert_int_eq(count, 3);
    ck_assert_str_eq(target_of(pid, STDOUT_FILENO), "/dev/null");
    ck_assert_str_eq(target_of(pid, STDERR_FILENO), target_of(getpid(), STDERR_FILENO));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

TEST(we_keep_no_descriptor_of_it)
{
    int before = dup(STDIN_FILENO);
    close(before);

    must(mail_send(a, "/bin/true", "message"));
    ck_assert_ptr_nonnull(mail_send(a, "/nonexistent/sendmail", "message"));

    int after = dup(STDIN_FILENO);
    close(after);
    ck_assert_int_eq(after, before);
}

/* A set of signals in the text of /proc/PID/status, without those above SIGSYS: the C library
 * keeps some of them for itself, as it finds them. */
static uint64_t signals_in(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    ck_assert_ptr_nonnull(line);
    return strtoull(line + strlen(name), NULL, 16) & 0x7FFFFFFF;
}

TEST(the_command_is_in_a_session_of_its_own_and_ignores_no_signal)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* as in each worker of a pool */

    pid_t pid = start_sleeper();

    ck_assert_uint_eq(signals_in(read_proc(pid, "status").data, "SigIgn:"), 0);
    ck_assert_int_eq(getsid(pid), getpgid(pid));
    ck_assert_int_ne(getsid(pid), getsid(0));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

/* As a worker does while it answers, we hold signals back. The program is no shell, for that
 * would let them in by itself. */
TEST(signals_reach_the_command)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, NULL);
    const char *program = write_program(
        arena_printf(a,
                     "#!/usr/bin/awk -f\n"
                     "BEGIN { while ((getline line < \"/proc/self/status\") > 0)\n"
                     "print line >\"%s\"; close(\"%s\"); system(\"mv %s %s\") }\n",
                     path_of("part"), path_of("part"), path_of("part"), path_of("status")),
        0700);

    must(mail_send(a, program, "message"));

    ck_assert_uint_eq(signals_in(wait_for_file("status").data, "SigBlk:"), 0);
}

TEST(a_command_that_does_not_read_does_no_harm)
{
    signal(SIGPIPE, SIG_DFL);

    for (int i = 0; i < 5; i++)
        must(mail_send(a, "/bin/true", "message"));
}

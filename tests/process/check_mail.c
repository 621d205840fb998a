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

#include "tests/support/clock.h"
#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

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
    ck_assert_msg(time(NULL) - since < PATIENCE_MS / 1000, "nothing happens: %s", what);
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

static struct mail_end deliver(const char *command, const char *message)
{
    struct mail_end end;
    mail_deliver(a, command, message, MAIL_LIMIT_MS, &end);
    return end;
}

static void ck_sent(const char *command, const char *message)
{
    struct mail_end end = deliver(command, message);
    ck_assert_msg(end.verdict == MAIL_SENT, "%s: %s", command, end.how);
}

/* ---- the message ---- */

/* Keeps standard input; the file appears when all of it is there. */
#define KEEP "cd \"${0%/*}\" && cat >part && mv part message"

CASE("messages", set_up, tear_down);

TEST(a_message_arrives_as_it_is)
{
    static const char message[] =
        "To: ada@example.org\nSubject: \303\204\n\n.\n..\n\\n $HOME\r\nend";
    const char *script = write_script(KEEP, 0700);

    ck_sent(script, message);

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

    ck_sent(script, message);

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

    struct mail_end end = deliver(script, message);

    ck_assert_int_eq(end.verdict, MAIL_REFUSED);
    ck_assert_str_eq(end.how, "too long");
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

TEST_EACH(a_command_is_cut_into_words_and_no_shell_looks_at_them, commands)
{
    const char *script = write_script(SHOW_WORDS, 0700);

    ck_sent(arena_printf(a, "%s%s", script, commands[_i].arguments), "");

    ck_assert_str_eq(wait_for_file("words").data, commands[_i].words);
}

TEST(the_path_may_have_blanks_before_it)
{
    const char *script = write_script(KEEP, 0700);

    ck_sent(arena_printf(a, " \t%s", script), "m");

    ck_assert_uint_eq(wait_for_file("message").len, 1);
}

TEST(a_command_has_at_most_32_words)
{
    const char *command = write_script(SHOW_WORDS, 0700);
    for (int i = 1; i < 32; i++)
        command = arena_printf(a, "%s w", command);

    ck_sent(command, "");
    ck_assert_uint_eq(wait_for_file("words").len, 31 * strlen("<w>\n"));

    ck_assert_str_eq(deliver(arena_printf(a, "%s w", command), "").how, "cannot be started");
}

static const char *const bad_commands[] = {
    "", " ", "\t", "/nonexistent/sendmail -t", "sendmail-that-is-nowhere", "; true",
};

TEST_EACH(a_command_that_is_not_there_may_be_there_later, bad_commands)
{
    struct mail_end end = deliver(bad_commands[_i], "secret message");

    ck_assert_int_eq(end.verdict, MAIL_AGAIN);
    ck_assert_str_eq(end.how, "cannot be started");
}

TEST(a_file_that_cannot_be_run_is_not_run)
{
    ck_assert_str_eq(deliver(write_script(KEEP, 0600), "message").how, "cannot be started");

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

static pid_t sender; /* waits for the sleeper */

static void start_sender(const char *command)
{
    sender = fork();
    ck_assert_int_ge(sender, 0);
    if (sender == 0)
        _exit(deliver(command, "message").verdict);
}

static enum mail_verdict verdict_of_sender(void)
{
    int status;
    ck_assert_int_eq(waitpid(sender, &status, 0), sender);
    ck_assert(WIFEXITED(status));
    return (enum mail_verdict)WEXITSTATUS(status);
}

static pid_t start_sleeper(void)
{
    start_sender(write_script(SLEEP, 0700));
    pid_t pid = (pid_t)strtol(wait_for_file("pid").data, NULL, 10);
    time_t start = time(NULL);
    ck_assert_int_gt(pid, 1);
    while (strcmp(read_proc(pid, "comm").data, "sleep\n") != 0)
        keep_waiting(start, "exec sleep");
    return pid;
}

CASE("processes", set_up, tear_down);

TEST(a_command_that_was_killed_is_tried_again)
{
    pid_t pid = start_sleeper();

    ck_assert_int_eq(kill(pid, SIGKILL), 0);

    ck_assert_int_eq(verdict_of_sender(), MAIL_AGAIN);
}

TEST(a_command_that_does_not_end_is_killed_with_what_it_started)
{
    struct mail_end end;
    const char *script =
        write_script("cd \"${0%/*}\" && sleep 600 & cd \"${0%/*}\" && echo $! >part "
                     "&& mv part pid; exec sleep 600",
                     0700);
    time_t start = time(NULL);

    mail_deliver(a, script, "message", 1000, &end);

    ck_assert_int_eq(end.verdict, MAIL_AGAIN);
    ck_assert_str_eq(end.how, "no end after 1 s");
    ck_assert_int_lt(time(NULL) - start, 60);
    pid_t pid = (pid_t)strtol(wait_for_file("pid").data, NULL, 10);
    const char *stat = arena_printf(a, "/proc/%d/stat", (int)pid);
    char state = 'S';
    start = time(NULL);
    while (kill(pid, 0) == 0 && state != 'Z') { /* whoever is process 1 may not wait for it */
        FILE *file = fopen(stat, "re");
        if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
            state = 'Z';
        if (file)
            (void)fclose(file);
        keep_waiting(start, "it goes on");
    }
}

/* As mail programs do that deliver on their own. */
TEST(what_it_leaves_behind_goes_on_and_is_not_waited_for)
{
    const char *script = write_script("cd \"${0%/*}\" && { while [ ! -e go ]; do sleep 0.01; done; "
                                      "touch gone; } & exit 0",
                                      0700);

    ck_sent(script, "message");

    int fd = open(path_of("go"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    (void)wait_for_file("gone");
}

TEST(no_child_stays_behind)
{
    for (int i = 0; i < 3; i++)
        (void)deliver("/bin/false", "message");
    (void)deliver("/nonexistent/sendmail", "message");

    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* ---- its end ---- */

static const struct {
    int status;
    enum mail_verdict verdict;
} statuses[] = {
    {0, MAIL_SENT},     {1, MAIL_AGAIN},  {2, MAIL_AGAIN},    {63, MAIL_AGAIN},  {64, MAIL_REFUSED},
    {65, MAIL_REFUSED}, {66, MAIL_AGAIN}, {67, MAIL_REFUSED}, {68, MAIL_AGAIN},  {69, MAIL_AGAIN},
    {70, MAIL_AGAIN},   {71, MAIL_AGAIN}, {74, MAIL_AGAIN},   {75, MAIL_AGAIN},  {76, MAIL_AGAIN},
    {77, MAIL_AGAIN},   {78, MAIL_AGAIN}, {127, MAIL_AGAIN},  {255, MAIL_AGAIN},
};

TEST_EACH(the_status_says_what_becomes_of_the_message, statuses)
{
    const char *script = write_script(arena_printf(a, "exit %d", statuses[_i].status), 0700);

    struct mail_end end = deliver(script, "message");

    ck_assert_int_eq(end.verdict, statuses[_i].verdict);
    ck_assert_str_eq(end.how, arena_printf(a, "exit %d", statuses[_i].status));
}

TEST(what_it_says_is_kept)
{
    struct mail_end end = deliver(write_script("echo no >&1; echo way >&2; exit 75", 0700), "m");

    ck_assert_uint_eq(end.said.len, 4);
    ck_assert_str_eq(end.said.data, "way\n");
}

TEST(it_may_say_as_much_as_it_likes_and_its_beginning_is_kept)
{
    const char *script = write_script("yes 0123456789 | head -c 3000000 >&2; exit 3", 0700);

    struct mail_end end = deliver(script, "m");

    ck_assert_str_eq(end.how, "exit 3");
    ck_assert_uint_eq(end.said.len, MAIL_SAID_MAX);
    ck_assert_int_eq(strncmp(end.said.data, "0123456789\n0123456789\n", 22), 0);
}

TEST(it_may_close_its_standard_error)
{
    struct mail_end end =
        deliver(write_script("echo a >&2; exec 2>&-; sleep 0.3; exit 4", 0700), "");

    ck_assert_str_eq(end.how, "exit 4");
    ck_assert_str_eq(end.said.data, "a\n");
}

/* Where the first of them is ignored, as somebody may have started us, it is no less one. */
TEST(a_signal_is_told)
{
    ck_assert_str_eq(deliver(write_script("kill -9 $$", 0700), "").how, "signal 9");
}

/* ---- what it inherits ---- */

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

    ck_sent(script, "message");

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

    ck_sent(script, "message");

    ck_assert_ptr_nonnull(strstr(wait_for_file("env").data, "PATH=/usr/local/bin:"));
}

TEST(a_command_that_cannot_be_started_is_a_problem)
{
    const char *script = write_program("#!/nonexistent/shell\n", 0700);

    struct mail_end end = deliver(script, "message");

    ck_assert_int_eq(end.verdict, MAIL_AGAIN);
    ck_assert_str_eq(end.how, "cannot be started");
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
    ck_assert_int_eq(strncmp(target_of(pid, STDERR_FILENO), "pipe:", 5), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

TEST(we_keep_no_descriptor_of_it)
{
    int before = dup(STDIN_FILENO);
    close(before);

    ck_sent("/bin/true", "message");
    (void)deliver("/nonexistent/sendmail", "message");
    (void)deliver(write_program("#!/nonexistent/shell\n", 0700), "message");
    (void)deliver(write_script("exec 2>&-", 0700), "message");

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

    ck_sent(program, "message");

    ck_assert_uint_eq(signals_in(wait_for_file("status").data, "SigBlk:"), 0);
}

TEST(a_command_that_does_not_read_does_no_harm)
{
    signal(SIGPIPE, SIG_DFL);

    for (int i = 0; i < 5; i++)
        ck_sent("/bin/true", "message");
}

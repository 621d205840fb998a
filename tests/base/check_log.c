#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "common/field/json.h"
#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define LINE_MAX_BYTES 8192
#define CANNOT 77 /* ends with this what the kernel does not let us try */

static int stderr_before, captured[2];
static char folder[] = "/tmp/check-log-XXXXXX";

/* From here on stderr is a pipe. */
static void set_up(void)
{
    scratch_open();
    ck_assert_int_eq(pipe(captured), 0);
    stderr_before = dup(STDERR_FILENO);
    ck_assert_int_eq(dup2(captured[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(captured[1]);
    folder_make(folder);
    (void)umask(022);
}

static void tear_down(void)
{
    folder_remove(folder);
    (void)dup2(stderr_before, STDERR_FILENO);
    (void)close(stderr_before);
    (void)close(captured[0]);
    scratch_close();
}

static struct text read_all(int fd)
{
    static char text[65536];
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, text + len, sizeof text - len)) > 0)
        len += (size_t)got;
    return (struct text){text, len};
}

static struct text one_line(struct text text)
{
    ck_assert_uint_gt(text.len, 1);
    ck_assert_int_eq(text.data[text.len - 1], '\n');
    ck_assert_ptr_eq(memchr(text.data, '\n', text.len), text.data + text.len - 1);
    return text;
}

/* All that went to stderr, which ends here. */
static struct text captured_text(void)
{
    (void)dup2(stderr_before, STDERR_FILENO);
    return read_all(captured[0]);
}

/* The same, which must be one line. */
static struct text written_line(void)
{
    return one_line(captured_text());
}

static const struct json *parsed(struct text text)
{
    const struct json *line = NULL;
    struct problem *p = json_parse(a, text.data, text.len, &line);
    ck_assert_msg(!p, "no JSON: %.*s", (int)text.len, text.data);
    return line;
}

static const struct json *written(void)
{
    return parsed(written_line());
}

static const char *text_at(const struct json *line, const char *key)
{
    const struct json *node = json_get(line, key);
    ck_assert_msg(node && json_type(node) == JSON_TEXT, "no text called %s", key);
    return json_as_text(node).data;
}

/* ---- form ---- */

CASE("log", set_up, tear_down);

TEST(a_line_has_time_level_event_and_pairs_in_this_order)
{
    LOG(LOG_LEVEL_WARNING, log_event("worker_died"), log_number("pid", 42),
        log_text("pool", "main"));

    struct text text = written_line();
    const char *after_time = strchr(text.data, ',');
    ck_assert_mem_eq(text.data, "{\"time\":\"", 9);
    ck_assert_str_eq(arena_copy(a, after_time, (size_t)(text.data + text.len - after_time)),
                     ",\"level\":\"warning\",\"event\":\"worker_died\",\"pid\":42,"
                     "\"pool\":\"main\"}\n");
}

static const char *const level_words[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info"};

TEST_TIMES(each_level_has_its_word, 3)
{
    LOG((enum log_level)_i, log_event("x"));

    ck_assert_str_eq(text_at(written(), "level"), level_words[_i]);
}

TEST(the_time_is_now)
{
    struct instant before = instant_now(), at;
    LOG(LOG_LEVEL_INFO, log_event("x"));
    struct instant after = instant_now();

    ck_assert(instant_parse(text_at(written(), "time"), &at));

    ck_assert_int_ge(at.us, before.us);
    ck_assert_int_le(at.us, after.us);
}

TEST(numbers_are_written_whole)
{
    LOG(LOG_LEVEL_INFO, log_event("x"), log_number("zero", 0), log_number("less", -1),
        log_number("most", INT64_MAX), log_number("least", INT64_MIN));

    struct text text = written_line();
    ck_assert_ptr_nonnull(strstr(arena_copy(a, text.data, text.len),
                                 ",\"zero\":0,\"less\":-1,\"most\":9223372036854775807,"
                                 "\"least\":-9223372036854775808}"));
}

TEST(null_text_is_left_out_and_empty_text_is_not)
{
    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("null", NULL), log_text("empty", ""),
        log_text("behind", "y"));

    const struct json *line = written();
    ck_assert_ptr_null(json_get(line, "null"));
    ck_assert_str_eq(text_at(line, "empty"), "");
    ck_assert_str_eq(text_at(line, "behind"), "y");
}

/* ---- forgery ---- */

static const char *const hostile[] = {
    "\n{\"time\":\"forged\"}",
    "x\",\"level\":\"error",
    "x\\\",\"level\":\"error",
    "\r\n\t\b\x1B[2J\x7F",
    "\\",
    "\"",
    "\\u0022,\\u0022",
    "\xC3\xA9\xFF\x80\xED\xA0\x80",
    "%s%n%1000000d",
};

static void log_hostile(int i)
{
    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", hostile[i]), log_number("n", 7));
}

/* Is the line what log_hostile() wanted to say, and no byte more? */
static void ck_unforged(struct text text)
{
    const struct json *line = parsed(text);
    int64_t n;
    ck_assert_str_eq(text_at(line, "level"), "info");
    ck_assert_str_eq(text_at(line, "event"), "x");
    ck_assert(json_as_integer(json_get(line, "n"), &n));
    ck_assert_int_eq(n, 7);
}

TEST_EACH(no_text_forges_a_line_or_a_member, hostile)
{
    log_hostile(_i);

    ck_unforged(written_line());
}

/* All bytes up to this one. */
static const char *all_to(int last)
{
    char *all = arena_alloc(a, (size_t)last + 1);
    for (int i = 1; i <= last; i++)
        all[i - 1] = (char)i;
    return all;
}

TEST(ascii_comes_back_as_it_was)
{
    const char *all = all_to(127);

    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", all));

    ck_assert_str_eq(text_at(written(), "input"), all);
}

TEST(a_terminal_gets_nothing_but_printable_ascii)
{
    const char *all = all_to(255);

    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", all));

    struct text text = written_line();
    for (size_t i = 0; i < text.len - 1; i++)
        ck_assert(text.data[i] >= 0x20 && text.data[i] < 0x7F);
}

/* ---- length ---- */

static char *repeated(char c, size_t n)
{
    char *text = arena_alloc(a, n + 1);
    memset(text, c, n);
    return text;
}

/* From texts that fit to those that do not, over every place where the cut may fall. */
TEST_TIMES(a_long_text_is_cut_and_the_line_stays_json, 260)
{
    size_t len = LINE_MAX_BYTES - 200 + (size_t)_i;

    LOG(LOG_LEVEL_ERROR, log_event("x"), log_text("input", repeated(_i % 2 ? 'a' : '"', len)));

    struct text text = written_line();
    const struct json *line = parsed(text);
    ck_assert_uint_le(text.len, LINE_MAX_BYTES);
    ck_assert_uint_le(strlen(text_at(line, "input")), len);
    ck_assert_uint_gt(strlen(text_at(line, "input")), 1000);
}

TEST_TIMES(pairs_after_a_cut_text_are_whole_or_not_there, 260)
{
    LOG(LOG_LEVEL_ERROR, log_event("x"),
        log_text("input", repeated('a', LINE_MAX_BYTES - 200 + (size_t)_i)),
        log_text("second", repeated('b', 100)), log_number("third", 1234567890));

    struct text text = written_line();
    const struct json *line = parsed(text);
    ck_assert_uint_le(text.len, LINE_MAX_BYTES);
    const struct json *third = json_get(line, "third");
    int64_t n = 1234567890;
    ck_assert(!third || json_as_integer(third, &n));
    ck_assert_int_eq(n, 1234567890);
}

TEST(many_pairs_are_no_danger)
{
    struct log_pair pairs[600];
    for (int i = 0; i < 599; i++)
        pairs[i] = log_text(arena_printf(a, "name%d", i), "0123456789");
    pairs[599] = (struct log_pair){0};

    log_write(LOG_LEVEL_INFO, pairs);

    struct text text = written_line();
    const struct json *line = parsed(text);
    ck_assert_uint_le(text.len, LINE_MAX_BYTES);
    ck_assert_str_eq(text_at(line, "name100"), "0123456789");
}

/* ---- one write ---- */

TEST(lines_of_many_processes_do_not_mix)
{
    enum { PROCESSES = 4, LINES = 50 };
    static char text[PROCESSES * LINES * 300];
    const char *payload = repeated('p', 100);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() != 0)
            continue;
        for (int n = 0; n < LINES; n++)
            LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", payload));
        _exit(EXIT_SUCCESS);
    }
    (void)dup2(stderr_before, STDERR_FILENO);

    size_t len = 0, lines = 0;
    ssize_t got;
    while ((got = read(captured[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;

    text[len] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        const struct json *parsed = NULL;
        ck_assert_ptr_null(json_parse(a, line, strlen(line), &parsed));
        ck_assert_str_eq(text_at(parsed, "input"), payload);
    }
    ck_assert_uint_eq(lines, PROCESSES * LINES);
}

TEST(a_closed_stderr_is_no_danger)
{
    (void)close(STDERR_FILENO);

    LOG(LOG_LEVEL_INFO, log_event("x"));

    ck_assert_int_eq(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
}

/* ---- a file ---- */

static const char *in_folder(const char *name)
{
    return arena_printf(a, "%s/%s", folder, name);
}

static struct text content_of(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    struct text text = read_all(fd);
    (void)close(fd);
    return text;
}

static size_t count_lines(struct text text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '\n';
    return n;
}

TEST(a_file_takes_the_lines_and_stderr_none)
{
    const char *path = in_folder("log");
    struct stat s;

    ck_assert_int_eq(log_open(path), 0);
    LOG(LOG_LEVEL_INFO, log_event("first"));

    ck_assert_str_eq(text_at(parsed(one_line(content_of(path))), "event"), "first");
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_int_eq(s.st_mode & 07777, 0640);
    ck_assert_uint_eq(captured_text().len, 0);
}

TEST(a_file_keeps_what_it_had)
{
    const char *path = in_folder("log");
    ck_assert_int_eq(log_open(path), 0);
    LOG(LOG_LEVEL_INFO, log_event("first"));

    ck_assert_int_eq(log_open(path), 0);
    LOG(LOG_LEVEL_INFO, log_event("second"));

    ck_assert_uint_eq(count_lines(content_of(path)), 2);
}

TEST(a_file_that_was_moved_is_written_to_until_it_is_opened_again)
{
    const char *path = in_folder("log"), *moved = in_folder("log.1");
    ck_assert_int_eq(log_open(path), 0);
    LOG(LOG_LEVEL_INFO, log_event("before"));
    ck_assert_int_eq(rename(path, moved), 0);

    LOG(LOG_LEVEL_INFO, log_event("meanwhile"));
    ck_assert_int_eq(log_open(path), 0);
    LOG(LOG_LEVEL_INFO, log_event("after"));

    ck_assert_uint_eq(count_lines(content_of(moved)), 2);
    ck_assert_str_eq(text_at(parsed(one_line(content_of(path))), "event"), "after");
}

TEST_EACH(no_text_forges_a_line_in_a_file, hostile)
{
    ck_assert_int_eq(log_open(in_folder("log")), 0);

    log_hostile(_i);

    ck_unforged(one_line(content_of(in_folder("log"))));
}

TEST(lines_of_many_processes_do_not_mix_in_a_file)
{
    enum { PROCESSES = 4, LINES = 100 };
    const char *path = in_folder("log"), *payload = repeated('p', 60);
    int status;
    ck_assert_int_eq(log_open(path), 0);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() != 0)
            continue;
        if (i % 2 && log_open(path) != 0) /* some by the descriptor that came along */
            _exit(EXIT_FAILURE);
        for (int n = 0; n < LINES; n++)
            LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", payload));
        _exit(EXIT_SUCCESS);
    }
    while (wait(&status) > 0)
        ck_assert_int_eq(status, 0);

    struct text text = content_of(path);

    ck_assert_uint_eq(count_lines(text), PROCESSES * LINES);
    for (const char *at = text.data; at < text.data + text.len; at = strchr(at, '\n') + 1)
        ck_assert_str_eq(text_at(parsed((struct text){at, strcspn(at, "\n")}), "input"), payload);
}

static const struct {
    const char *name;
    int error;
} no_files[] = {
    {"none/log", ENOENT}, {"plain/log", ENOTDIR}, {".", EISDIR}, {"pipe", ENXIO}, {"read", EINVAL},
};

TEST_EACH(what_is_no_file_is_refused_and_changes_nothing, no_files)
{
    (void)close(open(in_folder("plain"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0); /* which nobody reads */
    ck_assert_int_eq(mkfifo(in_folder("read"), 0600), 0);
    int reader = open(in_folder("read"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_eq(log_open(in_folder("log")), 0);

    ck_assert_int_eq(log_open(in_folder(no_files[_i].name)), no_files[_i].error);

    LOG(LOG_LEVEL_INFO, log_event("still here"));
    ck_assert_uint_eq(count_lines(content_of(in_folder("log"))), 1);
    (void)close(reader);
}

TEST(what_a_full_disk_refuses_goes_to_stderr)
{
    ck_assert_int_eq(log_open("/dev/full"), 0);

    LOG(LOG_LEVEL_ERROR, log_event("x"));

    ck_assert_str_eq(text_at(written(), "event"), "x");
}

/* As a disk does that gets full, and then has room again. */
TEST(a_line_that_was_cut_does_not_spoil_the_next)
{
    const char *path = in_folder("log");
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){10, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(log_open(path), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    LOG(LOG_LEVEL_INFO, log_event("cut"));
    LOG(LOG_LEVEL_INFO, log_event("refused"));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);

    LOG(LOG_LEVEL_INFO, log_event("whole"));

    struct text all = content_of(path);
    const char *end = memchr(all.data, '\n', all.len);
    ck_assert_ptr_eq(end, all.data + 10);
    const struct text rest = {end + 1, all.len - 11};
    ck_assert_str_eq(text_at(parsed(one_line(rest)), "event"), "whole");
    ck_assert_uint_eq(count_lines(captured_text()), 2);
}

TEST(it_can_be_stderr_again)
{
    ck_assert_int_eq(log_open(in_folder("log")), 0);

    ck_assert_int_eq(log_open("stderr"), 0);
    LOG(LOG_LEVEL_INFO, log_event("x"));

    ck_assert_str_eq(text_at(written(), "event"), "x");
    ck_assert_uint_eq(content_of(in_folder("log")).len, 0);
}

/* ---- syslog ---- */

/* What stands in for the daemon: a datagram socket at dev/log below our folder. */
static int open_daemon(void)
{
    const struct timeval patience = {.tv_sec = 20};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(mkdir(in_folder("dev"), 0755), 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/dev/log", folder);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

/* Make our folder the root, so that /dev/log is that socket: as root at once, and as anybody where
 * the kernel gives every user a namespace of their own. */
static bool enter_folder(void)
{
    return (chroot(folder) == 0 || (unshare(CLONE_NEWUSER) == 0 && chroot(folder) == 0)) &&
           chdir("/") == 0;
}

/* Let `say(i)` log from within; false, with a word to whoever runs the tests, where that cannot be
 * tried. */
static bool log_within(void (*say)(int i), int i)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (!enter_folder())
            _exit(CANNOT);
        int failed = log_open("syslog");
        say(i);
        _exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT)
        puts("log: syslog is not tried, for this user can neither chroot nor unshare");
    else
        ck_assert_int_eq(WEXITSTATUS(status), EXIT_SUCCESS);
    return WEXITSTATUS(status) != CANNOT;
}

/* One message as `<PRIORITY>DATE postern[PID]: TEXT`; its text. */
static struct text next_message(int daemon, int *ret_priority)
{
    static char message[65536];
    static const char ident[] = " postern[";
    ssize_t len = recv(daemon, message, sizeof message - 1, 0);
    ck_assert_int_gt(len, 0);
    message[len] = '\0';
    ck_assert_uint_eq(strlen(message), (size_t)len);
    ck_assert_int_eq(sscanf(message, "<%d>", ret_priority), 1);
    char *name = strstr(message, ident), *text = strstr(message, "]: ");
    ck_assert_msg(name && text && name < text, "%s", message);
    return text_of(text + 3);
}

static void log_level(int level)
{
    LOG((enum log_level)level, log_event("x"));
}

TEST_TIMES(syslog_gets_each_line_as_a_message_of_its_priority, 3)
{
    static const int daemon_facility = 3 << 3, priorities[] = {3, 4, 6}; /* RFC 5424 6.2.1 */
    int daemon = open_daemon(), priority;
    if (!log_within(log_level, _i))
        return;

    struct text text = next_message(daemon, &priority);

    ck_assert_int_eq(priority, daemon_facility | priorities[_i]);
    ck_assert_ptr_null(strchr(text.data, '\n'));
    ck_assert_str_eq(text_at(parsed(text), "level"), level_words[_i]);
    ck_assert_uint_eq(captured_text().len, 0);
}

TEST_EACH(no_text_forges_a_message_to_syslog, hostile)
{
    int daemon = open_daemon(), priority;
    if (!log_within(log_hostile, _i))
        return;

    ck_unforged(next_message(daemon, &priority));

    ck_assert_int_eq(recv(daemon, &priority, sizeof priority, MSG_DONTWAIT), -1);
}

static void log_longest(int i)
{
    (void)i;
    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", repeated('a', LINE_MAX_BYTES)));
}

TEST(the_longest_line_is_one_message)
{
    int daemon = open_daemon(), priority;
    if (!log_within(log_longest, 0))
        return;

    struct text text = next_message(daemon, &priority);

    ck_assert_uint_gt(strlen(text_at(parsed(text), "input")), LINE_MAX_BYTES - 200);
}

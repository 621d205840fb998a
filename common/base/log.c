#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/instant.h"

#define LINE_MAX_BYTES 8192
#define TAIL_ROOM 8 /* what always stays free, so that a cut line still ends well */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

struct log_pair log_event(const char *what)
{
    return (struct log_pair){"event", what, 0};
}

struct log_pair log_text(const char *name, const char *text)
{
    return (struct log_pair){name, text ? text : "", text ? 0 : -1};
}

struct log_pair log_number(const char *name, int64_t number)
{
    return (struct log_pair){name, NULL, number};
}

static void add(struct line *l, const char *s, size_t len)
{
    if (len <= sizeof l->text - TAIL_ROOM - l->len) {
        memcpy(l->text + l->len, s, len);
        l->len += len;
    }
}

static void add_string(struct line *l, const char *s)
{
    add(l, s, strlen(s));
}

/* Bytes outside printable ASCII are spelled out: a terminal must show what is
 * there, and nothing that was sent can begin a new line. */
static void add_escaped(struct line *l, const char *s)
{
    for (; *s && l->len < sizeof l->text - 2 * TAIL_ROOM; s++) {
        unsigned char c = (unsigned char)*s;
        char escape[8];
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
            add(l, s, 1);
            continue;
        }
        int len = snprintf(escape, sizeof escape, "\\u%04x", c);
        add(l, escape, (size_t)len);
    }
}

static void add_pair(struct line *l, const struct log_pair *pair)
{
    if (pair->text && pair->number < 0)
        return;
    if (l->len + strlen(pair->name) + 32 > sizeof l->text - 2 * TAIL_ROOM)
        return; /* whole members only */
    add_string(l, ",\"");
    add_string(l, pair->name);
    add_string(l, "\":");
    if (pair->text) {
        add_string(l, "\"");
        add_escaped(l, pair->text);
        add_string(l, "\"");
    } else {
        char number[24];
        int len = snprintf(number, sizeof number, "%lld", (long long)pair->number);
        add(l, number, (size_t)len);
    }
}

/* ---- where lines go ---- */

static bool to_syslog;
static int file = -1; /* -1: stderr */
static bool torn;     /* the file ends in the middle of a line */

/* O_NONBLOCK: opening a pipe without a reader must not keep the program from starting. */
static int open_file(const char *path, int *ret_fd)
{
    struct stat s;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return errno;
    if (fstat(fd, &s) != 0 || !(S_ISREG(s.st_mode) || S_ISCHR(s.st_mode))) {
        (void)close(fd);
        return EINVAL;
    }
    *ret_fd = fd;
    return 0;
}

int log_open(const char *where)
{
    int opened = -1;
    bool is_syslog = strcmp(where, "syslog") == 0;
    if (!is_syslog && strcmp(where, "stderr") != 0) {
        int failed = open_file(where, &opened);
        if (failed)
            return failed;
    }
    if (is_syslog)
        openlog("postern", LOG_PID, LOG_DAEMON);
    if (file >= 0)
        (void)close(file);
    file = opened;
    torn = false;
    to_syslog = is_syslog;
    return 0;
}

/* A disk may be full after a part of a line. The next line must not be appended to that part. */
static bool put_in_file(const struct line *l)
{
    if (torn)
        torn = write(file, "\n", 1) != 1;
    ssize_t written = torn ? -1 : write(file, l->text, l->len);
    torn = torn || (written > 0 && written < (ssize_t)l->len);
    return written == (ssize_t)l->len;
}

static void send_line(enum log_level level, const struct line *l)
{
    static const int priorities[] = {[LOG_LEVEL_ERROR] = LOG_ERR,
                                     [LOG_LEVEL_WARNING] = LOG_WARNING,
                                     [LOG_LEVEL_INFO] = LOG_INFO};
    if (to_syslog) {
        syslog(priorities[level], "%.*s", (int)l->len - 1, l->text); /* without the newline */
        return;
    }
    if (file >= 0 && put_in_file(l))
        return;
    ssize_t written = write(STDERR_FILENO, l->text, l->len); /* also what a full disk refused */
    (void)written; /* there is nowhere left to report it */
}

void log_write(enum log_level level, const struct log_pair *pairs)
{
    static const char *const words[] = {
        [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info"};
    char time[INSTANT_TEXT_SIZE];
    instant_format(instant_now(), time);
    struct line l;
    l.len = 0;
    add_string(&l, "{\"time\":\"");
    add_string(&l, time);
    add_string(&l, "\",\"level\":\"");
    add_string(&l, words[level]);
    add_string(&l, "\"");
    for (; pairs->name; pairs++)
        add_pair(&l, pairs);
    memcpy(l.text + l.len, "}\n", 2); /* TAIL_ROOM keeps this free */
    l.len += 2;
    send_line(level, &l);
}

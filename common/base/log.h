/* log.h -- one line of JSON per event, to stderr, a file or syslog. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

/* One member of a line. Make these with the functions below. */
struct log_pair {
    const char *name;
    const char *text; /* NULL: `number` counts */
    int64_t number;
};

struct log_pair log_event(const char *what);                  /* the first of every line */
struct log_pair log_text(const char *name, const char *text); /* NULL text: left out */
struct log_pair log_number(const char *name, int64_t number);

/**
 * Send the lines of this process, and of those that it forks, to `where` from here on:
 *
 *   "stderr"   which is where they go until then
 *   "syslog"   by syslog(3), as `postern` of the facility daemon; each line is one message, of the
 *              priority err, warning or info. Without a syslog daemon they are lost.
 *   "/…"       a file, or a device such as /dev/null; made with mode 0640 when it is not there
 *
 * A file is appended to, one write for each line, so that processes may share it; what a full disk
 * refuses goes to stderr. It is opened here and never again, and so a file that was moved away is
 * still the one that is written to. To rotate it, move it and have the program start again in its
 * process, as `postern serve` does at SIGHUP; requests that old workers have in hand then still go
 * to the old file.
 *
 * Returns 0, or the errno of a file that cannot be opened (EINVAL: a pipe, a folder), and then
 * nothing has changed.
 */
int log_open(const char *where) MUST_USE;

/**
 * Write `{"time":…,"level":…,"event":…, pairs…}` and a newline in one write:
 *
 *     LOG(LOG_LEVEL_WARNING, log_event("worker_died"), log_number("pid", pid));
 *
 * Text is escaped, so that no input can forge a line or a member; a line is cut at 8 KiB.
 * Callers keep secrets out.
 */
#define LOG(level, ...) log_write(level, (const struct log_pair[]){__VA_ARGS__, {0}})
void log_write(enum log_level level, const struct log_pair *pairs);

/* log.h -- one line of JSON per event, to stderr. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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
 * Write `{"time":…,"level":…,"event":…, pairs…}` and a newline to stderr in one write:
 *
 *     LOG(LOG_LEVEL_WARNING, log_event("worker_died"), log_number("pid", pid));
 *
 * Text is escaped, so that no input can forge a line or a member; a line is cut at 8 KiB.
 * Callers keep secrets out.
 */
#define LOG(level, ...) log_write(level, (const struct log_pair[]){__VA_ARGS__, {0}})
void log_write(enum log_level level, const struct log_pair *pairs);

/* html.h -- text, prose and JSON as HTML: what is no markup of ours is always escaped. */
#pragma once

#include <stddef.h>

#include "common/base/compiler.h"

struct buf;

void html_escape(struct buf *b, const char *s, size_t len);

/** As printf, with %s alone, and what it stands for is escaped; another conversion aborts. */
void html_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/** Prose, in which backquotes enclose code. */
void html_prose(struct buf *b, const char *s);

/** Break compact JSON into indented lines. */
void html_json(struct buf *b, const struct buf *json);

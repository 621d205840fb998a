/* mail.h -- hand a message to a sendmail-compatible program. */
#pragma once

#include "common/base/compiler.h"

struct arena;

/**
 * Start `command` (words separated by spaces, the first a path; no shell looks at them) with
 * `message` on its standard input, and do not wait for it. It gets nothing else of ours (child.h).
 *
 * The message is whole, headers and all, and at most 64 KiB. INTERNAL when it cannot be started;
 * what becomes of it later is the command's business.
 */
struct problem *mail_send(struct arena *a, const char *command, const char *message) MUST_USE;

/* mail.h -- hand a message to a sendmail-compatible program. */
#pragma once

#include "common/base/compiler.h"

struct arena;

/**
 * Start `command` (words separated by spaces, the first a path; no shell looks at them) with
 * `message` on its standard input, and do not wait for it. It inherits nothing else of ours
 * (child.h).
 *
 * The message is whole, headers and all, and at most 64 KiB. problem_internal when it cannot be
 * started; delivery is up to the command.
 */
struct problem *mail_send(struct arena *a, const char *command, const char *message) MUST_USE;

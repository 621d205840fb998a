/* mailer.h -- the process that sends mail: the helper of a pool, or where there is no pool a
 * grandchild of the worker that has added something. */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

struct app;
struct arena;
struct problem;
struct settings;
struct shared;

/** What the mail settings name must be there, and be as it has to be: problem_internal, with the
 *  reason in `cause`, for texts that cannot be used. */
struct problem *mailer_check(struct arena *a, const struct settings *settings) MUST_USE;

#define MAILER_NAME "postern-mail" /* as ps(1) shows the helper */

/** Be the helper, until SIGTERM. `wake` becomes readable when there is something to send. */
void mailer_help(const struct settings *settings, struct shared *shared, int wake);

/** app_spare(), and before it: where a request has added mail, or some waits for a new attempt,
 *  wake the helper or start a sender. `context` is the app. */
bool mailer_spare(void *context, struct arena *a);

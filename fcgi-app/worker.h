/* worker.h -- open and close an app, share its counters with other workers, answer requests. */
#pragma once

#include "fcgi-app/app.h"

/**
 * Map what all workers share: the file STATE_FILE, or memory without a name, whose descriptor is
 * `*fd` (-1 for new memory) and is left there.
 */
struct problem *app_share(struct arena *a, const struct settings *settings, int *fd,
                          struct shared **ret) MUST_USE;

/**
 * Open what a worker needs, without connecting yet. `settings` and `shared` must outlive the app;
 * with NULL for `shared` it counts for itself. problem_internal with the reason in `cause` for a
 * bad key or database URL.
 */
struct problem *app_open(struct arena *a, const struct settings *settings, struct shared *shared,
                         struct app **ret) MUST_USE;

/** The same for a command, which answers no request: it needs no key, and `keys` stays NULL. */
struct problem *app_open_keyless(struct arena *a, const struct settings *settings,
                                 struct app **ret) MUST_USE;

/** NULL does nothing. */
void app_close(struct app *app);

/** Answer one request; the form that server.h wants. `context` is the app. */
void app_handle(void *context, struct request *rq, struct response *rs);

/** When to handle a request again that was postponed; the form that server.h wants. */
unsigned app_wait_ms(void *context, enum postponed kind, int64_t came);

/** Disconnect from the database until it is needed again. `context` is the app. */
void app_rest(void *context);

/** Do some of the work that can wait, for some milliseconds: delete what is left of users who left,
 *  sweep totals. True when there is more. The form that server.h wants. `context` is the app. */
bool app_spare(void *context, struct arena *a);

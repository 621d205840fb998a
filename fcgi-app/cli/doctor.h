/* doctor.h -- what can be wrong with an installation, each with the way to fix it. */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"
#include "fcgi-app/settings.h"

struct arena;

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

/* One run over all checks. */
struct doctor {
    struct arena *arena;
    const struct settings *settings;
    /* Called for each finding; `fix` is "" where nothing is wrong. No secret is in either. */
    void (*tell)(struct doctor *doctor, enum verdict verdict, const char *what, const char *fix);
    void *context;                /* of `tell` */
    const struct origin *origins; /* of the settings */
    bool failed;                  /* something was a VERDICT_FAIL */
};

/** Report that something is well. */
void doctor_ok(struct doctor *doctor, const char *format, ...) PRINTF_LIKE(2, 3);

/** Report what is wrong with `what`, and how to fix it. */
void doctor_tell(struct doctor *doctor, enum verdict verdict, const char *what, const char *fix,
                 ...) PRINTF_LIKE(4, 5);

/** The folder that `path` is in; "." without a slash. Borrows from `a`. */
const char *doctor_folder(struct arena *a, const char *path);

/** Look at the settings themselves, and what they name on this machine: all that can be seen
 * without asking the database or a running server. */
void doctor_settings(struct doctor *doctor);

struct db;

/** Look at how passwords are stored, in a database whose schema is ours. Of very many users it
 * looks at a part, and says so. */
void doctor_hashes(struct doctor *doctor, struct db *db);

/** Look whether limits are on, and by the last logins whether clients can be told apart. */
void doctor_limits(struct doctor *doctor, struct db *db);

/** Look at the mail command, the links and texts of messages: a part of doctor_settings(). */
void doctor_mail_settings(struct doctor *doctor);

/** Look at what waits to be sent, or was not. */
void doctor_mail(struct doctor *doctor, struct db *db);

/** Look at the two sockets: are they there, who may connect, does a worker answer? */
void doctor_sockets(struct doctor *doctor);

/** Ask the API at `url` what its web server lets through; takes curl. */
void doctor_url(struct doctor *doctor, const char *url);

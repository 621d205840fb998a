/* checkup.h -- what can be wrong with an installation, each with the way to mend it. */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"
#include "fcgi-app/settings.h"

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

/* A look at one thing after another. */
struct checkup {
    struct arena *arena;
    const struct settings *settings;
    /* Called for each finding; `mend` is "" where nothing is wrong. No secret is in either. */
    void (*tell)(struct checkup *c, enum verdict verdict, const char *what, const char *mend);
    void *context;        /* of `tell` */
    const char **origins; /* of the settings, as config.h says */
    bool failed;          /* something was a VERDICT_FAIL */
};

/** Tell what was found to be well. */
void checkup_ok(struct checkup *c, const char *format, ...) PRINTF_LIKE(2, 3);

/** Tell what is not, and how it is mended. */
void checkup_tell(struct checkup *c, enum verdict verdict, const char *what, const char *mend, ...)
    PRINTF_LIKE(4, 5);

/** The folder that `path` is in; "." without a slash. Borrows from `a`. */
const char *checkup_folder(struct arena *a, const char *path);

/** Look at the settings themselves, and what they name on this machine: all that can be seen
 * without asking the database or a running server. */
void checkup_settings(struct checkup *c);

struct db;

/** Look at how passwords are stored, in a database whose schema is ours. Of very many users it
 * looks at a part, and says so. */
void checkup_hashes(struct checkup *c, struct db *db);

/** Look at the two sockets: are they there, who may connect, does a worker answer? */
void checkup_sockets(struct checkup *c);

/** Ask the API at `url` what its web server lets through; takes curl. */
void checkup_url(struct checkup *c, const char *url);

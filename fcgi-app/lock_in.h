/* lock_in.h -- what a worker keeps of the system when it has started. */
#pragma once

struct arena;
struct settings;

/* Who starts the program again after a change (reexec.h). */
enum worker_kind {
    WORKER_OF_POOL, /* its parent does, which also starts all other programs */
    WORKER_ALONE,   /* it does itself, and so may start programs */
    WORKER_SCRIPT,  /* the same, with a new configuration at any time, which may name other files */
};

/**
 * Lock this worker in, as LOCKDOWN says, and log what of it does not hold. To be called when all is
 * open but the database, which may be opened again at any time.
 *
 * Where it runs MAIL_COMMAND, only lockdown_limits() hold: mail programs gain a privilege by
 * exec(2), which would be none any more.
 */
void lock_in(struct arena *a, const struct settings *settings, enum worker_kind kind);

#include "common/process/lockdown.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "common/process/lockdown_internal.h"

#define ENV_LOCKED "POOL_LOCKED" /* the state of a program that was replaced by this one */

/* Not RLIMIT_NPROC, which counts the threads of all processes of the user, and so would refuse
 * those of a password's hash; not RLIMIT_FSIZE, which would end the worker when its log is long. */
void lockdown_limits(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

static bool guards_files(const struct lockdown *kept)
{
    return !kept->starts_programs || kept->write;
}

static const char *find_missing(const struct lockdown_state *state, bool guards)
{
    if (!LOCKDOWN_WORKS)
        return "this build is instrumented";
    if (!state->calls && !state->landlock)
        return "there is neither seccomp nor Landlock here";
    if (!state->calls)
        return "system calls cannot be filtered here (seccomp)";
    return state->landlock || !guards ? NULL : "the kernel has no Landlock";
}

static bool was_locked(struct lockdown_state *ret)
{
    const char *state = getenv(ENV_LOCKED);
    char *rest;
    if (!state)
        return false;
    ret->calls = strtol(state, &rest, 10) != 0;
    ret->landlock = (int)strtol(rest, NULL, 10);
    return true;
}

static void note_locked(const struct lockdown_state *state)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%d %d", state->calls, state->landlock);
    (void)setenv(ENV_LOCKED, text, 1);
}

void lockdown(const struct lockdown *kept, struct lockdown_state *ret)
{
    struct lockdown_state state = {0};
    lockdown_limits();
    tzset(); /* so that syslog(3) has read its time zone */
    if (LOCKDOWN_WORKS && !was_locked(&state)) {
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        state.landlock = guards_files(kept) ? lockdown_files(kept) : 0;
        state.calls = lockdown_calls(kept);
        if (kept->starts_programs)
            note_locked(&state);
    }
    state.why = find_missing(&state, guards_files(kept));
    *ret = state;
}

void lockdown_probe(struct lockdown_state *ret)
{
    struct lockdown_state state = {0};
    if (LOCKDOWN_WORKS)
        state = (struct lockdown_state){.calls = lockdown_calls_work(),
                                        .landlock = lockdown_files_version()};
    state.why = find_missing(&state, true);
    *ret = state;
}

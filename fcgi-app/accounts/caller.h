/* caller.h -- who calls: what an access token says (authenticate), and the user and session that it
 * names, with a lock where a write wants it (find_caller); the router asks both. */
#pragma once

#include "fcgi-app/app.h"

extern const struct problem_type problem_user_inactive;

/** Fill rq->caller with the ids in a token whose signature and times are good. */
struct problem *caller_authenticate(struct app *app, struct request *rq,
                                    const char *token) MUST_USE;

/**
 * Look up the caller, who must be active, and the session, which must live; rq->caller.row becomes
 * a struct user.
 *
 * One statement finds both, so that a logout, a changed role, a disabled and a deleted account take
 * effect at the next request; and with `lock` at the next commit. Then the hash of the password
 * must also be rq->verified_hash still, if there is one.
 */
struct problem *caller_find(struct app *app, struct request *rq, bool lock) MUST_USE;

/* requests.h -- a request that is made of CGI variables alone. */
#pragma once

#include "common/http/request.h"
#include "tests/support/scratch.h"

/* In the arena of scratch.h. */
extern struct request rq;

/* When it came. */
extern const struct instant request_time;

/** Fill the request from up to three variables; NULL ones are left out. */
void request_of(const char *base, const char *one, const char *two, const char *three);

/** From one, which may be NULL, below /api. */
void request_with(const char *variable);

/* tokens.h -- what a login and a refresh hand out. */
#pragma once

#include "fcgi-app/app.h"
#include "fcgi-app/accounts/session_model.h"

struct tokens {
    struct text access_token;
    struct text token_type;
    int64_t expires_in; /* seconds */
    struct text refresh_token;
};

extern const struct record tokens_record;

/** An access token for `session` that begins now, beside the refresh token. */
struct tokens tokens_make(struct app *app, struct request *rq, const struct session *session,
                          struct text refresh_token);

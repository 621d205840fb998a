#include "fcgi-app/accounts/tokens.h"
#include "common/crypto/jwt.h"

static const struct field tokens_fields[] = {
    FIELD(struct tokens, access_token, .use = FIELD_SHOWN,
          .doc = "A JWT for `Authorization: Bearer`."),
    FIELD(struct tokens, token_type, .use = FIELD_SHOWN, .example = "Bearer",
          .doc = "Always \"Bearer\"."),
    FIELD(struct tokens, expires_in, .use = FIELD_SHOWN, .example = "900",
          .doc = "How long the access token is good, in seconds."),
    FIELD(struct tokens, refresh_token, .use = FIELD_SHOWN,
          .doc = "Good once, for new tokens of the same session."),
};

const struct record tokens_record = RECORD("Tokens", struct tokens, tokens_fields, .rule = NULL);

struct tokens tokens_make(struct app *app, struct request *rq, const struct session *session,
                          struct text refresh_token)
{
    int64_t now_s = rq->now.us / 1000000;
    const struct claims claims = {.subject = session->user_id,
                                  .session = session->id,
                                  .id = uuid_make(rq->now),
                                  .issued_s = now_s,
                                  .expires_s = now_s + app->settings->access_ttl_s};
    return (struct tokens){.access_token = text_of(jwt_sign(rq->arena, app->keys, &claims)),
                           .token_type = TEXT("Bearer"),
                           .expires_in = app->settings->access_ttl_s,
                           .refresh_token = refresh_token};
}

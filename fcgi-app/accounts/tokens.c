#include "fcgi-app/accounts/tokens.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "common/crypto/jwt.h"
#include "common/crypto/keyring.h"

#define SECRET_SIZE 32
#define TAG_SIZE 16
#define SIGNED_SIZE (SECRET_SIZE + sizeof(struct uuid)) /* what the tag is of */
#define TOKEN_SIZE (SIGNED_SIZE + TAG_SIZE)

/* The bytes that travel, in their order. */
static void to_bytes(const struct refresh_token *token, unsigned char ret[TOKEN_SIZE])
{
    memcpy(ret, token->secret, SECRET_SIZE);
    memcpy(ret + SECRET_SIZE, &token->session, sizeof token->session);
    memcpy(ret + SIGNED_SIZE, token->tag, TAG_SIZE);
}

static void make_tag(const struct keyring *keys, size_t key, const struct refresh_token *token,
                     unsigned char ret_mac[32])
{
    unsigned char bytes[TOKEN_SIZE];
    to_bytes(token, bytes);
    keyring_mac(keys, key, "refresh tag", bytes, SIGNED_SIZE, ret_mac);
    wipe(bytes, sizeof bytes);
}

/* A token whose secret and session are there becomes whole. */
static void finish(struct arena *a, const struct keyring *keys, size_t key,
                   struct refresh_token *token)
{
    unsigned char bytes[TOKEN_SIZE], mac[32];
    make_tag(keys, key, token, mac);
    memcpy(token->tag, mac, TAG_SIZE);
    to_bytes(token, bytes);
    token->text = text_of(base64url(a, bytes, sizeof bytes));
    sha256(token->text.data, token->text.len, token->hash);
    wipe(bytes, sizeof bytes);
}

struct refresh_token refresh_make(struct arena *a, const struct keyring *keys, struct uuid session)
{
    struct refresh_token token = {.session = session};
    random_bytes(token.secret, SECRET_SIZE);
    finish(a, keys, 0, &token);
    return token;
}

bool refresh_read(struct arena *a, struct text text, struct refresh_token *ret)
{
    unsigned char bytes[TOKEN_SIZE];
    if (!text.data || !base64url_decode(text.data, text.len, bytes, sizeof bytes))
        return false;
    memcpy(ret->secret, bytes, SECRET_SIZE);
    memcpy(&ret->session, bytes + SECRET_SIZE, sizeof ret->session);
    memcpy(ret->tag, bytes + SIGNED_SIZE, TAG_SIZE);
    ret->text = arena_text(a, text);
    sha256(text.data, text.len, ret->hash);
    wipe(bytes, sizeof bytes);
    return true;
}

bool refresh_is_ours(const struct keyring *keys, const struct refresh_token *token)
{
    unsigned char mac[32];
    for (size_t i = 0; i < keyring_count(keys); i++) {
        make_tag(keys, i, token, mac);
        if (secret_equal(mac, token->tag, TAG_SIZE))
            return true;
    }
    return false;
}

struct refresh_token refresh_successor(struct arena *a, const struct keyring *keys, size_t key,
                                       const struct refresh_token *used)
{
    unsigned char bytes[TOKEN_SIZE];
    struct refresh_token token = {.session = used->session};
    to_bytes(used, bytes);
    keyring_mac(keys, key, "refresh successor", bytes, SIGNED_SIZE, token.secret);
    wipe(bytes, sizeof bytes);
    finish(a, keys, key, &token);
    return token;
}

/* ---- with an access token ---- */

static const char *const token_types[] = {"Bearer", NULL};

static const struct field tokens_fields[] = {
    FIELD(struct tokens, access_token, .use = FIELD_SHOWN,
          .example = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.YW4tZXhhbXBsZQ",
          .doc = "A JWT for `Authorization: Bearer`."),
    FIELD(struct tokens, token_type, .use = FIELD_SHOWN, .choices = token_types,
          .doc = "Always \"Bearer\"."),
    FIELD(struct tokens, expires_in, .use = FIELD_SHOWN, .example = "900",
          .doc = "How long the access token is good, in seconds."),
    FIELD(struct tokens, refresh_token, .use = FIELD_SHOWN, .example = REFRESH_TOKEN_EXAMPLE,
          .doc = "Good once, for new tokens of the same session."),
};

const struct record tokens_record = RECORD("Tokens", struct tokens, tokens_fields, .rule = NULL);

struct tokens tokens_make(const struct app *app, struct arena *a, struct instant now,
                          const struct session *session, struct text refresh_token)
{
    int64_t now_s = now.us / 1000000;
    const struct claims claims = {.subject = session->user_id,
                                  .session = session->id,
                                  .id = uuid_make(now),
                                  .issued_s = now_s,
                                  .expires_s = now_s + app->settings->access_ttl_s};
    return (struct tokens){.access_token = text_of(jwt_sign(a, app->keys, &claims)),
                           .expires_in = app->settings->access_ttl_s,
                           .refresh_token = refresh_token};
}

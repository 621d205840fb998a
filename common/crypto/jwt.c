#include "common/crypto/jwt.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "common/field/json.h"

#define MAC_SIZE KEYRING_MAC_SIZE
#define MAC_TEXT_SIZE 43 /* in base64url */
#define TOKEN_MAX 1024   /* bytes; ours have at most 800 */

static const char *claims_to_json(struct arena *a, const char *issuer, const struct claims *claims)
{
    char subject[UUID_TEXT_SIZE], session[UUID_TEXT_SIZE], id[UUID_TEXT_SIZE];
    uuid_format(&claims->subject, subject);
    uuid_format(&claims->session, session);
    uuid_format(&claims->id, id);
    return arena_printf(a,
                        "{\"iss\":\"%s\",\"sub\":\"%s\",\"sid\":\"%s\","
                        "\"iat\":%" PRId64 ",\"exp\":%" PRId64 ",\"jti\":\"%s\"}",
                        issuer, subject, session, claims->issued_s, claims->expires_s, id);
}

const char *jwt_sign(struct arena *a, struct keyring *keys, const struct claims *claims)
{
    unsigned char mac[MAC_SIZE];
    const struct keyring_key *key = keyring_at(keys, 0);
    size_t header_len;
    const char *payload = claims_to_json(a, keyring_issuer(keys), claims);
    const char *input = arena_printf(a, "%s%s", keyring_header(key, &header_len),
                                     base64url(a, payload, strlen(payload)));
    keyring_sign(key, input, strlen(input), mac);
    return arena_printf(a, "%s.%s", input, base64url(a, mac, sizeof mac));
}

static struct problem *refuse(struct arena *a, const char *why)
{
    return problem_because(a, &problem_invalid_token, "%s", why);
}

/* The header names the key; a header that we did not write is never parsed. */
static const struct keyring_key *find_key(const struct keyring *keys, const char *token,
                                          size_t *ret_header_len)
{
    for (size_t i = 0; i < keyring_count(keys); i++) {
        const char *header = keyring_header(keyring_at(keys, i), ret_header_len);
        if (strncmp(token, header, *ret_header_len) == 0)
            return keyring_at(keys, i);
    }
    return NULL;
}

/* Does the third segment, after `input`, hold the MAC of it? */
static bool mac_matches(const struct keyring_key *key, const char *token, size_t input_len)
{
    unsigned char given[MAC_SIZE], right[MAC_SIZE];
    size_t len;
    const char *segment = token + input_len + 1;
    if (strlen(segment) != MAC_TEXT_SIZE || !base64url_read(segment, MAC_TEXT_SIZE, given, &len))
        return false;
    keyring_sign(key, token, input_len, right);
    return secret_equal(given, right, MAC_SIZE);
}

static struct text read_text(const struct json *object, const char *name)
{
    const struct json *member = json_get(object, name);
    return member ? json_as_text(member) : (struct text){NULL, 0};
}

static bool read_uuid(const struct json *object, const char *name, struct uuid *ret)
{
    struct text t = read_text(object, name);
    return t.data && uuid_parse(t.data, t.len, ret);
}

static bool read_time(const struct json *object, const char *name, int64_t *ret)
{
    const struct json *member = json_get(object, name);
    return member && json_as_integer(member, ret);
}

/* Registered claims that we never write, where a token has them (RFC 7519 section 4.1). */
static const char *check_others(const struct json *object, int64_t latest_s)
{
    int64_t not_before_s;
    if (json_get(object, "aud"))
        return "It is meant for an audience, and so not for us.";
    if (!json_get(object, "nbf"))
        return NULL;
    if (!read_time(object, "nbf", &not_before_s))
        return "nbf is no time.";
    return not_before_s > latest_s ? "It is not good yet." : NULL;
}

/* The second segment. For lack of memory a good token must not be called a bad one. */
static struct problem *parse_claims(struct arena *a, const char *segment, size_t segment_len,
                                    const struct json **ret)
{
    size_t len;
    unsigned char *payload = arena_alloc(a, segment_len + 1);
    if (!base64url_read(segment, segment_len, payload, &len))
        return refuse(a, "The claims are not base64url.");
    struct problem *p = json_parse(a, (const char *)payload, len, ret);
    return p && p->type->status < 500 ? refuse(a, "The claims are not a JSON object.") : p;
}

/* NULL, or why not. A token from after `latest_s` is refused. */
static const char *read_claims(const struct json *object, const char *issuer, int64_t latest_s,
                               struct claims *ret)
{
    if (!text_equal(read_text(object, "iss"), text_of(issuer)))
        return "Another issuer's token.";
    if (!read_uuid(object, "sub", &ret->subject) || !read_uuid(object, "sid", &ret->session) ||
        !read_uuid(object, "jti", &ret->id) || !read_time(object, "iat", &ret->issued_s) ||
        !read_time(object, "exp", &ret->expires_s))
        return "A claim is missing or of the wrong type.";
    if (ret->issued_s > latest_s)
        return "The token is of a time to come.";
    return check_others(object, latest_s);
}

struct problem *jwt_verify(struct arena *a, struct keyring *keys, const char *token, int64_t now_s,
                           int64_t leeway_s, struct claims *ret)
{
    struct claims claims;
    if (strnlen(token, TOKEN_MAX + 1) > TOKEN_MAX)
        return refuse(a, "The token is longer than any of ours.");
    size_t header_len;
    const struct keyring_key *key = find_key(keys, token, &header_len);
    if (!key)
        return refuse(a, "The header is none of ours: another alg, typ or key.");
    const char *segment = token + header_len;
    size_t segment_len = strcspn(segment, ".");
    if (!segment[segment_len])
        return refuse(a, "The token has fewer than three segments.");
    if (!mac_matches(key, token, header_len + segment_len))
        return refuse(a, "The signature does not match.");
    const struct json *object;
    struct problem *p = parse_claims(a, segment, segment_len, &object);
    if (p)
        return p;
    const char *why = read_claims(object, keyring_issuer(keys), now_s + leeway_s, &claims);
    if (why)
        return refuse(a, why);
    if (claims.expires_s <= now_s - leeway_s)
        return problem_because(a, &problem_token_expired, "The token has expired.");
    *ret = claims;
    return NULL;
}

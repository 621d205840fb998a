#include "common/crypto/jwt.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/field/json.h"

#define MAC_SIZE 32
#define MAC_TEXT_SIZE 43 /* in base64url */
#define KEY_ID_SIZE 12
#define ISSUER_MAX 255 /* bytes */
#define TOKEN_MAX 1024 /* bytes; ours have at most 800 */
#define KEYS_MEMORY_MAX (4u * 1024 * 1024)
#define SPACE " \t\r\n"

struct jwt_key {
    EVP_MAC_CTX *mac;   /* holds the key itself */
    const char *header; /* a token's first segment and its dot */
    size_t header_len;
};

struct jwt_keys {
    struct arena *memory; /* holds this struct, too */
    const char *issuer;
    struct jwt_key *list; /* the first one signs */
    size_t count;
};

/* HMAC-SHA-256 fails only when OpenSSL is broken, and nothing here works without it. */
static void must(int ok, const char *what)
{
    if (ok == 1)
        return;
    fprintf(stderr, "postern: OpenSSL fails at %s\n", what);
    abort();
}

/* Is it something written over and over? "secretsecret…", "aaaa…", "0123456789012345…" */
static bool is_repetition(const char *key, size_t len)
{
    for (size_t period = 1; period <= len / 2; period++)
        if (memcmp(key, key + period, len - period) == 0)
            return true;
    return false;
}

/* Is it mostly a stretch of the alphabet, or one character? */
static bool is_row(const char *key, size_t len)
{
    size_t steps = 0;
    for (size_t i = 1; i < len; i++)
        if (abs(key[i] - key[i - 1]) <= 1)
            steps++;
    return steps >= (len - 1) / 4 * 3;
}

/* Does it hold words that stand in examples? Case and punctuation do not matter. All are too
 * long to turn up in a random key. */
static bool is_sample(struct arena *a, const char *key)
{
    static const char *const words[] = {
        "changeme",     "changethis", "changein",  "changebefore", "replaceme",   "replacethis",
        "yoursecret",   "yourjwt",    "mysecret",  "topsecret",    "supersecret", "verysecret",
        "secretkey",    "jwtsecret",  "bitsecret", "insertyour",   "placeholder", "notsecret",
        "stringsecret", "donotuse",   "insecure",  "examplekey",   "development", "qwertyuiop",
    };
    char *plain = arena_strdup(a, key);
    char *end = plain;
    for (const char *c = key; *c; c++)
        if (isalnum((unsigned char)*c))
            *end++ = (char)tolower((unsigned char)*c);
    *end = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(plain, words[i]))
            return true;
    return false;
}

static struct problem *check_key(struct arena *a, const char *name, const char *key)
{
    size_t len = strlen(key);
    if (len < JWT_KEY_MIN)
        return problem_because(a, &problem_internal, "%s has %zu bytes; it needs %d or more.", name,
                               len, JWT_KEY_MIN);
    if (is_repetition(key, len) || is_row(key, len) || is_sample(a, key))
        return problem_because(a, &problem_internal,
                               "%s is easy to guess or a sample; make a random one.", name);
    return NULL;
}

/* It is written into the claims as it is. */
static struct problem *check_issuer(struct arena *a, const char *issuer)
{
    size_t len = strlen(issuer);
    if (len == 0 || len > ISSUER_MAX)
        return problem_because(a, &problem_internal, "The issuer has %zu bytes; 1 to %d will do.",
                               len, ISSUER_MAX);
    for (const char *c = issuer; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            return problem_because(a, &problem_internal,
                                   "The issuer has a character that is not printable ASCII, "
                                   "or a quote or backslash.");
    return NULL;
}

/* Without a key the context starts again with the one that it holds: 0.5 us in place of 2.5. */
static void make_mac(EVP_MAC_CTX *mac, const void *data, size_t len, unsigned char ret[MAC_SIZE])
{
    size_t made = 0;
    must(EVP_MAC_init(mac, NULL, 0, NULL) && EVP_MAC_update(mac, data, len) &&
             EVP_MAC_final(mac, ret, &made, MAC_SIZE) && made == MAC_SIZE,
         "HMAC");
}

/* A token's input has no NUL, so none of these can ever be taken for a token's MAC. */
void jwt_mac(const struct jwt_keys *keys, size_t key, const char *label, const void *data,
             size_t len, unsigned char ret_mac[32])
{
    EVP_MAC_CTX *mac = keys->list[key].mac;
    size_t made = 0;
    must(EVP_MAC_init(mac, NULL, 0, NULL) &&
             EVP_MAC_update(mac, (const unsigned char *)label, strlen(label) + 1) &&
             EVP_MAC_update(mac, data, len) && EVP_MAC_final(mac, ret_mac, &made, MAC_SIZE) &&
             made == MAC_SIZE,
         "HMAC");
}

size_t jwt_key_count(const struct jwt_keys *keys)
{
    return keys->count;
}

static void free_mac(void *mac)
{
    EVP_MAC_CTX_free(mac);
}

static EVP_MAC_CTX *open_mac(struct arena *memory, EVP_MAC *hmac, const char *key)
{
    char digest[] = "SHA256";
    const OSSL_PARAM with[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    must(mac != NULL, "EVP_MAC_CTX_new");
    arena_defer(memory, free_mac, mac);
    must(EVP_MAC_init(mac, (const unsigned char *)key, strlen(key), with), "EVP_MAC_init");
    return mac;
}

/* The kid follows from the key, so that all processes agree without being told, and a HMAC
 * does not give the key away. */
static void add_key(struct jwt_keys *keys, EVP_MAC *hmac, const char *text)
{
    static const char label[] = "postern key id";
    unsigned char id[MAC_SIZE];
    struct jwt_key *key = &keys->list[keys->count++];
    key->mac = open_mac(keys->memory, hmac, text);
    make_mac(key->mac, label, sizeof label - 1, id);
    const char *header =
        arena_printf(keys->memory, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
                     base64url(keys->memory, id, KEY_ID_SIZE));
    key->header =
        arena_printf(keys->memory, "%s.", base64url(keys->memory, header, strlen(header)));
    key->header_len = strlen(key->header);
}

static struct problem *add_previous(struct arena *a, struct jwt_keys *keys, EVP_MAC *hmac,
                                    char *list)
{
    char *rest = NULL;
    for (char *key = strtok_r(list, SPACE, &rest); key; key = strtok_r(NULL, SPACE, &rest)) {
        struct problem *p = check_key(a, "A previous signing key", key);
        if (p)
            return p;
        add_key(keys, hmac, key);
    }
    return NULL;
}

static struct problem *add_keys(struct arena *a, struct jwt_keys *keys, const char *key,
                                const char *previous)
{
    struct problem *p = check_key(a, "The signing key", key);
    if (p)
        return p;
    size_t most = 1 + strlen(previous) / JWT_KEY_MIN;
    keys->list = arena_array(keys->memory, most, sizeof *keys->list);
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac != NULL, "EVP_MAC_fetch");
    add_key(keys, hmac, key);
    p = add_previous(a, keys, hmac, arena_strdup(a, previous));
    EVP_MAC_free(hmac); /* the contexts hold on to it */
    return p;
}

struct problem *jwt_open(struct arena *a, const char *key, const char *previous_keys,
                         const char *issuer, struct jwt_keys **ret)
{
    struct problem *p = check_issuer(a, issuer);
    if (p)
        return p;
    struct arena *memory = arena_open(KEYS_MEMORY_MAX);
    struct jwt_keys *keys = arena_alloc(memory, sizeof *keys);
    keys->memory = memory;
    keys->issuer = arena_strdup(memory, issuer);
    p = add_keys(a, keys, key, previous_keys ? previous_keys : "");
    if (p) {
        jwt_close(keys);
        return p;
    }
    *ret = keys;
    return NULL;
}

void jwt_close(struct jwt_keys *keys)
{
    if (keys)
        arena_close(keys->memory);
}

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

const char *jwt_sign(struct arena *a, struct jwt_keys *keys, const struct claims *claims)
{
    unsigned char mac[MAC_SIZE];
    const struct jwt_key *key = &keys->list[0];
    const char *payload = claims_to_json(a, keys->issuer, claims);
    const char *input =
        arena_printf(a, "%s%s", key->header, base64url(a, payload, strlen(payload)));
    make_mac(key->mac, input, strlen(input), mac);
    return arena_printf(a, "%s.%s", input, base64url(a, mac, sizeof mac));
}

static struct problem *refuse(struct arena *a, const char *why)
{
    return problem_because(a, &problem_invalid_token, "%s", why);
}

/* The header names the key; what we did not write ourselves is never looked into. */
static const struct jwt_key *find_key(const struct jwt_keys *keys, const char *token)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strncmp(token, keys->list[i].header, keys->list[i].header_len) == 0)
            return &keys->list[i];
    return NULL;
}

/* Does the third segment, behind `input`, hold the MAC of it? */
static bool mac_matches(const struct jwt_key *key, const char *token, size_t input_len)
{
    unsigned char given[MAC_SIZE], right[MAC_SIZE];
    size_t len;
    const char *segment = token + input_len + 1;
    if (strlen(segment) != MAC_TEXT_SIZE || !base64url_read(segment, MAC_TEXT_SIZE, given, &len))
        return false;
    make_mac(key->mac, token, input_len, right);
    return CRYPTO_memcmp(given, right, MAC_SIZE) == 0;
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

/* The registered claims that we never write, where they are there (RFC 7519 section 4.1). */
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

/* From the second segment; NULL, or why not. What is of a time later than `latest_s` is not. */
static const char *read_claims(struct arena *a, const char *issuer, const char *segment,
                               size_t segment_len, int64_t latest_s, struct claims *ret)
{
    const struct json *object;
    size_t len;
    unsigned char *payload = arena_alloc(a, segment_len + 1);
    if (!base64url_read(segment, segment_len, payload, &len))
        return "The claims are not base64url.";
    if (json_parse(a, (const char *)payload, len, &object))
        return "The claims are not a JSON object.";
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

struct problem *jwt_verify(struct arena *a, struct jwt_keys *keys, const char *token, int64_t now_s,
                           int64_t leeway_s, struct claims *ret)
{
    struct claims claims;
    if (strnlen(token, TOKEN_MAX + 1) > TOKEN_MAX)
        return refuse(a, "The token is longer than any of ours.");
    const struct jwt_key *key = find_key(keys, token);
    if (!key)
        return refuse(a, "The header is none of ours: another alg, typ or key.");
    const char *segment = token + key->header_len;
    size_t segment_len = strcspn(segment, ".");
    if (!segment[segment_len])
        return refuse(a, "The token has fewer than three segments.");
    if (!mac_matches(key, token, key->header_len + segment_len))
        return refuse(a, "The signature does not match.");
    const char *why = read_claims(a, keys->issuer, segment, segment_len, now_s + leeway_s, &claims);
    if (why)
        return refuse(a, why);
    if (claims.expires_s <= now_s - leeway_s)
        return problem_because(a, &problem_token_expired, "The token has expired.");
    *ret = claims;
    return NULL;
}

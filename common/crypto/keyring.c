#include "common/crypto/keyring.h"

#include <ctype.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/base/exhausted.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"

#define MAC_SIZE KEYRING_MAC_SIZE
#define KEY_ID_SIZE 12
#define ISSUER_MAX 255 /* bytes */
#define INFO_MAX 63    /* bytes */
#define KEYS_MEMORY_MAX (4u * 1024 * 1024)
#define SPACE " \t\r\n"

struct keyring_key {
    EVP_MAC_CTX *mac;   /* holds the key itself */
    const char *header; /* a token's first segment and its dot */
    size_t header_len;
    const char *kid;
    unsigned char extracted[MAC_SIZE]; /* for keys that are derived from it */
};

struct keyring {
    struct arena *memory; /* holds this struct, too */
    const char *issuer;
    struct keyring_key *list; /* the first one signs */
    size_t count;
};

/* HMAC-SHA-256 fails only for lack of memory or when OpenSSL is broken, and nothing here works
 * without it. */
static void must(int ok, const char *what)
{
    if (ok != 1)
        exhausted("OpenSSL fails at %s", what);
}

/* Is it something repeated? "secretsecret…", "aaaa…", "0123456789012345…" */
static bool is_repetition(const char *key, size_t len)
{
    for (size_t period = 1; period <= len / 2; period++)
        if (memcmp(key, key + period, len - period) == 0)
            return true;
    return false;
}

/* Is it mostly a run of the alphabet, or one character? */
static bool is_run(const char *key, size_t len)
{
    size_t steps = 0;
    for (size_t i = 1; i < len; i++)
        if (abs(key[i] - key[i - 1]) <= 1)
            steps++;
    return steps >= (len - 1) / 4 * 3;
}

/* Does it have words that examples use? Case and punctuation do not matter. All are too long to
 * occur in a random key. */
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
    if (len < KEYRING_KEY_MIN)
        return problem_because(a, &problem_internal, "%s has %zu bytes; it needs %d or more.", name,
                               len, KEYRING_KEY_MIN);
    if (is_repetition(key, len) || is_run(key, len) || is_sample(a, key))
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
void keyring_sign(const struct keyring_key *key, const void *data, size_t len,
                  unsigned char ret_mac[MAC_SIZE])
{
    size_t made = 0;
    must(EVP_MAC_init(key->mac, NULL, 0, NULL) && EVP_MAC_update(key->mac, data, len) &&
             EVP_MAC_final(key->mac, ret_mac, &made, MAC_SIZE) && made == MAC_SIZE,
         "HMAC");
}

/* A token's input has no NUL, so none of these can ever be taken for a token's MAC. */
void keyring_mac(const struct keyring *keys, size_t key, const char *label, const void *data,
                 size_t len, unsigned char ret_mac[MAC_SIZE])
{
    EVP_MAC_CTX *mac = keys->list[key].mac;
    size_t made = 0;
    must(EVP_MAC_init(mac, NULL, 0, NULL) &&
             EVP_MAC_update(mac, (const unsigned char *)label, strlen(label) + 1) &&
             EVP_MAC_update(mac, data, len) && EVP_MAC_final(mac, ret_mac, &made, MAC_SIZE) &&
             made == MAC_SIZE,
         "HMAC");
}

size_t keyring_count(const struct keyring *keys)
{
    return keys->count;
}

const char *keyring_kid(const struct keyring *keys, size_t key)
{
    return keys->list[key].kid;
}

/* HKDF-Expand for one block (RFC 5869 section 2.3): info, and the block's number. */
void keyring_derive(const struct keyring *keys, size_t key, const char *purpose,
                    unsigned char ret_key[MAC_SIZE])
{
    char info[INFO_MAX + 1];
    size_t len = strlen(purpose);
    must(len < sizeof info, "HKDF");
    memcpy(info, purpose, len);
    info[len] = 1;
    hmac_sha256(keys->list[key].extracted, MAC_SIZE, info, len + 1, ret_key);
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
static void add_key(struct keyring *keys, EVP_MAC *hmac, const char *text)
{
    static const char label[] = "postern key id";
    static const unsigned char no_salt[MAC_SIZE] = {0};
    unsigned char id[MAC_SIZE];
    struct keyring_key *key = &keys->list[keys->count++];
    key->mac = open_mac(keys->memory, hmac, text);
    keyring_sign(key, label, sizeof label - 1, id);
    key->kid = base64url(keys->memory, id, KEY_ID_SIZE);
    hmac_sha256(no_salt, sizeof no_salt, text, strlen(text), key->extracted);
    const char *header = arena_printf(
        keys->memory, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", key->kid);
    key->header =
        arena_printf(keys->memory, "%s.", base64url(keys->memory, header, strlen(header)));
    key->header_len = strlen(key->header);
}

static struct problem *add_previous(struct arena *a, struct keyring *keys, EVP_MAC *hmac,
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

static struct problem *add_keys(struct arena *a, struct keyring *keys, const char *key,
                                const char *previous)
{
    struct problem *p = check_key(a, "The signing key", key);
    if (p)
        return p;
    size_t most = 1 + strlen(previous) / KEYRING_KEY_MIN;
    keys->list = arena_array(keys->memory, most, sizeof *keys->list);
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac != NULL, "EVP_MAC_fetch");
    add_key(keys, hmac, key);
    p = add_previous(a, keys, hmac, arena_strdup(a, previous));
    EVP_MAC_free(hmac); /* the contexts keep it */
    return p;
}

struct problem *keyring_open(struct arena *a, const char *key, const char *previous_keys,
                             const char *issuer, struct keyring **ret)
{
    struct problem *p = check_issuer(a, issuer);
    if (p)
        return p;
    struct arena *memory = arena_open(KEYS_MEMORY_MAX);
    struct keyring *keys = arena_alloc(memory, sizeof *keys);
    keys->memory = memory;
    keys->issuer = arena_strdup(memory, issuer);
    p = add_keys(a, keys, key, previous_keys ? previous_keys : "");
    if (p) {
        keyring_close(keys);
        return p;
    }
    *ret = keys;
    return NULL;
}

void keyring_close(struct keyring *keys)
{
    if (keys)
        arena_close(keys->memory);
}

const struct keyring_key *keyring_at(const struct keyring *keys, size_t n)
{
    return &keys->list[n];
}

const char *keyring_header(const struct keyring_key *key, size_t *ret_len)
{
    *ret_len = key->header_len;
    return key->header;
}

const char *keyring_issuer(const struct keyring *keys)
{
    return keys->issuer;
}

#include "password.h"

#include <stdint.h>
#include <string.h>

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "problem.h"

/* Today's setting, after OWASP's Password Storage Cheat Sheet. */
#define MEMORY_KIB 19456
#define PASSES 2
#define LANES 1
#define SALT_SIZE 16
#define TAG_SIZE 32

/* What a stored hash may cost at most. */
#define MEMORY_MAX_KIB (256u * 1024)
#define PASSES_MAX 16
#define LANES_MAX 16 /* each is a thread in libargon2 */
#define SCRYPT_R_MAX 64
#define PBKDF2_ROUNDS_MAX 10000000
#define BCRYPT_COST_MAX 16

#define HASH_TEXT_MAX 512 /* bytes; none that we verify comes near */
#define KEY_MAX 64        /* bytes that scrypt or PBKDF2 are asked for */
#define BCRYPT_SIZE 60
#define BCRYPT_SETTING_SIZE 29
#define BCRYPT_PASSWORD_MAX 72

enum outcome {
    UNREADABLE, /* not a form or cost that we verify */
    MATCH,
    MISMATCH,
    BROKEN, /* memory or a library failed */
};

struct argon2_setting {
    argon2_type type;
    uint32_t version, memory_kib, passes, lanes;
};

static bool skip(const char **at, const char *expected)
{
    size_t len = strlen(expected);
    if (strncmp(*at, expected, len) != 0)
        return false;
    *at += len;
    return true;
}

/* A decimal number of 1 to `max`, in its one spelling. */
static bool number(const char **at, uint32_t max, uint32_t *ret)
{
    const char *c = *at;
    uint64_t value = 0;
    if (*c == '0')
        return false;
    for (; *c >= '0' && *c <= '9'; c++) {
        value = 10 * value + (uint64_t)(*c - '0');
        if (value > max)
            return false;
    }
    if (c == *at)
        return false;
    *at = c;
    *ret = (uint32_t)value;
    return true;
}

static bool read_version(const char **at, uint32_t *ret)
{
    *ret = ARGON2_VERSION_10; /* the first version's hashes do not tell theirs */
    if (!skip(at, "v="))
        return true;
    return number(at, ARGON2_VERSION_13, ret) && skip(at, "$") &&
           (*ret == ARGON2_VERSION_10 || *ret == ARGON2_VERSION_13);
}

/* libargon2 would spend whatever a hash asks for, so its numbers are read before. */
static bool argon2_setting(const char *hash, struct argon2_setting *ret)
{
    const char *at = hash;
    if (skip(&at, "$argon2id$"))
        ret->type = Argon2_id;
    else if (skip(&at, "$argon2i$"))
        ret->type = Argon2_i;
    else if (skip(&at, "$argon2d$"))
        ret->type = Argon2_d;
    else
        return false;
    return read_version(&at, &ret->version) &&                                 /* v=19$ */
           skip(&at, "m=") && number(&at, MEMORY_MAX_KIB, &ret->memory_kib) && /* m=19456 */
           skip(&at, ",t=") && number(&at, PASSES_MAX, &ret->passes) &&        /* ,t=2 */
           skip(&at, ",p=") && number(&at, LANES_MAX, &ret->lanes) && skip(&at, "$");
}

static size_t todays_size(void)
{
    return argon2_encodedlen(PASSES, MEMORY_KIB, LANES, SALT_SIZE, TAG_SIZE, Argon2_id);
}

static bool is_todays(const char *hash)
{
    struct argon2_setting s;
    return argon2_setting(hash, &s) && s.type == Argon2_id && s.version == ARGON2_VERSION_13 &&
           s.memory_kib == MEMORY_KIB && s.passes == PASSES && s.lanes == LANES &&
           strlen(hash) + 1 == todays_size();
}

static bool is_of_surroundings(int argon2_error)
{
    return argon2_error == ARGON2_MEMORY_ALLOCATION_ERROR || argon2_error == ARGON2_THREAD_FAIL;
}

static enum outcome check_argon2(struct text password, const char *hash)
{
    struct argon2_setting s;
    if (!argon2_setting(hash, &s))
        return UNREADABLE;
    int error = argon2_verify(hash, password.data, password.len, s.type);
    if (error == ARGON2_OK)
        return MATCH;
    if (error == ARGON2_VERIFY_MISMATCH)
        return MISMATCH;
    return is_of_surroundings(error) ? BROKEN : UNREADABLE;
}

static bool is_bcrypt_text(const char *text)
{
    return strspn(text, "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
           strlen(text);
}

/* crypt(3) knows many forms, DES among them; it sees only what is bcrypt beyond doubt. */
static bool is_bcrypt(const char *hash)
{
    const char *at = hash;
    if (strlen(hash) != BCRYPT_SIZE)
        return false;
    if (!skip(&at, "$2a$") && !skip(&at, "$2b$") && !skip(&at, "$2y$"))
        return false;
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9' || at[2] != '$')
        return false;
    int cost = 10 * (at[0] - '0') + at[1] - '0';
    return cost >= 4 && cost <= BCRYPT_COST_MAX && is_bcrypt_text(at + 3);
}

static enum outcome check_bcrypt(struct arena *a, struct text password, const char *hash)
{
    if (!is_bcrypt(hash))
        return UNREADABLE;
    if (memchr(password.data, 0, password.len))
        return MISMATCH; /* to crypt(3) it would end there */
    /* bcrypt ignores what is behind, but crypt(3) refuses more than 511 bytes. */
    size_t len = password.len < BCRYPT_PASSWORD_MAX ? password.len : BCRYPT_PASSWORD_MAX;
    struct crypt_data *data = arena_alloc(a, sizeof *data); /* 32 KiB, and wiped with the rest */
    const char *made = crypt_r(arena_copy(a, password.data, len), hash, data);
    if (!made || strlen(made) != BCRYPT_SIZE)
        return BROKEN;
    /* The setting is the hash's own; some programs leave stray bits in its last character. */
    return CRYPTO_memcmp(made + BCRYPT_SETTING_SIZE, hash + BCRYPT_SETTING_SIZE,
                         BCRYPT_SIZE - BCRYPT_SETTING_SIZE) == 0
               ? MATCH
               : MISMATCH;
}

/* What Werkzeug writes behind the method: `$salt$hex`. */
struct werkzeug {
    struct text salt;
    const char *hex;
    size_t key_len; /* bytes */
};

/* False unless `at` is `$`, a salt, `$` and exactly `key_len` bytes in lower-case hex. */
static bool werkzeug_rest(const char *at, size_t key_len, struct werkzeug *ret)
{
    if (!skip(&at, "$"))
        return false;
    const char *hex = strchr(at, '$');
    if (!hex || strlen(hex + 1) != 2 * key_len ||
        strspn(hex + 1, "0123456789abcdef") != 2 * key_len)
        return false;
    *ret = (struct werkzeug){{at, (size_t)(hex - at)}, hex + 1, key_len};
    return true;
}

static enum outcome compare_hex(const unsigned char *key, const struct werkzeug *w)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * KEY_MAX];
    for (size_t i = 0; i < w->key_len; i++) {
        hex[2 * i] = digits[key[i] >> 4];
        hex[2 * i + 1] = digits[key[i] & 15];
    }
    return CRYPTO_memcmp(hex, w->hex, 2 * w->key_len) == 0 ? MATCH : MISMATCH;
}

/* `at` is behind "scrypt:". The numbers are RFC 7914's. */
static enum outcome check_scrypt(struct text password, const char *at)
{
    uint32_t n, r, p;
    struct werkzeug w;
    unsigned char key[64];
    const uint64_t most = (uint64_t)MEMORY_MAX_KIB * 1024;
    if (!number(&at, UINT32_MAX, &n) || !skip(&at, ":") || !number(&at, SCRYPT_R_MAX, &r) ||
        !skip(&at, ":") || !number(&at, UINT32_MAX, &p) || !werkzeug_rest(at, sizeof key, &w))
        return UNREADABLE;
    /* One bound for memory and time: p may cost either. */
    if (n < 2 || (n & (n - 1)) || p > most / 128 / r || (uint64_t)n > most / 128 / r / p)
        return UNREADABLE;
    uint64_t memory = (uint64_t)128 * r * ((uint64_t)n + p + 2); /* as OpenSSL counts it */
    if (EVP_PBE_scrypt(password.data, password.len, (const unsigned char *)w.salt.data, w.salt.len,
                       n, r, p, memory, key, sizeof key) != 1)
        return BROKEN;
    return compare_hex(key, &w);
}

static const EVP_MD *pbkdf2_digest(const char **at)
{
    if (skip(at, "sha256:"))
        return EVP_sha256();
    if (skip(at, "sha512:"))
        return EVP_sha512();
    return skip(at, "sha1:") ? EVP_sha1() : NULL;
}

/* `at` is behind "pbkdf2:" (RFC 8018 section 5.2). */
static enum outcome check_pbkdf2(struct text password, const char *at)
{
    uint32_t rounds;
    struct werkzeug w;
    unsigned char key[KEY_MAX];
    const EVP_MD *digest = pbkdf2_digest(&at);
    if (!digest || !number(&at, PBKDF2_ROUNDS_MAX, &rounds) ||
        !werkzeug_rest(at, (size_t)EVP_MD_get_size(digest), &w))
        return UNREADABLE;
    if (PKCS5_PBKDF2_HMAC(password.data, (int)password.len, (const unsigned char *)w.salt.data,
                          (int)w.salt.len, (int)rounds, digest, (int)w.key_len, key) != 1)
        return BROKEN;
    return compare_hex(key, &w);
}

static enum outcome check(struct arena *a, struct text password, const char *hash)
{
    const char *at = hash;
    if (strnlen(hash, HASH_TEXT_MAX + 1) > HASH_TEXT_MAX)
        return UNREADABLE;
    if (skip(&at, "scrypt:"))
        return check_scrypt(password, at);
    if (skip(&at, "pbkdf2:"))
        return check_pbkdf2(password, at);
    if (skip(&at, "$2"))
        return check_bcrypt(a, password, hash);
    return check_argon2(password, hash);
}

/* The work of one verification with today's setting, for nothing. */
static enum outcome pretend(struct text password)
{
    static const unsigned char salt[SALT_SIZE];
    unsigned char tag[TAG_SIZE];
    int error = argon2id_hash_raw(PASSES, MEMORY_KIB, LANES, password.data, password.len, salt,
                                  sizeof salt, tag, sizeof tag);
    return error == ARGON2_OK ? MISMATCH : BROKEN;
}

struct problem *password_hash(struct arena *a, struct text password, const char **ret)
{
    unsigned char salt[SALT_SIZE];
    if (RAND_bytes(salt, sizeof salt) != 1)
        return problem_because(a, &problem_internal, "OpenSSL has no random bytes.");
    size_t size = todays_size();
    char *hash = arena_alloc(a, size);
    int error = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password.data, password.len, salt,
                                      sizeof salt, TAG_SIZE, hash, size);
    if (error != ARGON2_OK)
        return problem_because(a, &problem_internal, "Argon2: %s", argon2_error_message(error));
    *ret = hash;
    return NULL;
}

struct problem *password_verify(struct arena *a, struct text password, const char *hash,
                                bool *ret_match, bool *ret_outdated)
{
    enum outcome outcome = hash ? check(a, password, hash) : UNREADABLE;
    if (outcome == UNREADABLE) /* nobody, or a spoilt row: time shall tell neither */
        outcome = pretend(password);
    if (outcome == BROKEN)
        return problem_because(a, &problem_internal,
                               "A password could not be verified: memory or a library failed.");
    *ret_match = outcome == MATCH;
    *ret_outdated = *ret_match && !is_todays(hash);
    return NULL;
}

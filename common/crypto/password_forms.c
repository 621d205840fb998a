#include "common/crypto/password_forms.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

/* What a stored hash may cost at most: about a second of a processor of 2023, and 256 MiB. */
#define SCRYPT_R_MAX 64
#define SCRYPT_WORK_MAX ((uint64_t)258 * 1024 * 1024) /* bytes filled, once for each p */
#define SCRYPT_P_ROUNDS 4         /* of N are as much work as what each p takes before and after */
#define PBKDF2_ROUNDS_MAX 2000000 /* Werkzeug has a million by now */
#define PBKDF2_SHA512_ROUNDS_MAX 1500000
#define BCRYPT_COST_MAX 14

#define KEY_MAX 64 /* bytes that scrypt or PBKDF2 are asked for */
#define BCRYPT_SIZE 60
#define BCRYPT_SETTING_SIZE 29
#define BCRYPT_PASSWORD_MAX 72

bool password_skip(const char **at, const char *expected)
{
    size_t len = strlen(expected);
    if (strncmp(*at, expected, len) != 0)
        return false;
    *at += len;
    return true;
}

enum price password_price(bool fair)
{
    return fair ? PRICE_FAIR : PRICE_TOO_HIGH;
}

bool password_number(const char **at, uint32_t max, uint32_t *ret)
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

/* ---- bcrypt ---- */

static bool is_bcrypt_text(const char *text)
{
    return strspn(text, "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
           strlen(text);
}

/* `at` is then after "$2b$14$". */
static enum price bcrypt_price(const char **at)
{
    if (!password_skip(at, "$2a$") && !password_skip(at, "$2b$") && !password_skip(at, "$2y$"))
        return PRICE_NONE;
    const char *digits = *at;
    if (digits[0] < '0' || digits[0] > '3' || digits[1] < '0' || digits[1] > '9' ||
        digits[2] != '$')
        return PRICE_NONE;
    *at += 3;
    int cost = 10 * (digits[0] - '0') + digits[1] - '0';
    return cost < 4 || cost > 31 ? PRICE_NONE : password_price(cost <= BCRYPT_COST_MAX);
}

/* crypt(3) knows many forms, DES among them; it must get nothing but bcrypt. */
static bool is_bcrypt(const char *hash)
{
    const char *at = hash;
    return strlen(hash) == BCRYPT_SIZE && bcrypt_price(&at) == PRICE_FAIR && is_bcrypt_text(at);
}

static enum outcome check_bcrypt(struct arena *a, struct text password, const char *hash)
{
    if (!is_bcrypt(hash))
        return UNREADABLE;
    if (memchr(password.data, 0, password.len))
        return MISMATCH; /* to crypt(3) it would end there */
    /* bcrypt ignores the rest, but crypt(3) refuses more than 511 bytes. */
    size_t len = password.len < BCRYPT_PASSWORD_MAX ? password.len : BCRYPT_PASSWORD_MAX;
    struct crypt_data *data = arena_alloc(a, sizeof *data); /* 32 KiB, and wiped with the rest */
    const char *made = crypt_r(arena_copy(a, password.data, len), hash, data);
    if (!made || strlen(made) != BCRYPT_SIZE)
        return errno == ENOMEM ? BROKEN : UNREADABLE;
    /* The setting is the hash's own; some programs leave stray bits in its last character. */
    return CRYPTO_memcmp(made + BCRYPT_SETTING_SIZE, hash + BCRYPT_SETTING_SIZE,
                         BCRYPT_SIZE - BCRYPT_SETTING_SIZE) == 0
               ? MATCH
               : MISMATCH;
}

/* ---- Werkzeug's ---- */

/* What Werkzeug writes after the method: `$salt$hex`. */
struct werkzeug {
    struct text salt;
    const char *hex;
    size_t key_len; /* bytes */
};

/* False unless `at` is `$`, a salt, `$` and exactly `key_len` bytes in lower-case hex. */
static bool werkzeug_rest(const char *at, size_t key_len, struct werkzeug *ret)
{
    if (!password_skip(&at, "$"))
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

struct scrypt_setting {
    uint32_t n, r, p;
};

/* `*at` is after "scrypt:", and then after the numbers. OpenSSL refuses what RFC 7914 section 2
 * does not allow, which must not look like a fault of its own. */
static enum price scrypt_price(const char **at, struct scrypt_setting *ret)
{
    if (!password_number(at, UINT32_MAX, &ret->n) || !password_skip(at, ":") ||
        !password_number(at, UINT32_MAX, &ret->r) || !password_skip(at, ":") ||
        !password_number(at, UINT32_MAX, &ret->p))
        return PRICE_NONE;
    if (ret->n < 2 || (ret->n & (ret->n - 1)) || (ret->r == 1 && ret->n > 1 << 15) ||
        (uint64_t)ret->p * ret->r >= 1 << 30)
        return PRICE_NONE;
    if (ret->r > SCRYPT_R_MAX || ret->p > SCRYPT_WORK_MAX / 128 / ret->r)
        return PRICE_TOO_HIGH;
    uint64_t work = (uint64_t)128 * ret->r * ret->p * ((uint64_t)ret->n + SCRYPT_P_ROUNDS);
    return password_price(work <= SCRYPT_WORK_MAX);
}

static enum outcome check_scrypt(struct text password, const char *at)
{
    struct scrypt_setting s;
    struct werkzeug w;
    unsigned char key[64];
    if (scrypt_price(&at, &s) != PRICE_FAIR || !werkzeug_rest(at, sizeof key, &w))
        return UNREADABLE;
    uint64_t memory = (uint64_t)128 * s.r * ((uint64_t)s.n + s.p + 2); /* as OpenSSL counts it */
    int done = EVP_PBE_scrypt(password.data, password.len, (const unsigned char *)w.salt.data,
                              w.salt.len, s.n, s.r, s.p, memory, key, sizeof key);
    (void)malloc_trim(0); /* it has no memory of its own, as Argon2 has */
    return done == 1 ? compare_hex(key, &w) : BROKEN;
}

struct pbkdf2_setting {
    const EVP_MD *digest;
    uint32_t rounds;
};

/* `*at` is after "pbkdf2:" (RFC 8018 section 5.2), and then after the number. */
static enum price pbkdf2_price(const char **at, struct pbkdf2_setting *ret)
{
    uint32_t max = PBKDF2_ROUNDS_MAX;
    if (password_skip(at, "sha256:"))
        ret->digest = EVP_sha256();
    else if (password_skip(at, "sha1:"))
        ret->digest = EVP_sha1();
    else if (password_skip(at, "sha512:")) {
        ret->digest = EVP_sha512();
        max = PBKDF2_SHA512_ROUNDS_MAX;
    } else
        return PRICE_NONE;
    return password_number(at, INT32_MAX, &ret->rounds) ? password_price(ret->rounds <= max)
                                                        : PRICE_NONE;
}

static enum outcome check_pbkdf2(struct text password, const char *at)
{
    struct pbkdf2_setting s;
    struct werkzeug w;
    unsigned char key[KEY_MAX];
    if (pbkdf2_price(&at, &s) != PRICE_FAIR ||
        !werkzeug_rest(at, (size_t)EVP_MD_get_size(s.digest), &w))
        return UNREADABLE;
    if (PKCS5_PBKDF2_HMAC(password.data, (int)password.len, (const unsigned char *)w.salt.data,
                          (int)w.salt.len, (int)s.rounds, s.digest, (int)w.key_len, key) != 1)
        return BROKEN;
    return compare_hex(key, &w);
}

/* ---- all of them ---- */

bool password_form_is_foreign(const char *hash)
{
    const char *at = hash;
    return password_skip(&at, "scrypt:") || password_skip(&at, "pbkdf2:") ||
           password_skip(&at, "$2");
}

enum outcome password_form_check(struct arena *a, struct text password, const char *hash)
{
    const char *at = hash;
    if (password_skip(&at, "scrypt:"))
        return check_scrypt(password, at);
    if (password_skip(&at, "pbkdf2:"))
        return check_pbkdf2(password, at);
    return check_bcrypt(a, password, hash);
}

enum price password_form_price(const char *hash)
{
    struct scrypt_setting scrypt;
    struct pbkdf2_setting pbkdf2;
    const char *at = hash;
    if (password_skip(&at, "scrypt:"))
        return scrypt_price(&at, &scrypt);
    if (password_skip(&at, "pbkdf2:"))
        return pbkdf2_price(&at, &pbkdf2);
    return bcrypt_price(&at);
}

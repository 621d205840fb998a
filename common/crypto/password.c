#include "common/crypto/password.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/base/problem.h"
#include "common/crypto/digest.h"

/* Today's setting, after OWASP's Password Storage Cheat Sheet. */
#define MEMORY_KIB 19456
#define PASSES 2
#define LANES 1
#define SALT_SIZE 16
#define TAG_SIZE 32

/* What a stored hash may cost at most: about a second of a processor of 2023, and 256 MiB. */
#define MEMORY_MAX_KIB (256u * 1024)
#define ARGON2_WORK_MAX_KIB (1024u * 1024) /* passes times memory */
#define ARGON2_LANE_KIB 256                /* is as much work as a pass's four threads of a lane */
#define LANES_MAX 16                       /* each is a thread in libargon2 */
#define SCRYPT_R_MAX 64
#define SCRYPT_WORK_MAX ((uint64_t)258 * 1024 * 1024) /* bytes filled, once for each p */
#define SCRYPT_P_ROUNDS 4         /* of N are as much work as what each p takes before and after */
#define PBKDF2_ROUNDS_MAX 2000000 /* Werkzeug has a million by now */
#define PBKDF2_SHA512_ROUNDS_MAX 1500000
#define BCRYPT_COST_MAX 14

#define HASH_TEXT_MAX 512 /* bytes; none that we verify comes near */
#define KEY_MAX 64        /* bytes that scrypt or PBKDF2 are asked for */
#define BASE64_MAX 384    /* bytes of a salt or a tag, as they are */
#define BCRYPT_SIZE 60
#define BCRYPT_SETTING_SIZE 29
#define BCRYPT_PASSWORD_MAX 72

enum outcome {
    UNREADABLE, /* not a form or cost that we verify */
    MATCH,
    MISMATCH,
    BROKEN, /* memory or a library failed */
};

/* What the numbers before a salt ask for. */
enum price {
    PRICE_NONE, /* they are none that we know */
    PRICE_FAIR,
    PRICE_TOO_HIGH,
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

static enum price price(bool fair)
{
    return fair ? PRICE_FAIR : PRICE_TOO_HIGH;
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

/* `*at` is then behind the `$` before the salt. */
static bool argon2_setting(const char **at, struct argon2_setting *ret)
{
    if (skip(at, "$argon2id$"))
        ret->type = Argon2_id;
    else if (skip(at, "$argon2i$"))
        ret->type = Argon2_i;
    else if (skip(at, "$argon2d$"))
        ret->type = Argon2_d;
    else
        return false;
    return read_version(at, &ret->version) &&                            /* v=19$ */
           skip(at, "m=") && number(at, UINT32_MAX, &ret->memory_kib) && /* m=19456 */
           skip(at, ",t=") && number(at, UINT32_MAX, &ret->passes) &&    /* ,t=2 */
           skip(at, ",p=") && number(at, UINT32_MAX, &ret->lanes) && skip(at, "$");
}

/* libargon2 would spend whatever a hash asks for. */
static enum price argon2_price(const struct argon2_setting *s)
{
    if (s->memory_kib > MEMORY_MAX_KIB || s->lanes > LANES_MAX)
        return PRICE_TOO_HIGH;
    uint64_t a_pass = s->memory_kib + (s->lanes > 1 ? ARGON2_LANE_KIB * s->lanes : 0);
    return price(s->passes * a_pass <= ARGON2_WORK_MAX_KIB);
}

static size_t todays_size(void)
{
    return argon2_encodedlen(PASSES, MEMORY_KIB, LANES, SALT_SIZE, TAG_SIZE, Argon2_id);
}

static bool is_todays(const char *hash)
{
    struct argon2_setting s;
    const char *at = hash;
    return argon2_setting(&at, &s) && s.type == Argon2_id && s.version == ARGON2_VERSION_13 &&
           s.memory_kib == MEMORY_KIB && s.passes == PASSES && s.lanes == LANES &&
           strlen(hash) + 1 == todays_size();
}

/* ---- Argon2 ---- */

/* Memory of its own, which goes back: malloc(3) would keep it from the second time on, since its
 * threshold for mmap(2) has grown by then. With small pages it takes a third longer. */
static int map_memory(uint8_t **ret, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return ARGON2_MEMORY_ALLOCATION_ERROR;
    (void)madvise(at, size, MADV_HUGEPAGE);
    *ret = at;
    return ARGON2_OK;
}

/* The library has wiped it. */
static void unmap_memory(uint8_t *at, size_t size)
{
    (void)munmap(at, size);
}

/* What the library is asked for, as its types want it; it does not write to password and salt. */
static argon2_context context_of(const struct argon2_setting *s, struct text password,
                                 struct text salt, struct text tag)
{
    return (argon2_context){.out = (uint8_t *)(uintptr_t)tag.data,
                            .outlen = (uint32_t)tag.len,
                            .pwd = (uint8_t *)(uintptr_t)password.data,
                            .pwdlen = (uint32_t)password.len,
                            .salt = (uint8_t *)(uintptr_t)salt.data,
                            .saltlen = (uint32_t)salt.len,
                            .t_cost = s->passes,
                            .m_cost = s->memory_kib,
                            .lanes = s->lanes,
                            .threads = s->lanes,
                            .version = s->version,
                            .allocate_cbk = map_memory,
                            .free_cbk = unmap_memory};
}

static bool is_of_surroundings(int argon2_error)
{
    return argon2_error == ARGON2_MEMORY_ALLOCATION_ERROR || argon2_error == ARGON2_THREAD_FAIL;
}

/* Base64 without padding (PHC's B64), up to `end`. */
static bool unbase64(const char **at, char end, unsigned char ret[BASE64_MAX],
                     struct text *ret_text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strspn(*at, letters), count = 0;
    uint32_t bits = 0;
    if ((*at)[len] != end || len % 4 == 1 || len > BASE64_MAX / 3 * 4)
        return false;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 6 | (uint32_t)(strchr(letters, (*at)[i]) - letters);
        if (i % 4 != 0)
            ret[count++] = (unsigned char)(bits >> (6 - i % 4 * 2));
    }
    *at += len + (end != '\0');
    *ret_text = (struct text){(const char *)ret, count};
    return true;
}

static void base64(char *to, const unsigned char *bytes, int len)
{
    int written = EVP_EncodeBlock((unsigned char *)to, bytes, len);
    while (written > 0 && to[written - 1] == '=')
        written--;
    to[written] = '\0';
}

static enum outcome check_argon2(struct text password, const char *hash)
{
    struct argon2_setting s;
    struct text salt, tag;
    unsigned char salt_bytes[BASE64_MAX], tag_bytes[BASE64_MAX], made[BASE64_MAX];
    const char *at = hash;
    if (!argon2_setting(&at, &s) || argon2_price(&s) != PRICE_FAIR ||
        !unbase64(&at, '$', salt_bytes, &salt) || !unbase64(&at, '\0', tag_bytes, &tag))
        return UNREADABLE;
    argon2_context context =
        context_of(&s, password, salt, (struct text){(const char *)made, tag.len});
    int error = argon2_ctx(&context, s.type);
    if (error != ARGON2_OK)
        return is_of_surroundings(error) ? BROKEN : UNREADABLE;
    return CRYPTO_memcmp(made, tag_bytes, tag.len) == 0 ? MATCH : MISMATCH;
}

static const struct argon2_setting today = {Argon2_id, ARGON2_VERSION_13, MEMORY_KIB, PASSES,
                                            LANES};

static int hash_today(struct text password, const unsigned char salt[SALT_SIZE],
                      unsigned char ret_tag[TAG_SIZE])
{
    argon2_context context =
        context_of(&today, password, (struct text){(const char *)salt, SALT_SIZE},
                   (struct text){(const char *)ret_tag, TAG_SIZE});
    return argon2_ctx(&context, today.type);
}

/* ---- bcrypt ---- */

static bool is_bcrypt_text(const char *text)
{
    return strspn(text, "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
           strlen(text);
}

/* `at` is then behind "$2b$14$". */
static enum price bcrypt_price(const char **at)
{
    if (!skip(at, "$2a$") && !skip(at, "$2b$") && !skip(at, "$2y$"))
        return PRICE_NONE;
    const char *digits = *at;
    if (digits[0] < '0' || digits[0] > '3' || digits[1] < '0' || digits[1] > '9' ||
        digits[2] != '$')
        return PRICE_NONE;
    *at += 3;
    int cost = 10 * (digits[0] - '0') + digits[1] - '0';
    return cost < 4 || cost > 31 ? PRICE_NONE : price(cost <= BCRYPT_COST_MAX);
}

/* crypt(3) knows many forms, DES among them; it sees only what is bcrypt beyond doubt. */
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
    /* bcrypt ignores what is behind, but crypt(3) refuses more than 511 bytes. */
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

struct scrypt_setting {
    uint32_t n, r, p;
};

/* `*at` is behind "scrypt:", and then behind the numbers. OpenSSL refuses what RFC 7914 section 2
 * does not allow, which is not to pass for a fault of it. */
static enum price scrypt_price(const char **at, struct scrypt_setting *ret)
{
    if (!number(at, UINT32_MAX, &ret->n) || !skip(at, ":") || !number(at, UINT32_MAX, &ret->r) ||
        !skip(at, ":") || !number(at, UINT32_MAX, &ret->p))
        return PRICE_NONE;
    if (ret->n < 2 || (ret->n & (ret->n - 1)) || (ret->r == 1 && ret->n > 1 << 15) ||
        (uint64_t)ret->p * ret->r >= 1 << 30)
        return PRICE_NONE;
    if (ret->r > SCRYPT_R_MAX || ret->p > SCRYPT_WORK_MAX / 128 / ret->r)
        return PRICE_TOO_HIGH;
    uint64_t work = (uint64_t)128 * ret->r * ret->p * ((uint64_t)ret->n + SCRYPT_P_ROUNDS);
    return price(work <= SCRYPT_WORK_MAX);
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

/* `*at` is behind "pbkdf2:" (RFC 8018 section 5.2), and then behind the number. */
static enum price pbkdf2_price(const char **at, struct pbkdf2_setting *ret)
{
    uint32_t max = PBKDF2_ROUNDS_MAX;
    if (skip(at, "sha256:"))
        ret->digest = EVP_sha256();
    else if (skip(at, "sha1:"))
        ret->digest = EVP_sha1();
    else if (skip(at, "sha512:")) {
        ret->digest = EVP_sha512();
        max = PBKDF2_SHA512_ROUNDS_MAX;
    } else
        return PRICE_NONE;
    return number(at, INT32_MAX, &ret->rounds) ? price(ret->rounds <= max) : PRICE_NONE;
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

bool password_costs_too_much(const char *hash)
{
    struct argon2_setting argon2;
    struct scrypt_setting scrypt;
    struct pbkdf2_setting pbkdf2;
    const char *at = hash;
    if (skip(&at, "scrypt:"))
        return scrypt_price(&at, &scrypt) == PRICE_TOO_HIGH;
    if (skip(&at, "pbkdf2:"))
        return pbkdf2_price(&at, &pbkdf2) == PRICE_TOO_HIGH;
    if (strncmp(hash, "$2", 2) == 0)
        return bcrypt_price(&at) == PRICE_TOO_HIGH;
    return argon2_setting(&at, &argon2) && argon2_price(&argon2) == PRICE_TOO_HIGH;
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
    return hash_today(password, salt, tag) == ARGON2_OK ? MISMATCH : BROKEN;
}

struct problem *password_hash(struct arena *a, struct text password, const char **ret)
{
    unsigned char salt[SALT_SIZE], tag[TAG_SIZE];
    if (RAND_bytes(salt, sizeof salt) != 1)
        return problem_because(a, &problem_internal, "OpenSSL has no random bytes.");
    int error = hash_today(password, salt, tag);
    if (error != ARGON2_OK)
        return problem_because(a, &problem_internal, "Argon2: %s", argon2_error_message(error));
    char salt_text[2 * SALT_SIZE], tag_text[2 * TAG_SIZE];
    base64(salt_text, salt, sizeof salt);
    base64(tag_text, tag, sizeof tag);
    *ret = arena_printf(a, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", ARGON2_VERSION_13, MEMORY_KIB,
                        PASSES, LANES, salt_text, tag_text);
    return NULL;
}

struct problem *password_verify(struct arena *a, struct text password, const char *hash,
                                bool *ret_match, bool *ret_outdated)
{
    enum outcome outcome = hash ? check(a, password, hash) : UNREADABLE;
    if (outcome == UNREADABLE) /* nobody, or a spoilt row: time must tell neither */
        outcome = pretend(password);
    if (outcome == BROKEN)
        return problem_because(a, &problem_internal,
                               "A password could not be verified: memory or a library failed.");
    *ret_match = outcome == MATCH;
    *ret_outdated = *ret_match && !is_todays(hash);
    return NULL;
}

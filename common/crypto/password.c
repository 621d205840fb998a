#include "common/crypto/password.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/base/problem.h"
#include "common/crypto/password_forms.h"

/* Today's setting, after OWASP's Password Storage Cheat Sheet. */
#define MEMORY_KIB 19456
#define PASSES 2
#define LANES 1
#define SALT_SIZE 16
#define TAG_SIZE 32

/* What a stored hash may cost at most: about a second of a processor of 2023, and 256 MiB. */
#define MEMORY_MAX_KIB (256u * 1024)
#define ARGON2_WORK_MAX_KIB (1024u * 1024) /* passes times memory */
#define ARGON2_LANE_KIB 256                /* each lane's four threads in a pass are as much work */
#define LANES_MAX 16                       /* each is a thread in libargon2 */

#define HASH_TEXT_MAX 512 /* bytes; none that we verify comes near */
#define BASE64_MAX 384    /* bytes of a salt or a tag, as they are */

struct argon2_setting {
    argon2_type type;
    uint32_t version, memory_kib, passes, lanes;
};

/* ---- Argon2 ---- */

static bool read_version(const char **at, uint32_t *ret)
{
    *ret = ARGON2_VERSION_10; /* the first version's hashes do not tell theirs */
    if (!password_skip(at, "v="))
        return true;
    return password_number(at, ARGON2_VERSION_13, ret) && password_skip(at, "$") &&
           (*ret == ARGON2_VERSION_10 || *ret == ARGON2_VERSION_13);
}

/* `*at` is then after the `$` before the salt. */
static bool argon2_setting(const char **at, struct argon2_setting *ret)
{
    if (password_skip(at, "$argon2id$"))
        ret->type = Argon2_id;
    else if (password_skip(at, "$argon2i$"))
        ret->type = Argon2_i;
    else if (password_skip(at, "$argon2d$"))
        ret->type = Argon2_d;
    else
        return false;
    return read_version(at, &ret->version) && /* v=19$ */
           password_skip(at, "m=") &&
           password_number(at, UINT32_MAX, &ret->memory_kib) && /* m=19456 */
           password_skip(at, ",t=") && password_number(at, UINT32_MAX, &ret->passes) && /* ,t=2 */
           password_skip(at, ",p=") && password_number(at, UINT32_MAX, &ret->lanes) &&
           password_skip(at, "$");
}

/* libargon2 itself has no limit. */
static enum price argon2_price(const struct argon2_setting *s)
{
    if (s->memory_kib > MEMORY_MAX_KIB || s->lanes > LANES_MAX)
        return PRICE_TOO_HIGH;
    uint64_t a_pass = s->memory_kib + (s->lanes > 1 ? ARGON2_LANE_KIB * s->lanes : 0);
    return password_price(s->passes * a_pass <= ARGON2_WORK_MAX_KIB);
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

/* Memory that is given back: malloc(3) would keep it from the second time on, since its threshold
 * for mmap(2) has grown by then. With small pages it takes a third longer. */
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

static bool is_out_of_resources(int argon2_error)
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
        return is_out_of_resources(error) ? BROKEN : UNREADABLE;
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

/* ---- all of them ---- */

bool password_costs_too_much(const char *hash)
{
    struct argon2_setting argon2;
    const char *at = hash;
    if (password_form_is_foreign(hash))
        return password_form_price(hash) == PRICE_TOO_HIGH;
    return argon2_setting(&at, &argon2) && argon2_price(&argon2) == PRICE_TOO_HIGH;
}

static enum outcome check(struct arena *a, struct text password, const char *hash)
{
    if (strnlen(hash, HASH_TEXT_MAX + 1) > HASH_TEXT_MAX)
        return UNREADABLE;
    if (password_form_is_foreign(hash))
        return password_form_check(a, password, hash);
    return check_argon2(password, hash);
}

/* The work of one verification with today's setting, without a result. */
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
        return problem_because(a, &problem_unavailable, "OpenSSL has no random bytes");
    int error = hash_today(password, salt, tag);
    if (error != ARGON2_OK)
        return problem_because(a, &problem_unavailable, "Argon2: %s", argon2_error_message(error));
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
    if (outcome == UNREADABLE) /* no user, or a damaged row: time must not tell which */
        outcome = pretend(password);
    if (outcome == BROKEN)
        return problem_because(a, &problem_unavailable,
                               "a password could not be verified: memory or a library failed");
    *ret_match = outcome == MATCH;
    *ret_outdated = *ret_match && !is_todays(hash);
    return NULL;
}

#include "common/crypto/jwt.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "tests/support/suite.h"

static const char key[] = "iQ4m0vX2pJ8sB6tZc1LwYd9nKf3hRg7u";
static const char other_key[] = "Vb7xE1oTq5zHk0aMs8WjPf2cGy4rNd6l";
static const char issuer[] = "https://api.example.org";
static const int64_t now_s = 1767225600; /* 2026-01-01T00:00:00Z */

static struct arena *a;
static struct keyring *keys;

static struct keyring *keys_of(const char *signing, const char *previous)
{
    struct keyring *opened = NULL;
    struct problem *p = keyring_open(a, signing, previous, issuer, &opened);
    ck_assert_msg(!p, "%s", p ? p->cause : "");
    return opened;
}

static void set_up(void)
{
    a = arena_open(16u * 1024 * 1024);
    keys = keys_of(key, NULL);
}

static void tear_down(void)
{
    keyring_close(keys);
    arena_close(a);
}

static struct claims claims_at(int64_t issued_s)
{
    struct claims claims = {.issued_s = issued_s, .expires_s = issued_s + 900};
    memcpy(claims.subject.bytes, "\x01\x7F\x22\xE2\x79\xB0\x7C\xC3\x98\xC4\xDC\x0C\x0C\x07\x39\x8F",
           16);
    memcpy(claims.session.bytes, "\x01\x94\x20\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01",
           16);
    memcpy(claims.id.bytes, "\x01\x94\x20\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x02", 16);
    return claims;
}

static const char *good_token(void)
{
    struct claims claims = claims_at(now_s);
    return jwt_sign(a, keys, &claims);
}

/* `token` must be refused for a reason that holds the words `why`. */
static void assert_refused(struct keyring *by, const char *token, const char *why)
{
    struct claims claims = claims_at(7);
    const struct claims before = claims;

    struct problem *p = jwt_verify(a, by, token, now_s, 0, &claims);

    ck_assert_msg(p, "%.300s", token);
    ck_assert_ptr_eq(p->type, &problem_invalid_token);
    ck_assert_str_eq(p->message, problem_invalid_token.message);
    ck_assert_msg(strstr(p->cause, why), "\"%s\" has no \"%s\"", p->cause, why);
    ck_assert_mem_eq(&claims, &before, sizeof claims);
}

static const char *segment_of(const char *text)
{
    return base64url(a, text, strlen(text));
}

/* A token as its maker would write it who has the key, but not our habits. */
static const char *forged(const char *header, const char *payload, const char *signing)
{
    unsigned char mac[32];
    const char *input = arena_printf(a, "%s.%s", header, segment_of(payload));
    hmac_sha256(signing, strlen(signing), input, strlen(input), mac);
    return arena_printf(a, "%s.%s", input, base64url(a, mac, sizeof mac));
}

static const char *header_of(const char *token)
{
    return arena_copy(a, token, strcspn(token, "."));
}

CASE("jwt", set_up, tear_down);

TEST(a_signed_token_gives_its_claims_back)
{
    struct claims claims = claims_at(now_s), read;
    memset(&read, 0, sizeof read);

    struct problem *p = jwt_verify(a, keys, jwt_sign(a, keys, &claims), now_s, 0, &read);

    ck_assert_ptr_null(p);
    ck_assert_mem_eq(&read, &claims, sizeof claims);
}

/* What other libraries, and RFC 7519 and RFC 9068 section 2.1, expect of it. */
TEST(a_token_has_the_documented_header_and_claims)
{
    static const char payload[] = "{\"iss\":\"https://api.example.org\","
                                  "\"sub\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","
                                  "\"sid\":\"01942000-0000-7000-8000-000000000001\","
                                  "\"iat\":1767225600,\"exp\":1767226500,"
                                  "\"jti\":\"01942000-0000-7000-8000-000000000002\"}";
    static const char header_start[] = "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"";

    const char *token = good_token();

    ck_assert(strncmp(token, segment_of(header_start), 48) == 0);
    ck_assert_str_eq(token, forged(header_of(token), payload, key));
}

TEST(a_thousand_tokens_from_one_context_all_verify)
{
    for (int i = 0; i < 1000; i++) {
        struct claims claims = claims_at(now_s + i), read;
        struct problem *p = jwt_verify(a, keys, jwt_sign(a, keys, &claims), now_s + i, 0, &read);
        ck_assert_ptr_null(p);
        ck_assert_int_eq(read.issued_s, now_s + i);
    }
}

TEST(the_longest_issuer_makes_tokens_that_verify)
{
    struct keyring *longest;
    char name[256] = "";
    struct claims claims = claims_at(now_s), read;
    memset(name, 'x', 255);
    claims.expires_s = 9007199254740991;

    ck_assert_ptr_null(keyring_open(a, key, NULL, name, &longest));

    ck_assert_ptr_null(jwt_verify(a, longest, jwt_sign(a, longest, &claims), now_s, 0, &read));
    ck_assert_int_eq(read.expires_s, claims.expires_s);
    keyring_close(longest);
}

static const struct {
    int64_t issued, expires, leeway_s; /* relative to now */
    const char *why;                   /* NULL: accepted */
} times[] = {
    {0, 1, 0, NULL},
    {-900, 0, 0, "expired"}, /* RFC 7519 section 4.1.4: on or after exp */
    {-900, -1, 0, "expired"},
    {-900, -9, 10, NULL},
    {-900, -10, 10, "expired"},
    {1, 900, 0, "time to come"},
    {10, 900, 10, NULL},
    {11, 900, 10, "time to come"},
    {-900, -3600, 60, "expired"},
};

TEST_EACH(a_token_counts_from_iat_until_before_exp, times)
{
    struct claims claims = claims_at(0), read;
    claims.issued_s = now_s + times[_i].issued;
    claims.expires_s = now_s + times[_i].expires;

    struct problem *p =
        jwt_verify(a, keys, jwt_sign(a, keys, &claims), now_s, times[_i].leeway_s, &read);

    ck_assert_int_eq(!p, !times[_i].why);
    if (p)
        ck_assert_ptr_nonnull(strstr(p->cause, times[_i].why));
    if (p)
        ck_assert_ptr_eq(p->type, strcmp(times[_i].why, "expired") == 0 ? &problem_token_expired
                                                                        : &problem_invalid_token);
}

TEST(alg_none_is_refused)
{
    const char *payload = strchr(good_token(), '.') + 1;
    size_t len = strcspn(payload, ".");
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"none\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"None\",\"typ\":\"JWT\"}",
    };

    for (int i = 0; i < COUNT(headers); i++) {
        const char *header = segment_of(headers[i]);
        assert_refused(keys, arena_printf(a, "%s.%.*s.", header, (int)len, payload), "header");
        assert_refused(keys, arena_printf(a, "%s.%.*s", header, (int)len, payload), "header");
        assert_refused(keys, arena_printf(a, "%s.%s", header, payload), "header");
    }
}

static const char good_payload[] = "{\"iss\":\"https://api.example.org\","
                                   "\"sub\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","
                                   "\"sid\":\"01942000-0000-7000-8000-000000000001\","
                                   "\"iat\":1767225600,\"exp\":1767226500,"
                                   "\"jti\":\"01942000-0000-7000-8000-000000000002\"}";

/* Signed with the right key, and still none of ours. */
TEST(another_header_is_refused_even_with_a_good_signature)
{
    static const char *const headers[] = {
        "{\"alg\":\"HS512\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"' OR 1=1 --\"}",
        "",
    };

    for (int i = 0; i < COUNT(headers); i++)
        assert_refused(keys, forged(segment_of(headers[i]), good_payload, key), "header");
}

TEST(the_kid_of_another_key_is_refused)
{
    struct keyring *both = keys_of(other_key, key);
    struct claims claims = claims_at(now_s);
    const char *with_other = jwt_sign(a, both, &claims);

    assert_refused(keys, with_other, "header");
    assert_refused(keys, forged(header_of(with_other), good_payload, key), "header");
    /* Both keys are known here, but the header names the wrong one. */
    assert_refused(both, forged(header_of(with_other), good_payload, key), "signature");
    assert_refused(both, forged(header_of(good_token()), good_payload, other_key), "signature");
    keyring_close(both);
}

TEST(a_change_of_any_character_is_refused)
{
    const char *token = good_token();
    size_t len = strlen(token);

    for (size_t i = 0; i < len; i++) {
        struct claims claims;
        char *changed = arena_strdup(a, token);
        changed[i] = token[i] == 'A' ? 'B' : 'A';
        ck_assert_msg(jwt_verify(a, keys, changed, now_s, 0, &claims), "character %zu", i);
    }
}

TEST(a_token_cut_anywhere_is_refused)
{
    const char *token = good_token();

    for (size_t len = 0; len < strlen(token); len++) {
        struct claims claims;
        ck_assert_msg(jwt_verify(a, keys, arena_copy(a, token, len), now_s, 0, &claims),
                      "cut to %zu", len);
    }
}

/* 43 characters hold 258 bits, of which a MAC has 256: the last two must be zero. */
TEST(a_second_spelling_of_the_signature_is_refused)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *token = arena_strdup(a, good_token());
    char *last = token + strlen(token) - 1;
    long value = strchr(alphabet, *last) - alphabet;
    ck_assert_int_eq(value % 4, 0);

    for (int stray = 1; stray < 4; stray++) {
        *last = alphabet[value + stray];
        assert_refused(keys, token, "signature");
    }
}

TEST(what_is_added_to_a_token_is_refused)
{
    const char *token = good_token();
    static const char *const tails[] = {"=", ".", ".e30", "..", " ", "\n", "A", "AA"};

    for (int i = 0; i < COUNT(tails); i++)
        assert_refused(keys, arena_printf(a, "%s%s", token, tails[i]), "signature");
    assert_refused(keys, arena_printf(a, " %s", token), "header");
    assert_refused(keys, arena_printf(a, ".%s", token), "header");
    assert_refused(keys, arena_printf(a, "Bearer %s", token), "header");
}

TEST(fragments_are_refused)
{
    const char *header = header_of(good_token());
    static const char *const none[] = {"", ".", "..", "...", "e30.e30.e30", "null"};

    for (int i = 0; i < COUNT(none); i++)
        assert_refused(keys, none[i], "header");
    assert_refused(keys, header, "header");
    assert_refused(keys, arena_printf(a, "%s.", header), "segments");
    assert_refused(keys, arena_printf(a, "%s..", header), "signature");
    assert_refused(keys, arena_printf(a, "%s...", header), "signature");
}

TEST(a_token_of_a_hundred_kilobytes_is_refused)
{
    size_t len = 100 * 1024;
    char *text = arena_alloc(a, len + 1);
    memset(text, 'A', len);

    assert_refused(keys, text, "longer");
    assert_refused(keys, arena_printf(a, "%s.%s", header_of(good_token()), text), "longer");
    memset(text, '.', len);
    assert_refused(keys, text, "longer");
}

TEST_TIMES(another_issuer_s_token_is_refused, 4)
{
    static const char *const issuers[] = {
        "https://api.example.com",
        "https://api.example.or",
        "https://api.example.org/",
        "HTTPS://API.EXAMPLE.ORG",
    };
    struct claims claims = claims_at(now_s);
    struct keyring *foreign;

    ck_assert_ptr_null(keyring_open(a, key, NULL, issuers[_i], &foreign));

    assert_refused(keys, jwt_sign(a, foreign, &claims), "issuer");
    keyring_close(foreign);
}

static const struct {
    const char *payload, *why;
} payloads[] = {
    {"", "JSON"},
    {"null", "JSON"},
    {"{\"iss\":1,\"iss\":\"https://api.example.org\"}", "JSON"},
    {"{}", "issuer"},
    {"{\"iss\":1}", "issuer"},
    {"{\"iss\":[\"https://api.example.org\"]}", "issuer"},
#define IDS                                                                                        \
    "{\"iss\":\"https://api.example.org\",\"sub\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","       \
    "\"sid\":\"01942000-0000-7000-8000-000000000001\","                                            \
    "\"jti\":\"01942000-0000-7000-8000-000000000002\""
    {IDS "}", "claim"},
    {IDS ",\"iat\":1767225600}", "claim"},
    {IDS ",\"exp\":1767226500}", "claim"},
    {IDS ",\"iat\":1767225600,\"exp\":\"1767226500\"}", "claim"},
    {IDS ",\"iat\":1767225600,\"exp\":1e300}", "claim"},
    {IDS ",\"iat\":1767225600,\"exp\":null}", "claim"},
    {IDS ",\"iat\":1767225600.5,\"exp\":1767226500}", "claim"},
    {"{\"iss\":\"https://api.example.org\",\"iat\":1767225600,\"exp\":1767226500}", "claim"},
    {"{\"iss\":\"https://api.example.org\",\"sub\":\"admin\","
     "\"sid\":\"01942000-0000-7000-8000-000000000001\","
     "\"jti\":\"01942000-0000-7000-8000-000000000002\",\"iat\":1767225600,\"exp\":1767226500}",
     "claim"},
/* registered, and not ours (RFC 7519 section 4.1) */
#define GOOD IDS ",\"iat\":1767225600,\"exp\":4102444800"
    {GOOD ",\"nbf\":4102444800}", "not good yet"},
    {GOOD ",\"nbf\":\"1767225600\"}", "nbf"},
    {GOOD ",\"nbf\":null}", "nbf"},
    {GOOD ",\"nbf\":{}}", "nbf"},
    {GOOD ",\"aud\":\"others\"}", "audience"},
    {GOOD ",\"aud\":[\"https://api.example.org\"]}", "audience"},
    {GOOD ",\"aud\":null}", "audience"},
    {IDS ",\"iat\":4102444800,\"exp\":4102448400}", "time to come"},
};

TEST_EACH(claims_that_we_do_not_make_are_refused_even_with_a_good_signature, payloads)
{
    const char *header = header_of(good_token());

    assert_refused(keys, forged(header, payloads[_i].payload, key), payloads[_i].why);
}

TEST(claims_that_are_not_base64url_are_refused_even_with_a_good_signature)
{
    static const char *const segments[] = {"e30=", "e3", "e+0", "e31", "A", "e 30"};
    const char *header = header_of(good_token());

    for (int i = 0; i < COUNT(segments); i++) {
        unsigned char mac[32];
        const char *input = arena_printf(a, "%s.%s", header, segments[i]);
        hmac_sha256(key, strlen(key), input, strlen(input), mac);
        assert_refused(keys, arena_printf(a, "%s.%s", input, base64url(a, mac, 32)), "base64url");
    }
}

TEST(a_previous_key_verifies_and_a_removed_one_does_not)
{
    struct claims read;
    const char *old = good_token();
    struct keyring *rotated = keys_of(
        other_key, arena_printf(a, "  %s \n\t%s ", "Qe3rT7yU1iO9pA5sD8fG2hJ6kL4zX0cV", key));
    struct keyring *removed = keys_of(other_key, "");

    ck_assert_ptr_null(jwt_verify(a, rotated, old, now_s, 0, &read));
    assert_refused(removed, old, "header");

    struct claims claims = claims_at(now_s);
    const char *fresh = jwt_sign(a, rotated, &claims);
    ck_assert_ptr_null(jwt_verify(a, removed, fresh, now_s, 0, &read));
    assert_refused(keys, fresh, "header");
    keyring_close(rotated);
    keyring_close(removed);
}

TEST(processes_with_the_same_keys_make_the_same_tokens)
{
    struct claims claims = claims_at(now_s);
    struct keyring *twin = keys_of(key, other_key);

    ck_assert_str_eq(jwt_sign(a, twin, &claims), good_token());
    keyring_close(twin);
}

static const char *const weak[] = {
    "",
    "dev",
    "iQ4m0vX2pJ8sB6tZc1LwYd9nKf3hRg7", /* 31 bytes */
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "secretsecretsecretsecretsecretsecret",
    "passwordpasswordpasswordpassword",
    "iQ4m0vX2pJ8sB6tZiQ4m0vX2pJ8sB6tZ",
    "01234567890123456789012345678901",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz012345",
    "change-me-change-me-change-it-now",
    "CHANGE_ME_to_something_long_and_random",
    "please-change-this-to-a-random-string",
    "jwt-secret-key-change-in-production",
    "your-256-bit-secret-goes-right-here",
    "a-string-secret-at-least-256-bits-long",
    "super-secret-key-for-the-jwt-tokens",
    "replace-me-with-32-bytes-of-noise!!",
    "qwertyuiopasdfghjklzxcvbnm123456",
};

TEST_EACH(weak_and_sample_keys_are_refused, weak)
{
    struct keyring *opened = NULL;

    struct problem *p = keyring_open(a, weak[_i], NULL, issuer, &opened);

    ck_assert_msg(p, "%s", weak[_i]);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_nonnull(strstr(p->cause, "The signing key"));
    ck_assert(!*weak[_i] || !strstr(p->cause, weak[_i]));
    ck_assert_ptr_null(opened);
}

TEST(weak_previous_keys_are_refused)
{
    struct keyring *opened = NULL;
    const char *previous = arena_printf(a, "%s secretsecretsecretsecretsecretsecret", other_key);

    struct problem *p = keyring_open(a, key, previous, issuer, &opened);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(strstr(p->cause, "A previous signing key"));
    ck_assert_ptr_null(opened);
}

/* As an operator makes them: 16 bytes in hex, 24 and 32 in base64url. */
TEST(random_keys_are_never_taken_for_samples)
{
    for (int i = 0; i < 3000; i++) {
        unsigned char bytes[32];
        char *hex = arena_alloc(a, 33);
        random_bytes(bytes, sizeof bytes);
        for (size_t n = 0; n < 16; n++) {
            hex[2 * n] = "0123456789abcdef"[bytes[n] >> 4];
            hex[2 * n + 1] = "0123456789abcdef"[bytes[n] & 15];
        }
        keyring_close(keys_of(hex, base64url(a, bytes, 24)));
        keyring_close(keys_of(base64url(a, bytes, 32), NULL));
        arena_reset(a);
    }
}

static const char *const bad_issuers[] = {"", "a\"b", "a\\b", "a\nb", "\xC3\xA9", "\x7F"};

TEST_EACH(an_issuer_that_would_break_the_claims_is_refused, bad_issuers)
{
    struct keyring *opened = NULL;

    struct problem *p = keyring_open(a, key, NULL, bad_issuers[_i], &opened);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_nonnull(strstr(p->cause, "issuer"));
    ck_assert_ptr_null(opened);
}

TEST(closing_nothing_does_nothing)
{
    keyring_close(NULL);
}

static void from_hex(const char *hex, unsigned char *ret)
{
    for (; *hex; hex += 2)
        *ret++ = (unsigned char)strtoul((char[]){hex[0], hex[1], '\0'}, NULL, 16);
}

#define AA_10 "aaaaaaaaaaaaaaaaaaaa"
#define AA_50 AA_10 AA_10 AA_10 AA_10 AA_10
#define AA_131 AA_50 AA_50 AA_10 AA_10 AA_10 "aa"

/* RFC 4231 section 4, test cases 1 to 4, 6 and 7; 5 is a truncated one. */
static const struct {
    const char *key, *data, *mac; /* in hex */
} macs[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "d"
     "dddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc"
     "d"
     "cdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {AA_131,
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6"
     "579"
     "204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {AA_131,
     "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206"
     "b65"
     "7920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6"
     "565"
     "647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d4143206"
     "16c"
     "676f726974686d2e",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

TEST_EACH(hmac_sha256_gives_the_values_of_rfc_4231, macs)
{
    unsigned char secret[256], data[256], right[32], mac[32];
    from_hex(macs[_i].key, secret);
    from_hex(macs[_i].data, data);
    from_hex(macs[_i].mac, right);

    hmac_sha256(secret, strlen(macs[_i].key) / 2, data, strlen(macs[_i].data) / 2, mac);

    ck_assert_mem_eq(mac, right, 32);
}

/* RFC 7515 appendix A.1: the key of its JWK, its signing input, its signature. */
TEST(hmac_and_base64url_give_the_token_of_rfc_7515)
{
    static const char input[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
                                ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtc"
                                "GxlLmNvbS9pc19yb290Ijp0cnVl"
                                "fQ";
    unsigned char secret[64], mac[32];
    from_hex("0323354b2b0fa5bc837e0665777ba68f5ab328e6f054c928a90f84b2d2502ebf"
             "d3fb5a92d20647ef968ab4c377623d223d2e2172052e4f08c0cd9af567d080a3",
             secret);

    hmac_sha256(secret, sizeof secret, input, sizeof input - 1, mac);

    ck_assert_str_eq(base64url(a, mac, sizeof mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    ck_assert_str_eq(segment_of("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}"),
                     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9");
}

TEST(an_empty_key_and_no_data_are_allowed)
{
    unsigned char mac[32], right[32];
    /* As Python's hmac module gives it. */
    from_hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", right);

    hmac_sha256(NULL, 0, "", 0, mac);

    ck_assert_mem_eq(mac, right, 32);
}

/* The examples of FIPS 180-4 (one block, two blocks), and the hash of nothing. */
static const struct {
    const char *data, *hash;
} hashes[] = {
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
};

TEST_EACH(sha256_gives_the_values_of_fips_180, hashes)
{
    unsigned char hash[32], right[32];
    from_hex(hashes[_i].hash, right);

    sha256(hashes[_i].data, strlen(hashes[_i].data), hash);

    ck_assert_mem_eq(hash, right, 32);
}

/* RFC 4648 section 10 without its padding (section 3.2), and the two characters of section 5. */
static const struct {
    const char *data, *text;
} encodings[] = {
    {"", ""},
    {"f", "Zg"},
    {"fo", "Zm8"},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg"},
    {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"},
    {"\xFB\xFF\xBE", "-_--"},
    {"\xFF\xFF\xFF", "____"},
};

TEST_EACH(base64url_gives_the_values_of_rfc_4648, encodings)
{
    ck_assert_str_eq(segment_of(encodings[_i].data), encodings[_i].text);
}

TEST(random_bytes_fill_what_was_asked_for_and_differ)
{
    size_t len = 100000;
    unsigned char *first = arena_alloc(a, len + 1), *second = arena_alloc(a, len + 1);
    size_t counts[256] = {0};

    random_bytes(first, len);
    random_bytes(second, len);

    ck_assert_mem_ne(first, second, len);
    ck_assert_uint_eq(first[len], 0);
    for (size_t i = 0; i < len; i++)
        counts[first[i]]++;
    for (int value = 0; value < 256; value++) { /* 390 expected, ten standard deviations */
        ck_assert_uint_gt(counts[value], 190);
        ck_assert_uint_lt(counts[value], 590);
    }
    random_bytes(NULL, 0);
}

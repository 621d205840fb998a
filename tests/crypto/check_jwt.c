#include "common/crypto/jwt.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "tests/support/keys.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static const int64_t now_s = 1767225600; /* 2026-01-01T00:00:00Z */

static struct keyring *keys;

static void set_up(void)
{
    scratch_open();
    keys = keys_of(KEY, NULL);
}

static void tear_down(void)
{
    keyring_close(keys);
    scratch_close();
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
    ck_assert_str_eq(token, forged(header_of(token), payload, KEY));
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

    ck_assert_ptr_null(keyring_open(a, KEY, NULL, name, &longest));

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
        assert_refused(keys, forged(segment_of(headers[i]), good_payload, KEY), "header");
}

TEST(the_kid_of_another_key_is_refused)
{
    struct keyring *both = keys_of(OTHER_KEY, KEY);
    struct claims claims = claims_at(now_s);
    const char *with_other = jwt_sign(a, both, &claims);

    assert_refused(keys, with_other, "header");
    assert_refused(keys, forged(header_of(with_other), good_payload, KEY), "header");
    /* Both keys are known here, but the header names the wrong one. */
    assert_refused(both, forged(header_of(with_other), good_payload, KEY), "signature");
    assert_refused(both, forged(header_of(good_token()), good_payload, OTHER_KEY), "signature");
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

TEST(a_token_of_a_kilobyte_is_looked_at_and_one_of_a_byte_more_is_not)
{
    char *text = arena_alloc(a, 1026);
    memset(text, 'A', 1024);

    assert_refused(keys, text, "header");
    text[1024] = 'A';
    assert_refused(keys, text, "longer");
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

    ck_assert_ptr_null(keyring_open(a, KEY, NULL, issuers[_i], &foreign));

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
    {GOOD ",\"nbf\":1767225601}", "not good yet"}, /* in a second */
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

    assert_refused(keys, forged(header, payloads[_i].payload, KEY), payloads[_i].why);
}

TEST(claims_that_are_not_base64url_are_refused_even_with_a_good_signature)
{
    static const char *const segments[] = {"e30=", "e3", "e+0", "e31", "A", "e 30"};
    const char *header = header_of(good_token());

    for (int i = 0; i < COUNT(segments); i++) {
        unsigned char mac[32];
        const char *input = arena_printf(a, "%s.%s", header, segments[i]);
        hmac_sha256(KEY, strlen(KEY), input, strlen(input), mac);
        assert_refused(keys, arena_printf(a, "%s.%s", input, base64url(a, mac, 32)), "base64url");
    }
}

TEST(a_previous_key_verifies_and_a_removed_one_does_not)
{
    struct claims read;
    const char *old = good_token();
    struct keyring *rotated = keys_of(
        OTHER_KEY, arena_printf(a, "  %s \n\t%s ", "Qe3rT7yU1iO9pA5sD8fG2hJ6kL4zX0cV", KEY));
    struct keyring *removed = keys_of(OTHER_KEY, "");

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
    struct keyring *twin = keys_of(KEY, OTHER_KEY);

    ck_assert_str_eq(jwt_sign(a, twin, &claims), good_token());
    keyring_close(twin);
}

#include "common/crypto/keyring.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "tests/support/keys.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

CASE("keyring", scratch_open, scratch_close);

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

    struct problem *p = keyring_open(a, weak[_i], NULL, ISSUER, &opened);

    ck_assert_msg(p, "%s", weak[_i]);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_nonnull(strstr(p->cause, "The signing key"));
    ck_assert(!*weak[_i] || !strstr(p->cause, weak[_i]));
    ck_assert_ptr_null(opened);
}

TEST(weak_previous_keys_are_refused)
{
    struct keyring *opened = NULL;
    const char *previous = arena_printf(a, "%s secretsecretsecretsecretsecretsecret", OTHER_KEY);

    struct problem *p = keyring_open(a, KEY, previous, ISSUER, &opened);

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

    struct problem *p = keyring_open(a, KEY, NULL, bad_issuers[_i], &opened);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_nonnull(strstr(p->cause, "issuer"));
    ck_assert_ptr_null(opened);
}

TEST(closing_nothing_does_nothing)
{
    keyring_close(NULL);
}

#include "fcgi-app/accounts/tokens.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "tests/support/keys.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static struct keyring *keys, *rotated, *others; /* today's; with a new key before it; without it */
static const struct uuid session = {"\x01\x89\x0a\x5d\xac\x96\x77\x4b\xbc\xce\xb3\x02\x09\x9a\x80"};

static void set_up(void)
{
    scratch_open();
    keys = keys_of(KEY, NULL);
    rotated = keys_of(OTHER_KEY, KEY);
    others = keys_of(OTHER_KEY, NULL);
}

static void tear_down(void)
{
    keyring_close(keys);
    keyring_close(rotated);
    keyring_close(others);
    scratch_close();
}

static struct refresh_token read_token(struct text text)
{
    struct refresh_token token;
    ck_assert(refresh_read(a, text, &token));
    return token;
}

/* ---- its form ---- */

CASE("refresh", set_up, tear_down);

TEST(a_token_travels_as_86_letters_of_base64url)
{
    struct refresh_token token = refresh_make(a, keys, session);

    ck_assert_uint_eq(token.text.len, 86); /* 32 + 16 + 16 bytes */
    ck_assert_uint_eq(strspn(token.text.data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                              "0123456789-_"),
                      86);
}

TEST(a_token_is_read_as_it_was_made)
{
    struct refresh_token made = refresh_make(a, keys, session);

    struct refresh_token token = read_token(made.text);

    ck_assert_mem_eq(token.secret, made.secret, sizeof made.secret);
    ck_assert_mem_eq(token.tag, made.tag, sizeof made.tag);
    ck_assert_mem_eq(token.hash, made.hash, sizeof made.hash);
    ck_assert(uuid_equal(&token.session, &session));
    ck_assert(text_equal(token.text, made.text));
}

TEST(what_is_stored_is_the_sha_256_of_the_text)
{
    struct refresh_token token = refresh_make(a, keys, session);
    unsigned char hash[32];

    sha256(token.text.data, token.text.len, hash);

    ck_assert_mem_eq(token.hash, hash, sizeof hash);
}

TEST(no_two_tokens_are_the_same)
{
    struct refresh_token one = refresh_make(a, keys, session), two = refresh_make(a, keys, session);

    ck_assert_mem_ne(one.secret, two.secret, sizeof one.secret);
    ck_assert_mem_ne(one.hash, two.hash, sizeof one.hash);
}

#define LETTERS_80                                                                                 \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct {
    const char *text;
    bool readable;
} forms[] = {
    {LETTERS_80 "AAAAAA", true},
    {LETTERS_80 "-_aZ9A", true},
    {LETTERS_80 "AAAAA", false},
    {LETTERS_80 "AAAAAAA", false},
    {LETTERS_80 "AAAAA=", false},
    {LETTERS_80 "AAAAAA==", false},
    {LETTERS_80 "+/AAAA", false},
    {LETTERS_80 "AAAAAB", false}, /* bits after the last byte */
    {LETTERS_80 " AAAAA", false},
    {LETTERS_80 "AAAA\n\n", false},
    {LETTERS_80 "AAAA\xC3\xA4", false},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
    {"", false},
    {NULL, false},
};

TEST_EACH(only_the_form_of_a_token_is_read, forms)
{
    struct refresh_token token;

    ck_assert_int_eq(refresh_read(a, text_of(forms[_i].text), &token), forms[_i].readable);
}

TEST(a_token_with_a_nul_in_it_is_not_read)
{
    struct refresh_token token;
    char text[] = LETTERS_80 "AAAAAA";
    text[40] = '\0';

    ck_assert(!refresh_read(a, (struct text){text, sizeof text - 1}, &token));
}

/* ---- whose it is ---- */

TEST(what_we_made_is_ours)
{
    struct refresh_token token = refresh_make(a, keys, session);

    ck_assert(refresh_is_ours(keys, &token));
}

TEST(what_we_made_is_ours_as_long_as_we_have_the_key)
{
    struct refresh_token token = refresh_make(a, keys, session);

    ck_assert(refresh_is_ours(rotated, &token));
    ck_assert(!refresh_is_ours(others, &token));
}

/* Every one of the 64 bytes that travel counts. */
TEST_TIMES(a_changed_token_is_not_ours, 64)
{
    unsigned char bytes[64];
    struct refresh_token made = refresh_make(a, keys, session);
    ck_assert(base64url_decode(made.text.data, made.text.len, bytes, sizeof bytes));
    bytes[_i] ^= 0x10;

    struct refresh_token token = read_token(text_of(base64url(a, bytes, sizeof bytes)));

    ck_assert(!refresh_is_ours(keys, &token));
}

/* ---- what follows on it ---- */

TEST(the_successor_is_the_same_every_time)
{
    struct refresh_token used = refresh_make(a, keys, session);

    struct refresh_token next = refresh_successor(a, keys, 0, &used);
    struct refresh_token read = read_token(used.text);
    struct refresh_token again = refresh_successor(a, keys, 0, &read);

    ck_assert(text_equal(next.text, again.text));
    ck_assert_mem_eq(next.hash, again.hash, sizeof next.hash);
}

TEST(the_successor_is_a_token_of_ours_for_the_same_session)
{
    struct refresh_token used = refresh_make(a, keys, session);

    struct refresh_token next = refresh_successor(a, keys, 0, &used);
    struct refresh_token read = read_token(next.text);

    ck_assert(!text_equal(next.text, used.text));
    ck_assert_mem_ne(next.secret, used.secret, sizeof used.secret);
    ck_assert_mem_eq(read.hash, next.hash, sizeof next.hash);
    ck_assert(uuid_equal(&read.session, &session));
    ck_assert(refresh_is_ours(keys, &read));
}

TEST(a_chain_of_successors_does_not_come_back)
{
    struct refresh_token chain[20] = {refresh_make(a, keys, session)};
    for (int i = 1; i < COUNT(chain); i++)
        chain[i] = refresh_successor(a, keys, 0, &chain[i - 1]);

    for (int i = 0; i < COUNT(chain); i++)
        for (int j = 0; j < i; j++)
            ck_assert_mem_ne(chain[i].hash, chain[j].hash, sizeof chain[i].hash);
}

TEST(two_tokens_have_two_successors)
{
    struct refresh_token one = refresh_make(a, keys, session), two = one;
    two.session.bytes[15] ^= 1;

    struct refresh_token next = refresh_successor(a, keys, 0, &one);
    struct refresh_token other = refresh_successor(a, keys, 0, &two);

    ck_assert_mem_ne(next.secret, other.secret, sizeof next.secret);
}

TEST(another_key_makes_another_successor)
{
    struct refresh_token used = refresh_make(a, keys, session);

    struct refresh_token next = refresh_successor(a, keys, 0, &used);
    struct refresh_token other = refresh_successor(a, others, 0, &used);

    ck_assert_mem_ne(next.secret, other.secret, sizeof next.secret);
    ck_assert(!refresh_is_ours(keys, &other));
}

TEST(a_previous_key_makes_the_successor_that_it_made_then)
{
    struct refresh_token used = refresh_make(a, keys, session);

    struct refresh_token then = refresh_successor(a, keys, 0, &used);
    struct refresh_token now = refresh_successor(a, rotated, 1, &used);

    ck_assert(text_equal(then.text, now.text));
}

/* The two MACs of a token must not be one: who holds it knows its tag. */
TEST(the_tag_is_no_part_of_the_successor)
{
    struct refresh_token used = refresh_make(a, keys, session);

    struct refresh_token next = refresh_successor(a, keys, 0, &used);

    ck_assert_mem_ne(next.secret, used.tag, sizeof used.tag);
}

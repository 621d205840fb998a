/* needs: mariadb */
/* The tokens of messages: made from a row's id and a key, and stored nowhere. */
#include "fcgi-app/mail/secret.h"

#include <string.h>

#include "common/crypto/digest.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define ID NOBODY_ID
#define OTHER_ID "01890a5d-ac96-774b-bcce-b302099a8058"
#define OTHER_KEY "Vb7xE1oTq5zHk0aMs8WjPf2cGy4rNd6l"

/* Both by another program: HMAC-SHA-256 of "postern key id" under SECRET_KEY, of which 12 bytes
 * count; and of the id under what HKDF-SHA-256 derives from it for "postern mailed token". */
#define KID "S1KGy0viqQ-_WDcq"
#define TOKEN "lVFjyexh_JitftosmZ_77Wxsu35XmCJ20tYumdy4k2s"

static const char *secret_of(const char *id, const char *kid)
{
    const struct uuid uuid = id_of(id);
    return letter_secret(the_app, the_arena, &uuid, text_of(kid));
}

CASE("secrets", loopback_open, loopback_close);

TEST(a_token_follows_from_the_id_and_the_key)
{
    ck_assert_str_eq(letter_kid(the_app).data, KID);
    ck_assert_str_eq(secret_of(ID, KID), TOKEN);
    ck_assert_str_ne(secret_of(OTHER_ID, KID), TOKEN);
}

TEST(what_is_stored_is_its_hash)
{
    const struct uuid id = id_of(ID);
    unsigned char expected[32], hash[32];
    sha256(TOKEN, strlen(TOKEN), expected);

    letter_hash(the_app, the_arena, &id, hash);

    ck_assert_mem_eq(hash, expected, sizeof hash);
}

TEST(a_previous_key_still_makes_it)
{
    loopback_set("JWT_SECRET_KEY=" OTHER_KEY, "JWT_PREVIOUS_KEYS=" SECRET_KEY);

    ck_assert_str_ne(letter_kid(the_app).data, KID);
    ck_assert_str_eq(secret_of(ID, KID), TOKEN);
    ck_assert_str_ne(secret_of(ID, letter_kid(the_app).data), TOKEN);
}

TEST(a_key_that_is_gone_makes_none)
{
    loopback_set("JWT_SECRET_KEY=" OTHER_KEY);

    ck_assert_ptr_null(secret_of(ID, KID));
    ck_assert_ptr_null(secret_of(ID, ""));
    ck_assert_ptr_null(secret_of(ID, NULL));
}

#include "common/crypto/password.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static const char *hashed(struct text password)
{
    const char *hash = NULL;
    ck_assert_ptr_null(password_hash(a, password, &hash));
    return hash;
}

static bool matches(struct text password, const char *hash, bool *ret_outdated)
{
    bool match = false;
    struct problem *p = password_verify(a, password, hash, &match, ret_outdated);
    ck_assert_msg(!p, "%s: %s", hash, p ? p->cause : "");
    return match;
}

CASE("password", scratch_open, scratch_close);

TEST(a_password_verifies_against_its_hash_and_no_other_does)
{
    bool outdated;
    const char *hash = hashed(TEXT("correct horse"));

    ck_assert(matches(TEXT("correct horse"), hash, &outdated));
    ck_assert(!outdated);
    ck_assert(!matches(TEXT("correct horsf"), hash, &outdated));
    ck_assert(!outdated);
    ck_assert(!matches(TEXT("correct hors"), hash, &outdated));
    ck_assert(!matches(TEXT("correct horse "), hash, &outdated));
    ck_assert(!matches(TEXT(""), hash, &outdated));
}

TEST(a_hash_is_a_phc_string_with_today_s_setting)
{
    const char *hash = hashed(TEXT("correct horse"));

    ck_assert_msg(strncmp(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31) == 0, "%s", hash);
    ck_assert_uint_eq(strcspn(hash + 31, "$"), 22); /* 16 bytes in base64 */
    ck_assert_uint_eq(strlen(hash + 31 + 23), 43);  /* 32 bytes */
}

TEST(two_hashes_of_one_password_have_different_salts)
{
    ck_assert_str_ne(hashed(TEXT("correct horse")), hashed(TEXT("correct horse")));
}

TEST(every_byte_of_a_long_password_counts)
{
    bool outdated;
    char password[1024];
    for (size_t i = 0; i < sizeof password; i++)
        password[i] = (char)(i % 255 + 1); /* any byte but NUL */

    const char *hash = hashed((struct text){password, sizeof password});

    ck_assert(matches((struct text){password, sizeof password}, hash, &outdated));
    ck_assert(!matches((struct text){password, sizeof password - 1}, hash, &outdated));
    password[1023]++;
    ck_assert(!matches((struct text){password, sizeof password}, hash, &outdated));
}

/* Hashes that other programs made, with the password. */
static const struct {
    const char *password, *hash;
} known[] = {
    /* The reference implementation of Argon2, the vectors of its test program (test.c). */
    {"password",
     "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
    {"password",
     "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"},
    {"password",
     "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8"},
    {"password", "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY"},
    /* Made with libargon2: the third variant, and the most passes and lanes that we take. */
    {"password",
     "$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$JcTui6RIBUtJ78gE5Hi52CO+H5vS6Z9R1uxAB6OhUB8"},
    {"password",
     "$argon2id$v=19$m=256,t=16,p=16$c29tZXNhbHQ$9RvNrPcOBuUOUolztGxsqSe7C9C+yOk9F44XMM7NFYc"},
    /* RFC 7914 section 12, as Werkzeug would write them. */
    {"", "scrypt:16:1:1$$77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded"
         "0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"},
    {"password", "scrypt:1024:8:16$NaCl$"
                 "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d9"
                 "2e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"},
    {"pleaseletmein", "scrypt:16384:8:1$SodiumChloride$"
                      "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1"
                      "f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"},
    /* Made with Python's hashlib.scrypt: Werkzeug's setting, and the largest that we take. */
    {"correct horse", "scrypt:32768:8:1$aZ09bY18cX27dW36$"
                      "8a96c7eeec49bd3b4c96224ec061c01e44053b34dbf5768114c20d6495d3"
                      "2693ce63341c3d554a3d9c00909e7c392526a16d5a08e33e6be5f41d68f0b4237940"},
    {"pa\xC3\xA9", "scrypt:262144:8:1$xyz$"
                   "5725e0fad6f83eee4b18bba1b7041de0acbfc1c2c65a3b0f9e047aebda0eea3802d28bac"
                   "6a7d9324f68eeb14b40d60e7eaf09cc03beab6a690d23a83b3f8af99"},
    /* RFC 7914 section 11: PBKDF2-HMAC-SHA-256, the first 32 of its 64 bytes (one block). */
    {"passwd",
     "pbkdf2:sha256:1$salt$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
    {"Password",
     "pbkdf2:sha256:80000$NaCl$4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"},
    /* RFC 6070 section 2: PBKDF2-HMAC-SHA-1; of the last the first 20 bytes. */
    {"password", "pbkdf2:sha1:1$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6"},
    {"password", "pbkdf2:sha1:2$salt$ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
    {"password", "pbkdf2:sha1:4096$salt$4b007901b765489abead49d926f721d065a429c1"},
    {"passwordPASSWORDpassword", "pbkdf2:sha1:4096$saltSALTsaltSALTsaltSALTsaltSALTsalt$"
                                 "3d2eec4fe41c849b80c8d83662c0e44a8b291a96"},
    /* Made with Python's hashlib.pbkdf2_hmac. */
    {"correct horse", "pbkdf2:sha512:1000$aZ09bY18$"
                      "63ea32920431ed963edbdfe27c59c08f62ca8c49e0b8cbe90307e458943e420fc1"
                      "f2f575023fc08911b8172a18d79d03f561eca5bbf925e8284102564fcbad2c"},
    /* Werkzeug's settings, and the most that we take of bcrypt, by hashlib and crypt. */
    {"correct horse", "pbkdf2:sha256:600000$aZ09bY18cX27dW36$"
                      "402d8d8716887907235c24785a3287ec418b52398f4bb2607ebfefe931f51026"},
    {"correct horse", "pbkdf2:sha256:1000000$aZ09bY18cX27dW36$"
                      "ec6cc703817fef98f221e2e3baffffeaf0a1a15b98394a49ffedc0f8e3dda5fb"},
    {"correct horse", "$2b$14$abcdefghijklmnopqrstuuVjy3WfYsef9X9ig7GWAQsq.R8VvWccC"},
    /* The test vectors of crypt_blowfish, which John the Ripper and passlib share. */
    {"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
    {"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
    {"U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"},
    {"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"},
    {"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are "
     "ignored",
     "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"},
    {"\xA3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"},
    {"\xA3", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"},
    {"\xFF\xFF\xA3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"},
    {"\xFF\xFF\xA3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"},
    /* Stray bits in the salt's last character, as some old programs left them. */
    {"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC/E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
};

TEST_EACH(imported_hashes_verify_and_are_outdated, known)
{
    bool outdated = false;

    ck_assert_msg(matches(text_of(known[_i].password), known[_i].hash, &outdated), "%s",
                  known[_i].hash);

    ck_assert(outdated);
}

TEST_EACH(imported_hashes_refuse_another_password, known)
{
    bool outdated = true;
    const char *wrong = arena_printf(a, "x%s", known[_i].password);

    ck_assert(!matches(text_of(wrong), known[_i].hash, &outdated));

    ck_assert(!outdated);
}

/* The last character but one: bcrypt's and Argon2's last has bits that mean nothing. */
TEST_EACH(a_changed_imported_hash_does_not_match, known)
{
    bool outdated;
    char *hash = arena_strdup(a, known[_i].hash);
    char *near_end = hash + strlen(hash) - 2;
    *near_end = *near_end == '0' ? '1' : '0';

    ck_assert(!matches(text_of(known[_i].password), hash, &outdated));
}

TEST(our_own_form_made_by_libargon2_is_not_outdated)
{
    bool outdated = true;

    ck_assert(matches(TEXT("correct horse"),
                      "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg"
                      "$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk",
                      &outdated));

    ck_assert(!outdated);
}

/* Of bcrypt's 72 bytes, and what crypt(3) itself would refuse or cut. */
TEST(bcrypt_takes_long_passwords_by_their_first_72_bytes)
{
    static const char hash[] = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    static const char first[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    bool outdated;
    char password[1024];
    memset(password, 'x', sizeof password);
    memcpy(password, first, 72);

    ck_assert(matches((struct text){password, 72}, hash, &outdated));
    ck_assert(matches((struct text){password, 73}, hash, &outdated));
    ck_assert(matches((struct text){password, 1024}, hash, &outdated));
    ck_assert(!matches((struct text){password, 71}, hash, &outdated));
}

TEST(a_nul_does_not_end_a_password_early)
{
    bool outdated;

    ck_assert(!matches(TEXT("U*U\0x"),
                       "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", &outdated));
    ck_assert(!matches(TEXT("password\0x"), known[0].hash, &outdated));
}

/* "password", or for bcrypt "U*U", would match if the form were read with less care. */
static const char *const unreadable[] = {
    "",
    "password",
    "$",
    "$$",
    "*0",
    "x",
    "plain:password",
    /* crypt(3)'s other forms, among them DES of "password" */
    "saz8aM8PEkGNI",
    "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
    "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
    "O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35i"
    "nz1",
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
    "$2$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2x$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
    /* bcrypt */
    "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2b$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2b$05$",
    "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
    "$2b$+5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
    "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
    "$2b$05$CCCCCCCCCCCCCCCCCCCC=.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    /* Argon2: no number, spelled otherwise, over the caps, cut */
    "$argon2id$v=19$m=,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=065536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m= 65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$t=2,m=65536,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=18$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=18446744073709617152,t=2,p=1$c29tZXNhbHQ$"
    "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2"
    "GRPPc",
    "$argon2id$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=4294967295,p=1$c29tZXNhbHQ$"
    "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=2,p=17$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=4,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
    "$argon2id$v=19$m=65536,t=2,p=1$$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc$",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPP!",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ=$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTF",
    "$argon2id$v=19$m=4294967295,t=4294967295,p=4294967295$c29tZXNhbHQ$"
    "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    "$argon2id",
    "$argon2x$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
#define SCRYPT_HEX                                                                                 \
    "$NaCl$fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109" \
    "279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    /* scrypt: N no power of two or too small, each number missing, zero or too large, bad hex */
    "scrypt" SCRYPT_HEX,
    "scrypt:" SCRYPT_HEX,
    "scrypt:1024" SCRYPT_HEX,
    "scrypt:1024:8" SCRYPT_HEX,
    "scrypt:1024:8:" SCRYPT_HEX,
    "scrypt:1024:8:16:" SCRYPT_HEX,
    "scrypt:1:8:16" SCRYPT_HEX,
    "scrypt:0:8:16" SCRYPT_HEX,
    "scrypt:1023:8:16" SCRYPT_HEX,
    "scrypt:1024:0:16" SCRYPT_HEX,
    "scrypt:1024:8:0" SCRYPT_HEX,
    "scrypt:01024:8:16" SCRYPT_HEX,
    "scrypt:-1024:8:16" SCRYPT_HEX,
    "scrypt:524288:8:1" SCRYPT_HEX,
    "scrypt:262144:8:2" SCRYPT_HEX,
    "scrypt:2147483648:1:1" SCRYPT_HEX,
    /* RFC 7914 section 2: N is less than 2^(128 r / 8). */
    "scrypt:65536:1:1" SCRYPT_HEX,
    "scrypt:131072:1:1" SCRYPT_HEX,
    /* Little memory, and long in the making. */
    "scrypt:2:1:1048576" SCRYPT_HEX,
    "scrypt:2:1:1073741824" SCRYPT_HEX,
    "scrypt:2:64:16777216" SCRYPT_HEX,
    "scrypt:1024:65:1" SCRYPT_HEX,
    "scrypt:1024:4294967295:1" SCRYPT_HEX,
    "scrypt:2:64:4294967295" SCRYPT_HEX,
    "scrypt:18446744073709552640:8:16" SCRYPT_HEX,
    "scrypt:1024:8:16$NaCl$fdbabe1c",
    "scrypt:1024:8:16$NaCl$",
    "scrypt:1024:8:16$NaCl",
    "scrypt:1024:8:16",
    "scrypt:1024:8:16" SCRYPT_HEX "00",
    "scrypt:1024:8:16$NaCl$"
    "FDBABE1C9D3472007856E7190D01E9FE7C6AD7CBC8237830E77376634B3731622EAF30D92E"
    "22A3886FF109279D9830DAC727AFB94A83EE6D8360CBDFA2CC0640",
    /* RFC 7914 section 12's last vector needs 1 GiB */
    "scrypt:1048576:8:1$SodiumChloride$"
    "2101cb9b6a511aaeaddbbe09cf70f881ec568d574a2ffd4dabe5ee9820adaa478e"
    "56fd8f4ba5d09ffa1c6d927c40f4c337304049e8a952fbcbf45c6fa77a41a4",
    /* PBKDF2 */
    "pbkdf2:sha1:0$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:01$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:2000001$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:2147483648$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:10000001$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:4294967297$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:1$0c60c80f961f0e71f3a9b524af6012062fe037a6",
    "pbkdf2:sha1:1$salt$0c60c80f961f0e71f3a9b524af6012062fe037",
    "pbkdf2:sha1:1$salt$",
    "pbkdf2:md5:1$salt$f31afb6d931392daa5e3130f47f9a9b6",
    "pbkdf2:1$salt$0c60c80f961f0e71f3a9b524af6012062fe037a6",
};

TEST_EACH(what_cannot_be_read_or_costs_too_much_never_matches, unreadable)
{
    bool outdated = true;

    ck_assert_msg(!matches(TEXT("password"), unreadable[_i], &outdated), "%s", unreadable[_i]);
    ck_assert(!outdated);
    ck_assert_msg(!matches(TEXT("U*U"), unreadable[_i], &outdated), "%s", unreadable[_i]);
}

TEST_TIMES(a_stored_text_of_any_length_is_survived, 5)
{
    bool outdated;
    static const char *const starts[] = {"$argon2id$v=19$m=256,t=2,p=1$", "scrypt:16:1:1$",
                                         "pbkdf2:sha1:1$", "$2b$05$", ""};
    char *text = arena_alloc(a, 1000001);
    memset(text, 'A', 1000000);
    memcpy(text, starts[_i], strlen(starts[_i]));

    ck_assert(!matches(TEXT("password"), text, &outdated));
}

TEST(nobody_s_password_never_matches)
{
    bool outdated = true;

    ck_assert(!matches(TEXT("password"), NULL, &outdated));
    ck_assert(!outdated);
    ck_assert(!matches(TEXT(""), NULL, &outdated));
}

/* Processor time of one verification, the least of three, in nanoseconds. */
static int64_t cost_of(const char *hash)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < 3; i++) {
        bool outdated;
        struct timespec before, after;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        (void)matches(TEXT("password"), hash, &outdated);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        int64_t ns =
            (after.tv_sec - before.tv_sec) * (int64_t)1000000000 + (after.tv_nsec - before.tv_nsec);
        least = ns < least ? ns : least;
    }
    return least;
}

/* Nobody, and rows that cannot be read; a skipped hash would cost a thousandth, not a half. */
TEST(no_answer_comes_cheaper_than_a_real_verification)
{
    static const char *const stored[] = {
        NULL, "", "x", "$argon2id$v=19$m=19456,t=2,p=1$x$y", "scrypt:1024:8:16$NaCl$00",
        /* These would take from one to fourteen seconds. */
        "pbkdf2:sha512:10000000$salt$"
        "63ea32920431ed963edbdfe27c59c08f62ca8c49e0b8cbe90307e458943e420fc1"
        "f2f575023fc08911b8172a18d79d03f561eca5bbf925e8284102564fcbad2c",
        "$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$argon2id$v=19$m=262144,t=16,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "scrypt:2:1:1048576" SCRYPT_HEX, "scrypt:65536:1:1" SCRYPT_HEX};
    int64_t real = cost_of(hashed(TEXT("correct horse")));

    for (int i = 0; i < COUNT(stored); i++) {
        int64_t pretended = cost_of(stored[i]);
        ck_assert_msg(pretended > real / 2 && pretended < real * 2, "%s: %lld ns against %lld",
                      stored[i] ? stored[i] : "NULL", (long long)pretended, (long long)real);
    }
}

static const struct {
    const char *setting;
    bool too_much;
} prices[] = {
    {"$argon2id$v=19$m=19456,t=2,p=1$", false}, /* ours, argon2-cffi's, Django's, PHP's */
    {"$argon2id$v=19$m=65536,t=3,p=4$", false},
    {"$argon2id$v=19$m=102400,t=2,p=8$", false},
    {"$argon2id$v=19$m=65536,t=4,p=1$", false},
    {"$argon2id$v=19$m=262144,t=4,p=1$", false},
    {"$argon2id$v=19$m=262144,t=5,p=1$", true},
    {"$argon2id$v=19$m=262145,t=1,p=1$", true},
    {"$argon2id$v=19$m=8192,t=100,p=1$", false},
    {"$argon2id$v=19$m=8192,t=129,p=1$", true},
    {"$argon2id$v=19$m=256,t=1000,p=16$", true}, /* so many threads */
    {"$argon2id$v=19$m=65536,t=1,p=17$", true},
    {"$argon2i$m=262144,t=5,p=1$", true},
    {"scrypt:32768:8:1$", false},
    {"scrypt:262144:8:1", false},
    {"scrypt:262144:8:2", true},
    {"scrypt:524288:8:1$", true},
    {"scrypt:65536:1:1$", false}, /* there is none such */
    {"pbkdf2:sha256:600000$", false},
    {"pbkdf2:sha256:1000000$", false},
    {"pbkdf2:sha256:2000000$", false},
    {"pbkdf2:sha256:2000001$", true},
    {"pbkdf2:sha512:1500000$", false},
    {"pbkdf2:sha512:1500001$", true},
    {"pbkdf2:md5:10000000$", false}, /* none that we verify, at any price */
    {"$2b$14$", false},
    {"$2y$15$", true},
    {"$2a$31$", true},
    {"$2b$32$", false},
    {"$6$rounds=999999999$", false},
    {"", false},
};

TEST_EACH(what_asks_for_too_much_is_known_by_its_beginning, prices)
{
    ck_assert_msg(password_costs_too_much(prices[_i].setting) == prices[_i].too_much, "%s",
                  prices[_i].setting);
}

/* ---- memory ---- */

/* KiB of this process. */
static long resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*d %ld", &pages), 1);
    ck_assert_int_eq(fclose(file), 0);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define MALLOC_KEEPS true
#endif
#endif
#if !defined MALLOC_KEEPS
#if defined __SANITIZE_ADDRESS__
#define MALLOC_KEEPS true
#else
#define MALLOC_KEEPS false
#endif
#endif

/* A worker that has hashed is as small as before: the first time, and those after it, for which
 * malloc(3) would use what it has kept. A sanitizer's keeps all that OpenSSL has freed, qemu keeps
 * a heap that brk(2) has made smaller, and valgrind's own memory is in what is measured. */
TEST_TIMES(what_a_hash_takes_goes_back, 3)
{
    static const char *const hashes[] = {
        "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg"
        "$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk",
        "scrypt:16384:8:1$NaCl$7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1"
        "f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
        NULL};
    bool outdated;
    const char *runner = getenv("TEST_RUNNER");
    if ((_i == 1 && MALLOC_KEEPS) || (runner && *runner))
        return;
    long before = resident();

    for (int i = 0; i < 3; i++) {
        (void)matches(TEXT("password"), hashes[_i], &outdated);
        ck_assert_int_lt(resident() - before, 6 * 1024);
    }
    if (_i == 2) {
        (void)hashed(TEXT("password"));
        ck_assert_int_lt(resident() - before, 6 * 1024);
    }
}

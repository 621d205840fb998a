#include "common/crypto/digest.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/encode.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static void from_hex(const char *hex, unsigned char *ret)
{
    for (; *hex; hex += 2)
        *ret++ = (unsigned char)strtoul((char[]){hex[0], hex[1], '\0'}, NULL, 16);
}

CASE("digest", scratch_open, scratch_close);

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
    static const char header[] = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
    unsigned char secret[64], mac[32];
    from_hex("0323354b2b0fa5bc837e0665777ba68f5ab328e6f054c928a90f84b2d2502ebf"
             "d3fb5a92d20647ef968ab4c377623d223d2e2172052e4f08c0cd9af567d080a3",
             secret);

    hmac_sha256(secret, sizeof secret, input, sizeof input - 1, mac);

    ck_assert_str_eq(base64url(a, mac, sizeof mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    ck_assert_str_eq(base64url(a, header, sizeof header - 1),
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

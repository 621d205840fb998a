#include "common/crypto/digest.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "common/base/exhausted.h"

#define MAC_SIZE 32

/* HMAC-SHA-256 fails only for lack of memory or when OpenSSL is broken, and nothing here works
 * without it. */
static void must(int ok, const char *what)
{
    if (ok != 1)
        exhausted("OpenSSL fails at %s", what);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void random_bytes(void *ret, size_t len)
{
    unsigned char *at = ret;
    while (len) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR)
            exhausted("no random bytes: %s", strerror(errno));
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

void sha256(const void *data, size_t len, unsigned char ret_hash[32])
{
    must(SHA256(data, len, ret_hash) != NULL, "SHA-256");
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 unsigned char ret_mac[32])
{
    const void *bytes = key_len ? key : ""; /* no pointer would mean no key at all */
    must(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, bytes, key_len, data, len, ret_mac, MAC_SIZE,
                   NULL) != NULL,
         "HMAC");
}

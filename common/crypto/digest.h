/* digest.h -- SHA-256, HMAC, random bytes, and comparing what is secret. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Are `len` bytes the same, at a time that does not tell where they differ? */
bool secret_equal(const void *a, const void *b, size_t len);

/** HMAC-SHA-256 of `data` under `key` (RFC 2104), for fingerprints. */
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                 unsigned char ret_mac[32]);

/** SHA-256 of `data`, for looking up secrets that are not stored themselves. */
void sha256(const void *data, size_t len, unsigned char ret_hash[32]);

/** `len` bytes from the system's generator; ends the program when there are none. */
void random_bytes(void *ret, size_t len);

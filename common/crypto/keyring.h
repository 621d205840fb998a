/* keyring.h -- the key that signs, and older ones that still verify. */
#pragma once

#include <stddef.h>

#include "common/base/compiler.h"

struct arena;
struct keyring;
struct problem;

#define KEYRING_KEY_MIN 32 /* bytes, RFC 7518 section 3.2 */
#define KEYRING_MAC_SIZE 32

/* One key, with what its tokens begin with. */
struct keyring_key;

/**
 * Read the signing key and the older keys, separated by spaces (may be empty or NULL).
 *
 * Each is used as the bytes of the text. problem_internal, with the reason in `cause`, when one is
 * shorter than KEYRING_KEY_MIN bytes or is a well-known sample ("change-me…", "secret" repeated,
 * one character repeated, and the like), or when `issuer` is not 1 to 255 bytes of printable
 * ASCII without quotes and backslashes. All is copied and stays until keyring_close().
 */
struct problem *keyring_open(struct arena *a, const char *key, const char *previous_keys,
                             const char *issuer, struct keyring **ret) MUST_USE;

/** Wipe and free. NULL does nothing. */
void keyring_close(struct keyring *keys);

/** How many keys there are: at least one. */
size_t keyring_count(const struct keyring *keys);

/**
 * HMAC-SHA-256 of `data` for another purpose than tokens, told apart by `label`, under key
 * number `key` (0 signs). What was made before a change of keys is found by trying all.
 */
void keyring_mac(const struct keyring *keys, size_t key, const char *label, const void *data,
                 size_t len, unsigned char ret_mac[KEYRING_MAC_SIZE]);

/** What key number `key` is called in the header of its tokens (RFC 7515 section 4.1.4). Lives as
 *  long as the ring. */
const char *keyring_kid(const struct keyring *keys, size_t key);

/** A key for another purpose, derived from key number `key` by HKDF-SHA-256 (RFC 5869) without a
 *  salt, with `purpose` as its info. */
void keyring_derive(const struct keyring *keys, size_t key, const char *purpose,
                    unsigned char ret_key[KEYRING_MAC_SIZE]);

/* ---- for tokens alone (jwt.h) ---- */

/** Key number `n`; borrowed from the ring. */
const struct keyring_key *keyring_at(const struct keyring *keys, size_t n);

/** The first segment of its tokens with the dot after it, and how long that is. Lives as long as
 * the ring. */
const char *keyring_header(const struct keyring_key *key, size_t *ret_len);

/** Who signs: the claim iss of its tokens. Lives as long as the ring. */
const char *keyring_issuer(const struct keyring *keys);

/** HMAC-SHA-256 of `data` under the key. */
void keyring_sign(const struct keyring_key *key, const void *data, size_t len,
                  unsigned char ret_mac[KEYRING_MAC_SIZE]);

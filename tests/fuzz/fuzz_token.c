/* Access tokens and refresh tokens: as they come; and with the first byte 's', the rest is a
 * payload that we sign ourselves, for no fuzzer finds a MAC. */
#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/jwt.h"
#include "common/crypto/keyring.h"
#include "fcgi-app/accounts/tokens.h"
#include "tests/support/fuzz.h"

#define NOW_S INT64_C(1767225600) /* 2026 */

static struct keyring *keys;

static void open_keys(struct arena *a)
{
    if (!keys)
        need(!keyring_open(a, "kQ3vT8mZr1Yx6Lw9Pc2Nd5Hb7Jg4Fs0A",
                           "nP7sK2xWq9Vb4Ld8Rf1Gt6Yh3Mj5Zc0E", "postern", &keys));
}

static const char *sign(struct arena *a, const uint8_t *payload, size_t size)
{
    size_t len;
    unsigned char mac[KEYRING_MAC_SIZE];
    const struct keyring_key *key = keyring_at(keys, size % keyring_count(keys));
    const char *header = keyring_header(key, &len);
    const char *text = arena_printf(a, "%.*s%s", (int)len, header, base64url(a, payload, size));
    keyring_sign(key, text, strlen(text), mac);
    return arena_printf(a, "%s.%s", text, base64url(a, mac, sizeof mac));
}

static void verify(struct arena *a, const char *token)
{
    struct claims claims;
    struct problem *p = jwt_verify(a, keys, token, NOW_S, 5, &claims);
    if (p)
        need(p->type->status == 401);
    else
        need(claims.expires_s + 5 > NOW_S && claims.issued_s <= NOW_S + 5);
}

static void read_refresh(struct arena *a, struct text text)
{
    struct refresh_token token, next;
    if (!refresh_read(a, text, &token))
        return;
    need(!refresh_is_ours(keys, &token)); /* it would take our key */
    next = refresh_successor(a, keys, 0, &token);
    need(refresh_read(a, next.text, &token) && refresh_is_ours(keys, &token));
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    open_keys(a);
    if (size && data[0] == 's') {
        verify(a, sign(a, data + 1, size - 1));
        return;
    }
    const char *text = fuzz_string(a, data, size);
    verify(a, text);
    read_refresh(a, text_of(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("token");

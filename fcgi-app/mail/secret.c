#include "fcgi-app/mail/secret.h"

#include <string.h>

#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "fcgi-app/app.h"

#define PURPOSE "postern mailed token"

static const char *secret_under(const struct keyring *keys, size_t key, struct arena *a,
                                const struct uuid *id)
{
    unsigned char derived[KEYRING_MAC_SIZE], mac[32];
    keyring_derive(keys, key, PURPOSE, derived);
    hmac_sha256(derived, sizeof derived, id->bytes, sizeof id->bytes, mac);
    const char *text = base64url(a, mac, sizeof mac);
    wipe(derived, sizeof derived);
    wipe(mac, sizeof mac);
    return text;
}

const char *letter_secret(const struct app *app, struct arena *a, const struct uuid *id,
                          struct text kid)
{
    for (size_t i = 0; app->keys && i < keyring_count(app->keys); i++)
        if (text_equal(kid, text_of(keyring_kid(app->keys, i))))
            return secret_under(app->keys, i, a, id);
    return NULL;
}

struct text letter_kid(const struct app *app)
{
    return app->keys ? text_of(keyring_kid(app->keys, 0)) : (struct text){0};
}

void letter_hash(const struct app *app, struct arena *a, const struct uuid *id,
                 unsigned char ret_hash[32])
{
    const char *secret = secret_under(app->keys, 0, a, id);
    sha256(secret, strlen(secret), ret_hash);
}

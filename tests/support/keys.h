/* keys.h -- keyrings for the tests of what is signed. */
#pragma once

#include "common/crypto/keyring.h"

#define KEY "iQ4m0vX2pJ8sB6tZc1LwYd9nKf3hRg7u"
#define OTHER_KEY "Vb7xE1oTq5zHk0aMs8WjPf2cGy4rNd6l"
#define ISSUER "https://api.example.org"

/** Open a keyring in the arena of scratch.h; must work. */
struct keyring *keys_of(const char *signing, const char *previous);

#include "tests/support/keys.h"

#include "tests/support/scratch.h"
#include "tests/support/suite.h"

struct keyring *keys_of(const char *signing, const char *previous)
{
    struct keyring *opened = NULL;
    must(keyring_open(a, signing, previous, ISSUER, &opened));
    return opened;
}

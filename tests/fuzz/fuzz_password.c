/* Hashes of passwords, as imports may have left them in the database: our own form, and those of
 * other programs. Up to the first NUL it is the hash, then the password. */
#include "tests/fuzz/cheap_hashes.h"

#include "common/base/problem.h"
#include "common/crypto/password.h"
#include "tests/support/fuzz.h"

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    const char *hash = fuzz_string(a, data, size);
    size_t len = strlen(hash) + 1;
    struct text password = TEXT("engine of numbers");
    bool match = false, outdated = false;
    if (len < size)
        password = (struct text){(const char *)data + len, size - len};
    bool costly = password_costs_too_much(hash);
    need(!password_verify(a, password, hash, &match, &outdated));
    need(!(costly && match) && !(outdated && !match));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("password");

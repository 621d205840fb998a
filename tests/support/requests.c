#include "tests/support/requests.h"

struct request rq;
const struct instant request_time = {INT64_C(1767323045000006)};

void request_of(const char *base, const char *one, const char *two, const char *three)
{
    const char *const given[] = {one, two, three};
    char **params = arena_array(a, 4, sizeof *params);
    size_t n = 0;
    for (size_t i = 0; i < 3; i++)
        if (given[i])
            params[n++] = arena_strdup(a, given[i]);
    request_from_params(&rq, a, params, base, request_time);
}

void request_with(const char *variable)
{
    request_of("/api", variable, NULL, NULL);
}

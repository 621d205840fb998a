/* DATABASE_URL. */
#include <string.h>

#include "common/base/problem.h"
#include "common/db/db_url.h"
#include "tests/support/fuzz.h"

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    struct db_url url;
    if (db_url_read(a, fuzz_string(a, data, size), &url))
        return;
    need(url.user && *url.user && url.name && *url.name && url.host_count > 0);
    need(!url.tls.cert == !url.tls.key);
    need(url.tls.need == DB_TLS_OFFERED || url.tls.ca || url.tls.cert || url.tls.verify);
    for (size_t i = 0; i < url.host_count; i++) {
        need(*url.hosts[i].name && url.hosts[i].port <= 65535);
        (void)db_url_is_local(&url, &url.hosts[i]);
    }
    db_url_release(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("db_url");

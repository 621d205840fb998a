/* Addresses of clients and proxies. Up to the first newline it is a list of those that are trusted,
 * then REMOTE_ADDR, then X-Forwarded-For. */
#include <string.h>

#include "common/http/address.h"
#include "tests/support/fuzz.h"

static bool is_same(const struct address *one, const struct address *other)
{
    return one->kind == other->kind && memcmp(one->bytes, other->bytes, sizeof one->bytes) == 0;
}

static void judge_text(struct arena *a, const char *text)
{
    struct address address, again, network;
    const char *host, *port;
    if (address_split(a, text, &host, &port))
        need(port > text && port[-1] == ':' && strlen(host) < strlen(text));
    if (!address_parse(text_of(text), &address))
        return;
    const char *usual = address_to_text(a, &address);
    if (usual)
        need(address_parse(text_of(usual), &again) && is_same(&address, &again));
    network = address_network(&address);
    again = address_network(&network);
    need(is_same(&network, &again));
    need(!(address_is_local(&address) && address_is_private(&address)));
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    char *trusted = arena_strdup(a, fuzz_string(a, data, size)), *forwarded;
    char *remote = strchr(trusted, '\n');
    struct address_list list = {0};
    if (remote)
        *remote++ = '\0';
    forwarded = remote ? strchr(remote, '\n') : NULL;
    if (forwarded)
        *forwarded++ = '\0';
    struct text t = text_of(trusted);
    need(address_list_parse(a, t, &list) == address_list_is_valid(t));
    judge_text(a, trusted);
    if (remote)
        judge_text(a, remote);
    struct address client = address_behind(&list, remote, forwarded);
    if (list.count == 0 && remote) /* nobody is believed */
        need(is_same(&client, &(const struct address){0}) ||
             (address_parse(text_of(remote), &client) && true));
    (void)address_is_told(&list, &client, forwarded);
    (void)address_list_has(&list, &client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("address");

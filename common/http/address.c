#include "common/http/address.h"

#include <arpa/inet.h>
#include <string.h>

#define IPV4_BYTES 4
#define IPV6_BYTES 16
#define NETWORK_BYTES 8 /* of an IPv6 address */

static const char unix_word[] = "unix:";
static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};

/* ---- one address ---- */

static bool is_digits(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return len > 0;
}

static bool is_port(const char *s, size_t len)
{
    return len > 1 && len <= 6 && s[0] == ':' && is_digits(s + 1, len - 1);
}

/* Drop brackets with what may follow them, or the port of what must be an IPv4 address: an IPv6
 * address without brackets has more than one colon. */
static bool drop_port(struct text *t)
{
    const char *colon = memchr(t->data, ':', t->len);
    if (t->len && t->data[0] == '[') {
        const char *end = memchr(t->data, ']', t->len);
        size_t rest = end ? t->len - (size_t)(end + 1 - t->data) : 0;
        if (!end || (rest && !is_port(end + 1, rest)))
            return false;
        *t = (struct text){t->data + 1, (size_t)(end - t->data) - 1};
        return memchr(t->data, ':', t->len) != NULL;
    }
    if (!colon || memchr(colon + 1, ':', t->len - (size_t)(colon + 1 - t->data)))
        return true;
    if (!is_port(colon, t->len - (size_t)(colon - t->data)))
        return false;
    t->len = (size_t)(colon - t->data);
    return true;
}

/* Read exactly an address, and a zone after IPv6. */
static bool parse_bare(struct text t, struct address *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct address read = {.kind = ADDRESS_IPV4};
    const char *zone = memchr(t.data, '%', t.len);
    size_t len = zone ? (size_t)(zone - t.data) : t.len;
    if (len >= sizeof text || memchr(t.data, '\0', len))
        return false;
    memcpy(text, t.data, len);
    text[len] = '\0';
    if (zone || inet_pton(AF_INET, text, read.bytes) != 1) {
        read.kind = ADDRESS_IPV6;
        if (inet_pton(AF_INET6, text, read.bytes) != 1)
            return false;
    }
    *ret = read;
    return true;
}

static bool is_mapped(const struct address *address)
{
    return address->kind == ADDRESS_IPV6 && memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

static struct address unmap(struct address address)
{
    struct address plain = {.kind = ADDRESS_IPV4};
    if (!is_mapped(&address))
        return address;
    memcpy(plain.bytes, address.bytes + sizeof mapped, IPV4_BYTES);
    return plain;
}

static bool is_unix(struct text t)
{
    return text_equal(t, (struct text){unix_word, sizeof unix_word - 1});
}

bool address_parse(struct text t, struct address *ret)
{
    struct address read = {.kind = ADDRESS_UNIX};
    if (!t.data)
        return false;
    if (!is_unix(t) && (!drop_port(&t) || !parse_bare(t, &read)))
        return false;
    *ret = unmap(read);
    return true;
}

const char *address_to_text(struct arena *a, const struct address *address)
{
    if (address->kind != ADDRESS_IPV4 && address->kind != ADDRESS_IPV6)
        return NULL;
    char *text = arena_alloc(a, INET6_ADDRSTRLEN);
    return inet_ntop(address->kind == ADDRESS_IPV4 ? AF_INET : AF_INET6, address->bytes, text,
                     INET6_ADDRSTRLEN);
}

struct address address_network(const struct address *address)
{
    struct address network = *address;
    if (address->kind == ADDRESS_IPV6)
        memset(network.bytes + NETWORK_BYTES, 0, IPV6_BYTES - NETWORK_BYTES);
    return network;
}

bool address_split(struct arena *a, const char *text, const char **ret_host, const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    bool bracketed = *text == '[' && colon > text && colon[-1] == ']';
    *ret_host = arena_copy(a, text + bracketed, (size_t)(colon - text) - 2 * bracketed);
    *ret_port = colon + 1;
    return true;
}

/* ---- lists ---- */

/* How many bits an address of this kind has. */
static unsigned bits_of(enum address_kind kind)
{
    static const unsigned bits[] = {
        [ADDRESS_IPV4] = 8 * IPV4_BYTES, [ADDRESS_IPV6] = 8 * IPV6_BYTES};
    return kind < sizeof bits / sizeof *bits ? bits[kind] : 0;
}

/* The number after the slash. */
static bool parse_bits(const char *s, size_t len, unsigned max, unsigned *ret)
{
    unsigned bits = 0;
    if (len > 3 || !is_digits(s, len))
        return false;
    for (size_t i = 0; i < len; i++)
        bits = 10 * bits + (unsigned)(s[i] - '0');
    *ret = bits;
    return bits <= max;
}

static bool parse_block(struct text t, struct address_block *ret)
{
    struct address base = {.kind = ADDRESS_UNIX};
    const char *slash = memchr(t.data, '/', t.len);
    const struct text bare = {t.data, slash ? (size_t)(slash - t.data) : t.len};
    if (is_unix(t)) {
        *ret = (struct address_block){base, 0};
        return true;
    }
    if (!parse_bare(bare, &base) || memchr(bare.data, '%', bare.len))
        return false;
    unsigned bits = bits_of(base.kind);
    if (slash && !parse_bits(slash + 1, t.len - bare.len - 1, bits, &bits))
        return false;
    if (is_mapped(&base) && bits < 8 * sizeof mapped)
        return false; /* more than all IPv4 addresses, which nobody means */
    if (is_mapped(&base))
        bits -= 8 * (unsigned)sizeof mapped;
    *ret = (struct address_block){unmap(base), bits};
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Take the next word from `rest`; false when there is none. */
static bool next_word(struct text *rest, struct text *ret)
{
    while (rest->len && is_blank(*rest->data))
        rest->data++, rest->len--;
    if (rest->len == 0)
        return false;
    size_t len = 0;
    while (len < rest->len && !is_blank(rest->data[len]))
        len++;
    *ret = (struct text){rest->data, len};
    rest->data += ret->len;
    rest->len -= ret->len;
    return true;
}

bool address_list_is_valid(struct text t)
{
    struct address_block block;
    for (struct text word; next_word(&t, &word);)
        if (!parse_block(word, &block))
            return false;
    return true;
}

bool address_list_parse(struct arena *a, struct text t, struct address_list *ret)
{
    struct text rest = t, word;
    size_t count = 0;
    if (!address_list_is_valid(t))
        return false;
    while (next_word(&rest, &word))
        count++;
    struct address_block *blocks = arena_array(a, count, sizeof *blocks);
    for (size_t i = 0; next_word(&t, &word); i++)
        (void)parse_block(word, &blocks[i]); /* each is one */
    *ret = (struct address_list){blocks, count};
    return true;
}

static bool is_in(const struct address_block *block, const struct address *address)
{
    size_t whole = block->bits / 8;
    unsigned rest = block->bits % 8;
    if (block->base.kind != address->kind || memcmp(block->base.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || (block->base.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool address_is_local(const struct address *address)
{
    static const unsigned char loopback[16] = {[15] = 1};
    switch (address->kind) {
    case ADDRESS_UNIX:
        return true;
    case ADDRESS_IPV4:
        return address->bytes[0] == 127;
    case ADDRESS_IPV6:
        return memcmp(address->bytes, loopback, sizeof loopback) == 0;
    case ADDRESS_UNKNOWN:
        break;
    }
    return false;
}

/* The first four bytes of an address, as a number. */
static unsigned long head_of(const struct address *address)
{
    const unsigned char *b = address->bytes;
    return (unsigned long)b[0] << 24 | (unsigned long)b[1] << 16 | (unsigned long)b[2] << 8 | b[3];
}

bool address_is_private(const struct address *address)
{
    static const struct {
        enum address_kind kind;
        unsigned long base, mask;
    } blocks[] = {
        {ADDRESS_IPV4, 0x0A000000, 0xFF000000}, {ADDRESS_IPV4, 0xAC100000, 0xFFF00000},
        {ADDRESS_IPV4, 0xC0A80000, 0xFFFF0000}, {ADDRESS_IPV4, 0x64400000, 0xFFC00000},
        {ADDRESS_IPV4, 0xA9FE0000, 0xFFFF0000}, {ADDRESS_IPV6, 0xFC000000, 0xFE000000},
        {ADDRESS_IPV6, 0xFE800000, 0xFFC00000},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (address->kind == blocks[i].kind &&
            (head_of(address) & blocks[i].mask) == blocks[i].base)
            return true;
    return false;
}

bool address_list_has(const struct address_list *list, const struct address *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_in(&list->blocks[i], address))
            return true;
    return false;
}

/* ---- behind proxies ---- */

/* Take the last item off a list with commas, without the blanks around it. */
static struct text last_item(struct text *list)
{
    const char *comma = memrchr(list->data, ',', list->len);
    const char *begin = comma ? comma + 1 : list->data, *end = list->data + list->len;
    list->len = comma ? (size_t)(comma - list->data) : 0;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct text){begin, (size_t)(end - begin)};
}

/* Go on from `client` to whom the trusted were asked by, as `list` has it. */
static void walk_back(const struct address_list *trusted, struct text list, struct address *client)
{
    while (list.len && address_list_has(trusted, client))
        if (!address_parse(last_item(&list), client))
            break;
}

struct address address_behind(const struct address_list *trusted, const char *remote_addr,
                              const char *forwarded_for)
{
    struct address client = {.kind = ADDRESS_UNKNOWN};
    if (address_parse(text_of(remote_addr), &client))
        walk_back(trusted, text_of(forwarded_for), &client);
    return client;
}

bool address_is_told(const struct address_list *trusted, const struct address *client,
                     const char *forwarded_for)
{
    struct text list = text_of(forwarded_for);
    struct address told;
    if (!trusted->count || !list.len || !address_parse(last_item(&list), &told))
        return false;
    walk_back(trusted, list, &told);
    return told.kind == client->kind && memcmp(told.bytes, client->bytes, sizeof told.bytes) == 0;
}

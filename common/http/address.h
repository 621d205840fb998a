/* address.h -- addresses of clients, and of the proxies whose X-Forwarded-For is trusted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"

enum address_kind {
    ADDRESS_UNKNOWN = 0,
    ADDRESS_UNIX, /* a peer on this machine, over a unix socket */
    ADDRESS_IPV4,
    ADDRESS_IPV6,
};

struct address {
    enum address_kind kind;
    unsigned char bytes[16]; /* in network order; IPv4 has the first four, the rest is zero */
};

/* Addresses that begin with the same bits. */
struct address_block {
    struct address base;
    unsigned bits;
};

struct address_list {
    const struct address_block *blocks;
    size_t count;
};

/**
 * Read an address as web servers and proxies write it: `192.0.2.1`, `2001:db8::1`, with a port
 * (`192.0.2.1:80`, `[2001:db8::1]:80`) or a zone (`fe80::1%eth0`), both of which are dropped, or
 * `unix:`, nginx's word for a unix socket. IPv6's form of an IPv4 address (RFC 4291 section
 * 2.5.5.2) is that IPv4 address. False for anything else, `ret` untouched.
 */
bool address_parse(struct text t, struct address *ret) MUST_USE;

/** As text of the usual form (RFC 5952); NULL for what has none, unknown and `unix:`. */
const char *address_to_text(struct arena *a, const struct address *address);

/** Cut `host:port` at its last colon, without brackets around the host. The host lives as long as
 *  `a`, the port as long as `text`. False where there is no colon. */
bool address_split(struct arena *a, const char *text, const char **ret_host,
                   const char **ret_port) MUST_USE;

/** What belongs to one customer of a network: an IPv4 address itself, the /64 of an IPv6 address,
 *  within which a host changes its own as it likes (RFC 8981). */
struct address address_network(const struct address *address);

/** Read addresses and blocks (`10.0.0.0/8`; bits after the length do not count) and `unix:`,
 *  separated by spaces, tabs or ends of line. False for anything else, `ret` untouched; null is an
 * empty list. */
bool address_list_parse(struct arena *a, struct text t, struct address_list *ret) MUST_USE;

/** Would address_list_parse() take it? For a struct format. */
bool address_list_is_valid(struct text t);

/** Is it this machine itself: 127.0.0.0/8, ::1, or a unix socket? */
bool address_is_local(const struct address *address);

/** Is it of a network that has no place in the Internet: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16
 *  (RFC 1918), 100.64.0.0/10 (RFC 6598), fc00::/7 (RFC 4193), or of a link alone? */
bool address_is_private(const struct address *address);

bool address_list_has(const struct address_list *list, const struct address *address);

/**
 * Who is behind the proxies?
 *
 * The peer at `remote_addr`, unless it is one of the `trusted`: then X-Forwarded-For, to which each
 * proxy appends whom it was asked by, is walked from its end to the first address that is not
 * trusted. Anybody may have written what is further left. If an item is no address, the walk ends
 * at the one before; if all are trusted, it is the first. Both may be NULL. Unknown when
 * `remote_addr` is no address. `Forwarded` (RFC 7239) is not read: a client could set the one
 * header where the proxies set the other.
 */
struct address address_behind(const struct address_list *trusted, const char *remote_addr,
                              const char *forwarded_for);

/** Is `client` the one that X-Forwarded-For tells by the same rules, where there are proxies that
 *  are trusted? The server in front may have taken it from there already, as nginx's real_ip
 *  does. */
bool address_is_told(const struct address_list *trusted, const struct address *client,
                     const char *forwarded_for);

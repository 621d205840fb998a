#include "common/http/address.h"

#include <string.h>

#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* As it is shown; "unix:" and "unknown" for what has no text. */
static const char *shown(const struct address *address)
{
    const char *text = address_to_text(a, address);
    return text ? text : address->kind == ADDRESS_UNIX ? "unix:" : "unknown";
}

/* ---- one address ---- */

static const struct {
    const char *text, *shown;
} addresses[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"192.0.2.1:80", "192.0.2.1"},
    {"192.0.2.1:65535", "192.0.2.1"},
    {"2001:db8::1", "2001:db8::1"},
    {"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
    {"::1", "::1"},
    {"::", "::"},
    {"[2001:db8::1]", "2001:db8::1"},
    {"[2001:db8::1]:443", "2001:db8::1"},
    {"fe80::1%eth0", "fe80::1"},
    {"[fe80::1%eth0]:443", "fe80::1"},
    {"::ffff:192.0.2.1", "192.0.2.1"}, /* RFC 4291 section 2.5.5.2 */
    {"::FFFF:c000:201", "192.0.2.1"},
    {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
    {"::192.0.2.1", "::192.0.2.1"}, /* compatible, not mapped */
    {"unix:", "unix:"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    /* RFC 5952 section 4.2 */
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
};

CASE("address", scratch_open, scratch_close);

TEST_EACH(an_address_is_read_and_shown_in_its_usual_form, addresses)
{
    struct address address;

    ck_assert(address_parse(text_of(addresses[_i].text), &address));

    ck_assert_str_eq(shown(&address), addresses[_i].shown);
}

static const char *const no_addresses[] = {
    "",
    " ",
    "unknown", /* RFC 7239 section 6.2 */
    "_hidden",
    "localhost",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.1.1",
    "192.0.2.01",
    "0x7f.0.0.1",
    " 192.0.2.1",
    "192.0.2.1 ",
    "192.0.2.1:",
    "192.0.2.1:http",
    "192.0.2.1:123456",
    "192.0.2.1/32",
    "192.0.2.1%eth0",
    "[192.0.2.1]",
    "[2001:db8::1",
    "2001:db8::1]",
    "[2001:db8::1]443",
    "[2001:db8::1]:",
    "[]",
    "[",
    ":",
    ":80",
    "2001:db8:::1",
    "2001:db8::g",
    "%eth0",
    "1:2:3:4:5:6:7:8:9",
    "unix",
    "unix:/run/x",
    "UNIX:",
    "\"192.0.2.1\"",
    "192.0.2.1,192.0.2.2",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

TEST_EACH(anything_else_is_no_address, no_addresses)
{
    struct address address = {.kind = ADDRESS_UNIX, .bytes = {7}};

    ck_assert(!address_parse(text_of(no_addresses[_i]), &address));

    ck_assert_int_eq(address.kind, ADDRESS_UNIX); /* untouched */
    ck_assert_int_eq(address.bytes[0], 7);
}

static const struct {
    const char *text, *host, *port; /* NULL: it is cut nowhere */
} listeners[] = {
    {"localhost:9000", "localhost", "9000"},
    {"[::1]:9000", "::1", "9000"},
    {"::1:9000", "::1", "9000"},
    {":9000", "", "9000"},
    {"[::1]", "[:", "1]"},
    {"localhost", NULL, NULL},
};

TEST_EACH(host_and_port_are_cut_apart, listeners)
{
    const char *host = NULL, *port = NULL;

    bool cut = address_split(a, listeners[_i].text, &host, &port);

    ck_assert_int_eq(cut, listeners[_i].host != NULL);
    ck_assert_pstr_eq(host, listeners[_i].host);
    ck_assert_pstr_eq(port, listeners[_i].port);
}

TEST(a_nul_ends_no_address)
{
    struct address address;

    ck_assert(!address_parse((struct text){"192.0.2.1\0", 10}, &address));
    ck_assert(!address_parse((struct text){NULL, 0}, &address));
}

static struct address read_address(const char *text)
{
    struct address address;
    ck_assert_msg(address_parse(text_of(text), &address), "%s", text);
    return address;
}

static const struct {
    const char *text;
    bool local;
} places[] = {
    {"127.0.0.1", true},  {"127.255.255.254", true},
    {"::1", true},        {"::ffff:127.0.0.1", true},
    {"unix:", true},      {"128.0.0.1", false},
    {"126.0.0.1", false}, {"192.0.2.127", false},
    {"::2", false},       {"::", false},
    {"7f00::1", false},   {"::127.0.0.1", false},
};

TEST_EACH(this_machine_is_loopback_or_a_unix_socket, places)
{
    struct address address = {0};
    ck_assert(!address_is_local(&address));

    ck_assert(address_parse(text_of(places[_i].text), &address));
    ck_assert_int_eq(address_is_local(&address), places[_i].local);
}

static const struct {
    const char *text;
    bool is_private;
} privacies[] = {
    {"10.0.0.0", true},
    {"10.255.255.255", true},
    {"9.255.255.255", false},
    {"11.0.0.0", false},
    {"172.16.0.0", true},
    {"172.31.255.255", true},
    {"172.15.255.255", false},
    {"172.32.0.0", false},
    {"192.168.0.0", true},
    {"192.168.255.255", true},
    {"192.167.0.1", false},
    {"192.169.0.1", false},
    {"100.64.0.0", true},
    {"100.127.255.255", true},
    {"100.63.255.255", false},
    {"100.128.0.0", false},
    {"169.254.0.1", true},
    {"169.255.0.1", false},
    {"fc00::", true},
    {"fdff:ffff::1", true},
    {"fbff::1", false},
    {"fe00::1", false},
    {"fe80::1", true},
    {"febf::1", true},
    {"fec0::1", false},
    {"2001:db8::1", false},
    {"::ffff:10.0.0.1", true},
    {"::ffff:192.0.2.1", false},
    {"192.0.2.1", false},
    {"a00::1", false},
    {"unix:", false},
    {"127.0.0.1", false},
    {"::1", false},
};

TEST_EACH(some_networks_have_no_place_in_the_internet, privacies)
{
    const struct address address = read_address(privacies[_i].text);

    ck_assert_msg(address_is_private(&address) == privacies[_i].is_private, "%s",
                  privacies[_i].text);
}

static const struct {
    const char *text, *network;
} networks[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
    {"2001:db8:1:2::", "2001:db8:1:2::"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"unix:", "unix:"},
};

TEST_EACH(a_client_is_an_ipv4_address_or_the_half_of_an_ipv6_one, networks)
{
    const struct address address = read_address(networks[_i].text);

    const struct address network = address_network(&address);

    ck_assert_str_eq(shown(&network), networks[_i].network);
}

/* ---- lists ---- */

static struct address_list list_of(const char *text)
{
    struct address_list list;
    ck_assert_msg(address_list_parse(a, text_of(text), &list), "%s", text);
    return list;
}

static const struct {
    const char *list, *address;
    bool has;
} members[] = {
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"", "192.0.2.1", false},
    {"10.0.0.0/8 192.0.2.0/24", "192.0.2.255", true},
    {"10.0.0.0/8 192.0.2.0/24", "192.0.3.0", false},
    {"  10.0.0.0/8   192.0.2.0/24  ", "10.255.255.255", true},
    {"10.9.8.7/8", "10.0.0.1", true},
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.128/25", "192.0.2.128", true},
    {"192.0.2.6/31", "192.0.2.7", true},
    {"192.0.2.6/31", "192.0.2.5", false},
    {"192.0.2.7/32", "192.0.2.7", true},
    {"192.0.2.7/32", "192.0.2.6", false},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "192.0.2.1", false},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/32", "2001:db9::1", false},
    {"2001:db8::/33", "2001:db8:8000::", false},
    {"2001:db8::/127", "2001:db8::1", true},
    {"2001:db8::/127", "2001:db8::2", false},
    {"2001:db8::7", "2001:db8::7", true},
    {"2001:db8::7", "2001:db8::6", false},
    {"::ffff:10.0.0.0/104", "10.1.2.3", true},
    {"::ffff:10.0.0.0/104", "11.1.2.3", false},
    {"192.0.2.1", "::ffff:192.0.2.1", true},
    {"unix:", "unix:", true},
    {"unix:", "0.0.0.0", false},
    {"0.0.0.0/0 ::/0", "unix:", false},
};

TEST_EACH(a_list_has_the_addresses_of_its_blocks, members)
{
    struct address_list list = list_of(members[_i].list);
    const struct address address = read_address(members[_i].address);

    ck_assert(address_list_is_valid(text_of(members[_i].list)));
    ck_assert_int_eq(address_list_has(&list, &address), members[_i].has);
}

static const char *const no_lists[] = {
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/0008",
    "10.0.0.0/8x",
    "10.0.0.0/4294967304", /* 8, when it overflows */
    "/8",
    "10.0.0/8",
    "2001:db8::/129",
    "::ffff:10.0.0.0/95",
    "10.0.0.1:80",
    "[2001:db8::1]",
    "fe80::1%eth0",
    "192.0.2.1,192.0.2.2",
    "192.0.2.1 proxy.example.org",
    "*",
    "unix:/8",
};

TEST_EACH(a_malformed_list_is_refused_as_a_whole, no_lists)
{
    struct address_list list = {NULL, 99};

    ck_assert(!address_list_is_valid(text_of(no_lists[_i])));
    ck_assert(!address_list_parse(a, text_of(no_lists[_i]), &list));

    ck_assert_uint_eq(list.count, 99);
}

TEST(no_list_is_an_empty_list)
{
    struct address_list list = {NULL, 99};

    ck_assert(address_list_parse(a, (struct text){NULL, 0}, &list));

    ck_assert_uint_eq(list.count, 0);
}

/* ---- behind proxies ---- */

static const struct {
    const char *trusted, *remote, *forwarded, *client;
} walks[] = {
    /* Nobody is trusted. */
    {"", "192.0.2.1", NULL, "192.0.2.1"},
    {"", "192.0.2.1", "203.0.113.9", "192.0.2.1"},
    {"", "::ffff:192.0.2.1", NULL, "192.0.2.1"},
    {"10.0.0.0/8", "192.0.2.1", "203.0.113.9", "192.0.2.1"},
    {"10.0.0.0/8", "192.0.2.1", "10.0.0.1", "192.0.2.1"},
    /* One proxy, two, and what a client made up on the left. */
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9", "203.0.113.9"},
    {"10.0.0.0/8", "10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"},
    {"10.0.0.0/8", "10.0.0.1", "10.9.9.9, 203.0.113.9,10.0.0.2", "203.0.113.9"},
    {"10.0.0.1", "10.0.0.1", "203.0.113.9, 10.0.0.2", "10.0.0.2"},
    {"10.0.0.0/8", "10.0.0.1", "\t203.0.113.9 \t,\t 10.0.0.2 ", "203.0.113.9"},
    /* Forms that some proxies write. */
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9:51234", "203.0.113.9"},
    {"10.0.0.0/8", "10.0.0.1", "[2001:db8::9]:51234, 10.0.0.2:80", "2001:db8::9"},
    {"10.0.0.0/8", "10.0.0.1", "2001:db8::9", "2001:db8::9"},
    {"10.0.0.0/8", "10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"},
    {"10.0.0.0/8", "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"},
    {"2001:db8::/32", "2001:db8::1", "203.0.113.9", "203.0.113.9"},
    /* A proxy asks on its own behalf. */
    {"10.0.0.0/8", "10.0.0.1", NULL, "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
    /* Rubbish ends the walk. */
    {"10.0.0.0/8", "10.0.0.1", "unknown", "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"},
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9,", "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9, , 10.0.0.2", "10.0.0.2"},
    {"10.0.0.0/8", "10.0.0.1", ",", "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9 10.0.0.2", "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "203.0.113.9; 10.0.0.2", "10.0.0.1"},
    {"10.0.0.0/8", "10.0.0.1", "for=203.0.113.9", "10.0.0.1"},
    /* nginx that listens on a unix socket. */
    {"unix:", "unix:", "203.0.113.9", "203.0.113.9"},
    {"unix: 10.0.0.0/8", "unix:", "203.0.113.9, 10.0.0.2", "203.0.113.9"},
    {"unix: 10.0.0.0/8", "10.0.0.1", "203.0.113.9, unix:", "203.0.113.9"},
    {"10.0.0.0/8", "unix:", "203.0.113.9", "unix:"},
    {"unix:", "unix:", NULL, "unix:"},
    /* Without a peer there is nobody to trust. */
    {"unix: 0.0.0.0/0 ::/0", NULL, "203.0.113.9", "unknown"},
    {"unix: 0.0.0.0/0 ::/0", "", "203.0.113.9", "unknown"},
    {"unix: 0.0.0.0/0 ::/0", "proxy", "203.0.113.9", "unknown"},
};

TEST_EACH(the_client_is_the_first_that_is_not_trusted_from_the_right, walks)
{
    const struct address_list trusted = list_of(walks[_i].trusted);

    const struct address client = address_behind(&trusted, walks[_i].remote, walks[_i].forwarded);

    ck_assert_str_eq(shown(&client), walks[_i].client);
}

static const struct {
    const char *trusted, *client, *forwarded;
    bool told;
} tales[] = {
    {"10.0.0.0/8", "203.0.113.9", "203.0.113.9", true},
    {"10.0.0.0/8", "203.0.113.9", "1.2.3.4, 203.0.113.9, 10.0.0.2", true},
    {"10.0.0.0/8", "203.0.113.9", "[::ffff:203.0.113.9]:80", true},
    {"10.0.0.0/8", "10.0.0.3", "10.0.0.3, 10.0.0.2", true},
    {"10.0.0.0/8", "203.0.113.9", "203.0.113.9, 1.2.3.4", false},
    {"10.0.0.0/8", "10.0.0.2", "10.0.0.3, 10.0.0.2", false},
    {"10.0.0.0/8", "203.0.113.9", "unknown", false},
    {"10.0.0.0/8", "203.0.113.9", "203.0.113.9, ", false},
    {"10.0.0.0/8", "203.0.113.9", "", false},
    {"10.0.0.0/8", "203.0.113.9", NULL, false},
    {"", "203.0.113.9", "203.0.113.9", false}, /* by nobody who is trusted */
};

TEST_EACH(whom_the_proxies_tell_is_known, tales)
{
    const struct address_list trusted = list_of(tales[_i].trusted);
    const struct address client = read_address(tales[_i].client);

    ck_assert_int_eq(address_is_told(&trusted, &client, tales[_i].forwarded), tales[_i].told);
}

/* A header may be as long as the server lets it. */
TEST(a_long_way_is_walked_to_its_end)
{
    const size_t hops = 100000;
    char *header = arena_alloc(a, 20 + hops * 10);
    const struct address_list trusted = list_of("10.0.0.0/8");
    strcpy(header, "203.0.113.9");
    for (size_t i = 0; i < hops; i++)
        memcpy(header + 11 + i * 10, ", 10.0.0.2", 11);

    const struct address client = address_behind(&trusted, "10.0.0.1", header);

    ck_assert_str_eq(shown(&client), "203.0.113.9");
}

#include <check.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/db/db.h"
#include "common/db/db_url.h"
#include "tests/support/suite.h"

static struct arena *a;

static void set_up(void)
{
    a = arena_open(1u << 20);
}

static void tear_down(void)
{
    arena_close(a);
}

CASE("URLs", set_up, tear_down);

static const char *const bad_urls[] = {
    "",
    "postgres://u:s3cret@h/n",
    "mysql:/u:s3cret@h/n",
    "mysql://h/n",
    "mysql://:s3cret@h/n",
    "mysql://u:s3cret@h",
    "mysql://u:s3cret@h/",
    "mysql://u:s3cret@/n",
    "mysql://u:s3cret@h:0/n",
    "mysql://u:s3cret@h:65536/n",
    "mysql://u:s3cret@h:-1/n",
    "mysql://u:s3cret@h:33x/n",
    "mysql://u:s3cret@h:/n",
    "mysql://u:s3cret@h%zz/n",
    "mysql://u:s3cret@h,,g/n",
    "mysql://u:s3cret@[::1/n",
    "mysql://u:s3cret@[::1]3306/n",
    "mysql://u:s3cret%@h/n",
    "mysql://u:s3cret%4@h/n",
    "mysql://u:s3cret%zz@h/n",
    "mysql://u:s3cret%00@h/n",
    "mysql://u:s3cret@h/n?socket=",
    "mysql://u:s3cret@h/n?socket",
    "mysql://u:s3cret@h/n?ssl=1",
    "mysql://u:s3cret@h/n?",
    "mysql://u:s3cret@h/n?&socket=/s",
    "mysql://u:s3cret@h/n?SOCKET=/s",
    "mysql://u:s3cret@h/n?ssl-ca",
    "mysql://u:s3cret@h/n?ssl-ca=",
    "mysql://u:s3cret@h/n?ssl-ca=%00",
    "mysql://u:s3cret@h/n?ssl-cert=/c",
    "mysql://u:s3cret@h/n?ssl-key=/k",
    "mysql://u:s3cret@h/n?ssl-cert=/c&ssl-key=",
    "mysql://u:s3cret@h/n?ssl-verify=",
    "mysql://u:s3cret@h/n?ssl-verify=1",
    "mysql://u:s3cret@h/n?ssl-verify=True",
    "mysql://u:s3cret@h/n?ssl-ca=/c&ssl-capath=/p",
    "mysql://u:p@s3cret@h/n",
    "mysql://o@dd:s3cret@h/n",
    "mysql://u:p/s3cret@h/n",
    "mysql://u:s3cret@x/red@h/n",
    "mysql://u:s3cret@h/n/m",
};

TEST_EACH(a_bad_url_is_refused_without_telling_the_password, bad_urls)
{
    struct db *none = NULL;

    struct problem *p = db_open(a, bad_urls[_i], &none);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_null(strstr(p->cause, "s3cret"));
    ck_assert_ptr_null(none);
}

static const char *const good_urls[] = {
    "mysql://u:p@h:3306/n",     "mysql://u@h/n",
    "mysql://u:@h:1,g:2,f/n",   "mysql://u:p@[::1]:3306,[fe80::1]/n",
    "mysql://u:p@/n?socket=/s", "mysql://%75:%70@h/%6e?socket=%2Fs",
    "mysql://u@h/n?ssl-ca=/c",  "mysql://u@h/n?ssl-key=/k&ssl-cert=/c&socket=/s",
};

TEST_EACH(a_good_url_is_taken_without_connecting, good_urls)
{
    struct db *open = NULL;

    ck_assert_ptr_null(db_open(a, good_urls[_i], &open));

    ck_assert_ptr_nonnull(open);
    db_close(open);
}

static const struct {
    const char *query;
    int need;
    const char *ca, *cert, *key;
} asked[] = {
    {"", DB_TLS_OFFERED, NULL, NULL, NULL},
    {"?socket=/s", DB_TLS_OFFERED, NULL, NULL, NULL},
    {"?ssl-ca=/c%20a", DB_TLS_VERIFIED, "/c a", NULL, NULL},
    {"?ssl-verify=true", DB_TLS_VERIFIED, NULL, NULL, NULL},
    {"?ssl-verify=false", DB_TLS_ANY, NULL, NULL, NULL},
    {"?ssl-verify=false&ssl-ca=/a", DB_TLS_ANY, "/a", NULL, NULL},
    {"?ssl-cert=/c&ssl-key=/k", DB_TLS_VERIFIED, NULL, "/c", "/k"},
    {"?ssl-cert=/c%26&socket=/s&ssl-key=/k&ssl-verify=false", DB_TLS_ANY, NULL, "/c&", "/k"},
};

static bool is_same(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

TEST_EACH(the_parameters_of_tls_say_how_much_of_it_there_must_be, asked)
{
    struct db_url url;

    ck_assert_ptr_null(db_url_read(a, arena_printf(a, "mysql://u@h/n%s", asked[_i].query), &url));

    ck_assert_int_eq((int)url.tls.need, asked[_i].need);
    ck_assert(is_same(url.tls.ca, asked[_i].ca));
    ck_assert(is_same(url.tls.cert, asked[_i].cert));
    ck_assert(is_same(url.tls.key, asked[_i].key));
    db_url_release(&url);
}

static const struct {
    const char *rest;
    bool is_local;
} ways[] = {
    {"/n?socket=/s", true},
    {"localhost/n", true},
    {"localhost:1/n?socket=/s", true},
    {"localhost:1/n", false},
    {"127.0.0.1/n?socket=/s", false},
    {"h/n", false},
};

TEST_EACH(localhost_is_a_unix_socket_where_there_is_one, ways)
{
    struct db_url url;

    ck_assert_ptr_null(db_url_read(a, arena_printf(a, "mysql://u@%s", ways[_i].rest), &url));

    ck_assert_int_eq(db_url_is_local(&url, &url.hosts[0]), ways[_i].is_local);
    db_url_release(&url);
}

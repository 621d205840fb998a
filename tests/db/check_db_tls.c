/* needs: mariadb */
/* Connections by TCP are encrypted where the server can, and wherever the URL asks for it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "tests/support/suite.h"
#include "tests/support/things.h"
#include "tests/support/tls_server.h"

struct cipher {
    struct text cipher;
};

static const struct field cipher_fields[] = {FIELD(struct cipher, cipher, .doc = "Of TLS.")};
static const struct record cipher_record =
    RECORD("Cipher", struct cipher, cipher_fields, .rule = NULL);
static const struct sql sql_cipher = {
    "SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS "
    "WHERE VARIABLE_NAME = 'SSL_CIPHER'",
    &cipher_record};

static bool is_encrypted(void)
{
    struct cipher row = {TEXT("")};
    bool found = false;
    must_work(db_find(db, a, &sql_cipher, DB_NO_ARGS, &row, &found));
    ck_assert(found);
    return row.cipher.len > 0;
}

/* Have `db` go by TCP. In the query a @ is the folder of certificates. */
static void use(const char *host, const char *query)
{
    const char *at = strchr(query, '@'), *folder = tls_file("");
    if (at)
        query = arena_printf(a, "%.*s%s%s", (int)(at - query), query, folder, at + 1);
    char *url = tls_url(host, query);
    db_close(db);
    db_close(other);
    db = other = NULL;
    must_work(db_open(a, url, &db));
    must_work(db_open(a, url, &other));
    free(url);
}

static const char *client_query(void)
{
    const char *cert = arena_strdup(a, tls_file(TLS_CLIENT));
    return arena_printf(a, "ssl-cert=%s&ssl-key=%s&ssl-verify=false", cert,
                        tls_file(TLS_CLIENT_KEY));
}

/* Refused before anything was asked, for a reason that the operator finds in the log. */
static struct problem *refusal(void)
{
    struct problem *p = db_ping(db, a), *again = db_check_access(db, a);
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_uint_eq(p->db_error, 2026);
    ck_assert_ptr_nonnull(again); /* a reload finds out, too */
    size_t len = strcspn(strchr(database_url() + strlen("mysql://"), ':') + 1, "@");
    const char *password = arena_copy(a, strchr(database_url() + strlen("mysql://"), ':') + 1, len);
    ck_assert_ptr_null(strstr(p->cause, password));
    return p;
}

/* ---- a server with a good certificate ---- */

static void begin(void)
{
    create_tables();
    tls_server_begin(TLS_SERVER);
}

static void begin_again(void)
{
    tls_server_begin(TLS_SERVER);
}

static void begin_expired(void)
{
    tls_server_begin(TLS_EXPIRED);
}

static void begin_plain(void)
{
    tls_server_begin(NULL);
}

CASE("encrypted", set_up, tear_down);
CASE_AROUND(begin, tls_server_end);

static const struct {
    const char *host, *query;
} good[] = {
    {"127.0.0.1", ""}, /* whoever it is */
    {"127.0.0.2", ""},
    {"127.0.0.1", "ssl-ca=@" TLS_CA},
    {"localhost", "ssl-ca=@" TLS_CA},
    {"127.0.0.1", "ssl-verify=true&ssl-ca=@%63a.pem"},
    {"127.0.0.2", "ssl-ca=@" TLS_CA "&ssl-verify=false"},
    {"127.0.0.1", "ssl-verify=false"},
    {"127.0.0.2", "ssl-verify=false&ssl-ca=@" TLS_OTHER_CA},
};

TEST_EACH(a_good_server_is_talked_to_in_secret, good)
{
    use(good[_i].host, good[_i].query);

    ck_assert(is_encrypted());
    ck_assert(!db_is_remote(db));
    ck_assert_int_eq(db_is_verified(db),
                     strncmp(good[_i].query, "ssl-", 4) == 0 && !strstr(good[_i].query, "false"));
}

static const struct {
    const char *host, *query;
} bad[] = {
    {"127.0.0.1", "ssl-ca=@" TLS_OTHER_CA}, /* signed by somebody else */
    {"127.0.0.1", "ssl-verify=true"},       /* and by nobody whom the system knows */
    {"127.0.0.2", "ssl-ca=@" TLS_CA},       /* good, and another host's */
    {"127.0.0.1", "ssl-ca=@nonexistent.pem"},
    {"127.0.0.1", "ssl-cert=@client.pem&ssl-key=/nonexistent.key"},
    {"127.0.0.1", "ssl-cert=/nonexistent.pem&ssl-key=/nonexistent.key&ssl-verify=false"},
};

TEST_EACH(a_server_that_cannot_be_verified_is_told_nothing, bad)
{
    use(bad[_i].host, bad[_i].query);

    (void)refusal();
}

TEST(a_unix_socket_is_as_it_was)
{
    const char *at = database_url();
    db_close(db);
    must_work(db_open(a, arena_printf(a, "%s&ssl-ca=%s", at, tls_file(TLS_CA)), &db));

    ck_assert(!is_encrypted());
    ck_assert(!db_is_verified(db));
}

TEST(a_server_that_takes_nothing_unencrypted_takes_us)
{
    control_sql("SET GLOBAL require_secure_transport = ON;");

    use("127.0.0.1", "");
    must_work(db_ping(db, a));
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    must_work(db_ping(db, a));
    must_work(db_ping(other, a)); /* by the socket */

    control_sql("SET GLOBAL require_secure_transport = OFF;");
}

TEST(an_account_that_needs_a_certificate_is_let_in_with_ours)
{
    control_sql("ALTER USER postern@'127.%' REQUIRE SUBJECT '/CN=client';");

    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    struct problem *without = db_ping(db, a);
    use("127.0.0.1", client_query());
    must_work(db_ping(db, a));

    control_sql("ALTER USER postern@'127.%' REQUIRE NONE;");
    ck_assert_ptr_nonnull(without);
    ck_assert_uint_eq(without->db_error, 1045);
}

/* ---- what TLS must not change ---- */

TEST(long_answers_and_long_questions_go_through)
{
    struct uuid id = new_id();
    struct text content = long_text(12000000);
    struct thing out = {0};
    bool found = false;
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    insert_content(id, content, (int64_t)content.len);

    must_work(db_find(db, a, &find_thing, DB_ARGS(db_uuid(id)), &out, &found));

    ck_assert(found && text_equal(out.content, content));
}

TEST(a_connection_that_was_closed_is_replaced)
{
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    int64_t mine = number_of(db, &connection_id, DB_NO_ARGS);
    kill_connection(mine);

    ck_assert_int_ne(number_of(db, &connection_id, DB_NO_ARGS), mine);
    ck_assert(is_encrypted());
}

/* Closing it must not say good-bye in its name. */
TEST(a_child_leaves_the_connection_of_its_parent_alone)
{
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    int64_t mine = number_of(db, &connection_id, DB_NO_ARGS);
    pid_t child = fork();
    if (child == 0) {
        bool another = number_of(db, &connection_id, DB_NO_ARGS) != mine;
        db_close(db);
        _exit(another ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);

    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(number_of(db, &connection_id, DB_NO_ARGS), mine);
    ck_assert_uint_eq(db_take_counts(db).reconnects, 0);
}

TEST(a_frozen_server_is_given_up_in_seconds_and_used_when_it_is_back)
{
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    must_work(db_ping(db, a));
    control("freeze");
    int64_t began = time_ms();

    struct problem *p = db_ping(db, a);

    int64_t noticed = time_ms();
    control("thaw");
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_lt(noticed - began, 8000);
    while (db_ping(db, a))
        usleep(10000);
    ck_assert(is_encrypted());
}

TEST(a_server_that_freezes_while_it_is_told_something_is_given_up_in_seconds)
{
    struct text content = long_text(12000000); /* more than buffers on the way hold */
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    insert_titled(new_id(), "which prepares the statement");
    control("freeze");
    int64_t began = time_ms();

    struct problem *p =
        db_execute(db, a, &insert_thing,
                   DB_ARGS(db_uuid(new_id()), db_text(TEXT("t")), db_text(content), db_integer(0),
                           db_integer(0), db_text(TEXT("red")), db_time(instant_now())),
                   NULL);

    int64_t noticed = time_ms();
    control("thaw");
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_int_eq(p->retry, RETRY_UNKNOWN);
    ck_assert_int_lt(noticed - began, 8000);
    while (db_ping(db, a))
        usleep(10000);
}

/* It greets, if only to say so. */
TEST(a_full_server_at_a_long_statement_is_not_taken_for_frozen)
{
    static const struct sql nap = {"SELECT 0 * SLEEP(1.5) AS n", &number_record};
    struct db *more[12];
    struct problem *p = NULL;
    int n = 0;
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    must_work(db_ping(db, a));
    control_sql("SET GLOBAL max_connections = 10;");
    char *url = tls_url("127.0.0.1", "ssl-verify=false");
    for (; !p && n < COUNT(more); n++) {
        must_work(db_open(a, url, &more[n]));
        p = db_ping(more[n], a);
    }

    ck_assert_int_eq(number_of(db, &nap, DB_NO_ARGS), 0);

    ck_assert_uint_eq(db_take_counts(db).retries, 0);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p->db_error, 1040);
    while (n > 0)
        db_close(more[--n]);
    control_sql("SET GLOBAL max_connections = DEFAULT;");
    free(url);
}

TEST(a_limit_holds_for_an_answer_that_is_late)
{
    static const struct sql nap = {"SELECT 0 * SLEEP(5) AS n", &number_record};
    struct number row;
    bool found;
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    must_work(db_ping(db, a));
    db_limit(db, 300);
    int64_t began = time_ms();

    struct problem *p = db_find(db, a, &nap, DB_NO_ARGS, &row, &found);

    ck_assert_ptr_nonnull(p);
    ck_assert_int_lt(time_ms() - began, 4000);
}

/* ---- others ---- */

CASE("expired", set_up, tear_down);
CASE_AROUND(begin_expired, tls_server_end);

TEST(an_expired_certificate_is_none)
{
    use("127.0.0.1", "ssl-ca=@" TLS_CA);
    (void)refusal();
    use("127.0.0.1", "ssl-verify=false");
    ck_assert(is_encrypted());
}

CASE("plain", set_up, tear_down);
CASE_AROUND(begin_plain, tls_server_end);

TEST(a_server_without_tls_is_used_where_nobody_asks_for_it)
{
    use("127.0.0.1", "");

    ck_assert(!is_encrypted());
}

static const char *const asking[] = {"ssl-verify=true", "ssl-verify=false", "ssl-ca=@ca.pem"};

TEST_EACH(a_server_without_tls_is_refused_where_somebody_does, asking)
{
    use("127.0.0.1", asking[_i]);

    ck_assert_ptr_nonnull(strstr(refusal()->cause, "TLS"));
}

TEST(other_hosts_are_told_by_their_names)
{
    use("0x7f000001", ""); /* which is this one, by a name that nobody would look up */

    must_work(db_ping(db, a));
    ck_assert(db_is_remote(db));
}

CASE("again", set_up, tear_down);
CASE_AROUND(begin_again, tls_server_end);

/* Of a list each host is verified: the second is not trusted for the first. */
TEST(of_several_hosts_the_first_that_is_verified_is_used)
{
    char *url = tls_url("127.0.0.2", arena_printf(a, "ssl-ca=%s", tls_file(TLS_CA)));
    const char *port = strchr(strchr(url, '@'), ':'), *rest = strchr(port, '/');
    db_close(db);
    must_work(db_open(a, arena_printf(a, "%.*s,127.0.0.1%s", (int)(rest - url), url, port), &db));

    ck_assert(is_encrypted());
    ck_assert_ptr_nonnull(strstr(db_where(db, a), "127.0.0.1"));
    ck_assert_uint_eq(db_take_counts(db).failed_connects, 1);
    free(url);
}

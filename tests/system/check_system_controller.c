/* needs: mariadb */
/* Is the program alive, and able to serve? And what has no path. */
#include "tests/support/loopback.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/exposition.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

static void ck_ok(struct answer answer)
{
    ck_status(answer, 200);
    ck_assert_str_eq(answer.text, "{\"status\":\"ok\"}");
    ck_assert_str_eq(answer_header(answer, "Content-Type"), "application/json");
    ck_assert_str_eq(answer_header(answer, "X-Content-Type-Options"), "nosniff");
}

/* Something that a new try may find fixed. */
static void ck_unavailable(struct answer answer)
{
    ck_problem(answer, UNAVAILABLE);
    const char *retry_after = answer_header(answer, "Retry-After");
    ck_assert_ptr_nonnull(retry_after);
    ck_assert_int_ge(atoi(retry_after), 1);
    ck_assert_ptr_null(strstr(answer.text, "schema"));
    ck_assert_ptr_null(strstr(answer.text, "mysql"));
}

/* Give the application a database that nobody can reach. */
static void lose_database(void)
{
    static struct settings settings;
    settings = *the_app->settings;
    settings.database_url = TEXT("mysql://postern:x@localhost/postern?socket=/nonexistent/socket");
    app_close(the_app);
    must(app_open(the_arena, &settings, NULL, &the_app));
}

static const char *const probes[] = {"/health", "/ready"};

CASE("system", loopback_open, loopback_close);

TEST_EACH(a_probe_answers_without_looking_at_a_token, probes)
{
    ck_ok(api_get(NULL, "%s", probes[_i]));
    ck_ok(api_get("nonsense", "%s", probes[_i]));
    ck_ok(api_get(NULL, "%s/", probes[_i]));
    ck_ok(api_get(NULL, "%s?page=0", probes[_i]));
    ck_status(api_ask(.method = "HEAD", .path = probes[_i]), 200);
}

TEST_EACH(a_probe_has_its_methods, probes)
{
    struct answer answer = api_post(NULL, probes[_i], "{}");

    ck_problem(answer, METHOD_NOT_ALLOWED);
    ck_assert_str_eq(answer_header(answer, "Allow"), "GET, HEAD, OPTIONS");
}

/* What makes the schema another one than this program was built for, and what takes it back. */
static const struct {
    const char *spoil, *fix;
} schemas[] = {
    {"CREATE TEMPORARY TABLE kept AS SELECT * FROM schema_migrations WHERE number = 3; "
     "DELETE FROM schema_migrations WHERE number = 3",
     "INSERT INTO schema_migrations SELECT * FROM kept"},
    {"UPDATE schema_migrations SET complete = 0 WHERE number = 3",
     "UPDATE schema_migrations SET complete = 1 WHERE number = 3"},
    {"UPDATE schema_migrations SET checksum = REVERSE(checksum) WHERE number = 1",
     "UPDATE schema_migrations SET checksum = REVERSE(checksum) WHERE number = 1"},
    {"ALTER TABLE posts RENAME COLUMN version TO revision",
     "ALTER TABLE posts RENAME COLUMN revision TO version"},
    {"RENAME TABLE list_counts TO elsewhere", "RENAME TABLE elsewhere TO list_counts"},
    {"ALTER TABLE schema_migrations RENAME COLUMN number TO version",
     "ALTER TABLE schema_migrations RENAME COLUMN version TO number"},
    {"UPDATE schema_migrations SET number = 4711 WHERE number = 3",
     "UPDATE schema_migrations SET number = 3 WHERE number = 4711"},
    {"RENAME TABLE schema_migrations TO elsewhere", "RENAME TABLE elsewhere TO schema_migrations"},
};

static void run_all_sql(const char *statements)
{
    for (const char *at = statements; *at;) {
        size_t len = strcspn(at, ";");
        run_sql(say("%.*s", (int)len, at));
        at += len + (at[len] == ';');
    }
}

TEST_EACH(without_its_schema_the_program_is_alive_but_not_ready, schemas)
{
    run_all_sql(schemas[_i].spoil);
    struct answer alive = api_get(NULL, "/health"), ready = api_get(NULL, "/ready");
    run_all_sql(schemas[_i].fix);

    ck_ok(alive);
    ck_unavailable(ready);
    ck_ok(api_get(NULL, "/ready"));
}

/* Or `migrate` of a new release would take all hosts of the old one out of a balancer at once. */
TEST(a_schema_that_has_more_than_is_needed_is_good_enough)
{
    ck_ok(api_get(NULL, "/ready"));
    run_sql("INSERT INTO schema_migrations SELECT 4711, 'later.sql', checksum, 1, 1, applied_at "
            "FROM schema_migrations WHERE number = 1");
    run_sql("ALTER TABLE posts ADD COLUMN later INT NULL");
    struct answer ready = api_get(NULL, "/ready");
    run_sql("ALTER TABLE posts DROP COLUMN later");
    run_sql("DELETE FROM schema_migrations WHERE number = 4711");

    ck_ok(ready);
}

/* A monitor asks for it every second: what the server is, and whether its tables have the columns.
 */
TEST(to_be_ready_takes_two_statements)
{
    static const char asked[] = "SELECT CAST(variable_value AS INTEGER) AS n FROM "
                                "information_schema.session_status "
                                "WHERE variable_name = 'COM_STMT_EXECUTE'";
    ck_ok(api_get(NULL, "/ready"));
    int64_t before = ask_number(asked);

    ck_ok(api_get(NULL, "/ready"));

    ck_assert_int_eq(ask_number(asked) - before, 3); /* and the question itself */
}

TEST(without_its_database_the_program_is_alive_but_not_ready)
{
    lose_database();

    ck_ok(api_get(NULL, "/health"));
    ck_unavailable(api_get(NULL, "/ready"));
    ck_unavailable(api_get(NULL, "/posts"));
    ck_unavailable(
        api_post(NULL, "/auth/login", object("{'email':'a@b.org','password':'%s'}", PASSWORD)));
}

static const char *const no_paths[] = {"/",    "/none", "/healthy",  "/health/x", "/auth",
                                       "/%00", "/..",   "/posts/..", "/posts/%2e"};

TEST_EACH(an_unknown_path_does_not_exist, no_paths)
{
    struct answer answer = api_get("nonsense", "%s", no_paths[_i]);

    ck_problem(answer, NOT_FOUND);
    ck_assert_str_eq(answer_text(answer, "message"), "Resource does not exist");
    ck_status(api_ask(.method = "OPTIONS", .path = no_paths[_i]), 404);
    ck_status(api_ask(.method = "BREW", .path = no_paths[_i]), 404);
}

TEST(a_request_id_of_the_client_is_kept)
{
    struct answer answer = api_ask(.path = "/none", .param = "HTTP_X_REQUEST_ID=abc.DEF_123-x");

    ck_assert_str_eq(answer_header(answer, "X-Request-Id"), "abc.DEF_123-x");
    ck_problem(answer, NOT_FOUND);
}

static const char *const bad_request_ids[] = {
    "short_7", "", "with space", "quote\"quote", "\303\244\303\244\303\244\303\244", NULL};

TEST_EACH(a_strange_request_id_is_replaced, bad_request_ids)
{
    const char *given = bad_request_ids[_i] ? bad_request_ids[_i] : repeat("x", 65);

    struct answer answer = api_ask(.path = "/health", .param = say("HTTP_X_REQUEST_ID=%s", given));

    ck_ok(answer);
    ck_assert_str_ne(answer_header(answer, "X-Request-Id"), given);
    ck_assert_uint_ge(strlen(answer_header(answer, "X-Request-Id")), 8);
}

/* ---- what is said of the API ---- */

static const char *const documents[] = {"/docs", "/openapi.json"};

TEST_EACH(a_document_that_is_known_is_not_sent_again, documents)
{
    struct answer first = api_get(NULL, "%s", documents[_i]);
    ck_status(first, 200);
    const char *tag = answer_header(first, "ETag");
    ck_assert_ptr_nonnull(tag);

    struct answer known =
        api_ask(.path = documents[_i], .param = say("HTTP_IF_NONE_MATCH=W/%s", tag));
    struct answer other = api_ask(.path = documents[_i], .param = "HTTP_IF_NONE_MATCH=\"1\"");

    ck_status(known, 304);
    ck_assert_str_eq(answer_header(known, "ETag"), tag);
    ck_assert_str_eq(known.text, "");
    ck_status(other, 200);
    ck_assert_str_eq(other.text, first.text);
}

TEST(each_document_has_an_etag_of_its_own)
{
    const char *page = answer_header(api_get(NULL, "/docs"), "ETag");
    const char *json = answer_header(api_get(NULL, "/openapi.json"), "ETag");

    ck_assert_str_ne(page, json);
    ck_assert_str_eq(answer_header(api_get(NULL, "/docs"), "ETag"), page);
}

/* ---- metrics ---- */

#define LOCAL "REMOTE_ADDR=127.0.0.1"

static const char *scrape(void)
{
    struct answer answer = api_ask(.path = "/metrics", .param = LOCAL);
    ck_status(answer, 200);
    return ck_exposition(the_arena, answer.text);
}

TEST(metrics_are_text_that_nobody_keeps)
{
    struct answer answer = api_ask(.path = "/metrics", .param = LOCAL);
    struct answer head = api_ask(.method = "HEAD", .path = "/metrics", .param = LOCAL);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_header(answer, "Content-Type"),
                     "text/plain; version=0.0.4; charset=utf-8");
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_status(head, 200);
    ck_assert_str_eq(answer_header(head, "Content-Type"), answer_header(answer, "Content-Type"));
}

TEST(metrics_tell_of_mail_where_it_is_set_up)
{
    ck_assert_ptr_null(strstr(scrape(), "postern_mail"));
    loopback_set("MAIL_COMMAND=/bin/true");
    the_app->shared->mail.sent = 5;
    the_app->shared->mail.given_up = 2;
    the_app->shared->mail.waiting = 3;
    the_app->shared->mail.oldest_us = instant_plus_s(instant_now(), -100).us;

    const char *text = scrape();

    ck_assert(exposition_value(text, "postern_mail_messages_total{result=\"sent\"}") == 5);
    ck_assert(exposition_value(text, "postern_mail_messages_total{result=\"given_up\"}") == 2);
    ck_assert(exposition_value(text, "postern_mail_messages_total{result=\"failed\"}") == 0);
    ck_assert(exposition_value(text, "postern_mail_waiting") == 3);
    ck_assert(exposition_value(text, "postern_mail_waiting_seconds") >= 100);
    the_app->shared->mail.waiting = 0;
    the_app->shared->mail.oldest_us = 0;
    ck_assert(exposition_value(scrape(), "postern_mail_waiting_seconds") == 0);
}

TEST(metrics_have_no_path_for_others)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "POST", "DELETE"};
    const char *admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    for (int i = 0; i < COUNT(methods); i++) {
        struct answer answer = api_ask(.method = methods[i], .path = "/metrics", .token = admin);

        ck_problem(answer, NOT_FOUND);
        ck_assert_str_eq(answer_text(answer, "message"), "Resource does not exist");
    }
}

TEST(metrics_tell_what_was_asked)
{
    for (int i = 0; i < 3; i++)
        ck_status(api_get(NULL, "/health"), 200);
    ck_status(api_ask(.method = "HEAD", .path = "/health"), 200);
    ck_status(api_get(NULL, "/none"), 404);
    ck_status(api_get(NULL, "/users"), 401);
    ck_status(api_get(NULL, "/metrics"), 404);

    const char *text = scrape();

    ck_assert(exposition_requests(text, "/health", "GET", 200) == 3);
    ck_assert(exposition_requests(text, "/health", "HEAD", 200) == 1);
    ck_assert(exposition_requests(text, "other", "GET", 404) == 2);
    ck_assert(exposition_requests(text, "/users", "GET", 401) == 1);
    ck_assert(exposition_sum(text, "postern_http_requests_total", "") == 7);
    ck_assert(exposition_sum(text, "postern_http_request_duration_seconds_count", "") == 7);
    ck_assert(exposition_value(text, "postern_http_response_bytes_total{route=\"/health\",method="
                                     "\"GET\"}") == 3 * (double)strlen("{\"status\":\"ok\"}"));
    ck_assert(exposition_requests(scrape(), "/metrics", "GET", 200) ==
              1); /* that was the scrape before */
}

/* How much `name` grows by one request to `path`. */
static double growth(const char *name, const char *path)
{
    (void)scrape(); /* what was done before counts with this one */
    double before = exposition_value(scrape(), name);
    (void)api_get(NULL, "%s", path);
    return exposition_value(scrape(), name) - before;
}

TEST(metrics_tell_what_the_database_took)
{
    ck_assert(growth("postern_database_statements_total", "/health") == 0);
    ck_assert(growth("postern_database_statements_total", "/posts") >= 1);
    ck_assert(growth("postern_database_wait_seconds_total", "/posts") > 0);
    ck_assert(growth("postern_database_reconnects_total", "/posts") == 0);
    db_disconnect(the_app->db);
    ck_assert(growth("postern_database_reconnects_total", "/posts") == 1);
    lose_database();
    ck_assert(growth("postern_database_failed_connects_total", "/posts") >= 1);
}

TEST(metrics_tell_version_and_beginning)
{
    const char *text = scrape();

    ck_assert(exposition_value(text, "postern_build_info{version=\"" PACKAGE_VERSION "\"}") == 1);
    ck_assert(exposition_value(text, "postern_start_time_seconds") ==
              (double)(the_app->shared->began_us / 1000000));
    ck_assert_ptr_null(strstr(text, "{pool=")); /* there is none here */
}

TEST(without_a_pool_there_is_one_queue)
{
    const struct pool_worker worker = {.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
    ck_assert_int_eq(bind(worker.listen_fd, (const void *)&unnamed, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(listen(worker.listen_fd, 5), 0);
    the_app->worker = &worker;

    const char *text = scrape();

    ck_assert(exposition_value(text, "postern_workers{pool=\"single\"}") == -1);
    ck_assert(exposition_value(text, "postern_queue_connections{pool=\"single\"}") <= 0);
    (void)close(worker.listen_fd);
}

/* needs: mariadb */
/* Is the program alive, and able to serve? And what has no path. */
#include "tests/support/loopback.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/exposition.h"
#include "tests/support/suite.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

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
    ck_problem(answer, 503, "Service Unavailable", "unavailable");
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

START_TEST(a_probe_answers_without_looking_at_a_token)
{
    ck_ok(get(NULL, "%s", probes[_i]));
    ck_ok(get("nonsense", "%s", probes[_i]));
    ck_ok(get(NULL, "%s/", probes[_i]));
    ck_ok(get(NULL, "%s?page=0", probes[_i]));
    ck_status(ask(.method = "HEAD", .path = probes[_i]), 200);
}
END_TEST

START_TEST(a_probe_has_its_methods)
{
    struct answer answer = post(NULL, probes[_i], "{}");

    ck_problem(answer, 405, "Method Not Allowed", "method_not_allowed");
    ck_assert_str_eq(answer_header(answer, "Allow"), "GET, HEAD, OPTIONS");
}
END_TEST

/* What makes the schema another one than this program was built for, and what takes it back. */
static const struct {
    const char *spoil, *mend;
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
    {"RENAME TABLE post_totals TO elsewhere", "RENAME TABLE elsewhere TO post_totals"},
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

START_TEST(without_its_schema_the_program_is_alive_but_not_ready)
{
    run_all_sql(schemas[_i].spoil);
    struct answer alive = get(NULL, "/health"), ready = get(NULL, "/ready");
    run_all_sql(schemas[_i].mend);

    ck_ok(alive);
    ck_unavailable(ready);
    ck_ok(get(NULL, "/ready"));
}
END_TEST

/* Or `migrate` of a new release would take all hosts of the old one out of a balancer at once. */
START_TEST(a_schema_that_has_more_than_is_needed_is_good_enough)
{
    ck_ok(get(NULL, "/ready"));
    run_sql("INSERT INTO schema_migrations SELECT 4711, 'later.sql', checksum, 1, 1, applied_at "
            "FROM schema_migrations WHERE number = 1");
    run_sql("ALTER TABLE posts ADD COLUMN later INT NULL");
    struct answer ready = get(NULL, "/ready");
    run_sql("ALTER TABLE posts DROP COLUMN later");
    run_sql("DELETE FROM schema_migrations WHERE number = 4711");

    ck_ok(ready);
}
END_TEST

/* A monitor asks for it every second: what the server is, and whether its tables have the columns.
 */
START_TEST(to_be_ready_takes_two_statements)
{
    static const char asked[] = "SELECT CAST(variable_value AS INTEGER) AS n FROM "
                                "information_schema.session_status "
                                "WHERE variable_name = 'COM_STMT_EXECUTE'";
    ck_ok(get(NULL, "/ready"));
    int64_t before = ask_number(asked);

    ck_ok(get(NULL, "/ready"));

    ck_assert_int_eq(ask_number(asked) - before, 3); /* and the question itself */
}
END_TEST

START_TEST(without_its_database_the_program_is_alive_but_not_ready)
{
    lose_database();

    ck_ok(get(NULL, "/health"));
    ck_unavailable(get(NULL, "/ready"));
    ck_unavailable(get(NULL, "/posts"));
    ck_unavailable(
        post(NULL, "/auth/login", object("{'email':'a@b.org','password':'%s'}", PASSWORD)));
}
END_TEST

static const char *const no_paths[] = {"/",    "/none", "/healthy",  "/health/x", "/auth",
                                       "/%00", "/..",   "/posts/..", "/posts/%2e"};

START_TEST(an_unknown_path_does_not_exist)
{
    struct answer answer = get("nonsense", "%s", no_paths[_i]);

    ck_problem(answer, 404, "Not Found", "not_found");
    ck_assert_str_eq(answer_text(answer, "message"), "Resource does not exist");
    ck_status(ask(.method = "OPTIONS", .path = no_paths[_i]), 404);
    ck_status(ask(.method = "BREW", .path = no_paths[_i]), 404);
}
END_TEST

START_TEST(a_request_id_of_the_client_is_kept)
{
    struct answer answer = ask(.path = "/none", .param = "HTTP_X_REQUEST_ID=abc.DEF_123-x");

    ck_assert_str_eq(answer_header(answer, "X-Request-Id"), "abc.DEF_123-x");
    ck_problem(answer, 404, "Not Found", "not_found");
}
END_TEST

static const char *const bad_request_ids[] = {
    "short_7", "", "with space", "quote\"quote", "\303\244\303\244\303\244\303\244", NULL};

START_TEST(a_strange_request_id_is_replaced)
{
    const char *given = bad_request_ids[_i] ? bad_request_ids[_i] : repeat("x", 65);

    struct answer answer = ask(.path = "/health", .param = say("HTTP_X_REQUEST_ID=%s", given));

    ck_ok(answer);
    ck_assert_str_ne(answer_header(answer, "X-Request-Id"), given);
    ck_assert_uint_ge(strlen(answer_header(answer, "X-Request-Id")), 8);
}
END_TEST

/* ---- metrics ---- */

#define LOCAL "REMOTE_ADDR=127.0.0.1"

static const char *scrape(void)
{
    struct answer answer = ask(.path = "/metrics", .param = LOCAL);
    ck_status(answer, 200);
    const char *wrong = exposition_fault(the_arena, answer.text);
    ck_assert_msg(!wrong, "%s", wrong);
    return answer.text;
}

static double requests(const char *text, const char *route, const char *method, int status)
{
    return exposition_value(
        text, say("postern_http_requests_total{route=\"%s\",method=\"%s\",status=\"%d\"}", route,
                  method, status));
}

START_TEST(metrics_are_text_that_nobody_keeps)
{
    struct answer answer = ask(.path = "/metrics", .param = LOCAL);
    struct answer head = ask(.method = "HEAD", .path = "/metrics", .param = LOCAL);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_header(answer, "Content-Type"),
                     "text/plain; version=0.0.4; charset=utf-8");
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
    ck_status(head, 200);
    ck_assert_str_eq(answer_header(head, "Content-Type"), answer_header(answer, "Content-Type"));
}
END_TEST

START_TEST(metrics_have_no_path_for_others)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "POST", "DELETE"};
    const char *admin = (make_user("admin@example.org", ROLE_ADMIN), log_in("admin@example.org"));
    for (int i = 0; i < COUNT(methods); i++) {
        struct answer answer = ask(.method = methods[i], .path = "/metrics", .token = admin);

        ck_problem(answer, 404, "Not Found", "not_found");
        ck_assert_str_eq(answer_text(answer, "message"), "Resource does not exist");
    }
}
END_TEST

START_TEST(metrics_tell_what_was_asked)
{
    for (int i = 0; i < 3; i++)
        ck_status(get(NULL, "/health"), 200);
    ck_status(ask(.method = "HEAD", .path = "/health"), 200);
    ck_status(get(NULL, "/none"), 404);
    ck_status(get(NULL, "/users"), 401);
    ck_status(get(NULL, "/metrics"), 404);

    const char *text = scrape();

    ck_assert(requests(text, "/health", "GET", 200) == 3);
    ck_assert(requests(text, "/health", "HEAD", 200) == 1);
    ck_assert(requests(text, "other", "GET", 404) == 2);
    ck_assert(requests(text, "/users", "GET", 401) == 1);
    ck_assert(exposition_sum(text, "postern_http_requests_total", "") == 7);
    ck_assert(exposition_sum(text, "postern_http_request_duration_seconds_count", "") == 7);
    ck_assert(exposition_value(text, "postern_http_response_bytes_total{route=\"/health\",method="
                                     "\"GET\"}") == 3 * (double)strlen("{\"status\":\"ok\"}"));
    ck_assert(requests(scrape(), "/metrics", "GET", 200) == 1); /* that was the scrape before */
}
END_TEST

/* How much `name` grows by one request to `path`. */
static double growth(const char *name, const char *path)
{
    (void)scrape(); /* what was done before counts with this one */
    double before = exposition_value(scrape(), name);
    (void)get(NULL, "%s", path);
    return exposition_value(scrape(), name) - before;
}

START_TEST(metrics_tell_what_the_database_took)
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
END_TEST

START_TEST(metrics_tell_version_and_beginning)
{
    const char *text = scrape();

    ck_assert(exposition_value(text, "postern_build_info{version=\"" PACKAGE_VERSION "\"}") == 1);
    ck_assert(exposition_value(text, "postern_start_time_seconds") ==
              (double)(the_app->shared->began_us / 1000000));
    ck_assert_ptr_null(strstr(text, "{pool=")); /* there is none here */
}
END_TEST

START_TEST(without_a_pool_there_is_one_queue)
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
END_TEST

int main(void)
{
    Suite *suite = suite_create("system_controller");
    TCase *tc = tcase_create("system");
    tcase_add_checked_fixture(tc, loopback_open, loopback_close);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_probe_answers_without_looking_at_a_token, 0, COUNT(probes));
    tcase_add_loop_test(tc, a_probe_has_its_methods, 0, COUNT(probes));
    tcase_add_loop_test(tc, without_its_schema_the_program_is_alive_but_not_ready, 0,
                        COUNT(schemas));
    tcase_add_test(tc, a_schema_that_has_more_than_is_needed_is_good_enough);
    tcase_add_test(tc, to_be_ready_takes_two_statements);
    tcase_add_test(tc, without_its_database_the_program_is_alive_but_not_ready);
    tcase_add_loop_test(tc, an_unknown_path_does_not_exist, 0, COUNT(no_paths));
    tcase_add_test(tc, a_request_id_of_the_client_is_kept);
    tcase_add_loop_test(tc, a_strange_request_id_is_replaced, 0, COUNT(bad_request_ids));
    tcase_add_test(tc, metrics_are_text_that_nobody_keeps);
    tcase_add_test(tc, metrics_have_no_path_for_others);
    tcase_add_test(tc, metrics_tell_what_was_asked);
    tcase_add_test(tc, metrics_tell_what_the_database_took);
    tcase_add_test(tc, metrics_tell_version_and_beginning);
    tcase_add_test(tc, without_a_pool_there_is_one_queue);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}

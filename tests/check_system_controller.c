/* Is the program alive, and able to serve? And what has no path. */
#include "loopback.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static void ck_ok(struct answer answer)
{
    ck_status(answer, 200);
    ck_assert_str_eq(answer.text, "{\"status\":\"ok\"}");
    ck_assert_str_eq(answer_header(answer, "Content-Type"), "application/json");
    ck_assert_str_eq(answer_header(answer, "X-Content-Type-Options"), "nosniff");
}

/* Something that a new try may find mended. */
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

static const char *const no_paths[] = {"/", "/none", "/healthy", "/health/x", "/auth", "/%00"};

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
    tcase_add_test(tc, without_its_database_the_program_is_alive_but_not_ready);
    tcase_add_loop_test(tc, an_unknown_path_does_not_exist, 0, COUNT(no_paths));
    tcase_add_test(tc, a_request_id_of_the_client_is_kept);
    tcase_add_loop_test(tc, a_strange_request_id_is_replaced, 0, COUNT(bad_request_ids));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

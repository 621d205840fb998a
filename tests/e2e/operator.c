/* operator.c -- what an operator asks of a running installation, by command line. */
#include <string.h>
#include <sysexits.h>

#include "tests/e2e/http.h"

static struct backend pool;
static struct front front;

static void set_up(void)
{
    http_set_up();
    backend_make(&pool);
    backend_start(&pool, LIST("MAX_BODY=4096"));
}

static void tear_down(void)
{
    front_stop(&front);
    backend_stop(&pool);
    http_tear_down();
}

/* Run doctor with the pool's settings against the front; returns what it printed. */
static const char *consult(int status)
{
    struct buf output;
    buf_init(&output, (size_t)64 * 1024);
    const char *const names[] = {
        "ENV=development",
        say("JWT_SECRET_KEY=%s", world_key()),
        say("LISTEN=%s", pool.fast),
        say("HASH_LISTEN=%s", pool.hash),
        "MAX_BODY=4096",
        NULL,
    };
    int got =
        world_run(LIST("./postern", "doctor", "--url", say("http://127.0.0.1:%d/api", front.port)),
                  names, NULL, &output);
    const char *text = arena_copy(the_arena, output.data, output.len);
    buf_release(&output);
    ck_assert_msg(got == status, "status %d instead of %d:\n%s", got, status, text);
    return text;
}

/* nginx's own bound may be the one of the program, or a larger one. */
static const char *const bounds[] = {"MAX_BODY=4096", "MAX_BODY=65536"};

CASE("operator", set_up, tear_down);
CASE_IF(!world_at_apache());

TEST_EACH(doctor_finds_nothing_wrong_behind_nginx, bounds)
{
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off", bounds[_i]));

    const char *told = consult(EX_OK);

    ck_assert_ptr_null(strstr(told, "FAIL"));
    ck_assert_ptr_nonnull(strstr(told, "ok   database and schema are ready\n"));
    ck_assert_ptr_nonnull(strstr(told, "ok   Authorization reaches the program\n"));
    ck_assert_ptr_nonnull(strstr(told, "ok   PATCH reaches the program\n"));
    ck_assert_ptr_nonnull(strstr(told, "ok   X-Request-Id reaches the program\n"));
    ck_assert_ptr_nonnull(strstr(told, "ok   a body above MAX_BODY is refused with JSON\n"));
}

TEST(doctor_sees_that_the_pool_is_away)
{
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off", "MAX_BODY=4096"));
    backend_stop(&pool);

    const char *told = consult(EX_UNAVAILABLE);

    ck_assert_ptr_nonnull(strstr(told, "FAIL LISTEN: "));
    ck_assert_ptr_nonnull(strstr(told, "FAIL not so: the API is there: "));
    ck_assert_ptr_nonnull(strstr(told, "status 502, unavailable"));
}

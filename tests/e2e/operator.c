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
    int got;
    const char *const names[] = {
        "ENV=development",
        say("JWT_SECRET_KEY=%s", world_key()),
        say("LISTEN=%s", pool.fast),
        say("HASH_LISTEN=%s", pool.hash),
        "MAX_BODY=4096",
        NULL,
    };
    const char *url = say("http://127.0.0.1:%d/api", front.port);
    const char *text = output_of(LIST("./postern", "doctor", "--url", url), names, &got);
    ck_assert_msg(got == status, "status %d instead of %d:\n%s", got, status, text);
    return text;
}

static void ck_told(const char *told, const char *what)
{
    ck_assert_msg(strstr(told, what) != NULL, "no %s in:\n%s", what, told);
}

/* nginx's own bound may be the one of the program, or a larger one. */
static const char *const bounds[] = {"MAX_BODY=4096", "MAX_BODY=65536"};

CASE("operator", set_up, tear_down);
CASE_IF(world_at("nginx"));

TEST_EACH(doctor_finds_nothing_wrong_behind_nginx, bounds)
{
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off", bounds[_i]));

    const char *told = consult(EX_OK);

    ck_assert_ptr_null(strstr(told, "FAIL"));
    ck_told(told, "ok   database and schema are ready\n");
    ck_told(told, "ok   Authorization reaches the program\n");
    ck_told(told, "ok   PATCH reaches the program\n");
    ck_told(told, "ok   X-Request-Id reaches the program\n");
    ck_told(told, "ok   a body above MAX_BODY is refused with JSON\n");
}

TEST(doctor_sees_that_the_pool_is_away)
{
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off", "MAX_BODY=4096"));
    backend_stop(&pool);

    const char *told = consult(EX_UNAVAILABLE);

    ck_told(told, "FAIL LISTEN: ");
    ck_told(told, "FAIL not so: the API is there: ");
    ck_told(told, "status 502, unavailable");
}

/* guesses.c -- passwords are guessed in parallel, from one address and from many. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/http.h"
#include "tests/support/refusals.h"

#define RIVALS 40
#define PAIR 10    /* tries at an account from one address */
#define ACCOUNT 20 /* and from everywhere */
#define SPARE 2    /* and past that, from each address */
#define WORKERS 6  /* of both kinds */

static struct backend pool, unlimited;
static struct front front, unlimited_front;

/* nginx's own limit would hide ours. */
static void start_both(void)
{
    backend_start(&pool, LIST("WORKERS=2", "HASH_WORKERS=4", "TRUSTED_PROXIES=127.0.1.0/24"));
    backend_start(&unlimited, LIST("WORKERS=1", "HASH_WORKERS=2", "LOGIN_LIMIT=off"));
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off"));
    front_start(&unlimited_front, &unlimited, LIST("LOGIN_LIMIT=off"));
    the_front = &front;
}

static void stop_both(void)
{
    front_stop(&front);
    front_stop(&unlimited_front);
    backend_stop(&pool);
    backend_stop(&unlimited);
}

static struct answer enter(const struct front *at, const char *from, const char *email,
                           const char *password)
{
    return fetch(.at = at, .path = "/api/auth/login", .from = from,
                 .body = object("{'email':'%s','password':'%s'}", email, password));
}

static struct answer enter_from(const char *from, const char *email)
{
    return enter(&front, from, email, PASSWORD);
}

/* So many wrong passwords at once; returns how many were tried. */
static int storm(const char *from, const char *email, int count)
{
    const struct http_call call = {.path = "/api/auth/login",
                                   .from = from,
                                   .body = object("{'email':'%s','password':'wrong'}", email)};
    struct flight *flights[RIVALS];
    int tried = 0;
    for (int i = 0; i < count; i++)
        flights[i] = http_send(&call);
    for (int i = 0; i < count; i++) {
        struct answer r = http_land(flights[i]);
        if (r.status == 401)
            tried++;
        else
            ck_problem(r, RATE_LIMITED);
    }
    return tried;
}

NGINX_CASE("guesses");
CASE_AROUND(start_both, stop_both);

TEST(parallel_guesses_do_not_slip_through)
{
    const char *email = new_account(NULL);

    ck_assert_int_eq(storm("127.0.0.2", email, RIVALS), PAIR);

    struct answer r = enter_from("127.0.0.2", email);
    ck_problem(r, RATE_LIMITED);
    long wait = strtol(answer_header(r, "Retry-After"), NULL, 10);
    ck_assert_int_gt(wait, 240);
    ck_assert_int_le(wait, 300);
    ck_status(enter_from("127.0.0.3", email), 200);
    ck_assert(backend_logged(&pool, "\"event\":\"login_limited\""));
    ck_assert(backend_logged(&pool, "\"ip\":\"127.0.0.2\""));
    ck_assert(!backend_logged(&pool, email));
}

TEST(many_addresses_do_not_lock_the_owner_out)
{
    const char *email = new_account(NULL);
    int tried = 0;
    for (int i = 0; i < 8; i++)
        tried += storm(say("127.0.0.%d", 20 + i), email, 8);

    /* A minute gives one back, and this may take a few seconds. */
    ck_assert_int_ge(tried, ACCOUNT + 6 * SPARE);
    ck_assert_int_le(tried, ACCOUNT + 6 * SPARE + 1);
    ck_status(enter_from("127.0.0.40", email), 200);
    ck_status(enter_from("127.0.0.40", email), 200);
}

TEST(what_was_counted_outlives_a_reload_and_killed_workers)
{
    pid_t workers[WORKERS_MAX];
    const char *email = new_account(NULL);
    ck_assert_int_eq(storm("127.0.0.4", email, PAIR - 1), PAIR - 1);

    backend_reload(&pool, WORKERS);
    ck_assert_uint_eq(backend_workers(&pool, workers), WORKERS);
    for (size_t i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(kill(workers[i], SIGKILL), 0);
        backend_await_workers(&pool, WORKERS, workers[i]);
    }

    ck_assert_int_eq(storm("127.0.0.4", email, RIVALS), 1);
}

TEST(limits_can_be_off)
{
    const char *email = new_account(NULL);

    for (int i = 0; i < ACCOUNT + 2; i++)
        ck_status(enter(&unlimited_front, NULL, email, "wrong"), 401);

    ck_status(enter(&unlimited_front, NULL, email, PASSWORD), 200);
}

/* What nginx does not pass on by itself; see nginx/render's TRUSTED_PROXIES. */
static void pass_forwarded_for(void)
{
    char path[WORLD_PATH + 24];
    snprintf(path, sizeof path, "%s/conf/fastcgi.conf", front.folder);
    FILE *file = fopen(path, "ae");
    ck_assert_ptr_nonnull(file);
    fputs("fastcgi_param HTTP_X_FORWARDED_FOR $http_x_forwarded_for if_not_empty;\n", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(kill(front.pid, SIGHUP), 0);
}

static const char *seen_from(const char *from, const char *email, const char *header)
{
    struct answer r = fetch(.path = "/api/auth/login", .from = from,
                            .headers = {header, "X-Forwarded-For: 127.0.1.8"},
                            .body = object("{'email':'%s','password':'%s'}", email, PASSWORD));
    ck_status(r, 200);
    r = fetch(.path = "/api/auth/sessions", .token = answer_text(r, "access_token"));
    return answer_text(r, "data.0.ip");
}

TEST(the_client_behind_a_trusted_proxy_is_found)
{
    const char *email = new_account(NULL), *header = "X-Forwarded-For: 6.6.6.6, 203.0.113.9";
    ck_assert_str_eq(seen_from("127.0.1.7", email, header), "127.0.1.7");
    pass_forwarded_for();

    const char *seen = "";
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(20))
        if (strcmp(seen = seen_from("127.0.1.7", email, header), "127.0.1.7") != 0)
            break;

    ck_assert_str_eq(seen, "203.0.113.9");
    ck_assert_str_eq(seen_from("127.0.0.7", email, header), "127.0.0.7");
}

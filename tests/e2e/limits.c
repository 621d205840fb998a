/* limits.c -- who does too much, through nginx, by the counts that all workers share. */
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/http.h"

#define REGISTER 20 /* from a network at once */
#define REGISTER_S 180
#define POSTS 300 /* of an account at once, and then one a second */
#define AT_ONCE 24

static struct backend pool;
static struct front front;

/* nginx's own limit would hide ours. */
static void start(void)
{
    backend_start(&pool,
                  LIST("WORKERS=3", "HASH_WORKERS=2", "LIMITS=on", "TRUSTED_PROXIES=127.0.1.0/24"));
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off", "TRUSTED_PROXIES=127.0.1.0/24"));
    the_front = &front;
}

static void stop(void)
{
    front_stop(&front);
    backend_stop(&pool);
}

/* Send one call many times at once; returns how many were let through, and asserts that all others
 * were refused for that. */
static int storm(const struct http_call *calls, int count, int status)
{
    struct flight *flights[AT_ONCE];
    int through = 0;
    for (int i = 0; i < count; i++)
        flights[i] = http_send(&calls[i]);
    for (int i = 0; i < count; i++) {
        struct answer r = http_land(flights[i]);
        if (r.status == status) {
            through++;
            continue;
        }
        ck_problem(r, 429, "Too Many Requests", "rate_limited");
        ck_assert_ptr_nonnull(answer_header(r, "Retry-After"));
    }
    return through;
}

static struct http_call registration(const char *forwarded_for)
{
    return (struct http_call){.path = "/api/auth/register",
                              .from = "127.0.1.7",
                              .headers = {say("X-Forwarded-For: %s", forwarded_for)},
                              .body =
                                  object("{'email':'%s','password':'%s'}", new_email(), PASSWORD)};
}

static int register_many(const char *forwarded_for, int count)
{
    struct http_call calls[AT_ONCE];
    for (int i = 0; i < count; i++)
        calls[i] = registration(forwarded_for);
    return storm(calls, count, 201);
}

NGINX_CASE("too much");
CASE_AROUND(start, stop);

/* Behind a balancer clients are told apart wherever they are, also in a private network. */
static const char *const networks[] = {"203.0.113.9", "10.20.30.40"};

TEST_EACH(a_network_registers_so_often_over_all_workers, networks)
{
    const char *client = networks[_i];
    const struct http_call one_more = registration(client);
    ck_assert_int_eq(register_many(client, AT_ONCE), REGISTER);

    struct answer r = http_fetch(&one_more);

    ck_problem(r, 429, "Too Many Requests", "rate_limited");
    long wait = strtol(answer_header(r, "Retry-After"), NULL, 10);
    ck_assert_int_gt(wait, REGISTER_S / 2);
    ck_assert_int_le(wait, REGISTER_S);
    ck_assert(backend_logged(&pool, "\"event\":\"limited\""));
    ck_assert(backend_logged(&pool, say("\"limit\":\"register\",\"ip\":\"%s\"", client)));
    ck_assert_int_eq(register_many("198.51.100.7", 1), 1);
}

/* Nobody has said who they are, and so they may be everybody. */
TEST(a_proxy_that_is_not_known_is_not_counted_as_one_client)
{
    struct http_call calls[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++) {
        calls[i] = registration("203.0.113.77");
        calls[i].from = "127.0.0.7";
    }

    ck_assert_int_eq(storm(calls, AT_ONCE, 201), AT_ONCE);
}

TEST(an_account_writes_so_much_over_all_workers)
{
    const char *token = new_user(NULL);
    struct http_call calls[AT_ONCE];
    long began = now_ms();
    int written = 0, last = AT_ONCE;
    for (int i = 0; i < AT_ONCE; i++)
        calls[i] = (struct http_call){
            .path = "/api/posts", .token = token, .body = object("{'title':'much','content':'c'}")};

    while (last == AT_ONCE)
        written += last = storm(calls, AT_ONCE, 201);

    ck_assert_int_ge(written, POSTS);
    ck_assert_int_le(written, POSTS + (now_ms() - began) / 1000 + 1);
    ck_assert(backend_logged(&pool, "\"limit\":\"posts\""));
    ck_status(fetch(.path = "/api/posts", .token = new_user(NULL), .body = calls[0].body), 201);
}

/* protocol.c -- versions, repeated requests, long lists, caches, and what the API says of itself.
 */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/digest.h"
#include "tests/e2e/http.h"
#include "tests/support/refusals.h"

#define WORKERS 4
#define RIVALS 20
#define POSTS 23 /* of a walk, some pages and a rest */
#define BODY_LIMIT 524288

static struct backend pool, nothing;
static struct front usual, limited, deserted;

static void start_all(void)
{
    backend_start(&pool, LIST("WORKERS=4", "HASH_WORKERS=2"));
    front_start(&usual, &pool, LIST("LOGIN_LIMIT=off"));
    the_front = &usual;
    if (!world_at("nginx"))
        return;
    backend_make(&nothing);
    front_start_strict(&limited, &pool, LIST("CORS_ORIGINS=https://app.example.org"));
    front_start(&deserted, &nothing, LIST("LOGIN_LIMIT=off"));
}

static void stop_all(void)
{
    front_stop(&usual);
    front_stop(&limited);
    front_stop(&deserted);
    backend_stop(&pool);
}

/* ---- versions ---- */

/* What has a version: a path, and who may read and change it. */
struct versioned {
    const char *path, *token, *change;
};

/* Both kinds are larger than what nginx takes to be worth compressing, 1 KiB. */
static struct versioned make_long_user(void)
{
    const char *id, *token = new_user(&id), *name = repeat("\xF0\x9F\x90\x98", 100);
    const char *path = say("/api/users/%s", id);
    ck_status(fetch(.method = "PATCH", .path = path, .token = token,
                    .body = object("{'first_name':'%s','last_name':'%s'}", name, name)),
              200);
    return (struct versioned){path, token, "{\"first_name\":\"Grace\"}"};
}

static struct versioned make_long_post(void)
{
    const char *token = new_user(NULL), *words = repeat("many words ", 300);
    struct answer r =
        fetch(.path = "/api/posts", .token = token,
              .body = object("{'title':'Long','published':true,'content':'%s'}", words));
    ck_status(r, 201);
    return (struct versioned){say("/api/posts/%s", answer_text(r, "post.id")), token,
                              "{\"title\":\"Short\"}"};
}

static struct versioned (*const makers[])(void) = {make_long_user, make_long_post};

static const char *etag(struct answer r)
{
    const char *tag = answer_header(r, "ETag");
    ck_assert_msg(tag != NULL && *tag == '"', "no strong ETag: %s", r.headers);
    return tag;
}

/* What If-None-Match may hold around the tag, or in its place. */
static const struct {
    const char *before;
    bool has_tag;
    const char *after;
    int status;
} known[] = {
    {"", true, "", 304},
    {"W/", true, "", 304},
    {"\"17\", ", true, "", 304},
    {"\"17\",W/", true, ",\"18\"", 304},
    {"*", false, "", 304},
    {"\"17\"", false, "", 200},
    {"W/\"17\", \"18\"", false, "", 200},
};

HTTP_CASE("protocol");
CASE_AROUND(start_all, stop_all);

TEST_EACH(a_version_that_is_known_is_not_sent_again, known)
{
    static const char *const methods[] = {"GET", "HEAD"};
    const struct versioned things[] = {makers[0](), makers[1]()};
    for (int i = 0; i < COUNT(makers) * COUNT(methods) * 2; i++) {
        struct versioned thing = things[i % 2];
        const char *tag = etag(fetch(.path = thing.path, .token = thing.token));
        const char *list =
            say("%s%s%s", known[_i].before, known[_i].has_tag ? tag : "", known[_i].after);

        struct answer r =
            fetch(.method = methods[i / 2 % 2], .path = thing.path, .token = thing.token,
                  .gzip = i / 4, .headers = {say("If-None-Match: %s", list)});

        ck_status(r, known[_i].status);
        ck_header(r, "ETag", tag);
        ck_header(r, "Cache-Control", "private, no-cache");
        ck_no_header(r, "Content-Encoding");
        ck_assert_uint_eq(header_count(r.headers, "Content-Type"), r.status == 200);
    }
}

TEST_EACH(tags_are_strong_and_gzip_does_not_weaken_them, makers)
{
    struct versioned thing = makers[_i]();

    struct answer plain = fetch(.path = thing.path, .token = thing.token);
    struct answer asked = fetch(.path = thing.path, .token = thing.token, .gzip = true);
    struct answer head =
        fetch(.method = "HEAD", .path = thing.path, .token = thing.token, .gzip = true);

    ck_assert_uint_gt(strlen(plain.text), 1024);
    ck_header(asked, "ETag", etag(plain));
    ck_header(head, "ETag", etag(plain));
    ck_no_header(asked, "Content-Encoding");
    ck_assert_str_eq(asked.text, plain.text);
}

static struct answer change(struct versioned thing, const char *tag)
{
    return fetch(.method = "PATCH", .path = thing.path, .token = thing.token, .body = thing.change,
                 .headers = {say("If-Match: %s", tag)});
}

static struct answer drop_if(struct versioned thing, const char *tag)
{
    return fetch(.method = "DELETE", .path = thing.path,
                 .token = strstr(thing.path, "/users/") ? token_of(ADMIN_EMAIL) : thing.token,
                 .headers = {say("If-Match: %s", tag)});
}

TEST_EACH(only_the_version_that_is_meant_is_touched, makers)
{
    struct versioned thing = makers[_i]();
    const char *old = etag(fetch(.path = thing.path, .token = thing.token));

    struct answer other = change(thing, "\"17\"");
    struct answer weak = change(thing, say("W/%s", old));
    struct answer changed = change(thing, old);
    struct answer stale = change(thing, old);
    struct answer stale_drop = drop_if(thing, old);
    struct answer now = fetch(.path = thing.path, .token = thing.token);
    struct answer dropped = drop_if(thing, say("\"17\", %s", etag(changed)));

    ck_problem(other, PRECONDITION_FAILED);
    ck_problem(weak, PRECONDITION_FAILED);
    ck_status(changed, 200);
    ck_assert_str_ne(etag(changed), old);
    ck_problem(stale, PRECONDITION_FAILED);
    ck_header(other, "ETag", old);
    ck_header(stale, "ETag", etag(changed));
    ck_header(stale_drop, "ETag", etag(changed));
    ck_problem(stale_drop, PRECONDITION_FAILED);
    ck_header(now, "ETag", etag(changed));
    ck_assert_str_eq(now.text, changed.text);
    ck_status(dropped, 204);
    ck_status(drop_if(thing, "*"), 404);
}

/* Send a call many times at once, while a row is held until every worker has one of them inside. */
static void send_rivals(const struct http_call *call, const char *table, const char *id,
                        struct flight **ret)
{
    struct db *hold = database_hold(table, id);
    for (int i = 0; i < RIVALS; i++)
        ret[i] = http_send(call);
    database_await_waiting(WORKERS);
    database_let_go(hold);
}

TEST(of_many_changes_of_one_version_one_is_made)
{
    struct versioned thing = make_long_post();
    const char *tag = etag(fetch(.path = thing.path, .token = thing.token));
    const struct http_call call = {.method = "PATCH",
                                   .path = thing.path,
                                   .token = thing.token,
                                   .body = thing.change,
                                   .headers = {say("If-Match: %s", tag)}};
    struct flight *flights[RIVALS];
    int made = 0;
    send_rivals(&call, "posts", strrchr(thing.path, '/') + 1, flights);

    for (int i = 0; i < RIVALS; i++) {
        struct answer r = http_land(flights[i]);
        made += r.status == 200;
        if (r.status != 200)
            ck_problem(r, PRECONDITION_FAILED);
    }

    ck_assert_int_eq(made, 1);
}

/* ---- one request, sent again ---- */

#define KEY "Idempotency-Key: a-key-of-its-own"
#define POST_BODY "{\"title\":\"Once\",\"content\":\"and for all\",\"published\":true}"

TEST(of_twenty_requests_with_one_key_one_is_carried_out)
{
    const char *author, *token = new_user(&author);
    const struct http_call call = {
        .path = "/api/posts", .token = token, .body = POST_BODY, .headers = {KEY}};
    struct flight *flights[RIVALS];
    unsigned first = 0, replayed = 0;
    const char *text = NULL;
    send_rivals(&call, "users", author, flights);

    for (int i = 0; i < RIVALS; i++) {
        struct answer r = http_land(flights[i]);
        ck_status(r, 201);
        text = text ? text : r.text;
        ck_assert_str_eq(r.text, text); /* and so the same id */
        ck_header(r, "Location", say("/api/posts/%s", answer_text(r, "post.id")));
        ck_assert(etag(r) != NULL);
        replayed += header_lists(r.headers, "Idempotency-Replayed", "true");
        first += header_count(r.headers, "Idempotency-Replayed") == 0;
    }

    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(replayed, RIVALS - 1);
    ck_assert_int_eq(
        database_number(say("SELECT COUNT(*) FROM posts WHERE author_id = '%s'", author)), 1);
}

TEST(of_some_users_with_one_key_one_is_made)
{
    const struct http_call call = {
        .path = "/api/users",
        .token = token_of(ADMIN_EMAIL),
        .headers = {say("Idempotency-Key: %s", new_email())},
        .body =
            object("{'email':'%s','password':'%s','first_name':'Grace'}", new_email(), PASSWORD)};
    struct flight *flights[5];
    unsigned first = 0;
    const char *id = NULL;

    for (int i = 0; i < COUNT(flights); i++)
        flights[i] = http_send(&call);
    for (int i = 0; i < COUNT(flights); i++) {
        struct answer r = http_land(flights[i]);
        ck_status(r, 201);
        id = id ? id : answer_text(r, "user.id");
        ck_assert_str_eq(answer_text(r, "user.id"), id);
        first += answer_header(r, "Idempotency-Replayed") == NULL;
    }

    ck_assert_uint_eq(first, 1);
}

static struct answer post_once(const char *token, const char *key, const char *body)
{
    return fetch(.path = "/api/posts", .token = token, .body = body, .headers = {key});
}

TEST(a_key_belongs_to_one_request_of_one_caller)
{
    const char *ada = new_user(NULL), *grace = new_user(NULL);
    struct answer first = post_once(ada, KEY, POST_BODY);
    const char *path = say("/api/posts/%s", answer_text(first, "post.id"));
    ck_status(fetch(.method = "DELETE", .path = path, .token = ada), 204);

    struct answer again = post_once(ada, KEY, POST_BODY);
    struct answer other_body = post_once(ada, KEY, POST_BODY " ");
    struct answer other_caller = post_once(grace, KEY, POST_BODY);
    struct answer other_key = post_once(ada, KEY "2", POST_BODY);

    ck_status(first, 201);
    ck_no_header(first, "Idempotency-Replayed");
    ck_status(again, 201);
    ck_header(again, "Idempotency-Replayed", "true");
    ck_assert_str_eq(again.text, first.text);
    ck_problem(other_body, KEY_REUSED);
    ck_status(other_caller, 201);
    ck_no_header(other_caller, "Idempotency-Replayed");
    ck_status(other_key, 201);
    ck_assert_str_ne(answer_text(other_key, "post.id"), answer_text(first, "post.id"));
}

TEST(a_refusal_is_not_kept_for_a_key)
{
    const char *token = new_user(NULL);

    ck_problem(post_once(token, KEY, "{}"), MISSING_FIELDS);
    struct answer corrected = post_once(token, KEY, POST_BODY);

    ck_status(corrected, 201);
    ck_no_header(corrected, "Idempotency-Replayed");
}

static const struct {
    const char *key;
    size_t times;
    bool good;
} keys[] = {
    {"k", 7, false}, {"k", 8, true},      {"k", 128, true},       {"k", 129, false},
    {"!~", 4, true}, {"a key", 2, false}, {"\xC3\xA9", 8, false},
};

TEST(an_empty_key_is_no_key)
{
    const char *token = new_user(NULL);

    struct answer r = post_once(token, "Idempotency-Key;", POST_BODY); /* curl's way to say so */

    if (world_at("lighttpd")) { /* which drops what is empty */
        ck_status(r, 201);
        return;
    }
    ck_problem(r, INVALID);
    ck_assert_str_eq(answer_faults(r), "Idempotency-Key format");
}

/* ---- an encoding ---- */

TEST(a_body_that_is_encoded_is_told_what_would_do)
{
    const char *token = new_user(NULL);

    struct answer r = fetch(.path = "/api/posts", .token = token, .body = "\x1F\x8B",
                            .headers = {"Content-Encoding: gzip"});

    ck_problem(r, NOT_JSON);
    ck_header(r, "Accept-Encoding", "identity");
    ck_status(fetch(.path = "/api/posts", .token = token, .body = POST_BODY,
                    .headers = {"Content-Encoding: identity"}),
              201);
}

TEST_EACH(keys_have_a_form, keys)
{
    const char *key = say("Idempotency-Key: %s", repeat(keys[_i].key, keys[_i].times));

    struct answer r = post_once(new_user(NULL), key, POST_BODY);

    if (keys[_i].good)
        ck_status(r, 201);
    else
        ck_problem(r, INVALID);
}

/* ---- long lists ---- */

static const char *joined(const char *some, const char *more)
{
    return *some && *more ? say("%s %s", some, more) : say("%s%s", some, more);
}

/* The ids on all pages from this one on. */
static const char *walk_by_link(const char *path, const char *token)
{
    const char *ids = "";
    for (unsigned pages = 0; path; pages++) {
        ck_assert_uint_le(pages, POSTS);
        struct answer r = fetch(.path = path, .token = token);
        ck_status(r, 200);
        ids = joined(ids, answer_column(r, "id"));
        path = answer_link(r, "next");
    }
    return ids;
}

static const char *walk_by_cursor(const char *list, const char *token)
{
    const char *ids = "", *path = list;
    for (unsigned pages = 0;; pages++) {
        ck_assert_uint_le(pages, POSTS);
        struct answer r = fetch(.path = path, .token = token);
        ck_status(r, 200);
        ck_assert_int_eq(answer_has(r, "pagination.total"), path == list);
        ids = joined(ids, answer_column(r, "id"));
        if (answer_is_null(r, "pagination.next_cursor"))
            return ids;
        path = say("%s&cursor=%s", list, answer_text(r, "pagination.next_cursor"));
    }
}

static const char *const sorts[] = {"", "&sort=created_at", "&sort=title", "&sort=-title",
                                    "&q=walk&published=true"};

TEST_EACH(a_walk_sees_the_whole_list, sorts)
{
    const char *author, *token = new_user(&author);
    for (int i = 0; i < POSTS; i++) /* some share a title */
        (void)new_post(token, say("Walk %d", i / 3), true);
    const char *list = say("/api/users/%s/posts?limit=4%s", author, sorts[_i]);
    struct answer all = fetch(.path = say("/api/users/%s/posts?limit=100%s", author, sorts[_i]));
    struct answer first = fetch(.path = list);
    const char *cursor = answer_text(first, "pagination.next_cursor");

    ck_assert_uint_eq(answer_count(all), POSTS);
    ck_assert_int_eq(answer_integer(first, "pagination.total"), POSTS);
    ck_assert_int_eq(answer_integer(first, "pagination.pages"), (POSTS + 3) / 4);
    const char *ids = answer_column(all, "id");
    ck_assert_str_eq(walk_by_cursor(list, NULL), ids);
    ck_assert_str_eq(walk_by_cursor(list, token), ids);
    ck_assert_str_eq(walk_by_link(list, NULL), ids);
    ck_assert_str_eq(
        joined(answer_column(first, "id"), walk_by_link(say("%s&cursor=%s", list, cursor), NULL)),
        ids);
}

TEST(users_are_walked_through_too)
{
    const char *token = new_user(NULL), *list = say("/api/users?q=%s&sort=-email", email_prefix());
    for (int i = 0; i < 4; i++)
        (void)new_user(NULL);

    struct answer all = fetch(.path = list, .token = token);

    ck_assert_uint_eq(answer_count(all), 5);
    ck_assert_str_eq(walk_by_cursor(say("%s&limit=2", list), token), answer_column(all, "id"));
    ck_assert_str_eq(walk_by_link(say("%s&limit=2", list), token), answer_column(all, "id"));
}

TEST(links_lead_to_the_other_pages)
{
    const char *author, *token = new_user(&author);
    for (int i = 0; i < 5; i++)
        (void)new_post(token, "Link", true);
    const char *list = say("/api/users/%s/posts", author);

    struct answer r = fetch(.path = say("%s?limit=2&page=2&sort=title", list));
    struct answer last = fetch(.path = answer_link(r, "last"));

    ck_assert_str_eq(answer_link(r, "first"), say("%s?page=1&limit=2&sort=title", list));
    ck_assert_str_eq(answer_link(r, "prev"), say("%s?page=1&limit=2&sort=title", list));
    ck_assert_str_eq(answer_link(r, "next"), say("%s?page=3&limit=2&sort=title", list));
    ck_assert_str_eq(answer_link(r, "last"), say("%s?page=3&limit=2&sort=title", list));
    ck_assert_uint_eq(answer_count(last), 1);
    ck_assert_ptr_null(answer_link(last, "next"));
}

TEST(a_cursor_is_bound_to_its_list)
{
    const char *author, *token = new_user(&author);
    for (int i = 0; i < 3; i++)
        (void)new_post(token, "Bound", true);
    struct answer page = fetch(.path = say("/api/posts?limit=2&author_id=%s", author));
    const char *cursor = answer_text(page, "pagination.next_cursor");

    struct answer same =
        fetch(.path = say("/api/posts?author_id=%s&limit=1&cursor=%s", author, cursor));
    ck_status(same, 200);
    ck_assert_uint_eq(answer_count(same), 1);
    ck_problem(fetch(.path = say("/api/posts?limit=2&cursor=%s", cursor)), INVALID);
    ck_problem(fetch(.path = say("/api/posts?author_id=%s&sort=title&cursor=%s", author, cursor)),
               INVALID);
    ck_problem(fetch(.path = "/api/posts?cursor=nonsense"), INVALID);
}

/* ---- problem details ---- */

static const struct {
    const char *method, *path, *body;
    int status;
    const char *title, *code;
} problems[] = {
    {"GET", "/api/nothing", NULL, NOT_FOUND},
    {"GET", "/api/posts/" NOBODY_ID, NULL, POST_NOT_FOUND},
    {"GET", "/api/posts?limit=0", NULL, INVALID},
    {"GET", "/api/auth/profile", NULL, NO_TOKEN},
    {"PUT", "/api/posts", "{}", METHOD_NOT_ALLOWED},
    {"POST", "/api/auth/login", "{", BAD_JSON},
    {"POST", "/api/auth/register", "{\"email\":\"x\"}", MISSING_FIELDS},
};

TEST_EACH(who_accepts_problem_details_gets_the_same_facts, problems)
{
    const struct http_call plain = {
        .method = problems[_i].method, .path = problems[_i].path, .body = problems[_i].body};
    struct http_call asking = plain;
    asking.headers[0] = "Accept: application/problem+json";

    struct answer usually = http_fetch(&plain), r = http_fetch(&asking);

    ck_problem(usually, problems[_i].status, problems[_i].title, problems[_i].code);
    ck_status(r, problems[_i].status);
    ck_header(r, "Content-Type", "application/problem+json");
    ck_assert_str_eq(answer_text(r, "title"), problems[_i].title);
    ck_assert_str_eq(answer_text(r, "code"), problems[_i].code);
    ck_assert_int_eq(answer_integer(r, "status"), problems[_i].status);
    ck_assert_str_eq(answer_text(r, "detail"), answer_text(usually, "message"));
    ck_assert(answer_has(r, "type"));
    ck_assert(!answer_has(r, "error"));
    ck_assert_int_eq(answer_has(r, "missing_fields"), answer_has(usually, "missing_fields"));
    ck_assert_str_eq(answer_missing(r), answer_missing(usually));
    ck_assert_str_eq(answer_faults(r), answer_faults(usually));
}

/* ---- caches ---- */

/* What an answer says to caches, sent with a token and without; NULL: nothing. */
static const struct {
    const char *method, *path, *body, *with, *without;
} caches[] = {
    {"GET", "/api/auth/profile", NULL, "no-store", "no-store"},
    {"HEAD", "/api/auth/profile", NULL, "no-store", "no-store"},
    {"GET", "/api/auth/sessions", NULL, "no-store", "no-store"},
    {"GET", "/api/auth/nothing", NULL, "no-store", "no-store"},
    {"GET", "/api/auth/login", NULL, "no-store", "no-store"},
    {"OPTIONS", "/api/auth/login", NULL, "no-store", "no-store"},
    {"POST", "/api/auth/login", "{}", "no-store", "no-store"},
    {"POST", "/api/auth/refresh", "{\"refresh_token\":\"x\"}", "no-store", "no-store"},
    {"POST", "/api/auth/password/forgot", "{}", "no-store", "no-store"},
    {"GET", "/api/posts", NULL, "private, no-cache", NULL},
    {"GET", "/api/posts/" NOBODY_ID, NULL, "private, no-cache", NULL},
    {"POST", "/api/posts", "{}", "private, no-cache", NULL},
    {"GET", "/api/users", NULL, "private, no-cache", NULL},
    {"GET", "/api/health", NULL, NULL, NULL},
    {"GET", "/api/ready", NULL, NULL, NULL},
    {"GET", "/api/openapi.json", NULL, NULL, NULL},
    {"GET", "/api/docs", NULL, NULL, NULL},
};

/* What a list or a single thing says depends on who asks, and their errors on Accept too. */
static const struct {
    struct http_call call;
    int status;
    bool of_caller, of_form, is_private;
} varying[] = {
    {{.path = "/api/posts"}, 200, true, false, false},
    {{.path = "/api/posts", .headers = {"Cookie: a=b"}}, 200, true, false, true},
    {{.path = "/api/posts", .headers = {"Authorization: Basic YTpi"}}, 200, true, false, true},
    {{.path = "/api/posts", .method = "HEAD"}, 200, true, false, false},
    {{.path = "/api/posts?limit=x"}, 400, true, true, false},
    {{.path = "/api/posts?published=false"}, 401, true, true, false},
    {{.path = "/api/posts", .token = "bad"}, 401, true, true, true},
    {{.path = "/api/posts/" NOBODY_ID}, 404, true, true, false},
    {{.path = "/api/users/" NOBODY_ID "/posts", .headers = {"Cookie: a=b"}}, 404, true, true, true},
    {{.path = "/api/nothing"}, 404, false, true, false},
    {{.path = "/api/nothing", .headers = {"Cookie: a=b"}}, 404, false, true, true},
    {{.path = "/api/posts", .method = "OPTIONS"}, 204, false, false, false},
    {{.path = "/api/health", .headers = {"Cookie: a=b"}}, 200, false, false, false},
    {{.path = "/api/docs", .headers = {"Cookie: a=b"}}, 200, false, false, false},
    {{.path = "/api/openapi.json", .token = "bad"}, 200, false, false, false},
};

TEST_EACH(caches_are_told_what_an_answer_depends_on, varying)
{
    http_document(NULL);
    struct answer r = http_fetch(&varying[_i].call);

    ck_status(r, varying[_i].status);
    ck_assert_int_eq(header_lists(r.headers, "Vary", "Authorization"), varying[_i].of_caller);
    ck_assert_int_eq(header_lists(r.headers, "Vary", "Cookie"), varying[_i].of_caller);
    ck_assert_int_eq(header_lists(r.headers, "Vary", "Accept"), varying[_i].of_form);
    ck_assert_int_eq(header_count(r.headers, "Cache-Control"), varying[_i].is_private);
    if (varying[_i].is_private)
        ck_header(r, "Cache-Control", "private, no-cache");
}

static void ck_cache(struct answer r, const char *expected)
{
    if (expected)
        ck_header(r, "Cache-Control", expected);
    else
        ck_no_header(r, "Cache-Control");
}

TEST_EACH(caches_are_told_what_they_may_keep, caches)
{
    const struct http_call without = {
        .method = caches[_i].method, .path = caches[_i].path, .body = caches[_i].body};
    struct http_call with = without;
    with.token = new_user(NULL);
    http_document(NULL);

    ck_cache(http_fetch(&with), caches[_i].with);
    ck_cache(http_fetch(&without), caches[_i].without);
}

/* http_fetch() holds all that is below auth against it; this makes sure that all are seen. */
NGINX_TEST(errors_of_nginx_are_kept_by_nobody)
{
    const char *login = "/api/auth/login", *large = repeat("a", BODY_LIMIT + 1);
    struct answer last = {0};
    for (int i = 0; i < 100 && last.status != 429; i++)
        last = fetch(.at = &limited, .path = login, .body = "{}");

    ck_problem(last, RATE_LIMITED);
    ck_header(last, "Cache-Control", "no-store");
    ck_header(fetch(.at = &limited, .path = "/%61pi/%61uth/login", .body = "{}"), "Cache-Control",
              "no-store");
    struct answer too_large = fetch(.path = login, .body = large);
    ck_problem(too_large, TOO_LARGE);
    ck_header(too_large, "Cache-Control", "no-store");
    struct answer trace = fetch(.method = "TRACE", .path = "/api/auth/profile");
    ck_status(trace, 405);
    ck_header(trace, "Cache-Control", "no-store");
    struct answer busy = fetch(.at = &deserted, .path = login, .body = "{}");
    ck_status(busy, 503);
    ck_header(busy, "Cache-Control", "no-store");
    struct answer broken = fetch(.at = &deserted, .path = "/api/auth/profile");
    ck_status(broken, 502);
    ck_header(broken, "Cache-Control", "no-store");
    const char *bad = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n";
    ck_header(http_raw(&usual, bad, strlen(bad)), "Cache-Control", "no-store");
}

NGINX_TEST(a_preflight_below_auth_is_kept_by_no_cache)
{
    struct answer r = fetch(.at = &limited, .method = "OPTIONS", .path = "/api/auth/login",
                            .headers = {"Origin: https://app.example.org",
                                        "Access-Control-Request-Method: POST"});

    ck_status(r, 204);
    ck_header(r, "Cache-Control", "no-store");
    ck_header(r, "Access-Control-Allow-Origin", "https://app.example.org");
    ck_assert(header_lists(r.headers, "Access-Control-Allow-Methods", "POST"));
    ck_assert_uint_eq(header_count(r.headers, "Access-Control-Max-Age"), 1);
}

/* ---- what the API says of itself ---- */

TEST(the_document_is_served)
{
    struct buf own;
    buf_init(&own, (size_t)4 * 1024 * 1024);
    ck_assert_int_eq(world_run(LIST("./postern", "openapi"), LIST(world_limits(NULL)), NULL, &own),
                     0);
    const char *expected = arena_copy(the_arena, own.data, own.len);
    buf_release(&own);
    http_document(NULL);

    struct answer r = fetch(.path = "/api/openapi.json", .token = "nonsense");
    struct answer packed = fetch(.path = "/api/openapi.json", .gzip = true);

    ck_status(r, 200);
    ck_header(r, "Content-Type", "application/json");
    ck_no_header(r, "Cache-Control");
    ck_assert(strncmp(answer_text(r, "openapi"), "3.1.", 4) == 0);
    ck_assert_uint_gt(strlen(r.text), 10000);
    ck_assert(strncmp(expected, r.text, strlen(r.text)) == 0);
    ck_assert_uint_eq(strspn(expected + strlen(r.text), "\n"), strlen(expected + strlen(r.text)));
    ck_header(packed, "Content-Encoding", "gzip");
    ck_assert_str_eq(packed.text, r.text);
}

TEST(the_page_is_served_with_its_policy)
{
    static const char *const directives[] = {"default-src 'none'; ", "style-src 'sha256-",
                                             "script-src 'sha256-", "base-uri 'none'",
                                             "frame-ancestors 'none'"};

    struct answer r = fetch(.path = "/api/docs", .token = "nonsense");
    struct answer packed = fetch(.path = "/api/docs", .gzip = true);
    struct answer head = fetch(.method = "HEAD", .path = "/api/docs");

    ck_status(r, 200);
    ck_header(r, "Content-Type", "text/html; charset=utf-8");
    ck_no_header(r, "Cache-Control");
    ck_assert_uint_eq(header_count(r.headers, "Content-Security-Policy"), 1);
    const char *policy = answer_header(r, "Content-Security-Policy");
    for (int i = 0; i < COUNT(directives); i++)
        ck_assert_msg(strstr(policy, directives[i]) != NULL, "no %s: %s", directives[i], policy);
    ck_assert(strstr(policy, "unsafe-") == NULL);
    ck_assert(strncmp(r.text, "<!DOCTYPE html>", 15) == 0);
    ck_header(packed, "Content-Encoding", "gzip");
    ck_header(packed, "Content-Security-Policy", policy);
    ck_assert_str_eq(packed.text, r.text);
    ck_header(head, "Content-Security-Policy", policy);
    if (!world_at("proxy") && !getenv("E2E_CGI")) /* then Apache has no length of no body */
        ck_header(head, "Content-Length", say("%zu", strlen(r.text)));
}

/* ---- paths ---- */

/* What leads to another thing once it is decoded or its dots are followed; @ is that thing's id. */
static const char *const bent_users[] = {
    "/api/posts/..%2Fusers%2F@",
    "/api/posts/..%2fusers/@",
    "/api/posts/%2e%2e%2fusers/@",
    "/api/posts/%2E%2E%2Fusers%2F@",
    "/api/posts/..%252Fusers%252F@",
    "/api/posts/%252e%252e/users/@",
    "/api/posts/%25252e%25252e/users/@",
    "/api/posts/..%5Cusers%5C@",
    "/api/x/..%2F..%2Fapi/users/@",
    "/x/..%2Fapi/users/@",
    "/api%2Fusers/@",
    "/api/users%2F@",
    "/api/users/@%2F",
    "/api/users/@%2f",
    "/api/users/@%00",
    "/api/users/%2F@",
    "/api/auth/sessions/..%2F..%2Fusers%2F@",
};

static const char *const bent_posts[] = {
    "/api/users/..%2Fposts%2F@",
    "/api/users/..%2fposts/@",
    "/api/users/%2e%2e%2Fposts/@",
    "/api/users/x/..%2F..%2Fposts%2F@",
    "/api/users/..%252fposts%252f@",
    "/api/posts/@%2F",
    "/api/posts%2F@",
    "/api/posts/x%2F..%2F@",
};

/* Some of them are refused by the server in front, in its own words. */
static int ask_bent(const char *method, const char *bent, const char *id, const char *token,
                    const char *body)
{
    const char *at = strchr(bent, '@');
    struct http_answer answer;
    struct client *c = client_open();
    const struct http_call call = {.method = method,
                                   .path = say("%.*s%s%s", (int)(at - bent), bent, id, at + 1),
                                   .token = token,
                                   .body = body};
    client_ask(c, &call, &answer);
    client_close(c);
    return answer.status;
}

/* An unknown path; or a thing that is not there, of a path that lacks some methods. A NUL is 400 to
 * the servers in front. */
static void ck_leads_nowhere(const char *bent, const char *id, const char *token)
{
    static const char *const methods[] = {"GET", "DELETE", "PATCH"};
    for (int i = 0; i < COUNT(methods); i++) {
        const char *body = i == 2 ? "{\"first_name\":\"Bent\",\"title\":\"Bent\"}" : NULL;
        int status = ask_bent(methods[i], bent, id, token, body);
        bool is_outside = !world_at("nginx") && strncmp(bent, "/api/", 5) != 0;
        bool is_nowhere = status == 404 ||
                          (status == 405 && (strstr(bent, "/sessions/") || is_outside)) ||
                          (status == 400 && strstr(bent, "%00"));
        ck_assert_msg(is_nowhere, "%s %s: %d", methods[i], bent, status);
    }
}

TEST_EACH(an_encoded_slash_leads_to_no_user, bent_users)
{
    const char *id, *token = new_user(&id), *admin = token_of(ADMIN_EMAIL);

    ck_leads_nowhere(bent_users[_i], id, admin);

    struct answer still = fetch(.path = say("/api/users/%s", id), .token = token);
    ck_status(still, 200);
    ck_assert_str_ne(answer_text(still, "user.email"), "");
    ck_assert(!strstr(still.text, "Bent"));
}

TEST_EACH(an_encoded_slash_leads_to_no_post, bent_posts)
{
    const char *id = new_post(new_user(NULL), "Straight", true);

    ck_leads_nowhere(bent_posts[_i], id, token_of(ADMIN_EMAIL));

    struct answer still = fetch(.path = say("/api/posts/%s", id));
    ck_assert_str_eq(answer_text(still, "post.title"), "Straight");
}

TEST(an_encoded_slash_logs_nobody_in_or_out)
{
    const char *email = new_account(NULL), *token = token_of(email);
    const char *body = object("{'email':'%s','password':'%s'}", email, PASSWORD);

    ck_assert_int_eq(ask_bent("POST", "/api/x/..%2Fauth%2Flogin@", "", NULL, body), 404);
    ck_assert_int_eq(ask_bent("POST", "/api/auth%2Flogin@", "", NULL, body), 404);
    ck_assert_int_eq(ask_bent("POST", "/api/auth/login%2F@", "", NULL, body), 404);
    ck_assert_int_eq(ask_bent("POST", "/api/x/..%2Fauth%2Flogout@", "", token, NULL), 404);
    ck_assert_int_eq(ask_bent("GET", "/api/posts/..%2Fauth%2Fprofile@", "", token, NULL), 404);

    ck_status(fetch(.path = "/api/auth/%70rofile", .token = token), 200);
    ck_status(fetch(.path = "/api/auth/%6Cogin", .body = body), 200);
    ck_status(fetch(.path = "/api/auth/profile/", .token = token), 200);
}

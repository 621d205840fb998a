#include "common/http/router.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/db/db.h"
#include "common/field/json.h"
#include "common/field/json_write.h"
#include "common/http/metrics.h"
#include "tests/support/suite.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define ID "01890a5d-ac96-774b-bcce-b302099a8057"
#define ID_UPPER "01890A5D-AC96-774B-BCCE-B302099A8057"

/* ---- a small program: its shared state, its records, its routes ---- */

struct app {
    const struct route *ran; /* whose handler was called */
    unsigned calls;
    bool prepared_first;
    bool offers;    /* the paths that depend on it */
    bool gone;      /* whoever asks */
    unsigned stale; /* so many times what was prepared is not so any more */
    bool demotes;   /* the handler does, whoever asks */
    unsigned found; /* so often the caller was looked up */
    unsigned counted;
    bool too_often, admins_alone;
    enum { DOES_ALL, FINDS_NOTHING_TO_DO, FAILS } at_once;
    unsigned afters;
};

struct asked {
    int64_t limit;
};

struct input {
    struct text title;
};

static const struct field asked_fields[] = {
    FIELD(struct asked, limit, .min = 1, .max = 9, .default_value = "5")};
static const struct record asked_record = RECORD("Asked", struct asked, asked_fields, 0);

static const struct field input_fields[] = {
    FIELD(struct input, title, .use = FIELD_REQUIRED | FIELD_CHANGE, .min = 2)};
static const struct record input_record = RECORD("Input", struct input, input_fields, 0);

struct member {
    struct text name, rank;
};

static const struct field ranked_fields[] = {FIELD(struct member, name, .use = FIELD_CHANGE),
                                             FIELD(struct member, rank, .use = FIELD_ADMIN_CHANGE)};
static const struct record ranked_record = RECORD("Member", struct member, ranked_fields, 0);

static const struct problem_type lacking = {400, "Missing credentials", "missing_fields", "None."};
static const struct problem_type busy = {409, "Busy", "busy", "It is busy."};

static struct problem *handle(struct app *app, struct request *rq, struct response *rs)
{
    app->ran = rq->route;
    app->calls++;
    json_object(&rs->body);
    json_member(&rs->body, "path", rq->route->path);
    json_object_end(&rs->body);
    return NULL;
}

static struct problem *handle_created(struct app *app, struct request *rq, struct response *rs)
{
    rs->status = 202; /* the handler's own word counts */
    return handle(app, rq, rs);
}

static struct problem *handle_failing(struct app *app, struct request *rq, struct response *rs)
{
    (void)handle(app, rq, rs);
    response_header(rs, "X-Half", "done");
    return problem(rq->arena, &busy, NULL);
}

static struct problem *handle_broken(struct app *app, struct request *rq, struct response *rs)
{
    (void)app, (void)rs;
    return problem_because(rq->arena, &problem_internal, "secret inner workings");
}

static struct problem *handle_endless(struct app *app, struct request *rq, struct response *rs)
{
    (void)app;
    static const char chunk[65536];
    for (int i = 0; i < 2000; i++)
        buf_add(&rs->body, chunk, sizeof chunk);
    ck_assert(rs->body.full);
    (void)rq;
    return NULL;
}

static void count_after(void *context, struct request *request)
{
    (void)request;
    ((struct app *)context)->afters++;
}

static struct problem *handle_and_go_on(struct app *app, struct request *rq, struct response *rs)
{
    rs->after = count_after;
    return handle(app, rq, rs);
}

/* What it wrote to the database must stand, and the caller is refused all the same. */
static struct problem *handle_refusing(struct app *app, struct request *rq, struct response *rs)
{
    rs->refusal = problem(rq->arena, &busy, NULL);
    return handle_and_go_on(app, rq, rs);
}

static struct problem *handle_known(struct app *app, struct request *rq, struct response *rs)
{
    response_etag(rs, 4);
    if (!request_knows(rq, 4))
        return handle(app, rq, rs);
    rs->status = 304;
    return NULL;
}

static bool is_offered(const struct app *app)
{
    return app->offers;
}

static struct problem *prepare(struct app *app, struct request *rq)
{
    app->prepared_first = app->calls == 0;
    rq->prepared = app;
    return NULL;
}

static struct problem *prepare_failing(struct app *app, struct request *rq)
{
    (void)app;
    return problem(rq->arena, &busy, NULL);
}

static const struct route main_routes[] = {
    {
        .method = METHOD_GET,
        .path = "/",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/things",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .query = &asked_record,
        .status = 200,
    },
    {
        .method = METHOD_POST,
        .path = "/things",
        .handle = handle,
        .auth = AUTH_ADMIN,
        .query = &asked_record,
        .body = &input_record,
        .mode = RECORD_CREATE,
        .status = 201,
    },
    {
        .method = METHOD_GET,
        .path = "/things/{id}",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_PATCH,
        .path = "/things/{id}",
        .handle = handle,
        .body = &input_record,
        .mode = RECORD_CHANGE,
        .status = 200,
    },
    {
        .method = METHOD_DELETE,
        .path = "/things/{id}",
        .handle = handle,
    },
    {
        .method = METHOD_GET,
        .path = "/things/{id}/parts/{id}",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/closed",
        .handle = handle,
        .status = 200,
    }, /* no word of who may call */
};

static const struct route other_routes[] = {
    {
        .method = METHOD_POST,
        .path = "/auth/login",
        .handle = handle,
        .auth = AUTH_NONE,
        .body = &input_record,
        .missing_problem = &lacking,
        .status = 200,
    },
    {
        .method = METHOD_POST,
        .path = "/created",
        .handle = handle_created,
        .auth = AUTH_OPTIONAL,
        .status = 201,
    },
    {
        .method = METHOD_GET,
        .path = "/failing",
        .handle = handle_failing,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/broken",
        .handle = handle_broken,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/endless",
        .handle = handle_endless,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/prepared",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .prepare = prepare,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/unprepared",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .prepare = prepare_failing,
        .status = 200,
    },
    {
        .method = METHOD_PUT,
        .path = "/things",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    }, /* a path of the other's */
    {
        .method = METHOD_POST,
        .path = "/optional",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .body = &input_record,
        .flags = ROUTE_BODY_OPTIONAL,
    },
    {
        .method = METHOD_GET,
        .path = "/refusing",
        .handle = handle_refusing,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/going-on",
        .handle = handle_and_go_on,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/known",
        .handle = handle_known,
        .auth = AUTH_OPTIONAL,
        .status = 200,
        .flags = ROUTE_ETAG,
    },
    {
        .method = METHOD_POST,
        .path = "/offered",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 202,
        .enabled = is_offered,
    },
    {
        .method = METHOD_GET,
        .path = "/half-offered",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_POST,
        .path = "/half-offered",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 201,
        .enabled = is_offered,
    },
    {
        .method = METHOD_POST,
        .path = "/keyed",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .body = &input_record,
        .status = 201,
        .flags = ROUTE_IDEMPOTENCY_KEY,
    },
    {
        .method = METHOD_GET,
        .path = "/local",
        .handle = handle,
        .auth = AUTH_NONE,
        .status = 200,
        .flags = ROUTE_LOOPBACK_ONLY,
    },
};

static const struct resource main_resource = RESOURCE("main", "The things.", main_routes);
static const struct resource other_resource = RESOURCE("other", "The rest.", other_routes);
static const struct resource *const resources[] = {&main_resource, &other_resource, NULL};

static struct problem *authenticate(struct app *app, struct request *rq, const char *token)
{
    (void)app;
    if (strcmp(token, "user") != 0 && strcmp(token, "admin") != 0)
        return problem_because(rq->arena, &problem_invalid_token, "unknown token");
    rq->caller.known = true;
    rq->caller.admin = strcmp(token, "admin") == 0;
    rq->caller.id.bytes[15] = 7;
    return NULL;
}

/* ---- asking it ---- */

struct call {
    const char *method, *path, *query, *token, *type, *body;
    size_t announced; /* 0: the body's own length */
    bool too_large, may_wait;
    const char *param; /* one more variable */
    const char *address;
};

static struct arena *a;
static struct app app;
static struct request rq;
static struct response rs;
static struct keyring *keys;
static struct router router = {.resources = resources,
                               .app = &app,
                               .authenticate = authenticate,
                               .form = {.realm = "the realm", .types = "/docs#"},
                               .no_store = "/auth",
                               .quiet = true};

static void set_up(void)
{
    a = arena_open((size_t)1024 * 1024);
    ck_assert_ptr_null(keyring_open(a, "kQ3vT8mZr1Yx6Lw9Pc2Nd5Hb7Jg4Fs0A", NULL, "check", &keys));
    router.keys = keys;
    app = (struct app){0};
    response_init(&rs);
}

static void tear_down(void)
{
    response_release(&rs);
    keyring_close(keys);
    arena_close(a);
}

static void prepare_request(const struct call *call)
{
    char **params = arena_array(a, 12, sizeof *params);
    size_t n = 0;
    params[n++] = arena_printf(a, "REQUEST_METHOD=%s", call->method);
    params[n++] = arena_printf(a, "DOCUMENT_URI=/api%s", call->path);
    params[n++] = arena_strdup(a, "HTTP_X_REQUEST_ID=request-1");
    if (call->query)
        params[n++] = arena_printf(a, "QUERY_STRING=%s", call->query);
    if (call->token)
        params[n++] = arena_printf(a, "HTTP_AUTHORIZATION=%s", call->token);
    if (call->body)
        params[n++] = arena_printf(a, "CONTENT_LENGTH=%zu",
                                   call->announced ? call->announced : strlen(call->body));
    if (call->type)
        params[n++] = arena_printf(a, "CONTENT_TYPE=%s", call->type);
    if (call->param)
        params[n++] = arena_strdup(a, call->param);
    if (call->address)
        params[n++] = arena_printf(a, "REMOTE_ADDR=%s", call->address);
    request_from_params(&rq, a, params, "/api", (struct instant){1});
    rq.raw_body = text_of(call->body);
    rq.too_large = call->too_large;
    rq.may_wait = call->may_wait;
}

static void answer(const struct call *call)
{
    prepare_request(call);
    router_handle(&router, &rq, &rs);
}

#define ask(...) answer(&(const struct call){__VA_ARGS__})

static const char *body(void)
{
    return arena_copy(a, rs.body.data, rs.body.len);
}

static const char *headers(void)
{
    return arena_copy(a, rs.headers.data, rs.headers.len);
}

static void assert_status(int status)
{
    ck_assert_msg(rs.status == status, "%d instead of %d: %s", rs.status, status, body());
}

static void assert_code(const char *code)
{
    const char *member = arena_printf(a, "\"code\":\"%s\"", code);
    ck_assert_msg(strstr(body(), member) != NULL, "no %s in: %s", code, body());
}

/* ---- matching ---- */

static const struct {
    const char *method, *path;
    const struct route *route; /* NULL: not found */
} matches[] = {
    {"GET", "", &main_routes[0]},
    {"GET", "/", &main_routes[0]},
    {"GET", "/things", &main_routes[1]},
    {"GET", "/things/", &main_routes[1]},
    {"GET", "/things/" ID, &main_routes[3]},
    {"GET", "/things/" ID_UPPER, &main_routes[3]},
    {"GET", "/things/" ID "/", &main_routes[3]},
    {"GET", "/things/" ID "/parts/" ID_UPPER, &main_routes[6]},
    {"PUT", "/things", &other_routes[7]},
    {"GET", "/thing", NULL},
    {"GET", "/thingsx", NULL},
    {"GET", "/Things", NULL},
    {"GET", "//things", NULL},
    {"GET", "/things//", NULL},
    /* What is no id stands for one that nothing has, unless it means another place. */
    {"GET", "/things/1", &main_routes[3]},
    {"GET", "/things/{id}", &main_routes[3]},
    {"GET", "/things/...", &main_routes[3]},
    {"GET", "/things/..%2Fthings", &main_routes[3]},
    {"GET", "/things/" ID "x", &main_routes[3]},
    {"GET", "/things/01890a5dac96774bbcceb302099a8057", &main_routes[3]},
    {"GET", "/things/" ID "/parts/7", &main_routes[6]},
    {"GET", "/things/7/parts/" ID, &main_routes[6]},
    {"GET", "/things/.", NULL},
    {"GET", "/things/..", NULL},
    {"GET", "/things//parts/" ID, NULL},
    {"GET", "/things/../parts/" ID, NULL},
    {"GET", "/things/" ID "/parts", NULL},
    {"GET", "/things/" ID "/parts/" ID "/more", NULL},
    {"GET", "x/things", NULL},
    {"DELETE", "/nowhere", NULL},
    {"OPTIONS", "/nowhere", NULL},
    {"BREW", "/nowhere", NULL},
};

CASE("before the handler", set_up, tear_down);

TEST_EACH(a_path_leads_to_its_route_and_no_other, matches)
{
    ask(.method = matches[_i].method, .path = matches[_i].path);

    if (matches[_i].route) {
        assert_status(200);
        ck_assert_ptr_eq(app.ran, matches[_i].route);
    } else {
        assert_status(404);
        assert_code("not_found");
        ck_assert_ptr_nonnull(strstr(body(), "\"message\":\"Resource does not exist\""));
        ck_assert_ptr_null(app.ran);
    }
}

TEST(the_ids_of_the_path_are_read_in_order)
{
    struct uuid first, second;
    ck_assert(uuid_parse(ID, 36, &first));
    ck_assert(uuid_parse("00000000-0000-0000-0000-00000000000A", 36, &second));

    ask(.method = "GET", .path = "/things/" ID "/parts/00000000-0000-0000-0000-00000000000A");

    ck_assert(uuid_equal(&rq.path_ids[0], &first));
    ck_assert(uuid_equal(&rq.path_ids[1], &second));
}

static const struct {
    const char *path, *allow;
} allows[] = {
    {"/", "GET, HEAD, OPTIONS"},
    {"/things", "GET, HEAD, POST, PUT, OPTIONS"},
    {"/things/" ID, "GET, HEAD, PATCH, DELETE, OPTIONS"},
    {"/auth/login", "POST, OPTIONS"},
};

TEST_EACH(options_answers_204_with_the_methods_and_needs_no_token, allows)
{
    ask(.method = "OPTIONS", .path = allows[_i].path);

    assert_status(204);
    ck_assert_ptr_nonnull(strstr(headers(), arena_printf(a, "Allow: %s\r\n", allows[_i].allow)));
    ck_assert_uint_eq(rs.body.len, 0);
    ck_assert_ptr_null(app.ran);
}

TEST_EACH(an_unknown_method_on_a_known_path_is_405_with_the_methods, allows)
{
    ask(.method = "BREW", .path = allows[_i].path);

    assert_status(405);
    assert_code("method_not_allowed");
    ck_assert_ptr_nonnull(strstr(headers(), arena_printf(a, "Allow: %s\r\n", allows[_i].allow)));
    ck_assert_ptr_null(app.ran);
}

TEST(a_method_that_another_path_has_is_405)
{
    ask(.method = "DELETE", .path = "/things", .token = "Bearer admin");

    assert_status(405);
}

TEST(head_is_asked_as_get)
{
    ask(.method = "HEAD", .path = "/things");

    assert_status(200);
    ck_assert_ptr_eq(app.ran, &main_routes[1]);
    ck_assert_int_eq(rq.method, METHOD_HEAD);

    ask(.method = "HEAD", .path = "/auth/login");
    assert_status(405);
}

/* ---- who may call ---- */

static const struct {
    const char *method, *path, *token;
    int status;
    const char *code;
} callers[] = {
    {"GET", "/closed", NULL, 401, "no_token"},
    {"GET", "/closed", "Bearer bad", 401, "invalid_token"},
    {"GET", "/closed", "Bearer", 401, "invalid_token"},
    {"GET", "/closed", "Basic dXNlcg==", 401, "no_token"},
    {"GET", "/closed", "Bearer user", 200, NULL},
    {"GET", "/closed", "Bearer admin", 200, NULL},
    {"POST", "/things", NULL, 401, "no_token"},
    {"POST", "/things", "Bearer bad", 401, "invalid_token"},
    {"POST", "/things", "Bearer user", 403, "admin_required"},
    {"POST", "/things", "Bearer admin", 201, NULL},
    {"GET", "/things", NULL, 200, NULL},
    {"GET", "/things", "Bearer user", 200, NULL},
    {"GET", "/things", "Bearer bad", 401, "invalid_token"},
    {"POST", "/auth/login", NULL, 200, NULL},
    {"POST", "/auth/login", "Bearer bad", 200, NULL},
};

TEST_EACH(each_route_says_who_may_call, callers)
{
    ask(.method = callers[_i].method, .path = callers[_i].path, .token = callers[_i].token,
        .type = "application/json", .body = "{\"title\":\"abc\"}");

    assert_status(callers[_i].status);
    if (callers[_i].code)
        assert_code(callers[_i].code);
    ck_assert_int_eq(app.ran != NULL, callers[_i].code == NULL);
}

TEST(the_caller_is_known_where_a_token_was_good)
{
    ask(.method = "GET", .path = "/things", .token = "Bearer admin");
    ck_assert(rq.caller.known && rq.caller.admin);

    ask(.method = "GET", .path = "/things");
    ck_assert(!rq.caller.known && !rq.caller.admin);

    ask(.method = "POST", .path = "/auth/login", .token = "Bearer admin",
        .type = "application/json", .body = "{\"title\":\"abc\"}");
    assert_status(200);
    ck_assert(!rq.caller.known);
}

TEST(who_is_not_known_gets_the_realm)
{
    ask(.method = "GET", .path = "/closed");
    ck_assert_str_eq(headers(), "WWW-Authenticate: Bearer realm=\"the realm\"\r\nVary: Accept\r\n"
                                "Vary: Authorization, Cookie\r\n");

    ask(.method = "GET", .path = "/closed", .token = "Bearer bad");
    ck_assert_str_eq(headers(),
                     "WWW-Authenticate: Bearer realm=\"the realm\", error=\"invalid_token\"\r\n"
                     "Vary: Accept\r\nCache-Control: private, no-cache\r\n"
                     "Vary: Authorization, Cookie\r\n");
}

/* ---- the order of the checks ---- */

#define JSON_BODY .type = "application/json", .body

static const struct {
    struct call call; /* each is wrong in everything that is checked later, too */
    int status;
    const char *code;
} order[] = {
    {{"POST", "/nothing", "limit=x", "Bearer bad", "text/plain", "{", 9, true, NULL},
     404,
     "not_found"},
    {{"PATCH", "/things", "limit=x", "Bearer bad", "text/plain", "{", 9, true, NULL},
     405,
     "method_not_allowed"},
    {{"POST", "/things", "limit=x", NULL, "text/plain", "{", 9, true, NULL}, 401, "no_token"},
    {{"POST", "/things", "limit=x", "Bearer bad", "text/plain", "{", 9, true, NULL},
     401,
     "invalid_token"},
    {{"POST", "/things", "limit=x", "Bearer user", "text/plain", "{", 9, true, NULL},
     403,
     "admin_required"},
    {{"POST", "/things", "limit=x", "Bearer admin", "text/plain", "{", 9, true, NULL},
     400,
     "invalid"},
    {{"POST", "/things", "limit=1", "Bearer admin", "text/plain", "{", 9, true, NULL},
     415,
     "not_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", NULL, "{", 9, true, NULL}, 415, "not_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "{", 9, true, NULL},
     413,
     "too_large"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "{", 9, false, NULL},
     400,
     "bad_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "{", 0, false, NULL},
     400,
     "bad_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "", 0, false, NULL},
     400,
     "bad_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", NULL, NULL, 0, false, NULL}, 400, "bad_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "[]", 0, false, NULL},
     400,
     "bad_json"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "{}", 0, false, NULL},
     400,
     "missing_fields"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "{\"title\":\"a\"}", 0,
      false, NULL},
     400,
     "invalid"},
    {{"POST", "/things", "limit=1", "Bearer admin", "application/json", "{\"title\":\"ab\"}", 0,
      false, NULL},
     201,
     NULL},
};

TEST_EACH(checks_come_in_their_order, order)
{
    answer(&order[_i].call);

    assert_status(order[_i].status);
    if (order[_i].code)
        assert_code(order[_i].code);
    ck_assert_int_eq(app.ran != NULL, order[_i].code == NULL);
}

TEST(a_body_that_ended_early_is_told_as_such)
{
    ask(.method = "POST", .path = "/auth/login", .type = "application/json", .body = "{}",
        .announced = 3);

    assert_status(400);
    assert_code("bad_json");
    ck_assert_ptr_nonnull(strstr(body(), "announced length"));
}

/* ---- what the handler gets ---- */

TEST(query_and_body_are_decoded_by_their_tables)
{
    ask(.method = "POST", .path = "/things", .query = "limit=3", .token = "Bearer admin",
        .type = "application/merge-patch+json", .body = "{\"title\":\"abc\",\"other\":1}");

    const struct asked *asked = rq.query;
    const struct input *in = rq.body;
    assert_status(201);
    ck_assert_int_eq(asked->limit, 3);
    ck_assert_uint_eq(rq.query_given, 1);
    ck_assert_str_eq(in->title.data, "abc");
    ck_assert_uint_eq(rq.body_given, 1);
}

TEST(a_query_that_was_not_given_has_its_presets)
{
    ask(.method = "GET", .path = "/things");

    ck_assert_int_eq(((const struct asked *)rq.query)->limit, 5);
    ck_assert_uint_eq(rq.query_given, 0);
}

TEST(a_change_needs_no_field)
{
    ask(.method = "PATCH", .path = "/things/" ID, .token = "Bearer user", JSON_BODY = "{}");

    assert_status(200);
    ck_assert_uint_eq(rq.body_given, 0);
}

TEST(a_route_without_tables_reads_neither_query_nor_body)
{
    ask(.method = "DELETE", .path = "/things/" ID, .query = "limit=x", .token = "Bearer user",
        .type = "text/plain", .body = "{", .announced = 9, .too_large = true);

    assert_status(204);
    ck_assert_ptr_null(rq.body);
    ck_assert_ptr_null(rq.query);
}

TEST(a_route_may_have_its_own_word_for_missing_fields)
{
    ask(.method = "POST", .path = "/auth/login", JSON_BODY = "{}");

    assert_status(400);
    ck_assert_ptr_nonnull(strstr(body(), "\"error\":\"Missing credentials\""));
    ck_assert_ptr_nonnull(strstr(body(), "\"missing_fields\":[\"title\"]"));
}

TEST(slow_work_is_prepared_before_the_handler)
{
    ask(.method = "GET", .path = "/prepared");
    assert_status(200);
    ck_assert(app.prepared_first);
    ck_assert_ptr_eq(rq.prepared, &app);

    app = (struct app){0};
    ask(.method = "GET", .path = "/unprepared");
    assert_status(409);
    ck_assert_ptr_null(app.ran);
}

/* ---- a body that need not be there ---- */

static const struct {
    struct call call;
    int status;
    const char *code;
} optional_bodies[] = {
    {{.method = "POST", .path = "/optional"}, 204, NULL},
    {{.method = "POST", .path = "/optional", .body = ""}, 204, NULL},
    {{.method = "POST", .path = "/optional", .type = "text/plain", .body = ""}, 204, NULL},
    {{.method = "POST", .path = "/optional", JSON_BODY = "{\"title\":\"abc\"}"}, 204, NULL},
    {{.method = "POST", .path = "/optional", JSON_BODY = "{}"}, 400, "missing_fields"},
    {{.method = "POST", .path = "/optional", JSON_BODY = "{"}, 400, "bad_json"},
    {{.method = "POST", .path = "/optional", JSON_BODY = "{}", .announced = 5}, 400, "bad_json"},
    {{.method = "POST", .path = "/optional", .body = "{}"}, 415, "not_json"},
    {{.method = "POST", .path = "/optional", JSON_BODY = "{}", .too_large = true},
     413,
     "too_large"},
};

TEST_EACH(an_optional_body_may_be_absent_but_not_bad, optional_bodies)
{
    answer(&optional_bodies[_i].call);

    assert_status(optional_bodies[_i].status);
    if (optional_bodies[_i].code)
        assert_code(optional_bodies[_i].code);
    ck_assert_int_eq(app.ran != NULL, optional_bodies[_i].code == NULL);
}

static const struct {
    const char *encoding;
    bool taken;
} encodings[] = {
    {"gzip", false}, {"br", false},      {"identity, gzip", false}, {"x", false},
    {"", true},      {"identity", true}, {"Identity", true},
};

TEST_EACH(a_body_with_an_encoding_is_refused_with_what_would_do, encodings)
{
    ask(.method = "POST", .path = "/optional", JSON_BODY = "{\"title\":\"abc\"}",
        .param = arena_printf(a, "HTTP_CONTENT_ENCODING=%s", encodings[_i].encoding));

    assert_status(encodings[_i].taken ? 204 : 415);
    if (!encodings[_i].taken)
        assert_code("not_json");
    ck_assert_int_eq(strstr(headers(), "Accept-Encoding: identity\r\n") == NULL,
                     encodings[_i].taken);
    ck_assert_int_eq(app.ran != NULL, encodings[_i].taken);
}

TEST(without_its_optional_body_a_handler_gets_an_empty_one)
{
    ask(.method = "POST", .path = "/optional");

    ck_assert_ptr_nonnull(rq.body);
    ck_assert_ptr_null(((const struct input *)rq.body)->title.data);
    ck_assert_uint_eq(rq.body_given, 0);
}

/* ---- routes that settings switch off ---- */

static const char *const offered_methods[] = {"POST", "GET", "OPTIONS", "HEAD"};

TEST_EACH(what_is_not_offered_is_an_unknown_path_for_any_method, offered_methods)
{
    ask(.method = offered_methods[_i], .path = "/offered");

    assert_status(404);
    assert_code("not_found");
    ck_assert_ptr_null(app.ran);
    ck_assert_ptr_null(strstr(headers(), "Allow"));
}

TEST_EACH(what_is_offered_is_there, offered_methods)
{
    static const int statuses[] = {202, 405, 204, 405};
    app.offers = true;

    ask(.method = offered_methods[_i], .path = "/offered");

    assert_status(statuses[_i]);
}

TEST(allow_lists_only_what_is_offered)
{
    ask(.method = "OPTIONS", .path = "/half-offered");
    ck_assert_str_eq(headers(), "Allow: GET, HEAD, OPTIONS\r\n");

    ask(.method = "POST", .path = "/half-offered");
    assert_status(405);

    app.offers = true;
    ask(.method = "OPTIONS", .path = "/half-offered");
    ck_assert_str_eq(headers(), "Allow: GET, HEAD, POST, OPTIONS\r\n");
}

/* ---- routes for this machine only ---- */

static const char *const local_addresses[] = {"127.0.0.1", "127.255.255.254",  "::1",
                                              "unix:",     "::ffff:127.0.0.1", "::FFFF:7F00:2"};

TEST_EACH(a_caller_on_this_machine_sees_what_is_local, local_addresses)
{
    ask(.method = "GET", .path = "/local", .address = local_addresses[_i]);
    assert_status(200);

    ask(.method = "POST", .path = "/local", .address = local_addresses[_i]);
    assert_status(405);
}

static const struct {
    const char *address, *param;
} remotes[] = {
    {NULL, NULL},
    {"", NULL},
    {"192.0.2.1", NULL},
    {"128.0.0.1", NULL},
    {"10.127.0.1", NULL},
    {"127.0.0.1.example.org", NULL},
    {"127.1", NULL},
    {"localhost", NULL},
    {"2001:db8::1", NULL},
    {"::2", NULL},
    {"::", NULL},
    {"::127.0.0.1", NULL},
    {"::ffff:192.0.2.1", NULL},
    {"::ffff:8.0.0.127", NULL},
    {"unix:/run/x", NULL},
    {"127.0.0.1", "HTTP_X_FORWARDED_FOR=192.0.2.1"},
    {"127.0.0.1", "HTTP_X_FORWARDED_FOR=127.0.0.1"},
    {"127.0.0.1", "HTTP_X_FORWARDED_FOR="},
    {"::1", "HTTP_FORWARDED=for=192.0.2.1"},
    {"::1", "HTTP_VIA=1.1 proxy"},
    {"unix:", "HTTP_X_FORWARDED_FOR=192.0.2.1"},
};

TEST_EACH(to_all_others_it_is_an_unknown_path_for_any_method, remotes)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "POST", "BREW"};
    for (int i = 0; i < COUNT(methods); i++) {
        ask(.method = methods[i], .path = "/local", .address = remotes[_i].address,
            .param = remotes[_i].param);

        assert_status(404);
        assert_code("not_found");
        ck_assert_ptr_null(app.ran);
        ck_assert_ptr_null(strstr(headers(), "Allow"));
    }
}

/* ---- counting ---- */

static struct metrics counted;

static void answer_counted(const struct call *call)
{
    router.metrics = &counted;
    answer(call);
    router.metrics = NULL;
}

static void ask_counted(const char *method, const char *path)
{
    answer_counted(&(const struct call){.method = method, .path = path});
}

static const char *told(void)
{
    struct buf b;
    buf_init(&b, (size_t)1024 * 1024);
    router.metrics = &counted;
    router_write_metrics(&router, &b);
    router.metrics = NULL;
    const char *text = arena_copy(a, b.data, b.len);
    buf_release(&b);
    return text;
}

static const struct {
    const char *method, *path, *labels;
} counts[] = {
    {"GET", "/", "route=\"/\",method=\"GET\",status=\"200\""},
    {"GET", "/things/" ID, "route=\"/things/{id}\",method=\"GET\",status=\"200\""},
    {"HEAD", "/things/" ID, "route=\"/things/{id}\",method=\"HEAD\",status=\"200\""},
    {"PATCH", "/things/" ID, "route=\"/things/{id}\",method=\"PATCH\",status=\"401\""},
    {"GET", "/things/7", "route=\"/things/{id}\",method=\"GET\",status=\"200\""},
    {"GET", "/nothing/7", "route=\"other\",method=\"GET\",status=\"404\""},
    {"GET", "/\",evil=\"\n", "route=\"other\",method=\"GET\",status=\"404\""},
    {"PUT", "/things", "route=\"/things\",method=\"PUT\",status=\"200\""},
    {"DELETE", "/things", "route=\"other\",method=\"DELETE\",status=\"405\""},
    {"OPTIONS", "/things", "route=\"other\",method=\"OPTIONS\",status=\"204\""},
    {"BREW\"}", "/none", "route=\"other\",method=\"other\",status=\"404\""},
    {"GET", "/broken", "route=\"/broken\",method=\"GET\",status=\"500\""},
    {"GET", "/local", "route=\"other\",method=\"GET\",status=\"404\""},
};

TEST_EACH(each_request_is_counted_under_its_route, counts)
{
    ask_counted(counts[_i].method, counts[_i].path);
    ask_counted(counts[_i].method, counts[_i].path);

    const char *line = arena_printf(a, "\npostern_http_requests_total{%s} 2\n", counts[_i].labels);
    ck_assert_msg(strstr(told(), line) != NULL, "no %s: %s", line, told());
}

TEST(bytes_are_those_that_are_sent)
{
    static const char series[] =
        "\npostern_http_response_bytes_total{route=\"/failing\",method=\"GET\"} ";
    ask_counted("HEAD", "/failing");
    ck_assert_ptr_nonnull(strstr(told(), arena_printf(a, "%s0\n", series)));

    ask_counted("GET", "/failing");
    ck_assert_ptr_nonnull(strstr(told(), arena_printf(a, "%s%zu\n", series, rs.body.len)));
}

TEST(other_tables_have_another_fingerprint)
{
    static const struct resource *const turned[] = {&other_resource, &main_resource, NULL};
    static const struct resource *const less[] = {&main_resource, NULL};

    uint32_t print = router_fingerprint(resources);

    ck_assert_uint_eq(print, router_fingerprint(resources));
    ck_assert_uint_ne(print, router_fingerprint(turned));
    ck_assert_uint_ne(print, router_fingerprint(less));
}

/* ---- refusals, and what comes after ---- */

CASE("after the handler", set_up, tear_down);

TEST(a_refusal_is_answered_as_a_problem)
{
    ask(.method = "GET", .path = "/refusing");

    ck_assert_ptr_nonnull(app.ran);
    assert_status(409);
    assert_code("busy");
    ck_assert_ptr_null(strstr(body(), "\"path\""));
    ck_assert_ptr_null(rs.refusal);
}

TEST(what_comes_after_is_left_to_whoever_sends_the_answer)
{
    ask(.method = "GET", .path = "/going-on");

    assert_status(200);
    ck_assert(rs.after == count_after);
    ck_assert_uint_eq(app.afters, 0);
}

TEST(nothing_comes_after_another_request)
{
    ask(.method = "GET", .path = "/going-on");
    ask(.method = "GET", .path = "/things");
    ck_assert(rs.after == NULL);

    ask(.method = "GET", .path = "/refusing");
    ck_assert(rs.after == NULL);
}

/* ---- what a client knows already ---- */

TEST(what_is_known_is_304_without_content)
{
    ask(.method = "GET", .path = "/known", .param = "HTTP_IF_NONE_MATCH=\"4\"");

    assert_status(304);
    ck_assert_uint_eq(rs.body.len, 0);
    ck_assert_str_eq(headers(), "ETag: \"4\"\r\nVary: Authorization, Cookie\r\n");

    ask(.method = "GET", .path = "/known", .param = "HTTP_IF_NONE_MATCH=\"3\"");
    assert_status(200);
    ck_assert_str_eq(headers(), "ETag: \"4\"\r\nVary: Authorization, Cookie\r\n");
}

/* ---- keys of idempotency: their form; the rest wants a database ---- */

#define SEVEN "1234567"
#define SIXTY_FOUR "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ!~"

static const char *const bad_keys[] = {
    "",
    SEVEN,
    "1234 5678",
    "12345678\t",
    "\x7F" SEVEN "8",
    "12345678\xC3\xA9",
    SIXTY_FOUR SIXTY_FOUR "x",
    "12345678 ",
};

CASE("before the handler", set_up, tear_down);

TEST_EACH(a_key_of_another_form_is_refused, bad_keys)
{
    ask(.method = "POST", .path = "/keyed", JSON_BODY = "{\"title\":\"abc\"}",
        .param = arena_printf(a, "HTTP_IDEMPOTENCY_KEY=%s", bad_keys[_i]));

    assert_status(400);
    assert_code("invalid");
    ck_assert_ptr_nonnull(strstr(body(), "\"field\":\"Idempotency-Key\",\"code\":\"format\""));
    ck_assert_ptr_null(app.ran);
}

TEST(where_no_key_is_taken_none_is_looked_at)
{
    ask(.method = "GET", .path = "/things", .param = "HTTP_IDEMPOTENCY_KEY=x");
    assert_status(200);

    ask(.method = "POST", .path = "/auth/login", JSON_BODY = "{\"title\":\"abc\"}",
        .param = "HTTP_IDEMPOTENCY_KEY=x");
    assert_status(200);

    ask(.method = "POST", .path = "/keyed", JSON_BODY = "{\"title\":\"abc\"}");
    assert_status(201);
}

TEST(a_body_is_checked_before_the_key)
{
    ask(.method = "POST", .path = "/keyed", JSON_BODY = "{}", .param = "HTTP_IDEMPOTENCY_KEY=x");

    assert_code("missing_fields");
}

/* ---- the answer ---- */

CASE("after the handler", set_up, tear_down);

TEST(success_has_the_status_of_the_route_unless_the_handler_says_otherwise)
{
    ask(.method = "GET", .path = "/things");
    assert_status(200);
    ck_assert_str_eq(body(), "{\"path\":\"/things\"}");

    ask(.method = "POST", .path = "/created");
    assert_status(202);
}

TEST(a_failure_of_the_handler_replaces_what_it_wrote)
{
    ask(.method = "GET", .path = "/failing");

    assert_status(409);
    assert_code("busy");
    ck_assert_ptr_null(strstr(body(), "\"path\""));
    ck_assert_ptr_null(strstr(headers(), "X-Half"));
}

TEST(an_answer_larger_than_its_buffer_is_an_error_not_half_an_answer)
{
    ask(.method = "GET", .path = "/endless");

    assert_status(500);
    assert_code("internal");
}

TEST(a_failure_is_told_in_the_form_that_is_asked_for)
{
    ask(.method = "PUT", .path = "/failing", .param = "HTTP_ACCEPT=application/problem+json");

    assert_status(405);
    ck_assert_str_eq(rs.media_type, "application/problem+json");
    ck_assert_ptr_nonnull(strstr(body(), "\"type\":\"/api/docs#method_not_allowed\""));
    ck_assert_str_eq(headers(), "Vary: Accept\r\nAllow: GET, HEAD, OPTIONS\r\n");
}

TEST(an_answer_of_the_time_before_does_not_shine_through)
{
    ask(.method = "GET", .path = "/closed");
    ask(.method = "GET", .path = "/things");

    assert_status(200);
    ck_assert_str_eq(headers(), "Vary: Authorization, Cookie\r\n");
    ck_assert_str_eq(body(), "{\"path\":\"/things\"}");
}

#define PRIVATE "Cache-Control: private, no-cache\r\n"
#define NO_STORE "Cache-Control: no-store\r\n"
#define OF_CALLER "Vary: Authorization, Cookie\r\n" /* it depends on who asks */
#define OF_FORM "Vary: Accept\r\n"                  /* an error has two forms */
#define COOKIE .param = "HTTP_COOKIE=theme=dark"

static const struct {
    struct call call;
    int status;
    const char *lines; /* of these two headers, in order */
} caches[] = {
    {{"GET", "/things"}, 200, OF_CALLER},
    {{"HEAD", "/things"}, 200, OF_CALLER},
    {{"GET", "/things", .token = "Bearer user"}, 200, PRIVATE OF_CALLER},
    {{"HEAD", "/things", .token = "Bearer user"}, 200, PRIVATE OF_CALLER},
    {{"GET", "/things", COOKIE}, 200, PRIVATE OF_CALLER},
    {{"GET", "/things", .token = "Basic YTpi"}, 200, PRIVATE OF_CALLER},
    {{"GET", "/things", .param = "REDIRECT_HTTP_AUTHORIZATION=Bearer user"},
     200,
     PRIVATE OF_CALLER},
    {{"GET", "/things", .token = "", .param = "HTTP_COOKIE="}, 200, OF_CALLER},
    {{"GET", "/things", "limit=x"}, 400, OF_FORM OF_CALLER},
    {{"GET", "/things", "limit=x", COOKIE}, 400, OF_FORM PRIVATE OF_CALLER},
    {{"GET", "/known", .param = "HTTP_IF_NONE_MATCH=\"4\""}, 304, OF_CALLER},
    {{"GET", "/known", .token = "Bearer user", .param = "HTTP_IF_NONE_MATCH=\"4\""},
     304,
     PRIVATE OF_CALLER},
    {{"GET", "/failing"}, 409, OF_FORM OF_CALLER},
    {{"GET", "/failing", .token = "Bearer user"}, 409, OF_FORM PRIVATE OF_CALLER},
    {{"GET", "/closed"}, 401, OF_FORM OF_CALLER},
    {{"GET", "/closed", .token = "Bearer bad"}, 401, OF_FORM PRIVATE OF_CALLER},
    /* No cache keeps the answer to a write; but what was asked with a token is private. */
    {{"POST", "/created"}, 202, ""},
    {{"POST", "/created", .token = "Bearer user"}, 202, PRIVATE},
    {{"POST", "/created", COOKIE}, 202, PRIVATE},
    /* Where there is no route, there is nobody whom it depends on. */
    {{"GET", "/nothing"}, 404, OF_FORM},
    {{"GET", "/nothing", .token = "Bearer user"}, 404, OF_FORM PRIVATE},
    {{"PATCH", "/things"}, 405, OF_FORM},
    {{"PATCH", "/things", COOKIE}, 405, OF_FORM PRIVATE},
    {{"OPTIONS", "/things"}, 204, ""},
    {{"OPTIONS", "/things", .token = "Bearer user"}, 204, PRIVATE},
    /* A route that looks at neither is the same for all. */
    {{"GET", "/local", .address = "127.0.0.1"}, 200, ""},
    {{"GET", "/local", .address = "127.0.0.1", .token = "Bearer bad", COOKIE}, 200, ""},
    {{"POST", "/auth/login", JSON_BODY = "{\"title\":\"abc\"}"}, 200, NO_STORE},
    {{"POST", "/auth/login", JSON_BODY = "{}", .token = "Bearer user"}, 400, OF_FORM NO_STORE},
    {{"GET", "/auth/login"}, 405, OF_FORM NO_STORE},
    {{"GET", "/auth/nothing", COOKIE}, 404, OF_FORM NO_STORE},
    {{"OPTIONS", "/auth/login"}, 204, NO_STORE},
};

/* The lines of Cache-Control and Vary. */
static const char *caching_lines(void)
{
    const char *all = headers(), *lines = "";
    for (const char *end; (end = strstr(all, "\r\n")); all = end + 2)
        if (strncmp(all, "Cache-Control:", 14) == 0 || strncmp(all, "Vary:", 5) == 0)
            lines = arena_printf(a, "%s%.*s\r\n", lines, (int)(end - all), all);
    return lines;
}

TEST_EACH(answers_say_how_they_may_be_cached, caches)
{
    answer(&caches[_i].call);

    assert_status(caches[_i].status);
    ck_assert_str_eq(caching_lines(), caches[_i].lines);
}

/* ---- the log ---- */

/* What one request writes to stderr. */
static const char *logged(const struct call *call)
{
    char *text = arena_alloc(a, 20000);
    int captured[2];
    size_t len = 0;
    ssize_t got;
    ck_assert_int_eq(pipe(captured), 0);
    int before = dup(STDERR_FILENO);
    (void)dup2(captured[1], STDERR_FILENO);
    (void)close(captured[1]);
    answer(call);
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    while ((got = read(captured[0], text + len, 19999 - len)) > 0)
        len += (size_t)got;
    (void)close(captured[0]);
    return text;
}

static const char *member(const struct json *line, const char *key)
{
    const struct json *node = json_get(line, key);
    return node ? json_as_text(node).data : NULL;
}

TEST(every_request_has_one_line_in_the_log)
{
    router.quiet = false;

    const char *text = logged(&(struct call){
        .method = "GET", .path = "/things/" ID, .token = "Bearer user", .query = "secret=1"});

    const struct json *line;
    int64_t status, bytes, duration;
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    ck_assert_ptr_null(json_parse(a, text, strlen(text), &line));
    ck_assert_str_eq(member(line, "event"), "request");
    ck_assert_str_eq(member(line, "request_id"), "request-1");
    ck_assert_str_eq(member(line, "method"), "GET");
    ck_assert_str_eq(member(line, "route"), "/things/{id}");
    ck_assert_str_eq(member(line, "user"), "00000000-0000-0000-0000-000000000007");
    ck_assert(json_as_integer(json_get(line, "status"), &status));
    ck_assert(json_as_integer(json_get(line, "bytes"), &bytes));
    ck_assert(json_as_integer(json_get(line, "duration_us"), &duration));
    ck_assert_int_eq(status, 200);
    ck_assert_int_eq(bytes, (int64_t)rs.body.len);
    ck_assert_int_ge(duration, 0);
    ck_assert_int_lt(duration, 60 * 1000000);
    ck_assert_ptr_null(strstr(text, "secret"));
}

TEST(an_unknown_path_is_not_copied_into_the_log)
{
    router.quiet = false;

    const char *text = logged(&(struct call){.method = "GET", .path = "/strange"});

    ck_assert_ptr_nonnull(strstr(text, "\"status\":404"));
    ck_assert_ptr_null(strstr(text, "strange"));
    ck_assert_ptr_null(strstr(text, "\"user\""));
}

TEST(a_cause_goes_to_the_log_and_not_to_the_caller)
{
    const char *text = logged(&(struct call){.method = "GET", .path = "/broken"});

    const struct json *line;
    ck_assert_ptr_null(json_parse(a, text, strlen(text), &line));
    ck_assert_str_eq(member(line, "level"), "error");
    ck_assert_str_eq(member(line, "event"), "problem");
    ck_assert_str_eq(member(line, "request_id"), "request-1");
    ck_assert_str_eq(member(line, "code"), "internal");
    ck_assert_str_eq(member(line, "cause"), "secret inner workings");
    assert_status(500);
    ck_assert_ptr_null(strstr(body(), "secret"));
}

TEST(a_quiet_router_logs_causes_only)
{
    ck_assert_str_eq(logged(&(struct call){.method = "GET", .path = "/things"}), "");
    ck_assert_str_eq(logged(&(struct call){.method = "GET", .path = "/nothing"}), "");
    ck_assert_ptr_nonnull(
        strstr(logged(&(struct call){.method = "GET", .path = "/closed", .token = "Bearer bad"}),
               "\"level\":\"info\",\"event\":\"problem\""));
}

/* ---- walking the tables ---- */

static void collect(void *context, const struct resource *resource, const struct route *route)
{
    const char **list = context;
    *list = arena_printf(a, "%s %s:%s", *list, resource->name, route->path);
}

TEST(all_routes_are_walked_in_the_order_of_the_tables)
{
    const char *list = "";

    router_each(resources, collect, &list);

    ck_assert_str_eq(list, " main:/ main:/things main:/things main:/things/{id} main:/things/{id}"
                           " main:/things/{id} main:/things/{id}/parts/{id} main:/closed"
                           " other:/auth/login other:/created other:/failing other:/broken"
                           " other:/endless other:/prepared other:/unprepared other:/things"
                           " other:/optional other:/refusing other:/going-on other:/known"
                           " other:/offered other:/half-offered other:/half-offered"
                           " other:/keyed other:/local");
}

/* ---- who comes first ---- */

static struct problem *come_later(struct app *of, struct request *asked)
{
    struct problem *p = problem_because(asked->arena, &problem_unavailable, "others come first");
    of->found++;
    p->retry = RETRY_LATER;
    return p;
}

static struct problem *read_later(struct app *of, struct request *asked, struct response *ret)
{
    (void)handle(of, asked, ret);
    response_header(ret, "X-Half", "done");
    return come_later(of, asked);
}

static const struct route slow_routes[] = {
    {.method = METHOD_POST, .path = "/hash", .handle = handle_and_go_on, .flags = ROUTE_HASH_POOL},
    {.method = METHOD_GET, .path = "/list", .handle = read_later, .auth = AUTH_NONE},
    {.method = METHOD_GET, .path = "/quick", .handle = handle, .auth = AUTH_NONE},
};
static const struct resource slow_resource = RESOURCE("slow", "Takes time.", slow_routes);
static const struct resource *const slow_resources[] = {&slow_resource, NULL};

/* Every hash has others before it. */
static void set_up_slow(void)
{
    set_up();
    router.resources = slow_resources;
    router.admit_hash = come_later;
}

static void tear_down_slow(void)
{
    router.resources = resources;
    router.admit_hash = NULL;
    tear_down();
}

CASE("who comes first", set_up_slow, tear_down_slow);

static void ask_slow(const char *method, const char *path, bool may_wait)
{
    answer_counted(&(const struct call){.method = method, .path = path, .may_wait = may_wait});
}

static void ck_postponed(enum postponed kind)
{
    ck_assert_int_eq(rs.postponed, kind);
    ck_assert_uint_eq(rs.body.len, 0);
    ck_assert_uint_eq(rs.headers.len, 0);
    ck_assert(!rs.after);
}

TEST(a_hash_whose_turn_it_is_not_is_postponed_before_all_else)
{
    ask_slow("POST", "/hash", true);

    ck_postponed(POSTPONED_HASH);
    ck_assert_uint_eq(app.calls, 0);
}

TEST(a_read_whose_turn_it_is_not_is_postponed_and_leaves_nothing)
{
    ask_slow("GET", "/list", true);

    ck_postponed(POSTPONED_READ);
}

TEST(nothing_is_counted_before_there_is_an_answer)
{
    ask_slow("GET", "/list", true);
    ck_assert_ptr_null(strstr(told(), "status=\"503\""));

    ask_slow("GET", "/list", false);
    ck_assert_ptr_nonnull(strstr(told(), "route=\"/list\",method=\"GET\",status=\"503\"} 1"));
}

TEST(who_cannot_wait_is_refused)
{
    ask_slow("POST", "/hash", false);
    ck_assert_int_eq(rs.postponed, POSTPONED_NO);
    assert_status(503);
    assert_code("unavailable");
    ck_assert_ptr_nonnull(strstr(headers(), "Retry-After: "));

    ask_slow("GET", "/list", false);
    assert_status(503);
    ck_assert_ptr_null(strstr(headers(), "X-Half"));
}

TEST(all_else_comes_at_once)
{
    ask_slow("GET", "/quick", true);
    assert_status(204);
    ck_assert_uint_eq(app.found, 0);

    ask_slow("GET", "/nowhere", true);
    assert_status(404);
}

/* ---- who may call is judged, and judged again ---- */

static struct problem *find_caller(struct app *of, struct request *asked, bool lock)
{
    (void)lock;
    of->found++;
    if (of->gone)
        return problem(asked->arena, &problem_invalid_token, NULL);
    asked->caller.known = true;
    return NULL;
}

static struct problem *confirm_and_handle(struct app *of, struct request *asked,
                                          struct response *ret)
{
    if (of->demotes)
        asked->caller.admin = false;
    struct problem *p = router_confirm(&router, asked);
    return p ? p : handle(of, asked, ret);
}

static struct problem *handle_what_is_fresh(struct app *of, struct request *asked,
                                            struct response *ret)
{
    asked->stale = of->stale > 0;
    of->calls++;
    if (!asked->stale)
        return handle(of, asked, ret);
    of->stale--;
    return problem(asked->arena, &busy, NULL);
}

static struct problem *handle_at_once(struct app *of, struct request *asked, struct response *ret,
                                      bool *ret_done)
{
    response_header(ret, "X-At-Once", "yes");
    if (of->at_once == FAILS)
        return problem(asked->arena, &busy, NULL);
    *ret_done = of->at_once == DOES_ALL;
    return *ret_done ? handle(of, asked, ret) : NULL;
}

static const struct route judged_routes[] = {
    {
        .method = METHOD_POST,
        .path = "/locked",
        .handle = handle,
        .status = 201,
        .flags = ROUTE_LOCKS_CALLER,
    },
    {
        .method = METHOD_POST,
        .path = "/admins",
        .handle = confirm_and_handle,
        .auth = AUTH_ADMIN,
        .status = 201,
    },
    {
        .method = METHOD_POST,
        .path = "/users",
        .handle = confirm_and_handle,
        .status = 201,
    },
    {
        .method = METHOD_POST,
        .path = "/stale",
        .handle = handle_what_is_fresh,
        .prepare = prepare,
        .status = 201,
    },
    {
        .method = METHOD_PATCH,
        .path = "/ranked",
        .handle = confirm_and_handle,
        .body = &ranked_record,
        .mode = RECORD_CHANGE,
        .status = 200,
    },
    {
        .method = METHOD_POST,
        .path = "/at-once",
        .handle = handle,
        .body = &ranked_record,
        .mode = RECORD_CHANGE,
        .at_once = handle_at_once,
        .status = 201,
        .flags = ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER | ROUTE_IDEMPOTENCY_KEY,
    },
    {
        .method = METHOD_POST,
        .path = "/at-once-unlocked",
        .handle = handle,
        .at_once = handle_at_once,
        .flags = ROUTE_TRANSACTION,
    },
    {
        .method = METHOD_POST,
        .path = "/at-once-admins",
        .handle = handle,
        .auth = AUTH_ADMIN,
        .at_once = handle_at_once,
        .flags = ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
    },
};
static const struct resource judged_resource = RESOURCE("judged", "Again.", judged_routes);
static const struct resource *const judged_resources[] = {&judged_resource, NULL};

static void set_up_judged(void)
{
    set_up();
    router.resources = judged_resources;
    router.find_caller = find_caller;
}

static void tear_down_judged(void)
{
    router.resources = resources;
    router.find_caller = NULL;
    tear_down();
}

/* As set_up_judged(), with a database that no transaction can begin in: that is a 503. */
static void set_up_without_database(void)
{
    set_up_judged();
    ck_assert_ptr_null(db_open(a, "mysql://nobody@localhost/none?socket=/nonexistent", &router.db));
}

static void tear_down_without_database(void)
{
    db_close(router.db);
    router.db = NULL;
    tear_down_judged();
}

#define AT_ONCE                                                                                    \
    .method = "POST", .path = "/at-once", .token = "Bearer user", .type = "application/json",      \
    .body = "{\"name\":\"n\"}"

CASE("at once", set_up_without_database, tear_down_without_database);

TEST(what_is_done_at_once_needs_no_transaction)
{
    ask(AT_ONCE);

    assert_status(201);
    ck_assert_uint_eq(app.calls, 1);
    ck_assert_uint_eq(app.found, 0);
    ck_assert(rq.caller.known);
    ck_assert_ptr_nonnull(strstr(headers(), "X-At-Once: yes"));
}

TEST(where_nothing_was_to_be_done_the_transaction_finds_out_why)
{
    app.at_once = FINDS_NOTHING_TO_DO;

    ask(AT_ONCE);

    assert_status(503);
    ck_assert_uint_eq(app.calls, 0);
}

TEST(a_failure_at_once_is_the_answer)
{
    app.at_once = FAILS;

    ask(AT_ONCE);

    assert_status(409);
    ck_assert_uint_eq(app.calls, 0);
    ck_assert_ptr_null(strstr(headers(), "X-At-Once"));
}

TEST(a_request_with_a_key_takes_a_transaction)
{
    ask(AT_ONCE, .param = "HTTP_IDEMPOTENCY_KEY=12345678");
    assert_status(503);
    ck_assert_uint_eq(app.calls, 0);

    ask(AT_ONCE, .param = "HTTP_IDEMPOTENCY_KEY=short");
    assert_status(400);
}

TEST(who_may_not_call_is_told_so_before_anything_is_read)
{
    app.gone = true;

    ask(AT_ONCE, .announced = 99);

    assert_status(401);
    ck_assert_ptr_null(app.ran);
}

static const char *const judged_elsewhere[] = {"/at-once-admins", "/at-once-unlocked"};

TEST_EACH(where_the_caller_is_judged_otherwise_a_transaction_writes, judged_elsewhere)
{
    ask(.method = "POST", .path = judged_elsewhere[_i], .token = "Bearer admin");

    assert_status(503);
    ck_assert_uint_eq(app.calls, 0);
}

/* A lock that nothing would hold is no reason to let anybody in. */
CASE("judged", set_up_judged, tear_down_judged);

TEST(without_a_transaction_the_caller_is_looked_up_first)
{
    app.gone = true;

    ask(.method = "POST", .path = "/locked", .token = "Bearer user");

    assert_status(401);
    ck_assert_ptr_null(app.ran);
}

TEST(an_admin_must_be_one_when_it_is_confirmed)
{
    ask(.method = "POST", .path = "/admins", .token = "Bearer admin");
    assert_status(201);
    app.demotes = true;

    ask(.method = "POST", .path = "/admins", .token = "Bearer admin");

    assert_status(403);
    assert_code("admin_required");
}

TEST(where_being_an_admin_does_not_count_it_may_end)
{
    app.demotes = true;

    ask(.method = "POST", .path = "/users", .token = "Bearer admin");

    assert_status(201);
}

static const struct {
    const char *body;
    int status;
} ranked[] = {
    {"{\"name\":\"n\"}", 200},
    {"{\"name\":\"n\",\"rank\":\"r\"}", 403},
    {"{}", 200},
};

TEST_EACH(what_only_admins_may_set_takes_one_to_the_end, ranked)
{
    app.demotes = true;

    ask(.method = "PATCH", .path = "/ranked", .token = "Bearer admin", .type = "application/json",
        .body = ranked[_i].body);

    assert_status(ranked[_i].status);
}

TEST(nobody_is_confirmed_where_nobody_was_named)
{
    prepare_request(&(const struct call){.method = "GET", .path = "/"});
    app.gone = true;

    ck_assert_ptr_null(router_confirm(&router, &rq));
}

TEST(what_is_stale_begins_again)
{
    app.stale = 2;

    ask(.method = "POST", .path = "/stale", .token = "Bearer user");

    assert_status(201);
    ck_assert_uint_eq(app.stale, 0);
}

TEST(what_stays_stale_ends)
{
    app.stale = 1000;

    ask(.method = "POST", .path = "/stale", .token = "Bearer user");

    assert_status(409);
    ck_assert_uint_lt(app.calls, 10);
}

CASE("after the handler", set_up, tear_down);

TEST(rows_that_may_run_twice_say_that_nothing_stands)
{
    bool stands = true;

    ck_assert_ptr_null(in_doubt_repeat(&app, &rq, &stands));

    ck_assert(!stands);
}

static struct problem *admit_nobody(struct app *of, struct request *asked)
{
    ck_assert_ptr_eq(of, &app);
    return problem_because(asked->arena, &problem_unavailable, "%s", "not here");
}

CASE("before the handler", set_up, tear_down);

TEST(who_is_not_admitted_gets_no_answer_but_that)
{
    router.admit = admit_nobody;

    answer(&(const struct call){.method = "GET", .path = "/nothing"});

    router.admit = NULL;
    ck_assert_int_eq(rs.status, 503);
    ck_assert_ptr_nonnull(strstr(body(), "\"unavailable\""));
}

/* ---- how often, and for admins ---- */

static struct problem *limit(struct app *of, struct request *asked)
{
    ck_assert_uint_eq(asked->route->limits, 6);
    of->counted++;
    return of->too_often ? problem(asked->arena, &problem_rate_limited, NULL) : NULL;
}

static bool are_admins_alone(const struct app *of)
{
    return of->admins_alone;
}

static const struct route bounded_routes[] = {
    {
        .method = METHOD_POST,
        .path = "/bounded",
        .handle = handle,
        .auth = AUTH_ADMIN,
        .query = &asked_record,
        .body = &input_record,
        .limits = 6,
        .status = 201,
    },
    {
        .method = METHOD_POST,
        .path = "/bounded-at-once",
        .handle = handle,
        .body = &input_record,
        .at_once = handle_at_once,
        .status = 201,
        .flags = ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .limits = 6,
    },
    {
        .method = METHOD_POST,
        .path = "/bounded-stale",
        .handle = handle_what_is_fresh,
        .auth = AUTH_OPTIONAL,
        .status = 201,
        .limits = 6,
    },
    {
        .method = METHOD_GET,
        .path = "/unbounded",
        .handle = handle,
        .auth = AUTH_OPTIONAL,
        .status = 200,
    },
    {
        .method = METHOD_GET,
        .path = "/perhaps",
        .handle = handle,
        .query = &asked_record,
        .for_admins = are_admins_alone,
        .status = 200,
    },
};
static const struct resource bounded_resource = RESOURCE("bounded", "So often.", bounded_routes);
static const struct resource *const bounded_resources[] = {&bounded_resource, NULL};

static void set_up_bounded(void)
{
    set_up_judged();
    router.resources = bounded_resources;
    router.limit = limit;
}

static void tear_down_bounded(void)
{
    router.limit = NULL;
    tear_down_judged();
}

CASE("how often", set_up_bounded, tear_down_bounded);

TEST(who_comes_too_often_is_told_so_before_anything_is_read)
{
    app.too_often = true;

    ask(.method = "POST", .path = "/bounded", .token = "Bearer admin", .query = "limit=x",
        .type = "text/plain", .body = "x", .too_large = true);

    assert_status(429);
    ck_assert_ptr_null(app.ran);
    ck_assert(!rq.counted);
}

static const struct {
    const char *method, *path, *token;
    int status;
} earlier[] = {
    {"POST", "/nothing", "Bearer admin", 404},
    {"GET", "/bounded", "Bearer admin", 405},
    {"OPTIONS", "/bounded", NULL, 204},
    {"POST", "/bounded", NULL, 401},
    {"POST", "/bounded", "Bearer bad", 401},
    {"POST", "/bounded", "Bearer user", 403},
    {"POST", "/bounded-at-once", "Bearer bad", 401},
    {"GET", "/unbounded", NULL, 200},
};

TEST_EACH(what_is_refused_earlier_is_not_counted, earlier)
{
    app.too_often = true;

    ask(.method = earlier[_i].method, .path = earlier[_i].path, .token = earlier[_i].token);

    assert_status(earlier[_i].status);
    ck_assert_uint_eq(app.counted, 0);
}

TEST(who_may_not_call_is_told_that_and_not_how_often_others_may)
{
    app.too_often = app.gone = true;

    ask(.method = "POST", .path = "/bounded-at-once", .token = "Bearer user");
    assert_status(401);

    app.gone = false;
    ask(.method = "POST", .path = "/bounded-at-once", .token = "Bearer user");
    assert_status(429);
    ck_assert_ptr_null(app.ran);
}

TEST(what_passes_is_counted_before_it_is_done_at_once)
{
    ask(.method = "POST", .path = "/bounded-at-once", .token = "Bearer user",
        .type = "application/json", .body = "{\"title\":\"ab\"}");

    assert_status(201);
    ck_assert_uint_eq(app.counted, 1);
    ck_assert_uint_eq(app.found, 0); /* for that nobody is looked up */
    ck_assert(rq.counted);
}

TEST(a_request_that_begins_again_is_counted_once)
{
    app.stale = 2;

    ask(.method = "POST", .path = "/bounded-stale");

    assert_status(201);
    ck_assert_uint_eq(app.calls, 4);
    ck_assert_uint_eq(app.counted, 1);
}

TEST(without_somebody_who_counts_all_may)
{
    router.limit = NULL;

    ask(.method = "POST", .path = "/bounded-stale");

    assert_status(201);
    ck_assert(!rq.counted);
}

TEST(a_setting_may_leave_a_route_to_admins)
{
    ask(.method = "GET", .path = "/perhaps", .token = "Bearer user");
    assert_status(200);

    app.admins_alone = true;
    ask(.method = "GET", .path = "/perhaps", .token = "Bearer user", .query = "limit=x");
    assert_status(403);
    assert_code("admin_required");
    ask(.method = "GET", .path = "/perhaps", .token = "Bearer admin");
    assert_status(200);
}

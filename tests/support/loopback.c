#include "tests/support/loopback.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/apidoc/openapi.h"
#include "common/base/problem.h"
#include "common/db/counter.h"
#include "common/field/config.h"
#include "common/field/json_write.h"
#include "common/http/request.h"
#include "common/search/folding.h"
#include "common/search/index.h"
#include "fcgi-app/migrations.h"
#include "fcgi-app/routes.h"
#include "tests/support/described.h"

struct app *the_app;
struct arena *the_arena;
struct instant the_time;
void (*loopback_around)(bool begins);
static int64_t the_steps_us; /* of the clock, while no time passed */

static struct settings settings;
static const struct described *document; /* of the app under test */
static uint64_t document_offer;          /* and of which routes it tells */

static struct problem *empty_tables(void)
{
    static const char *const statements[] = {
        "DELETE FROM user_departures",  "DELETE FROM users",
        "DELETE FROM list_journal",     "DELETE FROM list_counts WHERE total > 0",
        "DELETE FROM idempotency_keys", "DELETE FROM search_builds",
        "DELETE FROM search_rows",      "DELETE FROM search_postings",
        "DELETE FROM search_ranges",    "DELETE FROM leftovers",
        "DELETE FROM outbox",           "DELETE FROM mailed_tokens",
        "DELETE FROM registrations"};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < sizeof statements / sizeof *statements; i++)
        p = db_run(the_app->db, the_arena, statements[i]);
    return p;
}

/* As search_build() would leave them for empty tables. */
static struct problem *empty_indexes(void)
{
    const struct sql sql = {"INSERT INTO search_builds (list, state, since, format, unicode) "
                            "VALUES (?, 'live', UTC_TIMESTAMP(6), ?, ?)",
                            NULL};
    struct problem *p = NULL;
    for (size_t i = 0; !p && search_indexes[i]; i++)
        p = db_execute(the_app->db, the_arena, &sql,
                       DB_ARGS(db_integer(search_indexes[i]->counter->number),
                               db_integer(SEARCH_FORMAT), db_text(text_of(fold_unicode()))),
                       NULL);
    return p;
}

static void load(const char *const *more)
{
    struct origin origins[64] = {{0}};
    size_t count = 0;
    while (more[count])
        count++;
    char **environment = arena_array(the_arena, count + 5, sizeof *environment);
    for (size_t i = 0; i < count; i++)
        environment[i] = arena_strdup(the_arena, more[i]); /* before ours: the first counts */
    environment[count] = arena_strdup(the_arena, "JWT_SECRET_KEY=" SECRET_KEY);
    environment[count + 1] = arena_strdup(the_arena, "LOG_REQUESTS=false");
    environment[count + 2] = say("DATABASE_URL=%s", getenv("DATABASE_URL"));
    environment[count + 3] =
        arena_strdup(the_arena, "LIST_BUDGET_MS=10000"); /* of a busy machine */
    environment[count + 4] = NULL;
    memset(&settings, 0, sizeof settings);
    must(config_load(the_arena, &settings_record, (struct config_flags){0}, environment, NULL,
                     &settings, origins));
}

void loopback_settings(const char *const *more)
{
    app_close(the_app);
    the_app = NULL;
    load(more);
    loopback_again();
}

void loopback_open(void)
{
    ck_assert_msg(getenv("DATABASE_URL") != NULL, "run this inside tests/support/with-mariadb");
    the_arena = arena_open((size_t)1024 * 1024 * 1024);
    the_time = instant_now();
    load((const char *const[]){NULL});
    loopback_again();
    must(migrate_up(the_app->db, the_arena, migrations, migration_count, NULL, NULL));
    must(empty_tables());
    must(empty_indexes());
}

void loopback_close(void)
{
    app_close(the_app);
    document = NULL;
    arena_close(the_arena);
}

void set_clock(int64_t seconds)
{
    the_time = instant_plus_s(the_time, seconds);
    the_steps_us += seconds * 1000000;
}

void loopback_again(void)
{
    must(app_open(the_arena, &settings, NULL, &the_app));
}

pid_t run_aside(void (*body)(void *context), void *context)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    loopback_again(); /* the connection that came along is the parent's */
    body(context);
    _exit(EXIT_SUCCESS);
}

void wait_for(pid_t pid)
{
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(status == 0, "a process that ran aside ended with status %d", status);
}

static char *const *params_of(const struct call *call)
{
    char **params = arena_array(the_arena, 12, sizeof *params);
    const char *path = call->path ? call->path : "/";
    const char *mark = strchr(path, '?');
    size_t n = 0;
    params[n++] = arena_printf(the_arena, "REQUEST_METHOD=%s", call->method ? call->method : "GET");
    params[n++] = arena_printf(the_arena, "REQUEST_URI=/api%s", path);
    params[n++] = arena_printf(the_arena, "QUERY_STRING=%s", mark ? mark + 1 : "");
    params[n++] = say("REMOTE_ADDR=%s", call->from ? call->from : "192.0.2.1");
    if (call->token)
        params[n++] = arena_printf(the_arena, "HTTP_AUTHORIZATION=Bearer %s", call->token);
    if (call->body) {
        params[n++] = arena_printf(the_arena, "CONTENT_LENGTH=%zu", strlen(call->body));
        params[n++] = arena_printf(the_arena, "CONTENT_TYPE=%s",
                                   call->type ? call->type : "application/json");
    }
    if (call->param)
        params[n++] = arena_strdup(the_arena, call->param);
    return params;
}

static void note_offer(void *context, const struct resource *resource, const struct route *route)
{
    const struct api api = routes_describe(the_app);
    uint64_t *offer = context;
    (void)resource;
    *offer = *offer * 31 + api_offers(&api, route);
}

/* Read the document, and again when a test has changed what is offered. */
static void read_document(void)
{
    struct buf text;
    uint64_t offer = 0;
    const struct api api = routes_describe(the_app);
    router_each(api.resources, note_offer, &offer);
    if (document && offer == document_offer)
        return;
    buf_init(&text, (size_t)16 * 1024 * 1024);
    openapi_write(&text, &api);
    document = described_open(the_arena, arena_copy(the_arena, text.data, text.len));
    document_offer = offer;
    buf_release(&text);
    ck_assert_msg(document != NULL, "the OpenAPI document is no JSON");
}

static void put_call(struct buf *line, const struct call *call)
{
    json_key_object(line, "call");
    json_member(line, "token", call->token);
    json_member(line, "type", call->body && !call->type ? JSON_MEDIA_TYPE : call->type);
    json_member(line, "body", call->body);
    json_member(line, "param", call->param);
    json_object_end(line);
}

/* For validators that are not ours: a line of JSON to the file that $POSTERN_TEST_RECORD names. */
static void record(const struct call *call, const struct seen *seen, const char *type)
{
    const char *path = getenv("POSTERN_TEST_RECORD");
    struct buf line;
    if (!path)
        return;
    buf_init(&line, (size_t)64 * 1024 * 1024);
    json_object(&line);
    json_member(&line, "method", seen->method);
    json_member(&line, "path", seen->path);
    json_key(&line, "status");
    json_integer(&line, seen->status);
    json_member(&line, "type", type ? type : "");
    json_member(&line, "headers", seen->headers);
    json_member(&line, "body", seen->body);
    put_call(&line, call);
    json_object_end(&line);
    buf_puts(&line, "\n");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, line.data, line.len), (ssize_t)line.len);
    (void)close(fd);
    buf_release(&line);
}

/* Every answer that a test sees is one that the API's own document describes. */
static void check_described(const struct call *call, const struct answer *answer)
{
    if (the_app->router.resources != resources)
        return; /* a test's own routes are in no document */
    read_document();
    const struct seen seen = {call->method ? call->method : "GET", call->path ? call->path : "/",
                              answer->status, answer->headers, answer->text};
    const char *wrong = described_fault(document, the_arena, &seen);
    record(call, &seen, answer_header(*answer, "Content-Type"));
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

void check_discretion(struct answer answer, const char *key)
{
    const char *const never[] = {PASSWORD, key, "$argon2"};
    for (int i = 0; i < COUNT(never); i++)
        ck_assert_msg(!strstr(answer.headers, never[i]) && !strstr(answer.text, never[i]),
                      "%s is told: %s%s", never[i], answer.headers, answer.text);
}

struct answer loopback_ask(const struct call *call)
{
    struct request rq;
    struct response rs;
    struct buf head;
    struct answer answer;
    request_from_params(&rq, the_arena, params_of(call), "/api", the_time);
    rq.uptime_ms = (the_time.us - the_steps_us) / 1000; /* a machine that is up since 1970 */
    if (call->waited_s)
        rq.came = monotonic_ns() - call->waited_s * INT64_C(1000000000);
    if (call->body) {
        rq.raw_body = text_of(call->body);
        rq.too_large = rq.raw_body.len > (size_t)settings.max_body;
    }
    response_init(&rs);
    buf_init(&head, (size_t)64 * 1024);
    if (loopback_around)
        loopback_around(true);
    app_handle(the_app, &rq, &rs);
    response_head(&rs, &rq, &head);
    if (rs.after) /* as server.c does when the answer is out */
        rs.after(the_app, &rq);
    if (loopback_around)
        loopback_around(false);
    answer.status = rs.status;
    answer.headers = arena_copy(the_arena, head.data, head.len);
    answer.text = arena_copy(the_arena, rs.body.data ? rs.body.data : "", rs.body.len);
    answer.body = NULL;
    if (json_parse(the_arena, answer.text, rs.body.len, &answer.body))
        answer.body = NULL;
    buf_release(&head);
    response_release(&rs);
    check_discretion(answer, SECRET_KEY);
    if (!rq.route ||
        !(rq.route->flags & ROUTE_LOOPBACK_ONLY)) /* what only this machine sees is not described */
        check_described(call, &answer);
    return answer;
}

static struct answer call_path(const char *method, const char *token, const char *format,
                               va_list args) PRINTF_LIKE(3, 0);

static struct answer call_path(const char *method, const char *token, const char *format,
                               va_list args)
{
    return api_ask(.method = method, .path = arena_vprintf(the_arena, format, args),
                   .token = token);
}

struct answer api_get(const char *token, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    struct answer answer = call_path("GET", token, path, args);
    va_end(args);
    return answer;
}

struct answer api_delete(const char *token, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    struct answer answer = call_path("DELETE", token, path, args);
    va_end(args);
    return answer;
}

struct answer api_post(const char *token, const char *path, const char *body)
{
    return api_ask(.method = "POST", .path = path, .token = token, .body = body);
}

struct answer api_patch(const char *token, const char *path, const char *body)
{
    return api_ask(.method = "PATCH", .path = path, .token = token, .body = body);
}

const char *object(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(the_arena, format, args);
    va_end(args);
    for (char *at = text; *at; at++)
        if (*at == '\'')
            *at = '"';
    return text;
}

const char *repeat(const char *what, size_t times)
{
    size_t len = strlen(what);
    char *text = arena_array(the_arena, times + 1, len);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * len, what, len);
    return text;
}

const char *answer_header(struct answer answer, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = answer.headers; *line; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, name, len) == 0 && strncmp(line + len, ": ", 2) == 0)
            return arena_copy(the_arena, line + len + 2, strcspn(line + len + 2, "\r"));
    return NULL;
}

const char *answer_link(struct answer answer, const char *relation)
{
    const char *link = answer_header(answer, "Link");
    const char *end = link ? strstr(link, say(">; rel=\"%s\"", relation)) : NULL, *at = end;
    while (at && *at != '<')
        at--;
    return at ? arena_copy(the_arena, at + 1, (size_t)(end - at) - 1) : NULL;
}

static const struct json *step(const struct json *node, const char *name, size_t len)
{
    if (node && json_type(node) == JSON_ARRAY)
        return json_item(node, strtoul(name, NULL, 10));
    return node ? json_get(node, arena_copy(the_arena, name, len)) : NULL;
}

static const struct json *follow(struct answer answer, const char *path)
{
    const struct json *node = answer.body;
    while (*path) {
        size_t len = strcspn(path, ".");
        node = step(node, path, len);
        path += len + (path[len] == '.');
    }
    return node;
}

bool answer_has(struct answer answer, const char *path)
{
    return follow(answer, path) != NULL;
}

const struct json *answer_node(struct answer answer, const char *path)
{
    const struct json *node = follow(answer, path);
    ck_assert_msg(node != NULL, "nothing at %s in: %s", path, answer.text);
    return node;
}

const char *answer_text(struct answer answer, const char *path)
{
    const struct json *node = answer_node(answer, path);
    ck_assert_msg(json_type(node) == JSON_TEXT, "no text at %s in: %s", path, answer.text);
    return json_as_text(node).data;
}

int64_t answer_integer(struct answer answer, const char *path)
{
    int64_t n;
    const struct json *node = answer_node(answer, path);
    ck_assert_msg(json_type(node) == JSON_NUMBER && json_as_integer(node, &n),
                  "no integer at %s in: %s", path, answer.text);
    return n;
}

bool answer_boolean(struct answer answer, const char *path)
{
    const struct json *node = answer_node(answer, path);
    ck_assert_msg(json_type(node) == JSON_BOOLEAN, "no boolean at %s in: %s", path, answer.text);
    return json_as_boolean(node);
}

bool answer_is_null(struct answer answer, const char *path)
{
    return json_type(answer_node(answer, path)) == JSON_NULL;
}

static const char *text_in(const struct json *object_node, const char *key)
{
    struct text t = json_as_text(json_get(object_node, key));
    return t.data ? t.data : "null";
}

const char *answer_column(struct answer answer, const char *key)
{
    const struct json *data = answer_node(answer, "data"), *row;
    const char *list = "";
    for (size_t i = 0; (row = json_item(data, i)); i++)
        list = say("%s%s%s", list, *list ? " " : "", text_in(row, key));
    return list;
}

size_t answer_count(struct answer answer)
{
    size_t n = 0;
    while (json_item(answer_node(answer, "data"), n))
        n++;
    return n;
}

const char *answer_faults(struct answer answer)
{
    const struct json *details = follow(answer, "details"), *fault;
    const char *list = "";
    for (size_t i = 0; details && (fault = json_item(details, i)); i++) {
        list = say("%s%s%s %s", list, *list ? ", " : "", text_in(fault, "field"),
                   text_in(fault, "code"));
        ck_assert_msg(json_as_text(json_get(fault, "message")).len > 0, "%s", answer.text);
    }
    return list;
}

const char *answer_missing(struct answer answer)
{
    const struct json *missing = follow(answer, "missing_fields"), *name;
    const char *list = "";
    for (size_t i = 0; missing && (name = json_item(missing, i)); i++)
        list = say("%s%s%s", list, *list ? " " : "", json_as_text(name).data);
    return list;
}

/* Of PASSWORD, in today's form; made beforehand, for that takes its time. */
#define PASSWORD_HASH                                                                              \
    "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGVybiB0ZXN0cyAxNg$"                                       \
    "p3XibBXxLkdwU+bxQ3AziFkS+xrreRebG/yj9jHXrfI"

static struct problem *insert(void *context)
{
    return user_insert(the_app->db, the_arena, context);
}

const char *make_user(const char *email, unsigned role)
{
    the_time.us += 1000; /* each is a little later than the one before */
    struct user user = {.id = uuid_make(the_time),
                        .email = text_of(email),
                        .password_hash = TEXT(PASSWORD_HASH),
                        .first_name = TEXT("Test"),
                        .role = role,
                        .is_active = true,
                        .email_verified = true,
                        .created_at = the_time,
                        .updated_at = the_time,
                        .version = 1};
    must(db_transaction(the_app->db, the_arena, insert, NULL, &user));
    return field_to_text(the_arena, record_find(&user_record, "id"), &user);
}

struct answer try_login(const char *email, const char *password)
{
    return api_post(NULL, "/auth/login", object("{'email':'%s','password':'%s'}", email, password));
}

const char *log_in(const char *email)
{
    struct answer answer = try_login(email, PASSWORD);
    ck_status(answer, 200);
    return answer_text(answer, "access_token");
}

const char *write_post(const char *token, const char *title, const char *content, bool published)
{
    the_time.us += 1000;
    struct buf body;
    buf_init(&body, (size_t)1024 * 1024);
    json_object(&body);
    json_member(&body, "title", title);
    json_member(&body, "content", content);
    json_key(&body, "published");
    json_boolean(&body, published);
    json_object_end(&body);
    const char *text = arena_copy(the_arena, body.data, body.len);
    buf_release(&body);
    struct answer answer = api_post(token, "/posts", text);
    ck_status(answer, 201);
    return answer_text(answer, "post.id");
}

void run_sql(const char *text)
{
    must(db_run(the_app->db, the_arena, text));
}

int64_t ask_number(const char *text)
{
    const struct sql sql = {text, &counted_record};
    int64_t n;
    must(count_read(the_app->db, the_arena, &sql, DB_NO_ARGS, &n));
    return n;
}

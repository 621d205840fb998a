#include "loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/config.h"
#include "common/openapi.h"
#include "common/password.h"
#include "common/problem.h"
#include "fcgi-app/counts.h"
#include "fcgi-app/migrations.h"
#include "tests/described.h"

struct app *the_app;
struct arena *the_arena;
struct instant the_time;

static struct settings settings;
static const struct described *document; /* of the app under test */

static void must(const struct problem *p)
{
    if (p)
        ck_abort_msg("%s", p->cause ? p->cause : p->message);
}

static struct problem *empty_tables(void)
{
    static const char *const statements[] = {
        "DELETE FROM users", "DELETE FROM post_counts", "UPDATE post_totals SET n = 0",
        "UPDATE user_counts SET n = 0"};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < sizeof statements / sizeof *statements; i++)
        p = db_run(the_app->db, the_arena, statements[i]);
    return p;
}

void loopback_open(void)
{
    const char *url = getenv("DATABASE_URL");
    ck_assert_msg(url != NULL, "run this inside tests/with-mariadb");
    char *environment[] = {"JWT_SECRET_KEY=kQ3vT8mZr1Yx6Lw9Pc2Nd5Hb7Jg4Fs0A", "LOG_REQUESTS=false",
                           NULL, NULL};
    const char *origins[64];
    the_arena = arena_open((size_t)1024 * 1024 * 1024);
    the_time = instant_now();
    memset(&settings, 0, sizeof settings);
    memset(origins, 0, sizeof origins);
    environment[2] = arena_printf(the_arena, "DATABASE_URL=%s", url);
    must(config_load(the_arena, &settings_record, (struct config_flags){0}, environment, NULL,
                     &settings, origins));
    must(app_open(the_arena, &settings, &the_app));
    must(migrate_up(the_app->db, the_arena, migrations, migration_count, NULL, NULL));
    must(empty_tables());
}

void loopback_close(void)
{
    app_close(the_app);
    document = NULL;
    arena_close(the_arena);
}

static char *const *params_of(const struct call *call)
{
    char **params = arena_array(the_arena, 12, sizeof *params);
    const char *path = call->path ? call->path : "/";
    const char *mark = strchr(path, '?');
    size_t n = 0;
    params[n++] = arena_printf(the_arena, "REQUEST_METHOD=%s", call->method ? call->method : "GET");
    params[n++] = arena_printf(the_arena, "DOCUMENT_URI=/api%.*s",
                               (int)(mark ? (size_t)(mark - path) : strlen(path)), path);
    params[n++] = arena_printf(the_arena, "QUERY_STRING=%s", mark ? mark + 1 : "");
    params[n++] = arena_strdup(the_arena, "REMOTE_ADDR=192.0.2.1");
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

/* Every reply that a test sees is one that the API's own document describes. */
static void check_described(const struct call *call, const struct reply *reply)
{
    if (!document) {
        struct buf text;
        const struct api api = app_describe(the_app);
        buf_init(&text, (size_t)16 * 1024 * 1024);
        openapi_write(&text, &api);
        document = described_open(the_arena, arena_copy(the_arena, text.data, text.len));
        buf_release(&text);
        ck_assert_msg(document != NULL, "the OpenAPI document is no JSON");
    }
    const struct seen seen = {call->method ? call->method : "GET", call->path ? call->path : "/",
                              reply->status, reply->headers, reply->text};
    const char *wrong = described_fault(document, the_arena, &seen);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

struct reply loopback_ask(const struct call *call)
{
    struct request rq;
    struct response rs;
    struct buf head;
    struct reply reply;
    request_from_params(&rq, the_arena, params_of(call), "/api", the_time);
    if (call->body) {
        rq.body = text_of(call->body);
        rq.too_large = rq.body.len > (size_t)settings.max_body;
    }
    response_init(&rs);
    buf_init(&head, (size_t)64 * 1024);
    app_handle(the_app, &rq, &rs);
    response_head(&rs, &rq, &head);
    reply.status = rs.status;
    reply.headers = arena_copy(the_arena, head.data, head.len);
    reply.text = arena_copy(the_arena, rs.body.data ? rs.body.data : "", rs.body.len);
    reply.body = NULL;
    if (json_parse(the_arena, reply.text, rs.body.len, &reply.body))
        reply.body = NULL;
    buf_release(&head);
    response_release(&rs);
    check_described(call, &reply);
    return reply;
}

const char *reply_header(struct reply reply, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = reply.headers; *line; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, name, len) == 0 && strncmp(line + len, ": ", 2) == 0)
            return arena_copy(the_arena, line + len + 2, strcspn(line + len + 2, "\r"));
    return NULL;
}

static const struct json *step(const struct json *node, const char *name, size_t len)
{
    if (node && json_type(node) == JSON_ARRAY)
        return json_item(node, strtoul(name, NULL, 10));
    return node ? json_get(node, arena_copy(the_arena, name, len)) : NULL;
}

static const struct json *follow(struct reply reply, const char *path)
{
    const struct json *node = reply.body;
    while (*path) {
        size_t len = strcspn(path, ".");
        node = step(node, path, len);
        path += len + (path[len] == '.');
    }
    return node;
}

bool reply_has(struct reply reply, const char *path)
{
    return follow(reply, path) != NULL;
}

const struct json *reply_node(struct reply reply, const char *path)
{
    const struct json *node = follow(reply, path);
    ck_assert_msg(node != NULL, "nothing at %s in: %s", path, reply.text);
    return node;
}

const char *reply_text(struct reply reply, const char *path)
{
    const struct json *node = reply_node(reply, path);
    ck_assert_msg(json_type(node) == JSON_TEXT, "no text at %s in: %s", path, reply.text);
    return json_as_text(node).data;
}

int64_t reply_integer(struct reply reply, const char *path)
{
    int64_t n;
    const struct json *node = reply_node(reply, path);
    ck_assert_msg(json_type(node) == JSON_NUMBER && json_as_integer(node, &n),
                  "no integer at %s in: %s", path, reply.text);
    return n;
}

/* A hash takes its time: one serves for all users of a program. */
static const char *hash_of_password(void)
{
    static char hash[200];
    const char *made;
    if (!*hash) {
        must(password_hash(the_arena, text_of(PASSWORD), &made));
        snprintf(hash, sizeof hash, "%s", made);
    }
    return hash;
}

static struct problem *insert(void *context)
{
    return user_insert(the_app->db, the_arena, context);
}

const char *make_user(const char *email, unsigned role)
{
    the_time.us += 1000; /* each is a little later than the one before */
    struct user user = {.id = uuid_make(the_time),
                        .email = text_of(email),
                        .password_hash = text_of(hash_of_password()),
                        .first_name = TEXT("Test"),
                        .role = role,
                        .is_active = true,
                        .created_at = the_time,
                        .updated_at = the_time};
    must(db_transaction(the_app->db, the_arena, insert, NULL, &user));
    return field_to_text(the_arena, record_find(&user_record, "id"), &user);
}

const char *log_in(const char *email)
{
    struct reply reply = ask(.method = "POST", .path = "/auth/login",
                             .body = arena_printf(the_arena, "{\"email\":\"%s\",\"password\":\"%s\"}",
                                                  email, PASSWORD));
    ck_status(reply, 200);
    return reply_text(reply, "access_token");
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
    struct reply reply = ask(.method = "POST", .path = "/posts", .token = token, .body = text);
    ck_status(reply, 201);
    return reply_text(reply, "post.id");
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

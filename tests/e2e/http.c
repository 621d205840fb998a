#include "tests/e2e/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/described.h"

#define CALL_LIMIT_S 40L /* more than nginx waits for the pool */
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct client {
    CURL *curl;
    struct buf headers, body;
    char error[CURL_ERROR_SIZE];
    const char *rest; /* of a chunked body */
};

const struct front *the_front;

static struct client *the_client;
static long connects;
static unsigned emails;
static long began_ms; /* this test; another one may have had its process id */

/* ---- one call ---- */

static size_t take_body(char *data, size_t size, size_t count, void *client)
{
    struct client *c = client;
    buf_add(&c->body, data, size * count);
    return size * count;
}

/* Of several heads, such as 100 and 201, the last counts. */
static size_t take_header(char *data, size_t size, size_t count, void *client)
{
    struct client *c = client;
    if (strncmp(data, "HTTP/", 5) == 0)
        buf_reset(&c->headers);
    buf_add(&c->headers, data, size * count);
    return size * count;
}

static size_t give_body(char *data, size_t size, size_t count, void *client)
{
    struct client *c = client;
    size_t len = strlen(c->rest) < size * count ? strlen(c->rest) : size * count;
    memcpy(data, c->rest, len);
    c->rest += len;
    return len;
}

struct client *client_open(void)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c || !(c->curl = curl_easy_init()))
        abort();
    buf_init(&c->headers, (size_t)64 * 1024);
    buf_init(&c->body, ANSWER_MAX);
    return c;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    buf_release(&c->headers);
    buf_release(&c->body);
    free(c);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char line[4096];
    snprintf(line, sizeof line, "%s%s", name, value);
    list = curl_slist_append(list, line);
    if (!list)
        abort();
    return list;
}

static struct curl_slist *headers_of(const struct http_call *call)
{
    const char *type = call->type ? call->type : "application/json";
    struct curl_slist *list = add_header(NULL, "Expect:", "");
    if (call->token)
        list = add_header(list, "Authorization: Bearer ", call->token);
    if (call->body)
        list = add_header(list, *type ? "Content-Type: " : "Content-Type:", type);
    else if (world_at("lighttpd") && call->method && strcmp(call->method, "POST") == 0)
        list = add_header(list, "Content-Length: ", "0"); /* without it: 411 */
    if (call->chunked)
        list = add_header(list, "Transfer-Encoding: ", "chunked");
    for (size_t i = 0; i < sizeof call->headers / sizeof *call->headers && call->headers[i]; i++)
        list = add_header(list, call->headers[i], "");
    return list;
}

static void set_body(struct client *c, const struct http_call *call)
{
    CURL *curl = c->curl;
    if (!call->body)
        return;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (call->chunked) {
        c->rest = call->body;
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(curl, CURLOPT_READDATA, c);
    } else {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    }
}

static void set_call(struct client *c, const struct http_call *call, const char *url)
{
    CURL *curl = c->curl;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, CALL_LIMIT_S);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
    if (call->from) { /* a connection of its own, that no call without an address takes up */
        curl_easy_setopt(curl, CURLOPT_INTERFACE, call->from);
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    }
    if (call->gzip)
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    set_body(c, call);
    if (call->method && strcmp(call->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (call->method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

void client_ask(struct client *c, const struct http_call *call, struct http_answer *ret)
{
    const struct front *at = call->at ? call->at : the_front;
    size_t url_size = strlen(call->path) + 64;
    char *url = malloc(url_size);
    long status = 0;
    if (!url)
        abort();
    snprintf(url, url_size, "%s://%s:%d%s", at->ca ? "https" : "http",
             at->host ? at->host : "127.0.0.1", at->port, call->path);
    buf_reset(&c->headers);
    buf_reset(&c->body);
    *c->error = '\0';
    set_call(c, call, url);
    curl_easy_setopt(c->curl, CURLOPT_CAINFO, at->ca);
    struct curl_slist *headers = headers_of(call);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode failed = curl_easy_perform(c->curl);
    if (!failed)
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->curl, CURLINFO_NUM_CONNECTS, &ret->connects);
    curl_slist_free_all(headers);
    free(url);
    snprintf(ret->error, sizeof ret->error, "%s",
             *c->error ? c->error : curl_easy_strerror(failed));
    buf_add(&c->headers, "", 1);
    ret->body_len = c->body.len;
    buf_add(&c->body, "", 1);
    ret->status = (int)status;
    ret->headers = c->headers.data;
    ret->body = c->body.data;
}

/* ---- the form of all answers ---- */

/* The next header of this name at or after `line`, or NULL; its value in `ret_value`. */
static const char *next_header(const char *line, const char *name, const char **ret_value)
{
    size_t len = strlen(name);
    for (; line && *line; line = strstr(line, "\r\n") ? strstr(line, "\r\n") + 2 : NULL) {
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            *ret_value = line + len + 1 + strspn(line + len + 1, " ");
            return line;
        }
    }
    return NULL;
}

unsigned header_count(const char *headers, const char *name)
{
    unsigned n = 0;
    const char *value;
    for (const char *at = next_header(headers, name, &value); at; n++)
        at = next_header(value, name, &value);
    return n;
}

bool header_lists(const char *headers, const char *name, const char *word)
{
    const char *value;
    for (const char *at = next_header(headers, name, &value); at;
         at = next_header(value, name, &value)) {
        for (const char *item = value; *item && *item != '\r';) {
            size_t len = strcspn(item, ",\r");
            if (len == strlen(word) && strncasecmp(item, word, len) == 0)
                return true;
            item += len + strspn(item + len, ", ");
        }
    }
    return false;
}

static void check_error(struct answer r)
{
    ck_assert_msg(r.body != NULL, "status %d without JSON: %s", r.status, r.text);
    bool is_rfc9457 = strcmp(answer_header(r, "Content-Type"), "application/problem+json") == 0;
    ck_assert_int_gt((int)strlen(answer_text(r, is_rfc9457 ? "title" : "error")), 0);
    ck_assert_int_gt((int)strlen(answer_text(r, "code")), 0);
    ck_assert_int_gt((int)strlen(answer_text(r, is_rfc9457 ? "detail" : "message")), 0);
    ck_assert_str_eq(answer_text(r, "request_id"), answer_header(r, "X-Request-Id"));
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The one that is for this machine only, and so in no document. */
static bool is_of_metrics(const struct http_call *call)
{
    return begins(call->path, "/api/metrics");
}

/* What `call` may be answered with: JSON, but for two, for who asks for RFC 9457, and where nginx
 * leads to the page. */
static void check_media_type(struct answer r, const struct http_call *call)
{
    const char *type = answer_header(r, "Content-Type");
    ck_assert_msg(type != NULL, "no Content-Type: %s", r.headers);
    if (r.status >= 400 && strcmp(type, "application/problem+json") == 0)
        ck_assert(call->headers[0] != NULL);
    else if (r.status == 302)
        ck_assert_str_eq(type, "text/html");
    else if (r.status < 400 && strstr(call->path, "/docs"))
        ck_assert_str_eq(type, "text/html; charset=utf-8");
    else if (r.status < 400 && is_of_metrics(call))
        ck_assert_str_eq(type, "text/plain; version=0.0.4; charset=utf-8");
    else
        ck_assert_str_eq(type, "application/json");
}

static void check_form(struct answer r, const struct http_call *call)
{
    bool is_head = call->method && strcmp(call->method, "HEAD") == 0;
    bool is_empty = (r.status == 202 && !*r.text) || r.status == 204 || r.status == 304;
    bool wants_retry = r.status == 429 || (r.status >= 502 && r.status <= 504);
    ck_assert_msg(header_count(r.headers, "X-Request-Id") == 1, "not one id: %s", r.headers);
    ck_assert_msg(header_count(r.headers, "X-Content-Type-Options") == 1, "%s", r.headers);
    ck_assert_str_eq(answer_header(r, "X-Content-Type-Options"), "nosniff");
    if (!is_empty)
        check_media_type(r, call);
    if (is_empty || is_head)
        ck_assert_str_eq(r.text, "");
    else if (r.status >= 400)
        check_error(r);
    else if (r.status != 302 && !strstr(call->path, "/docs") && !is_of_metrics(call))
        ck_assert_msg(r.body != NULL, "no JSON: %.200s", r.text);
    ck_assert_msg(header_count(r.headers, "Retry-After") == wants_retry, "%s", r.headers);
    ck_assert_msg(r.status != 405 || answer_header(r, "Allow"), "no Allow: %s", r.headers);
    ck_assert_msg(header_count(r.headers, "WWW-Authenticate") == (r.status == 401), "%s",
                  r.headers);
    ck_assert_msg(header_count(r.headers, "Cache-Control") <= 1, "%s", r.headers);
    if (begins(call->path, "/api/auth/"))
        ck_header(r, "Cache-Control", "no-store");
}

static struct answer make_reply(const struct http_answer *answer)
{
    ck_assert_msg(answer->status != 0, "no answer: %s", answer->error);
    struct answer r = {.status = answer->status,
                       .headers = arena_strdup(the_arena, answer->headers),
                       .text = arena_copy(the_arena, answer->body, answer->body_len)};
    if (json_parse(the_arena, r.text, answer->body_len, &r.body))
        r.body = NULL;
    return r;
}

/* ---- the API's own description ---- */

static const struct described *document;

/* Ask the program for its document: the server's is the same, as check_openapi.c holds. */
static const struct described *ask_for_document(struct arena *a, const char *const *names)
{
    struct buf text;
    buf_init(&text, (size_t)4 * 1024 * 1024);
    bool printed = world_run(LIST("./postern", "openapi"), names, NULL, &text) == 0;
    const struct described *ret =
        printed ? described_open(a, arena_copy(a, text.data, text.len)) : NULL;
    buf_release(&text);
    return ret;
}

void http_document(const char *const *names)
{
    document = ask_for_document(the_arena, names);
    ck_assert_msg(document != NULL, "./postern openapi prints no document");
}

/* Every answer below the base path is one that the document describes. */
static void check_described(const struct http_call *call, const struct answer *answer)
{
    static const char base[] = "/api";
    const char *method = call->method ? call->method : call->body ? "POST" : "GET";
    if (call->astray || answer->status == 302 || strncmp(call->path, base, strlen(base)) != 0 ||
        is_of_metrics(call))
        return;
    const struct seen seen = {method, call->path + strlen(base), answer->status, answer->headers,
                              answer->text};
    ck_assert_msg(document != NULL, "./postern openapi prints no document");
    const char *wrong = described_fault(document, the_arena, &seen);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* ---- from the test itself ---- */

void http_set_up(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test does not outlive its program */
    the_arena = arena_open((size_t)1024 * 1024 * 1024);
    the_client = client_open();
    began_ms = now_ms();
}

void http_tear_down(void)
{
    client_close(the_client);
    arena_close(the_arena);
}

int http_main(void)
{
    int status = EXIT_FAILURE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct arena *a = arena_open((size_t)64 * 1024 * 1024);
    if (world_open()) {
        document = ask_for_document(a, LIST("MAIL_COMMAND=/bin/true"));
        status = suite_main();
    }
    world_close();
    arena_close(a);
    curl_global_cleanup();
    return status;
}

/* Whatever comes back has the form of all answers, and is described. */
static struct answer hold(const struct http_call *call, const struct http_answer *answer)
{
    struct answer r = make_reply(answer);
    check_form(r, call);
    check_discretion(r, world_key());
    check_described(call, &r);
    return r;
}

struct answer http_fetch(const struct http_call *call)
{
    struct http_answer answer;
    client_ask(the_client, call, &answer);
    connects = answer.connects;
    return hold(call, &answer);
}

long http_await(const struct http_call *call, int status, long limit_ms)
{
    struct answer r;
    long began = now_ms();
    while ((r = http_fetch(call)).status != status) {
        ck_assert_msg(now_ms() - began < limit_ms, "%s: %d and not %d after %ld ms: %s", call->path,
                      r.status, status, now_ms() - began, r.text);
        pause_ms(10);
    }
    return now_ms() - began;
}

long http_connects(void)
{
    return connects;
}

static int connect_to(const struct front *at)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)at->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = CALL_LIMIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

struct answer http_raw(const struct front *at, const char *bytes, size_t len)
{
    char chunk[16384];
    ssize_t got;
    struct buf all;
    int fd = connect_to(at);
    buf_init(&all, ANSWER_MAX);
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0)
        buf_add(&all, chunk, (size_t)got);
    (void)close(fd);
    buf_add(&all, "", 1);
    char *text = arena_copy(the_arena, all.data, all.len);
    buf_release(&all);
    char *body = strstr(text, "\r\n\r\n");
    ck_assert_msg(body != NULL && strncmp(text, "HTTP/1.1 ", 9) == 0, "no answer: %s", text);
    body[2] = '\0';
    const struct http_answer answer = {.status = (int)strtol(text + 9, NULL, 10),
                                       .headers = text,
                                       .body = body + 4,
                                       .body_len = strlen(body + 4)};
    struct answer r = make_reply(&answer);
    check_form(r, &(const struct http_call){.path = ""});
    return r;
}

/* ---- in a thread ---- */

struct flight {
    pthread_t thread;
    struct client *client;
    const struct http_call *call;
    struct http_answer answer;
    atomic_bool landed;
};

static void *fly(void *flight)
{
    struct flight *f = flight;
    client_ask(f->client, f->call, &f->answer);
    atomic_store(&f->landed, true);
    return NULL;
}

struct flight *http_send(const struct http_call *call)
{
    struct flight *f = arena_alloc(the_arena, sizeof *f);
    f->client = client_open();
    f->call = call;
    ck_assert_int_eq(pthread_create(&f->thread, NULL, fly, f), 0);
    return f;
}

bool http_has_landed(struct flight *f)
{
    return atomic_load(&f->landed);
}

struct answer http_land(struct flight *f)
{
    ck_assert_int_eq(pthread_join(f->thread, NULL), 0);
    struct answer r = hold(f->call, &f->answer);
    client_close(f->client);
    return r;
}

/* ---- users and posts ---- */

/* One line each in a file of its own, which tests in other processes add to as well. */
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

/* Moves the text to the_arena. */
static char *text_in(struct buf *b)
{
    char *text = arena_copy(the_arena, b->data, b->len);
    for (size_t i = 0; i < b->len; i++)
        text[i] = (char)(text[i] ? text[i] : '\n');
    buf_release(b);
    return text;
}

char *file_text(const char *path)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    ck_assert_msg(read_file(path, &b), "%s cannot be read", path);
    return text_in(&b);
}

char *output_of(const char *const *words, const char *const *names, int *ret_status)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    *ret_status = world_run(words, names, NULL, &b);
    return text_in(&b);
}

char *output_as_worker(const char *const *words, int *ret_status)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    *ret_status = world_run_as_worker(words, NULL, NULL, &b);
    return text_in(&b);
}

void http_keep_secret(const char *secret)
{
    char path[WORLD_PATH + 16];
    snprintf(path, sizeof path, "%s/secrets", world_folder());
    FILE *file = fopen(path, "ae");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%s\n", secret);
    ck_assert_int_eq(fclose(file), 0);
}

const char *email_prefix(void)
{
    return say("user-%d-%ld-", (int)getpid(), began_ms);
}

const char *new_email(void)
{
    return say("%s%u@example.org", email_prefix(), ++emails);
}

const char *token_of(const char *email)
{
    struct answer r = fetch(.path = "/api/auth/login",
                            .body = say("{\"email\":\"%s\",\"password\":\"%s\"}", email, PASSWORD));
    ck_status(r, 200);
    http_keep_secret(answer_text(r, "access_token"));
    http_keep_secret(answer_text(r, "refresh_token"));
    return answer_text(r, "access_token");
}

const char *new_account(const char **ret_id)
{
    const char *email = new_email();
    struct answer r = fetch(.path = "/api/auth/register",
                            .body = object("{'email':'%s','password':'%s'}", email, PASSWORD));
    ck_status(r, 201);
    if (ret_id)
        *ret_id = answer_text(r, "user.id");
    return email;
}

const char *new_user(const char **ret_id)
{
    return token_of(new_account(ret_id));
}

const char *new_post(const char *token, const char *title, bool published)
{
    struct answer r = fetch(.path = "/api/posts", .token = token,
                            .body = object("{'title':'%s','content':'Some words.','published':%s}",
                                           title, published ? "true" : "false"));
    ck_status(r, 201);
    return answer_text(r, "post.id");
}

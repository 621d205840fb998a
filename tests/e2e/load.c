#include "tests/e2e/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/http.h"

#define POSTS_MAX 20000 /* of one client */
#define COMPLAINT_MAX 600

enum presence { ABSENT, PRESENT, UNKNOWN };

/* One post as its client believes it to be. Its title says which it is. */
struct item {
    char id[40];
    enum presence presence;
    unsigned version;    /* of the content */
    bool version_before; /* it may also be the one before, for a change was refused */
    unsigned seen;       /* rows in the table */
};

struct load_client {
    struct load *load;
    unsigned number;
    struct client *http;
    struct arena *arena;
    pthread_t thread;
    struct item *items;
    size_t count;
    unsigned calls;
    char complaint[COMPLAINT_MAX]; /* the first */
};

struct load {
    const struct front *at;
    const char *token;
    long run;            /* tells our posts from others' */
    unsigned per_second; /* 0: without pause */
    long began;          /* ms */
    atomic_uint asked;
    unsigned content_len; /* 0: writes are short */
    atomic_bool stop, strict, lag, repeats, insists, silence;
    atomic_long refused_at;
    atomic_uint served, refused, refused_502, refused_reads;
    struct load_client clients[LOAD_CLIENTS];
};

/* ---- asking ---- */

static void complain(struct load_client *c, const char *what, const struct http_answer *answer)
{
    if (!*c->complaint)
        snprintf(c->complaint, sizeof c->complaint, "client %u: %s: status %d, %.100s %.300s",
                 c->number, what, answer->status, answer->status ? "" : answer->error,
                 answer->body);
}

static const struct json *parse(struct load_client *c, const struct http_answer *answer)
{
    const struct json *body;
    arena_reset(c->arena);
    return json_parse(c->arena, answer->body, answer->body_len, &body) ? NULL : body;
}

static const char *text_in(const struct json *object, const char *key)
{
    const struct json *node = object ? json_get(object, key) : NULL;
    return node && json_type(node) == JSON_TEXT ? json_as_text(node).data : "";
}

static bool is_whole_refusal(struct load_client *c, const struct http_answer *answer,
                             const char *id)
{
    const struct json *body = parse(c, answer);
    return strcmp(text_in(body, "code"), "unavailable") == 0 &&
           strcmp(text_in(body, "request_id"), id) == 0 &&
           header_count(answer->headers, "Retry-After") == 1;
}

static void note_refusal(struct load_client *c, const struct http_answer *answer, const char *id,
                         bool strict)
{
    struct load *l = c->load;
    if (answer->status && !is_whole_refusal(c, answer, id))
        complain(c, "a refusal without its form", answer);
    if (strict)
        complain(c, "refused where all is well", answer);
    atomic_store(&l->refused_at, now_ms());
    atomic_fetch_add(&l->refused, 1);
    if (answer->status == 502)
        atomic_fetch_add(&l->refused_502, 1);
    pause_ms(2); /* as a client would, and for the sake of the machine */
}

/* Each request has a time of its own, however long others took. */
static void await_turn(struct load *l)
{
    if (l->per_second == 0)
        return;
    long due = l->began + atomic_fetch_add(&l->asked, 1) * 1000L / l->per_second;
    long wait = due - now_ms();
    if (wait > 0)
        pause_ms(wait);
}

/* True when it was served; what else than serving and refusing happens is wrong. */
static bool ask_front(struct load_client *c, struct http_call call, struct http_answer *ret)
{
    char id[64], header[96];
    bool strict = atomic_load(&c->load->strict);
    snprintf(id, sizeof id, "load-%ld-%u-%u", c->load->run, c->number, ++c->calls);
    snprintf(header, sizeof header, "X-Request-Id: %s", id);
    call.at = c->load->at;
    call.token = c->load->token;
    call.headers[0] = header;
    await_turn(c->load);
    client_ask(c->http, &call, ret);
    bool silent = ret->status == 0 && atomic_load(&c->load->silence);
    if (ret->status == 0 && !silent) {
        complain(c, "no answer", ret);
        return false;
    }
    if (!silent && !header_lists(ret->headers, "X-Request-Id", id))
        complain(c, "the answer to another request", ret);
    if (silent || (ret->status >= 502 && ret->status <= 504)) {
        note_refusal(c, ret, id, strict);
        if (!call.method && !call.body)
            atomic_fetch_add(&c->load->refused_reads, 1);
        return false;
    }
    atomic_fetch_add(&c->load->served, 1);
    return true;
}

/* ---- what a client does ---- */

static void write_title(const struct load_client *c, size_t n, char *ret, size_t size)
{
    snprintf(ret, size, "load %ld %u %zu word%ldx%ux%zu", c->load->run, c->number, n,
             c->load->run % 1000000, c->number, n);
}

/* Under one name, until it is served. While the first of its kind is still on its way, which nobody
 * listens to any more, the second is told so. */
static bool ask_until_served(struct load_client *c, const struct http_call *call,
                             struct http_answer *ret)
{
    for (long began = now_ms(); now_ms() - began < PATIENCE_MS; pause_ms(10))
        if (ask_front(c, *call, ret) &&
            !(ret->status == 409 && strstr(ret->body, "\"idempotency_busy\"")))
            return true;
    complain(c, "never served", ret);
    return false;
}

static bool ask_to_create(struct load_client *c, const char *title, struct http_answer *ret)
{
    char key[80];
    unsigned len = c->load->content_len;
    bool named = len || atomic_load(&c->load->insists);
    struct buf body;
    struct http_call call = {.path = "/api/posts"};
    buf_init(&body, (size_t)1024 * 1024);
    buf_printf(&body, "{\"title\":\"%s\",\"content\":\"version 0%*s\",\"published\":true}", title,
               (int)len, "");
    buf_add(&body, "", 1);
    call.body = body.data;
    snprintf(key, sizeof key, "Idempotency-Key: load-%ld-%u-%zu", c->load->run, c->number,
             c->count);
    call.headers[1] = named ? key : NULL;
    bool served = named ? ask_until_served(c, &call, ret) : ask_front(c, call, ret);
    buf_release(&body);
    return served;
}

static void create(struct load_client *c)
{
    char title[120];
    struct http_answer answer;
    struct item *item = &c->items[c->count];
    write_title(c, c->count++, title, sizeof title);
    item->presence = UNKNOWN;
    if (!ask_to_create(c, title, &answer))
        return;
    const struct json *whole = parse(c, &answer);
    const struct json *post = whole ? json_get(whole, "post") : NULL;
    snprintf(item->id, sizeof item->id, "%s", text_in(post, "id"));
    if (answer.status != 201 || !*item->id || strcmp(text_in(post, "title"), title) != 0)
        complain(c, "creating", &answer);
    else
        item->presence = PRESENT;
}

static void path_of(const struct item *item, char *ret, size_t size)
{
    snprintf(ret, size, "/api/posts/%s", item->id);
}

/* Blanks after it are padding. */
static bool is_version(const char *content, unsigned version)
{
    char text[40];
    size_t len = (size_t)snprintf(text, sizeof text, "version %u", version);
    return strncmp(content, text, len) == 0 && strspn(content + len, " ") == strlen(content + len);
}

static bool has_content(const struct item *item, const char *content)
{
    return is_version(content, item->version) ||
           (item->version_before && is_version(content, item->version - 1));
}

static void read_back(struct load_client *c, const struct item *item)
{
    char path[80], title[120];
    struct http_answer answer;
    path_of(item, path, sizeof path);
    if (!ask_front(c, (struct http_call){.path = path}, &answer))
        return;
    if (atomic_load(&c->load->lag))
        return;
    if (item->presence == ABSENT && answer.status != 404)
        complain(c, "reading what was deleted", &answer);
    if (item->presence != PRESENT)
        return;
    const struct json *whole = parse(c, &answer);
    const struct json *post = whole ? json_get(whole, "post") : NULL;
    write_title(c, (size_t)(item - c->items), title, sizeof title);
    if (answer.status != 200 || strcmp(text_in(post, "title"), title) != 0 ||
        !has_content(item, text_in(post, "content")))
        complain(c, "reading what was written", &answer);
}

static void change(struct load_client *c, struct item *item)
{
    char path[80], body[80];
    struct http_answer answer;
    if (item->version_before)
        return; /* of one change at most the outcome is open */
    path_of(item, path, sizeof path);
    snprintf(body, sizeof body, "{\"content\":\"version %u\"}", ++item->version);
    item->version_before = true;
    if (!ask_front(c, (struct http_call){.method = "PATCH", .path = path, .body = body}, &answer))
        return;
    if (answer.status == 404 && atomic_load(&c->load->lag))
        return; /* not there yet, where it was asked for */
    if (answer.status != 200)
        complain(c, "changing", &answer);
    else
        item->version_before = false;
}

static void delete_item(struct load_client *c, struct item *item)
{
    char path[80];
    struct http_answer answer;
    path_of(item, path, sizeof path);
    item->presence = UNKNOWN;
    if (!ask_front(c, (struct http_call){.method = "DELETE", .path = path}, &answer))
        return;
    if (answer.status == 404 && atomic_load(&c->load->lag))
        return;
    if (answer.status != 204 && !(answer.status == 404 && atomic_load(&c->load->repeats)))
        complain(c, "deleting", &answer);
    else
        item->presence = ABSENT;
}

static void list(struct load_client *c)
{
    struct http_answer answer;
    if (!ask_front(c, (struct http_call){.path = "/api/posts?limit=5"}, &answer))
        return;
    const struct json *whole = parse(c, &answer);
    const struct json *data = whole ? json_get(whole, "data") : NULL;
    if (answer.status != 200 || !data || json_type(data) != JSON_ARRAY)
        complain(c, "listing", &answer);
}

static void *work(void *client)
{
    struct load_client *c = client;
    while (!atomic_load(&c->load->stop) && c->count < POSTS_MAX && !*c->complaint) {
        create(c);
        struct item *item = &c->items[c->count - 1];
        if (item->presence == PRESENT)
            read_back(c, item);
        if (item->presence == PRESENT && c->count % 3 == 0) {
            change(c, item);
            read_back(c, item);
        }
        if (item->presence == PRESENT && c->count % 5 == 0) {
            delete_item(c, item);
            read_back(c, item);
        }
        if (c->count % 4 == 0)
            list(c);
    }
    return NULL;
}

/* ---- the whole ---- */

struct load *load_start(const struct front *at, const char *token)
{
    return load_start_paced(at, token, 0);
}

struct load *load_start_paced(const struct front *at, const char *token, unsigned per_second)
{
    return load_start_named(at, token, per_second, 0);
}

struct load *load_start_named(const struct front *at, const char *token, unsigned per_second,
                              unsigned content_len)
{
    struct load *l = calloc(1, sizeof *l);
    ck_assert_ptr_nonnull(l);
    l->at = at;
    l->token = token;
    l->run = l->began = now_ms();
    l->per_second = per_second;
    l->content_len = content_len;
    for (unsigned i = 0; i < LOAD_CLIENTS; i++) {
        struct load_client *c = &l->clients[i];
        c->load = l;
        c->number = i;
        c->http = client_open();
        c->arena = arena_open((size_t)16 * 1024 * 1024);
        c->items = calloc(POSTS_MAX, sizeof *c->items);
        ck_assert_ptr_nonnull(c->items);
        ck_assert_int_eq(pthread_create(&c->thread, NULL, work, c), 0);
    }
    return l;
}

void load_bear_lag(struct load *l, bool lag)
{
    atomic_store(&l->lag, lag);
}

void load_bear_repeats(struct load *l)
{
    atomic_store(&l->repeats, true);
}

void load_insist(struct load *l)
{
    atomic_store(&l->insists, true);
}

void load_bear_silence(struct load *l)
{
    atomic_store(&l->silence, true);
}

long load_refused_at(struct load *l)
{
    return atomic_load(&l->refused_at);
}

void load_be_strict(struct load *l)
{
    atomic_store(&l->strict, true);
}

struct load_tally load_tally(struct load *l)
{
    return (struct load_tally){atomic_load(&l->served), atomic_load(&l->refused),
                               atomic_load(&l->refused_502), atomic_load(&l->refused_reads)};
}

void load_finish(struct load *l)
{
    atomic_store(&l->stop, true);
    for (unsigned i = 0; i < LOAD_CLIENTS; i++)
        ck_assert_int_eq(pthread_join(l->clients[i].thread, NULL), 0);
    for (unsigned i = 0; i < LOAD_CLIENTS; i++)
        ck_assert_msg(!*l->clients[i].complaint, "%s", l->clients[i].complaint);
}

static void keep_waiting(struct load *l, long began, const char *what)
{
    if (now_ms() - began > PATIENCE_MS) {
        load_finish(l); /* a wrong answer says more */
        ck_abort_msg("too little is %s", what);
    }
    pause_ms(5);
}

void load_await_served(struct load *l, unsigned more)
{
    unsigned before = load_tally(l).served;
    for (long began = now_ms(); load_tally(l).served < before + more;)
        keep_waiting(l, began, "served");
}

void load_await_refused(struct load *l, unsigned more)
{
    unsigned before = load_tally(l).refused;
    for (long began = now_ms(); load_tally(l).refused < before + more;)
        keep_waiting(l, began, "refused");
}

void load_await_calm(struct load *l, unsigned in_a_row)
{
    struct load_tally before = load_tally(l);
    for (long began = now_ms(); load_tally(l).served < before.served + in_a_row;) {
        keep_waiting(l, began, "served without refusals");
        if (load_tally(l).refused != before.refused)
            before = load_tally(l);
    }
}

/* A line of the table: title, a tab, content. */
static void take_row(struct load *l, const char *line)
{
    long run;
    unsigned client;
    size_t n;
    const char *content = strchr(line, '\t');
    ck_assert_msg(content && sscanf(line, "load %ld %u %zu", &run, &client, &n) == 3, "%s", line);
    ck_assert(client < LOAD_CLIENTS && n < l->clients[client].count);
    struct item *item = &l->clients[client].items[n];
    item->seen++;
    ck_assert_msg(has_content(item, content + 1), "%s, which was told to be version %u", line,
                  item->version);
}

static void read_table(struct load *l)
{
    char sql[200];
    struct buf rows;
    snprintf(sql, sizeof sql,
             "SELECT title, content FROM posts WHERE title LIKE 'load %ld %%' ORDER BY title",
             l->run);
    buf_init(&rows, (size_t)64 * 1024 * 1024);
    database_lines(sql, &rows);
    buf_add(&rows, "", 1);
    char *rest = rows.data, *line = strsep(&rest, "\n"); /* the names of the columns */
    while ((line = strsep(&rest, "\n")) && *line)
        take_row(l, line);
    buf_release(&rows);
}

static void check_item(const struct load_client *c, size_t n, bool refused_may_exist)
{
    static const char *const words[] = {"absent", "present", "unknown"};
    const struct item *item = &c->items[n];
    bool right = item->presence == PRESENT  ? item->seen == 1
                 : item->presence == ABSENT ? item->seen == 0
                 : refused_may_exist        ? item->seen <= 1
                 : *item->id                ? item->seen == 1 /* deleting was refused */
                                            : item->seen == 0;               /* and so was creating */
    ck_assert_msg(right, "post %zu of client %u should be %s and is there %u times", n, c->number,
                  words[item->presence], item->seen);
}

void load_verify(struct load *l, bool refused_may_exist)
{
    read_table(l);
    for (unsigned i = 0; i < LOAD_CLIENTS; i++)
        for (size_t n = 0; n < l->clients[i].count; n++)
            check_item(&l->clients[i], n, refused_may_exist);
}

static void find(const struct load_client *c, size_t n, const struct front *at)
{
    char title[120];
    write_title(c, n, title, sizeof title);
    struct answer answer = fetch(.at = at, .path = say("/api/posts?q=%s", strrchr(title, ' ') + 1));
    ck_status(answer, 200);
    ck_assert_msg(strcmp(answer_column(answer, "id"), c->items[n].id) == 0,
                  "\"%s\" should be %s, found is: %s", title, c->items[n].id, answer.text);
}

unsigned load_find(struct load *l, const struct front *at, unsigned each)
{
    unsigned count = 0;
    for (unsigned i = 0; i < LOAD_CLIENTS; i++)
        for (size_t n = 0; n < l->clients[i].count; n++)
            if (l->clients[i].items[n].presence == PRESENT && count++ % each == 0)
                find(&l->clients[i], n, at);
    return (count + each - 1) / each;
}

void load_free(struct load *l)
{
    for (unsigned i = 0; i < LOAD_CLIENTS; i++) {
        client_close(l->clients[i].http);
        arena_close(l->clients[i].arena);
        free(l->clients[i].items);
    }
    free(l);
}

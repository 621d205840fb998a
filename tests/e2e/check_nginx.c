/* nginx/ held against the tables: what nginx says by itself, and what it must know of routes. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/db/budget.h"
#include "common/db/db_limits.h"
#include "common/http/page.h"
#include "common/base/problem.h"
#include "common/process/peers.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/settings.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

#define HOSTS "LISTEN=|APP_HOSTS=127.0.0.1:9001 [::1]:9002"

static struct arena *a;
static char folder[200];

static void set_up(void)
{
    const char *parent = getenv("TMPDIR");
    a = arena_open((size_t)16 * 1024 * 1024);
    snprintf(folder, sizeof folder, "%s/postern-nginx.XXXXXX", parent ? parent : "/tmp");
    folder_make(folder);
}

/* ---- running programs ---- */

/* Run `words` with `environment` (NAME=VALUE, separated by `|`) added, quietly. */
static int run(const char *environment, const char *const *words)
{
    pid_t pid = fork();
    int status = -1;
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char *all = arena_strdup(a, environment), *rest = all;
        for (char *pair = strtok_r(all, "|", &rest); pair; pair = strtok_r(NULL, "|", &rest))
            (void)putenv(pair);
        (void)putenv(arena_printf(a, "PATH=%s:/usr/sbin:/usr/local/sbin", getenv("PATH")));
        if (!freopen(arena_printf(a, "%s/output", folder), "w", stderr) ||
            !freopen("/dev/null", "w", stdout))
            _exit(126);
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void tear_down(void)
{
    folder_remove(folder);
    arena_close(a);
}

/* What a file in the folder holds. */
static const char *text_of_file(const char *name)
{
    size_t room = (size_t)64 * 1024;
    char *text = arena_alloc(a, room);
    FILE *file = fopen(arena_printf(a, "%s/%s", folder, name), "r");
    ck_assert_msg(file != NULL, "no %s", name);
    ck_assert_uint_lt(fread(text, 1, room, file), room);
    ck_assert_int_eq(fclose(file), 0);
    return text;
}

/* Write the configuration into the folder; the status of what wrote it. */
static const char *render_path(void)
{
    const char *source = getenv("srcdir");
    return arena_printf(a, "%s/nginx/render", source ? source : ".");
}

static int try_render(const char *environment)
{
    const char *const words[] = {render_path(), arena_printf(a, "%s/conf", folder), NULL};
    return run(arena_printf(a, "POSTERN_CONFIG=|LISTEN=%s/fast|RUN_DIR=%s|%s", folder, folder,
                            environment),
               words);
}

static void render(const char *environment)
{
    ck_assert_msg(try_render(environment) == 0, "%s: %s", environment, text_of_file("output"));
}

/* ---- reading maps ---- */

/* The lines of `map … $name { … }`. */
static const char *map_of(const char *name)
{
    const char *conf = text_of_file("conf/http.conf");
    const char *head = strstr(conf, arena_printf(a, " $%s {\n", name));
    ck_assert_msg(head != NULL, "no map for %s", name);
    const char *begin = strchr(head, '\n') + 1, *end = strstr(begin, "\n}");
    ck_assert_ptr_nonnull(end);
    return arena_printf(a, "\n%.*s\n", (int)(end - begin), begin);
}

static int lines_of(const char *map)
{
    int n = -1; /* it begins with an end of line */
    for (; *map; map++)
        n += *map == '\n';
    return n;
}

/* What a map gives for a key as it is written there, without quotes around it; NULL where it
 * gives nothing. */
static const char *value_in(const char *map, const char *key)
{
    const char *at = strstr(map, arena_printf(a, "\n    %s ", key));
    if (!at)
        return NULL;
    at += strlen("\n    ") + strlen(key);
    at += strspn(at, " ");
    const char *end = strpbrk(at, "\n");
    while (*end != ';')
        end--; /* a comment may follow */
    bool quoted = *at == '"' || *at == '\'';
    return arena_copy(a, at + quoted, (size_t)(end - at) - 2 * quoted);
}

/* ---- routes ---- */

struct marked {
    const char *base, *map, *value;
    bool (*is_marked)(const struct route *route);
    int count;
};

static bool hashes(const struct route *route)
{
    return (route->flags & ROUTE_HASH_POOL);
}

static bool is_limited(const struct route *route)
{
    return (route->flags & ROUTE_RATE_LIMITED);
}

static void hold_against_map(void *context, const struct resource *resource,
                             const struct route *route)
{
    struct marked *marked = context;
    const char *method = method_list(a, route->method);
    const char *key = arena_printf(a, "\"%s %s%s\"", method, marked->base, route->path);
    (void)resource;
    if (!marked->is_marked(route)) {
        ck_assert_msg(value_in(marked->map, key) == NULL, "%s is in the map", key);
        return;
    }
    ck_assert_msg(!strchr(route->path, '{'), "%s: the map compares whole paths", key);
    ck_assert_msg(value_in(marked->map, key) != NULL, "%s is not in the map", key);
    ck_assert_str_eq(value_in(marked->map, key), marked->value);
    marked->count++;
}

static const char *const bases[] = {"/api", "/v1.0/api", ""};

static void ck_map_has(const char *name, const char *value,
                       bool (*is_marked)(const struct route *route), const char *base)
{
    render(arena_printf(a, "BASE_PATH=%s", base));
    struct marked marked = {base, map_of(name), value, is_marked, 0};

    router_each(resources, hold_against_map, &marked);

    ck_assert_int_gt(marked.count, 0);
    ck_assert_int_eq(lines_of(marked.map), marked.count + 1); /* and the default */
}

CASE("nginx", set_up, tear_down);

TEST_EACH(the_hashing_pool_gets_the_routes_that_hash_and_no_others, bases)
{
    ck_map_has("postern_hashes", "1", hashes, bases[_i]);
    ck_assert_str_eq(value_in(map_of("postern_hashes"), "default"), "0");
}

TEST_EACH(the_limited_routes_are_limited_and_no_others, bases)
{
    ck_map_has("postern_login_key", "$postern_network", is_limited, bases[_i]);
    ck_assert_str_eq(value_in(map_of("postern_login_key"), "default"), "");
}

static const struct {
    const char *names, *requests, *lists; /* NULL: no limit */
} open_limits[] = {
    {"", "256", "40"},
    {"OPEN_REQUESTS=7", "7", "40"},
    {"OPEN_LISTS=3", "256", "3"},
    {HOSTS, "256", "40"},
    {"LOGIN_LIMIT=off", NULL, NULL},
    {"LIMITS=off", NULL, NULL},
    {"LOGIN_LIMIT=off|OPEN_LISTS=3", NULL, NULL},
};

static void ck_open_limit(const char *zone, const char *most)
{
    const char *conf = text_of_file("conf/server.conf");
    const char *at = strstr(conf, arena_printf(a, "\n    limit_conn %s ", zone));
    ck_assert_int_eq(at != NULL, most != NULL);
    if (most)
        ck_assert_ptr_nonnull(strstr(conf, arena_printf(a, " limit_conn %s %s;\n", zone, most)));
}

TEST_EACH(what_is_under_way_is_limited_as_told, open_limits)
{
    render(open_limits[_i].names);

    ck_open_limit("postern_open", open_limits[_i].requests);
    ck_open_limit("postern_lists_open", open_limits[_i].lists);
}

/* The kilobytes or megabytes that a directive of a rendered file has at its end. */
static long bytes_of(const char *name, const char *directive)
{
    const char *at = strstr(text_of_file(name), arena_printf(a, "\n%s ", directive));
    ck_assert_msg(at != NULL, "no %s in %s", directive, name);
    char *end;
    long n = strtol(at + strlen(directive) + 2, &end, 10);
    ck_assert(end[0] == 'k' || end[0] == 'm');
    ck_assert_int_eq(end[1], ';');
    return n * (end[0] == 'k' ? 1024 : 1024 * 1024);
}

/* Else a worker would wait for who reads it. */
TEST(the_longest_page_has_room)
{
    const long page = (long)PAGE_BYTES_MAX, last_row = (long)512 * 1024;
    render("APP_HOSTS=");
    ck_assert_int_gt(bytes_of("conf/fastcgi.conf", "fastcgi_max_temp_file_size"), page + last_row);
    render(HOSTS);
    ck_assert_int_gt(bytes_of("conf/hosts-pass.conf", "proxy_max_temp_file_size"), page + last_row);
}

/* ---- nginx's own errors ---- */

static const struct {
    const char *key; /* in the map */
    const struct problem_type *type;
} errors[] = {
    {"default", &problem_internal}, {"400", &problem_bad_request},
    {"404", &problem_not_found},    {"405", &problem_method_not_allowed},
    {"413", &problem_too_large},    {"414", &problem_uri_too_long},
    {"429", &problem_rate_limited}, {"\"~^50[234]\\z\"", &problem_unavailable},
};

TEST_EACH(errors_of_nginx_have_the_words_of_the_application, errors)
{
    const struct problem_type *type = errors[_i].type;
    render("");

    ck_assert_pstr_eq(value_in(map_of("postern_error"), errors[_i].key),
                      arena_printf(a, "\"error\":\"%s\",\"code\":\"%s\",\"message\":\"%s\"",
                                   type->error, type->code, type->message));
    if (strlen(errors[_i].key) == 3)
        ck_assert_int_eq(atoi(errors[_i].key), type->status);
}

TEST(errors_of_nginx_are_these_and_no_others)
{
    render("");
    ck_assert_int_eq(lines_of(map_of("postern_error")), COUNT(errors));
    ck_assert_ptr_nonnull(strstr(text_of_file("conf/errors.conf"),
                                 "error_page 400 404 405 413 414 429 500 503 504 /postern-error;"));
    ck_assert_ptr_nonnull(
        strstr(text_of_file("conf/server.conf"), "error_page 502 /postern-error;"));
    ck_assert_ptr_nonnull(
        strstr(text_of_file("conf/error-page.conf"),
               "return 500 '{$postern_error,\"request_id\":\"$postern_request_id\"}';"));
}

TEST(who_is_limited_or_finds_nobody_is_told_when_to_come_back)
{
    render("");
    ck_assert_pstr_eq(value_in(map_of("postern_retry_after"), "\"~^(?:429|50[234])\\z\""), "1");
    ck_assert_int_eq(lines_of(map_of("postern_retry_after")), 2);
}

/* One for each of what nginx answers by itself: a preflight, and an error. */
TEST(what_nginx_says_by_itself_is_kept_by_no_cache)
{
    render("");
    const char *conf = text_of_file("conf/server.conf");
    const char *preflight = strstr(conf, "\n        add_header Cache-Control no-store;");
    ck_assert_ptr_nonnull(preflight);
    ck_assert_ptr_nonnull(strstr(preflight, "\n        return 204;"));
    ck_assert_ptr_nonnull(strstr(text_of_file("conf/error-page.conf"),
                                 "\nadd_header Cache-Control $postern_error_kept always;\n"));
    ck_assert_pstr_eq(value_in(map_of("postern_error_kept"), "\"\""), "no-store");
}

/* ---- CORS ---- */

#define EXPOSED                                                                                    \
    "ETag, Idempotency-Replayed, Link, Location, Retry-After, WWW-Authenticate, X-Request-Id"
#define ALLOWED                                                                                    \
    "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id"

static bool lists(const char *list, const char *word)
{
    return strstr(arena_printf(a, ", %s,", list), arena_printf(a, ", %s,", word)) != NULL;
}

TEST(scripts_of_other_origins_may_read_and_send_what_is_promised)
{
    render("CORS_ORIGINS=https://app.example.org");
    ck_assert_pstr_eq(value_in(map_of("postern_expose_headers"), "default"), EXPOSED);
    ck_assert_pstr_eq(value_in(map_of("postern_allow_headers"), "\"~^1 .\""), ALLOWED);
    ck_assert_pstr_eq(value_in(map_of("postern_allow_headers"), "default"), "");
}

TEST(an_operator_names_what_else_they_may_send)
{
    render("CORS_ORIGINS=https://app.example.org|CORS_HEADERS= traceparent\tX-Requested-With ");
    ck_assert_pstr_eq(value_in(map_of("postern_allow_headers"), "\"~^1 .\""),
                      ALLOWED ", traceparent, X-Requested-With");
}

/* HTTP_IF_MATCH is If-Match. */
static const char *header_of(const char *variable)
{
    char *name = arena_strdup(a, variable + strlen("HTTP_"));
    for (char *at = name; *at; at++) {
        if (*at == '_')
            *at = '-';
        else if (at > name && at[-1] != '-' && *at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
    return name;
}

static const char *const variables[] = {
#define X(slot, variable) variable,
    REQUEST_PARAMS(X)
#undef X
};

TEST(each_header_that_is_read_may_be_sent)
{
    /* These a browser sends by itself; but for cookies a script may set them without asking (the
     * Fetch standard's safelist). */
    static const char by_itself[] = "Accept, Cookie, User-Agent";
    static const char by_proxies[] = "X-Forwarded-For";
    static const char refused[] = "Content-Encoding"; /* and read for that */
    for (int i = 0; i < COUNT(variables); i++) {
        if (strncmp(variables[i], "HTTP_", 5) != 0)
            continue;
        const char *header = header_of(variables[i]);
        ck_assert_msg(lists(ALLOWED, header) || lists(by_itself, header) ||
                          lists(by_proxies, header) || lists(refused, header),
                      "%s", header);
    }
}

static void collect_methods(void *context, const struct resource *resource,
                            const struct route *route)
{
    (void)resource;
    *(unsigned *)context |= route->method;
}

TEST(the_methods_are_those_of_the_routes)
{
    unsigned methods = METHOD_HEAD | METHOD_OPTIONS;
    router_each(resources, collect_methods, &methods);
    render("CORS_ORIGINS=*");

    ck_assert_pstr_eq(value_in(map_of("postern_allow_methods"), "\"~^1 .\""),
                      method_list(a, methods));
    ck_assert_pstr_eq(value_in(map_of("postern_allow"), "405"), method_list(a, methods));
}

/* ---- what the application gets ---- */

/* These are of other servers, which run us as a script or hide Authorization; and a header that
 * comes with the client's own. */
static bool is_not_named(const char *variable)
{
    static const char others[] =
        "SCRIPT_NAME, PATH_INFO, REDIRECT_HTTP_AUTHORIZATION, HTTP_IDEMPOTENCY_KEY";
    return lists(others, variable);
}

TEST(the_application_gets_what_it_reads)
{
    int expected = 0, sent = 0;
    render("");
    const char *conf = text_of_file("conf/fastcgi.conf");
    for (int i = 0; i < COUNT(variables); i++) {
        bool found = strstr(conf, arena_printf(a, "\nfastcgi_param %s ", variables[i])) != NULL;
        ck_assert_msg(found != is_not_named(variables[i]), "%s", variables[i]);
        expected += found;
    }
    for (const char *at = conf; (at = strstr(at, "\nfastcgi_param ")); at++)
        sent++;
    ck_assert_int_eq(sent, expected);
    ck_assert_ptr_nonnull(strstr(conf, "fastcgi_pass_request_headers on;"));
}

/* ---- time-outs ---- */

static int seconds_in(const char *file, const char *directive)
{
    const char *conf = text_of_file(arena_printf(a, "conf/%s", file));
    const char *at = strstr(conf, arena_printf(a, "\n%s ", directive));
    ck_assert_msg(at != NULL, "no %s", directive);
    return atoi(at + strlen(directive) + 2);
}

/* A host that hangs is given up after its own answer would have come, and then a read gets a second
 * chance, but no third. */
TEST(a_host_gives_up_before_who_asks_it)
{
    render("");
    int pool = seconds_in("fastcgi.conf", "fastcgi_read_timeout");
    render("LISTEN=|APP_HOSTS=127.0.0.1:9001");
    int host = seconds_in("hosts-pass.conf", "proxy_read_timeout");
    int all = seconds_in("hosts-pass.conf", "proxy_next_upstream_timeout");

    ck_assert_int_lt(pool, host);
    ck_assert_int_lt(host, all);
    ck_assert_int_lt(all, 2 * host);
}

/* ---- several hosts ---- */

TEST(what_a_host_hands_back_goes_to_the_others)
{
    render("LISTEN=|APP_HOSTS=10.0.0.1:80 [::1]:9002 c.example:1");
    const char *conf = text_of_file("conf/hosts-http.conf");
    const char *second = strstr(conf, "upstream postern_hosts_but_1 {");
    ck_assert_ptr_nonnull(second);
    second = arena_copy(a, second, strcspn(second, "}"));

    ck_assert_ptr_nonnull(strstr(second, " 10.0.0.1:80 "));
    ck_assert_ptr_nonnull(strstr(second, " c.example:1 "));
    ck_assert_ptr_null(strstr(second, " [::1]:9002 "));
    ck_assert_ptr_nonnull(
        strstr(conf, "\n    \"~(?:^| )\\[::1\\]:9002\\z\" postern_hosts_but_1;\n"));
}

/* With non_idempotent nginx would send a write twice. */
TEST(a_write_that_was_sent_is_asked_of_nobody_else)
{
    static const char *const others[] = {"hosts-again.conf", "server.conf"};
    static const char directive[] = "proxy_next_upstream ";
    render("LISTEN=|APP_HOSTS=127.0.0.1:9001 127.0.0.1:9002");
    const char *conf = text_of_file("conf/hosts-pass.conf");
    const char *at = strstr(conf, "\nproxy_next_upstream error timeout http_502 http_504;");
    ck_assert_ptr_nonnull(at);
    ck_assert_ptr_null(strstr(at + 2, directive));
    for (int i = 0; i < COUNT(others); i++)
        ck_assert_ptr_null(strstr(text_of_file(arena_printf(a, "conf/%s", others[i])), directive));
    render("");
    ck_assert_ptr_nonnull(
        strstr(text_of_file("conf/fastcgi.conf"), "\nfastcgi_next_upstream off;"));
}

/* ---- nginx itself ---- */

#define TLS "TLS_CERT=@/crt|TLS_KEY=@/key|SERVER_NAME=api.example.org|PLAIN_LISTEN=127.0.0.1:8081"

static const char *const variants[] = {
    "",
    "CORS_ORIGINS=*",
    "CORS_ORIGINS=https://app.example.org",
    "CORS_ORIGINS=https://App.example.org https://app.example.org http://[::1]:8080",
    "CORS_ORIGINS=*|CORS_HEADERS=traceparent tracestate baggage X-Requested-With",
    "BASE_PATH=/v1.0/api",
    "BASE_PATH=/a",
    "LOGIN_LIMIT=off",
    "OPEN_REQUESTS=1|OPEN_LISTS=65535",
    "HASH_LISTEN=/run/postern/hash.sock",
    "MAX_BODY=1024",
    "MAX_BODY=67108864",
    "BASE_PATH=",
    "BASE_PATH=|LIST_CACHE=1s",
    "LISTEN=127.0.0.1:9000|HASH_LISTEN=[::1]:9001",
    "NGINX_LISTEN=[::1]:8081",
    "NGINX_LISTEN=*:8082",
    "NGINX_LISTEN=127.0.0.1:8083 [::1]:8083|SERVER_NAME=api.example.org www.example.org",
    "BASE_PATH=/a-path-longer-than-what-nginx-has-room-for-in-its-maps/api",
    "CORS_ORIGINS=https://an-origin-longer-than-what-nginx-has-room-for-in-its-maps.example.org",
    "LIST_CACHE=1s",
    "LIST_CACHE=10s|BASE_PATH=/v1.0/api",
    "TRUSTED_PROXIES=10.0.0.1 192.168.0.0/16 fd00::/8 ::1 unix:",
    TLS,
    TLS "|HSTS_S=0|CORS_ORIGINS=*|LIST_CACHE=5s|TRUSTED_PROXIES=10.0.0.1",
    TLS "|NGINX_LISTEN=127.0.0.1:8443 [::1]:8443|PLAIN_LISTEN=127.0.0.1:8080 [::1]:8080",
    HOSTS,
    HOSTS "|LOGIN_LIMIT=off|TRUSTED_PROXIES=10.0.0.1|CORS_ORIGINS=https://app.example.org",
    HOSTS "|" TLS,
    "LISTEN=|APP_HOSTS=127.0.0.1:9001",
    "LISTEN=|APP_HOSTS=127.0.0.1:9001 localhost:9002 [::1]:9003 127.0.0.1:9004",
};

static const char program_config[] = "# Comments and other settings are not ours.\n"
                                     "DATABASE_URL = mysql://postern:secret@localhost/postern\n"
                                     "LISTEN = /run/other/fast\n"
                                     "  HASH_LISTEN=/run/other/hash  \n"
                                     "MAX_BODY = 4096\n"
                                     "#BASE_PATH = /comment\n"
                                     "CORS_ORIGINS = https://a.example https://b.example\n"
                                     "CORS_HEADERS = traceparent baggage\n"
                                     "BASE_PATH = /v2"; /* without a newline */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

TEST(what_the_program_is_told_need_not_be_said_again)
{
    const char *path = arena_printf(a, "%s/postern.conf", folder);
    write_file(path, program_config);

    render(arena_printf(a, "POSTERN_CONFIG=%s|MAX_BODY=8192", path));

    const char *pools = text_of_file("conf/pools-http.conf");
    ck_assert_ptr_nonnull(strstr(pools, arena_printf(a, "server unix:%s/fast;", folder)));
    ck_assert_ptr_null(strstr(pools, "/run/other/hash"));
    ck_assert_ptr_nonnull(strstr(text_of_file("conf/server.conf"), "client_max_body_size 8192;"));
    ck_assert_ptr_nonnull(strstr(text_of_file("conf/server.conf"), "location /v2/ {"));
    ck_assert_ptr_nonnull(value_in(map_of("postern_allow_origin"), "\"https://b.example\""));
    ck_assert_ptr_nonnull(strstr(map_of("postern_allow_headers"), ", traceparent, baggage\""));
}

TEST(the_programs_sockets_are_a_pair)
{
    const char *path = arena_printf(a, "%s/postern.conf", folder);
    write_file(path, program_config);

    ck_assert_int_eq(
        run("",
            (const char *const[]){"env", "-u", "LISTEN", arena_printf(a, "POSTERN_CONFIG=%s", path),
                                  render_path(), arena_printf(a, "%s/conf", folder), NULL}),
        0);
    const char *pools = text_of_file("conf/pools-http.conf");
    ck_assert_ptr_nonnull(strstr(pools, "server unix:/run/other/fast;"));
    ck_assert_ptr_nonnull(strstr(pools, "server unix:/run/other/hash;"));
}

/* Every @ is our folder. */
static const char *placed(const char *variant)
{
    const char *text = "";
    for (const char *at; (at = strchr(variant, '@')); variant = at + 1)
        text = arena_printf(a, "%s%.*s%s", text, (int)(at - variant), variant, folder);
    return arena_printf(a, "%s%s", text, variant);
}

static void make_certificate(void)
{
    const char *const words[] = {"openssl",
                                 "req",
                                 "-x509",
                                 "-newkey",
                                 "ec",
                                 "-pkeyopt",
                                 "ec_paramgen_curve:P-256",
                                 "-nodes",
                                 "-days",
                                 "2",
                                 "-subj",
                                 "/CN=api.example.org",
                                 "-keyout",
                                 arena_printf(a, "%s/key", folder),
                                 "-out",
                                 arena_printf(a, "%s/crt", folder),
                                 NULL};
    ck_assert_int_eq(run("", words), 0);
}

/* Without a word of warning. */
static void ck_nginx_accepts(const char *conf, const char *what)
{
    const char *log = arena_printf(a, "%s/log", folder);
    const char *const words[] = {"nginx", "-t", "-q", "-e", log, "-c", conf, NULL};

    int status = run("", words);

    ck_assert_msg(status == 0, "%s: status %d: %s", what, status, text_of_file("output"));
    ck_assert_str_eq(text_of_file("output"), "");
}

static mode_t mode_of(const char *path)
{
    struct stat s;
    ck_assert_msg(stat(path, &s) == 0, "no %s", path);
    return s.st_mode & 07777;
}

/* nginx keeps the mode of a log that it finds. */
TEST(the_log_is_not_for_everybody)
{
    const char *log = arena_printf(a, "%s/access.log", folder);
    const char *path = arena_printf(a, "%s/conf/nginx.conf", folder);
    render(arena_printf(a, "ACCESS_LOG=%s", log));
    ck_assert_uint_eq(mode_of(log), 0640);

    ck_nginx_accepts(path, "a log");
    ck_assert_uint_eq(mode_of(log), 0640);

    ck_assert_int_eq(chmod(log, 0604), 0);
    render(arena_printf(a, "ACCESS_LOG=%s", log));
    ck_assert_uint_eq(mode_of(log), 0604); /* somebody wants it so */
    render("ACCESS_LOG=/nowhere/access.log");
}

/* How nginx is told of HTTP/2: as a word of `listen`, or by a line. */
static const struct {
    const char *version;
    bool line;
} versions[] = {{"1.22", false},  {"1.9.5", false}, {"1.25.0", false},
                {"1.25.1", true}, {"1.26.3", true}, {"2.0", true}};

TEST_EACH(http2_is_said_as_the_version_of_nginx_wants_it, versions)
{
    render(arena_printf(a, "%s|NGINX_LISTEN=127.0.0.1:8443|NGINX_VERSION=%s", placed(TLS),
                        versions[_i].version));

    const char *site = text_of_file("conf/site.conf");
    bool word = strstr(site, "\n    listen 127.0.0.1:8443 ssl http2") != NULL;
    bool line = strstr(site, "\n    http2 on;\n") != NULL;
    ck_assert_int_eq(line, versions[_i].line);
    ck_assert_int_eq(word, !versions[_i].line);
}

TEST(what_is_rendered_says_so)
{
    render(placed(TLS "|LIST_CACHE=5s"));
    struct dirent *entry;
    DIR *conf = opendir(arena_printf(a, "%s/conf", folder));
    ck_assert_ptr_nonnull(conf);
    unsigned files = 0;

    while ((entry = readdir(conf))) {
        if (entry->d_name[0] == '.')
            continue;
        const char *text = text_of_file(arena_printf(a, "conf/%s", entry->d_name));
        ck_assert_msg(strncmp(text, "# Written by nginx/render", 25) == 0, "%s", entry->d_name);
        files++;
    }

    (void)closedir(conf);
    ck_assert_uint_gt(files, 10);
}

TEST(its_help_is_no_error)
{
    const char *const words[] = {"sh", "-c", arena_printf(a, "%s --help >&2", render_path()), NULL};

    ck_assert_int_eq(run("", words), 0);
    ck_assert_ptr_nonnull(strstr(text_of_file("output"), "\n  LISTEN  "));
}

TEST_EACH(nginx_accepts_what_is_rendered, variants)
{
    const char *variant = placed(variants[_i]);
    if (strstr(variant, "TLS_CERT"))
        make_certificate();
    render(variant);

    ck_nginx_accepts(arena_printf(a, "%s/conf/nginx.conf", folder), variant);
}

/* nginx.conf as Debian has it, another site that comes first, and ours by its two files. */
static const char debian[] =
    "pid @/pid;\n"
    "events {}\n"
    "http {\n"
    "    access_log @/access.log;\n"
    "    client_body_temp_path @/body; fastcgi_temp_path @/fastcgi; proxy_temp_path @/proxy;\n"
    "    scgi_temp_path @/scgi; uwsgi_temp_path @/uwsgi;\n"
    "    ssl_protocols TLSv1.2 TLSv1.3;\n"
    "    ssl_prefer_server_ciphers on;\n"
    "    gzip on;\n"
    "    map $uri $of_another { default 1; }\n"
    "    include @/conf/http.conf;\n"
    "    server { listen 127.0.0.1:8081 default_server; location / { return 404; } }\n"
    "    server { listen 127.0.0.1:8082 ssl; server_name another.example.org;\n"
    "             ssl_certificate @/crt; ssl_certificate_key @/key; }\n"
    "    include @/conf/site.conf;\n"
    "}\n";

static const char *const beside[] = {
    "NGINX_LISTEN=127.0.0.1:8081|SERVER_NAME=api.example.org|LIST_CACHE=5s|LIST_CACHE_DIR=@/lists",
    TLS "|NGINX_LISTEN=127.0.0.1:8082",
    HOSTS "|" TLS "|NGINX_LISTEN=127.0.0.1:8082",
};

TEST_EACH(the_site_stands_beside_others, beside)
{
    const char *path = arena_printf(a, "%s/nginx.conf", folder);
    make_certificate();
    render(placed(arena_printf(a, "RUN_DIR=|ACCESS_LOG=@/site.log|%s", beside[_i])));
    write_file(path, placed(debian));

    ck_nginx_accepts(path, beside[_i]);
    ck_assert_int_ne(access(arena_printf(a, "%s/conf/nginx.conf", folder), F_OK), 0);
}

static const char *const refused[] = {
    "LISTEN=relative",
    "LISTEN=/with space",
    "LISTEN=/with;semicolon",
    "BASE_PATH=/api/",
    "BASE_PATH=api",
    "BASE_PATH=/api;",
    "MAX_BODY=",
    "MAX_BODY=0",
    "MAX_BODY=1k",
    "CORS_ORIGINS=example.org",
    "CORS_ORIGINS=https://example.org/",
    "CORS_ORIGINS=* https://example.org",
    "CORS_ORIGINS=https://a.example\";x",
    "CORS_HEADERS=a\";x",
    "LOGIN_LIMIT=perhaps",
    "LIMITS=perhaps",
    "OPEN_REQUESTS=0",
    "OPEN_REQUESTS=65536",
    "OPEN_LISTS=many",
    "OPEN_LISTS=4; limit_conn x 1",
    "LIST_CACHE=0s",
    "LIST_CACHE=11s",
    "LIST_CACHE=1s|LIST_CACHE_DIR=/with space",
    "TLS_CERT=/etc/crt",
    "TLS_CERT=/etc/crt|SERVER_NAME=_",
    "TLS_CERT=crt|SERVER_NAME=api.example.org",
    "TLS_KEY=/etc/key|SERVER_NAME=api.example.org",
    "SERVER_NAME=api.example.org;",
    "HSTS_S=two years",
    "NGINX_LISTEN=80; listen 81",
    "PLAIN_LISTEN=80;|TLS_CERT=/etc/crt|SERVER_NAME=api.example.org",
    "TRUSTED_PROXIES=everybody",
    "TRUSTED_PROXIES=10.0.0.1;",
    "APP_HOSTS=10.0.0.1:8080", /* with LISTEN */
    "LISTEN=|APP_HOSTS=10.0.0.1",
    "LISTEN=|APP_HOSTS=10.0.0.1:8080;",
    "LISTEN=|APP_HOSTS=10.0.0.1:65536",
    "NGINX_LISTEN=0",
    "NGINX_LISTEN=*:99999",
    "LISTEN=|APP_HOSTS=10.0.0.1:8080|LIST_CACHE=1s",
    "LISTEN=",
    "POSTERN_CONFIG=/nowhere/postern.conf",
};

TEST_EACH(what_could_be_read_as_more_than_a_value_is_refused, refused)
{
    int status = try_render(refused[_i]);

    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_ptr_nonnull(strstr(text_of_file("output"), "nginx/render: "));
    ck_assert_int_ne(access(arena_printf(a, "%s/conf/http.conf", folder), F_OK), 0);
}

/* ---- who gives up first ---- */

/* The seconds that a directive of a rendered file has. */
static long seconds_of(const char *name, const char *directive)
{
    const char *at = strstr(text_of_file(name), arena_printf(a, "\n%s ", directive));
    ck_assert_msg(at != NULL, "no %s in %s", directive, name);
    char *end;
    long seconds = strtol(at + strlen(directive) + 2, &end, 10);
    ck_assert_int_eq(strncmp(end, "s;", 2), 0);
    return seconds;
}

/* See db_limits.h. */
TEST(who_waits_for_another_waits_longer)
{
    long one_thing = DB_TRIES * DB_LOCK_LIMIT_S;
    if (one_thing < DB_CONNECT_LIMIT_S + DB_ANSWER_LIMIT_S)
        one_thing = DB_CONNECT_LIMIT_S + DB_ANSWER_LIMIT_S;
    long hang = atol(record_find(&settings_record, "hang_s")->default_value);
    long list_ms = atol(record_find(&settings_record, "list_budget_ms")->default_value);
    int64_t list_max_ms = record_find(&settings_record, "list_budget_ms")->max;
    render("APP_HOSTS=");
    long answer = seconds_of("conf/fastcgi.conf", "fastcgi_read_timeout");
    render("LISTEN=|APP_HOSTS=10.0.0.1:8080");
    long host = seconds_of("conf/hosts-pass.conf", "proxy_read_timeout");

    ck_assert_int_lt(BUDGET_QUICK_MS, list_ms);
    ck_assert_int_le(list_max_ms, DB_STATEMENT_LIMIT_S * 1000);
    ck_assert_int_lt(DB_LOCK_LIMIT_S, DB_STATEMENT_LIMIT_S);
    ck_assert_int_lt(DB_STATEMENT_LIMIT_S, DB_ANSWER_LIMIT_S);
    ck_assert_int_lt(DB_ANSWER_LIMIT_S, one_thing);
    ck_assert_int_lt(one_thing, DB_REQUEST_LIMIT_S);
    ck_assert_int_lt(PEERS_POSTPONED_S, DB_REQUEST_LIMIT_S);
    ck_assert_int_lt(DB_REQUEST_LIMIT_S, answer);
    ck_assert_int_lt(answer, host);
    ck_assert_int_lt(host, hang);
}

/* ---- settings that the program has too ---- */

static const struct {
    const char *name, *value;
    bool good;
} shared[] = {
    {"LISTEN", "/run/postern/fast.sock", true},
    {"LISTEN", "/srv/a+b_c-d.e/s", true},
    {"LISTEN", "127.0.0.1:9000", true},
    {"LISTEN", "db.example.org:9000", true},
    {"LISTEN", "[::1]:9000", true},
    {"LISTEN", "127.0.0.1:1", true},
    {"LISTEN", "127.0.0.1:65535", true},
    {"LISTEN", "127.0.0.1:0", false},
    {"LISTEN", "127.0.0.1:65536", false},
    {"LISTEN", "[::1]:99999", false},
    {"LISTEN", "::1:9000", false},
    {"LISTEN", ":9000", false},
    {"LISTEN", "localhost:", false},
    {"LISTEN", "localhost:http", false},
    {"LISTEN", "localhost", false},
    {"LISTEN", "relative", false},
    {"LISTEN", "run/postern.sock", false},
    {"LISTEN", "./postern.sock", false},
    {"LISTEN", "/", false},
    {"LISTEN", "/run/a,b", false},
    {"LISTEN", "/run/a b", false},
    {"LISTEN", "/run/a;b", false},
    {"LISTEN", "/run/\xC3\xA4", false},
    {"LISTEN", "unix:/run/postern.sock", false},
    {"HASH_LISTEN", "", true},
    {"HASH_LISTEN", "/run/postern/hash.sock", true},
    {"HASH_LISTEN", "hash.sock", false},
    {"BASE_PATH", "/api", true},
    {"BASE_PATH", "/v1.0/api_2-x", true},
    {"BASE_PATH", "", true},
    {"BASE_PATH", "/", false},
    {"BASE_PATH", "/api/", false},
    {"BASE_PATH", "//api", false},
    {"BASE_PATH", "api", false},
    {"BASE_PATH", "/a b", false},
    {"BASE_PATH", "/a?b", false},
    {"BASE_PATH", "/\xC3\xA4", false},
    {"BASE_PATH", "/api # ours", false},
    {"MAX_BODY", "1024", true},
    {"MAX_BODY", "01024", true},
    {"MAX_BODY", "67108864", true},
    {"MAX_BODY", "1023", false},
    {"MAX_BODY", "67108865", false},
    {"MAX_BODY", "512k", false},
    {"MAX_BODY", "-1024", false},
    {"MAX_BODY", "", false},
    {"CORS_ORIGINS", "", true},
    {"CORS_ORIGINS", "*", true},
    {"CORS_ORIGINS", "https://app.example.org", true},
    {"CORS_ORIGINS", "https://a.example  http://localhost:3000\thttp://[::1]:8080", true},
    {"CORS_ORIGINS", "capacitor://localhost", true},
    {"CORS_ORIGINS", "https://app.example.org:65535", true},
    {"CORS_ORIGINS", "https://app.example.org:65536", false},
    {"CORS_ORIGINS", "https://app.example.org:0", false},
    {"CORS_ORIGINS", "https://app.example.org/", false},
    {"CORS_ORIGINS", "https://app.example.org/app", false},
    {"CORS_ORIGINS", "https://a.example, https://b.example", false},
    {"CORS_ORIGINS", "https://a.example,https://b.example", false},
    {"CORS_ORIGINS", "https://a.example # ours", false},
    {"CORS_ORIGINS", "\"https://a.example\"", false},
    {"CORS_ORIGINS", "https://a.example:", false},
    {"CORS_ORIGINS", "https://", false},
    {"CORS_ORIGINS", "null", false},
    {"CORS_ORIGINS", "app.example.org", false},
    {"CORS_ORIGINS", "https://*.example.org", false},
    {"CORS_ORIGINS", "* https://a.example", false},
    {"CORS_HEADERS", "", true},
    {"CORS_HEADERS", "traceparent", true},
    {"CORS_HEADERS", "traceparent  X-Requested-With\tsentry_trace", true},
    {"CORS_HEADERS", "*", false},
    {"CORS_HEADERS", "traceparent, tracestate", false},
    {"CORS_HEADERS", "trace:parent", false},
    {"CORS_HEADERS", "\"traceparent\"", false},
    {"LOGIN_LIMIT", "on", true},
    {"LOGIN_LIMIT", "off", true},
    {"LOGIN_LIMIT", "On", false},
    {"LOGIN_LIMIT", "", false},
    {"LIMITS", "on", true},
    {"LIMITS", "guesses", true},
    {"LIMITS", "off", true},
    {"LIMITS", "On", false},
    {"LIMITS", "", false},
    {"TRUSTED_PROXIES", "", true},
    {"TRUSTED_PROXIES", "10.0.0.0/8 2001:db8::/32\t192.0.2.1 unix:", true},
    {"TRUSTED_PROXIES", "10.0.0.0/33", false},
    {"TRUSTED_PROXIES", "10.0.0.256", false},
    {"TRUSTED_PROXIES", "2001:db8::/129", false},
    {"TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2", false},
    {"TRUSTED_PROXIES", "10.0.0.1:80", false},
    {"TRUSTED_PROXIES", "proxy.example.org", false},
};

static struct problem *load_settings(char *const *environment, const char *path)
{
    struct settings settings = {0};
    struct origin *origins = arena_array(a, settings_record.count, sizeof *origins);
    return config_load(a, &settings_record, (struct config_flags){0}, environment, path, &settings,
                       origins);
}

TEST_EACH(the_program_takes_what_nginx_takes, shared)
{
    const char *pair = arena_printf(a, "%s=%s", shared[_i].name, shared[_i].value);
    char *environment[] = {arena_strdup(a, pair), NULL};

    struct problem *p = load_settings(environment, NULL);
    int status = try_render(pair);

    ck_assert_msg((p == NULL) == shared[_i].good, "%s: %s", pair, p ? p->cause : "is taken");
    ck_assert_msg((status == 0) == shared[_i].good, "%s: %s", pair, text_of_file("output"));
}

/* Those that render reads from the program's own file. */
TEST_EACH(they_read_the_same_in_the_same_file, shared)
{
    const char *path = arena_printf(a, "%s/postern.conf", folder);
    if (strcmp(shared[_i].name, "LOGIN_LIMIT") == 0 || strcmp(shared[_i].name, "LIMITS") == 0 ||
        strcmp(shared[_i].name, "TRUSTED_PROXIES") == 0)
        return;
    write_file(path, arena_printf(a, "\xEF\xBB\xBF%s = %s\r\n%s", shared[_i].name, shared[_i].value,
                                  strcmp(shared[_i].name, "LISTEN") == 0 ? "" : "LISTEN = /s\n"));
    const char *const words[] = {
        "env",
        "-u",
        "LISTEN",
        arena_printf(a, "POSTERN_CONFIG=%s", path),
        arena_printf(a, "%s/nginx/render", getenv("srcdir") ? getenv("srcdir") : "."),
        arena_printf(a, "%s/conf", folder),
        NULL};

    struct problem *p = load_settings(NULL, path);
    int status = run("", words);

    ck_assert_msg((p == NULL) == shared[_i].good, "%s", p ? p->cause : "is taken");
    ck_assert_msg((status == 0) == shared[_i].good, "%s", text_of_file("output"));
    if (status == 0 && *shared[_i].value && strcmp(shared[_i].name, "CORS_ORIGINS") == 0)
        ck_assert_str_ne(map_of("postern_allow_origin"), "\n    default \"\";\n");
}

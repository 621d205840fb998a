/* nginx.c -- nginx as production has it: TLS, limits, a cache, several hosts. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/load.h"

#define ORIGIN "https://app.example.org"
#define NAME "api.example.org"
#define HSTS "max-age=63072000"

static struct backend pool, nothing;

/* An answer that need not have the form of all answers. */
static struct http_answer ask_freely(const struct http_call *call)
{
    struct http_answer answer, kept;
    struct client *c = client_open();
    client_ask(c, call, &answer);
    kept = answer;
    kept.headers = arena_strdup(the_arena, answer.headers);
    kept.body = arena_strdup(the_arena, answer.body);
    client_close(c);
    return kept;
}

/* ---- TLS ---- */

static struct front secure, secure_deserted;
static struct front plain; /* the secure one's other port */

/* Made here, for nobody else would sign for 127.0.0.1. */
static void make_certificate(const char *certificate, const char *key)
{
    const char *const *make_key = LIST("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                                       "ec_paramgen_curve:P-256", "-out", key);
    const char *const *sign =
        LIST("openssl", "req", "-x509", "-new", "-key", key, "-days", "2", "-subj", "/CN=" NAME,
             "-addext", "subjectAltName=IP:127.0.0.1,IP:::1,DNS:" NAME, "-out", certificate);
    ck_assert_int_eq(world_run(make_key, NULL, NULL, NULL), 0);
    ck_assert_int_eq(world_run(sign, NULL, NULL, NULL), 0);
}

/* What others may have said for all sites of an nginx; the first line is Debian's. */
static void set_for_all_sites(struct front *f)
{
    static const char edit[] = "s/^http {/&\\n"
                               "gzip on; ssl_prefer_server_ciphers on;\\n"
                               "gzip_types *; gzip_min_length 1; fastcgi_intercept_errors on;\\n"
                               "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; server_tokens on;\\n"
                               "add_header X-Other 1 always; error_page 401 404 \\/other;/";
    char path[WORLD_PATH + 24];
    snprintf(path, sizeof path, "%s/conf/nginx.conf", f->folder);
    ck_assert_int_eq(world_run(LIST("sed", "-i", edit, path), NULL, NULL, NULL), 0);
    front_reload(f);
}

static char certificate[WORLD_PATH + 32], key[WORLD_PATH + 32]; /* fronts keep them */

static void name_certificate(void)
{
    snprintf(certificate, sizeof certificate, "TLS_CERT=%s/tls.crt", world_folder());
    snprintf(key, sizeof key, "TLS_KEY=%s/tls.key", world_folder());
    make_certificate(strchr(certificate, '/'), strchr(key, '/'));
}

static void start_tls(void)
{
    name_certificate();
    const char *const *names = LIST(certificate, key, "SERVER_NAME=" NAME " www." NAME,
                                    "LOGIN_LIMIT=off", "CORS_ORIGINS=" ORIGIN);
    backend_start(&pool, LIST("WORKERS=2", "HASH_WORKERS=1"));
    backend_make(&nothing);
    front_start(&secure, &pool, names);
    set_for_all_sites(&secure);
    front_start(&secure_deserted, &nothing, names);
    plain = secure;
    plain.host = "127.0.0.2";
    plain.ca = NULL;
    the_front = &secure;
}

static void stop_tls(void)
{
    front_stop(&secure);
    front_stop(&secure_deserted);
    backend_stop(&pool);
}

NGINX_CASE("tls");
CASE_AROUND(start_tls, stop_tls);

TEST(https_is_http_2_and_wants_to_be_asked_again)
{
    const char *token = new_user(NULL);
    struct answer r = fetch(.path = "/api/auth/profile", .token = token);

    ck_status(r, 200);
    ck_assert_msg(strncmp(r.headers, "HTTP/2 ", 7) == 0, "%s", r.headers);
    ck_assert_uint_eq(header_count(r.headers, "Strict-Transport-Security"), 1);
    ck_header(r, "Strict-Transport-Security", HSTS);
    ck_no_header(r, "Alt-Svc");
}

TEST_TIMES(ipv6_is_served_as_ipv4_is, world_has_ipv6())
{
    struct front six = secure;
    six.host = "[::1]";

    struct answer posts = fetch(.at = &six, .path = "/api/posts");
    struct answer here = fetch(.at = &six, .path = "/api/metrics");

    ck_status(posts, 200);
    ck_status(here, 200); /* who comes from the address that they go to is on this machine */
}

/* nginx closes the connection (ENHANCE_YOUR_CALM), and nothing leads from there to our words. */
TEST(over_http_2_what_is_too_long_gets_no_answer)
{
    const char *const asked[][3] = {
        {say("https://127.0.0.1:%d/api/health", secure.port), "-H",
         say("X-Long: %s", repeat("a", 20000))},
        {say("https://127.0.0.1:%d/api/posts?q=%s", secure.port, repeat("a", 20000)), "-H", "X: y"},
    };
    for (int i = 0; i < COUNT(asked); i++) {
        int status;
        const char *said = output_of(LIST("curl", "-s", "--http2", "--cacert",
                                          strchr(certificate, '/'), "-o", "/dev/null", "-w",
                                          "%{http_code}", asked[i][0], asked[i][1], asked[i][2]),
                                     NULL, &status);

        ck_assert_str_eq(said, "000");
        ck_assert_int_ne(status, 0);
        ck_status(fetch(.path = "/api/health"), 200);
    }
}

TEST(errors_over_tls_have_their_form)
{
    const struct {
        struct answer r;
        int status;
        const char *error, *code;
    } rows[] = {
        {fetch(.path = "/nothing"), 404, "Not Found", "not_found"},
        {fetch(.path = "/api/nothing"), 404, "Not Found", "not_found"},
        {fetch(.path = "/api/posts", .body = say("\"%0600000d\"", 0)), 413, "Payload Too Large",
         "too_large"},
        {fetch(.path = "/api/posts", .body = say("\"%0600000d\"", 0), .chunked = true), 413,
         "Payload Too Large", "too_large"},
        {fetch(.path = "/api/posts", .method = "TRACE"), 405, "Method Not Allowed",
         "method_not_allowed"},
        {fetch(.at = &secure_deserted, .path = "/api/posts", .headers = {"Origin: " ORIGIN}), 502,
         "Service Unavailable", "unavailable"},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        ck_problem(rows[i].r, rows[i].status, rows[i].error, rows[i].code);
        ck_header(rows[i].r, "Strict-Transport-Security", HSTS);
    }
    ck_header(rows[COUNT(rows) - 1].r, "Access-Control-Allow-Origin", ORIGIN);
}

TEST(what_is_said_for_all_sites_changes_nothing)
{
    const char *token = new_user(NULL);
    struct answer made = fetch(.path = "/api/posts", .token = token, .gzip = true,
                               .body = say("{\"title\":\"Long\",\"content\":\"%02000d\"}", 0));

    struct answer one =
        fetch(.path = answer_header(made, "Location"), .token = token, .gzip = true);
    struct answer none =
        fetch(.path = "/api/posts/00000000-0000-7000-8000-000000000000", .token = token);

    ck_no_header(made, "Content-Encoding");
    ck_no_header(one, "Content-Encoding");
    ck_assert_int_eq(*answer_header(one, "ETag"), '"');
    ck_header(one, "Server", "nginx");
    ck_no_header(one, "X-Other");
    ck_problem(none, 404, "Post not found", "post_not_found");
}

/* What a client of OpenSSL's, restricted by these words, is told. */
static const struct {
    const char *words, *told;
} handshakes[] = {
    {"-tls1_3", "New, TLSv1.3, Cipher is TLS_"},
    {"-tls1_2", "New, TLSv1.2, Cipher is ECDHE-ECDSA-"},
    {"-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"-tls1_1 -cipher ALL@SECLEVEL=0", "alert protocol version"},
    {"-tls1 -cipher ALL@SECLEVEL=0", "alert protocol version"},
    {"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", "alert handshake failure"},
    {"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "alert handshake failure"},
    {"-tls1_2 -cipher AES128-GCM-SHA256", "alert handshake failure"},
};

TEST_EACH(handshakes_are_those_of_the_profile, handshakes)
{
    struct buf said;
    buf_init(&said, (size_t)1024 * 1024);
    const char *command = say("openssl s_client -connect 127.0.0.1:%d %s </dev/null 2>&1",
                              secure.port, handshakes[_i].words);

    (void)world_run(LIST("sh", "-c", command), NULL, NULL, &said);
    buf_add(&said, "", 1);

    ck_assert_msg(strstr(said.data, handshakes[_i].told) != NULL, "%s: %s", handshakes[_i].words,
                  said.data);
    buf_release(&said);
}

static const char *const browsed[] = {"/", "/api/docs", "/api/posts?q=a%20b&limit=1"};

TEST_EACH(a_browser_is_led_from_plain_http_to_tls, browsed)
{
    struct http_answer r = ask_freely(&(const struct http_call){.at = &plain, .path = browsed[_i]});

    ck_assert_int_eq(r.status, 308);
    const char *line = say("\r\nLocation: https://" NAME ":%d%s\r\n", plain.port, browsed[_i]);
    ck_assert_msg(strstr(r.headers, line) != NULL, "%s", r.headers);
    ck_assert_uint_eq(header_count(r.headers, "Strict-Transport-Security"), 0);
    ck_assert_uint_eq(header_count(r.headers, "X-Request-Id"), 1);
}

static const struct http_call said_aloud[] = {
    {.path = "/api/auth/profile", .token = "abc"},
    {.path = "/api/auth/login", .body = "{\"email\":\"a@example.org\",\"password\":\"x\"}"},
    {.path = "/api/posts", .method = "DELETE"},
    {.path = "/", .token = "abc"},
};

TEST_EACH(a_client_that_sends_secrets_over_plain_http_is_told, said_aloud)
{
    struct http_call call = said_aloud[_i];
    call.at = &plain;
    struct http_answer r = ask_freely(&call);

    ck_assert_int_eq(r.status, 400);
    ck_assert_ptr_nonnull(strstr(r.body, "\"code\":\"bad_request\""));
    ck_assert_ptr_nonnull(strstr(r.body, "speaks HTTPS only"));
    ck_assert_uint_eq(header_count(r.headers, "Location"), 0);
    ck_assert_uint_eq(header_count(r.headers, "Strict-Transport-Security"), 0);
}

TEST(plain_http_on_the_port_for_tls_is_told_too)
{
    static const char request[] = "GET /api/posts HTTP/1.1\r\nHost: " NAME "\r\n\r\n";

    struct answer r = http_raw(&secure, request, strlen(request));

    ck_problem(r, 400, "Bad Request", "bad_request");
    ck_assert_ptr_nonnull(strstr(r.text, "speaks HTTPS only"));
}

TEST(what_is_not_http_on_the_plain_port_is_400)
{
    const struct http_call call = {.at = &plain, .path = "/", .headers = {"Transfer-Encoding: x"}};

    struct http_answer r = ask_freely(&call);

    ck_assert_int_eq(r.status, 400);
    ck_assert_ptr_nonnull(strstr(r.body, "not a well-formed HTTP request"));
}

/* ---- limits, and what is for this machine alone ---- */

static struct front limited, behind_proxy, deserted, before_deserted;

static void start_limited(void)
{
    backend_start(&pool, LIST("WORKERS=2", "HASH_WORKERS=1"));
    backend_make(&nothing);
    front_start(&limited, &pool, LIST("LOGIN_LIMIT=on"));
    front_start_strict(&behind_proxy, &pool, LIST("LOGIN_LIMIT=on", "TRUSTED_PROXIES=127.0.0.1"));
    front_start(&deserted, &nothing, LIST("TRUSTED_PROXIES=127.0.0.1"));
    char hosts[40];
    snprintf(hosts, sizeof hosts, "APP_HOSTS=127.0.0.1:%d", deserted.port);
    front_start(&before_deserted, NULL, LIST(hosts));
    the_front = &limited;
}

static void stop_limited(void)
{
    front_stop(&before_deserted);
    front_stop(&deserted);
    front_stop(&behind_proxy);
    front_stop(&limited);
    backend_stop(&pool);
}

#define OPEN_MAX_LOGINS 8

static struct sockaddr_in address_of(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    ck_assert_int_eq(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return address;
}

/* Send bytes from an address of ours, and read the status of what comes. Its window is small, and
 * more is never read. */
static int begin_call(const struct front *at, const char *from, const char *bytes, int *ret_fd)
{
    const struct sockaddr_in ours = address_of(from, 0), its = address_of("127.0.0.1", at->port);
    char said[13] = "", *end;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), window = 4096;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window), 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&ours, sizeof ours), 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&its, sizeof its), 0);
    ck_assert_int_eq(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    ck_assert_int_eq(recv(fd, said, sizeof said, MSG_WAITALL), (ssize_t)sizeof said);
    ck_assert_mem_eq(said, "HTTP/1.1 ", 9);
    *ret_fd = fd;
    return (int)strtol(said + 9, &end, 10);
}

/* A request whose body never comes; nginx waits for it when it says that it may come. */
static int begin_body(const struct front *at, const char *path, const char *from)
{
    int fd;
    const char *head = say("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
                           path);
    ck_assert_int_eq(begin_call(at, from, head, &fd), 100);
    return fd;
}

/* As long as it takes, but not so often that limit_req would have its say. */
static struct answer fetch_until_served(const struct http_call *call)
{
    struct answer r = http_fetch(call);
    for (int tries = 0; tries < 200 && r.status == 429; tries++) {
        pause_ms(200);
        r = http_fetch(call);
    }
    return r;
}

/* Each of an address of its own. */
static const struct http_call begun[] = {
    {.path = "/api/auth/login", .body = "{}", .from = "127.0.0.21"},
    {.path = "/api/auth/register/", .body = "{}", .from = "127.0.0.22"},
    {.path = "/api/auth/%6Cogin", .body = "{}", .from = "127.0.0.23"},
};

NGINX_CASE("limits");
CASE_AROUND(start_limited, stop_limited);

TEST_EACH(one_address_has_only_a_few_logins_under_way, begun)
{
    const struct http_call *call = &begun[_i];
    int fds[OPEN_MAX_LOGINS];
    for (size_t i = 0; i < OPEN_MAX_LOGINS; i++)
        fds[i] = begin_body(&limited, call->path, call->from);

    struct answer refused = http_fetch(call);
    struct answer other = fetch(.path = call->path, .body = call->body);
    struct answer read = fetch(.path = "/api/posts", .from = call->from);
    for (size_t i = 0; i < OPEN_MAX_LOGINS; i++)
        (void)close(fds[i]);
    struct answer later = fetch_until_served(call);

    ck_problem(refused, 429, "Too Many Requests", "rate_limited");
    ck_status(other, 400);
    ck_status(read, 200);
    ck_status(later, 400);
}

static int login_from(const struct front *at, const char *address)
{
    return fetch(.at = at, .path = "/api/auth/login", .body = "{}",
                 .headers = {say("X-Forwarded-For: %s", address)})
        .status;
}

static const struct {
    const char *before, *after; /* the number that changes from one address to the next; or NULL */
    const char *same, *other;
} networks[] = {
    {"2001:db8::", "", "2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8:0:1::1"},
    {"2001:db8:1:2:0a0d::", "", "2001:db8:1:2::", "2001:db8:1:3:0a0d::1"},
    {"2001:db8:3::", ":0:0", "2001:DB8:3::192.0.2.1", "2001:db8:2:0:3::1"},
    {"::", "", "::", "0:0:0:1::1"},
    {"198.51.100.7", NULL, "::ffff:198.51.100.7", "198.51.100.8"},
    {"::ffff:198.51.100.9", NULL, "198.51.100.9", "::ffff:198.51.100.10"},
};

/* Until limit_req has its say; what it lets through has no valid body. */
static void storm(const char *before, const char *after)
{
    for (unsigned i = 1; i <= 60; i++)
        if (login_from(&behind_proxy, after ? say("%s%x%s", before, i, after) : before) == 429)
            return;
    ck_abort_msg("no limit for %s", before);
}

TEST_EACH(the_addresses_of_a_network_count_as_one, networks)
{
    storm(networks[_i].before, networks[_i].after);

    /* A few more are let through, but of its own it would have twenty at once. */
    int status = 400;
    for (unsigned i = 0; i < 10 && status == 400; i++)
        status = login_from(&behind_proxy, networks[_i].same);
    ck_assert_int_eq(status, 429);
    ck_assert_int_eq(login_from(&behind_proxy, networks[_i].other), 400);
}

/* Behind this one is nothing: what gets through is 502. */
static const struct {
    struct http_call call;
    const struct front *at;
    int status;
} metrics[] = {
    {{.path = "/api/metrics"}, &deserted, 502},
    {{.path = "/api/metrics/"}, &deserted, 502},
    {{.path = "/api/metrics", .from = "127.0.0.9"}, &deserted, 404},
    {{.path = "/api/metrics/", .from = "127.0.0.9"}, &deserted, 404},
    {{.path = "/api/%6detrics", .from = "127.0.0.9"}, &deserted, 404},
    {{.path = "/api//x/../metrics", .from = "127.0.0.9"}, &deserted, 404},
    {{.path = "/api/posts/..%2Fmetrics", .from = "127.0.0.9"}, &deserted, 404},
    {{.path = "/api/metrics?x", .method = "POST", .from = "127.0.0.9"}, &deserted, 404},
    {{.path = "/api/metrics", .headers = {"X-Forwarded-For: 127.0.0.1"}}, &deserted, 404},
    {{.path = "/api/metrics", .from = "127.0.0.9", .headers = {"X-Forwarded-For: 127.0.0.1"}},
     &deserted,
     404},
    {{.path = "/api/metrics", .headers = {"Forwarded: for=127.0.0.1"}}, &deserted, 404},
    {{.path = "/api/metrics", .headers = {"Via: 1.1 proxy"}}, &deserted, 404},
    {{.path = "/api/metrics"}, &before_deserted, 404},
    {{.path = "/api/metrics/"}, &before_deserted, 404},
    {{.path = "/api/metricsandmore"}, &before_deserted, 502},
};

TEST_EACH(numbers_are_for_this_machine_alone, metrics)
{
    struct http_call call = metrics[_i].call;
    call.at = metrics[_i].at;
    struct http_answer r = ask_freely(&call);

    ck_assert_msg(r.status == metrics[_i].status, "row %d: status %d: %s", _i, r.status, r.body);
    ck_assert_uint_eq(header_count(r.headers, "X-Request-Id"), 1);
    ck_assert_ptr_nonnull(strstr(r.body, r.status == 404 ? "\"not_found\"" : "\"unavailable\""));
}

/* ---- who does not read ---- */

#define OPEN_LISTS 4
#define OPEN_REQUESTS 6
#define MIB ((long)1024 * 1024)
#define READER "127.0.0.31" /* who does not, and somebody else */
#define OTHER "127.0.0.32"

static struct front bounded, in_a_hurry;

/* The time-out is half a minute; nobody wants to wait for it here. */
static void hurry(struct front *f)
{
    char path[WORLD_PATH + 24];
    snprintf(path, sizeof path, "%s/conf/server.conf", f->folder);
    ck_assert_int_eq(file_has(path, " send_timeout 30s;"), 1);
    ck_assert_int_eq(world_run(LIST("sed", "-i", "s/ send_timeout 30s;/ send_timeout 1s;/", path),
                               NULL, NULL, NULL),
                     0);
    front_reload(f);
}

static void start_bounded(void)
{
    backend_start(&pool, LIST("WORKERS=2", "HASH_WORKERS=1"));
    front_start(&bounded, &pool, LIST("OPEN_LISTS=4", "OPEN_REQUESTS=6"));
    front_start(&in_a_hurry, &pool, LIST("OPEN_LISTS=4"));
    hurry(&in_a_hurry);
    the_front = &bounded;
}

static void stop_bounded(void)
{
    front_stop(&in_a_hurry);
    front_stop(&bounded);
    backend_stop(&pool);
}

/* A list of nearly 8 MiB, and who may see it. A control character takes six bytes in JSON. */
struct long_list {
    const char *path, *token, *post;
};

static struct long_list write_long_list(void)
{
    const char *id, *token = new_user(&id);
    const char *body = say("{\"title\":\"Long\",\"content\":\"%s\"}", repeat("\\u0001", 65535));
    struct answer r = {0};
    for (int i = 0; i < 20; i++) {
        r = fetch(.path = "/api/posts", .token = token, .body = body);
        ck_status(r, 201);
    }
    return (struct long_list){say("/api/users/%s/posts", id), token, answer_header(r, "Location")};
}

static int begin_list(const struct front *at, const struct long_list *list, int *ret_fd)
{
    return begin_call(at, READER,
                      say("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                          list->path, list->token),
                      ret_fd);
}

/* What a process has in temporary files of nginx, bytes. */
static long held_by(pid_t pid)
{
    long held = 0;
    const char *folder = say("/proc/%ld/fd", (long)pid);
    DIR *fds = opendir(folder);
    ck_assert_ptr_nonnull(fds);
    for (const struct dirent *each; (each = readdir(fds));) {
        char target[256] = "";
        const char *path = say("%s/%s", folder, each->d_name);
        struct stat s;
        if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "/nginx-fastcgi/") &&
            stat(path, &s) == 0)
            held += (long)s.st_size;
    }
    (void)closedir(fds);
    return held;
}

static long held_on_disk(const struct front *f)
{
    pid_t pids[WORKERS_MAX];
    size_t count = front_workers(f, pids);
    long held = 0;
    for (size_t i = 0; i < count; i++)
        held += held_by(pids[i]);
    return held;
}

static void await_on_disk(const struct front *f, long least, long most)
{
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(20)) {
        long held = held_on_disk(f);
        if (held >= least && held <= most)
            return;
    }
    ck_abort_msg("%ld bytes on the disk", held_on_disk(f));
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        (void)close(fds[i]);
}

NGINX_CASE("readers");
CASE_AROUND(start_bounded, stop_bounded);

TEST(who_does_not_read_holds_a_bounded_part)
{
    const struct long_list list = write_long_list();
    int fds[OPEN_LISTS + 3];
    for (int i = 0; i < OPEN_LISTS; i++)
        ck_assert_int_eq(begin_list(&bounded, &list, &fds[i]), 200);
    await_on_disk(&bounded, OPEN_LISTS * 2 * MIB, OPEN_LISTS * 9 * MIB);

    /* One list more, and one that tries again and again. */
    struct answer refused = fetch(.path = list.path, .token = list.token, .from = READER);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(begin_list(&bounded, &list, &fds[OPEN_LISTS + i]), 429);
    struct answer post = fetch(.path = list.post, .token = list.token, .from = READER);
    const struct answer others[] = {
        fetch(.path = "/api/health", .from = OTHER),
        fetch(.path = list.post, .token = list.token, .from = OTHER),
        fetch(.path = say("%s?limit=1", list.path), .token = list.token, .from = OTHER),
    };
    await_on_disk(&bounded, OPEN_LISTS * 2 * MIB, OPEN_LISTS * 9 * MIB);

    ck_problem(refused, 429, "Too Many Requests", "rate_limited");
    ck_header(refused, "Cache-Control", "no-store");
    ck_status(post, 200);
    for (int i = 0; i < COUNT(others); i++)
        ck_status(others[i], 200);

    close_all(fds, COUNT(fds));
    await_on_disk(&bounded, 0, 0);
    const struct http_call again = {.path = list.path, .token = list.token, .from = READER};
    ck_status(fetch_until_served(&again), 200);
}

TEST(one_address_has_only_so_much_under_way)
{
    int fds[OPEN_REQUESTS];
    for (int i = 0; i < OPEN_REQUESTS; i++)
        fds[i] = begin_body(&bounded, "/api/posts", READER);

    struct answer refused = fetch(.path = "/api/posts/" NOBODY_ID, .from = READER);
    struct answer written = fetch(.path = "/api/posts", .body = "{}", .from = READER);
    struct answer alive = fetch(.path = "/api/health", .from = READER),
                  ready = fetch(.path = "/api/ready/", .from = READER);
    struct answer other = fetch(.path = "/api/posts/" NOBODY_ID, .from = OTHER);
    close_all(fds, COUNT(fds));
    const struct http_call again = {.path = "/api/posts/" NOBODY_ID, .from = READER};
    struct answer later = fetch_until_served(&again);

    ck_problem(refused, 429, "Too Many Requests", "rate_limited");
    ck_problem(written, 429, "Too Many Requests", "rate_limited");
    ck_status(alive, 200);
    ck_status(ready, 200);
    ck_status(other, 404);
    ck_status(later, 404);
}

TEST(who_takes_nothing_is_given_up)
{
    const struct long_list list = write_long_list();
    int fds[OPEN_LISTS];
    for (int i = 0; i < OPEN_LISTS; i++)
        ck_assert_int_eq(begin_list(&in_a_hurry, &list, &fds[i]), 200);

    (void)http_await(
        &(const struct http_call){
            .at = &in_a_hurry, .path = list.path, .token = list.token, .from = READER},
        200, 60000);
    await_on_disk(&in_a_hurry, 0, 0);

    /* Nobody has closed them but nginx. */
    close_all(fds, COUNT(fds));
}

/* ---- the cache ---- */

static struct front caching, forgetful;

/* A time that `render` would not write: one that a test can wait for, or that none comes to. */
static void set_seconds(struct front *f, const char *file, const char *directive, unsigned seconds)
{
    char path[2 * WORLD_PATH], edit[160]; /* there is no arena around a case */
    snprintf(path, sizeof path, "%s/conf/%s", f->folder, file);
    snprintf(edit, sizeof edit, "/^%s /!b;s/^\\(%s\\) .*/\\1 %us;/;w /dev/stdout", directive,
             directive, seconds);
    struct buf changed;
    buf_init(&changed, 1024);
    ck_assert_int_eq(world_run(LIST("sed", "-i", edit, path), NULL, NULL, &changed), 0);
    ck_assert_uint_gt(changed.len, 0);
    buf_release(&changed);
    front_reload(f);
}

static void start_cache(void)
{
    backend_start(&pool, LIST("WORKERS=2", "HASH_WORKERS=1"));
    front_start(&caching, &pool, LIST("LOGIN_LIMIT=off", "LIST_CACHE=10s", "CORS_ORIGINS=" ORIGIN));
    set_seconds(&caching, "cache-pass.conf", "fastcgi_cache_valid 200",
                600); /* on a slow machine */
    front_start(&forgetful, &pool, LIST("LOGIN_LIMIT=off", "LIST_CACHE=1s"));
    the_front = &caching;
}

static void stop_cache(void)
{
    front_stop(&caching);
    front_stop(&forgetful);
    backend_stop(&pool);
}

/* A list that no other test has asked for. */
static const char *fresh_list(void)
{
    return say("/api/posts?limit=100&of=%ld", now_ms());
}

/* What nginx would judge by itself of a list that it keeps. Without a value it still does. */
static const struct {
    const char *header;
    bool reaches_pool;
    int status;
} conditions[] = {
    {"If-Match: \"1\"", true, 200},
    {"If-Match: *", true, 200},
    {"If-None-Match: \"1\"", true, 200},
    {"If-None-Match: *", true, 200},
    {"If-Unmodified-Since: Thu, 01 Jan 2026 00:00:00 GMT", true, 200},
    {"If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT", false, 200},
    {"If-Match;", false, 400},
    {"If-None-Match;", false, 200},
    {"If-Unmodified-Since;", false, 400},
};

NGINX_CASE("cache");
CASE_AROUND(start_cache, stop_cache);

TEST(a_list_is_kept_for_those_without_a_token)
{
    const char *token = new_user(NULL), *list = fresh_list();
    struct answer first = fetch(.path = list);
    const char *id = new_post(token, "Newer than the cache", true);

    struct answer again = fetch(.path = list),
                  slash = fetch(.path = say("/api/posts/?%s", strchr(list, '?') + 1));
    struct answer with_token = fetch(.path = list, .token = token);
    struct answer with_cookie = fetch(.path = list, .headers = {"Cookie: a=b"});
    struct answer another = fetch(.path = fresh_list());

    ck_assert_str_eq(again.text, first.text);
    ck_assert_str_eq(slash.text, first.text);
    ck_assert_ptr_null(strstr(again.text, id));
    ck_assert_str_ne(answer_header(again, "X-Request-Id"), answer_header(first, "X-Request-Id"));
    ck_assert_ptr_nonnull(strstr(with_token.text, id));
    ck_assert_ptr_nonnull(strstr(with_cookie.text, id));
    ck_assert(header_lists(again.headers, "Vary", "Authorization"));
    ck_assert(header_lists(again.headers, "Vary", "Cookie"));
    ck_assert_ptr_nonnull(strstr(another.text, id));
    ck_header(with_token, "Cache-Control", "private, no-cache");
}

TEST(a_kept_list_has_the_headers_of_its_request)
{
    const char *list = fresh_list();
    struct answer plain_one = fetch(.path = list, .headers = {"X-Request-Id: first-of-two"});
    struct answer r = fetch(.path = list, .gzip = true,
                            .headers = {"Origin: " ORIGIN, "X-Request-Id: second-of-two"});
    struct answer head = fetch(.path = list, .method = "HEAD");

    ck_assert_str_eq(r.text, plain_one.text);
    ck_assert(backend_logged(&pool, "first-of-two"));
    ck_assert(!backend_logged(&pool, "second-of-two"));
    ck_header(r, "X-Request-Id", "second-of-two");
    ck_header(r, "Access-Control-Allow-Origin", ORIGIN);
    ck_assert(header_lists(r.headers, "Vary", "Origin"));
    ck_assert(header_lists(plain_one.headers, "Vary", "Origin"));
    ck_assert_uint_eq(header_count(r.headers, "Link"), header_count(plain_one.headers, "Link"));
    ck_no_header(plain_one, "Access-Control-Allow-Origin");
    ck_status(head, 200);
}

TEST_EACH(nginx_judges_no_condition_of_a_list, conditions)
{
    static const char *const methods[] = {"GET", "HEAD"};
    const char *list = fresh_list(), *token = new_user(NULL);
    for (int i = 0; i < COUNT(methods); i++) {
        const char *id = say("condition-%d-%s", _i, methods[i]);
        struct answer plain_one = fetch(.path = list, .method = methods[i]);

        struct answer r = fetch(.path = list, .method = methods[i],
                                .headers = {conditions[_i].header, say("X-Request-Id: %s", id)});
        struct answer with_token = fetch(.path = list, .method = methods[i], .token = token,
                                         .headers = {conditions[_i].header});

        ck_status(r, conditions[_i].status);
        if (r.status == 200)
            ck_assert_str_eq(r.text, plain_one.text);
        ck_assert_int_eq(backend_logged(&pool, id), conditions[_i].reaches_pool);
        ck_status(with_token, 200);
    }
}

#define AT_ONCE 8

TEST(a_crowd_asks_the_pool_once)
{
    const char *list = fresh_list();
    struct http_call calls[AT_ONCE];
    struct flight *flights[AT_ONCE];
    unsigned asked = 0;

    for (unsigned i = 0; i < AT_ONCE; i++) {
        calls[i] = (struct http_call){.path = list,
                                      .headers = {say("X-Request-Id: crowd-%ld-%u", now_ms(), i)}};
        flights[i] = http_send(&calls[i]);
    }
    for (unsigned i = 0; i < AT_ONCE; i++)
        ck_status(http_land(flights[i]), 200);

    for (unsigned i = 0; i < AT_ONCE; i++)
        asked += backend_logged(&pool, strchr(calls[i].headers[0], ' ') + 1);
    ck_assert_uint_eq(asked, 1);
}

TEST(what_an_author_sees_is_kept_for_nobody)
{
    const char *id, *token = new_user(&id);
    const char *list = say("/api/users/%s/posts", id);
    const char *draft = new_post(token, "Not yet", false);

    struct answer own = fetch(.path = list, .token = token), others = fetch(.path = list);
    const char *later = new_post(token, "Nor this", false);
    struct answer own_later = fetch(.path = list, .token = token);

    ck_assert_ptr_nonnull(strstr(own.text, draft));
    ck_assert_ptr_null(strstr(others.text, draft));
    ck_assert_ptr_nonnull(strstr(own_later.text, later));
}

TEST(a_users_list_is_kept_and_the_user_is_not)
{
    const char *id, *token = new_user(&id);
    const char *list = say("/api/users/%s/posts", id);

    struct answer first = fetch(.path = list);
    const char *post = new_post(token, "Newer than the cache", true);
    struct answer again = fetch(.path = list);
    struct answer single = fetch(.path = say("/api/posts/%s", post));
    struct answer changed = fetch(.path = say("/api/posts/%s", post), .method = "PATCH",
                                  .token = token, .body = "{\"title\":\"Other\"}");
    struct answer single_later = fetch(.path = say("/api/posts/%s", post));

    ck_assert_str_eq(again.text, first.text);
    ck_assert_str_eq(answer_text(single, "post.title"), "Newer than the cache");
    ck_status(changed, 200);
    ck_assert_str_eq(answer_text(single_later, "post.title"), "Other");
}

/* nginx sees a list where we see no path; the lists themselves are in the cache. */
TEST(no_other_path_gets_a_list_that_is_kept)
{
    static const char *const others[] = {"/api/users/..%2Fposts", "/api/posts%2F", "/api//posts",
                                         "/api/./posts", "/api/users/%2e%2e/posts"};
    const char *list = fresh_list();
    struct answer first = fetch(.path = list);
    ck_status(first, 200);

    for (int i = 0; i < COUNT(others); i++)
        ck_assert_int_ne(fetch(.path = say("%s%s", others[i], strchr(list, '?'))).status, 200);
    struct answer same = fetch(.path = say("/api/%%70osts%s", strchr(list, '?')));

    ck_assert_str_eq(same.text, first.text);
}

TEST(errors_are_not_kept)
{
    /* Each has its own id in its body, which fetch() looks at. */
    ck_status(fetch(.path = "/api/posts?limit=0"), 400);
    ck_status(fetch(.path = "/api/posts?limit=0"), 400);
    ck_status(fetch(.path = "/api/posts", .token = "bad"), 401);
    ck_status(fetch(.path = "/api/posts", .token = "bad"), 401);
}

/* Also for those who ask while somebody fetches it. */
TEST(a_list_is_kept_no_longer_than_told)
{
    const char *token = new_user(NULL), *list = fresh_list();
    ck_status(fetch(.at = &forgetful, .path = list), 200);
    const char *id = new_post(token, "Newer than the cache", true);

    pause_ms(2100); /* nginx counts whole seconds */
    const struct http_call call = {.at = &forgetful, .path = list};
    struct flight *flights[8];
    for (int i = 0; i < COUNT(flights); i++)
        flights[i] = http_send(&call);

    for (int i = 0; i < COUNT(flights); i++)
        ck_assert_ptr_nonnull(strstr(http_land(flights[i]).text, id));
}

/* ---- several hosts ---- */

#define HOSTS 2

static struct backend pools[HOSTS];
static struct front hosts[HOSTS], balancer;

/* The hosts speak of CORS as well, as if a client could come to them directly. */
static void start_hosts(void)
{
    char list[80];
    for (size_t i = 0; i < HOSTS; i++) {
        backend_start(&pools[i], LIST("WORKERS=2", "HASH_WORKERS=1"));
        front_start(&hosts[i], &pools[i], LIST("TRUSTED_PROXIES=127.0.0.1 ::1", "CORS_ORIGINS=*"));
    }
    snprintf(list, sizeof list, "APP_HOSTS=127.0.0.1:%d 127.0.0.1:%d", hosts[0].port,
             hosts[1].port);
    front_start(&balancer, NULL, LIST(list, "LOGIN_LIMIT=off", "CORS_ORIGINS=" ORIGIN));
    the_front = &balancer;
}

static void stop_hosts(void)
{
    front_stop(&balancer);
    for (size_t i = 0; i < HOSTS; i++) {
        front_stop(&hosts[i]);
        backend_stop(&pools[i]);
    }
}

NGINX_CASE("hosts");
CASE_AROUND(start_hosts, stop_hosts);

TEST(all_hosts_are_asked_and_know_the_request)
{
    unsigned seen[HOSTS] = {0};
    for (unsigned n = 0; n < 8; n++) {
        const char *id = say("shared-out-%u", n), *header = say("X-Request-Id: %s", id);
        ck_header(fetch(.path = "/api/health", .headers = {header}), "X-Request-Id", id);
        for (size_t i = 0; i < HOSTS; i++)
            seen[i] += backend_logged(&pools[i], id);
    }

    ck_assert_uint_eq(seen[0] + seen[1], 8);
    ck_assert_uint_gt(seen[0], 0);
    ck_assert_uint_gt(seen[1], 0);
}

TEST(what_two_nginx_say_is_said_once)
{
    static const char *const once[] = {"Access-Control-Allow-Origin",
                                       "Access-Control-Allow-Credentials",
                                       "Access-Control-Expose-Headers",
                                       "X-Request-Id",
                                       "X-Content-Type-Options",
                                       "Server",
                                       "Content-Type"};
    const struct answer rows[] = {
        fetch(.path = "/api/posts", .headers = {"Origin: " ORIGIN}),
        fetch(.path = "/api/posts", .gzip = true, .headers = {"Origin: " ORIGIN}),
        fetch(.path = "/api/nothing", .headers = {"Origin: " ORIGIN}),
        fetch(.path = "/api/auth/profile", .headers = {"Origin: " ORIGIN}),
        fetch(.path = "/", .headers = {"Origin: " ORIGIN}),
    };
    for (int i = 0; i < COUNT(rows); i++) {
        for (int k = 0; k < COUNT(once); k++)
            ck_assert_msg(header_count(rows[i].headers, once[k]) == 1, "row %d, %s: %s", i, once[k],
                          rows[i].headers);
        ck_header(rows[i], "Access-Control-Allow-Origin", ORIGIN);
        ck_assert(header_lists(rows[i].headers, "Vary", "Origin"));
    }
    ck_no_header(fetch(.path = "/api/posts", .headers = {"Origin: https://evil.example"}),
                 "Access-Control-Allow-Origin");
}

static const char *ip_of_session(const struct front *at, const char *from)
{
    const struct http_call call = {
        .at = at,
        .path = "/api/auth/login",
        .body = say("{\"email\":\"%s\",\"password\":\"%s\"}", ADMIN_EMAIL, PASSWORD),
        .from = from,
        .headers = {"X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1",
                    "Forwarded: for=192.0.2.1"}};
    struct answer login = http_fetch(&call);
    ck_status(login, 200);
    http_keep_secret(answer_text(login, "access_token"));
    http_keep_secret(answer_text(login, "refresh_token"));
    struct answer r =
        fetch(.path = "/api/auth/sessions?limit=1", .token = answer_text(login, "access_token"));
    ck_status(r, 200);
    return answer_text(r, "data.0.ip");
}

TEST(a_client_has_its_own_address_behind_two_nginx)
{
    ck_assert_str_eq(ip_of_session(&balancer, "127.0.0.5"), "127.0.0.5");
    ck_assert_str_eq(ip_of_session(&hosts[0], "127.0.0.6"), "127.0.0.6"); /* no proxy of ours */
}

/* At once, since five are let through each second. */
static bool is_refused_one_of(const struct http_call *storm)
{
    struct flight *flights[OPEN_MAX_LOGINS];
    bool refused = false;
    for (int i = 0; i < COUNT(flights); i++)
        flights[i] = http_send(storm);
    for (int i = 0; i < COUNT(flights); i++)
        refused |= http_land(flights[i]).status == 429;
    return refused;
}

TEST(a_host_limits_clients_and_not_the_balancer)
{
    const struct http_call storm = {.path = "/api/auth/login", .body = "{}", .from = "127.0.0.11"},
                           other = {.path = "/api/auth/login", .body = "{}", .from = "127.0.0.12"};
    bool refused = false;
    for (unsigned i = 0; i < 60 && !refused; i++)
        refused = is_refused_one_of(&storm);

    ck_assert(refused);
    for (unsigned i = 0; i < 4; i++)
        ck_status(http_fetch(&other), 400);
}

TEST(a_pool_that_is_gone_is_not_read_from)
{
    struct backend dead;
    struct front front, before;
    backend_make(&dead);
    front_start(&front, &dead, LIST("TRUSTED_PROXIES=127.0.0.1"));
    front_start(&before, NULL,
                LIST(say("APP_HOSTS=127.0.0.1:%d 127.0.0.1:%d", front.port, hosts[0].port)));

    for (unsigned i = 0; i < 10; i++)
        ck_status(fetch(.at = &before, .path = "/api/posts"), 200);
    front_stop(&before);
    front_stop(&front);
}

/* Nobody reads meanwhile, so nothing but the writes themselves can tell. The second time over
 * HTTP/2; and a body that nginx keeps in a file is handed on whole as well. */
TEST_TIMES(a_pool_that_is_gone_is_not_written_to, 2)
{
    struct backend dead;
    struct front front, before;
    const char *token = new_user(NULL), *title = say("Gone %ld", now_ms());
    backend_make(&dead);
    front_start(&front, &dead, LIST("TRUSTED_PROXIES=127.0.0.1"));
    const char *list = say("APP_HOSTS=127.0.0.1:%d 127.0.0.1:%d", front.port, hosts[0].port);
    if (_i)
        name_certificate();
    front_start(&before, NULL, _i ? LIST(list, certificate, key, "SERVER_NAME=" NAME) : LIST(list));

    for (unsigned i = 0; i < 10; i++) {
        const char *body = say("{\"title\":\"%s\",\"content\":\"x\",\"unknown\":\"%0*d\"}", title,
                               i % 2 ? 90000 : 1, 0);
        struct answer r = fetch(.at = &before, .path = "/api/posts", .token = token, .body = body);
        ck_status(r, 201);
        ck_assert_uint_le(header_count(r.headers, "Cache-Control"), 1);
        ck_no_header(r, "X-Accel-Redirect");
        ck_status(fetch(.at = &before, .method = "PATCH", .token = token, .body = "{}",
                        .path = answer_header(r, "Location")),
                  200);
        ck_status(fetch(.at = &before, .path = "/api/auth/login", .body = "{}"), 400);
    }
    ck_assert_int_eq(database_number(say("SELECT COUNT(*) FROM posts WHERE title = '%s'", title)),
                     10);
    front_stop(&before);
    front_stop(&front);
}

/* Several hosts of which none has a pool, and one alone. */
TEST(where_all_pools_are_gone_it_is_said_once_and_soon)
{
    struct backend dead;
    struct front first, second, before;
    backend_make(&dead);
    front_start(&first, &dead, LIST("TRUSTED_PROXIES=127.0.0.1"));
    front_start(&second, &dead, LIST("TRUSTED_PROXIES=127.0.0.1"));
    for (unsigned count = 1; count <= 2; count++) {
        const char *list = say("APP_HOSTS=127.0.0.1:%d", first.port);
        front_start(&before, NULL,
                    LIST(count == 1 ? list : say("%s 127.0.0.1:%d", list, second.port)));
        struct answer r = fetch(.at = &before, .path = "/api/posts", .body = "{}");
        ck_problem(r, 502, "Service Unavailable", "unavailable");
        ck_no_header(r, "X-Accel-Redirect");
        ck_problem(fetch(.at = &before, .path = "/api/posts"), 502, "Service Unavailable",
                   "unavailable");
        front_stop(&before);
    }
    front_stop(&second);
    front_stop(&first);
}

/* What a host says to the balancer it says to nobody else. */
TEST(a_host_tells_only_a_balancer_that_it_sent_nothing_on)
{
    struct backend dead;
    struct front front;
    backend_make(&dead);
    front_start(&front, &dead, NULL);
    struct answer r = fetch(.at = &front, .path = "/api/posts", .body = "{}");
    ck_problem(r, 502, "Service Unavailable", "unavailable");
    ck_no_header(r, "X-Accel-Redirect");
    front_stop(&front);
}

/* A front of its own for the pool, and a balancer before that and another host. */
static void start_pair(struct backend *b, struct front *host, struct front *before)
{
    char list[80];
    backend_start(b, LIST("WORKERS=2", "HASH_WORKERS=1"));
    front_start(host, b, LIST("TRUSTED_PROXIES=127.0.0.1"));
    snprintf(list, sizeof list, "APP_HOSTS=127.0.0.1:%d 127.0.0.1:%d", hosts[0].port, host->port);
    front_start(before, NULL, LIST(list));
}

/* Each client has one request under way when the pool ends; all that come later are served. */
TEST(a_pool_that_goes_under_load_takes_no_write_along)
{
    struct backend leaving;
    struct front host, before;
    start_pair(&leaving, &host, &before);
    struct load *load = load_start(&before, new_user(NULL));
    load_await_served(load, 100);

    backend_stop(&leaving);
    load_be_strict(load);
    load_await_served(load, 600);
    load_finish(load);

    ck_assert_uint_eq(load_tally(load).refused_reads, 0);
    ck_assert_uint_le(load_tally(load).refused, LOAD_CLIENTS);
    load_verify(load, true);
    load_free(load);
    front_stop(&before);
    front_stop(&host);
}

/* A process and its children; those first that would mind. */
static void signal_family(pid_t parent, int signal)
{
    pid_t pids[WORKERS_MAX];
    size_t count = backend_workers(&(const struct backend){.pid = parent}, pids);
    ck_assert_int_eq(kill(parent, signal), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(kill(pids[i], signal), 0);
}

#define IMPATIENT_S 3

/* A host whose nginx stands still takes connections and answers none: reads are asked again
 * elsewhere, and of writes only those fail that it was sent before it was found out. */
TEST(a_host_that_freezes_takes_no_read_along_and_no_write_twice)
{
    struct backend behind;
    struct front host, before;
    start_pair(&behind, &host, &before);
    set_seconds(&before, "hosts-pass.conf", "proxy_read_timeout", IMPATIENT_S);
    struct load *load = load_start(&before, new_user(NULL));
    load_bear_repeats(load);
    load_await_served(load, 100);

    signal_family(host.pid, SIGSTOP);
    load_await_served(load, 600);
    signal_family(host.pid, SIGCONT);
    load_await_served(load, 100);
    load_finish(load);

    ck_assert_uint_eq(load_tally(load).refused_reads, 0);
    ck_assert_uint_le(load_tally(load).refused, 2 * LOAD_CLIENTS);
    load_verify(load, true);
    load_free(load);
    front_stop(&before);
    front_stop(&host);
    backend_stop(&behind);
}

/* Not under writes: a worker that stands still in a transaction holds its locks, for all hosts. */
TEST(a_pool_that_freezes_takes_no_read_along)
{
    struct backend behind;
    struct front host, before;
    start_pair(&behind, &host, &before);
    set_seconds(&host, "fastcgi.conf", "fastcgi_read_timeout", IMPATIENT_S);
    signal_family(behind.pid, SIGSTOP);

    for (unsigned i = 0; i < 6; i++)
        ck_status(fetch(.at = &before, .path = "/api/posts"), 200);

    signal_family(behind.pid, SIGCONT);
    front_stop(&before);
    front_stop(&host);
    backend_stop(&behind);
}

static const int ways_to_go[] = {SIGQUIT, SIGKILL};

/* From under a host that is killed, nginx cannot know what became of a write, and asks nobody else
 * to do it; nor where one that goes orderly had not yet accepted the connection. */
TEST_EACH(a_host_that_goes_takes_no_read_along_and_no_write_twice, ways_to_go)
{
    char list[80];
    struct front host, before;
    front_start(&host, &pools[1], LIST("TRUSTED_PROXIES=127.0.0.1"));
    snprintf(list, sizeof list, "APP_HOSTS=127.0.0.1:%d 127.0.0.1:%d", hosts[0].port, host.port);
    front_start(&before, NULL, LIST(list));
    struct load *load = load_start(&before, new_user(NULL));
    load_bear_repeats(load);
    load_await_served(load, 100);

    pid_t pids[WORKERS_MAX];
    size_t count = backend_workers(&(const struct backend){.pid = host.pid}, pids);
    (void)kill(host.pid, ways_to_go[_i]);
    for (size_t i = 0; ways_to_go[_i] == SIGKILL && i < count; i++)
        (void)kill(pids[i], SIGKILL);
    (void)waitpid(host.pid, NULL, 0);
    unsigned served = load_tally(load).served;
    load_await_served(load, 100);
    load_finish(load);

    struct load_tally tally = load_tally(load);
    ck_assert_uint_gt(tally.served, served);
    ck_assert_uint_eq(tally.refused_reads, 0);
    ck_assert_uint_le(tally.refused, LOAD_CLIENTS);
    load_verify(load, true);
    load_free(load);
    front_stop(&before);
}

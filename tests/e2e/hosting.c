/* hosting.c -- what is peculiar to a shared host: a home, a script, and an Apache of others. */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/apache.h"
#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/support/refusals.h"

#define LISTED "https://app.example.org"
#define BODY_LIMIT ((size_t)131072)
/* It ends after two seconds, since mod_fcgid kills it after three; else it would wait for a lock
 * for four times five. */
#define END_LIMIT_MS 15000
#define SCRIPT "public_html/api/api.fcgi"

/* One for all tests of a case, or each its own. */
static struct backend home;
static struct front apache;

static void start_host(void)
{
    backend_start(&home, LIST("DB_IDLE_S = 1", "LISTEN = /nowhere/socket"));
    apache_in_home(&home,
                   "cd \"$0/home/public_html\"; mkdir v+1; cp -a api v+1/deep; cd api;"
                   "mkdir lib-0; touch lib-0/libfcgi.so.0;"
                   "echo secret | tee notes.txt postern.state postern.conf.bak >api.fcgi.bak",
                   NULL);
    front_start(&apache, &home, LIST("CORS_ORIGINS=" LISTED));
    the_front = &apache;
}

static void stop_host(void)
{
    front_stop(&apache);
    ck_assert_msg(!backend_logged(&home, "Sanitizer"), "see %s", home.log);
}

static void set_up_alone(void)
{
    http_set_up();
    start_host();
}

static void tear_down_alone(void)
{
    stop_host();
    http_tear_down();
}

/* The one process that answers just now. */
static pid_t the_script(const struct backend *b)
{
    pid_t pids[WORKERS_MAX];
    ck_status(fetch(.path = "/api/health"), 200);
    ck_assert_uint_eq(apache_scripts(b, pids), 1);
    return pids[0];
}

/* ---- the tar ---- */

/* Each test has a host of its own, whose one process it can name. */
CASE("script", set_up_alone, tear_down_alone);
CASE_IF(world_at("apache") && !getenv("E2E_CGI"));

TEST_TIMES(the_libraries_are_those_of_the_tar, getenv("E2E_PORTABLE") != NULL)
{
    static const char *const of_the_host[] = {"/libc.so.6", "/libm.so.6", "/ld-linux"};
    const char *maps = file_text(say("/proc/%d/maps", (int)the_script(&home)));
    const char *lib = say("%s/home/public_html/api/lib-", home.folder);
    int own = 0;

    for (const char *line = maps; *line; line += strcspn(line, "\n") + 1) {
        const char *text = say("%.*s", (int)strcspn(line, "\n"), line);
        if (!strstr(text, ".so"))
            continue;
        bool is_hosts = false;
        for (int i = 0; i < COUNT(of_the_host); i++)
            is_hosts |= strstr(text, of_the_host[i]) != NULL;
        own += strstr(text, lib) != NULL;
        ck_assert_msg(is_hosts || strstr(text, lib) != NULL, "%s", text);
    }

    ck_assert_int_gt(own, 0);
}

TEST(there_is_no_environment_to_speak_of)
{
    const char *environment = file_text(say("/proc/%d/environ", (int)the_script(&home)));

    ck_assert_msg(!strstr(environment, "LD_LIBRARY_PATH"), "%s", environment);
    ck_assert_msg(!strstr(environment, "DATABASE_URL"), "%s", environment);
    ck_assert_msg(!strstr(environment, "JWT_SECRET_KEY"), "%s", environment);
}

/* ---- suEXEC ---- */

/* Has the process this number four times in that line of /proc/PID/status: real, effective, saved,
 * of files? */
static bool has_ids(pid_t pid, const char *line, unsigned id)
{
    const char *ids = say("\n%s:\t%u\t%u\t%u\t%u\n", line, id, id, id, id);
    return strstr(file_text(say("/proc/%d/status", (int)pid)), ids) != NULL;
}

static const struct passwd *user_of(const char *name)
{
    const struct passwd *user = getpwnam(name);
    ck_assert_msg(user != NULL, "no user %s", name);
    return user;
}

TEST_TIMES(a_script_is_its_sites_users_and_apache_is_not, world_site_user() != NULL)
{
    pid_t script = the_script(&home), servers[WORKERS_MAX];
    const struct passwd *user = user_of(world_site_user());

    ck_assert(has_ids(script, "Uid", user->pw_uid));
    ck_assert(has_ids(script, "Gid", user->pw_gid));
    ck_assert_ptr_nonnull(strstr(file_text(say("/proc/%d/status", (int)script)),
                                 say("\nGroups:\t%u \n", user->pw_gid)));
    size_t count = front_workers(&apache, servers), apaches = 0;
    user = user_of(apache_user());
    for (size_t i = 0; i < count; i++)
        apaches += has_ids(servers[i], "Uid", user->pw_uid);
    ck_assert_uint_gt(apaches, 0); /* all but the one that starts scripts */
}

TEST_TIMES(the_settings_are_the_sites_users_alone, world_site_user() != NULL)
{
    const char *file = say("%s/home/postern.conf", home.folder);
    ck_status(fetch(.path = "/api/ready"), 200);

    int by_apache =
        world_run(LIST("setpriv", say("--reuid=%s", apache_user()),
                       say("--regid=%s", apache_user()), "--init-groups", "test", "-r", file),
                  NULL, NULL, NULL);
    int by_user = world_run_as_worker(LIST("test", "-r", file), NULL, NULL, NULL);

    ck_assert_int_eq(by_apache, 1);
    ck_assert_int_eq(by_user, 0);
}

CASE("hosting", http_set_up, http_tear_down);
CASE_AROUND(start_host, stop_host);
CASE_IF(world_at("apache") && !getenv("E2E_CGI"));

TEST(the_command_line_finds_the_same_configuration)
{
    int status;

    const char *out =
        output_as_worker(LIST("env", "-i", say("%s/home/" SCRIPT, home.folder), "config"), &status);

    ck_assert_int_eq(status, 0);
    ck_assert_msg(strstr(out, say("DATABASE_URL = ********  # %s/home/postern.conf:1\n",
                                  home.folder)) != NULL,
                  "%s", out);
}

/* Where the host takes it for a CGI program, words of the query come as arguments. */
TEST(a_query_runs_no_command)
{
    int status;

    const char *out = output_as_worker(LIST("env", "-i", "GATEWAY_INTERFACE=CGI/1.1",
                                            say("%s/home/" SCRIPT, home.folder), "secret"),
                                       &status);

    ck_assert_int_eq(status, 78);
    ck_assert_str_eq(out, "");
}

/* ---- the address ---- */

static const struct {
    const char *asked, *base;
} addresses[] = {
    {"/api", "/api"},
    {"/api/api.fcgi", "/api/api.fcgi"},
    {"/%61p%69", "/api"},
    {"/v+1/deep", "/v%2B1/deep"},
    /* What cannot be repeated as it came is replaced by the script's own address. */
    {"/api/", "/api/api.fcgi"},
    {"//api", "/api/api.fcgi"},
    {"/x/..//api", "/api/api.fcgi"},
    {"/api/./.", "/api/api.fcgi"},
};

TEST_EACH(the_base_path_is_that_of_the_address, addresses)
{
    const char *asked = addresses[_i].asked, *base = addresses[_i].base;
    const char *token = new_user(NULL);

    struct answer made = fetch(.astray = true, .path = say("%s/posts", asked), .token = token,
                               .body = "{\"title\":\"Where\",\"content\":\"Here.\"}");
    struct answer list = fetch(.astray = true, .path = say("%s/posts?limit=1", asked));
    struct answer wrong = fetch(.astray = true, .path = say("%s/posts?limit=0", asked),
                                .headers = {"Accept: application/problem+json"});
    struct answer document = fetch(.astray = true, .path = say("%s/openapi.json", asked));
    struct answer page = fetch(.astray = true, .path = say("%s/docs?x=\"><script>", asked));

    ck_status(made, 201);
    ck_header(made, "Location", say("%s/posts/%s", base, answer_text(made, "post.id")));
    ck_status(list, 200);
    const char *link = say("<%s/posts?page=1&limit=1>; rel=\"first\"", base);
    ck_assert_msg(strncmp(answer_header(list, "Link"), link, strlen(link)) == 0, "%s",
                  list.headers);
    ck_status(wrong, 400);
    ck_assert_str_eq(answer_text(wrong, "type"), say("%s/docs#invalid", base));
    ck_assert_str_eq(answer_text(document, "servers.0.url"), base);
    ck_assert_msg(strstr(page.text, say("\"%s\"", base)) != NULL, "no %s in the page", base);
    ck_assert(!strstr(page.text, "x=\"><script>"));
}

TEST(a_base_path_that_is_set_stays)
{
    struct backend other;
    struct front behind;
    backend_start(&other, LIST("BASE_PATH = /public"));
    front_start(&behind, &other, NULL);
    const char *token = new_user(NULL);

    struct answer list = fetch(.at = &behind, .path = "/api/posts?limit=1", .token = token);

    ck_status(list, 200);
    ck_assert_msg(strstr(list.headers, "Link: </public/posts?page=1") != NULL, "%s", list.headers);
    front_stop(&behind);
}

/* The host has a cache for all sites, and an answer with an ETag and nothing else may be kept. */
TEST(a_cache_of_the_host_shows_nothing_old)
{
    const char *token = new_user(NULL);
    const char *path = say("/api/posts/%s", new_post(token, "Old", true));

    ck_assert_str_eq(answer_text(fetch(.path = path), "post.title"), "Old");
    ck_assert_str_eq(answer_text(fetch(.path = path), "post.title"), "Old");
    ck_status(fetch(.method = "PATCH", .path = path, .token = token, .body = "{\"title\":\"New\"}"),
              200);

    ck_assert_str_eq(answer_text(fetch(.path = path), "post.title"), "New");
}

TEST(an_address_with_another_host_in_it_is_not_repeated)
{
    static const char *const lines[] = {
        "GET http://evil.example/api/posts?limit=1 HTTP/1.1\r\n",
        "GET //evil.example/..//api/posts?limit=1 HTTP/1.1\r\n",
        "GET /evil.example%0d%0aX:y/../api/posts?limit=1 HTTP/1.1\r\n",
    };
    for (int i = 0; i < COUNT(lines); i++) {
        const char *request = say("%sHost: localhost\r\nConnection: close\r\n\r\n", lines[i]);

        struct answer r = http_raw(&apache, request, strlen(request));

        ck_status(r, 200);
        ck_assert_msg(!strstr(r.headers, "evil"), "%s", r.headers);
        ck_assert_msg(strstr(r.headers, "Link: </api/api.fcgi/posts?") != NULL, "%s", r.headers);
    }
}

TEST(authorization_arrives_either_way)
{
    const char *token = new_user(NULL);

    ck_status(fetch(.path = "/api/auth/profile", .token = token), 200);
    ck_status(fetch(.astray = true, .path = "/api/api.fcgi/auth/profile", .token = token), 200);
}

TEST(the_folder_without_a_slash_is_no_redirection)
{
    ck_problem(fetch(.path = "/api"), NOT_FOUND);
    ck_problem(fetch(.path = "/api/"), NOT_FOUND);
    ck_problem(fetch(.path = "/api/lib-0"), NOT_FOUND);
}

/* ---- what Apache answers by itself ---- */

static const char *const secrets[] = {
    "/api/.htaccess",
    "/api/api.fcgi",
    "/api/api.fcgi.bak",
    "/api/lib-0/libfcgi.so.0",
    "/api/lib-0/",
    "/api/postern.conf",
    "/api/postern.conf.bak",
    "/api/postern.state",
    "/api/notes.txt",
    "/api/%2ehtaccess",
    "/api/lib-0/../.htaccess",
    "/api//postern.conf",
    "/api/metrics",
    "/api/api.fcgi/metrics/",
};

TEST_EACH(files_beside_the_program_are_not_shown, secrets)
{
    struct answer r = fetch(.astray = true, .path = secrets[_i]);

    ck_assert_msg(r.status == 403 || r.status == 404, "%d", r.status);
    ck_assert_str_eq(answer_text(r, "code"), r.status == 403 ? "forbidden" : "not_found");
}

/* A post whose body has `len` bytes, most of them in a member that nobody knows. */
static const char *padded_post(size_t len)
{
    static const char head[] = "{\"title\":\"Long\",\"content\":\"body\",\"padding\":\"";
    return say("%s%s\"}", head, repeat("a", len - strlen(head) - 2));
}

TEST(a_body_up_to_the_limit_is_taken_and_a_larger_one_is_413)
{
    const char *token = new_user(NULL), *origin = "Origin: " LISTED;
    const char *fits = padded_post(BODY_LIMIT), *larger = padded_post(BODY_LIMIT + 1);

    ck_status(fetch(.path = "/api/posts", .token = token, .body = fits), 201);
    ck_status(fetch(.path = "/api/posts", .token = token, .body = fits, .chunked = true), 201);
    struct answer r =
        fetch(.path = "/api/posts", .token = token, .body = larger, .headers = {origin});

    ck_problem(r, TOO_LARGE);
    ck_header(r, "Cache-Control", "no-store");
    ck_header(r, "Access-Control-Allow-Origin", LISTED);
}

/* mod_fcgid's own limit, for which it has no better word. */
TEST(a_larger_body_without_a_length_is_500)
{
    struct answer r = fetch(.path = "/api/posts", .token = new_user(NULL), .chunked = true,
                            .body = padded_post(BODY_LIMIT + 1));

    ck_problem(r, INTERNAL);
}

TEST(a_clients_own_id_is_in_errors_of_apache)
{
    struct answer own =
        fetch(.astray = true, .path = "/api/.htaccess", .headers = {"X-Request-Id: abc-01234"});
    struct answer bad = fetch(.path = "/api/posts", .body = padded_post(BODY_LIMIT + 1),
                              .headers = {"X-Request-Id: a\"b,c:d012"});

    ck_header(own, "X-Request-Id", "abc-01234");
    ck_assert_str_ne(answer_header(bad, "X-Request-Id"), "a\"b,c:d012");
}

TEST(head_has_the_headers_of_get)
{
    static const char *const names[] = {"Content-Type", "Content-Length", "X-Request-Id",
                                        "Cache-Control"};
    const char *const ours = "X-Request-Id: head-or-get", *token = new_user(NULL);

    struct answer with = fetch(.path = "/api/auth/profile", .token = token, .headers = {ours});
    struct answer without =
        fetch(.method = "HEAD", .path = "/api/auth/profile", .token = token, .headers = {ours});

    for (int i = 0; i < COUNT(names); i++)
        ck_assert_str_eq(answer_header(without, names[i]), answer_header(with, names[i]));
}

TEST(a_star_allows_all_without_credentials)
{
    struct backend other;
    struct front star;
    backend_start(&other, NULL);
    front_start(&star, &other, LIST("CORS_ORIGINS=*"));
    const char *origin = "Origin: https://any.example";

    struct answer r = fetch(.at = &star, .path = "/api/posts", .headers = {origin});
    struct answer preflight = fetch(.at = &star, .method = "OPTIONS", .path = "/api/auth/login",
                                    .headers = {origin, "Access-Control-Request-Method: POST"});

    ck_header(r, "Access-Control-Allow-Origin", "*");
    ck_no_header(r, "Access-Control-Allow-Credentials");
    ck_status(preflight, 204);
    ck_header(preflight, "Access-Control-Allow-Origin", "*");
    ck_header(preflight, "Cache-Control", "no-store");
    ck_no_header(preflight, "Access-Control-Allow-Credentials");
    front_stop(&star);
}

/* ---- HTTPS only ---- */

/* A host with TLS whose site leads all to it, and an .htaccess as it is in the tar. */
static void start_secure(struct backend *b, struct front *ret_secure, struct front *ret_plain)
{
    static char certificate[WORLD_PATH + 40];
    snprintf(certificate, sizeof certificate, "TLS_CERT=%s/host.pem", world_folder());
    ck_assert_int_eq(world_run(LIST("sh", "-euc",
                                    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
                                    " -nodes -days 2 -subj /CN=localhost -addext"
                                    " subjectAltName=IP:127.0.0.1 -keyout \"$0.key\" -out \"$0\""
                                    " 2>/dev/null; cat \"$0.key\" >>\"$0\"",
                                    strchr(certificate, '/')),
                               NULL, NULL, NULL),
                     0);
    backend_start(b, NULL);
    apache_in_home(
        b,
        "cd \"$0/home/public_html\"; sed -i '/POSTERN_PLAIN_HTTP=1/s/^/#/' api/.htaccess;"
        "printf '%s\\n' 'RewriteEngine On' 'RewriteCond %{HTTPS} off'"
        " 'RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]' >.htaccess",
        NULL);
    front_start(ret_secure, b, LIST(certificate, "CORS_ORIGINS=" LISTED));
    *ret_plain = *ret_secure;
    ret_plain->host = "127.0.0.2";
    ret_plain->ca = NULL;
}

TEST(plain_http_is_refused_until_the_host_allows_it)
{
    static const struct http_call calls[] = {
        {.path = "/api/auth/login", .body = "{\"email\":\"a@example.org\",\"password\":\"x\"}"},
        {.path = "/api/auth/profile", .token = "abc"},
        {.path = "/api/posts"},
        {.path = "/api/api.fcgi/posts", .astray = true},
        {.path = "/api/posts", .headers = {"X-Forwarded-Proto: http"}},
    };
    struct backend other;
    struct front secure, plain;
    start_secure(&other, &secure, &plain);

    for (int i = 0; i < COUNT(calls); i++) {
        struct http_call call = calls[i];
        call.at = &plain;
        struct answer r = http_fetch(&call);
        ck_problem(r, BAD_REQUEST);
        ck_assert_msg(strstr(answer_text(r, "message"), "speaks HTTPS only") != NULL, "%s", r.text);
    }
    ck_status(fetch(.at = &secure, .path = "/api/posts"), 200);
    ck_status(fetch(.at = &secure, .path = "/api/auth/login", .body = "{}"), 400);
    ck_status(fetch(.at = &plain, .path = "/api/posts", .headers = {"X-Forwarded-Proto: https"}),
              200);

    apache_in_home(&other,
                   "sed -i '/POSTERN_PLAIN_HTTP=1/s/^#//' \"$0/home/public_html/api/.htaccess\"",
                   NULL);
    ck_status(fetch(.at = &plain, .path = "/api/posts"), 200);
    front_stop(&secure);
}

/* ---- hosts that lack a module ---- */

TEST(without_mod_rewrite_the_program_answers_below_its_name)
{
    struct backend other;
    struct front poor;
    backend_start(&other, NULL);
    front_start(&poor, &other, LIST("WITHOUT=rewrite"));
    apache_write(&other, "public_html/api/notes.conf", "SECRET = 1\n", "644");
    apache_write(&other, "public_html/api/notes.txt", "SECRET = 1\n", "644");

    struct answer r = fetch(.at = &poor, .astray = true, .path = "/api/api.fcgi/health");
    struct answer profile = fetch(.at = &poor, .astray = true, .path = "/api/api.fcgi/auth/profile",
                                  .token = new_user(NULL));

    ck_status(r, 200);
    ck_status(profile, 200);
    static const char *const hidden[] = {"/api/.htaccess", "/api/notes.conf", "/api/notes.txt",
                                         "/api/lib-0/libfcgi.so.0"};
    for (int i = 0; i < COUNT(hidden); i++)
        ck_assert_int_eq(world_run(LIST("curl", "-sf", "-o", "/dev/null",
                                        say("http://127.0.0.1:%d%s", poor.port, hidden[i])),
                                   NULL, NULL, NULL),
                         22); /* curl(1): an answer of 400 or above */
    front_stop(&poor);
}

static const char *const no_fcgid[] = {"WITHOUT=fcgid", "WITHOUT=fcgid rewrite",
                                       "WITHOUT=fcgid rewrite headers dir"};

/* The program is no secret, but a host that gives it away gives away what else lies there. */
TEST_EACH(without_mod_fcgid_nothing_is_handed_out, no_fcgid)
{
    static const char *const paths[] = {"/api",
                                        "/api/",
                                        "/api/api.fcgi",
                                        "/api/api.fcgi/health",
                                        "/api/api.fcgi.new",
                                        "/api/health",
                                        "/api/lib-0",
                                        "/api/lib-0/",
                                        "/api/lib-0/libfcgi.so.0",
                                        "/api/.htaccess.new",
                                        "/api/lib-0/libfcgi.txt"};
    struct backend other;
    struct front poor;
    backend_start(&other, NULL);
    front_start(&poor, &other, LIST(no_fcgid[_i]));
    apache_in_home(&other,
                   "cd \"$0/home/public_html/api\"; mkdir -p lib-0; cp api.fcgi api.fcgi.new; "
                   "cp .htaccess .htaccess.new; echo >lib-0/libfcgi.so.0; echo >lib-0/libfcgi.txt",
                   NULL);

    for (int i = 0; i < COUNT(paths); i++) {
        int status;
        const char *said = output_of(LIST("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                          say("http://127.0.0.1:%d%s", poor.port, paths[i])),
                                     NULL, &status);
        ck_assert_msg(*said == '4' || *said == '5', "%s: %s", paths[i], said);
    }
    front_stop(&poor);
}

TEST(without_mod_headers_the_api_works)
{
    struct backend other;
    struct front poor;
    backend_start(&other, NULL);
    front_start(&poor, &other, LIST("WITHOUT=headers"));

    ck_status(fetch(.at = &poor, .path = "/api/health"), 200);
    ck_problem(fetch(.at = &poor, .path = "/api/nothing"), NOT_FOUND);
    front_stop(&poor);
}

/* ---- the configuration ---- */

/* The answer of a host whose postern.conf is no good: Apache's, or the program's. */
static struct answer answer_of(const struct backend *b)
{
    struct front front;
    front_start(&front, b, NULL);
    struct answer r = fetch(.at = &front, .path = "/api/health");
    front_stop(&front);
    return r;
}

static const struct {
    const char *make, *why;
    bool by_root;
} bad_places[] = {
    {"chmod 604 postern.conf", "chmod 600 ", false},
    {"chmod 602 postern.conf", "chmod 600 ", false},
    {"chmod 640 postern.conf", "chmod 600 ", false},
    {"mv postern.conf public_html/", " lies in the document root ", false},
    {"mv postern.conf public_html/api/", " lies in the document root ", false},
    {"mv postern.conf public_html/api/real; ln -s public_html/api/real postern.conf",
     " lies in the document root ", false},
    {"rm postern.conf", "DATABASE_URL is not set", false},
    {"mkdir postern.conf.d; mv postern.conf postern.conf.d; mkfifo -m 600 postern.conf",
     "is not a file", false},
    {"chown 0 postern.conf", " belongs to user 0", true},
};

TEST_EACH(a_configuration_in_a_bad_place_is_refused, bad_places)
{
    struct backend other;
    const char *make = say("cd \"$0/home\"; %s", bad_places[_i].make);
    backend_start(&other, NULL);
    if (!bad_places[_i].by_root)
        apache_in_home(&other, make, NULL);
    else if (world_worker())
        ck_assert_int_eq(world_run(LIST("sh", "-euc", make, other.folder), NULL, NULL, NULL), 0);
    else
        return; /* only root gives a file away */

    struct answer r = answer_of(&other);

    ck_assert_msg(r.status == 500 || r.status == 503, "%d", r.status);
    ck_assert_msg(file_has(other.log, bad_places[_i].why) > 0, "no word of it in %s", other.log);
}

static const char *const other_places[] = {
    "mv postern.conf public_html/", "mv postern.conf public_html/api/",
    "cp postern.conf public_html/", "cp postern.conf public_html/api/; rm postern.conf",
    "umask 077; tac postern.conf >public_html/postern.conf"};

CASE("script", set_up_alone, tear_down_alone);

TEST_EACH(a_configuration_that_moves_to_a_bad_place_is_seen, other_places)
{
    pid_t pid = the_script(&home);
    apache_in_home(&home, say("cd \"$0/home\"; cp postern.conf \"$0/kept\"; %s", other_places[_i]),
                   NULL);

    ck_problem(fetch(.path = "/api/health"), UNAVAILABLE);
    ck_assert_int_gt(file_has(home.log, " lies in the document root "), 0);
    apache_in_home(&home,
                   "cd \"$0/home\"; rm -f public_html/postern.conf public_html/api/postern.conf; "
                   "cp -p \"$0/kept\" new; mv new postern.conf",
                   NULL);
    ck_status(fetch(.path = "/api/health"), 200);
    ck_assert_int_eq(the_script(&home), pid);
}

/* Where scripts run as a user of the host's own, the folder is somebody else's. */
TEST(a_script_that_runs_as_somebody_else_says_so)
{
    struct backend other;
    if (!world_worker())
        return; /* only root gives a folder away */
    backend_start(&other, NULL);
    ck_assert_int_eq(world_run(LIST("sh", "-euc", "chown -R 7654321 \"$0/home\"", other.folder),
                               NULL, NULL, NULL),
                     0);

    struct answer r = answer_of(&other);

    ck_assert_msg(r.status == 500 || r.status == 503, "%d", r.status);
    if (world_site_user())
        return; /* suEXEC did not run it */
    ck_assert_int_gt(
        file_has(other.log, say("not looked for in %s/home/public_html/api and above, which "
                                "belongs to user 7654321, and the program runs as user ",
                                other.folder)),
        0);
    ck_assert_int_gt(file_has(other.log, say("(%s): on a shared host", world_worker())), 0);
}

/* ---- new versions ---- */

static const char *conf_with(const char *line)
{
    return say("DATABASE_URL = %s\nJWT_SECRET_KEY = %s\n%s\n", getenv("DATABASE_URL"), world_key(),
               line);
}

TEST(a_new_configuration_takes_effect_at_the_next_request)
{
    const struct http_call call = {.path = "/api/auth/login", .body = padded_post(2000)};
    pid_t before = the_script(&home);
    int without = http_fetch(&call).status;

    apache_write(&home, "postern.conf", conf_with("MAX_BODY = 1024"), "600");
    int with = http_fetch(&call).status;

    ck_assert_int_eq(without, 400);
    ck_assert_int_eq(with, 413);
    ck_assert_int_eq(the_script(&home), before);
}

TEST(a_touch_of_the_program_loses_no_request)
{
    struct flight *flights[8];
    const struct http_call call = {.path = "/api/ready"};
    the_script(&home);
    int before = file_has(home.log, "\"reloading\"");

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT(flights); i++)
            flights[i] = http_send(&call);
        apache_in_home(&home, "touch \"$0/home/" SCRIPT "\"", NULL);
        for (int i = 0; i < COUNT(flights); i++)
            ck_status(http_land(flights[i]), 200);
        file_await(home.log, "\"reloading\"", before + round + 1, PATIENCE_MS);
    }
}

/* Until all processes are new. Each looks for a new program when it is asked, so many more are
 * asked at once than there can be: Apache leaves some alone otherwise. */
static void await_new(bool (*is_new)(pid_t pid, const char *what), const char *what)
{
    struct flight *flights[32];
    const struct http_call call = {.path = "/api/ready"};
    pid_t pids[WORKERS_MAX];
    size_t old = 1;
    for (long end = now_ms() + PATIENCE_MS; old && now_ms() < end; pause_ms(20)) {
        for (int i = 0; i < COUNT(flights); i++)
            flights[i] = http_send(&call);
        for (int i = 0; i < COUNT(flights); i++)
            ck_status(http_land(flights[i]), 200);
        size_t count = apache_scripts(&home, pids);
        old = count == 0;
        for (size_t i = 0; i < count; i++)
            old += !is_new(pids[i], what);
    }
    ck_assert_msg(old == 0, "%zu processes are old", old);
}

static bool runs_program(pid_t pid, const char *path)
{
    char target[WORLD_PATH + 64];
    ssize_t len = readlink(say("/proc/%d/exe", (int)pid), target, sizeof target);
    return strcmp(say("%.*s", len < 0 ? 0 : (int)len, target), path) == 0;
}

TEST(a_new_program_takes_the_place_of_the_old)
{
    const char *line = "cd \"$0/home/public_html/api\"; cp api.fcgi new; mv new api.fcgi";
    (void)the_script(&home);

    apache_in_home(&home, line, NULL);

    await_new(runs_program, say("%s/home/" SCRIPT, home.folder));
}

/* A tar of a newer version, whose program and libraries have other names and bytes, is unpacked in
 * the home as $0/newer.tar.gz. */
static void make_newer_tar(void)
{
    apache_in_home(&home,
                   "mkdir \"$0/newer\"; cd \"$0/newer\"; tar -xzf \"$1\"; cd public_html/api; "
                   "mv lib-* lib-newer; patchelf --set-rpath '$ORIGIN/lib-newer' api.fcgi; "
                   "for lib in lib-newer/*; do echo >>\"$lib\"; done; echo >>api.fcgi; "
                   "tar -C \"$0/newer\" -czf \"$0/newer.tar.gz\" public_html postern",
                   LIST(getenv("E2E_PORTABLE")));
}

/* The lines to be typed in README.txt below a heading, with the tar's name. */
static const char words_of_readme[] =
    "cd \"$0/home\"; sed -n \"/^$1\\$/,/^    [^ ]*rm /s/^    //p\" postern/README.txt |"
    " sed \"s|postern-NEWER.tar.gz|$0/newer.tar.gz|\" >\"$0/words\"; "
    "test \"$(wc -l <\"$0/words\")\" -ge 3; sh -eu \"$0/words\"";

static bool maps_libraries(pid_t pid, const char *folder)
{
    return strstr(file_text(say("/proc/%d/maps", (int)pid)), folder) != NULL;
}

TEST_TIMES(an_upgrade_by_the_words_of_the_readme_loses_no_request, getenv("E2E_PORTABLE") != NULL)
{
    make_newer_tar();
    int before = file_has(home.log, "\"reloading\"");
    struct load *load = load_start(&apache, new_user(NULL));
    load_be_strict(load);
    load_await_served(load, 200);

    apache_in_home(&home, words_of_readme, LIST("Upgrade"));
    file_await(home.log, "\"reloading\"", before + 1, PATIENCE_MS);
    load_await_served(load, 200);
    load_finish(load);

    ck_assert_uint_eq(load_tally(load).refused, 0);
    load_verify(load, false);
    load_free(load);
    await_new(maps_libraries, "/lib-newer/");
    apache_in_home(&home, "test ! -e \"$0/home/new\"", NULL);
}

TEST(a_broken_configuration_changes_nothing_and_is_told_once)
{
    pid_t pid = the_script(&home);

    apache_write(&home, "postern.conf", conf_with("NONSENSE = 1"), "600");
    file_await(home.log, "\"reload_refused\"", 1, PATIENCE_MS);
    for (int i = 0; i < 10; i++)
        ck_status(fetch(.path = "/api/ready"), 200);
    pause_ms(2500);
    ck_assert_int_eq(the_script(&home), pid);
    ck_assert_int_eq(file_has(home.log, "\"reload_refused\""), 1);
    ck_assert_int_eq(file_has(home.log, "NONSENSE: there is no such setting"), 1);
    apache_write(&home, "postern.conf", conf_with("MAX_BODY = 1024"), "600");
    const struct http_call login = {.path = "/api/auth/login", .body = padded_post(2000)};
    (void)http_await(&login, 413, PATIENCE_MS);
}

TEST(sighup_renews_too)
{
    pid_t pid = the_script(&home);
    int before = file_has(home.log, "\"reloading\"");

    ck_assert_int_eq(kill(pid, SIGHUP), 0);

    file_await(home.log, "\"reloading\"", before + 1, PATIENCE_MS);
    ck_assert_int_eq(the_script(&home), pid);
}

/* ---- the end, and rest ---- */

/* mod_fcgid collects its children only every few seconds; until then they are zombies, whose
 * program is gone. */
static bool is_gone(pid_t pid)
{
    char target[8];
    return readlink(say("/proc/%d/exe", (int)pid), target, sizeof target) < 0;
}

static long wait_gone(pid_t pid)
{
    long start = now_ms();
    while (!is_gone(pid) && now_ms() - start < PATIENCE_MS)
        pause_ms(10);
    return now_ms() - start;
}

TEST(a_script_that_hangs_in_the_database_ends_in_time)
{
    const char *token = new_user(NULL), *post = new_post(token, "Before", true);
    const struct http_call change = {.method = "PATCH",
                                     .path = say("/api/posts/%s", post),
                                     .token = token,
                                     .body = "{\"title\":\"After\"}",
                                     .headers = {"Origin: " LISTED}};
    pid_t pid = the_script(&home);
    struct db *hold = database_hold("posts", post);
    struct flight *flight = http_send(&change);
    database_await_waiting(1);

    (void)kill(pid, SIGTERM);
    long took = wait_gone(pid);
    struct answer cut = http_land(flight);
    database_let_go(hold);

    ck_assert_int_le(took, END_LIMIT_MS);
    ck_assert_int_ge(took, 1000);
    ck_assert_msg(cut.status == 500 || cut.status == 503, "%d", cut.status);
    ck_header(cut, "Access-Control-Allow-Origin", LISTED);
    ck_assert_str_eq(answer_text(fetch(.path = change.path), "post.title"), "Before");
}

TEST(a_running_request_is_finished_after_sigterm)
{
    const char *token = new_user(NULL), *post = new_post(token, "Before", true);
    const struct http_call change = {.method = "PATCH",
                                     .path = say("/api/posts/%s", post),
                                     .token = token,
                                     .body = "{\"title\":\"After\"}"};
    pid_t pid = the_script(&home);
    struct db *hold = database_hold("posts", post);
    struct flight *flight = http_send(&change);
    database_await_waiting(1);

    (void)kill(pid, SIGTERM);
    pause_ms(300);
    database_let_go(hold);

    ck_status(http_land(flight), 200);
    ck_assert_int_le(wait_gone(pid), END_LIMIT_MS);
}

static void await_connections(long count)
{
    long seen = -1;
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(50))
        if ((seen = database_number("SELECT COUNT(*) FROM information_schema.processlist"
                                    " WHERE user = 'postern'")) == count)
            return;
    ck_abort_msg("%ld connections, and not %ld", seen, count);
}

TEST(an_idle_script_has_no_connection_and_a_busy_one_has_one)
{
    pid_t pid = the_script(&home);

    await_connections(0);
    ck_status(fetch(.path = "/api/ready"), 200);
    await_connections(1);
    await_connections(0);

    ck_assert_int_eq(the_script(&home), pid);
}

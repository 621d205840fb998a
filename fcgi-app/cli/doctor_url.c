/* Doctor's look through the web server: which requests arrive, and are the answers ours? */
#include "fcgi-app/cli/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process/child.h"
#include "common/field/json.h"
#include "common/base/problem.h"

#define ANSWER_MAX ((size_t)256 * 1024)
#define REQUEST_ID "doctor-0123456789"
#define WORDS_MAX 32
#define CODE_MAX 40
#define PLACE_MAX ((size_t)300)

/* What a client asks, and what only a program that got it whole would answer. */
struct question {
    const char *what;
    const char *method, *path;
    const char *header; /* of the request, or NULL */
    bool too_large;     /* with a body above MAX_BODY */
    int status;
    const char *code;   /* of our errors; NULL: it is none */
    const char *answer; /* a header line that must be in the answer, or its begin; or NULL */
    enum verdict verdict;
    const char *fix;
};

static const struct question questions[] = {
    {"the API is there", "GET", "/health", NULL, false, 200, NULL, NULL, VERDICT_FAIL,
     "this URL does not lead to the program; look at its base path, how the web server hands "
     "requests on, and in Apache whether it takes .htaccess"},
    {"database and schema are ready", "GET", "/ready", NULL, false, 200, NULL, NULL, VERDICT_FAIL,
     "the server does not reach its database, or its schema is another; look into its log"},
    {"unknown paths reach the program", "GET", "/doctor/no-such-path", NULL, false, 404,
     "not_found", NULL, VERDICT_FAIL,
     "the web server answers by itself; let all paths below the base path reach the program"},
    {"Authorization reaches the program", "GET", "/auth/profile",
     "Authorization: Bearer no.real.token", false, 401, "invalid_token", NULL, VERDICT_FAIL,
     "the header does not arrive; in Apache: CGIPassAuth On, or RewriteRule ^ - "
     "[E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]"},
    {"PATCH reaches the program", "PATCH", "/health", NULL, false, 405, "method_not_allowed",
     "Allow: ", VERDICT_FAIL,
     "the web server, or a firewall before it, holds PATCH back; allow it"},
    {"DELETE reaches the program", "DELETE", "/health", NULL, false, 405, "method_not_allowed",
     "Allow: ", VERDICT_FAIL,
     "the web server, or a firewall before it, holds DELETE back; allow it"},
    {"X-Request-Id reaches the program", "GET", "/health", "X-Request-Id: " REQUEST_ID, false, 200,
     NULL, "X-Request-Id: " REQUEST_ID, VERDICT_WARN,
     "requests get another id here than in front; let the header pass"},
    {"a body above MAX_BODY is refused with JSON", "POST", "/auth/refresh",
     "Content-Type: application/json", true, 413, "too_large", NULL, VERDICT_FAIL,
     "set MAX_BODY below the web server's own bound (FcgidMaxRequestLen), or fix its error page"},
};

/* ---- curl ---- */

struct reply {
    int status; /* 0: there was no answer */
    const char *head, *body;
    const char *complaint; /* curl's own */
};

static const char *read_back(struct arena *a, int fd)
{
    char *text = arena_alloc(a, ANSWER_MAX);
    ssize_t got = pread(fd, text, ANSWER_MAX - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

/* A JSON object one byte above MAX_BODY. */
static void write_large(int fd, int64_t max)
{
    char some[65536];
    memset(some, 'x', sizeof some);
    int64_t left = max + 1 - (int64_t)strlen("{\"refresh_token\":\"\"}");
    (void)!write(fd, "{\"refresh_token\":\"", 18);
    for (; left > 0; left -= (int64_t)sizeof some)
        (void)!write(fd, some, left < (int64_t)sizeof some ? (size_t)left : sizeof some);
    (void)!write(fd, "\"}", 2);
    (void)lseek(fd, 0, SEEK_SET);
}

static bool run_curl(struct arena *a, char **words, int in, int out, int err)
{
    int status;
    pid_t pid = child_start(&(const struct child){
        .words = words, .environment = child_environment(a), .in = in, .out = out, .err = err});
    if (pid < 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return true;
}

/* The last head of the answer, for an interim one (100) may come before it. */
static void take_reply(struct arena *a, const char *text, struct reply *ret)
{
    while (sscanf(text, "HTTP/%*s %d", &ret->status) == 1) {
        const char *end = strstr(text, "\r\n\r\n");
        if (!end)
            return;
        ret->head = arena_copy(a, text, (size_t)(end - text));
        ret->body = text = end + 4;
        if (ret->status >= 200)
            return;
    }
}

/* Without ~/.curlrc and without following a redirection: what this server says is what counts. */
static char **curl_words(struct arena *a, const char *url, const struct question *q)
{
    static const char words[] =
        "curl -q --silent --show-error --include --http1.1 --globoff --max-time 20 "
        "--proto =http,https --header Expect: --request";
    char **argv = arena_array(a, WORDS_MAX, sizeof *argv);
    char *rest =
        arena_printf(a, "%s %s%s", words, q->method, q->too_large ? " --data-binary @-" : "");
    size_t count = 0;
    while ((argv[count] = strtok_r(rest, " ", &rest)) != NULL)
        count++;
    if (q->header) {
        argv[count++] = arena_strdup(a, "--header");
        argv[count++] = arena_strdup(a, q->header);
    }
    argv[count] = arena_printf(a, "%s%s", url, q->path);
    return argv;
}

/* False when there is no curl. */
static bool ask(struct doctor *doctor, const char *url, const struct question *q, struct reply *ret)
{
    int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    int err = memfd_create("err", MFD_CLOEXEC);
    *ret = (struct reply){.head = "", .body = "", .complaint = ""};
    if (q->too_large)
        write_large(in, doctor->settings->max_body);
    bool ran = run_curl(doctor->arena, curl_words(doctor->arena, url, q), in, out, err);
    if (ran) {
        const char *said = read_back(doctor->arena, err);
        take_reply(doctor->arena, read_back(doctor->arena, out), ret);
        ret->complaint = arena_copy(doctor->arena, said, strcspn(said, "\n"));
    }
    (void)close(in);
    (void)close(out);
    (void)close(err);
    return ran;
}

/* ---- findings ---- */

/* The code of our own form of errors, which is a short word; NULL for anything else. */
static const char *code_of(struct doctor *doctor, const struct reply *reply)
{
    const struct json *object;
    struct problem *p = json_parse(doctor->arena, reply->body, strlen(reply->body), &object);
    struct text code = p ? (struct text){0} : json_as_text(json_get(object, "code"));
    return code.len <= CODE_MAX ? code.data : NULL;
}

static bool is_ok(struct doctor *doctor, const struct reply *reply)
{
    const struct json *object;
    struct problem *p = json_parse(doctor->arena, reply->body, strlen(reply->body), &object);
    return !p && text_equal(json_as_text(json_get(object, "status")), TEXT("ok"));
}

static bool has_line(const char *head, const char *line)
{
    for (const char *at = strchr(head, '\n'); at; at = strchr(at + 1, '\n'))
        if (strncasecmp(at + 1, line, strlen(line)) == 0)
            return true;
    return false;
}

static bool is_as_expected(struct doctor *doctor, const struct question *q,
                           const struct reply *reply)
{
    const char *code = code_of(doctor, reply);
    if (reply->status != q->status || (q->answer && !has_line(reply->head, q->answer)))
        return false;
    return q->code ? code && strcmp(code, q->code) == 0 : is_ok(doctor, reply);
}

/* Where a redirection leads to; NULL where it is none. */
static const char *redirection_of(struct arena *a, const struct reply *reply)
{
    static const char name[] = "Location:";
    if (reply->status < 300 || reply->status > 399)
        return NULL;
    for (const char *at = strchr(reply->head, '\n'); at; at = strchr(at + 1, '\n')) {
        if (strncasecmp(at + 1, name, sizeof name - 1) != 0)
            continue;
        const char *value = at + sizeof name + strspn(at + sizeof name, " \t");
        size_t len = strcspn(value, "\r\n");
        return arena_copy(a, value, len < PLACE_MAX ? len : PLACE_MAX);
    }
    return NULL;
}

/* A server that fails on every request has logged why. */
static const char *fix_of(const struct question *q, const struct reply *reply)
{
    if (q == questions && reply->status >= 300 && reply->status <= 399)
        return "this URL is redirected; ask where the API is itself";
    if (q == questions && reply->status == 400)
        return "the web server refuses this; where it speaks HTTPS only, ask by https://";
    if (q != questions || reply->status < 500)
        return q->fix;
    return "the web server cannot hand requests on, or the program cannot serve; their logs say "
           "why";
}

/* Returns whether the answer was as expected. */
static bool tell(struct doctor *doctor, const struct question *q, const struct reply *reply)
{
    const char *code = code_of(doctor, reply), *to = redirection_of(doctor->arena, reply);
    bool is_so = is_as_expected(doctor, q, reply);
    if (is_so)
        doctor_ok(doctor, "%s", q->what);
    else
        doctor_tell(doctor, q->verdict, arena_printf(doctor->arena, "not so: %s", q->what),
                    "%s (status %d%s%s, %s)", fix_of(q, reply), reply->status, to ? " to " : "",
                    to ? to : "", code ? code : "no error of ours");
    return is_so;
}

/* curl would take control characters and other schemes. */
static bool is_url(const char *url)
{
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* ---- plain HTTP ---- */

static bool is_on_this_machine(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           strncmp(host, "localhost", 9) == 0;
}

/* A URL with a port of its own does not tell on which one plain HTTP would be. */
static bool has_port(const char *host)
{
    const char *bracket = *host == '[' ? strchr(host, ']') : NULL;
    const char *end = bracket ? bracket : host;
    return end[strcspn(end, ":/")] == ':';
}

/* Where the API has TLS, requests by `http://` must not reach the program, or clients keep sending
 * passwords and tokens that way. */
static void check_plain(struct doctor *doctor, const char *base)
{
    static const struct question plain = {
        .method = "GET", .path = "/auth/profile", .header = "Authorization: Bearer no.real.token"};
    const char *host = strstr(base, "://") + 3;
    struct reply reply;
    if (strncmp(base, "http://", 7) == 0) {
        if (!is_on_this_machine(host))
            doctor_tell(doctor, VERDICT_WARN, "--url",
                        "is plain HTTP: passwords and tokens can be read on the way; give the "
                        "site TLS, unless something before it has it");
        return;
    }
    if (has_port(host) ||
        !ask(doctor, arena_printf(doctor->arena, "http://%s", host), &plain, &reply))
        return;
    const char *code = code_of(doctor, &reply);
    if (code && strcmp(code, "invalid_token") == 0)
        doctor_tell(doctor, VERDICT_WARN, "plain HTTP",
                    "reaches the program too, so passwords and tokens can be read on the way; "
                    "have the web server refuse it, as nginx/render and the .htaccess do");
    else
        doctor_ok(doctor, "plain HTTP does not reach the program");
}

void doctor_url(struct doctor *doctor, const char *url)
{
    struct reply reply;
    char *base = arena_strdup(doctor->arena, url);
    if (!is_url(url)) {
        doctor_tell(doctor, VERDICT_FAIL, "--url", "must be like https://example.org/api");
        return;
    }
    while (*base && base[strlen(base) - 1] == '/')
        base[strlen(base) - 1] = '\0';
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (!ask(doctor, base, &questions[i], &reply)) {
            doctor_tell(doctor, VERDICT_FAIL, "--url", "takes the program curl; install it");
            return;
        }
        if (!reply.status) {
            doctor_tell(doctor, VERDICT_FAIL, base,
                        "no answer: %s; start the web server, or correct the URL", reply.complaint);
            return;
        }
        /* Where the API is not found, all other questions fail for the same reason. */
        if (!tell(doctor, &questions[i], &reply) && i == 0)
            return;
    }
    check_plain(doctor, base);
}

/* Whole requests, from the variables to the answer, with a database that says whatever it likes:
 *
 *      NAME=value\0 … \0   the variables, with an empty one at the end; a value "Bearer T" has a
 * good token in the place of T 16 bytes            what the database answers, over and over the
 * rest            the body
 *
 * Whatever that is, the answer is none of our own bugs (500), is JSON where it says so, and has no
 * line in its head that we did not write.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/crypto/jwt.h"
#include "common/field/config.h"
#include "common/field/json.h"
#include "fcgi-app/worker.h"
#include "tests/support/fuzz.h"

#include "tests/fuzz/cheap_hashes.h"
#include "tests/fuzz/no_database.h"

#define PARAMS_MAX 64
#define ANSWERS 16
#define SETTINGS_MAX 64
#define NOW ((struct instant){INT64_C(1767225600000000)})

static struct app *app;
static struct settings settings;
static const char *token;

static void begin(void)
{
    static const char lines[] = "JWT_SECRET_KEY = kQ3vT8mZr1Yx6Lw9Pc2Nd5Hb7Jg4Fs0A\n"
                                "DATABASE_URL = mysql://u:p@h/n\n"
                                "LOG_REQUESTS = false\n"
                                "LOGIN_LIMIT = off\n"
                                "LIMITS = off\n"
                                "MAIL_COMMAND = /nonexistent/sendmail\n"
                                "MAIL_FROM = postern@example.org\n"
                                "PUBLIC_URL = https://api.example.org\n"
                                "TRUSTED_PROXIES = 10.0.0.0/8 unix:\n";
    static struct origin origins[SETTINGS_MAX];
    static struct arena *a; /* stays as long as the program */
    struct claims claims = {.issued_s = NOW.us / 1000000, .expires_s = NOW.us / 1000000 + 900};
    a = arena_open((size_t)16 * 1024 * 1024);
    need(log_open(getenv("FUZZ_LOG") ? "stderr" : "/dev/null") == 0);
    need(!config_load_text(a, &settings_record, (struct config_flags){0}, NULL, text_of(lines),
                           "lines", &settings, origins));
    need(!app_open(a, &settings, NULL, &app));
    need(uuid_parse(THE_ID, sizeof THE_ID - 1, &claims.subject));
    claims.session = claims.id = claims.subject;
    token = jwt_sign(a, app->keys, &claims);
}

static char *with_token(struct arena *a, char *param)
{
    static const char word[] = "=Bearer T";
    size_t len = strlen(param), tail = sizeof word - 1;
    if (len < tail || strcmp(param + len - tail, word) != 0)
        return param;
    return arena_printf(a, "%.*s%s", (int)len - 1, param, token);
}

/* Returns what is after the variables. */
static const uint8_t *take_params(struct arena *a, const uint8_t *data, const uint8_t *end,
                                  char **params)
{
    for (size_t n = 0; data < end && *data && n < PARAMS_MAX; n++) {
        const char *text = fuzz_string(a, data, (size_t)(end - data));
        params[n] = with_token(a, arena_strdup(a, text));
        data += strlen(text) + 1;
    }
    return data < end ? data + 1 : end;
}

static void judge_head(const struct buf *head)
{
    const char *at = head->data, *end = head->data + head->len;
    while (at < end) {
        const char *line = memchr(at, '\r', (size_t)(end - at));
        need(line && line + 1 < end && line[1] == '\n');
        for (const char *c = at; c < line; c++)
            need((unsigned char)*c >= ' ' || *c == '\t');
        need(line == at || memchr(at, ':', (size_t)(line - at)));
        at = line + 2;
    }
}

static void judge(struct arena *a, const struct request *rq, const struct response *rs)
{
    struct buf head;
    const struct json *body;
    buf_init(&head, (size_t)64 * 1024);
    response_head(rs, rq, &head);
    judge_head(&head);
    buf_release(&head);
    need(rs->status >= 200 && rs->status < 600 && rs->status != 500);
    if (rs->body.len && rs->media_type && strstr(rs->media_type, "json"))
        need(!json_parse(a, rs->body.data, rs->body.len, &body));
}

static void handle(struct arena *a, const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    char **params = arena_array(a, PARAMS_MAX + 1, sizeof *params);
    struct request rq;
    struct response rs;
    if (!app)
        begin();
    data = take_params(a, data, end, params);
    answers.bytes = data;
    answers.count = (size_t)(end - data) < ANSWERS ? (size_t)(end - data) : ANSWERS;
    answers.at = 0;
    data += answers.count;
    request_from_params(&rq, a, params, "/api", NOW);
    rq.raw_body = (struct text){arena_copy(a, data, (size_t)(end - data)), (size_t)(end - data)};
    response_init(&rs);
    app_handle(app, &rq, &rs);
    judge(a, &rq, &rs);
    if (rs.after)
        rs.after(app, &rq);
    response_release(&rs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(handle, data, size);
}

FUZZ_REPLAY("router");

/* peer.c -- writes posts as a service of this one purpose would, for comparison.
 *
 *   peer LISTEN WORKERS DATABASE TABLE
 *
 * POST with a token and a JSON body puts a row into TABLE, which has the columns of posts: one
 * prepared SELECT judges the user and the session of the token, one INSERT, which commits by
 * itself, writes. There are no totals, no keys of idempotency, no detailed errors, no second
 * attempts. DATABASE is MariaDB's socket, PEER_PASSWORD that of its user postern, JWT_SECRET_KEY
 * what tokens are signed with.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cJSON.h>
#include <fcgiapp.h>
#include <mysql.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define BACKLOG 4096 /* as postern has it */
#define BODY_MAX (128 * 1024)
#define TOKEN_MAX 1024
#define TITLE_MAX 255 /* bytes; that the limit is one of characters makes no difference here */
#define CONTENT_MAX 65535
#define MAC_SIZE 32
#define TEXT_SIZE 40 /* of an id, and of a time */
#define BEARER "Bearer "

struct caller {
    char user[TEXT_SIZE], session[TEXT_SIZE];
};

struct post {
    char id[TEXT_SIZE], created_at[TEXT_SIZE];
    const char *title, *content;
    bool published;
};

static MYSQL *mysql;
static MYSQL_STMT *find, *insert;

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "peer: %s\n", what);
    exit(EXIT_FAILURE);
}

/* ---- the token ---- */

/* Base64url without padding; the length of what it means, or -1. */
static int decode(const char *text, size_t len, unsigned char *ret)
{
    char padded[TOKEN_MAX + 4];
    size_t size = (len + 3) / 4 * 4;
    if (len > TOKEN_MAX)
        return -1;
    for (size_t i = 0; i < size; i++) {
        char c = '=';
        if (i < len)
            c = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
        padded[i] = c;
    }
    int made = EVP_DecodeBlock(ret, (const unsigned char *)padded, (int)size);
    return made < 0 ? -1 : made - (int)(size - len);
}

static bool is_signed(const char *token, size_t input_len, const char *mac_text)
{
    static const char *key;
    unsigned char given[TOKEN_MAX + 4], right[MAC_SIZE];
    if (!key)
        key = getenv("JWT_SECRET_KEY");
    return key && decode(mac_text, strlen(mac_text), given) == MAC_SIZE &&
           HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)token, input_len, right,
                NULL) &&
           CRYPTO_memcmp(given, right, MAC_SIZE) == 0;
}

static bool copy_claim(const cJSON *claims, const char *name, char ret[TEXT_SIZE])
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(claims, name));
    return value && snprintf(ret, TEXT_SIZE, "%s", value) < TEXT_SIZE;
}

static bool read_claims(const char *segment, size_t len, struct caller *ret)
{
    unsigned char payload[TOKEN_MAX + 4];
    int size = decode(segment, len, payload);
    cJSON *claims = size < 0 ? NULL : cJSON_ParseWithLength((const char *)payload, (size_t)size);
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(claims, "exp");
    bool ok = cJSON_IsNumber(expires) && cJSON_GetNumberValue(expires) > (double)time(NULL) &&
              copy_claim(claims, "sub", ret->user) && copy_claim(claims, "sid", ret->session);
    cJSON_Delete(claims);
    return ok;
}

static bool read_token(const char *authorization, struct caller *ret)
{
    if (!authorization || strncmp(authorization, BEARER, strlen(BEARER)) != 0)
        return false;
    const char *token = authorization + strlen(BEARER);
    const char *payload = strchr(token, '.'), *mac = strrchr(token, '.');
    return payload && mac > payload && is_signed(token, (size_t)(mac - token), mac + 1) &&
           read_claims(payload + 1, (size_t)(mac - payload - 1), ret);
}

/* ---- the database ---- */

static MYSQL_STMT *prepare(const char *sql)
{
    MYSQL_STMT *statement = mysql_stmt_init(mysql);
    need(!mysql_stmt_prepare(statement, sql, strlen(sql)), mysql_error(mysql));
    return statement;
}

static void open_database(const char *socket, const char *table)
{
    char sql[512];
    mysql = mysql_init(NULL);
    need(mysql_real_connect(mysql, "localhost", "postern", getenv("PEER_PASSWORD"), "postern", 0,
                            socket, 0) != NULL,
         mysql_error(mysql));
    need(!mysql_set_character_set(mysql, "utf8mb4"), mysql_error(mysql));
    need(!mysql_query(mysql, "SET time_zone = '+00:00', tx_isolation = 'READ-COMMITTED'"),
         mysql_error(mysql));
    find =
        prepare("SELECT users.is_active FROM users JOIN sessions ON sessions.id = ? "
                "AND sessions.user_id = users.id AND sessions.expires_at > ? WHERE users.id = ?");
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO %s (id, author_id, title, content, published, created_at, "
                   "updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   table);
    insert = prepare(sql);
}

static MYSQL_BIND bind_text(const char *text)
{
    union {
        const char *in;
        void *buffer;
    } as = {.in = text}; /* which is not written to */
    return (MYSQL_BIND){
        .buffer_type = MYSQL_TYPE_STRING, .buffer = as.buffer, .buffer_length = strlen(text)};
}

static bool is_welcome(const struct caller *caller, const char *now)
{
    signed char active = 0;
    MYSQL_BIND in[] = {bind_text(caller->session), bind_text(now), bind_text(caller->user)};
    MYSQL_BIND out = {.buffer_type = MYSQL_TYPE_TINY, .buffer = &active};
    need(!mysql_stmt_bind_param(find, in) && !mysql_stmt_execute(find) &&
             !mysql_stmt_bind_result(find, &out) && !mysql_stmt_store_result(find),
         mysql_stmt_error(find));
    bool found = mysql_stmt_fetch(find) == 0;
    (void)mysql_stmt_free_result(find);
    return found && active;
}

static bool write_post(const struct caller *caller, const struct post *post)
{
    signed char published = (signed char)post->published;
    MYSQL_BIND in[] = {
        bind_text(post->id),
        bind_text(caller->user),
        bind_text(post->title),
        bind_text(post->content),
        {.buffer_type = MYSQL_TYPE_TINY, .buffer = &published},
        bind_text(post->created_at),
        bind_text(post->created_at),
    };
    return !mysql_stmt_bind_param(insert, in) && !mysql_stmt_execute(insert);
}

/* ---- the request ---- */

/* Of version 7 (RFC 9562). */
static void make_id(const struct timeval *now, char ret[TEXT_SIZE])
{
    unsigned char random[10];
    unsigned long long ms =
        (unsigned long long)now->tv_sec * 1000 + (unsigned long long)now->tv_usec / 1000;
    need(getrandom(random, sizeof random, 0) == sizeof random, "no random bytes");
    (void)snprintf(ret, TEXT_SIZE, "%08llx-%04llx-7%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   (ms >> 16) & 0xffffffff, ms & 0xffff, random[0] & 15u, random[1],
                   (random[2] & 63u) | 128u, random[3], random[4], random[5], random[6], random[7],
                   random[8], random[9]);
}

static void stamp(struct post *post)
{
    struct timeval now;
    struct tm utc;
    char seconds[TEXT_SIZE / 2];
    (void)gettimeofday(&now, NULL);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(seconds, sizeof seconds, "%Y-%m-%d %H:%M:%S", &utc);
    (void)snprintf(post->created_at, TEXT_SIZE, "%s.%06ld", seconds, (long)now.tv_usec);
    make_id(&now, post->id);
}

static const char *member(const cJSON *body, const char *name, size_t max)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, name));
    return value && *value && strlen(value) <= max ? value : NULL;
}

static cJSON *read_body(FCGX_Request *request)
{
    static char text[BODY_MAX];
    const char *length = FCGX_GetParam("CONTENT_LENGTH", request->envp);
    int len = length ? atoi(length) : 0;
    if (len <= 0 || len > BODY_MAX || FCGX_GetStr(text, len, request->in) != len)
        return NULL;
    return cJSON_ParseWithLength(text, (size_t)len);
}

static void refuse(FCGX_Request *request, const char *status)
{
    (void)FCGX_FPrintF(request->out,
                       "Status: %s\r\nContent-Type: application/json\r\n\r\n{\"error\":\"%s\"}",
                       status, status + 4);
}

static void answer(FCGX_Request *request, const struct caller *caller, const struct post *post)
{
    cJSON *body = cJSON_CreateObject(), *shown = cJSON_AddObjectToObject(body, "post");
    (void)cJSON_AddStringToObject(shown, "id", post->id);
    (void)cJSON_AddStringToObject(shown, "title", post->title);
    (void)cJSON_AddStringToObject(shown, "content", post->content);
    (void)cJSON_AddBoolToObject(shown, "published", post->published);
    (void)cJSON_AddStringToObject(shown, "author_id", caller->user);
    (void)cJSON_AddStringToObject(shown, "created_at", post->created_at);
    (void)cJSON_AddStringToObject(shown, "updated_at", post->created_at);
    char *text = cJSON_PrintUnformatted(body);
    need(text, "out of memory");
    (void)FCGX_FPrintF(request->out,
                       "Status: 201 Created\r\nContent-Type: application/json\r\n"
                       "Location: /api/posts/%s\r\nContent-Length: %d\r\n\r\n",
                       post->id, (int)strlen(text));
    (void)FCGX_PutS(text, request->out);
    cJSON_free(text);
    cJSON_Delete(body);
}

/* What is wrong with it, as a status; NULL after an answer. */
static const char *create(FCGX_Request *request, const struct caller *caller, const cJSON *body)
{
    struct post post = {
        .title = member(body, "title", TITLE_MAX),
        .content = member(body, "content", CONTENT_MAX),
        .published = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "published")),
    };
    if (!post.title || !post.content)
        return "400 Bad Request";
    stamp(&post);
    if (!is_welcome(caller, post.created_at))
        return "401 Unauthorized";
    if (!write_post(caller, &post))
        return "503 Service Unavailable";
    answer(request, caller, &post);
    return NULL;
}

static void serve(FCGX_Request *request)
{
    struct caller caller;
    cJSON *body = read_body(request);
    const char *wrong = "401 Unauthorized";
    if (!body)
        wrong = "400 Bad Request";
    else if (read_token(FCGX_GetParam("HTTP_AUTHORIZATION", request->envp), &caller))
        wrong = create(request, &caller, body);
    if (wrong)
        refuse(request, wrong);
    cJSON_Delete(body);
}

_Noreturn static void work(int listen_fd, const char *database, const char *table)
{
    FCGX_Request request;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* libfcgi would go on waiting after a SIGTERM */
    open_database(database, table);
    need(!FCGX_Init() && !FCGX_InitRequest(&request, listen_fd, 0), "libfcgi does not start");
    while (FCGX_Accept_r(&request) == 0) {
        serve(&request);
        FCGX_Finish_r(&request);
    }
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    need(argc == 5, "usage: peer LISTEN WORKERS DATABASE TABLE");
    int listen_fd = FCGX_OpenSocket(argv[1], BACKLOG);
    need(listen_fd >= 0, "cannot listen");
    for (int left = atoi(argv[2]); left > 0; left--)
        if (fork() == 0)
            work(listen_fd, argv[3], argv[4]);
    (void)wait(NULL); /* none should end */
    return EXIT_FAILURE;
}

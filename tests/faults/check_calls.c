/* needs: mariadb */
/* Every call that can fail, failed once in each of its ways, at each place where a request comes to
 * it: what does the client get, what was written, and is the worker fit for the next request?
 *
 * Each operation has at least one request below that goes well, and an operation without one fails
 * this test. Whenever a call fails, the answer is the one that it is without, or 503; what the
 * request writes is there as a whole where the answer says so, and as a whole or not at all where
 * it does not. A new process takes each failure. Where the program ends for lack of memory, the
 * client must have been told, see common/base/exhausted.h. At each of these places the process is
 * killed as well; a request that was named is then sent again, and done once. A few come by a
 * socket to the loop of a real worker, so that what it calls is failed too: where it can tell
 * nobody, the connection is closed.
 */
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/exhausted.h"
#include "common/base/log.h"
#include "common/crypto/password.h"
#include "common/db/db_limits.h"
#include "common/http/router.h"
#include "common/process/server.h"
#include "fcgi-app/mail/sender.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/worker.h"
#include "tests/faults/faults.h"
#include "tests/faults/serving.h"
#include "tests/support/clock.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"
#include "tests/support/torture.h"

#define TRIES 20       /* to come to a call that is not always there, such as a wait */
#define NEVER UINT_MAX /* is that call made */
#define A_SAMPLE 12    /* failures of each row in `make check`; `make torture` has all */

enum who { NOBODY, ME, BOSS };

/* What is no request, but has calls that can fail; and one that comes by a socket. */
enum work { REQUEST, BEGINNING, SPARE, SENDING, SERVING };

/* A request that goes well. Words in braces stand for what is there. */
struct golden {
    const char *route; /* its id */
    const char *path, *body;
    enum who who;
    int status;
    const char *param;
    const char *from;
    bool best_effort;    /* some of what it writes is tried once, and need not be there */
    bool repeats;        /* a lost answer has it done again, which leaves the same but a version, or
                            mails it twice */
    bool two_hosts;      /* DATABASE_URL has two */
    const char *setting; /* one more */
    enum work work;
};

#define KEY "HTTP_IDEMPOTENCY_KEY=a-key-of-the-test"
#define VERIFIES "VERIFY_EMAIL=required"
#define CREDENTIALS(user_) "{'email':'" user_ "@example.org','password':'" PASSWORD "'}"

static const struct golden goldens[] = {
    {"register", "/auth/register", CREDENTIALS("new"), NOBODY, 201},
    {"register", "/auth/register", CREDENTIALS("new"), NOBODY, 201, .setting = VERIFIES},
    {"register", "/auth/register", CREDENTIALS("me"), NOBODY, 201, .setting = VERIFIES},
    {"login", "/auth/login", CREDENTIALS("me"), NOBODY, 200},
    /* of imported users, whose hash is replaced */
    {"login", "/auth/login", CREDENTIALS("scrypt"), NOBODY, 200, .best_effort = true},
    {"login", "/auth/login", CREDENTIALS("pbkdf2"), NOBODY, 200, .best_effort = true},
    {"login", "/auth/login", CREDENTIALS("bcrypt"), NOBODY, 200, .best_effort = true},
    {"login", "/auth/login", CREDENTIALS("nobody"), NOBODY, 401},
    {"refresh", "/auth/refresh", "{'refresh_token':'{refresh}'}", NOBODY, 200},
    {"getProfile", "/auth/profile", NULL, ME, 200},
    {"getProfile", "/auth/profile", NULL, ME, 200, .two_hosts = true},
    {"deleteProfile", "/auth/profile", "{'current_password':'" PASSWORD "'}", ME, 204},
    {"listSessions", "/auth/sessions", NULL, ME, 200},
    {"endSession", "/auth/sessions/{session}", NULL, ME, 204},
    {"logout", "/auth/logout", "{'all':true}", ME, 204},
    {"changeEmail", "/auth/email", "{'current_password':'" PASSWORD "','email':'else@example.org'}",
     ME, 202, .repeats = true},
    {"changeEmail", "/auth/email", "{'current_password':'" PASSWORD "','email':'Me@example.org'}",
     ME, 200, .repeats = true},
    {"verifyEmail", "/auth/email/verify", "{'token':'{verifies}','password':'" PASSWORD "'}",
     NOBODY, 200},
    {"verifyEmail", "/auth/email/verify", "{'token':'{registers}','password':'" PASSWORD "'}",
     NOBODY, 200, .setting = VERIFIES},
    {"verifyEmail", "/auth/email/verify", "{'token':'{changes}'}", ME, 200},
    {"sendVerification", "/auth/email/verify/send", NULL, ME, 202, .repeats = true},
    {"undoEmailChange", "/auth/email/undo", "{'token':'{undoes}'}", NOBODY, 204},
    {"changePassword", "/auth/password",
     "{'current_password':'" PASSWORD "','new_password':'another long one'}", ME, 204},
    {"forgotPassword", "/auth/password/forgot", "{'email':'me@example.org'}", NOBODY, 202,
     .repeats = true},
    {"forgotPassword", "/auth/password/forgot", "{'email':'nobody@example.org'}", NOBODY, 202,
     .repeats = true},
    {"resetPassword", "/auth/password/reset",
     "{'token':'{resets}','new_password':'another long one'}", NOBODY, 204},
    {"resetPassword", "/auth/password/reset",
     "{'token':'{invites}','new_password':'another long one'}", NOBODY, 204},
    {"listUsers", "/users?q=example&sort=-created_at", NULL, BOSS, 200},
    {"createUser", "/users",
     "{'email':'made@example.org','password':'" PASSWORD "','first_name':'M','role':'admin'}", BOSS,
     201},
    {"createUser", "/users",
     "{'email':'made@example.org','password':'" PASSWORD "','first_name':'M'}", BOSS, 201,
     .param = KEY},
    {"createUser", "/users", "{'email':'made@example.org','invite':true,'first_name':'M'}", BOSS,
     201},
    {"createUser", "/users", "{'email':'made@example.org','invite':true,'first_name':'M'}", BOSS,
     201, .param = KEY},
    {"listSessionsOfUser", "/users/{me}/sessions", NULL, BOSS, 200},
    {"endSessionOfUser", "/users/{me}/sessions/{session}", NULL, BOSS, 204},
    {"getUser", "/users/{me}", NULL, BOSS, 200},
    {"updateUser", "/users/{me}", "{'first_name':'N'}", ME, 200},
    {"updateUser", "/users/{me}", "{'role':'admin','is_active':false}", BOSS, 200},
    {"updateUser", "/users/{me}", "{'email':'else@example.org'}", BOSS, 200},
    {"deleteUser", "/users/{me}", NULL, BOSS, 204},
    {"listPostsOfUser", "/users/{me}/posts?published=true", NULL, ME, 200},
    {"listPosts", "/posts?q=engines", NULL, NOBODY, 200},
    {"listPosts", "/posts?limit=1&page=2&sort=title", NULL, ME, 200},
    {"listPosts", "/posts?created_after=2020-01-01T00:00:00Z&limit=2", NULL, NOBODY, 200},
    {"createPost", "/posts", "{'title':'t','content':'c','published':true}", ME, 201},
    {"createPost", "/posts", "{'title':'t','content':'c','published':true}", ME, 201, .param = KEY},
    {"createPost", "/posts", "{'title':'t','content':'c'}", ME, 201, .two_hosts = true},
    {"getPost", "/posts/{long}", NULL, NOBODY, 200},
    {"updatePost", "/posts/{post}", "{'title':'u','published':false}", ME, 200},
    {"updatePost", "/posts/{post}", "{'title':'u'}", BOSS, 200, .param = "HTTP_IF_MATCH=\"1\""},
    {"deletePost", "/posts/{post}", NULL, ME, 204},
    {"getHealth", "/health", NULL, NOBODY, 200},
    {"getReady", "/ready", NULL, NOBODY, 200},
    {"getOpenapi", "/openapi.json", NULL, NOBODY, 200},
    {"getDocs", "/docs", NULL, NOBODY, 200},
    {"getMetrics", "/metrics", NULL, NOBODY, 200, .from = "127.0.0.1"},
    {"getPost", "/posts/{long}", NULL, NOBODY, 200, .work = SERVING},
    {"createPost", "/posts", "{'title':'t','content':'c','published':true}", ME, 201, .param = KEY,
     .work = SERVING},
    {NULL, "a worker begins", .work = BEGINNING},
    {NULL, "a worker has time", .work = SPARE, .best_effort = true},
    {NULL, "a message is sent", .work = SENDING, .best_effort = true,
     .setting = "MAIL_COMMAND=/bin/sleep 0.2"}, /* else there is nothing to wait for */
};

/* ---- who is there ---- */

static const char *me, *session, *post, *long_post, *refresh_text;
static const char *my_token, *boss_token;
static const struct golden *row;

/* Of PASSWORD, at the least cost. */
static const char *const imported[][2] = {
    {"scrypt", "scrypt:2:8:1$saltsalt$"
               "31d3679f69975d3dfb66b475b61aad2f4df70375926613fb5226d3c3cfa22507"
               "87257cfe40dc77f52b168aa440d990602f55f4b3223d336d6309acb5e83b5172"},
    {"pbkdf2", "pbkdf2:sha256:1000$saltsaltsalt$"
               "3b9c5aab3fe6d6c2769cbfd40a65a707ea931190becabebb77a4e1cd0f67e90d"},
    {"bcrypt", "$2b$04$abcdefghijklmnopqrstuuUKUm2sHfkjFdaLTp52hFucn8f2E7lqS"},
};

static void set_hash(const char *name, const char *hash)
{
    run_sql(
        say("UPDATE users SET password_hash = '%s' WHERE email = '%s@example.org'", hash, name));
}

static void make_people(void)
{
    const char *hash;
    must(password_hash(the_arena, text_of(PASSWORD), &hash)); /* the cheap one of faults.h */
    (void)make_user("boss@example.org", ROLE_ADMIN);
    (void)make_user("second@example.org", ROLE_ADMIN);
    me = make_user("me@example.org", ROLE_USER);
    set_hash("me", hash);
    set_hash("boss", hash);
    for (int i = 0; i < COUNT(imported); i++) {
        (void)make_user(say("%s@example.org", imported[i][0]), ROLE_USER);
        set_hash(imported[i][0], imported[i][1]);
    }
}

/* A token that came by mail. */
static void give(const char *kind, const char *owner, const char *address)
{
    run_sql(say("INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) VALUES "
                "(UUID(), UNHEX(SHA2('a token to %s', 256)), '%s', '%s', '%s', UTC_TIMESTAMP(6) + "
                "INTERVAL 50 MINUTE)",
                kind, kind, owner, address));
}

/* Who waits for each of them, and a message that is due. */
static void make_tokens(void)
{
    static const char waits[] = "01890a5d-ac96-774b-bcce-b302099a8058";
    give("reset", me, "me@example.org");
    give("invite", me, "me@example.org");
    give("verify", me, "me@example.org");
    give("change", me, "moved@example.org");
    give("undo", me, "former@example.org");
    give("register", waits, "waits@example.org");
    run_sql(say("UPDATE users SET email_verified = 0, pending_email = 'moved@example.org', "
                "pending_until = UTC_TIMESTAMP(6) + INTERVAL 50 MINUTE WHERE id = '%s'",
                me));
    run_sql(say("INSERT INTO registrations (id, email, password_hash, created_at, expires_at) "
                "SELECT '%s', 'waits@example.org', password_hash, UTC_TIMESTAMP(6), "
                "UTC_TIMESTAMP(6) + INTERVAL 1 DAY FROM users WHERE id = '%s'",
                waits, me));
    run_sql(
        "INSERT INTO outbox (id, kind, address, created_at, expires_at, due_at) VALUES (UUID(), "
        "'password_changed', 'me@example.org', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 "
        "DAY, UTC_TIMESTAMP(6))");
}

static void populate(void)
{
    make_people();
    boss_token = bearer_of("boss@example.org");
    my_token = bearer_of("me@example.org");
    const struct login second = enter("me@example.org");
    session = second.session;
    refresh_text = second.refresh;
    (void)write_post(boss_token, "On looms", "They weave.", true);
    post = write_post(my_token, "On engines", "They weave, too.", true);
    long_post = write_post(boss_token, "Long", repeat("word ", 2000), true);
    make_tokens();
}

static const char *fill(const char *pattern)
{
    const char *const words[][2] = {{"{me}", me},
                                    {"{session}", session},
                                    {"{post}", post},
                                    {"{long}", long_post},
                                    {"{resets}", "a token to reset"},
                                    {"{invites}", "a token to invite"},
                                    {"{verifies}", "a token to verify"},
                                    {"{changes}", "a token to change"},
                                    {"{undoes}", "a token to undo"},
                                    {"{registers}", "a token to register"},
                                    {"{refresh}", refresh_text}};
    const char *text = pattern;
    for (int i = 0; text && i < COUNT(words); i++) {
        const char *at = strstr(text, words[i][0]);
        if (at)
            text = say("%.*s%s%s", (int)(at - text), text, words[i][1], at + strlen(words[i][0]));
    }
    return text;
}

/* ---- what is written ---- */

/* What all tables hold is kept in others, to be put back, and to be compared with. */
struct kept {
    struct text name, columns;
};

static const struct field kept_fields[] = {
    FIELD(struct kept, name, .doc = "Its name."),
    FIELD(struct kept, columns, .doc = "All that can be written, with commas between."),
};
static const struct record kept_record = RECORD("Kept", struct kept, kept_fields, .rule = NULL);

struct told {
    struct text what;
};
static const struct field told_fields[] = {FIELD(struct told, what, .doc = "A text.")};
static const struct record told_record = RECORD("Told", struct told, told_fields, .rule = NULL);

static struct {
    const char *name, *columns;
} tables[64];
static int table_count;
static const char *look_sql, *glance_sql;

static void add_table(void *context, const void *found)
{
    const struct kept *t = found;
    (void)context;
    ck_assert_int_lt(table_count, COUNT(tables));
    tables[table_count].name = say("%s", t->name.data);
    tables[table_count++].columns = say("%s", t->columns.data);
}

/* Turns are written for their own sake, and whose it is comes of an id that is made by chance. */
static const char *which_rows(const char *name)
{
    return strcmp(name, "list_counts") == 0 ? "WHERE total > 0" : "";
}

/* How many rows of a table are not as they were, how many of those that were are not there, and
 * what the versions come to: a change made twice shows in these. */
static const char *compare_sql(const char *name, const char *columns)
{
    const char *which = which_rows(name);
    const char *is = say("SELECT %s FROM %s %s", columns, name, which),
               *was = say("SELECT %s FROM saved_%s %s", columns, name, which);
    const char *sql = say(", ' %s +', (SELECT COUNT(*) FROM (%s EXCEPT %s) AS d), "
                          "' -', (SELECT COUNT(*) FROM (%s EXCEPT %s) AS d)",
                          name, is, was, was, is);
    return strstr(columns, "version")
               ? say("%s, ' v', (SELECT COALESCE(SUM(version), 0) FROM %s)", sql, name)
               : sql;
}

static void save_tables(void)
{
    const struct sql all = {
        "SELECT table_name AS name, GROUP_CONCAT(column_name) AS columns "
        "FROM information_schema.columns WHERE table_schema = DATABASE() AND "
        "is_generated = 'NEVER' AND table_name NOT LIKE 'saved%' GROUP BY table_name",
        &kept_record};
    look_sql = glance_sql = "SELECT CONCAT(''";
    must(db_each(the_app->db, the_arena, &all, DB_NO_ARGS, add_table, NULL));
    for (int i = 0; i < table_count; i++) {
        const char *name = tables[i].name, *columns = tables[i].columns;
        run_sql(say("CREATE OR REPLACE TABLE saved_%s AS SELECT %s FROM %s", name, columns, name));
        look_sql = say("%s%s", look_sql, compare_sql(name, columns));
        glance_sql = say("%s, ' ', (SELECT CONCAT(COUNT(*), '/', COALESCE(SUM(CRC32(CONCAT_WS('|', "
                         "%s))), 0)) FROM %s %s)",
                         glance_sql, columns, name, which_rows(name));
    }
    look_sql = say("%s) AS what", look_sql);
    glance_sql = say("%s) AS what", glance_sql);
}

static const char *ask_text(const char *question)
{
    const struct sql sql = {question, &told_record};
    struct told told = {{0}};
    bool found;
    must(db_find(the_app->db, the_arena, &sql, DB_NO_ARGS, &told, &found));
    return told.what.data;
}

/* Put the tables back that are not as they were. */
static void restore(const char *seen)
{
    const char *sql = "BEGIN NOT ATOMIC SET foreign_key_checks = 0; START TRANSACTION; ";
    for (int i = 0; i < table_count; i++) {
        const char *name = tables[i].name, *columns = tables[i].columns;
        if (!strstr(seen, say(" %s +0 -0", name)))
            sql = say("%sDELETE FROM %s; INSERT INTO %s (%s) SELECT %s FROM saved_%s; ", sql, name,
                      name, columns, columns, name);
    }
    run_sql(say("%sCOMMIT; SET foreign_key_checks = 1; END", sql));
}

/* ---- one try, in a process of its own ---- */

/* What the process tells of it. */
static struct report {
    bool met, exhausted, killed;
    atomic_bool told; /* a worker that serves, to end */
    bool left;        /* and it did so untold */
    bool slow;        /* who waits so long believes that the database stands still */
    int status, next_status;
    char text[600];
    unsigned counts[FAULT_CALLS_MAX];
} * report;

#define CALLS_MAX 1024 /* of one name in one row */

/* What all rows come to, in all parts, and who does what. */
static struct sum {
    atomic_ulong calls, failed, tries, passed, slow;
    atomic_bool called[FAULT_CALLS_MAX]; /* names, at all */
    struct {
        atomic_bool taken, counted, done;
        unsigned counts[FAULT_CALLS_MAX]; /* since it is counted; see count_calls() */
        atomic_bool begun[FAULT_CALLS_MAX][CALLS_MAX];
    } rows[COUNT(goldens)];
} * sum;

static void note_end(void)
{
    fault_end();
    report->met = fault_was_met();
    report->exhausted = true;
    _exit(EX_SOFTWARE);
}

static void watch(bool begins)
{
    if (begins)
        fault_begin();
    else
        fault_end();
}

/* Of the row's route. */
static const char *golden_method(void)
{
    const struct route *route = NULL;
    static const char *const methods[] = {"POST", "GET", "PATCH", "DELETE"};
    static const unsigned numbers[] = {METHOD_POST, METHOD_GET, METHOD_PATCH, METHOD_DELETE};
    const char *method = NULL;
    for (size_t i = 0; resources[i]; i++)
        for (size_t j = 0; j < resources[i]->count; j++)
            if (strcmp(resources[i]->routes[j].operation_id, row->route) == 0)
                route = &resources[i]->routes[j];
    ck_assert_msg(route != NULL, "no route %s", row->route);
    for (int i = 0; i < COUNT(methods); i++)
        if (route->method == numbers[i])
            method = methods[i];
    return method;
}

static const char *golden_token(void)
{
    return row->who == ME ? my_token : row->who == BOSS ? boss_token : NULL;
}

static const char *golden_body(void)
{
    return row->body ? object("%s", fill(row->body)) : NULL;
}

static struct answer send_golden(void)
{
    return api_ask(.method = golden_method(), .path = fill(row->path), .body = golden_body(),
                   .token = golden_token(), .param = row->param, .from = row->from);
}

static void begin_worker(void)
{
    struct app *app = NULL;
    fault_begin();
    struct problem *p = app_open(the_arena, the_app->settings, NULL, &app);
    fault_end();
    report->status = p ? 503 : 0;
    if (!p)
        the_app = app;
}

static void do_spare(void)
{
    fault_begin();
    (void)app_spare(the_app, the_arena);
    fault_end();
}

static void send_due(void)
{
    struct sender sender;
    fault_begin();
    struct problem *p = sender_init(&sender, the_arena, the_app, -1);
    if (!p)
        p = sender_send_due(&sender, the_arena, NULL, NULL);
    fault_end();
    report->status = p ? 503 : 0;
}

static void do_golden(void)
{
    if (row->work == SPARE || row->work == SENDING)
        loopback_again();
    if (row->work == BEGINNING)
        begin_worker();
    else if (row->work == SPARE)
        do_spare();
    else if (row->work == SENDING)
        send_due();
    else {
        loopback_again();
        loopback_around = watch;
        struct answer answer = send_golden();
        loopback_around = NULL;
        report->status = answer.status;
        (void)snprintf(report->text, sizeof report->text, "%s", answer.text);
        if (answer.status == 503)
            ck_problem(answer, UNAVAILABLE);
        if (answer.status == 503)
            ck_assert_str_eq(answer_header(answer, "Retry-After"), "1");
    }
    report->met = fault_was_met();
}

/* A sanitizer's, where there is one. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* One who may, asks; and who has named the request sends it again. */
static bool is_named(void)
{
    return row->param && strcmp(row->param, KEY) == 0;
}

static void ask_next(void)
{
    report->next_status = api_get(boss_token, "/auth/profile").status;
    if (report->next_status == 200 && is_named() && send_golden().status != row->status)
        report->next_status = -1;
}

/* ---- by a socket ---- */

static int listen_fd;

/* The answer to the golden request is out, and the connection closed. */
static bool end_golden(void *context, struct arena *a)
{
    (void)context, (void)a;
    fault_end();
    return false;
}

/* From its start to its end, which is asked for by a signal. */
static void serve(void)
{
    loopback_again();
    const struct server server = {.listen_fd = listen_fd,
                                  .base_path = "/api",
                                  .body_max = (size_t)the_app->settings->max_body,
                                  .handle = app_handle,
                                  .context = the_app,
                                  .spare = end_golden};
    (void)signal(SIGTERM, SIG_IGN); /* until it sees to it itself; Check's own ends the test too */
    fault_begin();
    server_run(&server);
    fault_end();
    report->left = !report->told;
    report->met = fault_was_met();
    (void)close(listen_fd);
}

static int ask_server(const char *method, const char *path, const char *token, const char *body)
{
    return serving_ask(
        (const char *const[]){
            say("REQUEST_METHOD=%s", method), say("REQUEST_URI=/api%s", path),
            "QUERY_STRING=", "REMOTE_ADDR=192.0.2.1", "CONTENT_TYPE=application/json",
            say("CONTENT_LENGTH=%zu", body ? strlen(body) : 0),
            say("HTTP_AUTHORIZATION=%s%s", token ? "Bearer " : "", token ? token : ""),
            row->param ? row->param : "HTTP_ACCEPT=*/*", NULL},
        body, report->text, sizeof report->text);
}

static int ask_server_golden(void)
{
    return ask_server(golden_method(), fill(row->path), golden_token(), golden_body());
}

/* The parent's part: one that has ended answers nobody. */
static void ask_worker(pid_t pid)
{
    (void)close(listen_fd);
    report->status = ask_server_golden();
    const char *text = say("%s", report->text);
    report->next_status = ask_server("GET", "/auth/profile", boss_token, NULL);
    if (report->next_status == 200 && is_named() && ask_server_golden() != row->status)
        report->next_status = -1;
    (void)snprintf(report->text, sizeof report->text, "%s", text);
    report->told = true;
    ck_assert_int_eq(kill(pid, SIGTERM), 0);
}

static void run(void)
{
    struct arena *outer = the_arena;
    the_arena = arena_open((size_t)1024 * 1024 * 1024);
    (void)arena_alloc(the_arena, (size_t)60 * 1024); /* so that it comes to an end soon */
    on_exhausted(note_end);
    if (row->work == SERVING)
        serve();
    else
        do_golden();
    for (size_t i = 0; i < fault_names(); i++)
        report->counts[i] = fault_count(i);
    on_exhausted(NULL);
    if (row->work != SERVING)
        ask_next();
    app_close(the_app);
    arena_close(the_arena);
    the_arena = outer; /* which is no leak */
    if (__lsan_do_recoverable_leak_check)
        ck_assert_msg(__lsan_do_recoverable_leak_check() == 0, "something leaks");
}

/* `path` and how it was made to fail. */
static const char *where(size_t name, unsigned at, size_t way)
{
    return say("%s (row %d): call %u of %s fails: %s: status %d %s", row->path,
               (int)(row - goldens), at, fault_name(name), fault_way(name, way), report->status,
               report->text);
}

/* What a process that is gone has asked for may still be carried out: until the server has closed
 * its connection too, nobody can tell what was written. */
static void await_server(void)
{
    while (rows_in("information_schema.processlist WHERE user = SUBSTRING_INDEX(USER(), '@', 1)") >
           1)
        usleep(500);
}

static void try_once(size_t name, unsigned at, size_t way)
{
    int status;
    memset(report, 0, sizeof *report);
    if (row->work == SERVING)
        listen_fd = serving_listen();
    fflush(stdout); /* or the child would print it again */
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fault_plan(name, at, way);
        run();
        _exit(EXIT_SUCCESS);
    }
    long began = now_ms();
    if (row->work == SERVING)
        ask_worker(pid);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    report->slow = now_ms() - began > DB_PROBE_AFTER_S * 1000;
    await_server();
    report->killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    report->exhausted |=
        row->work == SERVING && WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE;
    report->met |= report->killed || report->exhausted;
    ck_assert_msg(status == 0 || (report->exhausted && WIFEXITED(status)) ||
                      (report->killed && fault_kills(name, way)),
                  "%s: a worker ends with status %d", where(name, at, way), status);
}

/* ---- each of them ---- */

static unsigned long tries;   /* of this row */
static const char *untouched; /* what a glance shows of the tables before a request */
static const char *nothing, *written,
    *written_again; /* a look, before the golden request and after */

/* The first questions set the session up, and belong to the connection: with one host, that is all
 * that there is. */
static bool is_strict(size_t name, unsigned at, size_t way)
{
    if (fault_kills(name, way))
        return false;
    bool of_connection = strcmp(fault_name(name), "mysql_real_query") == 0 && at == 0;
    if (of_connection || fault_is_refusal(name))
        return row->two_hosts;
    return fault_passes(name, way) && (row->work == REQUEST || row->work == SERVING);
}

/* A client that got no answer asks again under the same name. */
static void send_again(const char *what)
{
    const char *is;
    try_once(0, NEVER, 0);
    is = ask_text(look_sql);
    ck_assert_msg(report->status == row->status && strcmp(is, written) == 0,
                  "%s: and again: status %d, written is%s\nand not%s", what, report->status, is,
                  written);
    report->met = true;
}

/* What waits for the row of its Idempotency-Key finds the first of its kind there. */
static bool is_busy(size_t name, size_t way)
{
    return is_named() && report->status == 409 && strcmp(fault_way(name, way), "lock wait") == 0 &&
           strstr(report->text, "\"idempotency_busy\"");
}

/* May be for another reason than the call that failed: these are told. */
static bool is_excused(int status)
{
    bool excused = report->slow && status == 503;
    sum->slow += excused ? 1 : 0;
    return excused;
}

static void judge_next(const char *what)
{
    ck_assert_msg(report->next_status == 200 || is_excused(report->next_status),
                  "%s: and the next one is %d", what, report->next_status);
}

static void judge(size_t name, unsigned at, size_t way)
{
    bool none = strcmp(ask_text(glance_sql), untouched) == 0;
    const char *is = none ? nothing : ask_text(look_sql);
    const char *what = where(name, at, way);
    bool ended = report->exhausted || report->killed || report->left;
    bool as_if_nothing = report->status == row->status && !ended;
    bool all = strcmp(is, written) == 0 || strcmp(is, written_again) == 0;
    sum->tries++;
    tries++;
    sum->passed += as_if_nothing ? 1 : 0;
    if (as_if_nothing)
        ck_assert_msg(all || row->best_effort, "%s: written is%s\nand not%s", what, is, written);
    else if (!ended && !is_busy(name, way))
        ck_assert_msg(report->status == 503 || (row->work == SERVING && report->status == 0), "%s",
                      what);
    if (report->left) /* it could not be told to end; whoever comes waits for the next one */
        ck_assert_msg(strcmp(fault_name(name), "open") == 0, "%s: it ends by itself", what);
    if (!ended)
        judge_next(what);
    ck_assert_msg(all || none || row->best_effort, "%s: written by halves:%s", what, is);
    if (is_strict(name, at, way) && !is_busy(name, way))
        ck_assert_msg(as_if_nothing || is_excused(report->status), "%s: it must be tried again",
                      what);
    if (ended && is_named()) {
        send_again(what);
        is = written;
    }
    if (!none || is == written)
        restore(is);
}

static bool is_chosen(unsigned *seed, unsigned places)
{
    return torture_rounds(1) > 1 || (unsigned)rand_r(seed) % (places + 1) < A_SAMPLE;
}

/* A call of this place, in all its ways; true when it was there. */
static bool fail_at(size_t name, unsigned at, unsigned places, unsigned *seed)
{
    bool met = false;
    for (size_t way = 0; way < fault_ways(name); way++) {
        if (!is_chosen(seed, places))
            continue;
        for (int i = 0; i < TRIES; i++) {
            try_once(name, at, way);
            judge(name, at, way);
            if (report->met)
                break;
        }
        met = met || report->met;
    }
    return met;
}

/* What the golden request comes to, by names: as the first one saw it who did this row. */
static void count_calls(int number)
{
    unsigned *counts = sum->rows[number].counts;
    try_once(0, NEVER, 0);
    ck_assert_msg(report->status == row->status, "%s", where(0, 0, 0));
    if (sum->rows[number].counted)
        return;
    for (size_t i = 0; i < fault_names(); i++) {
        counts[i] = report->counts[i];
        ck_assert_uint_lt(counts[i], CALLS_MAX);
        if (counts[i] > 0)
            sum->called[i] = true;
        sum->calls += counts[i];
    }
    sum->rows[number].counted = true;
}

static unsigned count_places(const unsigned counts[FAULT_CALLS_MAX])
{
    unsigned places = 0;
    for (size_t i = 0; i < fault_names(); i++)
        places += counts[i] * (unsigned)fault_ways(i);
    return places;
}

#define TEST_MAX_MS                                                                                \
    (20 * 60 * 1000) /* Check cannot tell of one that takes more than 35 minutes                   \
                      */

/* Each that nobody else has begun; others do what is left. */
static void fail_all(int number)
{
    long end = now_ms() + TEST_MAX_MS;
    const unsigned *counts = sum->rows[number].counts;
    unsigned seed = torture_seed(), places = count_places(counts);
    for (size_t name = 0; name < fault_names(); name++)
        for (unsigned at = 0; at < counts[name]; at++) {
            if (now_ms() > end)
                return;
            if (!atomic_exchange(&sum->rows[number].begun[name][at], true))
                sum->failed += fail_at(name, at, places, &seed);
        }
    sum->rows[number].done = true;
}

static void fail_each(int number)
{
    untouched = ask_text(glance_sql);
    nothing = ask_text(look_sql);
    count_calls(number);
    written = written_again = ask_text(look_sql);
    if (row->repeats) {
        try_once(0, NEVER, 0);
        written_again = ask_text(look_sql);
    }
    restore(written);
    ck_assert_str_eq(ask_text(glance_sql), untouched);
    fail_all(number);
}

/* ---- tests ---- */

/* The same host twice is as good as two: each is connected to for itself. */
static const char *database_url(bool two_hosts)
{
    const char *one = getenv("DATABASE_URL"), *at = strstr(one, "@localhost/");
    ck_assert(at != NULL);
    return two_hosts ? say("%.*s@localhost,%s", (int)(at - one), one, at + 1) : one;
}

static void set_up(void)
{
    char log[] = "check_calls.XXXXXX"; /* a log in a file, which is gone with the last process */
    int fd = mkstemp(log);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(log_open(log), 0);
    (void)close(fd);
    (void)unlink(log);
    loopback_open();
}

static void tear_down(void)
{
    ck_assert_int_eq(log_open("stderr"), 0);
    loopback_close();
}

CASE("calls", set_up, tear_down);
CASE_LIMIT_S(300);

static void do_row(int number)
{
    row = &goldens[number];
    loopback_set(row->setting ? row->setting : "LOG_REQUESTS=true",
                 say("DATABASE_URL=%s", database_url(row->two_hosts)), "LOG_REQUESTS=true",
                 "MAIL_COMMAND=/bin/true", "MAIL_FROM=postern@example.org");
    populate();
    (void)api_get(NULL, "/health"); /* reads what the answers are compared with */
    save_tables();
    fail_each(number);
    printf("%s (row %d): %lu tries\n", row->path, number, tries);
    fflush(stdout);
}

TEST_EACH(a_call_that_fails_is_answered_as_it_must, goldens)
{
    if (!atomic_exchange(&sum->rows[_i].taken, true))
        do_row(_i);
}
END_TEST

/* Where no row is left that nobody has taken. */
TEST_TIMES(who_has_no_row_helps_others, torture_rounds(1) > 1 ? COUNT(goldens) : 0)
{
    if (sum->rows[_i].counted && !sum->rows[_i].done)
        do_row(_i);
}
END_TEST

static void note_missing(void *context, const struct resource *resource, const struct route *route)
{
    const char **missing = context;
    bool found = false;
    (void)resource;
    for (int i = 0; i < COUNT(goldens); i++)
        found = found || (goldens[i].route && strcmp(goldens[i].route, route->operation_id) == 0);
    if (!found)
        *missing = say("%s %s", *missing, route->operation_id);
}

TEST(each_operation_has_a_golden_request)
{
    const char *missing = "";
    router_each(resources, note_missing, &missing);
    ck_assert_msg(*missing == '\0', "no row in `goldens` for:%s", missing);
}
END_TEST

/* ---- parts ---- */

/* Each row is for itself, and most of its time is waiting. So in `make torture` there are some more
 * processes, each with a database of its own, that take rows until none is left. */
#define SHARED "CHECK_CALLS_SHARED" /* the number of the descriptor of what they sum up */
#define PARTS_MAX 64

static pid_t parts[PARTS_MAX];
static int part_count;

static int count_parts(void)
{
    const char *wanted = getenv("PARTS");
    long count = wanted ? strtol(wanted, NULL, 10) : 2 * sysconf(_SC_NPROCESSORS_ONLN);
    if (torture_rounds(1) == 1)
        return 1;
    return count < 1 ? 1 : count > PARTS_MAX ? PARTS_MAX : (int)count;
}

_Noreturn static void become_part(const char *self)
{
    char server[PATH_MAX];
    const char *top = getenv("srcdir") ? getenv("srcdir") : ".";
    (void)snprintf(server, sizeof server, "%s/tests/support/with-mariadb", top);
    (void)setenv("CK_RUN_CASE", "calls", 1);
    (void)execl(server, server, self, (char *)NULL);
    _exit(127);
}

static void start_parts(const char *self)
{
    for (int count = count_parts(); part_count + 1 < count; part_count++) {
        parts[part_count] = fork();
        if (parts[part_count] == 0)
            become_part(self);
    }
}

static void await_parts(void)
{
    while (part_count > 0) {
        int status = -1;
        pid_t pid = parts[--part_count];
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "a part ends with status %d, and tells why above", status);
    }
}

/* Across an exec, too. */
static bool share(void)
{
    char number[12];
    const char *given = getenv(SHARED);
    int fd = given ? atoi(given) : memfd_create("sum", 0);
    bool sized = given || (fd >= 0 && ftruncate(fd, sizeof *sum) == 0);
    if (!sized)
        return false;
    (void)snprintf(number, sizeof number, "%d", fd);
    (void)setenv(SHARED, number, 1);
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return report != MAP_FAILED && sum != MAP_FAILED;
}

CASE("all of them", NULL, NULL);
CASE_AROUND(await_parts, NULL);
CASE_LAST();

TEST(each_name_was_called)
{
    const char *missing = "";
    for (int i = 0; i < COUNT(goldens); i++)
        if (!sum->rows[i].taken)
            return; /* somebody asked for some rows */
    for (size_t i = 0; i < fault_names(); i++)
        if (!sum->called[i])
            missing = say("%s %s", missing, fault_name(i));
    printf(
        "%lu calls of %zu names in %d requests; failed: %lu, in %lu tries, of which %lu passed as "
        "if nothing had failed, and %lu were 503 on a machine too busy to tell why\n",
        sum->calls, fault_names(), COUNT(goldens), sum->failed, sum->tries, sum->passed, sum->slow);
    ck_assert_msg(*missing == '\0', "never called:%s", missing);
    if (torture_rounds(1) > 1)
        ck_assert_uint_eq(sum->failed, sum->calls);
}
END_TEST

int main(int argc, char **argv)
{
    bool is_part = getenv(SHARED) != NULL;
    (void)argc;
    if (!share())
        return EXIT_FAILURE;
    if (!is_part)
        start_parts(argv[0]);
    int status = suite_main();
    while (wait(NULL) > 0) /* where the case that waits for them was not asked for */
        continue;
    return status;
}

/* needs: mariadb */
/* Who may do what: one table of all routes, for each who may ask and whose the thing is.
 *
 * A new route fails the last tests until it has rows here; a new kind of caller, which is a word of
 * `enum who`, until each row has a cell for it. A cell is "ok" or the code of a refusal: what is
 * refused must have changed nothing, in no table, and what is carried out must have. "kept" is a
 * success that changes nothing; it is a status where neither is to be seen. */
#include "tests/support/loopback.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/routes.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

/* Who asks. The things that rows name are the owner's, unless they say otherwise. */
enum who {
    ANONYMOUS,
    GARBLED,  /* a token that nobody gave out */
    EXPIRED,  /* the owner's, of yesterday */
    ENDED,    /* the owner's, from whose session she has logged out */
    DISABLED, /* the owner, whose account has been disabled since */
    DELETED,  /* whose account is gone since */
    STRANGER, /* another user */
    DEMOTED,  /* an admin until a moment ago */
    OWNER,
    ADMIN,
    WHOS,
};

static const char *const who_names[WHOS] = {
    "anonymous", "garbled",  "expired", "ended", "disabled",
    "deleted",   "stranger", "demoted", "owner", "admin",
};

struct row {
    const char *route; /* its id */
    const char *path;  /* words in braces stand for what is there */
    const char *body;
    const char *cells[WHOS];
    const char *from;   /* the client's address; NULL: not this host's */
    const char *before; /* SQL: makes the thing, with THING_ID; NULL: it is there */
    const char *with;   /* a setting; NULL: mail is set up, all else as it is by default */
};

#define WAITING_ID "01890a5d-ac96-774b-bcce-b302099a8059"
#define THING_ID "01890a5d-ac96-774b-bcce-b302099a8058"
#define CHANGE_PENDS                                                                               \
    "UPDATE users SET pending_email = 'moved@example.org', "                                       \
    "pending_until = UTC_TIMESTAMP(6) + INTERVAL 1 DAY WHERE id = '{owner}'"

/* A token that is looked at, and none is not enough. */
#define DEAD_TOKENS                                                                                \
    [GARBLED] = "invalid_token", [ENDED] = "invalid_token", [DISABLED] = "user_inactive",          \
    [DELETED] = "user_inactive"
#define BAD_TOKENS DEAD_TOKENS, [EXPIRED] = "token_expired"
#define LOGIN [ANONYMOUS] = "no_token", BAD_TOKENS
#define USERS(cell_) [STRANGER] = (cell_), [DEMOTED] = (cell_)
#define EVERY_USER(cell_) USERS(cell_), [OWNER] = (cell_), [ADMIN] = (cell_)
/* Authorization is not looked at. */
#define NO_TOKEN_LOOKED_AT(cell_)                                                                  \
    [ANONYMOUS] = (cell_), [GARBLED] = (cell_), [EXPIRED] = (cell_), [ENDED] = (cell_),            \
    EVERY_USER(cell_)
#define ANYBODY NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "ok", [DELETED] = "ok"
/* A bad token counts as none. */
#define WITHOUT_SESSION(cell_)                                                                     \
    [ANONYMOUS] = (cell_), [GARBLED] = (cell_), [EXPIRED] = (cell_), [ENDED] = (cell_),            \
    USERS(cell_), [ADMIN] = (cell_)
#define NOBODY(cell_) NO_TOKEN_LOOKED_AT(cell_), [DISABLED] = (cell_), [DELETED] = (cell_)
#define ADMINS USERS("admin_required"), [OWNER] = "admin_required"

#define WITHOUT_MAIL .with = "MAIL_COMMAND="
#define SEEN_BY_ADMINS .with = "USERS_VISIBLE=admins"
#define VERIFIED_FIRST .with = "VERIFY_EMAIL=required"
#define VERIFIED_LATER .with = "VERIFY_EMAIL=on"

static const struct row rows[] = {
    /* ---- accounts ---- */
    {"register",
     "/auth/register",
     "{'email':'n@example.org','password':'engine of numbers'}",
     {ANYBODY}},
    {"register",
     "/auth/register",
     "{'email':'Owner@example.org','password':'engine of numbers'}",
     {NO_TOKEN_LOOKED_AT("email_exists"), [DISABLED] = "email_exists", [DELETED] = "ok"}},
    {"register",
     "/auth/register",
     "{'email':'n@example.org','password':'engine of numbers'}",
     {ANYBODY},
     VERIFIED_LATER},
    {"register",
     "/auth/register",
     "{'email':'n@example.org','password':'engine of numbers'}",
     {ANYBODY},
     VERIFIED_FIRST},
    {"register",
     "/auth/register",
     "{'email':'Owner@example.org','password':'engine of numbers'}",
     {ANYBODY},
     VERIFIED_FIRST},
    {"login",
     "/auth/login",
     "{'email':'owner@example.org','password':'" PASSWORD "'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "invalid_credentials",
      [DELETED] = "invalid_credentials"}},
    {"login",
     "/auth/login",
     "{'email':'waiting@example.org','password':'" PASSWORD "'}",
     {NOBODY("invalid_credentials")},
     VERIFIED_FIRST},
    {"getProfile", "/auth/profile", NULL, {LOGIN, EVERY_USER("ok")}},
    {"deleteProfile",
     "/auth/profile",
     "{'current_password':'" PASSWORD "'}",
     {LOGIN, EVERY_USER("ok")}},
    {"changeEmail",
     "/auth/email",
     "{'email':'n@example.org','current_password':'" PASSWORD "'}",
     {LOGIN, EVERY_USER("ok")}},
    {"changeEmail",
     "/auth/email",
     "{'email':'second@example.org','current_password':'" PASSWORD "'}",
     {LOGIN, EVERY_USER("ok")}}, /* it is told to who reads that mail */
    {"changeEmail",
     "/auth/email",
     "{'email':'n@example.org','current_password':'" PASSWORD "'}",
     {LOGIN, EVERY_USER("ok")},
     WITHOUT_MAIL},
    {"changeEmail",
     "/auth/email",
     "{'email':'second@example.org','current_password':'" PASSWORD "'}",
     {LOGIN, EVERY_USER("email_exists")},
     WITHOUT_MAIL},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{verifies}','password':'" PASSWORD "'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "invalid", [DELETED] = "invalid"}},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{verifies}'}",
     {WITHOUT_SESSION("missing_fields"), [OWNER] = "ok", [DISABLED] = "invalid",
      [DELETED] = "invalid"}},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{verifies}','password':'not that one'}",
     {WITHOUT_SESSION("invalid"), [OWNER] = "ok", [DISABLED] = "invalid", [DELETED] = "invalid"}},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{changes}','password':'" PASSWORD "'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "invalid", [DELETED] = "invalid"},
     .before = CHANGE_PENDS},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{changes}'}",
     {WITHOUT_SESSION("missing_fields"), [OWNER] = "ok", [DISABLED] = "invalid",
      [DELETED] = "invalid"},
     .before = CHANGE_PENDS},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{changes}','password':'" PASSWORD "'}", /* which no longer waits */
     {NOBODY("invalid")}},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{waits}','password':'" PASSWORD "'}",
     {ANYBODY},
     VERIFIED_FIRST},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{waits}'}",
     {NOBODY("missing_fields")},
     VERIFIED_FIRST},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{reset}','password':'" PASSWORD "'}", /* of another kind */
     {NOBODY("invalid")}},
    {"verifyEmail",
     "/auth/email/verify",
     "{'token':'{verifies}','password':'" PASSWORD "'}",
     {NOBODY("not_found")},
     WITHOUT_MAIL},
    {"sendVerification", "/auth/email/verify/send", NULL, {LOGIN, EVERY_USER("ok")}},
    {"sendVerification", "/auth/email/verify/send", NULL, {NOBODY("not_found")}, WITHOUT_MAIL},
    {"undoEmailChange",
     "/auth/email/undo",
     "{'token':'{undoes}'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "ok", [DELETED] = "invalid"}},
    {"undoEmailChange", "/auth/email/undo", "{'token':'{changes}'}", {NOBODY("invalid")}},
    {"undoEmailChange",
     "/auth/email/undo",
     "{'token':'{undoes}'}",
     {NOBODY("not_found")},
     WITHOUT_MAIL},
    {"changePassword",
     "/auth/password",
     "{'current_password':'" PASSWORD "','new_password':'engine of numbers'}",
     {LOGIN, EVERY_USER("ok")}},
    {"forgotPassword",
     "/auth/password/forgot",
     "{'email':'owner@example.org'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "202", [DELETED] = "202"}},
    {"resetPassword",
     "/auth/password/reset",
     "{'token':'{reset}','new_password':'engine of numbers'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "invalid", [DELETED] = "invalid"}},
    {"forgotPassword",
     "/auth/password/forgot",
     "{'email':'owner@example.org'}",
     {NOBODY("not_found")},
     WITHOUT_MAIL},
    {"resetPassword",
     "/auth/password/reset",
     "{'token':'{verifies}','new_password':'engine of numbers'}",
     {NOBODY("invalid")}},
    {"resetPassword",
     "/auth/password/reset",
     "{'token':'{reset}','new_password':'engine of numbers'}",
     {NOBODY("not_found")},
     WITHOUT_MAIL},

    /* ---- sessions ---- */
    {"refresh",
     "/auth/refresh",
     "{'refresh_token':'{refresh}'}",
     {NO_TOKEN_LOOKED_AT("ok"), [DISABLED] = "invalid_token", [DELETED] = "invalid_token"}},
    {"logout", "/auth/logout", "{'all':true}", {LOGIN, EVERY_USER("ok")}},
    {"logout",
     "/auth/logout",
     "{'refresh_token':'{refresh}'}",
     {DEAD_TOKENS, [ANONYMOUS] = "ok", [EXPIRED] = "ok", EVERY_USER("ok")}},
    {"listSessions", "/auth/sessions", NULL, {LOGIN, EVERY_USER("ok")}},
    {"endSession",
     "/auth/sessions/{session}",
     NULL,
     {LOGIN, USERS("session_not_found"), [OWNER] = "ok", [ADMIN] = "session_not_found"}},
    {"endSession", "/auth/sessions/" NOBODY_ID, NULL, {LOGIN, EVERY_USER("session_not_found")}},
    {"listSessionsOfUser", "/users/{owner}/sessions", NULL, {LOGIN, ADMINS, [ADMIN] = "ok"}},
    {"listSessionsOfUser", "/users/{admin}/sessions", NULL, {LOGIN, ADMINS, [ADMIN] = "forbidden"}},
    {"listSessionsOfUser",
     "/users/" NOBODY_ID "/sessions",
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "user_not_found"}},
    {"listSessionsOfUser",
     "/users/{waiting}/sessions",
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "user_not_found"}},
    {"listSessionsOfUser",
     "/users/{owner}/sessions",
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "ok"},
     SEEN_BY_ADMINS},
    {"endSessionOfUser",
     "/users/{owner}/sessions/{session}",
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "ok"}},
    {"endSessionOfUser",
     "/users/{stranger}/sessions/{session}",
     NULL, /* it is not theirs */
     {LOGIN, ADMINS, [ADMIN] = "session_not_found"}},
    {"endSessionOfUser",
     "/users/{admin}/sessions/{admin_session}",
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "forbidden"}},
    {"endSessionOfUser",
     "/users/{owner}/sessions/" NOBODY_ID,
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "session_not_found"}},
    {"endSessionOfUser",
     "/users/" NOBODY_ID "/sessions/{session}",
     NULL,
     {LOGIN, ADMINS, [ADMIN] = "user_not_found"}},

    /* ---- users ---- */
    {"listUsers", "/users", NULL, {LOGIN, EVERY_USER("ok")}},
    {"listUsers", "/users", NULL, {LOGIN, ADMINS, [ADMIN] = "ok"}, SEEN_BY_ADMINS},
    {"createUser",
     "/users",
     "{'email':'n@example.org','password':'engine of numbers','first_name':'N'}",
     {LOGIN, ADMINS, [ADMIN] = "ok"}},
    {"createUser",
     "/users",
     "{'email':'n@example.org','invite':true,'first_name':'N'}",
     {LOGIN, ADMINS, [ADMIN] = "ok"}},
    {"createUser",
     "/users",
     "{'email':'n@example.org','invite':true,'password':'engine of numbers','first_name':'N'}",
     {LOGIN, ADMINS, [ADMIN] = "invalid"}},
    {"createUser",
     "/users",
     "{'email':'n@example.org','invite':true,'first_name':'N'}",
     {LOGIN, ADMINS, [ADMIN] = "invalid"},
     WITHOUT_MAIL},
    {"createUser",
     "/users",
     "{'email':'n@example.org','password':'engine of numbers','first_name':'N'}",
     {LOGIN, ADMINS, [ADMIN] = "ok"},
     WITHOUT_MAIL},
    {"getUser", "/users/{owner}", NULL, {LOGIN, EVERY_USER("ok")}},
    {"getUser", "/users/{admin}", NULL, {LOGIN, EVERY_USER("ok")}},
    {"getUser", "/users/" NOBODY_ID, NULL, {LOGIN, EVERY_USER("user_not_found")}},
    {"getUser", "/users/{waiting}", NULL, {LOGIN, EVERY_USER("user_not_found")}},
    {"getUser",
     "/users/{owner}",
     NULL,
     {LOGIN, USERS("user_not_found"), [OWNER] = "ok", [ADMIN] = "ok"},
     SEEN_BY_ADMINS},
    {"getUser",
     "/users/{admin}",
     NULL,
     {LOGIN, USERS("user_not_found"), [OWNER] = "user_not_found", [ADMIN] = "ok"},
     SEEN_BY_ADMINS},
    {"getUser", "/users/" NOBODY_ID, NULL, {LOGIN, EVERY_USER("user_not_found")}, SEEN_BY_ADMINS},
    {"updateUser",
     "/users/{owner}",
     "{'first_name':'N'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "ok", [ADMIN] = "ok"}},
    {"updateUser",
     "/users/{admin}",
     "{'first_name':'N'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "ok"}},
    {"updateUser",
     "/users/" NOBODY_ID,
     "{'first_name':'N'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "user_not_found"}},
    {"updateUser",
     "/users/{waiting}",
     "{'first_name':'N'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "user_not_found"}},
    {"updateUser",
     "/users/{owner}",
     "{'email':'n@example.org'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "kept", [ADMIN] = "ok"}},
    {"updateUser",
     "/users/{owner}",
     "{'email':'n@example.org'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "kept", [ADMIN] = "ok"},
     WITHOUT_MAIL},
    {"updateUser",
     "/users/{admin}",
     "{'email':'n@example.org'}", /* there is another way to one's own */
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "kept"}},
    {"updateUser",
     "/users/{owner}",
     "{'role':'admin'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "kept", [ADMIN] = "ok"}},
    {"updateUser",
     "/users/{owner}",
     "{'is_active':false}",
     {LOGIN, USERS("forbidden"), [OWNER] = "kept", [ADMIN] = "ok"}},
    {"updateUser",
     "/users/{admin}",
     "{'first_name':'N'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "ok"},
     SEEN_BY_ADMINS},
    {"updateUser",
     "/users/" NOBODY_ID,
     "{'first_name':'N'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "user_not_found"},
     SEEN_BY_ADMINS},
    {"deleteUser", "/users/{waiting}", NULL, {LOGIN, ADMINS, [ADMIN] = "user_not_found"}},
    {"deleteUser", "/users/{owner}", NULL, {LOGIN, ADMINS, [ADMIN] = "ok"}},
    {"deleteUser", "/users/{admin}", NULL, {LOGIN, ADMINS, [ADMIN] = "ok"}},
    {"deleteUser", "/users/" NOBODY_ID, NULL, {LOGIN, ADMINS, [ADMIN] = "user_not_found"}},

    /* ---- posts ---- */
    {"listPosts", "/posts", NULL, {BAD_TOKENS, [ANONYMOUS] = "ok", EVERY_USER("ok")}},
    {"listPosts", "/posts?published=false", NULL, {LOGIN, EVERY_USER("ok")}},
    {"listPostsOfUser",
     "/users/{owner}/posts",
     NULL,
     {BAD_TOKENS, [ANONYMOUS] = "ok", EVERY_USER("ok")}},
    {"listPostsOfUser", "/users/{owner}/posts?published=false", NULL, {LOGIN, EVERY_USER("ok")}},
    {"listPostsOfUser",
     "/users/" NOBODY_ID "/posts",
     NULL,
     {BAD_TOKENS, [ANONYMOUS] = "user_not_found", EVERY_USER("user_not_found")}},
    {"listPostsOfUser",
     "/users/{waiting}/posts",
     NULL,
     {BAD_TOKENS, [ANONYMOUS] = "user_not_found", EVERY_USER("user_not_found")}},
    {"listPostsOfUser",
     "/users/{owner}/posts",
     NULL,
     {BAD_TOKENS, [ANONYMOUS] = "ok", EVERY_USER("ok")},
     SEEN_BY_ADMINS},
    {"createPost", "/posts", "{'title':'n','content':'c'}", {LOGIN, EVERY_USER("ok")}},
    {"getPost", "/posts/{post}", NULL, {BAD_TOKENS, [ANONYMOUS] = "ok", EVERY_USER("ok")}},
    {"getPost",
     "/posts/{draft}",
     NULL,
     {BAD_TOKENS, [ANONYMOUS] = "post_not_found",
      USERS("post_not_found"), [OWNER] = "ok", [ADMIN] = "ok"}},
    {"getPost",
     "/posts/" NOBODY_ID,
     NULL,
     {BAD_TOKENS, [ANONYMOUS] = "post_not_found", EVERY_USER("post_not_found")}},
    {"updatePost",
     "/posts/{post}",
     "{'title':'n'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "ok", [ADMIN] = "ok"}},
    {"updatePost",
     "/posts/{draft}",
     "{'title':'n'}",
     {LOGIN, USERS("post_not_found"), [OWNER] = "ok", [ADMIN] = "ok"}},
    {"updatePost",
     "/posts/{admin_post}",
     "{'title':'n'}",
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "ok"}},
    {"updatePost", "/posts/" NOBODY_ID, "{'title':'n'}", {LOGIN, EVERY_USER("post_not_found")}},
    {"deletePost",
     "/posts/{post}",
     NULL,
     {LOGIN, USERS("forbidden"), [OWNER] = "ok", [ADMIN] = "ok"}},
    {"deletePost",
     "/posts/{draft}",
     NULL,
     {LOGIN, USERS("post_not_found"), [OWNER] = "ok", [ADMIN] = "ok"}},
    {"deletePost",
     "/posts/{admin_post}",
     NULL,
     {LOGIN, USERS("forbidden"), [OWNER] = "forbidden", [ADMIN] = "ok"}},
    {"deletePost", "/posts/" NOBODY_ID, NULL, {LOGIN, EVERY_USER("post_not_found")}},

    /* ---- the program ---- */
    {"getHealth", "/health", NULL, {ANYBODY}},
    {"getReady", "/ready", NULL, {ANYBODY}},
    {"getOpenapi", "/openapi.json", NULL, {ANYBODY}},
    {"getDocs", "/docs", NULL, {ANYBODY}},
    {"getMetrics", "/metrics", NULL, {NOBODY("not_found")}},
    {"getMetrics", "/metrics", NULL, {ANYBODY}, .from = "127.0.0.1"},
};

/* ---- who and what is there ---- */

struct word {
    const char *name, *value;
};

static struct word words[16];
static const char *tokens[WHOS];

static const char *put(const char *name, const char *value)
{
    int i = 0;
    while (words[i].name && strcmp(words[i].name, name) != 0)
        i++;
    ck_assert_int_lt(i, COUNT(words));
    words[i] = (struct word){name, value};
    return value;
}

static const char *fill(const char *text)
{
    for (int i = 0; text && i < COUNT(words) && words[i].name; i++)
        for (const char *at; (at = strstr(text, words[i].name));)
            text =
                say("%.*s%s%s", (int)(at - text), text, words[i].value, at + strlen(words[i].name));
    return text;
}

static void make_tokens(void)
{
    struct login ended, login;
    tokens[EXPIRED] = bearer_of("owner@example.org");
    pass_s(the_app->settings->access_ttl_s + 60);
    ended = enter("owner@example.org");
    run_sql(say("DELETE FROM sessions WHERE id = '%s'", ended.session));
    tokens[ENDED] = ended.access;
    tokens[GARBLED] = "not.a.token";
    tokens[OWNER] = tokens[DISABLED] = tokens[DELETED] = bearer_of("owner@example.org");
    tokens[STRANGER] = bearer_of("stranger@example.org");
    tokens[DEMOTED] = bearer_of("demoted@example.org");
    login = enter("admin@example.org");
    tokens[ADMIN] = login.access;
    put("{admin_session}", login.session);
    login = enter("owner@example.org");
    put("{session}", login.session);
    put("{refresh}", login.refresh);
}

/* All again where the question before was carried out. */
static bool is_fresh;

/* A token that came by mail. */
static void give(const char *kind, const char *token, const char *user, const char *address)
{
    run_sql(say("INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) VALUES "
                "(UUID(), UNHEX(SHA2('%s', 256)), '%s', '%s', '%s', FROM_UNIXTIME(%lld))",
                fill(token), kind, fill(user), address, (long long)(the_time.us / 1000000 + 60)));
}

/* Who has registered, and has not verified the address yet. */
static void let_wait(void)
{
    put("{waiting}", WAITING_ID);
    put("{waits}", "a fifth");
    run_sql(fill("INSERT INTO registrations (id, email, password_hash, created_at, expires_at) "
                 "SELECT '{waiting}', 'waiting@example.org', password_hash, created_at, "
                 "created_at + INTERVAL 1 DAY FROM users WHERE id = '{owner}'"));
    give("register", "{waits}", "{waiting}", "waiting@example.org");
}

static void populate(void)
{
    if (is_fresh)
        return;
    is_fresh = true;
    run_sql("DELETE FROM users");
    run_sql("DELETE FROM mailed_tokens");
    run_sql("DELETE FROM registrations");
    run_sql("DELETE FROM outbox");
    run_sql("DELETE FROM list_journal");
    run_sql("DELETE FROM list_counts WHERE total > 0");
    put("{owner}", make_user("owner@example.org", ROLE_USER));
    put("{stranger}", make_user("stranger@example.org", ROLE_USER));
    put("{demoted}", make_user("demoted@example.org", ROLE_ADMIN));
    put("{admin}", make_user("admin@example.org", ROLE_ADMIN));
    (void)make_user("second@example.org", ROLE_ADMIN); /* or the first would be the last */
    make_tokens();
    put("{post}", write_post(tokens[OWNER], "published", "c", true));
    put("{draft}", write_post(tokens[OWNER], "draft", "c", false));
    put("{admin_post}", write_post(tokens[ADMIN], "the admin's", "c", true));
    put("{reset}", "a token that came by mail");
    give("reset", "{reset}", "{owner}", "owner@example.org");
    put("{verifies}", "another");
    give("verify", "{verifies}", "{owner}", "owner@example.org");
    put("{undoes}", "a third");
    give("undo", "{undoes}", "{owner}", "former@example.org");
    put("{changes}", "a fourth");
    give("change", "{changes}", "{owner}", "moved@example.org");
    let_wait();
}

/* What has become of somebody since the token was given out. */
static void befall(enum who who)
{
    if (who == DISABLED || who == DELETED)
        is_fresh = false;
    if (who == DISABLED)
        run_sql(fill("UPDATE users SET is_active = 0 WHERE id = '{owner}'"));
    if (who == DELETED)
        run_sql(fill("DELETE FROM users WHERE id = '{owner}'"));
    run_sql(fill("UPDATE users SET role = 'user' WHERE id = '{demoted}'"));
}

/* ---- what is in the database ---- */

struct line {
    struct text t;
};
static const struct field line_fields[] = {FIELD(struct line, t, .doc = "Text.")};
static const struct record line_record = RECORD("Line", struct line, line_fields, .rule = NULL);

static const char *ask_text(const char *question)
{
    const struct sql sql = {question, &line_record};
    struct line row = {TEXT("")};
    bool found;
    must(db_find(the_app->db, the_arena, &sql, DB_NO_ARGS, &row, &found));
    ck_assert(found && row.t.data);
    return row.t.data;
}

/* Tables that follow from the others, or that are swept when the answer is out. */
#define DERIVED                                                                                    \
    "'^(list_journal|list_counts|search_.*|leftovers|user_departures|schema_migrations|.*_lock.*)" \
    "$'"

/* A question with a number for all rows and columns of all tables, whatever tables there are. */
static const char *question_for_all(void)
{
    return ask_text(
        "SELECT CONCAT('SELECT CAST(SUM(n) AS SIGNED) AS n FROM (', GROUP_CONCAT(t SEPARATOR "
        "' UNION ALL '), ') AS u') AS t FROM (SELECT CONCAT('SELECT COALESCE(SUM(CRC32("
        "CONCAT_WS(0x7c, ', GROUP_CONCAT('COALESCE(`', column_name, '`, 0x7e)'), '))), 0) AS n "
        "FROM `', table_name, '`') AS t FROM information_schema.columns WHERE table_schema = "
        "DATABASE() AND table_name NOT REGEXP " DERIVED " GROUP BY table_name) AS tables");
}

/* ---- one row ---- */

static void set_with(const char *setting)
{
    loopback_set(setting, "LOGIN_LIMIT=off", "LIMITS=off", "MAIL_COMMAND=/nonexistent/sendmail",
                 "MAIL_FROM=postern@example.org"); /* the first counts */
}

static void set_up(void)
{
    memset(words, 0, sizeof words);
    is_fresh = false;
    loopback_open();
    set_with("LOGIN_LIMIT=off");
}

CASE("access", set_up, loopback_close);

static void find_route(void *context, const struct resource *resource, const struct route *route)
{
    const struct route **at = context;
    (void)resource;
    if (!(*at)->handle && strcmp((*at)->operation_id, route->operation_id) == 0)
        *at = route;
}

static const struct route *route_of(const char *id)
{
    const struct route *route = &(const struct route){.operation_id = id};
    router_each(the_app->router.resources, find_route, &route);
    ck_assert_msg(route->handle != NULL, "there is no route %s", id);
    return route;
}

static const char *const methods[] = {[METHOD_GET] = "GET",
                                      [METHOD_POST] = "POST",
                                      [METHOD_PATCH] = "PATCH",
                                      [METHOD_DELETE] = "DELETE"};

static struct answer ask(const struct route *route, const char *path, const char *body,
                         const char *token, const char *from)
{
    return api_ask(.method = methods[route->method], .path = fill(path), .token = token,
                   .body = body ? object("%s", fill(body)) : NULL, .from = from);
}

/* With mail, what waits for a token is accepted only. */
static int success_of(const struct route *route)
{
    return route->accepted && mailing_is_on(the_app) ? 202 : route_status(route);
}

static void ck_cell(const struct row *row, enum who who, const char *all)
{
    const struct route *route = route_of(row->route);
    const char *cell = row->cells[who];
    ck_assert_msg(cell != NULL, "%s of %s: no cell for %s", row->route, row->path, who_names[who]);
    populate();
    if (row->before) {
        run_sql(fill(row->before));
        is_fresh = false;
    }
    befall(who);
    int64_t before = ask_number(all);

    struct answer answer = ask(route, row->path, row->body, tokens[who], row->from);

    bool is_kept = strcmp(cell, "kept") == 0, is_ok = is_kept || strcmp(cell, "ok") == 0;
    bool changed = ask_number(all) != before;
    bool is_status = *cell >= '0' && *cell <= '9';
    int status = is_status ? atoi(cell) : success_of(route);
    const char *got = answer.status < 400 ? "ok" : answer_text(answer, "code");
    bool as_said = is_ok || is_status ? answer.status == status
                                      : answer.status >= 400 && strcmp(got, cell) == 0;
    ck_assert_msg(as_said, "%s of %s by %s: %s (%d) in place of %s", row->route, row->path,
                  who_names[who], got, answer.status, cell);
    ck_assert_msg(is_status || changed == (is_ok && !is_kept && route->method != METHOD_GET),
                  "%s of %s by %s, which is %s, has changed %s", row->route, row->path,
                  who_names[who], cell, changed ? "something" : "nothing");
    if (changed)
        is_fresh = false;
}

TEST_EACH(every_cell_is_what_happens, rows)
{
    if (rows[_i].with)
        set_with(rows[_i].with);
    populate();
    const char *all = question_for_all();

    for (enum who who = 0; who < WHOS; who++)
        ck_cell(&rows[_i], who, all);
}

static void need_rows(void *context, const struct resource *resource, const struct route *route)
{
    int known = 0, unknown = 0, otherwise = 0;
    bool differs = route->enabled || route->for_admins || route->accepted;
    (void)context, (void)resource;
    for (int i = 0; i < COUNT(rows); i++)
        if (strcmp(rows[i].route, route->operation_id) == 0) {
            *(strstr(rows[i].path, NOBODY_ID) ? &unknown : &known) += 1;
            otherwise += rows[i].with != NULL;
        }
    ck_assert_msg(known > 0, "%s has no row: who may call it?", route->operation_id);
    ck_assert_msg(unknown > 0 || !strchr(route->path, '{'),
                  "%s has no row with an id that nothing has", route->operation_id);
    ck_assert_msg(otherwise > 0 || !differs, "%s has no row with the settings that it follows",
                  route->operation_id);
}

TEST(every_route_has_rows)
{
    router_each(the_app->router.resources, need_rows, NULL);
}

/* ---- what a body may set ---- */

/* Bodies that write, by who may set the least and by who may set the most. */
static const struct writing {
    const char *route, *path, *body;
    enum who who;
    const char *may_set; /* all of it, in the order of the field table */
    const char *with;    /* as in rows */
} writings[] = {
    {"register", "/auth/register", "{'email':'n@example.org','password':'engine of numbers'}",
     ANONYMOUS, "email password first_name last_name"},
    {"register", "/auth/register", "{'email':'n@example.org','password':'engine of numbers'}",
     ANONYMOUS, "email password first_name last_name", VERIFIED_LATER},
    {"register", "/auth/register", "{'email':'n@example.org','password':'engine of numbers'}",
     ANONYMOUS, "email password first_name last_name", VERIFIED_FIRST},
    {"login", "/auth/login", "{'email':'owner@example.org','password':'" PASSWORD "'}", ANONYMOUS,
     "email password"},
    {"refresh", "/auth/refresh", "{'refresh_token':'{refresh}'}", ANONYMOUS, "refresh_token"},
    {"logout", "/auth/logout", "{'all':false}", OWNER, "all refresh_token"},
    {"deleteProfile", "/auth/profile", "{'current_password':'" PASSWORD "'}", OWNER,
     "current_password"},
    {"changeEmail", "/auth/email", "{'email':'n@example.org','current_password':'" PASSWORD "'}",
     OWNER, "email current_password"},
    {"changeEmail", "/auth/email", "{'email':'n@example.org','current_password':'" PASSWORD "'}",
     ADMIN, "email current_password"},
    {"changeEmail", "/auth/email", "{'email':'n@example.org','current_password':'" PASSWORD "'}",
     OWNER, "email current_password", WITHOUT_MAIL},
    {"verifyEmail", "/auth/email/verify", "{'token':'{verifies}','password':'" PASSWORD "'}",
     ANONYMOUS, "token password"},
    {"verifyEmail", "/auth/email/verify", "{'token':'{verifies}'}", OWNER, "token password"},
    {"verifyEmail", "/auth/email/verify", "{'token':'{waits}','password':'" PASSWORD "'}",
     ANONYMOUS, "token password", VERIFIED_FIRST},
    {"undoEmailChange", "/auth/email/undo", "{'token':'{undoes}'}", ANONYMOUS, "token"},
    {"changePassword", "/auth/password",
     "{'current_password':'" PASSWORD "','new_password':'engine of numbers'}", OWNER,
     "current_password new_password"},
    {"forgotPassword", "/auth/password/forgot", "{'email':'owner@example.org'}", ANONYMOUS,
     "email"},
    {"resetPassword", "/auth/password/reset",
     "{'token':'{reset}','new_password':'engine of numbers'}", ANONYMOUS, "token new_password"},
    {"createUser", "/users",
     "{'email':'n@example.org','password':'engine of numbers','first_name':'N'}", ADMIN,
     "email password first_name last_name role is_active invite"},
    {"createUser", "/users", "{'email':'n@example.org','invite':true,'first_name':'N'}", ADMIN,
     "email password first_name last_name role is_active invite"},
    {"createUser", "/users",
     "{'email':'n@example.org','password':'engine of numbers','first_name':'N'}", ADMIN,
     "email password first_name last_name role is_active invite", VERIFIED_LATER},
    {"updateUser", "/users/{owner}", "{'first_name':'N'}", OWNER, "first_name last_name"},
    {"updateUser", "/users/{owner}", "{'first_name':'N'}", ADMIN,
     "email first_name last_name role is_active"},
    {"updateUser", "/users/{admin}", "{'first_name':'N'}", ADMIN,
     "first_name last_name role is_active"},
    {"createPost", "/posts", "{'title':'n','content':'c'}", OWNER, "title content published"},
    {"createPost", "/posts", "{'title':'n','content':'c'}", ADMIN, "title content published"},
    {"updatePost", "/posts/{post}", "{'title':'n'}", OWNER, "title content published"},
    {"updatePost", "/posts/{post}", "{'title':'n'}", ADMIN, "title content published"},
};

/* A set of names, each with a space on both of its sides. */
static bool has_name(const char *names, const char *name)
{
    return strstr(names, say(" %s ", name)) != NULL;
}

static void add_names(const char **names, const struct record *r)
{
    for (size_t i = 0; r && i < r->count; i++)
        if (!has_name(*names, r->fields[i].name))
            *names = say("%s%s ", *names, r->fields[i].name);
}

static void add_names_of(void *context, const struct resource *resource, const struct route *route)
{
    (void)resource;
    add_names(context, route->body);
    add_names(context, route->query);
    add_names(context, route->reply.members);
    add_names(context, route->reply.record);
}

/* All that has a name: what any body, query or answer has, and each column. */
static const char *all_names(void)
{
    const char *names =
        say(" %s ", ask_text("SELECT GROUP_CONCAT(DISTINCT column_name SEPARATOR ' ') AS t FROM "
                             "information_schema.columns WHERE table_schema = DATABASE()"));
    router_each(the_app->router.resources, add_names_of, &names);
    return names;
}

static bool may_set(const struct route *route, const struct field *f, bool admin)
{
    unsigned in_change = FIELD_CHANGE | (admin ? FIELD_ADMIN_CHANGE : 0);
    return f->use & (route->mode == RECORD_CHANGE ? in_change : FIELD_CREATE | FIELD_REQUIRED);
}

static bool is_of_oneself(const struct writing *w)
{
    return strstr(w->path, say("{%s}", who_names[w->who])) != NULL;
}

static const char *settable(const struct writing *w)
{
    const struct route *route = route_of(w->route);
    unsigned never = is_of_oneself(w) ? FIELD_NOT_OWN : 0;
    const char *names = "";
    for (size_t i = 0; i < route->body->count; i++)
        if (may_set(route, &route->body->fields[i], w->who == ADMIN) &&
            !(route->body->fields[i].use & never))
            names = say("%s%s%s", names, *names ? " " : "", route->body->fields[i].name);
    return names;
}

/* The body, and all names that it may not set with a value. */
static const char *with_all_others(const struct writing *w, const char *value)
{
    const char *names = all_names(), *may = say(" %s ", w->may_set);
    const char *body = say("%.*s", (int)strlen(w->body) - 1, w->body);
    int others = 0;
    for (const char *at = names + 1; *at; at += strcspn(at, " ") + 1) {
        const char *name = say("%.*s", (int)strcspn(at, " "), at);
        if (has_name(may, name))
            continue;
        body = say("%s,'%s':%s", body, name, value);
        others++;
    }
    ck_assert_int_gt(others, 30);
    return say("%s}", body);
}

/* As JSON, and as MariaDB casts to text what would come of it. */
static const struct {
    const char *json, *stored;
} values[] = {
    {"'5eed5eed-0000-7000-8000-000000000000'", "5eed5eed-0000-7000-8000-000000000000"},
    {"'strange'", "strange"},
    {"'admin'", "admin"},
    {"'user'", "user"},
    {"987654321", "987654321"},
    {"0", "0"},
    {"true", "1"},
    {"false", "0"},
    {"''", ""},
    {"'1999-01-01T00:00:00.000000Z'", "1999-01-01 00:00:00.000000"},
    {"null", "strange"},
    {"[]", "strange"},
    {"{'a':1}", "strange"},
};

/* How often each column has each of the values. */
static const char *question_for_values(void)
{
    const char *counts = "";
    for (int i = 0; i < COUNT(values); i++)
        counts = say("%s, '' '', COALESCE(SUM(CAST(`', column_name, '` AS CHAR) = ''%s''), 0)",
                     counts, values[i].stored);
    return ask_text(say(
        "SELECT CONCAT('SELECT GROUP_CONCAT(c SEPARATOR ''; '') AS t FROM (', "
        "GROUP_CONCAT(CONCAT('SELECT CONCAT(''', table_name, '.', column_name, '''%s) AS c FROM `',"
        " table_name, '`') SEPARATOR ' UNION ALL '), ') AS u') AS t "
        "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT "
        "REGEXP " DERIVED,
        counts));
}

/* What the database has when this was carried out. */
static const char *write_it(const struct writing *w, const char *body, const char *question)
{
    const struct route *route = route_of(w->route);
    is_fresh = false;
    populate();
    struct answer answer = ask(route, w->path, body, tokens[w->who], NULL);
    ck_assert_msg(answer.status == success_of(route), "%s by %s: %d to %s: %s", w->route,
                  who_names[w->who], answer.status, body, answer.text);
    return ask_text(question);
}

CASE("bodies", set_up, loopback_close);

TEST_EACH(what_a_body_may_not_set_is_as_if_it_were_not_there, writings)
{
    const struct writing *w = &writings[_i];
    if (w->with)
        set_with(w->with);
    ck_assert_str_eq(settable(w), w->may_set);
    const char *question = question_for_values();
    const char *without = write_it(w, w->body, question);

    for (int i = 0; i < COUNT(values); i++)
        ck_assert_str_eq(write_it(w, with_all_others(w, values[i].json), question), without);
}

static void need_writings(void *context, const struct resource *resource, const struct route *route)
{
    bool any = false, by_admin = false, admins_more = false;
    (void)context, (void)resource;
    for (int i = 0; i < COUNT(writings); i++)
        if (strcmp(writings[i].route, route->operation_id) == 0) {
            any = true;
            by_admin |= writings[i].who == ADMIN;
        }
    for (size_t i = 0; route->body && i < route->body->count; i++)
        admins_more |= may_set(route, &route->body->fields[i], true) !=
                       may_set(route, &route->body->fields[i], false);
    ck_assert_msg(any || !route->body, "%s has no row: what may its body set?",
                  route->operation_id);
    ck_assert_msg(by_admin || !admins_more, "%s has no row for what an admin may set",
                  route->operation_id);
}

TEST(every_route_with_a_body_has_a_row)
{
    router_each(the_app->router.resources, need_writings, NULL);
}

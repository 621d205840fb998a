/* needs: mariadb */
/* Races: what a write was let in by changes while it is on its way.
 *
 * Each route that writes for somebody, or takes a password, has a row below. Between what is judged
 * before its transaction and the transaction itself, and again between its handler and the commit,
 * a rival takes away what it was judged by. */
#include "tests/support/loopback.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/crypto/password.h"
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/routes.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

/* PASSWORD as Werkzeug stores it. */
#define IMPORTED                                                                                   \
    "pbkdf2:sha256:1000$saltsaltsalt$"                                                             \
    "3b9c5aab3fe6d6c2769cbfd40a65a707ea931190becabebb77a4e1cd0f67e90d"
#define NEW_WORD "what the request wants"
#define RIVAL_WORD "what the rival wants"

/* What becomes of who asks, meanwhile. */
enum rival { DISABLED, DELETED, ENDED, DEMOTED, REHASHED, RESET, RIVALS };

static const char *const rival_names[RIVALS] = {
    [DISABLED] = "disabled", [DELETED] = "deleted",           [ENDED] = "session ended",
    [DEMOTED] = "demoted",   [REHASHED] = "password changed", [RESET] = "password set by command",
};

enum moment { BEFORE_TRANSACTION, AFTER_HANDLER, MOMENTS };

/* Words in braces stand for what is there in that test. */
struct race {
    const char *route; /* its id */
    const char *path, *body;
    const char *wrote;           /* SQL: another number once it is carried out */
    const char *refused[RIVALS]; /* with which error; NULL: this rival changes nothing */
    bool admin;                  /* who asks is one */
    bool stranger;               /* no token is sent */
    bool goes_along;             /* the rival who takes the account away does the same */
    bool nothing_judged;         /* before its transaction */
    bool keyed;                  /* an Idempotency-Key is sent: it is written in a transaction */
    bool without_mail;           /* else mail is set up */
    const char *before;          /* SQL: makes what is written to; NULL: it is there */
};

#define GONE "User not found or inactive"
#define OVER "Invalid token"
#define OF_CALLER [DISABLED] = GONE, [DELETED] = GONE, [ENDED] = OVER, [RESET] = OVER
#define OF_LOGIN(error)                                                                            \
    [DISABLED] = (error), [DELETED] = (error), [REHASHED] = (error), [RESET] = (error)

#define HAS_POST "SELECT COUNT(*) AS n FROM posts WHERE title = 'struck'"
#define HAS_NAME "SELECT COUNT(*) AS n FROM users WHERE first_name = 'struck'"
#define HAS_MOVED "SELECT COUNT(*) AS n FROM users WHERE email = 'moved@example.org'"
#define HAS_HASH                                                                                   \
    "SELECT COUNT(*) = 0 AS n FROM users WHERE id = '{me}' AND password_hash = "                   \
    "(SELECT password_hash FROM kept_hash)"

static const struct race races[] = {
    {"register", "/auth/register", NULL, NULL, .nothing_judged = true},
    {"login", "/auth/login", "{'email':'{email}','password':'" PASSWORD "'}",
     "SELECT COUNT(*) AS n FROM sessions WHERE user_id = '{me}' AND user_agent = 'striker'",
     .refused = {OF_LOGIN("Invalid credentials")}, .stranger = true},
    {"logout", "/auth/logout", "{'all':true}",
     "SELECT COUNT(*) = 0 AS n FROM sessions WHERE id = '{session}'", .refused = {OF_CALLER},
     .goes_along = true},
    {"endSession", "/auth/sessions/{session}", NULL,
     "SELECT COUNT(*) = 0 AS n FROM sessions WHERE id = '{session}'", .refused = {OF_CALLER},
     .goes_along = true},
    {"endSessionOfUser", "/users/{other}/sessions/{others_session}", NULL,
     "SELECT COUNT(*) = 0 AS n FROM sessions WHERE id = '{others_session}'",
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true},
    {"deleteProfile", "/auth/profile", "{'current_password':'" PASSWORD "'}",
     "SELECT COUNT(*) = 0 AS n FROM users WHERE id = '{me}'",
     .refused = {OF_CALLER, [REHASHED] = "Bad Request"}, .goes_along = true},
    {"changePassword", "/auth/password",
     "{'current_password':'" PASSWORD "','new_password':'" NEW_WORD "'}", HAS_HASH,
     .refused = {OF_CALLER, [REHASHED] = "Bad Request"}, .goes_along = true},
    {"changeEmail", "/auth/email",
     "{'current_password':'" PASSWORD "','email':'struck@example.org'}",
     "SELECT COUNT(*) AS n FROM users WHERE pending_email = 'struck@example.org'",
     .refused = {OF_CALLER, [REHASHED] = "Bad Request"}},
    {"changeEmail", "/auth/email",
     "{'current_password':'" PASSWORD "','email':'struck@example.org'}",
     "SELECT COUNT(*) AS n FROM users WHERE email = 'struck@example.org'",
     .refused = {OF_CALLER, [REHASHED] = "Bad Request"}, .without_mail = true},
    {"verifyEmail", "/auth/email/verify", "{'token':'{verifies}','password':'" PASSWORD "'}",
     "SELECT email_verified AS n FROM users WHERE id = '{me}'",
     .refused = {OF_LOGIN("Bad Request")}, .stranger = true, .goes_along = true},
    {"verifyEmail", "/auth/email/verify", "{'token':'{changes}','password':'" PASSWORD "'}",
     HAS_MOVED, .refused = {OF_LOGIN("Bad Request")}, .stranger = true, .goes_along = true},
    {"verifyEmail", "/auth/email/verify", "{'token':'{changes}'}", HAS_MOVED,
     .refused = {[DISABLED] = "Bad Request",
                 [DELETED] = "Bad Request",
                 [REHASHED] = "Bad Request",
                 [RESET] = "Bad Request",
                 [ENDED] = "Missing required fields"},
     .goes_along = true},
    {"sendVerification", "/auth/email/verify/send", NULL,
     "SELECT COUNT(*) AS n FROM outbox WHERE kind = 'verify' AND address = '{email}'",
     .refused = {OF_CALLER}},
    {"undoEmailChange", "/auth/email/undo", "{'token':'{undoes}'}",
     "SELECT COUNT(*) AS n FROM users WHERE email = 'former@example.org'",
     .refused = {[DELETED] = "Bad Request"}, .stranger = true, .goes_along = true},
    {"resetPassword", "/auth/password/reset", "{'token':'{token}','new_password':'" NEW_WORD "'}",
     HAS_HASH, .refused = {OF_LOGIN("Bad Request")}, .stranger = true, .goes_along = true},
    {"createUser", "/users",
     "{'email':'struck@example.org','password':'" NEW_WORD "','first_name':'S','role':'admin'}",
     "SELECT COUNT(*) AS n FROM users WHERE email = 'struck@example.org'",
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true},
    {"createUser", "/users", "{'email':'struck@example.org','invite':true,'first_name':'S'}",
     "SELECT COUNT(*) AS n FROM outbox WHERE address = 'struck@example.org'",
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true},
    {"updateUser", "/users/{me}", "{'first_name':'struck'}", HAS_NAME, .refused = {OF_CALLER}},
    {"updateUser", "/users/{other}", "{'email':'struck@example.org'}",
     "SELECT COUNT(*) AS n FROM users WHERE email = 'struck@example.org'",
     .refused = {OF_CALLER, [DEMOTED] = "Unauthorized"}, .admin = true},
    {"updateUser", "/users/{me}", "{'first_name':'struck','role':'admin'}", HAS_NAME,
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true},
    {"updateUser", "/users/{me}", "{'first_name':'struck','is_active':true}", HAS_NAME,
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true},
    {"updateUser", "/users/{other}", "{'first_name':'struck'}", HAS_NAME,
     .refused = {OF_CALLER, [DEMOTED] = "Unauthorized"}, .admin = true},
    {"updateUser", "/users/{other}", "{'first_name':'struck','role':'admin'}", HAS_NAME,
     .refused = {OF_CALLER, [DEMOTED] = "Unauthorized"}, .admin = true},
    {"deleteUser", "/users/{other}", NULL,
     "SELECT COUNT(*) = 0 AS n FROM users WHERE id = '{other}'",
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true},
    {"deleteUser", "/users/{me}", NULL, "SELECT COUNT(*) = 0 AS n FROM users WHERE id = '{me}'",
     .refused = {OF_CALLER, [DEMOTED] = "Admin access required"}, .admin = true,
     .goes_along = true},
    {"createPost", "/posts", "{'title':'struck','content':'c'}", HAS_POST, .refused = {OF_CALLER}},
    {"createPost", "/posts", "{'title':'struck','content':'c'}", HAS_POST, .refused = {OF_CALLER},
     .keyed = true},
    {"updatePost", "/posts/{post}", "{'title':'struck'}", HAS_POST, .refused = {OF_CALLER}},
    {"updatePost", "/posts/{others_post}", "{'title':'struck'}", HAS_POST,
     .refused = {OF_CALLER, [DEMOTED] = "Unauthorized"}, .admin = true},
    {"deletePost", "/posts/{post}", NULL, "SELECT COUNT(*) = 0 AS n FROM posts WHERE id = '{post}'",
     .refused = {OF_CALLER}, .goes_along = true},
    {"deletePost", "/posts/{others_post}", NULL,
     "SELECT COUNT(*) = 0 AS n FROM posts WHERE id = '{others_post}'",
     .refused = {OF_CALLER, [DEMOTED] = "Unauthorized"}, .admin = true},
};

/* ---- who is there ---- */

static const char *boss, *me, *other, *email;             /* ids, and the address of `me` */
static const char *boss_token, *my_token, *second_token;  /* the second is of {session} */
static const char *my_session, *session, *others_session; /* ids again */
static const char *my_post, *others_post;
static const char reset_token[] = "a token that came by mail", verify_token[] = "another",
                  change_token[] = "a third", undo_token[] = "a fourth";

static struct app *rival_app;

static const struct resource *const *the_routes; /* as they are */

static void open_both(const char *mail)
{
    loopback_set(mail, "LIMITS=off", "MAIL_FROM=postern@example.org");
    struct app *first = the_app;
    loopback_again();
    rival_app = the_app;
    the_app = first;
    the_routes = the_app->router.resources;
}

static void set_up(void)
{
    loopback_open();
    open_both("MAIL_COMMAND=/nonexistent/sendmail");
}

static void tear_down(void)
{
    app_close(rival_app);
    loopback_close();
}

/* A token that came by mail. */
static void give(const char *kind, const char *token, const char *user, const char *address)
{
    run_sql(say("INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) VALUES "
                "(UUID(), UNHEX(SHA2('%s', 256)), '%s', '%s', '%s', UTC_TIMESTAMP(6) + INTERVAL 50 "
                "MINUTE)",
                token, kind, user, address));
}

/* All again for each try; the hash in kept_hash is the one that a rival has left last. */
static void populate(bool admin)
{
    static int number;
    run_sql("DELETE FROM users");
    run_sql("DELETE FROM list_journal");
    run_sql("DELETE FROM list_counts WHERE total > 0");
    email = say("me%d@example.org", ++number);
    boss = make_user("boss@example.org", ROLE_ADMIN);
    other = make_user("other@example.org", ROLE_USER);
    me = make_user(email, admin ? ROLE_ADMIN : ROLE_USER);
    boss_token = bearer_of("boss@example.org");
    const struct login first = enter(email), second = enter(email);
    my_token = first.access;
    my_session = first.session;
    second_token = second.access;
    session = second.session;
    my_post = write_post(my_token, "mine", "c", true);
    const struct login others = enter("other@example.org");
    others_session = others.session;
    others_post = write_post(others.access, "another's", "c", true);
    run_sql("DELETE FROM mailed_tokens");
    give("reset", reset_token, me, email);
    give("verify", verify_token, me, email);
    give("change", change_token, me, "moved@example.org");
    give("undo", undo_token, me, "former@example.org");
    run_sql(say("UPDATE users SET email_verified = 0, pending_email = 'moved@example.org', "
                "pending_until = UTC_TIMESTAMP(6) + INTERVAL 50 MINUTE WHERE id = '%s'",
                me));
    run_sql(say("CREATE OR REPLACE TEMPORARY TABLE kept_hash AS SELECT password_hash FROM users "
                "WHERE id = '%s'",
                me));
}

static const char *fill(const char *pattern)
{
    const struct {
        const char *word, *value;
    } words[] = {{"{me}", me},
                 {"{other}", other},
                 {"{others_post}", others_post},
                 {"{others_session}", others_session},
                 {"{session}", session},
                 {"{post}", my_post},
                 {"{email}", email},
                 {"{token}", reset_token},
                 {"{verifies}", verify_token},
                 {"{changes}", change_token},
                 {"{undoes}", undo_token},
                 {"{mine}", my_session}};
    const char *text = pattern;
    for (int i = 0; text && i < COUNT(words); i++)
        for (const char *at; (at = strstr(text, words[i].word));)
            text =
                say("%.*s%s%s", (int)(at - text), text, words[i].value, at + strlen(words[i].word));
    return text;
}

/* ---- what the rival does ---- */

static struct problem *set_hash(void *context)
{
    const char *hash;
    (void)context;
    must(password_hash(the_arena, text_of(RIVAL_WORD), &hash));
    struct problem *p = account_set_hash(the_app->db, the_arena, id_of(me), text_of(hash));
    return p && p->type == &problem_user_not_found ? NULL : p; /* who left was faster */
}

/* By the API or, as the command line does, past it; all is answered before the race goes on. */
static void strike(enum rival rival)
{
    struct app *struck = the_app;
    the_app = rival_app;
    switch (rival) {
    case DISABLED:
        ck_status(api_patch(boss_token, say("/users/%s", me), object("{'is_active':false}")), 200);
        break;
    case DELETED:
        ck_status(api_delete(boss_token, "/users/%s", me), 204);
        break;
    case ENDED:
        ck_status(api_delete(second_token, "/auth/sessions/%s", my_session), 204);
        break;
    case DEMOTED:
        ck_status(api_patch(boss_token, say("/users/%s", me), object("{'role':'user'}")), 200);
        break;
    case REHASHED: /* by the same session, which stays */
        ck_status(
            api_post(my_token, "/auth/password",
                     object("{'current_password':'" PASSWORD "','new_password':'" RIVAL_WORD "'}")),
            204);
        break;
    case RESET:
        in_transaction(set_hash, NULL);
        break;
    case RIVALS:
        break;
    }
    the_app = struck;
}

static const char *row_that_changes(enum rival rival)
{
    /* By the index that is locked with a list of the user's sessions. */
    return rival == ENDED ? say("sessions FORCE INDEX (ix_sessions_user) "
                                "WHERE user_id = '%s' AND id = '%s'",
                                me, my_session)
                          : say("users WHERE id = '%s'", me);
}

/* Nothing but the one row, for a transaction is under way that may have locked others. False when
 * it has locked this one: then the rival comes after it. */
static bool strike_amid(enum rival rival)
{
    static const char *const changes[RIVALS] = {
        [DISABLED] = "UPDATE users SET is_active = 0 WHERE id = '{me}'",
        [ENDED] = "DELETE FROM sessions WHERE id = '{mine}'",
        [DEMOTED] = "UPDATE users SET role = 'user' WHERE id = '{me}'",
        [REHASHED] = "UPDATE users SET password_hash = 'another' WHERE id = '{me}'",
    };
    struct app *struck = the_app;
    the_app = rival_app;
    struct problem *p =
        db_run(the_app->db, the_arena,
               say("SELECT id INTO @ignored FROM %s FOR UPDATE NOWAIT", row_that_changes(rival)));
    ck_assert(!p || db_is_lock_timeout(p));
    if (!p)
        run_sql(fill(changes[rival]));
    the_app = struck;
    return !p;
}

static bool can_strike_amid(enum rival rival)
{
    return rival != DELETED && rival != RESET; /* more than one row */
}

/* ---- the race ---- */

static void set_for(const struct race *race)
{
    if (!race->without_mail)
        return;
    app_close(rival_app);
    open_both("MAIL_COMMAND=");
}

static struct {
    enum rival rival;
    enum moment moment;
    bool reached, struck; /* the moment has come; the rival was let in at it */
} plan;

static void plan_rival(enum rival rival, enum moment moment)
{
    plan.rival = rival;
    plan.moment = moment;
    plan.reached = plan.struck = false;
}

static void find_original(void *context, const struct resource *resource, const struct route *route)
{
    const struct route **at = context;
    (void)resource;
    if (strcmp((*at)->operation_id, route->operation_id) == 0)
        *at = route;
}

static const struct route *original(const struct request *rq)
{
    const struct route *route = rq->route;
    router_each(the_routes, find_original, &route);
    return route;
}

typedef struct problem *prepare_hook(struct app *app, struct request *rq);
typedef struct problem *handle_hook(struct app *app, struct request *rq, struct response *rs);
typedef struct problem *in_doubt_hook(struct app *app, struct request *rq, bool *ret_yes);

static struct request last; /* as its handler left it */
static bool last_was_at_once;

static struct problem *do_at_once(struct app *app, struct request *rq, struct response *rs,
                                  bool *ret_done)
{
    struct problem *p = original(rq)->at_once(app, rq, rs, ret_done);
    last = *rq;
    last_was_at_once = !p && *ret_done;
    return p;
}

/* What is done at once has no commit of its own. */
static void hook(struct route *routes, size_t count, prepare_hook *prepare, handle_hook *handle,
                 in_doubt_hook *in_doubt)
{
    for (size_t i = 0; i < count; i++) {
        routes[i].prepare = prepare;
        routes[i].handle = handle ? handle : routes[i].handle;
        routes[i].at_once = routes[i].at_once && !in_doubt ? do_at_once : NULL;
        routes[i].in_doubt = in_doubt ? in_doubt : routes[i].in_doubt;
    }
}

/* From now on, until a request has come to its `prepare`, the routes have these in them. */
static void hook_routes(prepare_hook *prepare, handle_hook *handle, in_doubt_hook *in_doubt)
{
    size_t count = 0;
    while (the_routes[count])
        count++;
    const struct resource **copies = arena_array(the_arena, count + 1, sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        const struct resource *from = the_routes[i];
        struct resource *resource = (void *)arena_copy(the_arena, from, sizeof *from);
        struct route *list = arena_array(the_arena, from->count, sizeof *list);
        memcpy(list, from->routes, from->count * sizeof *list);
        hook(list, from->count, prepare, handle, in_doubt);
        resource->routes = list;
        copies[i] = resource;
    }
    copies[count] = NULL;
    the_app->router.resources = copies;
}

/* What the route itself does; and the answer is one that the document must describe again. */
static struct problem *prepare_really(struct app *app, struct request *rq)
{
    const struct route *route = original(rq);
    app->router.resources = the_routes;
    return route->prepare ? route->prepare(app, rq) : NULL;
}

static struct problem *prepare_and_wait(struct app *app, struct request *rq)
{
    struct problem *p = prepare_really(app, rq);
    if (plan.moment != BEFORE_TRANSACTION || plan.reached)
        return p;
    plan.reached = plan.struck = true;
    strike(plan.rival);
    return p;
}

static struct problem *handle_and_wait(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = original(rq)->handle(app, rq, rs);
    last = *rq;
    last_was_at_once = false;
    if (plan.moment != AFTER_HANDLER || plan.reached || p)
        return p;
    plan.reached = true;
    plan.struck = strike_amid(plan.rival);
    return p;
}

struct found {
    const char *id;
    const struct route *route;
};

static void note_route(void *context, const struct resource *resource, const struct route *route)
{
    struct found *found = context;
    (void)resource;
    if (strcmp(route->operation_id, found->id) == 0)
        found->route = route;
}

static const struct route *route_of(const struct race *race)
{
    struct found found = {.id = race->route};
    router_each(the_routes, note_route, &found);
    ck_assert_msg(found.route != NULL, "there is no route %s", race->route);
    return found.route;
}

/* Its write and its commit are one statement: there is no moment between them. */
static bool is_at_once(const struct race *race)
{
    return route_of(race)->at_once && !race->keyed;
}

static const char *param_of(const struct race *race)
{
    static int number;
    return race->keyed ? say("HTTP_IDEMPOTENCY_KEY=race-%05d", ++number)
                       : "HTTP_USER_AGENT=striker";
}

static int64_t written_before;

static struct answer run_hooked(const struct race *race, prepare_hook *prepare, handle_hook *handle,
                                in_doubt_hook *in_doubt)
{
    const struct route *route = route_of(race);
    if (race->before)
        run_sql(fill(race->before));
    written_before = race->wrote ? ask_number(fill(race->wrote)) : 0;
    hook_routes(prepare, handle, in_doubt);
    return api_ask(.method = method_name(route->method), .path = fill(race->path),
                   .token = race->stranger ? NULL : my_token,
                   .body = race->body ? object("%s", fill(race->body)) : NULL,
                   .param = param_of(race));
}

static struct answer run_with(const struct race *race, prepare_hook *prepare)
{
    return run_hooked(race, prepare, handle_and_wait, NULL);
}

static struct answer run(const struct race *race)
{
    return run_with(race, prepare_and_wait);
}

static bool is_written(const struct race *race)
{
    return ask_number(fill(race->wrote)) != written_before;
}

/* The password that a rival has chosen is the one that holds. */
static void check_password(enum rival rival)
{
    if (rival == REHASHED || rival == RESET)
        ck_status(try_login(email, RIVAL_WORD), 200);
}

static void check_refusal(const struct race *race, enum rival rival, struct answer answer)
{
    const char *name =
        say("%s %s, %s, moment %d", race->route, race->path, rival_names[rival], plan.moment);
    bool taken_along = race->goes_along && (rival == DISABLED || rival == DELETED ||
                                            rival == RESET || rival == REHASHED);
    ck_assert_msg(answer.status >= 400 && answer.status < 404, "%s: %d: %s", name, answer.status,
                  answer.text);
    ck_assert_msg(strcmp(answer_text(answer, "error"), race->refused[rival]) == 0, "%s: %s", name,
                  answer.text);
    ck_assert_msg(taken_along || !is_written(race), "%s: was written", name);
    if (plan.moment == BEFORE_TRANSACTION)
        check_password(rival);
    if (rival == DEMOTED)
        ck_rows("users WHERE role = 'admin'", 1);
}

static void run_race(const struct race *race, enum rival rival, enum moment moment)
{
    populate(race->admin);
    plan_rival(rival, moment);
    struct answer answer = run(race);

    ck_assert_msg(plan.reached, "%s: the moment did not come: %s", race->route, answer.text);
    if (plan.struck)
        check_refusal(race, rival, answer);
    else /* the rival has to wait, and finds it done */
        ck_assert_msg(answer.status < 300, "%s, %s: %d: %s", race->route, rival_names[rival],
                      answer.status, answer.text);
}

CASE("one by one", set_up, tear_down);
CASE_LIMIT_S(900);

TEST_EACH(what_a_write_was_judged_by_is_judged_again_in_its_transaction, races)
{
    const struct race *race = &races[_i];
    set_for(race);
    for (int rival = 0; rival < RIVALS; rival++)
        for (int moment = 0; moment < MOMENTS; moment++)
            if (race->refused[rival] &&
                (moment == BEFORE_TRANSACTION || (can_strike_amid(rival) && !is_at_once(race))))
                run_race(race, rival, moment);
}

/* Without a rival each of them is a request that does what it says. */
TEST_EACH(without_a_rival_the_write_is_made, races)
{
    const struct race *race = &races[_i];
    if (race->nothing_judged)
        return;
    set_for(race);
    populate(race->admin);
    plan.moment = MOMENTS;

    struct answer answer = run(race);

    ck_assert_msg(answer.status < 300, "%s: %d: %s", race->route, answer.status, answer.text);
    ck_assert_msg(is_written(race), "%s", race->route);
    ck_assert_msg(last_was_at_once == is_at_once(race), "%s", race->route);
}

static void write_at_once(void *context)
{
    (void)context;
    ck_status(api_post(my_token, "/posts", object("{'title':'struck','content':'c'}")), 201);
}

static void await_write_of(const char *table)
{
    while (!rows_in(say("information_schema.processlist WHERE info LIKE 'INSERT INTO %s%%' AND "
                        "state LIKE 'Waiting for table%%lock'",
                        table)))
        ;
}

static bool is_locked(const char *row)
{
    struct problem *p = db_run(the_app->db, the_arena,
                               say("SELECT id INTO @ignored FROM %s FOR UPDATE NOWAIT", row));
    ck_assert(!p || db_is_lock_timeout(p));
    return p != NULL;
}

#define WRITTEN_LAST "list_journal"

/* What it was judged by stays as it is until it is committed. A lock of the table that it writes
 * last stops it before that. */
TEST(amid_a_write_at_once_a_rival_has_to_wait)
{
    populate(false);
    must(db_run(rival_app->db, the_arena, "LOCK TABLES " WRITTEN_LAST " READ"));

    pid_t pid = run_aside(write_at_once, NULL);
    await_write_of(WRITTEN_LAST);

    ck_assert(is_locked(row_that_changes(DISABLED)));
    ck_assert(is_locked(row_that_changes(ENDED)));
    ck_assert(!is_locked(say("users WHERE id = '%s'", other)));
    ck_assert_int_eq(ask_number(HAS_POST), 0);
    must(db_run(rival_app->db, the_arena, "UNLOCK TABLES"));
    wait_for(pid);
    ck_assert_int_eq(ask_number(HAS_POST), 1);
    ck_assert(!is_locked(row_that_changes(DISABLED)));
}

/* ---- all of them ---- */

static bool wants_a_race(const struct route *route)
{
    bool writes = route->method != METHOD_GET;
    return writes &&
           (route->auth != AUTH_NONE || (route->flags & ROUTE_HASH_POOL) || route->prepare);
}

static void check_row(void *context, const struct resource *resource, const struct route *route)
{
    bool found = false, demoted = false, rehashed = false;
    (void)context, (void)resource;
    if (!wants_a_race(route))
        return;
    for (int i = 0; i < COUNT(races); i++) {
        if (strcmp(races[i].route, route->operation_id) != 0)
            continue;
        found = true;
        demoted |= races[i].refused[DEMOTED] != NULL;
        rehashed |= races[i].refused[REHASHED] != NULL;
        /* An undo is for who has lost the account in any way but one. */
        ck_assert_msg(races[i].nothing_judged || races[i].refused[DISABLED] ||
                          (route->auth == AUTH_NONE && races[i].refused[DELETED]),
                      "%s", route->operation_id);
        ck_assert_msg(!races[i].nothing_judged || route->auth == AUTH_NONE, "%s",
                      route->operation_id);
    }
    ck_assert_msg(found, "%s has no race", route->operation_id);
    ck_assert_msg(demoted || route->auth != AUTH_ADMIN, "%s: no admin is demoted",
                  route->operation_id);
    ck_assert_msg(rehashed || !(route->flags & ROUTE_PASSWORD_LIMITED),
                  "%s: no password is changed", route->operation_id);
    ck_assert_msg((route->flags & ROUTE_TRANSACTION), "%s has no transaction to be judged in",
                  route->operation_id);
    ck_assert_msg(!(route->flags & ROUTE_LOCKS_CALLER) || !(route->flags & ROUTE_HASH_POOL),
                  "%s holds a lock for long", route->operation_id);
}

TEST(every_route_that_writes_has_its_race)
{
    router_each(the_routes, check_row, NULL);
}

/* ---- a commit of which nobody knows ---- */

static bool is_committed(void)
{
    bool yes = false;
    must(original(&last)->in_doubt(the_app, &last, &yes));
    return yes;
}

CASE("in doubt", set_up, tear_down);
CASE_LIMIT_S(120);

TEST_EACH(a_write_that_stands_is_found_again, races)
{
    const struct race *race = &races[_i];
    if (race->nothing_judged)
        return;
    set_for(race);
    populate(race->admin);
    plan.moment = MOMENTS;

    ck_assert_int_lt(run(race).status, 300);

    const struct route *route = original(&last);
    bool may_run_twice = route->in_doubt == in_doubt_repeat && !api_checks_match(route);
    ck_assert_msg(is_committed() || may_run_twice, "%s", race->route);
}

/* It is not there any more in either case. */
TEST_EACH(a_token_that_another_voided_was_not_used, races)
{
    const struct race *race = &races[_i];
    if (!strstr(race->body ? race->body : "", "'token'") || race->nothing_judged)
        return;
    set_for(race);
    populate(race->admin);
    plan.moment = MOMENTS;
    ck_assert_int_lt(run(race).status, 300);
    ck_assert(is_committed());

    run_sql(say("UPDATE users SET version = version - 1, password_hash = 'as before' WHERE id = "
                "'%s'",
                me));

    ck_assert_msg(!is_committed(), "%s", race->route);
}

static const char *const own_ends[] = {"{'role':'user'}", "{'is_active':false}",
                                       "{'role':'user','is_active':false}"};

/* Who has given the rank away cannot do it again, and must not be told of a failure. */
TEST_EACH(an_end_of_ones_own_that_stands_is_found_again, own_ends)
{
    const struct race race = {.route = "updateUser", .path = "/users/{me}", .body = own_ends[_i]};
    populate(true);
    plan.moment = MOMENTS;

    ck_status(run(&race), 200);

    ck_assert(is_committed());
    run_sql(
        say("UPDATE users SET role = 'admin', is_active = 1, version = version - 1 WHERE id = '%s'",
            me)); /* as before */
    ck_assert(!is_committed());
    run_sql(say("UPDATE users SET version = version + 1, updated_at = updated_at - INTERVAL 1 "
                "SECOND WHERE id = '%s'",
                me)); /* a rival's version */
    ck_assert(!is_committed());
    run_sql(say("DELETE FROM users WHERE id = '%s'", me));
    ck_assert(!is_committed());
}

/* ---- a commit that is found out late ---- */

/* Why the run after the one in doubt fails. */
enum failure {
    BY_ITSELF,       /* because of what was written; or it does not fail */
    SESSION_ENDED,   /* meanwhile */
    BY_LATE_REFUSAL, /* as when the caller is confirmed last */
    FAILURES
};

static struct {
    enum failure failure;
    int connection; /* whose commit is in doubt */
    unsigned runs, asked;
    int status; /* of the last run that came as far as its commit */
    const char *headers, *body;
} doubt;

/* One that is opened takes the first number that is free. */
static int reconnect(void)
{
    db_disconnect(the_app->db);
    int fd = dup(STDERR_FILENO);
    ck_assert_int_eq(close(fd), 0);
    must(db_ping(the_app->db, the_arena));
    return fd;
}

static const char *text_in(const struct buf *b)
{
    return arena_copy(the_arena, b->data ? b->data : "", b->len);
}

/* It is committed, and then the router's own COMMIT goes out and no answer comes in. */
static struct problem *handle_and_lose(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = original(rq)->handle(app, rq, rs);
    if (!p)
        p = app_confirm(app, rq);
    if (!p && ++doubt.runs > 1 && doubt.failure == BY_LATE_REFUSAL)
        p = problem(rq->arena, &problem_unavailable, NULL);
    if (p)
        return p;
    doubt.status = rs->status ? rs->status : route_status(rq->route);
    doubt.headers = text_in(&rs->headers);
    doubt.body = text_in(&rs->body);
    if (doubt.runs > 1)
        return NULL;
    must(db_run(app->db, the_arena, "COMMIT"));
    ck_assert_int_eq(shutdown(doubt.connection, SHUT_RD), 0);
    return NULL;
}

/* As another node of a cluster, which has not learned of it at first. */
static struct problem *ask_early(struct app *app, struct request *rq, bool *ret_yes)
{
    if (doubt.asked++)
        return original(rq)->in_doubt(app, rq, ret_yes);
    if (doubt.failure == SESSION_ENDED)
        ck_assert(strike_amid(ENDED));
    *ret_yes = false;
    return NULL;
}

static void run_in_doubt(const struct race *race, enum failure failure)
{
    const char *name = say("%s %s, %d", race->route, race->path, failure);
    memset(&doubt, 0, sizeof doubt);
    doubt.failure = failure;
    doubt.connection = reconnect();
    populate(race->admin);

    struct answer answer = run_hooked(race, prepare_really, handle_and_lose, ask_early);

    ck_assert_msg(doubt.asked > 0, "%s: nothing was in doubt: %s", name, answer.text);
    ck_assert_msg(answer.status == doubt.status, "%s: %d: %s", name, answer.status, answer.text);
    ck_assert_msg(strcmp(answer.text, doubt.body) == 0, "%s: %s", name, answer.text);
    ck_assert_msg(strstr(answer.headers, doubt.headers) != NULL, "%s: %s", name, answer.headers);
}

static bool may_run_twice(const struct race *race)
{
    return route_of(race)->in_doubt == in_doubt_repeat;
}

CASE("in doubt", set_up, tear_down);

TEST_EACH(a_write_that_is_found_at_last_is_answered_as_it_was_made, races)
{
    const struct race *race = &races[_i];
    if (race->nothing_judged || race->keyed)
        return;
    set_for(race);
    for (int failure = 0; failure < FAILURES; failure++)
        if (failure == BY_ITSELF ||
            (!may_run_twice(race) && (failure != SESSION_ENDED || race->refused[ENDED])))
            run_in_doubt(race, failure);
}

TEST_EACH(and_so_is_an_end_of_ones_own, own_ends)
{
    run_in_doubt(
        &(const struct race){
            .route = "updateUser", .path = "/users/{me}", .body = own_ends[_i], .admin = true},
        BY_ITSELF);
}

/* ---- what is refused to nobody ---- */

/* Being an admin counts only where it is needed. */
static const struct race rankless[] = {
    {.route = "updateUser", .path = "/users/{me}", .body = "{'first_name':'struck'}"},
    {.route = "createPost", .path = "/posts", .body = "{'title':'struck','content':'c'}"},
    {.route = "updatePost", .path = "/posts/{post}", .body = "{'title':'struck'}"},
    {.route = "changePassword",
     .path = "/auth/password",
     .body = "{'current_password':'" PASSWORD "','new_password':'" NEW_WORD "'}"},
};

CASE("one by one", set_up, tear_down);

TEST_EACH(who_needs_no_rank_may_lose_it, rankless)
{
    populate(true);
    plan_rival(DEMOTED, BEFORE_TRANSACTION);

    struct answer answer = run(&rankless[_i]);

    ck_assert(plan.reached);
    ck_assert_msg(answer.status < 300, "%s: %s", rankless[_i].route, answer.text);
}

/* A login on its way renews the hash, and the password is still the same. */
static bool renewed;

static struct problem *prepare_and_renew(struct app *app, struct request *rq)
{
    struct problem *p = prepare_really(app, rq);
    const char *hash;
    if (renewed)
        return p;
    renewed = true;
    must(password_hash(the_arena, text_of(PASSWORD), &hash));
    run_sql(say("UPDATE users SET password_hash = '%s' WHERE id = '%s'", hash, me));
    return p;
}

static const char *const verifying[] = {"login", "deleteProfile", "changePassword", "changeEmail",
                                        "verifyEmail"};

static const struct race *race_of(const char *route)
{
    for (int i = 0; i < COUNT(races); i++)
        if (strcmp(races[i].route, route) == 0)
            return &races[i];
    ck_abort_msg("%s has no race", route);
    return NULL;
}

TEST_EACH(a_renewed_hash_of_the_same_password_refuses_nobody, verifying)
{
    const struct race *race = race_of(verifying[_i]);
    populate(false);
    plan.moment = MOMENTS;
    renewed = false;

    struct answer answer = run_with(race, prepare_and_renew);

    ck_assert(renewed);
    ck_assert_msg(answer.status < 300, "%s: %s", race->route, answer.text);
    ck_assert(is_written(race));
}

/* Who is judged already; what takes its time is still to come. */
static struct problem *strike_and_prepare(struct app *app, struct request *rq)
{
    plan.reached = true;
    strike(plan.rival);
    return prepare_really(app, rq);
}

static const struct {
    const char *route;
    enum rival rival;
} leavers[] = {
    {"deleteProfile", DELETED},  {"changePassword", DELETED},  {"changeEmail", DELETED},
    {"deleteProfile", DISABLED}, {"changePassword", DISABLED}, {"changeEmail", DISABLED},
};

static void leave(const struct race *race, enum rival rival)
{
    populate(false);
    plan_rival(rival, BEFORE_TRANSACTION);

    struct answer answer = run_with(race, strike_and_prepare);

    ck_assert(plan.reached);
    ck_problem(answer, USER_INACTIVE);
}

TEST_EACH(who_is_gone_when_the_password_is_tried_is_told_so, leavers)
{
    struct race race = *race_of(leavers[_i].route);
    leave(&race, leavers[_i].rival);
    race.body =
        "{'current_password':'not it','new_password':'" NEW_WORD "','email':'struck@example.org'}";
    leave(&race, leavers[_i].rival);
}

/* Of PASSWORD, as another program has stored it. */
static void import_hash(void)
{
    run_sql(say("UPDATE users SET password_hash = '" IMPORTED "' WHERE id = '%s'", me));
}

TEST(an_imported_hash_is_not_renewed_over_another_password)
{
    const struct race *race = race_of("login");
    populate(false);
    import_hash();
    plan_rival(RESET, BEFORE_TRANSACTION);

    struct answer answer = run(race);

    ck_assert(plan.reached);
    ck_problem(answer, INVALID_CREDENTIALS);
    ck_assert(!is_written(race));
    ck_status(try_login(email, RIVAL_WORD), 200);
}

/* Two who renew it at once are both let in. */
TEST(an_imported_hash_is_renewed_by_one_of_two_logins)
{
    const struct race *race = race_of("login");
    populate(false);
    import_hash();
    plan.moment = MOMENTS;
    renewed = false;

    ck_status(run_with(race, prepare_and_renew), 200);

    ck_assert(renewed && is_written(race));
    ck_rows("users WHERE password_hash = '" IMPORTED "'", 0);
}

static void ask_for_reset(void *context)
{
    (void)context;
    (void)api_post(NULL, "/auth/password/forgot", object("{'email':'%s'}", email));
}

/* Until the other looks the address up, or writes down what it found. */
static void wait_for_forgot(void)
{
    while (!rows_in("information_schema.processlist WHERE id <> CONNECTION_ID() AND command = "
                    "'Execute' AND (info LIKE '%FROM users WHERE email_folded%' OR info LIKE "
                    "'INSERT INTO mailed_tokens%')"))
        ;
}

/* The address is looked up, and then it is another's or nobody's. */
TEST(no_token_is_kept_for_an_address_that_was_left_meanwhile)
{
    populate(false);
    run_sql("DELETE FROM mailed_tokens");
    run_sql("START TRANSACTION");
    run_sql(say("UPDATE users SET email = 'left@example.org' WHERE id = '%s'", me));
    pid_t pid = run_aside(ask_for_reset, NULL);
    wait_for_forgot();
    run_sql("COMMIT");
    wait_for(pid);

    ck_rows("mailed_tokens WHERE kind <> 'nobody'", 0);
}

/* ---- stored answers ---- */

static const struct {
    enum rival rival;
    const char *error;
} ends[] = {{DEMOTED, "Admin access required"}, {DISABLED, GONE}, {ENDED, OVER}};

TEST_EACH(a_stored_answer_is_for_who_may_still_ask, ends)
{
    const char *body =
        object("{'email':'new@example.org','password':'%s','first_name':'N'}", NEW_WORD);
    const char *key = "HTTP_IDEMPOTENCY_KEY=0123456789";
    populate(true);
    plan.rival = ends[_i].rival;
    plan.moment = MOMENTS;
    ck_status(
        api_ask(.method = "POST", .path = "/users", .token = my_token, .body = body, .param = key),
        201);
    struct answer again =
        api_ask(.method = "POST", .path = "/users", .token = my_token, .body = body, .param = key);
    ck_status(again, 201);
    ck_assert_str_eq(answer_header(again, "Idempotency-Replayed"), "true");

    plan.moment = BEFORE_TRANSACTION;
    plan.reached = false;
    hook_routes(prepare_and_wait, handle_and_wait, NULL);
    struct answer refused =
        api_ask(.method = "POST", .path = "/users", .token = my_token, .body = body, .param = key);

    ck_assert(plan.reached);
    ck_assert_int_ge(refused.status, 401);
    ck_assert_str_eq(answer_text(refused, "error"), ends[_i].error);
    ck_assert_ptr_null(strstr(refused.text, "new@example.org"));
}

/* ---- what it costs ---- */

/* Of one call; `keyed`: with an Idempotency-Key of its own. */
static uint64_t statements_of_call(struct call call, bool keyed, int status)
{
    uint64_t count = 0;
    for (int i = 0; i < 2; i++) { /* the first may connect */
        (void)db_take_counts(the_app->db);
        call.param = keyed ? say("HTTP_IDEMPOTENCY_KEY=cost-%05d", i) : NULL;
        ck_status(loopback_ask(&call), status);
        count = db_take_counts(the_app->db).statements;
    }
    return count;
}

static uint64_t statements_of(const char *method, const char *token, const char *path,
                              const char *body, int status)
{
    return statements_of_call(
        (struct call){.method = method, .path = path, .token = token, .body = body}, false, status);
}

CASE("costs", set_up, tear_down);
CASE_LIMIT_S(120);

TEST(nothing_costs_a_statement_more_than_it_must)
{
    populate(false);
    the_app->router.metrics = NULL; /* which takes the counts */
    const char *post_path = say("/posts/%s", my_post);
    const char *new_post = object("{'title':'t','content':'c'}");
    const char *bad = "no JSON";

    /* All at once. */
    ck_assert_uint_eq(statements_of("POST", my_token, "/posts", new_post, 201), 1);
    /* Begin, the caller, two for the key, the post, its row in the journal, the answer, commit;
     * and four that purge when it is answered. */
    ck_assert_uint_eq(
        statements_of_call(
            (struct call){.method = "POST", .path = "/posts", .token = my_token, .body = new_post},
            true, 201),
        12);
    /* Begin, the caller, the post, its change, its row in the journal, commit. */
    ck_assert_uint_eq(statements_of("PATCH", my_token, post_path, object("{'title':'u'}"), 200), 6);
    /* The caller before a transaction that does not come. */
    ck_assert_uint_eq(statements_of("POST", my_token, "/posts", bad, 400), 1);
    ck_assert_uint_eq(statements_of("POST", "bad.token.here", "/posts", new_post, 401), 0);
    ck_assert_uint_eq(statements_of("POST", NULL, "/posts", new_post, 401), 0);
    /* The caller, and twice, once before and once in the transaction, where something is slow or
     * one's own row is written: begin, the user, the caller, the change, the journal, commit. */
    ck_assert_uint_eq(
        statements_of("PATCH", my_token, say("/users/%s", me), object("{'first_name':'F'}"), 200),
        7);
    /* The user, begin, the user, the session, the sessions beyond SESSIONS_MAX, the user's turn,
     * commit; and four that purge when it is answered. */
    ck_assert_uint_eq(statements_of("POST", NULL, "/auth/login",
                                    object("{'email':'%s','password':'%s'}", email, PASSWORD), 200),
                      11);
    ck_assert_uint_eq(statements_of("GET", my_token, "/auth/profile", NULL, 200), 1);
}

TEST(a_bad_token_is_told_without_a_database)
{
    db_close(the_app->db);
    must(db_open(the_arena, "mysql://nobody@localhost/none?socket=/nonexistent", &the_app->db));
    the_app->router.db = the_app->db;

    ck_problem(api_post("bad.token.here", "/posts", object("{'title':'t','content':'c'}")),
               INVALID_TOKEN);
}

/* ---- many at once ---- */

#define HITTERS 3
#define STORMS 2 /* of each kind */

/* Requests that beat against an account while it changes: once the change is answered, nothing of
 * them happens any more. */
static const struct storm {
    const char *method, *path, *body;
    bool admin, stranger;
    enum rival rival;
    int times; /* each of HITTERS asks so often */
    const char *state;
} storms[] = {
#define LOGIN                                                                                      \
    .method = "POST", .path = "/auth/login",                                                       \
    .body = "{'email':'{email}','password':'" PASSWORD "'}", .stranger = true, .times = 3,         \
    .state = "SELECT COUNT(*) AS n FROM sessions WHERE user_id = '{me}' AND id <> '{mine}'"
    {LOGIN, .rival = REHASHED},
    {LOGIN, .rival = DISABLED},
    {LOGIN, .rival = RESET},
    {.method = "PATCH",
     .path = "/users/{me}",
     .body = "{'role':'admin'}",
     .admin = true,
     .rival = DEMOTED,
     .times = 20,
     .state = "SELECT COUNT(*) AS n FROM users WHERE role = 'admin'"},
    {.method = "POST",
     .path = "/users",
     .admin = true,
     .rival = DISABLED,
     .times = 2,
     .body = "{'email':'{number}@example.org','password':'" NEW_WORD
             "','first_name':'S','role':'admin'}",
     .state = "SELECT COUNT(*) AS n FROM users"},
    {.method = "POST",
     .path = "/auth/email",
     .rival = REHASHED,
     .times = 3,
     .body = "{'email':'{number}@example.org','current_password':'" PASSWORD "'}",
     .state = "SELECT version AS n FROM users WHERE id = '{me}'"},
    {.method = "POST",
     .path = "/auth/email/verify",
     .stranger = true,
     .rival = REHASHED,
     .times = 3,
     .body = "{'token':'{changes}','password':'" PASSWORD "'}",
     .state = "SELECT version AS n FROM users WHERE id = '{me}'"},
#define POST                                                                                       \
    .method = "POST", .path = "/posts", .body = "{'title':'{number}','content':'c'}", .times = 30, \
    .state = "SELECT COUNT(*) AS n FROM posts"
    {POST, .rival = DISABLED},
    {POST, .rival = ENDED},
    {.method = "DELETE",
     .path = "/auth/profile",
     .rival = RESET,
     .times = 1,
     .body = "{'current_password':'" PASSWORD "'}",
     .state = "SELECT COUNT(*) AS n FROM users WHERE id = '{me}'"},
};

struct hitters {
    const struct storm *storm;
    int round;
};

static int begun_fd;

/* The caller is judged; now comes what takes its time. */
static struct problem *tell_and_prepare(struct app *app, struct request *rq)
{
    ck_assert_int_eq(write(begun_fd, "x", 1), 1);
    return prepare_really(app, rq);
}

static void hit(int hitter, void *context)
{
    const struct hitters *all = context;
    const struct storm *storm = all->storm;
    for (int i = 0; i < storm->times; i++) {
        const char *number = say("s%d-%d", all->round * HITTERS + hitter, i);
        const char *body = fill(storm->body), *at = strstr(body, "{number}");
        if (at)
            body = say("%.*s%s%s", (int)(at - body), body, number, at + strlen("{number}"));
        hook_routes(tell_and_prepare, NULL, NULL);
        struct answer answer =
            api_ask(.method = storm->method, .path = fill(storm->path),
                    .token = storm->stranger ? NULL : my_token, .body = object("%s", body));
        ck_assert_int_lt(answer.status, 500);
    }
}

static int64_t state_of(const struct storm *storm)
{
    return ask_number(fill(storm->state));
}

CASE("storms", set_up, tear_down);
CASE_LIMIT_S(120);

TEST_EACH(once_a_change_is_answered_nothing_of_before_happens, storms)
{
    const struct storm *storm = &storms[_i];
    for (struct hitters all = {.storm = storm}; all.round < STORMS; all.round++) {
        char byte;
        int begun[2];
        populate(storm->admin);
        ck_assert_int_eq(pipe(begun), 0);
        begun_fd = begun[1];
        const struct parallel hitters = parallel_begin(HITTERS, hit, &all);
        ck_assert_int_eq(read(begun[0], &byte, 1), 1);
        strike(storm->rival);
        int64_t answered = state_of(storm);
        parallel_end(&hitters);

        ck_assert_int_eq(state_of(storm), answered);
        close(begun[0]);
        close(begun[1]);
    }
}

/* ---- who waits for whom ---- */

#define TURNS 30

/* Ways to write users and what is theirs, by admins of whom one comes before the other. */
static const struct way {
    const char *path, *body;
    bool by_boss; /* else by `me`, who comes after */
} ways[] = {
    {"/users/{other}", "{'first_name':'n','is_active':true}", .by_boss = true}, /* locks admins */
    {"/users/{other}", "{'first_name':'m'}"},
    {"/users/{me}", "{'first_name':'n'}", .by_boss = true},
    {"/users/{me}", "{'first_name':'m','role':'admin'}"},
    {"/users/{me}", "{'first_name':'o'}"},
    {"/posts/{others_post}", "{'title':'n'}", .by_boss = true},
    {"/posts/{others_post}", "{'title':'m'}"},
};

static void go(int number, void *context)
{
    const struct way *way = &ways[number];
    (void)context;
    the_app->router.metrics = NULL; /* which takes the counts */
    for (int i = 0; i < TURNS; i++)
        ck_status(api_patch(way->by_boss ? boss_token : my_token, fill(way->path),
                            object("%s", way->body)),
                  200);
    ck_assert_uint_eq(db_take_counts(the_app->db).retries, 0);
}

/* Who waits in a circle is thrown out and begins again: nobody does. */
TEST(whoever_writes_users_locks_them_in_one_order)
{
    populate(true);
    run_sql(say("UPDATE users SET role = 'admin' WHERE id = '%s'", other));

    parallel(COUNT(ways), go, NULL);
}

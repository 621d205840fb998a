/* sessions.c -- logins that go on and end, passwords that change and come back by mail. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/support/refusals.h"

#define WORKERS 4
#define RIVALS 50
#define NEW_PASSWORD "another long enough one"
#define RESET_URL "https://app.example.org/reset#"

/* ---- two pools, of which one can send mail ---- */

static struct backend pool, mailless;
static struct front front, mailless_front;
static char box[WORLD_PATH]; /* where messages are left */

/* Keeps each message in a file of its own, whole from the moment that it has its name. */
static const char postman[] = "#!/bin/sh\n"
                              "cd \"${0%/*}\" || exit\n"
                              "cat >part.$$ && mv part.$$ mail.$$\n";

static void make_box(char *ret_command, size_t size)
{
    char path[WORLD_PATH + 8];
    snprintf(box, sizeof box, "%.100s/box", world_folder());
    ck_assert_int_eq(mkdir(box, 0700), 0);
    ck_assert_int_eq(chmod(box, 0777), 0); /* the pool may run as another user */
    snprintf(path, sizeof path, "%s/send", box);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(postman, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
    snprintf(ret_command, size, "MAIL_COMMAND=%s -t -i", path);
}

static void start_both(void)
{
    char command[WORLD_PATH + 40];
    make_box(command, sizeof command);
    backend_start(&pool, LIST("WORKERS=4", "HASH_WORKERS=2", command,
                              "MAIL_FROM=postern@example.org", "RESET_URL=" RESET_URL));
    backend_start(&mailless, LIST("WORKERS=1", "HASH_WORKERS=1"));
    front_start(&front, &pool, LIST("LOGIN_LIMIT=off"));
    front_start(&mailless_front, &mailless, LIST("LOGIN_LIMIT=off"));
    the_front = &front;
}

static void stop_both(void)
{
    front_stop(&front);
    front_stop(&mailless_front);
    backend_stop(&pool);
    backend_stop(&mailless);
}

/* ---- logins ---- */

struct person {
    const char *id, *email;
};

/* What a login or a refresh gives. */
struct login {
    const char *access, *refresh;
};

static struct login tokens_in(struct answer r)
{
    ck_status(r, 200);
    http_keep_secret(answer_text(r, "refresh_token"));
    return (struct login){answer_text(r, "access_token"), answer_text(r, "refresh_token")};
}

static struct answer try_entering(const char *email, const char *password)
{
    return fetch(.path = "/api/auth/login", .headers = {"User-Agent: weaver/1.0"},
                 .body = object("{'email':'%s','password':'%s'}", email, password));
}

static struct login enter(struct person who)
{
    return tokens_in(try_entering(who.email, PASSWORD));
}

static struct person join(void)
{
    struct person who;
    who.email = new_account(&who.id);
    return who;
}

static struct answer refresh(const char *token)
{
    return fetch(.path = "/api/auth/refresh", .body = object("{'refresh_token':'%s'}", token));
}

static struct answer profile(const char *access)
{
    return fetch(.path = "/api/auth/profile", .token = access);
}

static void ck_alive(struct login login)
{
    ck_status(profile(login.access), 200);
}

/* Neither of its tokens is good for anything. */
static void ck_ended(struct login login)
{
    ck_problem(profile(login.access), INVALID_TOKEN);
    ck_problem(refresh(login.refresh), INVALID_TOKEN);
}

static long sessions_of(struct person who)
{
    return database_number(say("SELECT COUNT(*) FROM sessions WHERE user_id = '%s'", who.id));
}

/* ---- refresh ---- */

HTTP_CASE("sessions");
CASE_AROUND(start_both, stop_both);

TEST(a_refresh_rotates)
{
    struct person ada = join();
    struct login first = enter(ada);

    struct answer r = refresh(first.refresh);
    struct login second = tokens_in(r);
    struct login third = tokens_in(refresh(second.refresh));

    ck_assert_str_eq(answer_text(r, "token_type"), "Bearer");
    ck_assert_int_eq(answer_integer(r, "expires_in"), 900);
    ck_header(r, "Cache-Control", "no-store");
    ck_assert_str_ne(second.refresh, first.refresh);
    ck_assert_str_ne(third.refresh, second.refresh);
    ck_alive(first);
    ck_alive(third);
    ck_assert_int_eq(sessions_of(ada), 1);
}

/* Its row is held until every worker has one of them inside, the others wait outside. */
TEST(of_fifty_refreshes_at_once_all_get_one_successor)
{
    struct person ada = join();
    struct login login = enter(ada);
    struct answer sessions = fetch(.path = "/api/auth/sessions", .token = login.access);
    const struct http_call call = {.path = "/api/auth/refresh",
                                   .body = object("{'refresh_token':'%s'}", login.refresh)};
    struct flight *flights[RIVALS];
    struct db *hold = database_hold("sessions", answer_text(sessions, "data.0.id"));
    for (int i = 0; i < RIVALS; i++)
        flights[i] = http_send(&call);
    database_await_waiting(WORKERS);
    database_let_go(hold);

    struct login next = tokens_in(http_land(flights[0]));
    for (int i = 1; i < RIVALS; i++) {
        struct login same = tokens_in(http_land(flights[i]));
        ck_assert_str_eq(same.refresh, next.refresh);
        ck_alive(same);
    }

    ck_assert_str_ne(next.refresh, login.refresh);
    ck_assert_int_eq(sessions_of(ada), 1);
    ck_alive(login);
    ck_alive(tokens_in(refresh(next.refresh)));
}

/* As if the grace of ten seconds had passed. */
static void let_grace_pass(struct person who)
{
    database_lines(say("UPDATE session_refreshes SET used_at = used_at - INTERVAL 11 SECOND"
                       " WHERE session_id IN (SELECT id FROM sessions WHERE user_id = '%s')",
                       who.id),
                   NULL);
}

TEST(reuse_ends_the_session)
{
    struct person ada = join();
    struct login stolen = enter(ada), other = enter(ada);
    struct login next = tokens_in(refresh(stolen.refresh));
    ck_assert_str_eq(tokens_in(refresh(stolen.refresh)).refresh, next.refresh);
    let_grace_pass(ada);

    struct answer reuse = refresh(stolen.refresh);

    ck_problem(reuse, INVALID_TOKEN);
    ck_ended(stolen);
    ck_ended(next);
    ck_alive(other);
}

TEST(what_is_no_refresh_token_is_refused)
{
    struct login login = enter(join());

    struct answer nonsense = refresh("nonsense");
    struct answer access = refresh(login.access);
    struct answer none = fetch(.path = "/api/auth/refresh", .token = login.access, .body = "{}");

    ck_problem(nonsense, INVALID_TOKEN);
    ck_header(nonsense, "WWW-Authenticate", "Bearer realm=\"postern\"");
    ck_problem(access, INVALID_TOKEN);
    ck_problem(none, MISSING_FIELDS);
    ck_alive(login);
}

/* ---- logout ---- */

/* What is sent with which of the tokens of a user's first session, and whether it ends the second
 * one, too. */
static const struct {
    bool access, refresh;
    const char *members;
    bool ends_all;
} logouts[] = {
    {true, false, NULL, false},
    {true, false, "", false},
    {true, false, "'all':false", false},
    {true, false, "'all':true", true},
    {true, true, "", false},
    {false, true, "", false},
    {false, true, "'all':false,", false},
    {false, true, "'all':true,", true},
};

TEST_EACH(a_logout_ends_this_session_or_all, logouts)
{
    struct person ada = join();
    struct login here = enter(ada), there = enter(ada), of_another = enter(join());
    const char *members = logouts[_i].members, *body = NULL;
    if (members && logouts[_i].refresh)
        body = object("{%s'refresh_token':'%s'}", members, here.refresh);
    else if (members)
        body = object("{%s}", members);

    struct answer r = fetch(.method = "POST", .path = "/api/auth/logout", .body = body,
                            .token = logouts[_i].access ? here.access : NULL);

    ck_status(r, 204);
    ck_ended(here);
    ck_alive(of_another);
    ck_assert_int_eq(sessions_of(ada), logouts[_i].ends_all ? 0 : 1);
    if (logouts[_i].ends_all)
        ck_ended(there);
    else
        ck_alive(there);
}

TEST(a_logout_wants_to_know_whose)
{
    struct login login = enter(join());

    ck_problem(fetch(.method = "POST", .path = "/api/auth/logout"), NO_TOKEN);
    ck_problem(fetch(.path = "/api/auth/logout", .body = "{\"refresh_token\":\"nonsense\"}"),
               INVALID_TOKEN);
    ck_problem(fetch(.path = "/api/auth/logout", .token = "nonsense",
                     .body = object("{'refresh_token':'%s'}", login.refresh)),
               INVALID_TOKEN);
    ck_alive(login);
}

/* ---- one's own sessions ---- */

TEST(sessions_are_listed)
{
    struct person ada = join();
    struct login first = enter(ada), second = enter(ada);
    (void)enter(join());

    struct answer all = fetch(.path = "/api/auth/sessions", .token = first.access);
    struct answer page = fetch(.path = "/api/auth/sessions?page=2&limit=1", .token = second.access);

    ck_status(all, 200);
    ck_assert_uint_eq(answer_count(all), 2);
    ck_assert_int_eq(answer_integer(all, "pagination.total"), 2);
    ck_assert(!answer_boolean(all, "data.0.current")); /* the newest first */
    ck_assert(answer_boolean(all, "data.1.current"));
    ck_assert_str_eq(answer_text(all, "data.0.ip"), "127.0.0.1");
    ck_assert_str_eq(answer_text(all, "data.0.user_agent"), "weaver/1.0");
    ck_assert_str_eq(answer_text(all, "data.0.created_at"),
                     answer_text(all, "data.0.last_used_at"));
    ck_assert_str_eq(answer_column(page, "id"), answer_text(all, "data.1.id"));
    ck_assert(!answer_boolean(page, "data.0.current"));
}

TEST(a_refresh_shows_in_the_list)
{
    struct login login = enter(join());
    struct answer before = fetch(.path = "/api/auth/sessions", .token = login.access);

    struct login next = tokens_in(refresh(login.refresh));

    struct answer after = fetch(.path = "/api/auth/sessions", .token = next.access);
    ck_assert_str_eq(answer_column(after, "id"), answer_column(before, "id"));
    ck_assert_str_eq(answer_column(after, "created_at"), answer_column(before, "created_at"));
    ck_assert_int_gt(
        strcmp(answer_column(after, "last_used_at"), answer_column(before, "last_used_at")), 0);
}

static struct answer end_session(const char *access, const char *id)
{
    return fetch(.method = "DELETE", .path = say("/api/auth/sessions/%s", id), .token = access);
}

TEST(one_ends_ones_own_sessions_only)
{
    struct person ada = join();
    struct login here = enter(ada), there = enter(ada), of_another = enter(join());
    struct answer list = fetch(.path = "/api/auth/sessions", .token = here.access);
    const char *id = answer_text(list, "data.0.id");

    struct answer by_another = end_session(of_another.access, id);
    struct answer unknown = end_session(here.access, NOBODY_ID);
    struct answer malformed = end_session(here.access, "17");
    ck_alive(there);
    struct answer by_owner = end_session(here.access, id);
    struct answer again = end_session(here.access, id);

    ck_problem(by_another, SESSION_NOT_FOUND);
    ck_problem(unknown, SESSION_NOT_FOUND);
    ck_problem(malformed, SESSION_NOT_FOUND);
    ck_status(by_owner, 204);
    ck_problem(again, SESSION_NOT_FOUND);
    ck_ended(there);
    ck_alive(here);
}

/* ---- password, address, account ---- */

static struct answer change_password(const char *access, const char *current)
{
    return fetch(.path = "/api/auth/password", .token = access,
                 .body = object("{'current_password':'%s','new_password':'%s'}", current,
                                NEW_PASSWORD));
}

TEST(a_password_change_ends_the_other_sessions)
{
    struct person ada = join();
    struct login here = enter(ada), there = enter(ada), elsewhere = enter(ada);
    http_keep_secret(NEW_PASSWORD);

    struct answer wrong = change_password(here.access, "not the current one");
    ck_alive(there);
    struct answer changed = change_password(here.access, PASSWORD);

    ck_problem(wrong, INVALID);
    ck_assert_str_eq(answer_faults(wrong), "current_password wrong");
    ck_status(changed, 204);
    ck_alive(here);
    ck_alive(tokens_in(refresh(here.refresh)));
    ck_ended(there);
    ck_ended(elsewhere);
    ck_problem(try_entering(ada.email, PASSWORD), INVALID_CREDENTIALS);
    ck_alive(tokens_in(try_entering(ada.email, NEW_PASSWORD)));
}

static struct answer change_email(const char *access, const char *email, const char *password)
{
    return fetch(.at = &mailless_front, .path = "/api/auth/email", .token = access,
                 .body = object("{'email':'%s','current_password':'%s'}", email, password));
}

/* At once, where there is no mail; check_mta.c has what mail makes of it. */
TEST(an_address_changes)
{
    http_document(NULL);
    struct person ada = join();
    struct login login = enter(ada);
    const char *email = new_email();

    struct answer wrong = change_email(login.access, email, "not the current one");
    struct answer taken = change_email(login.access, "Admin@Example.org", PASSWORD);
    struct answer malformed = change_email(login.access, "nowhere", PASSWORD);
    struct answer changed = change_email(login.access, email, PASSWORD);

    ck_problem(wrong, INVALID);
    ck_assert_str_eq(answer_faults(wrong), "current_password wrong");
    ck_problem(taken, EMAIL_EXISTS);
    ck_problem(malformed, INVALID_EMAIL);
    ck_status(changed, 200);
    ck_assert_str_eq(answer_text(changed, "user.email"), email);
    ck_assert_str_eq(answer_text(changed, "user.id"), ada.id);
    ck_alive(login);
    ck_status(try_entering(ada.email, PASSWORD), 401);
    ck_alive(tokens_in(try_entering(email, PASSWORD)));
}

static struct answer leave(const char *access, const char *password)
{
    return fetch(.method = "DELETE", .path = "/api/auth/profile", .token = access,
                 .body = object("{'current_password':'%s'}", password));
}

TEST(who_leaves_is_gone_with_posts_and_sessions)
{
    struct person ada = join();
    struct login here = enter(ada), there = enter(ada);
    const char *post = say("/api/posts/%s", new_post(here.access, "Farewell", true));

    struct answer wrong = leave(here.access, "not the current one");
    ck_alive(here);
    struct answer left = leave(here.access, PASSWORD);

    ck_problem(wrong, INVALID);
    ck_status(left, 204);
    ck_status(profile(here.access), 401);
    ck_status(profile(there.access), 401);
    ck_problem(refresh(there.refresh), INVALID_TOKEN);
    ck_problem(fetch(.path = post), POST_NOT_FOUND);
    ck_problem(try_entering(ada.email, PASSWORD), INVALID_CREDENTIALS);
    ck_assert_int_eq(sessions_of(ada), 0);
}

TEST(who_leaves_with_very_much_is_gone_before_it_is)
{
    struct person ada = join();
    struct login login = enter(ada);
    const char *mine = say("WHERE author_id = '%s'", ada.id);
    const char *post = say("/api/posts/%s", new_post(login.access, "Farewell", true));
    database_lines(say("INSERT INTO posts (id, author_id, title, content) SELECT UUID(), '%s', "
                       "'T', 'C' FROM seq_1_to_20000",
                       ada.id),
                   NULL);
    database_lines(say("INSERT INTO sessions SELECT UUID(), '%s', UNHEX(SHA2(seq, 256)), "
                       "NOW(), NOW(), NOW() + INTERVAL 1 DAY, NULL, NULL FROM seq_1_to_20000",
                       ada.id),
                   NULL);

    struct answer left = leave(login.access, PASSWORD);
    long posts = database_number(say("SELECT COUNT(*) FROM posts %s", mine));

    ck_status(left, 204);
    ck_assert_int_gt(posts, 0);
    ck_status(profile(login.access), 401);
    ck_problem(fetch(.path = post), POST_NOT_FOUND);
    ck_problem(fetch(.path = say("/api/users/%s/posts", ada.id)), USER_NOT_FOUND);
    ck_status(fetch(.path = "/api/auth/register",
                    .body = object("{'email':'%s','password':'%s'}", ada.email, PASSWORD)),
              201);
    for (long end = now_ms() + PATIENCE_MS; sessions_of(ada); pause_ms(20)) /* nobody asks */
        ck_assert_int_lt(now_ms(), end);
    ck_assert_int_eq(database_number(say("SELECT COUNT(*) FROM posts %s", mine)), 0);
}

TEST(the_last_admin_does_not_leave)
{
    ck_problem(leave(token_of(ADMIN_EMAIL), PASSWORD), LAST_ADMIN);
}

/* ---- by mail ---- */

static struct answer forget(const char *email)
{
    return fetch(.path = "/api/auth/password/forgot", .body = object("{'email':'%s'}", email));
}

static struct answer reset(const char *token)
{
    return fetch(.path = "/api/auth/password/reset",
                 .body = object("{'token':'%s','new_password':'%s'}", token, NEW_PASSWORD));
}

/* A message of the box to this address that has a token to reset a password, which is taken out; or
 * NULL. There are notices, too. */
static const char *look_for_mail(const char *to)
{
    const char *found = NULL;
    DIR *listing = opendir(box);
    ck_assert_ptr_nonnull(listing);
    for (struct dirent *e; !found && (e = readdir(listing));) {
        const char *name = say("%s/%s", box, e->d_name);
        const char *text = strncmp(e->d_name, "mail.", 5) == 0 ? file_text(name) : "";
        if (!strstr(text, say("\nTo: %s\n", to)) || !strstr(text, RESET_URL))
            continue;
        found = text;
        ck_assert_int_eq(unlink(name), 0);
    }
    (void)closedir(listing);
    return found;
}

static const char *await_mail(const char *to)
{
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5)) {
        const char *mail = look_for_mail(to);
        if (mail)
            return mail;
    }
    ck_abort_msg("no mail comes to %s", to);
}

static const char *token_in(const char *mail)
{
    const char *found = strstr(mail, RESET_URL);
    ck_assert_msg(found != NULL, "no token in: %s", mail);
    found += strlen(RESET_URL);
    const char *token = arena_copy(the_arena, found, strcspn(found, "\r\n"));
    http_keep_secret(token);
    return token;
}

static void ck_bad_token(struct answer r)
{
    ck_problem(r, INVALID);
    ck_assert_str_eq(answer_faults(r), "token wrong");
}

TEST(a_forgotten_password_comes_back_by_mail)
{
    struct person ada = join();
    struct login here = enter(ada), there = enter(ada);
    http_keep_secret(NEW_PASSWORD);

    struct answer forgotten = forget(ada.email);
    const char *mail = await_mail(ada.email), *token = token_in(mail);
    ck_alive(here);
    struct answer done = reset(token);
    struct answer again = reset(token);

    ck_status(forgotten, 202);
    ck_assert(strstr(mail, "From: postern@example.org\n") == mail);
    ck_status(done, 204);
    ck_bad_token(again);
    ck_ended(here);
    ck_ended(there);
    ck_status(try_entering(ada.email, PASSWORD), 401);
    ck_alive(tokens_in(try_entering(ada.email, NEW_PASSWORD)));
}

/* Header lines without those that differ from answer to answer. */
static const char *lasting(const char *headers)
{
    const char *kept = "";
    for (const char *line = headers; *line; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, "Date:", 5) != 0 && strncasecmp(line, "X-Request-Id:", 13) != 0)
            kept = say("%s%.*s\n", kept, (int)strcspn(line, "\r"), line);
    return kept;
}

TEST(nobody_learns_by_it_who_is_known)
{
    struct person ada = join();

    const char *nobody = new_email();
    struct answer unknown = forget(nobody);
    struct answer known = forget(ada.email);

    ck_status(unknown, 202);
    ck_status(known, 202);
    ck_assert_str_eq(lasting(unknown.headers), lasting(known.headers));
    (void)await_mail(ada.email);
    ck_assert_ptr_null(look_for_mail(nobody));
}

TEST(a_token_is_good_for_an_hour)
{
    struct person ada = join();
    struct login login = enter(ada);
    ck_status(forget(ada.email), 202);
    const char *token = token_in(await_mail(ada.email));
    database_lines(say("UPDATE mailed_tokens SET expires_at = expires_at - INTERVAL 1 HOUR"
                       " WHERE user_id = '%s'",
                       ada.id),
                   NULL);

    ck_bad_token(reset(token));
    ck_bad_token(reset("nonsense"));
    ck_alive(login);
}

static const char *const mail_paths[] = {"/api/auth/password/forgot", "/api/auth/password/reset",
                                         "/api/auth/email/verify", "/api/auth/email/verify/send",
                                         "/api/auth/email/undo"};

TEST_EACH(without_a_mail_command_the_paths_are_unknown, mail_paths)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"};
    http_document(NULL);

    for (int i = 0; i < COUNT(methods); i++) {
        const char *body = i == 1 || i == 2 ? "{\"email\":\"ada@example.org\"}" : NULL;
        struct answer r = fetch(.at = &mailless_front, .method = methods[i], .path = mail_paths[_i],
                                .body = body);

        ck_problem(r, NOT_FOUND);
        ck_assert_str_eq(answer_text(r, "message"), "Resource does not exist");
    }
}

/* ---- the two pools ---- */

/* What is refused before it hashes, by the one pool that is there. */
static const struct {
    const char *method, *path, *body;
    int status; /* 502: it is for the other pool */
} hashing[] = {
    {"DELETE", "/api/auth/profile", "{}", 401},
    {"DELETE", "/api/auth/profile/", "{}", 401},
    {"POST", "/api/auth/password", "{}", 401},
    {"POST", "/api/auth/email", "{}", 401},
    {"POST", "/api/auth/password/reset", "{}", 400},
    {"POST", "/api/auth/email/verify", "{}", 400},
    {"POST", "/api/auth/email/undo", "{}", 400},
    {"POST", "/api/auth/email/verify/send", NULL, 502},
    {"GET", "/api/auth/profile", NULL, 502},
    {"POST", "/api/auth/password/forgot", "{}", 502},
    {"POST", "/api/auth/refresh", "{}", 502},
    {"POST", "/api/auth/logout", "{}", 502},
    {"GET", "/api/auth/sessions", NULL, 502},
    {"DELETE", "/api/auth/sessions/" NOBODY_ID, NULL, 502},
};

NGINX_TEST(hashing_is_done_by_the_other_pool)
{
    struct front half;
    front_start_half(&half, &pool);

    for (int i = 0; i < COUNT(hashing); i++)
        ck_status(fetch(.at = &half, .method = hashing[i].method, .path = hashing[i].path,
                        .body = hashing[i].body),
                  hashing[i].status);
    front_stop(&half);
}

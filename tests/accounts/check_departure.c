/* needs: mariadb */
/* Users who are deleted: gone at once for everybody, and their rows batch after batch. */
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/purge.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/http/idempotency.h"
#include "common/base/problem.h"
#include "fcgi-app/accounts/account.h"
#include "common/db/counter.h"
#include "fcgi-app/posts/post_model.h"
#include "fcgi-app/accounts/session_model.h"
#include "common/search/build.h"
#include "tests/support/loopback.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define POSTS 6000 /* of Ada's; more than twice what one page looks through */
#define PUBLISHED 4500
#define REACH 2000     /* see post_model.c */
#define FREQUENT 11000 /* posts with a word that occurs more often than is counted */

static const char *admin, *ada, *ada_id, *ada_refresh, *mary_id;

/* Tables with rows of Ada's, and how they are told. */
static const char *const traces[] = {
    "posts WHERE author_id = ",
    "sessions WHERE user_id = ",
    "mailed_tokens WHERE user_id = ",
    "idempotency_keys WHERE caller_id = ",
    "users WHERE id = ",
    "user_departures WHERE user_id = ",
};

static int64_t rows_of(const char *trace)
{
    return rows_in(say("%s'%s'", trace, ada_id));
}

static void ck_no_trace_is_left(void)
{
    for (int i = 0; i < COUNT(traces); i++)
        ck_assert_int_eq(rows_of(traces[i]), 0);
}

static void recount(void)
{
    count_again();
}

/* Many rows of Ada's in every table, her posts newer than all others. */
static void fill(int posts)
{
    run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) SELECT "
                "UUID(), '%s', CONCAT('A', seq), 'farewell words', seq %% 4 <> 0, '2090-01-01' + "
                "INTERVAL seq SECOND FROM seq_1_to_%d",
                ada_id, posts));
    run_sql(say("INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, "
                "expires_at) SELECT UUID(), '%s', UNHEX(SHA2(seq, 256)), '2089-01-01' + INTERVAL "
                "seq SECOND, '2089-01-01', '2095-01-01' FROM seq_1_to_1500",
                ada_id));
    run_sql(say(
        "INSERT INTO session_refreshes (hash, session_id, used_at) SELECT UNHEX(SHA2(CONCAT(id, "
        "seq), 256)), id, '2089-01-01' FROM sessions JOIN seq_1_to_600 WHERE user_id = '%s' AND "
        "created_at < '2089-01-01 00:00:03' AND created_at > '2089-01-01'",
        ada_id));
    run_sql(say(
        "INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) SELECT UUID(), "
        "UNHEX(SHA2(seq, 256)), 'reset', '%s', 'a@example.org', UTC_TIMESTAMP(6) + INTERVAL 30 "
        "MINUTE FROM seq_1_to_700",
        ada_id));
    run_sql(say("INSERT INTO idempotency_keys (id, fingerprint, status, body, expires_at, "
                "caller_id) SELECT UNHEX(SHA2(seq, 256)), UNHEX(SHA2(seq, 256)), 201, '{}', "
                "UTC_TIMESTAMP(6) + INTERVAL 12 HOUR, '%s' FROM seq_1_to_600",
                ada_id));
    recount();
}

static void set_up(void)
{
    loopback_open();
    admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    mary_id = make_user("mary@example.org", ROLE_USER);
    ada_id = make_user("ada@example.org", ROLE_USER);
    const char *mary = bearer_of("mary@example.org");
    write_post(mary, "M1", "farewell", true);
    write_post(mary, "M2", "words", true);
    write_post(mary, "M3", "farewell words", true);
    write_post(mary, "M4", "farewell draft", false);
    struct login login = enter("ada@example.org");
    ada = login.access;
    ada_refresh = login.refresh;
}

static void set_up_large(void)
{
    set_up();
    fill(POSTS);
}

static const char *post_of_ada(const char *condition)
{
    const char *id = "";
    for (int i = 0; i < 4; i++) /* an id in four numbers, for there is no other way to read one */
        id = say("%s%08llx", id,
                 (unsigned long long)ask_number(
                     say("SELECT CAST(CONV(SUBSTR(REPLACE(id, '-', ''), %d, 8), 16, 10) AS "
                         "INTEGER) AS n FROM posts WHERE author_id = '%s' %s",
                         i * 8 + 1, ada_id, condition)));
    return say("%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
}

/* ---- leaving ---- */

static struct actor an_operator(void)
{
    return (struct actor){.app = the_app, .arena = the_arena, .now = the_time};
}

static struct problem *erase_ada(void *context)
{
    (void)context;
    return account_delete(an_operator(), id_of(ada_id));
}

static void leave_rows_behind(void)
{
    in_transaction(erase_ada, NULL);
    ck_assert_int_eq(rows_of("user_departures WHERE user_id = "), 1);
}

/* A transaction that is held until somebody says so. */
struct held {
    struct problem *(*body)(void *context);
    struct request rq;
    int told, wait;
};

static struct problem *hold(void *context)
{
    struct held *held = context;
    char byte;
    struct problem *p = held->body(&held->rq);
    ck_assert_int_eq(write(held->told, "r", 1), 1);
    ck_assert_int_eq(read(held->wait, &byte, 1), 1);
    return p;
}

static void hold_aside(void *context)
{
    in_transaction(hold, context);
}

static pid_t begin_held(struct problem *(*body)(void *context), int *ret_go)
{
    int told[2], wait[2];
    char byte;
    ck_assert_int_eq(pipe(told), 0);
    ck_assert_int_eq(pipe(wait), 0);
    struct held held = {body, {.arena = the_arena, .now = the_time}, told[1], wait[0]};
    pid_t pid = run_aside(hold_aside, &held);
    (void)close(told[1]); /* so that one who fails is not waited for */
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    *ret_go = wait[1];
    return pid;
}

static void let_go(pid_t pid, int go)
{
    ck_assert_int_eq(write(go, "g", 1), 1);
    wait_for(pid);
}

/* ---- gone at once ---- */

static int64_t total_of(const char *token, const char *path)
{
    struct answer answer = api_get(token, "%s", path);
    ck_status(answer, 200);
    return answer_total(answer);
}

/* Every list says how many there are, and shows so many. */
static void ck_only_marys_posts_are_there(void)
{
    ck_assert_int_eq(total_of(NULL, "/posts"), 3);
    ck_assert_int_eq(total_of(NULL, "/posts?sort=title"), 3);
    ck_assert_int_eq(total_of(admin, "/posts?published=false"), 1);
    ck_assert_int_eq(total_of(NULL, say("/posts?author_id=%s", ada_id)), 0);
    ck_assert_int_eq(total_of(admin, say("/posts?published=false&author_id=%s", ada_id)), 0);
    ck_assert_str_eq(answer_column(api_get(NULL, "/posts?sort=created_at"), "title"), "M1 M2 M3");
    ck_assert_str_eq(answer_column(api_get(NULL, "/posts?sort=-title"), "title"), "M3 M2 M1");
    ck_assert_str_eq(answer_column(api_get(NULL, "/posts?author_id=%s", ada_id), "title"), "");
    ck_assert_str_eq(
        answer_column(api_get(NULL, "/posts?q=farewell&author_id=%s", ada_id), "title"), "");
    ck_problem(api_get(NULL, "/users/%s/posts", ada_id), USER_NOT_FOUND);
    ck_problem(api_get(admin, "/users/%s/posts", ada_id), USER_NOT_FOUND);
}

static void ck_is_gone(const char *post_id, const char *draft_id)
{
    ck_problem(api_get(admin, "/users/%s", ada_id), USER_NOT_FOUND);
    ck_problem(api_delete(admin, "/users/%s", ada_id), USER_NOT_FOUND);
    ck_problem(api_patch(admin, say("/users/%s", ada_id), "{\"is_active\":true}"), USER_NOT_FOUND);
    ck_assert_str_eq(answer_column(api_get(admin, "/users"), "email"),
                     "admin@example.org mary@example.org");
    ck_assert_str_eq(answer_column(api_get(admin, "/users?sort=-email&role=user"), "email"),
                     "mary@example.org");
    ck_assert_str_eq(answer_column(api_get(admin, "/users?q=ada"), "email"), "");
    ck_assert_str_eq(answer_column(api_get(admin, "/users?q=ad"), "email"), "admin@example.org");
    ck_assert_int_eq(total_of(admin, "/users"), 2);
    ck_assert_int_eq(total_of(admin, "/users?role=user"), 1);
    ck_problem(api_get(NULL, "/posts/%s", post_id), POST_NOT_FOUND);
    ck_problem(api_get(admin, "/posts/%s", draft_id), POST_NOT_FOUND);
    ck_problem(api_patch(admin, say("/posts/%s", post_id), "{\"published\":false}"),
               POST_NOT_FOUND);
    ck_problem(api_delete(admin, "/posts/%s", draft_id), POST_NOT_FOUND);
    ck_only_marys_posts_are_there();
}

static void ck_is_out(void)
{
    const char *refresh = object("{'refresh_token':'%s'}", ada_refresh);
    ck_problem(api_get(ada, "/auth/profile"), USER_INACTIVE);
    ck_problem(try_login("ada@example.org", PASSWORD), INVALID_CREDENTIALS);
    ck_problem(try_login(ada_id, PASSWORD), INVALID_CREDENTIALS);
    ck_problem(api_post(NULL, "/auth/refresh", refresh), INVALID_TOKEN);
    ck_problem(api_post(NULL, "/auth/logout", refresh), INVALID_TOKEN);
}

static struct answer delete_by_admin(void)
{
    return api_delete(admin, "/users/%s", ada_id);
}

static struct answer delete_oneself(void)
{
    return api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada,
                   .body = object("{'current_password':'%s'}", PASSWORD));
}

static struct answer (*const ways[])(void) = {delete_by_admin, delete_oneself};

CASE("gone at once", set_up_large, loopback_close);
CASE_LIMIT_S(180);

TEST_EACH(who_is_deleted_is_gone_while_rows_are_left, ways)
{
    const char *post_id = post_of_ada("AND title = 'A1'");
    const char *draft_id = post_of_ada("AND title = 'A4'");
    run_sql(say("INSERT INTO idempotency_keys (id, fingerprint, status, body, expires_at, "
                "caller_id, subject_id) VALUES (REPEAT('s', 32), REPEAT('s', 32), 201, "
                "'ada@example.org', '2095-01-01', '%s', '%s')",
                mary_id, ada_id));
    ck_assert_int_eq(total_of(NULL, "/posts"), PUBLISHED + 3);
    ck_status(api_get(NULL, "/posts/%s", post_id), 200);

    ck_status(ways[_i](), 204);

    ck_assert_int_eq(rows_of("idempotency_keys WHERE subject_id = "), 0);
    ck_is_gone(post_id, draft_id);
    ck_is_out();
    ck_assert_int_gt(rows_of("posts WHERE author_id = "), REACH);
    ck_assert_int_gt(rows_of("sessions WHERE user_id = "), 0);
    ck_rows("users WHERE email LIKE 'ada%' OR first_name IS NULL AND password_hash <> ''", 0);
    recount();
    ck_only_marys_posts_are_there();
    ck_assert_int_eq(total_of(admin, "/users"), 2);
}

TEST(the_address_is_free_at_once)
{
    ck_status(delete_by_admin(), 204);

    struct answer again =
        api_post(NULL, "/auth/register",
                 object("{'email':'Ada@example.org','password':'%s','first_name':'A'}", PASSWORD));

    ck_status(again, 201);
    ck_assert_str_ne(answer_text(again, "user.id"), ada_id);
    const char *token = log_in("ada@example.org");
    ck_status(api_get(token, "/auth/profile"), 200);
    ck_assert_int_eq(answer_total(api_get(token, "/auth/sessions")), 1);
    ck_assert_int_eq(total_of(token, "/posts"), 3);
    ck_assert_int_gt(rows_of("posts WHERE author_id = "), 0);
}

/* What the statements of one request read, by the server's own count. */
static int64_t read_so_far(void)
{
    return ask_number("SELECT CAST(SUM(variable_value) AS INTEGER) AS n FROM "
                      "information_schema.session_status WHERE variable_name LIKE 'Handler_read%'");
}

/* Follow the cursors to the end; every page must be cheap. */
static const char *walk(const char *token, const char *path, int64_t read_max, int *ret_pages)
{
    const char *titles = "", *cursor = "";
    for (*ret_pages = 1;; ++*ret_pages) {
        int64_t before = read_so_far();
        struct answer answer =
            api_get(token, "%s&limit=2%s%s", path, *cursor ? "&cursor=" : "", cursor);
        ck_status(answer, 200);
        ck_assert_int_lt(read_so_far() - before, read_max);
        const char *shown = answer_column(answer, "title");
        titles = say("%s%s%s", titles, *shown && *titles ? " " : "", shown);
        if (answer_is_null(answer, "pagination.next_cursor"))
            return titles;
        cursor = say("%s", answer_text(answer, "pagination.next_cursor"));
        if (!*shown || !strchr(shown, ' ')) /* a short page leads on by cursor */
            ck_assert_ptr_nonnull(strstr(answer_header(answer, "Link"), say("cursor=%s", cursor)));
        ck_assert_int_lt(*ret_pages, 20);
    }
}

static const struct {
    const char *path, *titles;
    bool passes_by_many;
} walks[] = {
    {"/posts?sort=-created_at", "M3 M2 M1", true}, {"/posts?sort=created_at", "M1 M2 M3", true},
    {"/posts?sort=title", "M1 M2 M3", true},       {"/posts?sort=-title", "M3 M2 M1", true},
    {"/posts?published=false", "M4", false},
};

/* Somebody is at the rows, for longer than a request may be. */
static struct problem *claim_rows(void *context)
{
    (void)context;
    must(db_run(the_app->db, the_arena, "SET idle_transaction_timeout = 0"));
    return db_run(the_app->db, the_arena, "SELECT user_id FROM user_departures FOR UPDATE");
}

TEST(a_list_passes_by_the_posts_of_who_left)
{
    int go, pages;
    leave_rows_behind();
    pid_t pid = begin_held(claim_rows, &go);

    for (int i = 0; i < COUNT(walks); i++) {
        const char *titles = walk(admin, walks[i].path, 4 * REACH, &pages);
        ck_assert_str_eq(titles, walks[i].titles);
        ck_assert_int_gt(pages, walks[i].passes_by_many ? 2 : 0);
    }

    ck_assert_int_eq(rows_of("posts WHERE author_id = "), POSTS); /* other rows go before */
    let_go(pid, go);
}

static const struct {
    const char *words;
    bool frequent;
    const char *titles;
} searches[] = {
    {"farewell", true, "M3 long M1"},
    {"words", true, "M3 long M2"},
    {"seventeen", false, ""},
    {"long", false, "M3 long"},
};

CASE("beside others", set_up, loopback_close);
CASE_LIMIT_S(180);

TEST(a_search_finds_nothing_of_who_left)
{
    int go, pages;
    fill(FREQUENT);
    run_sql("UPDATE posts SET title = 'A17 seventeen' WHERE title = 'A17'");
    run_sql("UPDATE posts SET title = 'M3 long' WHERE title = 'M3'");
    run_sql("UPDATE posts SET published = 1 WHERE title LIKE 'A%'");
    recount();
    must(search_build(the_app->db, the_arena, &post_index, NULL));
    ck_assert_int_eq(total_of(NULL, "/posts?q=seventeen"), 1);
    ck_assert(answer_has(api_get(NULL, "/posts?q=farewell"), "pagination.total_capped"));
    leave_rows_behind();
    pid_t pid = begin_held(claim_rows, &go);

    for (int i = 0; i < COUNT(searches); i++) {
        const char *path = say("/posts?q=%s", searches[i].words);
        ck_assert_str_eq(walk(NULL, path, 5 * FREQUENT, &pages), searches[i].titles);
        struct answer first = api_get(NULL, "%s", path);
        ck_assert_int_le(answer_total(first), 2);
        ck_assert_int_eq(answer_has(first, "pagination.total_capped"), searches[i].frequent);
        ck_assert_int_eq(total_of(NULL, say("%s&author_id=%s", path, ada_id)), 0);
    }
    let_go(pid, go);
}

/* ---- the rows ---- */

static int64_t status_of(const char *name)
{
    return ask_number(say("SELECT CAST(variable_value AS INTEGER) AS n FROM "
                          "information_schema.session_status WHERE variable_name = '%s'",
                          name));
}

CASE("rows", set_up_large, loopback_close);
CASE_LIMIT_S(180);

TEST(each_batch_is_small_and_totals_hold_all_the_time)
{
    bool more = true;
    int batches = 0;
    leave_rows_behind();

    while (more) {
        int64_t deleted = status_of("Handler_delete"), read = read_so_far();
        must(departure_sweep(the_app->db, the_arena, &more));
        ck_assert_int_le(status_of("Handler_delete") - deleted, DEPARTURE_BATCH + 2);
        ck_assert_int_le(read_so_far() - read, 8 * DEPARTURE_BATCH + 1000);
        ck_assert_int_eq(total_kept(&post_counter, NULL, 0, 1), 4);
        ck_kept();
        while (app_sweep(the_app, the_arena)) /* as app_spare() does */
            continue;
        ck_kept();
        batches++;
    }

    ck_assert_int_gt(batches, POSTS / DEPARTURE_BATCH);
    ck_no_trace_is_left();
    ck_rows("session_refreshes", 0);
    ck_only_marys_posts_are_there();
    recount();
    ck_only_marys_posts_are_there();
    must(departure_sweep(the_app->db, the_arena, &more)); /* nothing to do, and does nothing */
    ck_assert(!more);
    ck_rows("users", 2);
}

/* A search looks through what it finds, so rows that are gone must not be in its way. */
TEST(a_search_forgets_the_rows)
{
    bool more = true;
    must(search_build(the_app->db, the_arena, &post_index, NULL));
    leave_rows_behind();

    while (more)
        must(departure_sweep(the_app->db, the_arena, &more));
    while (app_sweep(the_app, the_arena))
        continue;

    struct answer answer = api_get(NULL, "/posts?q=farewell");
    ck_assert_str_eq(answer_column(answer, "title"), "M3 M1");
    ck_assert_int_eq(answer_total(answer), 2);
    ck_assert(!answer_has(answer, "pagination.total_capped"));
    ck_rows("search_rows JOIN search_builds USING (build) WHERE list = 2 AND state = 'live'", 4);
}

/* Posts that came in by SQL, and were not counted yet when their author left. */
TEST(what_a_recount_has_added_late_goes_with_the_rows)
{
    bool more = true;
    leave_rows_behind();
    run_sql(say("INSERT INTO list_journal (total, owner, kind, n) VALUES (2, '%s', 1, 7)", ada_id));
    ck_assert_int_eq(total_kept(&post_counter, ada_id, 0, 1), 7);

    while (more)
        must(departure_sweep(the_app->db, the_arena, &more));

    ck_assert_int_eq(total_kept(&post_counter, ada_id, 0, 1), 0);
    ck_kept();
    ck_only_marys_posts_are_there();
}

TEST(the_newest_posts_go_first)
{
    bool more;
    leave_rows_behind();
    while (rows_of("posts WHERE author_id = ") > POSTS - DEPARTURE_BATCH)
        must(departure_sweep(the_app->db, the_arena, &more));

    int64_t left = rows_of("posts WHERE author_id = ");

    ck_rows(
        say("posts WHERE author_id = '%s' AND created_at <= '2090-01-01' + INTERVAL %lld SECOND",
            ada_id, (long long)left),
        left);
}

static struct problem *die_amid(void *context)
{
    uint64_t deleted = 0;
    (void)context;
    must(post_delete_newest(the_app->db, the_arena, id_of(ada_id), DEPARTURE_BATCH, &deleted));
    ck_assert_uint_eq(deleted, DEPARTURE_BATCH);
    (void)raise(SIGKILL);
    return NULL;
}

/* Some batches, and the half of another. */
static void sweep_and_die(void *context)
{
    bool more;
    (void)context;
    for (int i = 0; i < 3; i++)
        must(departure_sweep(the_app->db, the_arena, &more));
    in_transaction(die_amid, NULL);
}

TEST(who_is_killed_in_between_is_followed_by_another)
{
    bool more = true;
    leave_rows_behind();
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t pid = run_aside(sweep_and_die, NULL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        ck_assert_int_eq(total_of(NULL, "/posts"), 3);
    }
    ck_assert_int_gt(rows_of("posts WHERE author_id = "), 0);

    while (rows_of("users WHERE id = ")) /* the dead one's lock may last for a moment */
        must(departure_sweep(the_app->db, the_arena, &more));

    ck_no_trace_is_left();
    ck_only_marys_posts_are_there();
}

static void sweep_all(int number, void *context)
{
    (void)number, (void)context;
    while (rows_of("users WHERE id = ")) {
        bool more;
        must(departure_sweep(the_app->db, the_arena, &more));
    }
}

TEST(many_may_be_at_it_at_a_time)
{
    leave_rows_behind();

    parallel(3, sweep_all, NULL);

    ck_no_trace_is_left();
    ck_only_marys_posts_are_there();
}

TEST(requests_of_others_do_the_work)
{
    ck_status(delete_by_admin(), 204);
    int64_t before = rows_of("posts WHERE author_id = ");

    while (the_app->sweeps) /* as a worker does between requests */
        (void)purge_departed(the_app, the_arena);

    ck_assert_int_gt(before, 0);
    ck_no_trace_is_left();
}

TEST_TIMES(a_login_and_a_list_find_what_a_dead_worker_left, 2)
{
    leave_rows_behind();
    loopback_set(NULL); /* a worker that knows of nothing */
    int64_t before =
        rows_of("idempotency_keys WHERE caller_id = ") + rows_of("mailed_tokens WHERE user_id = ");

    if (_i)
        (void)log_in("mary@example.org");
    else
        ck_status(api_get(NULL, "/posts"), 200);

    ck_assert(the_app->sweeps);
    if (!_i) /* for a list it can wait until nothing is asked */
        (void)purge_departed(the_app, the_arena);
    ck_assert_int_eq(rows_of("idempotency_keys WHERE caller_id = ") +
                         rows_of("mailed_tokens WHERE user_id = "),
                     before - DEPARTURE_BATCH);
}

CASE("beside others", set_up, loopback_close);

static struct problem *delete_declared(void *ret_deleted)
{
    const char *rows = "posts FORCE INDEX (ix_posts_author_created) WHERE author_id = ? "
                       "ORDER BY created_at DESC, id DESC LIMIT ?";
    return table_delete_rows(the_app->db, the_arena, &post_table, rows,
                             DB_ARGS(db_uuid(id_of(mary_id)), db_integer(3)), ret_deleted);
}

/* As what belongs to another row, which is declared by its table. */
TEST(what_a_search_index_follows_is_named_when_it_goes)
{
    uint64_t deleted;

    in_transaction(delete_declared, &deleted);

    ck_assert_uint_eq(deleted, 3);
    ck_rows("list_journal WHERE total = 2 AND n = -1 AND row_id IS NOT NULL", 3);
    ck_kept();
}

TEST_EACH(few_rows_go_with_the_user, ways)
{
    write_post(ada, "A1", "C", true);

    ck_status(ways[_i](), 204);

    ck_no_trace_is_left();
    ck_only_marys_posts_are_there();
}

/* ---- beside others ---- */

/* By the last byte of their ids, users share turns; see user_take_turn(). */
static bool shares_turn_with_ada(const char *id)
{
    return (strtoul(id + strlen(id) - 2, NULL, 16) -
            strtoul(ada_id + strlen(ada_id) - 2, NULL, 16)) %
               64 ==
           0;
}

/* An admin who has nothing to do with Ada. */
static const char *make_apart(const char **ret_email)
{
    const char *id;
    int number = 0;
    do {
        *ret_email = say("apart%d@example.org", number++);
        id = make_user(*ret_email, ROLE_ADMIN);
    } while (shares_turn_with_ada(id));
    return id;
}

/* Ada is deleted in a transaction that does not end: who has nothing to do with her must not
 * notice. */
TEST(a_deletion_keeps_no_admin_waiting)
{
    const char *email, *second_id = make_apart(&email);
    const char *other_id = make_user("other@example.org", ROLE_USER);
    int go;
    pid_t pid = begin_held(erase_ada, &go);

    const char *second = log_in(email);
    ck_status(api_post(second, "/posts", "{\"title\":\"T\",\"content\":\"C\",\"published\":true}"),
              201);
    ck_status(api_patch(second, say("/users/%s", other_id), "{\"is_active\":false}"), 200);
    ck_status(api_patch(second, say("/users/%s", other_id), "{\"role\":\"admin\"}"), 200);
    ck_status(api_patch(second, say("/users/%s", second_id), "{\"first_name\":\"S\"}"), 200);

    let_go(pid, go);
    ck_problem(api_get(admin, "/users/%s", ada_id), USER_NOT_FOUND);
}

static struct problem *disable_ada(void *context)
{
    struct user after;
    const struct user in = {.is_active = false};
    (void)context;
    return account_change(an_operator(), id_of(ada_id), &in,
                          FIELD_AT(&user_record, struct user, is_active), &after);
}

TEST(disabling_keeps_no_admin_waiting)
{
    const char *email;
    int go;
    (void)make_apart(&email);
    pid_t pid = begin_held(disable_ada, &go);

    const char *token = log_in(email);
    ck_status(api_post(token, "/posts", "{\"title\":\"T\",\"content\":\"C\"}"), 201);
    ck_status(api_patch(token, say("/users/%s", mary_id), "{\"role\":\"admin\"}"), 200);
    ck_status(api_patch(token, say("/users/%s", mary_id), "{\"role\":\"user\"}"), 200);

    let_go(pid, go);
    ck_problem(api_get(ada, "/auth/profile"), USER_INACTIVE);
}

/* Two admins who leave, or one who leaves and one who deletes the other, at the same time. */
struct leaving {
    struct uuid id;
};

static struct problem *erase_one(void *context)
{
    struct leaving *leaving = context;
    return account_delete(an_operator(), leaving->id);
}

static void leave_aside(int number, void *context)
{
    struct leaving *leaving = (struct leaving *)context + number;
    const struct problem *p = db_transaction(the_app->db, the_arena, erase_one, NULL, leaving);
    ck_assert(!p || p->type == &problem_last_admin || p->type == &problem_user_not_found);
}

TEST(of_two_admins_who_leave_at_once_one_stays)
{
    for (int round = 0; round < 10; round++) {
        run_sql("UPDATE users SET role = 'user'");
        struct leaving both[] = {{id_of(make_user(say("x%d@example.org", round), ROLE_ADMIN))},
                                 {id_of(make_user(say("y%d@example.org", round), ROLE_ADMIN))}};

        parallel(2, leave_aside, both);

        ck_rows("users WHERE role = 'admin' AND is_active = 1", 1);
    }
}

/* Ada becomes the only admin while somebody deletes her, and has seen that she is none. */
static struct problem *crown_ada(void *context)
{
    const int *told = context;
    struct problem *p =
        db_run(the_app->db, the_arena,
               say("UPDATE users SET role = IF(id = '%s', 'admin', 'user')", ada_id));
    ck_assert_int_eq(write(*told, "r", 1), 1);
    while (!p && !somebody_waits())
        continue;
    return p;
}

static void crown_aside(void *context)
{
    in_transaction(crown_ada, context);
}

TEST(who_becomes_the_last_admin_meanwhile_stays)
{
    int told[2];
    char byte;
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = run_aside(crown_aside, &told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);

    const struct problem *p = db_transaction(the_app->db, the_arena, erase_ada, NULL, NULL);

    wait_for(pid);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_last_admin);
    ck_assert_int_eq(rows_of("users WHERE role = 'admin' AND id = "), 1);
}

static struct problem *insert_post(void *context)
{
    const struct post row = {.id = uuid_make(the_time),
                             .author_id = id_of(ada_id),
                             .title = TEXT("T"),
                             .content = TEXT("C"),
                             .created_at = the_time,
                             .updated_at = the_time,
                             .version = 1};
    (void)context;
    return post_insert(the_app->db, the_arena, &row);
}

CASE("rows", set_up_large, loopback_close);

TEST(nothing_is_added_to_who_left)
{
    const unsigned char hash[32] = "of a refresh token";
    const struct session session = {.id = uuid_make(the_time),
                                    .user_id = id_of(ada_id),
                                    .created_at = the_time,
                                    .last_used_at = the_time,
                                    .expires_at = instant_plus_s(the_time, 1000)};
    leave_rows_behind();

    const struct problem *p = db_transaction(the_app->db, the_arena, insert_post, NULL, NULL);
    ck_assert(db_is_violation(p, "fk_posts_author"));
    ck_assert(db_is_violation(session_insert(the_app->db, the_arena, &session, hash),
                              "fk_sessions_user"));

    ck_only_marys_posts_are_there();
}

/* An admin who publishes and hides one of Ada's posts for as long as it is there. */
static void toggle(int number, void *id)
{
    (void)number;
    struct answer answer = {.status = 200};
    for (int i = 0; answer.status == 200; i++)
        answer = api_patch(admin, say("/posts/%s", (const char *)id),
                           i % 2 ? "{\"published\":true}" : "{\"published\":false}");
    ck_problem(answer, POST_NOT_FOUND);
}

CASE("beside others", set_up, loopback_close);

TEST(totals_are_exact_where_others_change_the_posts_of_who_leaves)
{
    for (int round = 0; round < 5; round++) {
        ada_id = make_user(say("ada%d@example.org", round), ROLE_USER);
        ada = bearer_of(say("ada%d@example.org", round));
        char *oldest = arena_strdup(the_arena, write_post(ada, "A", "C", true));
        run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) "
                    "SELECT UUID(), '%s', 'A', 'C', 1, '2090-01-01' FROM seq_1_to_700",
                    ada_id));
        recount();
        struct parallel togglers = parallel_begin(2, toggle, oldest);
        while (ask_number(say("SELECT version AS n FROM posts WHERE id = '%s'", oldest)) < 20)
            usleep(1000);

        ck_status(ways[round % 2](), 204);

        parallel_end(&togglers);
        ck_only_marys_posts_are_there();
        while (the_app->sweeps)
            (void)purge_departed(the_app, the_arena);
        ck_only_marys_posts_are_there();
    }
}

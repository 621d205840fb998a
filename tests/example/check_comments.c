/* needs: mariadb */
/* Comments: the resource that the README walks through, in the product's place for resources. */
#include "tests/example/comments.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/http/idempotency.h"
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/mailed_tokens.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/routes.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/plans.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define COMMENT_NOT_FOUND 404, "Comment not found", "comment_not_found"

/* ---- what fcgi-app/resources.c has, and the lines of comments: linked in its place ---- */

const struct resource *const resources[] = {
    &auth_resource,     &profile_resource, &session_resource,
    &password_resource, &user_resource,    &post_resource,
    &system_resource,   &comment_resource, NULL,
};

const struct counter *const counters[] = {&user_counter, &post_counter, &comments_of_post,
                                          &comments_of_user, NULL};

const struct search_index *const search_indexes[] = {&user_index, &post_index, NULL};

const struct belonging belongings[] = {
    {.of = "users", .delete_newest = idempotency_forget_caller},
    {.of = "users", .delete_newest = mailed_delete_some},
    {.of = "users", .table = &comment_table, .column = "author_id", .index = "ix_comments_author"},
    {.of = "posts", .table = &comment_table, .column = "post_id", .index = "ix_comments_post"},
    {.of = "users", .delete_newest = post_delete_newest, .uncount = post_uncount_author},
    {.of = "users", .delete_newest = session_delete_newest},
    {0},
};

/* ---- who is there ---- */

static const char *ada, *bob, *boss; /* tokens */
static const char *ada_id, *bob_id;
static const char *post, *draft; /* Ada's */

/* The table, as the example's file has it; in a product that is one of sql/. */
static void make_table(void)
{
    const char *folder = getenv("srcdir");
    char *text = arena_alloc(the_arena, 4096);
    FILE *file = fopen(say("%s/tests/example/comments.sql", folder ? folder : "."), "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_lt(fread(text, 1, 4095, file), 4095);
    ck_assert_int_eq(fclose(file), 0);
    run_sql(text);
    run_sql("DELETE FROM comments");
}

static void set_up(void)
{
    watch_allow();
    loopback_open();
    make_table();
    ada_id = make_user("ada@example.org", ROLE_USER);
    bob_id = make_user("bob@example.org", ROLE_USER);
    ada = bearer_of("ada@example.org");
    bob = bearer_of("bob@example.org");
    boss = bearer_of_new("boss@example.org", ROLE_ADMIN);
    post = write_post(ada, "On engines", "They weave.", true);
    draft = write_post(ada, "On looms", "Not yet.", false);
}

static const char *comment_on(const char *of, const char *token, const char *content)
{
    struct answer answer =
        api_post(token, say("/posts/%s/comments", of), object("{'content':'%s'}", content));
    ck_status(answer, 201);
    return answer_text(answer, "comment.id");
}

/* So many at once, as an import would bring them; the newest last. */
static void fill(const char *of, const char *author, int count)
{
    run_sql(say("INSERT INTO comments SELECT UUID(), '%s', '%s', 'words', '2026-01-01' + INTERVAL "
                "seq SECOND, '2026-01-01', 1 FROM seq_1_to_%d",
                of, author, count));
    count_again();
}

/* A total is what the rows are: of each post, of each author, and of all. Each is one statement,
 * and holds while others write. */
static void ck_counted(void)
{
    static const char *const owners[] = {"post_id", "author_id"};
    for (int i = 0; i < COUNT(owners); i++) {
        const char *kept =
            say("SELECT owner, n FROM list_counts WHERE total = %d AND owner <> '" NIL_ID
                "' UNION ALL SELECT owner, n FROM list_journal WHERE "
                "total = %d",
                100 + i, 100 + i);
        ck_rows(say("(SELECT owner FROM (SELECT %s AS owner, -1 AS n FROM comments UNION ALL %s) "
                    "AS d GROUP BY owner HAVING SUM(n) <> 0) AS wrong",
                    owners[i], kept),
                0);
        ck_assert_int_eq(ask_number(say("SELECT (SELECT COUNT(*) FROM comments) - COALESCE(SUM(n), "
                                        "0) AS n FROM (SELECT n FROM list_counts WHERE total = %d "
                                        "AND owner = '" NIL_ID "' UNION ALL SELECT n FROM "
                                        "list_journal WHERE total = %d) AS kept",
                                        100 + i, 100 + i)),
                         0);
    }
    ck_kept();
}

CASE("one", set_up, loopback_close);

TEST(a_comment_is_written_read_changed_and_deleted)
{
    struct answer answer =
        api_post(bob, say("/posts/%s/comments", post), object("{'content':'So they do.'}"));
    ck_status(answer, 201);
    const char *id = answer_text(answer, "comment.id"), *path = say("/comments/%s", id);
    ck_assert_str_eq(answer_header(answer, "Location"), say("/api%s", path));
    ck_assert_str_eq(answer_header(answer, "ETag"), "\"1\"");
    ck_assert_str_eq(answer_text(answer, "comment.post_id"), post);
    ck_assert_str_eq(answer_text(answer, "comment.author_id"), bob_id);
    ck_assert_str_eq(answer_text(answer, "comment.created_at"),
                     answer_text(answer, "comment.updated_at"));
    pass_s(5);

    ck_assert_str_eq(answer_text(api_get(NULL, "%s", path), "comment.content"), "So they do.");
    answer = api_patch(bob, path, object("{'content':'So they did.'}"));
    ck_status(answer, 200);
    ck_assert_str_eq(answer_header(answer, "ETag"), "\"2\"");
    ck_assert_str_eq(answer_text(answer, "comment.content"), "So they did.");
    ck_assert_str_ne(answer_text(answer, "comment.created_at"),
                     answer_text(answer, "comment.updated_at"));
    ck_assert_str_eq(api_get(NULL, "%s", path).text, answer.text);
    ck_status(api_delete(bob, "%s", path), 204);

    ck_problem(api_get(bob, "%s", path), COMMENT_NOT_FOUND);
    ck_problem(api_patch(bob, path, object("{'content':'x'}")), COMMENT_NOT_FOUND);
    ck_problem(api_delete(bob, "%s", path), COMMENT_NOT_FOUND);
    ck_counted();
}

static const struct refusal bad_bodies[] = {
    {"{}", MISSING_FIELDS, "content required"},
    {"{'content':''}", INVALID, "content too_short"},
    {"{'content':7}", INVALID, "content type"},
    {"{'content':null}", INVALID, "content type"},
    {"{", BAD_JSON, NULL},
};

TEST_EACH(a_bad_comment_is_refused, bad_bodies)
{
    ck_refusal("POST", bob, say("/posts/%s/comments", post), &bad_bodies[_i]);
    ck_rows("comments", 0);
}

TEST(its_length_is_bounded)
{
    const char *path = say("/posts/%s/comments", post);
    ck_status(api_post(bob, path, object("{'content':'%s'}", repeat("é", 2000))), 201);
    ck_invalid(api_post(bob, path, object("{'content':'%s'}", repeat("é", 2001))),
               "content too_long");
}

/* Nobody writes in another's name, or moves what is written. */
TEST(what_is_not_theirs_to_set_is_ignored)
{
    const char *body =
        object("{'content':'c','author_id':'%s','post_id':'%s','version':9}", ada_id, draft);
    const char *id =
        answer_text(api_post(bob, say("/posts/%s/comments", post), body), "comment.id");

    struct answer answer = api_patch(bob, say("/comments/%s", id), body);

    ck_assert_str_eq(answer_text(answer, "comment.author_id"), bob_id);
    ck_assert_str_eq(answer_text(answer, "comment.post_id"), post);
    ck_assert_str_eq(answer_header(answer, "ETag"), "\"2\"");
}

TEST(only_its_author_and_admins_write_it)
{
    const char *path = say("/comments/%s", comment_on(post, bob, "mine"));
    const char *body = object("{'content':'theirs'}");

    ck_problem(api_patch(ada, path, body), FORBIDDEN);
    ck_problem(api_delete(ada, "%s", path), FORBIDDEN);
    ck_token_needed("PATCH", path, body);
    ck_token_needed("DELETE", path, NULL);
    ck_token_needed("POST", say("/posts/%s/comments", post), body);

    ck_status(api_patch(boss, path, body), 200);
    ck_assert_str_eq(answer_text(api_get(NULL, "%s", path), "comment.author_id"), bob_id);
    ck_status(api_delete(boss, "%s", path), 204);
}

TEST(paths_have_their_methods)
{
    ck_methods(say("/posts/%s/comments", post), "GET, HEAD, POST, OPTIONS");
    ck_methods(say("/users/%s/comments", bob_id), "GET, HEAD, OPTIONS");
    ck_methods(say("/comments/%s", NOBODY_ID), "GET, HEAD, PATCH, DELETE, OPTIONS");
}

TEST(there_are_none_of_a_post_that_is_not_there)
{
    const char *path = say("/posts/%s/comments", NOBODY_ID);
    ck_problem(api_get(bob, "%s", path), POST_NOT_FOUND);
    ck_problem(api_post(bob, path, object("{'content':'c'}")), POST_NOT_FOUND);
    ck_problem(api_get(bob, "/comments/%s", NOBODY_ID), COMMENT_NOT_FOUND);
}

/* ---- versions and keys ---- */

TEST(a_change_is_for_the_version_that_it_names)
{
    const char *path = say("/comments/%s", comment_on(post, bob, "one"));
    const char *body = object("{'content':'two'}");

    ck_problem(api_ask(.method = "PATCH", .path = path, .token = bob, .body = body,
                       .param = "HTTP_IF_MATCH=\"2\""),
               PRECONDITION_FAILED);
    ck_problem(
        api_ask(.method = "DELETE", .path = path, .token = bob, .param = "HTTP_IF_MATCH=\"2\""),
        PRECONDITION_FAILED);
    ck_status(api_ask(.method = "PATCH", .path = path, .token = bob, .body = body,
                      .param = "HTTP_IF_MATCH=\"1\""),
              200);
    ck_status(api_ask(.path = path, .param = "HTTP_IF_NONE_MATCH=\"2\""), 304);
    ck_status(api_patch(bob, path, "{}"), 200); /* nothing to change */
    ck_status(
        api_ask(.method = "DELETE", .path = path, .token = bob, .param = "HTTP_IF_MATCH=\"2\""),
        204);
}

TEST(a_repeated_request_writes_once)
{
    const struct call call = {.method = "POST",
                              .path = say("/posts/%s/comments", post),
                              .token = bob,
                              .body = object("{'content':'once'}"),
                              .param = "HTTP_IDEMPOTENCY_KEY=comment-1"};
    struct answer first = loopback_ask(&call), second = loopback_ask(&call);

    ck_status(first, 201);
    ck_status(second, 201);
    ck_assert_str_eq(first.text, second.text);
    ck_rows("comments", 1);
    ck_counted();
}

TEST(a_key_is_for_one_post)
{
    struct call call = {.method = "POST",
                        .path = say("/posts/%s/comments", post),
                        .token = bob,
                        .body = object("{'content':'once'}"),
                        .param = "HTTP_IDEMPOTENCY_KEY=comment-1"};
    ck_status(loopback_ask(&call), 201);

    call.path = say("/posts/%s/comments", write_post(ada, "Another", "One more.", true));

    ck_problem(loopback_ask(&call), KEY_REUSED);
    ck_rows("comments", 1);
}

/* ---- with its draft ---- */

TEST(below_a_draft_there_is_nothing_for_others)
{
    const char *list = say("/posts/%s/comments", draft);
    const char *path = say("/comments/%s", comment_on(draft, ada, "to myself"));

    ck_problem(api_get(bob, "%s", list), POST_NOT_FOUND);
    ck_problem(api_get(NULL, "%s", list), POST_NOT_FOUND);
    ck_problem(api_post(bob, list, object("{'content':'c'}")), POST_NOT_FOUND);
    ck_problem(api_get(bob, "%s", path), COMMENT_NOT_FOUND);
    ck_problem(api_get(NULL, "%s", path), COMMENT_NOT_FOUND);
    ck_problem(api_patch(bob, path, object("{'content':'c'}")), COMMENT_NOT_FOUND);
    ck_problem(api_delete(bob, "%s", path), COMMENT_NOT_FOUND);

    ck_assert_int_eq(answer_total(api_get(ada, "%s", list)), 1);
    ck_assert_int_eq(answer_total(api_get(boss, "%s", list)), 1);
    ck_status(api_get(boss, "%s", path), 200);
    ck_status(api_post(boss, list, object("{'content':'c'}")), 201);
}

/* Whoever wrote it can still read and delete it. */
TEST(a_comment_goes_out_of_sight_with_its_post)
{
    const char *path = say("/comments/%s", comment_on(post, bob, "seen"));
    ck_status(api_get(NULL, "%s", path), 200);

    ck_status(api_patch(ada, say("/posts/%s", post), object("{'published':false}")), 200);

    ck_problem(api_get(NULL, "%s", path), COMMENT_NOT_FOUND);
    ck_status(api_get(ada, "%s", path), 200);
    ck_status(api_get(bob, "%s", path), 200);
    ck_status(api_delete(bob, "%s", path), 204);
}

/* ---- lists ---- */

static const char *walk(const char *token, const char *path, int64_t total)
{
    struct answer answer = api_get(token, "%s", path);
    ck_status(answer, 200);
    ck_assert_int_eq(answer_total(answer), total);
    const char *seen = answer_column(answer, "id");
    while (!answer_is_null(answer, "pagination.next_cursor")) {
        answer =
            api_get(token, "%s&cursor=%s", path, answer_text(answer, "pagination.next_cursor"));
        ck_status(answer, 200);
        seen = say("%s %s", seen, answer_column(answer, "id"));
    }
    return seen;
}

CASE("lists", set_up, loopback_close);

TEST(a_list_has_each_of_them_in_order_and_says_how_many)
{
    const char *ids = "", *back = "";
    for (int i = 0; i < 7; i++) {
        pass_s(1);
        const char *id = comment_on(post, i % 2 ? bob : ada, "c");
        ids = say("%s%s%s", ids, *ids ? " " : "", id);
        back = say("%s%s%s", id, *back ? " " : "", back);
        (void)comment_on(draft, ada, "not of that post");
    }

    ck_assert_str_eq(walk(NULL, say("/posts/%s/comments?limit=2", post), 7), back);
    ck_assert_str_eq(walk(NULL, say("/posts/%s/comments?limit=3&sort=created_at", post), 7), ids);
    ck_assert_int_eq(answer_total(api_get(bob, "/users/%s/comments", bob_id)), 3);
    ck_assert_int_eq(answer_total(api_get(ada, "/users/%s/comments", ada_id)), 11);
    ck_assert_str_eq(answer_text(api_get(NULL, "/posts/%s/comments", post), "data.0.etag"),
                     "\"1\"");
    ck_counted();
}

TEST(what_somebody_wrote_is_listed_for_them_and_admins)
{
    (void)comment_on(post, bob, "c");
    ck_assert_int_eq(answer_total(api_get(boss, "/users/%s/comments", bob_id)), 1);
    ck_problem(api_get(ada, "/users/%s/comments", bob_id), FORBIDDEN);
    ck_token_needed("GET", say("/users/%s/comments", bob_id), NULL);
}

TEST(totals_are_exact_while_they_are_swept)
{
    bool more = true;
    fill(post, bob_id, 300);
    for (int i = 0; i < 5; i++) {
        (void)comment_on(post, ada, "c");
        ck_counted();
        more = app_sweep(the_app, the_arena);
        ck_counted();
    }
    ck_assert(!more);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts/%s/comments", post)), 305);
}

/* ---- what that costs ---- */

/* Of the request, and not of asking for the number. */
static int64_t statements_of(const char *token, const char *path)
{
    ck_status(api_get(token, "%s", path), 200); /* prepares */
    int64_t before = status_of("Com_stmt_execute");
    ck_status(api_get(token, "%s", path), 200);
    return status_of("Com_stmt_execute") - before - 1;
}

TEST(reading_takes_few_statements)
{
    const char *id = comment_on(post, bob, "c");
    fill(post, bob_id, 1000);

    ck_assert_int_eq(statements_of(NULL, say("/comments/%s", id)), 2);
    ck_assert_int_eq(statements_of(NULL, say("/posts/%s/comments?total=false", post)), 2);
    ck_assert_int_eq(statements_of(NULL, say("/posts/%s/comments", post)), 3);
    ck_assert_int_eq(statements_of(bob, say("/users/%s/comments", bob_id)), 3); /* the caller */
}

static void read_forms(const struct list_path *path, unsigned sort)
{
    const char *owner = path->filters == 1U << OF_POST ? post : bob_id;
    struct list_scope scope = {0};
    struct list_window window = {.limit = 21, .page_reach = 1000, .search_reach = 500};
    list_filter_by(&scope, path->filters == 1U << OF_POST ? OF_POST : OF_AUTHOR,
                   db_uuid(id_of(owner)));
    read_form(&comment_list, &scope, sort, &window);
    window.offset = 150;
    read_form(&comment_list, &scope, sort, &window);
    window.offset = 0;
    window.after = true;
    window.place = (struct list_place){.time = {INT64_C(1767226000000000)}, .id = {{1}}};
    read_form(&comment_list, &scope, sort, &window);
    window.after = false;
    window.ranged = true;
    window.from = (struct instant){INT64_C(1767225600000000)};
    window.before = (struct instant){INT64_C(1767228000000000)};
    read_form(&comment_list, &scope, sort, &window);
}

TEST(every_path_goes_by_its_index_and_sorts_no_rows)
{
    fill(post, bob_id, 1500);
    fill(draft, bob_id, 500);
    fill(post, ada_id, 500);
    run_sql("ANALYZE TABLE comments");
    for (const struct list_path *path = comment_paths; path->index; path++)
        for (unsigned sort = 0; comment_list.sorts[sort]; sort++) {
            watch();
            read_forms(path, sort);
            ck_plans(&comment_list, path->index, 1);
        }
}

/* ---- gone with the post, and with the author ---- */

/* In steps as workers with time to spare make them, how many there were. */
static int sweep_all(void)
{
    int steps = 0;
    for (bool more = true; more; steps++) {
        must(departure_sweep(the_app->db, the_arena, &more));
        ck_counted();
    }
    return steps;
}

CASE("gone", set_up, loopback_close);
CASE_LIMIT_S(120);

TEST(few_go_at_once_with_their_post)
{
    const char *path = say("/comments/%s", comment_on(post, bob, "c"));
    (void)comment_on(post, ada, "c");
    (void)comment_on(draft, ada, "stays");

    ck_status(api_delete(ada, "/posts/%s", post), 204);

    ck_rows("comments", 1);
    ck_rows("leftovers", 0);
    ck_assert(!the_app->sweeps);
    ck_counted();
    ck_problem(api_get(bob, "%s", path), COMMENT_NOT_FOUND);
    ck_assert_int_eq(answer_total(api_get(bob, "/users/%s/comments", bob_id)), 0);
}

/* The post is gone for everybody with its first batch; what is left can be read by who wrote it
 * until it goes, and counts for them so long. */
TEST(many_go_bit_by_bit)
{
    fill(post, bob_id, 1200);
    fill(post, ada_id, 300);
    fill(draft, bob_id, 10);

    ck_status(api_delete(ada, "/posts/%s", post), 204);

    ck_problem(api_get(ada, "/posts/%s", post), POST_NOT_FOUND);
    ck_problem(api_get(ada, "/posts/%s/comments", post), POST_NOT_FOUND);
    ck_problem(api_post(bob, say("/posts/%s/comments", post), object("{'content':'c'}")),
               POST_NOT_FOUND);
    ck_rows("comments", 1510 - BELONGING_BATCH);
    ck_assert(the_app->sweeps);
    ck_counted();
    ck_assert_int_eq(sweep_all(), (1500 - BELONGING_BATCH) / BELONGING_BATCH + 2);
    ck_rows("comments", 10);
    ck_rows("leftovers", 0);
}

/* As another host's worker, which has it in hand. */
TEST(one_at_a_time_deletes_them)
{
    bool more = true;
    fill(post, bob_id, 1200);
    ck_status(api_delete(ada, "/posts/%s", post), 204);
    struct app *other = the_app;
    loopback_again();
    run_sql("START TRANSACTION");
    run_sql("SELECT owner INTO @ignored FROM leftovers FOR UPDATE");
    struct app *first = the_app;
    the_app = other;

    must(departure_sweep(the_app->db, the_arena, &more));

    ck_assert(!more);
    ck_rows("comments", 1200 - BELONGING_BATCH);
    must(db_run(first->db, the_arena, "ROLLBACK"));
    app_close(first);
    (void)sweep_all();
    ck_rows("comments", 0);
}

TEST(an_author_takes_along_what_was_written_and_what_is_below_it)
{
    const char *others = write_post(bob, "Bob's", "c", true);
    for (int i = 0; i < 3; i++)
        fill(write_post(ada, "one of many", "c", true), bob_id, 400);
    fill(others, ada_id, 700);
    fill(others, bob_id, 20);
    fill(post, ada_id, 30);

    ck_status(api_delete(boss, "/users/%s", ada_id), 204);

    ck_counted();
    ck_assert_int_eq(sweep_all(), (3 * (1 + 400) + 700 + 1 + 30) / BELONGING_BATCH);
    ck_rows("comments", 20);
    ck_rows("posts", 1);
    ck_rows(say("users WHERE id = '%s'", ada_id), 0);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts/%s/comments", others)), 20);
}

TEST(few_go_at_once_with_their_author)
{
    (void)comment_on(post, bob, "c");
    (void)comment_on(post, ada, "c");

    ck_status(api_delete(boss, "/users/%s", bob_id), 204);

    ck_rows("comments", 1);
    ck_rows(say("users WHERE id = '%s'", bob_id), 0);
    ck_counted();
}

/* A count that went wrong, as by an import, is set right by `postern reindex`. */
TEST(totals_can_be_counted_again)
{
    (void)comment_on(post, bob, "c");
    run_sql(say("DELETE FROM list_journal WHERE total >= 100"));

    count_again();

    ck_counted();
}

/* ---- many at once ---- */

static void comment_until_gone(int number, void *context)
{
    const char *token = number % 2 ? ada : bob;
    (void)context;
    for (int status = 201; status != 404;) {
        struct answer answer =
            api_post(token, say("/posts/%s/comments", post), object("{'content':'c'}"));
        status = answer.status;
        ck_assert_msg(status == 201 || status == 404, "%d: %s", status, answer.text);
    }
}

/* Nothing is added to a post that goes, and nothing of it stays. */
TEST(a_post_goes_while_others_comment_on_it)
{
    fill(post, bob_id, 490);
    struct parallel writers = parallel_begin(3, comment_until_gone, NULL);
    while (rows_in("comments") < 510)
        ;

    ck_status(api_delete(ada, "/posts/%s", post), 204);

    parallel_end(&writers);
    ck_counted();
    (void)sweep_all();
    ck_rows("comments", 0);
}

static const char *contended;

/* Its commit comes when somebody waits for the row. */
static struct problem *delete_contended(void *told)
{
    struct comment row;
    must(table_lock(the_app->db, the_arena, &comment_table, id_of(contended), &row));
    must(table_delete(the_app->db, the_arena, &comment_table, &row));
    ck_assert_int_eq(write(*(const int *)told, "d", 1), 1);
    while (!rows_in("information_schema.innodb_lock_waits"))
        usleep(120000); /* asked more often, the server tells what it told before */
    return NULL;
}

static void delete_aside(void *told)
{
    in_transaction(delete_contended, told);
}

TEST(what_is_deleted_while_its_post_goes_is_counted_out_once)
{
    int told[2];
    char byte;
    fill(post, bob_id, 3);
    contended = answer_text(api_get(bob, "/posts/%s/comments", post), "data.0.id");
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = run_aside(delete_aside, &told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);

    ck_status(api_delete(ada, "/posts/%s", post), 204);

    wait_for(pid);
    ck_rows("comments", 0);
    ck_counted();
}

static void comment_until_author_gone(int number, void *context)
{
    (void)context;
    for (int status = 201; status == 201;) {
        struct answer answer = api_post(number ? bob : boss, say("/posts/%s/comments", post),
                                        object("{'content':'c'}"));
        status = answer.status;
        ck_assert_msg(status == 201 || status == 404, "%d: %s", status, answer.text);
    }
}

TEST(the_author_of_a_post_goes_while_others_comment_on_it)
{
    struct parallel writers = parallel_begin(2, comment_until_author_gone, NULL);
    while (rows_in("comments") < 10)
        ;

    ck_status(api_delete(boss, "/users/%s", ada_id), 204);

    parallel_end(&writers);
    (void)sweep_all();
    ck_rows("comments", 0);
    ck_rows("posts", 0);
}

static void change_first_version(int number, void *context)
{
    (void)context;
    struct answer answer =
        api_ask(.method = "PATCH", .path = contended, .token = number % 2 ? bob : boss,
                .body = object("{'content':'by %d'}", number), .param = "HTTP_IF_MATCH=\"1\"");
    ck_assert_msg(answer.status == 200 || answer.status == 412, "%d", answer.status);
}

TEST(of_those_who_change_one_version_one_is_let)
{
    contended = say("/comments/%s", comment_on(post, bob, "c"));

    parallel(4, change_first_version, NULL);

    ck_assert_str_eq(answer_header(api_get(NULL, "%s", contended), "ETag"), "\"2\"");
}

/* ---- what a write was let in by is taken away meanwhile ---- */

static const struct {
    const char *sql;
    int status;
    const char *error, *code;
} rivals[] = {
    {"UPDATE users SET is_active = 0 WHERE id = ", USER_INACTIVE},
    {"UPDATE users SET left_at = '2026-01-01' WHERE id = ", USER_INACTIVE},
    {"DELETE FROM sessions WHERE user_id = ", INVALID_TOKEN},
};

static const char *rival_sql;
static bool held; /* the caller's row was locked when the handler was done */
static struct request last;

static const struct route *route_of(const struct request *rq)
{
    for (size_t i = 0; i < comment_resource.count; i++)
        if (strcmp(comment_resource.routes[i].operation_id, rq->route->operation_id) == 0)
            return &comment_resource.routes[i];
    ck_abort_msg("no such route");
    return NULL;
}

static void as_rival(const char *sql)
{
    struct app *app = the_app;
    loopback_again();
    run_sql(sql);
    app_close(the_app);
    the_app = app;
}

static struct problem *prepare_amid(struct app *app, struct request *rq)
{
    const struct route *route = route_of(rq);
    if (rival_sql)
        as_rival(rival_sql);
    rival_sql = NULL;
    return route->prepare ? route->prepare(app, rq) : NULL;
}

static bool is_locked(const char *user)
{
    struct app *app = the_app;
    loopback_again();
    struct problem *p = db_run(the_app->db, the_arena,
                               say("SELECT id INTO @ignored FROM users WHERE id = '%s' FOR UPDATE "
                                   "NOWAIT",
                                   user));
    bool locked = db_is_lock_timeout(p);
    app_close(the_app);
    the_app = app;
    return locked;
}

static struct problem *handle_amid(struct app *app, struct request *rq, struct response *rs)
{
    struct problem *p = route_of(rq)->handle(app, rq, rs);
    held = is_locked(bob_id);
    last = *rq;
    return p;
}

static void hook_routes(void)
{
    struct route *list = arena_array(the_arena, comment_resource.count, sizeof *list);
    const struct resource **all = arena_array(the_arena, COUNT(resources), sizeof *all);
    struct resource *hooked = arena_alloc(the_arena, sizeof *hooked);
    memcpy(list, comment_resource.routes, comment_resource.count * sizeof *list);
    for (size_t i = 0; i < comment_resource.count; i++)
        if (list[i].method != METHOD_GET) {
            list[i].prepare = prepare_amid;
            list[i].handle = handle_amid;
        }
    for (int i = 0; i < COUNT(resources); i++)
        all[i] = resources[i] == &comment_resource ? hooked : resources[i];
    *hooked = comment_resource;
    hooked->routes = list;
    the_app->router.resources = all;
}

/* $ stands for a comment of Bob's, & for the post. */
static const struct {
    const char *method, *path, *body;
} writes[] = {
    {"POST", "/posts/&/comments", "{'content':'struck'}"},
    {"PATCH", "/comments/$", "{'content':'struck'}"},
    {"DELETE", "/comments/$", NULL},
};

static struct answer write_number(int n, const char *comment)
{
    const char *path = *writes[n].path && strchr(writes[n].path, '&')
                           ? say("/posts/%s/comments", post)
                           : say("/comments/%s", comment);
    return api_ask(.method = writes[n].method, .path = path, .token = bob,
                   .body = writes[n].body ? object("%s", writes[n].body) : NULL);
}

CASE("races", set_up, loopback_close);

TEST_EACH(who_may_not_call_any_more_writes_nothing, writes)
{
    for (int i = 0; i < COUNT(rivals); i++) {
        run_sql("UPDATE users SET is_active = 1, left_at = NULL");
        bob = bearer_of("bob@example.org");
        const char *id = comment_on(post, bob, "c");
        int64_t before = rows_in("comments");
        hook_routes();
        rival_sql = say("%s'%s'", rivals[i].sql, bob_id);

        ck_problem(write_number(_i, id), rivals[i].status, rivals[i].error, rivals[i].code);

        the_app->router.resources = resources;
        ck_rows("comments", before);
        ck_rows("comments WHERE content = 'struck'", 0);
    }
}

TEST_EACH(until_it_is_committed_the_caller_stays, writes)
{
    const char *id = comment_on(post, bob, "c");
    hook_routes();

    ck_assert_int_lt(write_number(_i, id).status, 300);

    ck_assert(held);
    ck_assert(!is_locked(bob_id));
}

/* An admin's write of another's comment, who is none any more when it is made. */
TEST(who_is_no_admin_any_more_changes_nothing_of_others)
{
    const char *id = comment_on(post, ada, "c");
    run_sql(say("UPDATE users SET role = 'admin' WHERE id = '%s'", bob_id));
    for (int i = 1; i < COUNT(writes); i++) {
        hook_routes();
        rival_sql = say("UPDATE users SET role = 'user' WHERE id = '%s'", bob_id);
        ck_problem(write_number(i, id), FORBIDDEN);
        ck_rows("comments WHERE content = 'c'", 1);
    }
}

/* A write that stands is found again when its commit was in doubt, and one that does not is not. */
TEST_EACH(a_commit_in_doubt_is_resolved, writes)
{
    const char *id = comment_on(post, bob, "c");
    bool yes = false;
    hook_routes();
    ck_assert_int_lt(write_number(_i, id).status, 300);
    the_app->router.resources = resources;

    must(route_of(&last)->in_doubt(the_app, &last, &yes));
    ck_assert(yes);

    run_sql("DELETE FROM comments");
    if (last.route->method == METHOD_DELETE)
        fill(post, bob_id, 1);
    if (last.route->method == METHOD_DELETE)
        run_sql(say("UPDATE comments SET id = '%s'", id));
    must(route_of(&last)->in_doubt(the_app, &last, &yes));
    ck_assert(!yes);
}

/* ---- what the API says of itself ---- */

static const char *const operations[] = {"listCommentsOfPost", "listCommentsOfUser",
                                         "createComment",      "getComment",
                                         "updateComment",      "deleteComment"};

TEST_EACH(the_document_has_each_operation, operations)
{
    struct answer answer = api_get(NULL, "/openapi.json");
    ck_status(answer, 200);
    ck_assert_ptr_nonnull(strstr(answer.text, say("\"operationId\":\"%s\"", operations[_i])));
}

/* needs: mariadb */
/* Posts in the database: totals, search at size, locks. */
#include "fcgi-app/posts/post_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/search/build.h"
#include "tests/support/loopback.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"
#include "tests/support/torture.h"

#define WRITERS 4
#define STEPS 300

static const char *admin;

static void set_up(void)
{
    loopback_open();
    admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
}

/* ---- totals ---- */

/* Some of what a test has made, by number; NULL where nothing is. */
struct world {
    unsigned seed;
    int made;
    const char *tokens[WRITERS], *users[WRITERS];
    const char *posts[WRITERS][8];
};

static unsigned pick(struct world *w, unsigned below)
{
    return (unsigned)rand_r(&w->seed) % below;
}

static void make_writer(struct world *w, unsigned who)
{
    const char *email = say("writer%d@example.org", ++w->made);
    w->users[who] = make_user(email, pick(w, 3) == 0 ? ROLE_ADMIN : ROLE_USER);
    w->tokens[who] = bearer_of(email);
    memset(w->posts[who], 0, sizeof w->posts[who]);
}

static void drop_writer(struct world *w, unsigned who)
{
    ck_status(api_delete(admin, "/users/%s", w->users[who]), 204);
    w->users[who] = NULL;
}

static void step_with_post(struct world *w, unsigned who, const char **post_id)
{
    const char *token = pick(w, 4) ? w->tokens[who] : admin;
    if (!*post_id)
        *post_id = write_post(w->tokens[who], "T", "C", pick(w, 2));
    else if (pick(w, 3) == 0) {
        ck_status(api_delete(token, "/posts/%s", *post_id), 204);
        *post_id = NULL;
    } else {
        ck_status(api_patch(token, say("/posts/%s", *post_id),
                            pick(w, 2) ? "{\"published\":true}" : "{\"published\":false}"),
                  200);
    }
}

static void take_step(struct world *w)
{
    unsigned who = pick(w, WRITERS), what = pick(w, 20);
    if (!w->users[who])
        make_writer(w, who);
    else if (what == 0)
        drop_writer(w, who);
    else if (what == 1)
        ck_status(api_patch(admin, say("/users/%s", w->users[who]),
                            pick(w, 2) ? "{\"role\":\"admin\"}" : "{\"role\":\"user\"}"),
                  200);
    else
        step_with_post(w, who, &w->posts[who][pick(w, 8)]);
}

static void live(unsigned seed, int steps)
{
    struct world w = {.seed = seed, .made = (int)(seed % 1000) * 1000};
    for (int i = 0; i < steps; i++)
        take_step(&w);
}

CASE("totals", set_up, loopback_close);
CASE_LIMIT_S(180);

TEST(totals_are_exact_after_anything)
{
    unsigned seed = torture_seed();
    for (int i = 0; i < torture_rounds(3); i++) {
        live(seed + (unsigned)i, STEPS / 3);
        ck_kept();
    }
}

static void live_aside(int number, void *seed)
{
    live(*(unsigned *)seed + (unsigned)number, STEPS / 3);
}

TEST(totals_are_exact_after_anything_in_parallel)
{
    unsigned seed = torture_seed();

    parallel(3, live_aside, &seed);

    ck_assert_int_gt(rows_in("posts"), 0);
    ck_kept();
}

/* What is written into a user's own posts while the user is being deleted. */
static void write_until_gone(int number, void *token)
{
    (void)number;
    struct answer answer;
    do
        answer =
            api_post(token, "/posts", "{\"title\":\"T\",\"content\":\"C\",\"published\":true}");
    while (answer.status == 201);
    ck_problem(answer, USER_INACTIVE);
}

TEST(no_total_is_left_of_a_user_who_wrote_to_the_end)
{
    for (int i = 0; i < 5; i++) {
        const char *email = say("ada%d@example.org", i);
        const char *id = make_user(email, ROLE_USER);
        char *token = arena_strdup(the_arena, bearer_of(email));
        const struct parallel writers = parallel_begin(2, write_until_gone, token);
        while (rows_in("posts") < 5)
            ;

        ck_status(api_delete(admin, "/users/%s", id), 204);

        parallel_end(&writers);
        ck_rows("posts", 0);
        ck_kept();
    }
}

TEST(imported_posts_are_counted_anew)
{
    write_post(admin, "T", "C", true);
    run_sql("INSERT INTO posts (id, author_id, title, content, published) SELECT UUID(), id, "
            "'imported', 'x', seq % 3 = 0 FROM users JOIN seq_1_to_9");
    run_sql("INSERT INTO list_counts VALUES (2, '" NIL_ID "', 1, 1000)");
    run_sql("INSERT INTO list_counts VALUES (2, '" NOBODY_ID "', 1, 5)");

    count_again();

    ck_kept();
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts")), 4);
    ck_assert_int_eq(answer_total(api_get(admin, "/posts?published=false")), 6);
}

TEST(a_recount_of_nothing_is_nothing)
{
    run_sql("INSERT INTO list_journal (total, owner, kind, n) VALUES (2, '" NOBODY_ID "', 0, 7)");

    count_again();

    ck_assert_int_eq(total_kept(&post_counter, NULL, 0, 1), 0);
    ck_assert_int_eq(total_kept(&post_counter, NOBODY_ID, 0, 1), 0);
}

/* ---- finding ---- */

CASE("finding", set_up, loopback_close);
CASE_LIMIT_S(180);

TEST(what_is_not_there_is_not_found)
{
    struct post row;
    bool there = true;
    const struct problem *found = post_find(the_app->db, the_arena, id_of(NOBODY_ID), &row);
    const struct problem *locked = post_lock(the_app->db, the_arena, id_of(NOBODY_ID), &row);

    must(post_exists_locked(the_app->db, the_arena, id_of(NOBODY_ID), &there));

    ck_assert_ptr_eq(found->type, &problem_post_not_found);
    ck_assert_ptr_eq(locked->type, &problem_post_not_found);
    ck_assert(!there);
}

TEST(what_is_there_is_found)
{
    struct post row = {0};
    bool there;
    struct uuid id = id_of(write_post(admin, "Title", "Text", true));

    must(post_find(the_app->db, the_arena, id, &row));
    must(post_exists_locked(the_app->db, the_arena, id, &there));

    ck_assert(there);
    ck_assert_str_eq(row.title.data, "Title");
    ck_assert_str_eq(row.content.data, "Text");
    ck_assert(row.published);
    ck_assert_int_eq(row.created_at.us, the_time.us);
}

TEST(a_post_of_nobody_is_told_apart)
{
    const struct post orphan = {.id = uuid_make(the_time),
                                .title = TEXT("T"),
                                .content = TEXT("C"),
                                .author_id = id_of(NOBODY_ID),
                                .created_at = the_time,
                                .updated_at = the_time};

    ck_assert(db_is_violation(post_insert(the_app->db, the_arena, &orphan), "fk_posts_author"));

    ck_rows("list_journal WHERE total = 2", 0);
}

/* ---- search at size ---- */

static void import_posts(const char *content, const char *numbers)
{
    run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) SELECT "
                "UUID(), id, CONCAT_WS('-', 'number', seq DIV 100, seq MOD 100), '%s', 1, "
                "'2020-01-01' + INTERVAL seq SECOND FROM users JOIN %s",
                content, numbers));
    must(search_build(the_app->db, the_arena, &post_index, NULL));
    count_again();
}

static void ck_total(struct answer answer, int64_t total, int64_t pages, bool capped)
{
    ck_status(answer, 200);
    ck_assert_int_eq(answer_total(answer), total);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), pages);
    ck_assert_int_eq(answer_has(answer, "pagination.total_capped"), capped);
}

TEST(a_search_counts_to_1000_and_a_list_to_the_end)
{
    import_posts("a common text", "seq_1_to_1000");
    ck_total(api_get(NULL, "/posts?q=common&limit=100"), 1000, 10, false);

    import_posts("another common text", "seq_1001_to_1049");
    import_posts("another solitary common text", "seq_1050_to_1050");

    struct answer capped = api_get(NULL, "/posts?q=COMMON&limit=100");
    ck_total(capped, 1000, 10, true);
    ck_assert(answer_boolean(capped, "pagination.total_capped"));
    ck_assert_str_eq(answer_text(capped, "data.0.title"), "number-10-50");
    ck_assert_uint_eq(answer_count(api_get(NULL, "/posts?q=common&limit=100&page=10")), 100);
    ck_total(api_get(NULL, "/posts?q=common+another"), 50, 3, false);
    ck_total(api_get(NULL, "/posts?q=solitary"), 1, 1, false);
    ck_total(api_get(NULL, "/posts?limit=100"), 1050, 11, false);
    ck_assert_uint_eq(answer_count(api_get(NULL, "/posts?limit=100&page=11")), 50);
}

TEST(what_is_counted_no_more_is_read_by_cursor)
{
    import_posts("a common text", "seq_1_to_1050");
    struct answer last = api_get(NULL, "/posts?q=common&limit=100&page=10");
    ck_assert_ptr_nonnull(strstr(answer_header(last, "Link"), "?cursor="));

    struct answer more = api_get(NULL, "/posts?q=common&limit=100&cursor=%s",
                                 answer_text(last, "pagination.next_cursor"));

    ck_assert_uint_eq(answer_count(more), 50);
    struct answer beyond = api_get(NULL, "/posts?q=common&limit=100&page=11");
    ck_problem(beyond, 400, "Bad Request", "invalid");
    ck_assert_str_eq(answer_faults(beyond), "page range");
}

/* ---- versions ---- */

TEST(a_version_rises_with_each_change_and_only_then)
{
    struct post row = {0};
    const char *id = write_post(admin, "Title", "Text", true), *path = say("/posts/%s", id);

    must(post_find(the_app->db, the_arena, id_of(id), &row));
    ck_assert_int_eq(row.version, 1);
    ck_status(api_patch(admin, path, "{}"), 200);
    ck_status(api_patch(admin, path, "{\"title\":\"Other\"}"), 200);
    ck_status(api_patch(admin, path, "{\"published\":false}"), 200);

    must(post_lock(the_app->db, the_arena, id_of(id), &row));
    ck_assert_int_eq(row.version, 3);
}

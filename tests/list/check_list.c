/* needs: mariadb */
/* Lists: the way each goes through its table, and what that costs. */
#include "common/list/list.h"

#include <stdint.h>
#include <string.h>

#include "common/db/budget.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/posts/post_model.h"
#include "tests/support/people.h"
#include "tests/support/plans.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define ROWS 3000
#define REACH 500

#define LOOK_ROWS 60 /* that are read when the numbers are asked for */

static const char *ada_id, *ada;

/* Every second post is Ada's, every tenth a draft; titles and times are in no common order. */
static void set_up(void)
{
    watch_allow();
    loopback_open();
    loopback_set("PAGE_REACH=1000", "SEARCH_REACH=500");
    ada = bearer_of_new("ada@example.org", ROLE_ADMIN);
    ada_id = make_user("ada.lovelace@example.org", ROLE_USER);
    make_user("bob@example.org", ROLE_USER);
    run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) "
                "SELECT UUID(), users.id, CONCAT('title ', MOD(seq * 7919, %d)), 'some words', "
                "MOD(seq, 10) > 0, '2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_%d "
                "JOIN users ON email = IF(seq %% 2, 'ada.lovelace@example.org', 'bob@example.org')",
                ROWS, ROWS));
    run_sql(
        say("INSERT INTO users (id, email, password_hash, role, created_at) SELECT UUID(), "
            "CONCAT('u', MOD(seq * 7919, %d), '@many.test'), '', IF(seq %% 2, 'user', 'admin'), "
            "'2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_%d",
            ROWS, ROWS));
    run_sql(say("INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, "
                "expires_at) SELECT UUID(), '%s', UNHEX(SHA2(seq, 256)), '2026-01-01' + INTERVAL "
                "seq SECOND, '2026-01-01', IF(seq %% 2, '2099-01-01', '2026-01-02') "
                "FROM seq_1_to_%d",
                ada_id, ROWS));
    run_sql("ANALYZE TABLE posts, users, sessions");
    count_again();
}

/* ---- every row of every list, in every form ---- */

static struct db_arg some_value(const struct list *list, unsigned filter)
{
    const char *column = list->filters[filter].column;
    bool is_id = strlen(column) > 3 && strcmp(column + strlen(column) - 3, "_id") == 0;
    return is_id ? db_uuid(id_of(ada_id)) : db_integer(1);
}

static struct list_scope scope_of_path(const struct list *list, const struct list_path *path)
{
    struct list_scope scope = {0};
    if (list == &session_list)
        scope = session_scope(id_of(ada_id), id_of(ada_id), the_time);
    for (unsigned i = 0; i < LIST_FILTERS_MAX; i++)
        if (path->filters & 1U << i)
            list_filter_by(&scope, i, some_value(list, i));
    return scope;
}

static const struct list_place middle = {
    .time = {INT64_C(1767226000000000)}, .text = {"title 5", 7}, .id = {{1}}};
static const struct list_place middle_user = {
    .time = {INT64_C(1767226000000000)}, .text = {"u5@many.test", 12}, .id = {{1}}};

static void read_forms(const struct list *list, const struct list_path *path, unsigned sort)
{
    const struct list_scope scope = scope_of_path(list, path);
    struct list_window window = {.limit = 21, .page_reach = 1000, .search_reach = REACH};
    read_form(list, &scope, sort, &window);
    window.offset = 150;
    read_form(list, &scope, sort, &window);
    window.offset = 0;
    window.after = true;
    window.place = list == &user_list ? middle_user : middle;
    read_form(list, &scope, sort, &window);
    window.after = false;
    window.ranged = true;
    window.from = (struct instant){INT64_C(1767225600000000)};
    window.before = (struct instant){INT64_C(1767228000000000)};
    read_form(list, &scope, sort, &window);
}

static const struct list *const lists[] = {&user_list, &post_list, &session_list};

CASE("plans", set_up, loopback_close);
CASE_LIMIT_S(120);

TEST_EACH(every_path_of_every_list_goes_by_its_index_and_sorts_no_rows, lists)
{
    const struct list *list = lists[_i];
    for (const struct list_path *path = list->paths; path->index; path++)
        for (unsigned sort = 0; list->sorts[sort]; sort++) {
            if (!is_sort_of(list, sort, path))
                continue;
            watch();
            read_forms(list, path, sort);
            ck_plans(list, path->index, 1);
        }
}

/* With rows of a user who is being deleted, rows are tested one by one. */
TEST_EACH(so_does_it_while_rows_are_left_out, lists)
{
    const struct list *list = lists[_i];
    run_sql("UPDATE users SET left_at = '2026-06-01' WHERE email = 'bob@example.org'");
    run_sql("INSERT INTO user_departures (user_id, left_at) SELECT id, left_at FROM users "
            "WHERE left_at IS NOT NULL");
    for (const struct list_path *path = list->paths; path->index; path++)
        for (unsigned sort = 0; list->sorts[sort]; sort++) {
            if (!is_sort_of(list, sort, path))
                continue;
            watch();
            read_forms(list, path, sort);
            ck_plans(list, path->index, 0);
        }
}

/* ---- how many statements there are ---- */

static const struct {
    const struct list *list;
    size_t forms;
} form_counts[] = {{&user_list, 34}, {&post_list, 52}, {&session_list, 8}};

TEST_EACH(a_list_has_few_forms, form_counts)
{
    const struct list *list = form_counts[_i].list;
    watch();
    for (const struct list_path *path = list->paths; path->index; path++)
        for (unsigned sort = 0; list->sorts[sort]; sort++)
            if (is_sort_of(list, sort, path))
                read_forms(list, path, sort);

    size_t count = watched(list->table, true)->count;

    ck_assert_msg(count <= form_counts[_i].forms, "%zu forms", count);
}

/* ---- what a page costs ---- */

/* $ stands for the author's id. */
static const struct {
    const char *path;
    int64_t statements;
    int64_t rows; /* read by the server, at most */
} costs[] = {
    {"/posts", 2, 40},
    {"/posts?total=false", 1, 30},
    {"/posts?limit=100", 2, 120},
    {"/posts?sort=title", 2, 40},
    {"/posts?sort=-title&page=40", 2, 900},
    {"/posts?page=51", 2, 1100},
    {"/users/$/posts", 2, 40},
    {"/users/$/posts?sort=title", 2, 40},
    {"/users/$/posts?published=true&sort=-title", 2, 40},
    {"/posts?published=false", 2, 40},
    {"/posts?created_after=2026-01-01T00:00:10Z", 2, 2100},
    {"/posts?created_after=2026-01-01T00:49:00Z", 2, 180},
    {"/posts?created_before=2026-01-01T00:00:10Z", 2, 40},
    {"/posts?created_before=2026-01-01T00:00:10Z&sort=title", 3, 1400},
    {"/posts?created_before=2026-01-01T00:00:10Z&sort=title&page=9&total=false", 3, 1500},
    {"/users", 2, 40},
    {"/users?role=admin&sort=email", 2, 40},
    {"/users?sort=-email&page=51", 2, 1100},
    {"/users?created_after=2026-01-01T00:00:10Z", 2, 2100},
    {"/users?q=%40m&sort=email", 4, 1700},
};

static const char *with_id(const char *path)
{
    const char *mark = strchr(path, '$');
    return mark ? say("%.*s%s%s", (int)(mark - path), path, ada_id, mark + 1) : path;
}

CASE("costs", set_up, loopback_close);
CASE_LIMIT_S(120);

TEST_EACH(a_page_costs_what_it_shows, costs)
{
    const char *path = with_id(costs[_i].path);
    ck_status(api_get(ada, "%s", path), 200); /* prepares */
    int64_t rows = status_of("Handler_read%"), statements = status_of("Com_stmt_execute");

    ck_status(api_get(ada, "%s", path), 200);

    rows = status_of("Handler_read%") - rows - LOOK_ROWS;
    statements = status_of("Com_stmt_execute") - statements;
    /* Besides, the caller was found, and the numbers themselves were asked for. */
    ck_assert_msg(statements == costs[_i].statements + 3, "%lld statements", (long long)statements);
    ck_assert_msg(rows <= costs[_i].rows, "%lld rows", (long long)rows);
}

/* The index has all that is asked of those, and it must stay so when the statement runs again after
 * others of the same connection. The server counts work of its own, too, until it has done that:
 * with a page that costs more, the test never ends. */
TEST(a_deep_page_by_email_does_not_read_the_users_before_it)
{
    static const char pages[] = "Innodb_buffer_pool_read_requests";
    int64_t read;
    ck_status(api_get(ada, "/users?sort=-email&page=51"), 200); /* prepares */
    do {
        int64_t before = status_of(pages);
        ck_status(api_get(ada, "/users?sort=-email&page=51"), 200);
        read = status_of(pages) - before;
    } while (read >= 1000); /* as many as these users */
}

/* By cursor no page is dearer than the first, however far on. */
TEST(a_cursor_costs_the_same_at_any_depth)
{
    struct answer answer = api_get(ada, "/posts?page=51");
    for (int n = 0; n < 3; n++) {
        const char *cursor = answer_text(answer, "pagination.next_cursor");
        answer = api_get(ada, "/posts?cursor=%s", cursor);
        int64_t before = status_of("Handler_read%");
        answer = api_get(ada, "/posts?cursor=%s", cursor);
        ck_assert_int_le(status_of("Handler_read%") - before, 40 + LOOK_ROWS);
    }
}

/* ---- how far ---- */

static const struct {
    const char *path;
    int status;
    int64_t rows, total; /* -1: not told */
    bool capped;
} reaches[] = {
    {"/posts?page=51", 200, 20, 2700, false}, /* 1,000 rows before it */
    {"/posts?page=52", 400, 0, 0, false},
    {"/posts?page=52&total=false", 400, 0, 0, false},
    {"/posts?page=135", 400, 0, 0, false},
    {"/posts?page=136", 200, 0, 2700, false}, /* there is none */
    {"/posts?page=136&total=false", 200, 0, -1, false},
    {"/posts?page=9007199254740991", 200, 0, 2700, false},
    {"/posts?page=11&limit=100", 200, 100, 2700, false},
    {"/posts?page=12&limit=100", 400, 0, 0, false},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=50", 200, 20, 1000, true},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=51", 400, 0, 0, false},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=51&total=false", 400, 0, 0, false},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=50&total=false", 200, 20, -1, false},
    {"/posts?created_before=2026-01-01T00:10:01Z", 200, 20, 540, false},
    {"/posts?created_before=2026-01-01T00:10:01Z&page=27", 200, 20, 540, false},
    {"/posts?created_before=2026-01-01T00:10:01Z&page=28", 200, 0, 540, false},
    {"/posts?created_before=2026-01-01T00:10:01Z&page=5000", 200, 0, 540, false},
    {"/posts?created_after=2026-01-01T00:10:01Z&created_before=2026-01-01T00:10:03Z", 200, 2, 2,
     false},
    {"/posts?created_after=2026-01-01T00:10:03Z&created_before=2026-01-01T00:10:01Z", 200, 0, 0,
     false},
    {"/posts?created_after=", 400, 0, 0, false},
    {"/posts?created_after=yesterday", 400, 0, 0, false},
    {"/posts?created_after=2026-01-01", 400, 0, 0, false},
    {"/posts?total=", 400, 0, 0, false},
    {"/posts?total=maybe", 400, 0, 0, false},
    {"/posts?q=", 200, 20, 2700, false}, /* no filter */
    {"/users?q=", 200, 20, 3003, false},
    {"/users?page=52", 400, 0, 0, false},
    {"/users?page=152", 200, 0, 3003, false},
    {"/users?role=admin&page=52", 400, 0, 0, false},
    {"/users?role=admin&created_after=2026-01-01T00:49:50Z", 200, 7, 7, false},
};

TEST_EACH(numbers_reach_so_far_and_totals_say_so_much, reaches)
{
    struct answer answer = api_get(ada, "%s", reaches[_i].path);

    ck_status(answer, reaches[_i].status);
    if (reaches[_i].status == 400)
        return;
    ck_assert_int_eq((int64_t)answer_count(answer), reaches[_i].rows);
    ck_assert_int_eq(answer_has(answer, "pagination.total"), reaches[_i].total >= 0);
    ck_assert_int_eq(answer_has(answer, "pagination.pages"), reaches[_i].total >= 0);
    if (reaches[_i].total >= 0)
        ck_assert_int_eq(answer_total(answer), reaches[_i].total);
    ck_assert_int_eq(answer_has(answer, "pagination.total_capped"), reaches[_i].capped);
}

/* It is beyond what counting looks at, and within what a page does. */
TEST(a_total_is_not_less_than_what_is_shown)
{
    run_sql("UPDATE users SET first_name = 'qz' WHERE created_at = '2026-01-01' + INTERVAL 510 "
            "SECOND");

    struct answer answer = api_get(ada, "/users?q=qz");

    ck_assert_uint_eq(answer_count(answer), 1);
    ck_assert_int_eq(answer_total(answer), 1);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), 1);
    ck_assert(answer_has(answer, "pagination.total_capped"));
    ck_problem(api_get(ada, "/users?q=qz&page=2"), INVALID);
    ck_problem(api_get(ada, "/users?q=qz&page=2&total=false"), INVALID);
    ck_status(api_get(ada, "/users?q=u1&page=2&total=false"), 200);
    ck_status(api_get(ada, "/posts?created_before=2026-01-01T00:00:10Z&sort=title&page=9&"
                           "total=false"),
              200); /* past the end */
}

/* By address they come first, by time counting does not come to them. */
TEST(a_page_that_counting_would_refuse_is_led_to_by_a_cursor)
{
    run_sql("UPDATE users SET first_name = 'qz', email = CONCAT('a', email) WHERE created_at "
            "BETWEEN '2026-01-01' + INTERVAL 600 SECOND AND '2026-01-01' + INTERVAL 659 SECOND");

    struct answer answer = api_get(ada, "/users?q=qz&sort=email");

    ck_assert_uint_eq(answer_count(answer), 20);
    ck_assert_int_eq(answer_total(answer), 20);
    ck_assert_ptr_nonnull(strstr(answer_header(answer, "Link"), "?cursor="));
    ck_assert_ptr_null(strstr(answer_header(answer, "Link"), "?page=2"));
}

TEST(the_cursor_of_a_list_goes_with_its_default_spelled_out)
{
    const char *cursor = answer_text(api_get(ada, "/posts?limit=1"), "pagination.next_cursor");

    ck_status(api_get(ada, "/posts?limit=1&published=true&q=&cursor=%s", cursor), 200);
    ck_status(api_get(ada, "/posts?limit=1&published=false&cursor=%s", cursor), 400);
}

TEST(who_asks_for_too_far_a_page_is_told_of_the_cursor)
{
    struct answer answer = api_get(ada, "/posts?page=52");

    ck_assert_str_eq(answer_faults(answer), "page range");
    ck_assert_ptr_nonnull(strstr(answer.text, "cursor"));
    ck_assert_ptr_nonnull(
        strstr(answer_header(api_get(ada, "/posts?page=51"), "Link"), "?cursor="));
}

/* Where numbers end, and just before. */
static const struct {
    const char *path;
    bool by_cursor;
} nexts[] = {
    {"/posts?page=50", false},
    {"/posts?page=51", true},
    {"/posts?page=50&total=false", false},
    {"/posts?page=51&total=false", true},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=49", false},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=50", true},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=49&total=false", false},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=50&total=false", true},
    {"/posts?created_after=2000-01-01T00:00:00Z&page=50&sort=title&total=false", true},
    {"/users?q=%40m&page=49&total=false", false},
    {"/users?q=%40m&page=50&total=false", true},
};

TEST_EACH(next_leads_on_by_number_and_then_by_cursor, nexts)
{
    const char *next = answer_link(api_get(ada, "%s", nexts[_i].path), "next");

    ck_assert_ptr_nonnull(next);
    ck_assert_int_eq(strstr(next, "?cursor=") != NULL, nexts[_i].by_cursor);
    ck_status(api_get(ada, "%s", next + strlen("/api")), 200);
}

/* ---- rows that are looked through ---- */

/* All ids of a walk by next_cursor, and how many pages were not full. */
static const char *walk(const char *path, int *ret_short)
{
    struct answer answer = api_get(ada, "%s", path);
    const char *seen = answer_column(answer, "id");
    for (*ret_short = 0; !answer_is_null(answer, "pagination.next_cursor");) {
        *ret_short += answer_count(answer) < 100;
        ck_assert_ptr_nonnull(strstr(answer_header(answer, "Link"), "rel=\"next\""));
        answer = api_get(ada, "%s&cursor=%s", path, answer_text(answer, "pagination.next_cursor"));
        ck_status(answer, 200);
        const char *more = answer_column(answer, "id");
        seen = *seen && *more ? say("%s %s", seen, more) : say("%s%s", seen, more);
    }
    return seen;
}

static const char *const walks[] = {
    "/posts?limit=100&created_before=2026-01-01T00:02:00Z&sort=title",
    "/posts?limit=100&created_before=2026-01-01T00:02:00Z&sort=-title",
    "/users?limit=100&created_before=2026-01-01T00:02:00Z&sort=email",
    "/users?limit=100&role=user&created_after=2026-01-01T00:47:00Z&sort=-email",
    "/users?limit=100&q=u5&sort=email",
};

TEST_EACH(a_walk_over_rows_that_are_left_out_misses_none, walks)
{
    int short_pages, none;
    const char *seen = walk(walks[_i], &short_pages);
    loopback_set("SEARCH_REACH=1000000");

    const char *whole = walk(walks[_i], &none);

    ck_assert_str_eq(seen, whole);
    ck_assert_uint_gt(strlen(whole), 37 * 20);
    ck_assert_int_ge(short_pages, 2); /* each looked at some 500 rows */
    ck_assert_int_le(none, 1);
}

/* ---- a step that is read twice ---- */

static void keep_email(void *context, const void *row)
{
    const char **emails = context;
    const struct user *user = row;
    *emails = say("%s %s", *emails, user->email.data);
}

static void forget_emails(void *context)
{
    *(const char **)context = "";
}

static const char *emails_with_u5(const struct list *list)
{
    const char *emails = "";
    struct list_query query = {.q = TEXT("u5")};
    const struct list_scope scope = {0};
    const struct list_window window = {.limit = 101, .search_reach = ROWS};
    const struct list_taker taker = {keep_email, forget_emails, &emails};
    struct list_total total;
    while (strcmp(list->sorts[query.sort], "email") != 0)
        query.sort++;
    must(list_read(the_app->db, the_arena, list, &query, &scope, &window, &taker, &total));
    budget_end(the_app->db);
    return emails;
}

/* Of the users, with one near the end of a step who takes longer than a first try may. */
static struct list slow_users(void)
{
    struct list list = user_list;
    const char *at = strstr(list.columns, "users.first_name");
    ck_assert_ptr_nonnull(at);
    list.columns = say("%.*sIF(email = 'u699@many.test' AND SLEEP(0.6), NULL, first_name) AS %s",
                       (int)(at - list.columns), list.columns, strstr(at, "first_name"));
    return list;
}

TEST(a_step_that_is_read_twice_begins_where_it_began)
{
    const struct list slow = slow_users();
    const char *emails = emails_with_u5(&user_list);
    ck_assert_uint_gt(strlen(emails), 100 * strlen(" u5@many.test"));

    ck_assert_str_eq(emails_with_u5(&slow), emails);
}

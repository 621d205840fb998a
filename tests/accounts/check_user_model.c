/* needs: mariadb */
/* Users in the database: search at size, totals, locks. */
#include "fcgi-app/accounts/user_model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/db/budget.h"
#include "common/search/build.h"
#include "tests/support/loopback.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

static const char *token;

static void set_up(void)
{
    loopback_open();
    token = bearer_of_new("reader@example.org", ROLE_USER);
}

/* ---- finding ---- */

static const struct {
    const char *email;
    bool found;
} addresses[] = {
    {"Ada@example.org", true},
    {"ada@EXAMPLE.ORG", true},
    {"ada@example.org ", false},
    {" ada@example.org", false},
    {"\303\241da@example.org", false},
    {"ad\304\261@example.org", false},
    {"", false},
    {"%", false},
    {"' OR 1 = 1 -- ", false},
};

CASE("finding", set_up, loopback_close);
CASE_LIMIT_S(180);

TEST_EACH(an_address_is_found_in_any_case_and_only_exactly, addresses)
{
    struct user user = {0};
    bool found;
    make_user("Ada@example.org", ROLE_USER);

    must(user_find_by_email(the_app->db, the_arena, text_of(addresses[_i].email), &user, &found));

    ck_assert_int_eq(found, addresses[_i].found);
    if (found)
        ck_assert_int_eq(strncmp(user.password_hash.data, "$argon2id$", 10), 0);
}

TEST(a_long_address_is_not_looked_for)
{
    struct user user;
    bool found = true;

    must(user_find_by_email(the_app->db, the_arena, text_of(repeat("a", 100000)), &user, &found));

    ck_assert(!found);
}

TEST(a_hash_is_not_read_unless_asked_for)
{
    struct user user = {0};

    must(user_find(the_app->db, the_arena, id_of(make_user("ada@example.org", ROLE_USER)), &user));

    ck_assert_ptr_null(user.password_hash.data);
    ck_assert_str_eq(user.email.data, "ada@example.org");
}

TEST(who_is_there_is_there)
{
    bool there;
    must(user_exists_locked(the_app->db, the_arena, id_of(NOBODY_ID), &there));
    ck_assert(!there);

    must(user_exists_locked(the_app->db, the_arena, id_of(make_user("ada@example.org", ROLE_USER)),
                            &there));

    ck_assert(there);
}

TEST(a_hash_is_replaced_only_where_it_is_the_one_that_was_seen)
{
    struct user user = {0}, after = {0};
    bool done = true;
    struct uuid id = id_of(make_user("ada@example.org", ROLE_USER));
    must(user_find_with_hash(the_app->db, the_arena, id, &user));

    must(user_replace_hash(the_app->db, the_arena, id, TEXT("another"), TEXT("new"), &done));
    ck_assert(!done);
    must(user_replace_hash(the_app->db, the_arena, id, user.password_hash, TEXT("new"), &done));
    ck_assert(done);

    must(user_find_with_hash(the_app->db, the_arena, id, &after));
    ck_assert_str_eq(after.password_hash.data, "new");
    ck_assert_int_eq(after.version, user.version); /* nothing that is shown has changed */
    ck_assert_int_eq(after.updated_at.us, user.updated_at.us);
}

/* ---- search at size ---- */

static void index_all(void)
{
    must(search_build(the_app->db, the_arena, &user_index, NULL));
}

/* Copies of the user "Common", as many as given, all older or newer than everybody else. */
static void multiply(size_t copies, const char *created_at)
{
    make_user("c@common.test", ROLE_USER);
    run_sql(say("UPDATE users SET first_name = 'Common', created_at = '%s' "
                "WHERE email = 'c@common.test'",
                created_at));
    run_sql(say("INSERT INTO users (id, email, password_hash, first_name, created_at) SELECT "
                "UUID(), CONCAT('c', seq, '@common.test'), '', first_name, '%s' + INTERVAL seq "
                "SECOND FROM users JOIN seq_1_to_%zu WHERE email = 'c@common.test'",
                created_at, copies - 1));
    index_all();
    count_again();
}

static struct answer search(const char *query)
{
    struct answer answer = api_get(token, "/users?%s", query);
    ck_status(answer, 200);
    return answer;
}

static void ck_total(struct answer answer, int64_t total, int64_t number_of_pages, bool capped)
{
    ck_assert_int_eq(answer_total(answer), total);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), number_of_pages);
    ck_assert_int_eq(answer_has(answer, "pagination.total_capped"), capped);
    if (capped)
        ck_assert(answer_boolean(answer, "pagination.total_capped"));
}

static const char *const ages[] = {"2090-01-01", "2001-01-01"};

CASE("searching", set_up, loopback_close);
CASE_LIMIT_S(180);

TEST_EACH(a_search_counts_to_1000, ages)
{
    multiply(1000, ages[_i]);
    if (_i == 1)
        run_sql("INSERT INTO users (id, email, password_hash, created_at) SELECT UUID(), "
                "CONCAT('o', seq, '@other.test'), '', '2091-01-01' FROM seq_1_to_1000");
    ck_total(search("q=COMMON&limit=100"), 1000, 10, false);

    run_sql("INSERT INTO users (id, email, password_hash, first_name, created_at) SELECT UUID(), "
            "'last@x.test', '', first_name, created_at FROM users WHERE email = 'c7@common.test'");
    index_all();

    struct answer capped = search("q=common&limit=100");
    ck_total(capped, 1000, 10, true);
    ck_assert_uint_eq(answer_count(capped), 100);
    ck_total(search("q=common&role=user&sort=-email"), 1000, 50, true);
    ck_total(search("q=common&role=admin"), 0, 0, false);
    ck_total(search("q=co"), 1000, 50, true); /* too short for the word index */
}

TEST(frequent_and_rare_words_are_counted_exactly)
{
    multiply(900, "2090-01-01");

    ck_total(search("q=common.test"), 900, 45, false);
    ck_total(search("q=C899%40"), 1, 1, false);
    ck_total(search("q=899"), 1, 1, false);
    ck_total(search("q=c89"), 11, 1, false);
    ck_total(search("q=ommo"), 900, 45, false);
    ck_assert_str_eq(answer_column(search("q=c89&sort=-email&limit=2"), "email"),
                     "c89@common.test c899@common.test");
}

TEST(a_list_without_a_search_is_never_capped)
{
    multiply(10050, "2090-01-01");

    ck_total(api_get(token, "/users?limit=100"), 10051, 101, false);
    ck_total(api_get(token, "/users?role=user&limit=100&page=101"), 10051, 101, false);
    ck_assert_uint_eq(answer_count(api_get(token, "/users?limit=100&page=101")), 51);
}

/* ---- totals ---- */

CASE("totals and locks", set_up, loopback_close);
CASE_LIMIT_S(180);

TEST(imported_rows_are_counted_and_found_after_a_reindex)
{
    run_sql("INSERT INTO users (id, email, password_hash, first_name, role) VALUES "
            "(UUID(), 'One@import.test', '', '\303\204RGER', 'user'), "
            "(UUID(), 'Two@import.test', '', NULL, 'admin')");
    run_sql("INSERT INTO list_counts VALUES (1, '" NIL_ID "', 0, 99)");

    index_all();
    count_again();

    ck_total(search(""), 3, 1, false);
    ck_total(search("role=admin"), 1, 1, false);
    ck_assert_str_eq(answer_column(search("q=%C3%A4rger"), "email"), "One@import.test");
    ck_assert_str_eq(answer_column(search("q=TWO%40"), "email"), "Two@import.test");
}

TEST(a_recount_leaves_nothing_of_a_role_that_nobody_has)
{
    run_sql("INSERT INTO list_counts VALUES (1, '" NIL_ID "', 0, 7), (1, '" NIL_ID "', 1, 7)");

    count_again();

    ck_assert_int_eq(total_kept(&user_counter, NULL, ROLE_ADMIN, ROLE_ADMIN), 0);
    ck_assert_int_eq(total_kept(&user_counter, NULL, ROLE_USER, ROLE_USER), 1);
}

/* ---- locks ---- */

static void ck_other_admins(const char *id, bool expected)
{
    bool any = !expected;
    must(user_lock_other_admins(the_app->db, the_arena, id_of(id), &any));
    ck_assert_int_eq(any, expected);
}

TEST(other_admins_are_the_active_ones)
{
    const char *first = make_user("first@example.org", ROLE_ADMIN);
    ck_other_admins(first, false);
    ck_other_admins(NOBODY_ID, true);

    const char *second = make_user("second@example.org", ROLE_ADMIN);
    ck_other_admins(first, true);
    run_sql("UPDATE users SET is_active = 0 WHERE email = 'second@example.org'");

    ck_other_admins(first, false);
    ck_other_admins(second, true);
}

/* A transaction that holds an admin, and then wants the other, whom the first one's deletion
 * holds. */
struct rival {
    const char *user, *admin;
    int ready_fd;
};

static struct problem *lock_both(void *context)
{
    const struct rival *rival = context;
    struct user row;
    /* Who has written most is not the one whom InnoDB rolls back. */
    struct problem *p = db_run(the_app->db, the_arena,
                               "INSERT INTO list_counts (total, owner, kind, n) "
                               "SELECT 200, UUID(), 0, 0 FROM seq_1_to_500");
    if (!p)
        p = user_lock(the_app->db, the_arena, id_of(rival->user), &row);
    ck_assert_int_eq(write(rival->ready_fd, "r", 1), 1);
    while (!p && !somebody_waits()) /* the deletion does, then */
        continue;
    return p ? p : user_lock(the_app->db, the_arena, id_of(rival->admin), &row);
}

static void oppose(void *context)
{
    in_transaction(lock_both, context);
}

TEST(a_deletion_that_meets_a_deadlock_is_tried_again)
{
    int pipe_fds[2];
    char byte;
    const char *admin = make_user("admin@example.org", ROLE_ADMIN);
    const char *admin_token = bearer_of("admin@example.org");
    struct rival rival = {.user = make_user("ada@example.org", ROLE_ADMIN), .admin = admin};
    int64_t before =
        ask_number("SELECT CAST(variable_value AS INTEGER) AS n FROM "
                   "information_schema.global_status WHERE variable_name = 'Innodb_deadlocks'");
    ck_assert_int_eq(pipe(pipe_fds), 0);
    rival.ready_fd = pipe_fds[1];
    pid_t pid = run_aside(oppose, &rival);
    ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);

    struct answer answer = api_delete(admin_token, "/users/%s", rival.user);

    wait_for(pid);
    ck_status(answer, 204);
    ck_assert_int_gt(
        ask_number("SELECT CAST(variable_value AS INTEGER) AS n FROM "
                   "information_schema.global_status WHERE variable_name = 'Innodb_deadlocks'"),
        before);
    ck_assert_int_eq(total_kept(&user_counter, NULL, ROLE_USER, ROLE_ADMIN), 2);
}

static void make_many(int number, void *context)
{
    (void)context;
    for (int i = 0; i < 50; i++)
        make_user(say("p%d-%d@example.org", number, i), i % 5 ? ROLE_USER : ROLE_ADMIN);
}

TEST(totals_hold_while_others_write_and_one_counts_anew)
{
    const struct parallel makers = parallel_begin(3, make_many, NULL);

    for (int i = 0; i < 20; i++) {
        ck_status(api_get(token, "/users"), 200);
        count_again();
    }

    parallel_end(&makers);
    ck_total(search(""), 151, 8, false);
    ck_total(search("role=admin"), 30, 2, false);
}

/* ---- slow lists ---- */

static void see_user(void *context, const void *user)
{
    (void)user;
    ++*(int *)context;
}

static void forget_users(void *context)
{
    *(int *)context = 0;
}

static struct problem *page_of(const char *q, const char *role, int *ret_users)
{
    const struct list_query query = {.q = text_of(q), .total = true};
    const struct list_window window = {.limit = 20, .page_reach = 1000, .search_reach = 1000};
    const struct list_taker taker = {see_user, forget_users, ret_users};
    struct list_scope scope = {0};
    struct list_total total;
    *ret_users = 0;
    if (role)
        list_filter_by(&scope, USER_ROLE, db_integer(ROLE_ADMIN));
    return list_read(the_app->db, the_arena, &user_list, &query, &scope, &window, &taker, &total);
}

static const struct {
    const char *q, *role;
    int users;
} user_lists[] = {{"", NULL, 2}, {"", "admin", 1}, {"ad", NULL, 2}, {"ada@", NULL, 1}};

CASE("slow lists", set_up, loopback_close);

/* As those of posts are, which are asked for over HTTP: who asks for users is looked up in the
 * table that is locked. */
TEST_EACH(a_list_of_users_that_takes_too_long_is_refused, user_lists)
{
    struct db *locker;
    int users;
    make_user("ada@example.org", ROLE_ADMIN);
    loopback_set("LIST_BUDGET_MS=50");
    must(db_open(the_arena, getenv("DATABASE_URL"), &locker));
    must(db_run(locker, the_arena, "LOCK TABLES users WRITE"));

    struct problem *p = page_of(user_lists[_i].q, user_lists[_i].role, &users);
    db_close(locker);

    ck_assert(p && p->type == &problem_unavailable);
    ck_assert_ptr_nonnull(strstr(p->message, "narrow the search"));
    do {
        budget_end(the_app->db);
        p = page_of(user_lists[_i].q, user_lists[_i].role, &users);
    } while (p && p->type == &problem_unavailable); /* the lock takes its time to go */
    must(p);
    ck_assert_int_eq(users, user_lists[_i].users);
}

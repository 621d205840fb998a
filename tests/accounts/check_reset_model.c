/* needs: mariadb */
/* Tokens for who forgot a password, in the database. */
#include "tests/support/loopback.h"

#include "common/base/problem.h"
#include "fcgi-app/accounts/reset_model.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define HOUR_S 3600

static struct uuid ada, bob;
static const unsigned char first[32] = {1}, second[32] = {2}, unknown[32] = {0};

static void set_up(void)
{
    loopback_open();
    ada = id_of(make_user("Ada@example.org", ROLE_USER));
    bob = id_of(make_user("bob@example.org", ROLE_USER));
}

static struct instant in_s(int64_t seconds)
{
    return instant_plus_s(the_time, seconds);
}

static void insert(const unsigned char hash[32], struct uuid user, int64_t seconds)
{
    must(reset_insert(the_app->db, the_arena, hash, user, in_s(seconds)));
}

static bool is_good(const unsigned char hash[32], int64_t seconds)
{
    struct user user = {0};
    bool found;
    must(reset_find(the_app->db, the_arena, hash, in_s(seconds), &user, &found));
    return found;
}

static bool use(const unsigned char hash[32], int64_t seconds)
{
    bool used;
    must(reset_use(the_app->db, the_arena, hash, in_s(seconds), &used));
    return used;
}

static int64_t rows(void)
{
    return rows_in("password_resets");
}

CASE("resets", set_up, loopback_close);

TEST(a_token_leads_to_its_user)
{
    struct user user = {0};
    bool found = false;
    insert(first, ada, HOUR_S);
    insert(second, bob, HOUR_S);

    must(reset_find(the_app->db, the_arena, first, the_time, &user, &found));

    ck_assert(found);
    ck_assert(uuid_equal(&user.id, &ada));
    ck_assert_str_eq(user.email.data, "Ada@example.org");
}

TEST(an_unknown_token_leads_nowhere)
{
    insert(first, ada, HOUR_S);

    ck_assert(!is_good(unknown, 0));
    ck_assert(!use(unknown, 0));
    ck_assert_int_eq(rows(), 1);
}

TEST(a_token_is_good_until_its_time)
{
    insert(first, ada, HOUR_S);

    ck_assert(is_good(first, HOUR_S - 1));
    ck_assert(!is_good(first, HOUR_S));
    ck_assert(!use(first, HOUR_S));
    ck_assert(use(first, HOUR_S - 1));
}

/* A clock that is set back gives nobody more than the hour. */
TEST(a_token_is_good_for_no_longer_than_an_hour)
{
    insert(first, ada, HOUR_S);

    ck_assert(is_good(first, -5)); /* by so much another host may be behind */
    ck_assert(!is_good(first, -6));
    ck_assert(!use(first, -6));
    must(reset_purge(the_app->db, the_arena, in_s(-6)));
    ck_assert_int_eq(rows(), 0);
}

TEST(looking_does_not_use_a_token_up_and_using_does)
{
    insert(first, ada, HOUR_S);
    ck_assert(is_good(first, 0));
    ck_assert(is_good(first, 0));

    ck_assert(use(first, 0));

    ck_assert(!use(first, 0));
    ck_assert(!is_good(first, 0));
}

TEST(a_token_is_of_no_use_to_a_disabled_user)
{
    insert(first, ada, HOUR_S);

    run_sql("UPDATE users SET is_active = 0 WHERE email = 'Ada@example.org'");

    ck_assert(!is_good(first, 0));
}

TEST(all_tokens_of_a_user_are_forgotten_and_no_others)
{
    static const unsigned char third[32] = {3};
    insert(first, ada, HOUR_S);
    insert(second, ada, HOUR_S);
    insert(third, bob, HOUR_S);

    must(reset_delete_all(the_app->db, the_arena, ada));

    ck_assert_int_eq(rows(), 1);
    ck_assert(is_good(third, 0));
}

/* On another node of a cluster, which does not see that the user is locked: see turn.h. */
static int64_t turn_of_user(void)
{
    return ask_number("SELECT CAST(COALESCE(SUM(n), 0) AS INTEGER) AS n FROM list_counts "
                      "WHERE total = 0 AND kind >= 64");
}

TEST(who_stores_a_token_meets_who_forgets_all_of_the_user)
{
    int64_t before = turn_of_user();

    insert(first, ada, HOUR_S);
    ck_assert_int_eq(turn_of_user(), before + 1);

    must(reset_delete_all(the_app->db, the_arena, ada));
    ck_assert_int_eq(turn_of_user(), before + 2);
}

TEST(tokens_go_with_their_user)
{
    insert(first, ada, HOUR_S);
    insert(second, bob, HOUR_S);

    run_sql("DELETE FROM users WHERE email = 'Ada@example.org'");

    ck_assert_int_eq(rows(), 1);
    ck_assert(is_good(second, 0));
}

TEST(a_user_who_is_gone_gets_no_token)
{
    struct problem *p = reset_insert(the_app->db, the_arena, first, id_of(NOBODY_ID), in_s(HOUR_S));

    ck_assert(db_is_violation(p, "fk_password_resets_user"));
    ck_assert_int_eq(rows(), 0);
}

TEST(a_few_tokens_that_have_expired_are_purged_at_a_time)
{
    for (int i = 0; i < 8; i++)
        insert((const unsigned char[32]){10, (unsigned char)i}, ada, i);
    insert(first, bob, HOUR_S);

    must(reset_purge(the_app->db, the_arena, in_s(7)));
    ck_assert_int_eq(rows(), 4);
    ck_assert(is_good((const unsigned char[32]){10, 5}, 4)); /* the oldest went first */
    must(reset_purge(the_app->db, the_arena, in_s(7)));
    must(reset_purge(the_app->db, the_arena, in_s(7)));

    ck_assert_int_eq(rows(), 1);
    ck_assert(is_good(first, 7));
}

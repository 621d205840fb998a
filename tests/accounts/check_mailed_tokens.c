/* needs: mariadb */
/* Tokens that come by mail, in the database: the rules of each kind. */
#include "tests/support/loopback.h"

#include <string.h>

#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "fcgi-app/accounts/mailed_tokens.h"
#include "tests/support/people.h"
#include "tests/support/plans.h"
#include "tests/support/suite.h"

#define HOUR_S 3600
#define DAY_S (24 * HOUR_S)
#define ALL_KINDS ((1U << MAILED_KINDS) - 1)
#define ADDRESS "Ada@example.org"

static struct uuid ada, bob;

static void set_up(void)
{
    loopback_open();
    ada = id_of(make_user(ADDRESS, ROLE_USER));
    bob = id_of(make_user("bob@example.org", ROLE_USER));
}

static struct instant in_s(int64_t seconds)
{
    return instant_plus_s(the_time, seconds);
}

/* Mail a token, whose text is `word`. */
static struct mailed_token give_at(const char *word, enum mailed_kind kind, struct uuid user,
                                   const char *address, int64_t after_s)
{
    unsigned char hash[32];
    const struct mailed_token token = {.id = uuid_make(the_time),
                                       .kind = kind,
                                       .user_id = user,
                                       .address = text_of(address),
                                       .expires_at = in_s(after_s + mailed_rules[kind].ttl_s)};
    sha256(word, strlen(word), hash);
    must(mailed_insert(the_app->db, the_arena, &token, hash));
    return token;
}

static struct mailed_token give(const char *word, enum mailed_kind kind, struct uuid user)
{
    return give_at(word, kind, user, ADDRESS, 0);
}

static bool find(const char *word, unsigned kinds, int64_t seconds, struct mailed_token *ret)
{
    bool found;
    must(mailed_find(the_app->db, the_arena, text_of(word), kinds, in_s(seconds), ret, &found));
    return found;
}

static bool is_good(const char *word, int64_t seconds)
{
    struct mailed_token token;
    return find(word, ALL_KINDS, seconds, &token);
}

static bool use(const struct mailed_token *token)
{
    bool used;
    must(mailed_use(the_app->db, the_arena, token, &used));
    return used;
}

static bool keeps(const char *address, struct uuid user, int64_t seconds)
{
    bool yes;
    must(mailed_keeps(the_app->db, the_arena, text_of(address), user, in_s(seconds), &yes));
    return yes;
}

static int64_t rows(void)
{
    return rows_in("mailed_tokens");
}

CASE("finding", set_up, loopback_close);

TEST(a_token_leads_to_what_it_is_for)
{
    struct mailed_token token;
    give("first", MAILED_RESET, ada);
    give_at("second", MAILED_CHANGE, bob, "robert@example.org", 0);

    ck_assert(find("second", MAILED(CHANGE) | MAILED(VERIFY), 0, &token));

    ck_assert_uint_eq(token.kind, MAILED_CHANGE);
    ck_assert(uuid_equal(&token.user_id, &bob));
    ck_assert_str_eq(token.address.data, "robert@example.org");
}

TEST(a_token_is_of_no_use_for_what_another_is_for)
{
    struct mailed_token token;
    give("first", MAILED_VERIFY, ada);

    ck_assert(!find("first", ALL_KINDS & ~MAILED(VERIFY), 0, &token));
    ck_assert(!is_good("second", 0));
    ck_assert(!is_good("", 0));
}

static const struct {
    enum mailed_kind kind;
    int64_t ttl_s;
} lives[] = {{MAILED_RESET, HOUR_S},   {MAILED_INVITE, 7 * DAY_S}, {MAILED_VERIFY, DAY_S},
             {MAILED_REGISTER, DAY_S}, {MAILED_CHANGE, HOUR_S},    {MAILED_UNDO, 3 * DAY_S}};

TEST_EACH(a_token_is_good_until_its_time, lives)
{
    give("first", lives[_i].kind, ada);

    ck_assert(is_good("first", lives[_i].ttl_s - 1));
    ck_assert(!is_good("first", lives[_i].ttl_s));
}

/* A clock that is set back gives nobody more. */
TEST_EACH(a_token_is_good_for_no_longer_than_that, lives)
{
    give("first", lives[_i].kind, ada);

    ck_assert(is_good("first", -5)); /* by so much another host may be behind */
    ck_assert(!is_good("first", -6));
}

TEST(nobodys_token_is_good_for_nothing_that_is_asked)
{
    struct mailed_token token;
    give("first", MAILED_NOBODY, ada);

    ck_assert(!find("first", ALL_KINDS & ~MAILED(NOBODY), 0, &token));
}

TEST(looking_does_not_use_a_token_up_and_using_does)
{
    struct mailed_token token = give("first", MAILED_RESET, ada);
    ck_assert(is_good("first", 0));
    ck_assert(is_good("first", 0));

    ck_assert(use(&token));

    ck_assert(!use(&token));
    ck_assert(!is_good("first", 0));
}

/* ---- whom it suits ---- */

static const struct {
    enum mailed_kind kind;
    const char *email, *pending;
    int64_t pending_s;
    bool is_active, suits;
} states[] = {
    {MAILED_RESET, ADDRESS, NULL, 0, true, true},
    {MAILED_RESET, "ADA@EXAMPLE.ORG", NULL, 0, true, true},
    {MAILED_RESET, "another@example.org", ADDRESS, HOUR_S, true, false},
    {MAILED_RESET, ADDRESS, NULL, 0, false, false},
    {MAILED_INVITE, "another@example.org", NULL, 0, true, false},
    {MAILED_VERIFY, ADDRESS, NULL, 0, true, true},
    {MAILED_VERIFY, "another@example.org", NULL, 0, true, false},
    {MAILED_VERIFY, ADDRESS, NULL, 0, false, false},
    {MAILED_CHANGE, "another@example.org", ADDRESS, HOUR_S, true, true},
    {MAILED_CHANGE, "another@example.org", "ADA@example.org", HOUR_S, true, true},
    {MAILED_CHANGE, "another@example.org", "third@example.org", HOUR_S, true, false},
    {MAILED_CHANGE, "another@example.org", NULL, 0, true, false},
    {MAILED_CHANGE, "another@example.org", ADDRESS, 0, true, false},
    {MAILED_CHANGE, ADDRESS, NULL, 0, true, false},
    {MAILED_CHANGE, "another@example.org", ADDRESS, HOUR_S, false, false},
    {MAILED_UNDO, "another@example.org", NULL, 0, true, true},
    {MAILED_UNDO, "another@example.org", NULL, 0, false, true},
};

TEST_EACH(a_token_suits_whom_it_was_mailed_to_as_they_are, states)
{
    const struct mailed_token token = {.kind = states[_i].kind, .address = TEXT(ADDRESS)};
    const struct user user = {.email = text_of(states[_i].email),
                              .pending_email = text_of(states[_i].pending),
                              .pending_until = in_s(states[_i].pending_s),
                              .is_active = states[_i].is_active};

    ck_assert(mailed_suits(the_arena, &token, &user, the_time) == states[_i].suits);
}

/* ---- what voids what ---- */

TEST(tokens_of_a_kind_are_good_beside_each_other_until_one_is_used)
{
    give("first", MAILED_VERIFY, ada);
    struct mailed_token second = give("second", MAILED_VERIFY, ada);
    give("another", MAILED_RESET, ada);
    give("bob's", MAILED_VERIFY, bob);
    ck_assert(is_good("first", 0));

    ck_assert(use(&second));

    ck_assert(!is_good("first", 0));
    ck_assert(is_good("another", 0));
    ck_assert(is_good("bob's", 0));
}

TEST(all_tokens_of_a_user_but_undos_are_voided_and_nobody_elses)
{
    for (int kind = 0; kind < MAILED_KINDS; kind++) {
        give(say("hers %d", kind), kind, ada);
        give(say("his %d", kind), kind, bob);
    }

    must(mailed_void(the_app->db, the_arena, ada));

    for (int kind = 0; kind < MAILED_KINDS; kind++) {
        ck_assert(is_good(say("hers %d", kind), 0) == (kind == MAILED_UNDO));
        ck_assert(mailed_rules[kind].outlives_others == (kind == MAILED_UNDO));
        ck_assert(is_good(say("his %d", kind), 0));
    }
}

static struct mailed_token give_undo(const char *word, const char *address, int64_t sequence)
{
    struct mailed_token token = give_at(word, MAILED_UNDO, ada, address, 0);
    run_sql(say("UPDATE mailed_tokens SET sequence = %lld WHERE hash = UNHEX(SHA2('%s', 256))",
                (long long)sequence, word));
    token.sequence = sequence;
    return token;
}

TEST(an_undo_voids_those_of_later_changes_alone)
{
    give_undo("first", "a@example.org", 3);
    struct mailed_token second = give_undo("second", "b@example.org", 5);
    give_undo("third", "c@example.org", 9);

    ck_assert(use(&second));
    must(mailed_void_later(the_app->db, the_arena, &second));

    ck_assert(is_good("first", 0));
    ck_assert(!is_good("third", 0));
}

/* On another node of a cluster, which does not see that the user is locked: see turn.h. */
static int64_t turn_of_user(void)
{
    return ask_number("SELECT CAST(COALESCE(SUM(n), 0) AS INTEGER) AS n FROM list_counts "
                      "WHERE total = 0 AND kind >= 64");
}

TEST(who_stores_a_token_meets_who_voids_all_of_the_user)
{
    int64_t before = turn_of_user();

    give("first", MAILED_RESET, ada);
    ck_assert_int_eq(turn_of_user(), before + 1);

    must(mailed_void(the_app->db, the_arena, ada));
    ck_assert_int_eq(turn_of_user(), before + 2);
}

/* ---- what an undo keeps ---- */

TEST(an_undo_keeps_its_address_for_its_user_until_it_expires)
{
    give_undo("first", "Former@example.org", 3);

    ck_assert(keeps("former@EXAMPLE.org", bob, 3 * DAY_S - 1));
    ck_assert(!keeps("former@example.org", ada, 0));
    ck_assert(!keeps("former@example.org", bob, 3 * DAY_S));
    ck_assert(!keeps("another@example.org", bob, 0));
}

TEST(an_undo_that_is_used_or_voided_keeps_nothing)
{
    struct mailed_token first = give_undo("first", "a@example.org", 3);
    give_undo("second", "b@example.org", 5);

    ck_assert(use(&first));
    must(mailed_void_later(the_app->db, the_arena, &first));

    ck_assert(!keeps("a@example.org", bob, 0));
    ck_assert(!keeps("b@example.org", bob, 0));
}

TEST(no_other_token_keeps_an_address)
{
    for (int kind = 0; kind < MAILED_UNDO; kind++)
        give(say("%d", kind), kind, ada);

    ck_assert(!keeps(ADDRESS, bob, 0));
}

/* ---- deleting ---- */

TEST(what_keeps_an_address_stays_when_its_user_goes)
{
    uint64_t deleted;
    give("first", MAILED_RESET, ada);
    give("second", MAILED_VERIFY, ada);
    give("third", MAILED_VERIFY, bob);
    give_undo("undo", "former@example.org", 3);

    must(mailed_delete_some(the_app->db, the_arena, ada, 1, &deleted));
    ck_assert_uint_eq(deleted, 1);
    must(mailed_delete_some(the_app->db, the_arena, ada, 10, &deleted));
    ck_assert_uint_eq(deleted, 1);

    ck_assert_int_eq(rows(), 2);
    ck_assert(is_good("third", 0));
    ck_assert(keeps("former@example.org", bob, 0));
}

TEST(a_few_tokens_that_have_expired_are_purged_at_a_time)
{
    for (int i = 0; i < 8; i++)
        give_at(say("%d", i), MAILED_RESET, ada, ADDRESS, i);
    give_at("last", MAILED_RESET, bob, ADDRESS, HOUR_S);

    must(mailed_purge(the_app->db, the_arena, in_s(HOUR_S + 7)));
    ck_assert_int_eq(rows(), 4);
    ck_assert(is_good("5", HOUR_S + 4)); /* the oldest went first */
    must(mailed_purge(the_app->db, the_arena, in_s(HOUR_S + 7)));
    must(mailed_purge(the_app->db, the_arena, in_s(HOUR_S + 7)));

    ck_assert_int_eq(rows(), 1);
    ck_assert(is_good("last", HOUR_S + 7));
}

TEST(tokens_of_a_clock_that_was_ahead_are_purged)
{
    give_at("first", MAILED_INVITE, ada, ADDRESS, 60);

    must(mailed_purge(the_app->db, the_arena, the_time));

    ck_assert_int_eq(rows(), 0);
}

/* With its token a change that waited is gone, and nobody sees a difference. */
TEST(a_pending_change_is_taken_back_with_its_token)
{
    give("first", MAILED_CHANGE, ada);
    give_at("second", MAILED_CHANGE, bob, "robert@example.org", 60);
    run_sql(say("UPDATE users SET pending_email = 'x@example.org', pending_until = "
                "'2001-01-01' WHERE email = '" ADDRESS "'"));
    run_sql(say("UPDATE users SET pending_email = 'y@example.org', pending_until = "
                "'2999-01-01' WHERE email = 'bob@example.org'"));
    int64_t version = ask_number("SELECT SUM(version) AS n FROM users");

    must(mailed_purge(the_app->db, the_arena, in_s(HOUR_S)));

    ck_rows("users WHERE pending_email IS NOT NULL", 1);
    ck_rows("users WHERE pending_email = 'y@example.org'", 1);
    ck_assert_int_eq(ask_number("SELECT SUM(version) AS n FROM users"), version);
}

/* ---- what it costs ---- */

static int64_t reads_of_all(void)
{
    int64_t before = status_of("Handler_read%");
    struct mailed_token token = give("first", MAILED_CHANGE, ada);
    ck_assert(is_good("first", 0));
    ck_assert(!keeps("nobody@example.org", ada, 0));
    ck_assert(use(&token));
    must(mailed_void(the_app->db, the_arena, ada));
    must(mailed_purge(the_app->db, the_arena, the_time));
    return status_of("Handler_read%") - before;
}

TEST(nothing_costs_more_the_more_tokens_there_are)
{
    (void)reads_of_all(); /* which prepares */
    int64_t few = reads_of_all();
    run_sql(say("INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) "
                "SELECT UUID(), UNHEX(SHA2(seq, 256)), 1 + seq %% 7, UUID(), "
                "CONCAT(seq, '@example.org'), '%s' FROM seq_1_to_2000",
                say("%.19s",
                    field_to_text(the_arena, &(const struct field){.name = "t", .type = FIELD_TIME},
                                  &(struct instant){in_s(60).us}))));

    ck_assert_int_eq(reads_of_all(), few);
}

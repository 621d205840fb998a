/* Logins in the database. */
#include "fcgi-app/session_model.h"

#include <stdlib.h>
#include <string.h>

#include "loopback.h"

static struct session session;
static const unsigned char refresh_hash[32] = "thirty-two bytes of some digest";

static struct uuid parsed(const char *text)
{
    struct uuid id;
    ck_assert(uuid_parse(text, strlen(text), &id));
    return id;
}

static void set_up(void)
{
    loopback_open();
    session = (struct session){.id = uuid_make(the_time),
                               .user_id = parsed(make_user("ada@example.org", ROLE_USER)),
                               .created_at = the_time,
                               .last_used_at = the_time,
                               .expires_at = instant_plus_s(the_time, 60),
                               .ip = TEXT("2001:db8::1"),
                               .user_agent = TEXT("a b\303\244r")};
}

/* What user_find_with_session() says of a session at a time. */
static bool lives(struct uuid user, struct uuid id, struct instant now)
{
    struct user row;
    bool found, yes;
    must(user_find_with_session(the_app->db, the_arena, user, id, now, &row, &found, &yes));
    ck_assert(found);
    return yes;
}

START_TEST(a_session_lives_from_its_insertion_to_its_end)
{
    ck_assert(!lives(session.user_id, session.id, the_time));

    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert(lives(session.user_id, session.id, the_time));
    ck_assert(lives(session.user_id, session.id, (struct instant){session.expires_at.us - 1}));
    ck_assert(!lives(session.user_id, session.id, session.expires_at));
}
END_TEST

START_TEST(a_session_is_of_its_user_only)
{
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert(!lives(parsed(make_user("eve@example.org", ROLE_USER)), session.id, the_time));
    ck_assert(!lives(session.user_id, parsed(NOBODY_ID), the_time));
}
END_TEST

START_TEST(a_session_is_stored_as_given)
{
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert_int_eq(ask_number("SELECT COUNT(*) AS n FROM sessions WHERE ip = '2001:db8::1' AND "
                                "user_agent = 'a b\303\244r' AND refresh_hash = "
                                "'thirty-two bytes of some digest\\0' AND last_used_at = "
                                "created_at AND expires_at = created_at + INTERVAL 60 SECOND"),
                     1);
}
END_TEST

START_TEST(what_is_not_known_of_a_client_is_null)
{
    session.ip = session.user_agent = (struct text){0};

    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert_int_eq(
        ask_number("SELECT COUNT(*) AS n FROM sessions WHERE ip IS NULL AND user_agent IS NULL"),
        1);
}
END_TEST

START_TEST(a_session_of_nobody_is_told_apart)
{
    session.user_id = parsed(NOBODY_ID);

    const struct problem *p = session_insert(the_app->db, the_arena, &session, refresh_hash);

    ck_assert_ptr_nonnull(p);
    ck_assert(db_is_violation(p, "fk_sessions_user"));
}
END_TEST

START_TEST(a_refresh_token_belongs_to_one_session)
{
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    session.id = parsed(NOBODY_ID);

    const struct problem *p = session_insert(the_app->db, the_arena, &session, refresh_hash);

    ck_assert(db_is_violation(p, "uq_sessions_refresh"));
}
END_TEST

START_TEST(all_sessions_of_one_user_end_at_once)
{
    make_user("eve@example.org", ROLE_USER);
    log_in("ada@example.org");
    log_in("ada@example.org");
    log_in("eve@example.org");

    must(session_delete_all(the_app->db, the_arena, session.user_id));

    ck_assert_int_eq(ask_number("SELECT COUNT(*) AS n FROM sessions"), 1);
    ck_assert_int_eq(ask_number("SELECT COUNT(*) AS n FROM sessions JOIN users ON users.id = "
                                "user_id WHERE email = 'eve@example.org'"),
                     1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_model");
    TCase *tc = tcase_create("sessions");
    tcase_add_checked_fixture(tc, set_up, loopback_close);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_session_lives_from_its_insertion_to_its_end);
    tcase_add_test(tc, a_session_is_of_its_user_only);
    tcase_add_test(tc, a_session_is_stored_as_given);
    tcase_add_test(tc, what_is_not_known_of_a_client_is_null);
    tcase_add_test(tc, a_session_of_nobody_is_told_apart);
    tcase_add_test(tc, a_refresh_token_belongs_to_one_session);
    tcase_add_test(tc, all_sessions_of_one_user_end_at_once);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* needs: mariadb */
/* Logins in the database. */
#include "fcgi-app/accounts/session_model.h"

#include "common/base/problem.h"
#include "common/list/list.h"
#include "tests/support/loopback.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

static struct session session;
static const unsigned char refresh_hash[32] = "thirty-two bytes of some digest";
static const unsigned char other_hash[32] = "thirty-two bytes of the next on";
static const unsigned char third_hash[32] = "thirty-two bytes of the last on";

static void set_up(void)
{
    loopback_open();
    session = (struct session){.id = uuid_make(the_time),
                               .user_id = id_of(make_user("ada@example.org", ROLE_USER)),
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
    must(user_find_with_session(the_app->db, the_arena, user, id, now, false, &row, &found, &yes));
    ck_assert(found);
    return yes;
}

CASE("sessions", set_up, loopback_close);

TEST(a_session_lives_from_its_insertion_to_its_end)
{
    ck_assert(!lives(session.user_id, session.id, the_time));

    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert(lives(session.user_id, session.id, the_time));
    ck_assert(lives(session.user_id, session.id, (struct instant){session.expires_at.us - 1}));
    ck_assert(!lives(session.user_id, session.id, session.expires_at));
}

TEST(a_session_is_of_its_user_only)
{
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert(!lives(id_of(make_user("eve@example.org", ROLE_USER)), session.id, the_time));
    ck_assert(!lives(session.user_id, id_of(NOBODY_ID), the_time));
}

TEST(a_session_is_stored_as_given)
{
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_rows("sessions WHERE ip = '2001:db8::1' AND "
            "user_agent = 'a b\303\244r' AND refresh_hash = "
            "'thirty-two bytes of some digest\\0' AND last_used_at = "
            "created_at AND expires_at = created_at + INTERVAL 60 SECOND",
            1);
}

TEST(what_is_not_known_of_a_client_is_null)
{
    session.ip = session.user_agent = (struct text){0};

    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_rows("sessions WHERE ip IS NULL AND user_agent IS NULL", 1);
}

TEST(a_session_of_nobody_is_told_apart)
{
    session.user_id = id_of(NOBODY_ID);

    const struct problem *p = session_insert(the_app->db, the_arena, &session, refresh_hash);

    ck_assert_ptr_nonnull(p);
    ck_assert(db_is_violation(p, "fk_sessions_user"));
}

TEST(all_sessions_of_one_user_end_at_once)
{
    make_user("eve@example.org", ROLE_USER);
    bearer_of("ada@example.org");
    bearer_of("ada@example.org");
    bearer_of("eve@example.org");

    must(session_delete_all(the_app->db, the_arena, session.user_id, (struct uuid){{0}}));

    ck_rows("sessions", 1);
    ck_rows("sessions JOIN users ON users.id = user_id WHERE email = 'eve@example.org'", 1);
}

/* On another node of a cluster, which does not see that the user is locked: see turn.h. */
static int64_t turn_of_user(void)
{
    return ask_number("SELECT CAST(COALESCE(SUM(n), 0) AS INTEGER) AS n FROM list_counts "
                      "WHERE total = 0 AND kind >= 64");
}

TEST(who_begins_a_session_meets_who_ends_all_of_the_user)
{
    int64_t before = turn_of_user();

    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    ck_assert_int_eq(turn_of_user(), before + 1);

    must(session_delete_all(the_app->db, the_arena, session.user_id, (struct uuid){{0}}));
    ck_assert_int_eq(turn_of_user(), before + 2);
}

static int64_t deletes_so_far(void)
{
    return ask_number("SELECT CAST(variable_value AS INTEGER) AS n FROM "
                      "information_schema.session_status WHERE variable_name = 'Com_delete_multi'");
}

TEST(very_many_sessions_end_in_many_statements)
{
    run_sql("INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, "
            "expires_at) SELECT UUID(), users.id, UNHEX(SHA2(seq, 256)), NOW(), NOW(), "
            "'2095-01-01' FROM users JOIN seq_1_to_2100");
    run_sql(
        "INSERT INTO session_refreshes (hash, session_id, used_at) SELECT UNHEX(SHA2(CONCAT(id, "
        "seq), 256)), id, NOW() FROM (SELECT id FROM sessions LIMIT 2) AS two JOIN seq_1_to_600");
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    int64_t before = deletes_so_far();

    must(session_delete_all(the_app->db, the_arena, session.user_id, session.id));

    ck_assert_int_ge(deletes_so_far() - before, 3300 / 500);
    ck_rows("sessions", 1);
    ck_rows("session_refreshes", 0);
    ck_assert(lives(session.user_id, session.id, the_time));
}

TEST(all_sessions_but_one_end_at_once)
{
    struct uuid other = id_of(NOBODY_ID);
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    session.id = other;
    must(session_insert(the_app->db, the_arena, &session, other_hash));
    bearer_of("ada@example.org");

    must(session_delete_all(the_app->db, the_arena, session.user_id, other));

    ck_rows("sessions", 1);
    ck_assert(lives(session.user_id, other, the_time));
}

TEST(one_session_ends_for_its_user_and_while_it_lives)
{
    struct uuid eve = id_of(make_user("eve@example.org", ROLE_USER));
    struct db *db = the_app->db;
    must(session_insert(db, the_arena, &session, refresh_hash));

    const struct problem *of_another = session_delete(db, the_arena, eve, session.id, the_time);
    const struct problem *unknown =
        session_delete(db, the_arena, session.user_id, id_of(NOBODY_ID), the_time);
    const struct problem *expired =
        session_delete(db, the_arena, session.user_id, session.id, session.expires_at);

    ck_assert_ptr_eq(of_another->type, &problem_session_not_found);
    ck_assert_ptr_eq(unknown->type, &problem_session_not_found);
    ck_assert_ptr_eq(expired->type, &problem_session_not_found);
    must(session_delete(db, the_arena, session.user_id, session.id, the_time));
    ck_rows("sessions", 0);
}

/* ---- refreshing ---- */

TEST(a_session_is_locked_with_the_hash_of_its_token)
{
    struct session row = {0};
    bool found = false;
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    must(session_lock(the_app->db, the_arena, session.id, the_time, &row, &found));

    ck_assert(found);
    ck_assert_uint_eq(row.refresh_hash.len, 32);
    ck_assert_mem_eq(row.refresh_hash.data, refresh_hash, 32);
    ck_assert(uuid_equal(&row.user_id, &session.user_id));
    ck_assert_int_eq(row.expires_at.us, session.expires_at.us);
    must(session_lock(the_app->db, the_arena, session.id, session.expires_at, &row, &found));
    ck_assert(!found);
    must(session_lock(the_app->db, the_arena, id_of(NOBODY_ID), the_time, &row, &found));
    ck_assert(!found);
}

static bool was_refreshed(const unsigned char hash[32], struct instant since)
{
    bool yes;
    const struct span when = {since, instant_plus_s(since, 3600)};
    must(session_was_refreshed(the_app->db, the_arena, session.id, hash, when, &yes));
    return yes;
}

static void rotate_to(const unsigned char hash[32], struct instant now, struct instant forget)
{
    struct session row = {0};
    bool found;
    must(session_lock(the_app->db, the_arena, session.id, now, &row, &found));
    ck_assert(found);
    must(session_rotate(the_app->db, the_arena, &row, hash, now, instant_plus_s(now, 60),
                        (struct span){forget, now}));
}

TEST(a_used_token_is_remembered_until_it_is_forgotten)
{
    struct instant first = instant_plus_s(the_time, 10), second = instant_plus_s(the_time, 20);
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    ck_assert(!was_refreshed(refresh_hash, the_time));

    rotate_to(other_hash, first, the_time);

    ck_assert(was_refreshed(refresh_hash, first));
    ck_assert(!was_refreshed(refresh_hash, (struct instant){first.us + 1}));
    ck_assert(!was_refreshed(other_hash, the_time));
    ck_assert(lives(session.user_id, session.id, instant_plus_s(first, 59)));
    ck_assert(!lives(session.user_id, session.id, instant_plus_s(first, 60)));

    rotate_to(third_hash, second, (struct instant){first.us + 1});

    ck_assert(!was_refreshed(refresh_hash, the_time));
    ck_assert(was_refreshed(other_hash, second));
    ck_rows("session_refreshes", 1);
}

TEST(a_use_in_a_time_to_come_is_none_and_dropped)
{
    struct instant used = instant_plus_s(the_time, 10), back = instant_plus_s(used, -3600);
    bool yes;
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    rotate_to(other_hash, used, the_time);

    must(session_was_refreshed(the_app->db, the_arena, session.id, refresh_hash,
                               (struct span){back, {used.us - 1}}, &yes));
    ck_assert(!yes);
    must(session_was_refreshed(the_app->db, the_arena, session.id, refresh_hash,
                               (struct span){back, used}, &yes));
    ck_assert(yes);

    rotate_to(third_hash, back, instant_plus_s(back, -10));
    ck_assert(!was_refreshed(refresh_hash, back));
    ck_rows("session_refreshes", 1);
}

/* A clock that was a year ahead makes sessions that would live for a year more. */
TEST(a_session_of_a_clock_far_ahead_does_not_live)
{
    struct instant last = instant_plus_s(session.last_used_at, -SESSION_AHEAD_S);
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));

    ck_assert(lives(session.user_id, session.id, last));
    ck_assert(!lives(session.user_id, session.id, (struct instant){last.us - 1}));
    struct session row = {0};
    bool found;
    must(session_lock(the_app->db, the_arena, session.id, (struct instant){last.us - 1}, &row,
                      &found));
    ck_assert(!found);
    const struct problem *p = session_delete(the_app->db, the_arena, session.user_id, session.id,
                                             (struct instant){last.us - 1});
    ck_assert_ptr_nonnull(p);
}

TEST(used_tokens_go_with_their_session)
{
    must(session_insert(the_app->db, the_arena, &session, refresh_hash));
    rotate_to(other_hash, the_time, the_time);

    must(session_delete(the_app->db, the_arena, session.user_id, session.id, the_time));

    ck_rows("session_refreshes", 0);
}

/* ---- listing and purging ---- */

/* What a page has shown: the last byte of each id, and a star after the current one. */
static void note(void *context, const void *row)
{
    const struct session *seen = row;
    const char **list = context;
    *list = say("%s %02x%s", *list, seen->id.bytes[15], seen->current ? "*" : "");
}

/* Sessions 01 to 05, two of one moment; 05 has expired. */
static void insert_five(void)
{
    static const int64_t ages_s[] = {40, 30, 30, 20, 10};
    for (unsigned char i = 1; i <= 5; i++) {
        unsigned char hash[32] = {i};
        session.id = id_of("01890a5d-ac96-774b-bcce-b30209900000");
        session.id.bytes[15] = i;
        session.created_at = instant_plus_s(the_time, -ages_s[i - 1]);
        session.expires_at = instant_plus_s(the_time, i == 5 ? 0 : 60);
        must(session_insert(the_app->db, the_arena, &session, hash));
    }
}

static void note_again(void *context)
{
    *(const char **)context = "";
}

static const char *listed(struct list_window window, int64_t total)
{
    const char *list = "";
    const struct list_query query = {.total = true};
    const struct list_taker taker = {note, note_again, &list};
    struct list_total seen = {-1};
    struct uuid current = session.id;
    current.bytes[15] = 2;
    struct list_scope scope = session_scope(session.user_id, current, the_time);
    window.page_reach = window.search_reach = 1000;
    must(list_read(the_app->db, the_arena, &session_list, &query, &scope, &window, &taker, &seen));
    ck_assert_int_eq(seen.counted ? seen.count : -1, total);
    return list;
}

TEST(sessions_are_listed_the_newest_first)
{
    insert_five();
    struct list_window behind = {
        .limit = 10,
        .after = true,
        .place = {.id = session.id, .time = instant_plus_s(the_time, -30)}};
    behind.place.id.bytes[15] = 3;

    ck_assert_str_eq(listed((struct list_window){.limit = 10}, 4), " 04 03 02* 01");
    ck_assert_str_eq(listed((struct list_window){.limit = 2, .offset = 2}, 4), " 02* 01");
    ck_assert_str_eq(listed((struct list_window){.limit = 2, .offset = 9}, 4), "");
    ck_assert_str_eq(listed(behind, -1), " 02* 01"); /* nothing is counted */
}

TEST(only_what_has_expired_is_purged)
{
    insert_five();

    must(session_purge(the_app->db, the_arena, (struct instant){the_time.us - 1}));
    ck_rows("sessions", 5);
    must(session_purge(the_app->db, the_arena, the_time));
    ck_rows("sessions", 4);
    must(session_purge(the_app->db, the_arena, instant_plus_s(the_time, 60)));

    ck_rows("sessions", 0);
}

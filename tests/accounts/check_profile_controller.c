/* needs: mariadb */
/* One's own account: read, and left, as clients see it. */
#include "tests/support/ada_and_bob.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

/* ---- reading ---- */

CASE("reading", meet_ada_and_bob, loopback_close);

TEST(a_profile_is_ones_own_account)
{
    struct answer answer = api_get(ada.access, "/auth/profile");

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), ada_id);
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "Test");
    ck_assert(answer_is_null(answer, "user.last_name"));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "no-store");
}

/* ---- leaving ---- */

static struct answer leave(const char *token, const char *password)
{
    return api_ask(.method = "DELETE", .path = "/auth/profile", .token = token,
                   .body = object("{'current_password':'%s'}", password));
}

static struct answer leave_if_match(const char *tag)
{
    return api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada.access,
                   .body = object("{'current_password':'%s'}", PASSWORD),
                   .param = say("HTTP_IF_MATCH=%s", tag));
}

CASE("leaving", meet_ada_and_bob, loopback_close);

TEST(who_leaves_is_gone_with_posts_and_sessions)
{
    write_post(ada.access, "One", "by Ada", true);
    write_post(ada.access, "Two", "by Ada", false);
    const char *kept = write_post(bob.access, "Three", "by Bob", true);

    struct answer answer = leave(ada.access, PASSWORD);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_problem(api_get(ada.access, "/auth/profile"), USER_INACTIVE);
    ck_ended(&ada);
    ck_ended(&elsewhere);
    ck_status(api_get(bob.access, "/users/%s", ada_id), 404);
    ck_assert_str_eq(answer_column(api_get(bob.access, "/posts"), "id"), kept);
    ck_rows("sessions", 1);
    ck_rows("users", 1);
    ck_kept();
}

TEST(who_has_left_may_come_back)
{
    ck_status(leave(ada.access, PASSWORD), 204);
    ck_status(try_login("ada@example.org", PASSWORD), 401);

    ck_status(api_post(NULL, "/auth/register",
                       object("{'email':'ada@example.org','password':'%s'}", PASSWORD)),
              201);
}

TEST(nobody_leaves_by_a_wrong_password)
{
    ck_invalid(leave(ada.access, "not " PASSWORD), "current_password wrong");
    ck_status(api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada.access), 400);
    ck_problem(
        api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada.access, .body = "{}"),
        MISSING_FIELDS);

    ck_alive(ada.access);
    ck_kept();
}

TEST(nobody_leaves_without_a_token_or_a_body)
{
    ck_token_needed("DELETE", "/auth/profile", object("{'current_password':'%s'}", PASSWORD));
    ck_problem(api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada.access), BAD_JSON);
}

TEST(the_last_active_admin_does_not_leave)
{
    make_user("admin@example.org", ROLE_ADMIN);
    make_disabled_user("disabled@example.org", ROLE_ADMIN);
    struct login admin = enter("admin@example.org");

    ck_problem(leave(admin.access, PASSWORD), LAST_ADMIN);
    ck_alive(admin.access);

    run_sql("UPDATE users SET is_active = 1");
    ck_status(leave(admin.access, PASSWORD), 204);
    ck_kept();
}

TEST(who_has_changed_meanwhile_does_not_leave_unawares)
{
    const char *tag = answer_header(api_get(ada.access, "/auth/profile"), "ETag");
    ck_status(
        api_post(ada.access, "/auth/email",
                 object("{'email':'lovelace@example.org','current_password':'%s'}", PASSWORD)),
        200);

    ck_problem(leave_if_match(tag), PRECONDITION_FAILED);

    ck_status(leave_if_match(answer_header(api_get(ada.access, "/auth/profile"), "ETag")), 204);
}

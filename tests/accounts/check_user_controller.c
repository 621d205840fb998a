/* needs: mariadb */
/* Users: list, make, read, change, delete, as clients see it. */
#include "tests/support/loopback.h"

#include <string.h>

#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

/* Who is there when a test begins, and their tokens. */
static const char *admin_id, *ada_id, *bob_id;
static const char *admin, *ada;

static void set_up(void)
{
    loopback_open();
    admin_id = make_user("admin@example.org", ROLE_ADMIN);
    ada_id = make_user("ada@example.org", ROLE_USER);
    bob_id = make_user("bob@example.org", ROLE_USER);
    admin = bearer_of("admin@example.org");
    ada = bearer_of("ada@example.org");
}

static const char *path_of(const char *id)
{
    return say("/users/%s", id);
}

static int64_t counted(void)
{
    return total_kept(&user_counter, NULL, 0, 1);
}

static int64_t rows(void)
{
    return rows_in("users");
}

/* ---- who may ---- */

/* A call, and what it is answered without a token and with that of a plain user. */
static const struct {
    const char *method, *path;
    int stranger, user;
} access_rules[] = {
    {"GET", "/users", 401, 200},
    {"POST", "/users", 401, 403},
    {"GET", "/users/" NOBODY_ID, 401, 404},
    {"PATCH", "/users/" NOBODY_ID, 401, 403},
    {"DELETE", "/users/" NOBODY_ID, 401, 403},
};

CASE("access", set_up, loopback_close);

TEST_EACH(users_are_for_those_who_logged_in, access_rules)
{
    const char *method = access_rules[_i].method, *path = access_rules[_i].path;
    const char *body = *method == 'P' ? "{}" : NULL;
    struct answer stranger = api_ask(.method = method, .path = path, .body = body);

    ck_problem(stranger, NO_TOKEN);
    ck_assert_str_eq(answer_header(stranger, "WWW-Authenticate"), "Bearer realm=\"postern\"");
    ck_assert_ptr_null(answer_header(stranger, "Cache-Control"));
    ck_status(api_ask(.method = method, .path = path, .body = body, .token = "nonsense"), 401);
    ck_status(api_ask(.method = method, .path = path, .body = body, .token = ada),
              access_rules[_i].user);
}

TEST(the_role_is_checked_before_the_body)
{
    ck_problem(api_post(ada, "/users", "no json"), ADMIN_REQUIRED);
    ck_problem(
        api_ask(.method = "POST", .path = "/users", .token = ada, .body = "x", .type = "a/b"),
        ADMIN_REQUIRED);
    ck_problem(api_delete(ada, "/users/%s", bob_id), ADMIN_REQUIRED);
}

TEST(path_and_method_are_checked_before_the_token)
{
    ck_problem(api_get("nonsense", "/usersnone"), NOT_FOUND);
    struct answer answer = api_ask(.method = "PUT", .path = "/users", .token = "nonsense");

    ck_problem(answer, METHOD_NOT_ALLOWED);
    ck_assert_str_eq(answer_header(answer, "Allow"), "GET, HEAD, POST, OPTIONS");
    ck_assert_str_eq(answer_header(api_ask(.method = "OPTIONS", .path = path_of(ada_id)), "Allow"),
                     "GET, HEAD, PATCH, DELETE, OPTIONS");
}

static const char *const bad_ids[] = {
    "1",
    "x",
    "01890a5dac96774bbcceb302099a8057",
    "01890a5d-ac96-774b-bcce-b302099a805",
    "01890a5d-ac96-774b-bcce-b302099a80570",
    "01890a5d-ac96-774b-bcce-b302099a805g",
    "{01890a5d-ac96-774b-bcce-b302099a8057}",
    "01890a5d-ac96-774b-bcce-b302099a8057%2Fx",
    "..%2Fposts",
    "%00",
    "%",
};

/* Method, caller and body are looked at as for any other id, and in the same order. */
TEST_EACH(a_malformed_id_is_an_unknown_one, bad_ids)
{
    const char *path = say("/users/%s", bad_ids[_i]), *nobody = "/users/" NOBODY_ID;

    ck_problem(api_get(admin, "%s", path), USER_NOT_FOUND);
    ck_assert_str_eq(answer_text(api_get(admin, "%s", path), "message"),
                     answer_text(api_get(admin, "%s", nobody), "message"));
    ck_problem(api_get(ada, "%s", path), USER_NOT_FOUND);
    ck_problem(api_get(NULL, "%s", path), NO_TOKEN);
    ck_problem(api_get("nonsense", "%s", path), INVALID_TOKEN);
    ck_problem(api_patch(admin, path, "{}"), USER_NOT_FOUND);
    ck_problem(api_patch(admin, path, "{"), BAD_JSON);
    ck_problem(api_patch(ada, path, "{}"), FORBIDDEN);
    ck_problem(api_delete(admin, "%s", path), USER_NOT_FOUND);
    ck_problem(api_delete(ada, "%s", path), ADMIN_REQUIRED);
    ck_problem(api_get(NULL, "%s/posts", path), USER_NOT_FOUND);
    ck_problem(api_ask(.method = "PUT", .path = path), METHOD_NOT_ALLOWED);
    ck_status(api_ask(.method = "OPTIONS", .path = path), 204);
}

/* What leads elsewhere once it is decoded or its dots are followed; @ is an id. */
static const char *const bent_paths[] = {
    "/posts/..%2Fusers%2F@",
    "/posts/..%2fusers/@",
    "/posts/%2e%2e%2fusers/@",
    "/posts/%2E%2E/users/@",
    "/posts/../users/@",
    "/posts/x/..%2F..%2Fusers%2F@",
    "/posts/..%252Fusers%252F@",
    "/posts/..%5Cusers%5C@",
    "/posts/..\\users\\@",
    "/users/@%2F",
    "/users/%2F@",
    "/users%2F@",
    "//users/@",
    "/users//@",
    "/./users/@",
    "/users/.%2F@",
    "/users/@%00",
    "/users/@//",
    "/users/@/.",
    "/users/@/x/..",
};

TEST_EACH(a_path_is_split_before_it_is_decoded, bent_paths)
{
    const char *at = strchr(bent_paths[_i], '@');
    const char *bent = say("%.*s%s%s", (int)(at - bent_paths[_i]), bent_paths[_i], bob_id, at + 1);

    ck_assert_int_eq(api_delete(admin, "%s", bent).status, 404);
    ck_assert_int_eq(api_get(admin, "%s", bent).status, 404);
    ck_assert_int_eq(api_patch(admin, bent, "{\"first_name\":\"Bent\"}").status, 404);

    ck_assert_str_eq(answer_text(api_get(admin, "/users/%s", bob_id), "user.first_name"), "Test");
}

/* A character may be written as its code, and names the same place. */
TEST(an_encoded_character_is_that_character)
{
    ck_status(api_get(admin, "/%%75sers/%%%02x%s", bob_id[0], bob_id + 1), 200);
    ck_status(api_delete(admin, "/us%%65rs/%s/", bob_id), 204);
    ck_status(api_get(admin, "/users/%s", bob_id), 404);
}

/* ---- reading ---- */

TEST(any_user_is_read_by_any_other)
{
    struct answer answer = api_get(ada, "/users/%s", bob_id);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), bob_id);
    ck_assert_str_eq(answer_text(answer, "user.email"), "bob@example.org");
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "private, no-cache");
    ck_assert_ptr_null(strstr(answer.text, "password"));
    ck_assert_ptr_null(strstr(answer.text, "session"));
}

/* ---- who sees whom ---- */

TEST(where_only_admins_see_users_one_sees_oneself_alone)
{
    loopback_set("USERS_VISIBLE=admins");

    ck_problem(api_get(ada, "/users"), ADMIN_REQUIRED);
    ck_problem(api_get(ada, "/users?limit=0&sort=x"), ADMIN_REQUIRED);
    ck_problem(api_get(ada, "/users/%s", bob_id), USER_NOT_FOUND);
    ck_problem(api_get(ada, "/users/%s", admin_id), USER_NOT_FOUND);
    struct answer own = api_get(ada, "/users/%s", ada_id);
    ck_status(own, 200);
    ck_assert_str_eq(answer_text(own, "user.id"), ada_id);
    ck_status(api_get(ada, "/auth/profile"), 200);
}

TEST(where_only_admins_see_users_another_looks_like_nobody)
{
    loopback_set("USERS_VISIBLE=admins");

    struct answer there = api_get(ada, "/users/%s", bob_id);
    struct answer nowhere = api_get(ada, "/users/" NOBODY_ID);

    ck_status(there, 404);
    ck_assert_str_eq(say("%.*s", (int)strcspn(there.text, "_"), there.text),
                     say("%.*s", (int)strcspn(nowhere.text, "_"), nowhere.text));
    ck_assert_str_eq(answer_text(there, "message"), answer_text(nowhere, "message"));
    /* And a change is for oneself, as everywhere. */
    ck_problem(api_patch(ada, path_of(bob_id), "{}"), FORBIDDEN);
    ck_problem(api_patch(ada, path_of(NOBODY_ID), "{}"), FORBIDDEN);
    ck_status(api_patch(ada, path_of(ada_id), object("{'first_name':'A'}")), 200);
}

TEST(where_only_admins_see_users_admins_see_all)
{
    loopback_set("USERS_VISIBLE=admins");

    ck_assert_int_eq(answer_total(api_get(admin, "/users")), 3);
    ck_status(api_get(admin, "/users/%s", bob_id), 200);
    ck_status(api_patch(admin, path_of(bob_id), object("{'first_name':'B'}")), 200);
}

TEST(who_is_no_admin_any_more_sees_no_users_from_then_on)
{
    loopback_set("USERS_VISIBLE=admins");
    const char *boss = bearer_of_new("boss@example.org", ROLE_ADMIN);
    ck_status(api_get(boss, "/users"), 200);

    run_sql("UPDATE users SET role = 'user' WHERE email = 'boss@example.org'");

    ck_problem(api_get(boss, "/users"), ADMIN_REQUIRED);
    ck_problem(api_get(boss, "/users/%s", bob_id), USER_NOT_FOUND);
}

static const char *upper(const char *s)
{
    char *text = arena_strdup(the_arena, s);
    for (char *at = text; *at; at++)
        *at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    return text;
}

TEST(an_id_is_taken_in_upper_case_and_shown_in_lower)
{
    struct answer answer = api_get(ada, "/users/%s", upper(bob_id));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), bob_id);
}

TEST(an_imported_id_is_taken)
{
    run_sql("UPDATE users SET id = 'F47AC10B-58CC-4372-A567-0E02B2C3D479' WHERE email = "
            "'bob@example.org'");

    struct answer answer = api_get(ada, "/users/f47ac10b-58cc-4372-a567-0E02B2C3D479");

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), "f47ac10b-58cc-4372-a567-0e02b2c3d479");
}

TEST(one_trailing_slash_is_tolerated)
{
    ck_status(api_get(ada, "/users/%s/", bob_id), 200);
    ck_status(api_get(ada, "/users/"), 200);
    ck_status(api_get(ada, "/users/%s//", bob_id), 404);
}

TEST(an_unknown_user_is_not_found)
{
    ck_problem(api_get(ada, "/users/" NOBODY_ID), USER_NOT_FOUND);
    ck_problem(api_patch(admin, "/users/" NOBODY_ID, "{}"), USER_NOT_FOUND);
    ck_problem(api_delete(admin, "/users/" NOBODY_ID), USER_NOT_FOUND);
}

/* ---- making ---- */

CASE("making", set_up, loopback_close);

TEST(an_admin_makes_a_user)
{
    struct answer answer =
        api_post(admin, "/users",
                 object("{'email':'Eve@example.org','password':'%s','first_name':'Eve',"
                        "'last_name':'O','role':'admin','is_active':false}",
                        PASSWORD));

    ck_status(answer, 201);
    const char *id = answer_text(answer, "user.id");
    ck_assert_str_eq(answer_header(answer, "Location"), say("/api/users/%s", id));
    ck_assert_str_eq(answer_text(answer, "user.email"), "Eve@example.org");
    ck_assert_str_eq(answer_text(answer, "user.last_name"), "O");
    ck_assert_str_eq(answer_text(answer, "user.role"), "admin");
    ck_assert(!answer_boolean(answer, "user.is_active"));
    ck_assert_str_eq(api_get(admin, "/users/%s", id).text, answer.text);
}

TEST(a_new_user_is_active_and_no_admin_unless_told)
{
    struct answer answer =
        api_post(admin, "/users",
                 object("{'email':'eve@example.org','password':'%s','first_name':'Eve','id':7,"
                        "'created_at':false,'unknown':{}}",
                        PASSWORD));

    ck_status(answer, 201);
    ck_assert_str_eq(answer_text(answer, "user.role"), "user");
    ck_assert(answer_boolean(answer, "user.is_active"));
    ck_assert(answer_is_null(answer, "user.last_name"));
    log_in("eve@example.org");
}

#define WHOLE "'email':'eve@example.org','password':'" PASSWORD "','first_name':'Eve'"

static const struct refusal bad_users[] = {
    {"{}", MISSING_FIELDS, "email required, password required, first_name required"},
    {"{'first_name':'Eve','role':'owner'}", MISSING_FIELDS,
     "email required, password required, role range"},
    {"{'email':'nonsense','password':'" PASSWORD "'}", MISSING_FIELDS,
     "email format, first_name required"},
    {"{'email':'nonsense','password':'" PASSWORD "','first_name':'Eve'}", INVALID_EMAIL,
     "email format"},
    {"{'email':'nonsense','password':'x','first_name':'','is_active':1}", INVALID_EMAIL,
     "email format, password too_short, first_name too_short, is_active type"},
    {"{'email':null,'password':null,'first_name':null}", INVALID,
     "email type, password type, first_name type"},
    {"{" WHOLE ",'role':'Admin'}", INVALID, "role range"},
    {"{" WHOLE ",'role':null,'is_active':null}", INVALID, "role type, is_active type"},
    {"{" WHOLE ",'last_name':''}", INVALID, "last_name too_short"},
    {"{" WHOLE ",'is_active':'true'}", INVALID, "is_active type"},
    {"{'email':'eve@example.org','password':'EVE@example.org','first_name':'E'}", INVALID,
     "password common"},
};

TEST_EACH(a_bad_user_is_told_all_its_faults, bad_users)
{
    ck_refusal("POST", admin, "/users", &bad_users[_i]);

    ck_assert_int_eq(rows(), 3);
}

TEST(an_address_is_taken_once_in_whatever_case)
{
    struct answer answer =
        api_post(admin, "/users",
                 object("{'email':'ADA@Example.org','password':'%s','first_name':'A'}", PASSWORD));

    ck_problem(answer, EMAIL_EXISTS);
    ck_assert_int_eq(rows(), 3);
    ck_assert_int_eq(counted(), 3);
}

/* ---- changing ---- */

CASE("changing", set_up, loopback_close);

TEST(one_changes_ones_own_names)
{
    pass_s(60);
    struct answer before = api_get(ada, "/users/%s", ada_id);

    struct answer answer =
        api_patch(ada, path_of(ada_id), "{\"first_name\":\"Zo\u00eb\",\"last_name\":\"X\"}");

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "Zo\u00eb");
    ck_assert_str_eq(answer_text(answer, "user.last_name"), "X");
    ck_assert_str_gt(answer_text(answer, "user.updated_at"),
                     answer_text(before, "user.updated_at"));
    ck_assert_str_eq(answer_text(answer, "user.created_at"),
                     answer_text(before, "user.created_at"));
    ck_assert_str_eq(api_get(ada, "/users/%s", ada_id).text, answer.text);
}

TEST(null_clears_a_name_and_an_absent_one_stays)
{
    ck_status(api_patch(ada, path_of(ada_id), object("{'last_name':'L'}")), 200);

    struct answer answer = api_patch(ada, path_of(ada_id), object("{'first_name':null}"));

    ck_status(answer, 200);
    ck_assert(answer_is_null(answer, "user.first_name"));
    ck_assert_str_eq(answer_text(answer, "user.last_name"), "L");
}

/* What changes nothing when its own user sends it. */
static const char *const idle_changes[] = {
    "{}",
    "{'unknown':1}",
    "{'role':'admin'}",
    "{'role':42,'is_active':'no','email':[]}",
    "{'role':null,'is_active':null,'email':null}",
    "{'email':'new@example.org','is_active':false}",
    "{'id':'" NOBODY_ID "','created_at':1,'updated_at':2,'password':'x','password_hash':'y'}",
};

TEST_EACH(what_one_may_not_set_is_ignored, idle_changes)
{
    struct answer before = api_get(ada, "/users/%s", ada_id);
    pass_s(60);

    struct answer answer = api_patch(ada, path_of(ada_id), object("%s", idle_changes[_i]));

    ck_status(answer, 200);
    ck_assert_str_eq(answer.text, before.text);
    ck_assert_str_eq(api_get(ada, "/users/%s", ada_id).text, before.text);
}

TEST(a_password_is_not_changed_this_way_by_an_admin_either)
{
    ck_status(api_patch(admin, path_of(ada_id), object("{'password':'another long one'}")), 200);

    log_in("ada@example.org");
}

TEST(others_are_not_for_a_user_to_change)
{
    ck_problem(api_patch(ada, path_of(bob_id), "{}"), FORBIDDEN);
    ck_problem(api_patch(ada, "/users/" NOBODY_ID, "{}"), FORBIDDEN);
    ck_problem(api_patch(ada, path_of(bob_id), object("{'first_name':''}")), INVALID);
    ck_problem(api_patch(ada, path_of(bob_id), ""), BAD_JSON);
}

TEST(an_admin_changes_anything_of_anyone)
{
    struct answer answer = api_patch(
        admin, path_of(bob_id),
        object("{'email':'Bob2@example.org','role':'admin','is_active':true,'last_name':'B'}"));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.email"), "Bob2@example.org");
    ck_assert_str_eq(answer_text(answer, "user.role"), "admin");
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "Test");
    ck_assert_str_eq(api_get(admin, "/users/%s", bob_id).text, answer.text);
    log_in("bob2@EXAMPLE.org");
}

static const struct {
    const char *body, *error, *code, *faults;
} bad_changes[] = {
    {"{'email':'nonsense'}", "Invalid email format", "invalid_email", "email format"},
    {"{'email':null}", "Bad Request", "invalid", "email type"},
    {"{'email':''}", "Invalid email format", "invalid_email", "email format"},
    {"{'role':null,'is_active':null}", "Bad Request", "invalid", "role type, is_active type"},
    {"{'role':'root','is_active':0,'first_name':7,'last_name':''}", "Bad Request", "invalid",
     "first_name type, last_name too_short, role range, is_active type"},
};

TEST_EACH(a_bad_change_is_told_all_its_faults, bad_changes)
{
    struct answer before = api_get(admin, "/users/%s", bob_id);

    struct answer answer = api_patch(admin, path_of(bob_id), object("%s", bad_changes[_i].body));

    ck_problem(answer, 400, bad_changes[_i].error, bad_changes[_i].code);
    ck_assert_str_eq(answer_faults(answer), bad_changes[_i].faults);
    ck_assert_str_eq(api_get(admin, "/users/%s", bob_id).text, before.text);
}

TEST(nobody_gets_the_address_of_another)
{
    ck_problem(api_patch(admin, path_of(bob_id), object("{'email':'ADA@example.org'}")),
               EMAIL_EXISTS);
    ck_status(api_patch(admin, path_of(bob_id), object("{'email':'BOB@example.org'}")), 200);
}

TEST(a_changed_role_holds_at_once)
{
    ck_status(api_patch(admin, path_of(ada_id), object("{'role':'admin'}")), 200);
    ck_status(api_patch(ada, path_of(bob_id), object("{'last_name':'B'}")), 200);

    ck_status(api_patch(admin, path_of(ada_id), object("{'role':'user'}")), 200);

    ck_problem(api_patch(ada, path_of(bob_id), "{}"), FORBIDDEN);
}

TEST(disabling_ends_all_sessions_for_good)
{
    ck_status(api_patch(admin, path_of(ada_id), object("{'is_active':false}")), 200);
    ck_problem(api_get(ada, "/users"), USER_INACTIVE);

    ck_status(api_patch(admin, path_of(ada_id), object("{'is_active':true}")), 200);

    ck_problem(api_get(ada, "/users"), INVALID_TOKEN);
    ck_status(api_get(log_in("ada@example.org"), "/users"), 200);
}

/* ---- deleting ---- */

TEST(a_deleted_user_is_gone_with_posts_and_sessions)
{
    write_post(ada, "One", "by Ada", true);
    write_post(ada, "Two", "by Ada", false);
    const char *kept = write_post(admin, "Three", "by the admin", true);

    struct answer answer = api_delete(admin, "/users/%s", upper(ada_id));

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_assert_ptr_null(answer_header(answer, "Content-Type"));
    ck_problem(api_get(admin, "/users/%s", ada_id), USER_NOT_FOUND);
    ck_problem(api_get(ada, "/users"), USER_INACTIVE);
    ck_rows("sessions JOIN users ON users.id = user_id WHERE email = 'ada@example.org'", 0);
    ck_assert_str_eq(answer_column(api_get(NULL, "/posts"), "id"), kept);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts")), 1);
    ck_assert_int_eq(answer_total(api_get(admin, "/posts?published=false")), 0);
    ck_problem(api_delete(admin, "/users/%s", ada_id), USER_NOT_FOUND);
}

TEST(a_deleted_address_may_register_again)
{
    ck_status(api_delete(admin, "/users/%s", ada_id), 204);

    ck_status(api_post(NULL, "/auth/register",
                       object("{'email':'ada@example.org','password':'%s'}", PASSWORD)),
              201);
}

/* ---- the last admin ---- */

static const char *const ways_down[] = {
    "{'role':'user'}", "{'is_active':false}", "{'role':'user','is_active':false,'first_name':'X'}",
    NULL, /* DELETE */
};

static struct answer take_down(const char *token, const char *id, const char *way)
{
    return way ? api_patch(token, path_of(id), object("%s", way))
               : api_delete(token, "/users/%s", id);
}

CASE("the last admin", set_up, loopback_close);

TEST_EACH(the_last_active_admin_stays, ways_down)
{
    struct answer before = api_get(admin, "/users/%s", admin_id);
    make_disabled_user("disabled@example.org", ROLE_ADMIN);

    ck_problem(take_down(admin, admin_id, ways_down[_i]), LAST_ADMIN);

    ck_assert_str_eq(api_get(admin, "/users/%s", admin_id).text, before.text);
}

TEST_EACH(an_admin_may_go_while_another_stays, ways_down)
{
    make_user("second@example.org", ROLE_ADMIN);
    const char *second = bearer_of("second@example.org");

    ck_status(take_down(admin, admin_id, ways_down[_i]), ways_down[_i] ? 200 : 204);

    ck_status(api_get(second, "/users/%s", ada_id), 200);
    ck_assert_int_eq(counted(), rows());
}

/* Of two nodes of a cluster, which do not see each other's locks: see turn.h. */
static int64_t turn_of_ranks(void)
{
    return ask_number("SELECT COALESCE(MAX(n), 0) AS n FROM list_counts "
                      "WHERE total = 0 AND kind = 1");
}

TEST_EACH(who_takes_an_admins_rank_meets_all_who_do, ways_down)
{
    int64_t before = turn_of_ranks();
    make_user("second@example.org", ROLE_ADMIN);
    ck_status(api_patch(admin, path_of(admin_id), object("{'role':'admin','last_name':'L'}")), 200);
    ck_assert_int_eq(turn_of_ranks(), before);

    ck_status(take_down(admin, admin_id, ways_down[_i]), ways_down[_i] ? 200 : 204);

    ck_assert_int_eq(turn_of_ranks(), before + 1);
}

TEST_EACH(an_inactive_admin_may_go, ways_down)
{
    const char *id = make_disabled_user("disabled@example.org", ROLE_ADMIN);

    ck_status(take_down(admin, id, ways_down[_i]), ways_down[_i] ? 200 : 204);
}

TEST(the_last_admin_may_change_otherwise)
{
    ck_status(api_patch(admin, path_of(admin_id),
                        object("{'role':'admin','is_active':true,'last_name':'L'}")),
              200);
}

struct duel {
    const char *token, *id, *way;
};

static void strike(int number, void *context)
{
    const struct duel *duel = (const struct duel *)context + number;
    (void)take_down(duel->token, duel->id, duel->way);
}

/* Two admins take each other's rank at the same time, again and again. */
TEST_EACH(of_two_admins_who_depose_each_other_one_stays, ways_down)
{
    for (int round = 0; round < 10; round++) {
        run_sql("UPDATE users SET role = 'user', is_active = 1");
        const char *x = say("x%d@example.org", round), *y = say("y%d@example.org", round);
        const char *x_id = make_user(x, ROLE_ADMIN), *y_id = make_user(y, ROLE_ADMIN);
        struct duel both[] = {{bearer_of(x), y_id, ways_down[_i]},
                              {bearer_of(y), x_id, ways_down[_i]}};

        parallel(2, strike, both);

        ck_rows("users WHERE role = 'admin' AND is_active = 1", 1);
    }
}

/* ---- lists ---- */

static const char *emails(const char *query)
{
    struct answer answer = api_get(ada, "/users%s", query);
    ck_status(answer, 200);
    return answer_column(answer, "email");
}

CASE("lists", set_up, loopback_close);

TEST(a_list_has_data_and_pagination)
{
    struct answer answer = api_get(ada, "/users");

    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "email"),
                     "admin@example.org ada@example.org bob@example.org");
    ck_assert_int_eq(answer_integer(answer, "pagination.page"), 1);
    ck_assert_int_eq(answer_integer(answer, "pagination.limit"), 20);
    ck_assert_int_eq(answer_total(answer), 3);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), 1);
    ck_assert(!answer_has(answer, "pagination.total_capped"));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "private, no-cache");
    ck_assert_ptr_null(strstr(answer.text, "password"));
    ck_assert(answer_has(answer, "data.1.is_active")); /* her own */
    ck_assert(!answer_has(answer, "data.0.is_active"));
    ck_assert(answer_has(answer, "data.0.updated_at"));
}

static const struct {
    const char *query;
    int page, limit, pages;
    const char *ids; /* e-mails */
} pages[] = {
    {"?limit=2", 1, 2, 2, "admin@example.org ada@example.org"},
    {"?limit=2&page=2", 2, 2, 2, "bob@example.org"},
    {"?limit=2&page=3", 3, 2, 2, ""},
    {"?limit=1&page=3", 3, 1, 3, "bob@example.org"},
    {"?limit=3", 1, 3, 1, "admin@example.org ada@example.org bob@example.org"},
    {"?limit=100&page=9007199254740991", 100, 100, 1, ""},
    {"?page=2&page=x&limit=2&limit=0&colour=red", 2, 2, 2, "bob@example.org"},
    {"?p%61ge=2&limit=%32", 2, 2, 2, "bob@example.org"},
    {"?role=user", 1, 20, 1, "ada@example.org bob@example.org"},
    {"?role=user&limit=1&page=2", 2, 1, 2, "bob@example.org"},
    {"?role=admin", 1, 20, 1, "admin@example.org"},
    {"?q=", 1, 20, 1, "admin@example.org ada@example.org bob@example.org"},
    {"?q=AD&limit=1&page=2", 2, 1, 2, "ada@example.org"},
    {"?q=nobody", 1, 20, 0, ""},
};

TEST_EACH(a_page_shows_its_part, pages)
{
    struct answer answer = api_get(ada, "/users%s", pages[_i].query);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "email"), pages[_i].ids);
    ck_assert_int_eq(answer_integer(answer, "pagination.limit"), pages[_i].limit);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), pages[_i].pages);
    if (pages[_i].page < 100)
        ck_assert_int_eq(answer_integer(answer, "pagination.page"), pages[_i].page);
}

static const struct {
    const char *query, *faults;
} bad_queries[] = {
    {"?page=0", "page range"},
    {"?page=-1", "page range"},
    {"?page=", "page type"},
    {"?page", "page type"},
    {"?page=1.0", "page type"},
    {"?page=%2B1", "page type"},
    {"?page=1%20", "page type"},
    {"?page=0x1", "page type"},
    {"?page=9007199254740992", "page range"},
    {"?page=99999999999999999999999", "page range"},
    {"?limit=0", "limit range"},
    {"?limit=101", "limit range"},
    {"?limit=ten", "limit type"},
    {"?role=root", "role range"},
    {"?role=", "role range"},
    {"?sort=", "sort range"},
    {"?sort=first_name", "sort range"},
    {"?sort=--email", "sort range"},
    {"?q=%00", "q format"},
    {"?q=%ff", "q format"},
    {"?limit=0&page=0&sort=x&role=y", "limit range, page range, sort range, role range"},
};

TEST_EACH(a_bad_query_is_told_all_its_faults, bad_queries)
{
    struct answer answer = api_get(ada, "/users%s", bad_queries[_i].query);

    ck_invalid(answer, bad_queries[_i].faults);
}

TEST(a_search_is_for_at_most_200_characters)
{
    ck_status(api_get(ada, "/users?q=%s", repeat("%C3%A4", 200)), 200);
    ck_status(api_get(ada, "/users?q=%s", repeat("a", 201)), 400);
}

static const struct {
    const char *query, *emails;
} sorts[] = {
    {"?sort=created_at", "admin@example.org ada@example.org bob@example.org"},
    {"?sort=-created_at", "bob@example.org ada@example.org admin@example.org"},
    {"?sort=email", "ada@example.org admin@example.org bob@example.org"},
    {"?sort=-email", "bob@example.org admin@example.org ada@example.org"},
    {"?sort=-email&role=user", "bob@example.org ada@example.org"},
    {"?sort=email&q=example", "ada@example.org admin@example.org bob@example.org"},
    {"?sort=-created_at&q=example&role=user", "bob@example.org ada@example.org"},
};

TEST_EACH(a_list_is_sorted_as_asked, sorts)
{
    ck_assert_str_eq(emails(sorts[_i].query), sorts[_i].emails);
}

/* The rows of `query` one by one, which must be those of the whole list. */
static void ck_walk(const char *query, size_t count)
{
    const char *whole = emails(say("%s&limit=100", query)), *walked = "";
    for (size_t page = 1; page <= count; page++)
        walked = say("%s%s%s", walked, *walked ? " " : "",
                     emails(say("%s&limit=1&page=%zu", query, page)));
    ck_assert_str_eq(walked, whole);
}

static const char *const walks[] = {"?sort=created_at", "?sort=-created_at", "?q=example.org",
                                    "?sort=-created_at&role=user", "?sort=email"};

TEST_EACH(users_of_one_moment_are_neither_skipped_nor_doubled, walks)
{
    for (int i = 0; i < 9; i++)
        make_user(say("n%d@example.org", i), ROLE_USER);
    run_sql("UPDATE users SET created_at = '2020-02-02 02:02:02.222222' WHERE email <> "
            "'admin@example.org'");

    ck_walk(walks[_i], strstr(walks[_i], "role") ? 11 : 12);
}

TEST(totals_follow_every_change)
{
    const char *id = make_user("eve@example.org", ROLE_USER);
    ck_assert_int_eq(answer_total(api_get(ada, "/users")), 4);

    ck_status(api_patch(admin, path_of(id), object("{'role':'admin'}")), 200);
    ck_assert_int_eq(answer_total(api_get(ada, "/users?role=admin")), 2);
    ck_assert_int_eq(answer_total(api_get(ada, "/users?role=user")), 2);
    ck_status(api_delete(admin, "/users/%s", id), 204);

    ck_assert_int_eq(answer_total(api_get(ada, "/users")), 3);
    ck_assert_int_eq(answer_total(api_get(ada, "/users?role=admin")), 1);
}

TEST(a_list_has_what_if_match_wants)
{
    ck_status(api_patch(admin, path_of(ada_id), object("{'last_name':'L'}")), 200);
    const char *etag = answer_text(api_get(admin, "/users?q=ada"), "data.0.etag");
    const struct call call = {.method = "PATCH",
                              .path = path_of(ada_id),
                              .token = admin,
                              .body = object("{'first_name':'New'}"),
                              .param = say("HTTP_IF_MATCH=%s", etag)};

    ck_assert_str_eq(etag, answer_header(api_get(admin, "/users/%s", ada_id), "ETag"));
    ck_status(loopback_ask(&call), 200);
    ck_problem(loopback_ask(&call), PRECONDITION_FAILED);
    ck_assert_str_ne(answer_text(api_get(admin, "/users?q=ada"), "data.0.etag"), etag);
}

TEST(a_version_that_is_not_meant_is_not_touched)
{
    const char *tag = answer_header(api_get(admin, "/users/%s", ada_id), "ETag");
    struct call call = {.method = "DELETE",
                        .path = path_of(ada_id),
                        .token = admin,
                        .param = say("HTTP_IF_NONE_MATCH=%s", tag)};

    ck_problem(loopback_ask(&call), PRECONDITION_FAILED);
    call.param = "HTTP_IF_NONE_MATCH=\"17\"";
    ck_status(loopback_ask(&call), 204);
}

/* ---- searching ---- */

static const struct {
    const char *email, *first_name;
} people[] = {
    {"percent@p.test", "50% off"},
    {"under_score@p.test", "a_b"},
    {"back@p.test", "a\\\\b"},
    {"umlaut@p.test", "\303\204rger"},
    {"accent@p.test", "\303\201dam"},
    {"cyrillic@p.test", "\320\226\320\260\320\275\320\275\320\260"},
    {"emoji@p.test", "\360\237\230\200\360\237\230\201\360\237\230\202"},
    {"MiXeD@P.test", "McGregor"},
    {"plus+tag@p.test", "O'Neill"},
    {"quote@p.test", "+(wild)* \\\"x\\\" ~<>"},
};

static void make_people(void)
{
    for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
        const char *body = say("{\"email\":\"%s\",\"password\":\"%s\",\"first_name\":\"%s\"}",
                               people[i].email, PASSWORD, people[i].first_name);
        the_time.us += 1000;
        ck_status(api_post(admin, "/users", body), 201);
    }
}

static void set_up_people(void)
{
    set_up();
    make_people();
}

/* What is looked for, percent-encoded, and who is found by it. */
static const struct {
    const char *q, *emails;
} searches[] = {
    {"p.test&limit=3", "percent@p.test under_score@p.test back@p.test"},
    {"P.TEST&sort=-created_at&limit=1", "quote@p.test"},
    {"%25", "percent@p.test"},
    {"0%25+off", "percent@p.test"},
    {"5%25+off", ""},
    {"_", "under_score@p.test"},
    {"r_s", "under_score@p.test"},
    {"a_b", "under_score@p.test"},
    {"%5C", "back@p.test"},
    {"a%5Cb", "back@p.test"},
    {"a%5C%5Cb", ""},
    {"%C3%A4rg", "umlaut@p.test"},
    {"%C3%84RGER", "umlaut@p.test"},
    {"arger", "umlaut@p.test"},
    {"adam", "accent@p.test"},
    {"%C3%A1DAM", "accent@p.test"},
    {"%D0%96%D0%90%D0%9D%D0%9D%D0%90", "cyrillic@p.test"},
    {"%D0%BD%D0%BD", "cyrillic@p.test"},
    {"%F0%9F%98%81", "emoji@p.test"},
    {"%F0%9F%98%80%F0%9F%98%81%F0%9F%98%82", "emoji@p.test"},
    {"mixed%40p", "MiXeD@P.test"},
    {"mcGREGOR", "MiXeD@P.test"},
    {"plus%2Btag", "plus+tag@p.test"},
    {"o%27neill", "plus+tag@p.test"},
    {"+%28wild%29*+%22x%22", ""},
    {"%28wild%29*+%22x%22+~%3C%3E", "quote@p.test"},
    {"-admin", ""},
    {"tag%40p.testO%27N", ""}, /* no match across e-mail and name */
};

/* They are made once, for these tests only read. */
CASE("searching", loopback_again, NULL);
CASE_AROUND(set_up_people, loopback_close);

TEST_EACH(a_search_is_a_substring_in_any_case, searches)
{
    ck_assert_str_eq(emails(say("?q=%s", searches[_i].q)), searches[_i].emails);
}

CASE("lists", set_up, loopback_close);

TEST(a_search_does_not_look_at_last_names)
{
    ck_status(api_patch(ada, path_of(ada_id), object("{'last_name':'Wonderland'}")), 200);

    ck_assert_str_eq(emails("?q=wonder"), "");
}

TEST(a_search_follows_changes)
{
    ck_status(api_patch(ada, path_of(ada_id), object("{'first_name':'Countess'}")), 200);
    ck_assert_str_eq(emails("?q=countess"), "ada@example.org");

    ck_status(api_patch(admin, path_of(ada_id),
                        object("{'first_name':null,'email':'lovelace@example.org'}")),
              200);

    ada = bearer_of("lovelace@example.org"); /* what she had ended with the address */
    ck_assert_str_eq(emails("?q=countess"), "");
    ck_assert_str_eq(emails("?q=ada%40"), "");
    ck_assert_str_eq(emails("?q=LOVELACE"), "lovelace@example.org");
}

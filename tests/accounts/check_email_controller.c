/* needs: mariadb */
/* Addresses, as clients see it: changed, verified, taken back; and who must not get in by them. */
#include "tests/support/loopback.h"

#include <string.h>
#include <strings.h>

#include "common/base/problem.h"
#include "tests/support/ada_and_bob.h"
#include "tests/support/letters.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define NEW_WORD "weaver of patterns"
#define THIEF_WORD "what the thief chose"
#define HOUR_S 3600
#define DAY_S (24 * HOUR_S)
#define MAIL "MAIL_COMMAND=/nonexistent/sendmail"
#define ADA "Ada@example.org"

/* ---- what is asked here ---- */

static struct answer change_email(const char *token, const char *email, const char *password)
{
    return api_post(token, "/auth/email",
                    object("{'email':'%s','current_password':'%s'}", email, password));
}

static struct answer verify(const char *token, const char *mailed, const char *password)
{
    return api_post(token, "/auth/email/verify",
                    password ? object("{'token':'%s','password':'%s'}", mailed, password)
                             : object("{'token':'%s'}", mailed));
}

static struct answer undo(const char *mailed)
{
    return api_post(NULL, "/auth/email/undo", object("{'token':'%s'}", mailed));
}

static struct answer send_again(const char *token)
{
    return api_ask(.method = "POST", .path = "/auth/email/verify/send", .token = token);
}

static struct answer forget(const char *email)
{
    return api_post(NULL, "/auth/password/forgot", object("{'email':'%s'}", email));
}

static struct answer reset(const char *mailed, const char *password)
{
    return api_post(NULL, "/auth/password/reset",
                    object("{'token':'%s','new_password':'%s'}", mailed, password));
}

static struct answer enrol(const char *email, const char *password)
{
    return api_post(NULL, "/auth/register",
                    object("{'email':'%s','password':'%s'}", email, password));
}

static void ck_bad_token(struct answer answer)
{
    ck_invalid(answer, "token wrong");
}

static const char *address_of(const char *token)
{
    return answer_text(api_get(token, "/auth/profile"), "user.email");
}

static bool is_verified(const char *token)
{
    return answer_boolean(api_get(token, "/auth/profile"), "user.email_verified");
}

static void ck_pending(const char *token, const char *email)
{
    struct answer answer = api_get(token, "/auth/profile");
    if (email)
        ck_assert_str_eq(answer_text(answer, "user.pending_email"), email);
    else
        ck_assert(answer_is_null(answer, "user.pending_email"));
}

static void set_up_mail(void)
{
    meet_ada_and_bob();
    loopback_set(MAIL);
    ck_mailed("");
}

static void set_up_on(void)
{
    set_up_mail();
    loopback_set(MAIL, "VERIFY_EMAIL=on");
}

static void set_up_required(void)
{
    set_up_mail();
    loopback_set(MAIL, "VERIFY_EMAIL=required");
}

/* Let Ada's address change to another, and return the token that undoes it. */
static const char *move_to(const char *token, const char *from, const char *email)
{
    ck_status(change_email(token, email, PASSWORD), 202);
    ck_status(verify(token, token_mailed("change", email), NULL), 200);
    ck_assert_str_eq(address_of(token), email);
    return token_mailed("email_changed", from);
}

/* ---- another address, without mail ---- */

CASE("moving", meet_ada_and_bob, loopback_close);

TEST(a_changed_address_is_what_one_logs_in_with)
{
    struct answer before = api_get(ada.access, "/auth/profile");
    pass_s(60);

    struct answer answer = change_email(ada.access, "Lovelace@example.org", PASSWORD);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), ada_id);
    ck_assert_str_eq(answer_text(answer, "user.email"), "Lovelace@example.org");
    ck_assert_str_gt(answer_text(answer, "user.updated_at"),
                     answer_text(before, "user.updated_at"));
    ck_assert_str_ne(answer_header(answer, "ETag"), answer_header(before, "ETag"));
    ck_assert_str_eq(api_get(ada.access, "/auth/profile").text, answer.text);
    ck_status(try_login("lovelace@example.org", PASSWORD), 200);
    ck_status(try_login("ada@example.org", PASSWORD), 401);
}

TEST(a_changed_address_leaves_the_sessions_and_frees_the_old_one)
{
    ck_status(change_email(ada.access, "lovelace@example.org", PASSWORD), 200);

    ck_alive(ada.access);
    ck_alive(elsewhere.access);
    ck_status(change_email(bob.access, "ada@example.org", PASSWORD), 200);
}

TEST(a_changed_address_is_found_by_a_search)
{
    ck_status(change_email(ada.access, "lovelace@example.org", PASSWORD), 200);

    ck_assert_str_eq(answer_column(api_get(bob.access, "/users?q=lovel"), "email"),
                     "lovelace@example.org");
    ck_assert_uint_eq(answer_count(api_get(bob.access, "/users?q=ada")), 0);
}

static const char *const others_address[] = {"bob@example.org", "BOB@Example.org"};

TEST_EACH(the_address_of_another_is_taken, others_address)
{
    struct answer before = api_get(ada.access, "/auth/profile");

    ck_problem(change_email(ada.access, others_address[_i], PASSWORD), EMAIL_EXISTS);

    ck_assert_str_eq(api_get(ada.access, "/auth/profile").text, before.text);
}

TEST(ones_own_address_may_change_its_case)
{
    struct answer answer = change_email(ada.access, "ADA@example.org", PASSWORD);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.email"), "ADA@example.org");
}

static const struct refusal bad_addresses[] = {
    {"{}", MISSING_FIELDS, "email required, current_password required"},
    {"{'email':'nonsense'}", MISSING_FIELDS, "email format, current_password required"},
    {"{'email':'nonsense','current_password':'" PASSWORD "'}", INVALID_EMAIL, "email format"},
    {"{'email':'','current_password':'x'}", INVALID_EMAIL, "email format"},
    {"{'email':null,'current_password':7}", INVALID, "email type, current_password type"},
    /* Not even whether an address is taken is told without the password. */
    {"{'email':'bob@example.org','current_password':'wrong'}", INVALID, "current_password wrong"},
};

TEST_EACH(a_bad_address_is_told_all_its_faults, bad_addresses)
{
    struct answer before = api_get(ada.access, "/auth/profile");

    ck_refusal("POST", ada.access, "/auth/email", &bad_addresses[_i]);

    ck_assert_str_eq(api_get(ada.access, "/auth/profile").text, before.text);
}

/* ---- another address, with mail ---- */

CASE("changing", set_up_mail, loopback_close);

TEST(an_address_changes_when_its_token_is_used)
{
    struct answer before = api_get(ada.access, "/auth/profile");

    struct answer answer = change_email(ada.access, "New@example.org", PASSWORD);

    ck_status(answer, 202);
    ck_assert_str_eq(answer.text, object("{'pending_email':'New@example.org'}"));
    ck_mailed("change New@example.org");
    ck_assert_str_eq(address_of(ada.access), ADA);
    ck_pending(ada.access, "New@example.org");
    const char *token = token_mailed("change", "New@example.org");
    answer = verify(ada.access, token, NULL);
    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.email"), "New@example.org");
    ck_assert(answer_boolean(answer, "user.email_verified"));
    ck_assert_str_eq(api_get(ada.access, "/auth/profile").text, answer.text);
    ck_assert_str_ne(answer_header(answer, "ETag"), answer_header(before, "ETag"));
    ck_pending(ada.access, NULL);
    ck_bad_token(verify(ada.access, token, NULL));
    ck_status(try_login("new@example.org", PASSWORD), 200);
    ck_status(try_login("ada@example.org", PASSWORD), 401);
    ck_alive(elsewhere.access);
}

TEST(a_changed_address_is_told_to_the_former_one)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    ck_status(verify(ada.access, token_mailed("change", "new@example.org"), NULL), 200);

    ck_mailed("change new@example.org, email_changed " ADA);
    ck_rows("outbox WHERE kind = 'email_changed' AND other = 'new@example.org'", 1);
    ck_rows("outbox WHERE kind = 'change' AND other = '" ADA "'", 1);
}

TEST(ones_own_address_in_another_case_changes_at_once)
{
    struct answer answer = change_email(ada.access, "ADA@example.org", PASSWORD);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.email"), "ADA@example.org");
    ck_mailed("");
}

static const struct {
    int after_s, status;
} ages[] = {{HOUR_S - 1, 200}, {HOUR_S, 400}};

/* By then nobody sees that it waited, and no ETag is of two contents. */
TEST_EACH(a_change_waits_for_an_hour, ages)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *login = log_in("ada@example.org");
    struct answer waiting = api_get(login, "/auth/profile");

    pass_s(ages[_i].after_s);

    login = log_in("ada@example.org");
    struct answer answer = api_get(login, "/auth/profile");
    bool waits = ages[_i].status == 200;
    ck_assert(answer_is_null(answer, "user.pending_email") == !waits);
    ck_assert(!strcmp(answer_header(answer, "ETag"), answer_header(waiting, "ETag")) == waits);
    ck_status(verify(login, token_mailed("change", "new@example.org"), NULL), ages[_i].status);
}

TEST(a_version_that_was_seen_is_of_one_content)
{
    const char *admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    const char *path = say("/users/%s", ada_id);
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    struct answer waiting = api_get(admin, "%s", path);
    ck_status(api_ask(.method = "PATCH", .path = path, .token = admin,
                      .body = object("{'first_name':'A'}"),
                      .param = say("HTTP_IF_MATCH=%s", answer_header(waiting, "ETag"))),
              200);
    struct answer named = api_get(admin, "%s", path);
    run_sql("UPDATE users SET pending_until = '2001-01-01' WHERE pending_until IS NOT NULL");

    struct answer lapsed = api_get(admin, "%s", path);

    ck_assert_str_ne(answer_header(named, "ETag"), answer_header(waiting, "ETag"));
    ck_assert_str_ne(answer_header(lapsed, "ETag"), answer_header(named, "ETag"));
    ck_problem(api_ask(.method = "PATCH", .path = path, .token = admin,
                       .body = object("{'first_name':'B'}"),
                       .param = say("HTTP_IF_MATCH=%s", answer_header(named, "ETag"))),
               PRECONDITION_FAILED);
    ck_status(api_patch(admin, path, object("{'first_name':'B'}")), 200);
    ck_assert_str_ne(answer_header(api_get(admin, "%s", path), "ETag"),
                     answer_header(lapsed, "ETag"));
}

TEST(a_newer_change_takes_the_place_of_an_older)
{
    ck_status(change_email(ada.access, "first@example.org", PASSWORD), 202);
    ck_status(change_email(ada.access, "second@example.org", PASSWORD), 202);

    ck_pending(ada.access, "second@example.org");
    ck_bad_token(verify(ada.access, token_mailed("change", "first@example.org"), NULL));
    ck_status(verify(ada.access, token_mailed("change", "second@example.org"), NULL), 200);
}

TEST(a_newer_token_for_the_same_address_takes_the_place_of_the_older)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *first = token_mailed("change", "new@example.org");
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);

    ck_bad_token(verify(ada.access, first, NULL));
    ck_status(verify(ada.access, token_mailed("change", "new@example.org"), NULL), 200);
}

/* Not even oneself is told who has an account: what is shown is the same. */
TEST(a_taken_address_is_answered_as_a_free_one)
{
    struct answer free = change_email(elsewhere.access, "taken@example.org", PASSWORD);
    struct answer shown = api_get(elsewhere.access, "/auth/profile");
    ck_status(change_email(bob.access, "other@example.org", PASSWORD), 202);
    make_user("taken@example.org", ROLE_USER);
    ck_mailed("change taken@example.org, change other@example.org");

    struct answer taken = change_email(elsewhere.access, "taken@example.org", PASSWORD);

    ck_status(taken, 202);
    ck_assert_str_eq(taken.text, free.text);
    ck_mailed("taken taken@example.org");
    ck_assert_str_eq(answer_text(api_get(elsewhere.access, "/auth/profile"), "user.pending_email"),
                     answer_text(shown, "user.pending_email"));
    ck_bad_token(verify(elsewhere.access, token_mailed("taken", "taken@example.org"), NULL));
}

TEST(the_owner_of_a_taken_address_is_told_at_the_address_that_they_have)
{
    ck_status(change_email(bob.access, "ADA@EXAMPLE.ORG", PASSWORD), 202);

    ck_mailed("taken " ADA);
}

TEST(an_address_that_was_taken_meanwhile_is_a_conflict)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    make_user("NEW@example.org", ROLE_USER);

    ck_problem(verify(ada.access, token_mailed("change", "new@example.org"), NULL), EMAIL_EXISTS);

    ck_assert_str_eq(address_of(ada.access), ADA);
    ck_pending(ada.access, "new@example.org");
}

TEST(who_uses_the_token_without_a_session_gives_the_password)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *token = token_mailed("change", "new@example.org");

    struct answer missing = verify(NULL, token, NULL);
    ck_problem(missing, MISSING_FIELDS);
    ck_assert_str_eq(answer_faults(missing), "password required");
    ck_assert_str_eq(answer_missing(missing), "password");
    ck_problem(verify(bob.access, token, NULL), MISSING_FIELDS);
    ck_invalid(verify(NULL, token, "not " PASSWORD), "password wrong");
    ck_assert_str_eq(address_of(ada.access), ADA);
    ck_status(verify(NULL, token, PASSWORD), 200);
    ck_assert_str_eq(address_of(ada.access), "new@example.org");
}

TEST(a_wrong_password_with_a_token_counts_as_a_guess)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *token = token_mailed("change", "new@example.org");
    for (int i = 0; i < 10; i++)
        ck_invalid(verify(NULL, token, "not " PASSWORD), "password wrong");

    ck_problem(verify(NULL, token, PASSWORD), RATE_LIMITED);
    ck_problem(try_login(ADA, PASSWORD), RATE_LIMITED);
    ck_status(verify(ada.access, token, NULL), 200);
}

TEST(an_authorization_that_is_bad_counts_as_none)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *token = token_mailed("change", "new@example.org");
    ck_status(api_post(elsewhere.access, "/auth/logout", NULL), 204);

    ck_problem(verify("nonsense", token, NULL), MISSING_FIELDS);
    ck_problem(verify(elsewhere.access, token, NULL), MISSING_FIELDS);
    pass_s(20 * 60); /* by then the token of the session has expired */
    ck_problem(verify(ada.access, token, NULL), MISSING_FIELDS);
    ck_status(verify("nonsense", token, PASSWORD), 200);
}

/* ---- what voids tokens and a change that waits ---- */

static struct answer by_password(const char *path, const char *more)
{
    return api_post(ada.access, path, object("{'current_password':'" PASSWORD "'%s}", more));
}

static void change_password(void)
{
    ck_status(by_password("/auth/password", ",'new_password':'" NEW_WORD "'"), 204);
}

static void reset_password(void)
{
    ck_status(forget("ada@example.org"), 202);
    ck_status(reset(token_mailed("reset", ADA), NEW_WORD), 204);
}

static void be_disabled(void)
{
    const char *admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    ck_status(api_patch(admin, say("/users/%s", ada_id), object("{'is_active':false}")), 200);
    ck_status(api_patch(admin, say("/users/%s", ada_id), object("{'is_active':true}")), 200);
}

static void be_moved(void)
{
    const char *admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    ck_status(api_patch(admin, say("/users/%s", ada_id), object("{'email':'moved@example.org'}")),
              200);
}

static void change_case(void)
{
    ck_status(by_password("/auth/email", ",'email':'ADA@example.org'"), 200);
}

static const struct {
    void (*happens)(void);
    bool leaves_session;
} voiding[] = {
    {change_password, true}, {reset_password}, {be_disabled}, {be_moved}, {change_case, true}};

TEST_EACH(what_ends_access_voids_all_tokens_and_a_change_that_waits, voiding)
{
    run_sql("UPDATE users SET email_verified = 0 WHERE email = '" ADA "'");
    ck_status(send_again(ada.access), 202);
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    ck_status(forget("ada@example.org"), 202);
    const char *verifies = token_mailed("verify", ADA), *resets = token_mailed("reset", ADA),
               *changes = token_mailed("change", "new@example.org");
    int64_t version = ask_number(say("SELECT version - 1 AS n FROM users WHERE id = '%s'", ada_id));

    voiding[_i].happens();

    const char *word =
        voiding[_i].happens == change_password || voiding[_i].happens == reset_password ? NEW_WORD
                                                                                        : PASSWORD;
    ck_bad_token(verify(NULL, verifies, word));
    ck_bad_token(verify(NULL, changes, word));
    ck_bad_token(reset(resets, NEW_WORD));
    ck_rows(say("users WHERE id = '%s' AND pending_email IS NULL AND version > %lld", ada_id,
                (long long)version),
            1);
    ck_rows(say("sessions WHERE user_id = '%s'", ada_id),
            voiding[_i].leaves_session ? (voiding[_i].happens == change_case) ? 2 : 1 : 0);
}

/* The same for a change that is carried out, which leaves undo tokens. */
TEST(a_change_of_the_address_voids_what_was_mailed_to_the_former)
{
    ck_status(forget("ada@example.org"), 202);
    const char *resets = token_mailed("reset", ADA);

    const char *undoes = move_to(elsewhere.access, ADA, "new@example.org");

    ck_bad_token(reset(resets, NEW_WORD));
    change_password();
    ck_status(undo(undoes), 204);
}

/* ---- undo ---- */

CASE("undoing", set_up_mail, loopback_close);

TEST(the_former_mailbox_takes_the_address_back)
{
    const char *token = move_to(ada.access, ADA, "new@example.org");
    ck_status(forget("new@example.org"), 202);
    const char *resets = token_mailed("reset", "new@example.org");
    ck_status(change_email(ada.access, "third@example.org", PASSWORD), 202);
    ck_mailed("change new@example.org, email_changed " ADA ", reset new@example.org, "
              "change third@example.org");

    struct answer answer = undo(token);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_mailed("undone_reset " ADA);
    ck_rows(say("users WHERE id = '%s' AND email = '" ADA "' AND email_verified AND "
                "pending_email IS NULL",
                ada_id),
            1);
    ck_ended(&ada);
    ck_ended(&elsewhere);
    ck_problem(try_login("ada@example.org", PASSWORD), INVALID_CREDENTIALS);
    ck_problem(try_login("new@example.org", PASSWORD), INVALID_CREDENTIALS);
    ck_bad_token(reset(resets, THIEF_WORD));
    ck_bad_token(verify(NULL, token_mailed("change", "third@example.org"), PASSWORD));
    ck_bad_token(undo(token));
    ck_status(reset(token_mailed("undone_reset", ADA), NEW_WORD), 204);
    ck_status(try_login("ada@example.org", NEW_WORD), 200);
}

static const struct {
    int after_s, status;
} undo_ages[] = {{3 * DAY_S - 1, 204}, {3 * DAY_S, 400}};

TEST_EACH(an_undo_is_good_for_72_hours, undo_ages)
{
    const char *token = move_to(ada.access, ADA, "new@example.org");

    pass_s(undo_ages[_i].after_s);

    ck_status(undo(token), undo_ages[_i].status);
    ck_status(enrol("ada@example.org", THIEF_WORD), undo_ages[_i].status == 204 ? 409 : 201);
}

TEST(an_undo_of_a_disabled_account_puts_the_address_back_and_lets_nobody_in)
{
    const char *token = move_to(ada.access, ADA, "new@example.org");
    run_sql("UPDATE users SET is_active = 0 WHERE email = 'new@example.org'");

    ck_status(undo(token), 204);

    ck_rows("users WHERE email = '" ADA "' AND is_active = 0", 1);
    ck_assert_int_eq(letters_to("undone_reset", ADA), 0);
}

/* ---- attacks ---- */

/* A thief has the session and the password, moves twice, and has the second mailbox. */
TEST(a_thief_who_moves_twice_cannot_undo_past_the_owner)
{
    const char *first = move_to(ada.access, ADA, "thief@example.org");
    const char *second = move_to(ada.access, "thief@example.org", "thief2@example.org");

    ck_status(undo(first), 204);

    ck_bad_token(undo(second));
    ck_rows(say("users WHERE id = '%s' AND email = '" ADA "'", ada_id), 1);
}

TEST(a_thief_who_undoes_first_loses_to_the_owner)
{
    const char *first = move_to(ada.access, ADA, "thief@example.org");
    const char *second = move_to(ada.access, "thief@example.org", "thief2@example.org");
    ck_status(undo(second), 204);
    const char *thiefs = token_mailed("undone_reset", "thief@example.org");
    ck_status(reset(thiefs, THIEF_WORD), 204);
    ck_status(try_login("thief@example.org", THIEF_WORD), 200);

    ck_status(undo(first), 204);

    ck_problem(try_login("ada@example.org", THIEF_WORD), INVALID_CREDENTIALS);
    ck_status(reset(token_mailed("undone_reset", ADA), NEW_WORD), 204);
    ck_status(try_login("ada@example.org", NEW_WORD), 200);
}

/* The mailbox is full of what a thief asked for; the notice comes nevertheless. */
TEST(a_mailbox_that_had_enough_is_told_of_a_change)
{
    for (int i = 0; i < 4; i++)
        ck_status(forget("ada@example.org"), 202);
    ck_assert_int_eq(letters_to("reset", ADA), 3);
    ck_status(change_email(ada.access, "thief@example.org", PASSWORD), 202);
    ck_status(verify(ada.access, token_mailed("change", "thief@example.org"), NULL), 200);

    ck_status(undo(token_mailed("email_changed", ADA)), 204);
    ck_assert_int_eq(letters_to("undone_reset", ADA), 1);
}

static const char *admin_of_test(void)
{
    return bearer_of_new("admin@example.org", ROLE_ADMIN);
}

/* Each way to an address, for another than who had it. */
static void ck_is_kept(const char *admin, const char *email)
{
    ck_mailed(say("change thief@example.org, email_changed %s", email));
    ck_problem(enrol(email, THIEF_WORD), EMAIL_EXISTS);
    ck_problem(
        api_post(admin, "/users",
                 object("{'email':'%s','password':'" THIEF_WORD "','first_name':'T'}", email)),
        EMAIL_EXISTS);
    ck_problem(
        api_post(admin, "/users", object("{'email':'%s','invite':true,'first_name':'T'}", email)),
        EMAIL_EXISTS);
    ck_problem(
        api_patch(admin,
                  say("/users/%s", answer_text(api_get(bob.access, "/auth/profile"), "user.id")),
                  object("{'email':'%s'}", email)),
        EMAIL_EXISTS);
    struct answer answer = change_email(bob.access, email, PASSWORD);
    ck_status(answer, 202);
    ck_status(forget(email), 202);
    ck_mailed("");
    ck_rows(say("users WHERE email_folded = LOWER('%s')", email), 0);
}

TEST(a_freed_address_is_nobodys_for_72_hours)
{
    const char *admin = admin_of_test();
    move_to(ada.access, ADA, "thief@example.org");

    ck_is_kept(admin, ADA);
}

TEST(a_freed_address_is_kept_when_its_account_is_deleted)
{
    const char *admin = admin_of_test();
    const char *token = move_to(ada.access, ADA, "thief@example.org");
    ck_mailed("change thief@example.org, email_changed " ADA);
    ck_status(api_ask(.method = "DELETE", .path = "/auth/profile", .token = ada.access,
                      .body = object("{'current_password':'" PASSWORD "'}")),
              204);
    ck_mailed("account_deleted thief@example.org");
    ck_rows(say("users WHERE id = '%s'", ada_id), 0);

    ck_problem(enrol(ADA, THIEF_WORD), EMAIL_EXISTS);
    ck_problem(api_post(admin, "/users",
                        object("{'email':'" ADA "','password':'" THIEF_WORD "',"
                               "'first_name':'T'}")),
               EMAIL_EXISTS);
    ck_bad_token(undo(token));
    pass_s(3 * DAY_S);
    ck_status(enrol(ADA, NEW_WORD), 201);
}

TEST(who_had_an_address_may_have_it_again)
{
    move_to(ada.access, ADA, "new@example.org");

    move_to(ada.access, "new@example.org", ADA);
}

/* A change that was asked for before the address was freed, and is confirmed after. */
TEST(a_token_for_an_address_that_is_kept_by_now_is_a_conflict)
{
    ck_status(change_email(bob.access, "former@example.org", PASSWORD), 202);
    const char *token = token_mailed("change", "former@example.org");
    run_sql("UPDATE users SET email = 'former@example.org' WHERE email = '" ADA "'");
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    ck_status(verify(ada.access, token_mailed("change", "new@example.org"), NULL), 200);

    ck_problem(verify(bob.access, token, NULL), EMAIL_EXISTS);
}

/* A thief asks for a change, then the owner resets the password. */
TEST(a_pending_change_does_not_survive_a_reset)
{
    ck_status(change_email(ada.access, "thief@example.org", PASSWORD), 202);
    const char *thiefs = token_mailed("change", "thief@example.org");

    reset_password();

    ck_bad_token(verify(NULL, thiefs, PASSWORD));
    ck_bad_token(verify(NULL, thiefs, NEW_WORD));
    ck_rows("users WHERE pending_email IS NOT NULL OR email = 'thief@example.org'", 0);
}

static const char *const posted[] = {"/auth/email/verify", "/auth/email/undo",
                                     "/auth/email/verify/send", "/auth/password/reset"};

/* What looks at the links of a mail, before its reader does. */
TEST_EACH(a_link_scanner_changes_nothing, posted)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *token = token_mailed("change", "new@example.org");
    struct answer got = api_get(NULL, "%s?token=%s", posted[_i], token);

    ck_problem(got, METHOD_NOT_ALLOWED);
    ck_methods(posted[_i], "POST, OPTIONS");
    ck_status(verify(ada.access, token, NULL), 200);
}

/* The links come from settings. */
TEST(a_host_that_lies_is_in_no_message)
{
    ck_status(api_ask(.method = "POST", .path = "/auth/password/forgot",
                      .body = object("{'email':'ada@example.org'}"),
                      .param = "HTTP_HOST=thief.example.org"),
              202);

    ck_mailed("reset " ADA);
    ck_rows("outbox WHERE CONCAT_WS(' ', address, other, kind, kid) LIKE '%thief%'", 0);
    ck_status(reset(token_mailed("reset", ADA), NEW_WORD), 204);
}

/* ---- verifying ---- */

CASE("on", set_up_on, loopback_close);

TEST(who_registers_verifies_with_a_session)
{
    ck_status(enrol("Eve@example.org", PASSWORD), 201);
    ck_mailed("verify Eve@example.org");
    const char *eve = log_in("eve@example.org");
    ck_assert(!is_verified(eve));

    struct answer answer = verify(eve, token_mailed("verify", "Eve@example.org"), NULL);

    ck_status(answer, 200);
    ck_assert(answer_boolean(answer, "user.email_verified"));
    ck_assert(is_verified(eve));
    ck_bad_token(verify(eve, token_mailed("verify", "Eve@example.org"), NULL));
}

TEST(or_with_the_password)
{
    ck_status(enrol("eve@example.org", PASSWORD), 201);

    ck_status(verify(NULL, token_mailed("verify", "eve@example.org"), PASSWORD), 200);

    ck_assert(is_verified(log_in("eve@example.org")));
}

/* A stranger registers with Eve's address; she reads the mail, and clicks. */
TEST(a_mailbox_does_not_verify_an_account_whose_password_a_stranger_chose)
{
    ck_status(enrol("eve@example.org", THIEF_WORD), 201);
    const char *token = token_mailed("verify", "eve@example.org");
    const struct login thief = login_of(try_login("eve@example.org", THIEF_WORD));

    ck_problem(verify(NULL, token, NULL), MISSING_FIELDS);
    ck_problem(verify(ada.access, token, NULL), MISSING_FIELDS);
    ck_invalid(verify(NULL, token, PASSWORD), "password wrong");
    ck_assert(!is_verified(thief.access));

    ck_status(forget("eve@example.org"), 202);
    ck_status(reset(token_mailed("reset", "eve@example.org"), NEW_WORD), 204);
    ck_ended(&thief);
    ck_problem(try_login("eve@example.org", THIEF_WORD), INVALID_CREDENTIALS);
    struct answer login = try_login("eve@example.org", NEW_WORD);
    ck_status(login, 200);
    ck_assert(answer_boolean(login, "user.email_verified"));
    ck_bad_token(verify(NULL, token, NEW_WORD));
}

static const struct {
    int after_s, status;
} verify_ages[] = {{DAY_S - 1, 200}, {DAY_S, 400}};

TEST_EACH(a_verification_is_good_for_24_hours, verify_ages)
{
    ck_status(enrol("eve@example.org", PASSWORD), 201);

    pass_s(verify_ages[_i].after_s);

    ck_status(verify(NULL, token_mailed("verify", "eve@example.org"), PASSWORD),
              verify_ages[_i].status);
}

TEST(another_token_is_sent_to_who_is_not_verified)
{
    ck_status(enrol("eve@example.org", PASSWORD), 201);
    const char *first = token_mailed("verify", "eve@example.org"), *eve = log_in("eve@example.org");

    ck_status(send_again(eve), 202);
    const char *second = token_mailed("verify", "eve@example.org");

    ck_assert_str_ne(first, second);
    ck_status(verify(eve, first, NULL), 200); /* good beside each other, until one is used */
    ck_bad_token(verify(eve, second, NULL));
    ck_mailed("verify eve@example.org, verify eve@example.org");
    struct answer again = send_again(eve);
    ck_status(again, 202);
    ck_assert_str_eq(again.text, "");
    ck_mailed("");
    ck_token_needed("POST", "/auth/email/verify/send", NULL);
}

TEST(a_mailbox_gets_three_tokens_and_the_answer_stays_the_same)
{
    ck_status(enrol("eve@example.org", PASSWORD), 201);
    const char *eve = log_in("eve@example.org");

    for (int i = 0; i < 4; i++)
        ck_status(send_again(eve), 202);

    ck_assert_int_eq(letters_to("verify", "eve@example.org"), 3);
    ck_rows("outbox WHERE kind = 'nobody'", 2);
    ck_rows("mailed_tokens", 5);
}

/* Nothing is sent, and so nothing is counted. */
TEST(who_is_verified_can_ask_for_a_token_and_still_gets_other_mail)
{
    ck_status(enrol("eve@example.org", PASSWORD), 201);
    const char *eve = log_in("eve@example.org");
    ck_status(verify(eve, token_mailed("verify", "eve@example.org"), NULL), 200);

    for (int i = 0; i < 3; i++)
        ck_status(send_again(eve), 202);
    ck_status(forget("eve@example.org"), 202);

    ck_assert_int_eq(letters_to("reset", "eve@example.org"), 1);
}

TEST(whom_an_admin_makes_is_mailed_a_token_and_may_log_in)
{
    const char *admin = admin_of_test();
    struct answer made =
        api_post(admin, "/users",
                 object("{'email':'eve@example.org','password':'" PASSWORD "','first_name':'E'}"));

    ck_status(made, 201);
    ck_assert(!answer_boolean(made, "user.email_verified"));
    ck_mailed("verify eve@example.org");
    ck_status(verify(log_in("eve@example.org"), token_mailed("verify", "eve@example.org"), NULL),
              200);
}

TEST(who_was_there_before_counts_as_verified)
{
    ck_assert(is_verified(ada.access));
}

TEST(a_mailbox_that_is_full_costs_who_fails_to_register_nothing)
{
    for (int i = 0; i < 5; i++)
        ck_status(enrol("ada@example.org", PASSWORD), 409);
    ck_status(forget("ada@example.org"), 202);

    ck_mailed("reset " ADA);
}

CASE("off", set_up_mail, loopback_close);

TEST(without_verification_who_registers_counts_as_verified_and_gets_no_mail)
{
    struct answer answer = enrol("eve@example.org", PASSWORD);

    ck_status(answer, 201);
    ck_assert(answer_boolean(answer, "user.email_verified"));
    ck_assert(answer_is_null(answer, "user.pending_email"));
    ck_status(enrol("eve@example.org", PASSWORD), 409);
    ck_mailed("");
}

static const struct refusal bad_verifications[] = {
    {"{}", MISSING_FIELDS, "token required"},
    {"{'token':7,'password':[]}", INVALID, "token type, password type"},
    {"{'token':''}", INVALID, "token too_short"},
    {"{'token':'nonsense'}", INVALID, "token wrong"},
    {"{'token':'nonsense','password':null}", INVALID, "token wrong"},
};

TEST_EACH(a_bad_verification_is_told_its_faults, bad_verifications)
{
    ck_refusal("POST", NULL, "/auth/email/verify", &bad_verifications[_i]);
}

static const struct refusal bad_undos[] = {
    {"{}", MISSING_FIELDS, "token required"},
    {"{'token':null}", INVALID, "token type"},
    {"{'token':'nonsense'}", INVALID, "token wrong"},
};

TEST_EACH(a_bad_undo_is_told_its_faults, bad_undos)
{
    ck_refusal("POST", NULL, "/auth/email/undo", &bad_undos[_i]);
}

TEST(a_token_of_one_kind_is_of_no_use_for_another)
{
    const char *undoes = move_to(ada.access, ADA, "new@example.org");
    ck_status(change_email(ada.access, "third@example.org", PASSWORD), 202);
    ck_status(forget("new@example.org"), 202);
    const char *changes = token_mailed("change", "third@example.org"),
               *resets = token_mailed("reset", "new@example.org");

    ck_bad_token(verify(ada.access, undoes, NULL));
    ck_bad_token(verify(ada.access, resets, NULL));
    ck_bad_token(undo(changes));
    ck_bad_token(undo(resets));
    ck_bad_token(reset(changes, NEW_WORD));
    ck_bad_token(reset(undoes, NEW_WORD));
}

/* ---- registrations that wait ---- */

CASE("required", set_up_required, loopback_close);

TEST(who_registers_is_there_once_the_token_is_used)
{
    struct answer made = api_post(NULL, "/auth/register",
                                  object("{'email':'Eve@example.org','password':'" PASSWORD
                                         "','first_name':'Eve','last_name':'E'}"));
    ck_status(made, 201);
    const char *id = answer_text(made, "user.id");
    ck_assert_str_eq(answer_header(made, "Location"), say("/api/users/%s", id));
    ck_assert(!answer_boolean(made, "user.email_verified"));
    ck_problem(try_login("eve@example.org", PASSWORD), INVALID_CREDENTIALS);
    ck_problem(api_get(ada.access, "/users/%s", id), USER_NOT_FOUND);
    ck_mailed("verify Eve@example.org");
    const char *token = token_mailed("verify", "Eve@example.org");

    ck_problem(verify(NULL, token, NULL), MISSING_FIELDS);
    ck_invalid(verify(NULL, token, "not " PASSWORD), "password wrong");
    struct answer answer = verify(NULL, token, PASSWORD);

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.id"), id);
    ck_assert_str_eq(answer_text(answer, "user.email"), "Eve@example.org");
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "Eve");
    ck_assert_str_eq(answer_text(answer, "user.last_name"), "E");
    ck_assert_str_eq(answer_text(answer, "user.role"), "user");
    ck_assert(answer_boolean(answer, "user.email_verified"));
    ck_assert_str_ne(answer_header(answer, "ETag"), answer_header(made, "ETag"));
    ck_status(try_login("eve@example.org", PASSWORD), 200);
    ck_rows("registrations", 0);
    ck_bad_token(verify(NULL, token, PASSWORD));
}

/* Who waits, and who has an account: the same answer, but for the id and the times. */
TEST(a_taken_address_is_registered_as_a_free_one)
{
    struct answer free = enrol("eve@example.org", PASSWORD);
    struct answer taken = enrol("ADA@example.org", PASSWORD);

    ck_status(free, 201);
    ck_status(taken, 201);
    ck_mailed("verify eve@example.org, taken " ADA);
    const char *ids[] = {answer_text(free, "user.id"), answer_text(taken, "user.id")};
    static const char *const shown[] = {"email_verified", "is_active", "role",
                                        "first_name",     "last_name", "pending_email",
                                        "created_at",     "updated_at"};
    for (int i = 0; i < COUNT(shown); i++)
        ck_assert(answer_has(taken, say("user.%s", shown[i])) ==
                  answer_has(free, say("user.%s", shown[i])));
    ck_assert_str_eq(answer_text(taken, "user.email"), "ADA@example.org");
    ck_assert_str_eq(answer_header(free, "ETag"), answer_header(taken, "ETag"));
    ck_assert_uint_eq(strlen(free.headers), strlen(taken.headers));
    ck_assert_uint_eq(strlen(free.text), strlen(taken.text));
    ck_assert_str_ne(ids[1], ada_id);
    ck_assert_int_eq(ids[1][14], ids[0][14]); /* the id's version */
    for (int i = 0; i < 2; i++)
        ck_problem(api_get(bob.access, "/users/%s", ids[i]), USER_NOT_FOUND);
    ck_rows("registrations", 2);
    ck_rows("mailed_tokens", 2);
    ck_rows("outbox", 2);
}

/* Wrong, unknown, waiting: login tells nobody which. */
TEST(a_login_does_not_tell_who_waits)
{
    struct answer unknown = try_login("nobody@example.org", PASSWORD);
    ck_status(enrol("eve@example.org", PASSWORD), 201);

    struct answer waiting = try_login("eve@example.org", PASSWORD);

    ck_problem(waiting, INVALID_CREDENTIALS);
    ck_assert_str_eq(answer_text(waiting, "message"), answer_text(unknown, "message"));
    ck_status(forget("eve@example.org"), 202);
    ck_mailed("verify eve@example.org");
}

TEST(the_token_of_a_taken_address_is_nobodys)
{
    ck_status(enrol("ada@example.org", THIEF_WORD), 201);

    ck_mailed("taken " ADA);
    ck_bad_token(verify(NULL, token_mailed("taken", ADA), THIEF_WORD));
    ck_rows("registrations", 1);
}

TEST(several_may_wait_for_an_address_and_the_first_to_verify_has_it)
{
    ck_status(enrol("eve@example.org", THIEF_WORD), 201);
    const char *thiefs = token_mailed("verify", "eve@example.org");
    ck_status(enrol("eve@example.org", PASSWORD), 201);
    const char *eves = token_mailed("verify", "eve@example.org");

    ck_invalid(verify(NULL, thiefs, PASSWORD), "password wrong");
    ck_status(verify(NULL, eves, PASSWORD), 200);

    ck_problem(verify(NULL, thiefs, THIEF_WORD), EMAIL_EXISTS);
    ck_status(try_login("eve@example.org", PASSWORD), 200);
    ck_problem(try_login("eve@example.org", THIEF_WORD), INVALID_CREDENTIALS);
}

TEST_EACH(a_registration_waits_for_24_hours, verify_ages)
{
    ck_status(enrol("eve@example.org", PASSWORD), 201);

    pass_s(verify_ages[_i].after_s);

    ck_status(verify(NULL, token_mailed("verify", "eve@example.org"), PASSWORD),
              verify_ages[_i].status);
}

TEST(what_waited_too_long_is_deleted_a_few_at_a_time)
{
    for (int i = 0; i < 7; i++)
        ck_status(enrol(say("eve%d@example.org", i), PASSWORD), 201);
    pass_s(DAY_S);

    ck_status(forget("nobody@example.org"), 202);
    ck_rows("registrations", 2);
    ck_rows("mailed_tokens WHERE kind = 'register'", 2);
    ck_status(forget("nobody@example.org"), 202);
    ck_rows("registrations", 0);
}

/* A conflict would tell that somebody had it. */
TEST(an_address_that_is_kept_is_registered_as_any_and_leads_nowhere)
{
    move_to(ada.access, ADA, "new@example.org");
    ck_mailed("change new@example.org, email_changed " ADA);

    ck_status(enrol(ADA, THIEF_WORD), 201);

    ck_mailed("");
}

TEST(a_registration_that_waited_does_not_get_an_address_that_is_kept)
{
    run_sql("UPDATE users SET email = 'x@example.org' WHERE email = '" ADA "'");
    ck_status(enrol(ADA, THIEF_WORD), 201);
    const char *token = token_mailed("verify", ADA);
    run_sql("UPDATE users SET email = '" ADA "' WHERE email = 'x@example.org'");
    move_to(ada.access, ADA, "new@example.org");

    ck_problem(verify(NULL, token, THIEF_WORD), EMAIL_EXISTS);
}

TEST(whom_an_admin_makes_may_log_in_at_once)
{
    const char *admin = admin_of_test();
    ck_status(
        api_post(admin, "/users",
                 object("{'email':'eve@example.org','password':'" PASSWORD "','first_name':'E'}")),
        201);

    ck_status(try_login("eve@example.org", PASSWORD), 200);
    ck_mailed("verify eve@example.org");
}

TEST(a_network_that_is_told_nothing_is_limited_all_the_same)
{
    for (int i = 0; i < 4; i++)
        ck_status(enrol("ada@example.org", PASSWORD), 201);

    ck_assert_int_eq(letters_to("taken", ADA), 3);
}

/* ---- by an admin ---- */

CASE("by an admin", set_up_mail, loopback_close);

static const char *invite(const char *admin, const char *email)
{
    struct answer answer =
        api_post(admin, "/users", object("{'email':'%s','invite':true,'first_name':'I'}", email));
    ck_status(answer, 201);
    return answer_text(answer, "user.id");
}

TEST(who_is_invited_chooses_a_password)
{
    const char *admin = admin_of_test(), *id = invite(admin, "Ida@example.org");
    ck_mailed("invite Ida@example.org");
    ck_rows(say("users WHERE id = '%s' AND password_hash LIKE '$argon2id$v=19$m=19456%%'", id), 1);
    ck_problem(try_login("ida@example.org", PASSWORD), INVALID_CREDENTIALS);
    const char *token = token_mailed("invite", "Ida@example.org");
    pass_s(7 * DAY_S - 1);

    ck_status(reset(token, NEW_WORD), 204);

    ck_status(try_login("ida@example.org", NEW_WORD), 200);
    ck_bad_token(reset(token, PASSWORD));
}

TEST(an_invitation_is_good_for_7_days)
{
    invite(admin_of_test(), "ida@example.org");

    pass_s(7 * DAY_S);

    ck_bad_token(reset(token_mailed("invite", "ida@example.org"), NEW_WORD));
}

TEST(an_invitation_verifies)
{
    loopback_set(MAIL, "VERIFY_EMAIL=on");
    const char *admin = admin_of_test(), *id = invite(admin, "ida@example.org");
    ck_mailed("invite ida@example.org");
    ck_assert(!answer_boolean(api_get(admin, "/users/%s", id), "user.email_verified"));

    ck_status(reset(token_mailed("invite", "ida@example.org"), NEW_WORD), 204);

    ck_assert(answer_boolean(api_get(admin, "/users/%s", id), "user.email_verified"));
}

static const struct refusal bad_invitations[] = {
    {"{'email':'i@example.org','first_name':'I'}", MISSING_FIELDS, "password required"},
    {"{'email':'i@example.org','first_name':'I','invite':false}", MISSING_FIELDS,
     "password required"},
    {"{'first_name':'I','invite':true}", MISSING_FIELDS, "email required"},
    {"{'email':'i@example.org','first_name':'I','invite':true,'password':'" PASSWORD "'}", INVALID,
     "invite range"},
    {"{'email':'i@example.org','first_name':'I','invite':true,'password':null}", INVALID,
     "password type"},
    {"{'email':'i@example.org','invite':true,'password':'" PASSWORD "'}", MISSING_FIELDS,
     "first_name required, invite range"},
    {"{'email':'i','first_name':'I','invite':true,'password':'" PASSWORD "'}", INVALID_EMAIL,
     "email format, invite range"},
    {"{'email':'i@example.org','first_name':'I','invite':7,'password':'" PASSWORD "'}", INVALID,
     "invite type"},
};

TEST_EACH(a_bad_invitation_is_told_its_faults, bad_invitations)
{
    ck_refusal("POST", admin_of_test(), "/users", &bad_invitations[_i]);
    ck_mailed("");
}

TEST(without_mail_nobody_is_invited)
{
    const char *admin = admin_of_test();
    loopback_set("MAIL_COMMAND=");

    ck_invalid(api_post(admin, "/users",
                        object("{'email':'i@example.org','first_name':'I','invite':true}")),
               "invite range");
    ck_invalid(api_post(admin, "/users",
                        object("{'email':'i@example.org','first_name':'','invite':true}")),
               "first_name too_short, invite range");
}

TEST(an_invitation_that_is_repeated_is_mailed_once)
{
    const char *admin = admin_of_test();
    const struct call call = {.method = "POST",
                              .path = "/users",
                              .token = admin,
                              .body = object("{'email':'i@example.org','first_name':'I',"
                                             "'invite':true}"),
                              .param = "HTTP_IDEMPOTENCY_KEY=0123456789"};
    struct answer first = loopback_ask(&call);
    ck_status(first, 201);

    struct answer again = loopback_ask(&call);

    ck_status(again, 201);
    ck_assert_str_eq(again.text, first.text);
    ck_mailed("invite i@example.org");
}

TEST(an_admin_s_change_holds_at_once_and_both_are_told)
{
    const char *admin = admin_of_test();
    struct answer answer =
        api_patch(admin, say("/users/%s", ada_id), object("{'email':'new@example.org'}"));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.email"), "new@example.org");
    ck_assert(!answer_boolean(answer, "user.email_verified"));
    ck_mailed("email_changed_by_admin " ADA ", email_changed_by_admin new@example.org");
    ck_rows("mailed_tokens", 0); /* no link to undo it with */
    ck_ended(&ada);
    ck_ended(&elsewhere);
    ck_alive(bob.access);
    ck_status(enrol(ADA, PASSWORD), 201); /* and nothing is kept */
}

TEST(an_admin_s_change_of_the_case_changes_nothing_else)
{
    const char *admin = admin_of_test();
    struct answer answer =
        api_patch(admin, say("/users/%s", ada_id), object("{'email':'ADA@example.org'}"));

    ck_status(answer, 200);
    ck_assert(answer_boolean(answer, "user.email_verified"));
    ck_mailed("");
    ck_alive(ada.access);
}

TEST(an_admin_s_own_address_is_ignored_here_whatever_it_is)
{
    const char *admin = admin_of_test();
    const char *id = answer_text(api_get(admin, "/auth/profile"), "user.id");

    struct answer answer =
        api_patch(admin, say("/users/%s", id), object("{'email':'nonsense','first_name':'B'}"));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "user.email"), "admin@example.org");
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "B");
    ck_mailed("");
}

TEST(a_deleted_account_is_told_to_its_mailbox)
{
    const char *admin = admin_of_test();
    ck_status(api_delete(admin, "/users/%s", ada_id), 204);

    ck_mailed("account_deleted " ADA);
}

/* ---- who sees what ---- */

static const char *const private_members[] = {"is_active", "email_verified", "pending_email"};

TEST(what_is_private_is_seen_by_the_user_and_admins_alone)
{
    const char *admin = admin_of_test();
    struct answer own = api_get(ada.access, "/users/%s", ada_id),
                  admins = api_get(admin, "/users/%s", ada_id),
                  others = api_get(bob.access, "/users/%s", ada_id);

    for (int i = 0; i < COUNT(private_members); i++) {
        const char *path = say("user.%s", private_members[i]);
        ck_assert(answer_has(own, path));
        ck_assert(answer_has(admins, path));
        ck_assert(!answer_has(others, path));
    }
    ck_assert_str_eq(answer_header(own, "ETag"), answer_header(admins, "ETag"));
    ck_assert_str_ne(answer_header(own, "ETag"), answer_header(others, "ETag"));
    ck_status(api_ask(.path = say("/users/%s", ada_id), .token = bob.access,
                      .param = say("HTTP_IF_NONE_MATCH=%s", answer_header(others, "ETag"))),
              304);
    ck_status(api_ask(.path = say("/users/%s", ada_id), .token = bob.access,
                      .param = say("HTTP_IF_NONE_MATCH=%s", answer_header(own, "ETag"))),
              200);
}

TEST(a_list_shows_what_each_may_see)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 202);
    const char *admin = admin_of_test(); /* Ada, the admin, Bob */
    struct answer bobs = api_get(bob.access, "/users?sort=email"),
                  admins = api_get(admin, "/users?sort=email");

    ck_assert(answer_has(bobs, "data.2.is_active")); /* himself */
    ck_assert(!answer_has(bobs, "data.0.is_active"));
    ck_assert(!answer_has(bobs, "data.0.pending_email"));
    ck_assert_str_eq(answer_text(admins, "data.0.pending_email"), "new@example.org");
    ck_assert_str_eq(answer_text(admins, "data.0.etag"),
                     answer_header(api_get(ada.access, "/auth/profile"), "ETag"));
    ck_assert_str_eq(answer_text(bobs, "data.0.etag"),
                     answer_header(api_get(bob.access, "/users/%s", ada_id), "ETag"));
}

/* ---- without mail ---- */

static const char *const methods[] = {"POST",  "GET",    "HEAD",    "PUT",
                                      "PATCH", "DELETE", "OPTIONS", "BREW"};
static const char *const mail_paths[] = {"/auth/email/verify", "/auth/email/verify/send",
                                         "/auth/email/undo"};

CASE("moving", meet_ada_and_bob, loopback_close);

TEST_EACH(without_a_mail_command_the_paths_are_unknown, methods)
{
    for (int i = 0; i < COUNT(mail_paths); i++)
        ck_problem(api_ask(.method = methods[_i], .path = mail_paths[i], .token = ada.access,
                           .body = object("{}")),
                   NOT_FOUND);
}

TEST(without_mail_nothing_is_written_for_it)
{
    ck_status(change_email(ada.access, "new@example.org", PASSWORD), 200);
    ck_status(api_post(ada.access, "/auth/password",
                       object("{'current_password':'" PASSWORD "','new_password':'" NEW_WORD "'}")),
              204);

    ck_rows("outbox", 0);
    ck_rows("mailed_tokens", 0);
}

TEST(ones_address_is_for_those_who_logged_in)
{
    ck_token_needed("POST", "/auth/email", object("{'current_password':'%s'}", PASSWORD));
}

static const unsigned verifies[] = {VERIFY_EMAIL_ON, VERIFY_EMAIL_REQUIRED};

TEST_EACH(verification_without_mail_is_refused_at_start, verifies)
{
    struct app *app;
    struct settings settings = *the_app->settings;
    settings.verify_email = verifies[_i];

    struct problem *p = app_open(the_arena, &settings, NULL, &app);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(strstr(p->cause, "VERIFY_EMAIL"));
    ck_assert_ptr_nonnull(strstr(p->cause, "MAIL_COMMAND"));
}

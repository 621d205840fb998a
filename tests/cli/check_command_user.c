/* needs: mariadb */
/* `postern user …` and `postern session …` beside the API, which they must agree with. */
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/support/people.h"
#include "tests/support/program.h"
#include "tests/support/suite.h"

#define OTHER_PASSWORD "another long enough one"

static void set_up(void)
{
    loopback_open();
    program_expect();
    setenv("JWT_SECRET_KEY", SECRET_KEY, 1);
    unsetenv("POSTERN_CONFIG");
}

static const char *quiet(const char *line)
{
    struct run r = run(line);
    ck_run(r, EX_OK);
    ck_assert_str_eq(r.err, "");
    return r.out;
}

/* ---- list, show ---- */

CASE("users", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(a_list_has_a_head_and_a_line_for_each)
{
    make_user("ada@example.org", ROLE_ADMIN);
    make_user("bob@example.org", ROLE_USER);

    const char *all = quiet("user list"), *admins = quiet("user list --role=admin");

    ck_assert_int_eq(strncmp(all, "ID  ", 4), 0);
    ck_assert(strstr(all, "ada@example.org") < strstr(all, "bob@example.org"));
    ck_says(admins, "ada@example.org");
    ck_assert_ptr_null(strstr(admins, "bob@example.org"));
}

TEST(columns_stand_below_their_heads)
{
    make_user("ada@example.org", ROLE_ADMIN);
    run_sql("UPDATE users SET first_name = 'Å', last_name = 'Ö'");

    char *head = arena_strdup(the_arena, quiet("user list")), *line = strchr(head, '\n') + 1;

    ck_assert_ptr_eq(strstr(line, "ada@") - line + head, strstr(head, "EMAIL"));
    /* `Å` has two bytes and one place. */
    ck_assert_ptr_eq(strstr(line, "Ö") - 1 - line + head, strstr(head, "LAST_NAME"));
}

/* So many places a terminal gives them: two to a CJK ideograph and to an emoji, none to what stands
 * above or below another character. */
static const struct {
    const char *name;
    int places;
} wide_names[] = {
    {"Ada", 3},    {"Å", 1},   {"A\xCC\x8A", 1},        {"李明", 4}, {"アダ", 4},
    {"에이다", 6}, {"ญี่ปุ่น", 3}, {"\xF0\x9F\x98\x80", 2}, {"שלום", 4}, {"e\xE2\x80\x8Bx", 2},
};

TEST_EACH(columns_are_as_wide_as_they_show, wide_names)
{
    make_user("ada@example.org", ROLE_USER);
    run_sql(say("UPDATE users SET first_name = '%s', last_name = 'X'", wide_names[_i].name));

    const char *head = quiet("user list"), *line = strchr(head, '\n') + 1;

    const char *name = strstr(line, wide_names[_i].name);
    ck_assert_ptr_nonnull(name);
    int before = (int)(strstr(head, "FIRST_NAME") - head);
    int after = (int)strspn(name + strlen(wide_names[_i].name), " ");
    ck_assert_int_eq(name - line, before);
    ck_assert_int_eq(before + wide_names[_i].places + after, strstr(head, "LAST_NAME") - head);
}

/* Lines of output, the head among them. */
static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static const char *const sorts[] = {"created_at", "-created_at", "email", "-email"};

TEST_EACH(a_list_of_many_pages_has_each_user_once, sorts)
{
    run_sql("INSERT INTO users (id, email, password_hash, created_at) SELECT UUID(), CONCAT('u', "
            "seq, '@x.test'), '', FROM_UNIXTIME(1700000000 + seq DIV 700) FROM seq_1_to_1203");
    quiet("reindex");

    const char *seen = quiet(say("user list --json --sort %s", sorts[_i]));

    ck_assert_uint_eq(lines_of(seen), 1203);
    for (int i = 1; i <= 1203; i++) {
        const char *email = say("\"u%d@x.test\"", i), *first = strstr(seen, email);
        ck_assert_msg(first && !strstr(first + 1, email), "%s", email);
    }
    ck_assert_uint_eq(lines_of(quiet("user list --json --limit 501")), 501);
    ck_assert_uint_eq(lines_of(quiet("user list --json --limit=3")), 3);
}

TEST(a_search_is_the_one_of_the_api)
{
    make_user("ada@example.org", ROLE_USER);
    make_user("bob@example.org", ROLE_USER);

    ck_assert_uint_eq(lines_of(quiet("user list --json --q ADA@")), 1);
    ck_assert_uint_eq(lines_of(quiet("user list --json --q nobody")), 0);
    ck_assert_uint_eq(lines_of(quiet("user list --json --q %")), 0);
}

TEST(json_has_the_members_of_the_api)
{
    const char *id = make_user("ada@example.org", ROLE_USER);
    struct answer api = api_get(bearer_of("ada@example.org"), "/auth/profile");

    const char *line = quiet("user show ada@example.org --json");
    const struct json *user;
    must(json_parse(the_arena, line, strlen(line), &user));

    static const char *const names[] = {"id", "email", "role", "created_at", "updated_at"};
    for (int i = 0; i < COUNT(names); i++)
        ck_assert_str_eq(json_as_text(json_get(user, names[i])).data,
                         answer_text(api, say("user.%s", names[i])));
    ck_assert(json_as_boolean(json_get(user, "is_active")));
    ck_assert_int_eq(json_type(json_get(user, "last_name")), JSON_NULL);
    ck_assert_ptr_null(strstr(line, "password"));
    ck_says(quiet(say("user show %s", id)), "email       ada@example.org\n");
}

TEST(hostile_names_do_not_reach_the_terminal)
{
    make_user("ada@example.org", ROLE_USER);
    /* Red, a line that looks like another user's, C1's CSI, and text from right to left. */
    run_sql("UPDATE users SET first_name = CONCAT('\x1b[31m', CHAR(10), 'x'), "
            "last_name = CONCAT(_utf8mb4 x'c29b', _utf8mb4 x'e280ae', 'y')");

    const char *table = quiet("user list"), *json = quiet("user list --json");

    ck_says(table, "\\u001b[31m\\u000ax");
    ck_says(table, "\\u009b\\u202ey");
    ck_assert_uint_eq(lines_of(table), 2);
    ck_says(json, "\"last_name\":\"\\u009b\\u202ey\"");
    ck_assert_ptr_null(strchr(json, '\x1b'));
}

static const char *const lists[] = {"user list", "user list --json", "session list"};

TEST_EACH(a_list_without_its_database_says_so, lists)
{
    setenv("DATABASE_URL", "mysql://u:p@localhost/x?socket=/nonexistent/socket", 1);

    struct run r = run(lists[_i]);

    ck_run(r, EX_TEMPFAIL);
    ck_says(r.err, "/nonexistent/socket");
    ck_assert_str_eq(r.out, "");
}

static const struct {
    const char *line, *complaint;
    int status;
} misuses[] = {
    {"user list --role owner", "role: ", EX_DATAERR},
    {"user list --sort id", "sort: ", EX_DATAERR},
    {"user list --limit 0", "limit: ", EX_DATAERR},
    {"user list --limit 1x", "limit: ", EX_DATAERR},
    {"user list --limit -1", "limit: ", EX_DATAERR},
    {"user show nobody@example.org", "no user nobody@example.org", EX_NOUSER},
    {"user show " NOBODY_ID, "no user", EX_NOUSER},
    {"user role " NOBODY_ID " admin", "no user", EX_NOUSER},
    {"user role ada@example.org owner", "role: ", EX_DATAERR},
    {"user delete " NOBODY_ID " --yes", "no user", EX_NOUSER},
    {"user passwd nobody@example.org", "no user", EX_NOUSER},
    {"session list nobody@example.org", "no user", EX_NOUSER},
    {"session end nonsense", "nonsense is not the id", EX_DATAERR},
    {"session end " NOBODY_ID, "no session", EX_NOUSER},
    {"session end --user nobody@example.org", "no user", EX_NOUSER},
    {"session end " NOBODY_ID " --user ada@example.org", "either the ID", EX_USAGE},
};

TEST_EACH(what_makes_no_sense_is_told_and_changes_nothing, misuses)
{
    make_user("ada@example.org", ROLE_USER);

    struct run r = run_with_input(OTHER_PASSWORD "\n", misuses[_i].line);

    ck_run(r, misuses[_i].status);
    ck_says(r.err, misuses[_i].complaint);
    ck_rows("users WHERE version = 1", 1);
}

/* ---- role, enable, disable, delete ---- */

TEST(a_role_takes_effect_at_once)
{
    make_user("root@example.org", ROLE_ADMIN);
    const char *id = make_user("ada@example.org", ROLE_USER), *token = bearer_of("ada@example.org");

    quiet("user role ADA@example.org admin");
    ck_status(api_delete(token, "/users/%s", NOBODY_ID), 404);
    ck_assert_int_eq(answer_total(api_get(token, "/users?role=admin")), 2);

    quiet(say("user role %s user", id));
    ck_status(api_delete(token, "/users/%s", NOBODY_ID), 403);
    ck_assert_int_eq(answer_total(api_get(token, "/users?role=admin")), 1);
    ck_assert_int_eq(answer_total(api_get(token, "/users?role=user")), 1);
}

TEST(a_disabled_user_is_out_until_enabled)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);

    quiet("user disable ada@example.org");
    ck_status(api_get(token, "/auth/profile"), 401);
    ck_status(try_login("ada@example.org", PASSWORD), 401);
    ck_rows("sessions", 0);

    quiet("user enable ada@example.org");
    ck_status(api_get(token, "/auth/profile"), 401);
    log_in("ada@example.org");
}

static const char *const falls[] = {
    "user role root@example.org user",
    "user disable root@example.org",
    "user delete root@example.org --yes",
};

TEST_EACH(the_last_active_admin_stays, falls)
{
    make_user("root@example.org", ROLE_ADMIN);
    make_user("idle@example.org", ROLE_ADMIN);
    quiet("user disable idle@example.org");

    struct run r = run(falls[_i]);

    ck_run(r, EX_NOPERM);
    ck_says(r.err, "one active admin");
    ck_rows("users WHERE role = 'admin' AND is_active AND version = 1", 1);
    quiet("user enable idle@example.org");
    quiet(falls[_i]);
}

TEST(a_deleted_user_goes_with_everything)
{
    make_user("root@example.org", ROLE_ADMIN);
    make_user("ada@example.org", ROLE_USER);
    write_post(bearer_of("ada@example.org"), "T", "C", true);

    quiet("user delete ada@example.org --yes");

    struct answer users = api_get(bearer_of("root@example.org"), "/users");
    ck_assert_int_eq(answer_total(users), 1);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts")), 0);
    ck_rows("posts", 0);
}

static void write_very_much(const char *author)
{
    run_sql(say("INSERT INTO posts (id, author_id, title, content) SELECT UUID(), '%s', 'T', 'C' "
                "FROM seq_1_to_1700",
                author));
}

TEST(a_deleted_user_goes_with_very_much)
{
    make_user("root@example.org", ROLE_ADMIN);
    const char *id = make_user("ada@example.org", ROLE_USER);
    write_very_much(id);

    quiet("user delete ada@example.org --yes");

    ck_rows("posts", 0);
    ck_rows("users", 1);
    ck_rows("user_departures", 0);
}

/* Somebody else is deleted: what is left of it shows nowhere. */
TEST(who_is_going_is_not_there)
{
    make_user("root@example.org", ROLE_ADMIN);
    const char *id = make_user("ada@example.org", ROLE_USER);
    (void)bearer_of("ada@example.org");
    write_very_much(id);
    ck_status(api_delete(bearer_of("root@example.org"), "/users/%s", id), 204);
    ck_rows("user_departures", 1);

    ck_run(run(say("user show %s", id)), EX_NOUSER);
    ck_run(run(say("user enable %s", id)), EX_NOUSER);
    ck_run(run(say("user delete %s --yes", id)), EX_NOUSER);
    ck_run(run(say("session list %s", id)), EX_NOUSER);
    ck_assert_ptr_null(strstr(run("session list --json").out, id));
    ck_assert_ptr_null(strstr(run("user list --json").out, id));
    ck_run(run("reindex"), EX_OK);
    ck_assert_int_eq(total_kept(&user_counter, NULL, 0, 1), 1);
    ck_assert_int_eq(total_kept(&post_counter, NULL, 0, 1), 0);
    ck_rows("users WHERE left_at IS NOT NULL", 1);
}

TEST(without_a_terminal_deletion_wants_yes)
{
    make_user("ada@example.org", ROLE_USER);

    ck_run(run_with_input("y\n", "user delete ada@example.org"), EX_USAGE);

    ck_rows("users", 1);
}

/* Who had it may have it again; and nobody is asked on the command line either. */
TEST(an_address_that_is_kept_is_nobodys)
{
    run_sql("INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) VALUES "
            "(UUID(), UNHEX(SHA2('y', 256)), 'undo', UUID(), 'Former@example.org', "
            "UTC_TIMESTAMP(6) + INTERVAL 1 DAY)");

    struct run r = run_with_input(OTHER_PASSWORD "\n", "user add former@example.org "
                                                       "--password-stdin");

    ck_run(r, EX_DATAERR);
    ck_says(r.err, "Somebody has registered this e-mail address.");
    ck_rows("users WHERE email = 'former@example.org'", 0);
}

/* ---- passwords ---- */

CASE("passwords", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(a_new_password_ends_all_sessions)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);
    run_sql(
        "INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) SELECT UUID(), "
        "UNHEX(SHA2('x', 256)), 'reset', id, email, UTC_TIMESTAMP(6) + INTERVAL 1 HOUR FROM "
        "users");
    run_sql(
        "INSERT INTO mailed_tokens (id, hash, kind, user_id, address, expires_at) SELECT UUID(), "
        "UNHEX(SHA2('y', 256)), 'undo', id, 'former@example.org', UTC_TIMESTAMP(6) + INTERVAL "
        "1 DAY FROM users");
    run_sql("UPDATE users SET pending_email = 'new@example.org', pending_until = '2100-01-01'");

    ck_run(run_with_input(OTHER_PASSWORD "\nmore\n", "user passwd ada@example.org"), EX_OK);

    ck_status(api_get(token, "/auth/profile"), 401);
    ck_status(try_login("ada@example.org", PASSWORD), 401);
    ck_status(try_login("ada@example.org", OTHER_PASSWORD), 200);
    ck_rows("mailed_tokens WHERE kind <> 'undo'", 0);
    ck_rows("mailed_tokens WHERE kind = 'undo'", 1); /* the former mailbox wins yet */
    ck_rows("users WHERE pending_email IS NOT NULL", 0);
}

TEST(a_new_password_is_told_by_mail_where_that_is_set_up)
{
    make_user("ada@example.org", ROLE_USER);

    ck_run(run_with_input(OTHER_PASSWORD "\n", "user passwd ada@example.org"), EX_OK);
    ck_rows("outbox", 0);

    setenv("MAIL_COMMAND", "/bin/true", 1);
    ck_run(run_with_input(PASSWORD "\n", "user passwd ada@example.org"), EX_OK);
    ck_rows("outbox", 1);
    ck_rows("outbox WHERE kind = 'password_changed' AND address = 'ada@example.org'", 1);
}

static const struct {
    const char *input;
    int status;
} bad_passwords[] = {
    {"", EX_NOINPUT},
    {"\n", EX_DATAERR},
    {"short\n", EX_DATAERR},
    {"password123\n", EX_DATAERR},
    {"ADA.lovelace@example.org\n", EX_DATAERR},
};

TEST_EACH(a_bad_password_changes_nothing, bad_passwords)
{
    const char *token = bearer_of_new("ada.lovelace@example.org", ROLE_USER);

    ck_run(run_with_input(bad_passwords[_i].input, "user passwd ada.lovelace@example.org"),
           bad_passwords[_i].status);

    ck_status(api_get(token, "/auth/profile"), 200);
    ck_status(try_login("ada.lovelace@example.org", PASSWORD), 200);
}

TEST(the_command_line_wants_what_the_api_wants_of_a_password)
{
    make_user("ada@example.org", ROLE_USER);
    setenv("PASSWORD_MIN", "12", 1);

    ck_run(run_with_input("elevenchars\n", "user passwd ada@example.org"), EX_DATAERR);
    ck_run(run_with_input("elevenchars\n", "user add bob@example.org"), EX_DATAERR);
    ck_run(run_with_input("twelve chars\n", "user passwd ada@example.org"), EX_OK);
    ck_run(run_with_input("twelve chars\n", "user add bob@example.org"), EX_OK);
}

/* Type as somebody who waits after each ctrl-D until what was typed has arrived. */
static void type(int terminal, const char *name, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\x04");
        len += text[len] == '\x04';
        int program_side = open(name, O_RDWR | O_NOCTTY), left = 1;
        ck_assert_int_ge(program_side, 0);
        ck_assert_int_eq(write(terminal, text, len), (ssize_t)len);
        text += len;
        for (int i = 0; *text && left && i < 60000; i++) {
            usleep(1000);
            ck_assert_int_eq(ioctl(program_side, FIONREAD, &left), 0);
        }
        close(program_side);
    }
}

static const char *meanwhile; /* SQL, before anything is typed; or NULL */

/* A run of the program on a terminal of its own; what shows there is added to `ret_seen`. */
static int run_on_terminal(const char *line, const char *const *typed, const char **ret_seen)
{
    char **argv = program_words(line), *seen = arena_alloc(the_arena, 65536);
    size_t len = 0;
    ssize_t got;
    int terminal, status;
    char name[PATH_MAX];
    pid_t pid = forkpty(&terminal, name, NULL, NULL);
    if (pid == 0) {
        alarm(PROGRAM_LIMIT_S);
        execv(PROGRAM, argv);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    while ((got = read(terminal, seen + len, 65535 - len)) > 0) {
        len += (size_t)got;
        /* Each prompt ends so; before it, what is typed would be thrown away. */
        if (!*typed || seen[len - 1] != ' ')
            continue;
        if (meanwhile)
            run_sql(meanwhile);
        meanwhile = NULL;
        type(terminal, name, *typed++);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    close(terminal);
    *ret_seen = seen;
    return status;
}

#define TYPED(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(a_terminal_is_asked_twice_and_shows_nothing)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);

    int status = run_on_terminal("user passwd ada@example.org",
                                 TYPED(OTHER_PASSWORD "\n", OTHER_PASSWORD "\n"), &seen);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EX_OK, "%s", seen);
    ck_says(seen, "New password: ");
    ck_says(seen, "Once more: ");
    ck_assert_ptr_null(strstr(seen, OTHER_PASSWORD));
    ck_status(try_login("ada@example.org", OTHER_PASSWORD), 200);
}

TEST(two_that_differ_are_refused)
{
    const char *seen;

    int status =
        run_on_terminal("user add ada@example.org", TYPED(PASSWORD "\n", "other\n"), &seen);

    ck_assert_int_eq(WEXITSTATUS(status), EX_NOINPUT);
    ck_says(seen, "not the same");
    ck_rows("users", 0);
}

/* Whoever types takes their time. */
TEST(who_moves_while_a_password_is_typed_is_told_where_they_are)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);
    setenv("MAIL_COMMAND", "/bin/true", 1);
    meanwhile = "UPDATE users SET email = 'moved@example.org'";

    int status = run_on_terminal("user passwd ada@example.org",
                                 TYPED(OTHER_PASSWORD "\n", OTHER_PASSWORD "\n"), &seen);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EX_OK, "%s", seen);
    ck_rows("outbox WHERE kind = 'password_changed' AND address = 'moved@example.org'", 1);
    ck_rows("outbox", 1);
}

TEST(a_password_is_not_the_address_that_one_has_by_then)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);
    meanwhile = "UPDATE users SET email = 'moved@example.org'";

    int status = run_on_terminal("user passwd ada@example.org",
                                 TYPED("moved@example.org\n", "moved@example.org\n"), &seen);

    ck_assert_int_eq(WEXITSTATUS(status), EX_DATAERR);
    ck_says(seen, "password");
    ck_status(try_login("moved@example.org", PASSWORD), 200);
}

/* ctrl-D in the middle of a line sends what there is of it. */
static const char *const interrupted[] = {"\x03", "half\x04\x03", "half\x04 a line\x04\x03"};

TEST_EACH(an_interrupt_leaves_all_as_it_was, interrupted)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);

    int status = run_on_terminal("user passwd ada@example.org", TYPED(interrupted[_i]), &seen);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    ck_status(try_login("ada@example.org", PASSWORD), 200);
}

TEST(half_a_line_is_followed_by_the_rest)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);

    int status =
        run_on_terminal("user passwd ada@example.org",
                        TYPED("engine of\x04 numbers\n", "engine of numbers\x04\x04"), &seen);

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EX_OK, "%s", seen);
    ck_assert_ptr_null(strstr(seen, "engine"));
    ck_status(try_login("ada@example.org", "engine of numbers"), 200);
}

TEST(an_end_of_input_is_no_password)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);

    int status = run_on_terminal("user passwd ada@example.org", TYPED("\x04"), &seen);

    ck_assert_int_eq(WEXITSTATUS(status), EX_NOINPUT);
}

TEST(deletion_is_asked_about_on_a_terminal)
{
    const char *seen;
    make_user("ada@example.org", ROLE_USER);

    ck_assert_int_eq(
        WEXITSTATUS(run_on_terminal("user delete ada@example.org", TYPED("n\n"), &seen)), EX_USAGE);
    ck_says(seen, "Delete ada@example.org with all posts and sessions? [y/N] ");
    ck_rows("users", 1);
    ck_assert_int_eq(run_on_terminal("user delete ada@example.org", TYPED("y\n"), &seen), 0);
    ck_rows("users", 0);
}

/* ---- sessions ---- */

static const char *session_id(const char *token)
{
    return answer_text(api_get(token, "/auth/sessions"), "data.0.id");
}

CASE("sessions", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

/* To each row of `rows` a session with these times: made, last used, expires. */
static void give_session(const char *rows, const char *times)
{
    run_sql(say("INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, "
                "expires_at) SELECT UUID(), users.id, '', %s FROM %s",
                times, rows));
}

TEST(sessions_are_listed_with_their_users)
{
    make_user("ada@example.org", ROLE_USER);
    make_user("bob@example.org", ROLE_USER);
    const char *ada = session_id(bearer_of("ada@example.org"));
    const char *bob = session_id(bearer_of("bob@example.org"));
    give_session("users", "'2020-01-01', '2020-01-01', '2020-01-02'"); /* which has expired */

    const char *all = quiet("session list --json"), *one = quiet("session list bob@example.org");

    ck_assert_uint_eq(lines_of(all), 2);
    ck_says(all, say("\"id\":\"%s\"", ada));
    ck_says(all, "\"email\":\"ada@example.org\"");
    ck_assert_ptr_null(strstr(all, "refresh"));
    ck_assert_uint_eq(lines_of(one), 2);
    ck_says(one, bob);
}

TEST(a_list_of_many_sessions_has_each_once)
{
    make_user("ada@example.org", ROLE_USER);
    give_session("users, seq_1_to_1203", "NOW(), NOW(), '2100-01-01'");

    const char *all = quiet("session list --json");

    ck_assert_uint_eq(lines_of(all), 1203);
    for (const char *line = all; *line; line = strchr(line, '\n') + 1)
        ck_assert_ptr_null(strstr(line + 1, arena_copy(the_arena, line, 44)));
    ck_assert_uint_eq(lines_of(quiet("session list --json ada@example.org")), 1203);
}

TEST(one_session_ends_at_once_and_others_stay)
{
    const char *first = bearer_of_new("ada@example.org", ROLE_USER), *id = session_id(first);
    const char *second = bearer_of("ada@example.org");

    quiet(say("session end %s", id));

    ck_status(api_get(first, "/auth/profile"), 401);
    ck_status(api_get(second, "/auth/profile"), 200);
    ck_run(run(say("session end %s", id)), EX_NOUSER);
}

TEST(all_sessions_of_a_user_end)
{
    make_user("ada@example.org", ROLE_USER);
    make_user("bob@example.org", ROLE_USER);
    const char *first = bearer_of("ada@example.org"), *second = bearer_of("ada@example.org");
    const char *other = bearer_of("bob@example.org");

    quiet("session end --user ada@example.org");

    ck_status(api_get(first, "/auth/profile"), 401);
    ck_status(api_get(second, "/auth/profile"), 401);
    ck_status(api_get(other, "/auth/profile"), 200);
    quiet("session end --user ada@example.org");
}

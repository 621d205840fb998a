/* needs: mariadb */
/* The program on its command line. `make check` runs this beside it, in the build folder. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "fcgi-app/migrations.h"
#include "tests/support/loopback.h"
#include "tests/support/people.h"
#include "tests/support/program.h"
#include "tests/support/suite.h"

static void set_up(void)
{
    loopback_open();
    program_expect();
    setenv("JWT_SECRET_KEY", SECRET_KEY, 1);
    unsetenv("POSTERN_CONFIG");
    unsetenv("ENV");
    unsetenv("LISTEN");
}

/* ---- the command line ---- */

static const struct {
    const char *line, *complaint;
} misuses[] = {
    {"", "which command"},
    {"frobnicate", "no command frobnicate"},
    {"--frobnicate 1 routes", "no option --frobnicate"},
    {"--workers", "--workers wants a value"},
    {"--config", "--config wants a value"},
    {"--jwt-secret-key x routes", "--jwt-secret-key is no option"},
    {"--jwt-secret-key=x routes", "JWT_SECRET_KEY_FILE may name a file"},
    {"--database-url x routes", "DATABASE_URL is set in the environment"},
    {"--database-urls x routes", "no option --database-urls"},
    {"routes --jobs", "no option --jobs"},
    {"routes -j", "no option -j"},
    {"routes --json=yes", "--json takes no value"},
    {"routes users", "users is too much"},
    {"--json routes", "--json must follow the words of its command"},
    {"--json=yes routes", "--json must follow the words of its command"},
    {"user --json list", "--json must follow the words of its command"},
    {"migrate --json status", "--json must follow the words of its command"},
    {"--role admin user list", "--role must follow the words of its command"},
    {"migrate --dry-run status", "--dry-run must follow the words of its command"},
    {"migrate --dry-run down", "migrate what? up, status"},
    {"user --frobnicate list", "no option --frobnicate"},
    {"routes -- --json", "--json is too much"},
    {"migrate down", "migrate what? up, status"},
    {"migrate status --dry-run", "no option --dry-run"},
    {"user", "user what? add, list, show"},
    {"user remove ada@example.org", "user what?"},
    {"user add", "EMAIL is missing"},
    {"user role ada@example.org", "user|admin is missing"},
    {"session", "session what? list, end"},
    {"session end", "either the ID"},
    {"help frobnicate", "no command frobnicate"},
    {"help user frobnicate", "no command user frobnicate"},
    {"user add ada@example.org --owner --password-stdin", "--owner"},
    {"user add ada@example.org --password-stdin --first-name", "--first-name"},
};

CASE("command line", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST_EACH(a_misuse_is_told_and_ends_with_64, misuses)
{
    struct run r = run(misuses[_i].line);

    ck_run(r, EX_USAGE);
    ck_assert_str_eq(r.out, "");
    ck_assert_int_eq(strncmp(r.err, "postern: ", 9), 0);
    ck_says(r.err, misuses[_i].complaint);
}

static const char *const calls_for_help[] = {"--help", "-h", "help"};

TEST_EACH(help_names_every_command_and_setting, calls_for_help)
{
    static const char *const parts[] = {"serve",    "migrate", "user add", "reindex",
                                        "routes",   "config",  "secret",   "DATABASE_URL",
                                        "MAX_BODY", "WORKERS", NULL};
    struct run r = run(calls_for_help[_i]);

    ck_run(r, EX_OK);
    for (size_t i = 0; parts[i]; i++)
        ck_says(r.out, parts[i]);
}

TEST(help_fits_a_terminal)
{
    static const char *const lines[] = {"help",        "help user",   "help user list",
                                        "help config", "help doctor", "help serve"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct run r = run(lines[i]);
        ck_run(r, EX_OK);
        for (const char *line = r.out; *line; line += strcspn(line, "\n") + 1)
            ck_assert_msg(strcspn(line, "\n") <= 80, "%s: %.*s", lines[i], (int)strcspn(line, "\n"),
                          line);
    }
}

TEST(the_version_is_told)
{
    struct run r = run("--version");

    ck_run(r, EX_OK);
    ck_assert_int_eq(strncmp(r.out, "postern ", 8), 0);
}

/* Run with what is no file for standard output; returns what waitpid() says. */
static int run_into(FILE *out, const char *line, void (*prepare)(void))
{
    char **argv = program_words(line);
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prepare();
        program_become(argv, stdin, out, stderr);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void leave_as_it_is(void)
{
}

/* The second tells of each line at once, and goes on. */
static const char *const filling[] = {"routes", "doctor"};

TEST_EACH(a_full_disk_is_noticed, filling)
{
    FILE *full = fopen("/dev/full", "w"), *err = tmpfile();
    int before = dup(STDERR_FILENO);
    char said[256] = "";
    ck_assert_ptr_nonnull(full);
    dup2(fileno(err), STDERR_FILENO);

    int status = run_into(full, filling[_i], leave_as_it_is);

    dup2(before, STDERR_FILENO);
    close(before);
    rewind(err);
    (void)!fread(said, 1, sizeof said - 1, err);
    fclose(err);
    fclose(full);
    ck_assert_int_eq(WEXITSTATUS(status), EX_IOERR);
    ck_assert_str_eq(said, "postern: cannot write: No space left on device\n");
}

static void take_sigpipe(void)
{
    (void)signal(SIGPIPE, SIG_DFL);
}

static void ignore_sigpipe(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Without a database, with one, and where each line goes out at once. */
static const char *const piped[] = {"openapi", "user list", "doctor"};

TEST_EACH(a_pipe_that_nobody_reads_ends_the_program, piped)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    FILE *out = fdopen(ends[1], "w");

    int usual = run_into(out, piped[_i], take_sigpipe);
    int ignored = run_into(out, piped[_i], ignore_sigpipe);

    fclose(out);
    ck_assert(WIFSIGNALED(usual) && WTERMSIG(usual) == SIGPIPE);
    ck_assert_int_eq(WEXITSTATUS(ignored), EX_IOERR);
}

static const struct {
    const char *line;
    int status;
} complaining[] = {{"frobnicate", EX_USAGE}, /* before any setting, and with a database */
                   {"user show nobody@example.org", EX_NOUSER},
                   {"--env development serve", EX_USAGE}};

TEST_EACH(a_complaint_that_nobody_reads_changes_no_status, complaining)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    char **argv = program_words(complaining[_i].line);
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        take_sigpipe();
        program_become(argv, stdin, stdout, fdopen(ends[1], "w"));
    }

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    close(ends[1]);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), complaining[_i].status);
}

TEST(a_closed_output_does_not_go_to_the_database)
{
    /* More than is held back until the connection is closed. */
    run_sql("INSERT INTO users (id, email, password_hash) SELECT UUID(), CONCAT(seq, '@x.test'), "
            "'' FROM seq_1_to_1203");
    ck_run(run("reindex"), EX_OK);
    char **argv = program_words("user list");
    FILE *err = tmpfile();
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fileno(err), STDERR_FILENO);
        close(STDOUT_FILENO);
        execv(PROGRAM, argv);
        _exit(127);
    }

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    char said[256] = "";
    rewind(err);
    (void)!fread(said, 1, sizeof said - 1, err);
    fclose(err);
    ck_assert_int_eq(WEXITSTATUS(status), EX_IOERR);
    ck_assert_str_eq(said, "postern: cannot write: Bad file descriptor\n");
}

static const char *const spellings[] = {
    "--workers 7 config",
    "--workers=7 config",
    "config --workers 7",
    "config --workers=7",
    "config --workers 3 --workers 7",
    "--workers 7 -- config",
};

TEST_EACH(an_option_may_stand_anywhere, spellings)
{
    struct run r = run(spellings[_i]);

    ck_run(r, EX_OK);
    ck_says(r.out, "WORKERS = 7  # flag\n");
}

static const struct {
    const char *line;
    const char *parts[4];
} helps[] = {
    {"help user", {"user add EMAIL", "user list", "user delete"}},
    {"user --help", {"user add EMAIL", "user list", "user delete"}},
    {"help user list", {"usage: postern user list ", "--role user|admin", "--json\n"}},
    {"user list --help", {"usage: postern user list ", "--role user|admin", "--json\n"}},
    {"user list -h --nonsense", {"usage: postern user list "}},
    {"migrate --help", {"migrate up", "migrate status"}},
    {"help migrate up", {"usage: postern migrate up", "--dry-run"}},
    {"help serve", {"usage: postern serve\n"}},
};

TEST_EACH(each_command_tells_what_it_takes, helps)
{
    struct run r = run(helps[_i].line);

    ck_run(r, EX_OK);
    for (int i = 0; helps[_i].parts[i]; i++)
        ck_says(r.out, helps[_i].parts[i]);
}

/* ---- secret, routes, config ---- */

TEST(a_secret_is_new_each_time_and_good_as_a_key)
{
    struct run first = run("secret"), second = run("secret");

    ck_run(first, EX_OK);
    ck_assert_str_ne(first.out, second.out);
    ck_assert_uint_eq(strlen(first.out), 65); /* 48 bytes as base64url, and a newline */
    setenv("JWT_SECRET_KEY", say("%.64s", first.out), 1);
    ck_run(run("config --check"), EX_OK);
}

TEST(routes_are_listed_with_who_may_call_them)
{
    struct run r = run("routes");

    ck_run(r, EX_OK);
    ck_says(r.out, "POST    /auth/login               no-token  hash ");
    ck_says(r.out, "POST    /users                    admin     hash ");
    ck_says(r.out, "GET     /users/{id}               user      fast ");
    ck_says(r.out, "PATCH   /posts/{id}               user      fast ");
    ck_says(r.out, "GET     /posts                    anyone    fast ");
    ck_says(r.out, "GET     /ready                    no-token  fast ");
}

/* The lines of output, each a JSON object; its text at `key` is what comes back, one per line. */
static const char *column(const char *out, const char *key)
{
    const char *all = "";
    for (const char *line = out; *line; line = strchr(line, '\n') + 1) {
        const struct json *object;
        must(json_parse(the_arena, line, strcspn(line, "\n"), &object));
        const char *text = json_as_text(json_get(object, key)).data;
        all = say("%s%s\n", all, text ? text : "null");
    }
    return all;
}

TEST(routes_are_told_to_scripts)
{
    struct run r = run("routes --json");

    ck_run(r, EX_OK);
    ck_says(column(r.out, "path"), "/auth/login\n");
    ck_says(column(r.out, "auth"), "no-token\nno-token\n");
    ck_says(column(r.out, "id"), "listPosts\n");
}

TEST(settings_are_told_to_scripts)
{
    unsetenv("LISTEN");

    struct run r = run("config --json --workers 7");

    ck_run(r, EX_OK);
    ck_says(r.out, "{\"name\":\"WORKERS\",\"value\":\"7\",\"origin\":\"flag\"}\n");
    ck_says(r.out, "{\"name\":\"LISTEN\",\"value\":null,\"origin\":null}\n");
    ck_says(r.out, "{\"name\":\"JWT_SECRET_KEY\",\"value\":\"********\"");
    ck_says(column(r.out, "name"), "MAX_BODY\n");
}

/* A file of our own in the current folder; each test is a process, and so its id is unique. */
static const char *write_config(const char *text)
{
    const char *path = say("./check_commands.%d.conf", (int)getpid());
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

TEST(config_tells_values_and_where_they_come_from)
{
    const char *path = write_config("# a comment\n\nWORKERS = 7\nMAX_BODY=4096\nDRAIN_S = 3\n");
    setenv("MAX_BODY", "8192", 1);

    struct run r = run(say("--config %s --drain-s 5 config", path));
    unlink(path);

    ck_run(r, EX_OK);
    ck_says(r.out, say("WORKERS = 7  # %s:3\n", path));
    ck_says(r.out, "MAX_BODY = 8192  # environment\n");
    ck_says(r.out, "DRAIN_S = 5  # flag\n");
    ck_says(r.out, "BASE_PATH = /api  # default\n");
    ck_says(r.out, "# LISTEN is not set\n");
}

TEST(config_shows_no_secret)
{
    const char *url = getenv("DATABASE_URL");
    const char *password = strchr(strchr(url, ':') + 1, ':') + 1;

    struct run r = run("config");

    ck_run(r, EX_OK);
    ck_says(r.out, "JWT_SECRET_KEY = ********  # environment\n");
    ck_says(r.out, "DATABASE_URL = ********  # environment\n");
    ck_assert_ptr_null(strstr(r.out, SECRET_KEY));
    ck_assert_ptr_null(strstr(r.out, say("%.*s", (int)strcspn(password, "@"), password)));
}

static const struct {
    const char *text, *complaint;
} bad_files[] = {
    {"WORKERS = 2\nWORKER = 3\n", ".conf:2: WORKER: "},
    {"\n\nWORKERS = none\n", ".conf:3: WORKERS: "},
    {"WORKERS = 1\nWORKERS = 1\n", ".conf:2: WORKERS: is set twice"},
    {"nonsense\n", ".conf:1: "},
    {"JWT_SECRET_KEY = " SECRET_KEY "\nENV = testing\n", ".conf:2: ENV: "},
    {"JWT_SECRET_KEY_FILE = /nonexistent/key\n", "/nonexistent/key"},
};

TEST_EACH(a_bad_config_file_is_told_by_its_line, bad_files)
{
    const char *path = write_config(bad_files[_i].text);
    unsetenv("JWT_SECRET_KEY");

    struct run r = run(say("--config %s serve", path));
    unlink(path);

    ck_run(r, EX_CONFIG);
    ck_says(r.err, bad_files[_i].complaint);
    ck_assert_ptr_null(strstr(r.err, SECRET_KEY));
}

/* What root starts need not be able to read what only the service is given. */
static const struct {
    const char *line;
    int status;
} without_key[] = {
    {"migrate", EX_OK},
    {"migrate status", EX_OK},
    {"reindex", EX_OK},
    {"user list", EX_OK},
    {"session list", EX_OK},
    {"config --check --without-secrets", EX_OK},
    {"config --check", EX_CONFIG},
    {"config", EX_CONFIG},
    {"doctor", EX_CONFIG},
    {"serve", EX_CONFIG},
};

TEST_EACH(what_signs_no_token_wants_no_key, without_key)
{
    unsetenv("JWT_SECRET_KEY");
    setenv("JWT_SECRET_KEY_FILE", "/nonexistent/key", 1);
    setenv("JWT_PREVIOUS_KEYS_FILE", "/nonexistent/keys", 1);

    struct run r = run(without_key[_i].line);

    ck_run(r, without_key[_i].status);
    if (r.status != EX_OK)
        ck_says(r.err, "/nonexistent/key");
}

static const char *const keyless[] = {"migrate status", "user list"};

TEST_EACH(no_key_at_all_is_enough_for_them, keyless)
{
    unsetenv("JWT_SECRET_KEY");
    ck_run(run(keyless[_i]), EX_OK);

    setenv("JWT_SECRET_KEY", "short", 1);
    ck_run(run(keyless[_i]), EX_OK);
}

TEST(a_check_without_secrets_leaves_out_nothing_else)
{
    setenv("SOCKET_GROUP", "no-such-group", 1);
    setenv("DATABASE_URL_FILE", "/nonexistent/url", 1);
    unsetenv("DATABASE_URL");
    struct run group = run("config --check --without-secrets");
    unsetenv("SOCKET_GROUP");
    ck_run(run("config --check --without-secrets"), EX_OK);
    setenv("JWT_SECRET_KEY", "short", 1);
    struct run key = run("config --check --without-secrets");

    ck_run(group, EX_CONFIG);
    ck_says(group.err, "SOCKET_GROUP");
    ck_run(key, EX_CONFIG);
    ck_says(key.err, "JWT_SECRET_KEY");
}

TEST(a_config_file_that_is_not_there_is_an_error)
{
    ck_run(run("--config /nonexistent/postern.conf config"), EX_CONFIG);
    setenv("POSTERN_CONFIG", "/nonexistent/postern.conf", 1);
    ck_run(run("config"), EX_CONFIG);
    ck_run(run("routes"), EX_OK); /* wants no settings */
}

/* ---- migrate ---- */

static void drop_all_tables(void)
{
    run_sql("SET @tables = (SELECT GROUP_CONCAT(table_name) FROM information_schema.tables "
            "WHERE table_schema = DATABASE()), foreign_key_checks = 0");
    run_sql("EXECUTE IMMEDIATE CONCAT('DROP TABLE ', @tables)");
    run_sql("SET foreign_key_checks = 1");
}

CASE("database", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(a_fresh_database_is_migrated_once)
{
    drop_all_tables();
    struct run before = run("migrate status");
    ck_run(before, EX_OK);
    ck_says(before.out, "pending        0001_users.sql\n");
    struct run tried = run("migrate --dry-run");
    ck_run(tried, EX_OK);
    ck_says(tried.out, "would apply 0001_users.sql\nwould apply 0002_sessions.sql\n");
    ck_assert_ptr_null(strstr(tried.out, "build"));

    struct run first = run("migrate"), second = run("migrate up"), after = run("migrate status");

    ck_run(first, EX_OK);
    ck_says(first.out, "applied 0001_users.sql\napplied 0002_sessions.sql\n");
    ck_run(second, EX_OK);
    ck_assert_str_eq(second.out, "the schema is up to date\n");
    ck_says(after.out, "applied        0001_users.sql\n");
    ck_assert_ptr_null(strstr(after.out, "pending"));
    ck_rows("list_counts", 1); /* the one that whoever sweeps has locked */
}

/* DATABASE_URL of who serves, who may change no table; the other is for migrate alone. */
TEST(who_serves_need_not_be_who_migrates)
{
    const char *all = getenv("DATABASE_URL");
    drop_all_tables();
    setenv("MIGRATE_DATABASE_URL", all, 1);
    setenv("DATABASE_URL", getenv("SERVE_DATABASE_URL"), 1);

    struct run first = run("migrate"), status = run("migrate status");
    struct run user = run_with_input(PASSWORD "\n", "user add a@example.org --password-stdin");
    struct run reindex = run("reindex");
    drop_all_tables();
    unsetenv("MIGRATE_DATABASE_URL");
    struct run without = run("migrate");

    ck_run(first, EX_OK);
    ck_says(status.out, "applied        0001_users.sql\n");
    ck_run(user, EX_OK);
    ck_run(reindex, EX_OK);
    ck_assert_int_ne(without.status, EX_OK);
    ck_says(without.err, "CREATE command denied");
}

TEST(a_file_that_only_who_migrates_can_read_keeps_nobody_else)
{
    setenv("MIGRATE_DATABASE_URL_FILE", "/nonexistent/url", 1);

    ck_run(run("config --check"), EX_OK);
    ck_run(run("user list"), EX_OK);
    struct run r = run("migrate status");

    ck_run(r, EX_CONFIG);
    ck_says(r.err, "/nonexistent/url");
}

/* ---- totals of an earlier release ---- */

/* All before the one that moves totals, and that one with as much of its text. */
static void migrate_to_totals(const char *text)
{
    struct migration list[6];
    memcpy(list, migrations, sizeof list);
    list[5].text = text;
    list[5].former = NULL;
    must(migrate_up(the_app->db, the_arena, list, text ? 6 : 5, NULL, NULL));
}

static void ck_moved(void)
{
    ck_assert_int_eq(total_kept(&user_counter, NULL, ROLE_USER, ROLE_USER), 7);
    ck_assert_int_eq(total_kept(&user_counter, NULL, ROLE_ADMIN, ROLE_ADMIN), 2);
    ck_assert_int_eq(total_kept(&post_counter, NULL, 0, 0), 4);
    ck_assert_int_eq(total_kept(&post_counter, NULL, 1, 1), 11);
    ck_assert_int_eq(total_kept(&post_counter, NOBODY_ID, 0, 0), 0);
    ck_assert_int_eq(total_kept(&post_counter, NOBODY_ID, 1, 1), 11);
    ck_rows("list_counts WHERE total > 0", 6);
}

/* As if nothing of it were noted as done. */
static void forget_that_totals_were_moved(void)
{
    run_sql("DELETE FROM schema_migrations WHERE number >= 6");
}

TEST(totals_are_moved_once_however_often_that_is_begun)
{
    const char *text = migrations[5].text;
    const char *without_drop = say("%.*s", (int)(strstr(text, "DROP TABLE") - text), text);
    drop_all_tables();
    migrate_to_totals(NULL);
    run_sql("UPDATE user_counts SET n = 3 + slot WHERE slot < 2 AND role = 'user'");
    run_sql("UPDATE user_counts SET n = 2 WHERE slot = 15 AND role = 'admin'");
    run_sql("UPDATE post_totals SET n = IF(published, 6, 2) WHERE slot IN (4, 5)");
    run_sql("UPDATE post_totals SET n = -1 WHERE slot = 6 AND published = 1");
    run_sql("INSERT INTO post_counts VALUES ('" NOBODY_ID "', 1, 11), ('" NOBODY_ID "', 0, 0)");
    run_sql("INSERT INTO post_counts VALUES (UUID(), 0, 4)");

    for (int i = 0; i < 2; i++) {
        migrate_to_totals(without_drop);
        ck_moved();
        forget_that_totals_were_moved();
    }
    for (int i = 0; i < 2; i++) {
        ck_run(run("migrate"), EX_OK);
        ck_moved();
        ck_rows("information_schema.tables WHERE table_schema = DATABASE() AND table_name IN "
                "('user_counts', 'post_counts', 'post_totals')",
                0);
        forget_that_totals_were_moved();
    }
    ck_run(run("migrate"), EX_OK);
}

/* ---- tokens of an earlier release ---- */

#define VERIFICATION 12 /* the number of its file */

/* All before it, and that one with as much of its text. */
static void migrate_to_verification(const char *text)
{
    struct migration list[VERIFICATION];
    memcpy(list, migrations, sizeof list);
    ck_assert_int_eq(list[VERIFICATION - 1].number, VERIFICATION);
    list[VERIFICATION - 1].text = text;
    must(migrate_up(the_app->db, the_arena, list, text ? VERIFICATION : VERIFICATION - 1, NULL,
                    NULL));
}

static void forget_that_tokens_were_moved(void)
{
    run_sql(say("DELETE FROM schema_migrations WHERE number >= %d", VERIFICATION));
}

static void ck_tokens_moved(void)
{
    ck_rows("mailed_tokens", 1);
    ck_rows("mailed_tokens JOIN users ON users.id = user_id WHERE kind = 'reset' AND hash = "
            "UNHEX(SHA2('hers', 256)) AND address = 'Ada@example.org' AND expires_at = "
            "'2095-01-01'",
            1);
    ck_rows("users WHERE email_verified AND pending_email IS NULL", 2);
}

/* What is on its way when the release changes stays good; of who is disabled it was good for
 * nothing. */
TEST(tokens_are_moved_once_however_often_that_is_begun)
{
    const char *text = migrations[VERIFICATION - 1].text;
    drop_all_tables();
    migrate_to_verification(NULL);
    run_sql("INSERT INTO users (id, email, password_hash, is_active) VALUES "
            "(UUID(), 'Ada@example.org', 'x', 1), (UUID(), 'bob@example.org', 'x', 0)");
    run_sql("INSERT INTO password_resets (token_hash, user_id, expires_at) SELECT "
            "UNHEX(SHA2(IF(is_active, 'hers', 'his'), 256)), id, '2095-01-01' FROM users");

    for (const char *at = text; (at = strstr(at, ";\n")); at += 2) {
        migrate_to_verification(say("%.*s", (int)(at + 2 - text), text));
        forget_that_tokens_were_moved();
    }
    for (int i = 0; i < 2; i++) {
        ck_run(run("migrate"), EX_OK);
        ck_tokens_moved();
        ck_rows("information_schema.tables WHERE table_schema = DATABASE() AND table_name = "
                "'password_resets'",
                0);
        forget_that_tokens_were_moved();
    }
    ck_run(run("migrate"), EX_OK);
}

/* Or it would be another table on another server. */
TEST(each_table_says_what_a_server_may_preset)
{
    ck_run(run("migrate"), EX_OK);

    ck_rows("information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE "
            "TABLE' AND (engine <> 'InnoDB' OR row_format <> 'Dynamic' OR table_collation <> "
            "'utf8mb4_unicode_ci')",
            0);
}

TEST(a_dry_run_tells_and_changes_nothing)
{
    run_sql("UPDATE schema_migrations SET complete = 0 WHERE number = 3");
    run_sql("DELETE FROM schema_migrations WHERE number = 4");

    struct run r = run("migrate --dry-run"), status = run("migrate status --json");

    ck_run(r, EX_OK);
    ck_assert_str_eq(r.out, "would apply 0003_posts.sql\nwould apply 0004_idempotency.sql\n");
    ck_run(status, EX_OK);
    ck_says(column(status.out, "state"), "applied\napplied\nhalf-way\npending\n");
    ck_run(run("migrate up"), EX_OK);
    ck_assert_str_eq(run("migrate up --dry-run").out, "the schema is up to date\n");
    ck_assert_str_eq(run("migrate --dry-run up").out, "the schema is up to date\n");
}

/* Of what was stored before it was kept for whom, the text tells. */
TEST(answers_from_before_get_their_owners)
{
    run_sql("DELETE FROM idempotency_keys");
    run_sql("INSERT INTO idempotency_keys (id, fingerprint, status, body, expires_at) VALUES "
            "(REPEAT('p', 32), REPEAT('f', 32), 201, "
            "'{\"post\":{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8058\","
            "\"author_id\":\"" NOBODY_ID "\"}}', '2095-01-01'), "
            "(REPEAT('u', 32), REPEAT('f', 32), 201, '{\"user\":{\"id\":\"" NOBODY_ID "\"}}', "
            "'2095-01-01'), (REPEAT('n', 32), REPEAT('f', 32), 0, NULL, '2095-01-01')");
    run_sql("DELETE FROM schema_migrations WHERE number = 5");

    ck_run(run("migrate"), EX_OK);

    ck_rows("idempotency_keys WHERE id = REPEAT('p', 32) AND caller_id = '" NOBODY_ID
            "' AND subject_id "
            "IS NULL",
            1);
    ck_rows("idempotency_keys WHERE id = REPEAT('u', 32) AND subject_id = '" NOBODY_ID
            "' AND caller_id "
            "IS NULL",
            1);
}

TEST(a_schema_from_the_future_is_left_alone)
{
    run_sql("INSERT INTO schema_migrations SELECT 99, name, checksum, statements_done, complete, "
            "applied_at FROM schema_migrations WHERE number = 1");

    static const char *const lines[] = {"migrate", "migrate --dry-run", "migrate status"};
    struct run runs[COUNT(lines)];
    for (int i = 0; i < COUNT(lines); i++)
        runs[i] = run(lines[i]);
    run_sql("DELETE FROM schema_migrations WHERE number = 99");

    for (int i = 0; i < COUNT(lines); i++) {
        ck_run(runs[i], EX_DATAERR);
        ck_says(runs[i].err, "too old");
    }
}

TEST(a_changed_migration_is_refused)
{
    run_sql("UPDATE schema_migrations SET checksum = REVERSE(checksum) WHERE number = 1");

    struct run status = run("migrate status"), up = run("migrate up");
    run_sql("UPDATE schema_migrations SET checksum = REVERSE(checksum) WHERE number = 1");

    ck_says(status.out, "changed since  0001_users.sql\n");
    ck_run(up, EX_DATAERR);
    ck_run(status, EX_DATAERR);
    ck_says(up.err, "0001_users.sql");
}

/* Tables of other programs, of the ORMs' usual kinds, and what is told of them. */
static const struct {
    const char *sql, *drop, *complaint;
} foreigners[] = {
    {"CREATE TABLE users (id VARCHAR(36) PRIMARY KEY, email VARCHAR(120) NOT NULL UNIQUE, "
     "password_hash VARCHAR(255) NOT NULL, first_name VARCHAR(50), last_name VARCHAR(50), "
     "role VARCHAR(20), is_active BOOLEAN, created_at DATETIME, updated_at DATETIME)",
     "users", "a table users that this program has not made"},
    {"CREATE TABLE users (id UUID PRIMARY KEY, email VARCHAR(254) NOT NULL UNIQUE, "
     "password_hash VARCHAR(255) NOT NULL, name VARCHAR(100))",
     "users", "a table users that this program has not made"},
    {"CREATE TABLE posts (id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(255), body TEXT, "
     "user_id INT)",
     "posts", "a table posts that this program has not made"},
    {"CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY)", "schema_migrations",
     "a table schema_migrations that this program has not made"},
};

TEST_EACH(the_tables_of_another_program_are_left_alone, foreigners)
{
    static const char *const lines[] = {"migrate", "migrate --dry-run", "migrate status"};
    struct run runs[COUNT(lines)];
    drop_all_tables();
    run_sql(foreigners[_i].sql);

    for (int i = 0; i < COUNT(lines); i++)
        runs[i] = run(lines[i]);
    int64_t tables = rows_in("information_schema.tables WHERE table_schema = DATABASE()");
    struct run doctor = run("doctor");
    run_sql(say("DROP TABLE %s", foreigners[_i].drop));
    ck_run(run("migrate"), EX_OK);

    for (int i = 0; i < COUNT(lines); i++) {
        ck_run(runs[i], EX_DATAERR);
        ck_says(runs[i].err, foreigners[_i].complaint);
        ck_says(runs[i].err, "name a database in DATABASE_URL that is its own");
    }
    ck_assert_int_eq(tables, 1);
    ck_says(doctor.out, "FAIL schema: ");
    ck_says(doctor.out, foreigners[_i].complaint);
}

static const char *const commands_of_a_schema[] = {
    "reindex",
    "user add a@b.org",
    "user list",
    "user list --json",
    "user show a@b.org",
    "user passwd a@b.org",
    "user role a@b.org admin",
    "user enable a@b.org",
    "user disable a@b.org",
    "user delete a@b.org --yes",
    "session list",
    "session list a@b.org",
    "session end --user a@b.org",
    "mail list",
    "mail retry all",
};

/* Neither an empty database nor another program's is one to try again later. */
TEST_EACH(what_needs_the_schema_says_who_makes_it, commands_of_a_schema)
{
    drop_all_tables();
    struct run empty = run_with_input(PASSWORD "\n", commands_of_a_schema[_i]);
    run_sql("CREATE TABLE users (id INT PRIMARY KEY)");
    struct run foreign = run_with_input(PASSWORD "\n", commands_of_a_schema[_i]);
    run_sql("DROP TABLE users");
    ck_run(run("migrate"), EX_OK);

    ck_run(empty, EX_DATAERR);
    ck_says(empty.err, "`postern migrate`");
    ck_says(empty.err, "doesn't exist");
    ck_run(foreign, EX_DATAERR);
    ck_says(foreign.err, "`postern migrate`");
}

/* The first release's, which are in use out there. */
static const char *const first_texts[] = {
    "450fa3a185087f8e674acd9106a1c38c688ed8a4e09528d78cd82fcacb3456dc",
    "eb90c76eba6ab53ebcfa83a20a9e8025711803d8f4307d6344bb4bc6ac732936",
    "87cf0b9e05bcfa4ecdcf6eb9092b0c1825091d2f78b68e0952c4d9f6ab99b3f6",
    "e25e06fe9de6658bb5afee1202f0029953dffb81e0cbaf200bf292429a01c3b9",
};

TEST(a_database_of_the_first_release_is_up_to_date)
{
    run_sql("CREATE TABLE kept AS SELECT * FROM schema_migrations");
    for (int i = 0; i < COUNT(first_texts); i++)
        run_sql(say("UPDATE schema_migrations SET checksum = '%s' WHERE number = %d",
                    first_texts[i], i + 1));

    struct run status = run("migrate status"), up = run("migrate up");
    run_sql("REPLACE INTO schema_migrations SELECT * FROM kept");
    run_sql("DROP TABLE kept");

    ck_run(status, EX_OK);
    ck_assert_ptr_null(strstr(status.out, "changed"));
    ck_run(up, EX_OK);
    ck_assert_str_eq(up.out, "the schema is up to date\n");
}

static const char *const commands_that_ask[] = {
    "migrate",
    "migrate status",
    "reindex",
    "user add a@b.org",
    "user list",
    "user list --json",
    "user show a@b.org",
    "user passwd a@b.org",
    "user role a@b.org admin",
    "user enable a@b.org",
    "user disable a@b.org",
    "user delete a@b.org --yes",
    "session list",
    "session list a@b.org",
    "session end --user a@b.org",
};

TEST_EACH(a_database_that_does_not_answer_is_worth_another_try, commands_that_ask)
{
    setenv("DATABASE_URL", "mysql://u:p@localhost/x?socket=/nonexistent/socket", 1);

    struct run r = run_with_input(PASSWORD "\n", commands_that_ask[_i]);

    ck_run(r, EX_TEMPFAIL);
    ck_says(r.err, "/nonexistent/socket");
}

/* ---- user ---- */

TEST(an_added_user_logs_in)
{
    struct run r =
        run_with_input(PASSWORD "\n", "user add Ada@example.org --first-name Ada --password-stdin");

    ck_run(r, EX_OK);
    struct answer answer = api_get(log_in("ada@example.org"), "/auth/profile");
    ck_assert_str_eq(say("%s\n", answer_text(answer, "user.id")), r.out);
    ck_assert_str_eq(answer_text(answer, "user.email"), "Ada@example.org");
    ck_assert_str_eq(answer_text(answer, "user.first_name"), "Ada");
    ck_assert(answer_is_null(answer, "user.last_name"));
    ck_assert_str_eq(answer_text(answer, "user.role"), "user");
    ck_assert_int_eq(answer_total(api_get(log_in("ada@example.org"), "/users")), 1);
}

TEST(an_admin_is_added_without_a_newline_behind_the_password)
{
    ck_run(run_with_input(PASSWORD, "user add root@example.org --admin --password-stdin"), EX_OK);

    struct answer answer = api_get(log_in("root@example.org"), "/users?role=admin");

    ck_assert_str_eq(answer_column(answer, "email"), "root@example.org");
}

TEST(only_the_first_line_is_the_password)
{
    ck_run(run_with_input(PASSWORD "\r\nmore\n", "user add a@b.org --password-stdin"), EX_OK);

    log_in("a@b.org");
}

TEST(a_byte_order_mark_is_no_part_of_a_password)
{
    ck_run(run_with_input("\xEF\xBB\xBF" PASSWORD "\r\n", "user add a@b.org"), EX_OK);

    log_in("a@b.org");
}

TEST(a_password_is_not_cut_at_a_byte_that_is_no_text)
{
    static const char line[] = "engine of numbers\0and more\n";

    ck_run(run_with_bytes(line, sizeof line - 1, "user add a@b.org"), EX_NOINPUT);
    ck_run(run_with_bytes(line, 18, "user add a@b.org"), EX_NOINPUT);
    ck_rows("users", 0);
}

TEST(an_address_is_added_once)
{
    make_user("ada@example.org", ROLE_USER);

    struct run r = run_with_input(PASSWORD "\n", "user add ADA@example.org --password-stdin");

    ck_run(r, EX_DATAERR);
    ck_assert_str_eq(r.out, "");
    ck_rows("users", 1);
}

static const struct {
    const char *password, *line;
    const char *complaints[3];
} bad_users[] = {
    {"short\n", "user add a@b.org --password-stdin", {"password: "}},
    {"\n", "user add a@b.org --password-stdin", {"password: "}},
    {"password123\n", "user add a@b.org --password-stdin", {"password: "}},
    {"LONG@example.org\n", "user add long@example.org --password-stdin", {"password: "}},
    {PASSWORD "\n", "user add nonsense --password-stdin", {"email: "}},
    {"short\n",
     "user add nonsense --last-name  --password-stdin",
     {"email: ", "last_name: ", "password: "}},
};

TEST_EACH(a_bad_user_is_not_added, bad_users)
{
    struct run r = run_with_input(bad_users[_i].password, bad_users[_i].line);

    ck_run(r, EX_DATAERR);
    for (size_t i = 0; i < 3 && bad_users[_i].complaints[i]; i++)
        ck_says(r.err, bad_users[_i].complaints[i]);
    ck_rows("users", 0);
}

TEST(a_long_password_line_is_refused)
{
    ck_run(run_with_input(repeat("x", 5000), "user add a@b.org --password-stdin"), EX_DATAERR);
    ck_run(run_with_input(repeat("xy", 64), "user add a@b.org --password-stdin"), EX_OK);
}

/* ---- reindex ---- */

TEST(reindex_mends_totals_and_search)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);
    run_sql("INSERT INTO users (id, email, password_hash, first_name, role) SELECT UUID(), "
            "CONCAT('i', seq, '@import.test'), '', 'IMPORTED', 'admin' FROM seq_1_to_450");
    run_sql("INSERT INTO posts (id, author_id, title, content, published) SELECT UUID(), id, 'T', "
            "'C', 1 FROM users");
    run_sql("UPDATE list_journal SET n = 5 WHERE total = 1");
    run_sql("INSERT INTO list_journal (total, owner, kind, n) VALUES (2, UUID(), 1, -1)");

    ck_run(run("reindex"), EX_OK);

    ck_assert_int_eq(answer_total(api_get(token, "/users")), 451);
    ck_assert_int_eq(answer_total(api_get(token, "/users?role=user")), 1);
    ck_assert_int_eq(answer_total(api_get(token, "/posts")), 451);
    ck_assert_int_eq(answer_total(api_get(token, "/users?q=imported")), 450);
    ck_assert_str_eq(answer_column(api_get(token, "/users?q=I77%%40"), "email"), "i77@import.test");
    ck_kept();
    ck_rows("list_journal", 0);
    ck_run(run("reindex"), EX_OK);
    ck_assert_int_eq(answer_total(api_get(token, "/users")), 451);
}

/* Killed anywhere, it goes on; and whoever writes meanwhile is found. */
TEST(a_reindex_that_is_killed_goes_on_beside_writers)
{
    const char *token = bearer_of_new("ada@example.org", ROLE_USER);
    run_sql("INSERT INTO posts (id, author_id, title, content, published, created_at) SELECT "
            "UUID(), id, CONCAT('Title ', seq), 'imported', 1, '2026-01-01' + INTERVAL seq SECOND "
            "FROM users, seq_1_to_6000");
    char **argv = program_words("reindex");
    for (int i = 0; i < 8; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
            program_become(argv, stdin, stdout, stderr);
        (void)usleep((useconds_t)(20000 * i));
        (void)write_post(token, "Written meanwhile", "imported too", true);
        (void)kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    }

    ck_run(run("reindex"), EX_OK);

    ck_assert_int_eq(answer_total(api_get(token, "/posts")), 6008);
    ck_assert_int_eq(answer_total(api_get(token, "/posts?q=meanwhile")), 8);
    ck_assert_int_eq(answer_total(api_get(token, "/posts?q=5999")), 1);
    ck_rows("search_builds WHERE state = 'building'", 0);
    ck_rows("search_builds WHERE state = 'live'", 2);
    ck_kept();
}

/* ---- backup and restore ---- */

static int64_t found(const char *q)
{
    return answer_total(api_get(NULL, "/posts?q=%s", q));
}

static void shell(const char *line)
{
    int status = system(say("socket=$(\"$DATABASE_CONTROL\" socket) && %s", line));
    ck_assert_msg(status == 0, "status %d: %s", status, line);
}

CASE("restoring", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

static void write_looms(void)
{
    make_user("ada@example.org", ROLE_USER);
    run_sql("INSERT INTO posts (id, author_id, title, content, published) SELECT UUID(), id, "
            "CONCAT('On the loom ', seq), 'It weaves.', 1 FROM users, seq_1_to_3");
    ck_run(run("reindex"), EX_OK);
    ck_assert_int_eq(found("the"), 3);
}

/* The options are mariadb-dump's. */
static void restore(const char *options)
{
    db_disconnect(the_app->db);
    shell(say("mariadb-dump --no-defaults -S $socket --single-transaction %s postern >restore.sql",
              options));
    shell("echo 'DROP DATABASE postern; CREATE DATABASE postern CHARACTER SET utf8mb4' | "
          "\"$DATABASE_CONTROL\" sql");
    shell("(echo 'USE postern;' && cat restore.sql) | \"$DATABASE_CONTROL\" sql");
    unlink("restore.sql");
}

/* As sql/README has it. */
TEST(after_a_restore_every_word_is_found)
{
    write_looms();

    restore("");

    ck_run(run("migrate"), EX_OK);
    ck_assert_int_eq(found("loom"), 3);
    ck_assert_int_eq(found("the%%20loom"), 3);
    ck_says(run("doctor").out, "ok   search index of posts is there");
}

TEST(an_index_that_is_not_in_a_dump_is_built_again)
{
    write_looms();

    restore("--ignore-table-data=postern.search_builds --ignore-table-data=postern.search_rows "
            "--ignore-table-data=postern.search_postings "
            "--ignore-table-data=postern.search_ranges");

    ck_says(run("doctor").out, "FAIL search index of posts: has not been built");
    struct run tried = run("migrate --dry-run");
    ck_run(tried, EX_OK);
    ck_assert_str_eq(tried.out, "would build the search index of users\n"
                                "would build the search index of posts\n");
    struct run migrated = run("migrate");
    ck_run(migrated, EX_OK);
    ck_says(migrated.out, "built the search index of posts\n");
    ck_assert_int_eq(found("the"), 3);
}

TEST(a_table_that_others_rebuild_loses_no_word)
{
    write_looms();

    shell("echo 'OPTIMIZE TABLE postern.posts' | \"$DATABASE_CONTROL\" sql >rebuild.out");
    unlink("rebuild.out");

    ck_assert_int_eq(found("the"), 3);
    ck_says(run("doctor").out, "ok   search index of posts is there");
}

TEST(a_reindex_of_what_takes_no_writes_says_so)
{
    shell("echo 'SET GLOBAL read_only = 1' | \"$DATABASE_CONTROL\" sql");
    struct run r = run("reindex");
    shell("echo 'SET GLOBAL read_only = 0' | \"$DATABASE_CONTROL\" sql");

    ck_run(r, EX_TEMPFAIL);
    ck_says(r.err, "read-only");
}

/* ---- serve ---- */

static const struct {
    const char *key;
} bad_keys[] = {{"short"},
                {"0123456789012345678901234567890"}, /* 31 bytes */
                {"change-me-change-me-change-me-change-me"},
                {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
                {"secretsecretsecretsecretsecretsecret"}};

CASE("serving", set_up, loopback_close);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST_EACH(serving_with_a_bad_key_is_refused, bad_keys)
{
    setenv("JWT_SECRET_KEY", bad_keys[_i].key, 1);

    struct run r = run("serve");

    ck_run(r, EX_CONFIG);
    ck_assert_ptr_null(strstr(r.err, bad_keys[_i].key));
}

static const char *const needed[] = {"JWT_SECRET_KEY", "DATABASE_URL"};

TEST_EACH(serving_without_key_or_database_is_refused, needed)
{
    unsetenv(needed[_i]);

    struct run r = run("serve");

    ck_run(r, EX_CONFIG);
    ck_says(r.err, needed[_i]);
}

TEST(a_secret_is_not_taken_from_two_places)
{
    setenv("JWT_SECRET_KEY_FILE", "/nonexistent/key", 1);

    ck_run(run("serve"), EX_CONFIG);
}

TEST(a_bad_database_url_is_refused_without_its_password)
{
    setenv("DATABASE_URL", "postgres://user:hunter2@host/name", 1);

    struct run r = run("serve");

    ck_run(r, EX_CONFIG);
    ck_assert_ptr_null(strstr(r.err, "hunter2"));
}

TEST(serving_on_something_else_than_a_socket_is_refused)
{
    setenv("ENV", "development", 1);

    struct run r = run("serve");

    ck_run(r, EX_USAGE);
    ck_says(r.err, "LISTEN");
}

TEST(root_does_not_serve_in_production)
{
    struct run r = run("serve");

    if (geteuid() != 0) {
        ck_run(r, EX_USAGE); /* for want of a socket */
        return;
    }
    ck_run(r, EX_NOPERM);
    ck_says(r.err, "root");
}

TEST(a_log_that_cannot_be_opened_ends_the_program)
{
    setenv("ENV", "development", 1);

    struct run r = run("--log-to /nonexistent/folder/log serve");

    ck_run(r, EX_CANTCREAT);
    ck_assert_str_eq(r.err,
                     "postern: LOG_TO: /nonexistent/folder/log: No such file or directory\n");
}

TEST(commands_for_the_terminal_do_not_log)
{
    setenv("LOG_TO", "/nonexistent/folder/log", 1);

    ck_run(run("migrate"), EX_OK);
    ck_run(run("config"), EX_OK);
}

TEST(an_address_that_cannot_be_taken_ends_the_program)
{
    setenv("ENV", "development", 1);

    struct run r = run("--listen /nonexistent/folder/socket serve");

    ck_run(r, EX_UNAVAILABLE);
    ck_says(r.err, "/nonexistent/folder/socket");
}

static const struct {
    const char *line;
    int status;
} trials[] = {
    {"--listen /nonexistent/folder/socket serve", EX_UNAVAILABLE},
    {"--state-file /nonexistent/folder/state --listen 127.0.0.1:1025 serve", EX_UNAVAILABLE},
    {"serve", EX_USAGE}, /* LISTEN is gone */
    {"--listen /proc/self/cwd/trial serve", EX_OK},
};

/* Or a reload would end what runs, and what comes in its place cannot start. */
TEST_EACH(a_trial_finds_what_would_stop_the_start, trials)
{
    setenv("ENV", "development", 1);
    setenv("POOL_TRIAL", "1", 1);

    ck_run(run(trials[_i].line), trials[_i].status);
    (void)unlink("trial");
}

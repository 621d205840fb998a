/* needs: mariadb */
/* `postern doctor` and `config --check`: each fault is told with its fix, and nothing else is. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/crypto/digest.h"
#include "tests/support/clock.h"
#include "tests/support/people.h"
#include "tests/support/program.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"
#include "tests/support/tls_server.h"

static char folder[] = "/tmp/postern-doctor.XXXXXX"; /* short enough for a socket */
static pid_t server;                                 /* 0: none runs */
static int end_signal = SIGKILL;

static const char *in_folder(const char *name)
{
    return say("%s/%s", folder, name);
}

static void set_up(void)
{
    loopback_open();
    program_expect();
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("JWT_SECRET_KEY", SECRET_KEY, 1);
    setenv("ENV", "development", 1);
    unsetenv("POSTERN_CONFIG");
}

static void end_server(void)
{
    if (!server)
        return;
    kill(server, end_signal);
    waitpid(server, NULL, 0);
    server = 0;
}

static void tear_down(void)
{
    end_server();
    (void)!system(say("/bin/rm -rf %s", folder));
    loopback_close();
}

/* How the line begins that tells of `what`; fails the test when there is none. */
static const char *line_about(const struct run *r, const char *what)
{
    const char *at = strstr(r->out, what);
    ck_assert_msg(at != NULL, "nothing about %s in:\n%s%s", what, r->out, r->err);
    while (at > r->out && at[-1] != '\n')
        at--;
    return arena_copy(the_arena, at, strcspn(at, "\n"));
}

#define ck_verdict(run_, what_, verdict_)                                                          \
    do {                                                                                           \
        const char *line_ = line_about((run_), (what_));                                           \
        ck_assert_msg(strncmp(line_, verdict_ " ", strlen(verdict_) + 1) == 0, "%s", line_);       \
    } while (0)

/* ---- where all is well ---- */

static void await_socket(const char *path)
{
    for (long end = now_ms() + PATIENCE_MS; access(path, F_OK) != 0; pause_ms(10))
        ck_assert_msg(now_ms() < end, "%s is not made", path);
}

static void start_server(void)
{
    setenv("LISTEN", in_folder("fast"), 1);
    setenv("HASH_LISTEN", in_folder("hash"), 1);
    setenv("WORKERS", "1", 1);
    setenv("HASH_WORKERS", "1", 1);
    char **argv = program_words("serve");
    FILE *log = fopen(in_folder("log"), "w");
    fflush(NULL);
    end_signal = SIGTERM;
    server = fork();
    if (server == 0)
        program_become(argv, stdin, log, log);
    fclose(log);
    await_socket(in_folder("hash"));
}

CASE("machine", set_up, tear_down);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(a_running_installation_is_well)
{
    start_server();

    struct run r = run("doctor");

    ck_run(r, EX_OK);
    ck_assert_ptr_null(strstr(r.out, "FAIL"));
    ck_verdict(&r, "JWT_SECRET_KEY", "ok");
    ck_verdict(&r, "clocks", "ok");
    ck_verdict(&r, "database answers at localhost, /", "ok");
    ck_verdict(&r, "database is 1", "ok");
    ck_verdict(&r, "database has room", "ok");
    ck_verdict(&r, "schema is", "ok");
    ck_verdict(&r, " LISTEN: mode 0660", "ok");
    ck_verdict(&r, "HASH_LISTEN: mode 0660", "ok");
    ck_verdict(&r, " LISTEN: a worker answers", "ok");
    ck_verdict(&r, "HASH_LISTEN: a worker answers", "ok");
    ck_verdict(&r, "open files", "ok");
}

static void store(const char *email, const char *hash)
{
    make_user(email, ROLE_USER);
    run_sql(say("UPDATE users SET password_hash = '%s' WHERE email = '%s'", hash, email));
}

TEST(passwords_that_no_login_would_verify_are_counted)
{
    make_user("ada@example.org", ROLE_USER); /* as we store them */
    store("b@example.org", "pbkdf2:sha256:1000000$salt$00");
    store("c@example.org", "$2b$14$abcdefghijklmnopqrstuuVjy3WfYsef9X9ig7GWAQsq.R8VvWccC");
    store("d@example.org", "!");
    struct run well = run("doctor");
    store("e@example.org", "pbkdf2:sha512:10000000$secretsalt$00");
    store("f@example.org", "$2y$16$abcdefghijklmnopqrstuuVjy3WfYsef9X9ig7GWAQsq.R8VvWccC");
    store("g@example.org", "scrypt:1048576:8:1$secretsalt$00");
    store("h@example.org", "$argon2i$m=262144,t=5,p=1$secretsalt$00");

    struct run r = run("doctor");

    ck_run(well, EX_OK);
    ck_verdict(&well, "stored passwords: none of 4 looked at takes", "ok");
    ck_run(r, EX_OK);
    ck_verdict(&r, "stored passwords: 4 of 8 looked at take more than a second", "warn");
    ck_assert_ptr_null(strstr(r.out, "secretsalt"));
}

/* By UUIDs of version 1 and 4, which are before and after ours: neither end is left out. */
TEST(of_many_users_both_ends_are_looked_at)
{
    run_sql("INSERT INTO users (id, email, password_hash) SELECT UUID(), CONCAT(seq, '@x.test'), "
            "'pbkdf2:sha256:600000$salt$00' FROM seq_1_to_20010");
    store("old@example.org", "$2b$16$abcdefghijklmnopqrstuuVjy3WfYsef9X9ig7GWAQsq.R8VvWccC");
    store("new@example.org", "$2b$17$abcdefghijklmnopqrstuuVjy3WfYsef9X9ig7GWAQsq.R8VvWccC");
    run_sql("UPDATE users SET id = '00000000-0000-7000-8000-000000000000' WHERE email = "
            "'old@example.org'");
    run_sql("UPDATE users SET id = 'ffffffff-ffff-4fff-bfff-ffffffffffff' WHERE email = "
            "'new@example.org'");

    struct run r = run("doctor");

    ck_run(r, EX_OK);
    ck_verdict(&r, "stored passwords: 2 of 20000 looked at (of the first and the last", "warn");
}

/* Logins from an address; NULL is what a unix socket leaves. */
static void log_in_from(const char *ip, int times)
{
    for (int i = 0; i < times; i++) {
        enter("ada@example.org");
        run_sql(say("UPDATE sessions SET ip = %s%s%s ORDER BY id DESC LIMIT 1", ip ? "'" : "",
                    ip ? ip : "NULL", ip ? "'" : ""));
    }
}

static const struct {
    const char *ip, *proxies;
    bool warns;
} origins[] = {
    {"203.0.113.9", "", false},
    {"10.0.0.1", "", true},
    {"127.0.0.1", "", true},
    {NULL, "", true},
    {"fd00::1", "", true},
    {"10.0.0.1", "10.0.0.0/8", true}, /* it has told of nobody */
    {"192.168.1.9", "10.0.0.0/8", false},
    {"203.0.113.9", "10.0.0.0/8", false},
};

TEST_EACH(clients_that_cannot_be_told_apart_are_told, origins)
{
    make_user("ada@example.org", ROLE_USER);
    log_in_from("198.51.100.7", 2);
    log_in_from(origins[_i].ip, 3);
    setenv("TRUSTED_PROXIES", origins[_i].proxies, 1);
    setenv("ENV", "production", 1);

    struct run r = run("doctor");

    ck_run(r, EX_OK);
    if (origins[_i].warns)
        ck_verdict(&r, "limits by network: 3 of the last 5 logins came from", "warn");
    else
        ck_verdict(&r, "limits by network: clients come with addresses of their own", "ok");
}

TEST(a_few_logins_from_here_are_no_reason)
{
    make_user("ada@example.org", ROLE_USER);
    log_in_from("198.51.100.7", 2);
    log_in_from("127.0.0.1", 2);
    setenv("ENV", "production", 1);

    struct run r = run("doctor");

    ck_verdict(&r, "limits by network: clients come with", "ok");
}

static const struct {
    const char *name, *value, *told;
} loose[] = {
    {"LIMITS", "off", "LIMITS: nothing is limited"},
    {"LIMITS", "guesses", "LIMITS: nothing but wrong passwords is limited"},
    {"LOGIN_LIMIT", "off", "LIMITS: nothing is limited"},
};

TEST_EACH(limits_that_are_off_are_told_in_production, loose)
{
    setenv(loose[_i].name, loose[_i].value, 1);
    setenv("ENV", "production", 1);

    struct run r = run("doctor");
    setenv("ENV", "development", 1);
    struct run at_home = run("doctor");

    ck_verdict(&r, loose[_i].told, "warn");
    ck_assert_ptr_null(strstr(at_home.out, loose[_i].told));
}

TEST(no_secret_is_shown)
{
    const char *url = getenv("DATABASE_URL"), *password = strchr(strchr(url, ':') + 1, ':') + 1;
    password = say("%.*s", (int)strcspn(password, "@"), password);

    struct run well = run("doctor"), json = run("doctor --json");
    setenv("DATABASE_URL", say("mysql://postern:%s@localhost/x?socket=/nonexistent", password), 1);
    struct run away = run("doctor");

    const char *all = say("%s%s%s%s", well.out, json.out, away.out, away.err);
    ck_run(away, EX_UNAVAILABLE);
    ck_assert_ptr_null(strstr(all, SECRET_KEY));
    ck_assert_ptr_null(strstr(all, password));
}

TEST(json_has_a_line_for_each_finding)
{
    struct run r = run("doctor --json");

    ck_run(r, EX_OK);
    for (const char *line = r.out; *line; line = strchr(line, '\n') + 1) {
        const struct json *finding;
        must(json_parse(the_arena, line, strcspn(line, "\n"), &finding));
        ck_assert_ptr_nonnull(json_as_text(json_get(finding, "verdict")).data);
        ck_assert_uint_gt(json_as_text(json_get(finding, "what")).len, 0);
    }
}

/* ---- settings ---- */

#define LONG_PATH                                                                                  \
    "/."                                                                                           \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaa"                                                                                          \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *name, *value;
    const char *what, *mend;
    const char *verdict;
} settings[] = {
    {"JWT_SECRET_KEY", "short", "JWT_SECRET_KEY", "more. `postern secret` makes", "FAIL"},
    {"JWT_SECRET_KEY", NULL, "JWT_SECRET_KEY", "is not set", "FAIL"},
    {"JWT_ISSUER", "\xC3\xA9", "JWT_ISSUER", "printable ASCII", "FAIL"},
    {"JWT_PREVIOUS_KEYS", "short", "JWT_PREVIOUS_KEYS", "it needs 32 or more", "FAIL"},
    {"JWT_PREVIOUS_KEYS", SECRET_KEY "0 short", "JWT_PREVIOUS_KEYS", "32 or more", "FAIL"},
    {"DATABASE_URL", NULL, "DATABASE_URL", "is not set", "FAIL"},
    {"DATABASE_URL", "postgres://u:hunter2@h/d", "DATABASE_URL", "", "FAIL"},
    {"HASH_LISTEN", "/same", "HASH_LISTEN", "is the same as LISTEN", "FAIL"},
    {"LISTEN", LONG_PATH, "LISTEN", "107 bytes", "FAIL"},
    {"SOCKET_GROUP", "no-such-group", "SOCKET_GROUP", "no group no-such-group", "FAIL"},
    {"MAIL_COMMAND", "/nonexistent/sendmail -t", "MAIL_COMMAND", "cannot be run", "FAIL"},
    {"MAIL_COMMAND", "/tmp", "MAIL_COMMAND", "cannot be run", "FAIL"},
    {"MAIL_COMMAND", "sendmail -t", "MAIL_COMMAND", "whole path", "FAIL"},
    {"MAIL_COMMAND", "/bin/true", "RESET_URL", "bare token", "warn"},
    {"MAIL_COMMAND", "/bin/true", "VERIFY_URL", "bare token", "warn"},
    {"MAIL_COMMAND", "/bin/true", "UNDO_URL", "bare token", "warn"},
    {"MAIL_COMMAND", "/bin/true", "MAIL_FROM", "which others refuse", "warn"},
    {"VERIFY_EMAIL", "on", "VERIFY_EMAIL", "set MAIL_COMMAND", "FAIL"},
    {"VERIFY_EMAIL", "required", "VERIFY_EMAIL", "set MAIL_COMMAND", "FAIL"},
    {"MAIL_TEXTS", "/nonexistent/mail.txt", "MAIL_TEXTS", "No such file", "FAIL"},
    {"LOG_TO", "/tmp", "LOG_TO", "/tmp is no file", "FAIL"},
    {"LOG_TO", "/nonexistent/log", "LOG_TO", "no folder /nonexistent", "FAIL"},
    {"STATE_FILE", "/nonexistent/state", "STATE_FILE", "no folder /nonexistent", "FAIL"},
    {"STATE_FILE", "/dev/null", "STATE_FILE", "/dev/null is no file", "FAIL"},
    {"REFRESH_TTL_S", "60", "REFRESH_TTL_S", "ACCESS_TTL_S", "warn"},
    {"JWT_SECRET_KEY", "\"" SECRET_KEY "\"", "JWT_SECRET_KEY", "has quotes around it", "warn"},
    {"JWT_SECRET_KEY", "'" SECRET_KEY "'", "JWT_SECRET_KEY", "has quotes around it", "warn"},
    {"JWT_PREVIOUS_KEYS", "'" SECRET_KEY "'", "JWT_PREVIOUS_KEYS", "has quotes", "warn"},
    {"DATABASE_URL", "mysql://u:hunter2@red@h/d", "DATABASE_URL", "must be written %40", "FAIL"},
    {"DATABASE_URL", "mysql://u:hunter2/red@h/d", "DATABASE_URL", "each / %2F", "FAIL"},
    {"DATABASE_URL", "mysql://u:hunter2@x/red@h/d", "DATABASE_URL", "each / %2F", "FAIL"},
    {"DATABASE_URL", "mysql://u:hunter2%@h/d", "DATABASE_URL", "must be written %25", "FAIL"},
};

static void set(int i)
{
    if (strcmp(settings[i].name, "HASH_LISTEN") == 0)
        setenv("LISTEN", "/same", 1);
    if (settings[i].value)
        setenv(settings[i].name, settings[i].value, 1);
    else
        unsetenv(settings[i].name);
}

TEST_EACH(a_bad_setting_is_told_with_its_mend, settings)
{
    bool bad = strcmp(settings[_i].verdict, "FAIL") == 0;
    set(_i);

    struct run r = run("doctor");

    ck_run(r, bad ? EX_UNAVAILABLE : EX_OK);
    ck_says(r.out, say("%s %s: ", settings[_i].verdict, settings[_i].what));
    ck_says(r.out, settings[_i].mend);
    ck_assert_ptr_null(strstr(r.out, "hunter2"));
}

TEST_EACH(config_check_finds_the_same, settings)
{
    bool bad = strcmp(settings[_i].verdict, "FAIL") == 0;
    set(_i);

    struct run r = run("config --check");

    ck_run(r, bad ? EX_CONFIG : EX_OK);
    ck_assert_str_eq(r.out, bad ? "" : "ok\n");
    ck_says(r.err, say("%s: ", settings[_i].what));
    ck_says(r.err, settings[_i].mend);
}

TEST(good_settings_pass)
{
    struct run r = run("config --check");

    ck_run(r, EX_OK);
    ck_assert_str_eq(r.out, "ok\n");
    ck_assert_str_eq(r.err, "");
}

TEST(a_check_that_passes_is_told_to_scripts)
{
    struct run r = run("config --check --json");

    ck_run(r, EX_OK);
    ck_assert_str_eq(r.out, "{\"verdict\":\"ok\"}\n");
}

/* ---- files ---- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static const struct {
    mode_t mode;
    const char *verdict, *mend;
    int status;
} modes[] = {
    {0644, "FAIL", "chmod 640", EX_UNAVAILABLE},
    {0660, "warn", "chmod g-w", EX_OK},
    {0640, "ok", "", EX_OK},
    {0600, "ok", "", EX_OK},
};

TEST_EACH(a_config_file_with_a_secret_is_not_for_all, modes)
{
    const char *path = in_folder("postern.conf");
    unsetenv("JWT_SECRET_KEY");
    write_file(path, "JWT_SECRET_KEY = " SECRET_KEY "\n", modes[_i].mode);

    struct run r = run(say("--config %s doctor", path));

    ck_run(r, modes[_i].status);
    ck_says(line_about(&r, path), say("%-4s %s", modes[_i].verdict, path));
    ck_says(line_about(&r, path), modes[_i].mend);
}

TEST_EACH(a_secret_file_is_not_for_all, modes)
{
    const char *path = in_folder("key"), *config = in_folder("postern.conf");
    unsetenv("JWT_SECRET_KEY");
    write_file(path, SECRET_KEY, modes[_i].mode);
    write_file(config, say("JWT_SECRET_KEY_FILE = %s\n", path), 0644);

    struct run r = run(say("doctor --config %s", config));

    ck_run(r, modes[_i].status);
    ck_says(line_about(&r, path), say("%-4s %s", modes[_i].verdict, path));
    ck_says(line_about(&r, path), modes[_i].mend);
    ck_verdict(&r, config, "ok");
}

/* ---- sockets ---- */

/* A child that takes connections at `path` and hangs up. */
static void start_rude(const char *path, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    server = fork();
    while (server == 0)
        close(accept(fd, NULL, NULL));
    close(fd);
}

static const struct {
    const char *url;
    bool is_secret;
} urls[] = {
    {"mysql://u@localhost/d?socket=/nonexistent", false},
    {"mysql://u:@localhost/d?socket=/nonexistent", false},
    {"mysql://u:hunter2@localhost/d?socket=/nonexistent", true},
    {"postgres://u:hunter2@localhost/d", true},
};

TEST_EACH(a_database_url_without_a_password_is_no_secret, urls)
{
    static const char *const names[] = {"DATABASE_URL", "MIGRATE_DATABASE_URL"};
    const char *config = in_folder("postern.conf");
    unsetenv("DATABASE_URL");
    unsetenv("MIGRATE_DATABASE_URL");
    for (int i = 0; i < COUNT(names); i++) {
        write_file(config, say("%s = %s\n", names[i], urls[_i].url), 0644);

        struct run r = run(say("doctor --config %s", config));

        ck_says(line_about(&r, config), urls[_i].is_secret ? "FAIL" : "has no secret in it");
    }
}

TEST(files_that_can_be_written_are_well)
{
    const char *state = in_folder("state");
    write_file(in_folder("log"), "", 0640);
    setenv("LOG_TO", in_folder("log"), 1);
    setenv("STATE_FILE", state, 1);

    struct run r = run("doctor");

    ck_verdict(&r, "/log can be written", "ok");
    ck_verdict(&r, say("STATE_FILE %s can be made", state), "ok");
    ck_assert_int_ne(access(state, F_OK), 0);
}

TEST(a_state_file_is_for_the_server_alone)
{
    const char *state = in_folder("state");
    write_file(state, "", 0640);
    setenv("STATE_FILE", state, 1);

    ck_says(run("doctor").out, say("FAIL STATE_FILE: %s is not", state));
    ck_assert_int_eq(chmod(state, 0600), 0);
    ck_says(run("doctor").out, say("STATE_FILE %s can be written", state));
}

TEST(a_socket_that_nobody_listens_on_is_told)
{
    setenv("LISTEN", in_folder("gone"), 1);
    struct run r = run("doctor");
    ck_run(r, EX_UNAVAILABLE);
    ck_says(r.out, "start the server");

    setenv("LISTEN", in_folder("no/such/socket"), 1);
    ck_says(run("doctor").out, "make the folder");

    setenv("LISTEN", in_folder("file"), 1);
    write_file(in_folder("file"), "", 0660);
    ck_says(run("doctor").out, "is no socket");

    setenv("LISTEN", "127.0.0.1:1", 1);
    ck_says(run("doctor").out, "FAIL LISTEN: Connection refused");
}

TEST(where_others_make_the_sockets_that_is_told)
{
    struct run r = run("doctor --workers 4 --hash-workers 2");
    setenv("LISTEN", "127.0.0.1:1", 1);
    struct run one = run("doctor --workers 4 --hash-workers 2");
    setenv("HASH_LISTEN", "127.0.0.1:2", 1);
    struct run both = run("doctor --workers 4 --hash-workers 2");

    ck_run(r, EX_OK);
    ck_verdict(&r, "LISTEN is not set", "ok");
    ck_says(r.out, "we open one for each worker, at most 6\n");
    ck_assert_ptr_null(strstr(one.out, "LISTEN is not set"));
    ck_says(one.out, "we open 4\n");
    ck_says(both.out, "we open 6\n");
}

TEST(a_dead_socket_is_told)
{
    setenv("LISTEN", in_folder("dead"), 1);
    start_rude(in_folder("dead"), 0660);
    end_server();

    struct run r = run("doctor");

    ck_run(r, EX_UNAVAILABLE);
    ck_says(r.out, "FAIL LISTEN: Connection refused; start the server");
}

TEST(a_socket_for_everybody_is_told_and_one_without_answers)
{
    setenv("LISTEN", in_folder("open"), 1);
    start_rude(in_folder("open"), 0666);

    struct run r = run("doctor");

    ck_run(r, EX_UNAVAILABLE);
    ck_says(r.out, "FAIL LISTEN: everybody may connect; chmod 660");
    ck_says(r.out, "FAIL LISTEN: no worker answers");
}

TEST(a_folder_that_everybody_writes_to_is_told)
{
    start_server();
    ck_assert_int_eq(chmod(folder, 0777), 0);
    struct run open = run("doctor");
    ck_assert_int_eq(chmod(folder, 01777), 0);
    struct run sticky = run("doctor");

    ck_run(open, EX_UNAVAILABLE);
    ck_says(open.out, "FAIL LISTEN: everybody may write");
    ck_run(sticky, EX_OK);
}

/* ---- the database ---- */

static void as_root(const char *sql)
{
    FILE *control = popen(say("%s sql", getenv("DATABASE_CONTROL")), "w");
    ck_assert_ptr_nonnull(control);
    fputs(sql, control);
    ck_assert_int_eq(pclose(control), 0);
}

static const struct {
    const char *sql, *what, *verdict, *mend, *undo;
} databases[] = {
    {"SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() - 100'", "clock: ", "FAIL",
     "behind ours; run NTP", "SET GLOBAL init_connect = ''"},
    {"SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 3'", "clock: ", "warn",
     "ahead of ours", "SET GLOBAL init_connect = ''"},
    {"SET GLOBAL read_only = 1", "read_only", "FAIL", "promote it", "SET GLOBAL read_only = 0"},
    {"UPDATE postern.schema_migrations SET number = 99 WHERE number = 1", "schema: ", "FAIL", "",
     "UPDATE postern.schema_migrations SET number = 1 WHERE number = 99"},
    {"INSERT INTO postern.schema_migrations SELECT 99, name, checksum, 1, 1, applied_at "
     "FROM postern.schema_migrations WHERE number = 1",
     "schema: ", "warn", "1 migrations of a later program",
     "DELETE FROM postern.schema_migrations WHERE number = 99"},
    {"ALTER TABLE postern.posts RENAME COLUMN version TO v", "schema: ", "FAIL",
     "posts is not as 0003_posts.sql makes it (version is missing in it)",
     "ALTER TABLE postern.posts RENAME COLUMN v TO version"},
    {"ALTER TABLE postern.posts MODIFY version VARCHAR(20)", "schema: ", "FAIL",
     "version there is varchar and not BIGINT",
     "ALTER TABLE postern.posts MODIFY version BIGINT NOT NULL DEFAULT 1"},
    {"UPDATE postern.schema_migrations SET complete = 0 WHERE number = 1", "schema: ", "FAIL",
     "run `postern migrate`", "UPDATE postern.schema_migrations SET complete = 1 WHERE number = 1"},
};

TEST_EACH(a_database_that_will_not_do_is_told, databases)
{
    as_root(databases[_i].sql);
    struct run r = run("doctor");
    as_root(databases[_i].undo);

    ck_run(r, strcmp(databases[_i].verdict, "FAIL") == 0 ? EX_UNAVAILABLE : EX_OK);
    ck_assert_int_eq(strncmp(line_about(&r, databases[_i].what), databases[_i].verdict, 4), 0);
    ck_says(line_about(&r, databases[_i].what), databases[_i].mend);
}

static const char *const rights[] = {"INSERT", "UPDATE", "DELETE"};

TEST_EACH(an_account_that_may_not_write_is_told, rights)
{
    setenv("DATABASE_URL", getenv("SERVE_DATABASE_URL"), 1);
    struct run before = run("doctor");
    as_root(say("REVOKE %s ON postern.* FROM server@localhost", rights[_i]));
    struct run without = run("doctor");
    as_root(say("GRANT %s ON postern.* TO server@localhost", rights[_i]));

    ck_run(before, EX_OK);
    ck_verdict(&before, "account of DATABASE_URL may write", "ok");
    ck_run(without, EX_UNAVAILABLE);
    const char *line = line_about(&without, "FAIL account of DATABASE_URL: ");
    ck_says(line, say("%s command denied", rights[_i]));
    ck_says(line, "GRANT SELECT, INSERT, UPDATE, DELETE");
}

static void restart_database(const char *options)
{
    setenv("MARIADBD_OPTIONS", options, 1);
    ck_assert_int_eq(system("\"$DATABASE_CONTROL\" stop && \"$DATABASE_CONTROL\" start"), 0);
}

static const struct {
    const char *sql, *verdict, *says, *cure;
} indexes[] = {
    {"DELETE FROM search_builds WHERE list = 2", "FAIL", "has not been built", "migrate"},
    {"UPDATE search_builds SET unicode = '9.0.0'", "warn", "was built by another release",
     "migrate"},
    {"UPDATE search_builds SET format = 99", "warn", "was built by another release", "reindex"},
    {"UPDATE search_builds SET lost = 2", "warn", "has lost 2 parts", "reindex"},
};

/* A worker says so too when it starts. */
TEST_EACH(a_search_index_that_is_not_right_is_told_and_logged, indexes)
{
    make_user("ada@example.org", ROLE_USER);
    run_sql(indexes[_i].sql);
    start_server();

    struct run told = run("doctor");
    ck_run(run(indexes[_i].cure), EX_OK);
    struct run mended = run("doctor");

    ck_run(told, strcmp(indexes[_i].verdict, "FAIL") == 0 ? EX_UNAVAILABLE : EX_OK);
    const char *line = line_about(&told, "search index of posts");
    ck_assert_int_eq(strncmp(line, indexes[_i].verdict, 4), 0);
    ck_says(line, indexes[_i].says);
    ck_assert_int_eq(system(say("grep -q '\"event\":\"search_incomplete\",\"table\":\"posts\"' %s",
                                in_folder("log"))),
                     0);
    ck_verdict(&mended, "search index of posts is there", "ok");
    ck_verdict(&mended, "search index of users is there", "ok");
}

TEST(totals_that_nobody_sweeps_are_told)
{
    make_user("ada@example.org", ROLE_USER);
    struct run soon = run("doctor");
    run_sql("UPDATE list_journal SET written_at = UTC_TIMESTAMP() - INTERVAL 1 HOUR");

    struct run late = run("doctor");
    ck_run(run("reindex"), EX_OK);
    struct run swept = run("doctor");

    ck_verdict(&soon, "totals are swept; 1 changes wait", "ok");
    ck_verdict(&late, "totals: 1 changes wait to be swept, the oldest for 60 min", "warn");
    ck_verdict(&swept, "totals are swept; 0 changes wait", "ok");
}

/* How a server is started with which we cannot serve. */
static const struct {
    const char *options, *what, *mend;
} servers[] = {
    {"--log-bin=bin --binlog-format=STATEMENT", "binlog_format = STATEMENT", "ROW or MIXED"},
    {"--innodb-read-only=1", "innodb_read_only", "start it without"},
    {"--innodb-force-recovery=5", "innodb_force_recovery = 5", "start it without"},
    {"--max-allowed-packet=262144", "max_allowed_packet = 262144", "2097152 or more"},
    {"--version=10.6.18-MariaDB", "is 10.6.18-MariaDB", "10.11.5 or later"},
    {"--version=10.11.4-MariaDB", "is 10.11.4-MariaDB", "10.11.5 or later"},
    {"--version=8.0.36", "is 8.0.36", "10.11.5 or later"},
};

/* By all who are asked whether the database will do, and a write is no fault of ours there. */
TEST_EACH(a_server_that_we_cannot_serve_with_is_told, servers)
{
    restart_database(servers[_i].options);
    struct run doctor = run("doctor"), migrate = run("migrate"), status = run("migrate status");
    struct answer ready = api_get(NULL, "/ready"),
                  write = api_post(NULL, "/auth/register",
                                   object("{'email':'who@example.org','password':'%s'}", PASSWORD));
    restart_database("");

    ck_run(doctor, EX_UNAVAILABLE);
    ck_assert_int_eq(strncmp(line_about(&doctor, servers[_i].what), "FAIL", 4), 0);
    ck_says(line_about(&doctor, servers[_i].what), servers[_i].mend);
    ck_run(migrate, EX_TEMPFAIL);
    ck_says(migrate.err, servers[_i].what);
    ck_says(migrate.err, servers[_i].mend);
    ck_run(status, EX_TEMPFAIL);
    ck_problem(ready, UNAVAILABLE);
    ck_assert_ptr_null(strstr(ready.text, "MariaDB"));
    ck_assert_msg(write.status == 201 || write.status == 503, "status %d", write.status);
    ck_status(api_get(NULL, "/ready"), 200);
}

TEST(a_database_that_is_away_is_told)
{
    setenv("DATABASE_URL", "mysql://u:p@localhost/x?socket=/nonexistent/socket", 1);

    struct run r = run("doctor");

    ck_run(r, EX_UNAVAILABLE);
    ck_says(r.out, "FAIL database: ");
    ck_says(r.out, "/nonexistent/socket");
}

/* ---- nginx's files ---- */

CASE("web server", set_up, tear_down);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(what_another_release_rendered_for_nginx_is_told)
{
    const char *source = getenv("srcdir") ? getenv("srcdir") : "..";
    ck_assert_int_eq(
        system(say("LISTEN=/run/postern/fast.sock %s/nginx/render %s/nginx", source, folder)), 0);
    struct run same = run(say("doctor --nginx %s/nginx", folder));
    ck_assert_int_eq(
        system(say("sed -i '/^# templates: /s/[0-9]*$/7/' %s/nginx/http.conf", folder)), 0);
    struct run other = run(say("doctor --nginx %s/nginx", folder));
    ck_assert_int_eq(system(say("sed -i '/^# templates: /d' %s/nginx/http.conf", folder)), 0);
    struct run former = run(say("doctor --nginx %s/nginx", folder));

    ck_run(same, EX_OK);
    ck_verdict(&same, "nginx/http.conf was rendered for this program", "ok");
    ck_run(other, EX_OK);
    ck_verdict(&other, "nginx/http.conf: was rendered for another release", "warn");
    ck_verdict(&former, "nginx/http.conf: was rendered for another release", "warn");
    ck_run(run("doctor --nginx /nonexistent"), EX_UNAVAILABLE);
}

/* ---- the web server ---- */

/* What a good one answers to each question, in their order. */
static const char *const good[] = {
    "200 OK\r\n\r\n{\"status\":\"ok\"}",
    "200 OK\r\n\r\n{\"status\":\"ok\"}",
    "404 Not Found\r\n\r\n{\"code\":\"not_found\"}",
    "401 Unauthorized\r\n\r\n{\"code\":\"invalid_token\"}",
    "405 Method Not Allowed\r\nAllow: GET\r\n\r\n{\"code\":\"method_not_allowed\"}",
    "405 Method Not Allowed\r\nALLOW: GET\r\n\r\n{\"code\":\"method_not_allowed\"}",
    "200 OK\r\nx-request-id: doctor-0123456789\r\n\r\n{\"status\":\"ok\"}",
    "413 Payload Too Large\r\n\r\n{\"code\":\"too_large\"}",
};

/* What others were seen to answer in its place. */
static const struct {
    int question;
    const char *answer, *what, *mend, *verdict;
} faults[] = {
    {0, "200 OK\r\n\r\n<html>It works!", "the API is there", "does not lead", "FAIL"},
    {0, "404 Not Found\r\n\r\n<html>", "the API is there", ".htaccess", "FAIL"},
    {0, "500 X\r\n\r\n<html>", "the API is there", "cannot hand", "FAIL"},
    {0, "503 X\r\n\r\n{\"code\":\"unavailable\"}", "the API is there", "their logs", "FAIL"},
    {0, "301 Moved\r\nLocation: https://x/\r\n\r\n", "the API is there",
     "is redirected; ask where the API is itself (status 301 to https://x/, ", "FAIL"},
    {0, "308 Moved\r\nX: y\r\nlocation:\thttps://x/\x1b[31m\r\n\r\n", "the API is there",
     "(status 308 to https://x/\\u001b[31m, ", "FAIL"},
    {0, "302 Found\r\n\r\n", "the API is there", "(status 302, ", "FAIL"},
    {0, "400 X\r\n\r\n{\"code\":\"bad_request\"}", "the API is there", "ask by https://", "FAIL"},
    {2, "302 Found\r\nLocation: /login\r\n\r\n", "unknown paths", "(status 302 to /login, ",
     "FAIL"},
    {1, "503 X\r\n\r\n{\"code\":\"unavailable\"}", "are ready", "unavailable", "FAIL"},
    {2, "404 Not Found\r\n\r\n<html>", "unknown paths", "answers by itself", "FAIL"},
    {3, "401 X\r\n\r\n{\"code\":\"no_token\"}", "Authorization", "CGIPassAuth", "FAIL"},
    {3, "401 X\r\n\r\n{\"code\":\"\\u001b[31mred\"}", "Authorization", "\\u001b[31mred", "FAIL"},
    {4, "405 X\r\n\r\n<html>", "PATCH", "holds PATCH back", "FAIL"},
    {5, "403 Forbidden\r\n\r\n<html>", "DELETE", "holds DELETE back", "FAIL"},
    {5, "405 X\r\n\r\n{\"code\":\"method_not_allowed\"}", "DELETE", "holds DELETE back", "FAIL"},
    {6, "200 OK\r\nX-Request-Id: other\r\n\r\n{\"status\":\"ok\"}", "X-Request-Id", "", "warn"},
    {7, "500 Internal Server Error\r\n\r\n<html>", "MAX_BODY", "FcgidMaxRequestLen", "FAIL"},
};

/* Read a request to its end, for a body that is not read takes the answer along. */
static void swallow(int fd)
{
    char part[65536] = "";
    ssize_t got = recv(fd, part, sizeof part - 1, 0);
    const char *length = strstr(part, "Content-Length: "), *end = strstr(part, "\r\n\r\n");
    if (!length || !end)
        return;
    long left = atol(length + 16) - (got - (end + 4 - part));
    for (; left > 0; left -= got)
        if ((got = recv(fd, part, sizeof part, 0)) <= 0)
            return;
}

/* A web server in a child, that answers one question after the other; returns its URL. */
static const char *start_web(const char *const *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    server = fork();
    if (server == 0) {
        for (int i = 0; i < COUNT(good); i++) {
            int peer = accept(fd, NULL, NULL);
            swallow(peer);
            dprintf(peer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 %s", answers[i]);
            close(peer);
        }
        _exit(0);
    }
    close(fd);
    return say("http://127.0.0.1:%d/api/", ntohs(address.sin_port));
}

TEST(a_web_server_that_lets_all_through_is_well)
{
    struct run r = run(say("doctor --url %s", start_web(good)));

    ck_run(r, EX_OK);
    ck_verdict(&r, "the API is there", "ok");
    ck_verdict(&r, "Authorization reaches", "ok");
    ck_verdict(&r, "a body above MAX_BODY", "ok");
}

TEST_EACH(what_a_web_server_holds_back_is_told, faults)
{
    const char *answers[COUNT(good)];
    memcpy(answers, good, sizeof good);
    answers[faults[_i].question] = faults[_i].answer;

    struct run r = run(say("doctor --url=%s", start_web(answers)));

    bool bad = strcmp(faults[_i].verdict, "FAIL") == 0;
    ck_run(r, bad ? EX_UNAVAILABLE : EX_OK);
    ck_assert_int_eq(strncmp(line_about(&r, faults[_i].what), faults[_i].verdict, 4), 0);
    ck_says(line_about(&r, faults[_i].what), faults[_i].mend);
    size_t told = 0;
    for (const char *at = r.out; (at = strstr(at, "not so: ")) != NULL; at++)
        told++;
    ck_assert_uint_eq(told, 1);
}

TEST(where_nothing_answers_well_one_line_tells_it)
{
    const char *answers[COUNT(good)];
    for (int i = 0; i < COUNT(good); i++)
        answers[i] = "500 Internal Server Error\r\n\r\n<html>";

    struct run r = run(say("doctor --url %s", start_web(answers)));

    ck_run(r, EX_UNAVAILABLE);
    ck_verdict(&r, "the API is there", "FAIL");
    ck_assert_ptr_null(strstr(r.out, "Authorization"));
}

/* A curl before the real one, for which api.example.org is the web server at `web`, and what is
 * told over plain HTTP is in a file. */
static const char fake_curl[] =
    "#!/bin/sh\n"
    "n=$#\n"
    "for a; do shift; n=$((n - 1))\n"
    "  case $n$a in 0http://*) exec cat \"$(dirname \"$0\")/plain\";; esac\n"
    "  [ $n -gt 0 ] || a=$(cat \"$(dirname \"$0\")/web\")${a#https://api.example.org/api}\n"
    "  set -- \"$@\" \"$a\"\n"
    "done\n"
    "PATH=${PATH#*:} exec curl \"$@\"\n";

static const struct {
    const char *plain, *line;
} over_plain_http[] = {
    {"HTTP/1.1 401 X\r\n\r\n{\"code\":\"invalid_token\"}", "warn plain HTTP: reaches"},
    {"HTTP/1.1 400 X\r\n\r\n{\"code\":\"bad_request\"}", "ok   plain HTTP does not"},
    {"HTTP/1.1 301 X\r\nLocation: https://x/\r\n\r\n", "ok   plain HTTP does not"},
    {"", "ok   plain HTTP does not"},
};

TEST_EACH(an_api_that_also_speaks_plain_http_is_told, over_plain_http)
{
    char *web = arena_strdup(the_arena, start_web(good));
    web[strlen(web) - 1] = '\0';
    write_file(say("%s/web", folder), web, 0644);
    write_file(say("%s/curl", folder), fake_curl, 0755);
    write_file(say("%s/plain", folder), over_plain_http[_i].plain, 0644);
    setenv("PATH", say("%s:%s", folder, getenv("PATH")), 1);

    struct run r = run("doctor --url https://api.example.org/api");

    ck_run(r, EX_OK);
    ck_says(r.out, over_plain_http[_i].line);
}

TEST(an_url_that_will_not_do_is_told)
{
    ck_says(run("doctor --url ftp://example.org/api").out, "FAIL --url: must be like");
    ck_says(run("doctor --url -o/etc/passwd").out, "FAIL --url: must be like");
    ck_says(run("doctor --url http://127.0.0.1:1/api").out, "no answer: ");
    ck_run(run("doctor --url http://127.0.0.1:1/api"), EX_UNAVAILABLE);
    setenv("PATH", "/nonexistent", 1);
    ck_says(run("doctor --url http://127.0.0.1:1/api").out, "FAIL --url: takes the program curl");
}

/* Of the text of /proc/PID/status, without what the C library keeps for itself. */
static uint64_t signals_in(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    ck_assert_ptr_nonnull(line);
    return strtoull(line + strlen(name), NULL, 16) & 0x7FFFFFFF;
}

/* A program of that name in PATH, which tells all that it was given. */
TEST(curl_gets_none_of_our_settings)
{
    const char *told = in_folder("told");
    write_file(in_folder("curl"), say("#!/bin/sh\n{ env; cat /proc/self/status; } >%s\n", told),
               0755);
    setenv("PATH", say("%s:%s", folder, getenv("PATH")), 1);
    setenv("HOME", "/home/ada", 1);
    signal(SIGHUP, SIG_IGN);

    ck_says(run("doctor --url http://127.0.0.1:1/api").out,
            "FAIL http://127.0.0.1:1/api: no answer");

    FILE *file = fopen(told, "r");
    ck_assert_ptr_nonnull(file);
    char *text = arena_alloc(the_arena, 65536);
    text[fread(text, 1, 65535, file)] = '\0';
    ck_assert_int_eq(fclose(file), 0);
    ck_says(text, "HOME=/home/ada\n");
    ck_assert_uint_eq(signals_in(text, "SigIgn:"), 0);
    ck_assert_uint_eq(signals_in(text, "SigBlk:"), 0);
    ck_assert_ptr_null(strstr(text, SECRET_KEY));
    ck_assert_ptr_null(strstr(text, "DATABASE"));
}

/* ---- the way to the database ---- */

static void begin_tls(void)
{
    tls_server_begin(TLS_SERVER);
}

static void begin_plain(void)
{
    tls_server_begin(NULL);
}

static struct run run_by_tcp(const char *host, const char *query)
{
    char *url = tls_url(host, query);
    setenv("DATABASE_URL", url, 1);
    free(url);
    return run("doctor");
}

CASE("encrypted", set_up, tear_down);
CASE_AROUND(begin_tls, tls_server_end);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(an_encrypted_connection_is_told_with_its_cipher)
{
    const char *ca = say("%s", tls_file(TLS_CA));

    struct run socket = run("doctor");
    struct run offered = run_by_tcp("127.0.0.1", "");
    struct run verified = run_by_tcp("127.0.0.1", say("ssl-ca=%s", ca));

    ck_run(socket, EX_OK);
    ck_verdict(&socket, "connection to the database is not encrypted, and stays", "ok");
    ck_run(offered, EX_OK);
    ck_verdict(&offered, "connection to the database is encrypted: TLSv1.", "ok");
    ck_says(line_about(&offered, "is encrypted"), "is not verified");
    ck_run(verified, EX_OK);
    ck_says(line_about(&verified, "is encrypted"), "certificate is verified");
}

TEST(a_certificate_that_is_not_good_is_told)
{
    struct run r = run_by_tcp("127.0.0.1", say("ssl-ca=%s", tls_file(TLS_OTHER_CA)));

    ck_run(r, EX_UNAVAILABLE);
    ck_verdict(&r, "database at 127.0.0.1: 2026", "FAIL");
}

TEST(the_files_of_tls_are_looked_at)
{
    write_file(in_folder("key"), "", 0644);

    struct run r =
        run_by_tcp("127.0.0.1", say("ssl-ca=/nonexistent/ca&ssl-cert=/nonexistent/cert&ssl-key=%s",
                                    in_folder("key")));

    ck_run(r, EX_UNAVAILABLE);
    ck_verdict(&r, "/nonexistent/ca: No such file", "FAIL");
    ck_verdict(&r, "/nonexistent/cert: No such file", "FAIL");
    ck_verdict(&r, say("%s: has a secret that everybody", in_folder("key")), "FAIL");
}

CASE("plain", set_up, tear_down);
CASE_AROUND(begin_plain, tls_server_end);
CASE_LIMIT_S(2 * PROGRAM_LIMIT_S);

TEST(an_unencrypted_way_to_another_host_is_warned_of)
{
    struct run near = run_by_tcp("127.0.0.1", "");
    struct run far = run_by_tcp("0x7f000001", ""); /* this one, by a name that is not known */

    ck_run(near, EX_OK);
    ck_verdict(&near, "connection to the database is not encrypted, and stays", "ok");
    ck_run(far, EX_OK);
    ck_verdict(&far, "connection to the database: is not encrypted, and 0x7f000001:", "warn");
}

/* ---- all of it ---- */

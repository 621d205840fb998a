/* operations.c -- what an operator sees: metrics of all workers together, and a log in a file. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/process/lockdown.h"
#include "tests/e2e/http.h"
#include "tests/e2e/own.h"
#include "tests/support/exposition.h"

#define CLIENTS 8
#define CALLS 25 /* of each client */

/* ---- metrics ---- */

static const char *scrape(void)
{
    struct answer r = fetch(.path = "/api/metrics");
    ck_status(r, 200);
    return ck_exposition(the_arena, r.text);
}

#define ck_value(text, series, value)                                                              \
    do {                                                                                           \
        double got_ = exposition_value(text, series);                                              \
        ck_assert_msg(got_ == (value), "%s is %g", series, got_);                                  \
    } while (0)

/* Is everything that is counted in `before` still there in `after`, and not less? */
static void ck_nothing_goes_back(const char *before, const char *after)
{
    for (const char *line = before; *line; line = strchr(line, '\n') + 1) {
        size_t len = strcspn(line, "\n");
        const char *series = arena_copy(the_arena, line, len), *value = strrchr(series, ' ');
        series = say("%.*s", (int)(value - series), series);
        if (*line == '#' || !memmem(line, len, "_total", 6))
            continue;
        ck_assert_msg(exposition_value(after, series) >= exposition_value(before, series),
                      "%s goes back", series);
    }
}

/* CLIENTS at a time, until each has called CALLS times. */
static void call_much(const struct http_call *call)
{
    struct flight *flights[CLIENTS];
    for (int round = 0; round < CALLS; round++) {
        for (int i = 0; i < CLIENTS; i++)
            flights[i] = http_send(call);
        for (int i = 0; i < CLIENTS; i++)
            ck_status(http_land(flights[i]), 200);
    }
}

NGINX_CASE("operations");

TEST(requests_are_counted_whichever_worker_answers)
{
    static const struct http_call health = {.path = "/api/health"};
    struct flight *flights[3];
    const char *id;
    start_own(LIST("WORKERS=4", "HASH_WORKERS=2"));
    const char *token = new_user(&id);
    const struct http_call patch = {.method = "PATCH",
                                    .token = token,
                                    .path = say("/api/users/%s", id),
                                    .body = "{\"last_name\":\"Changed\"}"};

    call_much(&health);
    struct db *hold = database_hold("users", id); /* so that three workers are busy at once */
    for (int i = 0; i < 3; i++)
        flights[i] = http_send(&patch);
    database_await_waiting(3);
    const char *meanwhile = scrape();
    database_let_go(hold);
    for (int i = 0; i < 3; i++)
        ck_status(http_land(flights[i]), 200);
    const char *text = scrape();

    ck_assert(exposition_requests(text, "/health", "GET", 200) == CLIENTS * CALLS);
    ck_assert(exposition_requests(text, "/users/{id}", "PATCH", 200) == 3);
    ck_assert(exposition_requests(text, "/auth/register", "POST", 201) ==
              1); /* by the other pool */
    ck_assert(exposition_requests(text, "/auth/login", "POST", 200) == 1);
    ck_assert(exposition_requests(text, "/metrics", "GET", 200) == 1);
    ck_assert(exposition_sum(text, "postern_http_requests_total", "") == CLIENTS * CALLS + 6);
    ck_assert(exposition_sum(text, "postern_http_request_duration_seconds_count", "") ==
              CLIENTS * CALLS + 6);
    ck_value(meanwhile, "postern_workers_busy{pool=\"fast\"}", 4);
    ck_value(meanwhile, "postern_workers_busy{pool=\"hash\"}", 0);
    ck_value(meanwhile, "postern_workers{pool=\"fast\"}", 4);
    ck_value(meanwhile, "postern_workers{pool=\"hash\"}", 2);
    stop_own();
}

TEST(a_killed_worker_is_a_restart_and_takes_no_count_along)
{
    static const struct http_call posts = {.path = "/api/posts"};
    pid_t pids[WORKERS_MAX];
    start_own(LIST("WORKERS=3", "HASH_WORKERS=1"));
    call_much(&posts);
    const char *before = scrape();

    ck_assert_uint_eq(backend_workers(&own, pids), 4);
    ck_assert_int_eq(kill(pids[1], SIGKILL), 0);
    backend_await_workers(&own, 4, pids[1]);
    call_much(&posts);
    const char *after = scrape();

    ck_value(before, "postern_worker_restarts_total", 0);
    ck_value(after, "postern_worker_restarts_total", 1);
    ck_assert(exposition_requests(after, "/posts", "GET", 200) == 2 * CLIENTS * CALLS);
    ck_nothing_goes_back(before, after);
    stop_own();
}

static long status_of(pid_t pid, const char *name)
{
    struct buf b;
    buf_init(&b, 65536);
    ck_assert(read_file(say("/proc/%d/status", (int)pid), &b));
    buf_add(&b, "", 1);
    const char *at = strstr(b.data, say("\n%s:", name));
    long number = at ? strtol(at + strlen(name) + 2, NULL, 10) : -1;
    buf_release(&b);
    return number;
}

/* What that refuses is in tests/process/check_lockdown.c. The parent, which starts the program
 * again, is free. */
TEST(workers_lock_themselves_in_and_their_parent_does_not)
{
    pid_t pids[WORKERS_MAX];
    struct lockdown_state can;
    lockdown_probe(&can);
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));
    (void)fetch(.path = "/api/ready");

    ck_assert_uint_eq(backend_workers(&own, pids), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(status_of(pids[i], "Seccomp"), can.calls ? 2 : 0);
        ck_assert_int_eq(status_of(pids[i], "NoNewPrivs"), can.calls || can.landlock);
    }
    ck_assert_int_eq(status_of(own.pid, "Seccomp"), 0);
    ck_assert_int_eq(status_of(own.pid, "NoNewPrivs"), 0);
    ck_assert_int_eq(backend_logged(&own, "not_locked_in"), can.why != NULL);
    stop_own();
}

TEST(counts_go_on_after_a_reload)
{
    static const struct http_call posts = {.path = "/api/posts"};
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));
    call_much(&posts);
    const char *before = scrape();

    backend_reload(&own, 3);
    call_much(&posts);
    const char *after = scrape();

    ck_value(after, "postern_reloads_total", 1);
    ck_value(after, "postern_worker_restarts_total", 0);
    ck_value(after, "postern_start_time_seconds",
             exposition_value(before, "postern_start_time_seconds"));
    ck_assert(exposition_requests(after, "/posts", "GET", 200) == 2 * CLIENTS * CALLS);
    ck_nothing_goes_back(before, after);
    stop_own();
}

/* Wait until so many connections wait for a worker of the hash pool. */
static void await_hash_queue(double length)
{
    double seen = -1;
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(10)) {
        seen = exposition_value(scrape(), "postern_queue_connections{pool=\"hash\"}");
        if (seen == length)
            return;
    }
    ck_abort_msg("%g connections wait, and not %g", seen, length);
}

/* A process that waits in accept(2) may still take a connection before it heeds the signal. */
static void stop_process(pid_t pid)
{
    const char *path = say("/proc/%d/stat", (int)pid);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    for (long end = now_ms() + PATIENCE_MS; !file_has(path, ") T "); pause_ms(5))
        ck_assert_msg(now_ms() < end, "%d does not stop", (int)pid);
}

/* What ps(1) shows of a process. */
static const char *title_of(pid_t pid)
{
    static char title[256];
    FILE *file = fopen(say("/proc/%d/cmdline", (int)pid), "r");
    ck_assert_ptr_nonnull(file);
    title[fread(title, 1, sizeof title - 1, file)] = '\0';
    (void)fclose(file);
    return title;
}

TEST(ps_tells_workers_apart)
{
    pid_t pids[WORKERS_MAX];
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1"));
    size_t count = backend_workers(&own, pids);
    unsigned fast = 0, hash = 0;

    for (size_t i = 0; i < count; i++) {
        fast += strncmp(title_of(pids[i]), "postern: fast", 13) == 0;
        hash += strncmp(title_of(pids[i]), "postern: hash", 13) == 0;
    }

    ck_assert_uint_eq(fast, 2);
    ck_assert_uint_eq(hash, 1);
    ck_assert_int_ne(strncmp(title_of(own.pid), "postern:", 8), 0);
    stop_own();
}

TEST(those_who_wait_for_a_hash_are_counted)
{
    static const struct http_call login = {.path = "/api/auth/login",
                                           .body = "{\"email\":\"" ADMIN_EMAIL
                                                   "\",\"password\":\"wrong\"}"};
    struct flight *flights[3];
    pid_t pids[WORKERS_MAX];
    start_own(LIST("WORKERS=1", "HASH_WORKERS=1"));
    await_hash_queue(0);
    ck_assert_uint_eq(backend_workers(&own, pids), 2);

    stop_process(pids[1]); /* so that it accepts nobody */
    for (int i = 0; i < 3; i++)
        flights[i] = http_send(&login);
    await_hash_queue(3);
    ck_assert_int_eq(kill(pids[1], SIGCONT), 0);

    for (int i = 0; i < 3; i++)
        ck_status(http_land(flights[i]), 401);
    await_hash_queue(0);
    stop_own();
}

/* ---- without a parent of our own ---- */

/* Where a program says what is for the terminal. */
static const char *terminal(void)
{
    return say("%s/stderr.log", own.folder);
}

static void spawn(void)
{
    own.pid = world_start(
        LIST("spawn-fcgi", "-s", own.fast, "-M", "0660", "-n", "--", "../bin/postern", "serve"),
        LIST(say("STATE_FILE=%s/state", own.folder), say("LOG_TO=%s", own.log)), own.folder,
        terminal());
}

TEST(a_state_file_outlives_the_workers_that_count_in_it)
{
    const struct http_call ready = {.path = "/api/ready"};
    backend_make(&own);
    memcpy(own.hash, own.fast, sizeof own.hash);
    spawn();
    start_own_front();
    (void)http_await(&ready, 200, PATIENCE_MS);
    for (int i = 0; i < 20; i++)
        ck_status(fetch(.path = "/api/health"), 200);
    const char *before = scrape();

    backend_stop(&own);
    spawn();
    (void)http_await(&ready, 200, PATIENCE_MS);
    ck_status(fetch(.path = "/api/health"), 200);
    const char *after = scrape();

    ck_assert(exposition_requests(before, "/health", "GET", 200) == 20);
    ck_assert(exposition_requests(after, "/health", "GET", 200) == 21);
    ck_nothing_goes_back(before, after);
    ck_value(after, "postern_queue_connections{pool=\"single\"}", 0);
    ck_value(after, "postern_workers{pool=\"single\"}", -1); /* nobody knows */
    ck_assert(backend_logged(&own, "\"/health\""));
    stop_own();
}

/* ---- a log in a file ---- */

/* Like start_own(), with the log in a file of another folder, which is that of `logs`. */
static void start_with_log_file(struct backend *logs)
{
    backend_make(&own);
    backend_make(logs);
    memcpy(own.log, logs->log, sizeof own.log);
    own.pid = world_start(LIST("../bin/postern", "serve"),
                          LIST(say("LISTEN=%s", own.fast), say("HASH_LISTEN=%s", own.hash),
                               say("LOG_TO=%s", own.log), "WORKERS=2", "HASH_WORKERS=1"),
                          own.folder, terminal());
    file_await(own.log, "\"started\"", 1, PATIENCE_MS);
    start_own_front();
}

static void call_named(const char *id)
{
    ck_status(fetch(.path = "/api/health", .headers = {say("X-Request-Id: %s", id)}), 200);
}

TEST(a_log_is_rotated_by_moving_it_and_a_reload)
{
    struct backend logs;
    start_with_log_file(&logs);
    const char *moved = say("%s.1", own.log);
    call_named("request-before");

    ck_assert_int_eq(rename(own.log, moved), 0);
    call_named("request-meanwhile");
    backend_reload(&own, 3);
    call_named("request-after");

    file_await(moved, "\"request-before\"", 1, PATIENCE_MS);
    file_await(moved, "\"request-meanwhile\"", 1, PATIENCE_MS);
    file_await(own.log, "\"request-after\"", 1, PATIENCE_MS);
    ck_assert(!file_has(moved, "\"request-after\""));
    ck_assert(!file_has(own.log, "\"request-meanwhile\""));
    stop_own();
    file_await(own.log, "\"stopped\"", 1, PATIENCE_MS);
    struct stat s;
    ck_assert_int_eq(stat(terminal(), &s), 0);
    ck_assert_int_eq(s.st_size, 0);
}

/* It says why, in `log`, and all workers stay. */
static void reload_in_vain(const char *log, const char *why)
{
    pid_t before[WORKERS_MAX], after[WORKERS_MAX];
    ck_assert_uint_eq(backend_workers(&own, before), 3);

    ck_assert_int_eq(kill(own.pid, SIGHUP), 0);
    file_await(log, "\"reload_refused\"", 1, PATIENCE_MS);

    ck_assert_msg(file_has(log, why) > 0, "no %s in %s", why, log);
    ck_assert_uint_eq(backend_workers(&own, after), 3);
    ck_assert_mem_eq(before, after, 3 * sizeof *before);
}

TEST(a_reload_whose_log_cannot_be_opened_is_refused)
{
    struct backend logs;
    start_with_log_file(&logs);
    const char *away = say("%s.away", logs.folder), *log = say("%s/pool.log", away);
    ck_assert_int_eq(rename(logs.folder, away), 0);

    reload_in_vain(log, say("LOG_TO: %s: No such file or directory", own.log));

    ck_value(scrape(), "postern_refused_reloads_total", 1);
    stop_own();
}

TEST(a_reload_whose_state_file_is_no_good_is_refused)
{
    struct backend other;
    backend_make(&other);
    const char *state = say("%s/state", other.folder);
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1", say("STATE_FILE=%s", state)));
    ck_assert_int_eq(chmod(state, 0644), 0);

    reload_in_vain(own.log, say("%s is not a file that only this user can", state));

    stop_own();
}

static void write_conf(const char *conf, const char *lines)
{
    FILE *out = fopen(conf, "we");
    ck_assert_ptr_nonnull(out);
    fputs(lines, out);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(conf, 0644), 0);
}

/* Like start_own(), with its sockets and more from a file. */
static void start_with_conf(const char *conf)
{
    own.pid = world_start(LIST("../bin/postern", "--config", conf, "serve"),
                          LIST(say("LOG_TO=%s", own.log), "WORKERS=2", "HASH_WORKERS=1"),
                          own.folder, terminal());
    file_await(own.log, "\"started\"", 1, PATIENCE_MS);
    start_own_front();
}

static void write_listen(const char *conf, const char *where)
{
    write_conf(conf, say("LISTEN = %s\nHASH_LISTEN = %s\n", where, own.hash));
}

TEST(a_reload_that_cannot_have_its_socket_is_refused)
{
    backend_make(&own);
    const char *conf = say("%s/conf", own.folder);
    write_listen(conf, own.fast);
    start_with_conf(conf);
    write_listen(conf, "/nonexistent/socket");

    reload_in_vain(own.log, "cannot bind /nonexistent/socket: No such file or directory");

    ck_status(fetch(.path = "/api/ready"), 200);
    stop_own();
}

/* What a reload finds in the place of the database's address, and what is then in the log. */
static const struct {
    const char *login, *hosts, *name; /* NULL: as it is */
    const char *refused;              /* NULL: it is taken */
} addresses[] = {
    {"postern:wrong", NULL, NULL, "DATABASE_URL: database at localhost: 1045: "},
    {"nobody:wrong", NULL, NULL, "DATABASE_URL: database at localhost: 1045: "},
    {NULL, NULL, "elsewhere", "DATABASE_URL: database at localhost: 1044: "},
    {"postern:wrong", "localhost,127.0.0.1:1", NULL, "1045: "},
    {"postern:wrong", "127.0.0.1:1,localhost", NULL, "1045: "},
    {"postern:wrong", "127.0.0.1:1", NULL, NULL}, /* nobody is there to say so */
};

/* The database's address as it is, but for what is given. */
static const char *address(const char *url, const char *login, const char *hosts, const char *name)
{
    const char *at = strchr(url, '@') + 1, *end = strchr(url, '?');
    const char *own_login =
        say("%.*s", (int)(at - 1 - strlen("mysql://") - url), url + strlen("mysql://"));
    return say("mysql://%s@%s/%s%s", login ? login : own_login, hosts ? hosts : "localhost",
               name ? name : "postern", end);
}

static void write_address(const char *conf, const char *url)
{
    write_conf(conf,
               say("LISTEN = %s\nHASH_LISTEN = %s\nDATABASE_URL = %s\n", own.fast, own.hash, url));
}

TEST_EACH(a_reload_with_an_account_that_is_refused_is_refused, addresses)
{
    backend_make(&own);
    const char *conf = say("%s/conf", own.folder), *url = say("%s", getenv("DATABASE_URL"));
    ck_assert_int_eq(unsetenv("DATABASE_URL"), 0);
    write_address(conf, url);
    start_with_conf(conf);
    ck_status(fetch(.path = "/api/ready"), 200);

    write_address(conf, address(url, addresses[_i].login, addresses[_i].hosts, addresses[_i].name));
    if (addresses[_i].refused) {
        reload_in_vain(own.log, addresses[_i].refused);
        ck_status(fetch(.path = "/api/ready"), 200);
    } else {
        backend_reload(&own, 3);
        ck_status(fetch(.path = "/api/ready"), 503);
    }
    stop_own();
}

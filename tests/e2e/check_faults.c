/* needs: mariadb */
/* Writes under an Idempotency-Key, while something around the program fails and comes back.
 *
 * Each is sent again until it is served. Then none is missing and none is there twice; what was
 * refused was refused in the form of all errors; nobody got in who must not; no worker ended; and
 * soon after the fault was gone all is served again. How soon is printed for each row; `make
 * torture` holds it to two seconds, with 200 requests a second.
 */
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/e2e/outlive.h"
#include "tests/e2e/own.h"
#include "tests/e2e/proxy.h"
#include "tests/support/refusals.h"

#define POOL_SETTINGS "WORKERS=4", "HASH_WORKERS=1", "LOGIN_LIMIT=off"
#define POOL LIST(POOL_SETTINGS)
#define WORKERS 5

/* ---- what fails ---- */

static const char *author; /* of what is written, an id */
static const char *author_token;

static void sql(const char *text)
{
    ck_assert_msg(world_run(LIST(getenv("DATABASE_CONTROL"), "sql"), NULL, text, NULL) == 0,
                  "%s fails", text);
}

static void kill_connections(void)
{
    sql("KILL USER postern;");
}

static void freeze(void)
{
    database("freeze");
}

static void thaw(void)
{
    database("thaw");
}

static void stop_database(void)
{
    database("stop");
}

static void start_database(void)
{
    database("start");
}

static void kill_database(void)
{
    database("kill");
}

/* Ten is the least that it can be set to. Those who have them stay. */
#define PLACES 10
static struct db *places[PLACES], *root;

/* The server's root is whoever runs the tests. */
static const char *root_name(void)
{
    struct passwd *user = getpwuid(getuid());
    ck_assert_ptr_nonnull(user);
    return say("%s", user->pw_name);
}

static void fill_places(void)
{
    const char *socket = strstr(getenv("DATABASE_URL"), "?socket=");
    ck_assert(socket != NULL);
    sql("CREATE OR REPLACE USER holder@localhost IDENTIFIED BY 'holder';");
    must(db_open(the_arena, say("mysql://%s@localhost/mysql%s", root_name(), socket), &root));
    must(db_ping(root, the_arena)); /* while it is let in */
    for (int i = 0; i < PLACES; i++) {
        must(db_open(the_arena, say("mysql://holder:holder@localhost/information_schema%s", socket),
                     &places[i]));
        must(db_ping(places[i], the_arena));
    }
    sql("SET GLOBAL max_connections = 10; KILL USER postern;");
}

static void free_places(void)
{
    must(db_run(root, the_arena, "SET GLOBAL max_connections = 151"));
    db_close(root);
    for (int i = 0; i < PLACES; i++)
        db_close(places[i]);
}

static void forbid_statements(void)
{
    sql("SET GLOBAL max_prepared_stmt_count = 0; KILL USER postern;");
}

static void allow_statements(void)
{
    sql("SET GLOBAL max_prepared_stmt_count = 16382;");
}

static void forbid_writes(void)
{
    sql("SET GLOBAL read_only = 1;");
}

static void allow_writes(void)
{
    sql("SET GLOBAL read_only = 0;");
}

static struct db *hold;

static void lock_author(void)
{
    hold = database_hold("users", author);
}

static void unlock_author(void)
{
    database_let_go(hold);
}

/* The server itself says so, for each post or some of them. */
static void fail_posts(const char *condition, const char *act)
{
    sql(say(
        "DELIMITER //\nCREATE TRIGGER postern.fault BEFORE INSERT ON postern.posts FOR EACH ROW "
        "BEGIN IF %s THEN %s; END IF; END//\n",
        condition, act));
}

static void mend_posts(void)
{
    sql("DROP TRIGGER postern.fault;");
}

static void fail_by_deadlocks(void)
{
    fail_posts("RAND() < 0.3", "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213");
}

static void fail_by_full_tables(void)
{
    fail_posts("RAND() < 0.5", "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114");
}

static void fail_by_time(void)
{
    fail_posts("RAND() < 0.5", "SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1969");
}

static void change_password(void)
{
    sql("ALTER USER postern@localhost IDENTIFIED BY 'another'; KILL USER postern;");
}

static void change_password_back(void)
{
    const char *url = getenv("DATABASE_URL"), *from = strstr(url, "//postern:") + 10;
    sql(say("ALTER USER postern@localhost IDENTIFIED BY '%.*s';", (int)strcspn(from, "@"), from));
}

static void take_schema_back(void)
{
    sql("RENAME TABLE postern.posts TO postern.posts_of_later;");
}

static void bring_schema_forth(void)
{
    sql("RENAME TABLE postern.posts_of_later TO postern.posts;");
}

static void kill_worker(void)
{
    pid_t pids[WORKERS_MAX];
    ck_assert_uint_ge(backend_workers(&own, pids), 1);
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
    backend_await_workers(&own, WORKERS, pids[0]);
}

static void kill_parent(void)
{
    int status;
    ck_assert_int_eq(kill(own.pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(own.pid, &status, 0), own.pid);
}

static void start_pool_again(void)
{
    backend_again(&own, POOL);
}

static void stop_nginx(void)
{
    front_stop(&own_front);
}

static void start_nginx_again(void)
{
    front_again(&own_front);
}

static void reload_nginx(void)
{
    front_reload(&own_front);
}

/* As the user of the processes, who may do that for them. */
static void set_limit(pid_t pid, const char *option)
{
    ck_assert_int_eq(
        world_run_as_worker(LIST("prlimit", say("--pid=%d", (int)pid), option), NULL, NULL, NULL),
        0);
}

/* No worker gets another descriptor; those that it has are good. Three are enough for poll(2),
 * which counts them too. */
static void limit_descriptors(unsigned soft)
{
    pid_t pids[WORKERS_MAX];
    size_t count = backend_workers(&own, pids);
    for (size_t i = 0; i < count; i++)
        set_limit(pids[i], say("--nofile=%u:", soft));
}

static void take_descriptors(void)
{
    limit_descriptors(3);
}

static void give_descriptors(void)
{
    limit_descriptors(1024);
}

static void cut_commits(void)
{
    proxy_cut(3);
}

static void pass_commits(void)
{
    proxy_cut(0);
    ck_assert_uint_gt(proxy_cuts(), 0);
}

/* The pool's clock, of which this many seconds are not true. */
#define JUMP_S 3600
static long *ahead_s;

static void set_clock_on(void)
{
    *ahead_s = JUMP_S;
}

static void set_clock_back(void)
{
    ck_assert_int_gt(database_number("SELECT COUNT(*) FROM posts WHERE created_at > "
                                     "UTC_TIMESTAMP(6) + INTERVAL 30 MINUTE"),
                     0);
    *ahead_s = 0;
}

/* What a test that has failed has left behind. */
static void mend_all(void)
{
    database("start");
    sql("SET GLOBAL read_only = 0; SET GLOBAL max_prepared_stmt_count = 16382;"
        "SET GLOBAL max_connections = 151; DROP TRIGGER IF EXISTS postern.fault;"
        "ALTER TABLE IF EXISTS postern.posts_of_later RENAME TO postern.posts;");
    change_password_back();
}

static void set_up(void)
{
    (void)unsetenv("SERVE_DATABASE_URL"); /* faults are those of the user postern */
    http_set_up();
    mend_all();
}

/* ---- the rows ---- */

enum meanwhile {
    SOME_ARE_SERVED,
    ALL_ARE_REFUSED,
    ALL_WAIT_FOR_LOCKS,
    ALL_WAIT,
};

static void start_by_proxy(void);
static void start_by_clock(void);

static const struct mishap {
    const char *name;
    void (*begin)(void), (*end)(void);
    enum meanwhile meanwhile;
    bool silent;         /* nginx itself is not there */
    bool dies;           /* a worker, and is replaced */
    bool long_only;      /* in `make torture` */
    void (*start)(void); /* a pool in a world that can fail so; NULL: in any */
} faults[] = {
    {"connections killed", kill_connections, kill_connections},
    {"database frozen", freeze, thaw, ALL_ARE_REFUSED},
    {"database stopped", stop_database, start_database, ALL_ARE_REFUSED},
    {"database killed", kill_database, start_database, ALL_ARE_REFUSED},
    {"too many connections", fill_places, free_places, ALL_ARE_REFUSED},
    {"too many prepared statements", forbid_statements, allow_statements, ALL_ARE_REFUSED},
    {"read-only", forbid_writes, allow_writes, ALL_ARE_REFUSED},
    {"lock wait", lock_author, unlock_author, ALL_WAIT_FOR_LOCKS},
    {"lock wait to the end", lock_author, unlock_author, ALL_ARE_REFUSED, .long_only = true},
    {"deadlocks", fail_by_deadlocks, mend_posts},
    {"table full", fail_by_full_tables, mend_posts, ALL_ARE_REFUSED},
    {"statement time-out", fail_by_time, mend_posts, ALL_ARE_REFUSED},
    {"password changed", change_password, change_password_back, ALL_ARE_REFUSED},
    {"schema behind", take_schema_back, bring_schema_forth, ALL_ARE_REFUSED},
    {"cut between COMMIT and its answer", cut_commits, pass_commits, .start = start_by_proxy},
    {"clock set on and back", set_clock_on, set_clock_back, .start = start_by_clock},
    {"no file descriptors", take_descriptors, give_descriptors, ALL_WAIT},
    {"worker killed", kill_worker, kill_worker, .dies = true},
    {"parent killed", kill_parent, start_pool_again, ALL_ARE_REFUSED},
    {"nginx reloaded", reload_nginx, reload_nginx},
    {"nginx restarted", stop_nginx, start_nginx_again, ALL_ARE_REFUSED, .silent = true},
};

static void start_by_proxy(void)
{
    const char *url = getenv("DATABASE_URL"), *server = strstr(url, "?socket=") + 8;
    const char *path = say("%s/proxy", world_folder());
    const char *kept = say("%s", url);
    proxy_start(path, say("%s", server));
    ck_assert_int_eq(setenv("DATABASE_URL",
                            say("%.*s?socket=%s", (int)(strstr(kept, "?") - kept), kept, path), 1),
                     0);
    start_own(POOL);
    ck_assert_int_eq(setenv("DATABASE_URL", kept, 1), 0);
}

/* A library that is loaded before the C library, and tells the time as the file says. A sanitizer
 * asks for it before anything else has begun. */
static const char clock_source[] =
    "#define _GNU_SOURCE\n"
    "#include <fcntl.h>\n"
    "#include <stdlib.h>\n"
    "#include <sys/mman.h>\n"
    "#include <sys/syscall.h>\n"
    "#include <time.h>\n"
    "#include <unistd.h>\n"
    "static const volatile long *ahead_s;\n"
    "__attribute__((constructor)) static void begin(void)\n"
    "{\n"
    "    int fd = open(getenv(\"CLOCK_AHEAD\"), O_RDONLY | O_CLOEXEC);\n"
    "    void *at = mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, fd, 0);\n"
    "    if (at == MAP_FAILED)\n"
    "        abort();\n"
    "    ahead_s = at;\n"
    "}\n"
    "int clock_gettime(clockid_t clock, struct timespec *ret)\n"
    "{\n"
    "    int rc = (int)syscall(SYS_clock_gettime, clock, ret);\n"
    "    if (rc == 0 && clock == CLOCK_REALTIME && ahead_s)\n"
    "        ret->tv_sec += *ahead_s;\n"
    "    return rc;\n"
    "}\n";

static long *share_clock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(long)), 0);
    void *at = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    (void)close(fd);
    return at;
}

/* Tokens are good for longer than the jump; those of the time that was taken back are not. */
static void start_by_clock(void)
{
    const char *library = say("%s/clock.so", world_folder()), *cc = getenv("CC"),
               *path = say("%s/ahead", world_folder());
    const char *line = say("%s -x c -shared -fPIC -o '%s' -", cc && *cc ? cc : "cc", library);
    ck_assert_int_eq(world_run(LIST("sh", "-c", line), NULL, clock_source, NULL), 0);
    ahead_s = share_clock(path);
    start_own(LIST(POOL_SETTINGS, "ACCESS_TTL_S=86400", say("CLOCK_AHEAD=%s", path),
                   say("LD_PRELOAD=%s", library)));
}

/* The token of a session that was ended. */
static const char *ended_token(void)
{
    const char *token = new_user(NULL);
    ck_status(fetch(.path = "/api/auth/logout", .method = "POST", .token = token), 204);
    return token;
}

static void ck_closed(const char *token)
{
    int status = fetch(.path = "/api/auth/profile", .token = token).status;
    ck_assert_msg(status == 401 || (status >= 502 && status <= 504), "let in with %d", status);
}

/* Until nothing came for a while. */
static void await_silence(struct load *load)
{
    unsigned before;
    do {
        before = load_tally(load).served;
        pause_ms(300);
    } while (load_tally(load).served != before);
}

static void await_effect(const struct mishap *f, struct load *load)
{
    switch (f->meanwhile) {
    case SOME_ARE_SERVED:
        load_await_served(load, 30);
        break;
    case ALL_ARE_REFUSED: /* who waits for a lock to the end is a worker each, and no more */
        load_await_refused(load, f->long_only ? 2 : 5);
        break;
    case ALL_WAIT_FOR_LOCKS:
        database_await_waiting(1);
        break;
    case ALL_WAIT:
        await_silence(load);
        break;
    }
}

CASE("faults", set_up, http_tear_down);
CASE_IF(!world_at("apache"));
CASE_LIMIT_S(180);

TEST_EACH(what_fails_around_the_program_loses_and_doubles_nothing, faults)
{
    const struct mishap *f = &faults[_i];
    if (f->long_only && !writes_are_many())
        return;
    if (f->start)
        f->start();
    else
        start_own(POOL);
    author_token = new_user(&author);
    const char *ended = ended_token();
    struct load *load = begin_writes(author_token, 1);
    if (f->silent)
        load_bear_silence(load);
    load_await_served(load, 30);

    f->begin();
    await_effect(f, load);
    if (!f->silent && f->meanwhile != ALL_WAIT)
        ck_closed(ended);
    f->end();

    outlived(f->name, now_ms(), load, f->dies);
    ck_closed(ended);
    stop_own();
}

TEST(a_pool_that_starts_before_its_database_loses_nothing)
{
    start_own(POOL);
    author_token = new_user(&author);
    stop_own();
    database("stop");
    start_own(POOL);
    struct load *load = begin_writes(author_token, 1);
    load_await_refused(load, 5);
    ck_status(fetch(.path = "/api/health"), 200);
    ck_problem(fetch(.path = "/api/ready"), UNAVAILABLE);

    database("start");

    outlived("database down at start", now_ms(), load, false);
    stop_own();
}

/* ---- memory ---- */

/* No process gets more than it has. */
static void take_memory(void)
{
    pid_t pids[WORKERS_MAX];
    size_t count = backend_workers(&own, pids);
    for (size_t i = 0; i < count; i++) {
        unsigned long pages = strtoul(file_text(say("/proc/%d/statm", (int)pids[i])), NULL, 10);
        set_limit(pids[i], say("--as=%lu:", pages * 4096));
    }
}

static bool has_sanitizers(void)
{
    return getenv("SANITIZERS") && strcmp(getenv("SANITIZERS"), "yes") == 0;
}

HTTP_CASE("memory");
CASE_IF(!world_at("apache") && !has_sanitizers()); /* they map terabytes */
CASE_LIMIT_S(180);

#define LARGE (400 * 1024)

/* A worker that lacks memory says so before it ends; one that lacks it for a password only goes on.
 */
TEST(without_memory_the_answer_is_ours_and_the_worker_is_replaced)
{
    start_own(POOL);
    author_token = new_user(&author);
    struct load *load = begin_writes(author_token, 1);
    load_await_served(load, 30);
    const char *large = say("{\"title\":\"x\",\"nothing\":\"%s\"}", repeat("x", LARGE));

    take_memory();
    struct answer login =
        fetch(.path = "/api/auth/login",
              .body = "{\"email\":\"" ADMIN_EMAIL "\",\"password\":\"" PASSWORD "\"}");
    unsigned refused = 0;
    for (int i = 0; i < 12; i++) {
        int status = fetch(.path = "/api/posts", .token = author_token, .body = large).status;
        ck_assert_msg(status == 400 || status == 503, "status %d", status);
        refused += status == 503;
    }

    ck_problem(login, UNAVAILABLE);
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_eq(load_tally(load).refused_502, 0);
    outlived("no memory", now_ms(), load, true);
    stop_own();
}

int main(void)
{
    return http_main();
}

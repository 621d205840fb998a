/* starters.c -- the program under those that bring the socket: spawn-fcgi, multiwatch, systemd.
 * Each starts, answers through nginx, replaces what dies or is reloaded, and ends clean. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/e2e/own.h"
#include "tests/support/refusals.h"

/* The starters have words of their own to say: not so to the pool's log. */
#define SERVE "/bin/sh", "-c", "exec ../bin/postern serve 2>>pool.log"

static void make_own(void)
{
    backend_make(&own);
    snprintf(own.hash, sizeof own.hash, "%s", own.fast); /* one socket alone must work too */
}

static pid_t start(const char *const *words)
{
    return world_start(words, LIST(world_limits(NULL)), own.folder,
                       say("%s/starter.log", own.folder));
}

static void await_start(void)
{
    start_own_front();
    (void)http_await(&(const struct http_call){.path = "/api/health"}, 200, PATIENCE_MS);
}

/* ---- spawn-fcgi ---- */

NGINX_CASE("starters");

TEST(spawn_fcgi_can_start_one_worker)
{
    make_own();
    own.pid = start(LIST("spawn-fcgi", "-s", own.fast, "-M", "0660", "-n", "--", SERVE));
    await_start();

    const char *token = new_user(NULL);
    const char *post = new_post(token, "Spawned", true);

    ck_status(fetch(.path = say("/api/posts/%s", post)), 200);
    ck_assert(backend_logged(&own, "/auth/register"));
    stop_own();
}

static size_t read_pids(const char *path, pid_t *ret_pids)
{
    size_t count = 0;
    int pid;
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    while (count < WORKERS_MAX && fscanf(file, "%d", &pid) == 1)
        ret_pids[count++] = pid;
    (void)fclose(file);
    return count;
}

TEST(spawn_fcgi_can_start_several)
{
    pid_t pids[WORKERS_MAX];
    int status;
    /* Its children are left to whoever adopts them: here, us. */
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    make_own();
    const char *pid_file = say("%s/pids", own.folder);
    pid_t starter = start(
        LIST("spawn-fcgi", "-s", own.fast, "-M", "0660", "-F", "2", "-P", pid_file, "--", SERVE));
    ck_assert_int_eq(waitpid(starter, &status, 0), starter);
    ck_assert_int_eq(status, 0);
    await_start();
    const char *token = new_user(NULL);

    ck_assert_uint_eq(read_pids(pid_file, pids), 2);
    int first = world_end(pids[0], SIGTERM);
    for (int i = 0; i < 10; i++)
        ck_status(fetch(.path = "/api/auth/profile", .token = token), 200);
    int second = world_end(pids[1], SIGTERM);

    ck_assert(WIFEXITED(first) && WEXITSTATUS(first) == 0);
    ck_assert(WIFEXITED(second) && WEXITSTATUS(second) == 0);
    ck_problem(fetch(.path = "/api/health"), BAD_GATEWAY);
    front_stop(&own_front);
}

/* ---- multiwatch ---- */

TEST(multiwatch_replaces_a_worker_that_died)
{
    pid_t before[WORKERS_MAX], after[WORKERS_MAX];
    struct stat state;
    make_own();
    const char *state_file = say("%s/state", own.folder);
    own.pid =
        start(LIST("spawn-fcgi", "-s", own.fast, "-M", "0660", "-n", "--", "/usr/bin/multiwatch",
                   "-f", "3", "--", "/usr/bin/env", say("STATE_FILE=%s", state_file), SERVE));
    await_start();
    const char *token = new_user(NULL);
    backend_await_workers(&own, 3, 0);
    ck_assert_uint_eq(backend_workers(&own, before), 3);

    ck_assert_int_eq(kill(before[0], SIGKILL), 0);
    backend_await_workers(&own, 3, before[0]);
    ck_assert_uint_eq(backend_workers(&own, after), 3);
    for (int i = 0; i < 10; i++)
        ck_status(fetch(.path = "/api/auth/profile", .token = token), 200);

    ck_assert_int_eq(stat(state_file, &state), 0);
    ck_assert_uint_eq(state.st_mode & 0777, 0600);
    stop_own();
    for (int i = 0; i < 3; i++)
        ck_assert_int_ne(kill(after[i], 0), 0); /* none outlives it */
}

/* ---- systemd ---- */

/* It listens, and at the first connection becomes the program. These options are for a shell. */
static pid_t activate(const char *options, const char *program)
{
    return start(LIST("/bin/sh", "-c",
                      say("exec systemd-socket-activate -E DATABASE_URL -E JWT_SECRET_KEY -E LIMITS"
                          " -E WORKERS=2 -E HASH_WORKERS=1 %s %s",
                          options, program)));
}

#define SERVE_LOGGED "/bin/sh -c 'exec ../bin/postern serve 2>>pool.log'"

TEST(systemd_can_pass_one_socket)
{
    make_own();
    own.pid =
        activate("-E LISTEN=$PWD/unused -E HASH_LISTEN=$PWD/unused -l $PWD/fast", SERVE_LOGGED);
    await_start();

    (void)new_user(NULL);

    backend_await_workers(&own, 2, 0); /* and none for hashes, which have no socket */
    ck_assert_int_ne(access(say("%s/unused", own.folder), F_OK), 0);
    stop_own();
    ck_assert_int_eq(access(own.fast, F_OK), 0); /* it is not the program's to remove */
}

/* How many workers wait in a system call whose first argument is `fd`? */
static size_t waiting_on(int fd)
{
    pid_t pids[WORKERS_MAX];
    size_t count = backend_workers(&own, pids), found = 0;
    for (size_t i = 0; i < count; i++) {
        int number, first = -1;
        FILE *call = fopen(say("/proc/%d/syscall", (int)pids[i]), "re");
        ck_assert_ptr_nonnull(call);
        found += fscanf(call, "%d %x", &number, (unsigned *)&first) == 2 && first == fd;
        (void)fclose(call);
    }
    return found;
}

static void await_waiting(int fd, size_t count)
{
    for (long end = now_ms() + PATIENCE_MS; waiting_on(fd) != count; pause_ms(10))
        ck_assert_msg(now_ms() < end, "%zu workers on descriptor %d", waiting_on(fd), fd);
}

TEST(sockets_of_systemd_stay_over_reloads)
{
    backend_make(&own);
    own.pid = activate("--fdname=hash:fast -l $PWD/hash -l $PWD/fast", SERVE_LOGGED);
    await_start();
    backend_await_workers(&own, 3, 0);
    await_waiting(3, 1);
    await_waiting(4, 2);
    struct load *load = load_start(&own_front, new_user(NULL));
    load_be_strict(load);

    for (int i = 0; i < 3; i++) {
        load_await_served(load, 20);
        backend_reload(&own, 3);
    }
    load_finish(load);

    ck_assert_uint_eq(load_tally(load).refused, 0);
    ck_assert_uint_gt(load_tally(load).served, 50);
    await_waiting(3, 1);
    await_waiting(4, 2);
    ck_assert_ptr_null(strstr(file_text(say("/proc/%d/environ", (int)own.pid)), "LISTEN_"));
    load_free(load);
    stop_own();
}

static const struct {
    const char *options, *says;
    int type;
} misuses[] = {
    {"--fdname=fast:other -l $PWD/fast -l $PWD/x", "LISTEN_FDNAMES is fast:other", SOCK_STREAM},
    {"--fdname=hash -l $PWD/fast", "only hash was passed", SOCK_STREAM},
    {"-l $PWD/fast -l $PWD/y -l $PWD/z", "LISTEN_FDS is 3", SOCK_STREAM},
    {"-d -l $PWD/fast", "descriptor 3 was passed as the socket fast", SOCK_DGRAM},
};

static bool knock(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", own.fast);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    bool heard = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                 send(fd, "x", 1, MSG_NOSIGNAL) == 1;
    (void)close(fd);
    return heard;
}

TEST_EACH(sockets_that_cannot_be_meant_are_refused, misuses)
{
    int status;
    make_own();
    own.pid = activate(misuses[_i].options, "../bin/postern serve");
    for (long end = now_ms() + PATIENCE_MS; !knock(misuses[_i].type); pause_ms(5))
        ck_assert_msg(now_ms() < end, "nobody listens on %s", own.fast);

    ck_assert_int_eq(waitpid(own.pid, &status, 0), own.pid);

    own.pid = 0;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG, "%#x", (unsigned)status);
    const char *log = file_text(say("%s/starter.log", own.folder));
    ck_assert_msg(strstr(log, misuses[_i].says) != NULL, "%s", log);
}

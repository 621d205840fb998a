/* Disks that are full: the database's, the log's, and that of what workers count together.
 *
 * Each is a small file system in memory. It takes root to mount one, in a name space of our own
 * that ends with us: else all of this is skipped.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process/shm.h"
#include "tests/e2e/http.h"
#include "tests/e2e/outlive.h"
#include "tests/e2e/own.h"
#include "tests/support/torture.h"

#define SKIPPED 77
#define DATABASE_SIZE "size=300m"
#define SMALL_SIZE "size=96k"
#define STATE_SIZE "size=8m" /* what all workers share fits in */
#define CONTENT 60000        /* of a post; few of them fit into what a table has in advance */

/* ---- disks ---- */

static bool mount_at(const char *path, const char *size)
{
    return mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, size) == 0 && chmod(path, 0777) == 0;
}

static const char *disk_of(const char *size)
{
    static char path[WORLD_PATH];
    world_make_folder("disk", path);
    ck_assert(mount_at(path, size));
    return path;
}

static const char *small_disk(void)
{
    return disk_of(SMALL_SIZE);
}

/* To the last byte. */
static void fill(const char *disk)
{
    static const char block[4096];
    int fd = open(say("%s/filler", disk), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    for (size_t len = sizeof block; len > 0;)
        if (write(fd, block, len) <= 0)
            len /= 2;
    (void)close(fd);
}

static void make_room(const char *disk)
{
    ck_assert_int_eq(unlink(say("%s/filler", disk)), 0);
}

/* ---- tests ---- */

NGINX_CASE("full disks");
CASE_LIMIT_S(180);

TEST(a_database_whose_disk_is_full_loses_nothing)
{
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1", "LOGIN_LIMIT=off"));
    struct load *load = begin_writes(new_user(NULL), CONTENT);
    load_await_served(load, 30);

    fill(getenv("DATABASE_DISK"));
    load_await_refused(load, 5);
    make_room(getenv("DATABASE_DISK"));

    outlived("the database's disk full", now_ms(), load, false);
    stop_own();
}

/* Where it is looked for as well. */
static void start_with_log(const char *log)
{
    backend_make(&own);
    ck_assert_uint_lt(strlen(log), sizeof own.log);
    strcpy(own.log, log);
    int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    world_give_to_worker(log);
    backend_again(&own,
                  LIST("WORKERS=4", "HASH_WORKERS=1", "LOGIN_LIMIT=off", say("LOG_TO=%s", log)));
    start_own_front();
}

TEST(a_log_whose_disk_is_full_stops_no_request)
{
    const char *disk = small_disk(), *log = say("%s/log", disk);
    start_with_log(log);
    struct load *load = begin_writes(new_user(NULL), 1);
    load_be_strict(load);
    load_await_served(load, 30);

    fill(disk);
    load_await_served(load, 60);
    make_room(disk);
    int before = file_has(log, "\"request\"");
    load_await_served(load, 30);
    file_await(log, "\"request\"", before + 1, PATIENCE_MS);

    outlived("the log's disk full", now_ms(), load, false);
    stop_own();
    ck_assert_int_eq(umount2(disk, MNT_DETACH), 0);
}

/* Of a worker that dies meanwhile the next one counts on in the same file; so does a whole new
 * program. One that has no file yet says why it does not start. */
TEST(a_state_file_on_a_full_disk_stops_no_request)
{
    pid_t pids[WORKERS_MAX];
    const char *disk = disk_of(STATE_SIZE), *state = say("STATE_FILE=%s/state", disk);
    start_own(LIST("WORKERS=4", "HASH_WORKERS=1", "LOGIN_LIMIT=off", state));
    struct load *load = begin_writes(new_user(NULL), 1);
    load_await_served(load, 30);

    fill(disk);
    backend_reload(&own, 5);
    ck_assert_uint_eq(backend_workers(&own, pids), 5);
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
    backend_await_workers(&own, 5, pids[0]);
    load_await_served(load, 60);
    int status;
    const char *line = say("STATE_FILE='%s/other' LISTEN='%s/other' '%s/bin/postern' serve 2>&1",
                           disk, own.folder, world_folder());
    const char *told = output_as_worker(LIST("sh", "-c", line), &status);

    ck_assert_int_ne(status, 0);
    ck_assert_msg(strstr(told, "No space left") != NULL, "%s", told);
    make_room(disk);
    outlived("STATE_FILE on a full disk", now_ms(), load, true);
    stop_own();
    ck_assert_int_eq(umount2(disk, MNT_DETACH), 0);
}

#define COUNTED ((size_t)48 * 1024)

TEST(what_workers_count_together_has_its_room_from_the_start)
{
    const char *disk = small_disk();
    int none = -1;
    void *at;
    must(shm_map(the_arena, say("%s/state", disk), 1, COUNTED, &none, &at));

    fill(disk);
    memset(at, 1, COUNTED); /* where a block is missing, this ends us */
    struct problem *p = shm_map(the_arena, say("%s/other", disk), 1, COUNTED, &none, &at);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(strstr(p->cause, "No space left"));
    ck_assert_ptr_nonnull(strstr(p->cause, "/other"));
    must(shm_map(the_arena, say("%s/state", disk), 1, COUNTED, &none, &at));
    ck_assert_int_eq(umount2(disk, MNT_DETACH), 0);
}

/* ---- a database on a disk of its own ---- */

_Noreturn static void become(const char *self, const char *disk)
{
    const char *top = getenv("srcdir") ? getenv("srcdir") : ".";
    char server[512];
    snprintf(server, sizeof server, "%s/tests/support/with-mariadb", top);
    bool ready = unshare(CLONE_NEWNS) == 0 &&
                 mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                 mount_at(disk, DATABASE_SIZE);
    if (!ready) {
        perror("no disk can be mounted");
        _exit(SKIPPED);
    }
    (void)setenv("DATABASE_DISK", disk, 1);
    (void)setenv("OUR_TMPDIR", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", 1);
    (void)setenv("TMPDIR", disk, 1);
    (void)execl(server, server, self, (char *)NULL);
    _exit(127);
}

static int run_with_database(const char *self)
{
    char disk[] = "/tmp/postern-disk.XXXXXX";
    int status = -1;
    if (!mkdtemp(disk))
        return EXIT_FAILURE;
    pid_t pid = fork();
    if (pid == 0)
        become(self, disk);
    (void)waitpid(pid, &status, 0);
    (void)rmdir(disk);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!getenv("DATABASE_DISK"))
        return run_with_database(argv[0]);
    (void)setenv("TMPDIR", getenv("OUR_TMPDIR"), 1);
    return http_main();
}

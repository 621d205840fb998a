#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/process/shm.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define LAYOUT 7
#define SIZE 4096

static char folder[64];
static const char *path;

static void open_all(void)
{
    scratch_open();
    strcpy(folder, "/tmp/mapping.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = arena_printf(a, "%s/state", folder);
}

static void close_all(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* so nothing half-made is left in it either */
    scratch_close();
}

static _Atomic uint64_t *map(const char *at, uint32_t layout, size_t size, int *fd)
{
    void *got = NULL;
    must(shm_map(a, at, layout, size, fd, &got));
    return got;
}

CASE("memory", open_all, close_all);

TEST(new_memory_is_zero_and_a_child_shares_it)
{
    int fd = -1, status;
    _Atomic uint64_t *at = map(NULL, LAYOUT, SIZE, &fd);
    for (size_t i = 0; i < SIZE / sizeof *at; i++)
        ck_assert_uint_eq(at[i], 0);

    pid_t pid = fork();
    if (pid == 0) {
        at[3] = 42;
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    ck_assert_uint_eq(at[3], 42);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST(a_descriptor_brings_its_memory_back)
{
    int fd = -1;
    map(NULL, LAYOUT, SIZE, &fd)[0] = 9;
    int kept = fd;

    ck_assert_uint_eq(map(NULL, LAYOUT, SIZE, &fd)[0], 9);
    ck_assert_int_eq(fd, kept);
}

TEST_TIMES(a_descriptor_of_another_layout_or_size_is_left_alone, 3)
{
    static const struct {
        uint32_t layout;
        size_t size;
    } others[] = {{LAYOUT + 1, SIZE}, {LAYOUT, 2 * (size_t)SIZE}, {LAYOUT, SIZE / 2}};
    int fd = -1;
    _Atomic uint64_t *old = map(NULL, LAYOUT, SIZE, &fd);
    old[0] = 9;
    int kept = fd;

    _Atomic uint64_t *made = map(NULL, others[_i].layout, others[_i].size, &fd);

    ck_assert_int_ne(fd, kept);
    ck_assert_uint_eq(made[0], 0);
    ck_assert_uint_eq(old[0], 9);
}

TEST(a_descriptor_that_is_no_memory_is_left_alone)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int null = fd;
    ck_assert_uint_eq(map(NULL, LAYOUT, SIZE, &fd)[0], 0);
    ck_assert_int_ne(fd, null);
}

TEST(a_file_is_private_and_shared_by_its_name)
{
    int none = -1;
    struct stat s;
    map(path, LAYOUT, SIZE, &none)[1] = 5;

    ck_assert_uint_eq(map(path, LAYOUT, SIZE, &none)[1], 5);
    ck_assert_int_eq(none, -1);
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_uint_eq(s.st_mode & 07777, 0600);
}

#define LARGE ((size_t)1024 * 1024)

static size_t bytes_on_disk(void)
{
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    return (size_t)s.st_blocks * 512;
}

/* Or who writes where a full disk has no room is killed. */
TEST(a_file_has_all_its_blocks_and_one_with_holes_gets_them)
{
    int none = -1;
    (void)map(path, LAYOUT, LARGE, &none);
    ck_assert_uint_ge(bytes_on_disk(), LARGE);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 64 * 1024, LARGE / 2), 0);
    (void)close(fd);
    ck_assert_uint_lt(bytes_on_disk(), LARGE);

    (void)map(path, LAYOUT, LARGE, &none);

    ck_assert_uint_ge(bytes_on_disk(), LARGE);
}

TEST(a_file_of_another_layout_is_replaced_while_others_go_on_with_it)
{
    int none = -1;
    _Atomic uint64_t *old = map(path, LAYOUT, SIZE, &none);
    old[1] = 5;

    _Atomic uint64_t *made = map(path, LAYOUT, SIZE / 2, &none);

    ck_assert_uint_eq(made[1], 0);
    old[SIZE / sizeof *old - 1] = 6; /* a file cut short would kill us here */
    ck_assert_uint_eq(old[1], 5);
}

TEST(many_at_once_make_one_file)
{
    enum { MANY = 8 };
    int none = -1, status;
    for (int i = 0; i < MANY; i++) {
        if (fork() == 0) {
            void *at;
            if (shm_map(a, path, LAYOUT, SIZE, &none, &at))
                _exit(1);
            atomic_fetch_add((_Atomic uint64_t *)at, 1);
            _exit(0);
        }
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_uint_eq(map(path, LAYOUT, SIZE, &none)[0], MANY);
}

static void write_text(const char *at, mode_t mode)
{
    int fd = open(at, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    ck_assert_int_eq(write(fd, "mine", 4), 4);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    (void)close(fd);
}

TEST(what_a_killed_process_left_behind_is_in_nobodys_way)
{
    int none = -1;
    write_text(arena_printf(a, "%s.%d", path, (int)getpid()), 0600);
    write_text(arena_printf(a, "%s.new", path), 0600);
    write_text(path, 0600);

    ck_assert_uint_eq(map(path, LAYOUT, SIZE, &none)[0], 0);

    (void)unlink(arena_printf(a, "%s.%d", path, (int)getpid()));
}

/* Anybody who may read a folder may lock it. */
TEST(a_neighbour_cannot_hold_it_up)
{
    int none = -1, lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);

    ck_assert_uint_eq(map(path, LAYOUT, SIZE, &none)[0], 0);

    (void)close(lock);
}

static const char *refusal(const char *at)
{
    int none = -1;
    void *got = a;
    struct problem *p = shm_map(a, at, LAYOUT, SIZE, &none, &got);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_eq(got, a);
    return p->cause;
}

TEST(a_file_that_others_may_read_is_refused_and_kept)
{
    char text[8] = "";
    write_text(path, 0640);

    ck_assert_ptr_nonnull(strstr(refusal(path), "only this user"));

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, text, sizeof text), 4);
    ck_assert_str_eq(text, "mine");
    (void)close(fd);
}

TEST(a_link_is_not_followed)
{
    const char *target = arena_printf(a, "%s/target", folder);
    write_text(target, 0600);
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_ptr_nonnull(strstr(refusal(path), path));
    ck_assert_int_eq(unlink(target), 0);
}

TEST(a_folder_that_is_not_there_is_told)
{
    const char *at = arena_printf(a, "%s/none/state", folder);
    ck_assert_ptr_nonnull(strstr(refusal(at), at));
}

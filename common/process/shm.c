#include "common/process/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/problem.h"

#define MAGIC 0x506f7374U

/* Before the caller's bytes, on a cache line of its own. */
struct head {
    alignas(64) uint32_t magic;
    uint32_t layout;
    uint64_t size; /* of the caller's part */
};

struct wanted {
    uint32_t layout;
    size_t size;
};

static struct problem *failed(struct arena *a, const char *what, const char *path)
{
    return problem_because(a, &problem_internal, "%s %s: %s", what, path ? path : "shared memory",
                           strerror(errno));
}

static size_t whole_size(const struct wanted *wanted)
{
    return sizeof(struct head) + wanted->size;
}

/* Is it, as it stands, what is wanted? */
static bool fits(int fd, const struct wanted *wanted)
{
    struct stat s;
    struct head head;
    return fstat(fd, &s) == 0 && (size_t)s.st_size == whole_size(wanted) &&
           pread(fd, &head, sizeof head, 0) == sizeof head && head.magic == MAGIC &&
           head.layout == wanted->layout && head.size == wanted->size;
}

/* All blocks at once: a process that writes to one which a full disk has no room for any more is
 * killed by SIGBUS. Some file systems cannot say so beforehand. */
static bool reserve(int fd, const struct wanted *wanted)
{
    return fallocate(fd, 0, 0, (off_t)whole_size(wanted)) == 0 || errno == EOPNOTSUPP;
}

static bool prepare(int fd, const struct wanted *wanted)
{
    const struct head head = {.magic = MAGIC, .layout = wanted->layout, .size = wanted->size};
    return ftruncate(fd, (off_t)whole_size(wanted)) == 0 && reserve(fd, wanted) &&
           pwrite(fd, &head, sizeof head, 0) == sizeof head;
}

/* ---- without a name ---- */

static struct problem *open_nameless(struct arena *a, const struct wanted *wanted, int *fd)
{
    if (*fd >= 0 && fits(*fd, wanted))
        return NULL;
    int made = memfd_create("postern", MFD_CLOEXEC);
    if (made < 0 || !prepare(made, wanted)) {
        struct problem *p = failed(a, "cannot make", NULL);
        if (made >= 0)
            (void)close(made);
        return p;
    }
    *fd = made;
    return NULL;
}

/* ---- a file ---- */

/* A new one beside it, which then takes its place: to truncate the old one would kill the processes
 * that have it mapped. We hold the lock, so a file that is there was left by a killed process. */
static struct problem *replace(struct arena *a, const char *path, const struct wanted *wanted,
                               int *ret_fd)
{
    const char *made = arena_printf(a, "%s.new", path);
    (void)unlink(made);
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && prepare(fd, wanted) && rename(made, path) == 0) {
        *ret_fd = fd;
        return NULL;
    }
    struct problem *p = failed(a, "cannot make", path);
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(made);
    }
    return p;
}

static struct problem *check_owner(struct arena *a, const char *path, int fd)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return failed(a, "cannot look at", path);
    if (!S_ISREG(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 0077))
        return problem_because(a, &problem_internal,
                               "%s is not a file that only this user can read and write", path);
    return NULL;
}

/* Is the file of that name still the one that we have? */
static bool is_at(const char *path, int fd)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* The file, locked, so that two processes do not each make one of their own. The lock is on the
 * file itself, which only our user may open: on its folder any user of the machine could hold one.
 */
static struct problem *open_locked(struct arena *a, const char *path, int *ret_fd)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
            return failed(a, "cannot open", path);
        struct problem *p = check_owner(a, path, fd);
        if (!p && flock(fd, LOCK_EX) != 0)
            p = failed(a, "cannot lock", path);
        if (!p && is_at(path, fd)) {
            *ret_fd = fd;
            return NULL;
        }
        (void)close(fd);
        if (p)
            return p;
    }
}

static struct problem *open_file(struct arena *a, const char *path, const struct wanted *wanted,
                                 int *ret_fd)
{
    int fd = -1;
    struct problem *p = open_locked(a, path, &fd);
    if (p)
        return p;
    if (fits(fd, wanted)) { /* one that an earlier version made may have holes */
        if (!reserve(fd, wanted))
            p = failed(a, "no room for", path);
        (void)flock(fd, LOCK_UN);
        if (!p)
            *ret_fd = fd;
        else
            (void)close(fd);
        return p;
    }
    p = replace(a, path, wanted, ret_fd);
    (void)close(fd);
    return p;
}

struct problem *shm_map(struct arena *a, const char *path, uint32_t layout, size_t size, int *fd,
                        void **ret)
{
    const struct wanted wanted = {layout, size};
    int file = -1;
    struct problem *p = path ? open_file(a, path, &wanted, &file) : open_nameless(a, &wanted, fd);
    if (p)
        return p;
    char *at =
        mmap(NULL, whole_size(&wanted), PROT_READ | PROT_WRITE, MAP_SHARED, path ? file : *fd, 0);
    p = at == MAP_FAILED ? failed(a, "cannot map", path) : NULL;
    if (file >= 0)
        (void)close(file);
    if (!p)
        *ret = at + sizeof(struct head);
    return p;
}

/* The half of landlock(7), by its system calls: the C library has no functions for them. */
#include "common/process/lockdown_internal.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What came with later versions than the headers here may be of. */
#define FS_REFER (UINT64_C(1) << 13)     /* 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define NET_BIND (UINT64_C(1) << 0)      /* 4 */
#define NET_CONNECT (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT (UINT64_C(1) << 0) /* 6: unix sockets without a path, of others */
#define SCOPE_SIGNAL (UINT64_C(1) << 1)   /* to processes that are not locked in with us */
#define RULE_PORT 2
#define VERSION_OF_NET 4
#define VERSION_OF_SCOPES 6

struct rules {
    uint64_t files, net, scopes;
};

struct port_rule {
    uint64_t allowed, port;
};

static const uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t writes = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                               LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                               LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                               LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                               LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
/* Of these, what can be said of a file. */
static const uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                 LANDLOCK_ACCESS_FS_EXECUTE | FS_TRUNCATE | FS_IOCTL_DEV;

int lockdown_files_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static uint64_t all_writes(int version)
{
    return writes | (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0);
}

/* What is forbidden where no rule allows it. */
static struct rules forbidden(const struct lockdown *kept, int version)
{
    struct rules r = {.files = all_writes(version)};
    if (!kept->starts_programs)
        r.files |= reads | LANDLOCK_ACCESS_FS_EXECUTE | (version >= 5 ? FS_IOCTL_DEV : 0);
    if (version >= VERSION_OF_NET && kept->ports)
        r.net = NET_BIND | NET_CONNECT;
    if (version >= VERSION_OF_SCOPES && !kept->starts_programs)
        r.scopes = SCOPE_ABSTRACT | SCOPE_SIGNAL;
    return r;
}

static void allow_path(int ruleset, const char *path, uint64_t allowed)
{
    struct stat s;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    struct landlock_path_beneath_attr rule = {.allowed_access = allowed, .parent_fd = fd};
    if (fstat(fd, &s) == 0 && !S_ISDIR(s.st_mode))
        rule.allowed_access &= of_files;
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(fd);
}

static void allow_paths(int ruleset, const char *const *paths, uint64_t allowed)
{
    for (; paths && *paths; paths++)
        allow_path(ruleset, *paths, allowed);
}

static void allow_all(int ruleset, const struct lockdown *kept, const struct rules *r)
{
    static const char *const counters[] = {COUNTER_FOLDERS NULL};
    const uint64_t written = r->files & (reads | all_writes(INT16_MAX));
    if (!kept->starts_programs)
        allow_paths(ruleset, kept->read, reads);
    allow_paths(ruleset, kept->write, written);
    allow_paths(ruleset, counters, written);
    for (const uint16_t *port = kept->ports; r->net && *port; port++)
        (void)syscall(SYS_landlock_add_rule, ruleset, RULE_PORT,
                      &(const struct port_rule){NET_CONNECT, *port}, 0);
}

/* A kernel takes the attributes that it knows when those beyond are zero. */
int lockdown_files(const struct lockdown *kept)
{
    int version = lockdown_files_version();
    if (!version)
        return 0;
    const struct rules r = forbidden(kept, version);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
    if (ruleset < 0)
        return 0;
    allow_all(ruleset, kept, &r);
    long failed = syscall(SYS_landlock_restrict_self, ruleset, 0);
    (void)close(ruleset);
    return failed ? 0 : version;
}

/* The half of seccomp(2), by libseccomp. */
#include "common/process/lockdown_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSED SCMP_ACT_ERRNO(ENOSYS)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What a worker calls, and its libraries: Connector/C, OpenSSL, libargon2 with its threads, and
 * getaddrinfo(3) with the modules that nsswitch.conf(5) may name. Not every machine has each. */
static const char *const used[] = {
    /* connections */
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "poll",
    "ppoll",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "select",
    "pselect6",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    /* files that are open, and what is there to be opened */
    "read",
    "readv",
    "pread64",
    "write",
    "writev",
    "pwrite64",
    "close",
    "dup",
    "dup2",
    "dup3",
    "lseek",
    "fcntl",
    "fstat",
    "stat",
    "lstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    /* memory and threads */
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "futex",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "sched_yield",
    "sched_getaffinity",
    "membarrier",
    "exit",
    "exit_group",
    "getrandom",
    /* time, signals, and who we are */
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "gettimeofday",
    "nanosleep",
    "time",
    "alarm",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "restart_syscall",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getrlimit",
    "getrusage",
    "sysinfo",
    "timer_create",
    "timer_delete",
    "timer_settime",
    "times",
    "uname",
};

/* What no program has a use for that serves, sends mail or starts itself again. */
static const char *const unused[] = {
    /* other processes */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    "unshare",
    "setns",
    "clone3",
    /* the machine */
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "swapon",
    "swapoff",
    "reboot",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "acct",
    "quotactl",
    "quotactl_fd",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "syslog",
    "iopl",
    "ioperm",
    "personality",
    "vhangup",
    "name_to_handle_at",
    "open_by_handle_at",
    "lookup_dcookie",
    "fanotify_init",
    "nfsservctl",
    "mknod",
    "mknodat",
    /* who we are */
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "setgroups",
    "capset",
    /* doors that have been broken often */
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "add_key",
    "keyctl",
    "request_key",
    "modify_ldt",
    "vmsplice",
    "set_mempolicy",
    "mbind",
    "migrate_pages",
    "move_pages",
    "remap_file_pages",
};

static bool add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
                const struct scmp_arg_cmp *where)
{
    int number = seccomp_syscall_resolve_name(name);
    return number < 0 || /* not on this machine, or not known to the library */
           seccomp_rule_add_array(filter, action, number, count, where) == 0;
}

static bool add_each(scmp_filter_ctx filter, uint32_t action, const char *const *names,
                     size_t count)
{
    bool done = true;
    for (size_t i = 0; done && i < count; i++)
        done = add(filter, action, names[i], 0, NULL);
    return done;
}

/* Where the bits of `mask` in an argument are `value`. */
static bool allow_if(scmp_filter_ctx filter, const char *name, unsigned argument, uint64_t mask,
                     uint64_t value)
{
    const struct scmp_arg_cmp where = {argument, SCMP_CMP_MASKED_EQ, mask, value};
    return add(filter, SCMP_ACT_ALLOW, name, 1, &where);
}

/* Opened to be read: what is written to is open by now. */
static bool allow_reading(scmp_filter_ctx f)
{
    const uint64_t written = COUNTS ? 0 : O_ACCMODE | O_CREAT | O_TRUNC;
    return allow_if(f, "open", 1, written, O_RDONLY) && allow_if(f, "openat", 2, written, O_RDONLY);
}

/* No memory that was written is executed; a library is mapped from its file. */
static bool allow_memory(scmp_filter_ctx f)
{
    return allow_if(f, "mmap", 2, PROT_EXEC, 0) &&
           allow_if(f, "mmap", 2, PROT_EXEC | PROT_WRITE, PROT_EXEC) &&
           allow_if(f, "mprotect", 2, PROT_EXEC, 0);
}

static bool allow_netlink(scmp_filter_ctx f, uint64_t protocol)
{
    const struct scmp_arg_cmp where[] = {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                                         SCMP_A2(SCMP_CMP_EQ, protocol)};
    return add(f, SCMP_ACT_ALLOW, "socket", COUNT(where), where);
}

/* accept_queue.c and getaddrinfo(3) ask the kernel by netlink(7). */
static bool allow_sockets(scmp_filter_ctx f, bool network)
{
    bool done = allow_if(f, "socket", 0, UINT32_MAX, AF_UNIX) &&
                allow_netlink(f, NETLINK_SOCK_DIAG) && allow_netlink(f, NETLINK_ROUTE);
    if (done && network)
        done = allow_if(f, "socket", 0, UINT32_MAX, AF_INET) &&
               allow_if(f, "socket", 0, UINT32_MAX, AF_INET6);
    return done && allow_if(f, "ioctl", 1, UINT32_MAX, FIONBIO) &&
           allow_if(f, "ioctl", 1, UINT32_MAX, FIONREAD);
}

/* Threads and no processes: clone3(2) hides its flags in memory, and so the C library has to take
 * clone(2). Signals to itself, as abort(3) sends. Limits may be read. */
static bool allow_itself(scmp_filter_ctx f, bool kills)
{
    return allow_if(f, "clone", 0, CLONE_THREAD, CLONE_THREAD) &&
           allow_if(f, "tgkill", 0, UINT32_MAX, (uint32_t)getpid()) &&
           allow_if(f, "prlimit64", 2, UINT64_MAX, 0) &&
           (!kills || add(f, REFUSED, "clone3", 0, NULL));
}

static bool fill_narrow(scmp_filter_ctx f, const struct lockdown *kept)
{
    return add_each(f, SCMP_ACT_ALLOW, used, COUNT(used)) && allow_reading(f) && allow_memory(f) &&
           allow_sockets(f, kept->uses_network) && allow_itself(f, kept->kills);
}

static bool refuse_if(scmp_filter_ctx f, const char *name, unsigned argument, enum scmp_compare how,
                      uint64_t a, uint64_t b)
{
    const struct scmp_arg_cmp where = {argument, how, a, b};
    return add(f, REFUSED, name, 1, &where);
}

/* Programs, but in no namespaces of their own, and without exotic sockets, which have families of
 * higher numbers than netlink; those below that are none of ours are out of use. */
static bool fill_wide(scmp_filter_ctx f)
{
    static const uint64_t spaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                      CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    bool done = add_each(f, REFUSED, unused, COUNT(unused)) &&
                refuse_if(f, "socket", 0, SCMP_CMP_GT, AF_NETLINK, 0);
    for (int family = AF_INET + 1; done && family < AF_NETLINK; family++)
        done = family == AF_INET6 || refuse_if(f, "socket", 0, SCMP_CMP_EQ, (uint64_t)family, 0);
    for (size_t i = 0; done && i < COUNT(spaces); i++)
        done = refuse_if(f, "clone", 0, SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]);
    return done;
}

/* What is asked by the numbers of another architecture is nothing that we have compiled. */
static bool load(const struct lockdown *kept, scmp_filter_ctx f)
{
    return seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
           seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 && /* a search tree */
           (kept->starts_programs ? fill_wide(f) : fill_narrow(f, kept)) && seccomp_load(f) == 0;
}

static uint32_t for_the_rest(const struct lockdown *kept)
{
    if (kept->starts_programs)
        return SCMP_ACT_ALLOW;
    return kept->kills ? SCMP_ACT_KILL_PROCESS : REFUSED;
}

bool lockdown_calls(const struct lockdown *kept)
{
    scmp_filter_ctx filter = seccomp_init(for_the_rest(kept));
    if (!filter)
        return false;
    bool holds = load(kept, filter);
    seccomp_release(filter);
    return holds;
}

bool lockdown_calls_work(void)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

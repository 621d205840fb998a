/* What a process that has locked itself in can still do, and what it is refused. */
#include "common/process/lockdown_internal.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/crypto/password.h"
#include "tests/support/child.h"
#include "tests/support/scratch.h"
#include "tests/support/sockets.h"
#include "tests/support/suite.h"

#define OTHER_PORT 9 /* where nobody listens, and where it may not connect */
#define FINE 0
#define NOT_LOCKED 250
#define FAILED 251

/* An instrumented build locks nothing in; that it says so is tested. */
#ifdef POSTERN_INSTRUMENTED
#define IS_PLAIN false
#else
#define IS_PLAIN true
#endif

static struct lockdown_state here; /* what this kernel has */
static int tcp_fd;
static uint16_t tcp_port;
static char out_path[200], in_path[200]; /* a file that may not be read, and one that may */

static void make_file(char *ret, size_t size, const char *of, const char *name)
{
    (void)snprintf(ret, size, "%s/%s", of, name);
    FILE *file = fopen(ret, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("content", file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void listen_by_tcp(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(tcp_fd, (const struct sockaddr *)&any, size), 0);
    ck_assert_int_eq(listen(tcp_fd, 5), 0);
    ck_assert_int_eq(getsockname(tcp_fd, (struct sockaddr *)&any, &size), 0);
    tcp_port = ntohs(any.sin_port);
}

static char kept_folder[150];

static void set_up(void)
{
    scratch_open();
    (void)snprintf(kept_folder, sizeof kept_folder, "%s/kept", folder);
    ck_assert(mkdir(kept_folder, 0700) == 0 || errno == EEXIST);
    make_file(out_path, sizeof out_path, folder, "out");
    make_file(in_path, sizeof in_path, kept_folder, "in");
    listen_by_tcp();
    lockdown_probe(&here);
}

static void tear_down(void)
{
    (void)close(tcp_fd);
    (void)unlink(in_path);
    (void)rmdir(kept_folder);
    scratch_close();
}

/* ---- what is tried: 0 for what worked, else errno ---- */

static int error_of(long failed)
{
    return failed < 0 ? errno : FINE;
}

static int open_as(const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC, 0600);
    int error = error_of(fd);
    if (fd >= 0)
        (void)close(fd);
    return error;
}

static int read_secret(void)
{
    return open_as(out_path, O_RDONLY);
}

static int read_shadow(void)
{
    return open_as("/etc/shadow", O_RDONLY);
}

static int read_environment(void)
{
    return open_as("/proc/self/environ", O_RDONLY);
}

static int read_kept(void)
{
    return open_as(in_path, O_RDONLY);
}

static int write_elsewhere(void)
{
    return open_as(out_path, O_WRONLY);
}

static int write_kept(void)
{
    return open_as(in_path, O_WRONLY);
}

static int make_elsewhere(void)
{
    char name[220];
    (void)snprintf(name, sizeof name, "%s.made", out_path);
    return open_as(name, O_WRONLY | O_CREAT);
}

static int make_kept(void)
{
    char name[220];
    (void)snprintf(name, sizeof name, "%s.made", in_path);
    int error = open_as(name, O_RDWR | O_CREAT);
    return error ? error : error_of(unlink(name));
}

static int make_nameless(void)
{
    return open_as(kept_folder, O_WRONLY | O_TMPFILE);
}

static int unlink_it(void)
{
    return error_of(unlink(out_path));
}

static int rename_it(void)
{
    return error_of(rename(out_path, in_path));
}

static int chmod_it(void)
{
    return error_of(chmod(out_path, 0777));
}

static int make_folder(void)
{
    return error_of(mkdir("/tmp/postern-lockdown-test", 0700));
}

static int run_program(void)
{
    char *const words[] = {(char[]){"/bin/true"}, NULL};
    (void)execv(words[0], words);
    return errno;
}

static int run_from_memory(void)
{
    char *const words[] = {(char[]){"x"}, NULL};
    return error_of(syscall(SYS_execveat, 0, "/bin/true", words, environ, 0));
}

static int fork_it(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return error_of(pid);
}

static int run_child(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run_program());
    if (pid < 0)
        return errno;
    return waitpid(pid, &status, 0) == pid && status == 0 ? FINE : FAILED;
}

static int trace_me(void)
{
    return error_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int read_parent(void)
{
    char byte;
    const struct iovec mine = {&byte, 1}, theirs = {out_path, 1};
    return error_of(process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0));
}

static int signal_parent(void)
{
    return error_of(kill(getppid(), 0));
}

static int signal_thread_of_parent(void)
{
    return error_of(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int become_somebody(void)
{
    return error_of(setuid(getuid()));
}

static int leave_groups(void)
{
    return error_of(syscall(SYS_setgroups, 0, NULL));
}

static int mount_it(void)
{
    return error_of(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int change_root(void)
{
    return error_of(chroot("/"));
}

static int enter_namespace(void)
{
    return error_of(unshare(CLONE_NEWUSER));
}

static int clone_namespace(void)
{
    return error_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
}

static int load_program(void)
{
    return error_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int open_ring(void)
{
    return error_of(syscall(SYS_io_uring_setup, 1, NULL));
}

static int read_keys(void)
{
    return error_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

static int open_perf(void)
{
    return error_of(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
}

static int open_fault(void)
{
    return error_of(syscall(SYS_userfaultfd, 0));
}

static int execute_memory(void)
{
    void *at =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : FINE;
}

static int execute_later(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? FAILED : error_of(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int be_dumpable(void)
{
    return error_of(prctl(PR_SET_DUMPABLE, 1));
}

static int allow_core(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    return error_of(setrlimit(RLIMIT_CORE, &all));
}

static int open_socket(int family, int type, int protocol)
{
    return error_of(socket(family, type, protocol));
}

static int open_packet(void)
{
    return open_socket(AF_PACKET, SOCK_RAW, 0);
}

static int open_vsock(void)
{
    return open_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int open_crypto(void)
{
    return open_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static int open_bluetooth(void)
{
    return open_socket(AF_BLUETOOTH, SOCK_RAW, 0);
}

static int open_ax25(void)
{
    return open_socket(AF_AX25, SOCK_DGRAM, 0);
}

static int open_audit(void)
{
    return open_socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

static int open_diag(void)
{
    return open_socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
}

static int open_ipv4(void)
{
    return open_socket(AF_INET, SOCK_STREAM, 0);
}

static int connect_by_tcp(uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : error_of(connect(fd, (const struct sockaddr *)&to, sizeof to));
}

static int connect_kept(void)
{
    return connect_by_tcp(tcp_port);
}

static int connect_other(void)
{
    return connect_by_tcp(OTHER_PORT);
}

static int listen_itself(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : error_of(bind(fd, (const struct sockaddr *)&any, sizeof any));
}

static int ask_for_core(void)
{
    struct rlimit core;
    int failed = getrlimit(RLIMIT_CORE, &core);
    return failed ? errno : core.rlim_max ? FAILED : FINE;
}

static void *do_nothing(void *at)
{
    return at;
}

static int start_thread(void)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, do_nothing, NULL);
    return failed ? failed : pthread_join(thread, NULL);
}

/* Of two lanes, each a thread in libargon2; a vector of its own. */
static int verify_password(void)
{
    static const char hash[] = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$"
                               "bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
    struct arena *own = arena_open(1 << 20);
    bool match = false, outdated;
    const char *made;
    struct problem *p = password_hash(own, TEXT("password"), &made);
    if (!p)
        p = password_verify(own, TEXT("password"), hash, &match, &outdated);
    arena_close(own);
    return !p && match ? FINE : FAILED;
}

static int look_up_name(void)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo("localhost", "3306", &hints, &found);
    if (!failed)
        freeaddrinfo(found);
    return failed ? FAILED : FINE;
}

static int open_library(void)
{
    return dlopen("libnss_hesiod.so.2", RTLD_NOW) ? FINE : FAILED;
}

static int use_much_memory(void)
{
    char *at = malloc((size_t)64 << 20);
    if (!at)
        return FAILED;
    memset(at, 1, (size_t)64 << 20);
    at = realloc(at, (size_t)96 << 20);
    free(at);
    return at ? FINE : FAILED;
}

/* ---- in a process of its own ---- */

static const char *const readable[] = {
    "/usr/lib",         "/lib",      "/etc/hosts",   "/etc/nsswitch.conf",
    "/etc/ld.so.cache", kept_folder, "/nonexistent", NULL};
static const char *const writable[] = {"/dev", kept_folder, NULL};

static struct lockdown keep(bool network)
{
    static uint16_t ports[2];
    ports[0] = tcp_port;
    return (struct lockdown){.uses_network = network, .read = readable, .ports = ports};
}

static struct lockdown keep_wide(void)
{
    return (struct lockdown){.starts_programs = true, .uses_network = true, .write = writable};
}

/* The exit status of a process that locks itself in and tries; 128 and a signal that ended it. */
static int try(const struct lockdown *kept, int (*attempt)(void))
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct lockdown_state state;
        lockdown(kept, &state);
        _exit(state.calls == here.calls && state.landlock == here.landlock ? attempt()
                                                                           : NOT_LOCKED);
    }
    return end_of(pid);
}

/* What refuses it: the filter of system calls, or Landlock of a version. A build for coverage
 * leaves it to Landlock to refuse files that are opened for writing. */
struct attempt {
    const char *what;
    int (*attempt)(void);
    bool by_calls;
    int by_landlock; /* 0: not */
};

#define BY_CALLS true, 0
#define BY_FILES false, 1
#define BY_OPENING !COUNTS, COUNTS
#define BY_PORTS false, 4

static const struct attempt refused[] = {
    {"reading a file", read_secret, BY_FILES},
    {"reading /etc/shadow", read_shadow, BY_FILES},
    {"reading its environment", read_environment, BY_FILES},
    {"writing a file", write_elsewhere, BY_OPENING},
    {"writing a file that it may read", write_kept, BY_OPENING},
    {"making a file", make_elsewhere, BY_OPENING},
    {"making a file without a name", make_nameless, BY_OPENING},
    {"unlink", unlink_it, BY_CALLS},
    {"rename", rename_it, BY_CALLS},
    {"chmod", chmod_it, BY_CALLS},
    {"mkdir", make_folder, BY_CALLS},
    {"exec", run_program, BY_CALLS},
    {"execveat", run_from_memory, BY_CALLS},
    {"fork", fork_it, BY_CALLS},
    {"ptrace", trace_me, BY_CALLS},
    {"reading its parent's memory", read_parent, BY_CALLS},
    {"kill", signal_parent, BY_CALLS},
    {"tgkill of another", signal_thread_of_parent, BY_CALLS},
    {"setuid", become_somebody, BY_CALLS},
    {"setgroups", leave_groups, BY_CALLS},
    {"mount", mount_it, BY_CALLS},
    {"chroot", change_root, BY_CALLS},
    {"unshare", enter_namespace, BY_CALLS},
    {"clone into a namespace", clone_namespace, BY_CALLS},
    {"bpf", load_program, BY_CALLS},
    {"io_uring", open_ring, BY_CALLS},
    {"keyctl", read_keys, BY_CALLS},
    {"perf_event_open", open_perf, BY_CALLS},
    {"userfaultfd", open_fault, BY_CALLS},
    {"memory that is written and executed", execute_memory, BY_CALLS},
    {"executing what was written", execute_later, BY_CALLS},
    {"prctl", be_dumpable, BY_CALLS},
    {"a greater limit", allow_core, BY_CALLS},
    {"AF_PACKET", open_packet, BY_CALLS},
    {"AF_VSOCK", open_vsock, BY_CALLS},
    {"AF_ALG", open_crypto, BY_CALLS},
    {"AF_BLUETOOTH", open_bluetooth, BY_CALLS},
    {"AF_AX25", open_ax25, BY_CALLS},
    {"netlink to audit", open_audit, BY_CALLS},
    {"connecting elsewhere", connect_other, BY_PORTS},
    {"listening", listen_itself, BY_PORTS},
};

static int error_for(const struct attempt *t)
{
    if (t->by_calls)
        return here.calls ? ENOSYS : -1;
    return here.landlock >= t->by_landlock ? EACCES : -1;
}

CASE("lockdown", set_up, tear_down);
CASE_AROUND(sockets_open, sockets_close);
CASE_IF(IS_PLAIN);

TEST_EACH(what_a_worker_does_not_need_is_refused, refused)
{
    const struct attempt *t = &refused[_i];
    const struct lockdown kept = keep(true);
    int error = error_for(t);

    int got = try(&kept, t->attempt);

    ck_assert_msg(got == error || error < 0, "%s: %d and not %d", t->what, got, error);
    ck_assert_int_ne(got, NOT_LOCKED);
}

/* So that each row above refuses what would work: here it is not refused, though root's rights, or
 * what is compiled into the kernel, may be missing. */
TEST(the_tests_of_refusals_can_fail)
{
    ck_assert_int_eq(read_secret(), FINE);
    ck_assert_int_eq(write_elsewhere(), FINE);
    ck_assert_int_eq(execute_memory(), FINE);
    ck_assert_int_eq(fork_it(), FINE);
    ck_assert_int_eq(signal_parent(), FINE);
    ck_assert_int_eq(listen_itself(), FINE);
    ck_assert_int_eq(connect_other(), ECONNREFUSED);
    ck_assert_int_eq(run_child(), FINE);
}

static const struct {
    const char *what;
    int (*attempt)(void);
} kept_ones[] = {
    {"reading", read_kept},
    {"a thread", start_thread},
    {"hashing", verify_password},
    {"looking up a name", look_up_name},
    {"a library", open_library},
    {"memory", use_much_memory},
    {"the queue's length", open_diag},
    {"connecting to the database", connect_kept},
    {"reading a limit", ask_for_core},
};

/* By the mode that ends the process, so that nothing is missed that falls back silently. */
TEST_EACH(what_a_worker_needs_is_left, kept_ones)
{
    struct lockdown kept = keep(true);
    kept.kills = true;

    int got = try(&kept, kept_ones[_i].attempt);

    ck_assert_msg(got == FINE, "%s: %d", kept_ones[_i].what, got);
}

TEST(without_a_database_on_the_network_there_is_none)
{
    const struct lockdown kept = keep(false);

    ck_assert_int_eq(try(&kept, open_ipv4), here.calls ? ENOSYS : FINE);
}

TEST(where_it_is_asked_for_what_is_refused_ends_the_process)
{
    struct lockdown kept = keep(true);
    kept.kills = true;

    ck_assert_int_eq(try(&kept, trace_me), here.calls ? 128 + SIGSYS : FINE);
    ck_assert_int_eq(try(&kept, run_program), here.calls ? 128 + SIGSYS : FINE);
}

/* ---- where programs are started ---- */

static const struct attempt wide_refused[] = {
    {"writing a file", write_elsewhere, BY_FILES},
    {"making a file", make_elsewhere, BY_FILES},
    {"unlink", unlink_it, BY_FILES},
    {"ptrace", trace_me, BY_CALLS},
    {"reading its parent's memory", read_parent, BY_CALLS},
    {"setuid", become_somebody, BY_CALLS},
    {"mount", mount_it, BY_CALLS},
    {"unshare", enter_namespace, BY_CALLS},
    {"clone into a namespace", clone_namespace, BY_CALLS},
    {"bpf", load_program, BY_CALLS},
    {"io_uring", open_ring, BY_CALLS},
    {"keyctl", read_keys, BY_CALLS},
    {"AF_PACKET", open_packet, BY_CALLS},
    {"AF_AX25", open_ax25, BY_CALLS},
    {"AF_VSOCK", open_vsock, BY_CALLS},
};

TEST_EACH(who_starts_programs_is_refused_what_none_needs, wide_refused)
{
    const struct attempt *t = &wide_refused[_i];
    const struct lockdown kept = keep_wide();
    int error = error_for(t);

    int got = try(&kept, t->attempt);

    ck_assert_msg(got == error || error < 0, "%s: %d and not %d", t->what, got, error);
    ck_assert_int_ne(got, NOT_LOCKED);
}

static int (*const wide_kept[])(void) = {
    read_secret,  read_kept, write_kept,      make_kept,    run_child,
    start_thread, open_ipv4, verify_password, connect_kept,
};

TEST_EACH(who_starts_programs_can, wide_kept)
{
    const struct lockdown kept = keep_wide();

    ck_assert_int_eq(try(&kept, wide_kept[_i]), FINE);
}

static int lock_often(void)
{
    struct lockdown_state state;
    const struct lockdown kept = keep_wide();
    for (int i = 0; i < 100; i++) {
        lockdown(&kept, &state);
        if (state.calls != here.calls || state.landlock != here.landlock || state.why != here.why)
            return FAILED;
    }
    return FINE;
}

/* The kernel takes 16 layers of Landlock. */
TEST(a_program_that_is_started_again_and_again_stays_as_it_is)
{
    const struct lockdown kept = keep_wide();

    ck_assert_int_eq(try(&kept, lock_often), FINE);
}

/* ---- in any build ---- */

CASE("limits", set_up, tear_down);
CASE_AROUND(sockets_open, sockets_close);

static int look_at_limits(void)
{
    struct rlimit core;
    return prctl(PR_GET_DUMPABLE) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 &&
                   core.rlim_cur == 0 && core.rlim_max == 0
               ? FINE
               : FAILED;
}

TEST(memory_is_neither_dumped_nor_read)
{
    pid_t pid = fork();
    if (pid == 0) {
        lockdown_limits();
        _exit(look_at_limits());
    }

    ck_assert_int_eq(end_of(pid), FINE);
}

TEST(what_does_not_hold_is_said)
{
    ck_assert_int_eq(here.why == NULL, here.calls && here.landlock);
    if (!IS_PLAIN)
        ck_assert_str_eq(here.why, "this build is instrumented");
}

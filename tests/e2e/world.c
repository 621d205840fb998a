#include "tests/e2e/world.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/apache.h"
#include "tests/e2e/proxies.h"
#include "tests/support/loopback.h"

#define FOLDER_MAX 60 /* so that sockets below it have short enough names */
#define GROUPS_MAX 64
#define NAMES_MAX 40
#define OUTPUT_MAX ((size_t)64 * 1024 * 1024)

static char place[WORLD_PATH];
static char program[WORLD_PATH];
static char key_name[128]; /* JWT_SECRET_KEY=... */
static int guard_fd = -1;  /* closes with us */
static pid_t guard_pid;

/* Who runs the pool: a server as root would be refused. */
static struct {
    bool other; /* than us */
    char name[32];
    uid_t uid;
    gid_t gid, groups[GROUPS_MAX];
    int group_count;
} worker;

bool read_file(const char *path, struct buf *b)
{
    char chunk[16384];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        buf_add(b, chunk, (size_t)got);
    (void)close(fd);
    return got == 0;
}

int file_has(const char *path, const char *text)
{
    struct buf b;
    int count = 0;
    buf_init(&b, OUTPUT_MAX);
    (void)read_file(path, &b);
    buf_add(&b, "", 1);
    for (const char *at = b.data; (at = strstr(at, text)) != NULL; at++)
        count++;
    buf_release(&b);
    return count;
}

void file_await(const char *path, const char *text, int times, long limit_ms)
{
    for (long end = now_ms() + limit_ms; file_has(path, text) < times; pause_ms(10))
        ck_assert_msg(now_ms() < end, "%d and not %d times %s in %s", file_has(path, text), times,
                      text, path);
}

/* ---- processes ---- */

/* What a program must not find in its environment is the settings of whoever runs the tests. */
static const char *inherited(const char *name)
{
    size_t len = strlen(name);
    for (char **at = environ; *at; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at;
    return NULL;
}

/* Who serves reads and writes rows, and changes no table; where a test has but one user, both are.
 */
static const char *serve_url(void)
{
    static char line[1024];
    const char *url = getenv("SERVE_DATABASE_URL");
    snprintf(line, sizeof line, "DATABASE_URL=%s", url ? url : getenv("DATABASE_URL"));
    return line;
}

static const char *migrate_url(void)
{
    static char line[1024];
    snprintf(line, sizeof line, "MIGRATE_DATABASE_URL=%s", getenv("DATABASE_URL"));
    return line;
}

/* Made before the fork: between fork and exec a process that had threads may not allocate. */
static void make_environment(const char *const *names, const char **ret)
{
    static const char *const kept[] = {
        "TMPDIR",          "ASAN_OPTIONS", "LSAN_OPTIONS",      "UBSAN_OPTIONS",
        "LD_LIBRARY_PATH", "GCOV_PREFIX",  "GCOV_PREFIX_STRIP", "GCOV_ERROR_FILE"};
    static char path[4096];
    size_t n = 0;
    snprintf(path, sizeof path, "PATH=%s:/usr/sbin:/sbin",
             getenv("PATH") ? getenv("PATH") : "/bin");
    ret[n++] = path;
    ret[n++] = key_name;
    if (inherited("DATABASE_URL")) {
        ret[n++] = serve_url();
        ret[n++] = migrate_url();
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (inherited(kept[i]))
            ret[n++] = inherited(kept[i]);
    for (; names && *names && n + 3 < NAMES_MAX; names++)
        ret[n++] = *names;
    ret[n++] = "LIST_BUDGET_MS=10000"; /* of a busy machine, unless `names` say another: the first
                                          counts */
    ret[n++] = "LOCKDOWN=kill";        /* no system call is refused unseen */
    ret[n] = NULL;
}

struct launch {
    const char *const *words, *const *names;
    const char *folder; /* NULL: ours */
    int in, out, err;
    bool as_worker;
    bool ends_with_us;
};

/* exec(3) changes nothing of what it is given, but its type is older than const. */
static char **unconst(const char *const *list)
{
    char **plain;
    memcpy(&plain, &list, sizeof plain);
    return plain;
}

static bool drop_privileges(void)
{
    return setgroups((size_t)worker.group_count, worker.groups) == 0 && setgid(worker.gid) == 0 &&
           setuid(worker.uid) == 0;
}

_Noreturn static void become(const struct launch *l, const char *const *environment, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    bool ready = dup2(l->in, 0) >= 0 && dup2(l->out, 1) >= 0 && dup2(l->err, 2) >= 0;
    if (ready && l->folder)
        ready = chdir(l->folder) == 0;
    if (ready && l->as_worker && worker.other)
        ready = drop_privileges();
    /* After the change of user, which clears it. */
    if (ready && l->ends_with_us)
        ready = prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent;
    if (ready)
        (void)execvpe(l->words[0], unconst(l->words), unconst(environment));
    _exit(127);
}

static pid_t launch(const struct launch *l)
{
    const char *environment[NAMES_MAX];
    make_environment(l->names, environment);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(l, environment, parent);
    return pid;
}

static int exit_status(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void read_all(int fd, struct buf *output)
{
    char chunk[16384];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        if (output)
            buf_add(output, chunk, (size_t)got);
}

/* `input` must fit into a pipe, 64 KiB. */
static int run(const char *const *words, const char *const *names, bool as_worker,
               const char *input, struct buf *output)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return -1;
    if (pipe2(out, O_CLOEXEC) != 0) {
        (void)close(in[0]), (void)close(in[1]);
        return -1;
    }
    pid_t pid = launch(&(struct launch){.words = words,
                                        .names = names,
                                        .as_worker = as_worker,
                                        .in = in[0],
                                        .out = out[1],
                                        .err = 2});
    (void)close(in[0]), (void)close(out[1]);
    bool sent = !input || write(in[1], input, strlen(input)) == (ssize_t)strlen(input);
    (void)close(in[1]);
    read_all(out[0], output);
    (void)close(out[0]);
    int status = pid < 0 ? -1 : exit_status(pid);
    return sent ? status : -1;
}

int world_run(const char *const *words, const char *const *names, const char *input,
              struct buf *output)
{
    return run(words, names, false, input, output);
}

int world_run_as_worker(const char *const *words, const char *const *names, const char *input,
                        struct buf *output)
{
    return run(words, names, true, input, output);
}

static pid_t start_logged(struct launch *l, const char *log)
{
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->in = in;
    l->out = l->err = out;
    l->ends_with_us = true;
    pid_t pid = launch(l);
    (void)close(in), (void)close(out);
    ck_assert_int_gt(pid, 0);
    return pid;
}

pid_t world_start(const char *const *words, const char *const *names, const char *folder,
                  const char *log)
{
    return start_logged(
        &(struct launch){.words = words, .names = names, .folder = folder, .as_worker = true}, log);
}

pid_t world_start_as_us(const char *const *words, const char *const *names, const char *folder,
                        const char *log)
{
    return start_logged(&(struct launch){.words = words, .names = names, .folder = folder}, log);
}

/* True, with the status, when the process has ended. */
static bool has_ended(pid_t pid, int *ret_status)
{
    return waitpid(pid, ret_status, WNOHANG) == pid;
}

bool world_has_ended(pid_t pid)
{
    int status;
    return has_ended(pid, &status);
}

int world_end(pid_t pid, int signal)
{
    int status = 0;
    (void)kill(pid, signal);
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5))
        if (has_ended(pid, &status))
            return status;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    ck_abort_msg("process %d did not end after signal %d", (int)pid, signal);
}

/* ---- the folder, and who takes it away ---- */

/* End what runs a copy of the program in our folder; true when there was something. */
static bool end_copies(void)
{
    bool any = false;
    char link[300], target[WORLD_PATH + 16];
    DIR *processes = opendir("/proc");
    for (struct dirent *e; processes && (e = readdir(processes));) {
        snprintf(link, sizeof link, "/proc/%s/exe", e->d_name);
        ssize_t len = readlink(link, target, sizeof target - 1);
        if (len < 0)
            continue;
        target[len] = '\0';
        if (strncmp(target, place, strlen(place)) == 0 && target[strlen(place)] == '/')
            any |= kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL) == 0;
    }
    if (processes)
        (void)closedir(processes);
    return any;
}

/* In a session of its own, until the other end of the pipe is closed by our end, whatever way. What
 * we have started ends then by itself, except what had another parent. */
_Noreturn static void guard(int fd)
{
    char byte;
    int nowhere = open("/dev/null", O_RDWR);
    (void)setsid();
    (void)dup2(nowhere, 0), (void)dup2(nowhere, 1), (void)dup2(nowhere, 2);
    while (read(fd, &byte, 1) < 0 && errno == EINTR)
        continue;
    for (int i = 0; i < 200 && end_copies(); i++)
        pause_ms(10);
    if (!getenv("POSTERN_TEST_KEEP"))
        (void)execlp("rm", "rm", "-rf", "--", place, (char *)NULL);
    _exit(0);
}

static bool start_guard(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    guard_pid = fork();
    if (guard_pid == 0) {
        (void)close(ends[1]);
        guard(ends[0]);
    }
    (void)close(ends[0]);
    guard_fd = ends[1];
    return guard_pid > 0;
}

static bool make_place(void)
{
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent || strlen(parent) > FOLDER_MAX)
        parent = "/tmp";
    snprintf(place, sizeof place, "%s/postern-e2e.XXXXXX", parent);
    if (!mkdtemp(place))
        return false;
    snprintf(program, sizeof program, "%.100s/bin/postern", place);
    return chmod(place, 0755) == 0; /* the pool may run as another user */
}

const char *world_site_user(void)
{
    return getenv("E2E_SITE_USER");
}

static bool choose_worker(void)
{
    worker.other = geteuid() == 0;
    const char *name = world_site_user() ? world_site_user() : "www-data";
    const struct passwd *user = worker.other ? getpwnam(name) : getpwuid(geteuid());
    if (!user)
        return false;
    snprintf(worker.name, sizeof worker.name, "%s", user->pw_name);
    worker.uid = user->pw_uid;
    worker.gid = user->pw_gid;
    worker.group_count = GROUPS_MAX;
    return getgrouplist(user->pw_name, user->pw_gid, worker.groups, &worker.group_count) >= 0;
}

/* Each run has a key of its own, made by the program. */
static bool make_key(void)
{
    struct buf b;
    buf_init(&b, sizeof key_name);
    bool made = run(LIST(program, "secret"), NULL, false, NULL, &b) == 0 && b.len > 32;
    if (made)
        snprintf(key_name, sizeof key_name, "JWT_SECRET_KEY=%.*s", (int)b.len - 1, b.data);
    buf_release(&b);
    return made;
}

static bool make_admin(void)
{
    const char *const words[] = {program,   "user",         "add", ADMIN_EMAIL,
                                 "--admin", "--first-name", "Ada", "--password-stdin",
                                 NULL};
    return run(words, NULL, true, PASSWORD "\n", NULL) == 0;
}

static bool wrong(const char *what)
{
    fprintf(stderr, "end to end: %s\n", what);
    return false;
}

bool world_open(void)
{
    if (!getenv("DATABASE_URL") || !getenv("DATABASE_CONTROL"))
        return wrong("run this inside tests/support/with-mariadb");
    if (!make_place() || !start_guard() || !choose_worker())
        return wrong("cannot make a folder");
    if (getenv("POSTERN_TEST_KEEP"))
        printf("The logs stay in %s\n", place);
    if (run(LIST("install", "-D", "-m", "755", "./postern", program), NULL, false, NULL, NULL) != 0)
        return wrong("cannot copy ./postern");
    if (!make_key())
        return wrong("postern secret makes no key");
    if (run(LIST(program, "migrate"), NULL, true, NULL, NULL) != 0)
        return wrong("postern migrate fails");
    return make_admin() || wrong("postern user add fails");
}

void world_close(void)
{
    (void)close(guard_fd);
    guard_fd = -1;
    if (guard_pid > 0)
        (void)exit_status(guard_pid);
}

bool world_at(const char *name)
{
    const char *front = getenv("E2E_FRONT");
    return strcmp(front && *front ? front : "nginx", name) == 0;
}

const char *world_worker(void)
{
    return worker.other ? worker.name : NULL;
}

void world_give_to_worker(const char *path)
{
    if (worker.other)
        ck_assert_int_eq(chown(path, worker.uid, worker.gid), 0);
}

const char *world_folder(void)
{
    return place;
}

const char *world_key(void)
{
    return strchr(key_name, '=') + 1;
}

/* A folder below ours that the workers may write to. */
void world_make_folder(const char *kind, char *ret)
{
    snprintf(ret, WORLD_PATH, "%.90s/%s.XXXXXX", place, kind);
    ck_assert_msg(mkdtemp(ret) != NULL, "%s: %s", ret, strerror(errno));
    ck_assert_int_eq(chmod(ret, 0755), 0);
    world_give_to_worker(ret);
}

/* ---- the pool ---- */

void backend_make(struct backend *b)
{
    world_make_folder("pool", b->folder);
    snprintf(b->fast, sizeof b->fast, "%.110s/fast", b->folder);
    snprintf(b->hash, sizeof b->hash, "%.110s/hash", b->folder);
    snprintf(b->log, sizeof b->log, "%.110s/pool.log", b->folder);
    b->pid = 0;
}

static bool is_socket(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISSOCK(s.st_mode);
}

static void await_sockets(struct backend *b)
{
    int status;
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5)) {
        if (has_ended(b->pid, &status)) {
            b->pid = 0;
            break;
        }
        if (is_socket(b->fast) && is_socket(b->hash) && backend_logged(b, "\"started\""))
            return;
    }
    ck_abort_msg("the pool does not start, see %s", b->log);
}

const char *world_value(const char *const *names, const char *name)
{
    size_t len = strlen(name);
    for (; names && *names; names++)
        if (strncmp(*names, name, len) == 0 && (*names)[len] == '=')
            return *names + len + 1;
    return "";
}

const char *world_source(void)
{
    return getenv("srcdir") ? getenv("srcdir") : ".";
}

/* What most tests do in seconds is more than an account writes in a minute. */
const char *world_limits(const char *const *names)
{
    for (; names && *names; names++)
        if (strncmp(*names, "LIMITS", strlen("LIMITS")) == 0)
            return NULL;
    return "LIMITS=guesses";
}

void backend_again(struct backend *b, const char *const *names)
{
    char listen[WORLD_PATH + 16], hash_listen[WORLD_PATH + 16];
    const char *all[NAMES_MAX] = {listen, hash_listen};
    size_t n = 2;
    snprintf(listen, sizeof listen, "LISTEN=%s", b->fast);
    snprintf(hash_listen, sizeof hash_listen, "HASH_LISTEN=%s", b->hash);
    if ((all[n] = world_limits(names)))
        n++;
    for (; *names && n + 1 < NAMES_MAX; names++)
        all[n++] = *names;
    b->pid = world_start(LIST(program, "serve"), all, b->folder, b->log);
    await_sockets(b);
}

void backend_start(struct backend *b, const char *const *names)
{
    if (world_at("apache")) {
        apache_make_home(b, names);
        return;
    }
    backend_make(b);
    backend_again(b, names);
}

void backend_stop(struct backend *b)
{
    if (b->pid == 0)
        return;
    int status = world_end(b->pid, SIGTERM);
    b->pid = 0;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the pool ended with %#x, see %s",
                  (unsigned)status, b->log);
}

/* The processes that have `parent`; returns how many. */
static size_t children_of(pid_t parent, pid_t *ret_pids)
{
    char path[64];
    size_t count = 0;
    int pid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *children = fopen(path, "re");
    ck_assert_msg(children != NULL, "%s: %s", path, strerror(errno));
    while (count < WORKERS_MAX && fscanf(children, "%d", &pid) == 1)
        ret_pids[count++] = pid;
    (void)fclose(children);
    return count;
}

static bool is_among(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* The helper that sends mail; see fcgi-app/mailer.h. */
static bool is_mailer(pid_t pid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool is = fgets(name, sizeof name, file) && strcmp(name, "postern-mail\n") == 0;
    (void)fclose(file);
    return is;
}

static size_t some_children_of(pid_t parent, bool mailers, pid_t *ret_pids)
{
    pid_t pids[WORKERS_MAX];
    size_t count = 0, all = children_of(parent, pids);
    for (size_t i = 0; i < all; i++)
        if (is_mailer(pids[i]) == mailers)
            ret_pids[count++] = pids[i];
    return count;
}

size_t backend_workers(const struct backend *b, pid_t *ret_pids)
{
    return some_children_of(b->pid, false, ret_pids);
}

pid_t backend_await_mailer(const struct backend *b, pid_t without)
{
    pid_t pids[WORKERS_MAX];
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5))
        if (some_children_of(b->pid, true, pids) == 1 && pids[0] != without)
            return pids[0];
    ck_abort_msg("no process sends mail, see %s", b->log);
}

void backend_await_workers(const struct backend *b, size_t count, pid_t without)
{
    pid_t pids[WORKERS_MAX];
    size_t seen = 0;
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5)) {
        seen = backend_workers(b, pids);
        if (seen == count && !is_among(without, pids, seen))
            return;
    }
    ck_abort_msg("%zu workers instead of %zu, see %s", seen, count, b->log);
}

void backend_reload(const struct backend *b, size_t count)
{
    pid_t before[WORKERS_MAX];
    ck_assert_uint_eq(backend_workers(b, before), count);
    ck_assert_int_eq(kill(b->pid, SIGHUP), 0);
    for (size_t i = 0; i < count; i++)
        backend_await_workers(b, count, before[i]);
}

bool backend_logged(const struct backend *b, const char *text)
{
    return file_has(b->log, text) > 0;
}

/* ---- nginx ---- */

int world_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    (void)close(fd);
    ck_assert_msg(bound, "no free port: %s", strerror(errno));
    return ntohs(address.sin_port);
}

bool world_has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        (void)close(fd);
    return bound;
}

/* Where the certificate is among the names, or NULL. */
static const char *certificate_in(const char *const *names)
{
    static const char name[] = "TLS_CERT=";
    for (; names && *names; names++)
        if (strncmp(*names, name, strlen(name)) == 0)
            return *names + strlen(name);
    return NULL;
}

static void render(const struct front *f, const struct backend *b, const char *const *names)
{
    char listen[WORLD_PATH + 16], hash[WORLD_PATH + 16], run_dir[WORLD_PATH + 16];
    char address[64], plain[40], user[48], script[1024], folder[WORLD_PATH + 8];
    const char *all[NAMES_MAX] = {listen, hash, run_dir, address, plain, user};
    size_t n = 6;
    snprintf(listen, sizeof listen, "LISTEN=%s", b ? b->fast : "");
    snprintf(hash, sizeof hash, "HASH_LISTEN=%s", b ? b->hash : "");
    snprintf(run_dir, sizeof run_dir, "RUN_DIR=%s", f->folder);
    int len = snprintf(address, sizeof address, "NGINX_LISTEN=127.0.0.1:%d", f->port);
    if (world_has_ipv6())
        snprintf(address + len, sizeof address - (size_t)len, " [::1]:%d", f->port);
    snprintf(plain, sizeof plain, "PLAIN_LISTEN=127.0.0.2:%d", f->port);
    snprintf(user, sizeof user, "NGINX_USER=%s", worker.other ? worker.name : "");
    for (; names && *names && n + 1 < NAMES_MAX; names++)
        all[n++] = *names;
    snprintf(script, sizeof script, "%s/nginx/render", world_source());
    snprintf(folder, sizeof folder, "%s/conf", f->folder);
    ck_assert_int_eq(world_run(LIST(script, folder), all, NULL, NULL), 0);
}

/* nginx writes the file of its number when it has its port. */
static bool await_nginx(struct front *f)
{
    char path[WORLD_PATH + 16];
    struct stat s;
    int status;
    snprintf(path, sizeof path, "%s/nginx.pid", f->folder);
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5)) {
        if (has_ended(f->pid, &status))
            return false;
        if (stat(path, &s) == 0 && s.st_size > 0)
            return true;
    }
    (void)world_end(f->pid, SIGKILL);
    return false;
}

static bool start_nginx(struct front *f)
{
    char errors[WORLD_PATH + 24], conf[WORLD_PATH + 24], log[WORLD_PATH + 24];
    snprintf(errors, sizeof errors, "%s/nginx-error.log", f->folder);
    snprintf(conf, sizeof conf, "%s/conf/nginx.conf", f->folder);
    snprintf(log, sizeof log, "%s/nginx.log", f->folder);
    f->pid = start_logged(
        &(struct launch){.words = LIST("nginx", "-e", errors, "-c", conf), .folder = f->folder},
        log);
    return await_nginx(f);
}

/* What is changed in a file that nginx/render has made, in the lines that have `line` in them. */
struct edit {
    const char *file, *line, *command; /* sed's; NULL: nothing */
};

static void carry_out(const struct front *f, struct edit e)
{
    char script[120], path[WORLD_PATH + 40];
    if (!e.file)
        return;
    snprintf(script, sizeof script, "/%s/{%s;w /dev/stdout\n}", e.line, e.command);
    snprintf(path, sizeof path, "%s/conf/%s", f->folder, e.file);
    struct buf changed;
    buf_init(&changed, 4096);
    ck_assert_int_eq(world_run(LIST("sed", "-i", script, path), NULL, NULL, &changed), 0);
    ck_assert_uint_gt(changed.len, 0);
    buf_release(&changed);
}

/* A port that was free a moment ago may be taken: then nginx ends, and another is tried. */
static void start_front(struct front *f, const struct backend *b, const char *const *names,
                        struct edit edit)
{
    for (int tries = 0; tries < 5; tries++) {
        world_make_folder("nginx", f->folder);
        f->port = world_free_port();
        f->host = NULL;
        f->ca = certificate_in(names);
        render(f, b, names);
        carry_out(f, edit);
        if (start_nginx(f))
            return;
    }
    f->pid = 0;
    ck_abort_msg("nginx does not start, see %s", f->folder);
}

void front_start(struct front *f, const struct backend *b, const char *const *names)
{
    if (world_at("apache"))
        apache_start(f, b, names);
    else if (world_at("lighttpd"))
        lighttpd_start(f, b, names);
    else if (world_at("proxy"))
        proxied_apache_start(f, b, names);
    else
        start_front(f, b, names, (struct edit){NULL});
}

void front_start_impatient(struct front *f, const struct backend *b, unsigned seconds)
{
    char command[40];
    snprintf(command, sizeof command, "s/ .*/ %us;/", seconds);
    start_front(f, b, NULL, (struct edit){"fastcgi.conf", "fastcgi_read_timeout", command});
}

void front_start_strict(struct front *f, const struct backend *b, const char *const *names)
{
    if (world_at("nginx"))
        start_front(f, b, names, (struct edit){"http.conf", "rate=5r.s;", "s/5r.s/5r\\/m/"});
    else
        front_start(f, b, names);
}

void front_start_half(struct front *f, const struct backend *pool)
{
    struct backend half;
    backend_make(&half);
    ck_assert_int_eq(symlink(pool->hash, half.hash), 0);
    front_start(f, &half, LIST("LOGIN_LIMIT=off"));
}

void front_again(struct front *f)
{
    char path[WORLD_PATH + 16];
    snprintf(path, sizeof path, "%s/nginx.pid", f->folder);
    (void)unlink(path); /* of the one before, which may not have taken it along */
    ck_assert_msg(start_nginx(f), "nginx does not start again, see %s", f->folder);
}

void front_stop(struct front *f)
{
    if (f->pid)
        (void)world_end(f->pid, world_at("nginx") ? SIGQUIT : SIGTERM);
    f->pid = 0;
}

size_t front_workers(const struct front *f, pid_t *ret_pids)
{
    return children_of(f->pid, ret_pids);
}

static bool all_gone(const pid_t *pids, size_t count, const pid_t *now, size_t now_count)
{
    for (size_t i = 0; i < count; i++)
        if (is_among(pids[i], now, now_count))
            return false;
    return now_count > 0;
}

void front_reload(struct front *f)
{
    pid_t before[WORKERS_MAX], now[WORKERS_MAX];
    size_t count = children_of(f->pid, before);
    ck_assert_int_eq(kill(f->pid, SIGHUP), 0);
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5))
        if (all_gone(before, count, now, children_of(f->pid, now)))
            return;
    ck_abort_msg("nginx keeps its workers, see %s", f->folder);
}

/* ---- the database ---- */

void database(const char *verb)
{
    ck_assert_msg(world_run(LIST(getenv("DATABASE_CONTROL"), verb), NULL, NULL, NULL) == 0,
                  "the database does not %s", verb);
}

void database_lines(const char *sql, struct buf *output)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "USE postern; %s;", sql);
    ck_assert_msg(world_run(LIST(getenv("DATABASE_CONTROL"), "sql"), NULL, whole, output) == 0,
                  "%s fails", sql);
}

/* Its last line; above it is the name of the column. */
long database_number(const char *sql)
{
    struct buf b;
    buf_init(&b, 4096);
    database_lines(sql, &b);
    buf_add(&b, "", 1);
    const char *line = strchr(b.data, '\n');
    ck_assert_msg(line != NULL, "%s answers with nothing", sql);
    long n = strtol(line + 1, NULL, 10);
    buf_release(&b);
    return n;
}

struct db *database_hold(const char *table, const char *id)
{
    struct db *db;
    must(db_open(the_arena, getenv("DATABASE_URL"), &db));
    must(db_run(db, the_arena, "START TRANSACTION"));
    must(db_run(db, the_arena, say("SELECT id FROM %s WHERE id = '%s' FOR UPDATE", table, id)));
    return db;
}

void database_await_waiting(long count)
{
    /* The server looks again only when nobody has looked for a tenth of a second. */
    long seen = 0;
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(150)) {
        seen = database_number("SELECT COUNT(*) FROM information_schema.innodb_trx"
                               " WHERE trx_state = 'LOCK WAIT'");
        if (seen >= count)
            return;
    }
    ck_abort_msg("%ld requests wait for a lock, and not %ld", seen, count);
}

void database_let_go(struct db *db)
{
    must(db_run(db, the_arena, "ROLLBACK"));
    db_close(db);
}

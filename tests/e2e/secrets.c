/* secrets.c -- what was secret in a request is in no memory of the pool after it, which might be
 * swapped out, nor in a log; what a worker must keep is not shown to other processes of its user,
 * and in no core image. What no answer tells, check_discretion() looks for in all of them. */
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/own.h"

#define OLD_PASSWORD "zebra crossing 4711 at dawn"
#define NEW_PASSWORD "quiet lighthouse 0815 at dusk"
#define WRONG_PASSWORD "never the right one 1234"
#define LAST_PASSWORD "seven sparrows 2342 on a wire"
#define EMAIL "keeper@example.org"
#define RESET_URL "https://page.example.org/reset#"
#define MAIL_MS 20000 /* for what takes a moment, on a machine that is busy */
#define SECRETS_MAX 16
#define PIECE ((size_t)1 << 20)

static struct {
    const char *what, *text;
} secrets[SECRETS_MAX];
static int count;

static void keep(const char *what, const char *text)
{
    ck_assert_int_lt(count, SECRETS_MAX);
    secrets[count].what = what;
    secrets[count++].text = text;
    http_keep_secret(text); /* logs.c looks for it */
}

/* ---- a pool whose mail goes into a file ---- */

static char box[WORLD_PATH];

static const char *make_mailer(void)
{
    world_make_folder("box", box);
    const char *script = say("%s/send", box);
    FILE *file = fopen(script, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\ncat >>%s/mail\n", box);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(script, 0755), 0);
    return say("MAIL_COMMAND=%s -t", script);
}

/* Others than root may not read the memory of a process that is locked in. */
static void start_readable(void)
{
    count = 0;
    start_own(LIST("WORKERS=1", "HASH_WORKERS=1", make_mailer(), "MAIL_FROM=postern@example.org",
                   "RESET_URL=" RESET_URL, geteuid() == 0 ? "LOCKDOWN=on" : "LOCKDOWN=off"));
}

/* The token of the last message that leads to where passwords are reset. */
static const char *await_token(void)
{
    file_await(say("%s/mail", box), RESET_URL, 1, MAIL_MS);
    const char *at = strstr(file_text(say("%s/mail", box)), RESET_URL) + strlen(RESET_URL);
    return say("%.*s", (int)strcspn(at, "\r\n"), at);
}

NGINX_CASE("secrets");

/* ---- a worker's memory ---- */

/* Regions that are written to; of a shared one the file's name is the only difference. */
static bool next_region(FILE *maps, uint64_t *ret_from, uint64_t *ret_to)
{
    char line[512], rights[8];
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", ret_from, ret_to, rights) == 3 &&
            rights[0] == 'r' && rights[1] == 'w' && !strstr(line, "[vvar"))
            return true;
    return false;
}

static int times_in(const char *data, size_t len, const char *text)
{
    int times = 0;
    const char *end = data + len;
    for (const char *at = data; (at = memmem(at, (size_t)(end - at), text, strlen(text))); at++)
        times++;
    return times;
}

static int times_in_region(int memory, uint64_t from, uint64_t to, const char *text)
{
    size_t len = (size_t)(to - from);
    char *copy = malloc(len);
    ck_assert_ptr_nonnull(copy);
    ssize_t got = pread(memory, copy, len, (off_t)from);
    int times = got > 0 ? times_in(copy, (size_t)got, text) : 0;
    free(copy);
    return times;
}

static int times_in_memory(pid_t pid, const char *text)
{
    int times = 0;
    uint64_t from, to;
    FILE *maps = fopen(say("/proc/%d/maps", (int)pid), "re");
    int memory = open(say("/proc/%d/mem", (int)pid), O_RDONLY | O_CLOEXEC);
    ck_assert_ptr_nonnull(maps);
    ck_assert_int_ge(memory, 0);
    while (next_region(maps, &from, &to))
        times += times_in_region(memory, from, to, text);
    (void)close(memory);
    (void)fclose(maps);
    return times;
}

/* Two workers, who sends mail, and the parent. */
static int times_in_pool(const char *text)
{
    pid_t pids[WORKERS_MAX];
    size_t workers = backend_workers(&own, pids);
    int times =
        times_in_memory(own.pid, text) + times_in_memory(backend_await_mailer(&own, 0), text);
    ck_assert_uint_eq(workers, 2);
    for (size_t i = 0; i < workers; i++)
        times += times_in_memory(pids[i], text);
    return times;
}

/* An answer is there before its worker has done all that comes after it. */
static void await_gone(const char *what, const char *text)
{
    int times = 1;
    for (long end = now_ms() + PATIENCE_MS; times && now_ms() < end; pause_ms(20))
        times = times_in_pool(text);
    ck_assert_msg(times == 0, "%s is there %d times", what, times);
}

/* ---- what a user does ---- */

static struct answer post(const char *token, const char *path, const char *body)
{
    return fetch(.path = say("/api/auth/%s", path), .token = token, .body = body);
}

static void use_all(void)
{
    const char *in = object("{'email':'" EMAIL "','password':'" OLD_PASSWORD "'}");
    ck_status(post(NULL, "register", in), 201);
    ck_status(post(NULL, "login", object("{'email':'" EMAIL "','password':'" WRONG_PASSWORD "'}")),
              401);
    struct answer login = post(NULL, "login", in);
    const char *access = answer_text(login, "access_token");
    struct answer again = post(
        NULL, "refresh", object("{'refresh_token':'%s'}", answer_text(login, "refresh_token")));
    keep("the first access token", access);
    keep("the first refresh token", answer_text(login, "refresh_token"));
    keep("the second access token", answer_text(again, "access_token"));
    keep("the second refresh token", answer_text(again, "refresh_token"));
    ck_status(
        post(access, "password",
             object("{'current_password':'" OLD_PASSWORD "','new_password':'" NEW_PASSWORD "'}")),
        204);
    ck_status(fetch(.path = "/api/auth/profile", .token = access), 200);
}

static void forget_all(void)
{
    ck_status(post(NULL, "password/forgot", object("{'email':'" EMAIL "'}")), 202);
    const char *token = await_token();
    keep("a mailed token", token);
    ck_status(post(NULL, "password/reset",
                   object("{'token':'%s','new_password':'" LAST_PASSWORD "'}", token)),
              204);
}

/* A sanitizer keeps what was freed, and has more memory of its own than can be looked through;
 * where nothing is optimised, what a function had on its stack stays there. */
#if defined POSTERN_INSTRUMENTED || defined POSTERN_COUNTERS
#define ONE_BUILD_SHOWS_IT 0
#else
#define ONE_BUILD_SHOWS_IT 1
#endif

TEST_TIMES(nothing_secret_of_a_request_stays_in_memory, world_at("nginx") * ONE_BUILD_SHOWS_IT)
{
    start_readable();
    keep("the old password", OLD_PASSWORD);
    keep("the new password", NEW_PASSWORD);
    keep("a wrong password", WRONG_PASSWORD);
    keep("the last password", LAST_PASSWORD);

    use_all();
    forget_all();

    for (int i = 0; i < count; i++)
        await_gone(secrets[i].what, secrets[i].text);
    /* The reader of memory can find something: the key has to stay. */
    ck_assert_int_gt(times_in_pool(world_key()), 0);
    stop_own();
}

/* Each has locked itself in when it has answered. */
static void start_locked(pid_t ret_pids[WORKERS_MAX])
{
    start_own(LIST("WORKERS=1", "HASH_WORKERS=1"));
    ck_status(fetch(.path = "/api/ready"), 200);
    ck_status(post(NULL, "login", object("{'email':'" EMAIL "','password':'x'}")), 401);
    ck_assert_uint_eq(backend_workers(&own, ret_pids), 2);
}

TEST(no_process_of_the_same_user_sees_into_a_worker)
{
    pid_t pids[WORKERS_MAX];
    struct buf output;
    buf_init(&output, 1 << 20);
    start_locked(pids);

    for (int i = 0; i < 2; i++) {
        const char *environment = say("/proc/%d/environ", (int)pids[i]);
        const char *memory = say("/proc/%d/mem", (int)pids[i]);
        ck_assert_int_ne(
            world_run_as_worker(LIST("head", "-c", "9", environment), NULL, NULL, &output), 0);
        ck_assert_int_ne(world_run_as_worker(LIST("head", "-c", "9", memory), NULL, NULL, &output),
                         0);
    }
    ck_assert_uint_eq(output.len, 0);
    buf_release(&output);
    stop_own();
}

/* ---- a core image ---- */

/* Elsewhere a program of the system's gets them, which core(5) says how to ask. */
static bool cores_are_files_here(void)
{
    char pattern[8] = "";
    struct rlimit limit;
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    bool read = file && fgets(pattern, sizeof pattern, file);
    if (file)
        (void)fclose(file);
    return read && strncmp(pattern, "core", 4) == 0 && getrlimit(RLIMIT_CORE, &limit) == 0 &&
           limit.rlim_max == RLIM_INFINITY;
}

static void allow_cores(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_CORE, &all), 0);
}

static size_t cores(void)
{
    glob_t found;
    int failed = glob(say("%s/core*", own.folder), 0, NULL, &found);
    size_t n = failed ? 0 : found.gl_pathc;
    if (!failed)
        globfree(&found);
    return n;
}

TEST_TIMES(a_worker_that_crashes_leaves_no_core_image,
           world_at("nginx") * ONE_BUILD_SHOWS_IT * cores_are_files_here())
{
    pid_t pids[WORKERS_MAX];
    allow_cores();
    start_locked(pids);

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(kill(pids[i], SIGSEGV), 0);
        backend_await_workers(&own, 2, pids[i]);
    }

    ck_assert_uint_eq(cores(), 0);
    /* Whoever is not locked in would leave one. */
    (void)world_run_as_worker(LIST("sh", "-c", say("cd %s && kill -SEGV $$", own.folder)), NULL,
                              NULL, NULL);
    ck_assert_uint_eq(cores(), 1);
    stop_own();
}

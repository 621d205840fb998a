#include "common/process/child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/base/arena.h"

#define DEFAULT_PATH "PATH=/usr/local/bin:/usr/bin:/bin"

/* One that ends in * stands for all that begin so. */
static const char *const passed[] = {
    "PATH",       "HOME",        "USER",         "LOGNAME",       "SHELL",
    "TMPDIR",     "TZ",          "LANG",         "LANGUAGE",      "LC_*",
    "http_proxy", "https_proxy", "HTTPS_PROXY",  "all_proxy",     "ALL_PROXY",
    "no_proxy",   "NO_PROXY",    "SSL_CERT_DIR", "SSL_CERT_FILE", "CURL_CA_BUNDLE",
};

static bool is_called(const char *variable, const char *name)
{
    size_t len = strcspn(name, "*");
    return strncmp(variable, name, len) == 0 && (name[len] == '*' || variable[len] == '=');
}

static bool is_passed(const char *variable)
{
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (is_called(variable, passed[i]))
            return true;
    return false;
}

/* environ is NULL after clearenv(3). */
char *const *child_environment(struct arena *a)
{
    size_t count = 0;
    bool has_path = false;
    for (char **at = environ; at && *at; at++)
        count += is_passed(*at);
    char **list = arena_array(a, count + 2, sizeof *list), **to = list;
    for (char **at = environ; at && *at; at++) {
        if (!is_passed(*at))
            continue;
        has_path |= is_called(*at, "PATH");
        *to++ = *at;
    }
    if (!has_path) /* as where a web server starts us */
        *to++ = arena_strdup(a, DEFAULT_PATH);
    return list;
}

static int set_files(posix_spawn_file_actions_t *actions, const struct child *child)
{
    int failed = posix_spawn_file_actions_adddup2(actions, child->in, STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, child->out, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, child->err, STDERR_FILENO);
    if (!failed) /* the listening socket and the database are not its own */
        failed = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return failed;
}

static int set_attributes(posix_spawnattr_t *attributes, const struct child *child)
{
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    return posix_spawnattr_setflags(attributes,
                                    (short)(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                            (child->alone ? POSIX_SPAWN_SETSID : 0)));
}

static int start(const struct child *child, posix_spawn_file_actions_t *actions, pid_t *ret)
{
    posix_spawnattr_t attributes;
    int failed = posix_spawnattr_init(&attributes);
    if (failed)
        return failed;
    failed = set_attributes(&attributes, child);
    if (!failed)
        failed = posix_spawnp(ret, child->words[0], actions, &attributes, child->words,
                              child->environment);
    (void)posix_spawnattr_destroy(&attributes);
    return failed;
}

pid_t child_start(const struct child *child)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        failed = set_files(&actions, child);
        if (!failed)
            failed = start(child, &actions, &pid);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    errno = failed;
    return failed ? -1 : pid;
}

void child_reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)signal(SIGHUP, SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

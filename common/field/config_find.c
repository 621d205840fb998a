#include "common/field/config_find.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/problem.h"

#define FOLDERS_MAX 6

const char *program_path(struct arena *a)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    if (len <= 0 || len == sizeof path)
        return NULL;
    return arena_copy(a, path, (size_t)len);
}

/* Does it belong to us or to root, and may not everybody add files to it? */
static bool is_trusted(const char *folder)
{
    struct stat s;
    return stat(*folder ? folder : "/", &s) == 0 && (s.st_uid == geteuid() || s.st_uid == 0) &&
           !(s.st_mode & S_IWOTH);
}

static struct problem *judge(struct arena *a, const char *path, const struct stat *s)
{
    if (!S_ISREG(s->st_mode))
        return problem_because(a, &problem_internal, "%s is not a file", path);
    if (s->st_uid != geteuid())
        return problem_because(a, &problem_internal,
                               "%s belongs to user %u, and the program runs as user %u: name it "
                               "by --config if that is meant so",
                               path, (unsigned)s->st_uid, (unsigned)geteuid());
    if (s->st_mode & (S_IRWXG | S_IRWXO))
        return problem_because(a, &problem_internal,
                               "%s can be read or written by others than its owner: chmod 600 %s",
                               path, path);
    return NULL;
}

/* From one folder to the one above it; false after the last. `folder` begins as the program. */
static bool go_up(char *folder, int *count)
{
    if (!*folder || (*count)++ == FOLDERS_MAX)
        return false;
    *strrchr(folder, '/') = '\0';
    return true;
}

struct problem *config_find(struct arena *a, const char *program, const char *name,
                            const char **ret_path)
{
    char *folder = arena_strdup(a, program ? program : "");
    *ret_path = NULL;
    for (int count = 0; go_up(folder, &count);) {
        if (!is_trusted(folder))
            return NULL;
        const char *path = arena_printf(a, "%s/%s", folder, name);
        struct stat s;
        if (stat(path, &s) == 0) {
            struct problem *p = judge(a, path, &s);
            *ret_path = p ? NULL : path;
            return p;
        }
        if (errno != ENOENT)
            return problem_because(a, &problem_internal, "%s: %s", path, strerror(errno));
    }
    return NULL;
}

/* A number, and the name that goes with it. */
static const char *user_of(struct arena *a, uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    return user ? arena_printf(a, "%u (%s)", (unsigned)uid, user->pw_name)
                : arena_printf(a, "%u", (unsigned)uid);
}

const char *config_find_stop(struct arena *a, const char *program, const char **ret_folder)
{
    char *folder = arena_strdup(a, program ? program : "");
    struct stat s;
    for (int count = 0; go_up(folder, &count);) {
        if (is_trusted(folder))
            continue;
        *ret_folder = *folder ? folder : "/";
        if (stat(*ret_folder, &s) != 0)
            return arena_printf(a, "cannot be looked at: %s", strerror(errno));
        if (s.st_uid != geteuid() && s.st_uid != 0)
            return arena_printf(a, "belongs to user %s, and the program runs as user %s",
                                user_of(a, s.st_uid), user_of(a, geteuid()));
        return "everybody may write to";
    }
    return NULL;
}

const char *config_nearest(struct arena *a, const char *program, const char *name)
{
    char *folder = arena_strdup(a, program ? program : "");
    for (int count = 0; go_up(folder, &count);) {
        const char *path = arena_printf(a, "%s/%s", folder, name);
        if (access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}

bool config_is_below(const char *path, const char *root)
{
    char file[PATH_MAX], folder[PATH_MAX];
    if (!realpath(path, file) || !realpath(root, folder))
        return false;
    size_t len = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    return strncmp(file, folder, len) == 0 && file[len] == '/';
}

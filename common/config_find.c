#include "config_find.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "problem.h"

#define FOLDERS_MAX 6

const char *program_path(struct arena *a)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    if (len <= 0 || len == sizeof path)
        return NULL;
    return arena_copy(a, path, (size_t)len);
}

/* May we go by what is in there? */
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

struct problem *config_find(struct arena *a, const char *program, const char *name,
                            const char **ret_path)
{
    char *folder = arena_strdup(a, program ? program : "");
    *ret_path = NULL;
    for (int i = 0; i < FOLDERS_MAX && *folder; i++) {
        *strrchr(folder, '/') = '\0';
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

bool config_is_below(const char *path, const char *root)
{
    char file[PATH_MAX], folder[PATH_MAX];
    if (!realpath(path, file) || !realpath(root, folder))
        return false;
    size_t len = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    return strncmp(file, folder, len) == 0 && file[len] == '/';
}

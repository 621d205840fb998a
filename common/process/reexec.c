#include "common/process/reexec.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "common/process/pool.h"

/* The file as it is now; false when there is none. */
static bool look_at(const char *path, struct reexec_file *ret)
{
    struct stat s;
    if (!path || stat(path, &s) != 0)
        return false;
    *ret = (struct reexec_file){path, s.st_dev, s.st_ino, s.st_size, s.st_mode, s.st_mtim};
    return true;
}

static bool is_same(const struct reexec_file *a, const struct reexec_file *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mode == b->mode && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

void reexec_init(struct reexec *r, char **argv, const char *program, const char *config)
{
    const char *const paths[RENEWAL_FILES] = {program, config};
    *r = (struct reexec){.argv = argv};
    for (size_t i = 0; i < RENEWAL_FILES; i++) {
        r->files[i].path = paths[i];
        (void)look_at(paths[i], &r->files[i]); /* one that comes later is a change */
    }
}

bool reexec_watches(const struct reexec *r)
{
    for (size_t i = 0; i < RENEWAL_FILES; i++)
        if (r->files[i].path)
            return true;
    return false;
}

bool reexec_is_due(struct reexec *r)
{
    bool due = false;
    for (size_t i = 0; i < RENEWAL_FILES; i++) {
        struct reexec_file now;
        if (!look_at(r->files[i].path, &now) || is_same(&now, &r->files[i]))
            continue;
        r->files[i] = now;
        due = true;
    }
    return due;
}

/* A signal that comes while the new program is not ready for it would kill: it must wait, and the
 * server lets it in. */
static void hold_signals_back(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

bool reexec_try(const struct reexec *r)
{
    if (!pool_trial(r->argv))
        return false;
    hold_signals_back();
    return true;
}

void reexec_become(const struct reexec *r)
{
    pool_become(r->argv);
}

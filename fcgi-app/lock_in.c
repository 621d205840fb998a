#include "fcgi-app/lock_in.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/db/db_url.h"
#include "common/process/lockdown.h"
#include "fcgi-app/settings.h"

#define DATABASE_PORT 3306
#define DOMAIN_PORT 53 /* a long answer about a name comes by TCP */
#define PATHS_MAX 32   /* all that are listed below: 26 */

struct paths {
    const char *list[PATHS_MAX + 1];
    size_t count;
};

static void add(struct paths *paths, const char *path)
{
    if (paths->count == PATHS_MAX)
        abort(); /* what is left out would be refused, and nobody could tell why */
    paths->list[paths->count++] = path;
}

/* The folder of a file that may be replaced; NULL and what is no path have none. */
static void add_folder(struct arena *a, struct paths *paths, const char *file)
{
    const char *slash = file && *file == '/' ? strrchr(file, '/') : NULL;
    if (slash)
        add(paths, arena_copy(a, file, (size_t)(slash - file) + 1));
}

/* Where the database is. */
struct reach {
    uint16_t *ports; /* 0 at the end */
    bool by_name, by_network;
};

static bool is_number(const char *host)
{
    struct in6_addr into;
    return inet_pton(AF_INET, host, &into) == 1 || inet_pton(AF_INET6, host, &into) == 1;
}

static void find_reach(struct arena *a, const struct db_url *url, struct reach *ret)
{
    size_t count = 0;
    ret->ports = arena_array(a, url->host_count + 2, sizeof *ret->ports);
    for (size_t i = 0; i < url->host_count; i++) {
        const struct db_host *host = &url->hosts[i];
        if (db_url_is_local(url, host))
            continue; /* by a socket, whose path is no file to open */
        ret->by_network = true;
        ret->by_name |= !is_number(host->name);
        ret->ports[count++] = (uint16_t)(host->port ? host->port : DATABASE_PORT);
    }
    if (ret->by_name)
        ret->ports[count++] = DOMAIN_PORT;
}

/* A certificate may be renewed meanwhile, in its folder or where a link from there leads. */
static void add_certificate(struct arena *a, struct paths *paths, const char *file)
{
    char *real = file ? realpath(file, NULL) : NULL;
    add_folder(a, paths, file);
    add_folder(a, paths, real);
    free(real);
}

static void add_certificates(struct arena *a, struct paths *paths, const struct db_tls *tls)
{
    add_certificate(a, paths, tls->ca);
    add_certificate(a, paths, tls->cert);
    add_certificate(a, paths, tls->key);
}

/* How a name is looked up may change meanwhile, and /etc/resolv.conf is another file then. What is
 * secret in /etc is so by its mode. */
static void add_for_database(struct paths *paths, const struct reach *reach)
{
    static const char *const always[] = {"/etc/localtime", "/etc/ld.so.cache",
                                         "/etc/nsswitch.conf"};
    static const char *const network[] = {"/etc/ssl",
                                          "/usr/share/ca-certificates",
                                          "/usr/local/share/ca-certificates",
                                          "/etc/hosts",
                                          "/etc/host.conf",
                                          "/etc/gai.conf"};
    static const char *const names[] = {"/etc", "/run/systemd/resolve", "/run/resolvconf",
                                        "/run/NetworkManager", "/run/nscd"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add(paths, always[i]);
    for (size_t i = 0; reach->by_network && i < sizeof network / sizeof *network; i++)
        add(paths, network[i]);
    for (size_t i = 0; reach->by_name && i < sizeof names / sizeof *names; i++)
        add(paths, names[i]);
}

/* Libraries that are opened when they are needed: how a user proves who it is to MariaDB, how a
 * name is looked up. */
static void add_libraries(struct paths *paths)
{
    static const char *const libraries[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib",
                                            "/lib",     "/lib64",     "/dev/urandom"};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        add(paths, libraries[i]);
}

static void complain(const char *cause)
{
    LOG(LOG_LEVEL_WARNING, log_event("not_locked_in"), log_text("cause", cause));
}

static void lock(const struct lockdown *kept)
{
    struct lockdown_state state;
    lockdown(kept, &state);
    if (state.why)
        complain(state.why);
}

static void lock_narrow(struct arena *a, const struct settings *s)
{
    struct db_url url;
    struct reach reach = {0};
    struct paths read = {0};
    if (db_url_read(a, s->database_url.data, &url))
        return; /* no worker starts with such a one */
    find_reach(a, &url, &reach);
    add_certificates(a, &read, &url.tls);
    db_url_release(&url);
    add_libraries(&read);
    add_for_database(&read, &reach);
    lock(&(const struct lockdown){.kills = s->lockdown == LOCKDOWN_KILL,
                                  .uses_network = reach.by_network,
                                  .read = read.list,
                                  .ports = reach.ports});
}

static void lock_wide(struct arena *a, const struct settings *s, bool guards_files)
{
    struct paths write = {0};
    add(&write, "/dev");
    add_folder(a, &write, s->log_to.data);
    add_folder(a, &write, s->state_file.data);
    lock(&(const struct lockdown){
        .starts_programs = true, .uses_network = true, .write = guards_files ? write.list : NULL});
}

void lock_in(struct arena *a, const struct settings *settings, enum worker_kind kind)
{
    if (settings->lockdown == LOCKDOWN_OFF)
        return;
    if (settings->mail_command.len && kind != WORKER_OF_POOL) { /* a pool has a helper for it */
        lockdown_limits();
        complain("MAIL_COMMAND is started from here");
    } else if (kind == WORKER_OF_POOL) {
        lock_narrow(a, settings);
    } else {
        lock_wide(a, settings, kind == WORKER_ALONE);
    }
}

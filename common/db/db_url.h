/* db_url.h -- where a database is: mysql://user:password@host:port,host:port/name?socket=path, and
 * how connections to it are encrypted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"

struct arena;

struct problem;

struct db_host {
    const char *name;
    unsigned port; /* 0: none given */
};

/* Connections by TCP; those by a unix socket are not encrypted. Each string may be NULL. */
struct db_tls {
    enum {
        DB_TLS_OFFERED,  /* where the server offers it; whoever that is */
        DB_TLS_ANY,      /* always; whoever the server is */
        DB_TLS_VERIFIED, /* always, with a certificate that is good for the host's name */
    } need;
    const char *ca;         /* whose certificates are good, a file; NULL: the system's */
    const char *cert, *key; /* our own, files; both or none */
    const char *verify;     /* as it was written; `need` has what it means */
};

/* The strings borrow from `parts`, which is the text cut up. */
struct db_url {
    char *parts;
    size_t parts_size;
    const char *user, *password, *name, *socket; /* password and socket may be NULL */
    struct db_host *hosts;
    size_t host_count; /* at least one */
    struct db_tls tls;
};

/** Take a URL apart (RFC 3986, percent-encoding undone). An @ or a / of the user, the password or
 *  the name must be encoded. problem_internal with what is wrong in `cause`, which never shows the
 *  password. */
struct problem *db_url_read(struct arena *a, const char *text, struct db_url *ret) MUST_USE;

/** Is the way to this host a unix socket: `socket`, or the library's own where no port is given? */
bool db_url_is_local(const struct db_url *url, const struct db_host *host);

/** Wipe and free. */
void db_url_release(struct db_url *url);

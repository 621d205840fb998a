/* db_url.h -- where a database is: mysql://user:password@host:port,host:port/name?socket=path. */
#pragma once

#include <stddef.h>

#include "common/base/compiler.h"

struct arena;

struct problem;

struct db_host {
    const char *name;
    unsigned port; /* 0: none given */
};

/* The strings borrow from `parts`, which is the text cut up. */
struct db_url {
    char *parts;
    size_t parts_size;
    const char *user, *password, *name, *socket; /* password and socket may be NULL */
    struct db_host *hosts;
    size_t host_count; /* at least one */
};

/** Take a URL apart (RFC 3986, percent-encoding undone). An @ or a / of the user, the password or
 *  the name must be encoded. problem_internal with what is wrong in `cause`, which never shows the
 *  password. */
struct problem *db_url_read(struct arena *a, const char *text, struct db_url *ret) MUST_USE;

/** Wipe and free. */
void db_url_release(struct db_url *url);

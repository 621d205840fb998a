/* server.h -- one FastCGI worker: accept, read, hand over, answer in one write. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

struct problem;

struct server {
    int listen_fd;         /* a listening stream socket; closed by nobody here */
    const char *base_path; /* "/api" */
    size_t body_max;       /* bytes */
    void (*handle)(void *context, struct request *rq, struct response *rs);
    void *context;
    void (*ready)(void);         /* called before the first accept; or NULL */
    _Atomic int64_t *busy_since; /* set while a request runs, monotonic ns; or NULL */
};

/**
 * Serve one request after another until SIGTERM, SIGINT or SIGUSR1; the request that runs then is
 * finished first. Ends at once when the listening socket fails.
 *
 * A peer that stops half-way in a record loses its connection after 10 s. The request and
 * everything in its arena are gone when `handle` has returned and the answer is written.
 */
void server_run(const struct server *server);

/**
 * Bind and listen on a unix socket (an absolute path, or one below the working directory),
 * mode 0660, owned by `group` unless NULL, or on `host:port` where `address` has no slash.
 *
 * A socket file that nobody answers on any more is replaced. INTERNAL with the reason in `cause`.
 */
struct problem *server_listen(struct arena *a, const char *address, int backlog, const char *group,
                              int *ret_fd) MUST_USE;

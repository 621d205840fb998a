/* server.h -- one FastCGI worker: accept, read, hand over, answer in one write; or CGI. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http/request.h"
#include "common/http/response.h"

struct arena;
struct reexec;

struct server {
    int listen_fd;         /* a listening stream socket; its owner closes it */
    const char *base_path; /* "/api" */
    bool is_script;        /* the web server runs us as one; see request_follow_script() */
    bool finds_base;       /* which then may find a base better than `base_path` */
    size_t body_max;       /* bytes */
    void (*handle)(void *context, struct request *rq, struct response *rs);
    void *context;
    /* For a request that was postponed and came at `came`, by monotonic_ns(): 0 to handle it again,
     * else after how many ms to ask again. NULL: none is. */
    unsigned (*wait_ms)(void *context, enum postponed kind, int64_t came);
    bool is_for_one_kind; /* all wait for the same: while one is postponed, the others may as well
                             stay in the queue of the socket, which has its bound */
    void (*begin)(void *context); /* called when all is open, at the start; or NULL */
    void (*ready)(void);          /* called after it, before the first accept; or NULL */
    _Atomic int64_t *busy_since;  /* set while a request runs, monotonic ns; or NULL */
    unsigned idle_s;              /* after so long without a request ... */
    void (*idle)(void *context);  /* ... this is called; 0 or NULL: never. Also before a re-exec */
    /* Work that can wait, done between requests: called after each, and once when there was none
     * for `quiet_s` (0: not then); again as long as it returns true and nobody waits; or NULL. Its
     * arena is emptied each time. */
    bool (*spare)(void *context, struct arena *a);
    unsigned quiet_s;
    unsigned request_s;    /* how long a request may take to come; 0: 30 */
    unsigned grace_s;      /* how long a request may take after SIGTERM; 0: as long as it needs */
    struct reexec *reexec; /* for SIGHUP and changed files; NULL: a parent does that */
};

/**
 * Serve one request after another until SIGTERM, SIGINT or SIGUSR1; the request that runs then is
 * finished first, and one that is still coming, or waits for its turn, has 5 s, or half of
 * `grace_s`; but when it takes longer than `grace_s` the process exits with 0 in the middle of it.
 * Ends so when the listening socket fails.
 *
 * With `reexec`, its files are looked at each second and before a request is taken from the
 * socket; a change of them, and SIGHUP, lead to a trial and a new program (reexec.h). Only a
 * request that has begun is finished by the old one.
 *
 * A request that comes in parts holds only itself: others are served meanwhile (peers.h, with the
 * bounds). A peer that stops half-way loses its connection after 10 s, and one that does not come
 * to its end after `request_s`. Who does not read an answer does hold the worker, for up to 10 s
 * each time that nothing is read: a web server must take all of it, whatever its client does, as
 * nginx does. The request and everything in its arena are gone when `handle` has returned and the
 * answer is written; of one that is postponed, what the peer has sent is kept.
 */
void server_run(const struct server *server);

/**
 * Answer the one request of a CGI program (RFC 3875): `env` and standard input are the request,
 * standard output takes the answer, and is then /dev/null. A body that does not come whole is not
 * answered. Of `server`, what is about waiting and about sockets has no meaning.
 */
void server_run_once(const struct server *server, char *const *env);

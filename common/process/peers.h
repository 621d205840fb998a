/* peers.h -- who is connected to a worker: of several whose requests come in parts, who is whole.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/base/compiler.h"
#include "common/process/fastcgi.h"

#define PEERS_MAX 16       /* that wait for the rest of their request */
#define PEERS_CHUNK 65536  /* bytes that are received at once */
#define PEER_TIMEOUT_S 10  /* of silence, and of not reading */
#define PEERS_REQUEST_S 30 /* from the first byte to the last */
#define PEERS_ENDING_S 5   /* what is left for those who wait when the worker is to end, or less */

#define PEERS_POSTPONED_MAX 48   /* whose request is whole, and waits for its turn */
#define PEERS_POSTPONED_S 15     /* at the longest */
#define PEER_POSTPONED_MAX 65536 /* bytes of the request of one */

struct peer {
    int fd; /* -1: this place is free */
    struct fastcgi request;
    int64_t since, heard; /* monotonic, ns: it waits, and when something came */
    int64_t postponed;    /* its request is whole, and waits for its turn since then; 0: not so */
    int queue;            /* with others who wait for the same */
};

/* What a worker holds. */
struct peers {
    int listen_fd;     /* borrowed */
    size_t count;      /* places that are not free */
    size_t postponed;  /* how many of these wait for their turn */
    size_t bytes_max;  /* of all requests that have not come whole, together */
    int64_t limit_ns;  /* how long a request may take to come */
    int64_t ending_ns; /* what is left at the end; the caller's to set to less */
    int64_t ends_at;   /* nobody else is let in, and who is here goes then; 0: there is no end */
    bool is_narrow;    /* while one is postponed nobody else is let in; the caller's to set */
    bool has_timer;
    timer_t timer;
    /* One more than may wait, for who has just come. In the first, where all go who do not wait,
     * memory stays from one request to the next; in the others it is freed. */
    struct peer at[PEERS_MAX + PEERS_POSTPONED_MAX + 1];
    char chunk[PEERS_CHUNK];
};

/** On the caller's storage. A request keeps up to `body_max` bytes of its body, and has `request_s`
 *  to come; 0: PEERS_REQUEST_S. */
void peers_open(struct peers *all, int listen_fd, size_t body_max, unsigned request_s);

/** Hang up on all, and free. */
void peers_close(struct peers *all);

/**
 * The next one whose request is whole, for peers_drop() after the answer. NULL with `errno` when
 * there is none now: EAGAIN and EINTR pass, anything else is of accept(2).
 *
 * With nobody here, waits in accept(2) as long as the socket's own time-out says, and reads what is
 * there at once: a web server that sends a request in one piece costs these two calls, or two more
 * where it is slower than we are, and of several workers the kernel wakes one. Whose request is not
 * whole then stays. While somebody does, waits in poll(2) for any of them and for the next,
 * `wait_ms` at most, or -1: without end. While all who stay are postponed, waits in accept(2), for
 * some milliseconds or `wait_ms`.
 *
 * Who is silent for PEER_TIMEOUT_S or takes longer than `request_s` is dropped. So is, when there
 * are more than PEERS_MAX or more bytes than two of the largest requests have, who was silent
 * longest: those who send half of something keep nobody out.
 */
struct peer *peers_next(struct peers *all, int wait_ms);

/** Is there something to read, or somebody to let in, within `wait_ms`? */
bool peers_wait(struct peers *all, int wait_ms);

/** May the request of this one, which is whole, be handled again later? Not when it has waited for
 *  too long already, when too many do, or when it is large. */
bool peers_may_postpone(const struct peers *all, const struct peer *peer);

/** It is, with others in `queue`: the peer, who came at `came`, is not listened to until then. */
void peers_postpone(struct peers *all, struct peer *peer, int queue, int64_t came);

/** Of those in `queue` the one who came first; NULL: nobody is there. Drops who has hung up. */
struct peer *peers_first_postponed(struct peers *all, int queue);

/** The answer is out. What the request has is there until peers_drop(). */
void peer_hang_up(struct peer *peer);

/** Hang up, wipe the request, and free the place. */
void peers_drop(struct peers *all, struct peer *peer);

/** From now on nobody is let in, and who is here has `ending_ns`; or, with false, as before. */
void peers_end(struct peers *all, bool is_end);

/** Send all of it, waiting where the peer does not read, PEER_TIMEOUT_S for each piece. One that is
 *  gone gets nothing: there is nobody to tell. */
void peer_send(int fd, const char *data, size_t len);

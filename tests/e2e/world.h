/* world.h -- the real program behind the real nginx or Apache, in a folder of their own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "tests/support/clock.h"

struct db;

#define WORLD_PATH 128 /* bytes of a path; those of sockets are shorter than 108 */
#define WORKERS_MAX 32

#define ADMIN_EMAIL "admin@example.org"

/* A list of `NAME=value`, or the words of a command. */
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A pool of workers, or whatever else answers on these sockets. */
struct backend {
    char folder[WORLD_PATH];
    char fast[WORLD_PATH], hash[WORLD_PATH]; /* the sockets */
    char log[WORLD_PATH];
    pid_t pid; /* 0: does not run */
};

/* An nginx in front of a backend. */
struct front {
    char folder[WORLD_PATH];
    int port;
    pid_t pid;
    const char *host; /* NULL: 127.0.0.1 */
    const char *ca;   /* who speaks for it over TLS, a file; NULL: plain HTTP */
};

/**
 * Make the folder, copy ./postern there, bring the database up to date and make an admin
 * (ADMIN_EMAIL, PASSWORD). False, with a message on stderr, when that fails.
 *
 * When this process is gone, even by SIGKILL, so are soon the folder and all that was started;
 * with POSTERN_TEST_KEEP in the environment the folder stays.
 */
bool world_open(void);
void world_close(void);

/**
 * Is this what stands in front, which E2E_FRONT says? `nginx` where it is not set; `lighttpd` and
 * `proxy` reach the same pools (proxies.h), but with E2E_SPAWNED lighttpd has workers of its own;
 * `apache` is Apache with mod_fcgid as it is on a shared host (apache.h): then backend_start()
 * makes a home there, and front_start() shows it. Tests of what is nginx's own are added for nginx
 * only.
 */
bool world_at(const char *front);

/** Where Apache's suEXEC has the scripts of a site run as its user: that one, which E2E_SITE_USER
 *  names, and which pools run as then; else NULL. */
const char *world_site_user(void);

/** The folder that holds those of all backends and fronts. */
const char *world_folder(void);

/** The key that signs the tokens of this run. */
const char *world_key(void);

/** Run a command to its end with `input`, or nothing; its output, unless NULL, is added to
 *  `output`. Returns the exit status. */
int world_run(const char *const *words, const char *const *names, const char *input,
              struct buf *output);

/** Start a command in `folder`, as the user that pools run as; it ends when we do. Its output
 *  goes to `log`. */
pid_t world_start(const char *const *words, const char *const *names, const char *folder,
                  const char *log);

/** The same as whoever runs the tests, maybe root. */
pid_t world_start_as_us(const char *const *words, const char *const *names, const char *folder,
                        const char *log);

/** As world_run, but as the user that pools run as. */
int world_run_as_worker(const char *const *words, const char *const *names, const char *input,
                        struct buf *output);

/** Is there a ::1? Then an nginx of ours listens on its port there, too. */
bool world_has_ipv6(void);

/** The name of that user; NULL when we are it. A file or a new folder for it; a free port. */
const char *world_worker(void);
void world_give_to_worker(const char *path);
void world_make_folder(const char *kind, char *ret);
int world_free_port(void);

/** True when a process of ours is gone. */
bool world_has_ended(pid_t pid);

/** Ask a process with `signal` to end, and wait; after PATIENCE_MS it is killed, and the test
 *  fails. Returns what waitpid says. */
int world_end(pid_t pid, int signal);

/** Make a backend's folder and names, without starting anything. */
void backend_make(struct backend *b);

/** What `names`, a list or NULL, say of `name`; "" where nothing. */
const char *world_value(const char *const *names, const char *name);

/** The folder of the sources. */
const char *world_source(void);

/** The LIMITS that a program has here; NULL where `names` say it. */
const char *world_limits(const char *const *names);

/** `postern serve` with a pool on both sockets, and these settings besides. */
void backend_start(struct backend *b, const char *const *names);

/** The same at the sockets of one that has ended, whatever way. */
void backend_again(struct backend *b, const char *const *names);

/** With SIGTERM; fails the test unless it ends with status 0. Nothing if it does not run. */
void backend_stop(struct backend *b);

/** The workers that a pool has just now; returns how many. */
size_t backend_workers(const struct backend *b, pid_t *ret_pids);

/** Wait until a pool has `count` workers, and none that is `without`. */
void backend_await_workers(const struct backend *b, size_t count, pid_t without);

/** Wait until a pool has one process that sends mail, and which is not `without`. */
pid_t backend_await_mailer(const struct backend *b, pid_t without);

/** Have all of its `count` workers replaced, by SIGHUP, and wait until they are. */
void backend_reload(const struct backend *b, size_t count);

/** Is `text` in what the backend has written to its log? */
bool backend_logged(const struct backend *b, const char *text);

/** An nginx on a free port, rendered with these names besides those that it needs. TLS_CERT among
 *  them is kept by `f`; plain HTTP is then on the same port of 127.0.0.2. Without a backend it has
 *  others' hosts behind it, by APP_HOSTS. */
void front_start(struct front *f, const struct backend *b, const char *const *names);

/** The same without names, where the pool is waited for no longer than `seconds`. */
void front_start_impatient(struct front *f, const struct backend *b, unsigned seconds);

/** One that lets a network log in five times a minute, after a burst of twenty, and not five times
 * a second: no machine is too slow to meet that limit. */
void front_start_strict(struct front *f, const struct backend *b, const char *const *names);

/** A front that reaches only the socket where `pool` hashes: all else is 502. */
void front_start_half(struct front *f, const struct backend *pool);
void front_stop(struct front *f);

/** The same nginx, on its port, after front_stop(). */
void front_again(struct front *f);

/** The processes that an nginx has just now; returns how many. */
size_t front_workers(const struct front *f, pid_t *ret_pids);

/** Have nginx take its configuration again; returns when the workers from before are gone. */
void front_reload(struct front *f);

/** Do one of the things that $DATABASE_CONTROL knows. */
void database(const char *verb);

/** The lines that a query answers with, as root, added to `output`; a number. */
void database_lines(const char *sql, struct buf *output);
long database_number(const char *sql);

/** Lock the row of a table that has this id, which keeps requests inside their workers until it
 *  is let go; wait until so many of them, or more, wait for a lock. */
struct db *database_hold(const char *table, const char *id);
void database_await_waiting(long count);
void database_let_go(struct db *db);

/** The whole of a file, added to `b`. False when there is none. */
bool read_file(const char *path, struct buf *b);

/** How often `text` is in a file, which need not be there; wait until it is there so often, for
 *  `limit_ms` at most. */
int file_has(const char *path, const char *text);
void file_await(const char *path, const char *text, int times, long limit_ms);

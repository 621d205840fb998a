/* db_internal.h -- what the files db*.c and budget.c know of a connection; for no other file. */
#pragma once

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/db/budget.h"
#include "common/db/db.h"
#include "common/db/db_connect.h"
#include "common/db/db_statement.h"
#include "common/db/db_url.h"

#define STATEMENTS_MAX 64 /* of one connection */

/* See budget.h. */
struct budget {
    struct budget_limits limits; /* of 0 ms: none */
    struct budget_shared *shared;
    struct lease place, turn;
    int64_t came; /* when the request did, by monotonic_ns(); 0: it is not known */
    int64_t ends; /* in the same way; 0: no read was long yet */
    bool is_late; /* it was not the request's turn */
};

struct db {
    struct db_url url;
    size_t host; /* of url.hosts: the one to begin with, and then the one in use */
    struct backed_off *backed_off; /* for each */
    struct db_hosts *hosts;        /* db_share(), or our own */
    struct db_hosts own_hosts;
    int64_t leave_at; /* when to look for a better host than the one in use; 0: it is good */

    MYSQL *mysql;   /* NULL: not connected */
    unsigned owner; /* `generation` when it was connected */
    bool is_encrypted;
    bool pinned, in_transaction;
    bool guarded;               /* the transaction is; see db_guard() */
    int64_t heard_at;           /* when the server answered last, by monotonic_ns() */
    int64_t deadline;           /* db_limit(); FOREVER: none */
    struct wait wait;           /* the latest one */
    bool busy;                  /* rows are being handed out */
    struct problem *txn_failed; /* why the current transaction cannot be committed any more */

    struct statement statements[STATEMENTS_MAX];
    size_t statement_count;
    uint64_t uses;

    struct budget budget;

    struct db_counts counts;
    bool was_connected;
    uint64_t random;
};

/** `p` again; ends the program when it is NULL, for want of memory. */
void *db_must(void *p);

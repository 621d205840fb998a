/* database_model.h -- what the database server says of itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/db.h"

#define DATABASE_FAULTS_MAX 5

struct database {
    struct text version; /* "10.11.6-MariaDB-0+deb12u1" */
    struct instant now;  /* by its clock */
    int64_t connections_max;
    int64_t packet_max;      /* bytes */
    int64_t forced_recovery; /* innodb_force_recovery */
    bool read_only;          /* takes no writes */
    bool innodb_read_only;   /* nor will, until it is restarted with another option */
    bool logs_statements;    /* for its replicas, which our isolation level does not allow */
};

/* How it sees our connection; both empty for one that is not encrypted. */
struct encryption {
    struct text protocol; /* "TLSv1.3" */
    struct text cipher;   /* "TLS_AES_256_GCM_SHA384" */
};

struct problem *database_ask_encryption(struct db *db, struct arena *a,
                                        struct encryption *ret) MUST_USE;

struct problem *database_ask(struct db *db, struct arena *a, struct database *ret) MUST_USE;

/** May the account write? Tries it on no row: db_is_denied() of the problem, if not. */
struct problem *database_check_rights(struct db *db, struct arena *a) MUST_USE;

/** Why we cannot serve with such a server, apart from the schema: what is wrong and how to fix
 *  it, each to be read after "the database". Returns how many; they live as long as `a`. */
size_t database_faults(const struct database *d, struct arena *a,
                       const char *ret_faults[DATABASE_FAULTS_MAX]);

/** Ask, and judge: problem_unavailable with the first of its faults. Cheap: one statement. */
struct problem *database_check(struct db *db, struct arena *a) MUST_USE;

/** The same, and is its schema at least the one that this program was built for?
 * problem_unavailable with what is wrong. */
struct problem *database_check_schema(struct db *db, struct arena *a) MUST_USE;

/* db_failure.h -- inside db: which error number of MariaDB means what. */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

struct arena;
struct db;
struct problem;
struct statement;

/** Turn an error into a problem, and leave `db` as the error demands. `repeatable`: the statement
 *  changes nothing, or was only prepared. */
struct problem *db_failed(struct db *db, struct arena *a, bool repeatable, unsigned number,
                          const char *message) MUST_USE;

/** The same for the latest error of a statement. */
struct problem *db_statement_failed(struct db *db, struct arena *a, bool repeatable,
                                    const struct statement *s) MUST_USE;

/** Does the host refuse us: the password, the account, the database? It will do so until somebody
 *  changes the configuration, while one that is down may be up the next moment. */
bool db_is_refusal(unsigned number);

/** Did the first part of a DB_ATOMIC() find nothing to do? */
bool db_is_none(const struct problem *p);

/** Was a statement ended by an operator, or by its limit? What it had committed until then
 *  stands. */
bool db_is_interrupted(const struct problem *p);

/** Is there a row with such a key? */
bool db_is_duplicate(const struct problem *p);

/** What db_is_statement_timeout() is true of. */
struct problem *db_statement_timeout(struct arena *a);

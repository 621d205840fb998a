#include "fcgi-app/system/database_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/field/field.h"
#include "common/base/problem.h"
#include "fcgi-app/migrations.h"

#define VERSION_MIN 101105       /* MariaDB 10.11.5: UUIDs of version 7 sort by time */
#define PACKET_MIN (2048 * 1024) /* a blob of the search index, and all else that has 64 KiB */
#define FORCED_RECOVERY_MAX 4    /* from 5 on InnoDB takes no writes */

static const struct field database_fields[] = {
    FIELD(struct database, version, .doc = "What it calls itself."),
    FIELD(struct database, now, .doc = "Its time."),
    FIELD(struct database, connections_max, .doc = "How many may be connected."),
    FIELD(struct database, packet_max, .doc = "How long a statement may be."),
    FIELD(struct database, forced_recovery, .doc = "How much of InnoDB is switched off."),
    FIELD(struct database, read_only, .doc = "Whether it takes no writes."),
    FIELD(struct database, innodb_read_only, .doc = "Whether its tables take none."),
    FIELD(struct database, logs_statements, .doc = "Whether its log is of statements."),
};
static const struct record database_record =
    RECORD("Database", struct database, database_fields, .rule = NULL);

/* `read_only` became a word in later versions. */
static const struct sql sql_ask = {
    "SELECT VERSION() AS version, UTC_TIMESTAMP(6) AS now, @@max_connections AS connections_max, "
    "@@max_allowed_packet AS packet_max, @@innodb_force_recovery AS forced_recovery, "
    "@@read_only NOT IN ('0', 'OFF') AS read_only, @@innodb_read_only AS innodb_read_only, "
    "@@log_bin AND @@binlog_format = 'STATEMENT' AS logs_statements",
    &database_record};

struct problem *database_ask(struct db *db, struct arena *a, struct database *ret)
{
    bool found;
    struct problem *p = db_find(db, a, &sql_ask, DB_NO_ARGS, ret, &found);
    if (!p && !found)
        p = problem_because(a, &problem_unavailable, "the database does not tell its version");
    return p;
}

static const struct field encryption_fields[] = {
    FIELD(struct encryption, protocol, .doc = "Of TLS."),
    FIELD(struct encryption, cipher, .doc = "Of TLS."),
};
static const struct record encryption_record =
    RECORD("Encryption", struct encryption, encryption_fields, .rule = NULL);

static const struct sql sql_ask_encryption = {
    "SELECT MAX(IF(VARIABLE_NAME = 'SSL_VERSION', VARIABLE_VALUE, '')) AS protocol, "
    "MAX(IF(VARIABLE_NAME = 'SSL_CIPHER', VARIABLE_VALUE, '')) AS cipher "
    "FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME IN ('SSL_VERSION', 'SSL_CIPHER')",
    &encryption_record};

struct problem *database_ask_encryption(struct db *db, struct arena *a, struct encryption *ret)
{
    bool found;
    *ret = (struct encryption){TEXT(""), TEXT("")};
    return db_find(db, a, &sql_ask_encryption, DB_NO_ARGS, ret, &found);
}

/* The server judges rights before it looks for rows, and no row is like this. */
static const struct sql sql_tries[] = {
    {"INSERT INTO session_refreshes (hash, session_id, used_at) "
     "SELECT hash, session_id, used_at FROM session_refreshes WHERE 1 = 0",
     NULL},
    {"UPDATE session_refreshes SET used_at = used_at WHERE 1 = 0", NULL},
    {"DELETE FROM session_refreshes WHERE 1 = 0", NULL},
};

struct problem *database_check_rights(struct db *db, struct arena *a)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < sizeof sql_tries / sizeof *sql_tries; i++)
        p = db_execute(db, a, &sql_tries[i], DB_NO_ARGS, NULL);
    return p;
}

static bool is_too_old(const struct database *d)
{
    unsigned major = 0, minor = 0, patch = 0;
    return sscanf(d->version.data, "%u.%u.%u", &major, &minor, &patch) != 3 ||
           !strstr(d->version.data, "MariaDB") || (major * 100 + minor) * 100 + patch < VERSION_MIN;
}

size_t database_faults(const struct database *d, struct arena *a,
                       const char *ret_faults[DATABASE_FAULTS_MAX])
{
    size_t n = 0;
    if (is_too_old(d))
        ret_faults[n++] =
            arena_printf(a, "is %s; it must be MariaDB 10.11.5 or later", d->version.data);
    if (d->logs_statements)
        ret_faults[n++] = "has binlog_format = STATEMENT, with which it refuses our writes; set "
                          "it to ROW or MIXED";
    if (d->innodb_read_only)
        ret_faults[n++] = "has innodb_read_only, and so takes no writes; start it without";
    if (d->forced_recovery > FORCED_RECOVERY_MAX)
        ret_faults[n++] = arena_printf(a,
                                       "has innodb_force_recovery = %" PRId64
                                       ", and so takes no writes; restore it, and start it without",
                                       d->forced_recovery);
    if (d->packet_max < PACKET_MIN)
        ret_faults[n++] = arena_printf(a,
                                       "has max_allowed_packet = %" PRId64
                                       ", too little for the search index; set it to %d or more",
                                       d->packet_max, PACKET_MIN);
    return n;
}

struct problem *database_check(struct db *db, struct arena *a)
{
    const char *faults[DATABASE_FAULTS_MAX];
    struct database d;
    struct problem *p = database_ask(db, a, &d);
    if (p || !database_faults(&d, a, faults))
        return p;
    return problem_because(a, &problem_unavailable, "the database %s", faults[0]);
}

struct problem *database_check_schema(struct db *db, struct arena *a)
{
    struct problem *p = database_check(db, a);
    return p ? p : migrate_check(db, a, migrations, migration_count);
}

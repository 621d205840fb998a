/* `postern doctor`: one look at everything around the program. */
#include "fcgi-app/cli/commands.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fcgi-app/cli/doctor.h"
#include "common/db/db_url.h"
#include "common/field/field.h"
#include "common/base/problem.h"
#include "common/search/build.h"
#include "common/db/counter_sweep.h"
#include "common/process/lockdown.h"
#include "fcgi-app/system/database_model.h"
#include "fcgi-app/migrations.h"
#include "fcgi-app/nginx_files.h"
#include "fcgi-app/cli/listing.h"

#define SKEW_WARN_US 1000000
#define SKEW_FAIL_US 5000000 /* the leeway for tokens of another host */
#define SWEEP_LATE_S 600     /* workers sweep each minute at the latest */
#define FILES_MIN 256        /* open files; a worker has a dozen, the parent two for each */

/* ---- output ---- */

struct finding {
    unsigned verdict;       /* enum verdict */
    struct text what, mend; /* the fix; `doctor --json` has it by this name */
};

static const char *const verdicts[] = {
    [VERDICT_OK] = "ok", [VERDICT_WARN] = "warn", [VERDICT_FAIL] = "FAIL", NULL};
static const struct field finding_fields[] = {
    FIELD(struct finding, verdict, .use = FIELD_SHOWN, .choices = verdicts),
    FIELD(struct finding, what, .use = FIELD_SHOWN),
    FIELD(struct finding, mend, .use = FIELD_SHOWN),
};
static const struct record finding_record = RECORD("Finding", struct finding, finding_fields, 0);

/* Flushed at once, for some of the next checks take seconds. */
static void print_finding(struct doctor *doctor, enum verdict verdict, const char *what,
                          const char *fix)
{
    const struct finding finding = {verdict, text_of(what), text_of(fix)};
    if (cli_option(doctor->context, "json"))
        print_record(doctor->arena, &finding_record, &finding, true);
    else
        printf("%-4s %s%s%s\n", verdicts[verdict], shown_text(doctor->arena, finding.what),
               *fix ? ": " : "", shown_text(doctor->arena, finding.mend));
    (void)flush_output(); /* main() tells when it failed */
}

/* ---- files and rights ---- */

/* Files with a secret are for the program and root alone. */
static void check_secret_file(struct doctor *doctor, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        doctor_tell(doctor, VERDICT_FAIL, path, "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        doctor_ok(doctor, "%s is handed to us, and no file of its own", path);
    else if (st.st_mode & (S_IROTH | S_IWOTH))
        doctor_tell(doctor, VERDICT_FAIL, path,
                    "has a secret that everybody on this machine can read; chmod 640 %s", path);
    else if (st.st_mode & S_IWGRP)
        doctor_tell(doctor, VERDICT_WARN, path, "its group can write it; chmod g-w %s", path);
    else
        doctor_ok(doctor, "%s is readable by who should read it, mode %04o", path,
                  (unsigned)st.st_mode & 07777);
}

/* A file from which no secret came must only be safe from being written. */
static void check_plain_file(struct doctor *doctor, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH))
        doctor_tell(doctor, VERDICT_FAIL, path, "everybody can write it; chmod o-w %s", path);
    else
        doctor_ok(doctor, "%s has no secret in it", path);
}

/* The URL of a database without a password is none: MariaDB may know its users by their sockets. */
static bool is_secret(struct doctor *doctor, const struct field *f)
{
    struct db_url url;
    if (!(f->use & FIELD_SECRET))
        return false;
    const struct text *t = (const void *)((const char *)doctor->settings + f->offset);
    bool is_url = f->offset == offsetof(struct settings, database_url) ||
                  f->offset == offsetof(struct settings, migrate_database_url);
    if (!is_url || !t->data || db_url_read(doctor->arena, t->data, &url))
        return true;
    bool has_password = url.password && *url.password;
    db_url_release(&url);
    return has_password;
}

/* Look at the file itself only once, and at those that it or the environment names. */
static void check_files(struct doctor *doctor, const struct cli *cli)
{
    bool in_config = false;
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct origin *origin = &cli->origins[i];
        if (!origin->kind || !is_secret(doctor, &settings_record.fields[i]))
            continue;
        if (origin->file)
            check_secret_file(doctor, origin->file);
        else if (origin->kind == ORIGIN_FILE)
            in_config = true;
    }
    if (!cli->config_path)
        return;
    if (in_config)
        check_secret_file(doctor, cli->config_path);
    else
        check_plain_file(doctor, cli->config_path);
}

/* What DATABASE_URL names; the certificates are no secrets. */
static void check_tls_files(struct doctor *doctor)
{
    struct db_url url;
    const char *text = doctor->settings->database_url.data;
    if (!text || db_url_read(doctor->arena, text, &url))
        return;
    const char *const certificates[] = {url.tls.ca, url.tls.cert};
    for (size_t i = 0; i < 2; i++)
        if (certificates[i] && access(certificates[i], R_OK) != 0)
            doctor_tell(doctor, VERDICT_FAIL, certificates[i], "%s; DATABASE_URL names it",
                        strerror(errno));
    if (url.tls.key)
        check_secret_file(doctor, url.tls.key);
    db_url_release(&url);
}

static void check_user(struct doctor *doctor)
{
    if (geteuid() != 0)
        doctor_ok(doctor, "runs as user %u and not as root", (unsigned)geteuid());
    else if (doctor->settings->env == ENV_PRODUCTION)
        doctor_tell(doctor, VERDICT_WARN, "runs as root",
                    "the server would refuse to, and root may what its user may not; ask again "
                    "as that user, such as with runuser -u");
}

/* The kernel silently cuts a longer backlog. */
static void check_backlog(struct doctor *doctor)
{
    static const char path[] = "/proc/sys/net/core/somaxconn";
    long long most = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fscanf(file, "%lld", &most) == 1 && doctor->settings->listen.len) {
        if (most < doctor->settings->backlog)
            doctor_tell(doctor, VERDICT_WARN, "BACKLOG",
                        "only %lld connections can wait; sysctl net.core.somaxconn=%lld", most,
                        (long long)doctor->settings->backlog);
        else
            doctor_ok(doctor, "BACKLOG %lld is within the system's %lld",
                      (long long)doctor->settings->backlog, most);
    }
    (void)fclose(file);
}

static void check_limits(struct doctor *doctor)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    if (files.rlim_cur < FILES_MIN)
        doctor_tell(doctor, VERDICT_WARN, "open files",
                    "only %llu are allowed; ulimit -n 1024, or LimitNOFILE in the unit",
                    (unsigned long long)files.rlim_cur);
    else
        doctor_ok(doctor, "%llu open files are allowed", (unsigned long long)files.rlim_cur);
}

/* What this process could give up, a worker of the server can too, unless its service manager or
 * container is stricter; then its log says so. */
static void check_lockdown(struct doctor *doctor)
{
    struct lockdown_state state;
    lockdown_probe(&state);
    if (doctor->settings->lockdown == LOCKDOWN_OFF)
        doctor_tell(doctor, VERDICT_WARN, "LOCKDOWN",
                    "is off: a worker that were taken over could do all that its user can");
    else if (state.why)
        doctor_tell(doctor, VERDICT_WARN, "LOCKDOWN", "%s", state.why);
    else if (doctor->settings->mail_command.len && !doctor->settings->listen.len)
        doctor_tell(doctor, VERDICT_WARN, "LOCKDOWN",
                    "workers start MAIL_COMMAND, and so keep what any program may need");
    else
        doctor_ok(doctor, "workers can give up system calls and files (Landlock %d)",
                  state.landlock);
}

/* ---- the database ---- */

static void check_server(struct doctor *doctor, const struct database *d)
{
    const char *faults[DATABASE_FAULTS_MAX];
    size_t count = database_faults(d, doctor->arena, faults);
    for (size_t i = 0; i < count; i++)
        doctor_tell(doctor, VERDICT_FAIL, "database", "%s", faults[i]);
    if (!count)
        doctor_ok(doctor, "database is %s", d->version.data);
}

static void check_room(struct doctor *doctor, const struct database *d)
{
    const struct settings *s = doctor->settings;
    /* Without LISTEN the sockets come from elsewhere, and their kind is unknown. */
    bool known = s->listen.len > 0;
    int64_t workers = s->workers + (s->hash_listen.len || !known ? s->hash_workers : 0);
    if (d->read_only)
        doctor_tell(doctor, VERDICT_FAIL, "database",
                    "takes no writes (read_only); promote it, or put the primary first in "
                    "DATABASE_URL");
    if (workers >= d->connections_max)
        doctor_tell(doctor, VERDICT_WARN, "database",
                    "%lld workers are more than its max_connections of %lld allow; raise it",
                    (long long)workers, (long long)d->connections_max);
    else
        doctor_ok(doctor, "database has room for %lld connections, and we open %s%lld",
                  (long long)d->connections_max, known ? "" : "one for each worker, at most ",
                  (long long)workers);
}

static void check_clock(struct doctor *doctor, const struct database *d, struct instant before)
{
    int64_t ours = (before.us + instant_now().us) / 2;
    int64_t skew = d->now.us - ours, size = llabs(skew);
    if (size < SKEW_WARN_US)
        doctor_ok(doctor, "clocks of this host and the database agree within a second");
    else
        doctor_tell(doctor, size < SKEW_FAIL_US ? VERDICT_WARN : VERDICT_FAIL, "clock",
                    "the database's is %.1f s %s ours; run NTP on both", (double)size / 1e6,
                    skew > 0 ? "ahead of" : "behind");
}

static void check_schema(struct doctor *doctor, struct db *db)
{
    enum migration_state *states = arena_array(doctor->arena, migration_count, sizeof *states);
    size_t unknown = 0;
    struct problem *p = migrate_check(db, doctor->arena, migrations, migration_count);
    if (!p)
        p = migrate_compare(db, doctor->arena, migrations, migration_count);
    if (!p)
        p = migrate_status(db, doctor->arena, migrations, migration_count, states, &unknown);
    if (p)
        doctor_tell(doctor, VERDICT_FAIL, "schema", "%s", p->cause);
    else if (unknown)
        doctor_tell(doctor, VERDICT_WARN, "schema",
                    "has %zu migrations of a later program; install that one here, too", unknown);
    else
        doctor_ok(doctor, "schema is the one of this program");
}

static void check_rights(struct doctor *doctor, struct db *db)
{
    struct problem *p = database_check_rights(db, doctor->arena);
    if (!p)
        doctor_ok(doctor, "account of DATABASE_URL may write");
    else if (db_is_denied(p))
        doctor_tell(doctor, VERDICT_FAIL, "account of DATABASE_URL",
                    "%s; GRANT SELECT, INSERT, UPDATE, DELETE on the whole database to it",
                    p->cause);
    /* All else was reported already, such as a table that is missing. */
}

static void check_index(struct doctor *doctor, const char *table, const struct index_state *state)
{
    const char *name = arena_printf(doctor->arena, "search index of %s", table);
    if (!state->is_live)
        doctor_tell(doctor, VERDICT_FAIL, name,
                    "has not been built, and so nothing is found; run `postern migrate`");
    else if (!state->is_ours)
        doctor_tell(doctor, VERDICT_WARN, name,
                    "was built by another release, and may miss words; run `postern reindex`");
    else if (state->lost)
        doctor_tell(doctor, VERDICT_WARN, name,
                    "has lost %lld parts that could not be read; run `postern reindex`",
                    (long long)state->lost);
    else
        doctor_ok(doctor, "%s is there; a patch of it has %lld KiB at most", name,
                  (long long)state->patch_max / 1024);
}

static void check_search(struct doctor *doctor, struct db *db)
{
    for (size_t i = 0; search_indexes[i]; i++) {
        struct index_state state;
        if (search_look(db, doctor->arena, search_indexes[i], &state))
            return; /* reported already: there is no schema to ask */
        check_index(doctor, search_indexes[i]->counter->table, &state);
    }
}

/* What waits is counted, and so no total is wrong; but each list reads all of it. */
static void check_totals(struct doctor *doctor, struct db *db)
{
    struct backlog waiting;
    if (counter_backlog(db, doctor->arena, &waiting))
        return; /* reported already: there is no schema to ask */
    if (waiting.age_s < SWEEP_LATE_S)
        doctor_ok(doctor, "totals are swept; %lld changes wait", (long long)waiting.count);
    else
        doctor_tell(doctor, VERDICT_WARN, "totals",
                    "%lld changes%s wait to be swept, the oldest for %lld min; is the server "
                    "running, and does its log say sweep_failed? `postern reindex` sweeps, too",
                    (long long)waiting.count, waiting.count > BACKLOG_MAX ? " or more" : "",
                    (long long)waiting.age_s / 60);
}

static void check_encryption(struct doctor *doctor, struct db *db)
{
    struct encryption e;
    struct problem *p = database_ask_encryption(db, doctor->arena, &e);
    if (p)
        doctor_tell(doctor, VERDICT_FAIL, "database", "%s", p->cause);
    else if (e.cipher.len)
        doctor_ok(doctor, "connection to the database is encrypted: %s, %s; its certificate %s",
                  e.protocol.data, e.cipher.data,
                  db_is_verified(db) ? "is verified"
                                     : "is not verified, as ssl-ca in DATABASE_URL would have it");
    else if (db_is_remote(db))
        doctor_tell(doctor, VERDICT_WARN, "connection to the database",
                    "is not encrypted, and %s is another host; give that server a certificate, "
                    "and DATABASE_URL ssl-ca with who signed it",
                    db_where(db, doctor->arena));
    else
        doctor_ok(doctor, "connection to the database is not encrypted, and stays on this host");
}

static void ask_database(struct doctor *doctor, struct db *db)
{
    struct database d;
    struct problem *p = db_ping(db, doctor->arena); /* connects, which is not to count as skew */
    struct instant before = instant_now();
    if (!p)
        p = database_ask(db, doctor->arena, &d);
    if (p) {
        doctor_tell(doctor, VERDICT_FAIL, "database", "%s; start it, or correct DATABASE_URL",
                    p->cause);
        return;
    }
    check_clock(doctor, &d, before);
    doctor_ok(doctor, "database answers at %s", db_where(db, doctor->arena));
    check_encryption(doctor, db);
    check_server(doctor, &d);
    check_room(doctor, &d);
    check_schema(doctor, db);
    if (!d.read_only && !d.innodb_read_only)
        check_rights(doctor, db);
    check_search(doctor, db);
    check_totals(doctor, db);
    doctor_hashes(doctor, db);
    doctor_limits(doctor, db);
    doctor_mail(doctor, db);
}

/* A bad URL was reported with the settings. */
static void check_database(struct doctor *doctor)
{
    struct db *db;
    const char *url = doctor->settings->database_url.data;
    if (!url || db_open(doctor->arena, url, &db))
        return;
    ask_database(doctor, db);
    db_close(db);
}

/* ---- what nginx/render has written ---- */

/* The previous release's files work, but lack what the new one has added. */
static void check_rendered(struct doctor *doctor, const char *folder, bool is_named)
{
    static const char key[] = "# templates: ";
    const char *path = arena_printf(doctor->arena, "%s/http.conf", folder);
    char line[256];
    bool is_ours = false;
    FILE *file = fopen(path, "re");
    if (!file) {
        if (is_named)
            doctor_tell(doctor, VERDICT_FAIL, path, "%s", strerror(errno));
        return;
    }
    while (!is_ours && fgets(line, sizeof line, file))
        is_ours = strncmp(line, key, strlen(key)) == 0 &&
                  strcspn(line + strlen(key), "\n") == strlen(nginx_templates) &&
                  strncmp(line + strlen(key), nginx_templates, strlen(nginx_templates)) == 0;
    (void)fclose(file);
    if (is_ours)
        doctor_ok(doctor, "%s was rendered for this program", path);
    else
        doctor_tell(doctor, VERDICT_WARN, path,
                    "was rendered for another release; run nginx/render, or dpkg-reconfigure "
                    "postern, and reload nginx");
}

/* Where nginx/README and the Debian package have them. */
static void check_nginx(struct doctor *doctor, const char *folder)
{
    if (folder) {
        check_rendered(doctor, folder, true);
        return;
    }
    check_rendered(doctor, "/etc/postern/nginx", false);
    check_rendered(doctor, "/etc/nginx/postern", false);
}

/* ---- all of it ---- */

int command_doctor(struct cli *cli)
{
    struct doctor doctor = {.arena = cli->arena,
                            .settings = &cli->settings,
                            .origins = cli->origins,
                            .tell = print_finding,
                            .context = cli};
    const char *url = cli_option(cli, "url");
    doctor_settings(&doctor);
    check_files(&doctor, cli);
    check_tls_files(&doctor);
    check_user(&doctor);
    check_limits(&doctor);
    check_backlog(&doctor);
    check_lockdown(&doctor);
    check_database(&doctor);
    doctor_sockets(&doctor);
    check_nginx(&doctor, cli_option(cli, "nginx"));
    if (url)
        doctor_url(&doctor, url);
    return doctor.failed ? EX_UNAVAILABLE : EX_OK;
}

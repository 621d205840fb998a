/* `postern doctor`: one look at everything around the program. */
#include "commands.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkup.h"
#include "common/db_url.h"
#include "common/field.h"
#include "common/problem.h"
#include "fcgi-app/database_model.h"
#include "fcgi-app/migrations.h"
#include "listing.h"

#define SKEW_WARN_US 1000000
#define SKEW_FAIL_US 5000000 /* what tokens of another host are forgiven */
#define FILES_MIN 256        /* open files; a worker has a dozen, the parent two for each */
#define VERSION_MIN 1011     /* MariaDB 10.11 */

/* ---- how it is told ---- */

struct finding {
    unsigned verdict; /* enum verdict */
    struct text what, mend;
};

static const char *const verdicts[] = {
    [VERDICT_OK] = "ok", [VERDICT_WARN] = "warn", [VERDICT_FAIL] = "FAIL", NULL};
static const struct field finding_fields[] = {
    FIELD(struct finding, verdict, .use = FIELD_SHOWN, .choices = verdicts),
    FIELD(struct finding, what, .use = FIELD_SHOWN),
    FIELD(struct finding, mend, .use = FIELD_SHOWN),
};
static const struct record finding_record = RECORD("Finding", struct finding, finding_fields, 0);

/* Each at once, for some of what comes next takes seconds. */
static void print_finding(struct checkup *c, enum verdict verdict, const char *what,
                          const char *mend)
{
    const struct finding finding = {verdict, text_of(what), text_of(mend)};
    if (cli_option(c->context, "json"))
        print_record(c->arena, &finding_record, &finding, true);
    else
        printf("%-4s %s%s%s\n", verdicts[verdict], shown_text(c->arena, finding.what),
               *mend ? ": " : "", shown_text(c->arena, finding.mend));
    fflush(stdout);
}

/* ---- files and rights ---- */

/* Files with a secret are for the program and root alone. */
static void check_secret_file(struct checkup *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        checkup_tell(c, VERDICT_FAIL, path, "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        checkup_ok(c, "%s is handed to us, and no file of its own", path);
    else if (st.st_mode & (S_IROTH | S_IWOTH))
        checkup_tell(c, VERDICT_FAIL, path,
                     "has a secret that everybody on this machine can read; chmod 640 %s", path);
    else if (st.st_mode & S_IWGRP)
        checkup_tell(c, VERDICT_WARN, path, "its group can write it; chmod g-w %s", path);
    else
        checkup_ok(c, "%s is readable by who should read it, mode %04o", path,
                   (unsigned)st.st_mode & 07777);
}

/* A file from which no secret came must only be safe from being written. */
static void check_plain_file(struct checkup *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH))
        checkup_tell(c, VERDICT_FAIL, path, "everybody can write it; chmod o-w %s", path);
    else
        checkup_ok(c, "%s has no secret in it", path);
}

/* Is the origin "PATH:LINE"? */
static bool is_line_of(const char *origin, const char *path)
{
    size_t len = path ? strlen(path) : 0;
    return path && strncmp(origin, path, len) == 0 && origin[len] == ':';
}

/* A DATABASE_URL without a password is none: MariaDB may know its users by their sockets. */
static bool is_secret(struct checkup *c, const struct field *f)
{
    struct db_url url;
    if (!(f->use & FIELD_SECRET))
        return false;
    if (f->offset != offsetof(struct settings, database_url) ||
        db_url_read(c->arena, c->settings->database_url.data, &url))
        return true;
    bool has_password = url.password && *url.password;
    db_url_release(&url);
    return has_password;
}

/* Look at the file itself only once, and at those that it or the environment names. */
static void check_files(struct checkup *c, const struct cli *cli)
{
    bool in_config = false;
    for (size_t i = 0; i < settings_record.count; i++) {
        const char *origin = cli->origins[i];
        const char *file = origin ? config_origin_file(origin) : NULL;
        if (!origin || !is_secret(c, &settings_record.fields[i]))
            continue;
        if (file)
            check_secret_file(c, file);
        else if (is_line_of(origin, cli->config_path))
            in_config = true;
    }
    if (!cli->config_path)
        return;
    if (in_config)
        check_secret_file(c, cli->config_path);
    else
        check_plain_file(c, cli->config_path);
}

static void check_user(struct checkup *c)
{
    if (geteuid() != 0)
        checkup_ok(c, "runs as user %u and not as root", (unsigned)geteuid());
    else if (c->settings->env == ENV_PRODUCTION)
        checkup_tell(c, VERDICT_WARN, "runs as root",
                     "the server would refuse to, and root may what its user may not; ask again "
                     "as that user, such as with runuser -u");
}

/* The kernel cuts a longer backlog without a word. */
static void check_backlog(struct checkup *c)
{
    static const char path[] = "/proc/sys/net/core/somaxconn";
    long long most = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fscanf(file, "%lld", &most) == 1 && c->settings->listen.len) {
        if (most < c->settings->backlog)
            checkup_tell(c, VERDICT_WARN, "BACKLOG",
                         "only %lld connections can wait; sysctl net.core.somaxconn=%lld", most,
                         (long long)c->settings->backlog);
        else
            checkup_ok(c, "BACKLOG %lld is within the system's %lld",
                       (long long)c->settings->backlog, most);
    }
    (void)fclose(file);
}

static void check_limits(struct checkup *c)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    if (files.rlim_cur < FILES_MIN)
        checkup_tell(c, VERDICT_WARN, "open files",
                     "only %llu are allowed; ulimit -n 1024, or LimitNOFILE in the unit",
                     (unsigned long long)files.rlim_cur);
    else
        checkup_ok(c, "%llu open files are allowed", (unsigned long long)files.rlim_cur);
}

/* ---- the database ---- */

static void check_version(struct checkup *c, const struct database *d)
{
    unsigned major = 0, minor = 0;
    bool known = sscanf(d->version.data, "%u.%u", &major, &minor) == 2;
    if (!known || !strstr(d->version.data, "MariaDB"))
        checkup_tell(c, VERDICT_FAIL, "database", "is %s; it must be MariaDB 10.11 or later",
                     d->version.data);
    else if (major * 100 + minor < VERSION_MIN)
        checkup_tell(c, VERDICT_FAIL, "database", "MariaDB %s is too old; 10.11 or later is needed",
                     d->version.data);
    else
        checkup_ok(c, "database is %s", d->version.data);
}

static void check_room(struct checkup *c, const struct database *d)
{
    const struct settings *s = c->settings;
    int64_t workers = s->workers + (s->hash_listen.len ? s->hash_workers : 0);
    if (d->read_only)
        checkup_tell(c, VERDICT_FAIL, "database",
                     "takes no writes (read_only); promote it, or put the primary first in "
                     "DATABASE_URL");
    if (workers >= d->connections_max)
        checkup_tell(c, VERDICT_WARN, "database",
                     "%lld workers are more than its max_connections of %lld allow; raise it",
                     (long long)workers, (long long)d->connections_max);
    else
        checkup_ok(c, "database has room for %lld connections, and we open %lld",
                   (long long)d->connections_max, (long long)workers);
}

static void check_clock(struct checkup *c, const struct database *d, struct instant before)
{
    int64_t ours = (before.us + instant_now().us) / 2;
    int64_t skew = d->now.us - ours, size = llabs(skew);
    if (size < SKEW_WARN_US)
        checkup_ok(c, "clocks of this host and the database agree within a second");
    else
        checkup_tell(c, size < SKEW_FAIL_US ? VERDICT_WARN : VERDICT_FAIL, "clock",
                     "the database's is %.1f s %s ours; run NTP on both", (double)size / 1e6,
                     skew > 0 ? "ahead of" : "behind");
}

static void ask_database(struct checkup *c, struct db *db)
{
    struct database d;
    struct problem *p = db_ping(db, c->arena); /* connects, which is not to count as skew */
    struct instant before = instant_now();
    if (!p)
        p = database_ask(db, c->arena, &d);
    if (p) {
        checkup_tell(c, VERDICT_FAIL, "database", "%s; start it, or correct DATABASE_URL",
                     p->cause);
        return;
    }
    check_clock(c, &d, before);
    checkup_ok(c, "database answers at %s", db_where(db, c->arena));
    check_version(c, &d);
    check_room(c, &d);
    p = migrate_check(db, c->arena, migrations, migration_count);
    if (p)
        checkup_tell(c, VERDICT_FAIL, "schema", "%s", p->cause);
    else
        checkup_ok(c, "schema is the one of this program");
    if (!p)
        checkup_hashes(c, db);
}

/* A URL that is no good was told with the settings. */
static void check_database(struct checkup *c)
{
    struct db *db;
    const char *url = c->settings->database_url.data;
    if (!url || db_open(c->arena, url, &db))
        return;
    ask_database(c, db);
    db_close(db);
}

/* ---- all of it ---- */

int command_doctor(struct cli *cli)
{
    struct checkup c = {
        .arena = cli->arena, .settings = &cli->settings, .tell = print_finding, .context = cli};
    const char *url = cli_option(cli, "url");
    checkup_settings(&c);
    check_files(&c, cli);
    check_user(&c);
    check_limits(&c);
    check_backlog(&c);
    check_database(&c);
    checkup_sockets(&c);
    if (url)
        checkup_url(&c, url);
    return c.failed ? EX_UNAVAILABLE : EX_OK;
}

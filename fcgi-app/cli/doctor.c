#include "fcgi-app/cli/doctor.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/db/db_url.h"

void doctor_ok(struct doctor *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    c->tell(c, VERDICT_OK, arena_vprintf(c->arena, format, args), "");
    va_end(args);
}

void doctor_tell(struct doctor *c, enum verdict verdict, const char *what, const char *mend, ...)
{
    va_list args;
    va_start(args, mend);
    c->failed = c->failed || verdict == VERDICT_FAIL;
    c->tell(c, verdict, what, arena_vprintf(c->arena, mend, args));
    va_end(args);
}

/* Is it in a file that this call leaves alone? */
static bool is_unread(const struct doctor *c, const char *name, struct text value)
{
    const char *origin = c->origins[record_find(&settings_record, name) - settings_record.fields];
    return !value.data && origin && config_origin_file(origin);
}

/* ---- keys and database ---- */

static void check_keys(struct doctor *c)
{
    const struct settings *s = c->settings;
    struct keyring *keys;
    if (is_unread(c, "jwt_secret_key", s->jwt_secret_key))
        return;
    if (!s->jwt_secret_key.len) {
        doctor_tell(c, VERDICT_FAIL, "JWT_SECRET_KEY", "is not set; `postern secret` makes one");
        return;
    }
    struct problem *p = keyring_open(c->arena, s->jwt_secret_key.data, s->jwt_previous_keys.data,
                                     s->jwt_issuer.data, &keys);
    if (p) {
        doctor_tell(c, VERDICT_FAIL, "JWT_SECRET_KEY", "%s `postern secret` makes a good one.",
                    p->cause);
        return;
    }
    doctor_ok(c, "JWT_SECRET_KEY is strong enough; keys that verify: %zu", keyring_count(keys));
    keyring_close(keys);
}

static void check_database_url(struct doctor *c)
{
    struct db_url url;
    if (is_unread(c, "database_url", c->settings->database_url))
        return;
    if (!c->settings->database_url.len) {
        doctor_tell(c, VERDICT_FAIL, "DATABASE_URL",
                    "is not set; it is mysql://user:password@host:port/name?socket=path");
        return;
    }
    struct problem *p = db_url_read(c->arena, c->settings->database_url.data, &url);
    if (p) {
        doctor_tell(c, VERDICT_FAIL, "DATABASE_URL", "%s", p->cause);
        return;
    }
    doctor_ok(c, "DATABASE_URL is well-formed; hosts: %zu", url.host_count);
    db_url_release(&url);
}

static void check_times(struct doctor *c)
{
    if (c->settings->refresh_ttl_s < c->settings->access_ttl_s)
        doctor_tell(c, VERDICT_WARN, "REFRESH_TTL_S",
                    "is below ACCESS_TTL_S, so sessions end before their access tokens");
}

/* ---- sockets, as far as they are named ---- */

static void check_address(struct doctor *c, const char *name, struct text address)
{
    const size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (!address.len)
        return;
    if (strchr(address.data, '/') && address.len > path_max)
        doctor_tell(c, VERDICT_FAIL, name, "is longer than the %zu bytes that a socket's path has",
                    path_max);
    else
        doctor_ok(c, "%s is %s", name, address.data);
}

static void check_addresses(struct doctor *c)
{
    const struct settings *s = c->settings;
    check_address(c, "LISTEN", s->listen);
    check_address(c, "HASH_LISTEN", s->hash_listen);
    if (s->listen.len && text_equal(s->listen, s->hash_listen))
        doctor_tell(c, VERDICT_FAIL, "HASH_LISTEN",
                    "is the same as LISTEN; leave it out, or give "
                    "it a socket of its own");
    if (s->hash_listen.len && !s->listen.len)
        doctor_tell(c, VERDICT_WARN, "HASH_LISTEN", "is of no use without LISTEN");
}

static void check_group(struct doctor *c)
{
    const char *group = c->settings->socket_group.data;
    if (!group || !*group)
        return;
    if (getgrnam(group))
        doctor_ok(c, "SOCKET_GROUP %s is a group", group);
    else
        doctor_tell(c, VERDICT_FAIL, "SOCKET_GROUP", "there is no group %s; name the web server's",
                    group);
}

/* ---- mail ---- */

static void check_mail(struct doctor *c)
{
    const struct settings *s = c->settings;
    if (!s->mail_command.len)
        return;
    const char *words = s->mail_command.data + strspn(s->mail_command.data, " \t");
    const char *program = arena_copy(c->arena, words, strcspn(words, " \t"));
    if (*program != '/')
        doctor_tell(c, VERDICT_FAIL, "MAIL_COMMAND", "must begin with the program's whole path");
    else if (access(program, X_OK) != 0)
        doctor_tell(c, VERDICT_FAIL, "MAIL_COMMAND",
                    "%s cannot be run; install it, or let this "
                    "user run it",
                    program);
    else
        doctor_ok(c, "MAIL_COMMAND can be run");
    if (!s->reset_url.len)
        doctor_tell(c, VERDICT_WARN, "RESET_URL",
                    "is not set, so a message has a bare token and no link");
}

/* ---- files that it writes ---- */

const char *doctor_folder(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return slash == path ? "/" : arena_copy(a, path, (size_t)(slash - path));
}

/* One that is not there yet is made. */
static void check_new_file(struct doctor *c, const char *name, const char *path)
{
    const char *folder = doctor_folder(c->arena, path);
    if (access(folder, W_OK | X_OK) == 0)
        doctor_ok(c, "%s %s can be made", name, path);
    else if (errno == ENOENT)
        doctor_tell(c, VERDICT_FAIL, name, "there is no folder %s; make it, for the server's user",
                    folder);
    else
        doctor_tell(c, VERDICT_FAIL, name, "%s: %s; let the server's user make files there", folder,
                    strerror(errno));
}

static void check_file(struct doctor *c, const char *name, const char *path, bool is_private)
{
    struct stat st;
    if (stat(path, &st) != 0)
        check_new_file(c, name, path);
    else if (!S_ISREG(st.st_mode) && (is_private || !S_ISCHR(st.st_mode)))
        doctor_tell(c, VERDICT_FAIL, name, "%s is no file; name one", path);
    else if (access(path, W_OK) != 0)
        doctor_tell(c, VERDICT_FAIL, name, "%s: %s; let the server's user write to it", path,
                    strerror(errno));
    else if (is_private && (st.st_mode & 0077))
        doctor_tell(c, VERDICT_FAIL, name, "%s is not the server's user's alone; chmod 600 %s",
                    path, path);
    else
        doctor_ok(c, "%s %s can be written", name, path);
}

static void check_files(struct doctor *c)
{
    const struct settings *s = c->settings;
    if (s->log_to.len && s->log_to.data[0] == '/')
        check_file(c, "LOG_TO", s->log_to.data, false);
    if (s->state_file.len)
        check_file(c, "STATE_FILE", s->state_file.data, true);
}

/* ---- what is likely to be meant otherwise ---- */

/* There are no quotes in our files: those are a part of the key. */
static void check_quotes(struct doctor *c)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        if (f->type != FIELD_TEXT)
            continue;
        const struct text *t = (const void *)((const char *)c->settings + f->offset);
        if (t->len > 1 && strchr("\"'", t->data[0]) && t->data[t->len - 1] == t->data[0])
            doctor_tell(c, VERDICT_WARN, config_name(c->arena, f),
                        "has quotes around it, which are taken as a part of it; leave them out");
    }
}

void doctor_settings(struct doctor *c)
{
    check_quotes(c);
    check_database_url(c);
    check_keys(c);
    check_times(c);
    check_addresses(c);
    check_group(c);
    check_mail(c);
    check_files(c);
}

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

void doctor_ok(struct doctor *doctor, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    doctor->tell(doctor, VERDICT_OK, arena_vprintf(doctor->arena, format, args), "");
    va_end(args);
}

void doctor_tell(struct doctor *doctor, enum verdict verdict, const char *what, const char *fix,
                 ...)
{
    va_list args;
    va_start(args, fix);
    doctor->failed = doctor->failed || verdict == VERDICT_FAIL;
    doctor->tell(doctor, verdict, what, arena_vprintf(doctor->arena, fix, args));
    va_end(args);
}

/* Is it in a file that this call leaves alone? */
static bool is_unread(const struct doctor *doctor, const char *name, struct text value)
{
    size_t i = (size_t)(record_find(&settings_record, name) - settings_record.fields);
    return !value.data && doctor->origins[i].file;
}

/* ---- keys and database ---- */

/* The ring does not know which setting is at fault: so it is tried with one more each time. */
static struct problem *try_keys(struct doctor *doctor, const char *previous, const char *issuer,
                                size_t *ret_count)
{
    struct keyring *keys;
    struct problem *p =
        keyring_open(doctor->arena, doctor->settings->jwt_secret_key.data, previous, issuer, &keys);
    if (p)
        return p;
    *ret_count = keyring_count(keys);
    keyring_close(keys);
    return NULL;
}

static void check_set_keys(struct doctor *doctor)
{
    const struct settings *s = doctor->settings;
    const char *name = "JWT_SECRET_KEY", *previous = s->jwt_previous_keys.data;
    size_t count = 0;
    struct problem *p = try_keys(doctor, NULL, "postern", &count);
    if (!p) {
        name = "JWT_PREVIOUS_KEYS";
        p = try_keys(doctor, previous, "postern", &count);
    }
    if (p) {
        doctor_tell(doctor, VERDICT_FAIL, name, "%s `postern secret` makes a good one.", p->cause);
        return;
    }
    p = try_keys(doctor, previous, s->jwt_issuer.data, &count);
    if (p)
        doctor_tell(doctor, VERDICT_FAIL, "JWT_ISSUER", "%s", p->cause);
    else
        doctor_ok(doctor, "JWT_SECRET_KEY is strong enough; keys that verify: %zu", count);
}

static void check_keys(struct doctor *doctor)
{
    const struct settings *s = doctor->settings;
    if (is_unread(doctor, "jwt_secret_key", s->jwt_secret_key))
        return;
    if (s->jwt_secret_key.len)
        check_set_keys(doctor);
    else
        doctor_tell(doctor, VERDICT_FAIL, "JWT_SECRET_KEY",
                    "is not set; `postern secret` makes one");
}

static void check_database_url(struct doctor *doctor)
{
    struct db_url url;
    if (is_unread(doctor, "database_url", doctor->settings->database_url))
        return;
    if (!doctor->settings->database_url.len) {
        doctor_tell(doctor, VERDICT_FAIL, "DATABASE_URL",
                    "is not set; it is mysql://user:password@host:port/name?socket=path");
        return;
    }
    struct problem *p = db_url_read(doctor->arena, doctor->settings->database_url.data, &url);
    if (p) {
        doctor_tell(doctor, VERDICT_FAIL, "DATABASE_URL", "%s", p->cause);
        return;
    }
    doctor_ok(doctor, "DATABASE_URL is well-formed; hosts: %zu", url.host_count);
    db_url_release(&url);
}

static void check_times(struct doctor *doctor)
{
    if (doctor->settings->refresh_ttl_s < doctor->settings->access_ttl_s)
        doctor_tell(doctor, VERDICT_WARN, "REFRESH_TTL_S",
                    "is below ACCESS_TTL_S, so sessions end before their access tokens");
}

/* ---- sockets, as far as they are named ---- */

static void check_address(struct doctor *doctor, const char *name, struct text address)
{
    const size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (!address.len)
        return;
    if (strchr(address.data, '/') && address.len > path_max)
        doctor_tell(doctor, VERDICT_FAIL, name,
                    "is longer than the %zu bytes that a socket's path has", path_max);
    else
        doctor_ok(doctor, "%s is %s", name, address.data);
}

static void check_addresses(struct doctor *doctor)
{
    const struct settings *s = doctor->settings;
    check_address(doctor, "LISTEN", s->listen);
    check_address(doctor, "HASH_LISTEN", s->hash_listen);
    if (s->listen.len && text_equal(s->listen, s->hash_listen))
        doctor_tell(doctor, VERDICT_FAIL, "HASH_LISTEN",
                    "is the same as LISTEN; leave it out, or give "
                    "it a socket of its own");
    if (s->hash_listen.len && !s->listen.len)
        doctor_tell(doctor, VERDICT_WARN, "HASH_LISTEN", "is of no use without LISTEN");
}

static void check_group(struct doctor *doctor)
{
    const char *group = doctor->settings->socket_group.data;
    if (!group || !*group)
        return;
    if (getgrnam(group))
        doctor_ok(doctor, "SOCKET_GROUP %s is a group", group);
    else
        doctor_tell(doctor, VERDICT_FAIL, "SOCKET_GROUP",
                    "there is no group %s; name the web server's", group);
}

/* ---- files that the program writes ---- */

const char *doctor_folder(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return slash == path ? "/" : arena_copy(a, path, (size_t)(slash - path));
}

/* A file that does not exist yet will be created. */
static void check_new_file(struct doctor *doctor, const char *name, const char *path)
{
    const char *folder = doctor_folder(doctor->arena, path);
    if (access(folder, W_OK | X_OK) == 0)
        doctor_ok(doctor, "%s %s can be made", name, path);
    else if (errno == ENOENT)
        doctor_tell(doctor, VERDICT_FAIL, name,
                    "there is no folder %s; make it, for the server's user", folder);
    else
        doctor_tell(doctor, VERDICT_FAIL, name, "%s: %s; let the server's user make files there",
                    folder, strerror(errno));
}

static void check_file(struct doctor *doctor, const char *name, const char *path, bool is_private)
{
    struct stat st;
    if (stat(path, &st) != 0)
        check_new_file(doctor, name, path);
    else if (!S_ISREG(st.st_mode) && (is_private || !S_ISCHR(st.st_mode)))
        doctor_tell(doctor, VERDICT_FAIL, name, "%s is no file; name one", path);
    else if (access(path, W_OK) != 0)
        doctor_tell(doctor, VERDICT_FAIL, name, "%s: %s; let the server's user write to it", path,
                    strerror(errno));
    else if (is_private && (st.st_mode & 0077))
        doctor_tell(doctor, VERDICT_FAIL, name, "%s is not the server's user's alone; chmod 600 %s",
                    path, path);
    else
        doctor_ok(doctor, "%s %s can be written", name, path);
}

static void check_files(struct doctor *doctor)
{
    const struct settings *s = doctor->settings;
    if (s->log_to.len && s->log_to.data[0] == '/')
        check_file(doctor, "LOG_TO", s->log_to.data, false);
    if (s->state_file.len)
        check_file(doctor, "STATE_FILE", s->state_file.data, true);
}

/* ---- likely mistakes ---- */

/* Our files have no quoting: quotes are a part of the key. */
static void check_quotes(struct doctor *doctor)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        if (f->type != FIELD_TEXT)
            continue;
        const struct text *t = (const void *)((const char *)doctor->settings + f->offset);
        if (t->len > 1 && strchr("\"'", t->data[0]) && t->data[t->len - 1] == t->data[0])
            doctor_tell(doctor, VERDICT_WARN, config_name(doctor->arena, f),
                        "has quotes around it, which are taken as a part of it; leave them out");
    }
}

void doctor_settings(struct doctor *doctor)
{
    check_quotes(doctor);
    check_database_url(doctor);
    check_keys(doctor);
    check_times(doctor);
    check_addresses(doctor);
    check_group(doctor);
    doctor_mail_settings(doctor);
    check_files(doctor);
}

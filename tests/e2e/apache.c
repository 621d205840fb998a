#include "tests/e2e/apache.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/loopback.h"

#define LINE 4096

/* mod_cgi in place of mod_fcgid: each request starts the program once more. */
static bool runs_cgi(void)
{
    return getenv("E2E_CGI");
}

/* ---- the home ---- */

void apache_in_home(const struct backend *b, const char *line, const char *const *words)
{
    const char *all[16] = {"sh", "-euc", line, b->folder};
    for (size_t n = 4; words && *words && n + 1 < 16; words++)
        all[n++] = *words;
    ck_assert_msg(world_run_as_worker(all, NULL, NULL, NULL) == 0, "in %s: %s fails", b->folder,
                  line);
}

/* What the tar holds; a sanitizer's program does not go into one, for its run time is found by
 * its build. */
static void unpack(const struct backend *b)
{
    char htaccess[LINE];
    const char *tar = getenv("E2E_PORTABLE");
    snprintf(htaccess, sizeof htaccess, "%s/fcgi-app/packaging/shared-hosting/htaccess",
             world_source());
    apache_in_home(b, "mkdir -m 755 \"$0/home\"", NULL);
    if (tar && *tar) {
        apache_in_home(b, "tar -xzf \"$1\" -C \"$0/home\"", LIST(tar));
        return;
    }
    apache_in_home(b, "cd \"$0/home\"; mkdir -p public_html/api", NULL);
    /* Our files may be where that user cannot read them. */
    char target[WORLD_PATH + 48];
    snprintf(target, sizeof target, "%s/home/public_html/api/api.fcgi", b->folder);
    ck_assert_int_eq(world_run(LIST("install", "-m", "755", "./postern", target), NULL, NULL, NULL),
                     0);
    snprintf(target, sizeof target, "%s/home/public_html/api/.htaccess", b->folder);
    ck_assert_int_eq(world_run(LIST("install", "-m", "644", htaccess, target), NULL, NULL, NULL),
                     0);
    world_give_to_worker(target);
    snprintf(target, sizeof target, "%s/home/public_html/api/api.fcgi", b->folder);
    world_give_to_worker(target);
}

void apache_write(const struct backend *b, const char *name, const char *text, const char *mode)
{
    apache_in_home(
        b,
        "umask 077; cd \"$0/home\"; printf %s \"$2\" >\"$1.new\"; chmod \"$3\" \"$1.new\"; "
        "mv \"$1.new\" \"$1\"",
        LIST(name, text, mode));
}

size_t apache_scripts(const struct backend *b, pid_t *ret_pids)
{
    char link[300], target[WORLD_PATH + 64];
    size_t count = 0, len = strlen(b->folder);
    DIR *processes = opendir("/proc");
    for (struct dirent *e; processes && count < WORKERS_MAX && (e = readdir(processes));) {
        snprintf(link, sizeof link, "/proc/%s/exe", e->d_name);
        ssize_t got = readlink(link, target, sizeof target);
        if (got > (ssize_t)len && strncmp(target, b->folder, len) == 0)
            ret_pids[count++] = (pid_t)strtol(e->d_name, NULL, 10);
    }
    if (processes)
        (void)closedir(processes);
    return count;
}

/* Settings as the operator writes them into a file: `names` are `NAME=value`. */
static void write_conf(const struct backend *b, const char *const *names)
{
    char text[LINE];
    const char *line = world_limits(names);
    int len = snprintf(text, sizeof text,
                       "DATABASE_URL = %s\nJWT_SECRET_KEY = %s\nMAX_BODY = 131072\n%s\n",
                       getenv("DATABASE_URL"), world_key(), line ? line : "");
    if (runs_cgi())
        len +=
            snprintf(text + len, sizeof text - (size_t)len, "STATE_FILE = %s/state\n", b->folder);
    for (; names && *names && len < LINE; names++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s\n", *names);
    ck_assert_int_lt(len, LINE);
    apache_write(b, "postern.conf", text, "600");
}

/* The operator's edit that most tests need, for they are about other things than TLS. */
static void allow_plain_http(const struct backend *b)
{
    apache_in_home(b,
                   "cd \"$0/home/public_html/api\"; "
                   "grep -q '^#SetEnvIf .* POSTERN_PLAIN_HTTP=1$' .htaccess; "
                   "sed -i '/^#SetEnvIf .* POSTERN_PLAIN_HTTP=1$/s/#//' .htaccess",
                   NULL);
}

void apache_make_home(struct backend *b, const char *const *names)
{
    backend_make(b);
    unpack(b);
    allow_plain_http(b);
    write_conf(b, names);
}

/* ---- Apache ---- */

/* suEXEC works for nobody else. */
const char *apache_user(void)
{
    return world_site_user() ? "www-data" : world_worker();
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

/* On 127.0.0.1, and then plain HTTP on the same port of 127.0.0.2. */
static void write_tls(FILE *out, int port, const char *certificate)
{
    fprintf(out,
            "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n"
            "Listen 127.0.0.2:%d http\n<VirtualHost 127.0.0.1:%d>\nSSLEngine On\n"
            "SSLCertificateFile %s\n</VirtualHost>\n",
            port, port, certificate);
}

/* What is loaded on any host that has mod_fcgid, and some that meddle with answers. mod_unique_id
 * is left out, so that ids come from elsewhere. */
static const char *const modules[] = {
    "mpm_event", "fcgid",   "authz_core", "authz_host", "mime",    "dir",
    "autoindex", "alias",   "setenvif",   "rewrite",    "headers", "expires",
    "filter",    "deflate", "cache",      "cache_disk",
};

static void load_modules(FILE *out, const char *without)
{
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        const char *name = modules[i];
        if (runs_cgi() && i < 2)
            name = i == 0 ? "mpm_prefork" : "cgi";
        if (!has_word(without, name))
            fprintf(out, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name);
    }
}

static void write_httpd_conf(const struct front *f, const struct backend *b, const char *without,
                             const char *slashes)
{
    char path[WORLD_PATH + 16];
    snprintf(path, sizeof path, "%s/httpd.conf", f->folder);
    FILE *out = fopen(path, "we");
    ck_assert_ptr_nonnull(out);
    load_modules(out, without);
    if (apache_user())
        fprintf(out, "User %s\nGroup %s\n", apache_user(), apache_user());
    if (world_site_user())
        fprintf(out,
                "LoadModule suexec_module /usr/lib/apache2/modules/mod_suexec.so\n"
                "SuexecUserGroup %s %s\n",
                world_site_user(), world_site_user());
    fprintf(out,
            "ServerRoot %s\nPidFile apache.pid\nListen 127.0.0.1:%d\nServerName localhost\n"
            /* Off by default, when such a path does not get to us at all. */
            "AllowEncodedSlashes %s\n"
            "ErrorLog %s\nLogLevel warn\nTypesConfig /dev/null\n"
            "<IfModule mod_fcgid.c>\n"
            "FcgidIPCDir fcgid\nFcgidProcessTableFile fcgid/table\nFcgidMaxProcessesPerClass 8\n"
            "</IfModule>\n"
            "ExpiresActive On\nExpiresDefault \"access plus 1 hour\"\n"
            "CacheEnable disk /\nCacheRoot %s/cache\n"
            "<Directory />\nRequire all denied\nAllowOverride None\n</Directory>\n",
            f->folder, f->port, *slashes ? slashes : "On", b->log, f->folder);
    if (f->ca)
        write_tls(out, f->port, f->ca);
    fprintf(out,
            "DocumentRoot %s/home/public_html\n<Directory %s/home/public_html>\n"
            "Require all granted\nOptions FollowSymLinks\n"
            "AllowOverride AuthConfig FileInfo Indexes Options\n</Directory>\n",
            b->folder, b->folder);
    ck_assert_int_eq(fclose(out), 0);
}

/* The operator's edit of .htaccess: origins as a regular expression, or the star. */
static void set_origins(const struct backend *b, const char *origins)
{
    char line[LINE];
    if (!*origins)
        return;
    if (strcmp(origins, "*") == 0) {
        snprintf(line, sizeof line, "SetEnvIf Origin . POSTERN_ORIGIN=*");
    } else {
        int len = snprintf(line, sizeof line, "SetEnvIfNoCase Origin \"^(");
        for (const char *c = origins; *c && len + 4 < LINE; c++)
            len += snprintf(line + len, sizeof line - (size_t)len,
                            *c == '.'   ? "\\."
                            : *c == ' ' ? "|"
                                        : "%c",
                            *c);
        snprintf(line + len, sizeof line - (size_t)len, ")$\" POSTERN_ORIGIN=$1");
    }
    apache_in_home(b,
                   "awk -v line=\"$(printf %s \"$1\" | sed 's/\\\\/&&/g')\" "
                   "'{ print } /^#SetEnvIfNoCase Origin/ { print line }' "
                   "\"$0/home/public_html/api/.htaccess\" >\"$0/new\"; "
                   "mv \"$0/new\" \"$0/home/public_html/api/.htaccess\"",
                   LIST(line));
}

/* The other edit: the line for headers has two already. */
static void allow_headers(const struct backend *b)
{
    apache_in_home(b,
                   "sed -i 's/^#\\(SetEnvIf Origin . \"POSTERN_HEADERS=\\)/\\1/' "
                   "\"$0/home/public_html/api/.htaccess\"",
                   NULL);
}

/* Nothing of our environment must be there by chance. */
static bool launch(struct front *f)
{
    char conf[WORLD_PATH + 16], log[WORLD_PATH + 16], pid_file[WORLD_PATH + 16];
    snprintf(conf, sizeof conf, "%s/httpd.conf", f->folder);
    snprintf(log, sizeof log, "%s/apache.log", f->folder);
    snprintf(pid_file, sizeof pid_file, "%s/apache.pid", f->folder);
    /* In a group of its own, of which mod_cgi's server ends all. */
    f->pid = world_start_as_us(LIST("setsid", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                    "apache2", "-f", conf, "-DFOREGROUND"),
                               NULL, f->folder, log);
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5)) {
        if (world_has_ended(f->pid))
            return false;
        if (access(pid_file, F_OK) == 0)
            return true;
    }
    (void)world_end(f->pid, SIGKILL);
    return false;
}

static void make_folder_in(const struct front *f, const char *name)
{
    char path[WORLD_PATH + 16];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    if (apache_user())
        ck_assert_int_eq(world_run(LIST("chown", apache_user(), path), NULL, NULL, NULL), 0);
}

void apache_start(struct front *f, const struct backend *b, const char *const *names)
{
    set_origins(b, world_value(names, "CORS_ORIGINS"));
    if (*world_value(names, "CORS_HEADERS"))
        allow_headers(b);
    const char *certificate = world_value(names, "TLS_CERT");
    f->host = NULL;
    f->ca = *certificate ? certificate : NULL;
    for (int tries = 0; tries < 5; tries++) {
        world_make_folder("apache", f->folder);
        make_folder_in(f, "fcgid");
        make_folder_in(f, "cache");
        f->port = world_free_port();
        write_httpd_conf(f, b, world_value(names, "WITHOUT"), world_value(names, "SLASHES"));
        if (launch(f))
            return;
    }
    f->pid = 0;
    ck_abort_msg("Apache does not start, see %s", f->folder);
}

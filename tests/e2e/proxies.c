#include "tests/e2e/proxies.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The operator's edits of our file, a line of sh(1) in the front's folder: $0 is the folder with
 * our files, $1 and $2 the sockets, $3 the origins, $4 is empty without other headers. */
static void edit(const struct front *f, const struct backend *b, const char *folder,
                 const char *line, const char *const *names)
{
    char from[512], whole[2048];
    snprintf(from, sizeof from, "%s/fcgi-app/packaging/%s", world_source(), folder);
    snprintf(whole, sizeof whole, "cp -r -- \"$0\" '%s/ours'; cd '%s/ours'; %s", f->folder,
             f->folder, line);
    ck_assert_int_eq(
        world_run(LIST("sh", "-euc", whole, from, b->fast, b->hash,
                       world_value(names, "CORS_ORIGINS"), world_value(names, "CORS_HEADERS")),
                  NULL, NULL, NULL),
        0);
}

static FILE *begin_conf(const struct front *f)
{
    char path[WORLD_PATH + 16];
    snprintf(path, sizeof path, "%s/server.conf", f->folder);
    FILE *out = fopen(path, "we");
    ck_assert_ptr_nonnull(out);
    return out;
}

/* It has its port when it has written its number. */
static bool launch(struct front *f, const char *const *words)
{
    char log[WORLD_PATH + 16], pid_file[WORLD_PATH + 16];
    snprintf(log, sizeof log, "%s/server.log", f->folder);
    snprintf(pid_file, sizeof pid_file, "%s/server.pid", f->folder);
    struct stat s;
    f->pid = world_start_as_us(words, NULL, f->folder, log);
    for (long end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(5)) {
        if (world_has_ended(f->pid))
            return false;
        if (stat(pid_file, &s) == 0 && s.st_size > 0)
            return true;
    }
    (void)world_end(f->pid, SIGKILL);
    return false;
}

/* A port that was free a moment ago may be taken: then the server ends, and another is tried. */
static void start(struct front *f, const struct backend *b, const char *const *names,
                  bool (*once)(struct front *f, const struct backend *b, const char *const *names))
{
    for (int tries = 0; tries < 5; tries++) {
        world_make_folder("front", f->folder);
        f->port = world_free_port();
        f->host = f->ca = NULL;
        if (once(f, b, names))
            return;
    }
    char log[WORLD_PATH + 16];
    snprintf(log, sizeof log, "%s/server.log", f->folder);
    (void)world_run(LIST("cat", log), NULL, NULL, NULL);
    f->pid = 0;
    ck_abort_msg("the server does not start, as its log above tells");
}

/* ---- lighttpd ---- */

/* The settings of workers that it starts itself, and then our file without the pool's sockets. */
static void let_it_start_workers(const struct front *f, const struct backend *b)
{
    char path[WORLD_PATH + 24], line[1024];
    snprintf(path, sizeof path, "%s/workers.conf", f->folder);
    FILE *out = fopen(path, "we");
    ck_assert_ptr_nonnull(out);
    fprintf(out,
            "DATABASE_URL = %s\nJWT_SECRET_KEY = %s\nWORKERS = 6\nSTATE_FILE = %s/state\n"
            "LIMITS = guesses\n",
            getenv("DATABASE_URL"), world_key(), f->folder);
    ck_assert_int_eq(fclose(out), 0);
    world_give_to_worker(path);
    snprintf(line, sizeof line,
             "cd '%s/ours'; sed -i -e '/^var.postern_\\(fast\\|hash\\)/d'"
             " -e '/^#var.postern_own/,/^#var.postern_hash/s/#//'"
             " -e 's#/usr/bin/postern#%s/bin/postern#; s#/etc/postern/workers.conf#%s#'"
             " -e 's#/run/lighttpd#%s#' edited",
             f->folder, world_folder(), path, b->folder);
    ck_assert_int_eq(world_run(LIST("sh", "-euc", line), NULL, NULL, NULL), 0);
}

static bool start_lighttpd(struct front *f, const struct backend *b, const char *const *names)
{
    char conf[WORLD_PATH + 16];
    edit(f, b, "lighttpd",
         "awk -v origins=\"$3\" '"
         "/^    #[$]REQUEST_HEADER/, /^    #}/ { sub(/#/, \"\"); block = block $0 \"\\n\";"
         "    if (/}/) { n = split(origins, o, \" \");"
         "        for (i = 1; i <= n; i++) { one = block; gsub(/https:..app.example.org/, o[i], "
         "one);"
         "            printf \"%s\", one } } next } { print }' postern.conf >edited;"
         "sed -i -e \"s#/run/postern/fast.sock#$1#; s#/run/postern/hash.sock#$2#\""
         "    -e \"s#/usr/share/postern/lighttpd#$PWD#\" edited;"
         "[ -z \"$4\" ] || sed -i '/Allow-Headers/s/X-Request-Id/&, traceparent, X-Requested-With/'"
         "    cors.conf",
         names);
    if (getenv("E2E_SPAWNED"))
        let_it_start_workers(f, b);
    FILE *out = begin_conf(f);
    fprintf(out,
            "server.document-root = \"%s\"\nserver.port = %d\nserver.bind = \"127.0.0.1\"\n"
            "server.pid-file = \"%s/server.pid\"\nserver.errorlog = \"%s/errors.log\"\n"
            "server.max-connections = 512\nserver.max-keep-alive-requests = 65535\n",
            f->folder, f->port, f->folder, f->folder);
    if (world_worker())
        fprintf(out, "server.username = \"%s\"\nserver.groupname = \"%s\"\n", world_worker(),
                world_worker());
    fprintf(out, "include \"%s/ours/edited\"\n", f->folder);
    ck_assert_int_eq(fclose(out), 0);
    snprintf(conf, sizeof conf, "%s/server.conf", f->folder);
    return launch(f, LIST("lighttpd", "-D", "-f", conf));
}

void lighttpd_start(struct front *f, const struct backend *b, const char *const *names)
{
    start(f, b, names, start_lighttpd);
}

/* ---- Apache ---- */

static const char *const modules[] = {"mpm_event", "authz_core", "setenvif", "headers", "alias",
                                      "proxy",     "proxy_fcgi", "buffer",   "filter",  "deflate"};

static bool start_proxy(struct front *f, const struct backend *b, const char *const *names)
{
    char conf[WORLD_PATH + 16];
    edit(f, b, "apache",
         "sed -e \"s#/run/postern/fast.sock#$1#; s#/run/postern/hash.sock#$2#\" postern.conf "
         ">edited;"
         "[ -z \"$3\" ] || sed -i \"s#^.SetEnvIfNoCase Origin.*#SetEnvIfNoCase Origin"
         "    \\\"^($(printf %s \"$3\" | sed 's/[.]/\\\\\\\\\\\\\\\\./g; s/ /|/g'))\\$\\\""
         "    POSTERN_ORIGIN=\\$1#\" edited;"
         "[ -z \"$4\" ] || sed -i 's/^#\\(SetEnvIf Origin . \"POSTERN_HEADERS=\\)/\\1/' edited",
         names);
    FILE *out = begin_conf(f);
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        fprintf(out, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", modules[i],
                modules[i]);
    if (world_worker())
        fprintf(out, "User %s\nGroup %s\n", world_worker(), world_worker());
    fprintf(out,
            "ServerRoot %s\nPidFile server.pid\nListen 127.0.0.1:%d\nServerName localhost\n"
            "ErrorLog errors.log\nLogLevel warn\nDocumentRoot %s\nMaxKeepAliveRequests 0\n"
            "<Directory />\nRequire all denied\nAllowOverride None\n</Directory>\n"
            "<Directory %s>\nRequire all granted\n</Directory>\n"
            "Include %s/ours/edited\n",
            f->folder, f->port, f->folder, f->folder, f->folder);
    ck_assert_int_eq(fclose(out), 0);
    snprintf(conf, sizeof conf, "%s/server.conf", f->folder);
    return launch(f, LIST("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "apache2", "-f", conf,
                          "-DFOREGROUND"));
}

void proxied_apache_start(struct front *f, const struct backend *b, const char *const *names)
{
    start(f, b, names, start_proxy);
}

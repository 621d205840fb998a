#include "tests/support/tls_server.h"

#include <check.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/compiler.h"
#include "tests/support/folder.h"

static char folder[] = "/tmp/postern-tls.XXXXXX";
static unsigned port;

/* sh's `$R` asks for a key without a password; a request is signed in a step of its own, for only
 * there a time that has passed is taken. */
static const char make_certificates[] =
    "set -e; cd %s; R='req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
    "ca() { openssl $R -x509 -days 2 -subj /CN=$1 -keyout $1.key -out $1.pem; }\n"
    "sign() {\n"
    "  openssl $R -subj /CN=$1 -keyout $1.key -out $1.csr\n"
    "  printf 'subjectAltName = IP:127.0.0.1, DNS:localhost' >ext\n"
    "  name=$1; shift\n"
    "  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext \\\n"
    "    -out $name.pem \"$@\"\n"
    "}\n"
    "{ ca ca; ca other; sign server -days 2; sign client -days 2\n"
    "  sign expired -days -1 ||\n"
    "    sign expired -not_before 20200101000000Z -not_after 20200102000000Z; } >log 2>&1\n"
    "chmod 644 *.key";

static void PRINTF_LIKE(1, 2) shell(const char *format, ...)
{
    char command[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_int_lt(len, (int)sizeof command);
    ck_assert_int_eq(system(command), 0);
}

/* Nobody's at the moment; the next to ask for any port gets another. */
static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static const char *password(size_t *ret_len)
{
    const char *url = getenv("DATABASE_URL"), *at = strchr(strstr(url, "//"), ':') + 1;
    *ret_len = strcspn(at, "@");
    return at;
}

static void let_in_by_tcp(void)
{
    size_t len;
    const char *secret = password(&len);
    FILE *sql = popen("\"$DATABASE_CONTROL\" sql", "w");
    ck_assert_ptr_nonnull(sql);
    fprintf(sql,
            "CREATE OR REPLACE USER postern@'127.%%' IDENTIFIED BY '%.*s';"
            "GRANT ALL ON postern.* TO postern@'127.%%';",
            (int)len, secret);
    ck_assert_int_eq(pclose(sql), 0);
}

static void start_with(const char *options)
{
    setenv("MARIADBD_OPTIONS", options, 1);
    shell("\"$DATABASE_CONTROL\" stop && \"$DATABASE_CONTROL\" start");
}

void tls_server_begin(const char *certificate)
{
    char options[1024], tls[512] = "--skip-ssl";
    folder_make(folder);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    shell(make_certificates, folder);
    port = free_port();
    if (certificate)
        snprintf(tls, sizeof tls, "--ssl-ca=%s/ca.pem --ssl-cert=%s/%s --ssl-key=%s/%.*s.key",
                 folder, folder, certificate, folder, (int)strcspn(certificate, "."), certificate);
    snprintf(options, sizeof options,
             "--skip-networking=0 --skip-name-resolve --bind-address=127.0.0.1,127.0.0.2 "
             "--port=%u %s",
             port, tls);
    start_with(options);
    let_in_by_tcp();
}

void tls_server_end(void)
{
    start_with("");
    folder_remove(folder);
}

const char *tls_file(const char *name)
{
    static char path[sizeof folder + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

char *tls_url(const char *host, const char *query)
{
    size_t len;
    const char *secret = password(&len);
    char *url = NULL;
    ck_assert_int_gt(asprintf(&url, "mysql://postern:%.*s@%s:%u/postern%s%s", (int)len, secret,
                              host, port, *query ? "?" : "", query),
                     0);
    return url;
}

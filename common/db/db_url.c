#include "common/db/db_url.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/base/problem.h"

/* End `s` at the first `c` and return what follows; NULL when there is none. */
static char *cut(char *s, char c)
{
    char *at = s ? strchr(s, c) : NULL;
    if (at)
        *at++ = '\0';
    return at;
}

static const struct {
    const char *name;
    size_t offset; /* of the member that it sets */
    const char *wrong;
} parameters[] = {
    {"socket", offsetof(struct db_url, socket), "socket is not a path"},
    {"ssl-ca", offsetof(struct db_url, tls.ca), "ssl-ca is not a path"},
    {"ssl-cert", offsetof(struct db_url, tls.cert), "ssl-cert is not a path"},
    {"ssl-key", offsetof(struct db_url, tls.key), "ssl-key is not a path"},
    {"ssl-verify", offsetof(struct db_url, tls.verify), "ssl-verify is neither true nor false"},
};

static const char *set_parameter(struct db_url *url, const char *name, char *value)
{
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (strcmp(name, parameters[i].name) != 0)
            continue;
        if (!value || !*value || !percent_decode(value))
            return parameters[i].wrong;
        *(const char **)(void *)((char *)url + parameters[i].offset) = value;
        return NULL;
    }
    return "the only parameters it may have are socket, ssl-ca, ssl-cert, ssl-key and ssl-verify";
}

static const char *judge_tls(struct db_tls *tls)
{
    const char *verify = tls->verify ? tls->verify : "true";
    bool is_true = strcmp(verify, "true") == 0;
    if (!is_true && strcmp(verify, "false") != 0)
        return "ssl-verify is neither true nor false";
    if (!tls->cert != !tls->key)
        return "ssl-cert and ssl-key belong together";
    if (tls->ca || tls->cert || tls->verify)
        tls->need = is_true ? DB_TLS_VERIFIED : DB_TLS_ANY;
    return NULL;
}

static const char *parse_query(struct db_url *url, char *query)
{
    for (char *next; query; query = next) {
        next = cut(query, '&');
        char *value = cut(query, '=');
        const char *wrong = set_parameter(url, query, value);
        if (wrong)
            return wrong;
    }
    return judge_tls(&url->tls);
}

static const char *parse_host(struct db_url *url, char *s)
{
    char *port;
    struct db_host *host = &url->hosts[url->host_count++];
    if (*s == '[') { /* IPv6 */
        char *rest = cut(s++, ']');
        if (!rest || (*rest && *rest != ':'))
            return "a host is malformed";
        port = *rest ? rest + 1 : NULL;
    } else {
        port = cut(s, ':');
    }
    if (!percent_decode(s))
        return "a host is malformed";
    if (!*s && !url->socket)
        return "the host is missing";
    host->name = *s ? s : "localhost";
    if (!port)
        return NULL;
    char *end;
    unsigned long n = strtoul(port, &end, 10);
    if (!isdigit((unsigned char)*port) || *end || n < 1 || n > 65535)
        return "a port is not a number from 1 to 65535";
    host->port = (unsigned)n;
    return NULL;
}

static const char *parse_hosts(struct db_url *url, char *list)
{
    size_t count = 1;
    for (const char *s = list; *s; s++)
        count += *s == ',';
    url->hosts = calloc(count, sizeof *url->hosts);
    const char *wrong = url->hosts ? NULL : "there is no memory for it";
    for (char *next; list && !wrong; list = next) {
        next = cut(list, ',');
        wrong = parse_host(url, list);
    }
    return wrong;
}

/* Cut `text` up and point into it from `url`; what is wrong with it, or NULL. */
static const char *parse(struct db_url *url, char *text)
{
    static const char scheme[] = "mysql://";
    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return "it does not begin with mysql://";
    char *user = text + strlen(scheme);
    char *name = cut(user, '/');
    char *query = cut(name, '?');
    /* One that is left as it is would end a part of the URL where its writer did not mean it. */
    if (name && strpbrk(name, "@/"))
        return "of the user, the password and the name, each @ must be written %40 and each / %2F";
    char *hosts = cut(user, '@');
    if (!hosts)
        return "the user is missing";
    if (strchr(hosts, '@'))
        return "in the user and the password each @ must be written %40";
    char *password = cut(user, ':');
    if (!*user || !percent_decode(user) || (password && !percent_decode(password)))
        return "the user or the password is malformed, in which each % must be written %25";
    if (!name || !*name || !percent_decode(name))
        return "the name of the database is missing or malformed";
    url->user = user;
    url->password = password;
    url->name = name;
    const char *wrong = parse_query(url, query);
    return wrong ? wrong : parse_hosts(url, hosts);
}

struct problem *db_url_read(struct arena *a, const char *text, struct db_url *ret)
{
    struct db_url url = {.parts = strdup(text), .parts_size = strlen(text)};
    const char *wrong = url.parts ? parse(&url, url.parts) : "there is no memory for it";
    if (wrong) {
        db_url_release(&url);
        return problem_because(a, &problem_internal, "the database URL is not usable: %s", wrong);
    }
    *ret = url;
    return NULL;
}

void db_url_release(struct db_url *url)
{
    if (url->parts)
        wipe(url->parts, url->parts_size); /* the password */
    free(url->parts);
    free(url->hosts);
    *url = (struct db_url){0};
}

bool db_url_is_local(const struct db_url *url, const struct db_host *host)
{
    return strcmp(host->name, "localhost") == 0 && (url->socket || !host->port);
}

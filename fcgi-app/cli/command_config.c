/* `postern config`, `routes`, `openapi`, `secret`: what the program is made and set to. */
#include "fcgi-app/cli/commands.h"

#include <stdio.h>

#include "common/apidoc/openapi.h"
#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "fcgi-app/app.h"
#include "fcgi-app/cli/doctor.h"
#include "fcgi-app/cli/listing.h"
#include "fcgi-app/routes.h"

#define DOCUMENT_MAX ((size_t)64 * 1024 * 1024)
#define SECRET_BYTES 48

/* ---- config ---- */

struct shown {
    struct text name;
    struct text value;  /* null: not set */
    struct text origin; /* as config.h says; null: set nowhere */
};

static const struct field shown_fields[] = {
    FIELD(struct shown, name, .use = FIELD_SHOWN),
    FIELD(struct shown, value, .use = FIELD_SHOWN | FIELD_NULLABLE),
    FIELD(struct shown, origin, .use = FIELD_SHOWN | FIELD_NULLABLE),
};
static const struct record shown_record = RECORD("Setting", struct shown, shown_fields, 0);

static const char *shown_value(struct cli *cli, const struct field *f)
{
    const char *value = field_to_text(cli->arena, f, &cli->settings);
    if ((f->use & FIELD_SECRET) && *value)
        return "********";
    return value;
}

static void show_setting(struct cli *cli, const struct field *f, struct origin origin)
{
    struct arena *a = cli->arena;
    const struct shown shown = {.name = text_of(config_name(a, f)),
                                .value = text_of(origin.kind ? shown_value(cli, f) : NULL),
                                .origin = text_of(origin.text)};
    if (cli_option(cli, "json"))
        print_record(a, &shown_record, &shown, true);
    else if (origin.kind)
        printf("%s = %s  # %s\n", shown.name.data, shown_text(a, shown.value),
               shown_text(a, shown.origin));
    else
        printf("# %s is not set\n", shown.name.data);
}

static void tell_fault(struct doctor *doctor, enum verdict verdict, const char *what,
                       const char *fix)
{
    if (verdict == VERDICT_FAIL)
        complain(EX_CONFIG, "%s: %s", what, fix);
    else if (verdict == VERDICT_WARN)
        fprintf(stderr, "postern: warning: %s: %s\n", shown_text(doctor->arena, text_of(what)),
                shown_text(doctor->arena, text_of(fix)));
}

static int check_config(struct cli *cli)
{
    struct doctor doctor = {.arena = cli->arena,
                            .settings = &cli->settings,
                            .origins = cli->origins,
                            .tell = tell_fault};
    doctor_settings(&doctor);
    if (doctor.failed)
        return EX_CONFIG;
    puts(cli_option(cli, "json") ? "{\"verdict\":\"ok\"}" : "ok"); /* as doctor has it */
    return EX_OK;
}

int command_config(struct cli *cli)
{
    if (cli_option(cli, "check"))
        return check_config(cli);
    for (size_t i = 0; i < settings_record.count; i++)
        show_setting(cli, &settings_record.fields[i], cli->origins[i]);
    return EX_OK;
}

/* ---- routes ---- */

struct line {
    struct text method, path;
    unsigned auth; /* enum auth, or LOCAL */
    bool hashes;
    struct text id, summary;
};

enum { LOCAL = AUTH_NONE + 1 }; /* callers on this machine */
static const char *const who_words[] = {
    [AUTH_USER] = "user",     [AUTH_ADMIN] = "admin", [AUTH_OPTIONAL] = "anyone",
    [AUTH_NONE] = "no-token", [LOCAL] = "local",      NULL};
static const struct field line_fields[] = {
    FIELD(struct line, method, .use = FIELD_SHOWN),
    FIELD(struct line, path, .use = FIELD_SHOWN),
    FIELD(struct line, auth, .use = FIELD_SHOWN, .choices = who_words),
    FIELD(struct line, hashes, .use = FIELD_SHOWN),
    FIELD(struct line, id, .use = FIELD_SHOWN),
    FIELD(struct line, summary, .use = FIELD_SHOWN),
};
static const struct record line_record = RECORD("Route", struct line, line_fields, 0);

static void print_route(void *context, const struct resource *resource, const struct route *route)
{
    struct cli *cli = context;
    const char *method = method_list(cli->arena, route->method);
    const struct line line = {.method = text_of(method),
                              .path = text_of(route->path),
                              .auth = (route->flags & ROUTE_LOOPBACK_ONLY) ? LOCAL : route->auth,
                              .hashes = (route->flags & ROUTE_HASH_POOL),
                              .id = text_of(route->operation_id),
                              .summary = text_of(route->summary)};
    (void)resource;
    if (cli_option(cli, "json"))
        print_record(cli->arena, &line_record, &line, true);
    else
        printf("%-7s %-25s %-9s %-5s %s\n", method, route->path, who_words[line.auth],
               (route->flags & ROUTE_HASH_POOL) ? "hash" : "fast", route->summary);
}

int command_routes(struct cli *cli)
{
    router_each(resources, print_route, cli);
    return EX_OK;
}

/* ---- openapi, secret ---- */

int command_openapi(struct cli *cli)
{
    const struct app app = {.settings = &cli->settings}; /* it is only described */
    const struct api api = routes_describe(&app);
    struct buf document;
    buf_init(&document, DOCUMENT_MAX);
    openapi_write(&document, &api);
    fwrite(document.data, 1, document.len, stdout);
    putchar('\n');
    buf_release(&document);
    return EX_OK;
}

int command_secret(struct cli *cli)
{
    unsigned char bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof bytes);
    puts(base64url(cli->arena, bytes, sizeof bytes));
    wipe(bytes, sizeof bytes);
    return EX_OK;
}

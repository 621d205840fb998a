/* main.c -- the program: its command line, and the commands that need no database. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "app.h"
#include "commands.h"
#include "common/config_find.h"
#include "common/jwt.h"
#include "common/openapi.h"
#include "common/problem.h"
#include "routes.h"

#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define SECRET_BYTES 48
#define FLAGS_MAX 64

int complain(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("postern: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

/* ---- commands ---- */

static int command_secret(struct cli *cli)
{
    unsigned char bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof bytes);
    puts(base64url(cli->arena, bytes, sizeof bytes));
    wipe(bytes, sizeof bytes);
    return EX_OK;
}

static const char *shown_value(struct cli *cli, const struct field *f)
{
    const char *value = field_to_text(cli->arena, f, &cli->settings);
    if ((f->use & FIELD_SECRET) && *value)
        return "********";
    return value;
}

static int command_config(struct cli *cli)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        if (cli->origins[i])
            printf("%s = %s  # %s\n", config_name(cli->arena, f), shown_value(cli, f),
                   cli->origins[i]);
        else
            printf("# %s is not set\n", config_name(cli->arena, f));
    }
    return EX_OK;
}

static void print_route(void *context, const struct resource *resource, const struct route *route)
{
    static const char *const who[] = {[AUTH_USER] = "user",
                                      [AUTH_ADMIN] = "admin",
                                      [AUTH_ANYONE] = "anyone",
                                      [AUTH_IGNORED] = "no-token"};
    struct cli *cli = context;
    (void)resource;
    printf("%-7s %-25s %-9s %-5s %s\n", method_list(cli->arena, route->method), route->path,
           who[route->auth], route->hashes ? "hash" : "fast", route->summary);
}

static int command_routes(struct cli *cli)
{
    router_each(resources, print_route, cli);
    return EX_OK;
}

static int command_openapi(struct cli *cli)
{
    const struct app app = {.settings = &cli->settings}; /* it is only described */
    const struct api api = app_describe(&app);
    struct buf document;
    buf_init(&document, ARENA_MAX);
    openapi_write(&document, &api);
    fwrite(document.data, 1, document.len, stdout);
    putchar('\n');
    buf_release(&document);
    return EX_OK;
}

static const struct command commands[] = {
    {"serve", "", "Answer requests, on LISTEN or on descriptor 0.", command_serve, true},
    {"migrate", "[up|status]", "Bring the database's schema up to date.", command_migrate, true},
    {"user", "add EMAIL [--admin] [--first-name NAME] [--last-name NAME] --password-stdin",
     "Make a user; the password is the first line of standard input.", command_user, true},
    {"reindex", "", "Make totals and search right after rows were brought in by other means.",
     command_reindex, true},
    {"routes", "", "List what the API offers.", command_routes, false},
    {"openapi", "", "Describe the API as an OpenAPI document.", command_openapi, true},
    {"config", "", "Show the settings that hold and where each comes from.", command_config, true},
    {"secret", "", "Make a random key for JWT_SECRET_KEY.", command_secret, false},
};

static const size_t command_count = sizeof commands / sizeof *commands;

/* ---- the command line ---- */

static void print_help(struct arena *a)
{
    puts("usage: postern [--config FILE] [--SETTING VALUE]... COMMAND [ARGUMENT]...\n\nCommands:");
    for (size_t i = 0; i < command_count; i++)
        printf("  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].doc);
    puts("\nSettings, from --flags, the environment, or lines NAME = value in FILE (also named\n"
         "by POSTERN_CONFIG); a secret has no flag, but NAME_FILE may name a file that holds it:");
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        printf("  %s%s%s%s\n      %s\n", config_name(a, f), f->preset ? " (" : "",
               f->preset ? f->preset : "", f->preset ? ")" : "", f->doc);
    }
}

/* Take the options before the command; returns how many arguments they are, or -1. */
static int take_flags(struct cli *cli, char **args)
{
    struct config_flag *flags = arena_array(cli->arena, FLAGS_MAX, sizeof *flags);
    int at = 0;
    for (; args[at] && strncmp(args[at], "--", 2) == 0; at += 2) {
        const struct field *f = config_flag_field(&settings_record, args[at] + 2);
        bool is_config = strcmp(args[at], "--config") == 0;
        if (!f && !is_config) {
            complain(0, "there is no option %s (see postern --help)", args[at]);
            return -1;
        }
        if (!args[at + 1] || cli->flags.count == FLAGS_MAX) {
            complain(0, "%s wants a value", args[at]);
            return -1;
        }
        if (is_config)
            cli->config_path = args[at + 1];
        else
            flags[cli->flags.count++] = (struct config_flag){f->name, args[at + 1]};
    }
    cli->flags.list = flags;
    return at;
}

static int run(struct cli *cli, const struct command *command)
{
    if (command->needs_settings) {
        struct problem *p = NULL;
        if (!cli->config_path)
            p = config_find(cli->arena, program_path(cli->arena), "postern.conf",
                            &cli->config_path);
        if (!p)
            p = config_load(cli->arena, &settings_record, cli->flags, environ, cli->config_path,
                            &cli->settings, cli->origins);
        if (p)
            return complain(EX_CONFIG, "%s", p->cause);
    }
    int status = command->run(cli);
    if (fflush(stdout) != 0)
        return complain(EX_IOERR, "cannot write: %s", strerror(errno));
    return status;
}

static int find_and_run(struct cli *cli, char **args)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, args[0]) == 0) {
            cli->args = args + 1;
            return run(cli, &commands[i]);
        }
    }
    return complain(EX_USAGE, "there is no command %s (see postern --help)", args[0]);
}

static bool asks_for(const char *arg, const char *what)
{
    return arg && (strcmp(arg, what) == 0);
}

static int start(struct cli *cli, char **args)
{
    /* A web server passes words of the query to a CGI program as arguments (RFC 3875 section 4.4):
     * anybody could run any command. */
    if (getenv("GATEWAY_INTERFACE"))
        return complain(EX_USAGE, "was started as a CGI program; it is one of FastCGI, for "
                                  "mod_fcgid (SetHandler fcgid-script)");
    if (asks_for(args[0], "--help") || asks_for(args[0], "-h") || asks_for(args[0], "help")) {
        print_help(cli->arena);
        return EX_OK;
    }
    if (asks_for(args[0], "--version")) {
        puts("postern " PACKAGE_VERSION);
        return EX_OK;
    }
    cli->config_path = getenv("POSTERN_CONFIG");
    int taken = take_flags(cli, args);
    if (taken < 0)
        return EX_USAGE;
    cli->is_script = !args[taken] && serve_is_wanted();
    if (cli->is_script)
        return find_and_run(cli, (char *[]){(char[]){"serve"}, NULL});
    if (!args[taken])
        return complain(EX_USAGE, "which command? (see postern --help)");
    return find_and_run(cli, args + taken);
}

int main(int argc, char **argv)
{
    struct cli cli = {.arena = arena_open(ARENA_MAX), .program = argv};
    cli.origins = arena_array(cli.arena, settings_record.count, sizeof *cli.origins);
    int status = start(&cli, argv + (argc > 0));
    arena_close(cli.arena);
    return status;
}

/* cli.h -- one call of the program: the table of commands, options, and what it says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "fcgi-app/cli/command.h"
#include "fcgi-app/cli/terminal.h"
#include "fcgi-app/settings.h"

struct arena;
struct app;
struct problem;

/* One call of the program. */
struct cli {
    struct arena *arena;
    const char *config_path;   /* or NULL */
    struct config_flags flags; /* settings from the command line */
    struct settings settings;  /* filled where the command asks for it */
    struct origin *origins;    /* one per setting */
    char **program;            /* how it was called, from its own name on */
    bool is_script;            /* started without arguments, by a web server */
    const char *group;         /* the first word, while the second is missing; else NULL */
    const struct command *command;
    const char **values; /* of the command's options, in its order; NULL: not given */
    char **args;         /* after the command, without options, NULL at the end */
    size_t arg_count;
};

/**
 * Read the command line `argv` into `cli`: command, options, arguments.
 *
 * Options stand anywhere, as `--name value` or `--name=value`, up to a `--`, but a command's own
 * only after its words; settings are options of every command. Returns false when there is nothing
 * to run, with the exit status in `*ret_status`: after a misuse, which was complained of, and after
 * --help or --version. Without any word cli->command is NULL.
 */
bool cli_parse(struct cli *cli, int argc, char **argv, int *ret_status);

/** The value of an option of the running command, "" if it has none; NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);

/** Say what went wrong; returns the status that fits it. */
int complain_of(const struct problem *p);

/** Open what handlers need but for the keys, or complain. Returns one of sysexits.h. */
int cli_open_app(struct cli *cli, struct app **ret);

/* A status that the program ends with. */
struct exit_status {
    int number;
    const char *name; /* in sysexits.h */
    const char *doc;
};

extern const struct exit_status exit_statuses[]; /* without a name at the end */

/* commands.h -- what `postern COMMAND` can be. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "settings.h"

/* One call of the program. */
struct cli {
    struct arena *arena;
    const char *config_path;   /* or NULL */
    struct config_flags flags; /* settings from the command line */
    struct settings settings;  /* filled where the command asks for it */
    const char **origins;      /* one per setting */
    char **program;            /* how it was called, from its own name on */
    bool is_script;            /* called without a word, by a web server that wants answers */
    char **args;               /* behind the command, NULL at the end */
};

struct command {
    const char *name;
    const char *usage; /* its arguments */
    const char *doc;
    int (*run)(struct cli *cli); /* returns one of sysexits.h */
    bool needs_settings;
};

/** Say what is wrong on stderr; returns `status`. */
int complain(int status, const char *format, ...) PRINTF_LIKE(2, 3);

int command_serve(struct cli *cli);

/** Is descriptor 0 a listening socket? So web servers start a program that shall serve. */
bool serve_is_wanted(void);

int command_migrate(struct cli *cli);
int command_reindex(struct cli *cli);
int command_user(struct cli *cli);

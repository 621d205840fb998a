/* command.h -- what a row of the table in commands.c has: a command described once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cli;

/* An option of one command, `--name` or `--name VALUE`. */
struct command_option {
    const char *name;  /* "first-name" */
    const char *value; /* stands for its value, "NAME" or "user|admin"; NULL: it has none */
    const char *doc;   /* one sentence */
};

/* What the program can be told to do. Help, completion and manual follow from the table. */
struct command {
    const char *name; /* one word, or two for a part of a group: "user add" */
    const char *args; /* "USER user|admin": in brackets what may be left out, in lower case what is
                         given as it stands, with `...` any number */
    const char *doc;  /* one sentence */
    int (*run)(struct cli *cli); /* returns one of sysexits.h */
    bool needs_settings;
    const struct command_option *options; /* without a name at the end; NULL: none */
    const char *more;                     /* what help and manual say besides, or NULL */
    bool is_default;                      /* what the bare name of its group means */
    bool is_hidden;                       /* for our own scripts; in no list */
    bool needs_keys; /* the settings that sign tokens; other commands need no right to read them */
};

extern const struct command commands[]; /* without a name at the end */
#define COMMAND_SERVE 0                 /* where `serve` is among them */

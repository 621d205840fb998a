/* help.h -- what the tables of commands and settings say: to readers, to the shell, to groff. */
#pragma once

#include "fcgi-app/cli/command.h"
#include "fcgi-app/settings.h"

/** Is `word` the first of some command's two? */
bool help_is_group(const char *word);

/** Is the command of this group? */
bool help_is_in_group(const struct command *command, const char *group);

/** The second words of a group: "add, list, show". */
const char *help_group_words(struct arena *a, const char *group);

/** Name, arguments and options in one line: "user add EMAIL [--admin]". */
const char *help_usage(struct arena *a, const struct command *command);

/** The command whose name is one word, or with `second` two; NULL for none. */
const struct command *help_find(const char *first, const char *second);

/** Print the help of a command, of a group, or with "" of the whole program. */
void help_print(struct arena *a, const char *name);

/** A setting as an option, without its dashes: "max-body". */
const char *setting_flag(struct arena *a, const struct field *f);

/** What a setting may hold, in a few words: "1 to 256", "at most 200 characters"; "" for no bound.
 */
const char *setting_bounds(struct arena *a, const struct field *f);

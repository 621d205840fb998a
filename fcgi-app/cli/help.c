#include "fcgi-app/cli/help.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool help_is_in_group(const struct command *command, const char *group)
{
    size_t len = strlen(group);
    return strncmp(command->name, group, len) == 0 && command->name[len] == ' ';
}

bool help_is_group(const char *word)
{
    for (const struct command *c = commands; c->name; c++)
        if (help_is_in_group(c, word))
            return true;
    return false;
}

const struct command *help_find(const char *first, const char *second)
{
    size_t len = strlen(first);
    for (const struct command *c = commands; c->name; c++) {
        const char *rest = c->name + len;
        if (strncmp(c->name, first, len) == 0 &&
            (second ? *rest == ' ' && strcmp(rest + 1, second) == 0 : !*rest))
            return c;
    }
    return NULL;
}

const char *help_group_words(struct arena *a, const char *group)
{
    const char *words = "";
    for (const struct command *c = commands; c->name; c++)
        if (help_is_in_group(c, group))
            words =
                arena_printf(a, "%s%s%s", words, *words ? ", " : "", c->name + strlen(group) + 1);
    return words;
}

const char *help_usage(struct arena *a, const struct command *command)
{
    const char *usage =
        arena_printf(a, "%s%s%s", command->name, *command->args ? " " : "", command->args);
    for (const struct command_option *o = command->options; o && o->name; o++)
        usage = arena_printf(a, "%s [--%s%s%s]", usage, o->name, o->value ? " " : "",
                             o->value ? o->value : "");
    return usage;
}

/* ---- settings ---- */

const char *setting_flag(struct arena *a, const struct field *f)
{
    char *flag = arena_strdup(a, f->name);
    for (char *c = flag; *c; c++)
        if (*c == '_')
            *c = '-';
    return flag;
}

const char *setting_bounds(struct arena *a, const struct field *f)
{
    const char *words = "";
    for (size_t i = 0; f->choices && f->choices[i]; i++)
        words = arena_printf(a, "%s%s%s", words, i ? " or " : "", f->choices[i]);
    if (f->type == FIELD_BOOLEAN)
        return "true or false";
    if (f->type == FIELD_INTEGER && f->max)
        return arena_printf(a, "%" PRId64 " to %" PRId64, f->min, f->max);
    if (f->type == FIELD_TEXT && f->max)
        return arena_printf(a, "at most %" PRId64 " characters", f->max);
    return words;
}

/* ---- for readers ---- */

#define LINE_MAX_WIDTH 80
#define DEEPER 6 /* where what belongs to a name stands */

/* `text` in lines, broken between words and options; the second and later ones begin at `indent`.
 */
static void print_wrapped(int first, int indent, const char *text)
{
    int column = first;
    printf("%*s", first, "");
    for (bool begins = true; *text; begins = false) {
        int len = *text == '[' ? (int)strcspn(text, "]") + 1 : (int)strcspn(text, " ");
        if (!begins && column + 1 + len > LINE_MAX_WIDTH)
            column = printf("\n%*s", indent, "") - 1;
        else if (!begins)
            column += printf(" ");
        column += printf("%.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    puts("");
}

static void print_summary(struct arena *a, const struct command *c)
{
    print_wrapped(2, 2 * DEEPER, help_usage(a, c));
    print_wrapped(DEEPER, DEEPER, c->doc);
}

static void print_command(struct arena *a, const struct command *c)
{
    print_wrapped(0, DEEPER, arena_printf(a, "usage: postern %s", help_usage(a, c)));
    puts("");
    print_wrapped(0, 0, c->doc);
    if (c->more)
        print_wrapped(0, 0, c->more);
    if (!c->options)
        return;
    puts("\nOptions:");
    for (const struct command_option *o = c->options; o->name; o++) {
        printf("  --%s%s%s\n", o->name, o->value ? " " : "", o->value ? o->value : "");
        print_wrapped(DEEPER, DEEPER, o->doc);
    }
}

static void print_settings(struct arena *a)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        printf("  %s%s%s%s\n", config_name(a, f), f->default_value ? " (" : "",
               f->default_value ? f->default_value : "", f->default_value ? ")" : "");
        print_wrapped(DEEPER, DEEPER, f->doc);
    }
}

static void print_all(struct arena *a)
{
    puts("usage: postern [OPTION]... COMMAND [ARGUMENT | OPTION]...\n\nCommands:");
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden)
            print_summary(a, c);
    puts("\nA command's own options stand after its words, those of every command anywhere:\n"
         "  --config FILE\n      Read settings from FILE; else from the one that POSTERN_CONFIG "
         "names,\n      else postern.conf beside the program or above it.\n"
         "  --help, --version\n"
         "  --SETTING VALUE\n      As --max-body 65536 for MAX_BODY.\n\n"
         "Settings, from options, the environment, or lines NAME = value in FILE; a\n"
         "secret has no option, but NAME_FILE may name a file that holds it:");
    print_settings(a);
}

void help_print(struct arena *a, const char *name)
{
    const struct command *command = help_find(name, NULL);
    if (command) {
        print_command(a, command);
        return;
    }
    if (!*name) {
        print_all(a);
        return;
    }
    printf("usage: postern %s COMMAND\n\nCommands:\n", name);
    for (const struct command *c = commands; c->name; c++)
        if (help_is_in_group(c, name))
            print_summary(a, c);
}

/* `postern help` and `postern manual`: the tables for readers, and in groff's man(7) for the
 * templates of the manual pages. */
#include "fcgi-app/cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi-app/cli/help.h"
#include "fcgi-app/mail/letters.h"

#define LINE_SIZE 4096

/* ---- text for groff ---- */

/* What groff would take for something else than itself; \- is what can be copied to a shell. */
static const char *spelled(char c)
{
    switch (c) {
    case '\\':
        return "\\(rs";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    case '/': /* a long address may be broken after these */
        return "/\\:";
    case '@':
        return "@\\:";
    case '?':
        return "?\\:";
    default:
        return NULL;
    }
}

/* Prose, in which `this` becomes bold. A control line begins with a dot, which it must not. */
static void put_text(const char *text)
{
    bool bold = false;
    fputs("\\&", stdout);
    for (const char *c = text; *c; c++) {
        const char *spelling = spelled(*c);
        if (*c == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", stdout);
        } else if (spelling) {
            fputs(spelling, stdout);
        } else {
            putchar(*c);
        }
    }
}

static void put_line(const char *text)
{
    put_text(text);
    putchar('\n');
}

static void put_bold(const char *text)
{
    fputs("\\fB", stdout);
    put_text(text);
    fputs("\\fR", stdout);
}

/* A word of a command's arguments: what is given as it stands is bold, what it stands for not. */
static void put_argument(const char *word)
{
    size_t capitals = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    if (!capitals) {
        put_bold(word);
        return;
    }
    printf("\\fI%.*s\\fR", (int)capitals, word);
    put_text(word + capitals);
}

static void put_option(const struct command_option *o)
{
    put_bold("--");
    put_bold(o->name);
    if (!o->value)
        return;
    fputs(" ", stdout);
    put_argument(o->value);
}

/* ---- parts ---- */

static void put_command(struct arena *a, const struct command *c)
{
    char *rest = arena_strdup(a, c->args), *word;
    fputs(".TP\n", stdout);
    put_bold(c->name);
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        bool optional = *word == '[';
        fputs(optional ? " [" : " ", stdout);
        put_argument(arena_copy(a, word + optional, strlen(word) - 2 * optional));
        fputs(optional ? "]" : "", stdout);
    }
    putchar('\n');
    put_line(c->doc);
    if (c->more)
        put_line(c->more);
    if (!c->options)
        return;
    puts(".RS");
    for (const struct command_option *o = c->options; o->name; o++) {
        puts(".TP");
        put_option(o);
        putchar('\n');
        put_line(o->doc);
    }
    puts(".RE");
}

static void put_commands(struct arena *a)
{
    for (const struct command *c = commands; c->name; c++)
        if (!c->is_hidden)
            put_command(a, c);
}

static void put_settings(struct arena *a)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        const char *bounds = setting_bounds(a, f);
        puts(".TP");
        put_bold(config_name(a, f));
        putchar('\n');
        put_line(f->doc);
        if (*bounds)
            put_line(arena_printf(a, "Takes %s.", bounds));
        if (f->default_value && *f->default_value)
            put_line(arena_printf(a, "The default is `%s`.", f->default_value));
        if (f->example)
            put_line(arena_printf(a, "For example `%s`.", f->example));
        if (f->use & FIELD_SECRET)
            put_line("A secret: it has no option, and is never shown.");
    }
}

static void put_statuses(struct arena *a)
{
    for (const struct exit_status *s = exit_statuses; s->name; s++) {
        printf(".TP\n\\fB%d\\fR (\\fB%s\\fR)\n", s->number, s->name);
        put_line(s->doc);
    }
    (void)a;
}

static void put_letters(struct arena *a)
{
    for (int kind = LETTER_NOBODY + 1; kind < LETTER_KINDS; kind++)
        put_line(arena_printf(a, "%s%s", letters[kind].name,
                              kind == LETTER_KINDS - 1   ? "."
                              : kind == LETTER_KINDS - 2 ? " and"
                                                         : ","));
}

static const struct {
    const char *name;
    void (*put)(struct arena *a);
} parts[] = {
    {"@commands@\n", put_commands},
    {"@settings@\n", put_settings},
    {"@statuses@\n", put_statuses},
    {"@letters@\n", put_letters},
};

static bool put_part(struct arena *a, const char *line)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(line, parts[i].name) == 0) {
            parts[i].put(a);
            return true;
        }
    }
    return false;
}

int command_manual(struct cli *cli)
{
    static const char version[] = "@version@";
    char line[LINE_SIZE];
    while (fgets(line, sizeof line, stdin)) {
        char *at = strstr(line, version);
        if (at)
            printf("%.*s%s%s", (int)(at - line), line, PACKAGE_VERSION, at + strlen(version));
        else if (!put_part(cli->arena, line))
            fputs(line, stdout);
    }
    return ferror(stdin) ? complain(EX_IOERR, "the template cannot be read") : EX_OK;
}

/* ---- help ---- */

int command_help(struct cli *cli)
{
    const char *name = cli->args[0] ? cli->args[0] : "";
    if (cli->args[0] && cli->args[1])
        name = arena_printf(cli->arena, "%s %s", cli->args[0], cli->args[1]);
    if (*name && !help_is_group(name) && !help_find(name, NULL))
        return complain(EX_USAGE, "there is no command %s (see postern --help)", name);
    help_print(cli->arena, name);
    return EX_OK;
}

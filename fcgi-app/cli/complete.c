/* `postern complete`: how the last word of a command line could end, from the tables. */
#include "fcgi-app/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "fcgi-app/cli/help.h"

#define A_FILE "<file>" /* for the shell's own completion */

/* A command line while it is typed. */
struct typed {
    struct arena *arena;
    const char *last;              /* the word that must be completed */
    const char *group;             /* the first word, where a second may follow */
    const struct command *command; /* as far as it is known */
    size_t args;                   /* before `last` */
    bool only_words;               /* after `--` */
    bool lost;                     /* a word is no command */
};

static void offer(const struct typed *t, const char *word)
{
    if (strncmp(word, t->last, strlen(t->last)) == 0)
        puts(word);
}

/* Offer each of `a|b|C`, except capitals, which stand for something. */
static void offer_words(const struct typed *t, const char *alternatives)
{
    char *rest = arena_strdup(t->arena, alternatives), *word;
    while ((word = strtok_r(rest, "|", &rest)) != NULL)
        if (strpbrk(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ[") == NULL)
            offer(t, word);
}

/* ---- options ---- */

static const struct command_option *find_option(const struct command *command, const char *name)
{
    for (const struct command_option *o = command ? command->options : NULL; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

/* Does `word` take a value, in the next word? */
static bool wants_value(const struct typed *t, const char *word)
{
    const char *name = word + 2;
    const struct command_option *option;
    if (t->only_words || strncmp(word, "--", 2) != 0 || strchr(word, '='))
        return false;
    option = find_option(t->command, name);
    if (option)
        return option->value != NULL;
    return strcmp(name, "config") == 0 || config_flag_field(&settings_record, name);
}

static void offer_setting(const struct typed *t, const struct field *f)
{
    for (size_t i = 0; f->choices && f->choices[i]; i++)
        offer(t, f->choices[i]);
    if (f->type == FIELD_BOOLEAN)
        offer_words(t, "true|false");
    if (f->type == FIELD_TEXT)
        puts(A_FILE); /* a socket, a program, a state file: most of them are paths */
}

static void offer_value(const struct typed *t, const char *name)
{
    const struct command_option *option = find_option(t->command, name);
    const struct field *f = config_flag_field(&settings_record, name);
    if (option)
        offer_words(t, option->value ? option->value : "");
    else if (strcmp(name, "config") == 0)
        puts(A_FILE);
    else if (f)
        offer_setting(t, f);
}

static void offer_options(const struct typed *t)
{
    for (const struct command_option *o = t->command ? t->command->options : NULL; o && o->name;
         o++)
        offer(t, arena_printf(t->arena, "--%s", o->name));
    offer_words(t, "--config|--help|--version");
    for (size_t i = 0; i < settings_record.count; i++)
        if (!(settings_record.fields[i].use & FIELD_SECRET))
            offer(t, arena_printf(t->arena, "--%s",
                                  setting_flag(t->arena, &settings_record.fields[i])));
}

/* ---- words ---- */

/* First words, or with a group its second ones; each once, for a group's rows stand together. */
static void offer_commands(const struct typed *t, const char *group)
{
    const char *before = "";
    for (const struct command *c = commands; c->name; c++) {
        if (c->is_hidden || (group && !help_is_in_group(c, group)))
            continue;
        const char *name = c->name + (group ? strlen(group) + 1 : 0);
        const char *word = arena_copy(t->arena, name, strcspn(name, " "));
        if (strcmp(word, before) != 0)
            offer(t, word);
        before = word;
    }
}

static void offer_argument(const struct typed *t)
{
    char *rest = arena_strdup(t->arena, t->command->args), *arg = NULL;
    for (size_t i = 0; i <= t->args; i++)
        arg = strtok_r(rest, " ", &rest);
    if (arg)
        offer_words(t, arg);
}

static void take_word(struct typed *t, const char *word)
{
    if (t->command && !t->group) {
        t->args++;
    } else if (t->group) {
        t->command = help_find(t->group, word);
        t->group = NULL;
    } else {
        t->command = help_find(word, NULL);
        t->group = help_is_group(word) ? word : NULL;
    }
    t->lost = t->lost || (!t->command && !t->group);
}

/* `help` is followed by the words of a command. */
static void offer_help(const struct typed *t, char *const *words)
{
    if (t->args == 0)
        offer_commands(t, NULL);
    else
        offer_commands(t, words[1]);
}

static void complete(struct typed *t, char *const *words, const char *value_of)
{
    const char *equals = strchr(t->last, '=');
    bool is_option = *t->last == '-' && !t->only_words;
    if (t->lost)
        return;
    if (value_of) {
        offer_value(t, value_of + 2);
    } else if (is_option && equals) {
        const char *name = arena_copy(t->arena, t->last + 2, (size_t)(equals - t->last) - 2);
        t->last = equals + 1;
        offer_value(t, name);
    } else if (is_option) {
        offer_options(t);
    } else if (t->group || !t->command) {
        offer_commands(t, t->group);
    } else if (t->command->run == command_help) {
        offer_help(t, words);
    } else {
        offer_argument(t);
    }
}

int command_complete(struct cli *cli)
{
    struct typed t = {.arena = cli->arena, .last = ""};
    const char *value_of = NULL;
    if (cli->arg_count)
        t.last = cli->args[cli->arg_count - 1];
    for (size_t i = 0; i + 1 < cli->arg_count; i++) {
        const char *word = cli->args[i];
        if (value_of)
            value_of = NULL;
        else if (wants_value(&t, word))
            value_of = word;
        else if (strcmp(word, "--") == 0)
            t.only_words = true;
        else if (*word != '-' || t.only_words)
            take_word(&t, word);
    }
    complete(&t, cli->args, value_of);
    return EX_OK;
}

#include "fcgi-app/cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/problem.h"
#include "common/db/db.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/cli/help.h"
#include "fcgi-app/worker.h"

#define FLAGS_MAX 64
#define MISPLACED " must follow the words of its command (see postern --help)"

const struct exit_status exit_statuses[] = {
    {EX_OK, "EX_OK", "All is well."},
    {EX_USAGE, "EX_USAGE", "The command line is not understood."},
    {EX_DATAERR, "EX_DATAERR", "What was given is not valid, or the schema does not fit."},
    {EX_NOINPUT, "EX_NOINPUT", "Standard input has no password."},
    {EX_NOUSER, "EX_NOUSER", "There is no such user, session or message."},
    {EX_UNAVAILABLE, "EX_UNAVAILABLE",
     "A socket cannot be had, doctor found a fault, or a message was refused."},
    {EX_SOFTWARE, "EX_SOFTWARE", "An error inside."},
    {EX_CANTCREAT, "EX_CANTCREAT", "LOG_TO names a file that cannot be opened."},
    {EX_IOERR, "EX_IOERR", "The output cannot be written."},
    {EX_TEMPFAIL, "EX_TEMPFAIL",
     "The database, or the mail command, will not do now; later it may."},
    {EX_NOPERM, "EX_NOPERM", "Refused: the last active admin, or to serve as root."},
    {EX_CONFIG, "EX_CONFIG", "A setting is missing or wrong."},
    {0, NULL, NULL},
};

/* ---- complaints ---- */

/* An empty database, one of another program, or one that `migrate` has not brought up yet. */
static bool is_of_schema(const struct problem *p)
{
    return db_is_missing_table(p) || db_is_missing_column(p);
}

static int status_of(const struct problem *p)
{
    if (p->type == &problem_last_admin)
        return EX_NOPERM;
    switch (p->type->status) {
    case 404:
        return EX_NOUSER;
    case 500:
        return EX_SOFTWARE;
    case 503:
        return EX_TEMPFAIL;
    default:
        return EX_DATAERR;
    }
}

int complain_of(const struct problem *p)
{
    int status = status_of(p);
    if (is_of_schema(p))
        return complain(EX_DATAERR,
                        "the schema is not the one of this program; run `postern migrate` (%s)",
                        p->cause);
    for (size_t i = 0; i < p->fault_count; i++)
        complain(status, "%s: %s", p->faults[i].field, p->faults[i].message);
    return p->fault_count ? status : complain(status, "%s", p->cause ? p->cause : p->message);
}

int cli_open_app(struct cli *cli, struct app **ret)
{
    struct problem *p = app_open_keyless(cli->arena, &cli->settings, ret);
    return p ? complain(EX_CONFIG, "%s", p->cause) : EX_OK;
}

/* ---- options ---- */

/* What getopt_long() returns, beyond all characters. */
enum taken { TAKEN_OPTION = 256, TAKEN_CONFIG, TAKEN_HELP, TAKEN_VERSION, TAKEN_SETTING };

#define TAKEN_WORD 1 /* getopt(3): for what is no option, where the short ones begin with `-` */

static size_t option_count(const struct command *command)
{
    size_t count = 0;
    while (command && command->options && command->options[count].name)
        count++;
    return count;
}

static struct option *add_option(struct option *to, const char *name, bool has_value,
                                 enum taken taken)
{
    *to = (struct option){name, has_value ? required_argument : no_argument, NULL, (int)taken};
    return to + 1;
}

/* All options that are allowed now: the command's own first, then those of every command. */
static struct option *options_of(struct cli *cli)
{
    size_t count = option_count(cli->command);
    struct option *list = arena_array(cli->arena, count + settings_record.count + 4, sizeof *list);
    struct option *to = list;
    for (size_t i = 0; i < count; i++)
        to = add_option(to, cli->command->options[i].name, cli->command->options[i].value != NULL,
                        TAKEN_OPTION);
    to = add_option(to, "config", true, TAKEN_CONFIG);
    to = add_option(to, "help", false, TAKEN_HELP);
    to = add_option(to, "version", false, TAKEN_VERSION);
    for (size_t i = 0; i < settings_record.count; i++)
        if (!(settings_record.fields[i].use & FIELD_SECRET))
            to = add_option(to, setting_flag(cli->arena, &settings_record.fields[i]), true,
                            TAKEN_SETTING);
    return list;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    const struct command_option *options = cli->command->options;
    for (size_t i = 0; options && options[i].name; i++)
        if (strcmp(options[i].name, name) == 0)
            return cli->values[i];
    abort(); /* the command asks for an option that its row does not have */
}

static int take_setting(struct cli *cli, const char *flag, const char *value)
{
    struct config_flag *list = arena_array(cli->arena, cli->flags.count + 1, sizeof *list);
    if (cli->flags.count == FLAGS_MAX)
        return complain(EX_USAGE, "too many settings");
    if (cli->flags.count)
        memcpy(list, cli->flags.list, cli->flags.count * sizeof *list);
    list[cli->flags.count++] =
        (struct config_flag){config_flag_field(&settings_record, flag)->name, value};
    cli->flags.list = list;
    return EX_OK;
}

/* Which secret setting an unknown option `--NAME` of `len` characters was to set, or NULL. */
static const struct field *secret_of(struct cli *cli, const char *seen, size_t len)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        const char *flag = arena_printf(cli->arena, "--%s", setting_flag(cli->arena, f));
        if ((f->use & FIELD_SECRET) && strlen(flag) == len && strncmp(flag, seen, len) == 0)
            return f;
    }
    return NULL;
}

/* Does any command have the option `--NAME` of `len` characters? */
static bool is_of_some_command(const char *seen, size_t len)
{
    for (const struct command *c = commands; c->name; c++)
        for (size_t i = 0; i < option_count(c); i++)
            if (len > 2 && strlen(c->options[i].name) == len - 2 &&
                strncmp(c->options[i].name, seen + 2, len - 2) == 0)
                return true;
    return false;
}

/* getopt(3) leaves in `optopt` a short option that is unknown, or the kind of a long one that is
 * known, and 0 for any other. */
static int bad_option(struct cli *cli, const char *seen)
{
    int len = (int)strcspn(seen, "=");
    const struct field *secret = secret_of(cli, seen, (size_t)len);
    if (secret)
        return complain(EX_USAGE,
                        "%.*s is no option, for everybody can read a command line; %s is set in "
                        "the environment or in the file of --config, and %s_FILE may name a file "
                        "that holds it",
                        len, seen, config_name(cli->arena, secret),
                        config_name(cli->arena, secret));
    if ((!cli->command || cli->group) && is_of_some_command(seen, (size_t)len))
        return complain(EX_USAGE, "%.*s" MISPLACED, len, seen);
    if (optopt >= TAKEN_OPTION)
        return complain(EX_USAGE, "%.*s takes no value", len, seen);
    if (optopt)
        return complain(EX_USAGE, "there is no option -%c (see postern --help)", optopt);
    return complain(EX_USAGE, "there is no option %.*s (see postern --help)", len, seen);
}

/* ---- words ---- */

static void choose(struct cli *cli, const struct command *command)
{
    cli->command = command;
    cli->values = arena_array(cli->arena, option_count(command) + 1, sizeof *cli->values);
}

/* What the bare name of a group means, if it means anything. */
static const struct command *default_of(const char *group)
{
    for (const struct command *c = commands; c->name; c++)
        if (c->is_default && help_is_in_group(c, group))
            return c;
    return NULL;
}

static int take_first_word(struct cli *cli, const char *word)
{
    const struct command *command = help_find(word, NULL);
    if (command) {
        choose(cli, command);
        return EX_OK;
    }
    if (!help_is_group(word))
        return complain(EX_USAGE, "there is no command %s (see postern --help)", word);
    cli->group = word;
    command = default_of(word);
    if (command)
        choose(cli, command); /* unless the next word names another */
    return EX_OK;
}

/* An option of the group's default that was given, or NULL. */
static const char *given_option(const struct cli *cli)
{
    for (size_t i = 0; i < option_count(cli->command); i++)
        if (cli->values[i])
            return cli->command->options[i].name;
    return NULL;
}

static int take_word(struct cli *cli, char *word)
{
    if (!cli->command && !cli->group)
        return take_first_word(cli, word);
    if (cli->group) {
        const struct command *command = help_find(cli->group, word);
        if (!command)
            return complain(EX_USAGE, "%s what? %s", cli->group,
                            help_group_words(cli->arena, cli->group));
        const char *given = command == cli->command ? NULL : given_option(cli);
        if (given)
            return complain(EX_USAGE, "--%s" MISPLACED, given);
        if (command != cli->command)
            choose(cli, command);
        cli->group = NULL;
        return EX_OK;
    }
    cli->args[cli->arg_count++] = word;
    return EX_OK;
}

/* Do the arguments fit what the row says of them? */
static int check_words(struct cli *cli)
{
    if (!cli->command && cli->group)
        return complain(EX_USAGE, "%s what? %s", cli->group,
                        help_group_words(cli->arena, cli->group));
    if (!cli->command)
        return EX_OK;
    size_t at = 0;
    char *rest = arena_strdup(cli->arena, cli->command->args), *name;
    while ((name = strtok_r(rest, " ", &rest)) != NULL) {
        if (strstr(name, "..."))
            return EX_OK;
        if (at == cli->arg_count && *name != '[')
            return complain(EX_USAGE, "%s: %s is missing: postern %s", cli->command->name, name,
                            help_usage(cli->arena, cli->command));
        at += at < cli->arg_count;
    }
    if (at < cli->arg_count)
        return complain(EX_USAGE, "%s: %s is too much: postern %s", cli->command->name,
                        cli->args[at], help_usage(cli->arena, cli->command));
    return EX_OK;
}

/* ---- all of it ---- */

/* One thing that getopt_long() found; true when there is nothing to run. */
static bool take(struct cli *cli, int got, const struct option *found, char *const *argv,
                 int *ret_status)
{
    const char *seen = argv[optind > 1 ? optind - 1 : 1];
    switch (got) {
    case TAKEN_WORD:
        *ret_status = take_word(cli, optarg);
        break;
    case TAKEN_OPTION:
        for (size_t i = 0; i < option_count(cli->command); i++)
            if (strcmp(cli->command->options[i].name, found->name) == 0)
                cli->values[i] = optarg ? optarg : "";
        break;
    case TAKEN_CONFIG:
        cli->config_path = optarg;
        break;
    case TAKEN_SETTING:
        *ret_status = take_setting(cli, found->name, optarg);
        break;
    case 'h':
    case TAKEN_HELP:
        help_print(cli->arena, cli->group ? cli->group : cli->command ? cli->command->name : "");
        return true;
    case TAKEN_VERSION:
        puts("postern " PACKAGE_VERSION);
        return true;
    case ':':
        *ret_status = complain(EX_USAGE, "%s wants a value", seen);
        break;
    default:
        *ret_status = bad_option(cli, seen);
    }
    return *ret_status != EX_OK;
}

bool cli_parse(struct cli *cli, int argc, char **argv, int *ret_status)
{
    int got, index = 0;
    *ret_status = EX_OK;
    cli->args = arena_array(cli->arena, (size_t)argc + 1, sizeof *cli->args);
    opterr = 0; /* we complain ourselves */
    optind = 0;
    for (;;) {
        const struct option *options = options_of(cli); /* each command has others */
        got = getopt_long(argc, argv, "-:h", options, &index);
        if (got == -1)
            break;
        if (take(cli, got, &options[index], argv, ret_status))
            return false;
    }
    for (; optind < argc && *ret_status == EX_OK; optind++) /* after `--` */
        *ret_status = take_word(cli, argv[optind]);
    if (*ret_status == EX_OK)
        *ret_status = check_words(cli);
    return *ret_status == EX_OK;
}

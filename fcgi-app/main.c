/* main.c -- from the command line and its settings to the command. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/cli/cli.h"
#include "fcgi-app/cli/commands.h"
#include "common/field/config_find.h"
#include "common/base/problem.h"
#include "common/process/title.h"

#define ARENA_MAX ((size_t)64 * 1024 * 1024)

/* On a shared host that runs scripts as the web server's user, we do not search for the file;
 * without this hint the operator would only read that settings are missing. */
static void tell_of_search(struct cli *cli)
{
    const char *folder;
    if (cli->config_path || cli->settings.database_url.len)
        return;
    const char *why = config_find_stop(cli->arena, program_path(cli->arena), &folder);
    if (why)
        (void)complain(EX_CONFIG,
                       "postern.conf was not looked for in %s and above, which %s: on a shared "
                       "host, have scripts run as the folder's owner (suEXEC)",
                       folder, why);
}

/* Where the settings are: as the command line says, else the environment, else what lies beside
 * the program or above it. NULL: no file. */
static struct problem *find_config(struct cli *cli)
{
    if (!cli->config_path)
        cli->config_path = getenv("POSTERN_CONFIG");
    if (cli->config_path)
        return NULL;
    return config_find(cli->arena, program_path(cli->arena), "postern.conf", &cli->config_path);
}

/* Secrets that this call does not need: the file of one need not be readable. */
static const char *const *find_unread(const struct cli *cli)
{
    static const char *const names[] = {"database_url", "migrate_database_url", "jwt_secret_key",
                                        "jwt_previous_keys", NULL};
    static const char *const not_to_serve[] = {"migrate_database_url", NULL};
    if (cli->command->run == command_migrate || cli->command->run == command_migrate_status)
        return names + 2;
    if (!cli->command->needs_keys)
        return names + 1;
    return cli->command->run == command_config && cli_option(cli, "without-secrets") ? names
                                                                                     : not_to_serve;
}

static int run(struct cli *cli)
{
    if (cli->command->needs_settings) {
        struct problem *p = find_config(cli);
        cli->flags.unread = find_unread(cli);
        if (!p)
            p = config_load(cli->arena, &settings_record, cli->flags, environ, cli->config_path,
                            &cli->settings, cli->origins);
        if (p)
            return complain(EX_CONFIG, "%s", p->cause);
        new_password_min = cli->settings.password_min; /* also for what opens no app */
        tell_of_search(cli);
    }
    return cli->command->run(cli);
}

static int start(struct cli *cli, int argc, char **argv)
{
    int status;
    /* A web server passes words of the query to a CGI program as arguments (RFC 3875 section 4.4):
     * anybody could run any command. */
    if (serve_is_cgi())
        argc = 1;
    if (!cli_parse(cli, argc, argv, &status))
        return status;
    if (!cli->command && serve_is_wanted()) {
        cli->is_script = true;
        cli->command = &commands[COMMAND_SERVE];
    }
    return cli->command ? run(cli) : complain(EX_USAGE, "which command? (see postern --help)");
}

/* SIGPIPE is ignored while a command runs: a log or a terminal that is gone must not end it
 * between two changes. So where the reader of our output has gone, such as head(1), and the signal
 * was not ignored before us, we die of it now, silently like any filter. */
static int finish(int status, const struct sigaction *pipe_before)
{
    int failed = flush_output();
    if (!failed)
        return status;
    if (failed == EPIPE && pipe_before->sa_handler == SIG_DFL) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)raise(SIGPIPE);
    }
    return complain(EX_IOERR, "cannot write: %s", strerror(failed));
}

/* Otherwise the database's socket could get the descriptor of a closed standard output, and our
 * output. Opened for the opposite direction, so that reading and writing fail as on a closed one.
 */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    struct sigaction pipe_before = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &(const struct sigaction){.sa_handler = SIG_IGN}, &pipe_before);
    fill_standard_descriptors();
    struct cli cli = {.arena = arena_open(ARENA_MAX)};
    argv = title_keep(cli.arena, argc, argv);
    cli.program = argv;
    cli.origins = arena_array(cli.arena, settings_record.count, sizeof *cli.origins);
    int status = finish(start(&cli, argc, argv), &pipe_before);
    arena_close(cli.arena);
    return status;
}

/* commands.h -- the table of commands, and the functions that its rows name. */
#pragma once

#include <stdbool.h>
#include <sysexits.h>

#include "fcgi-app/cli/cli.h"

struct user;

/** Find the user whom an argument names, by id or e-mail, or complain. One of sysexits.h. */
int command_find_user(struct cli *cli, struct app *app, const char *who, struct user *ret);

int command_serve(struct cli *cli);

/** Is descriptor 0 a listening socket? So web servers start a program that must serve. */
bool serve_is_wanted(void);

/** Or are we started for a single request (RFC 3875)? Then there is none. */
bool serve_is_cgi(void);

int command_migrate(struct cli *cli);
int command_migrate_status(struct cli *cli);
int command_reindex(struct cli *cli);
int command_user_add(struct cli *cli);
int command_user_list(struct cli *cli);
int command_user_show(struct cli *cli);
int command_user_passwd(struct cli *cli);
int command_user_role(struct cli *cli);
int command_user_enable(struct cli *cli);
int command_user_disable(struct cli *cli);
int command_user_delete(struct cli *cli);
int command_session_list(struct cli *cli);
int command_session_end(struct cli *cli);
int command_mail_list(struct cli *cli);
int command_mail_retry(struct cli *cli);
int command_mail_test(struct cli *cli);
int command_config(struct cli *cli);
int command_doctor(struct cli *cli);
int command_routes(struct cli *cli);
int command_openapi(struct cli *cli);
int command_secret(struct cli *cli);
int command_help(struct cli *cli);
int command_complete(struct cli *cli);
int command_manual(struct cli *cli);

/* The table of commands: names, arguments, options, and what `postern help` says of each. */
#include "fcgi-app/cli/commands.h"

#define JSON                                                                                       \
    {                                                                                              \
        "json", NULL, "Print one JSON object per line."                                            \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }
#define PASSWORD_STDIN                                                                             \
    {                                                                                              \
        "password-stdin", NULL, "Read the password from standard input, even from a terminal."     \
    }

static const struct command_option migrate_options[] = {
    {"dry-run", NULL, "Tell what would be applied and built, and change nothing."}, END};
static const struct command_option json_option[] = {JSON, END};
static const struct command_option add_options[] = {{"admin", NULL, "Make an admin."},
                                                    {"first-name", "NAME", "The given name."},
                                                    {"last-name", "NAME", "The family name."},
                                                    PASSWORD_STDIN,
                                                    END};
static const struct command_option list_options[] = {
    {"role", "user|admin", "Only users of this role."},
    {"q", "TEXT", "Only users with this in the e-mail or the first name, in any case."},
    {"sort", "created_at|-created_at|email|-email", "The order; a leading minus reverses it."},
    {"limit", "N", "No more than so many."},
    JSON,
    END};
static const struct command_option password_options[] = {PASSWORD_STDIN, END};
static const struct command_option delete_options[] = {
    {"yes", NULL, "Do not ask; needed where there is no terminal to ask on."}, END};
static const struct command_option end_options[] = {
    {"user", "USER", "End all sessions of this user."}, END};
static const struct command_option config_options[] = {
    {"check", NULL, "Print no settings, but what `serve` would not start with."},
    {"without-secrets", NULL,
     "Do not read the files of secrets; for who may not, such as systemd's ExecReload."},
    JSON,
    END};
static const struct command_option doctor_options[] = {
    {"url", "URL", "Ask the API there too, such as https://example.org/api; takes curl."},
    {"nginx", "FOLDER", "Where nginx/render has written; /etc/postern/nginx, /etc/nginx/postern."},
    JSON,
    END};

/* A user is given by id or e-mail address everywhere. */
const struct command commands[] = {
    [COMMAND_SERVE] = {"serve", "", "Answer requests, on LISTEN or on descriptor 0.", command_serve,
                       true, .needs_keys = true},
    {"migrate up", "", "Bring the database's schema up to date.", command_migrate, true,
     migrate_options, .is_default = true},
    {"migrate status", "", "Tell which parts of the schema are applied.", command_migrate_status,
     true, json_option},
    {"reindex", "", "Make totals and search right after rows were imported.", command_reindex,
     true},
    {"user add", "EMAIL", "Make a user, and print the id.", command_user_add, true, add_options,
     "The password is asked for on a terminal, else it is the first line of standard input."},
    {"user list", "", "List and search users.", command_user_list, true, list_options},
    {"user show", "USER", "Show a user, given by id or e-mail.", command_user_show, true,
     json_option},
    {"user passwd", "USER", "Set a user's password, which ends all sessions of the user.",
     command_user_passwd, true, password_options,
     "The password is asked for on a terminal, else it is the first line of standard input."},
    {"user role", "USER user|admin", "Make a user an admin, or an admin a user.", command_user_role,
     true},
    {"user enable", "USER", "Let a user log in again.", command_user_enable, true},
    {"user disable", "USER", "Keep a user from logging in, and end all sessions of the user.",
     command_user_disable, true},
    {"user delete", "USER", "Delete a user with all posts and sessions.", command_user_delete, true,
     delete_options},
    {"session list", "[USER]", "List the sessions that live, of all users or of one.",
     command_session_list, true, json_option},
    {"session end", "[ID]", "End one session, or all of a user.", command_session_end, true,
     end_options},
    {"mail list", "", "List the messages that wait to be sent, and those that could not be.",
     command_mail_list, true, json_option,
     "A message that was taken is not there any more; one that was not is deleted a week after "
     "its\n"
     "last attempt.",
     .is_default = true},
    {"mail retry", "ID|all", "Have one message tried again, or all that failed or pause.",
     command_mail_retry, true, NULL,
     "The server sends it within half a minute, unless its token has expired."},
    {"mail test", "ADDRESS", "Send a message at once, and tell what the mail command says.",
     command_mail_test, true},
    {"config", "", "Show the settings that hold and where each comes from.", command_config, true,
     config_options, .needs_keys = true},
    {"doctor", "", "Look for what is wrong with the installation, and tell how to fix it.",
     command_doctor, true, doctor_options,
     "A line begins with ok, warn or FAIL; the status is 0 unless there is a FAIL. Run it as the\n"
     "user that the server runs as, with its settings.",
     .needs_keys = true},
    {"routes", "", "List what the API offers.", command_routes, false, json_option},
    {"openapi", "", "Describe the API as an OpenAPI document.", command_openapi, true},
    {"secret", "", "Make a random key for JWT_SECRET_KEY.", command_secret, false},
    {"help", "[COMMAND] [WORD]", "Tell what a command does and takes.", command_help, false},
    {"complete", "[WORD...]", "Print how the last word could end, for the shell's completion.",
     command_complete, false, .is_hidden = true},
    {"manual", "", "Fill the template of a manual page on standard input.", command_manual, false,
     .is_hidden = true},
    {NULL, NULL, NULL, NULL, false},
};

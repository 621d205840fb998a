/* settings.h -- the one table of what an operator can set. */
#pragma once

#include "common/field/config.h"

enum env { ENV_PRODUCTION, ENV_DEVELOPMENT };
enum lockdown_mode { LOCKDOWN_ON, LOCKDOWN_OFF, LOCKDOWN_KILL };
enum login_limit { LOGIN_LIMIT_ON, LOGIN_LIMIT_OFF };
enum limits { LIMITS_ON, LIMITS_GUESSES, LIMITS_OFF };
enum verify_email { VERIFY_EMAIL_OFF, VERIFY_EMAIL_ON, VERIFY_EMAIL_REQUIRED };
enum users_visible { USERS_VISIBLE_USERS, USERS_VISIBLE_ADMINS };

#define SESSIONS_MAX_MOST 500

#define SETTINGS_LINK_MAX 800 /* bytes: with a token after it, it fits into a line of a message */

struct settings {
    unsigned env; /* enum env */
    struct text database_url;
    struct text migrate_database_url;
    int64_t db_idle_s;
    struct text jwt_secret_key;
    struct text jwt_previous_keys;
    struct text jwt_issuer;
    int64_t access_ttl_s;
    int64_t refresh_ttl_s;
    struct text listen;
    struct text hash_listen;
    struct text socket_group;
    int64_t workers;
    int64_t hash_workers;
    int64_t backlog;
    int64_t hash_backlog;
    int64_t list_budget_ms;
    int64_t slow_lists;
    int64_t drain_s;
    int64_t hang_s;
    int64_t max_body;
    int64_t page_reach;
    int64_t search_reach;
    struct text base_path;
    struct text cors_origins;
    struct text cors_headers;
    struct text public_url;
    struct text contact;
    struct text mail_command;
    struct text mail_from;
    struct text reset_url;
    struct text verify_url;
    struct text undo_url;
    struct text mail_texts;
    unsigned verify_email; /* enum verify_email */
    struct text trusted_proxies;
    unsigned login_limit; /* enum login_limit */
    unsigned limits;      /* enum limits */
    int64_t sessions_max;
    unsigned users_visible; /* enum users_visible */
    int64_t password_min;
    bool log_requests;
    struct text log_to;
    struct text state_file;
    unsigned lockdown; /* enum lockdown_mode */
};

extern const struct record settings_record;

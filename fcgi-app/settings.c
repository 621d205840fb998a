#include "fcgi-app/settings.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/http/address.h"

static const char *const env_words[] = {"production", "development", NULL};
static const char *const lockdown_words[] = {"on", "off", "kill", NULL};
static const char *const login_limit_words[] = {"on", "off", NULL};
static const char *const limits_words[] = {"on", "guesses", "off", NULL};
static const char *const verify_email_words[] = {"off", "on", "required", NULL};
static const char *const users_visible_words[] = {"users", "admins", NULL};

/* What nginx/render takes for the same settings, by patterns of the same text: one program must not
 * start with what the other refuses. tests/e2e/check_nginx.c asks both. */
#define PORT_PATTERN                                                                               \
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6([0-4][0-9]{3}|5([0-4][0-9]{2}|5([0-2][0-9]|3[0-5]))))"
#define PATH_PATTERN "^/[A-Za-z0-9._+/-]+$"
#define BASE_PATTERN "^(/[A-Za-z0-9._-]+)*$"
#define ORIGIN_PATTERN                                                                             \
    "^[A-Za-z][A-Za-z0-9+.-]*://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:" PORT_PATTERN ")?$"
#define ORIGINS_MAX 4000
#define HEADER_PATTERN "^[A-Za-z0-9_-]+$"
#define HOST_PATTERN "^([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\]):" PORT_PATTERN "$"

/* The program's own. */
#define SITE_PATTERN "^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:" PORT_PATTERN ")?$"
#define CONTACT_PATTERN                                                                            \
    "^([^@/[:space:]]+@[A-Za-z0-9.-]+|https?://[^/[:space:]]+(/[^[:space:]]*)?)$"

#define MAILBOX_PATTERN "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
#define SENDER_PATTERN "^(" MAILBOX_PATTERN "|[^[:cntrl:]<>]*<" MAILBOX_PATTERN ">)$"
#define LINK_PATTERN "^[!-~]+$"

static bool matches(struct text t, const char *pattern)
{
    regex_t compiled;
    if (strlen(t.data) != t.len)
        return false; /* regexec() stops at a NUL */
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        abort(); /* out of memory */
    bool yes = regexec(&compiled, t.data, 0, NULL, 0) == 0;
    regfree(&compiled);
    return yes;
}

static bool is_base_path(struct text t)
{
    return matches(t, BASE_PATTERN);
}

static const struct format base_path_format = {
    .valid = is_base_path,
    .code = FAULT_FORMAT,
    .message = "Must begin with a slash and not end with one, of letters, digits and . _ -, or be "
               "empty.",
};

static bool is_socket(struct text t)
{
    return t.len == 0 || matches(t, PATH_PATTERN) || matches(t, HOST_PATTERN);
}

static const struct format socket_format = {
    .valid = is_socket,
    .code = FAULT_FORMAT,
    .message = "Must be an absolute path of letters, digits and . _ + -, or host:port with a port "
               "from 1 to 65535.",
};

/* Words as a shell's `read` finds them. */
static bool all_match(struct text t, const char *pattern)
{
    static const char blanks[] = " \t\n";
    for (const char *at = t.data; *(at += strspn(at, blanks)); at += strcspn(at, blanks)) {
        char word[ORIGINS_MAX + 1] = "";
        size_t len = strcspn(at, blanks);
        if (len > ORIGINS_MAX || !matches((struct text){memcpy(word, at, len), len}, pattern))
            return false;
    }
    return strlen(t.data) == t.len;
}

static bool are_origins(struct text t)
{
    return text_equal(t, TEXT("*")) || all_match(t, ORIGIN_PATTERN);
}

static const struct format origins_format = {
    .valid = are_origins,
    .code = FAULT_FORMAT,
    .message = "Must be * or origins separated by spaces, each as scheme://host or "
               "scheme://host:port without a slash after it.",
};

static bool are_headers(struct text t)
{
    return all_match(t, HEADER_PATTERN);
}

static const struct format headers_format = {
    .valid = are_headers,
    .code = FAULT_FORMAT,
    .message = "Must be names of headers, of letters, digits, - and _, separated by spaces.",
};

static bool is_site(struct text t)
{
    return t.len == 0 || matches(t, SITE_PATTERN);
}

static const struct format site_format = {
    .valid = is_site,
    .code = FAULT_FORMAT,
    .message = "Must be http:// or https:// and a host, with a port or not, without a slash after "
               "it.",
};

static bool is_contact(struct text t)
{
    return t.len == 0 || matches(t, CONTACT_PATTERN);
}

static const struct format contact_format = {
    .valid = is_contact,
    .code = FAULT_FORMAT,
    .message = "Must be an e-mail address, or a URL of http or https.",
};

static bool is_sender(struct text t)
{
    return matches(t, SENDER_PATTERN) && utf8_is_clean(t.data, t.len);
}

static const struct format sender_format = {
    .valid = is_sender,
    .code = FAULT_FORMAT,
    .message = "Must be an e-mail address, or a name and then the address in < and >, in one line.",
};

static bool is_link(struct text t)
{
    return t.len == 0 || matches(t, LINK_PATTERN);
}

static const struct format link_format = {
    .valid = is_link,
    .code = FAULT_FORMAT,
    .message = "Must be the beginning of a URL, without blanks and of ASCII alone.",
};

static const struct format address_list_format = {
    .valid = address_list_is_valid,
    .code = FAULT_FORMAT,
    .message = "Must be addresses or blocks such as 10.0.0.0/8, or unix:, separated by spaces.",
};

static bool is_log_destination(struct text t)
{
    return text_equal(t, TEXT("stderr")) || text_equal(t, TEXT("syslog")) ||
           (t.len > 1 && t.data[0] == '/');
}

static const struct format log_to_format = {
    .valid = is_log_destination,
    .code = FAULT_FORMAT,
    .message = "Must be stderr, syslog, or an absolute path.",
};

static const struct field settings_fields[] = {
    FIELD(struct settings, env, .choices = env_words, .default_value = "production",
          .doc = "What the server is for; in production it refuses to run as root."),
    FIELD(struct settings, database_url, .use = FIELD_SECRET,
          .example = "mysql://postern:password@localhost/postern?socket=/run/mysqld/mysqld.sock",
          .doc = "Where the database is: mysql://user:password@host:port/name?socket=path, and "
                 "ssl-ca=file for a host that must be verified; in the password a special "
                 "character is a % and two hexadecimal digits, %40 for @, %2F for /."),
    FIELD(struct settings, migrate_database_url, .use = FIELD_SECRET,
          .example = "mysql://root@localhost/postern?socket=/run/mysqld/mysqld.sock",
          .doc = "The same database by a user that may change tables, for `postern migrate` alone; "
                 "the one of DATABASE_URL then needs only SELECT, INSERT, UPDATE and DELETE."),
    FIELD(struct settings, db_idle_s, .min = 0, .max = 86400, .default_value = "0",
          .doc = "A connection to the database is closed when no request needed it for so long, in "
                 "seconds; 0: never."),
    FIELD(struct settings, jwt_secret_key, .use = FIELD_SECRET,
          .doc = "Signs access tokens; at least 32 bytes, as `postern secret` makes them."),
    FIELD(struct settings, jwt_previous_keys, .use = FIELD_SECRET,
          .doc = "Older keys whose tokens are still good, separated by spaces."),
    FIELD(struct settings, jwt_issuer, .min = 1, .max = 100, .default_value = "postern",
          .doc = "The claim iss of access tokens."),
    FIELD(struct settings, access_ttl_s, .min = 10, .max = 86400, .default_value = "900",
          .doc = "How long an access token is good, in seconds."),
    FIELD(struct settings, refresh_ttl_s, .min = 60, .max = 31536000, .default_value = "2592000",
          .doc = "How long a session lives without being used, in seconds."),
    FIELD(struct settings, listen, .max = 200, .format = &socket_format,
          .doc = "The socket of the workers, a path, or a host:port that only the web server can "
                 "reach; without it, descriptor 0. Sockets that systemd passes come before both."),
    FIELD(struct settings, hash_listen, .max = 200, .format = &socket_format,
          .doc = "The socket of the workers for requests that hash a password; optional."),
    FIELD(struct settings, socket_group, .max = 32,
          .doc = "The group that may connect to the sockets, which have mode 0660."),
    FIELD(struct settings, workers, .min = 1, .max = 256, .default_value = "4",
          .doc =
              "How many workers answer on LISTEN; half of them may be at long lists or searches."),
    FIELD(struct settings, hash_workers, .min = 1, .max = 64, .default_value = "2",
          .doc = "How many workers answer on HASH_LISTEN."),
    FIELD(struct settings, backlog, .min = 1, .max = 65535, .default_value = "4096",
          .doc = "How many connections may wait on LISTEN."),
    FIELD(struct settings, hash_backlog, .min = 1, .max = 65535, .default_value = "64",
          .doc = "How many may wait on HASH_LISTEN; nginx answers 503 to those beyond."),
    FIELD(struct settings, list_budget_ms, .min = 50, .max = 10000, .default_value = "500",
          .doc = "A list or search that keeps the database busy for longer, in milliseconds, is "
                 "refused with 503."),
    FIELD(struct settings, slow_lists, .min = 0, .max = 128, .default_value = "0",
          .doc = "How many lists and searches that take more than some milliseconds run at a time "
                 "while there are other requests; the others wait for their turn. 0: half of the "
                 "processors. More where the database has a machine of its own."),
    FIELD(struct settings, drain_s, .min = 1, .max = 3600, .default_value = "30",
          .doc = "How long running requests may take at the end, in seconds."),
    FIELD(struct settings, hang_s, .min = 0, .max = 3600, .default_value = "60",
          .doc = "A worker that is busy with one request for longer, in seconds, is replaced; 0: "
                 "never."),
    FIELD(struct settings, max_body, .min = 1024, .max = 67108864, .default_value = "524288",
          .doc = "The largest body of a request, in bytes."),
    FIELD(struct settings, page_reach, .min = 1000, .max = 1000000, .default_value = "20000",
          .doc = "How many rows a page that is asked for by its number may lie behind the first; "
                 "beyond, lists are walked by cursor."),
    FIELD(struct settings, search_reach, .min = 100, .max = 1000000, .default_value = "1000",
          .doc = "How many rows one page looks through for those that match, before it ends early "
                 "and says where to go on."),
    FIELD(struct settings, base_path, .max = 100, .default_value = "/api",
          .format = &base_path_format, .doc = "What comes before every path of the API."),
    FIELD(struct settings, cors_origins, .max = ORIGINS_MAX, .default_value = "",
          .format = &origins_format,
          .doc = "Who may call from a browser: origins separated by spaces, or *; nginx's."),
    FIELD(struct settings, cors_headers, .max = 1000, .default_value = "",
          .format = &headers_format, .example = "traceparent tracestate X-Requested-With",
          .doc =
              "What headers such a caller may send beyond those that the API knows, separated by "
              "spaces; nginx's."),
    FIELD(struct settings, public_url, .max = 300, .default_value = "", .format = &site_format,
          .example = "https://api.example.org",
          .doc = "Where clients find this host, without BASE_PATH; the OpenAPI document tells it."),
    FIELD(struct settings, contact, .max = 300, .default_value = "", .format = &contact_format,
          .example = "api@example.org",
          .doc = "Whom the OpenAPI document names for questions: an e-mail address or a URL."),
    FIELD(struct settings, mail_command, .max = 1000, .default_value = "",
          .example = "/usr/sbin/sendmail -t -i",
          .doc =
              "Sends a message given on its standard input; without it no password can be reset."),
    FIELD(struct settings, mail_from, .max = 300, .default_value = "postern@localhost",
          .format = &sender_format, .example = "Postern <postern@example.org>",
          .doc = "The sender of messages: an address, or a name and the address in < and >."),
    FIELD(struct settings, reset_url, .max = SETTINGS_LINK_MAX, .default_value = "",
          .format = &link_format, .example = "https://app.example.org/reset?token=",
          .doc = "What the token is appended to in a message about a forgotten password."),
    FIELD(struct settings, verify_url, .max = SETTINGS_LINK_MAX, .default_value = "",
          .format = &link_format, .example = "https://app.example.org/verify#token=",
          .doc = "What the token is appended to in a message that asks to confirm an address."),
    FIELD(struct settings, undo_url, .max = SETTINGS_LINK_MAX, .default_value = "",
          .format = &link_format, .example = "https://app.example.org/undo#token=",
          .doc = "What the token is appended to in a message that tells the former address of a "
                 "change."),
    FIELD(struct settings, mail_texts, .max = 1000, .default_value = "",
          .example = "/etc/postern/mail.txt",
          .doc = "A file with texts of messages that take the place of those that are built in."),
    FIELD(struct settings, verify_email, .choices = verify_email_words, .default_value = "off",
          .doc =
              "Whether an address must be shown to be one's own: off: all count as verified; on: "
              "a token is mailed to new ones; required: and who registers is there only once it "
              "is used. Needs MAIL_COMMAND, unless off."),
    FIELD(struct settings, trusted_proxies, .max = 4000, .default_value = "",
          .format = &address_list_format, .example = "10.0.0.0/8 2001:db8::7",
          .doc = "Whose X-Forwarded-For is believed: addresses, blocks, unix: for unix sockets."),
    FIELD(struct settings, login_limit, .choices = login_limit_words, .default_value = "on",
          .doc = "Refuse to try passwords where too many were wrong; off is for load tests."),
    FIELD(struct settings, limits, .choices = limits_words, .default_value = "on",
          .doc =
              "Refuse what is done too often: registering, what sends mail, writing posts, wrong "
              "passwords; guesses: only the last; off: nothing, as with LOGIN_LIMIT=off."),
    FIELD(struct settings, sessions_max, .min = 1, .max = SESSIONS_MAX_MOST, .default_value = "50",
          .doc = "How many sessions a user may have; a login beyond ends the one that was used "
                 "longest ago."),
    FIELD(struct settings, users_visible, .choices = users_visible_words, .default_value = "users",
          .doc = "Who can read the accounts of others, with their addresses: all users or admins."),
    FIELD(struct settings, password_min, .min = 1, .max = 128, .default_value = "8",
          .doc = "How many characters a new password must have."),
    FIELD(struct settings, log_requests, .default_value = "true",
          .doc = "Write a line for every request to the log."),
    FIELD(struct settings, log_to, .min = 1, .max = 1000, .default_value = "stderr",
          .format = &log_to_format,
          .doc =
              "Where the log goes: stderr, syslog, or a file by its absolute path, which a reload "
              "opens again."),
    FIELD(struct settings, state_file, .max = 1000, .default_value = "",
          .doc = "A file for what workers count together, where no parent of theirs keeps it for "
                 "them: under spawn-fcgi, multiwatch and mod_fcgid."),
    FIELD(struct settings, lockdown, .choices = lockdown_words, .default_value = "on",
          .doc = "A worker gives up the system calls, files and ports that it does not need; kill: "
                 "and it is ended where it asks for one."),
};

const struct record settings_record = RECORD("Settings", struct settings, settings_fields, 0);

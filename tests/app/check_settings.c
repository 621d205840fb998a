#include "fcgi-app/settings.h"

#include <string.h>

#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static struct settings settings;
static struct origin origins[64];

static void set_up(void)
{
    scratch_open();
    memset(&settings, 0, sizeof settings);
    memset(origins, 0, sizeof origins);
}

static struct problem *load(const char *pair)
{
    char *environment[] = {pair ? arena_strdup(a, pair) : NULL, NULL};
    return config_load(a, &settings_record, (struct config_flags){0}, environment, NULL, &settings,
                       origins);
}

CASE("settings", set_up, scratch_close);

TEST(defaults_are_valid_and_alone_enough)
{
    ck_assert_uint_le(settings_record.count, sizeof origins / sizeof *origins);

    must(load(NULL));

    ck_assert_uint_eq(settings.env, ENV_PRODUCTION);
    ck_assert_str_eq(settings.jwt_issuer.data, "postern");
    ck_assert_int_eq(settings.access_ttl_s, 15 * 60);
    ck_assert_int_eq(settings.refresh_ttl_s, 30 * 86400);
    ck_assert_int_eq(settings.max_body, 512 * 1024);
    ck_assert_str_eq(settings.base_path.data, "/api");
    ck_assert_str_eq(settings.cors_origins.data, "");
    ck_assert_str_eq(settings.cors_headers.data, "");
    ck_assert_str_eq(settings.public_url.data, "");
    ck_assert_str_eq(settings.contact.data, "");
    ck_assert_int_ge(settings.workers, 1);
    ck_assert_int_ge(settings.hash_workers, 1);
    ck_assert_int_gt(settings.backlog, settings.hash_backlog);
    ck_assert(settings.log_requests);
    ck_assert_str_eq(settings.trusted_proxies.data, "");
    ck_assert_uint_eq(settings.login_limit, LOGIN_LIMIT_ON);
    ck_assert_uint_eq(settings.limits, LIMITS_ON);
    ck_assert_int_eq(settings.sessions_max, 50);
    ck_assert_uint_eq(settings.users_visible, USERS_VISIBLE_USERS);
    ck_assert_int_eq(settings.password_min, 8);
}

TEST(what_only_the_operator_knows_has_no_default)
{
    ck_assert_ptr_null(load(NULL));

    ck_assert_ptr_null(settings.database_url.data);
    ck_assert_ptr_null(settings.jwt_secret_key.data);
    ck_assert_ptr_null(settings.jwt_previous_keys.data);
    ck_assert_ptr_null(settings.listen.data);
    ck_assert_ptr_null(settings.hash_listen.data);
}

TEST(every_setting_is_documented_by_one_sentence)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        ck_assert_msg(f->doc != NULL, "%s", f->name);
        ck_assert_msg(f->doc[strlen(f->doc) - 1] == '.', "%s", f->name);
    }
}

TEST(names_are_lower_case_and_different)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const char *name = settings_record.fields[i].name;
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(name, settings_record.fields[k].name);
    }
}

static const char *const secrets[] = {"database_url", "jwt_secret_key", "jwt_previous_keys"};

TEST_EACH(what_holds_keys_or_passwords_is_secret_and_has_no_flag, secrets)
{
    const struct field *f = record_find(&settings_record, secrets[_i]);

    ck_assert(f->use & FIELD_SECRET);
    ck_assert_ptr_null(config_flag_field(&settings_record, secrets[_i]));
    ck_assert_ptr_null(f->default_value);
}

TEST(everything_else_has_a_flag)
{
    for (size_t i = 0; i < settings_record.count; i++) {
        const struct field *f = &settings_record.fields[i];
        if (!(f->use & FIELD_SECRET))
            ck_assert_ptr_eq(config_flag_field(&settings_record, f->name), f);
    }
}

static const struct {
    const char *pair;
    bool good;
} pairs[] = {
    {"BASE_PATH=/api", true},
    {"BASE_PATH=", true},
    {"BASE_PATH=/a/b", true},
    {"BASE_PATH=/", false},
    {"BASE_PATH=/api/", false},
    {"BASE_PATH=api", false},
    {"ENV=production", true},
    {"ENV=development", true},
    {"ENV=Production", false},
    {"ENV=test", false},
    {"ENV=", false},
    {"JWT_ISSUER=", false},
    {"ACCESS_TTL_S=10", true},
    {"ACCESS_TTL_S=9", false},
    {"ACCESS_TTL_S=86401", false},
    {"REFRESH_TTL_S=60", true},
    {"REFRESH_TTL_S=59", false},
    {"WORKERS=1", true},
    {"WORKERS=0", false},
    {"WORKERS=257", false},
    {"HASH_WORKERS=0", false},
    {"BACKLOG=0", false},
    {"BACKLOG=65535", true},
    {"BACKLOG=65536", false},
    {"HASH_BACKLOG=0", false},
    {"DRAIN_S=0", false},
    {"DRAIN_S=3600", true},
    {"MAX_BODY=1024", true},
    {"MAX_BODY=1023", false},
    {"MAX_BODY=67108864", true},
    {"MAX_BODY=67108865", false},
    {"MAX_BODY=512k", false},
    {"LOG_REQUESTS=false", true},
    {"LOG_REQUESTS=0", false},
    {"LOG_TO=syslog", true},
    {"LOG_TO=/var/log/postern/log", true},
    {"LOG_TO=log/postern", false},
    {"LOG_TO=/", false},
    {"LOG_TO=", false},
    {"LOG_TO=Stderr", false},
    {"LISTEN=run/postern.sock", false},
    {"LISTEN=", true},
    {"CORS_ORIGINS=https://a.example https://b.example", true},
    {"CORS_HEADERS=traceparent X-Requested-With", true},
    {"CORS_HEADERS=traceparent, tracestate", false},
    {"MAIL_FROM=postern@localhost", true},
    {"MAIL_FROM=postern@example.org", true},
    {"MAIL_FROM=Postern <postern@example.org>", true},
    {"MAIL_FROM=\"Postern, Inc.\" <postern@example.org>", true},
    {"MAIL_FROM=Gr\xC3\xBC\xC3\x9F"
     "e <postern@example.org>",
     true},
    {"MAIL_FROM=Gr\xFC\xDF"
     "e <postern@example.org>",
     false},
    {"MAIL_FROM=postern", false},
    {"MAIL_FROM='postern@example.org'", false},
    {"MAIL_FROM=a@example.org, b@example.org", false},
    {"MAIL_FROM=postern@example.org\nBcc: bob@example.org", false},
    {"MAIL_FROM=Postern\r\nBcc: b@example.org <postern@example.org>", false},
    {"MAIL_FROM=Postern <postern@example.org> x", false},
    {"RESET_URL=", true},
    {"RESET_URL=https://app.example.org/reset?token=", true},
    {"RESET_URL=app:reset/", true},
    {"RESET_URL=https://app.example.org/a b", false},
    {"VERIFY_URL=https://app.example.org/\nBcc:", false},
    {"UNDO_URL=https://\xC3\xA4.example.org/", false},
    {"PUBLIC_URL=", true},
    {"PUBLIC_URL=https://api.example.org", true},
    {"PUBLIC_URL=http://[::1]:8080", true},
    {"PUBLIC_URL=http://localhost:65535", true},
    {"PUBLIC_URL=http://localhost:65536", false},
    {"PUBLIC_URL=http://localhost:0", false},
    {"PUBLIC_URL=https://api.example.org/", false},
    {"PUBLIC_URL=https://api.example.org/api", false},
    {"PUBLIC_URL=ftp://api.example.org", false},
    {"PUBLIC_URL=api.example.org", false},
    {"CONTACT=", true},
    {"CONTACT=api@example.org", true},
    {"CONTACT=https://example.org/help?of=api", true},
    {"CONTACT=Ada", false},
    {"CONTACT=javascript:alert(1)", false},
    {"TRUSTED_PROXIES=", true},
    {"TRUSTED_PROXIES=10.0.0.0/8 2001:db8::/32 192.0.2.1 unix:", true},
    {"TRUSTED_PROXIES=10.0.0.0/33", false},
    {"TRUSTED_PROXIES=10.0.0.1, 10.0.0.2", false},
    {"TRUSTED_PROXIES=proxy.example.org", false},
    {"LOGIN_LIMIT=on", true},
    {"LOGIN_LIMIT=off", true},
    {"LOGIN_LIMIT=perhaps", false},
    {"LIMITS=on", true},
    {"LIMITS=guesses", true},
    {"LIMITS=off", true},
    {"LIMITS=perhaps", false},
    {"SESSIONS_MAX=1", true},
    {"SESSIONS_MAX=500", true},
    {"SESSIONS_MAX=0", false},
    {"SESSIONS_MAX=501", false},
    {"USERS_VISIBLE=users", true},
    {"USERS_VISIBLE=admins", true},
    {"USERS_VISIBLE=nobody", false},
    {"PASSWORD_MIN=1", true},
    {"PASSWORD_MIN=128", true},
    {"PASSWORD_MIN=0", false},
    {"PASSWORD_MIN=129", false},
};

TEST_EACH(values_are_held_to_their_bounds, pairs)
{
    struct problem *p = load(pairs[_i].pair);

    ck_assert_msg((p == NULL) == pairs[_i].good, "%s: %s", pairs[_i].pair, p ? p->cause : "");
}

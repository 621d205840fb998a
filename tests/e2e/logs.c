
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "tests/e2e/cases.h"
#include "tests/e2e/http.h"

/* Call `look(name, text)` for each log; the text has a NUL behind. Returns how many there were. */
static size_t each_log(const char *pattern, void (*look)(const char *name, char *text))
{
    glob_t found;
    size_t count = 0;
    if (glob(say("%s/%s", world_folder(), pattern), 0, NULL, &found) != 0)
        return 0;
    for (; count < found.gl_pathc; count++) {
        struct buf b;
        buf_init(&b, (size_t)256 * 1024 * 1024);
        ck_assert(read_file(found.gl_pathv[count], &b));
        buf_add(&b, "", 1);
        look(found.gl_pathv[count], b.data);
        buf_release(&b);
    }
    globfree(&found);
    return count;
}

static void check_lines(const char *name, char *text)
{
    struct arena *a = arena_open((size_t)16 * 1024 * 1024);
    for (char *line; (line = strsep(&text, "\n"));) {
        const struct json *object;
        if (!*line && !text)
            break; /* behind the last newline */
        struct problem *p = json_parse(a, line, strlen(line), &object);
        ck_assert_msg(!p, "%s: %s: %.500s", name, p ? p->message : "", line);
        ck_assert_msg(json_get(object, "time") && json_get(object, "event"), "%s: %s", name, line);
        arena_reset(a);
    }
    arena_close(a);
}

START_TEST(every_line_of_the_logs_is_json)
{
    ck_assert_uint_gt(each_log("pool.*/pool.log", check_lines), 1);
    ck_assert_uint_gt(each_log("nginx.*/nginx-access.log", check_lines), 1);
}
END_TEST

static void check_no_bug(const char *name, char *text)
{
    const char *found = strstr(text, "\"status\":500");
    ck_assert_msg(!found, "%s has an internal error: %.300s", name,
                  found - 200 < text ? text : found - 200);
}

START_TEST(nothing_was_an_internal_error)
{
    ck_assert_uint_gt(each_log("pool.*/pool.log", check_no_bug), 0);
}
END_TEST

static const char *secret;
static size_t secrets_seen;

static void look_for_secret(const char *name, char *text)
{
    ck_assert_msg(strstr(text, secret) == NULL, "%s has %.12s...", name, secret);
}

static void look_for_known(const char *name, char *text)
{
    (void)name;
    secrets_seen += strstr(text, secret) != NULL;
}

static void check_secret(const char *what)
{
    secret = what;
    ck_assert_uint_gt(strlen(secret), 2);
    each_log("*/*.log", look_for_secret);
}

/* Of mysql://user:password@host/... */
static const char *database_password(void)
{
    const char *begin = strchr(strstr(getenv("DATABASE_URL"), "://") + 3, ':') + 1;
    return say("%.*s", (int)strcspn(begin, "@"), begin);
}

START_TEST(no_secret_is_in_any_log)
{
    struct buf kept;
    size_t tokens = 0;
    check_secret(PASSWORD);
    check_secret(world_key());
    check_secret(database_password());
    check_secret("argon2id");
    check_secret("eyJ"); /* how every token begins */
    check_secret("Bearer");
    buf_init(&kept, (size_t)16 * 1024 * 1024);
    ck_assert(read_file(say("%s/secrets", world_folder()), &kept));
    buf_add(&kept, "", 1);
    for (char *rest = kept.data, *line; (line = strsep(&rest, "\n")) && *line; tokens++)
        check_secret(line);
    buf_release(&kept);

    ck_assert_uint_gt(tokens, 1);
    secret = "/auth/login"; /* this look-out does see what is there */
    each_log("*/*.log", look_for_known);
    ck_assert_uint_gt(secrets_seen, 0);
}
END_TEST

TCase *log_case(void)
{
    TCase *t = http_case("logs");
    tcase_add_test(t, every_line_of_the_logs_is_json);
    tcase_add_test(t, nothing_was_an_internal_error);
    tcase_add_test(t, no_secret_is_in_any_log);
    return t;
}

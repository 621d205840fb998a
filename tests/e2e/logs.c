/* logs.c -- what all pools and fronts of this run have written down: every line is JSON, there was
 * no internal error, and no secret is told. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "tests/e2e/http.h"

/* Call `look(name, text)` for each log; a NUL follows the text. Returns how many there were. */
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
            break; /* after the last newline */
        struct problem *p = json_parse(a, line, strlen(line), &object);
        ck_assert_msg(!p, "%s: %s: %.500s", name, p ? p->message : "", line);
        ck_assert_msg(json_get(object, "time") && json_get(object, "event"), "%s: %s", name, line);
        arena_reset(a);
    }
    arena_close(a);
}

NGINX_CASE("logs");
CASE_LAST();

TEST(every_line_of_the_logs_is_json)
{
    ck_assert_uint_gt(each_log("pool.*/pool.log", check_lines), 1);
    ck_assert_uint_gt(each_log("nginx.*/nginx-access.log", check_lines), 1);
}

static void check_no_bug(const char *name, char *text)
{
    const char *found = strstr(text, "\"status\":500");
    ck_assert_msg(!found, "%s has an internal error: %.300s", name,
                  found - 200 < text ? text : found - 200);
}

TEST(nothing_was_an_internal_error)
{
    ck_assert_uint_gt(each_log("pool.*/pool.log", check_no_bug), 0);
}

/* Of mysql://user:password@host/... */
static const char *database_password(void)
{
    const char *begin = strchr(strstr(getenv("DATABASE_URL"), "://") + 3, ':') + 1;
    return say("%.*s", (int)strcspn(begin, "@"), begin);
}

/* Run grep(1) over all logs, for all secrets at once: they are many, and the logs are long. */
static int grep_logs(const char *options, struct buf *output)
{
    const char *line = say("cd %s && grep -aF %s -- */*.log", world_folder(), options);
    return world_run(LIST("sh", "-c", line), NULL, NULL, output);
}

TEST(no_secret_is_in_any_log)
{
    const char *const always[] = {
        PASSWORD, world_key(), database_password(), "argon2id", "eyJ", /* as every token begins */
        "Bearer",
    };
    struct buf found;
    int secrets = 0;
    for (int i = 0; i < COUNT(always); i++)
        http_keep_secret(always[i]);
    char *rest = file_text(say("%s/secrets", world_folder()));
    for (char *line; (line = strsep(&rest, "\n")) && *line; secrets++)
        ck_assert_uint_gt(strlen(line), 2);

    buf_init(&found, (size_t)16 * 1024 * 1024);
    int status = grep_logs("-of secrets", &found);

    ck_assert_int_gt(secrets, COUNT(always) + 1);
    ck_assert_msg(status == 1 && found.len == 0, "grep ends with %d and finds: %.*s", status,
                  (int)(found.len < 200 ? found.len : 200), found.data);
    ck_assert_int_eq(grep_logs("-qe /auth/login", NULL), 0); /* it does see what is there */
    buf_release(&found);
}

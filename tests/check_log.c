#include "common/log.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/instant.h"
#include "common/json.h"

#define LINE_MAX_BYTES 8192

static struct arena *a;
static int stderr_before, captured[2];

/* From here on stderr is a pipe. */
static void set_up(void)
{
    a = arena_open((size_t)4 * 1024 * 1024);
    ck_assert_int_eq(pipe(captured), 0);
    stderr_before = dup(STDERR_FILENO);
    ck_assert_int_eq(dup2(captured[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(captured[1]);
}

static void tear_down(void)
{
    (void)dup2(stderr_before, STDERR_FILENO);
    (void)close(stderr_before);
    (void)close(captured[0]);
    arena_close(a);
}

/* All that was written, which must be one line. */
static struct text written_line(void)
{
    static char text[65536];
    (void)dup2(stderr_before, STDERR_FILENO);
    size_t len = 0;
    ssize_t got;
    while ((got = read(captured[0], text + len, sizeof text - len)) > 0)
        len += (size_t)got;
    ck_assert_uint_gt(len, 1);
    ck_assert_int_eq(text[len - 1], '\n');
    ck_assert_ptr_eq(memchr(text, '\n', len), text + len - 1);
    return (struct text){text, len};
}

static const struct json *written(void)
{
    const struct json *line = NULL;
    struct text text = written_line();
    struct problem *p = json_parse(a, text.data, text.len, &line);
    ck_assert_msg(!p, "no JSON: %.*s", (int)text.len, text.data);
    return line;
}

static const char *text_at(const struct json *line, const char *key)
{
    const struct json *node = json_get(line, key);
    ck_assert_msg(node && json_type(node) == JSON_TEXT, "no text called %s", key);
    return json_as_text(node).data;
}

/* ---- form ---- */

START_TEST(a_line_has_time_level_event_and_pairs_in_this_order)
{
    LOG(LOG_LEVEL_WARNING, log_event("worker_died"), log_number("pid", 42),
        log_text("pool", "main"));

    struct text text = written_line();
    const char *behind_time = strchr(text.data, ',');
    ck_assert_mem_eq(text.data, "{\"time\":\"", 9);
    ck_assert_str_eq(arena_copy(a, behind_time, (size_t)(text.data + text.len - behind_time)),
                     ",\"level\":\"warning\",\"event\":\"worker_died\",\"pid\":42,"
                     "\"pool\":\"main\"}\n");
}
END_TEST

static const char *const level_words[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info"};

START_TEST(each_level_has_its_word)
{
    LOG((enum log_level)_i, log_event("x"));

    ck_assert_str_eq(text_at(written(), "level"), level_words[_i]);
}
END_TEST

START_TEST(the_time_is_now)
{
    struct instant before = instant_now(), at;
    LOG(LOG_LEVEL_INFO, log_event("x"));
    struct instant after = instant_now();

    ck_assert(instant_parse(text_at(written(), "time"), &at));

    ck_assert_int_ge(at.us, before.us);
    ck_assert_int_le(at.us, after.us);
}
END_TEST

START_TEST(numbers_are_written_whole)
{
    LOG(LOG_LEVEL_INFO, log_event("x"), log_number("zero", 0), log_number("less", -1),
        log_number("most", INT64_MAX), log_number("least", INT64_MIN));

    struct text text = written_line();
    ck_assert_ptr_nonnull(strstr(arena_copy(a, text.data, text.len),
                                 ",\"zero\":0,\"less\":-1,\"most\":9223372036854775807,"
                                 "\"least\":-9223372036854775808}"));
}
END_TEST

START_TEST(null_text_is_left_out_and_empty_text_is_not)
{
    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("null", NULL), log_text("empty", ""),
        log_text("behind", "y"));

    const struct json *line = written();
    ck_assert_ptr_null(json_get(line, "null"));
    ck_assert_str_eq(text_at(line, "empty"), "");
    ck_assert_str_eq(text_at(line, "behind"), "y");
}
END_TEST

/* ---- forgery ---- */

static const char *const hostile[] = {
    "\n{\"time\":\"forged\"}",
    "x\",\"level\":\"error",
    "x\\\",\"level\":\"error",
    "\r\n\t\b\x1B[2J\x7F",
    "\\",
    "\"",
    "\\u0022,\\u0022",
    "\xC3\xA9\xFF\x80\xED\xA0\x80",
};

START_TEST(no_text_forges_a_line_or_a_member)
{
    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", hostile[_i]), log_number("n", 7));

    const struct json *line = written();
    int64_t n;
    ck_assert_str_eq(text_at(line, "level"), "info");
    ck_assert_str_eq(text_at(line, "event"), "x");
    ck_assert(json_as_integer(json_get(line, "n"), &n));
    ck_assert_int_eq(n, 7);
}
END_TEST

START_TEST(ascii_comes_back_as_it_was)
{
    char all[128];
    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;
    all[127] = '\0';

    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", all));

    ck_assert_str_eq(text_at(written(), "input"), all);
}
END_TEST

START_TEST(a_terminal_gets_nothing_but_printable_ascii)
{
    char all[256];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';

    LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", all));

    struct text text = written_line();
    for (size_t i = 0; i < text.len - 1; i++)
        ck_assert(text.data[i] >= 0x20 && text.data[i] < 0x7F);
}
END_TEST

/* ---- length ---- */

static char *repeated(char c, size_t n)
{
    char *text = arena_alloc(a, n + 1);
    memset(text, c, n);
    return text;
}

/* From texts that fit to those that do not, over every place where the cut may fall. */
START_TEST(a_long_text_is_cut_and_the_line_stays_json)
{
    size_t len = LINE_MAX_BYTES - 200 + (size_t)_i;

    LOG(LOG_LEVEL_ERROR, log_event("x"), log_text("input", repeated(_i % 2 ? 'a' : '"', len)));

    struct text text = written_line();
    const struct json *line = NULL;
    ck_assert_uint_le(text.len, LINE_MAX_BYTES);
    ck_assert_ptr_null(json_parse(a, text.data, text.len, &line));
    ck_assert_uint_le(strlen(text_at(line, "input")), len);
    ck_assert_uint_gt(strlen(text_at(line, "input")), 1000);
}
END_TEST

START_TEST(pairs_behind_a_cut_text_are_whole_or_not_there)
{
    LOG(LOG_LEVEL_ERROR, log_event("x"),
        log_text("input", repeated('a', LINE_MAX_BYTES - 200 + (size_t)_i)),
        log_text("second", repeated('b', 100)), log_number("third", 1234567890));

    struct text text = written_line();
    const struct json *line = NULL;
    ck_assert_uint_le(text.len, LINE_MAX_BYTES);
    ck_assert_ptr_null(json_parse(a, text.data, text.len, &line));
    const struct json *third = json_get(line, "third");
    int64_t n = 1234567890;
    ck_assert(!third || json_as_integer(third, &n));
    ck_assert_int_eq(n, 1234567890);
}
END_TEST

START_TEST(many_pairs_are_no_danger)
{
    struct log_pair pairs[600];
    for (int i = 0; i < 599; i++)
        pairs[i] = log_text(arena_printf(a, "name%d", i), "0123456789");
    pairs[599] = (struct log_pair){0};

    log_write(LOG_LEVEL_INFO, pairs);

    struct text text = written_line();
    const struct json *line = NULL;
    ck_assert_uint_le(text.len, LINE_MAX_BYTES);
    ck_assert_ptr_null(json_parse(a, text.data, text.len, &line));
    ck_assert_str_eq(text_at(line, "name100"), "0123456789");
}
END_TEST

/* ---- one write ---- */

START_TEST(lines_of_many_processes_do_not_mix)
{
    enum { PROCESSES = 4, LINES = 50 };
    static char text[PROCESSES * LINES * 300];
    const char *payload = repeated('p', 100);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() != 0)
            continue;
        for (int n = 0; n < LINES; n++)
            LOG(LOG_LEVEL_INFO, log_event("x"), log_text("input", payload));
        _exit(EXIT_SUCCESS);
    }
    (void)dup2(stderr_before, STDERR_FILENO);

    size_t len = 0, lines = 0;
    ssize_t got;
    while ((got = read(captured[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;

    text[len] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        const struct json *parsed = NULL;
        ck_assert_ptr_null(json_parse(a, line, strlen(line), &parsed));
        ck_assert_str_eq(text_at(parsed, "input"), payload);
    }
    ck_assert_uint_eq(lines, PROCESSES * LINES);
}
END_TEST

START_TEST(a_closed_stderr_is_no_danger)
{
    (void)close(STDERR_FILENO);

    LOG(LOG_LEVEL_INFO, log_event("x"));

    ck_assert_int_eq(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_line_has_time_level_event_and_pairs_in_this_order);
    tcase_add_loop_test(t, each_level_has_its_word, 0, 3);
    tcase_add_test(t, the_time_is_now);
    tcase_add_test(t, numbers_are_written_whole);
    tcase_add_test(t, null_text_is_left_out_and_empty_text_is_not);
    tcase_add_loop_test(t, no_text_forges_a_line_or_a_member, 0,
                        (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(t, ascii_comes_back_as_it_was);
    tcase_add_test(t, a_terminal_gets_nothing_but_printable_ascii);
    tcase_add_loop_test(t, a_long_text_is_cut_and_the_line_stays_json, 0, 260);
    tcase_add_loop_test(t, pairs_behind_a_cut_text_are_whole_or_not_there, 0, 260);
    tcase_add_test(t, many_pairs_are_no_danger);
    tcase_add_test(t, lines_of_many_processes_do_not_mix);
    tcase_add_test(t, a_closed_stderr_is_no_danger);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include "common/field/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define SECRET "correct-horse-battery-staple"

/* ---- what is set ---- */

struct sample {
    struct text name;
    int64_t max_body;
    bool quiet;
    unsigned mood;
    struct text key;
    struct text nothing;
};

static const char *const moods[] = {"calm", "wild", NULL};

static bool is_no_number(struct text t)
{
    return !strpbrk(t.data, "0123456789");
}

static const struct format no_number = {
    .valid = is_no_number, .code = FAULT_FORMAT, .message = "Must have no digits."};

static const struct field sample_fields[] = {
    FIELD(struct sample, name, .min = 1, .max = 10, .default_value = "nobody"),
    FIELD(struct sample, max_body, .min = 10, .max = 1000, .default_value = "100"),
    FIELD(struct sample, quiet, .default_value = "false"),
    FIELD(struct sample, mood, .choices = moods, .default_value = "calm"),
    FIELD(struct sample, key, .use = FIELD_SECRET, .min = 4, .format = &no_number),
    FIELD(struct sample, nothing, .max = 10),
};

enum { NAME, MAX_BODY, QUIET, MOOD, KEY, NOTHING, FIELDS };

static const struct record sample_record = RECORD("Sample", struct sample, sample_fields, 0);

/* ---- a folder for files ---- */

static char folder[] = "check-config-XXXXXX";
static struct sample sample;
static struct origin origins[FIELDS];

static void make_folder(void)
{
    folder_make(folder);
}

static void remove_folder(void)
{
    folder_remove(folder);
}

static void set_up(void)
{
    scratch_open();
    memset(&sample, 0, sizeof sample);
    memset(origins, 0, sizeof origins);
}

static const char *file_with_bytes(const char *name, const char *data, size_t len)
{
    const char *path = arena_printf(a, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static const char *file_with(const char *name, const char *text)
{
    return file_with_bytes(name, text, strlen(text));
}

static struct problem *load(struct config_flags flags, char *const *environment, const char *path)
{
    return config_load(a, &sample_record, flags, environment, path, &sample, origins);
}

static struct problem *load_file(const char *text)
{
    return load((struct config_flags){0}, NULL, file_with("conf", text));
}

static struct problem *load_environment(const char *one, const char *two)
{
    char *environment[] = {one ? arena_strdup(a, one) : NULL, two ? arena_strdup(a, two) : NULL,
                           NULL};
    return load((struct config_flags){0}, environment, NULL);
}

static void assert_cause(const struct problem *p, const char *expected)
{
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_nonnull(p->cause);
    ck_assert_msg(strstr(p->cause, expected) != NULL, "no \"%s\" in: %s", expected, p->cause);
}

/* ---- where values come from ---- */

CASE("config", set_up, scratch_close);
CASE_AROUND(make_folder, remove_folder);

TEST(without_any_source_defaults_count)
{
    must(load((struct config_flags){0}, NULL, NULL));

    ck_assert_str_eq(sample.name.data, "nobody");
    ck_assert_int_eq(sample.max_body, 100);
    ck_assert(!sample.quiet);
    ck_assert_uint_eq(sample.mood, 0);
    ck_assert_ptr_null(sample.key.data);
    ck_assert_ptr_null(sample.nothing.data);
}

TEST(a_file_sets_values_of_all_types)
{
    must(load_file("NAME = file\nMAX_BODY=200\nQUIET = true\nMOOD = wild\n"
                   "KEY = " SECRET "\n"));

    ck_assert_str_eq(sample.name.data, "file");
    ck_assert_int_eq(sample.max_body, 200);
    ck_assert(sample.quiet);
    ck_assert_uint_eq(sample.mood, 1);
    ck_assert_str_eq(sample.key.data, SECRET);
}

TEST(the_environment_sets_values)
{
    must(load_environment("MAX_BODY=300", "KEY=" SECRET));

    ck_assert_int_eq(sample.max_body, 300);
    ck_assert_str_eq(sample.key.data, SECRET);
    ck_assert_str_eq(origins[MAX_BODY].text, "environment");
    ck_assert_str_eq(origins[KEY].text, "environment");
}

TEST(what_else_is_in_the_environment_does_not_matter)
{
    must(load_environment("PATH=/bin", "MAX_BODY_SIZE=x"));
    must(load_environment("XNAME=x", "no equals sign"));
    must(load_environment("name=x", "NAME_FILE=/nowhere"));

    ck_assert_str_eq(sample.name.data, "nobody");
}

/* Each bit of `_i` stands for one source that sets the name. */
TEST_TIMES(the_strongest_source_of_each_setting_wins, 8)
{
    const struct config_flag flag = {"name", "flag"};
    char *environment[] = {arena_strdup(a, "NAME=env"), NULL};
    const char *file = file_with("conf", "# a comment\nNAME=file\n");
    const char *const words[] = {"nobody", "file", "env", "env", "flag", "flag", "flag", "flag"};
    const char *const from[] = {"default",     arena_printf(a, "%s:2", file),
                                "environment", "environment",
                                "flag",        "flag",
                                "flag",        "flag"};

    must(load((struct config_flags){&flag, _i & 4 ? 1 : 0}, _i & 2 ? environment : NULL,
              _i & 1 ? file : NULL));

    ck_assert_str_eq(sample.name.data, words[_i]);
    ck_assert_str_eq(origins[NAME].text, from[_i]);
    ck_assert_str_eq(origins[QUIET].text, "default");
}

TEST(different_settings_come_from_different_sources)
{
    const struct config_flag flag = {"mood", "wild"};
    char *environment[] = {arena_strdup(a, "MAX_BODY=300"), NULL};
    const char *path = file_with("conf", "NAME=file\n");

    must(load((struct config_flags){&flag, 1}, environment, path));

    ck_assert_str_eq(origins[NAME].text, arena_printf(a, "%s:1", path));
    ck_assert_str_eq(origins[MAX_BODY].text, "environment");
    ck_assert_str_eq(origins[QUIET].text, "default");
    ck_assert_str_eq(origins[MOOD].text, "flag");
    ck_assert_ptr_null(origins[KEY].text);
    ck_assert_ptr_null(origins[NOTHING].text);
}

TEST(texts_outlive_their_sources)
{
    char environment_name[] = "NAME=kept", flag_value[] = "also";
    const struct config_flag flag = {"nothing", flag_value};
    char *environment[] = {environment_name, NULL};

    must(load((struct config_flags){&flag, 1}, environment, NULL));
    memset(environment_name, 'x', sizeof environment_name - 1);
    memset(flag_value, 'x', sizeof flag_value - 1);

    ck_assert_str_eq(sample.name.data, "kept");
    ck_assert_str_eq(sample.nothing.data, "also");
}

/* ---- the file's form ---- */

static const char *const forms[] = {
    "NAME=x",
    "NAME=x\n",
    "NAME = x\n",
    "  NAME\t=\tx  \n",
    "NAME=x\r\n",
    "\n\n  \n# NAME=y\n   # NAME=z\n#\nNAME=x\n\n",
    "QUIET=true\nNAME=x",
    "\xEF\xBB\xBFNAME=x\n",
    "\xEF\xBB\xBF# a comment\nNAME=x\n",
};

TEST_EACH(blank_lines_comments_and_spaces_are_skipped, forms)
{
    must(load_file(forms[_i]));

    ck_assert_str_eq(sample.name.data, "x");
}

TEST(a_value_may_hold_spaces_and_signs)
{
    must(load_file("NAME = a = b #c\nKEY = a=b=c=d=e\n"));

    ck_assert_str_eq(sample.name.data, "a = b #c");
    ck_assert_str_eq(sample.key.data, "a=b=c=d=e");
}

TEST(a_value_may_be_empty)
{
    must(load_file("NOTHING =\n"));

    ck_assert_uint_eq(sample.nothing.len, 0);
    ck_assert_ptr_nonnull(sample.nothing.data);
    ck_assert_ptr_nonnull(origins[NOTHING].text);
}

static const struct {
    const char *text, *place, *reason;
} bad_files[] = {
    {"NAME=x\nnonsense\n", ":2", "NAME = value"},
    {"NAME\n", ":1", "NAME = value"},
    {"\n\n\nUNKNOWN = 1\n", ":4", "UNKNOWN: there is no such setting"},
    {"= x\n", ":1", "no such setting"},
    {"name = x\n", ":1", "name: there is no such setting"},
    {"NAME = x\n# between\nNAME = y\n", ":3", "NAME: is set twice"},
    {"NAME = x\nNAME = x\n", ":2", "NAME: is set twice"},
    {"KEY = abcd\nKEY_FILE = x\n", ":2", "KEY_FILE: is set twice"},
    {"NAME_FILE = x\n", ":1", "NAME_FILE: there is no such setting"},
    {"NAME = 12345678901\n", ":1", "NAME: Must have at most 10 characters."},
    {"NAME =\n", ":1", "NAME: Must have at least 1 characters."},
    {"NAME=x\n\nMAX_BODY = 9\n", ":3", "MAX_BODY: Must be from 10 to 1000."},
    {"MAX_BODY = 100k\n", ":1", "MAX_BODY: Must be a whole number."},
    {"QUIET = yes\n", ":1", "QUIET: Must be true or false."},
    {"MOOD = sad\n", ":1", "MOOD: Must be one of: calm, wild."},
    {"NAME = \xFF\n", ":1", "NAME: Must be UTF-8 without NUL."},
};

TEST_EACH(a_fault_in_the_file_is_told_with_its_line, bad_files)
{
    struct problem *p = load_file(bad_files[_i].text);

    assert_cause(p, bad_files[_i].place);
    assert_cause(p, bad_files[_i].reason);
    assert_cause(p, arena_printf(a, "%s/conf", folder));
}

TEST(a_nul_in_the_file_is_a_fault)
{
    static const char text[] = "NAME = a\0b\n";
    const char *path = file_with_bytes("conf", text, sizeof text - 1);

    assert_cause(load((struct config_flags){0}, NULL, path), ":1: NAME: Must be UTF-8");
}

TEST(a_missing_file_is_told_by_name)
{
    struct problem *p = load((struct config_flags){0}, NULL, "no/such/file");

    assert_cause(p, "no/such/file");
    assert_cause(p, "No such file");
}

TEST(a_folder_is_no_file)
{
    assert_cause(load((struct config_flags){0}, NULL, folder), folder);
}

TEST(an_endless_file_is_refused)
{
    assert_cause(load((struct config_flags){0}, NULL, "/dev/zero"), "larger than 64 KiB");
}

TEST(a_fault_in_the_environment_or_a_flag_is_told_with_its_source)
{
    const struct config_flag flag = {"max_body", "x"};

    assert_cause(load_environment("MAX_BODY=1", NULL), "environment: MAX_BODY: Must be from");
    assert_cause(load((struct config_flags){&flag, 1}, NULL, NULL),
                 "flag: MAX_BODY: Must be a whole number.");
}

/* ---- secrets ---- */

static const struct {
    const char *text, *secret;
} secret_files[] = {
    {"\xEF\xBB\xBF" SECRET "\n", SECRET},
    {SECRET, SECRET},
    {SECRET "\n", SECRET},
    {SECRET "\r\n", SECRET},
    {"  " SECRET " \n", "  " SECRET " "},
    {"first\nsecond\n", "first\nsecond"},
};

TEST_EACH(a_secret_may_stand_in_a_file_of_its_own_named_in_the_environment, secret_files)
{
    const char *path = file_with("secret", secret_files[_i].text);

    must(load_environment(arena_printf(a, "KEY_FILE=%s", path), NULL));

    ck_assert_str_eq(sample.key.data, secret_files[_i].secret);
    ck_assert_str_eq(origins[KEY].text, arena_printf(a, "environment < %s", path));
    ck_assert_str_eq(origins[KEY].file, path);
}

TEST(a_secret_may_stand_in_a_file_of_its_own_named_in_the_file)
{
    const char *path = file_with("secret", SECRET "\n");

    must(load_file(arena_printf(a, "KEY_FILE = %s\n", path)));

    ck_assert_str_eq(sample.key.data, SECRET);
    ck_assert_str_eq(origins[KEY].text, arena_printf(a, "%s/conf:1 < %s", folder, path));
    ck_assert_ptr_null(origins[NAME].file);
}

TEST(a_secret_of_the_environment_is_stronger_than_one_of_the_file)
{
    const char *path = file_with("secret", SECRET "\n");
    char *environment[] = {arena_printf(a, "KEY_FILE=%s", path), NULL};

    must(load((struct config_flags){0}, environment, file_with("conf", "KEY=weaker\n")));

    ck_assert_str_eq(sample.key.data, SECRET);
}

TEST(a_secret_and_its_file_in_one_environment_contradict)
{
    assert_cause(load_environment("KEY=abcd", "KEY_FILE=x"), "KEY: is set, and so is its _FILE");
}

TEST(a_secret_file_that_is_not_there_is_told)
{
    assert_cause(load_environment("KEY_FILE=no/such/secret", NULL), "no/such/secret");
    assert_cause(load_file("\nKEY_FILE = no/such/secret\n"), "conf:2: KEY");
}

TEST(a_secret_that_nobody_needs_is_not_read)
{
    static const char *const unread[] = {"key", NULL};
    const struct config_flags flags = {.unread = unread};
    char *environment[] = {arena_strdup(a, "KEY_FILE=no/such/secret"), NULL};

    must(load(flags, environment, NULL));

    ck_assert_ptr_null(sample.key.data);
    ck_assert_str_eq(origins[KEY].text, "environment < no/such/secret");
}

TEST(what_is_not_in_a_file_of_its_own_is_read_all_the_same)
{
    static const char *const unread[] = {"key", NULL};
    const struct config_flags flags = {.unread = unread};

    must(load(flags, NULL, file_with("conf", "KEY = " SECRET "\n")));

    ck_assert_str_eq(sample.key.data, SECRET);
}

TEST(no_cause_shows_a_secret)
{
    static const char bad[] = SECRET "1"; /* digits are against its rule */
    const char *path = file_with("secret", bad);
    struct problem *problems[] = {
        load_environment(arena_printf(a, "KEY=%s", bad), NULL),
        load_environment(arena_printf(a, "KEY_FILE=%s", path), NULL),
        load_file(arena_printf(a, "KEY = %s\n", bad)),
        load_file(arena_printf(a, "KEY_FILE = %s\n", path)),
        load_file("KEY " SECRET "\n"),
        load_file("KEY = " SECRET "\nKEY = " SECRET "\n"),
        load_environment("KEY=" SECRET, "KEY_FILE=x"),
    };

    for (int i = 0; i < COUNT(problems); i++) {
        assert_cause(problems[i], ":");
        ck_assert_ptr_null(strstr(problems[i]->cause, "horse"));
        ck_assert_ptr_null(strstr(problems[i]->message, "horse"));
    }
}

/* ---- names ---- */

TEST(a_setting_is_upper_case_outside)
{
    ck_assert_str_eq(config_name(a, &sample_fields[MAX_BODY]), "MAX_BODY");
    ck_assert_str_eq(config_name(a, &sample_fields[NAME]), "NAME");
    ck_assert_str_eq(sample_fields[NAME].name, "name");
}

static const struct {
    const char *flag;
    int field; /* -1: none */
} flags[] = {
    {"name", NAME},
    {"max-body", MAX_BODY},
    {"max_body", MAX_BODY},
    {"quiet", QUIET},
    {"key", -1},
    {"", -1},
    {"nam", -1},
    {"names", -1},
    {"max-body-x", -1},
    {"max body", -1},
    {"MAX-BODY", -1},
    {"max", -1},
};

TEST_EACH(a_flag_is_spelled_with_dashes_and_a_secret_has_none, flags)
{
    const struct field *f = config_flag_field(&sample_record, flags[_i].flag);

    ck_assert_ptr_eq(f, flags[_i].field < 0 ? NULL : &sample_fields[flags[_i].field]);
}

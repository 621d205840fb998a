#include "common/field/config_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/problem.h"
#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* ---- a home with a program in it ---- */

static char home[64];
static const char *program;

static void make(const char *name)
{
    ck_assert_int_eq(mkdir(arena_printf(a, "%s/%s", home, name), 0755), 0);
}

static const char *put(const char *name, mode_t mode)
{
    const char *path = arena_printf(a, "%s/%s", home, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

static void set_up(void)
{
    scratch_open();
    (void)snprintf(home, sizeof home, "/tmp/check-config-find.XXXXXX");
    folder_make(home);
    make("1");
    make("1/2");
    make("1/2/3");
    make("1/2/3/4");
    make("1/2/3/4/5");
    make("1/2/3/4/5/6");
    program = put("1/2/3/api.fcgi", 0755);
}

static void tear_down(void)
{
    folder_remove(home);
    scratch_close();
}

static const char *found_from(const char *from)
{
    const char *path = "untouched";
    must(config_find(a, from, "postern.conf", &path));
    return path;
}

static const char *refusal_of(const char *from)
{
    const char *path = "untouched";
    struct problem *p = config_find(a, from, "postern.conf", &path);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(path);
    return p->cause;
}

/* ---- finding ---- */

CASE("config_find", set_up, tear_down);

TEST(the_nearest_file_above_the_program_is_found)
{
    ck_assert_ptr_null(found_from(program));
    const char *far = put("postern.conf", 0600);
    ck_assert_str_eq(found_from(program), far);
    const char *above = put("1/2/postern.conf", 0400);
    ck_assert_str_eq(found_from(program), above);
    const char *beside = put("1/2/3/postern.conf", 0700);
    ck_assert_str_eq(found_from(program), beside);
}

TEST(six_folders_are_looked_into)
{
    const char *far = put("1/postern.conf", 0600);

    ck_assert_str_eq(found_from(arena_printf(a, "%s/1/2/3/4/5/6/x", home)), far);
    make("1/2/3/4/5/6/7");
    ck_assert_ptr_null(found_from(arena_printf(a, "%s/1/2/3/4/5/6/7/x", home)));
}

TEST(a_folder_for_everybody_ends_the_search)
{
    (void)put("1/postern.conf", 0600);
    (void)put("1/2/postern.conf", 0600);

    ck_assert_int_eq(chmod(arena_printf(a, "%s/1/2", home), 01777), 0);

    ck_assert_ptr_null(found_from(program));
}

TEST(a_folder_of_somebody_else_ends_the_search)
{
    if (geteuid() != 0)
        return; /* only root gives a folder away */
    (void)put("1/postern.conf", 0600);
    (void)put("1/2/postern.conf", 0600);
    ck_assert_int_eq(chown(arena_printf(a, "%s/1/2", home), 12345, 12345), 0);

    ck_assert_ptr_null(found_from(program));
}

TEST(a_program_without_a_path_has_no_configuration)
{
    const char *path = "untouched";

    ck_assert_ptr_null(config_find(a, NULL, "postern.conf", &path));

    ck_assert_ptr_null(path);
}

TEST(the_running_program_is_found)
{
    ck_assert_ptr_nonnull(strstr(program_path(a), "check_config_find"));
    ck_assert_int_eq(*program_path(a), '/');
}

/* ---- judging ---- */

static const mode_t open_modes[] = {0601, 0602, 0604, 0610, 0620, 0640, 0644, 0666, 0777};

TEST_EACH(a_file_that_others_can_reach_is_refused, open_modes)
{
    const char *path = put("1/2/postern.conf", open_modes[_i]);
    (void)put("1/postern.conf", 0600); /* which is no way around it */

    const char *cause = refusal_of(program);

    ck_assert_ptr_nonnull(strstr(cause, arena_printf(a, "chmod 600 %s", path)));
}

TEST(a_file_of_somebody_else_is_refused)
{
    if (geteuid() != 0)
        return; /* only root gives a file away */
    ck_assert_int_eq(chown(put("1/2/postern.conf", 0600), 12345, 12345), 0);

    ck_assert_ptr_nonnull(strstr(refusal_of(program), "belongs to user 12345"));
}

TEST(what_is_no_file_is_refused)
{
    make("1/2/postern.conf");

    ck_assert_ptr_nonnull(strstr(refusal_of(program), "is not a file"));
}

TEST(what_cannot_be_looked_at_is_told)
{
    const char *path = "untouched", *name = arena_printf(a, "%0300d", 0);

    struct problem *p = config_find(a, program, name, &path);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(strstr(p->cause, "File name too long"));
    ck_assert_ptr_null(path);
}

static const struct {
    const char *file, *root;
    bool below;
} places[] = {
    {"1/2/postern.conf", "1/2", true},
    {"1/2/postern.conf", "1", true},
    {"1/2/postern.conf", "1/2/", true},
    {"1/2/postern.conf", "1/2/3", false},
    {"1/2/postern.conf", "1/./2/3/..", true},
    {"1/2/postern.conf", "", true},
    {"1/2/postern.conf", "/", true},
    {"1/2/postern.conf", "1/2/post", false},
    {"1/2/postern.conf", "no/such/folder", false},
    {"1/2/postern.conf", "link", true},
    {"link/postern.conf", "1", true},
    {"postern.conf", "1", false},
    {"12", "1", false},
};

TEST(the_nearest_file_is_seen_whoever_may_read_it)
{
    const char *folder;
    put("postern.conf", 0600);
    ck_assert_str_eq(config_nearest(a, program, "postern.conf"),
                     arena_printf(a, "%s/postern.conf", home));
    const char *open = put("1/2/postern.conf", 0666);
    ck_assert_int_eq(chmod(arena_printf(a, "%s/1/2/3", home), 0777), 0);

    ck_assert_str_eq(config_nearest(a, program, "postern.conf"), open);
    ck_assert_ptr_null(config_nearest(a, program, "other.conf"));
    ck_assert_ptr_null(config_nearest(a, NULL, "postern.conf"));
    ck_assert_str_eq(config_find_stop(a, program, &folder), "everybody may write to");
    ck_assert_str_eq(folder, arena_printf(a, "%s/1/2/3", home));
}

TEST(whose_folder_ended_the_search_is_told)
{
    const char *folder, *at = arena_printf(a, "%s/1/2", home);
    ck_assert_ptr_null(config_find_stop(a, NULL, &folder));
    if (geteuid() != 0)
        return; /* only root gives a folder away */
    ck_assert_int_eq(chown(at, 7654321, 7654321), 0);

    const char *why = config_find_stop(a, program, &folder);

    ck_assert_str_eq(folder, at);
    ck_assert_pstr_eq(why, "belongs to user 7654321, and the program runs as user 0 (root)");
    ck_assert_int_eq(chown(at, 0, 0), 0);
}

TEST_EACH(a_file_is_below_a_folder_whatever_the_links, places)
{
    const char *root = places[_i].root;
    (void)put("1/2/postern.conf", 0600);
    (void)put("postern.conf", 0600);
    (void)put("12", 0600);
    ck_assert_int_eq(symlink("1/2", arena_printf(a, "%s/link", home)), 0);

    bool below = config_is_below(arena_printf(a, "%s/%s", home, places[_i].file),
                                 *root == '/' ? root : arena_printf(a, "%s/%s", home, root));

    ck_assert_int_eq(below, places[_i].below);
}

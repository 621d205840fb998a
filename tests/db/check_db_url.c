#include <check.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/db/db.h"
#include "tests/support/suite.h"

static struct arena *a;

static void set_up(void)
{
    a = arena_open(1u << 20);
}

static void tear_down(void)
{
    arena_close(a);
}

CASE("URLs", set_up, tear_down);

static const char *const bad_urls[] = {
    "",
    "postgres://u:s3cret@h/n",
    "mysql:/u:s3cret@h/n",
    "mysql://h/n",
    "mysql://:s3cret@h/n",
    "mysql://u:s3cret@h",
    "mysql://u:s3cret@h/",
    "mysql://u:s3cret@/n",
    "mysql://u:s3cret@h:0/n",
    "mysql://u:s3cret@h:65536/n",
    "mysql://u:s3cret@h:-1/n",
    "mysql://u:s3cret@h:33x/n",
    "mysql://u:s3cret@h:/n",
    "mysql://u:s3cret@h,,g/n",
    "mysql://u:s3cret@[::1/n",
    "mysql://u:s3cret@[::1]3306/n",
    "mysql://u:s3cret%@h/n",
    "mysql://u:s3cret%4@h/n",
    "mysql://u:s3cret%zz@h/n",
    "mysql://u:s3cret%00@h/n",
    "mysql://u:s3cret@h/n?socket=",
    "mysql://u:s3cret@h/n?socket",
    "mysql://u:s3cret@h/n?ssl=1",
    "mysql://u:s3cret@h/n?",
    "mysql://u:p@s3cret@h/n",
    "mysql://o@dd:s3cret@h/n",
    "mysql://u:p/s3cret@h/n",
    "mysql://u:s3cret@x/red@h/n",
    "mysql://u:s3cret@h/n/m",
};

TEST_EACH(a_bad_url_is_refused_without_telling_the_password, bad_urls)
{
    struct db *none = NULL;

    struct problem *p = db_open(a, bad_urls[_i], &none);

    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);
    ck_assert_ptr_null(strstr(p->cause, "s3cret"));
    ck_assert_ptr_null(none);
}

static const char *const good_urls[] = {
    "mysql://u:p@h:3306/n",     "mysql://u@h/n",
    "mysql://u:@h:1,g:2,f/n",   "mysql://u:p@[::1]:3306,[fe80::1]/n",
    "mysql://u:p@/n?socket=/s", "mysql://%75:%70@h/%6e?socket=%2Fs",
};

TEST_EACH(a_good_url_is_taken_without_connecting, good_urls)
{
    struct db *open = NULL;

    ck_assert_ptr_null(db_open(a, good_urls[_i], &open));

    ck_assert_ptr_nonnull(open);
    db_close(open);
}

#include "common/db/forms.h"

#include <check.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "tests/support/suite.h"

static struct forms forms;
static uint64_t form;

static void set_up(void)
{
    forms = (struct forms){0};
    form = forms_hash("SELECT 1");
}

CASE("forms of statements", set_up, NULL);

TEST(the_hash_is_that_of_its_name)
{
    ck_assert_uint_eq(forms_hash(""), UINT64_C(0xcbf29ce484222325)); /* of FNV's own vectors */
    ck_assert_uint_eq(forms_hash("a"), UINT64_C(0xaf63dc4c8601ec8c));
    ck_assert_uint_eq(forms_hash("foobar"), UINT64_C(0x85944171f73967e8));
}

TEST(it_is_known_how_often_one_was_noted)
{
    static const unsigned counts[] = {1, 2, 3, 3, 3};
    ck_assert_uint_eq(forms_noted(&forms, form), 0);
    for (size_t i = 0; i < 5;) {
        const int64_t began = monotonic_ns();
        forms_note(&forms, form);
        unsigned noted = forms_noted(&forms, form);
        if (monotonic_ns() - began > 1000000000) { /* the machine hung */
            set_up();
            i = 0;
            continue;
        }
        ck_assert_uint_eq(noted, counts[i]);
        i++;
    }
}

TEST(and_of_another_nothing)
{
    forms_note(&forms, form);

    ck_assert_uint_eq(forms_noted(&forms, forms_hash("SELECT 2")), 0);
    ck_assert_uint_eq(forms_noted(&forms, form ^ (UINT64_C(1) << 63)), 0); /* of the same word */
}

TEST(one_of_the_same_word_pushes_it_out)
{
    const uint64_t other = form ^ (UINT64_C(1) << 63);
    forms_note(&forms, form);

    forms_forget(&forms, other); /* it is not there */
    forms_note(&forms, other);

    ck_assert_uint_eq(forms_noted(&forms, form), 0);
}

TEST(what_is_forgotten_begins_again)
{
    forms_note(&forms, form);
    forms_note(&forms, form);

    forms_forget(&forms, form);

    ck_assert_uint_eq(forms_noted(&forms, form), 0);
    forms_note(&forms, form);
    ck_assert_uint_le(forms_noted(&forms, form), 1);
}

TEST(it_is_forgotten_by_itself)
{
    forms_note(&forms, form);
    const int64_t began = monotonic_ns();

    while (forms_noted(&forms, form))
        usleep(10000);

    ck_assert_int_ge(monotonic_ns() - began, INT64_C(1500000000));
}

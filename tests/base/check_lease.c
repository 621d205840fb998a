#include "common/base/lease.h"

#include <check.h>

#include "common/base/instant.h"
#include "tests/support/suite.h"

#define FAR_MS 30000

static _Atomic int64_t places[3];
static struct lease one, two;

static void set_up(void)
{
    for (int i = 0; i < 3; i++)
        atomic_store(&places[i], 0);
    one = two = (struct lease){0};
}

static int64_t in_ms(int64_t ms)
{
    return monotonic_ns() + ms * 1000000;
}

CASE("leases", set_up, NULL);

TEST(each_place_is_given_once)
{
    struct lease leases[4] = {{0}};
    for (int i = 0; i < 3; i++) {
        ck_assert(lease_is_free(places, 3));
        ck_assert(lease_take(&leases[i], places, 3, in_ms(FAR_MS)));
        ck_assert_int_eq(atomic_load(&places[i]), leases[i].until);
    }

    ck_assert(!lease_is_free(places, 3));
    ck_assert(!lease_take(&leases[3], places, 3, in_ms(FAR_MS)));
    ck_assert_int_eq(leases[3].until, 0);
}

TEST(no_more_than_so_many_are_given)
{
    ck_assert(lease_take(&one, places, 1, in_ms(FAR_MS)));

    ck_assert(!lease_is_free(places, 1));
    ck_assert(!lease_take(&two, places, 1, in_ms(FAR_MS)));
    ck_assert(lease_is_free(places, 2));
}

TEST(what_is_held_is_kept_for_longer)
{
    const int64_t later = in_ms(FAR_MS) + 1;
    ck_assert(lease_take(&one, places, 3, in_ms(FAR_MS) - 1000));

    ck_assert(lease_take(&one, places, 3, later));

    ck_assert_int_eq(atomic_load(&places[0]), later);
    ck_assert_int_eq(atomic_load(&places[1]), 0);
}

TEST(at_its_end_it_is_free)
{
    ck_assert(lease_take(&one, places, 1, in_ms(FAR_MS)));

    lease_end(&one, places);
    lease_end(&one, places);

    ck_assert_int_eq(atomic_load(&places[0]), 0);
    ck_assert(lease_take(&two, places, 1, in_ms(FAR_MS)));
}

static const int64_t not_taken_ms[] = {-1, 3600 * 1000}; /* ended; of another boot */

TEST_EACH(a_place_whose_time_cannot_be_is_free, not_taken_ms)
{
    atomic_store(&places[0], in_ms(not_taken_ms[_i]));

    ck_assert(lease_is_free(places, 1));
    ck_assert(lease_take(&one, places, 1, in_ms(FAR_MS)));
}

TEST(who_was_late_gives_back_no_place_of_another)
{
    const int64_t theirs = in_ms(FAR_MS);
    ck_assert(lease_take(&one, places, 1, in_ms(FAR_MS) - 1000));
    atomic_store(&places[0], theirs);

    ck_assert(!lease_take(&one, places, 1, in_ms(FAR_MS)));
    lease_end(&one, places);

    ck_assert_int_eq(atomic_load(&places[0]), theirs);
}

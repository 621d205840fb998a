#include "common/base/gate.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/instant.h"
#include "tests/support/suite.h"

#define FAR_MS 30000
#define MS INT64_C(1000000)

static struct gate *gate;
static const struct gate_limit one_or_three = {1, 3};
static struct lease leases[4];

/* In memory that a child process shares. */
static void set_up(void)
{
    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(gate != MAP_FAILED);
    memset(leases, 0, sizeof leases);
}

static void tear_down(void)
{
    ck_assert_int_eq(munmap(gate, sizeof *gate), 0);
}

static bool enter(struct lease *l, int64_t came)
{
    return gate_enter(l, gate, one_or_three, came, monotonic_ns() + FAR_MS * MS);
}

/* There is another request, and will be for the whole test. */
static void note_others(void)
{
    do
        gate_note_other(gate);
    while (!atomic_load(&gate->others));
}

CASE("a gate", set_up, tear_down);

TEST(with_nothing_else_to_do_many_are_let_in)
{
    atomic_store(&gate->others, monotonic_ns() - 2000 * MS); /* long ago */
    for (int i = 0; i < 3; i++)
        ck_assert(enter(&leases[i], 10 + i));

    ck_assert(!enter(&leases[3], 13));
}

TEST(beside_other_requests_few_are)
{
    note_others();
    ck_assert(enter(&leases[0], 10));
    note_others();
    ck_assert(!enter(&leases[1], 11));
}

static const struct {
    struct gate_limit limit;
    int count;
} odd_limits[] = {{{0, 0}, 1}, {{1000, 1000}, GATE_PLACES_MAX}};

TEST_EACH(there_is_room_for_one_and_for_no_more_than_there_are_places, odd_limits)
{
    for (int i = 0; i <= odd_limits[_i].count; i++) {
        struct lease l = {0};
        ck_assert_int_eq(
            gate_enter(&l, gate, odd_limits[_i].limit, 10 + i, monotonic_ns() + FAR_MS * MS),
            i < odd_limits[_i].count);
    }
}

TEST(who_is_in_may_ask_again)
{
    ck_assert(enter(&leases[0], 10));
    ck_assert(!gate_enter(&leases[1], gate, (struct gate_limit){1, 1}, 5, INT64_MAX)); /* waits */

    ck_assert(enter(&leases[0], 10));
}

/* Who waits asks again and again, or is passed by: so these ask until nothing has come between. */
static bool is_fresh(void)
{
    return monotonic_ns() - atomic_load(&gate->told) < 10 * MS;
}

TEST(who_came_later_does_not_overtake_who_waits)
{
    const struct gate_limit one = {1, 1};
    bool passed, was_fresh;
    ck_assert(gate_enter(&leases[0], gate, one, 10, monotonic_ns() + FAR_MS * MS));
    do {
        ck_assert_uint_gt(gate_wait_ms(gate, one, 20), 0); /* it is full */
        lease_end(&leases[0], gate->places);
        passed = gate_enter(&leases[1], gate, one, 30, monotonic_ns() + FAR_MS * MS);
        was_fresh = is_fresh();
        lease_end(&leases[1], gate->places);
    } while (!was_fresh);

    ck_assert(!passed);
    ck_assert_uint_eq(gate_wait_ms(gate, one, 20), 0);
    ck_assert(gate_enter(&leases[2], gate, one, 20, monotonic_ns() + FAR_MS * MS));
    ck_assert_int_eq(atomic_load(&gate->first), 0); /* and nobody waits any more */
}

TEST(who_came_before_goes_before_who_waits)
{
    ck_assert_uint_eq(gate_wait_ms(gate, one_or_three, 20), 0);

    ck_assert(enter(&leases[0], 10));

    ck_assert_int_eq(atomic_load(&gate->first), 20); /* still */
}

TEST(the_later_one_is_to_ask_less_often)
{
    unsigned first_ms, later_ms;
    do {
        first_ms = gate_wait_ms(gate, one_or_three, 20);
        ck_assert_uint_eq(first_ms, 0); /* there is room */
        later_ms = gate_wait_ms(gate, one_or_three, 30);
    } while (!is_fresh());

    ck_assert_uint_gt(later_ms, 1);
}

TEST(who_waits_no_longer_keeps_nobody_out)
{
    ck_assert_uint_eq(gate_wait_ms(gate, one_or_three, 20), 0);

    while (!enter(&leases[0], 30)) /* until it is not fresh any more */
        usleep(1000);

    ck_assert_int_eq(atomic_load(&gate->first), 20);
}

TEST(what_another_boot_left_keeps_nobody_out)
{
    const int64_t to_come = monotonic_ns() + 3600 * 1000 * MS;
    atomic_store(&gate->told, to_come);
    atomic_store(&gate->first, 1);
    atomic_store(&gate->others, to_come);
    for (int i = 0; i < GATE_PLACES_MAX; i++)
        atomic_store(&gate->places[i], to_come);

    for (int i = 0; i < 3; i++)
        ck_assert(enter(&leases[i], monotonic_ns()));

    gate_note_other(gate);
    ck_assert_int_lt(atomic_load(&gate->others), to_come);
}

/* More processes than there is room, each with a hundred requests: all get in, and never two. */
static void come_and_go(_Atomic int64_t *inside)
{
    const struct gate_limit one = {1, 1};
    for (int i = 0; i < 100; i++) {
        struct lease l = {0};
        const int64_t came = monotonic_ns();
        while (!gate_enter(&l, gate, one, came, came + FAR_MS * MS))
            usleep(gate_wait_ms(gate, one, came) * 100);
        if (atomic_fetch_add(inside, 1) != 0)
            _exit(1);
        usleep(10);
        atomic_fetch_sub(inside, 1);
        lease_end(&l, gate->places);
    }
    _exit(0);
}

TEST(all_processes_come_through_one_at_a_time)
{
    enum { PROCESSES = 8 };
    _Atomic int64_t *inside = &gate->places[GATE_PLACES_MAX - 1]; /* no place with this limit */
    for (int i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
            come_and_go(inside);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
}

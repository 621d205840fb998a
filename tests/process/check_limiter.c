#include "common/process/limiter.h"

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/suite.h"

#define MINUTE_MS (60 * 1000)
#define DAY_S 86400

#define BOOT (UINT64_C(0x5eed) << 48)
#define NEXT_BOOT (UINT64_C(0xb007) << 48)
#define YEAR_MS (INT64_C(1000) * DAY_S * 365)

static const int64_t noon = 20 * YEAR_MS; /* of a machine that has been up for long */
static const struct limit three = {.burst = 3, .interval_ms = MINUTE_MS};

static struct limiter *limiter;

/* Shared with the processes that a test forks, as by workers. */
static void set_up(void)
{
    limiter =
        mmap(NULL, sizeof *limiter, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(limiter, MAP_FAILED);
    limiter_begin(limiter, BOOT);
}

static void tear_down(void)
{
    ck_assert_int_eq(munmap(limiter, sizeof *limiter), 0);
}

static uint64_t key_of(const char *whom)
{
    return limiter_key(limiter, "test", text_of(whom));
}

static int64_t after_ms(int64_t ms)
{
    return noon + ms;
}

static int64_t take(const char *whom, int64_t at_ms)
{
    return limiter_take_ms(limiter, key_of(whom), &three, after_ms(at_ms));
}

static int64_t wait_of(const char *whom, int64_t at_ms)
{
    return limiter_wait_ms(limiter, key_of(whom), &three, after_ms(at_ms));
}

static void fill(const char *whom, int64_t at_ms)
{
    while (take(whom, at_ms) == 0)
        continue;
}

/* ---- one after another ---- */

CASE("limiter", set_up, tear_down);

TEST(so_many_fit_at_once_and_no_more)
{
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(wait_of("ada", 0), 0);
        ck_assert_int_eq(take("ada", 0), 0);
    }

    ck_assert_int_eq(wait_of("ada", 0), MINUTE_MS);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS); /* refusals do not add up */
}

TEST(one_more_fits_exactly_when_it_was_told)
{
    fill("ada", 0);

    ck_assert_int_eq(take("ada", 1000), MINUTE_MS - 1000);
    ck_assert_int_eq(take("ada", MINUTE_MS - 1), 1);
    ck_assert_int_eq(take("ada", MINUTE_MS), 0);
    ck_assert_int_eq(take("ada", MINUTE_MS), MINUTE_MS);
}

TEST(a_rest_gives_all_back_but_no_more_than_that)
{
    fill("ada", 0);

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(take("ada", INT64_C(1000) * DAY_S), 0);
    ck_assert_int_eq(take("ada", INT64_C(1000) * DAY_S), MINUTE_MS);
}

TEST(keys_are_counted_apart)
{
    fill("ada", 0);

    ck_assert_int_eq(take("bob", 0), 0);
    ck_assert_int_eq(
        limiter_take_ms(limiter, limiter_key(limiter, "other", TEXT("ada")), &three, after_ms(0)),
        0);
}

TEST(asking_counts_nothing)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(wait_of("ada", 0), 0);

    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), 0);
}

TEST(what_is_given_back_fits_again)
{
    fill("ada", 0);

    limiter_give_back(limiter, key_of("ada"), &three);

    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);
}

TEST(giving_back_leaves_what_others_have_taken)
{
    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), 0);

    for (int i = 0; i < 10; i++) { /* tries that come and go */
        ck_assert_int_eq(take("ada", 0), 0);
        limiter_give_back(limiter, key_of("ada"), &three);
    }

    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);
}

TEST(giving_back_what_is_not_there_does_nothing)
{
    fill("bob", 0);

    limiter_give_back(limiter, key_of("ada"), &three);

    ck_assert_int_eq(take("bob", 0), MINUTE_MS);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);
}

/* ---- clocks ---- */

static const int64_t ahead_ms[] = {1, 1000, 5 * MINUTE_MS};

/* As a request does that was read before another one, and is counted after it. */
TEST_EACH(who_comes_late_with_its_time_gets_no_more, ahead_ms)
{
    fill("ada", ahead_ms[_i]);

    ck_assert_int_eq(wait_of("ada", 0), MINUTE_MS); /* as full as can be, and no fuller */
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);

    ck_assert_int_eq(take("ada", ahead_ms[_i] + MINUTE_MS - 1), 1);
    ck_assert_int_eq(take("ada", ahead_ms[_i] + MINUTE_MS), 0);
}

static const int64_t back_ms[] = {20 * MINUTE_MS, INT64_C(1000) * DAY_S, 19 * YEAR_MS};

/* No system's does; should one do it all the same, nobody is locked out, not even for a moment. */
TEST_EACH(a_time_that_goes_back_starts_again, back_ms)
{
    int64_t then = -back_ms[_i];
    fill("ada", 0);

    ck_assert_int_eq(wait_of("ada", then), 0);

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(take("ada", then), 0);
    ck_assert_int_eq(take("ada", then), MINUTE_MS);
    ck_assert_int_eq(take("ada", then + MINUTE_MS), 0);
}

static int64_t take_up(const char *whom, int64_t uptime_ms)
{
    return limiter_take_ms(limiter, key_of(whom), &three, uptime_ms);
}

/* In a file that outlives it. */
TEST(a_restart_of_the_machine_forgives_nothing)
{
    fill("ada", 0);

    limiter_begin(limiter, NEXT_BOOT);

    ck_assert_int_eq(take_up("ada", 0), MINUTE_MS);
    ck_assert_int_eq(take_up("ada", MINUTE_MS - 1), 1);
    limiter_begin(limiter, NEXT_BOOT); /* another process, of the same time */
    ck_assert_int_eq(take_up("ada", MINUTE_MS), 0);
    ck_assert_int_eq(take_up("ada", MINUTE_MS), MINUTE_MS);
}

TEST(restart_after_restart_time_goes_on)
{
    fill("ada", 0);

    for (uint64_t boot = 1; boot <= 3; boot++) {
        limiter_begin(limiter, boot << 50);
        ck_assert_int_eq(take_up("ada", MINUTE_MS), 0);
        ck_assert_int_eq(take_up("ada", MINUTE_MS), MINUTE_MS);
    }
}

/* ---- the table ---- */

TEST(keys_depend_on_a_secret_that_stays)
{
    uint64_t before = key_of("ada");
    struct limiter *other = calloc(1, sizeof *other);
    ck_assert_ptr_nonnull(other);

    limiter_begin(limiter, BOOT);
    limiter_begin(other, BOOT);

    ck_assert_uint_eq(key_of("ada"), before);
    ck_assert_uint_ne(limiter_key(other, "test", TEXT("ada")), before);
    free(other);
}

/* A key whose counter is in the set of `like`. */
static uint64_t neighbour(uint64_t like, uint64_t number)
{
    return (number << 50) | (like & (LIMITER_SETS - 1));
}

TEST(the_stalest_makes_room_and_the_fullest_stays)
{
    uint64_t ada = key_of("ada");
    fill("ada", 0);

    for (uint64_t i = 1; i <= 1000; i++)
        ck_assert_int_eq(limiter_take_ms(limiter, neighbour(ada, i), &three, after_ms((int64_t)i)),
                         0);

    ck_assert_int_gt(take("ada", 1000), 0);
}

/* What is left of a time that is no more ours makes room first. */
TEST(words_of_another_time_make_room)
{
    uint64_t ada = key_of("ada");
    for (uint64_t i = 1; i < LIMITER_WAYS; i++)
        ck_assert_int_eq(limiter_take_ms(limiter, neighbour(ada, i), &three, after_ms(YEAR_MS)), 0);
    fill("ada", 0);

    for (uint64_t i = 11; i < 11 + LIMITER_WAYS - 1; i++)
        ck_assert_int_eq(limiter_take_ms(limiter, neighbour(ada, i), &three, after_ms(1)), 0);

    ck_assert_int_gt(take("ada", 1), 0);
}

TEST(thousands_are_remembered)
{
    const int people = 20000;
    char name[32];
    int forgotten = 0, confused = 0;
    for (int i = 0; i < people; i++) {
        snprintf(name, sizeof name, "person %d", i);
        fill(name, 0);
    }

    for (int i = 0; i < people; i++) {
        snprintf(name, sizeof name, "person %d", i);
        forgotten += wait_of(name, 0) == 0;
        snprintf(name, sizeof name, "stranger %d", i);
        confused += wait_of(name, 0) != 0;
    }

    ck_assert_int_lt(forgotten, people / 100); /* where more than eight met */
    ck_assert_int_lt(confused, 3);             /* 2 in a million is what 22 bits promise */
}

/* ---- at the same time ---- */

#define RIVALS 8

/* What processes tell each other. */
struct arena_of_rivals {
    _Atomic int ready, go;
    _Atomic int64_t taken;
};

static struct arena_of_rivals *shared;

/* Run `body` in several processes that begin together; true if all have ended well. */
static bool race(void (*body)(int rival))
{
    bool well = true;
    int status;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < RIVALS; i++) {
        if (fork() != 0)
            continue;
        shared->ready++;
        while (!shared->go)
            continue;
        body(i);
        _exit(0);
    }
    while (shared->ready < RIVALS)
        (void)usleep(100);
    shared->go = 1;
    for (int i = 0; i < RIVALS; i++)
        well &= wait(&status) > 0 && status == 0;
    return well;
}

static const struct limit thousand = {.burst = 1000, .interval_ms = MINUTE_MS};
static const struct limit many = {.burst = 200000, .interval_ms = MINUTE_MS};

static void take_all(int rival)
{
    (void)rival;
    uint64_t key = key_of("ada");
    for (int64_t i = 0; i < many.burst / RIVALS * 2; i++)
        shared->taken += limiter_take_ms(limiter, key, &many, noon) == 0;
}

TEST(of_rivals_as_many_get_one_as_the_limit_says)
{
    ck_assert(race(take_all));

    ck_assert_int_eq(shared->taken, many.burst);
}

#define SETS 3000
#define KEYS 6 /* in each of these sets */

/* All put the same new keys in at the same time, each in another order, while one more key of the
 * set comes and goes. */
static void take_of_many(int rival)
{
    for (uint64_t set = 1; set <= SETS; set++) {
        for (uint64_t i = 0; i < KEYS; i++) {
            uint64_t number = 1 + (i + (uint64_t)rival) % KEYS;
            shared->taken += limiter_take_ms(limiter, neighbour(set, number), &three, noon) == 0;
            if (limiter_take_ms(limiter, neighbour(set, KEYS + 1), &thousand, noon) == 0)
                limiter_give_back(limiter, neighbour(set, KEYS + 1), &thousand);
        }
    }
}

/* As two leave it who put a new key in at the same moment as others change the set. */
TEST(two_counters_of_one_key_both_count)
{
    uint64_t ada = key_of("ada"), set = ada & (LIMITER_SETS - 1);
    ck_assert_int_eq(take("ada", 0), 0);
    limiter->words[set][5] = limiter->words[set][0];

    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);
    limiter_give_back(limiter, ada, &three);
    ck_assert_int_eq(take("ada", 0), 0);
    ck_assert_int_eq(take("ada", 0), MINUTE_MS);
}

TEST(new_keys_are_counted_right_from_the_first)
{
    ck_assert(race(take_of_many));

    ck_assert_int_le(shared->taken, 3 * KEYS * SETS);
    ck_assert_int_gt(shared->taken, 3 * KEYS * SETS - 10); /* who steps back may do so in vain */
}

static void begin_and_take(int rival)
{
    (void)rival;
    limiter_begin(limiter, NEXT_BOOT);
    shared->taken += take_up("ada", MINUTE_MS) == 0;
}

TEST(who_begins_at_the_same_time_after_a_restart_agrees)
{
    fill("ada", 0);

    ck_assert(race(begin_and_take));

    ck_assert_int_eq(shared->taken, 1);
}

static void come_and_go(int rival)
{
    uint64_t key = key_of("ada");
    for (int i = 0; i < 20000; i++)
        if (limiter_take_ms(limiter, key, &thousand, after_ms(rival)) == 0)
            limiter_give_back(limiter, key, &thousand);
}

TEST(what_comes_and_goes_at_the_same_time_leaves_nothing)
{
    ck_assert(race(come_and_go));

    /* Nothing but what the last one's clock was ahead of the first one's. */
    ck_assert_int_eq(limiter_wait_ms(limiter, key_of("ada"), &three, after_ms(RIVALS)), 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(
            limiter_take_ms(limiter, key_of("ada"), &thousand, after_ms(RIVALS * MINUTE_MS)), 0);
}

static void die_in_between(int rival)
{
    uint64_t key = key_of("ada");
    if (rival == 0)
        for (;;) /* until it is killed, wherever it is */
            if (limiter_take_ms(limiter, key, &thousand, noon) == 0)
                limiter_give_back(limiter, key, &thousand);
}

TEST(a_process_that_is_killed_leaves_at_most_one)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        die_in_between(0);
    (void)usleep(20000);

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    int taken = 0;
    while (limiter_take_ms(limiter, key_of("ada"), &thousand, noon) == 0)
        taken++;
    ck_assert_int_ge(taken, 999);
    ck_assert_int_le(taken, 1000);
}

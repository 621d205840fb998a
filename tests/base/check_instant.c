#include "common/base/instant.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/suite.h"
#include "tests/support/torture.h"

#define SECOND INT64_C(1000000)

/* ---- the table: text and microseconds since 1970 ---- */

static const struct {
    const char *text;
    int64_t us;
} known[] = {
    {"1970-01-01T00:00:00.000000Z", 0},
    {"1970-01-01T00:00:00.000001Z", 1},
    {"1969-12-31T23:59:59.999999Z", -1},
    {"1969-12-31T23:59:59.000000Z", -1 * SECOND},
    {"2000-02-29T12:00:00.000000Z", 951825600 * SECOND},
    {"2001-09-09T01:46:40.000000Z", 1000000000 * SECOND},
    {"2004-02-29T23:59:59.999999Z", 1078099199 * SECOND + 999999},
    {"2004-03-01T00:00:00.000000Z", 1078099200 * SECOND},
    {"2038-01-19T03:14:08.000000Z", 2147483648 * SECOND},
    {"0000-01-01T00:00:00.000000Z", -62167219200 * SECOND},
    {"0001-01-01T00:00:00.000000Z", -62135596800 * SECOND},
    {"9999-12-31T23:59:59.999999Z", 253402300799 * SECOND + 999999},
    /* RFC 3339 section 5.8, written as we write it */
    {"1985-04-12T23:20:50.520000Z", 482196050 * SECOND + 520000},
    {"1996-12-20T00:39:57.000000Z", 851042397 * SECOND},
};

CASE("instant", NULL, NULL);

TEST_EACH(known_times_are_written, known)
{
    char text[INSTANT_TEXT_SIZE];

    instant_format((struct instant){known[_i].us}, text);

    ck_assert_str_eq(text, known[_i].text);
}

TEST_EACH(known_times_are_read, known)
{
    struct instant t;

    ck_assert(instant_parse(known[_i].text, &t));

    ck_assert_int_eq(t.us, known[_i].us);
}

/* ---- other spellings ---- */

static const struct {
    const char *text, *same;
} spellings[] = {
    /* RFC 3339 section 5.8 */
    {"1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520000Z"},
    {"1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000000Z"},
    {"1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870000Z"},
    /* section 5.6's notes: lower case, and a space for the T */
    {"2026-03-04t05:06:07z", "2026-03-04T05:06:07.000000Z"},
    {"2026-03-04 05:06:07Z", "2026-03-04T05:06:07.000000Z"},
    /* fractions */
    {"2026-03-04T05:06:07.1Z", "2026-03-04T05:06:07.100000Z"},
    {"2026-03-04T05:06:07.000001Z", "2026-03-04T05:06:07.000001Z"},
    {"2026-03-04T05:06:07.12345600Z", "2026-03-04T05:06:07.123456Z"},
    {"2026-03-04T05:06:07.1234561Z", "2026-03-04T05:06:07.123457Z"},
    {"2026-03-04T05:06:07.12345600000000000000001Z", "2026-03-04T05:06:07.123457Z"},
    {"2026-03-04T05:06:07.99999999999999999999Z", "2026-03-04T05:06:08.000000Z"},
    {"9999-12-31T23:59:59.9999991Z", "9999-12-31T23:59:59.999999Z"}, /* nothing is later */
    /* offsets */
    {"2026-03-04T05:06:07+00:00", "2026-03-04T05:06:07.000000Z"},
    {"2026-03-04T05:06:07-00:00", "2026-03-04T05:06:07.000000Z"},
    {"2026-03-04T05:06:07+05:30", "2026-03-03T23:36:07.000000Z"},
    {"2026-03-04T05:06:07-05:30", "2026-03-04T10:36:07.000000Z"},
    {"2026-03-04T05:06:07.5+23:59", "2026-03-03T05:07:07.500000Z"},
    {"2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000Z"},
    {"2028-03-01T00:30:00+01:00", "2028-02-29T23:30:00.000000Z"},
};

TEST_EACH(what_rfc_3339_allows_is_read, spellings)
{
    struct instant t;
    char text[INSTANT_TEXT_SIZE];

    ck_assert(instant_parse(spellings[_i].text, &t));
    instant_format(t, text);

    ck_assert_str_eq(text, spellings[_i].same);
}

static const char *const refused[] = {
    "",
    "now",
    "2026-03-04",
    "2026-03-04T05:06:07",
    "2026-03-04T05:06Z",
    "2026-03-04T05:06:07.Z",
    "2026-03-04T05:06:07,5Z",
    "2026-03-04T05:06:07ZZ",
    "2026-03-04T05:06:07Z ",
    " 2026-03-04T05:06:07Z",
    "2026-03-04T05:06:07.5",
    "2026-3-04T05:06:07Z",
    "26-03-04T05:06:07.000Z",
    "2026/03/04T05:06:07Z",
    "2026-03-04X05:06:07Z",
    "2026-03-04T05-06-07Z",
    "+026-03-04T05:06:07Z",
    "2026-03-04T 5:06:07Z",
    "2026-03-04T05:06:-7Z",
    "20260304T050607Z....",
    /* days and times that the calendar does not have */
    "2026-00-04T05:06:07Z",
    "2026-13-04T05:06:07Z",
    "2026-03-00T05:06:07Z",
    "2026-03-32T05:06:07Z",
    "2026-04-31T05:06:07Z",
    "2026-02-29T05:06:07Z",
    "1900-02-29T05:06:07Z",
    "2026-03-04T24:00:00Z",
    "2026-03-04T05:60:07Z",
    "2026-03-04T05:06:61Z",
    /* leap seconds, also the one of RFC 3339 section 5.8 */
    "1990-12-31T23:59:60Z",
    "1990-12-31T15:59:60-08:00",
    /* offsets */
    "2026-03-04T05:06:07+01",
    "2026-03-04T05:06:07+0100",
    "2026-03-04T05:06:07+01:0",
    "2026-03-04T05:06:07+1:00",
    "2026-03-04T05:06:07+01:000",
    "2026-03-04T05:06:07+24:00",
    "2026-03-04T05:06:07+01:60",
    "2026-03-04T05:06:07+-1:00",
    "2026-03-04T05:06:07+01:-1",
    "2026-03-04T05:06:07++1:00",
    "2026-03-04T05:06:07+01:+1",
    "2026-03-04T05:06:07+ 1:00",
    "2026-03-04T05:06:07+01: 1",
    "2026-03-04T05:06:07 01:00",
    "2026-03-04T05:06:07UTC",
    /* years that have no four digits where we are */
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
};

TEST_EACH(anything_else_is_refused_and_the_result_untouched, refused)
{
    struct instant t = {42};

    ck_assert_msg(!instant_parse(refused[_i], &t), "%s", refused[_i]);

    ck_assert_int_eq(t.us, 42);
}

TEST(every_cut_text_is_refused)
{
    static const char whole[] = "2026-03-04T05:06:07.123456+01:30";
    struct instant t;
    ck_assert(instant_parse(whole, &t));
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *cut = strndup(whole, len);
        ck_assert_msg(!instant_parse(cut, &t), "%s", cut);
        free(cut);
    }
}

static const struct {
    int year;
    bool leap;
} years[] = {{1600, true}, {1700, false}, {1900, false}, {2000, true}, {2023, false},
             {2024, true}, {2100, false}, {2400, true},  {4, true},    {9996, true}};

TEST_EACH(only_leap_years_have_a_29th_of_february, years)
{
    char text[32];
    struct instant t;
    snprintf(text, sizeof text, "%04d-02-29T00:00:00Z", years[_i].year);

    ck_assert_int_eq(instant_parse(text, &t), years[_i].leap);
}

/* ---- arithmetic and the calendar ---- */

TEST(seconds_are_added_and_taken_away)
{
    const struct instant t = {5};

    ck_assert_int_eq(instant_plus_s(t, 3).us, 3 * SECOND + 5);
    ck_assert_int_eq(instant_plus_s(t, -3).us, -3 * SECOND + 5);
    ck_assert_int_eq(instant_plus_s(t, 0).us, 5);
    ck_assert_int_eq(instant_plus_s(t, 100LL * 366 * 86400).us, 3162240000 * SECOND + 5);
}

TEST(what_lies_beyond_all_years_is_the_first_or_last_moment)
{
    char text[INSTANT_TEXT_SIZE];
    instant_format((struct instant){INT64_MIN}, text);
    ck_assert_str_eq(text, "0000-01-01T00:00:00.000000Z");
    instant_format((struct instant){INT64_MAX}, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999999Z");

    ck_assert_int_eq(instant_plus_s((struct instant){5}, INT64_MAX).us, INT64_MAX);
    ck_assert_int_eq(instant_plus_s((struct instant){5}, INT64_MIN).us, INT64_MIN);
    ck_assert_int_eq(instant_plus_s((struct instant){INT64_MAX}, 1).us, INT64_MAX);
    ck_assert_int_eq(instant_plus_s((struct instant){INT64_MIN}, -1).us, INT64_MIN);
    ck_assert_int_lt(instant_to_civil((struct instant){INT64_MIN}).year, -290000);
}

TEST(a_time_has_the_parts_that_the_calendar_shows)
{
    struct civil c = instant_to_civil((struct instant){1078099199 * SECOND + 42});

    ck_assert_int_eq(c.year, 2004);
    ck_assert_int_eq(c.month, 2);
    ck_assert_int_eq(c.day, 29);
    ck_assert_int_eq(c.hour, 23);
    ck_assert_int_eq(c.minute, 59);
    ck_assert_int_eq(c.second, 59);
    ck_assert_int_eq(c.us, 42);
}

TEST(microseconds_before_1970_count_up_too)
{
    struct civil c = instant_to_civil((struct instant){-1});

    ck_assert_int_eq(c.year, 1969);
    ck_assert_int_eq(c.second, 59);
    ck_assert_int_eq(c.us, 999999);
}

TEST(the_local_time_zone_does_not_matter)
{
    struct instant t;
    char text[INSTANT_TEXT_SIZE];
    setenv("TZ", "XYZ-7:30", 1);
    tzset();

    ck_assert(instant_parse("2026-07-04T05:06:07Z", &t));
    instant_format(t, text);

    ck_assert_int_eq(t.us, 1783141567 * SECOND);
    ck_assert_str_eq(text, "2026-07-04T05:06:07.000000Z");
    ck_assert_int_eq(instant_from_civil(instant_to_civil(t)).us, t.us);
}

TEST(now_is_the_clock)
{
    int64_t before = time(NULL);
    struct instant now = instant_now();
    int64_t after = time(NULL);

    /* time(2) may read a coarser clock that is a few milliseconds behind. */
    ck_assert_int_ge(now.us, before * SECOND);
    ck_assert_int_le(now.us, (after + 2) * SECOND);
}

TEST(random_times_come_back)
{
    const int64_t first = -62167219200 * SECOND, last = 253402300799 * SECOND + 999999;
    unsigned seed = torture_seed();
    unsigned short state[3] = {(unsigned short)seed, (unsigned short)(seed >> 16), 7};
    for (int i = 0; i < torture_rounds(100000); i++) {
        struct instant t = {first + (int64_t)(erand48(state) * (double)(last - first))}, back;
        char text[INSTANT_TEXT_SIZE];

        instant_format(t, text);

        if (!instant_parse(text, &back) || back.us != t.us ||
            instant_from_civil(instant_to_civil(t)).us != t.us)
            ck_abort_msg("%lld as %s, SEED=%u", (long long)t.us, text, seed);
    }
}

TEST(the_clock_that_nobody_sets_goes_on_by_the_nanosecond)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int64_t before = monotonic_ns();
    ck_assert_int_eq(nanosleep(&pause, NULL), 0);
    ck_assert_int_ge(monotonic_ns() - before, pause.tv_nsec);
}

/* The other clock stands while the machine sleeps, and so is never ahead. */
TEST(uptime_goes_on_by_the_millisecond)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int64_t other = monotonic_ns() / 1000000, before = uptime_ms();

    ck_assert_int_ge(before, other);
    ck_assert_int_eq(nanosleep(&pause, NULL), 0);
    ck_assert_int_ge(uptime_ms() - before, 2);
}

TEST(all_processes_see_the_same_boot)
{
    uint64_t here = boot_number();
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(boot_number() == here ? 0 : 1);

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    ck_assert_int_eq(status, 0);
    ck_assert_uint_ne(here, 0);
    ck_assert_uint_ne(here >> 42, 0);
}

/* suite.h -- a test program is a file of tests, which register themselves.
 *
 *     CASE("reading", open_it, close_it);
 *     TEST(a_thing_is_read) { … }
 *     TEST_EACH(a_bad_thing_is_refused, bad_things) { … bad_things[_i] … }
 *
 * A case is for the tests below it, each of which runs between its two functions.
 * There is no list of them, and no main().
 */
#pragma once

#include <check.h>
#include <stdbool.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* One per test, in the order of the file. */
#define TEST_REGISTER(name_, rows_, signal_)                                                       \
    static const TTest *name_;                                                                     \
    __attribute__((constructor)) static void register_##name_(void)                                \
    {                                                                                              \
        suite_add_test(name_, (rows_), (signal_));                                                 \
    }

#define TEST(name_) TEST_REGISTER(name_, 1, 0) START_TEST(name_)

/* Once for each row of a table, whose number is `_i`. */
#define TEST_EACH(name_, table_) TEST_TIMES(name_, COUNT(table_))
#define TEST_TIMES(name_, times_) TEST_REGISTER(name_, times_, 0) START_TEST(name_)

/* It must end by a signal. */
#define TEST_SIGNAL(name_, signal_) TEST_REGISTER(name_, 1, signal_) START_TEST(name_)

/* What follows belongs to the case `name_`, which may be named again later; the functions run
 * before and after each test, in its process. Either may be NULL. */
#define CASE(name_, before_, after_) SUITE_DO(suite_case((name_), (before_), (after_)))

/* Of the case that was named last: what runs once around all of it, in the program itself. */
#define CASE_AROUND(before_, after_) SUITE_DO(suite_case_around((before_), (after_)))

/* Of the case that was named last: how long a test may take, where that is more than 300 s. */
#define CASE_LIMIT_S(seconds_) SUITE_DO(suite_case_limit(seconds_))

/* Of the case that was named last: it is run only where this holds; after all other cases. */
#define CASE_IF(condition_) SUITE_DO(suite_case_if(condition_))
#define CASE_LAST() SUITE_DO(suite_case_last())

#define SUITE_DO(call_) SUITE_DO_AT(call_, __LINE__)
#define SUITE_DO_AT(call_, line_) SUITE_DO_AS(call_, line_)
#define SUITE_DO_AS(call_, line_)                                                                  \
    __attribute__((constructor)) static void register_line_##line_(void)                           \
    {                                                                                              \
        call_;                                                                                     \
    }                                                                                              \
    struct suite_semicolon

void suite_case(const char *name, void (*before)(void), void (*after)(void));
void suite_case_around(void (*before)(void), void (*after)(void));
void suite_case_limit(double seconds);
void suite_case_if(bool condition);
void suite_case_last(void);
void suite_add_test(const TTest *test, int rows, int signal);

/** Fail the test if there is a problem. */
struct problem;
void must(const struct problem *p);

/** Run all that has registered, tell which tests failed, and return what main() must return. */
int suite_main(void);

#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"

#define CASES_MAX 64
#define LIMIT_S 300 /* of what hangs; Check's own, 4 s, is short for a busy machine */

static struct {
    const char *name;
    TCase *tcase;
    bool left_out, last;
} cases[CASES_MAX];
static size_t case_count;
static size_t current_case;

static TCase *add_case(const char *name)
{
    if (case_count == CASES_MAX)
        abort();
    cases[case_count].name = name;
    cases[case_count].tcase = tcase_create(name);
    tcase_set_timeout(cases[case_count].tcase, LIMIT_S);
    current_case = case_count++;
    return cases[current_case].tcase;
}

void suite_case(const char *name, void (*before)(void), void (*after)(void))
{
    for (size_t i = 0; i < case_count; i++)
        if (strcmp(cases[i].name, name) == 0) {
            current_case = i;
            return;
        }
    TCase *t = add_case(name);
    if (before || after)
        tcase_add_checked_fixture(t, before, after);
}

void suite_case_around(void (*before)(void), void (*after)(void))
{
    tcase_add_unchecked_fixture(cases[current_case].tcase, before, after);
}

void suite_case_limit(double seconds)
{
    tcase_set_timeout(cases[current_case].tcase, seconds > LIMIT_S ? seconds : LIMIT_S);
}

void suite_case_if(bool condition)
{
    cases[current_case].left_out = !condition;
}

void suite_case_last(void)
{
    cases[current_case].last = true;
}

/* Those of a table that the environment asks for, as in CK_RUN_ROWS=3-7; else all. */
static void choose_rows(int *from, int *to)
{
    const char *chosen = *to > 1 ? getenv("CK_RUN_ROWS") : NULL;
    int first, last;
    if (!chosen || sscanf(chosen, "%d-%d", &first, &last) != 2)
        return;
    *from = first < *to ? first : *to;
    *to = last < *to ? last + 1 : *to;
}

void suite_add_test(const TTest *test, int rows, int signal)
{
    int from = 0;
    if (case_count == 0)
        (void)add_case("tests");
    choose_rows(&from, &rows);
    _tcase_add_test(cases[current_case].tcase, test, signal, 0, from, rows);
}

void must(const struct problem *p)
{
    if (p)
        ck_abort_msg("%s", p->cause ? p->cause : p->message);
}

static int run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    const char *wanted = getenv("CK_RUN_CASE");
    if (wanted && srunner_ntests_run(runner) == 0) {
        fprintf(stderr, "there is no case \"%s\" here\n", wanted);
        failed = 1;
    }
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int suite_main(void)
{
    Suite *suite = suite_create(program_invocation_short_name);
    for (int last = 0; last <= 1; last++)
        for (size_t i = 0; i < case_count; i++)
            if (cases[i].last == last && !cases[i].left_out)
                suite_add_tcase(suite, cases[i].tcase);
    return run(suite);
}

#include "common/base/problem.h"

#include <string.h>

#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* ---- kinds ---- */

/* The words that clients hold on to; they never change. */
static const struct {
    const struct problem_type *type;
    int status;
    const char *error, *code;
} kinds[] = {
    {&problem_internal, 500, "Internal Server Error", "internal"},
    {&problem_bad_json, 400, "Bad Request", "bad_json"},
    {&problem_invalid, 400, "Bad Request", "invalid"},
    {&problem_missing_fields, 400, "Missing required fields", "missing_fields"},
    {&problem_invalid_token, 401, "Invalid token", "invalid_token"},
    {&problem_unavailable, 503, "Service Unavailable", "unavailable"},
};

CASE("problem", scratch_open, scratch_close);

TEST(one_field_at_fault_makes_a_whole_problem)
{
    struct problem *p = problem_of_field(a, "cursor", FAULT_FORMAT, "Is not one of ours.");

    ck_assert_ptr_eq(p->type, &problem_invalid);
    ck_assert_uint_eq(p->fault_count, 1);
    ck_assert_str_eq(p->faults[0].field, "cursor");
    ck_assert_int_eq(p->faults[0].code, FAULT_FORMAT);
    ck_assert_str_eq(p->faults[0].message, "Is not one of ours.");
}

TEST_EACH(each_kind_has_its_status_and_words, kinds)
{
    ck_assert_int_eq(kinds[_i].type->status, kinds[_i].status);
    ck_assert_str_eq(kinds[_i].type->error, kinds[_i].error);
    ck_assert_str_eq(kinds[_i].type->code, kinds[_i].code);
    ck_assert_uint_gt(strlen(kinds[_i].type->message), 10);
}

TEST(codes_tell_kinds_apart)
{
    for (int i = 0; i < COUNT(kinds); i++)
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(kinds[i].type->code, kinds[k].type->code);
}

/* ---- single problems ---- */

TEST(a_problem_brings_its_own_message_or_has_that_of_its_kind)
{
    struct problem *own = problem(a, &problem_internal, "Only its author may change a post.");
    struct problem *plain = problem(a, &problem_internal, NULL);

    ck_assert_ptr_eq(own->type, &problem_internal);
    ck_assert_str_eq(own->message, "Only its author may change a post.");
    ck_assert_ptr_eq(plain->type, &problem_internal);
    ck_assert_str_eq(plain->message, problem_internal.message);
}

TEST(a_problem_knows_nothing_that_it_was_not_told)
{
    struct problem *p = problem(a, &problem_internal, NULL);

    ck_assert_ptr_null(p->cause);
    ck_assert_ptr_null(p->constraint);
    ck_assert_int_eq(p->retry, RETRY_NO);
    ck_assert_uint_eq(p->retry_after_s, 0);
    ck_assert_uint_eq(p->fault_count, 0);
}

TEST(who_is_turned_away_for_now_is_told_to_come_back)
{
    ck_assert_uint_gt(problem(a, &problem_unavailable, NULL)->retry_after_s, 0);
}

TEST(a_cause_is_printed_and_stays_out_of_the_message)
{
    char where[] = "db1";

    struct problem *p = problem_because(a, &problem_unavailable, "%s: error %d", where, 2002);
    where[0] = 'x';

    ck_assert_ptr_eq(p->type, &problem_unavailable);
    ck_assert_str_eq(p->cause, "db1: error 2002");
    ck_assert_str_eq(p->message, problem_unavailable.message);
    ck_assert_uint_gt(p->retry_after_s, 0);
}

TEST(programs_add_kinds_of_their_own)
{
    static const struct problem_type busy = {409, "Busy", "busy", "It is busy."};

    struct problem *p = problem(a, &busy, NULL);

    ck_assert_ptr_eq(p->type, &busy);
    ck_assert_str_eq(p->message, "It is busy.");
}

TEST(faults_are_kept_in_order_however_many)
{
    struct problem *p = problem(a, &problem_invalid, NULL);

    for (int i = 0; i < 100; i++)
        problem_add_fault(a, p, arena_printf(a, "field%d", i), i % 2 ? FAULT_RANGE : FAULT_TYPE,
                          arena_printf(a, "Message %d.", i));

    ck_assert_uint_eq(p->fault_count, 100);
    for (int i = 0; i < 100; i++) {
        ck_assert_str_eq(p->faults[i].field, arena_printf(a, "field%d", i));
        ck_assert_int_eq(p->faults[i].code, i % 2 ? FAULT_RANGE : FAULT_TYPE);
        ck_assert_str_eq(p->faults[i].message, arena_printf(a, "Message %d.", i));
    }
}

static const struct {
    enum fault_code code;
    const char *word;
} words[] = {
    {FAULT_REQUIRED, "required"}, {FAULT_TYPE, "type"},           {FAULT_FORMAT, "format"},
    {FAULT_TOO_LONG, "too_long"}, {FAULT_TOO_SHORT, "too_short"}, {FAULT_RANGE, "range"},
    {FAULT_COMMON, "common"},
};

TEST_EACH(each_fault_has_its_word, words)
{
    ck_assert_str_eq(fault_word(words[_i].code), words[_i].word);
}

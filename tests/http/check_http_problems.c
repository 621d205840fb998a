#include "common/http/http_problems.h"

#include <check.h>
#include <string.h>

#include "tests/support/suite.h"

/* The words that clients hold on to; they never change. */
static const struct {
    const struct problem_type *type;
    int status;
    const char *error, *code;
} kinds[] = {
    {&problem_no_token, 401, "Unauthenticated", "no_token"},
    {&problem_forbidden, 403, "Unauthorized", "forbidden"},
    {&problem_admin_required, 403, "Admin access required", "admin_required"},
    {&problem_not_found, 404, "Not Found", "not_found"},
    {&problem_method_not_allowed, 405, "Method Not Allowed", "method_not_allowed"},
    {&problem_too_large, 413, "Payload Too Large", "too_large"},
    {&problem_not_json, 415, "Request body must be JSON", "not_json"},
};

/* Those of the floor below (tests/base/check_problem.c). */
static const struct problem_type *const others[] = {
    &problem_internal,       &problem_bad_json,      &problem_invalid,
    &problem_missing_fields, &problem_invalid_token, &problem_unavailable,
};

CASE("http_problems", NULL, NULL);

TEST_EACH(each_kind_has_its_status_and_words, kinds)
{
    ck_assert_int_eq(kinds[_i].type->status, kinds[_i].status);
    ck_assert_str_eq(kinds[_i].type->error, kinds[_i].error);
    ck_assert_str_eq(kinds[_i].type->code, kinds[_i].code);
    ck_assert_uint_gt(strlen(kinds[_i].type->message), 10);
}

TEST(the_message_of_an_unknown_path_is_fixed)
{
    ck_assert_str_eq(problem_not_found.message, "Resource does not exist");
}

TEST(who_has_no_token_learns_how_to_send_one)
{
    ck_assert_ptr_nonnull(strstr(problem_no_token.message, "Authorization: Bearer "));
}

TEST(codes_tell_kinds_apart)
{
    for (int i = 0; i < COUNT(kinds); i++) {
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(kinds[i].type->code, kinds[k].type->code);
        for (int k = 0; k < COUNT(others); k++)
            ck_assert_str_ne(kinds[i].type->code, others[k]->code);
    }
}

#include "tests/support/refusals.h"

#include <string.h>

/* Of "email format, password required": "password". */
static const char *required_of(const char *faults)
{
    static const char word[] = " required";
    const char *list = "";
    for (const char *at = faults; *at; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ","), end = len - strlen(word);
        if (len > strlen(word) && strncmp(at + end, word, strlen(word)) == 0)
            list = say("%s%s%.*s", list, *list ? " " : "", (int)end, at);
        at += len;
    }
    return list;
}

void ck_refusal(const char *method, const char *token, const char *path, const struct refusal *want)
{
    const char *faults = want->faults ? want->faults : "", *missing = required_of(faults);
    struct answer answer =
        api_ask(.method = method, .path = path, .token = token, .body = object("%s", want->body));
    ck_problem(answer, want->status, want->error, want->code);
    ck_assert_str_eq(answer_faults(answer), faults);
    ck_assert_str_eq(answer_missing(answer), missing);
    ck_assert_int_eq(answer_has(answer, "details"), *faults != '\0');
    ck_assert_int_eq(answer_has(answer, "missing_fields"), *missing != '\0');
}

void ck_invalid(struct answer answer, const char *faults)
{
    ck_problem(answer, INVALID);
    ck_assert_str_eq(answer_faults(answer), faults);
}

void ck_token_needed(const char *method, const char *path, const char *body)
{
    ck_problem(api_ask(.method = method, .path = path, .body = body), NO_TOKEN);
    ck_problem(api_ask(.method = method, .path = path, .body = body, .token = "nonsense"),
               INVALID_TOKEN);
}

void ck_methods(const char *path, const char *allow)
{
    struct answer refused = api_ask(.method = "PUT", .path = path);
    struct answer options = api_ask(.method = "OPTIONS", .path = path);
    ck_problem(refused, METHOD_NOT_ALLOWED);
    ck_assert_str_eq(answer_header(refused, "Allow"), allow);
    ck_status(options, 204);
    ck_assert_str_eq(answer_header(options, "Allow"), allow);
}

/* What the web server hands over: variables as `NAME=value`, each up to a NUL; from these the path,
 * the caller's token, media types, conditions and the address of a script. */
#include <string.h>

#include "common/http/http_problems.h"
#include "common/http/request.h"
#include "tests/support/fuzz.h"

#define PARAMS_MAX 64

static char *const *split(struct arena *a, const uint8_t *data, size_t size)
{
    char **params = arena_array(a, PARAMS_MAX + 1, sizeof *params);
    char *text = arena_copy(a, data, size), *end = text + size;
    size_t n = 0;
    for (; text < end && n < PARAMS_MAX; text += strlen(text) + 1)
        params[n++] = text;
    return params;
}

static void judge_path(const struct request *rq)
{
    need(!rq->path || rq->path[0] == '/');
    need(rq->raw_query && rq->id && strlen(rq->id) >= 8 && strlen(rq->id) <= 64);
}

static void judge_conditions(struct request *rq)
{
    struct problem *p = request_check_match(rq, 7);
    need(!p || (p->type == &problem_precondition_failed && p->value));
    need(p || !rq->param[PARAM_IF_MATCH] || strpbrk(rq->param[PARAM_IF_MATCH], "*7"));
    (void)request_knows(rq, 7);
    (void)request_knows_tag(rq, "\"x,y\"");
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    static const char *const bases[] = {"", "/api"};
    char *const *params = split(a, data, size);
    struct request rq;
    for (size_t i = 0; i < 2; i++) {
        request_from_params(&rq, a, params, bases[i], (struct instant){0});
        judge_path(&rq);
        judge_conditions(&rq);
        request_follow_script(&rq, i);
        judge_path(&rq);
        need(strlen(rq.base) < BASE_SIZE && !strstr(rq.base, "//"));
    }
    const char *token = request_bearer(&rq);
    need(!token || *token != ' ');
    (void)request_is_json(&rq), (void)request_is_encoded(&rq), (void)request_is_private(&rq);
    (void)request_param(&rq, "HTTP_COOKIE"), (void)method_name(rq.method);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("request");

#include "tests/e2e/outlive.h"

#include <stdio.h>

#include "tests/e2e/http.h"
#include "tests/e2e/own.h"
#include "tests/support/torture.h"

#define PROMISED_MS 2000

bool writes_are_many(void)
{
    return torture_rounds(1) > 1;
}

struct load *begin_writes(const char *token, unsigned content_len)
{
    return load_start_named(&own_front, token, writes_are_many() ? 200 : 60, content_len);
}

static void ck_recovery(const char *name, long ended_at, struct load *load)
{
    long took = load_refused_at(load) - ended_at;
    struct load_tally tally = load_tally(load);
    took = took < 0 ? 0 : took;
    printf("%s: %u served, %u refused, the last one %ld ms after the end\n", name, tally.served,
           tally.refused, took);
    ck_assert_int_le(took, writes_are_many() ? PROMISED_MS : PATIENCE_MS);
}

void outlived(const char *name, long ended_at, struct load *load, bool dies)
{
    load_await_calm(load, 60);
    load_be_strict(load);
    load_await_served(load, 30);
    load_finish(load);
    ck_recovery(name, ended_at, load);
    load_verify(load, false);
    struct answer r = fetch(.path = "/api/posts?limit=1");
    ck_assert_int_eq(answer_integer(r, "pagination.total"),
                     database_number("SELECT COUNT(*) FROM posts WHERE published = 1"));
    ck_assert(backend_logged(&own, "\"worker_died\"") == dies);
    load_free(load);
}

/* Searches: folding, words and parts, and the promise that the index rests on: what matches has all
 * of the query's terms. Up to the first newline it is what is asked, then two texts of a row. */
#include <string.h>

#include "common/base/utf8.h"
#include "common/search/folding.h"
#include "common/search/query.h"
#include "common/search/terms.h"
#include "tests/support/fuzz.h"

#define TERMS_MAX 64

static struct text up_to(struct text *rest, char c)
{
    const char *end = rest->len ? memchr(rest->data, c, rest->len) : NULL;
    struct text t = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    size_t past = t.len + (end != NULL);
    *rest = (struct text){rest->data + past, rest->len - past};
    return t;
}

static bool has(const struct terms *terms, uint32_t term)
{
    for (size_t i = 0; i < terms->count; i++)
        if (terms->list[i] == term)
            return true;
    return false;
}

static void judge_terms(const struct terms *terms)
{
    for (size_t i = 1; i < terms->count; i++)
        need(terms->list[i - 1] < terms->list[i]);
}

static void judge(struct arena *a, struct query *query, const struct terms *row,
                  const struct text *texts)
{
    struct terms wanted = query_terms(query, a, TERMS_MAX);
    bool matches = query_matches(query, texts, 2);
    need(wanted.count <= TERMS_MAX && query_matches(query, texts, 2) == matches);
    need(!(query->finds_nothing && matches) && !(query->is_empty && !matches));
    for (size_t i = 0; matches && i < wanted.count; i++)
        need(has(row, wanted.list[i]));
}

static void judge_folding(struct arena *a, struct text t)
{
    struct text folded = fold_text(a, t), again = fold_text(a, folded);
    need(text_equal(folded, again) && folded.len <= 11 * t.len);
    need(utf8_sequence("a", 1) == 1 && (!folded.len || utf8_is_clean(folded.data, folded.len) ||
                                        memchr(folded.data, 0, folded.len)));
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    struct text rest = {arena_copy(a, data, size), size}, q = up_to(&rest, '\n'), texts[2];
    texts[0] = up_to(&rest, '\n');
    texts[1] = rest;
    judge_folding(a, q);
    judge_folding(a, texts[0]);
    struct terms words = terms_of_words(a, texts, 2), parts = terms_of_parts(a, texts, 2);
    judge_terms(&words);
    judge_terms(&parts);
    judge(a, query_of_words(a, q), &words, texts);
    judge(a, query_of_part(a, q), &parts, texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("search");

#include "common/search/postings_query.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/search/postings_write.h"
#include "tests/support/plain.h"
#include "tests/support/suite.h"

#define ROUNDS 600
#define GROUPS 4
#define WORDS 3 /* of one group */
#define TERMS 12
#define PATCHES 3
#define PAIRS_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)64 << 20)

static struct postings_writer writer;
static struct arena *arena;

/* Beside the packed index a plain one: has the row this term? By the term and the row's offset. */
static unsigned char plain[TERMS + 1][65536];

static void begin(void)
{
    postings_writer_init(&writer, PAIRS_MAX);
    arena = arena_open(ARENA_MAX);
}

static void end(void)
{
    postings_writer_release(&writer);
    arena_close(arena);
}

static uint32_t size_of(unsigned level)
{
    return UINT32_C(1) << postings_levels[level].width;
}

static struct postings written(struct postings_key key)
{
    char nothing[] = {POSTINGS_VERSION, (char)key.level, 0};
    struct postings p;
    struct text blob;
    ck_assert(postings_write(&writer, key, &blob));
    if (!blob.data)
        blob = (struct text){nothing, sizeof nothing};
    blob = (struct text){arena_copy(arena, blob.data, blob.len), blob.len};
    ck_assert_ptr_null(postings_open(&p, key, blob));
    return p;
}

/* A segment and patches, with terms from 0 on: in none of its rows, in a few, in many, in all. */
struct world {
    struct postings_key key;
    struct postings blobs[1 + PATCHES];
    size_t count;
};

static void note(const struct world *w, uint32_t ordinal, uint32_t term)
{
    uint32_t offset = ordinal - w->key.base;
    postings_add(&writer, ordinal, &term, 1);
    if (offset < size_of(w->key.level))
        plain[term][offset] = 1;
}

/* A row of so many terms that they are not looked at: it may have any. */
static void note_wild(const struct world *w, uint32_t ordinal)
{
    static const uint32_t term;
    postings_add(&writer, ordinal, &term, PAIRS_MAX + 1);
    uint32_t offset = ordinal - w->key.base;
    for (uint32_t i = 0; i <= TERMS && offset < size_of(w->key.level); i++)
        plain[i][offset] = 1;
}

static void make_segment(struct world *w)
{
    uint32_t size = size_of(w->key.level);
    for (uint32_t term = 0; term < TERMS; term++) {
        uint32_t kind = random_below(6), rows = 0;
        if (kind == 1)
            rows = 1 + random_below(5);
        else if (kind < 5)
            rows = random_below(size / (kind == 2 ? 2 : 20) + 2);
        for (uint32_t i = 0; i < (kind == 5 ? size : rows); i++)
            note(w, w->key.base + (kind == 5 ? i : random_below(size)), term);
    }
    for (uint32_t i = random_below(3) ? 0 : random_below(size); i > 0; i /= 2)
        note_wild(w, w->key.base + random_below(size));
    w->blobs[w->count++] = written(w->key);
}

static void make_patch(struct world *w)
{
    uint32_t size = size_of(w->key.level), from = w->key.base - size_of(w->key.level) / 2;
    postings_writer_reset(&writer);
    for (uint32_t i = random_below(40); i > 0; i--)
        note(w, from + random_below(2 * size), random_below(TERMS));
    if (random_below(4) == 0)
        note_wild(w, from + random_below(2 * size));
    w->blobs[w->count++] = written((struct postings_key){.level = POSTINGS_PATCH});
}

static struct world make_world(void)
{
    struct world w = {.key = {.level = random_below(10) ? 1 + random_below(2) : 3}};
    uint32_t size = size_of(w.key.level), places[] = {0, 1, 7, UINT32_MAX / size};
    w.key.base = places[random_below(COUNT(places))] * size;
    memset(plain, 0, sizeof plain);
    make_segment(&w);
    for (uint32_t i = random_below(PATCHES + 1); i > 0; i--)
        make_patch(&w);
    return w;
}

/* What is asked: of each group one of its words. */
struct question {
    uint32_t groups, words[GROUPS];
    uint32_t term[GROUPS][WORDS];
};

static struct question make_question(void)
{
    struct question a = {.groups = random_below(GROUPS + 1)};
    for (uint32_t g = 0; g < a.groups; g++) {
        a.words[g] = random_below(3) ? 1 : random_below(WORDS + 1);
        for (uint32_t i = 0; i < a.words[g]; i++)
            a.term[g][i] = random_below(TERMS + 1);
    }
    return a;
}

static void ask(struct postings_query *q, struct world *w, const struct question *a)
{
    postings_query_range(q, w->key.level, w->key.base);
    for (uint32_t g = 0; g < a->groups; g++)
        for (uint32_t i = 0; i < a->words[g]; i++)
            for (size_t b = 0; b < w->count; b++)
                postings_query_any(q, g, &w->blobs[b], a->term[g][i]);
}

/* Does the row fit, by the plain index? One byte for each offset. */
static unsigned char *expected_rows(struct world *w, const struct question *a)
{
    uint32_t size = size_of(w->key.level);
    unsigned char *fits = arena_alloc(arena, size);
    memset(fits, 1, size);
    for (uint32_t g = 0; g < a->groups; g++) {
        unsigned char *any = arena_alloc(arena, size);
        for (uint32_t i = 0; i < a->words[g]; i++)
            for (uint32_t offset = 0; offset < size; offset++)
                any[offset] |= plain[a->term[g][i]][offset];
        for (uint32_t offset = 0; offset < size; offset++)
            fits[offset] &= any[offset];
    }
    return fits;
}

/* Is the row expected? By its ordinal, which may be outside of the range. */
static bool fits_at(const struct world *w, const unsigned char *fits, int64_t ordinal)
{
    int64_t offset = ordinal - w->key.base;
    return offset >= 0 && offset < size_of(w->key.level) && fits[offset];
}

/* Walk all of it in steps of `room`, each of which begins beside the one before. Asserted once, for
 * Check writes a message for each time. */
static void expect_walk(struct postings_query *q, struct world *w, const unsigned char *fits,
                        enum postings_order order, uint32_t from, uint32_t to, size_t room)
{
    uint32_t *found = arena_array(arena, room, sizeof *found);
    int64_t step = order == POSTINGS_NEWEST ? -1 : 1;
    int64_t here = order == POSTINGS_NEWEST ? to : from, low = from, high = to;
    bool good = true;
    size_t n;
    do {
        n = postings_query_match(q, order, (uint32_t)low, (uint32_t)high, found, room);
        for (size_t i = 0; i < n && good; i++, here += step) {
            for (; good && here != found[i]; here += step)
                good = here >= low && here <= high && !fits_at(w, fits, here);
            good = good && fits_at(w, fits, here);
        }
        *(order == POSTINGS_NEWEST ? &high : &low) = here;
    } while (good && n == room && low <= high && high >= 0 && low <= UINT32_MAX);
    for (; here >= from && here <= to; here += step)
        good = good && !fits_at(w, fits, here);
    ck_assert(good);
}

static void expect_count(struct postings_query *q, struct world *w, const unsigned char *fits,
                         uint32_t from, uint32_t to)
{
    size_t count = 0, cap = random_below(2000);
    for (uint32_t i = 0; i < size_of(w->key.level); i++)
        count += fits[i] && w->key.base + i >= from && w->key.base + i <= to;
    ck_assert_uint_eq(postings_query_match(q, POSTINGS_NEWEST, from, to, NULL, cap),
                      count < cap ? count : cap);
    ck_assert_uint_eq(postings_query_match(q, POSTINGS_OLDEST, from, to, NULL, 65536), count);
}

/* A bound in the range, beside it, or far. */
static uint32_t random_bound(const struct world *w)
{
    uint32_t size = size_of(w->key.level),
             far[] = {0, UINT32_MAX, w->key.base, w->key.base + (size - 1), w->key.base - 1};
    return random_below(2) ? w->key.base + random_below(size) : far[random_below(COUNT(far))];
}

static void swap_if_wrong(uint32_t *from, uint32_t *to)
{
    uint32_t low = *from < *to ? *from : *to;
    *to = *from < *to ? *to : *from;
    *from = low;
}

CASE("by example", begin, end);

/* Ordinals 256 to 511: 1 is in the even ones, 2 in those that can be divided by 3, 3 in three. */
static struct world make_example(void)
{
    struct world w = {.key = {.level = 1, .base = 256}};
    for (uint32_t ordinal = 256; ordinal < 512; ordinal++) {
        if (ordinal % 2 == 0)
            note(&w, ordinal, 1);
        if (ordinal % 3 == 0)
            note(&w, ordinal, 2);
        if (ordinal == 258 || ordinal == 300 || ordinal == 511)
            note(&w, ordinal, 3);
    }
    w.blobs[w.count++] = written(w.key);
    return w;
}

static const struct {
    struct question question;
    enum postings_order order;
    uint32_t from, to;
    size_t count;
    uint32_t found[4];
} examples[] = {
    {{1, {1}, {{1}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 4, {510, 508, 506, 504}},
    {{1, {1}, {{1}}}, POSTINGS_OLDEST, 0, UINT32_MAX, 4, {256, 258, 260, 262}},
    {{1, {1}, {{1}}}, POSTINGS_NEWEST, 0, 507, 4, {506, 504, 502, 500}},
    {{1, {1}, {{1}}}, POSTINGS_OLDEST, 507, 508, 1, {508}},
    {{2, {1, 1}, {{1}, {2}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 4, {510, 504, 498, 492}},
    {{2, {1, 1}, {{1}, {3}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 2, {300, 258}},
    {{2, {1, 1}, {{1}, {3}}}, POSTINGS_OLDEST, 259, UINT32_MAX, 1, {300}},
    {{2, {1, 2}, {{3}, {1, 2}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 2, {300, 258}},
    {{2, {1, 2}, {{2}, {1, 3}}}, POSTINGS_OLDEST, 295, 301, 1, {300}},
    {{1, {1}, {{4}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 0, {0}},
    {{2, {1, 1}, {{1}, {4}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 0, {0}},
    {{1, {1}, {{1}}}, POSTINGS_NEWEST, 512, UINT32_MAX, 0, {0}},
    {{1, {1}, {{1}}}, POSTINGS_NEWEST, 0, 255, 0, {0}},
    {{0, {0}, {{0}}}, POSTINGS_NEWEST, 0, UINT32_MAX, 4, {511, 510, 509, 508}},
};

TEST_EACH(a_query_answers_in_order_from_bound_to_bound, examples)
{
    uint32_t found[4];
    struct world w = make_example();
    struct postings_query *q = postings_query_open(arena, examples[_i].question.groups);
    ask(q, &w, &examples[_i].question);
    size_t n =
        postings_query_match(q, examples[_i].order, examples[_i].from, examples[_i].to, found, 4);
    ck_assert_uint_eq(n, examples[_i].count);
    ck_assert_mem_eq(found, examples[_i].found, n * sizeof *found);
}

CASE("like a plain list", begin, end);

TEST(a_query_finds_what_a_plain_list_has)
{
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        struct world w = make_world();
        struct postings_query *q = NULL;
        for (int i = 0; i < 4; i++) {
            struct question a = make_question();
            uint32_t from = random_bound(&w), to = random_bound(&w);
            swap_if_wrong(&from, &to);
            q = postings_query_open(arena, a.groups);
            ask(q, &w, &a);
            unsigned char *fits = expected_rows(&w, &a);
            /* Far bounds are walked from beside the range, for the walk counts each step. */
            uint32_t low = w.key.base > 100 ? w.key.base - 100 : 0;
            uint32_t high = w.key.base + (size_of(w.key.level) - 1);
            high = high < UINT32_MAX - 100 ? high + 100 : UINT32_MAX;
            low = from > low ? from : low, high = to < high ? to : high;
            if (low <= high) {
                size_t room = 1 + random_below(random_below(2) ? 30 : 3000);
                room += size_of(w.key.level) / 1000;
                expect_walk(q, &w, fits, POSTINGS_NEWEST, low, high, room);
                expect_walk(q, &w, fits, POSTINGS_OLDEST, low, high, room);
            }
            expect_count(q, &w, fits, from, to);
        }
        end(), begin();
    }
}

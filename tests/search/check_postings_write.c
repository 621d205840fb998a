#include "common/search/postings_write.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "tests/support/plain.h"
#include "tests/support/suite.h"

#define ROUNDS 400
#define PAIRS_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)64 << 20)

static struct postings_writer writer, other;
static struct arena *arena;
static struct plain plain;

static void begin(void)
{
    postings_writer_init(&writer, PAIRS_MAX);
    postings_writer_init(&other, PAIRS_MAX);
    arena = arena_open(ARENA_MAX);
}

static void end(void)
{
    postings_writer_release(&writer);
    postings_writer_release(&other);
    arena_close(arena);
    plain_release(&plain);
}

static uint32_t size_of(unsigned level)
{
    return level ? UINT32_C(1) << postings_levels[level].width : UINT32_MAX;
}

static uint32_t last_of(struct postings_key key)
{
    return key.level ? key.base + (size_of(key.level) - 1) : UINT32_MAX;
}

/* A copy of a blob, opened; what is not there is opened as an empty one. */
static struct postings keep(struct postings_key key, struct text blob)
{
    char nothing[] = {POSTINGS_VERSION, (char)key.level, 0};
    struct postings p;
    if (!blob.data)
        blob = (struct text){nothing, sizeof nothing};
    blob = (struct text){arena_copy(arena, blob.data, blob.len), blob.len};
    const char *why = postings_open(&p, key, blob);
    ck_assert_msg(!why, "%s", why);
    return p;
}

/* Note random rows from `base` on in both the writer and the plain list. */
static void add_rows(uint32_t base, uint32_t size, uint32_t rows, const uint32_t *terms,
                     uint32_t term_count)
{
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t some[8], count = 1 + random_below(8), ordinal = base + random_below(size);
        for (uint32_t j = 0; j < count; j++) {
            /* The first ones are in most rows. */
            some[j] = terms[random_below(1 + random_below(term_count))];
            plain_add(&plain, some[j], ordinal);
        }
        postings_add(&writer, ordinal, some, count);
    }
}

/* Random terms, of one bucket of level 3 for the most part. */
static void make_terms(uint32_t *terms, uint32_t count)
{
    uint32_t prefix = random_below(4096) << 20;
    for (uint32_t i = 0; i < count; i++)
        terms[i] = random_below(4) ? prefix | random_below(1 << 20) : (uint32_t)random_number();
    terms[0] = random_below(2) ? 0 : UINT32_MAX;
}

static void expect_list(const struct posting_list *list, const uint32_t *expected, size_t count)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    size_t seen = 0;
    ck_assert_uint_eq(list->count, count);
    for (size_t n; (n = posting_list_read(list, &at, chunk)) > 0; seen += n) {
        ck_assert_uint_le(seen + n, count);
        ck_assert_mem_eq(chunk, expected + seen, n * sizeof *chunk);
    }
    ck_assert_uint_eq(seen, count);
}

/* The blob has of each term of its bucket what the plain list has in its range, and no other term.
 */
static void expect_blob(struct postings *p, const uint32_t *terms, uint32_t term_count)
{
    uint32_t *expected = arena_array(arena, plain.count + 1, sizeof *expected);
    for (uint32_t i = 0; i < term_count; i++) {
        struct posting_list list = postings_find(p, terms[i]);
        size_t count = 0;
        if (postings_bucket(p->key.level, terms[i]) == p->key.bucket)
            count = plain_find(&plain, terms[i], p->key.base, last_of(p->key), expected);
        expect_list(&list, expected, count);
    }
    for (postings_seek(p, 0); p->on_entry; postings_step(p)) {
        bool known = false;
        for (uint32_t i = 0; i < term_count; i++)
            known |= terms[i] == p->term;
        ck_assert(known);
    }
}

static struct postings written(struct postings_key key)
{
    struct text blob;
    ck_assert(postings_write(&writer, key, &blob));
    return keep(key, blob);
}

static struct postings merged(struct postings *in, size_t count, struct postings_key key)
{
    struct text blob;
    ck_assert(postings_merge(&other, in, count, key, &blob));
    return keep(key, blob);
}

CASE("like a plain list", begin, end);

TEST(what_is_written_is_what_was_noted)
{
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t terms[30], term_count = 1 + random_below(30);
        unsigned level = random_below(POSTINGS_LEVELS);
        uint32_t size = size_of(level), base = level ? size * random_below(100) : 0;
        make_terms(terms, term_count);
        add_rows(base, size, random_below(2) ? random_below(20) : random_below(600), terms,
                 term_count);
        for (uint32_t i = 0; i < term_count; i++) {
            struct postings p =
                written((struct postings_key){level, postings_bucket(level, terms[i]), base});
            expect_blob(&p, terms, term_count);
        }
        end(), begin();
    }
}

/* Sixteen segments, or some of them, and patches; what these have lies anywhere. */
static size_t make_parts(struct postings *parts, struct postings_key whole, const uint32_t *terms,
                         uint32_t term_count)
{
    unsigned level = whole.level > 1 ? whole.level - 1 : 1;
    uint32_t bucket =
        postings_bucket(level, whole.bucket << (32 - postings_levels[whole.level].bits));
    size_t count = 0;
    for (uint32_t i = 0; i < (whole.level > 1 ? 16 : 1); i++) {
        struct postings_key key = {level, bucket, whole.base + i * size_of(level)};
        if (random_below(5) == 0)
            continue;
        postings_writer_reset(&writer);
        add_rows(key.base, size_of(level), random_below(100), terms, term_count);
        parts[count++] = written(key);
    }
    for (uint32_t patches = random_below(4); patches > 0; patches--) {
        struct postings_key key = {
            POSTINGS_PATCH, postings_bucket(0, bucket << (32 - postings_levels[level].bits)), 0};
        postings_writer_reset(&writer);
        add_rows(random_below(2) ? whole.base : 0,
                 random_below(2) ? size_of(whole.level) : 10000000, random_below(60), terms,
                 term_count);
        parts[count++] = written(key);
    }
    return count;
}

TEST(what_is_merged_is_the_union)
{
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        struct postings parts[20];
        uint32_t terms[30], term_count = 1 + random_below(30);
        unsigned level = 1 + random_below(3);
        make_terms(terms, term_count);
        struct postings_key key = {level, postings_bucket(level, terms[random_below(term_count)]),
                                   random_below(50) * size_of(level)};
        size_t count = make_parts(parts, key, terms, term_count);

        struct postings p = merged(parts, count, key);

        /* Each part has but one bucket, and the others' rows are in the plain list, too. */
        expect_blob(&p, terms, term_count);
        end(), begin();
    }
}

TEST(patches_are_folded_into_a_segment_and_into_one_patch)
{
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        struct postings parts[3];
        uint32_t terms[20], term_count = 1 + random_below(20);
        unsigned level = 1 + random_below(3);
        make_terms(terms, term_count);
        struct postings_key key = {level, postings_bucket(level, terms[0]),
                                   random_below(50) * size_of(level)};
        struct postings_key patch = {POSTINGS_PATCH, postings_bucket(POSTINGS_PATCH, terms[0]), 0};
        add_rows(key.base, size_of(level), random_below(200), terms, term_count);
        parts[0] = written(key);
        for (int i = 1; i < COUNT(parts); i++) {
            postings_writer_reset(&writer);
            add_rows(key.base - size_of(level) / 2, 2 * size_of(level), random_below(200), terms,
                     term_count);
            parts[i] = written(patch);
        }

        struct postings p = merged(parts, COUNT(parts), key);
        expect_blob(&p, terms, term_count);

        /* The segment's rows are only those of its own bucket, so they are left out here. */
        plain.count = 0;
        postings_writer_reset(&writer);
        add_rows(0, UINT32_MAX, 50, terms, term_count);
        parts[0] = written(patch);
        struct postings one = merged(parts, 1, patch);
        expect_blob(&one, terms, term_count);
        end(), begin();
    }
}

TEST(a_blob_that_is_merged_alone_stays_the_same)
{
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t terms[30], term_count = 1 + random_below(30);
        unsigned level = random_below(POSTINGS_LEVELS);
        make_terms(terms, term_count);
        struct postings_key key = {level, postings_bucket(level, terms[term_count / 2]), 0};
        add_rows(0, level ? size_of(level) : 100000, random_below(3000), terms, term_count);
        struct text before, after;
        ck_assert(postings_write(&writer, key, &before));
        if (before.data) {
            struct postings p = keep(key, before);
            ck_assert(postings_merge(&other, &p, 1, key, &after));
            ck_assert_uint_eq(after.len, before.len);
            ck_assert_mem_eq(after.data, before.data, after.len);
        }
        end(), begin();
    }
}

static bool list_has(const struct posting_list *list, uint32_t ordinal)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    for (size_t n; (n = posting_list_read(list, &at, chunk)) > 0;)
        for (size_t i = 0; i < n; i++)
            if (chunk[i] == ordinal)
                return true;
    return false;
}

CASE("bounds", begin, end);

TEST(a_row_that_does_not_fit_any_more_is_wild)
{
    uint32_t terms[100];
    for (uint32_t i = 0; i < COUNT(terms); i++)
        terms[i] = i << 25;
    postings_writer_release(&writer);
    postings_writer_init(&writer, 250);
    for (uint32_t ordinal = 0; ordinal < 4; ordinal++)
        postings_add(&writer, ordinal, terms, COUNT(terms));
    postings_add(&writer, 4, terms, 50);

    for (uint32_t bucket = 0; bucket < 32; bucket++) {
        struct postings p = written((struct postings_key){1, bucket, 0});
        const uint32_t wild[] = {2, 3};
        expect_list(&p.wild, wild, 2);
        struct posting_list list = postings_find(&p, bucket << 27);
        ck_assert_int_eq(list_has(&list, 1), bucket < 25);
        ck_assert_int_eq(list_has(&list, 4), bucket <= 12);
    }
}

/* Rows of `count` terms each, all of bucket 0 of all levels. */
static void add_many(uint32_t from, uint32_t rows, uint32_t count)
{
    uint32_t *terms = arena_array(arena, count, sizeof *terms);
    for (uint32_t ordinal = from; ordinal < from + rows; ordinal++) {
        for (uint32_t i = 0; i < count; i++)
            terms[i] = random_below(1 << 20);
        postings_add(&writer, ordinal, terms, count);
    }
}

TEST(entries_that_are_too_many_are_left_out_and_their_rows_are_wild)
{
    random_begin();
    add_many(3, 250, 2000);
    struct postings p = written((struct postings_key){1, 0, 0});
    ck_assert(!p.on_entry);
    postings_seek(&p, 0);
    ck_assert(!p.on_entry);
    ck_assert_uint_eq(p.wild.count, 250);
    ck_assert(list_has(&p.wild, 3) && list_has(&p.wild, 252) && !list_has(&p.wild, 253));
}

TEST(what_is_wild_stays_so_and_what_is_too_many_together_becomes_so)
{
    struct postings in[4];
    random_begin();
    for (uint32_t i = 0; i < 4; i++) {
        postings_writer_reset(&writer);
        add_many(256 * i, 200, i == 0 ? 2000 : 700);
        in[i] = written((struct postings_key){1, 0, 256 * i});
        ck_assert_int_eq(in[i].wild.count > 0, i == 0);
    }
    struct postings some = merged(in, 2, (struct postings_key){2, 0, 0});
    ck_assert_uint_eq(some.wild.count, 200);
    postings_seek(&some, 0);
    ck_assert(some.on_entry);

    struct postings all = merged(in, 4, (struct postings_key){2, 0, 0});
    postings_seek(&all, 0);
    ck_assert(!all.on_entry);
    ck_assert_uint_eq(all.wild.count, 800);
    /* Of another bucket of the same: what is wild there is wild here. */
    struct postings beside = merged(in, 4, (struct postings_key){2, 7, 0});
    ck_assert_uint_eq(beside.wild.count, 200);
    struct text none;
    ck_assert(postings_merge(&other, in, 4, (struct postings_key){2, 8, 0}, &none));
    ck_assert_ptr_null(none.data);
    ck_assert(postings_merge(&other, NULL, 0, (struct postings_key){2, 0, 0}, &none));
    ck_assert_ptr_null(none.data);
}

/* Rows that have many terms, and no room for them. */
static void add_wild(void)
{
    uint32_t terms[60];
    for (uint32_t i = 0; i < COUNT(terms); i++)
        terms[i] = i;
    postings_writer_release(&writer);
    postings_writer_init(&writer, COUNT(terms));
    for (uint32_t ordinal = 0; ordinal < 3; ordinal++)
        postings_add(&writer, ordinal, terms, COUNT(terms));
}

TEST(what_is_wild_in_a_narrow_bucket_is_so_in_a_wide_one)
{
    static const uint32_t wild[] = {1, 2};
    struct text none;
    add_wild();
    struct postings narrow = written((struct postings_key){3, 0, 0});

    struct postings wide = merged(&narrow, 1, (struct postings_key){1, 0, 0});

    expect_list(&wide.wild, wild, COUNT(wild));
    ck_assert(postings_merge(&other, &narrow, 1, (struct postings_key){1, 1, 0}, &none));
    ck_assert_ptr_null(none.data);
}

TEST(a_patch_that_is_too_long_is_refused)
{
    static const uint32_t term = 9;
    const uint32_t most = (POSTINGS_MAX - 3 - 4) / 4;
    const struct postings_key key = {POSTINGS_PATCH, 0, 0};
    struct text blob;
    for (uint32_t i = 0; i < most; i++)
        postings_add(&writer, 3 * i, &term, 1);
    struct postings whole = written(key);
    ck_assert_uint_eq(postings_find(&whole, term).count, most);

    postings_add(&writer, 1, &term, 1);
    ck_assert(!postings_write(&writer, key, &blob));
    ck_assert_ptr_null(blob.data);

    postings_writer_reset(&writer);
    postings_add(&writer, 1, &term, 1);
    struct postings in[] = {whole, written(key)};
    ck_assert(!postings_merge(&other, in, 2, key, &blob));
    /* Which says nothing about what comes next. */
    struct postings again = merged(in + 1, 1, key);
    ck_assert_uint_eq(postings_find(&again, term).count, 1);
}

/* The reader of the search index's blobs, fed with anything: as a test for a short time, with bytes
 * made from good blobs, and with libFuzzer for as long as one likes. From the top of the tree:
 *
 *   clang -g -O1 -D_GNU_SOURCE -DLIBFUZZER -fsanitize=fuzzer,address,undefined -I. \
 *       tests/fuzz/fuzz_postings.c common/search/postings*.c common/base/arena.c common/base/buf.c
 * \ -o /tmp/fuzz_postings && /tmp/fuzz_postings
 *
 * Of an input the first byte is the level, the second the bucket; the rest is a blob.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/search/postings_query.h"
#include "common/search/postings_write.h"

#define ARENA_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool good)
{
    if (!good)
        abort();
}

/* There is one spelling for each content: writing what was read gives the same bytes. */
static void write_again(struct postings *p, struct text blob)
{
    struct postings_writer w;
    struct text again;
    postings_writer_init(&w, 0);
    need(postings_merge(&w, p, 1, p->key, &again));
    if (again.data)
        need(again.len == blob.len && memcmp(again.data, blob.data, blob.len) == 0);
    else
        need(p->wild.count == 0 && p->first == p->end);
    postings_writer_release(&w);
}

/* Each term is found, with as many ordinals as its list has, newest first and oldest first. */
static void ask(struct postings *p)
{
    static uint32_t found[65536];
    struct arena *a = arena_open(ARENA_MAX);
    struct postings_query *q = postings_query_open(a, 1);
    unsigned level = p->key.level == POSTINGS_PATCH ? 1 : p->key.level, terms = 0;
    for (postings_seek(p, 0); p->on_entry && terms < 8; postings_step(p), terms++) {
        postings_query_range(q, level, p->key.base);
        postings_query_any(q, 0, p, p->term);
        size_t n = postings_query_match(q, POSTINGS_NEWEST, 0, UINT32_MAX, found, 65536);
        need(n == postings_query_match(q, POSTINGS_OLDEST, 0, UINT32_MAX, NULL, 65536));
        need(p->key.level == POSTINGS_PATCH || n >= p->list.count);
        for (size_t i = 1; i < n; i++)
            need(found[i] < found[i - 1]);
    }
    arena_close(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct postings p;
    if (size < 2)
        return 0;
    const struct postings_key key = {data[0] % POSTINGS_LEVELS, data[1] % 32, 0};
    const struct text blob = {(const char *)data + 2, size - 2};
    if (postings_open(&p, key, blob))
        return 0;
    write_again(&p, blob);
    ask(&p);
    return 0;
}

#ifndef LIBFUZZER

#include <check.h>

#include "tests/support/plain.h"
#include "tests/support/suite.h"

#define ROUNDS 40000
#define INPUT_MAX 4096
#define KEPT 64

/* Inputs to change further: good blobs, and others that were read. */
static struct {
    uint8_t bytes[INPUT_MAX];
    size_t size;
} kept[KEPT];

static void make_good(size_t slot)
{
    struct postings_writer w;
    struct postings_key key = {random_below(POSTINGS_LEVELS), random_below(32), 0};
    unsigned shift = 32 - postings_levels[key.level].bits;
    uint32_t size = key.level ? UINT32_C(1) << postings_levels[key.level].width : 1000000;
    struct text blob;
    postings_writer_init(&w, 80);
    for (uint32_t i = random_below(100); i > 0; i--) {
        uint32_t term = key.bucket << shift | random_below(1 + random_below(300));
        postings_add(&w, random_below(size), &term, 1);
    }
    need(postings_write(&w, key, &blob));
    kept[slot].size = 2 + (blob.len < INPUT_MAX - 2 ? blob.len : INPUT_MAX - 2);
    kept[slot].bytes[0] = (uint8_t)key.level;
    kept[slot].bytes[1] = (uint8_t)key.bucket;
    if (blob.data)
        memcpy(kept[slot].bytes + 2, blob.data, kept[slot].size - 2);
    postings_writer_release(&w);
}

/* Set a byte, put one in, take one out, cut the end off, or repeat a part. */
static size_t change(uint8_t *bytes, size_t size)
{
    size_t at = random_below((uint32_t)size + 1), len = 1 + random_below(8);
    static const uint8_t odd[] = {0, 1, 0x7F, 0x80, 0xFF};
    switch (random_below(5)) {
    case 0:
        bytes[at < size ? at : 0] = (uint8_t)random_number();
        return size;
    case 1:
        if (size == INPUT_MAX)
            return size;
        memmove(bytes + at + 1, bytes + at, size - at);
        bytes[at] = odd[random_below(COUNT(odd))];
        return size + 1;
    case 2:
        len = len < size - at ? len : size - at;
        memmove(bytes + at, bytes + at + len, size - at - len);
        return size - len;
    case 3:
        return at;
    default:
        len = len < INPUT_MAX - size ? len : INPUT_MAX - size;
        len = len < size - at ? len : size - at;
        memmove(bytes + at + len, bytes + at, size - at);
        return size + len;
    }
}

TEST(any_bytes_are_refused_or_have_one_spelling)
{
    static uint8_t bytes[INPUT_MAX];
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        size_t from = random_below(KEPT);
        if (round < KEPT || random_below(50) == 0)
            make_good(from = round < KEPT ? (size_t)round : from);
        size_t size = kept[from].size;
        memcpy(bytes, kept[from].bytes, size);
        for (uint32_t changes = random_below(4); changes > 0 && size > 0; changes--)
            size = change(bytes, size);
        /* A copy without a byte to spare, so that a sanitizer sees each step beyond. */
        uint8_t *copy = malloc(size ? size : 1);
        need(copy != NULL);
        memcpy(copy, bytes, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
}

#endif

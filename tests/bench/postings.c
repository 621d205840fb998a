/* postings.c -- what the packed search index costs, without a database: in a build folder,
 *
 *     make tests/bench/postings && tests/bench/postings
 *
 * Rows have 61 distinct words each, which come as often as in texts that people write: the n-th
 * commonest 1/n times as often, of 300,000.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/arena.h"
#include "common/search/postings_query.h"
#include "common/search/postings_write.h"
#include "common/search/terms.h"

#define VOCABULARY 300000
#define WORDS 61
#define ROWS 65536
#define PARTS 16
#define ROUNDS 2000
#define MIB ((size_t)1 << 20)

static double share[VOCABULARY]; /* of this word and of those before */
static uint32_t terms[VOCABULARY];
static struct arena *arena;
static struct postings_writer writer;

/* The opened blobs of segments, by segment and bucket; not opened where there is none. */
struct level {
    unsigned number;
    size_t segments, buckets, blobs, bytes;
    struct postings *open;
};

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "postings: %s\n", what);
    exit(EXIT_FAILURE);
}

static void make_vocabulary(void)
{
    double total = 0;
    for (uint32_t i = 0; i < VOCABULARY; i++) {
        char word[16];
        int len = snprintf(word, sizeof word, "word%u", i);
        terms[i] = term_of(TERM_WORD, word, (size_t)len);
        total += 1.0 / (i + 1);
        share[i] = total;
    }
}

static uint32_t draw(void)
{
    double at = drand48() * share[VOCABULARY - 1];
    uint32_t low = 0, high = VOCABULARY - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (share[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return terms[low];
}

static void add_row(uint32_t ordinal)
{
    uint32_t some[WORDS];
    for (size_t n = 0, i; n < WORDS; n += i == n) {
        some[n] = draw();
        for (i = 0; i < n && some[i] != some[n]; i++)
            continue;
    }
    postings_add(&writer, ordinal, some, WORDS);
}

static struct level level_open(unsigned number)
{
    struct level l = {.number = number};
    l.segments = ROWS >> postings_levels[number].width;
    l.buckets = (size_t)1 << postings_levels[number].bits;
    l.open = arena_array(arena, l.segments * l.buckets, sizeof *l.open);
    return l;
}

static void level_keep(struct level *l, struct postings_key key, struct text blob)
{
    if (!blob.data)
        return;
    size_t segment = key.base >> postings_levels[l->number].width;
    blob = (struct text){arena_copy(arena, blob.data, blob.len), blob.len};
    need(!postings_open(&l->open[segment * l->buckets + key.bucket], key, blob),
         "a blob is broken");
    l->blobs++;
    l->bytes += blob.len;
}

static void tell(const struct level *l, double us, const char *from)
{
    printf("level %u: %.3f bytes a posting, %zu a blob, %.1f ms for a segment, from %s\n",
           l->number, (double)l->bytes / ((double)ROWS * WORDS), l->bytes / l->blobs,
           us / 1e3 / (double)l->segments, from);
}

static struct level write_level(unsigned number)
{
    struct level l = level_open(number);
    struct text blob;
    double us = 0;
    for (uint32_t base = 0; base < ROWS; base += UINT32_C(1) << postings_levels[number].width) {
        postings_writer_reset(&writer);
        for (uint32_t i = 0; i < UINT32_C(1) << postings_levels[number].width; i++)
            add_row(base + i);
        us -= now_us();
        for (uint32_t bucket = 0; bucket < l.buckets; bucket++) {
            struct postings_key key = {number, bucket, base};
            need(postings_write(&writer, key, &blob), "a blob is too long");
            level_keep(&l, key, blob);
        }
        us += now_us();
    }
    tell(&l, us, "rows");
    return l;
}

/* The blobs below that hold what is in the blob of this key. */
static size_t gather(const struct level *below, struct postings_key key, struct postings *ret)
{
    size_t n = 0, first = key.base >> postings_levels[below->number].width;
    uint32_t bucket =
        key.bucket >> (postings_levels[key.level].bits - postings_levels[below->number].bits);
    for (size_t i = first; i < first + PARTS; i++)
        if (below->open[i * below->buckets + bucket].end)
            ret[n++] = below->open[i * below->buckets + bucket];
    return n;
}

static struct level merge_level(const struct level *below)
{
    struct level l = level_open(below->number + 1);
    struct postings parts[PARTS];
    struct text blob;
    double us = -now_us();
    size_t n = 0, fan = l.buckets / below->buckets;
    for (size_t i = 0; i < l.segments * l.buckets; i++) {
        struct postings_key key = {l.number, (uint32_t)(i % l.buckets),
                                   (uint32_t)(i / l.buckets) << postings_levels[l.number].width};
        if (key.bucket % fan == 0)
            n = gather(below, key, parts);
        need(postings_merge(&writer, parts, n, key, &blob), "a blob is too long");
        level_keep(&l, key, blob);
    }
    tell(&l, us + now_us(), "sixteen of the level below");
    return l;
}

static void ask(struct level *l, const char *what, const uint32_t *words, size_t count)
{
    static uint32_t found[1001];
    struct postings_query *q = postings_query_open(arena, count);
    size_t page = 0, all = 0;
    double us[3] = {0, 0, 0};
    for (int round = 0; round < ROUNDS; round++) {
        us[0] -= now_us();
        postings_query_range(q, l->number, 0);
        for (size_t i = 0; i < count; i++)
            postings_query_any(q, i, &l->open[postings_bucket(l->number, words[i])], words[i]);
        us[0] += now_us(), us[1] -= now_us();
        page = postings_query_match(q, POSTINGS_NEWEST, 0, UINT32_MAX, found, 20);
        us[1] += now_us(), us[2] -= now_us();
        all = postings_query_match(q, POSTINGS_NEWEST, 0, UINT32_MAX, NULL, ROWS);
        us[2] += now_us();
    }
    printf("%-34s find %5.2f us, %2zu newest %6.2f us, count of %5zu %6.2f us\n", what,
           us[0] / ROUNDS, page, us[1] / ROUNDS, all, us[2] / ROUNDS);
}

static void read_all(struct level *l)
{
    double us = -now_us();
    for (size_t i = 0; i < l->segments * l->buckets; i++) {
        struct postings p, *from = &l->open[i];
        const char *data = (const char *)from->first;
        if (!from->end)
            continue;
        /* The head is version, level and a zero. */
        struct text blob = {data - 3, (size_t)((const char *)from->end - data) + 3};
        need(!postings_open(&p, from->key, blob), "a blob is broken");
    }
    printf("open and check a blob of level %u: %.2f us\n", l->number,
           (us + now_us()) / (double)l->blobs);
}

int main(void)
{
    arena = arena_open((size_t)1024 * MIB);
    postings_writer_init(&writer, (size_t)ROWS * WORDS);
    make_vocabulary();
    srand48(1);

    struct level one = write_level(1), two = merge_level(&one), three = merge_level(&two);
    read_all(&three);

    const uint32_t *t = terms;
    ask(&three, "the commonest", (uint32_t[]){t[0]}, 1);
    ask(&three, "two dense (words 1, 2)", (uint32_t[]){t[0], t[1]}, 2);
    ask(&three, "two dense (words 20, 30)", (uint32_t[]){t[19], t[29]}, 2);
    ask(&three, "two of 1 % or so (words 500, 600)", (uint32_t[]){t[499], t[599]}, 2);
    ask(&three, "dense and rare (words 1, 50,000)", (uint32_t[]){t[0], t[49999]}, 2);
    ask(&three, "dense and none", (uint32_t[]){t[0], 12345}, 2);
    ask(&three, "six words", (uint32_t[]){t[0], t[1], t[2], t[99], t[999], t[29999]}, 6);
    postings_writer_release(&writer);
    arena_close(arena);
}

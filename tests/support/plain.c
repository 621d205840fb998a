#include "tests/support/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state;

void plain_add(struct plain *p, uint32_t term, uint32_t ordinal)
{
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 1024;
        p->pairs = realloc(p->pairs, p->room * sizeof *p->pairs);
        if (!p->pairs)
            abort();
    }
    p->pairs[p->count++] = (struct plain_pair){term, ordinal};
}

void plain_release(struct plain *p)
{
    free(p->pairs);
    *p = (struct plain){0};
}

static int order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t plain_find(const struct plain *p, uint32_t term, uint32_t from, uint32_t to, uint32_t *ret)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->pairs[i].term == term && p->pairs[i].ordinal >= from && p->pairs[i].ordinal <= to)
            ret[n++] = p->pairs[i].ordinal;
    if (n)
        qsort(ret, n, sizeof *ret, order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || ret[kept - 1] != ret[i])
            ret[kept++] = ret[i];
    return kept;
}

void random_begin(void)
{
    const char *given = getenv("SEED");
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    state = given ? strtoull(given, NULL, 10)
                  : (uint64_t)now.tv_sec * 1000000007 + (uint64_t)now.tv_nsec;
    printf("SEED=%" PRIu64 "\n", state);
    fflush(stdout);
}

/* SplitMix64. */
uint64_t random_number(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint32_t random_below(uint32_t end)
{
    return (uint32_t)(random_number() % end);
}

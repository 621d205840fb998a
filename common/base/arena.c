#include "common/base/arena.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/exhausted.h"

#define FIRST_BLOCK (64u * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct block {
    struct block *older;
    size_t room, used;
    max_align_t bytes[];
};

struct deferred {
    struct deferred *older;
    void (*destroy)(void *);
    void *object;
};

struct arena {
    struct block *newest; /* the first block is the one without an older one */
    struct deferred *deferred;
    size_t total, max; /* bytes of all blocks */
};

static struct block *block_open(struct arena *a, size_t room)
{
    if (room > a->max - a->total)
        exhausted("out of memory: a request needs more than its bound");
    struct block *b = malloc(sizeof *b + room);
    if (!b)
        exhausted("out of memory: malloc");
    b->older = a->newest;
    b->room = room;
    b->used = 0;
    a->newest = b;
    a->total += room;
    return b;
}

struct arena *arena_open(size_t max)
{
    struct arena *a = calloc(1, sizeof *a);
    if (!a)
        exhausted("out of memory: calloc");
    a->max = max < FIRST_BLOCK ? FIRST_BLOCK : max;
    (void)block_open(a, FIRST_BLOCK); /* it hangs itself into the arena */
    return a;
}

static void run_deferred(struct arena *a)
{
    while (a->deferred) {
        struct deferred *d = a->deferred;
        a->deferred = d->older;
        d->destroy(d->object);
    }
}

void arena_reset(struct arena *a)
{
    run_deferred(a);
    while (a->newest->older) {
        struct block *b = a->newest;
        a->newest = b->older;
        a->total -= b->room;
        wipe(b->bytes, b->used);
        free(b);
    }
    wipe(a->newest->bytes, a->newest->used);
    a->newest->used = 0;
}

void arena_close(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a->newest);
    free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max)
        exhausted("out of memory: a request needs more than its bound");
    size_t whole = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct block *b = a->newest;
    if (whole > b->room - b->used) {
        size_t left = a->max - a->total, room = left < FIRST_BLOCK ? left : FIRST_BLOCK;
        b = block_open(a, whole > room ? whole : room);
    }
    void *p = (char *)b->bytes + b->used;
    b->used += whole;
    return memset(p, 0, whole);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        exhausted("out of memory: an array's size overflows");
    return arena_alloc(a, n * size);
}

char *arena_copy(struct arena *a, const void *data, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_copy(a, s, strlen(s));
}

struct text arena_text(struct arena *a, struct text t)
{
    if (!t.data)
        return t;
    return (struct text){arena_copy(a, t.data, t.len), t.len};
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0)
        exhausted("out of memory: vsnprintf");
    char *text = arena_alloc(a, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, format, again); /* measured above */
    va_end(again);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void arena_defer(struct arena *a, void (*destroy)(void *), void *object)
{
    struct deferred *d = arena_alloc(a, sizeof *d);
    *d = (struct deferred){a->deferred, destroy, object};
    a->deferred = d;
}

void wipe(void *data, size_t len)
{
    explicit_bzero(data, len);
}

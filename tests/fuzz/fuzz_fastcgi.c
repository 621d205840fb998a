/* The reader of FastCGI records: bytes are one request or none, however they are cut. Of an input
 * the first byte says in which pieces the rest comes. */
#include <stdlib.h>
#include <string.h>

#include "common/process/fastcgi.h"
#include "tests/support/fuzz.h"

#define BODY_MAX 64

static enum fastcgi_step give(struct fastcgi *f, const uint8_t *data, size_t size, size_t piece)
{
    enum fastcgi_step step = FASTCGI_MORE;
    for (size_t at = 0; at < size && step == FASTCGI_MORE; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        /* Without a byte to spare, so that a sanitizer sees each step beyond. */
        char *copy = malloc(part);
        need(copy != NULL);
        memcpy(copy, data + at, part);
        step = fastcgi_take(f, copy, part);
        free(copy);
    }
    return step;
}

/* What is full may have kept less, by how it came. */
static bool same(const struct buf *a, const struct buf *b)
{
    return a->full == b->full &&
           (a->full || (a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len))));
}

/* However the bytes are cut, they are the same request, and nothing grows beyond its bound. */
static void compare(const struct fastcgi *a, const struct fastcgi *b)
{
    need(a->id == b->id && a->body_len == b->body_len && same(&a->body, &b->body));
    need(same(&a->params, &b->params) && same(&a->answer, &b->answer));
    need(a->body.len <= BODY_MAX && a->params.len <= FASTCGI_PARAMS_MAX);
}

static void read_params(struct arena *a, const struct fastcgi *f)
{
    char *const *params = fastcgi_params(f, a);
    size_t bytes = 0;
    for (; params && *params; params++)
        bytes += strlen(*params);
    need(bytes <= 2 * f->params.len);
}

static void take(struct arena *a, const uint8_t *data, size_t size)
{
    struct fastcgi whole, cut;
    if (size < 2)
        return;
    fastcgi_init(&whole, BODY_MAX);
    fastcgi_init(&cut, BODY_MAX);
    enum fastcgi_step step = give(&whole, data + 1, size - 1, size);
    need(give(&cut, data + 1, size - 1, 1 + data[0]) == step);
    compare(&whole, &cut);
    if (step == FASTCGI_WHOLE)
        read_params(a, &whole);
    fastcgi_reset(&whole);
    need(give(&whole, data + 1, size - 1, size) == step);
    compare(&whole, &cut);
    fastcgi_release(&whole);
    fastcgi_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(take, data, size);
}

FUZZ_REPLAY("fastcgi");

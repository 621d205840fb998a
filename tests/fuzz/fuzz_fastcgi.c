/* The reader of FastCGI records, fed with anything: as a test for a short time, with bytes made
 * from good requests, and with libFuzzer for as long as one likes. From the top of the tree:
 *
 *   clang -g -O1 -D_GNU_SOURCE -DLIBFUZZER -fsanitize=fuzzer,address,undefined -I. \
 *       tests/fuzz/fuzz_fastcgi.c common/process/fastcgi.c common/base/{arena,buf,text}.c \
 *       -o /tmp/fuzz_fastcgi && /tmp/fuzz_fastcgi
 *
 * Of an input the first byte says in which pieces the rest comes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/process/fastcgi.h"

#define ARENA_MAX ((size_t)64 << 20)
#define BODY_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool good)
{
    if (!good)
        abort();
}

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

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && a->full == b->full && (!a->len || !memcmp(a->data, b->data, a->len));
}

/* However the bytes are cut, they are the same request, and nothing grows beyond its bound. */
static void compare(const struct fastcgi *a, const struct fastcgi *b)
{
    need(a->id == b->id && a->body_len == b->body_len && same(&a->body, &b->body));
    need(same(&a->params, &b->params) && same(&a->answer, &b->answer));
    need(a->body.len <= BODY_MAX && a->params.len <= FASTCGI_PARAMS_MAX);
}

static void read_params(const struct fastcgi *f)
{
    struct arena *a = arena_open(ARENA_MAX);
    char *const *params = fastcgi_params(f, a);
    size_t bytes = 0;
    for (; params && *params; params++)
        bytes += strlen(*params);
    need(bytes <= 2 * f->params.len);
    arena_close(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fastcgi whole, cut;
    if (size < 2)
        return 0;
    fastcgi_init(&whole, BODY_MAX);
    fastcgi_init(&cut, BODY_MAX);
    enum fastcgi_step step = give(&whole, data + 1, size - 1, size);
    need(give(&cut, data + 1, size - 1, 1 + data[0]) == step);
    compare(&whole, &cut);
    if (step == FASTCGI_WHOLE)
        read_params(&whole);
    fastcgi_reset(&whole);
    need(give(&whole, data + 1, size - 1, size) == step);
    compare(&whole, &cut);
    fastcgi_release(&whole);
    fastcgi_release(&cut);
    return 0;
}

#ifndef LIBFUZZER

#include <check.h>

#include "tests/support/plain.h"
#include "tests/support/suite.h"

#define ROUNDS 100000
#define INPUT_MAX 512

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t size;
};

static void put(struct input *in, const void *bytes, size_t size)
{
    if (size > INPUT_MAX - in->size)
        return;
    memcpy(in->bytes + in->size, bytes, size);
    in->size += size;
}

static void put_record(struct input *in, uint8_t type, uint8_t id, const void *content,
                       uint8_t size)
{
    const uint8_t head[] = {1, type, 0, id, 0, size, (uint8_t)random_below(4), 0};
    put(in, head, sizeof head);
    put(in, content, size);
    put(in, "ppp", head[6]);
}

static void make_good(struct input *in)
{
    in->size = 0;
    put(in, &(uint8_t){(uint8_t)random_below(256)}, 1);
    put_record(in, 1, 1, "\0\1\0\0\0\0\0\0", 8);
    if (random_below(4) == 0)
        put_record(in, 9, 0, "\xE\0FCGI_MAX_CONNS", 16);
    put_record(in, 4, 1, "\4\3NAMEabc\1\x80\0\0\1AB", 16);
    put_record(in, 4, 1, "", 0);
    for (uint32_t i = random_below(3); i > 0; i--)
        put_record(in, 5, 1, "a body of some bytes", (uint8_t)random_below(21));
    put_record(in, 5, 1, "", 0);
}

/* Set a byte to one that matters, or cut the end off. */
static void change(struct input *in)
{
    static const uint8_t odd[] = {0, 1, 2, 3, 4, 5, 8, 9, 0x7F, 0x80, 0xBF, 0xFF};
    size_t at = random_below((uint32_t)in->size);
    if (random_below(10) == 0)
        in->size = at + 1;
    else
        in->bytes[at] = random_below(3) ? odd[random_below(COUNT(odd))] : (uint8_t)random_number();
}

TEST(any_bytes_are_one_request_or_none_however_they_are_cut)
{
    struct input in;
    random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        make_good(&in);
        for (uint32_t changes = random_below(5); changes > 0; changes--)
            change(&in);
        LLVMFuzzerTestOneInput(in.bytes, in.size);
    }
}

#endif

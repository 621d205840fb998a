#include "tests/support/scratch.h"

#include <check.h>
#include <string.h>

#define MIB ((size_t)1024 * 1024)

struct arena *a;
struct buf scratch;

void scratch_open(void)
{
    a = arena_open(64 * MIB);
    buf_init(&scratch, 8 * MIB);
}

void scratch_close(void)
{
    buf_release(&scratch);
    arena_close(a);
}

void ck_holds(const char *expected)
{
    ck_assert(!scratch.full);
    ck_assert_uint_eq(scratch.len, strlen(expected));
    if (scratch.len)
        ck_assert_mem_eq(scratch.data, expected, scratch.len);
}

const char *unquote(const char *text)
{
    char *copy = arena_strdup(a, text);
    for (char *c = copy; *c; c++)
        *c = (char)(*c == '\'' ? '"' : *c);
    return copy;
}

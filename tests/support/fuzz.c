#include "tests/support/fuzz.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)256 * 1024 * 1024) /* as the server's */

void need(bool good)
{
    if (!good)
        abort();
}

/* ---- an arena that is too small ---- */

static jmp_buf given_up;
static bool may_give_up;

#ifdef LIBFUZZER
/* tests/fuzz/run has the linker put this in the place of exit(3), which is how an arena ends the
 * program. */
_Noreturn void __wrap_exit(int status);
_Noreturn void __real_exit(int status);

_Noreturn void __wrap_exit(int status)
{
    if (may_give_up)
        longjmp(given_up, 1);
    __real_exit(status);
}
#endif

int fuzz_in_arena(void (*body)(struct arena *a, const uint8_t *data, size_t size),
                  const uint8_t *data, size_t size)
{
    struct arena *a = arena_open(ARENA_MAX);
    uint8_t *copy = malloc(size ? size : 1);
    need(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    if (setjmp(given_up) == 0) {
        may_give_up = true;
        body(a, copy, size);
    }
    may_give_up = false;
    free(copy);
    arena_close(a);
    return 0;
}

const char *fuzz_string(struct arena *a, const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    return arena_copy(a, data, end ? (size_t)(end - data) : size);
}

/* ---- seeds ---- */

#ifndef LIBFUZZER

static char unescape(const char **at)
{
    char hex[3] = "";
    switch (*++*at) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '0':
        return '\0';
    case 'x':
        memcpy(hex, *at + 1, 2);
        *at += 2;
        return (char)strtoul(hex, NULL, 16);
    default:
        return **at;
    }
}

static size_t read_seed(char *line)
{
    char *to = line;
    line[strcspn(line, "\n")] = '\0';
    for (const char *at = line; *at; at++)
        *to++ = *at == '\\' ? unescape(&at) : *at;
    return (size_t)(to - line);
}

void fuzz_replay(const char *name)
{
    char path[256], *line = NULL;
    const char *top = getenv("srcdir");
    size_t room = 0;
    int seeds = 0;
    snprintf(path, sizeof path, "%s/tests/fuzz/seeds/%s", top ? top : ".", name);
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "there is no %s", path);
    while (getline(&line, &room, file) >= 0) {
        if (*line == '#')
            continue;
        size_t size = read_seed(line);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)line, size);
        seeds++;
    }
    free(line);
    fclose(file);
    ck_assert_int_gt(seeds, 0);
}

#endif

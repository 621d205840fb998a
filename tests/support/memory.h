/* memory.h -- is a secret still somewhere in this process? For tests of what wipes. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECRET_SIZE 600 /* more than the vector registers hold: the loader may spill those */

/* The secret is worked out byte by byte wherever it is needed, so that the program holds no
 * copy of it beside those that a test makes. */
static unsigned char secret_byte(size_t i)
{
    static volatile unsigned char seed = 0x5B;
    return (unsigned char)(0x80 | (seed + 41 * i) | (i << 3));
}

static void secret_write(char *to)
{
    volatile char *at = to;
    for (size_t i = 0; i < SECRET_SIZE; i++)
        at[i] = (char)secret_byte(i);
}

static bool is_secret(const char *at)
{
    size_t i = 0;
    while (i < SECRET_SIZE && (unsigned char)at[i] == secret_byte(i))
        i++;
    return i == SECRET_SIZE;
}

/* Look through one mapping, in windows that overlap by the length of the secret. */
static bool mapping_holds_secret(int memory, unsigned long from, unsigned long to)
{
    static char window[65536];
    bool found = false;
    while (!found && from + SECRET_SIZE <= to) {
        size_t want = to - from < sizeof window ? to - from : sizeof window;
        ssize_t got = pread(memory, window, want, (off_t)from);
        if (got < SECRET_SIZE)
            break;
        for (size_t i = 0; !found && i + SECRET_SIZE <= (size_t)got; i++)
            found = is_secret(window + i);
        from += (size_t)got - SECRET_SIZE + 1;
    }
    explicit_bzero(window, sizeof window);
    return found;
}

/* The list of mappings, read without stdio: its buffers would come from freed memory and
 * cover up what a test is after. */
static const char *read_maps(void)
{
    static char maps[1 << 20];
    size_t len = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (got = read(fd, maps + len, sizeof maps - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(fd);
    maps[len] = '\0';
    return maps;
}

/** Does any writable memory of this process hold the secret, freed memory included? */
static bool memory_holds_secret(void)
{
    bool found = false;
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    for (const char *line = read_maps(); !found && *line; line = strchr(line, '\n') + 1) {
        unsigned long from, to;
        char rights[8];
        bool parsed = sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3;
        /* Huge mappings are a sanitizer's own book-keeping. */
        if (parsed && strncmp(rights, "rw", 2) == 0 && to - from < 1ul << 30)
            found = mapping_holds_secret(memory, from, to);
    }
    (void)close(memory);
    return found;
}

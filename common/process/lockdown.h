/* lockdown.h -- a process gives up for good what it will not need: system calls, files, ports. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What is kept. */
struct lockdown {
    bool kills;           /* a system call that is refused ends the process by SIGSYS */
    bool starts_programs; /* fork and exec stay, and with them all that any program may need */
    bool uses_network;    /* sockets of IPv4 and IPv6; else only those that have a path */
    /* Folders and files, NULL at the end. One that is not there is passed over. What lies in a
     * folder is meant too, and what is put there later. */
    const char *const *read;  /* ignored with `starts_programs`, which reads everywhere */
    const char *const *write; /* folders; NULL with `starts_programs`: all files are left alone */
    const uint16_t *ports;    /* of TCP, 0 at the end: where it may connect; NULL: everywhere */
};

/* What holds, or could. */
struct lockdown_state {
    bool calls;      /* the system calls are filtered (seccomp(2)) */
    int landlock;    /* the version of landlock(7) that guards files and ports; 0: none does */
    const char *why; /* why not all of it holds; NULL: it does. Static */
};

/**
 * No core image, not to be traced or read by others of the same user, no privilege by exec(2). What
 * lockdown() does first, alone.
 */
void lockdown_limits(void);

/**
 * Lock this process in, and those that it starts; `ret` tells what holds. To be called in a process
 * of one thread, when all files are open that it writes to: without `starts_programs` it can open
 * none for writing.
 *
 * What is refused fails with ENOSYS, as if the kernel had no such call, for which a C library has
 * another way or says so: a call that a later one makes and we have not foreseen must not end the
 * service. Files and ports fail with EACCES. Where the kernel has neither, all goes on without.
 *
 * A program that is started in our place inherits all of it, and finds the state in its
 * environment: then nothing is added, for the kernel takes only so many layers.
 */
void lockdown(const struct lockdown *kept, struct lockdown_state *ret);

/** What this kernel lets a process do, without doing it. */
void lockdown_probe(struct lockdown_state *ret);

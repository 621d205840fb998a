/* systemd.h -- take sockets from a service manager, and tell it our state (the protocols of
 * sd_listen_fds(3) and sd_notify(3), without their library). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct arena;
struct problem;

/**
 * Take the descriptors that were passed to this process, by the names that the program knows.
 *
 * `ret_fds` gets for each of `names` its descriptor, -1 for one that was not passed. A descriptor
 * is known by its name in LISTEN_FDNAMES (FileDescriptorName= of a socket unit); where none of
 * those that were passed has a name that we know, the first is for the first name, and so on. They
 * are made blocking and close-on-exec, and LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES leave the
 * environment, so that nobody takes them twice. The caller must check what they are.
 *
 * problem_internal with the reason in `cause`: more descriptors than names, only some with a name
 * that we know, the same name twice, variables that are no numbers.
 */
struct problem *systemd_take_sockets(struct arena *a, const char *const *names, size_t count,
                                     int *ret_fds) MUST_USE;

/** Send `state` ("READY=1", several lines if need be) to $NOTIFY_SOCKET; without one, nothing. */
void systemd_notify(const char *state);

/** How often the manager wants a "WATCHDOG=1", in ns: half of $WATCHDOG_USEC; 0: never. */
int64_t systemd_watchdog_ns(void);

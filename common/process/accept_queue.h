/* accept_queue.h -- how many connections wait on a listening socket (sock_diag(7), tcp(7)). */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

/** Count the connections that nobody has accepted yet. False where the kernel does not tell: no
 *  listening socket, or no netlink for this process. */
bool accept_queue_read(int listen_fd, unsigned *ret_waiting) MUST_USE;

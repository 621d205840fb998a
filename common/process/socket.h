/* socket.h -- listen on a unix socket or a TCP port. */
#pragma once

#include "common/base/compiler.h"

struct arena;
struct problem;

/**
 * Bind and listen on a unix socket (an absolute path, or one below the working directory),
 * mode 0660, owned by `group` unless NULL, or on `host:port` where `address` has no slash.
 *
 * A socket file on which no server answers any more is replaced. problem_internal with the reason
 * in `cause`.
 */
struct problem *socket_listen(struct arena *a, const char *address, int backlog, const char *group,
                              int *ret_fd) MUST_USE;

/** Let a socket that listens on `address` go on with another backlog and another group. Those who
 *  wait are kept. */
struct problem *socket_listen_on(struct arena *a, int fd, const char *address, int backlog,
                                 const char *group) MUST_USE;

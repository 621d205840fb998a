/* proxy.h -- between the program and its database: it cuts a connection when a commit was carried
 * out and its answer is on the way. */
#pragma once

/** Listen on a unix socket at `path`, for whoever the workers run as, in threads of this process;
 *  what comes is passed on to the server's socket at `server`. */
void proxy_start(const char *path, const char *server);

/** From now on cut at each `every`-th COMMIT; 0: at none. */
void proxy_cut(unsigned every);

/** How many were cut. */
unsigned proxy_cuts(void);

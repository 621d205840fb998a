/* sockets.h -- a socket file in a folder of its own, and who connects to it. */
#pragma once

/* Below the current folder, for a path of a socket must be short. */
extern char folder[], path[64];

/** For CASE_AROUND(): make the folder, and remove it. */
void sockets_open(void);
void sockets_close(void);

/** Listen there; must work. */
int listen_at(const char *address);

/** Connect; -1 when nobody listens. */
int connect_to(const char *where);

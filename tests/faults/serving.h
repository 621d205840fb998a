/* serving.h -- a request to a worker's own loop, by a socket, as a web server sends it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/** A listening socket that nobody else has, and no file; serving_ask() is for the last of them. */
int serving_listen(void);

/** One request with these parameters (NAME=value, NULL at the end) and this body, or NULL. Returns
 *  the answer's status, and its body in `ret`; 0 where no whole answer came. */
int serving_ask(const char *const *params, const char *body, char *ret, size_t size);

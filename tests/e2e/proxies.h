/* proxies.h -- other web servers in front of a pool's sockets, as their files in packaging say. */
#pragma once

#include "tests/e2e/world.h"

/** A real lighttpd, or Apache with mod_proxy_fcgi, on a free port, with our file for it. Of `names`
 *  it knows CORS_ORIGINS, separated by spaces, and CORS_HEADERS, of which it adds two. */
void lighttpd_start(struct front *f, const struct backend *b, const char *const *names);
void proxy_start(struct front *f, const struct backend *b, const char *const *names);

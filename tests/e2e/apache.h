/* apache.h -- the program as a shared host runs it: a script of Apache's, in somebody's home.
 */
#pragma once

#include "tests/e2e/world.h"

/**
 * Fill a home for the user that pools run as, below the backend's folder: the tar that
 * $E2E_PORTABLE names is unpacked there, or without one ./postern and the .htaccess are copied; and
 * a postern.conf with the settings `names` besides those that it needs. Plain HTTP is allowed in
 * its .htaccess.
 */
void apache_make_home(struct backend *b, const char *const *names);

/** A real Apache with mod_fcgid on a free port, which shows the public_html of this home. Of
 * `names` it knows CORS_ORIGINS, WITHOUT, modules that this host has not, SLASHES, what it does
 * with an encoded one (AllowEncodedSlashes; On), and TLS_CERT, a file with certificate and key that
 * `f` keeps; plain HTTP is then on the same port of 127.0.0.2. */
void apache_start(struct front *f, const struct backend *b, const char *const *names);

/** The name of the user that it runs as; NULL when that is who runs the tests. With a
 *  world_site_user() the scripts run as that one, by suEXEC. */
const char *apache_user(void);

/** Run a line of sh(1) as the home's user; $0 is the backend's folder, with the home in it, and $1
 *  and so on are `words`, which may be NULL. */
void apache_in_home(const struct backend *b, const char *line, const char *const *words);

/** The processes that mod_fcgid has started from this home; returns how many, at most WORKERS_MAX.
 */
size_t apache_scripts(const struct backend *b, pid_t *ret_pids);

/** Write a file of the home again, with this mode, as its user. */
void apache_write(const struct backend *b, const char *name, const char *text, const char *mode);

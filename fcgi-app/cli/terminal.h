/* terminal.h -- talk with whoever sits at the terminal: harmless text, complaints, questions. */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"

/**
 * `t` with everything that would steer a terminal or turn text around spelled `\uXXXX`: control
 * characters, the marks of text direction, ends of line. Works on JSON too, which stays the same
 * document. What is no UTF-8 becomes `\ufffd`. Lives as long as `a`.
 */
const char *shown_text(struct arena *a, struct text t);

/** How many places a terminal gives to what shown_text() returned: two to a wide character, none to
 *  one that is put on top of another. */
size_t shown_width(const char *text);

/** Send on what was printed, for whoever waits for it. 0, or the errno of the first time that this
 *  failed: what else is done meanwhile changes that one. */
int flush_output(void);

/** Say what is wrong on stderr; returns `status`. */
int complain(int status, const char *format, ...) PRINTF_LIKE(2, 3);

/**
 * A password: the first line of standard input, or on a terminal, unless `plain`, what is typed
 * there twice without being shown. Without a byte order mark, the end of its line, and cut at 1,100
 * bytes, more than any may have. NULL, after a complaint, when there is none or the two differ.
 * Lives as long as `a`.
 */
const char *ask_password(struct arena *a, bool plain);

/** Ask a question on a terminal; anything but yes is no, also where there is no terminal. */
bool ask_yes(const char *question);

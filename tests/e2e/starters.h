/* e2e_starters.h -- the program under those that bring the socket: spawn-fcgi, multiwatch, systemd.
 */
#pragma once

#include <check.h>

/** Each starts, answers through nginx, replaces what dies or is reloaded, and ends clean. */
TCase *starter_case(void);

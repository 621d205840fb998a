/* notify.h -- tell a service manager how we are (sd_notify(3)'s protocol, without its library). */
#pragma once

#include <stdint.h>

/** Send `state` ("READY=1", several lines if need be) to $NOTIFY_SOCKET; without one, nothing. */
void notify(const char *state);

/** How often the manager wants a "WATCHDOG=1", in ns: half of $WATCHDOG_USEC; 0: never. */
int64_t notify_interval_ns(void);

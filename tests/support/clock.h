/* clock.h -- milliseconds, for measuring, and pauses. */
#pragma once

/* How long a test waits for an event that should come at once, before it calls that a failure: no
 * machine is so slow, and a test that passes does not take longer for it. */
#define PATIENCE_MS 120000

/** On a clock that nobody sets. */
long now_ms(void);
void pause_ms(long ms);

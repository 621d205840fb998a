/* clock.h -- milliseconds, for measuring, and pauses. */
#pragma once

/** On a clock that nobody sets. */
long now_ms(void);
void pause_ms(long ms);

/* e2e_logs.h -- what all pools and fronts of this run have written down. */
#pragma once

#include <check.h>

/** To be put last: every line is JSON, there was no internal error, and no secret is told. */
TCase *log_case(void);

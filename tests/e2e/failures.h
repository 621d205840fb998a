/* e2e_failures.h -- workers are killed, pools stopped, the database goes: what clients see. */
#pragma once

#include <check.h>

/** To be put after the cases that want the database to stay. */
TCase *failure_case(void);

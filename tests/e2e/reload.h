/* e2e_reload.h -- reloads, new programs and dead workers, and nobody notices. */
#pragma once

#include <check.h>

/** With pools of its own. */
TCase *reload_case(void);

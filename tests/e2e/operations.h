/* e2e_operations.h -- what an operator sees: metrics of all workers together, and a log in a file.
 */
#pragma once

#include <check.h>

/** To be put after the cases that want the database to stay. */
TCase *operations_case(void);

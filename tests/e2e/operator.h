/* e2e_operator.h -- what an operator asks of a running installation, by command line. */
#pragma once

#include <check.h>

TCase *operator_case(void);

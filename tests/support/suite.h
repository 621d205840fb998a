/* suite.h -- what the main() of a test program ends with. */
#pragma once

#include <check.h>

/** Run a suite, tell which tests failed, and return what main() must return. */
int suite_run(Suite *suite);

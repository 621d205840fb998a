/* e2e_hosting.h -- what is peculiar to a shared host: a home, a script, and an Apache of others. */
#pragma once

#include <check.h>

void hosting_cases(Suite *s);

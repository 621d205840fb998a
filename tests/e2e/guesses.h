/* e2e_guesses.h -- passwords are guessed in parallel, from one address and from many. */
#pragma once

#include <check.h>

TCase *guess_case(void);

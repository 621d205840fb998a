/* e2e_sessions.h -- logins that go on and end, passwords that change and come back by mail. */
#pragma once

#include <check.h>

/** With pools of its own; wants a database that stays. */
TCase *session_case(void);

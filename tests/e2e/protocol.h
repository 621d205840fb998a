/* e2e_protocol.h -- versions, repeated requests, long lists, caches, and what the API says of
 * itself. */
#pragma once

#include <check.h>

/** With a pool of its own; wants a database that stays. */
TCase *protocol_case(void);

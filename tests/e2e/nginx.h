/* e2e_nginx.h -- nginx as production has it: TLS, limits, a cache, several hosts. */
#pragma once

#include <check.h>

/** The test cases, to be freed by the suite. */
TCase *tls_case(void);
TCase *limit_case(void);
TCase *cache_case(void);
TCase *hosts_case(void);

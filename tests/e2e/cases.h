/* cases.h -- the test cases of the end-to-end suite, each to be freed by it. */
#pragma once

#include <check.h>

/* failures.c: workers are killed, pools stopped, the database goes: what clients see. */
/** To be put after the cases that want the database to stay. */
TCase *failure_case(void);

/* guesses.c: passwords are guessed in parallel, from one address and from many. */
TCase *guess_case(void);

/* hosting.c: what is peculiar to a shared host: a home, a script, and an Apache of others. */
void hosting_cases(Suite *s);

/* logs.c: what all pools and fronts of this run have written down. */
/** To be put last: every line is JSON, there was no internal error, and no secret is told. */
TCase *log_case(void);

/* nginx.c: nginx as production has it: TLS, limits, a cache, several hosts. */
/** The test cases, to be freed by the suite. */
TCase *tls_case(void);
TCase *limit_case(void);
TCase *cache_case(void);
TCase *hosts_case(void);

/* operations.c: what an operator sees: metrics of all workers together, and a log in a file. */
/** To be put after the cases that want the database to stay. */
TCase *operations_case(void);

/* operator.c: what an operator asks of a running installation, by command line. */
TCase *operator_case(void);

/* protocol.c: versions, repeated requests, long lists, caches, and what the API says of itself. */
/** With a pool of its own; wants a database that stays. */
TCase *protocol_case(void);

/* reload.c: reloads, new programs and dead workers, and nobody notices. */
/** With pools of its own. */
TCase *reload_case(void);

/* sessions.c: logins that go on and end, passwords that change and come back by mail. */
/** With pools of its own; wants a database that stays. */
TCase *session_case(void);

/* starters.c: the program under those that bring the socket: spawn-fcgi, multiwatch, systemd. */
/** Each starts, answers through nginx, replaces what dies or is reloaded, and ends clean. */
TCase *starter_case(void);

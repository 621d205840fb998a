/* db_limits.h -- how long the database may take, and who gives up first.
 *
 * Whoever waits for another must wait longer than that one may take, else the answer that tells
 * what is wrong comes too late. From the inside out, in seconds:
 *
 *   0.02   the first try of a list's statement (budget.h); one that is slower takes a place
 *    0.5   all slow statements of a list together (LIST_BUDGET_MS, which is at most 10)
 *      5   a lock of another transaction (innodb_lock_wait_timeout); DB_TRIES times in all
 *     10   a statement (max_statement_time), with the locks that it waits for
 *     15   an answer from a server that is alive; after that nothing is asked again
 *     15   a request waits for its turn, before all that (PEERS_POSTPONED_S)
 *     20   the longest that a request waits for one thing: four times for a lock, or for a
 *          connection and an answer
 *     25   a request waits for its turn and for all that it asks; then it is answered with 503
 *     30   an answer from us (fastcgi_read_timeout in nginx/fastcgi.conf.in)
 *     35   an answer of another host (proxy_read_timeout in nginx/hosts-pass.conf.in)
 *     60   a request (HANG_S): its worker is killed
 *
 * These are for a server that is slow. One that is frozen shows within DB_PROBE_AFTER_S and
 * DB_CONNECT_LIMIT_S, whatever it was asked: it does not let a second connection in either. From
 * then on one process at a time asks it again, a second after the last one gave up: so it is used
 * within two seconds after it is back.
 *
 * tests/e2e/check_nginx.c compares them.
 */
#pragma once

#define DB_LOCK_LIMIT_S 5
#define DB_STATEMENT_LIMIT_S 10
#define DB_CONNECT_LIMIT_S 2
#define DB_PROBE_AFTER_S 1
#define DB_ANSWER_LIMIT_S 15
#define DB_REQUEST_LIMIT_S 25
#define DB_TRIES 4 /* of a statement or transaction, in all */

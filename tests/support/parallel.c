#include "tests/support/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/clock.h"

struct start {
    void (*body)(int i, void *context);
    void *context;
    int i, ready[2], gate[2];
};

/* Whoever is ready closes the one pipe, and begins when the other one is closed. */
static void wait_and_run(void *context)
{
    const struct start *start = context;
    char byte;
    must(db_ping(the_app->db, the_arena)); /* connect first, to meet the others */
    (void)close(start->gate[1]);
    (void)close(start->ready[1]);
    ck_assert_int_eq(read(start->gate[0], &byte, 1), 0);
    start->body(start->i, start->context);
}

struct parallel parallel_begin(int n, void (*body)(int i, void *context), void *context)
{
    struct parallel all = {.n = n};
    struct start start = {.body = body, .context = context};
    char byte;
    ck_assert_int_le(n, PARALLEL_MAX);
    ck_assert_int_eq(pipe(start.ready), 0);
    ck_assert_int_eq(pipe(start.gate), 0);
    for (start.i = 0; start.i < n; start.i++)
        all.pids[start.i] = run_aside(wait_and_run, &start);
    (void)close(start.ready[1]);
    ck_assert_int_eq(read(start.ready[0], &byte, 1), 0);
    (void)close(start.ready[0]);
    (void)close(start.gate[0]);
    (void)close(start.gate[1]);
    return all;
}

void parallel_end(const struct parallel *all)
{
    for (int i = 0; i < all->n; i++)
        wait_for(all->pids[i]);
}

void parallel(int n, void (*body)(int i, void *context), void *context)
{
    const struct parallel all = parallel_begin(n, body, context);
    parallel_end(&all);
}

bool somebody_waits(void)
{
    char line[16] = "";
    pause_ms(120); /* asked more often, the server tells what it told before */
    FILE *rows = popen("echo 'SELECT COUNT(*) AS n FROM information_schema.innodb_lock_waits' | "
                       "\"$DATABASE_CONTROL\" sql | tail -n 1",
                       "r");
    ck_assert_ptr_nonnull(rows);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, rows));
    ck_assert_int_eq(pclose(rows), 0);
    return atoi(line) > 0;
}

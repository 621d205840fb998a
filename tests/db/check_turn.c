/* needs: mariadb */
/* Rows that are written for their own sake. */
#include "common/db/turn.h"

#include <signal.h>

#include "tests/support/loopback.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define TURN 9

static int64_t taken(void)
{
    return ask_number("SELECT COALESCE(MAX(n), 0) AS n FROM list_counts WHERE total = 0 AND kind = "
                      "9 AND owner = '" NIL_ID "'");
}

static struct problem *take(void *context)
{
    struct problem *p = turn_take(the_app->db, the_arena, TURN);
    return p ? p : context;
}

CASE("turns", loopback_open, loopback_close);

/* What writes nothing is compared with nothing. */
TEST(a_turn_is_a_row_that_each_changes)
{
    int64_t before = taken();

    must(db_transaction(the_app->db, the_arena, take, NULL, NULL));
    must(db_transaction(the_app->db, the_arena, take, NULL, NULL));

    ck_assert_int_eq(taken(), before + 2);
    ck_rows("list_counts WHERE total = 0 AND kind = 9", 1);
}

TEST(turns_are_told_apart_and_no_total)
{
    int64_t rows = rows_in("list_counts WHERE total <> 0"), before = taken();

    must(turn_take(the_app->db, the_arena, TURN + 1));

    ck_assert_int_eq(taken(), before);
    ck_rows("list_counts WHERE total <> 0", rows);
}

TEST_SIGNAL(no_turn_has_the_number_that_sweeps_pass_over, SIGABRT)
{
    (void)!turn_take(the_app->db, the_arena, TURNS_MAX);
}

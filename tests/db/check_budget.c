/* needs: mariadb */
#include "common/db/budget.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/problem.h"
#include "tests/support/suite.h"
#include "tests/support/things.h"

#define AMPLE_MS 10000 /* what no quick statement takes, however busy the machine is */
#define SLOW_S 0.6     /* longer than a quick statement may take where there is ample time */
#define SHORT_MS 50
#define FAR_MS 30000
#define FOR_EVER 60 /* seconds; a statement that takes them is broken off */

/* How long a statement is let run, in ms; one that takes so many seconds; one that does it only on
 * one connection. */
static const struct sql its_limit = {"SELECT CAST(@@max_statement_time * 1000 AS INTEGER) AS n",
                                     &number_record};
static const struct sql wait_for_s = {"SELECT 7 + SLEEP(?) AS n", &number_record};
static const struct sql wait_on = {"SELECT 7 + IF(CONNECTION_ID() = ?, SLEEP(60), 0) AS n",
                                   &number_record};

/* In memory that a child process shares. */
static struct budget_shared *shared;

static void set_up_shared(void)
{
    set_up();
    void *at =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(at != MAP_FAILED);
    shared = at;
}

/* With room for all slow reads. */
static void limit(struct db *on, unsigned ms, unsigned places)
{
    const struct budget_limits limits = {.ms = ms, .places = places, .gate = {128, 128}};
    budget_set(on, limits, shared);
}

static struct db_arg seconds(double s)
{
    return db_text(text_of(arena_printf(a, "%g", s)));
}

static struct problem *read_on(struct db *on, const struct sql *sql, struct db_args args,
                               int64_t *ret)
{
    struct number row = {-1};
    bool found = false;
    struct problem *p = budget_find(on, a, sql, args, &row, &found);
    if (!p)
        ck_assert(found);
    *ret = row.n;
    return p;
}

static int64_t must_read(const struct sql *sql, struct db_args args)
{
    int64_t n;
    must_work(read_on(db, sql, args, &n));
    return n;
}

static struct problem *try_wait(struct db *on, double s)
{
    int64_t n;
    return read_on(on, &wait_for_s, DB_ARGS(seconds(s)), &n);
}

/* Since the last call. */
static unsigned statements(struct db *on)
{
    return (unsigned)db_take_counts(on).statements;
}

static int64_t in_ms(int64_t ms)
{
    return monotonic_ns() + ms * 1000000;
}

static unsigned places_taken(void)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < BUDGET_PLACES_MAX; i++)
        taken += atomic_load(&shared->places[i]) > monotonic_ns();
    return taken;
}

static bool any_heavy(void)
{
    for (unsigned i = 0; i < FORMS_MAX; i++)
        if (atomic_load(&shared->heavy.words[i]))
            return true;
    return false;
}

static void ck_refused(const struct problem *p, const char *message)
{
    ck_assert_ptr_nonnull(p);
    ck_assert_msg(p->type == &problem_unavailable, "%s", p->cause);
    ck_assert_ptr_nonnull(strstr(p->message, message));
    ck_assert_uint_gt(p->retry_after_s, 0);
    ck_assert_ptr_nonnull(p->cause);
}

/* ---- how long ---- */

CASE("a budget", set_up_shared, tear_down);
CASE_AROUND(create_tables, NULL);

TEST(without_a_budget_a_read_has_the_limit_of_all_statements)
{
    int64_t limit_ms = number_of(db, &its_limit, DB_NO_ARGS);

    ck_assert_int_eq(must_read(&its_limit, DB_NO_ARGS), limit_ms);
    ck_assert_int_gt(limit_ms, 1000);
}

TEST(a_quick_read_is_one_statement_and_takes_no_place)
{
    limit(db, AMPLE_MS, 1);
    int64_t limit_ms = -1;
    must_work(db_ping(db, a));

    /* On a busy machine it may not be quick at once. */
    while (limit_ms != AMPLE_MS / BUDGET_QUICK_PART) {
        budget_end(db);
        (void)statements(db);
        limit_ms = must_read(&its_limit, DB_NO_ARGS);
    }

    ck_assert_uint_eq(statements(db), 1);
    ck_assert_uint_eq(places_taken(), 0);
}

TEST(a_slow_read_runs_again_in_a_place)
{
    limit(db, AMPLE_MS, 2);
    must_work(db_ping(db, a));
    (void)statements(db);

    ck_assert_int_eq(must_read(&wait_for_s, DB_ARGS(seconds(SLOW_S))), 7);

    ck_assert_uint_eq(statements(db), 2);
    ck_assert_uint_eq(places_taken(), 1);
}

TEST(what_follows_a_slow_read_has_its_place_and_what_is_left)
{
    limit(db, AMPLE_MS, 2);
    (void)must_read(&wait_for_s, DB_ARGS(seconds(SLOW_S)));

    int64_t limit_ms = must_read(&its_limit, DB_NO_ARGS);

    ck_assert_msg(limit_ms == AMPLE_MS / 2 || limit_ms == AMPLE_MS / 4 || limit_ms == AMPLE_MS / 8,
                  "%lld ms", (long long)limit_ms);
    ck_assert_uint_eq(places_taken(), 1);
}

TEST(a_place_is_given_back_at_the_end)
{
    limit(db, AMPLE_MS, 1);
    (void)must_read(&wait_for_s, DB_ARGS(seconds(SLOW_S)));

    budget_end(db);

    ck_assert_uint_eq(places_taken(), 0);
    limit(other, AMPLE_MS, 1);
    must_work(try_wait(other, SLOW_S));
}

TEST(a_read_that_takes_all_of_the_budget_is_broken_off)
{
    limit(db, SHORT_MS, 1);
    must_work(db_ping(db, a));
    (void)statements(db);

    ck_refused(try_wait(db, FOR_EVER), "narrow the search");
    ck_assert_uint_eq(statements(db), 2);

    ck_refused(try_wait(db, 0), "narrow the search"); /* of the same list */
    ck_assert_uint_eq(statements(db), 0);

    budget_end(db);
    must_work(try_wait(db, 0));
}

static const struct sql rows_then_wait = {
    "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 4 + SLEEP(?)", &number_record};

struct rows {
    int64_t sum;
    int restarts;
};

static void add_row(void *context, const void *row)
{
    ((struct rows *)context)->sum += ((const struct number *)row)->n;
}

static void restart(void *context)
{
    struct rows *rows = context;
    rows->sum = 0;
    rows->restarts++;
}

TEST(rows_that_the_first_try_handed_out_are_forgotten)
{
    struct rows rows = {0};
    limit(db, AMPLE_MS, 1);

    must_work(
        budget_each(db, a, &rows_then_wait, DB_ARGS(seconds(SLOW_S)), restart, add_row, &rows));

    ck_assert_int_eq(rows.sum, 7);
    ck_assert_int_eq(rows.restarts, 1);
}

static void find_among(int count)
{
    struct buf text;
    buf_init(&text, 10000000);
    buf_puts(&text, "SELECT n FROM ids FORCE INDEX (PRIMARY) WHERE id IN (");
    for (int i = 7; i < count; i++)
        buf_printf(&text, "%s'%08d-0000-4000-8000-000000000000'", i > 7 ? ", " : "", i);
    buf_add(&text, ") LIMIT 1", 10); /* and its NUL */
    const struct sql sql = {text.data, &number_record};
    ck_assert_int_eq(must_read(&sql, DB_NO_ARGS), 7);
    budget_end(db);
    memset(shared, 0, sizeof *shared);
    buf_release(&text);
}

/* Where the time runs out while it plans how to find so many, the server gives up without a word.
 */
TEST(an_answer_without_rows_is_not_believed_where_time_ran_out)
{
    must_work(db_run(db, a,
                     "CREATE OR REPLACE TABLE ids (id UUID PRIMARY KEY, n INT) "
                     "SELECT CONCAT(LPAD(seq, 8, '0'), '-0000-4000-8000-000000000000') AS "
                     "id, 7 AS n FROM seq_1_to_20000"));
    limit(db, AMPLE_MS, 1);
    for (int count = 4000; count < 40000; count += count / 4)
        find_among(count);
}

TEST(where_none_were_there_is_nothing_to_forget)
{
    struct rows rows = {0};
    limit(db, AMPLE_MS, 1);

    must_work(budget_each(db, a, &wait_for_s, DB_ARGS(seconds(SLOW_S)), restart, add_row, &rows));

    ck_assert_int_eq(rows.sum, 7);
    ck_assert_int_eq(rows.restarts, 0);
}

static const struct sql now_waiting = {
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'"
    " AND info LIKE '%max_statement_time = 10.000 FOR%'",
    &number_record};

static void *kill_waiting(void *context)
{
    int64_t id = *(int64_t *)context;
    struct arena *own = arena_open(1u << 20);
    struct number row = {0};
    bool found;
    while (!row.n)
        must_work(db_find(other, own, &now_waiting, DB_ARGS(db_integer(id)), &row, &found));
    must_work(db_run(other, own, arena_printf(own, "KILL %lld", (long long)id)));
    arena_close(own);
    return NULL;
}

TEST(a_slow_read_that_loses_its_connection_is_repeated)
{
    int64_t id = number_of(db, &connection_id, DB_NO_ARGS), n;
    pthread_t thread;
    limit(db, AMPLE_MS, 1);
    must_work(db_ping(other, a));
    ck_assert_int_eq(pthread_create(&thread, NULL, kill_waiting, &id), 0);

    struct problem *p = read_on(db, &wait_on, DB_ARGS(db_integer(id)), &n);

    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    must_work(p);
    ck_assert_int_eq(n, 7);
}

static struct problem *count_after_timeout(void *context)
{
    (void)context;
    must_work(db_execute(db, a, &count_counter, DB_ARGS(db_integer(1)), NULL));
    ck_refused(try_wait(db, FOR_EVER), "narrow the search");
    return db_execute(db, a, &count_counter, DB_ARGS(db_integer(2)), NULL);
}

TEST(a_transaction_outlives_a_read_that_is_broken_off)
{
    limit(db, SHORT_MS, 1);

    must_work(db_transaction(db, a, count_after_timeout, NULL, NULL));

    ck_assert_int_eq(counter(1), 1);
    ck_assert_int_eq(counter(2), 1);
}

/* The word index has an error of its own for it. */
TEST(a_search_whose_time_runs_out_is_known_as_such)
{
    static const struct sql search = {
        "SET STATEMENT max_statement_time = 0.001 FOR SELECT COUNT(*) AS n FROM words"
        " WHERE MATCH (word) AGAINST ('+word* +w*' IN BOOLEAN MODE)",
        &number_record};
    struct number row;
    bool found;
    must_work(db_run(db, a,
                     "CREATE OR REPLACE TABLE words (word VARCHAR(50) NOT NULL, FULLTEXT (word))"
                     " ENGINE = InnoDB SELECT CONCAT('word', seq) AS word FROM seq_1_to_5000"));

    for (int i = 0; i < 100; i++) {
        struct problem *p = db_find(db, a, &search, DB_NO_ARGS, &row, &found);
        ck_assert_msg(!p || db_is_statement_timeout(p), "%s", p ? p->cause : "");
    }
}

/* ---- how many ---- */

CASE("places", set_up_shared, tear_down);

TEST(without_a_free_place_a_slow_read_is_refused_after_its_first_try)
{
    limit(db, AMPLE_MS, 2);
    atomic_store(&shared->places[0], in_ms(FAR_MS));
    atomic_store(&shared->places[1], in_ms(FAR_MS));
    must_work(db_ping(db, a));
    (void)statements(db);

    ck_refused(try_wait(db, FOR_EVER), "try again soon");

    ck_assert_uint_eq(statements(db), 1);
    budget_end(db);
    ck_assert_uint_eq(places_taken(), 2); /* still the others' */
}

static const int64_t not_taken_ms[] = {-1, 3600 * 1000}; /* ended; of another boot */

TEST_EACH(a_place_whose_time_cannot_be_is_free, not_taken_ms)
{
    limit(db, AMPLE_MS, 1);
    atomic_store(&shared->places[0], in_ms(not_taken_ms[_i]));

    must_work(try_wait(db, SLOW_S));
}

static const unsigned few_and_many[][2] = {{0, 1}, {1, 1}, {3, 3}, {1000, BUDGET_PLACES_MAX}};

TEST_EACH(there_are_as_many_places_as_said, few_and_many)
{
    unsigned places = few_and_many[_i][1];
    limit(db, AMPLE_MS, few_and_many[_i][0]);
    for (unsigned i = 0; i + 1 < places; i++)
        atomic_store(&shared->places[i], in_ms(FAR_MS));

    must_work(try_wait(db, SLOW_S));
    budget_end(db);
    atomic_store(&shared->places[places - 1], in_ms(FAR_MS));
    ck_refused(try_wait(db, SLOW_S), "try again soon");
}

/* It is killed while it has the place. */
static void hold_for_ever(int ready)
{
    db_disconnect(db);
    limit(db, SHORT_MS, 1);
    ck_refused(try_wait(db, FOR_EVER), "narrow the search");
    ck_assert_int_eq(write(ready, "r", 1), 1);
    for (;;)
        pause();
}

TEST(the_place_of_a_killed_process_comes_back)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        hold_for_ever(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert(atomic_load(&shared->places[0]));

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    limit(db, AMPLE_MS, 1);
    while (try_wait(db, SLOW_S))
        usleep(10000);

    ck_assert_uint_eq(places_taken(), 1);
}

TEST(who_was_late_gives_back_no_place_of_another)
{
    limit(db, AMPLE_MS, 1);
    must_work(try_wait(db, SLOW_S));
    int64_t theirs = in_ms(FAR_MS);
    atomic_store(&shared->places[0], theirs);

    budget_end(db);

    ck_assert(atomic_load(&shared->places[0]) == theirs);
}

/* ---- heavy ones ---- */

CASE("heavy reads", set_up_shared, tear_down);

static void make_heavy(void)
{
    ck_refused(try_wait(db, FOR_EVER), "");
    budget_end(db);
}

TEST(what_was_heavy_is_not_tried_without_a_place)
{
    limit(db, SHORT_MS, 1);
    limit(other, SHORT_MS, 1);
    must_work(db_ping(other, a));

    for (;;) { /* it counts as heavy for two seconds, which pass where a machine hangs */
        atomic_store(&shared->places[0], 0);
        make_heavy();
        atomic_store(&shared->places[0], in_ms(FAR_MS));
        (void)statements(other);
        struct problem *p = try_wait(other, 0);
        if (!statements(other)) {
            ck_refused(p, "try again soon");
            break;
        }
    }
}

TEST(what_found_no_place_is_not_tried_again_without_one)
{
    limit(db, AMPLE_MS, 1);
    atomic_store(&shared->places[0], in_ms(FAR_MS));
    must_work(db_ping(db, a));

    do { /* the first time it is tried */
        (void)statements(db);
        ck_refused(try_wait(db, FOR_EVER), "try again soon");
    } while (statements(db));
}

TEST(another_statement_is_tried_all_the_same)
{
    limit(db, SHORT_MS, 1);
    make_heavy();
    atomic_store(&shared->places[0], in_ms(FAR_MS));

    int64_t n = -1;
    while (read_on(db, &its_limit, DB_NO_ARGS, &n)) /* on a busy machine it may not be quick */
        budget_end(db);

    ck_assert_int_eq(n, BUDGET_QUICK_MS);
}

TEST(what_is_quick_again_is_heavy_no_more)
{
    limit(db, SHORT_MS, 1);

    do { /* until it was quick, and soon */
        make_heavy();
        ck_assert(any_heavy());
        if (try_wait(db, 0))
            continue;
        budget_end(db);
    } while (any_heavy());
}

/* ---- slow ones ---- */

CASE("slow reads", set_up_shared, tear_down);

#define CAME 1000 /* when a request did */

/* Two requests, of which the second finds it to be slow. */
static void make_slow(void)
{
    for (int i = 0; i < 2; i++) {
        must_work(try_wait(db, 0.006));
        budget_end(db);
    }
}

static void limit_to_one(struct db *on)
{
    const struct budget_limits limits = {.ms = AMPLE_MS, .places = 4, .gate = {1, 1}};
    budget_set(on, limits, shared);
    must_work(db_ping(on, a));
}

static bool is_inside(void)
{
    return atomic_load(&shared->gate.places[0]) > monotonic_ns();
}

static void fill_the_gate(void)
{
    atomic_store(&shared->gate.places[0], in_ms(FAR_MS));
}

TEST(what_was_slow_twice_holds_a_place_inside_to_the_end)
{
    limit_to_one(db);
    make_slow();
    ck_assert(!is_inside());

    do { /* until it was not slow so long ago that it is forgotten */
        budget_end(db);
        budget_begin(db, CAME);
        must_work(try_wait(db, 0.006));
    } while (!is_inside());

    (void)must_read(&its_limit, DB_NO_ARGS); /* what follows */
    ck_assert(is_inside());
    budget_end(db);
    ck_assert(!is_inside());
}

TEST(it_waits_for_its_turn_where_others_are_inside)
{
    struct problem *p;
    limit_to_one(db);
    fill_the_gate();
    do {
        make_slow();
        (void)statements(db);
        budget_begin(db, CAME);
        p = try_wait(db, 0.006);
    } while (!p);

    ck_refused(p, "try again soon");
    ck_assert_int_eq(p->retry, RETRY_LATER);
    ck_assert_uint_eq(statements(db), 0);
    budget_end(db);
    ck_assert_uint_gt(budget_wait_ms(db, CAME), 0);

    atomic_store(&shared->gate.places[0], 0);

    ck_assert_uint_eq(budget_wait_ms(db, CAME), 0);
    budget_begin(db, CAME);
    must_work(try_wait(db, 0.006));
}

/* A first time, or one that only the machine made slow, is none. */
TEST(what_was_slow_once_waits_for_nobody)
{
    limit_to_one(db);
    fill_the_gate();
    must_work(try_wait(db, 0.006));
    must_work(try_wait(db, 0.006));
}

TEST(what_is_quick_again_waits_no_more)
{
    limit_to_one(db);
    make_slow();
    for (;;) {
        must_work(try_wait(db, 0));
        budget_end(db);
        fill_the_gate();
        struct problem *p = try_wait(db, 0);
        budget_end(db);
        atomic_store(&shared->gate.places[0], 0);
        if (!p)
            break;
    }
}

TEST(another_process_knows_it_too)
{
    struct problem *p;
    limit_to_one(db);
    limit_to_one(other);
    fill_the_gate();
    do {
        make_slow();
        budget_begin(other, CAME);
        p = try_wait(other, 0.006);
        budget_end(other);
    } while (!p);

    ck_assert_int_eq(p->retry, RETRY_LATER);
}

TEST(a_request_that_was_not_slow_is_one_of_the_others)
{
    limit_to_one(db);
    (void)must_read(&its_limit, DB_NO_ARGS);

    budget_end(db);

    ck_assert_int_gt(atomic_load(&shared->gate.others), 0);
}

TEST(a_long_one_is_none_of_them)
{
    limit_to_one(db);
    must_work(try_wait(db, SLOW_S));
    ck_assert_uint_eq(places_taken(), 1);
    atomic_store(&shared->gate.others, 0);

    budget_end(db);

    ck_assert_int_eq(atomic_load(&shared->gate.others), 0);
}

TEST(one_that_waits_is_none_of_them)
{
    limit_to_one(db);
    fill_the_gate();
    for (struct problem *p = NULL; !p;) {
        make_slow();
        atomic_store(&shared->gate.others, 0);
        budget_begin(db, CAME);
        p = try_wait(db, 0.006);
    }

    budget_end(db);

    ck_assert_int_eq(atomic_load(&shared->gate.others), 0);
}

TEST(without_a_budget_nobody_waits)
{
    ck_assert_uint_eq(budget_wait_ms(db, CAME), 0);
    budget_begin(db, CAME);
    budget_end(db);
}

#include "common/http/metrics.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/clock.h"
#include "tests/support/exposition.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static struct metrics *m; /* shared with children */

static const struct metrics_name names[] = {
    {METHOD_GET, "/things"}, {METHOD_POST, "/things"}, {METHOD_GET, "/things/{id}"}};

static void set_up(void)
{
    scratch_open();
    m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(m, MAP_FAILED);
}

static void tear_down(void)
{
    (void)munmap(m, sizeof *m);
    scratch_close();
}

/* What Prometheus would be told, held against the format. */
static const char *told(void)
{
    buf_reset(&scratch);
    metrics_write(&scratch, m, names, sizeof names / sizeof *names);
    ck_assert(!scratch.full);
    return ck_exposition(a, arena_copy(a, scratch.data, scratch.len));
}

static void count(size_t route, enum method method, int status, uint64_t duration_us)
{
    metrics_count_request(m, &(const struct metrics_request){.route = route,
                                                             .method = method,
                                                             .status = status,
                                                             .bytes = 100,
                                                             .duration_us = duration_us});
}

#define ck_told(series, value)                                                                     \
    do {                                                                                           \
        const char *text_ = told();                                                                \
        double got_ = exposition_value(text_, series);                                             \
        ck_assert_msg(got_ == (value), "%s is %g: %s", series, got_, text_);                       \
    } while (0)

CASE("metrics", set_up, tear_down);

TEST(what_never_came_to_pass_is_zero_and_no_route_is_named)
{
    const char *text = told();

    ck_assert_ptr_null(strchr(text, '{'));
    ck_assert(exposition_value(text, "postern_worker_restarts_total") == 0);
    ck_assert(exposition_value(text, "postern_database_wait_seconds_total") == 0);
}

TEST(requests_are_told_by_route_method_and_status)
{
    count(1, METHOD_GET, 200, 10);
    count(1, METHOD_GET, 200, 10);
    count(1, METHOD_HEAD, 200, 10);
    count(2, METHOD_POST, 400, 10);
    count(3, METHOD_GET, 404, 10);

    ck_told("postern_http_requests_total{route=\"/things\",method=\"GET\",status=\"200\"}", 2);
    ck_told("postern_http_requests_total{route=\"/things\",method=\"HEAD\",status=\"200\"}", 1);
    ck_told("postern_http_requests_total{route=\"/things\",method=\"POST\",status=\"400\"}", 1);
    ck_told("postern_http_requests_total{route=\"/things/{id}\",method=\"GET\",status=\"404\"}", 1);
    ck_told("postern_http_request_duration_seconds_count{route=\"/things\",method=\"GET\"}", 3);
    ck_told("postern_http_response_bytes_total{route=\"/things\",method=\"GET\"}", 300);
    ck_told("postern_http_response_bytes_total{route=\"/things\",method=\"POST\"}", 100);
}

static const struct {
    uint64_t us;
    const char *le, *below; /* the smallest bucket that has it, and the next smaller one */
} durations[] = {
    {0, "0.0005", NULL},       {500, "0.0005", NULL},     {501, "0.001", "0.0005"},
    {1000, "0.001", "0.0005"}, {2500, "0.0025", "0.001"}, {5000, "0.005", "0.0025"},
    {9999, "0.01", "0.005"},   {25000, "0.025", "0.01"},  {50000, "0.05", "0.025"},
    {50001, "0.1", "0.05"},    {250000, "0.25", "0.1"},   {500000, "0.5", "0.25"},
    {1000000, "1", "0.5"},     {2500000, "2.5", "1"},     {5000000, "5", "2.5"},
    {10000000, "10", "5"},     {10000001, "+Inf", "10"},  {UINT64_C(86400000000), "+Inf", "10"},
};

static const char *bucket(const char *le)
{
    return arena_printf(a,
                        "postern_http_request_duration_seconds_bucket{route=\"/things\","
                        "method=\"GET\",le=\"%s\"}",
                        le);
}

TEST_EACH(a_duration_is_in_its_bucket_and_in_all_above, durations)
{
    count(1, METHOD_GET, 200, durations[_i].us);

    ck_told(bucket(durations[_i].le), 1);
    ck_told(bucket("+Inf"), 1);
    if (durations[_i].below)
        ck_told(bucket(durations[_i].below), 0);
    ck_told("postern_http_request_duration_seconds_sum{route=\"/things\",method=\"GET\"}",
            (double)durations[_i].us / 1e6);
}

TEST(what_is_no_route_or_beyond_the_table_is_called_other)
{
    count(0, METHOD_OTHER, 404, 10);
    count(0, METHOD_OPTIONS, 204, 10);
    count(METRICS_ROUTES + 1, METHOD_GET, 200, 10);
    count(SIZE_MAX, METHOD_GET, 200, 10);

    ck_told("postern_http_requests_total{route=\"other\",method=\"other\",status=\"404\"}", 1);
    ck_told("postern_http_requests_total{route=\"other\",method=\"OPTIONS\",status=\"204\"}", 1);
    ck_told("postern_http_requests_total{route=\"other\",method=\"GET\",status=\"200\"}", 2);
    ck_told("postern_http_request_duration_seconds_count{route=\"other\",method=\"any\"}", 4);
}

TEST(more_kinds_of_answers_than_there_is_room_for_are_still_requests)
{
    for (int status = 100; status < 600; status++)
        count(1, METHOD_GET, status, 10);

    const char *text = told();

    ck_assert(exposition_sum(text, "postern_http_requests_total", "") == METRICS_ANSWERS);
    ck_assert(exposition_sum(text, "postern_http_request_duration_seconds_count", "") == 500);
}

TEST(counters_are_told_in_their_units)
{
    metrics_add(m, METRIC_DATABASE_NS, UINT64_C(12345678901));
    metrics_add(m, METRIC_DATABASE_STATEMENTS, 7);
    metrics_add(m, METRIC_DATABASE_STATEMENTS, 0);
    metrics_add(m, METRIC_RELOADS, 1);

    ck_told("postern_database_wait_seconds_total", 12.345678901);
    ck_told("postern_database_statements_total", 7);
    ck_told("postern_reloads_total", 1);
    ck_told("postern_refused_reloads_total", 0);
}

TEST(large_numbers_are_told_whole)
{
    metrics_add(m, METRIC_RELOADS, UINT64_C(9007199254740992));

    ck_assert_ptr_nonnull(strstr(told(), "\npostern_reloads_total 9007199254740992\n"));
}

/* ---- many processes ---- */

#define PROCESSES 4
#define ROUNDS 50000

/* All begin together, so that they race for the places of answers too. */
static void count_much(int start)
{
    char byte;
    if (read(start, &byte, 1) != 0)
        _exit(EXIT_FAILURE);
    for (int i = 0; i < ROUNDS; i++) {
        count(i % 2 ? 1 : 3, METHOD_GET, 200 + i % 5, (uint64_t)i);
        metrics_add(m, METRIC_DATABASE_STATEMENTS, 2);
    }
    _exit(EXIT_SUCCESS);
}

TEST(processes_that_count_together_lose_nothing)
{
    int start[2], status;
    ck_assert_int_eq(pipe(start), 0);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() == 0) {
            (void)close(start[1]);
            count_much(start[0]);
        }
    }
    (void)close(start[1]);
    while (wait(&status) > 0)
        ck_assert_int_eq(status, 0);

    const char *text = told();

    ck_assert(exposition_sum(text, "postern_http_requests_total", "") == PROCESSES * ROUNDS);
    ck_assert(exposition_sum(text, "postern_http_requests_total", "status=\"203\"") ==
              PROCESSES * ROUNDS / 5.0);
    ck_assert(exposition_sum(text, "postern_http_request_duration_seconds_count", "") ==
              PROCESSES * ROUNDS);
    ck_assert(exposition_sum(text, "postern_http_response_bytes_total", "") ==
              100.0 * PROCESSES * ROUNDS);
    ck_assert(exposition_value(text, "postern_database_statements_total") ==
              2.0 * PROCESSES * ROUNDS);
}

#define MEETINGS 20000
#define MEETINGS_MS 5000 /* on a busy machine each takes as long as it takes the other to run */

/* Wait until both have come this far. */
static void meet(_Atomic unsigned *arrived, unsigned *times)
{
    unsigned spins = 0;
    (void)atomic_fetch_add(arrived, 1);
    for (++*times; atomic_load(arrived) < *times * 2;)
        if (++spins > 1000)
            usleep(1); /* on a busy machine a sleep lets the other run sooner than a yield */
}

struct meeting {
    _Atomic unsigned arrived;
    _Atomic bool last; /* as the first of the two decides */
};

/* Both at once, until one finds the second place taken too. */
static bool share_one_place(struct meeting *at, bool first)
{
    unsigned times = 0;
    bool shared = true;
    long end = now_ms() + MEETINGS_MS;
    for (int i = 0; !at->last; i++) {
        meet(&at->arrived, &times);
        count(1, METHOD_GET, 200, 10);
        meet(&at->arrived, &times);
        shared &= m->routes[1].answers[1].what == 0 && m->routes[1].answers[0].count == 2;
        meet(&at->arrived, &times);
        if (first)
            memset(m, 0, sizeof m->counters + 2 * sizeof *m->routes);
        if (first)
            at->last = i == MEETINGS || now_ms() > end;
        meet(&at->arrived, &times);
    }
    return shared;
}

TEST(those_who_are_first_together_share_a_place)
{
    int status;
    struct meeting *at =
        mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(share_one_place(at, false) ? EXIT_SUCCESS : EXIT_FAILURE);

    bool shared = share_one_place(at, true);

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(shared);
    ck_assert_int_eq(status, 0);
}

static void count_for_ever(void)
{
    for (int i = 0;; i++)
        count(i % 2 ? 1 : 3, METHOD_GET, 200 + i % 40, (uint64_t)i % 1000);
}

TEST(a_process_that_is_killed_while_it_counts_stops_nobody)
{
    for (int i = 0; i < 50; i++) {
        const struct timespec moment = {0, i * 10000};
        pid_t pid = fork();
        if (pid == 0)
            count_for_ever();
        (void)nanosleep(&moment, NULL);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    }
    double before = exposition_sum(told(), "postern_http_requests_total", "");

    count(1, METHOD_GET, 200, 10);

    ck_assert(exposition_sum(told(), "postern_http_requests_total", "") == before + 1);
}

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* For each of many requests. */
static double cpu_ns_of_counting(void)
{
    const int times = 200000;
    double began = cpu_s();
    for (int i = 0; i < times; i++) {
        count(3, METHOD_GET, 200 + i % 8, 30000000); /* the last bucket */
        metrics_add(m, METRIC_DATABASE_NS, 100);
        metrics_add(m, METRIC_DATABASE_STATEMENTS, 1);
    }
    return (cpu_s() - began) / times * 1e9;
}

/* Not each time, on a machine that does other things besides. */
TEST(counting_takes_less_than_a_microsecond)
{
    double each_ns = 1e9;
    for (int tries = 0; tries < 20 && each_ns >= 1000; tries++)
        each_ns = cpu_ns_of_counting();
    if (getenv("CK_VERBOSITY"))
        printf("%.0f ns for each request\n", each_ns);
    ck_assert_msg(each_ns < 1000, "%.0f ns for each request", each_ns);
}

/* ---- the reader that these tests trust ---- */

#define HEAD(name, type) "# HELP " name " Help.\n# TYPE " name " " type "\n"
#define BUCKETS(one, all) "h_bucket{le=\"1\"} " one "\nh_bucket{le=\"+Inf\"} " all "\n"

static const char *const faulty[] = {
    "",
    "a_total 1\n",
    HEAD("a_total", "counter") "a_total 1",
    HEAD("a_total", "counter") "a_total 1\na_total 2\n",
    HEAD("a_total", "counter") "b_total 1\n",
    HEAD("a_total", "counter") "a_total{x=\"1} 1\n",
    HEAD("a_total", "counter") "a_total{x=\"\\x\"} 1\n",
    HEAD("a_total", "counter") "a_total{x=1} 1\n",
    HEAD("a_total", "counter") "a_total  1\n",
    HEAD("a_total", "counter") "a_total 1 1700000000\n",
    HEAD("a_total", "counter") "a_total -1\n",
    HEAD("a_total", "counter") "a_total one\n",
    HEAD("a_total", "counter") "\na_total 1\n",
    HEAD("a_total", "counter") "a_total 1\n" HEAD("b", "gauge") "b 1\na_total{x=\"\"} 1\n",
    HEAD("a_total", "counter") "a_total 1\n" HEAD("a_total", "counter"),
    HEAD("a", "counter") "a 1\n",
    HEAD("a", "number") "a 1\n",
    "# TYPE a gauge\n# HELP a Help.\na 1\n",
    HEAD("h", "histogram") BUCKETS("1", "2") "h_sum 3\nh_count 3\n",
    HEAD("h", "histogram") BUCKETS("3", "2") "h_sum 3\nh_count 2\n",
    HEAD("h", "histogram") BUCKETS("1", "2") "h_count 2\n",
    HEAD("h", "histogram") BUCKETS("1", "2") "h_sum 3\n",
    HEAD("h", "histogram") "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
};

TEST_EACH(the_reader_sees_what_is_wrong, faulty)
{
    ck_assert_msg(exposition_fault(a, faulty[_i]) != NULL, "%s", faulty[_i]);
}

TEST(the_reader_takes_what_is_right)
{
    static const char right[] = HEAD(
        "a_total",
        "counter") "a_total{x=\"\\\"\\\\\\n\",y=\"{}\"} 1\na_total{x=\"\"} 2.5\n" HEAD("h",
                                                                                       "histogram")
        BUCKETS("1", "2") "h_sum 3.000001\nh_count 2\n";

    ck_assert_pstr_eq(exposition_fault(a, right), NULL);
    ck_assert(exposition_value(right, "a_total{x=\"\"}") == 2.5);
    ck_assert(exposition_value(right, "a_total") == -1);
    ck_assert(exposition_sum(right, "a_total", "") == 3.5);
    ck_assert(exposition_sum(right, "a_total", "y=") == 1);
}

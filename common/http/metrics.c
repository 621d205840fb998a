#include "common/http/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/base/buf.h"

#define US_PER_S 1000000
#define LABELS_ROOM 400 /* bytes; a path of a route is much shorter */

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would stay behind when its holder is killed");

static const struct {
    const char *name;
    uint64_t units;
    const char *help;
} counters[METRIC_COUNT] = {
#define X(word, name_, units_, help_) [METRIC_##word] = {name_, units_, help_},
    METRICS_COUNTERS(X)
#undef X
};

/* From what finding one row takes to the time after which clients give up. */
static const struct {
    uint64_t us;
    const char *text;
} bounds[METRICS_BUCKETS] = {
    {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
    {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"}, {UINT64_MAX, "+Inf"},
};

static uint64_t load(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

/* Counters do not depend on each other, so no memory order is needed. */
static void add(_Atomic uint64_t *at, uint64_t n)
{
    (void)atomic_fetch_add_explicit(at, n, memory_order_relaxed);
}

/* ---- counting ---- */

void metrics_add(struct metrics *m, enum metric which, uint64_t n)
{
    if (n)
        add(&m->counters[which], n);
}

static size_t bucket_of(uint64_t us)
{
    size_t i = 0;
    while (us > bounds[i].us)
        i++;
    return i;
}

/* The first request with this method and status takes a place for them; NULL when all are taken. */
static _Atomic uint64_t *answers_of(struct metrics_route *route, uint32_t what)
{
    for (size_t i = 0; i < METRICS_ANSWERS; i++) {
        _Atomic uint32_t *at = &route->answers[i].what;
        uint32_t there = atomic_load_explicit(at, memory_order_relaxed);
        if (there == what || (there == 0 && (atomic_compare_exchange_strong(at, &there, what) ||
                                             there == what))) /* another process was first */
            return &route->answers[i].count;
    }
    return NULL;
}

void metrics_count_request(struct metrics *m, const struct metrics_request *rq)
{
    struct metrics_route *route = &m->routes[rq->route <= METRICS_ROUTES ? rq->route : 0];
    _Atomic uint64_t *answers =
        answers_of(route, (uint32_t)rq->method << 16 | (uint32_t)(rq->status & 0xFFFF));
    if (answers)
        add(answers, 1);
    add(&route->took[bucket_of(rq->duration_us)], 1);
    add(&route->duration_us, rq->duration_us);
    add(&route->bytes, rq->bytes);
}

/* ---- writing ---- */

void metrics_put_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_name(struct buf *b, const char *name, const char *suffix, const char *labels)
{
    buf_printf(b, "%s%s", name, suffix);
    if (labels)
        buf_printf(b, "{%s}", labels);
}

void metrics_put(struct buf *b, const char *name, const char *labels, uint64_t value)
{
    put_name(b, name, "", labels);
    buf_printf(b, " %" PRIu64 "\n", value);
}

/* A number of parts of a second, as seconds. */
static void put_seconds(struct buf *b, const char *name, const char *suffix, const char *labels,
                        uint64_t value, uint64_t per_s)
{
    put_name(b, name, suffix, labels);
    buf_printf(b, " %" PRIu64 ".%0*" PRIu64 "\n", value / per_s, per_s == US_PER_S ? 6 : 9,
               value % per_s);
}

/* What is written of one route. */
struct telling {
    struct buf *b;
    const struct metrics_route *route;
    const char *path;
    const char *method; /* of the route; HEAD is counted with GET */
};

static uint64_t requests_of(const struct metrics_route *route)
{
    uint64_t n = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        n += load(&route->took[i]);
    return n;
}

static void put_answers(const struct telling *t)
{
    char labels[LABELS_ROOM];
    for (size_t i = 0; i < METRICS_ANSWERS; i++) {
        uint32_t what = atomic_load_explicit(&t->route->answers[i].what, memory_order_relaxed);
        if (!what)
            return;
        (void)snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",status=\"%u\"", t->path,
                       method_name((enum method)(what >> 16)), what & 0xFFFF);
        metrics_put(t->b, "postern_http_requests_total", labels, load(&t->route->answers[i].count));
    }
}

static void put_durations(const struct telling *t)
{
    static const char name[] = "postern_http_request_duration_seconds";
    char labels[LABELS_ROOM];
    uint64_t count = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        count += load(&t->route->took[i]);
        (void)snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",le=\"%s\"", t->path,
                       t->method, bounds[i].text);
        put_name(t->b, name, "_bucket", labels);
        buf_printf(t->b, " %" PRIu64 "\n", count);
    }
    (void)snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\"", t->path, t->method);
    put_seconds(t->b, name, "_sum", labels, load(&t->route->duration_us), US_PER_S);
    put_name(t->b, name, "_count", labels);
    buf_printf(t->b, " %" PRIu64 "\n", count);
}

static void put_bytes(const struct telling *t)
{
    char labels[LABELS_ROOM];
    (void)snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\"", t->path, t->method);
    metrics_put(t->b, "postern_http_response_bytes_total", labels, load(&t->route->bytes));
}

static void put_counter(struct buf *b, const struct metrics *m, enum metric which)
{
    metrics_put_head(b, counters[which].name, "counter", counters[which].help);
    uint64_t n = load(&m->counters[which]);
    if (counters[which].units == 1)
        metrics_put(b, counters[which].name, NULL, n);
    else
        put_seconds(b, counters[which].name, "", NULL, n, counters[which].units);
}

/* The metrics of each route that was called. */
static const struct {
    const char *name, *type, *help;
    void (*put)(const struct telling *t);
} of_routes[] = {
    {"postern_http_requests_total", "counter", "Requests that were answered.", put_answers},
    {"postern_http_request_duration_seconds", "histogram",
     "Time that a worker took for a request, from its first check to its answer; HEAD counts as "
     "GET.",
     put_durations},
    {"postern_http_response_bytes_total", "counter", "Bytes of bodies that were sent.", put_bytes},
};

void metrics_write(struct buf *b, const struct metrics *m, const struct metrics_name *names,
                   size_t count)
{
    for (size_t kind = 0; kind < sizeof of_routes / sizeof *of_routes; kind++) {
        metrics_put_head(b, of_routes[kind].name, of_routes[kind].type, of_routes[kind].help);
        for (size_t i = 0; i <= count && i <= METRICS_ROUTES; i++) {
            const struct telling t = {b, &m->routes[i], i ? names[i - 1].path : "other",
                                      i ? method_name(names[i - 1].method) : "any"};
            if (requests_of(t.route))
                of_routes[kind].put(&t);
        }
    }
    for (size_t i = 0; i < METRIC_COUNT; i++)
        put_counter(b, m, (enum metric)i);
}

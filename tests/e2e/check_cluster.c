/* needs: mariadb cluster */
/* A Galera cluster of three nodes, and two hosts that write to two of them: `make torture-galera`.
 * What is measured is printed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/http.h"
#include "tests/e2e/load.h"
#include "tests/e2e/world.h"
#include "tests/support/clock.h"

#define SIDES 2
#define FAULT_MS 9000 /* longer than a node is waited for by the others */
#define AWAIT_MS 90000
#define SAME_MS 60000
#define KILL_EACH_MS 400
#define TURNS 30
#define ROUNDS 5
#define ROUND_MS 6000

/* What clients see of one host. */
static struct side {
    struct backend pool;
    struct front nginx;
    struct load *load;
} sides[SIDES];

static const char *const homes[SIDES] = {"CLUSTER_URL_1", "CLUSTER_URL_3"};

static const char *control_of(int node)
{
    return getenv(say("CLUSTER_CONTROL_%d", node));
}

static void control(int node, const char *verb)
{
    ck_assert_msg(world_run(LIST(control_of(node), verb), NULL, NULL, NULL) == 0, "%s of node %d",
                  verb, node);
}

static void await_nodes(void)
{
    ck_assert_int_eq(world_run(LIST(getenv("CLUSTER_AWAIT")), NULL, NULL, NULL), 0);
}

static void start_side(struct side *side, const char *url)
{
    ck_assert_int_eq(setenv("DATABASE_URL", getenv(url), 1), 0); /* the world hands it on */
    backend_start(&side->pool, LIST("WORKERS=3", "HASH_WORKERS=1", "LIMITS=off"));
    front_start(&side->nginx, &side->pool, LIST("LOGIN_LIMIT=off"));
    the_front = &side->nginx;
}

static void start_sides(void)
{
    for (int i = 0; i < SIDES; i++)
        start_side(&sides[i], homes[i]);
}

static void stop_sides(void)
{
    for (int i = 0; i < SIDES; i++) {
        front_stop(&sides[i].nginx);
        backend_stop(&sides[i].pool);
    }
}

/* ---- what must be true afterwards ---- */

static void await_empty_journal(void)
{
    for (long end = now_ms() + AWAIT_MS; database_number("SELECT COUNT(*) FROM list_journal") > 0;
         pause_ms(200))
        ck_assert_msg(now_ms() < end, "the journal is not swept");
}

#define NIL "'00000000-0000-0000-0000-000000000000'"
#define BY_OWNER "(SELECT author_id, published, COUNT(*) FROM posts GROUP BY 1, 2)"
#define OF_OWNERS "(SELECT owner, kind, n FROM list_counts WHERE total = 2 AND owner <> " NIL ")"
#define OF_ALL "(SELECT published, COUNT(*) FROM posts GROUP BY 1)"
#define COUNTED "(SELECT kind, n FROM list_counts WHERE total = 2 AND owner = " NIL " AND n <> 0)"
#define INDEXED                                                                                    \
    "(SELECT id FROM search_rows JOIN search_builds USING (build) WHERE list = 2 AND state = "     \
    "'live')"

/* Nothing of the left that is not on the right, nor the other way. */
static void ck_same(const char *left, const char *right)
{
    ck_assert_int_eq(
        database_number(say("SELECT COUNT(*) FROM (%s EXCEPT %s) AS more", left, right)), 0);
    ck_assert_int_eq(
        database_number(say("SELECT COUNT(*) FROM (%s EXCEPT %s) AS more", right, left)), 0);
}

/* What a sum says of a table to which columns were added depends on how its rows are stored. */
static const char *sums_of(int node)
{
    struct buf b;
    buf_init(&b, (size_t)1024 * 1024);
    const char *sql =
        "SELECT * FROM postern.users ORDER BY id; "
        "CHECKSUM TABLE postern.posts, postern.sessions, postern.idempotency_keys, "
        "postern.list_counts, postern.list_journal, postern.search_builds, postern.search_rows, "
        "postern.search_postings, postern.search_ranges";
    ck_assert_int_eq(world_run(LIST(control_of(node), "sql"), NULL, sql, &b), 0);
    const char *sums = say("%.*s", (int)b.len, b.data);
    buf_release(&b);
    return sums;
}

/* Writes that were made a moment ago are on their way. */
static void ck_same_nodes(void)
{
    const char *sums[3];
    for (long end = now_ms() + SAME_MS;; pause_ms(500)) {
        for (int node = 1; node <= 3; node++)
            sums[node - 1] = sums_of(node);
        if (strcmp(sums[0], sums[1]) == 0 && strcmp(sums[0], sums[2]) == 0)
            return;
        ck_assert_msg(now_ms() < end, "nodes differ:\n%s\n%s\n%s", sums[0], sums[1], sums[2]);
    }
}

static void ck_totals(void)
{
    long published = database_number("SELECT COUNT(*) FROM posts WHERE published");
    for (int i = 0; i < SIDES; i++) {
        struct answer answer = fetch(.at = &sides[i].nginx, .path = "/api/posts?limit=1");
        ck_assert_int_eq(answer_integer(answer, "pagination.total"), published);
    }
}

/* All that was acknowledged is there, once, and found; all totals are those of the tables. */
static unsigned ck_promises(void)
{
    unsigned found = 0;
    for (int i = 0; i < SIDES; i++)
        load_verify(sides[i].load, true);
    await_empty_journal();
    ck_same(BY_OWNER, OF_OWNERS);
    ck_same(OF_ALL, COUNTED);
    ck_same("(SELECT id FROM posts)", INDEXED);
    ck_same_nodes();
    ck_totals();
    for (int i = 0; i < SIDES; i++)
        found += load_find(sides[i].load, &sides[SIDES - 1 - i].nginx, 5);
    return found;
}

/* ---- faults ---- */

static void kill_a_worker(const struct side *side, long n)
{
    pid_t pids[WORKERS_MAX];
    size_t count = backend_workers(&side->pool, pids);
    if (count > 0)
        (void)kill(pids[(size_t)n % count], SIGKILL);
}

/* Let clients work for a while, in which workers die. */
static void work(long ms)
{
    long n = 0;
    for (long end = now_ms() + ms; now_ms() < end; n++) {
        kill_a_worker(&sides[n % SIDES], n / SIDES);
        pause_ms(KILL_EACH_MS);
    }
}

/* A token whose session has come to both nodes. */
static const char *new_token(void)
{
    const char *token = new_user(NULL);
    for (int i = 0; i < SIDES; i++)
        (void)http_await(
            &(struct http_call){.at = &sides[i].nginx, .path = "/api/auth/profile", .token = token},
            200, AWAIT_MS);
    return token;
}

static void begin_loads(void)
{
    const char *token = new_token();
    for (int i = 0; i < SIDES; i++) {
        sides[i].load = load_start(&sides[i].nginx, token);
        load_insist(sides[i].load);
        load_bear_repeats(sides[i].load);
        load_bear_lag(sides[i].load, true);
        pause_ms(2); /* they are told apart by when they began */
    }
}

static void await_all_served(unsigned more)
{
    for (int i = 0; i < SIDES; i++)
        load_await_served(sides[i].load, more);
}

static void end_loads(void)
{
    for (int i = 0; i < SIDES; i++)
        load_finish(sides[i].load);
}

static void free_loads(void)
{
    for (int i = 0; i < SIDES; i++)
        load_free(sides[i].load);
}

static const struct {
    const char *name;
    int node;
    const char *begin, *end;
} faults[] = {
    {"node 2 killed, then copied from node 1", 2, "kill", "start"},
    {"node 1 killed", 1, "kill", "start"},
    {"node 3 frozen", 3, "freeze", "thaw"},
    {"node 1 frozen", 1, "freeze", "thaw"},
    {"node 3 cut off", 3, "cut", "join"},
    {"node 1 cut off", 1, "cut", "join"},
};

HTTP_CASE("faults");
CASE_LIMIT_S(600);

TEST_EACH(nothing_is_lost_or_doubled_whatever_becomes_of_a_node, faults)
{
    start_sides();
    begin_loads();
    await_all_served(100);

    control(faults[_i].node, faults[_i].begin);
    work(FAULT_MS);
    control(faults[_i].node, faults[_i].end);
    await_nodes();
    work(KILL_EACH_MS * 5);
    await_all_served(100);
    end_loads();

    unsigned found = ck_promises(), served = 0, refused = 0;
    for (int i = 0; i < SIDES; i++) {
        struct load_tally tally = load_tally(sides[i].load);
        served += tally.served;
        refused += tally.refused;
    }
    printf("%s: %u served, %u refused, %u searched and found\n", faults[_i].name, served, refused,
           found);
    free_loads();
    stop_sides();
}

/* ---- what must not happen twice, or beside something else ---- */

static const char *new_admin(const char **ret_id)
{
    const char *email = new_account(ret_id);
    database_lines(say("UPDATE users SET role = 'admin' WHERE id = '%s'", *ret_id),
                   &(struct buf){0});
    return token_of(email);
}

static struct http_call depose(const struct side *side, const char *token, const char *id)
{
    return (struct http_call){.at = &side->nginx,
                              .method = "PATCH",
                              .path = say("/api/users/%s", id),
                              .token = token,
                              .body = "{\"role\":\"user\"}"};
}

HTTP_CASE("at once");
CASE_LIMIT_S(600);

TEST(of_two_admins_who_depose_each_other_on_two_nodes_one_stays)
{
    start_sides();
    for (int i = 0; i < TURNS; i++) {
        const char *ids[SIDES], *tokens[SIDES];
        database_lines("UPDATE users SET role = 'user'", &(struct buf){0});
        for (int k = 0; k < SIDES; k++)
            tokens[k] = new_admin(&ids[k]);
        for (int k = 0; k < SIDES; k++)
            (void)http_await(&(struct http_call){.at = &sides[k].nginx,
                                                 .path = say("/api/users/%s", ids[SIDES - 1 - k]),
                                                 .token = tokens[k]},
                             200, AWAIT_MS);
        struct http_call calls[SIDES];
        struct flight *flights[SIDES];
        for (int k = 0; k < SIDES; k++)
            calls[k] = depose(&sides[k], tokens[k], ids[SIDES - 1 - k]);
        for (int k = 0; k < SIDES; k++)
            flights[k] = http_send(&calls[k]);
        for (int k = 0; k < SIDES; k++)
            (void)http_land(flights[k]);
        ck_assert_int_eq(database_number("SELECT COUNT(*) FROM users WHERE role = 'admin'"), 1);
    }
    stop_sides();
}

/* One logs in at one host while the password is changed at the other: the only session left is that
 * of who has changed it. */
TEST(no_login_outlives_the_change_of_its_password_on_another_node)
{
    start_sides();
    for (int i = 0; i < TURNS; i++) {
        const char *id, *email = new_account(&id);
        struct http_call calls[SIDES] = {
            {.at = &sides[0].nginx,
             .path = "/api/auth/login",
             .body = object("{'email':'%s','password':'%s'}", email, PASSWORD)},
            {.at = &sides[1].nginx,
             .path = "/api/auth/password",
             .token = token_of(email),
             .body =
                 object("{'current_password':'%s','new_password':'another of %d'}", PASSWORD, i)}};
        struct flight *flights[SIDES];
        for (int k = 0; k < SIDES; k++)
            flights[k] = http_send(&calls[k]);
        for (int k = 0; k < SIDES; k++) {
            int status = http_land(flights[k]).status;
            ck_assert(status == (k ? 204 : 200) || (k == 0 && status == 401));
        }
        ck_assert_int_eq(
            database_number(say("SELECT COUNT(*) FROM sessions WHERE user_id = '%s'", id)), 1);
    }
    stop_sides();
}

/* The same key on two nodes: one post. */
TEST(a_request_that_is_repeated_on_another_node_runs_once)
{
    start_sides();
    const char *token = new_token();
    for (int i = 0; i < TURNS; i++) {
        const char *key = say("Idempotency-Key: twice-%d-%ld", i, now_ms());
        struct http_call calls[SIDES];
        struct flight *flights[SIDES];
        for (int k = 0; k < SIDES; k++)
            calls[k] = (struct http_call){.at = &sides[k].nginx,
                                          .path = "/api/posts",
                                          .token = token,
                                          .body = "{\"title\":\"twice\",\"content\":\"x\"}",
                                          .headers = {key}};
        for (int k = 0; k < SIDES; k++)
            flights[k] = http_send(&calls[k]);
        for (int k = 0; k < SIDES; k++)
            ck_status(http_land(flights[k]), 201);
    }
    ck_assert_int_eq(database_number("SELECT COUNT(*) FROM posts WHERE title = 'twice'"), TURNS);
    stop_sides();
}

/* Ask both hosts at once, and count the answers of this status. */
static int ask_both(struct http_call call, int status)
{
    struct http_call calls[SIDES] = {call, call};
    struct flight *flights[SIDES];
    int count = 0;
    for (int k = 0; k < SIDES; k++) {
        calls[k].at = &sides[k].nginx;
        flights[k] = http_send(&calls[k]);
    }
    for (int k = 0; k < SIDES; k++)
        count += http_land(flights[k]).status == status;
    return count;
}

static void await_on_both(const char *path)
{
    for (int i = 0; i < SIDES; i++)
        (void)http_await(&(struct http_call){.at = &sides[i].nginx, .path = path}, 200, AWAIT_MS);
}

/* The version that each reads and writes tells how often it was changed. */
TEST(no_change_is_lost_when_two_nodes_change_one_row)
{
    start_sides();
    const char *token = new_token();
    const char *path = say("/api/posts/%s", new_post(token, "once", true));
    long changed = 0;
    await_on_both(path);

    for (int i = 0; i < 3 * TURNS; i++)
        changed += ask_both(
            (struct http_call){
                .method = "PATCH", .path = path, .token = token, .body = "{\"content\":\"y\"}"},
            200);

    ck_assert_int_eq(changed, 6 * TURNS);
    ck_assert_int_eq(database_number("SELECT version FROM posts WHERE title = 'once'"),
                     changed + 1);
    stop_sides();
}

static void await_version(const char *path, int version)
{
    const char *etag = say("\"%d\"", version);
    for (int i = 0; i < SIDES; i++)
        for (long end = now_ms() + AWAIT_MS;; pause_ms(5)) {
            struct answer answer = fetch(.at = &sides[i].nginx, .path = path);
            if (answer.status == 200 && strcmp(answer_header(answer, "ETag"), etag) == 0)
                break;
            ck_assert(now_ms() < end);
        }
}

TEST(of_two_who_know_the_same_version_one_changes_it)
{
    start_sides();
    const char *token = new_token();
    const char *path = say("/api/posts/%s", new_post(token, "known", true));
    for (int i = 1; i <= TURNS; i++) {
        await_version(path, i);
        ck_assert_int_eq(ask_both((struct http_call){.method = "PATCH",
                                                     .path = path,
                                                     .token = token,
                                                     .body = "{\"content\":\"y\"}",
                                                     .headers = {say("If-Match: \"%d\"", i)}},
                                  200),
                         1);
    }
    stop_sides();
}

/* ---- what one host has written, seen at another ---- */

#define READS 100

static void sync_waits(int what)
{
    for (int node = 1; node <= 3; node++)
        ck_assert_int_eq(world_run(LIST(control_of(node), "sql"), NULL,
                                   say("SET GLOBAL wsrep_sync_wait = %d", what), NULL),
                         0);
}

static int count_misses(const char *token)
{
    int misses = 0;
    for (int i = 0; i < READS; i++) {
        struct answer made = fetch(.at = &sides[0].nginx, .path = "/api/posts", .token = token,
                                   .body = "{\"title\":\"here\",\"content\":\"and there\"}");
        ck_status(made, 201);
        const char *path = say("/api/posts/%s", answer_text(made, "post.id"));
        struct answer seen = fetch(.at = &sides[1].nginx, .path = path, .token = token);
        misses += seen.status == 404;
        ck_assert(seen.status == 200 || seen.status == 404);
    }
    return misses;
}

/* Reading; and changing and inserting, which read as well. */
static const int waits[] = {0, 7};

TEST_EACH(with_wsrep_sync_wait_one_host_sees_what_another_has_written, waits)
{
    sync_waits(waits[_i]);
    start_sides();
    begin_loads();
    await_all_served(50);
    const char *token = new_token();

    long began = now_ms();
    int misses = count_misses(token);
    printf("wsrep_sync_wait = %d: %d of %d not seen at once, %.1f ms for a write and a read\n",
           waits[_i], misses, READS, (double)(now_ms() - began) / READS);
    ck_assert(misses == 0 || waits[_i] == 0);
    end_loads();
    free_loads();
    stop_sides();
    sync_waits(0);
}

/* ---- what a second writing node costs ---- */

static long conflicts(void)
{
    long sum = 0;
    for (int node = 1; node <= 3; node++) {
        struct buf b;
        buf_init(&b, 4096);
        ck_assert_int_eq(
            world_run(LIST(control_of(node), "sql"), NULL,
                      "SELECT SUM(variable_value) AS n FROM information_schema.global_status WHERE "
                      "variable_name IN ('wsrep_local_cert_failures', 'wsrep_local_bf_aborts')",
                      &b),
            0);
        buf_add(&b, "", 1);
        sum += strtol(strchr(b.data, '\n') + 1, NULL, 10);
        buf_release(&b);
    }
    return sum;
}

struct rate {
    double per_s, conflicts;
};

/* Both hosts at the node of the first, or each at its own. */
static struct rate measure(bool apart)
{
    struct rate rate = {0, 0};
    for (int i = 0; i < SIDES; i++)
        start_side(&sides[i], homes[apart ? i : 0]);
    begin_loads();
    await_all_served(50);
    long began = now_ms(), before = conflicts();
    unsigned served = load_tally(sides[0].load).served + load_tally(sides[1].load).served;
    pause_ms(ROUND_MS);
    served = load_tally(sides[0].load).served + load_tally(sides[1].load).served - served;
    rate.conflicts = (double)(conflicts() - before) * 1000 / (double)(now_ms() - began);
    rate.per_s = served * 1000.0 / (double)(now_ms() - began);
    end_loads();
    free_loads();
    stop_sides();
    return rate;
}

static int compare_ratios(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

HTTP_CASE("throughput");
CASE_LIMIT_S(600);

TEST(a_second_writing_node_costs_little)
{
    double ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct rate one = measure(false), two = measure(true);
        ratios[i] = two.per_s / one.per_s;
        printf("one writing node: %.0f requests/s, %.1f conflicts/s; two: %.0f, %.1f; ratio %.2f\n",
               one.per_s, one.conflicts, two.per_s, two.conflicts, ratios[i]);
    }
    qsort(ratios, ROUNDS, sizeof *ratios, compare_ratios);
    printf("median ratio %.2f\n", ratios[ROUNDS / 2]);
    ck_assert_double_gt(ratios[ROUNDS / 2],
                        0.5); /* each is of a machine that does other things, too */
}

int main(void)
{
    if (!getenv("CLUSTER_CONTROL_3")) {
        fputs("run this inside tests/support/with-cluster\n", stderr);
        return EXIT_FAILURE;
    }
    return http_main();
}

/* needs: mariadb */
/* Nobody is told who has an account: not by what it takes to answer. Here the statements and rows
 * of two answers are compared; and by `make torture` also their times, which Welch's test must not
 * tell apart. */
#include "tests/support/loopback.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/ada_and_bob.h"
#include "tests/support/letters.h"
#include "tests/support/plans.h"
#include "tests/support/suite.h"
#include "tests/support/torture.h"

#define MAIL "MAIL_COMMAND=/nonexistent/sendmail"
#define PEOPLE 200
#define USUAL 10
#define T_MAX 4.5 /* a difference that chance makes once in 100,000 tests */

static int number; /* of the call */

static const char *someone(void)
{
    return say("someone%d@example.org", ++number % PEOPLE);
}

static const char *nobody(void)
{
    return say("nobody%d@example.com", ++number);
}

static void set_up(void)
{
    meet_ada_and_bob();
    run_sql(
        say("INSERT INTO users (id, email, password_hash, first_name, is_active) SELECT UUID(), "
            "CONCAT('someone', seq, '@example.org'), REPEAT('x', 97), 'S', 1 FROM seq_0_to_%d",
            PEOPLE - 1));
    run_sql("UPDATE users SET email_verified = 0 WHERE email = 'bob@example.org'");
}

/* ---- what is asked ---- */

static int forget(const char *email)
{
    return api_post(NULL, "/auth/password/forgot", object("{'email':'%s'}", email)).status;
}

static int forget_either(bool known)
{
    return forget(known ? someone() : nobody());
}

static int forget_disabled(bool disabled)
{
    return forget(disabled ? "disabled@example.org" : someone());
}

static int register_either(bool taken)
{
    return api_post(
               NULL, "/auth/register",
               object("{'email':'%s','password':'" PASSWORD "'}", taken ? someone() : nobody()))
        .status;
}

static int move_either(bool taken)
{
    return api_post(ada.access, "/auth/email",
                    object("{'email':'%s','current_password':'" PASSWORD "'}",
                           taken ? someone() : nobody()))
        .status;
}

static int send_either(bool verified)
{
    return api_ask(.method = "POST", .path = "/auth/email/verify/send",
                   .token = verified ? ada.access : bob.access)
        .status;
}

/* Five statements more, as for one who has something to look at: so much must be noticed. */
static int forget_and_look(bool looks)
{
    int status = forget(nobody());
    for (int i = 0; looks && i < 5; i++)
        (void)rows_in("users WHERE email = 'ada@example.org'");
    return status;
}

static const struct pair {
    const char *name;
    int (*ask)(bool second);
    int status;
    bool takes_hash; /* and so a tenth as many rounds */
    bool differs;    /* a control, which shows that the test finds something */
} pairs[] = {
    {"forgot, unknown and known", forget_either, 202},
    {"forgot, known and disabled", forget_disabled, 202},
    {"register, free and taken", register_either, 201, .takes_hash = true},
    {"change of address, free and taken", move_either, 202, .takes_hash = true},
    {"send, to verify and verified", send_either, 202},
    {"five statements more", forget_and_look, 202, .differs = true},
};

static int64_t time_of(const struct pair *pair, bool second)
{
    int64_t began = monotonic_ns();
    ck_assert_int_eq(pair->ask(second), pair->status);
    return monotonic_ns() - began;
}

/* ---- what it takes ---- */

static const char *const counted[] = {"Com_stmt_execute", "Handler_write", "Handler_update",
                                      "Handler_delete", "Handler_commit"};

static int64_t cost(const struct pair *pair, bool second, const char *pattern)
{
    int64_t before = status_of(pattern);
    (void)time_of(pair, second);
    return status_of(pattern) - before;
}

/* A turn that nobody has taken yet is a row to be added (turn.h). */
static void make_turns(void)
{
    for (int kind = 64; kind < 128; kind++)
        run_sql(say("INSERT IGNORE INTO list_counts (total, owner, kind, n) VALUES "
                    "(0, '00000000-0000-0000-0000-000000000000', %d, 0)",
                    kind));
}

static void set_up_required(void)
{
    set_up();
    make_disabled_user("disabled@example.org", ROLE_USER);
    loopback_set(MAIL, "VERIFY_EMAIL=required", "LIMITS=off", "ACCESS_TTL_S=86400");
    ada = enter("ada@example.org");
    bob = enter("bob@example.org");
    make_turns();
}

CASE("timing", set_up_required, loopback_close);
CASE_LIMIT_S(3600);

TEST_EACH(two_answers_take_the_same_statements_and_rows, pairs)
{
    const struct pair *pair = &pairs[_i];
    for (int i = 0; i < 2; i++) /* which prepares */
        (void)time_of(pair, i);
    for (int i = 0; i < COUNT(counted) && !pair->differs; i++)
        ck_assert_msg(cost(pair, false, counted[i]) == cost(pair, true, counted[i]), "%s: %s",
                      pair->name, counted[i]);
    /* Nor does what the next one finds tell what the last one was. */
    for (int i = 0; i < COUNT(counted) && !pair->differs; i++) {
        int64_t after_second = cost(pair, false, counted[i]);
        ck_assert_msg(cost(pair, false, counted[i]) == after_second, "%s, again: %s", pair->name,
                      counted[i]);
    }
}

/* ---- how long ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct sample {
    double mean, error; /* of the mean, squared */
};

/* Without the slowest tenth, which is others' work. */
static struct sample sample_of(double *times, size_t n)
{
    struct sample sample = {0, 0};
    double sum = 0, squares = 0;
    qsort(times, n, sizeof *times, compare);
    n -= n / 10;
    for (size_t i = 0; i < n; i++)
        sum += times[i];
    sample.mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (times[i] - sample.mean) * (times[i] - sample.mean);
    sample.error = squares / (double)(n - 1) / (double)n;
    return sample;
}

static double welch(double *first, double *second, size_t n)
{
    struct sample a = sample_of(first, n), b = sample_of(second, n);
    return (a.mean - b.mean) / sqrt(a.error + b.error);
}

/* In turns, of which chance says who begins, so that nothing else comes with one of them. */
static double compare_times(const struct pair *pair, size_t rounds)
{
    double *times[2];
    unsigned seed = torture_seed();
    for (int i = 0; i < 2; i++)
        times[i] = calloc(rounds, sizeof **times);
    for (size_t round = 0; round < rounds; round++) {
        int first = rand_r(&seed) % 2;
        for (int i = 0; i < 2; i++)
            times[first ^ i][round] = (double)time_of(pair, first ^ i);
        if (round % 500 == 0) {
            run_sql("DELETE FROM outbox");
            run_sql("DELETE FROM mailed_tokens");
            run_sql("DELETE FROM registrations");
            for (int i = 0; i < 4; i++)
                (void)time_of(pair, i % 2);
        }
    }
    double t = welch(times[0], times[1], rounds);
    for (int i = 0; i < 2; i++)
        free(times[i]);
    return t;
}

TEST_EACH(two_answers_take_the_same_time, pairs)
{
    const struct pair *pair = &pairs[_i];
    int rounds = torture_rounds(USUAL);
    if (rounds == USUAL)
        return; /* no time is asserted but by `make torture` */

    double t = compare_times(pair, (size_t)(pair->takes_hash ? rounds / 2 : 2 * rounds));

    printf("%s: t = %.2f\n", pair->name, t);
    ck_assert_msg((fabs(t) > T_MAX) == pair->differs, "%s: t = %.2f", pair->name, t);
}

/* needs: mariadb */
/* What an answer to login does not say, its time does not say either: whoever is refused has cost
 * the same statements and hashes, and in `make torture` the same time, by Welch's t over thousands
 * of questions in turn. */
#include <argon2.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/crypto/password.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"
#include "tests/support/torture.h"

#define USUAL_ROUNDS 100
/* The square of 4.5, which chance alone reaches once in a hundred thousand times. */
#define T2_MAX (4.5 * 4.5)

/* ---- hashes at a test's cost ---- */

static unsigned hashes;

/* In the place of the library's: as it is, with a thousandth of the memory. */
int argon2_ctx(argon2_context *context, argon2_type type)
{
    int (*real)(argon2_context *, argon2_type);
    *(void **)&real = dlsym(RTLD_NEXT, "argon2_ctx");
    argon2_context cheap = *context;
    cheap.m_cost = 64;
    cheap.t_cost = 1;
    hashes++;
    return real(&cheap, type);
}

/* ---- questions ---- */

struct question {
    const char *what, *email, *password;
    int status;
};

static const struct question questions[] = {
    {"wrong", "ada@example.org", "is not the password", 401},
    {"unknown", "nobody@example.org", "is not the password", 401},
    {"inactive and wrong", "disabled@example.org", "is not the password", 401},
    {"inactive and right", "disabled@example.org", PASSWORD, 401},
    {"right", "ada@example.org", PASSWORD, 200},
};

/* What one question cost. */
struct cost {
    double us;
    unsigned hashes;
    uint64_t statements;
};

static struct cost ask(const struct question *q)
{
    struct timespec from, to;
    hashes = 0;
    (void)db_take_counts(the_app->db);
    clock_gettime(CLOCK_MONOTONIC, &from);
    struct answer answer = try_login(q->email, q->password);
    clock_gettime(CLOCK_MONOTONIC, &to);
    ck_status(answer, q->status);
    return (struct cost){(double)(to.tv_sec - from.tv_sec) * 1e6 +
                             (double)(to.tv_nsec - from.tv_nsec) / 1e3,
                         hashes, db_take_counts(the_app->db).statements};
}

/* ---- Welch's t ---- */

struct sample {
    double n, mean, squares; /* Welford's */
};

static void add(struct sample *s, double x)
{
    double before = x - s->mean;
    s->n++;
    s->mean += before / s->n;
    s->squares += before * (x - s->mean);
}

/* Its square, which needs no libm. */
static double welch(const struct sample *a, const struct sample *b)
{
    double difference = a->mean - b->mean;
    return difference * difference /
           (a->squares / (a->n - 1) / a->n + b->squares / (b->n - 1) / b->n);
}

/* The square of t of two questions, in turn and in either order, so that what the machine does
 * besides falls on both. */
static double compare(const struct question *one, const struct question *other, int rounds)
{
    struct sample samples[2] = {{0}};
    for (int i = 0; i < rounds; i++) {
        bool swapped = (i * 2654435761u) >> 31;
        add(&samples[swapped], ask(swapped ? other : one).us);
        add(&samples[!swapped], ask(swapped ? one : other).us);
    }
    printf("%s and %s: %.0f and %.0f us, t^2 = %.2f over %d\n", one->what, other->what,
           samples[0].mean, samples[1].mean, welch(&samples[0], &samples[1]), rounds);
    return welch(&samples[0], &samples[1]);
}

/* ---- the tests ---- */

static void set_up(void)
{
    const char *hash;
    loopback_open();
    loopback_set("LOGIN_LIMIT=off", "LIMITS=off", "SESSIONS_MAX=1");
    (void)make_user("ada@example.org", ROLE_USER);
    (void)make_disabled_user("disabled@example.org", ROLE_USER);
    must(password_hash(the_arena, TEXT(PASSWORD), &hash));
    run_sql(say("UPDATE users SET password_hash = '%s'", hash));
}

CASE("time", set_up, loopback_close);
CASE_LIMIT_S(600);

#define REFUSED 4 /* of the questions */

TEST_TIMES(who_is_refused_has_cost_the_same, REFUSED)
{
    (void)ask(&questions[_i]); /* prepares the statements */

    struct cost wrong = ask(&questions[0]), cost = ask(&questions[_i]);

    ck_assert_uint_eq(cost.hashes, 1);
    ck_assert_uint_eq(cost.statements, wrong.statements);
}

/* A machine that is busy besides is given a second try. */
TEST_TIMES(who_is_refused_has_taken_the_same_time, REFUSED)
{
    int rounds = torture_rounds(USUAL_ROUNDS);

    double t2 = compare(&questions[0], &questions[_i], rounds);

    if (rounds > USUAL_ROUNDS && t2 >= T2_MAX)
        t2 = compare(&questions[0], &questions[_i], rounds);
    ck_assert_msg(rounds == USUAL_ROUNDS || t2 < T2_MAX, "t^2 = %.2f", t2);
}

/* It writes a session. If this were not seen, nothing would be. */
TEST(who_is_let_in_has_taken_longer)
{
    int rounds = torture_rounds(USUAL_ROUNDS);

    double t2 = compare(&questions[0], &questions[REFUSED], rounds);

    ck_assert_msg(rounds == USUAL_ROUNDS || t2 >= T2_MAX, "t^2 = %.2f", t2);
}

/* ---- hashes of other programs ---- */

/* Werkzeug's, of PASSWORD, with few rounds. Each costs its own time, and ours is not called. */
#define IMPORTED                                                                                   \
    "pbkdf2:sha256:10000$saltsalt$"                                                                \
    "6e2261f5f205a0cfc194100a9e80c075513a906cea7981ffa731f8ecf043e69a"

static const char
    *unknown_as[2]; /* addresses that nobody has, by how many hashes of ours one costs */

static unsigned hashes_of(const char *email)
{
    const struct question q = {"unknown", email, "is not the password", 401};
    return ask(&q).hashes;
}

/* Half of the users have come from elsewhere. */
static void set_up_imported(void)
{
    set_up();
    for (int i = 0; i < 20; i++)
        (void)make_user(say("%cc@example.org", 'b' + i), ROLE_USER);
    run_sql("UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email = "
            "'ada@example.org')");
    run_sql("UPDATE users SET password_hash = '" IMPORTED "' WHERE ORD(email) % 2 = 0");
    for (int i = 0; !unknown_as[0] || !unknown_as[1]; i++) {
        const char *email = say("nobody%d@example.org", i);
        unknown_as[hashes_of(email)] = email;
    }
}

CASE("imported", set_up_imported, loopback_close);
CASE_LIMIT_S(600);

/* Of `fc` the hash is another program's, of `ec` ours. */
TEST(an_address_that_nobody_has_costs_what_some_user_does)
{
    const struct question imported = {"imported", "fc@example.org", "is not the password", 401};
    const struct question ours = {"ours", "ec@example.org", "is not the password", 401};
    struct cost of_imported = ask(&imported), of_ours = ask(&ours);
    unsigned as_ours = 0;
    ck_assert_uint_eq(of_imported.hashes, 0);
    ck_assert_uint_eq(of_ours.hashes, 1);
    ck_assert_uint_eq(of_imported.statements, of_ours.statements);

    for (int i = 0; i < 100; i++) {
        const char *email = say("stranger%d@example.com", i);
        unsigned first = hashes_of(email);
        ck_assert_uint_eq(hashes_of(email), first); /* each time the same */
        ck_assert_uint_eq(hashes_of(say("STRANGER%d@Example.com", i)), first);
        as_ours += first;
    }

    ck_assert_uint_ge(as_ours, 10);
    ck_assert_uint_le(as_ours, 90);
}

/* A guess that fits somebody else's password is none. */
TEST(an_address_that_nobody_has_lets_nobody_in)
{
    for (int i = 0; i < 2; i++) {
        const struct question q = {"unknown", unknown_as[i], PASSWORD, 401};
        (void)ask(&q);
    }
}

TEST_TIMES(who_is_refused_has_taken_the_time_of_some_user, 2)
{
    int rounds = torture_rounds(USUAL_ROUNDS);
    const struct question unknown = {"unknown", unknown_as[_i], "is not the password", 401};
    const struct question known = {_i == 0 ? "imported, wrong" : "ours, wrong",
                                   _i == 0 ? "fc@example.org" : "ec@example.org",
                                   "is not the password", 401};

    double t2 = compare(&known, &unknown, rounds);

    if (rounds > USUAL_ROUNDS && t2 >= T2_MAX)
        t2 = compare(&known, &unknown, rounds);
    ck_assert_msg(rounds == USUAL_ROUNDS || t2 < T2_MAX, "t^2 = %.2f", t2);
}

/* What would be seen if all addresses that nobody has cost a hash of ours. */
TEST(imported_hashes_take_another_time)
{
    int rounds = torture_rounds(USUAL_ROUNDS);
    const struct question unknown = {"unknown", unknown_as[1], "is not the password", 401};
    const struct question known = {"imported", "fc@example.org", "is not the password", 401};

    double t2 = compare(&known, &unknown, rounds);

    ck_assert_msg(rounds == USUAL_ROUNDS || t2 >= T2_MAX, "t^2 = %.2f", t2);
}

/* The first login replaces the hash; from then on the user costs what ours do. */
TEST(who_is_let_in_with_an_imported_hash_has_one_of_ours)
{
    const struct question right = {"right", "fc@example.org", PASSWORD, 200};
    const struct question wrong = {"wrong", "fc@example.org", "is not the password", 401};

    ck_assert_uint_eq(ask(&right).hashes, 1);

    ck_assert_uint_eq(ask(&wrong).hashes, 1);
}

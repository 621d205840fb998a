/* needs: mariadb */
/* Messages that wait, in the database. */
#include "fcgi-app/mail/outbox.h"

#include <string.h>

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/db/db.h"
#include "fcgi-app/mail/secret.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define HOUR_S 3600
#define CLAIM_S 60

static struct instant in_s(int64_t seconds)
{
    return instant_plus_s(the_time, seconds);
}

/* `seconds` from now; returns its id. */
static struct uuid add(enum letter_kind kind, int64_t seconds)
{
    const struct letter letter = {.id = uuid_make(instant_now()),
                                  .kind = kind,
                                  .to = TEXT("ada@example.org"),
                                  .other = TEXT("countess@example.org"),
                                  .expires_at = in_s(HOUR_S),
                                  .at = in_s(seconds)};
    must(outbox_add(the_app, the_arena, &letter));
    return letter.id;
}

static bool claim_at(int64_t seconds, struct outbox_row *ret)
{
    bool found;
    must(outbox_claim(the_app->db, the_arena, in_s(seconds), CLAIM_S, ret, &found));
    return found;
}

static struct uuid claimed_at(int64_t seconds)
{
    struct outbox_row row = {0};
    return claim_at(seconds, &row) ? row.id : (struct uuid){{0}};
}

static void ck_uuid_eq(struct uuid left, struct uuid right)
{
    ck_assert(uuid_equal(&left, &right));
}

static struct outbox_row claim(void)
{
    struct outbox_row row = {0};
    ck_assert(claim_at(0, &row));
    return row;
}

static int64_t rows_where(const char *condition)
{
    return rows_in(say("outbox WHERE %s", condition));
}

static struct outbox_counts counts(void)
{
    struct outbox_counts counts;
    must(outbox_count(the_app->db, the_arena, &counts));
    return counts;
}

CASE("adding", loopback_open, loopback_close);

TEST(a_row_has_what_the_message_is_made_of_and_no_token)
{
    struct outbox_row row = {0};
    struct uuid id = add(LETTER_CHANGE, 0);
    struct uuid same = id;

    row = claim();

    ck_uuid_eq(row.id, same);
    ck_assert_str_eq(row.kind.data, "change");
    ck_assert_str_eq(row.address.data, "ada@example.org");
    ck_assert_str_eq(row.other.data, "countess@example.org");
    ck_assert(text_equal(row.kid, letter_kid(the_app)));
    ck_assert_int_eq(row.created_at.us, the_time.us);
    ck_assert_int_eq(row.expires_at.us, in_s(HOUR_S).us);
    ck_assert_int_eq(row.attempts, 1);
    const char *secret = letter_secret(the_app, the_arena, &id, row.kid);
    ck_assert_int_eq(rows_where(say("CONCAT_WS(' ', id, kind, address, other, kid, state, claim, "
                                    "last_end) LIKE '%%%s%%'",
                                    secret)),
                     0);
}

static struct problem *add_and_fail(void *context)
{
    (void)context;
    (void)add(LETTER_RESET, 0);
    return problem(the_arena, &problem_invalid, NULL);
}

TEST(it_goes_with_the_transaction_of_its_cause)
{
    struct problem *p = db_transaction(the_app->db, the_arena, add_and_fail, NULL, NULL);

    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(rows_where("1"), 0);
}

TEST(a_worker_knows_that_it_has_added_something)
{
    ck_assert(!the_app->has_letters);
    (void)add(LETTER_NOBODY, 0);
    ck_assert(the_app->has_letters);

    outbox_wake(the_app);

    ck_assert(!the_app->has_letters);
}

TEST(a_message_for_nobody_is_never_sent)
{
    (void)add(LETTER_NOBODY, 0);

    ck_assert_int_eq(claimed_at(0).bytes[0], 0);
    ck_assert_int_eq(counts().waiting, 0);
}

TEST(a_token_takes_a_key_and_a_notice_takes_none)
{
    struct letter letter = {.id = uuid_make(the_time),
                            .kind = LETTER_RESET,
                            .to = TEXT("ada@example.org"),
                            .expires_at = in_s(HOUR_S)};
    struct keyring *keys = the_app->keys;
    the_app->keys = NULL;

    struct problem *p = outbox_add(the_app, the_arena, &letter);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_internal);

    letter.kind = LETTER_PASSWORD_CHANGED;
    must(outbox_add(the_app, the_arena, &letter));
    the_app->keys = keys;
    ck_assert_int_eq(rows_where("kid IS NULL"), 1);
}

CASE("claims", loopback_open, loopback_close);

TEST(who_waits_for_longest_comes_first)
{
    struct uuid second = add(LETTER_RESET, -1), first = add(LETTER_VERIFY, -2),
                third = add(LETTER_VERIFY, 1);

    ck_uuid_eq(claimed_at(0), first);
    ck_uuid_eq(claimed_at(0), second);
    ck_assert(!claim_at(0, &(struct outbox_row){0}));
    ck_uuid_eq(claimed_at(1), third);
}

TEST(nobody_else_gets_it_until_the_claim_ends)
{
    struct uuid id = add(LETTER_RESET, 0);
    struct outbox_row first = claim(), second = {0};

    ck_assert(!claim_at(CLAIM_S - 1, &second));
    ck_assert(claim_at(CLAIM_S, &second));

    ck_uuid_eq(second.id, id);
    ck_assert(!uuid_equal(&first.claim, &second.claim));
    ck_assert_int_eq(second.attempts, 2);
}

TEST(what_was_sent_is_deleted)
{
    (void)add(LETTER_RESET, 0);
    struct outbox_row row = claim();

    must(outbox_done(the_app->db, the_arena, &row));

    ck_assert_int_eq(rows_where("1"), 0);
}

TEST(whose_claim_ended_changes_nothing)
{
    (void)add(LETTER_RESET, 0);
    struct outbox_row late = claim(), ours = {0};
    ck_assert(claim_at(CLAIM_S, &ours));

    must(outbox_done(the_app->db, the_arena, &late));
    late.state = OUTBOX_FAILED;
    must(outbox_put_back(the_app->db, the_arena, &late));

    ck_assert_int_eq(rows_where("state = 'waiting' AND claim IS NOT NULL"), 1);
    must(outbox_done(the_app->db, the_arena, &ours));
    ck_assert_int_eq(rows_where("1"), 0);
}

TEST(what_is_put_back_waits_for_its_time)
{
    struct uuid id = add(LETTER_RESET, 0);
    struct outbox_row row = claim(), again = {0};
    struct instant next;
    bool found;

    row.due_at = in_s(90);
    row.last_end = TEXT("exit 75");
    must(outbox_put_back(the_app->db, the_arena, &row));

    must(outbox_next(the_app->db, the_arena, &next, &found));
    ck_assert(found);
    ck_assert_int_eq(next.us, in_s(90).us);
    ck_assert(!claim_at(89, &again));
    ck_assert(claim_at(90, &again));
    ck_uuid_eq(again.id, id);
    ck_assert_str_eq(again.last_end.data, "exit 75");
}

static void claim_all(void *context)
{
    struct outbox_row row = {0};
    (void)context;
    while (claim_at(0, &row))
        must(outbox_done(the_app->db, the_arena, &row));
}

/* A row that two of them took would be deleted by one, and counted by both. */
TEST(of_many_senders_each_row_goes_to_one)
{
    pid_t pids[4];
    run_sql("CREATE TABLE IF NOT EXISTS taken (n INT AUTO_INCREMENT PRIMARY KEY, id UUID)");
    run_sql("DELETE FROM taken");
    run_sql("CREATE TRIGGER IF NOT EXISTS note_claim AFTER UPDATE ON outbox FOR EACH ROW "
            "INSERT INTO taken (id) VALUES (NEW.id)");
    for (int i = 0; i < 40; i++)
        (void)add(LETTER_RESET, -i % 3);

    for (int i = 0; i < COUNT(pids); i++)
        pids[i] = run_aside(claim_all, NULL);
    for (int i = 0; i < COUNT(pids); i++)
        wait_for(pids[i]);

    run_sql("DROP TRIGGER note_claim");
    ck_assert_int_eq(rows_where("1"), 0);
    ck_assert_int_eq(rows_in("taken"), 40);
    ck_assert_int_eq(ask_number("SELECT COUNT(DISTINCT id) AS n FROM taken"), 40);
    run_sql("DROP TABLE taken");
}

CASE("tidying", loopback_open, loopback_close);

static bool tidy_at(int64_t seconds)
{
    bool more;
    must(outbox_tidy(the_app->db, the_arena, in_s(seconds), &more));
    return more;
}

TEST(rows_for_nobody_go)
{
    for (int i = 0; i < 101; i++)
        (void)add(LETTER_NOBODY, 0);
    (void)add(LETTER_RESET, 0);

    ck_assert(tidy_at(0));
    ck_assert(!tidy_at(0));

    ck_assert_int_eq(rows_where("1"), 1);
}

TEST(what_was_not_sent_goes_when_it_was_there_for_long_enough)
{
    static const unsigned states[] = {OUTBOX_FAILED, OUTBOX_GIVEN_UP};
    for (int i = 0; i < COUNT(states); i++) {
        (void)add(LETTER_RESET, 0);
        struct outbox_row row = claim();
        row.state = states[i];
        row.due_at = in_s(OUTBOX_KEPT_S);
        must(outbox_put_back(the_app->db, the_arena, &row));
    }
    ck_assert_int_eq(counts().failed, 1);
    ck_assert_int_eq(counts().given_up, 1);

    (void)tidy_at(OUTBOX_KEPT_S - 1);
    ck_assert_int_eq(rows_where("1"), 2);
    (void)tidy_at(OUTBOX_KEPT_S);
    ck_assert_int_eq(rows_where("1"), 0);
}

/* Its pause was an hour at most, so the clock was ahead then. */
TEST(a_clock_that_was_set_back_keeps_no_message)
{
    struct uuid id = add(LETTER_RESET, 24 * HOUR_S);
    (void)add(LETTER_RESET, HOUR_S);

    (void)tidy_at(0);

    ck_uuid_eq(claimed_at(0), id);
    ck_assert(!claim_at(0, &(struct outbox_row){0}));
}

TEST(the_oldest_that_waits_is_known)
{
    ck_assert_int_eq(counts().oldest.us, 0);
    (void)add(LETTER_NOBODY, -500);
    (void)add(LETTER_RESET, -400);
    (void)add(LETTER_RESET, -300);

    struct outbox_counts got = counts();

    ck_assert_int_eq(got.waiting, 2);
    ck_assert_int_eq(got.oldest.us, in_s(-400).us);
}

CASE("again", loopback_open, loopback_close);

static void fail_one(int64_t expires_s)
{
    const struct letter letter = {.id = uuid_make(instant_now()),
                                  .kind = LETTER_RESET,
                                  .to = TEXT("ada@example.org"),
                                  .expires_at = in_s(expires_s),
                                  .at = the_time};
    must(outbox_add(the_app, the_arena, &letter));
    struct outbox_row row = claim();
    row.state = OUTBOX_FAILED;
    row.due_at = in_s(OUTBOX_KEPT_S);
    must(outbox_put_back(the_app->db, the_arena, &row));
}

static bool retry(const struct uuid *id, int64_t seconds)
{
    bool found;
    must(outbox_retry(the_app->db, the_arena, id, in_s(seconds), &found));
    return found;
}

TEST(one_is_tried_again_as_if_for_the_first_time)
{
    struct uuid id = add(LETTER_RESET, 0);
    struct outbox_row row = claim();
    row.state = OUTBOX_GIVEN_UP;
    row.due_at = in_s(OUTBOX_KEPT_S);
    must(outbox_put_back(the_app->db, the_arena, &row));

    ck_assert(retry(&id, 1));

    ck_assert(claim_at(1, &row));
    ck_assert_int_eq(row.attempts, 1);
}

TEST(what_is_being_sent_and_what_has_expired_is_not)
{
    struct uuid id = add(LETTER_RESET, 0), unknown = id_of(NOBODY_ID),
                nobody = add(LETTER_NOBODY, 0);
    (void)claim();

    ck_assert(!retry(&id, 0));
    ck_assert(retry(&id, CLAIM_S)); /* whoever sent it is gone */
    ck_assert(!retry(&id, HOUR_S));
    ck_assert(!retry(&unknown, 0));
    ck_assert(!retry(&nobody, 0));
}

TEST(all_that_can_be_are_tried_again)
{
    uint64_t count;
    fail_one(HOUR_S);
    fail_one(HOUR_S);
    fail_one(-1);
    (void)add(LETTER_NOBODY, 60);

    must(outbox_retry_some(the_app->db, the_arena, the_time, &count));
    ck_assert_uint_eq(count, 2);
    must(outbox_retry_some(the_app->db, the_arena, the_time, &count));
    ck_assert_uint_eq(count, 0);

    ck_assert_int_eq(rows_where("state = 'waiting'"), 2);
}

/* ---- what it costs ---- */

CASE("costs", loopback_open, loopback_close);

static int64_t rows_read(void)
{
    return ask_number("SELECT CAST(SUM(VARIABLE_VALUE) AS INT) AS n FROM "
                      "information_schema.SESSION_STATUS WHERE VARIABLE_NAME IN "
                      "('HANDLER_READ_NEXT', 'HANDLER_READ_RND_NEXT', 'HANDLER_READ_PREV')");
}

/* A thousand that wait for later, failed, or are there for nobody. */
static void fill(void)
{
    run_sql("INSERT INTO outbox (id, kind, address, created_at, expires_at, state, due_at) "
            "SELECT UUID(), 'reset', 'ada@example.org', UTC_TIMESTAMP(6), "
            "UTC_TIMESTAMP(6) + INTERVAL 1 DAY, "
            "ELT(1 + seq % 4, 'waiting', 'failed', 'given_up', 'nobody'), "
            "UTC_TIMESTAMP(6) + INTERVAL 30 MINUTE FROM seq_1_to_1000");
    run_sql("ANALYZE TABLE outbox");
}

TEST(a_claim_reads_no_more_in_a_large_outbox)
{
    struct outbox_row row = {0};
    bool found;
    fill();
    struct uuid id = add(LETTER_RESET, -1);
    (void)claimed_at(-HOUR_S); /* prepares the statements */
    int64_t before = rows_read(), idle = rows_read() - before;
    before = rows_read();

    ck_assert(claim_at(0, &row));
    ck_uuid_eq(row.id, id);
    must(outbox_next(the_app->db, the_arena, &(struct instant){0}, &found));
    must(outbox_done(the_app->db, the_arena, &row));
    (void)tidy_at(0);

    ck_assert_int_le(rows_read() - before - idle, 6);
}

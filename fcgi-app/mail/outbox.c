#include "fcgi-app/mail/outbox.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/problem.h"
#include "common/db/db.h"
#include "common/field/field.h"
#include "fcgi-app/app.h"
#include "fcgi-app/mail/secret.h"

#define TIDY_MAX 100
#define RETRY_MAX 100

static const char *const state_words[] = {"waiting", "failed", "given_up", "nobody", NULL};

static const struct field row_fields[] = {
    FIELD(struct outbox_row, id, .doc = "Its id."),
    FIELD(struct outbox_row, kind, .doc = "What kind of message."),
    FIELD(struct outbox_row, address, .doc = "To whom."),
    FIELD(struct outbox_row, other, .doc = "Whom else it names."),
    FIELD(struct outbox_row, kid, .doc = "The key of its token."),
    FIELD(struct outbox_row, created_at, .doc = "When its cause happened."),
    FIELD(struct outbox_row, expires_at, .doc = "When its token expires."),
    FIELD(struct outbox_row, state, .choices = state_words, .doc = "What becomes of it."),
    FIELD(struct outbox_row, due_at, .doc = "When it may be taken."),
    FIELD(struct outbox_row, claim, .doc = "Who sends it."),
    FIELD(struct outbox_row, attempts, .doc = "How often that was tried."),
    FIELD(struct outbox_row, last_end, .doc = "How the last attempt ended."),
};
static const struct record row_record =
    RECORD("OutboxRow", struct outbox_row, row_fields, .rule = NULL);

struct count {
    int64_t rows;
    struct instant oldest;
};

static const struct field count_fields[] = {
    FIELD(struct count, rows, .doc = "How many there are."),
    FIELD(struct count, oldest, .doc = "When the first of them was made."),
};
static const struct record count_record =
    RECORD("OutboxCount", struct count, count_fields, .rule = NULL);

#define COLUMNS                                                                                    \
    "id, kind, address, other, kid, created_at, expires_at, state, due_at, claim, attempts, "      \
    "last_end"

static const struct sql sql_add = {
    "INSERT INTO outbox (id, kind, address, other, kid, created_at, expires_at, state, due_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    NULL};
static const struct sql sql_find_due = {
    "SELECT " COLUMNS " FROM outbox FORCE INDEX (ix_outbox_due) "
    "WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at, id LIMIT 1",
    &row_record};
/* Of two senders that have read the same row, one finds it as it was. */
static const struct sql sql_claim = {
    "UPDATE outbox SET claim = ?, due_at = ?, attempts = attempts + 1 "
    "WHERE id = ? AND state = 'waiting' AND due_at = ?",
    NULL};
static const struct sql sql_done = {"DELETE FROM outbox WHERE id = ? AND claim = ?", NULL};
static const struct sql sql_put_back = {
    "UPDATE outbox SET state = ?, due_at = ?, last_end = ?, claim = NULL "
    "WHERE id = ? AND claim = ?",
    NULL};
static const struct sql sql_next = {"SELECT due_at FROM outbox FORCE INDEX (ix_outbox_due) "
                                    "WHERE state = 'waiting' ORDER BY due_at LIMIT 1",
                                    &row_record};
static const struct sql sql_old = {"SELECT id FROM outbox FORCE INDEX (ix_outbox_due) "
                                   "WHERE state IN ('nobody', 'failed', 'given_up') "
                                   "AND due_at <= ? LIMIT ?",
                                   &row_record};
static const struct sql sql_delete = {"DELETE FROM outbox WHERE id = ?", NULL};
static const struct sql sql_late = {"SELECT id FROM outbox FORCE INDEX (ix_outbox_due) "
                                    "WHERE state = 'waiting' AND due_at > ? LIMIT ?",
                                    &row_record};
static const struct sql sql_pull = {
    "UPDATE outbox SET due_at = ? WHERE id = ? AND state = 'waiting' AND due_at > ?", NULL};
static const struct sql sql_count = {
    "SELECT COUNT(*) AS `rows`, MIN(created_at) AS oldest FROM (SELECT created_at FROM outbox "
    "FORCE INDEX (ix_outbox_oldest) WHERE state = ? ORDER BY id LIMIT ?) AS some",
    &count_record};
static const struct sql sql_walk = {"SELECT " COLUMNS
                                    " FROM outbox WHERE id > ? AND state <> 'nobody' "
                                    "ORDER BY id LIMIT ?",
                                    &row_record};
#define SET_AGAIN "UPDATE outbox SET state = 'waiting', due_at = ?, attempts = 0, claim = NULL "
static const struct sql sql_retry = {
    SET_AGAIN "WHERE id = ? AND state <> 'nobody' AND expires_at > ? AND (claim IS NULL OR "
              "due_at <= ?)",
    NULL};
/* Those that are due by now need nothing, and so each run finds other rows. */
static const struct sql sql_retry_some = {
    SET_AGAIN "WHERE state IN ('waiting', 'failed', 'given_up') AND due_at > ? AND expires_at > ? "
              "AND claim IS NULL LIMIT ?",
    NULL};

/* ---- adding ---- */

static struct problem *insert(struct app *app, struct arena *a, const struct letter *letter,
                              struct text kid)
{
    struct instant at = letter->at.us ? letter->at : instant_now();
    bool nobody = letter->kind == LETTER_NOBODY;
    return db_execute(
        app->db, a, &sql_add,
        DB_ARGS(
            db_uuid(letter->id), db_text(text_of(letters[letter->kind].name)), db_text(letter->to),
            db_text(letter->other), db_text(kid), db_time(at), db_time(letter->expires_at),
            db_text(text_of(state_words[nobody ? OUTBOX_NOBODY : OUTBOX_WAITING])), db_time(at)),
        NULL);
}

struct problem *outbox_add(struct app *app, struct arena *a, const struct letter *letter)
{
    struct text kid = letter_kid(app);
    if (letter_has_token(letter->kind) && !kid.data)
        return problem_because(a, &problem_internal, "a message with a token, and no key");
    struct problem *p = insert(app, a, letter, kid);
    if (!p)
        app->has_letters = true;
    return p;
}

/* Full, or without a reader: then there is a sender that was woken, or one that looks by itself. */
void outbox_wake(struct app *app)
{
    static const uint64_t one = 1;
    app->has_letters = false;
    if (app->mail_wake >= 0)
        while (write(app->mail_wake, &one, sizeof one) < 0 && errno == EINTR)
            continue;
}

/* ---- sending ---- */

static struct problem *take(struct db *db, struct arena *a, struct instant until,
                            struct outbox_row *row, bool *ret_ours)
{
    uint64_t matched = 0;
    struct instant before = row->due_at;
    row->claim = uuid_make(instant_now());
    row->due_at = until;
    row->attempts++;
    struct problem *p = db_execute(
        db, a, &sql_claim,
        DB_ARGS(db_uuid(row->claim), db_time(until), db_uuid(row->id), db_time(before)), &matched);
    *ret_ours = matched > 0;
    return p;
}

struct problem *outbox_claim(struct db *db, struct arena *a, struct instant now, int64_t claim_s,
                             struct outbox_row *ret, bool *ret_found)
{
    struct outbox_row row = {0};
    bool found, ours = false;
    do {
        struct problem *p = db_find(db, a, &sql_find_due, DB_ARGS(db_time(now)), &row, &found);
        if (!p && found)
            p = take(db, a, instant_plus_s(now, claim_s), &row, &ours);
        if (p)
            return p;
    } while (found && !ours);
    if (found)
        *ret = row;
    *ret_found = found;
    return NULL;
}

struct problem *outbox_done(struct db *db, struct arena *a, const struct outbox_row *row)
{
    return db_execute(db, a, &sql_done, DB_ARGS(db_uuid(row->id), db_uuid(row->claim)), NULL);
}

struct problem *outbox_put_back(struct db *db, struct arena *a, const struct outbox_row *row)
{
    return db_execute(db, a, &sql_put_back,
                      DB_ARGS(db_text(text_of(state_words[row->state])), db_time(row->due_at),
                              db_text(row->last_end), db_uuid(row->id), db_uuid(row->claim)),
                      NULL);
}

struct problem *outbox_next(struct db *db, struct arena *a, struct instant *ret, bool *ret_found)
{
    struct outbox_row row = {0};
    bool found;
    struct problem *p = db_find(db, a, &sql_next, DB_NO_ARGS, &row, &found);
    if (p)
        return p;
    if (found)
        *ret = row.due_at;
    *ret_found = found;
    return NULL;
}

/* ---- tidying ---- */

struct ids {
    struct uuid list[TIDY_MAX];
    size_t count;
};

static void note_id(void *context, const void *row)
{
    struct ids *ids = context;
    if (ids->count < TIDY_MAX)
        ids->list[ids->count++] = ((const struct outbox_row *)row)->id;
}

struct tidying {
    struct db *db;
    struct arena *arena;
    struct instant now;
    struct ids ids;
};

static struct problem *delete_each(void *context)
{
    struct tidying *t = context;
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < t->ids.count; i++)
        p = db_execute(t->db, t->arena, &sql_delete, DB_ARGS(db_uuid(t->ids.list[i])), NULL);
    return p;
}

static struct instant latest_due(struct instant now)
{
    return instant_plus_s(now, OUTBOX_PAUSE_MAX_S + OUTBOX_CLAIM_S + CLOCK_LEEWAY_S);
}

static struct problem *pull_each(void *context)
{
    struct tidying *t = context;
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < t->ids.count; i++)
        p = db_execute(
            t->db, t->arena, &sql_pull,
            DB_ARGS(db_time(t->now), db_uuid(t->ids.list[i]), db_time(latest_due(t->now))), NULL);
    return p;
}

/* The rows are found first, and then changed by their ids: whoever adds one at the same time never
 * waits for the gaps that a change of a whole range would lock. */
static struct problem *tidy(struct tidying *t, const struct sql *find, struct instant before,
                            struct problem *(*change)(void *context), bool *ret_more)
{
    t->ids.count = 0;
    struct problem *p = db_each(t->db, t->arena, find,
                                DB_ARGS(db_time(before), db_integer(TIDY_MAX)), note_id, &t->ids);
    if (!p && t->ids.count)
        p = db_transaction(t->db, t->arena, change, db_in_doubt_repeat, t);
    *ret_more |= t->ids.count == TIDY_MAX;
    return p;
}

struct problem *outbox_tidy(struct db *db, struct arena *a, struct instant now, bool *ret_more)
{
    struct tidying t = {.db = db, .arena = a, .now = now};
    bool more = false;
    struct problem *p = tidy(&t, &sql_old, now, delete_each, &more);
    if (!p)
        p = tidy(&t, &sql_late, latest_due(now), pull_each, &more);
    if (!p)
        *ret_more = more;
    return p;
}

/* ---- looking ---- */

static struct problem *count(struct db *db, struct arena *a, enum outbox_state state,
                             struct count *ret)
{
    bool found;
    return db_find(db, a, &sql_count,
                   DB_ARGS(db_text(text_of(state_words[state])), db_integer(OUTBOX_COUNT_MAX)), ret,
                   &found);
}

struct problem *outbox_count(struct db *db, struct arena *a, struct outbox_counts *ret)
{
    struct count waiting = {0}, failed = {0}, given_up = {0};
    struct problem *p = count(db, a, OUTBOX_WAITING, &waiting);
    if (!p)
        p = count(db, a, OUTBOX_FAILED, &failed);
    if (!p)
        p = count(db, a, OUTBOX_GIVEN_UP, &given_up);
    if (!p)
        *ret = (struct outbox_counts){waiting.rows, failed.rows, given_up.rows, waiting.oldest};
    return p;
}

struct problem *outbox_walk(struct db *db, struct arena *a, struct uuid after, int64_t limit,
                            void (*each)(void *context, const void *row), void *context)
{
    return db_each(db, a, &sql_walk, DB_ARGS(db_uuid(after), db_integer(limit)), each, context);
}

struct problem *outbox_retry(struct db *db, struct arena *a, const struct uuid *id,
                             struct instant now, bool *ret_found)
{
    uint64_t matched = 0;
    struct problem *p =
        db_execute(db, a, &sql_retry,
                   DB_ARGS(db_time(now), db_uuid(*id), db_time(now), db_time(now)), &matched);
    if (!p)
        *ret_found = matched > 0;
    return p;
}

struct problem *outbox_retry_some(struct db *db, struct arena *a, struct instant now,
                                  uint64_t *ret_count)
{
    return db_execute(db, a, &sql_retry_some,
                      DB_ARGS(db_time(now), db_time(now), db_time(now), db_integer(RETRY_MAX)),
                      ret_count);
}

#include "fcgi-app/mail/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/db/db.h"
#include "fcgi-app/app.h"
#include "fcgi-app/mail/message.h"
#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/secret.h"

#define MEMORY_MAX ((size_t)4 * 1024 * 1024)
#define LOOK_MS 30000
#define PAUSE_MIN_MS 1000 /* while the database is away; doubled up to a look's */
#define SAID_LOGGED 200   /* bytes */
#define PIECE_MIN 6       /* of a token that is worth hiding */
#define RUN_MIN 24        /* so many letters of base64 in a row may be all sorts of things */
#define MINUTE_S 60

static volatile sig_atomic_t stopping;
static sigset_t waiting_mask; /* lets in what ends us */

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

/* They come in while we wait, and never in the middle of a message. */
void sender_watch_signals(void)
{
    static const int ends[] = {SIGTERM, SIGINT};
    const struct sigaction action = {.sa_handler = stop};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        (void)sigaddset(&set, ends[i]);
    (void)sigprocmask(SIG_BLOCK, &set, &waiting_mask);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        (void)sigdelset(&waiting_mask, ends[i]);
        (void)sigaction(ends[i], &action, NULL);
    }
}

/* Has one come, or does one within so much time? */
static void look_for_signals(int64_t ms)
{
    const struct timespec timeout = {ms / 1000, ms % 1000 * 1000000};
    (void)ppoll(NULL, 0, &timeout, &waiting_mask);
}

/* Until there is something new, a signal, or so much time has passed. */
static void wait_for_news(const struct sender *s, int64_t ms)
{
    uint64_t news;
    struct pollfd fds = {.fd = s->wake, .events = POLLIN};
    const struct timespec timeout = {ms / 1000, ms % 1000 * 1000000};
    if (ppoll(&fds, 1, &timeout, &waiting_mask) > 0 && read(s->wake, &news, sizeof news) < 0 &&
        errno != EAGAIN && errno != EINTR)
        LOG(LOG_LEVEL_ERROR, log_event("mail_wake_failed"), log_text("cause", strerror(errno)));
}

struct problem *sender_init(struct sender *s, struct arena *a, struct app *app, int wake)
{
    *s = (struct sender){.app = app,
                         .wake = wake,
                         .now = instant_now,
                         .claim_s = OUTBOX_CLAIM_S,
                         .limit_ms = MAIL_LIMIT_MS,
                         .look_ms = LOOK_MS};
    return texts_load(a, app->settings->mail_texts, &s->texts);
}

/* ---- what the command has said ---- */

static bool is_base64(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("+/=_-", c));
}

/* How much of what begins at `at` is a piece of the token, wherever in it. */
static size_t piece_at(const char *at, size_t room, const char *token)
{
    size_t longest = 0;
    for (const char *from = token ? token : ""; *from; from++) {
        size_t len = 0;
        while (len < room && from[len] && from[len] == at[len])
            len++;
        longest = len > longest ? len : longest;
    }
    return longest >= PIECE_MIN ? longest : 0;
}

static size_t run_at(const char *at, size_t room)
{
    size_t len = 0;
    while (len < room && is_base64(at[len]))
        len++;
    return len >= RUN_MIN ? len : 0;
}

/* It may have said the whole message: every piece of the token is hidden, and whatever could be one
 * in another spelling. NULL for nothing. */
static const char *harmless(struct arena *a, struct text said, const char *token)
{
    size_t len = 0;
    char *text = arena_alloc(a, SAID_LOGGED + 4);
    for (size_t at = 0; at < said.len && len < SAID_LOGGED;) {
        size_t hidden = piece_at(said.data + at, said.len - at, token);
        if (!hidden)
            hidden = run_at(said.data + at, said.len - at);
        if (hidden) {
            memcpy(text + len, "***", 3);
            len += 3;
        } else {
            text[len++] = said.data[at];
        }
        at += hidden ? hidden : 1;
    }
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    text[len] = '\0';
    return len ? text : NULL;
}

/* ---- one message ---- */

static struct problem *make(struct sender *s, struct arena *a, const struct outbox_row *row,
                            const char **ret_token, const char **ret_message)
{
    enum letter_kind kind = letter_find(row->kind);
    *ret_token = NULL;
    if (kind == LETTER_KINDS || kind == LETTER_NOBODY)
        return problem_because(a, &problem_unavailable, "unknown kind");
    if (letter_has_token(kind)) {
        *ret_token = letter_secret(s->app, a, &row->id, row->kid);
        if (!*ret_token)
            return problem_because(a, &problem_internal, "no key");
    }
    const struct message message = {.id = row->id,
                                    .kind = kind,
                                    .to = row->address,
                                    .other = row->other,
                                    .token = *ret_token,
                                    .created_at = row->created_at,
                                    .expires_at = row->expires_at};
    struct problem *p = message_write(a, s->app->settings, &s->texts, &message, ret_message);
    return p ? problem_because(a, &problem_internal, "bad address") : NULL;
}

static struct mail_end deliver(struct sender *s, struct arena *a, const struct outbox_row *row)
{
    struct mail_end end;
    const char *token, *message;
    struct problem *p = make(s, a, row, &token, &message);
    if (p) /* a newer program may know the kind */
        return (struct mail_end){.verdict =
                                     p->type == &problem_unavailable ? MAIL_AGAIN : MAIL_REFUSED,
                                 .how = p->cause};
    mail_deliver(a, s->app->settings->mail_command.data, message, s->limit_ms, &end);
    end.said = text_of(harmless(a, end.said, token));
    return end;
}

/* In minutes 1, 2, 4 … */
static int64_t pause_s(int64_t attempts)
{
    int64_t pause = MINUTE_S;
    for (int64_t i = 1; i < attempts && pause < OUTBOX_PAUSE_MAX_S; i++)
        pause *= 2;
    return pause < OUTBOX_PAUSE_MAX_S ? pause : OUTBOX_PAUSE_MAX_S;
}

static bool is_past(const struct outbox_row *row, struct instant t)
{
    return t.us >= row->expires_at.us ||
           (row->attempts > 1 && t.us >= instant_plus_s(row->created_at, SENDER_GIVES_UP_S).us);
}

static void postpone(struct outbox_row *row, struct instant now)
{
    row->due_at = instant_plus_s(now, pause_s(row->attempts));
    row->state = OUTBOX_WAITING;
    row->attempts++; /* as the next one will find it */
    bool in_vain = is_past(row, row->due_at);
    row->attempts--;
    if (in_vain) {
        row->state = OUTBOX_GIVEN_UP;
        row->due_at = instant_plus_s(now, OUTBOX_KEPT_S);
    }
}

static void judge(struct outbox_row *row, const struct mail_end *end, struct instant now)
{
    row->last_end = text_of(end->how);
    if (end->verdict == MAIL_AGAIN) {
        postpone(row, now);
    } else {
        row->state = OUTBOX_FAILED;
        row->due_at = instant_plus_s(now, OUTBOX_KEPT_S);
    }
}

static void give_up(struct outbox_row *row, struct instant now)
{
    row->state = OUTBOX_GIVEN_UP;
    row->due_at = instant_plus_s(now, OUTBOX_KEPT_S);
    if (!row->last_end.data)
        row->last_end = TEXT("too late");
}

static void tell(const struct sender *s, const struct outbox_row *row, bool sent, const char *said)
{
    struct mail_numbers *numbers = &s->app->shared->mail;
    char id[UUID_TEXT_SIZE];
    const struct {
        const char *event;
        enum log_level level;
        _Atomic uint64_t *counter;
    } of[] = {[OUTBOX_WAITING] = {"mail_postponed", LOG_LEVEL_WARNING, &numbers->postponed},
              [OUTBOX_FAILED] = {"mail_failed", LOG_LEVEL_ERROR, &numbers->failed},
              [OUTBOX_GIVEN_UP] = {"mail_given_up", LOG_LEVEL_ERROR, &numbers->given_up},
              [OUTBOX_NOBODY] = {"mail_sent", LOG_LEVEL_INFO, &numbers->sent}};
    unsigned what = sent ? OUTBOX_NOBODY : row->state;
    uuid_format(&row->id, id);
    (void)atomic_fetch_add_explicit(of[what].counter, 1, memory_order_relaxed);
    LOG(of[what].level, log_event(of[what].event), log_text("id", id),
        log_text("kind", row->kind.data), log_number("attempts", row->attempts),
        log_text("end", sent ? NULL : row->last_end.data), log_text("said", sent ? NULL : said));
}

/* Until it is stored: nothing else can be done meanwhile, and the message must not go out twice.
 * Once the claim has ended somebody else may have it. */
static struct problem *settle(const struct sender *s, struct arena *a, const struct outbox_row *row,
                              bool sent, struct instant until)
{
    for (;;) {
        struct problem *p =
            sent ? outbox_done(s->app->db, a, row) : outbox_put_back(s->app->db, a, row);
        if (!p || stopping || s->now().us >= until.us)
            return p;
        LOG(LOG_LEVEL_WARNING, log_event("mail_not_noted"), log_text("cause", p->cause));
        look_for_signals(PAUSE_MIN_MS);
    }
}

static struct problem *handle(struct sender *s, struct arena *a, struct outbox_row *row)
{
    struct instant until = row->due_at;
    struct mail_end end = {.verdict = MAIL_AGAIN};
    if (is_past(row, s->now())) {
        give_up(row, s->now());
    } else {
        end = deliver(s, a, row);
        if (end.verdict != MAIL_SENT)
            judge(row, &end, s->now());
    }
    bool sent = end.verdict == MAIL_SENT;
    tell(s, row, sent, end.said.data);
    return settle(s, a, row, sent, until);
}

static struct problem *send_next(struct sender *s, struct arena *a, bool *ret_found)
{
    struct outbox_row row = {0};
    struct problem *p = outbox_claim(s->app->db, a, s->now(), s->claim_s, &row, ret_found);
    return !p && *ret_found ? handle(s, a, &row) : p;
}

struct problem *sender_send_due(struct sender *s, struct arena *a, void (*before)(void *context),
                                void *context)
{
    struct arena *own = arena_open(MEMORY_MAX);
    struct problem *p;
    bool found = false;
    do {
        arena_reset(own); /* with the token */
        if (before)
            before(context);
        p = send_next(s, own, &found);
        look_for_signals(0);
    } while (!p && found && !stopping);
    if (p)
        p = problem_because(a, p->type, "%s", p->cause ? p->cause : p->message);
    arena_close(own);
    return p;
}

struct problem *sender_try(struct sender *s, struct arena *a, const struct outbox_row *row,
                           struct mail_end *ret)
{
    const char *token, *message;
    struct problem *p = make(s, a, row, &token, &message);
    if (p)
        return p;
    mail_deliver(a, s->app->settings->mail_command.data, message, s->limit_ms, ret);
    return NULL;
}

/* ---- all of them ---- */

static struct problem *tidy(const struct sender *s, struct arena *a)
{
    bool more = true;
    struct problem *p = NULL;
    while (!p && more && !stopping)
        p = outbox_tidy(s->app->db, a, s->now(), &more);
    return p;
}

static struct problem *note_counts(const struct sender *s, struct arena *a)
{
    struct mail_numbers *numbers = &s->app->shared->mail;
    struct outbox_counts counts;
    struct problem *p = outbox_count(s->app->db, a, &counts);
    if (p)
        return p;
    atomic_store_explicit(&numbers->waiting, counts.waiting, memory_order_relaxed);
    atomic_store_explicit(&numbers->oldest_us, counts.oldest.us, memory_order_relaxed);
    return NULL;
}

/* How long until the next message is due; a look at the latest. */
static struct problem *find_next(const struct sender *s, struct arena *a, int64_t *ret_ms)
{
    struct instant due;
    bool found;
    struct problem *p = outbox_next(s->app->db, a, &due, &found);
    if (p)
        return p;
    int64_t ms = found ? (due.us - s->now().us) / 1000 + 1 : s->look_ms;
    if (ms < 0)
        ms = 0;
    *ret_ms = ms < s->look_ms ? ms : s->look_ms;
    return NULL;
}

static struct problem *work(struct sender *s, struct arena *a, int64_t *ret_ms)
{
    struct problem *p = sender_send_due(s, a, NULL, NULL);
    if (!p)
        p = tidy(s, a);
    if (!p)
        p = note_counts(s, a);
    return p ? p : find_next(s, a, ret_ms);
}

/* Nothing keeps a connection open that the pool's workers would close. */
static void rest(const struct sender *s, int64_t ms)
{
    int64_t idle_s = s->app->settings->db_idle_s;
    if (idle_s && ms >= idle_s * 1000)
        db_disconnect(s->app->db);
}

void sender_serve(struct sender *s)
{
    struct arena *a = arena_open(MEMORY_MAX);
    int64_t pause_ms = 0; /* while the database is away */
    sender_watch_signals();
    while (!stopping) {
        int64_t ms = s->look_ms;
        const struct problem *p = work(s, a, &ms);
        if (p && !pause_ms)
            LOG(LOG_LEVEL_WARNING, log_event("outbox_unavailable"), log_text("cause", p->cause));
        pause_ms = !p ? 0 : pause_ms ? pause_ms * 2 : PAUSE_MIN_MS;
        if (p)
            ms = pause_ms < s->look_ms ? pause_ms : s->look_ms;
        arena_reset(a);
        rest(s, ms);
        if (!stopping)
            wait_for_news(s, ms);
    }
    arena_close(a);
}

#include "fcgi-app/mailer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/log.h"
#include "common/base/problem.h"
#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/sender.h"
#include "fcgi-app/mail/texts.h"
#include "fcgi-app/worker.h"

#define MEMORY_MAX ((size_t)1024 * 1024)
#define LOOK_NS INT64_C(60000000000) /* a worker without a pool asks so often what is due */

struct problem *mailer_check(struct arena *a, const struct settings *settings)
{
    struct mail_texts texts;
    return texts_load(a, settings->mail_texts, &texts);
}

static void tell_of_failure(const struct problem *p)
{
    LOG(LOG_LEVEL_ERROR, log_event("cannot_send_mail"), log_text("cause", p->cause));
}

/* Open what a sender needs, and run it. */
static void send_with(const struct settings *settings, struct shared *shared, int wake,
                      void (*run)(struct sender *s, struct arena *a))
{
    struct arena *a = arena_open(MEMORY_MAX);
    struct sender sender;
    struct app *app = NULL;
    struct problem *p = app_open(a, settings, shared, &app);
    if (!p)
        p = sender_init(&sender, a, app, wake);
    if (p)
        tell_of_failure(p);
    else
        run(&sender, a);
    app_close(app);
    arena_close(a);
}

/* ---- the helper of a pool ---- */

static void serve(struct sender *s, struct arena *a)
{
    (void)a;
    sender_serve(s);
}

void mailer_help(const struct settings *settings, struct shared *shared, int wake)
{
    (void)prctl(PR_SET_NAME, MAILER_NAME);
    send_with(settings, shared, wake, serve);
}

/* ---- a grandchild ---- */

/* One at a time: who has it, has it for longer than any message takes, and then again. A killed one
 * keeps it for that long. */
#define TURN_MS (INT64_C(1000) * OUTBOX_CLAIM_S)

static bool take_turn(struct mail_numbers *numbers)
{
    int64_t until = atomic_load(&numbers->sender_until_ms), now = uptime_ms();
    bool is_free = until <= now || until > now + TURN_MS; /* of another start of the machine */
    return is_free &&
           atomic_compare_exchange_strong(&numbers->sender_until_ms, &until, now + TURN_MS);
}

static void keep_turn(void *context)
{
    struct mail_numbers *numbers = context;
    atomic_store(&numbers->sender_until_ms, uptime_ms() + TURN_MS);
}

static void end_turn(struct mail_numbers *numbers)
{
    atomic_store(&numbers->sender_until_ms, 0);
}

/* What somebody adds while another has the turn is seen by that one. */
static void send_in_turn(struct sender *s, struct arena *a)
{
    struct mail_numbers *numbers = &s->app->shared->mail;
    struct problem *p = NULL;
    uint64_t seen;
    sender_watch_signals();
    do {
        if (!take_turn(numbers))
            return;
        seen = atomic_load(&numbers->wanted);
        p = sender_send_due(s, a, keep_turn, numbers);
        end_turn(numbers);
    } while (!p && atomic_load(&numbers->wanted) != seen);
    if (p)
        tell_of_failure(p);
}

/* Nothing of the worker's stays open here: neither its socket, whose connections nobody would take,
 * nor its connection to the database, which is not ours to close. */
static void leave_behind(const struct settings *settings)
{
    int nowhere = open("/dev/null", O_RDWR);
    if (nowhere >= 0) {
        (void)dup2(nowhere, STDIN_FILENO);
        (void)dup2(nowhere, STDOUT_FILENO); /* a web server may wait for its end */
    }
    int failed = log_open("stderr"); /* or the log would be taken for open */
    closelog();
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    if (!failed)
        failed = log_open(settings->log_to.data);
    if (failed)
        LOG(LOG_LEVEL_ERROR, log_event("log_failed"), log_text("cause", strerror(failed)));
}

_Noreturn static void be_grandchild(const struct app *app)
{
    (void)setsid();
    if (fork() != 0)
        _exit(EX_OK);
    leave_behind(app->settings);
    send_with(app->settings, app->shared, -1, send_in_turn);
    _exit(EX_OK);
}

static void start_grandchild(struct app *app)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        be_grandchild(app);
    if (pid < 0)
        LOG(LOG_LEVEL_ERROR, log_event("fork_failed"), log_text("cause", strerror(errno)));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

/* Is there a message whose pause has ended? */
static bool is_due(struct app *app, struct arena *a)
{
    struct instant due;
    bool found = false;
    int64_t now = monotonic_ns();
    if (app->mail_looked_at && now - app->mail_looked_at < LOOK_NS)
        return false;
    app->mail_looked_at = now;
    struct problem *p = outbox_next(app->db, a, &due, &found);
    if (p)
        tell_of_failure(p);
    return !p && found && due.us <= instant_now().us;
}

static void start_if_wanted(struct app *app, struct arena *a)
{
    bool wanted = app->has_letters;
    app->has_letters = false;
    if (wanted)
        (void)atomic_fetch_add(&app->shared->mail.wanted, 1);
    if (wanted || is_due(app, a))
        start_grandchild(app);
}

bool mailer_spare(void *context, struct arena *a)
{
    struct app *app = context;
    if (app->mail_wake >= 0 && app->has_letters)
        outbox_wake(app);
    else if (app->mail_wake < 0 && app->settings->mail_command.len)
        start_if_wanted(app, a);
    return app_spare(app, a);
}

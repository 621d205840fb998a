/* `postern mail …`: what waits to be sent, and does the mail command work? */
#include "fcgi-app/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/problem.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/cli/listing.h"
#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/sender.h"
#include "fcgi-app/worker.h"

#define PAGE_MEMORY ((size_t)64 * 1024 * 1024)

/* ---- list ---- */

enum shown_state { SHOWN_WAITING, SHOWN_SENDING, SHOWN_FAILED, SHOWN_GIVEN_UP };
static const char *const state_words[] = {"waiting", "sending", "failed", "given_up", NULL};

struct line {
    struct uuid id;
    struct text kind, address;
    unsigned state; /* enum shown_state */
    int64_t attempts;
    struct text last_end;
    struct text next_try; /* null where there is none */
    struct instant created_at;
};

static const struct field line_fields[] = {
    FIELD(struct line, id, .use = FIELD_SHOWN),
    FIELD(struct line, created_at, .use = FIELD_SHOWN),
    FIELD(struct line, kind, .use = FIELD_SHOWN),
    FIELD(struct line, address, .use = FIELD_SHOWN),
    FIELD(struct line, state, .use = FIELD_SHOWN, .choices = state_words),
    FIELD(struct line, attempts, .use = FIELD_SHOWN),
    FIELD(struct line, last_end, .use = FIELD_SHOWN | FIELD_NULLABLE),
    FIELD(struct line, next_try, .use = FIELD_SHOWN | FIELD_NULLABLE),
};
static const struct record line_record = RECORD("Message", struct line, line_fields, 0);

struct walk {
    struct listing listing;
    struct instant now;
    struct uuid after;
    int64_t seen; /* rows of this page */
};

static enum shown_state state_of(const struct outbox_row *row, struct instant now)
{
    if (row->state == OUTBOX_FAILED)
        return SHOWN_FAILED;
    if (row->state == OUTBOX_GIVEN_UP)
        return SHOWN_GIVEN_UP;
    return !uuid_is_nil(&row->claim) && row->due_at.us > now.us ? SHOWN_SENDING : SHOWN_WAITING;
}

static void show_row(void *context, const void *found)
{
    struct walk *w = context;
    const struct outbox_row *row = found;
    char next[INSTANT_TEXT_SIZE];
    struct line line = {.id = row->id,
                        .kind = row->kind,
                        .address = row->address,
                        .state = state_of(row, w->now),
                        .attempts = row->attempts,
                        .last_end = row->last_end,
                        .created_at = row->created_at};
    instant_format(row->due_at, next);
    if (line.state == SHOWN_WAITING)
        line.next_try = text_of(next);
    listing_add(&w->listing, &line);
    w->after = row->id;
    w->seen++;
}

static int show_all(struct app *app, struct walk *w)
{
    struct arena *a = arena_open(PAGE_MEMORY);
    struct problem *p;
    do {
        arena_reset(a);
        w->seen = 0;
        p = outbox_walk(app->db, a, w->after, LISTING_ROWS, show_row, w);
        if (!p)
            listing_print(&w->listing);
    } while (!p && w->seen == LISTING_ROWS && !ferror(stdout));
    int status = p ? complain_of(p) : EX_OK;
    arena_close(a);
    return status;
}

int command_mail_list(struct cli *cli)
{
    struct walk *w = arena_alloc(cli->arena, sizeof *w);
    struct app *app;
    int status = cli_open_app(cli, &app);
    if (status != EX_OK)
        return status;
    w->now = instant_now();
    listing_open(&w->listing, &line_record, cli_option(cli, "json") != NULL);
    status = show_all(app, w);
    listing_close(&w->listing, status != EX_OK);
    app_close(app);
    return status;
}

/* ---- retry ---- */

static int retry_one(struct cli *cli, struct app *app, const char *text)
{
    struct uuid id;
    bool found = false;
    if (!uuid_parse(text, strlen(text), &id))
        return complain(EX_DATAERR, "%s is not the id of a message", text);
    struct problem *p = outbox_retry(app->db, cli->arena, &id, instant_now(), &found);
    if (p)
        return complain_of(p);
    if (found)
        return EX_OK;
    return complain(EX_NOUSER, "message %s is not there, is being sent, or says what has expired",
                    text);
}

static int retry_all(struct cli *cli, struct app *app)
{
    uint64_t count = 0, total = 0;
    struct problem *p;
    do {
        p = outbox_retry_some(app->db, cli->arena, instant_now(), &count);
        total += p ? 0 : count;
    } while (!p && count);
    if (!p)
        printf("%" PRIu64 "\n", total);
    return p ? complain_of(p) : EX_OK;
}

int command_mail_retry(struct cli *cli)
{
    struct app *app;
    const char *which = cli->args[0];
    int status = cli_open_app(cli, &app);
    if (status != EX_OK)
        return status;
    status = strcmp(which, "all") == 0 ? retry_all(cli, app) : retry_one(cli, app, which);
    app_close(app);
    return status;
}

/* ---- test ---- */

/* Its lines as one. */
static const char *one_line(struct arena *a, struct text said)
{
    char *text = arena_copy(a, said.data ? said.data : "", said.len);
    while (said.len && strchr(" \t\r\n", text[said.len - 1]))
        text[--said.len] = '\0';
    for (char *c = text; (c = strchr(c, '\n')) != NULL;)
        *c = ' ';
    return shown_text(a, (struct text){text, said.len});
}

static int tell_end(struct cli *cli, const struct mail_end *end)
{
    const char *said = one_line(cli->arena, end->said);
    if (end->verdict == MAIL_SENT) {
        printf("sent: %s%s%s\n", end->how, *said ? ": " : "", said);
        return EX_OK;
    }
    return complain(end->verdict == MAIL_AGAIN ? EX_TEMPFAIL : EX_UNAVAILABLE,
                    "MAIL_COMMAND did not take it: %s%s%s", end->how, *said ? ": " : "", said);
}

static int test_with(struct cli *cli, struct app *app, struct text address)
{
    struct sender sender;
    struct mail_end end;
    struct instant now = instant_now();
    const struct outbox_row row = {.id = uuid_make(now),
                                   .kind = text_of(letters[LETTER_TEST].name),
                                   .address = address,
                                   .created_at = now,
                                   .expires_at = instant_plus_s(now, NOTICE_TTL_S)};
    struct problem *p = sender_init(&sender, cli->arena, app, -1);
    if (p)
        return complain(EX_CONFIG, "%s", p->cause);
    p = sender_try(&sender, cli->arena, &row, &end);
    return p ? complain(EX_DATAERR, "%s", p->cause) : tell_end(cli, &end);
}

int command_mail_test(struct cli *cli)
{
    struct app *app;
    const struct text address = text_of(cli->args[0]);
    if (!email_format.valid(address))
        return complain(EX_DATAERR, "%s is not an e-mail address", cli->args[0]);
    if (!cli->settings.mail_command.len)
        return complain(EX_CONFIG, "MAIL_COMMAND is not set");
    int status = cli_open_app(cli, &app);
    if (status != EX_OK)
        return status;
    status = test_with(cli, app, address);
    app_close(app);
    return status;
}

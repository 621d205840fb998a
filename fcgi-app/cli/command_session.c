/* `postern session …`: who is logged in, and out with them. */
#include "fcgi-app/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/base/problem.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/cli/listing.h"
#include "fcgi-app/worker.h"

#define PAGE_MEMORY ((size_t)64 * 1024 * 1024)

static const struct field column_fields[] = {
    FIELD(struct session, id, .use = FIELD_SHOWN),
    FIELD(struct session, created_at, .use = FIELD_SHOWN),
    FIELD(struct session, last_used_at, .use = FIELD_SHOWN),
    FIELD(struct session, expires_at, .use = FIELD_SHOWN),
    FIELD(struct session, user_id, .use = FIELD_SHOWN),
    FIELD(struct session, email, .use = FIELD_SHOWN),
    FIELD(struct session, ip, .use = FIELD_SHOWN | FIELD_NULLABLE),
    FIELD(struct session, user_agent, .use = FIELD_SHOWN | FIELD_NULLABLE),
};
static const struct record column_record = RECORD("Session", struct session, column_fields, 0);

/* ---- list ---- */

struct walk {
    struct listing listing;
    struct uuid after;
    int64_t seen; /* rows of this page */
};

static void show_row(void *context, const void *row)
{
    struct walk *w = context;
    listing_add(&w->listing, row);
    w->after = ((const struct session *)row)->id;
    w->seen++;
}

static int show_all(struct app *app, struct walk *w, const struct uuid *user)
{
    const struct instant now = instant_now();
    struct arena *a = arena_open(PAGE_MEMORY);
    struct problem *p;
    do {
        arena_reset(a);
        w->seen = 0;
        p = session_walk(app->db, a, user, now, w->after, LISTING_ROWS, show_row, w);
        if (!p)
            listing_print(&w->listing);
    } while (!p && w->seen == LISTING_ROWS && !ferror(stdout));
    int status = p ? complain_of(p) : EX_OK;
    arena_close(a);
    return status;
}

int command_session_list(struct cli *cli)
{
    struct walk *w = arena_alloc(cli->arena, sizeof *w);
    struct user user = {0};
    struct app *app;
    int status = cli_open_app(cli, &app);
    if (status != EX_OK)
        return status;
    if (cli->args[0])
        status = command_find_user(cli, app, cli->args[0], &user);
    if (status == EX_OK) {
        listing_open(&w->listing, &column_record, cli_option(cli, "json") != NULL);
        status = show_all(app, w, cli->args[0] ? &user.id : NULL);
        listing_close(&w->listing, status != EX_OK);
    }
    app_close(app);
    return status;
}

/* ---- end ---- */

struct ending {
    struct app *app;
    struct arena *arena;
    struct instant now;
    struct uuid id; /* of the session, or of the user whose all end */
};

static struct problem *end_one(void *context)
{
    struct ending *e = context;
    struct session session = {0};
    bool found;
    struct problem *p = session_lock(e->app->db, e->arena, e->id, e->now, &session, &found);
    if (!p && !found)
        p = problem(e->arena, &problem_session_not_found, NULL);
    return p ? p : session_delete(e->app->db, e->arena, session.user_id, e->id, e->now);
}

static struct problem *is_ended(void *context, bool *ret_yes)
{
    struct ending *e = context;
    struct session session;
    bool found;
    struct problem *p = session_lock(e->app->db, e->arena, e->id, e->now, &session, &found);
    if (!p)
        *ret_yes = !found;
    return p;
}

static struct problem *end_all(void *context)
{
    struct ending *e = context;
    return session_delete_all(e->app->db, e->arena, e->id, (struct uuid){{0}});
}

static int end_session(struct ending *e, const char *id)
{
    if (!uuid_parse(id, strlen(id), &e->id))
        return complain(EX_DATAERR, "%s is not the id of a session", id);
    struct problem *p = db_transaction(e->app->db, e->arena, end_one, is_ended, e);
    if (p && p->type == &problem_session_not_found)
        return complain(EX_NOUSER, "there is no session %s that lives", id);
    return p ? complain_of(p) : EX_OK;
}

static int end_sessions(struct cli *cli, struct ending *e, const char *who)
{
    struct user user;
    int status = command_find_user(cli, e->app, who, &user);
    if (status != EX_OK)
        return status;
    e->id = user.id;
    struct problem *p = db_transaction(e->app->db, e->arena, end_all, db_in_doubt_repeat, e);
    return p ? complain_of(p) : EX_OK;
}

int command_session_end(struct cli *cli)
{
    struct ending e = {.arena = cli->arena, .now = instant_now()};
    const char *who = cli_option(cli, "user"), *id = cli->args[0];
    if (!who == !id)
        return complain(EX_USAGE, "session end: either the ID of one, or --user USER for all");
    int status = cli_open_app(cli, &e.app);
    if (status != EX_OK)
        return status;
    status = who ? end_sessions(cli, &e, who) : end_session(&e, id);
    app_close(e.app);
    return status;
}

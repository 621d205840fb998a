/* `postern migrate …` and `postern reindex`: the schema, and what is derived from rows. */
#include "fcgi-app/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/db/counter_recount.h"
#include "common/db/counter_sweep.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/system/database_model.h"
#include "fcgi-app/migrations.h"
#include "fcgi-app/posts/post_model.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/cli/listing.h"
#include "fcgi-app/worker.h"

/* ---- migrate ---- */

struct part {
    struct text name;
    unsigned state; /* enum migration_state */
};

static const char *const states[] = {[MIGRATION_PENDING] = "pending",
                                     [MIGRATION_PARTIAL] = "half-way",
                                     [MIGRATION_APPLIED] = "applied",
                                     [MIGRATION_CHANGED] = "changed since",
                                     NULL};
static const struct field part_fields[] = {
    FIELD(struct part, name, .use = FIELD_SHOWN, .doc = "The migration's file."),
    FIELD(struct part, state, .use = FIELD_SHOWN, .choices = states, .doc = "What became of it."),
};
static const struct record part_record = RECORD("Migration", struct part, part_fields, 0);

/* What the database has of the migrations that the program knows. */
struct survey {
    enum migration_state *states;
    size_t unknown;     /* later than the program */
    const char *unlike; /* how the tables are not ours; NULL: they are, or will be */
};

/* Ask the database, or complain; `*ret_app` is to be closed only after EX_OK. */
static int open_survey(struct cli *cli, struct app **ret_app, struct survey *ret)
{
    int status = cli_open_app(cli, ret_app);
    if (status != EX_OK)
        return status;
    struct problem *p = database_check((*ret_app)->db, cli->arena);
    ret->states = arena_array(cli->arena, migration_count, sizeof *ret->states);
    struct db *db = (*ret_app)->db;
    if (!p)
        p = migrate_status(db, cli->arena, migrations, migration_count, ret->states, &ret->unknown);
    struct problem *unlike =
        p ? NULL : migrate_compare(db, cli->arena, migrations, migration_count);
    if (unlike && unlike->type != &problem_internal)
        p = unlike;
    ret->unlike = unlike ? unlike->cause : NULL;
    if (!p)
        return EX_OK;
    app_close(*ret_app);
    return p->type == &problem_internal ? complain(EX_DATAERR, "%s", p->cause) : complain_of(p);
}

/* A schema that this program must not touch. */
static int judge(const struct survey *s)
{
    int status = EX_OK;
    if (s->unknown)
        status = complain(EX_DATAERR,
                          "the schema has %zu migrations that this program is too old "
                          "to know",
                          s->unknown);
    for (size_t i = 0; i < migration_count; i++)
        if (s->states[i] == MIGRATION_CHANGED)
            status =
                complain(EX_DATAERR, "%s was changed after it was applied", migrations[i].name);
    if (status == EX_OK && s->unlike)
        status = complain(EX_DATAERR, "%s", s->unlike);
    return status;
}

static void print_part(struct cli *cli, size_t i, enum migration_state state)
{
    const struct part part = {.name = text_of(migrations[i].name), .state = state};
    if (cli_option(cli, "json"))
        print_record(cli->arena, &part_record, &part, true);
    else
        printf("%-14s %s\n", states[state], migrations[i].name);
}

static void print_applied(void *context, const struct migration *m)
{
    (void)context;
    printf("applied %s\n", m->name);
    fflush(stdout); /* the next may take a while */
}

static int bring_up(struct cli *cli, struct app *app, const struct survey *s)
{
    if (!cli_option(cli, "dry-run")) {
        struct problem *p =
            migrate_up(app->db, cli->arena, migrations, migration_count, print_applied, NULL);
        return p ? complain_of(p) : EX_OK;
    }
    for (size_t i = 0; i < migration_count; i++)
        if (s->states[i] != MIGRATION_APPLIED)
            printf("would apply %s\n", migrations[i].name);
    return EX_OK;
}

int command_migrate(struct cli *cli)
{
    struct app *app;
    struct survey s;
    int status = open_survey(cli, &app, &s);
    if (status != EX_OK)
        return status;
    status = judge(&s);
    if (status == EX_OK)
        status = bring_up(cli, app, &s);
    app_close(app);
    return status;
}

int command_migrate_status(struct cli *cli)
{
    struct app *app;
    struct survey s;
    int status = open_survey(cli, &app, &s);
    if (status != EX_OK)
        return status;
    app_close(app);
    for (size_t i = 0; i < migration_count; i++)
        print_part(cli, i, s.states[i]);
    return judge(&s);
}

/* ---- reindex ---- */

struct reindexing {
    struct app *app;
    struct arena *arena;
    struct uuid after;
};

static struct problem *index_some(void *context)
{
    struct reindexing *r = context;
    struct uuid after = r->after; /* it may run again */
    struct problem *p = user_index_some(r->app->db, r->arena, &after);
    if (!p)
        r->after = after;
    return p;
}

/* What was corrected is swept as it comes, for what waits costs every reader time. */
static struct problem *recount(struct reindexing *r, const struct counter *counter)
{
    struct uuid after = {{0}};
    struct problem *p;
    do {
        bool more = true;
        arena_reset(r->arena);
        p = counter_recount(r->app->db, r->arena, counter, &after);
        while (!p && more)
            p = counter_sweep(r->app->db, r->arena, NULL, &more);
    } while (!p && !uuid_is_nil(&after));
    return p;
}

static struct problem *recount_all(struct reindexing *r)
{
    struct problem *p = db_pin(r->app->db, r->arena); /* it may take longer than a statement has */
    if (p)
        return p;
    for (const struct counter *const *c = counters; !p && *c; c++)
        p = recount(r, *c);
    db_unpin(r->app->db);
    return p;
}

int command_reindex(struct cli *cli)
{
    struct reindexing r = {.arena = arena_open((size_t)64 * 1024 * 1024)};
    int status = cli_open_app(cli, &r.app);
    struct problem *p = NULL;
    if (status == EX_OK) {
        do {
            arena_reset(r.arena);
            p = db_transaction(r.app->db, r.arena, index_some, NULL, &r);
        } while (!p && !uuid_is_nil(&r.after));
        if (!p)
            p = recount_all(&r);
        if (!p)
            p = user_rebuild_search(r.app->db, r.arena);
        if (!p)
            p = post_rebuild_search(r.app->db, r.arena);
        app_close(r.app);
        status = p ? complain_of(p) : EX_OK;
    }
    arena_close(r.arena);
    return status;
}

/* `postern migrate …` and `postern reindex`: the schema, and what is derived from rows. */
#include "fcgi-app/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/db/counter_recount.h"
#include "common/db/counter_sweep.h"
#include "common/search/build.h"
#include "common/search/merge.h"
#include "common/search/sweep.h"
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
    if (cli->settings.migrate_database_url.len)
        cli->settings.database_url = cli->settings.migrate_database_url;
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

/* `context` counts what is done. */
static void print_applied(void *context, const struct migration *m)
{
    size_t *done = context;
    ++*done;
    printf("applied %s\n", m->name);
    (void)flush_output(); /* the next may take a while */
}

#define TELL_ROWS 65536 /* which take some seconds */

/* To stderr, for whoever waits. */
static void print_progress(void *context, const struct search_index *index, int64_t rows)
{
    static int64_t told;
    (void)context;
    if (rows < told)
        told = 0; /* of another index */
    if (rows - told < TELL_ROWS)
        return;
    fprintf(stderr, "postern: search index of %s: %lld rows\n", index->counter->table,
            (long long)rows);
    told = rows;
}

static const struct build_progress progress = {print_progress, NULL};

/* An index that this program cannot read is as good as none. */
static struct problem *needs_build(struct app *app, struct arena *a,
                                   const struct search_index *index, bool *ret)
{
    struct index_state state;
    struct problem *p = search_look(app->db, a, index, &state);
    if (!p)
        *ret = !state.is_live || !state.is_ours;
    return p;
}

static struct problem *build_missing(struct cli *cli, struct app *app, size_t *done)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && search_indexes[i]; i++) {
        bool needed = false;
        p = needs_build(app, cli->arena, search_indexes[i], &needed);
        if (p || !needed)
            continue;
        p = search_build(app->db, cli->arena, search_indexes[i], &progress);
        if (p)
            break;
        printf("built the search index of %s\n", search_indexes[i]->counter->table);
        ++*done;
    }
    return p;
}

static struct problem *bring_up(struct cli *cli, struct app *app)
{
    size_t done = 0;
    struct problem *p =
        migrate_up(app->db, cli->arena, migrations, migration_count, print_applied, &done);
    if (!p)
        p = build_missing(cli, app, &done);
    if (!p && !done)
        puts("the schema is up to date");
    return p;
}

/* Where a table of the index is yet to be made, so is the index: the migration was told of. */
static struct problem *print_unbuilt(struct cli *cli, struct app *app, size_t *pending)
{
    for (size_t i = 0; search_indexes[i]; i++) {
        bool needed = false;
        struct problem *p = needs_build(app, cli->arena, search_indexes[i], &needed);
        if (db_is_missing_table(p) || db_is_missing_column(p))
            return NULL;
        if (p)
            return p;
        if (!needed)
            continue;
        printf("would build the search index of %s\n", search_indexes[i]->counter->table);
        ++*pending;
    }
    return NULL;
}

static struct problem *print_pending(struct cli *cli, struct app *app, const struct survey *s)
{
    size_t pending = 0;
    for (size_t i = 0; i < migration_count; i++) {
        if (s->states[i] == MIGRATION_APPLIED)
            continue;
        printf("would apply %s\n", migrations[i].name);
        pending++;
    }
    struct problem *p = print_unbuilt(cli, app, &pending);
    if (!p && !pending)
        puts("the schema is up to date");
    return p;
}

int command_migrate(struct cli *cli)
{
    struct app *app;
    struct survey s;
    struct problem *p = NULL;
    int status = open_survey(cli, &app, &s);
    if (status != EX_OK)
        return status;
    status = judge(&s);
    if (status == EX_OK && cli_option(cli, "dry-run"))
        p = print_pending(cli, app, &s);
    else if (status == EX_OK)
        p = bring_up(cli, app);
    app_close(app);
    return p ? complain_of(p) : status;
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
};

/* What was corrected is swept as it comes, for what waits costs every reader time. */
static struct problem *sweep_all(struct reindexing *r)
{
    const struct sweep_hook hook = search_hook(search_indexes);
    struct problem *p = NULL;
    for (bool more = true, left; !p && more;) {
        p = counter_sweep(r->app->db, r->arena, &hook, &more);
        if (!p)
            p = search_tend(r->app->db, r->arena, search_indexes, &left);
        if (!p)
            arena_reset(r->arena);
    }
    return p;
}

static struct problem *recount(struct reindexing *r, const struct counter *counter)
{
    struct uuid after = {{0}};
    struct problem *p;
    do {
        arena_reset(r->arena);
        p = counter_recount(r->app->db, r->arena, counter, &after);
        if (!p)
            p = sweep_all(r);
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

static struct problem *build_all(struct reindexing *r)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && search_indexes[i]; i++) {
        arena_reset(r->arena);
        p = search_build(r->app->db, r->arena, search_indexes[i], &progress);
    }
    return p;
}

int command_reindex(struct cli *cli)
{
    struct reindexing r = {.arena = arena_open((size_t)256 * 1024 * 1024)};
    int status = cli_open_app(cli, &r.app);
    if (status == EX_OK) {
        struct problem *p = recount_all(&r);
        if (!p)
            p = build_all(&r);
        app_close(r.app);
        status = p ? complain_of(p) : EX_OK;
    }
    arena_close(r.arena);
    return status;
}

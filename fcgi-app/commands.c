#include "commands.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "account.h"
#include "app.h"
#include "common/problem.h"
#include "migrations.h"
#include "post_model.h"

/* What went wrong, for whoever sits at the terminal. */
static int fail(const struct problem *p)
{
    int status = p->type->status == 503   ? EX_TEMPFAIL
                 : p->type->status == 500 ? EX_SOFTWARE
                                          : EX_DATAERR;
    for (size_t i = 0; i < p->fault_count; i++)
        complain(status, "%s: %s", p->faults[i].field, p->faults[i].message);
    return p->fault_count ? status : complain(status, "%s", p->cause ? p->cause : p->message);
}

/* ---- migrate, reindex ---- */

static int open_app(struct cli *cli, struct app **ret)
{
    struct problem *p = app_open(cli->arena, &cli->settings, NULL, ret);
    return p ? complain(EX_CONFIG, "%s", p->cause) : EX_OK;
}

static void print_applied(void *context, const struct migration *m)
{
    (void)context;
    printf("applied %s\n", m->name);
}

static struct problem *print_states(struct cli *cli, struct db *db)
{
    static const char *const words[] = {[MIGRATION_PENDING] = "pending",
                                        [MIGRATION_PARTIAL] = "half-way",
                                        [MIGRATION_APPLIED] = "applied",
                                        [MIGRATION_CHANGED] = "changed since"};
    enum migration_state *states = arena_array(cli->arena, migration_count, sizeof *states);
    size_t unknown;
    struct problem *p =
        migrate_status(db, cli->arena, migrations, migration_count, states, &unknown);
    for (size_t i = 0; !p && i < migration_count; i++)
        printf("%-14s %s\n", words[states[i]], migrations[i].name);
    if (!p && unknown)
        printf("%zu later than this program\n", unknown);
    return p;
}

int command_migrate(struct cli *cli)
{
    const char *what = cli->args[0] ? cli->args[0] : "up";
    bool up = strcmp(what, "up") == 0;
    if (!up && strcmp(what, "status") != 0)
        return complain(EX_USAGE, "migrate what? up or status");
    struct app *app;
    int status = open_app(cli, &app);
    if (status != EX_OK)
        return status;
    struct problem *p =
        up ? migrate_up(app->db, cli->arena, migrations, migration_count, print_applied, NULL)
           : print_states(cli, app->db);
    app_close(app);
    return p ? fail(p) : EX_OK;
}

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

static struct problem *recount(void *context)
{
    struct reindexing *r = context;
    struct problem *p = user_recount(r->app->db, r->arena);
    return p ? p : post_recount(r->app->db, r->arena);
}

int command_reindex(struct cli *cli)
{
    struct reindexing r = {.arena = arena_open((size_t)64 * 1024 * 1024)};
    int status = open_app(cli, &r.app);
    struct problem *p = NULL;
    if (status == EX_OK) {
        do {
            arena_reset(r.arena);
            p = db_transaction(r.app->db, r.arena, index_some, NULL, &r);
        } while (!p && !uuid_is_nil(&r.after));
        if (!p)
            p = db_transaction(r.app->db, r.arena, recount, NULL, &r);
        if (!p)
            p = user_rebuild_search(r.app->db, r.arena);
        app_close(r.app);
        status = p ? fail(p) : EX_OK;
    }
    arena_close(r.arena);
    return status;
}

/* ---- user ---- */

struct addition {
    struct app *app;
    struct request rq; /* what account_prepare() wants of one */
};

static struct problem *insert(void *context)
{
    struct addition *add = context;
    return user_insert(add->app->db, add->rq.arena, add->rq.prepared);
}

static struct problem *is_there(void *context, bool *ret_yes)
{
    struct addition *add = context;
    return account_is_there(add->app, &add->rq, ret_yes);
}

/* Set one member as the API would, with its rules. */
static void take(struct arena *a, const char *name, const char *value, struct user *user,
                 struct problem **p)
{
    const struct field *f = record_find(&user_record, name);
    const char *message = NULL;
    enum fault_code code = field_from_text(a, f, text_of(value), user, &message);
    if (!code)
        return;
    if (!*p)
        *p = problem(a, &problem_invalid, NULL);
    problem_add_fault(a, *p, name, code, message);
}

static const char *read_password(struct arena *a)
{
    char line[1100];
    if (!fgets(line, sizeof line, stdin))
        return "";
    line[strcspn(line, "\r\n")] = '\0';
    const char *password = arena_strdup(a, line);
    wipe(line, sizeof line);
    return password;
}

/* Read the arguments behind `user add`; 0, or one of sysexits.h. */
static int take_user(struct cli *cli, struct user *user, struct problem **p)
{
    bool password = false;
    for (char **arg = cli->args + 2; *arg; arg++) {
        bool first = strcmp(*arg, "--first-name") == 0;
        if (strcmp(*arg, "--admin") == 0) {
            user->role = ROLE_ADMIN;
        } else if (strcmp(*arg, "--password-stdin") == 0) {
            password = true;
        } else if ((first || strcmp(*arg, "--last-name") == 0) && arg[1]) {
            take(cli->arena, first ? "first_name" : "last_name", *++arg, user, p);
        } else {
            return complain(EX_USAGE, "user add: %s is not understood", *arg);
        }
    }
    if (!password)
        return complain(EX_USAGE, "user add: --password-stdin is needed; no password belongs "
                                  "into a command line");
    take(cli->arena, "password", read_password(cli->arena), user, p);
    return EX_OK;
}

static int add_user(struct cli *cli, const struct user *user)
{
    struct addition add = {.rq = {.arena = cli->arena, .now = instant_now()}};
    int status = open_app(cli, &add.app);
    if (status != EX_OK)
        return status;
    struct problem *p = account_prepare(&add.rq, user);
    if (!p)
        p = db_transaction(add.app->db, cli->arena, insert, is_there, &add);
    app_close(add.app);
    if (p)
        return fail(p);
    printf("%s\n", field_to_text(cli->arena, record_find(&user_record, "id"), add.rq.prepared));
    return EX_OK;
}

int command_user(struct cli *cli)
{
    struct user user = {.is_active = true};
    struct problem *p = NULL;
    if (!cli->args[0] || strcmp(cli->args[0], "add") != 0 || !cli->args[1])
        return complain(EX_USAGE, "user what? user add EMAIL [--admin] --password-stdin");
    take(cli->arena, "email", cli->args[1], &user, &p);
    int status = take_user(cli, &user, &p);
    if (status != EX_OK)
        return status;
    if (!p && user_record.rule->broken(&user))
        p = problem_of_field(cli->arena, user_record.rule->field, user_record.rule->code,
                             user_record.rule->message);
    return p ? fail(p) : add_user(cli, &user);
}

/* `postern user …`: what an operator does with accounts, by the rules of the API. */
#include "fcgi-app/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/crypto/password.h"
#include "common/list/list.h"
#include "fcgi-app/accounts/account.h"
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/mailing.h"
#include "fcgi-app/cli/listing.h"
#include "fcgi-app/worker.h"

#define PAGE_MEMORY ((size_t)64 * 1024 * 1024)

/* One command at work. */
struct work {
    struct cli *cli;
    struct actor by;  /* the operator */
    struct user user; /* the one that is meant, as it was */
    struct user in;   /* what must become of it */
    field_set given;
    struct text hash; /* of a new password */
};

/* Short columns first, so that a table is easy to read. */
static const struct field column_fields[] = {
    FIELD(struct user, id, .use = FIELD_SHOWN),
    FIELD(struct user, role, .use = FIELD_SHOWN, .choices = user_role_words),
    FIELD(struct user, is_active, .use = FIELD_SHOWN),
    FIELD(struct user, created_at, .use = FIELD_SHOWN),
    FIELD(struct user, updated_at, .use = FIELD_SHOWN),
    FIELD(struct user, email, .use = FIELD_SHOWN),
    FIELD(struct user, first_name, .use = FIELD_SHOWN | FIELD_NULLABLE),
    FIELD(struct user, last_name, .use = FIELD_SHOWN | FIELD_NULLABLE),
};
static const struct record column_record = RECORD("User", struct user, column_fields, 0);

/* ---- who is meant ---- */

int command_find_user(struct cli *cli, struct app *app, const char *who, struct user *ret)
{
    struct uuid id;
    bool found = true;
    struct problem *p = uuid_parse(who, strlen(who), &id)
                            ? user_find(app->db, cli->arena, id, ret)
                            : user_find_by_email(app->db, cli->arena, text_of(who), ret, &found);
    if (!found || (p && p->type == &problem_user_not_found))
        return complain(EX_NOUSER, "there is no user %s", who);
    return p ? complain_of(p) : EX_OK;
}

static int open_work(struct cli *cli, struct work *w)
{
    *w = (struct work){.cli = cli, .by = {.arena = cli->arena, .now = instant_now()}};
    int status = cli_open_app(cli, &w->by.app);
    if (status != EX_OK || !cli->args[0])
        return status;
    status = command_find_user(cli, w->by.app, cli->args[0], &w->user);
    if (status != EX_OK)
        app_close(w->by.app);
    return status;
}

static int close_work(struct work *w, struct problem *p)
{
    app_close(w->by.app);
    return p ? complain_of(p) : EX_OK;
}

/* ---- what is given ---- */

/* Set one member as the API would, with its rules. */
static void set_member(struct arena *a, const struct record *r, const char *name, const char *value,
                       void *into, struct problem **p)
{
    const char *message = NULL;
    enum fault_code code = field_from_text(a, record_find(r, name), text_of(value), into, &message);
    if (!code)
        return;
    if (!*p)
        *p = problem(a, &problem_invalid, NULL);
    problem_add_fault(a, *p, name, code, message);
}

/* ---- list, show ---- */

#define SEARCH_ROWS 2000 /* looked through at a time, for those that match */

/* What a page leaves for the next. */
struct walk {
    struct listing listing;
    struct user_query query;
    struct list_scope scope;
    struct list_window window;
    bool cut;                      /* it ended early */
    char email[EMAIL_MAX * 4 + 1]; /* of the last row; characters of up to four bytes */
    int64_t left, seen;            /* rows: to be shown yet, on this page */
};

static void show_row(void *context, const void *row)
{
    struct walk *w = context;
    const struct user *user = row;
    listing_add(&w->listing, row);
    w->seen++;
    w->window.place.id = user->id;
    w->window.place.time = user->created_at;
    (void)snprintf(w->email, sizeof w->email, "%s", user->email.data);
}

/* Rows come again from the first of the page. */
static void forget_rows(void *context)
{
    struct walk *w = context;
    w->seen = 0;
    w->listing.rows = 0;
}

/* One page, after the last row of the one before. A problem lives in `a` until the next. */
static struct problem *show_page(struct app *app, struct arena *a, struct walk *w)
{
    struct list_total total;
    const struct list_taker taker = {show_row, forget_rows, w};
    arena_reset(a);
    w->window.limit = w->left < LISTING_ROWS ? w->left : LISTING_ROWS;
    w->window.search_reach = SEARCH_ROWS;
    w->window.place.text = text_of(w->email);
    w->seen = 0;
    struct problem *p =
        list_read(app->db, a, &user_list, &w->query.list, &w->scope, &w->window, &taker, &total);
    w->cut = !p && total.cut;
    if (w->cut) {
        w->window.place = total.end;
        (void)snprintf(w->email, sizeof w->email, "%s",
                       total.end.text.data ? total.end.text.data : "");
    }
    w->window.after = true;
    w->left -= w->seen;
    return p;
}

/* Options with the name of a query's field mean the same, and are held to the same bounds. */
static int read_options(struct cli *cli, struct walk *w)
{
    static const char *const names[] = {"role", "q", "sort", NULL};
    const char *limit = cli_option(cli, "limit");
    struct problem *p = NULL;
    char rest;
    for (size_t i = 0; names[i]; i++) {
        const char *value = cli_option(cli, names[i]);
        if (!value)
            continue;
        set_member(cli->arena, &user_query_record, names[i], value, &w->query, &p);
    }
    if (cli_option(cli, "role"))
        list_filter_by(&w->scope, USER_ROLE, db_integer(w->query.role));
    if (p)
        return complain_of(p);
    w->left = INT64_MAX;
    if (limit && (sscanf(limit, "%18" SCNd64 "%c", &w->left, &rest) != 1 || w->left <= 0))
        return complain(EX_DATAERR, "limit: Must be a whole number above 0.");
    return EX_OK;
}

int command_user_list(struct cli *cli)
{
    struct work work;
    struct walk *w = arena_alloc(cli->arena, sizeof *w);
    struct problem *p;
    int status = read_options(cli, w);
    if (status != EX_OK)
        return status;
    status = open_work(cli, &work);
    if (status != EX_OK)
        return status;
    struct arena *page = arena_open(PAGE_MEMORY);
    listing_open(&w->listing, &column_record, cli_option(cli, "json") != NULL);
    do {
        p = show_page(work.by.app, page, w);
        if (!p)
            listing_print(&w->listing);
    } while (!p && (w->seen == w->window.limit || w->cut) && w->left > 0 && !ferror(stdout));
    listing_close(&w->listing, p != NULL);
    status = close_work(&work, p);
    arena_close(page);
    return status;
}

int command_user_show(struct cli *cli)
{
    struct work w;
    int status = open_work(cli, &w);
    if (status != EX_OK)
        return status;
    print_record(cli->arena, &column_record, &w.user, cli_option(cli, "json") != NULL);
    return close_work(&w, NULL);
}

/* ---- passwords ---- */

static struct problem *check_rule(struct arena *a, const struct user *user)
{
    const struct rule *rule = user_record.rule;
    if (!rule->broken(user))
        return NULL;
    return problem_of_field(a, rule->field, rule->code, rule->message);
}

static const char *new_password(struct cli *cli)
{
    return ask_password(cli->arena, cli_option(cli, "password-stdin") != NULL);
}

/* ---- add ---- */

/* A user on the way into the database. */
struct addition {
    struct actor by;
    struct user *user;
};

static struct problem *insert(void *context)
{
    struct addition *n = context;
    return account_insert(n->by, n->user);
}

static struct problem *is_inserted(void *context, bool *ret_yes)
{
    struct addition *n = context;
    return user_exists_locked(n->by.app->db, n->by.arena, n->user->id, ret_yes);
}

static int add(struct cli *cli, const struct user *user)
{
    struct app *app;
    struct addition n = {.by = {.arena = cli->arena, .now = instant_now()}};
    int status = cli_open_app(cli, &app);
    if (status != EX_OK)
        return status;
    n.by.app = app;
    struct problem *p = account_make(cli->arena, n.by.now, user, &n.user);
    if (!p)
        p = db_transaction(app->db, cli->arena, insert, is_inserted, &n);
    if (!p)
        puts(field_to_text(cli->arena, record_find(&user_record, "id"), n.user));
    app_close(app);
    return p ? complain_of(p) : EX_OK;
}

int command_user_add(struct cli *cli)
{
    struct user user = {.is_active = true, .email_verified = true};
    struct problem *p = NULL;
    const char *first = cli_option(cli, "first-name"), *last = cli_option(cli, "last-name");
    const char *password = new_password(cli);
    if (!password)
        return EX_NOINPUT;
    user.role = cli_option(cli, "admin") ? ROLE_ADMIN : ROLE_USER;
    set_member(cli->arena, &user_record, "email", cli->args[0], &user, &p);
    if (first)
        set_member(cli->arena, &user_record, "first_name", first, &user, &p);
    if (last)
        set_member(cli->arena, &user_record, "last_name", last, &user, &p);
    set_member(cli->arena, &user_record, "password", password, &user, &p);
    if (!p)
        p = check_rule(cli->arena, &user);
    return p ? complain_of(p) : add(cli, &user);
}

/* ---- passwd ---- */

/* Is the new password good for who has this address? */
static struct problem *check_new(const struct work *w, struct text email)
{
    const struct user user = {.email = email, .password = w->in.password};
    return check_rule(w->by.arena, &user);
}

/* It may be long since the user was looked up: a password is typed meanwhile. */
static struct problem *set_hash(void *context)
{
    struct work *w = context;
    struct user now = {0};
    struct problem *p = user_lock(w->by.app->db, w->by.arena, w->user.id, &now);
    if (!p)
        p = check_new(w, now.email);
    if (!p)
        p = account_set_hash(w->by.app->db, w->by.arena, now.id, w->hash);
    return p ? p : mailing_notice(w->by, LETTER_PASSWORD_CHANGED, now.email, (struct text){0});
}

static struct problem *has_hash(void *context, bool *ret_yes)
{
    struct work *w = context;
    return account_has_hash(w->by.app->db, w->by.arena, w->user.id, w->hash, ret_yes);
}

/* The hash of a new password that is good for this user. */
static struct problem *hash_password(struct work *w, const char *password)
{
    struct problem *p = NULL;
    const char *hash;
    set_member(w->by.arena, &user_record, "password", password, &w->in, &p);
    if (!p)
        p = check_new(w, w->user.email);
    if (!p)
        p = password_hash(w->by.arena, w->in.password, &hash);
    if (!p)
        w->hash = text_of(hash);
    return p;
}

int command_user_passwd(struct cli *cli)
{
    struct work w;
    int status = open_work(cli, &w);
    if (status != EX_OK)
        return status;
    const char *password = new_password(cli);
    if (!password) {
        app_close(w.by.app);
        return EX_NOINPUT;
    }
    struct problem *p = hash_password(&w, password);
    if (!p)
        p = db_transaction(w.by.app->db, cli->arena, set_hash, has_hash, &w);
    return close_work(&w, p);
}

/* ---- role, enable, disable ---- */

static struct problem *change(void *context)
{
    struct work *w = context;
    struct user after;
    return account_change(w->by, w->user.id, &w->in, w->given, &after);
}

static int change_user(struct cli *cli, const struct user *in, field_set given)
{
    struct work w;
    int status = open_work(cli, &w);
    if (status != EX_OK)
        return status;
    w.in = *in;
    w.given = given;
    return close_work(&w, db_transaction(w.by.app->db, cli->arena, change, db_in_doubt_repeat, &w));
}

int command_user_role(struct cli *cli)
{
    struct user in = {0};
    struct problem *p = NULL;
    set_member(cli->arena, &user_record, "role", cli->args[1], &in, &p);
    return p ? complain_of(p) : change_user(cli, &in, FIELD_AT(&user_record, struct user, role));
}

int command_user_enable(struct cli *cli)
{
    return change_user(cli, &(struct user){.is_active = true},
                       FIELD_AT(&user_record, struct user, is_active));
}

int command_user_disable(struct cli *cli)
{
    return change_user(cli, &(struct user){.is_active = false},
                       FIELD_AT(&user_record, struct user, is_active));
}

/* ---- delete ---- */

static struct problem *delete_user(void *context)
{
    struct work *w = context;
    return account_delete(w->by, w->user.id);
}

static struct problem *is_deleted(void *context, bool *ret_yes)
{
    struct work *w = context;
    return account_is_deleted(w->by.app->db, w->by.arena, w->user.id, ret_yes);
}

/* The rows that are left, unless a worker is at them already. */
static struct problem *sweep(struct work *w)
{
    struct arena *a = arena_open(PAGE_MEMORY);
    struct problem *p = NULL;
    bool more = true;
    while (!p && more) {
        arena_reset(a);
        p = departure_sweep(w->by.app->db, a, &more);
    }
    if (p)
        p = problem_because(w->by.arena, p->type,
                            "%s; the user is gone, but rows are left, which "
                            "the server deletes",
                            p->cause ? p->cause : p->message);
    arena_close(a);
    return p;
}

int command_user_delete(struct cli *cli)
{
    struct work w;
    int status = open_work(cli, &w);
    if (status != EX_OK)
        return status;
    const char *question = arena_printf(cli->arena, "Delete %s with all posts and sessions?",
                                        shown_text(cli->arena, w.user.email));
    if (cli_option(cli, "yes") || ask_yes(question)) {
        struct problem *p = db_transaction(w.by.app->db, cli->arena, delete_user, is_deleted, &w);
        return close_work(&w, p ? p : sweep(&w));
    }
    app_close(w.by.app);
    return complain(EX_USAGE, "nothing was deleted; --yes does it without a question");
}

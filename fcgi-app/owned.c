#include "fcgi-app/owned.h"

#include <string.h>

#include "common/base/problem.h"

static const struct owned *owned_of(const struct request *rq)
{
    return rq->route->owned;
}

static const struct table *table_of(const struct request *rq)
{
    return owned_of(rq)->table;
}

static const struct record *record_of(const struct request *rq)
{
    return table_of(rq)->row;
}

static void *new_row(const struct request *rq)
{
    return arena_alloc(rq->arena, record_of(rq)->size);
}

/* ---- members ---- */

static const struct uuid *id_at(const struct request *rq, const char *name, const void *row)
{
    return record_value(record_of(rq), name, row);
}

static int64_t version_of(const struct request *rq, const void *row)
{
    return *(const int64_t *)record_value(record_of(rq), record_version(record_of(rq))->name, row);
}

/* Written now, once more than `before`. */
static void stamp(const struct request *rq, void *row, int64_t before)
{
    const struct record *r = record_of(rq);
    *(struct instant *)record_member(r, "updated_at", row) = rq->now;
    *(int64_t *)record_member(r, record_version(r)->name, row) = before + 1;
}

static void set_id(const struct request *rq, const char *name, void *row, struct uuid id)
{
    *(struct uuid *)record_member(record_of(rq), name, row) = id;
}

/* ---- making one ---- */

struct problem *owned_prepare(struct app *app, struct request *rq)
{
    const struct owned *owned = owned_of(rq);
    void *row = new_row(rq);
    (void)app;
    memcpy(row, rq->body, record_of(rq)->size);
    set_id(rq, "id", row, uuid_make(rq->now));
    set_id(rq, owned->owner, row, rq->caller.id);
    if (owned->parent)
        set_id(rq, owned->parent, row, rq->path_ids[0]);
    *(struct instant *)record_member(record_of(rq), "created_at", row) = rq->now;
    stamp(rq, row, 0);
    rq->prepared = row;
    return NULL;
}

void owned_answer_created(const struct request *rq, struct response *rs)
{
    app_location(rq, rs, table_of(rq)->name, id_at(rq, "id", rq->prepared));
    app_answer(rq, rs, rq->prepared);
}

struct problem *owned_create(struct app *app, struct request *rq, struct response *rs)
{
    const struct owned *owned = owned_of(rq);
    struct problem *p = owned->check_new ? owned->check_new(app, rq, rq->prepared) : NULL;
    if (!p)
        p = table_insert(app->db, rq->arena, owned->table, rq->prepared);
    if (!p)
        owned_answer_created(rq, rs);
    return p;
}

/* ---- one that is there ---- */

static struct problem *check_visible(struct app *app, struct request *rq, const void *row)
{
    struct problem *p = owned_of(rq)->check_visible(app, rq, row);
    return p && p->type->status == 404 ? problem(rq->arena, table_of(rq)->missing, NULL) : p;
}

struct problem *owned_show(struct app *app, struct request *rq, struct response *rs)
{
    void *row = new_row(rq);
    struct problem *p = table_find(app->db, rq->arena, table_of(rq), rq->path_ids[0], row);
    if (!p)
        p = check_visible(app, rq, row);
    if (!p)
        app_answer(rq, rs, row);
    return p;
}

/* Lock the row of the path for its owner or an admin, if it is the version they know. */
static struct problem *lock_row(struct app *app, struct request *rq, void *row)
{
    struct problem *p = table_lock(app->db, rq->arena, table_of(rq), rq->path_ids[0], row);
    if (!p)
        p = check_visible(app, rq, row);
    if (!p)
        p = require_owner_or_admin(rq, id_at(rq, owned_of(rq)->owner, row));
    return p ? p : request_check_match(rq, version_of(rq, row));
}

static struct problem *store(struct app *app, struct request *rq, const void *before,
                             const void *after)
{
    const struct owned *owned = owned_of(rq);
    if (owned->update)
        return owned->update(app, rq, before, after);
    return table_update(app->db, rq->arena, owned->table, before, after);
}

struct problem *owned_change(struct app *app, struct request *rq, struct response *rs)
{
    void *before = new_row(rq), *after = new_row(rq);
    struct problem *p = lock_row(app, rq, before);
    if (p)
        return p;
    memcpy(after, before, record_of(rq)->size);
    record_overlay(record_of(rq), rq->body_given, rq->body, after);
    if (rq->body_given) {
        stamp(rq, after, version_of(rq, before));
        p = store(app, rq, before, after);
    }
    if (p)
        return p;
    app_answer(rq, rs, after);
    rq->prepared = after; /* for owned_is_changed() */
    return NULL;
}

struct problem *owned_delete(struct app *app, struct request *rq, struct response *rs)
{
    const struct owned *owned = owned_of(rq);
    void *row = new_row(rq);
    struct problem *p = lock_row(app, rq, row);
    (void)rs;
    if (!p && owned->remove)
        return owned->remove(app, rq, row);
    return p ? p : table_delete(app->db, rq->arena, owned->table, row);
}

/* ---- after an in-doubt commit ---- */

struct problem *owned_is_created(struct app *app, struct request *rq, bool *ret_yes)
{
    return table_exists_locked(app->db, rq->arena, table_of(rq), *id_at(rq, "id", rq->prepared),
                               ret_yes);
}

/* Its version is another then, for which an If-Match was not meant. */
struct problem *owned_is_changed(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct record *r = record_of(rq);
    const struct instant *then = record_value(r, "updated_at", rq->prepared), *now;
    void *row = new_row(rq);
    struct problem *p = table_lock(app->db, rq->arena, table_of(rq), rq->path_ids[0], row);
    bool gone = p && p->type == table_of(rq)->missing;
    if (p && !gone)
        return p;
    now = record_value(r, "updated_at", row);
    *ret_yes = !gone && version_of(rq, row) == version_of(rq, rq->prepared) && now->us == then->us;
    return NULL;
}

struct problem *owned_is_deleted(struct app *app, struct request *rq, bool *ret_yes)
{
    bool there;
    struct problem *p =
        table_exists_locked(app->db, rq->arena, table_of(rq), rq->path_ids[0], &there);
    if (!p)
        *ret_yes = !there;
    return p;
}

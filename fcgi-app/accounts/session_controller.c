/* Sessions: refresh, end, list. */
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/accounts/tokens.h"

#include "common/http/page.h"
#include "common/base/problem.h"
#include "fcgi-app/accounts/refresh.h"
#include "fcgi-app/accounts/session_model.h"

#define REPEAT_MAX 100 /* refreshes within the grace, beyond what any client does */

struct refresh_body {
    struct text refresh_token;
    bool all;
};

#define REFRESH_TOKEN(use_)                                                                        \
    FIELD(struct refresh_body, refresh_token, .use = (use_), .max = 1000,                          \
          .doc = "The session's refresh token.")

static const struct field refresh_fields[] = {REFRESH_TOKEN(FIELD_REQUIRED)};

static const struct field logout_fields[] = {
    FIELD(struct refresh_body, all, .use = FIELD_CREATE, .preset = "false", .example = "true",
          .doc = "End all sessions of the user."),
    REFRESH_TOKEN(FIELD_CREATE | FIELD_NULLABLE),
};

static const struct record refresh_record =
    RECORD("Refresh", struct refresh_body, refresh_fields, .rule = NULL);
static const struct record logout_record =
    RECORD("Logout", struct refresh_body, logout_fields, .rule = NULL);

/* ---- what a refresh token is worth ---- */

enum worth {
    WORTH_NOTHING,
    WORTH_CURRENT, /* the session's own */
    WORTH_USED,    /* a moment ago; its successor may be had again */
    WORTH_STOLEN,  /* ours, but used long ago: two have it */
};

/* A moment ago. What was used in a time to come, beyond what clocks of hosts differ by, was used
 * before a clock was set back: nobody knows how long ago. */
static struct span grace(const struct request *rq)
{
    return (struct span){instant_plus_s(rq->now, -REFRESH_GRACE_S),
                         instant_plus_s(rq->now, CLOCK_LEEWAY_S)};
}

static struct text hash_of(const struct refresh_token *token)
{
    return (struct text){(const char *)token->hash, sizeof token->hash};
}

/* Look a token up and lock its session. */
static struct problem *weigh(struct app *app, struct request *rq, struct refresh_token *ret_token,
                             struct session *ret_session, enum worth *ret)
{
    const struct refresh_body *in = rq->in;
    bool found, used;
    *ret = WORTH_NOTHING;
    if (!refresh_read(rq->arena, in->refresh_token, ret_token))
        return NULL;
    struct problem *p =
        session_lock(app->db, rq->arena, ret_token->session, rq->now, ret_session, &found);
    if (p || !found)
        return p;
    if (text_equal(ret_session->refresh_hash, hash_of(ret_token))) {
        *ret = WORTH_CURRENT;
        return NULL;
    }
    p = session_was_refreshed(app->db, rq->arena, ret_token->session, ret_token->hash, grace(rq),
                              &used);
    if (!p)
        *ret = used                                    ? WORTH_USED
               : refresh_is_ours(app->keys, ret_token) ? WORTH_STOLEN
                                                       : WORTH_NOTHING;
    return p;
}

/* ---- refresh ---- */

static struct problem *invalid(struct request *rq)
{
    return problem(rq->arena, &problem_invalid_token, NULL);
}

static struct problem *rotate(struct app *app, struct request *rq, const struct session *session,
                              const struct refresh_token *used, struct refresh_token *ret)
{
    *ret = refresh_successor(rq->arena, app->keys, 0, used);
    return session_rotate(app->db, rq->arena, session, ret->hash, rq->now,
                          instant_plus_s(rq->now, app->settings->refresh_ttl_s), grace(rq));
}

/* One step from a used token to the one that it was exchanged for, which was derived under the key
 * of that moment, maybe a previous one by now: the right one is the session's own or was used
 * since. */
static struct problem *find_successor(struct app *app, struct request *rq,
                                      const struct session *session, struct refresh_token *token,
                                      bool *ret_found)
{
    bool found = false;
    for (size_t key = 0; !found && key < jwt_key_count(app->keys); key++) {
        struct refresh_token next = refresh_successor(rq->arena, app->keys, key, token);
        struct problem *p = NULL;
        found = text_equal(session->refresh_hash, hash_of(&next));
        if (!found)
            p = session_was_refreshed(app->db, rq->arena, session->id, next.hash, grace(rq),
                                      &found);
        if (p)
            return p;
        if (found)
            *token = next;
    }
    *ret_found = found;
    return NULL;
}

/* The session's live token again, as many steps from `used` as it was refreshed since. One that is
 * used already would end the session of whoever got it. */
static struct problem *repeat(struct app *app, struct request *rq, const struct session *session,
                              const struct refresh_token *used, struct refresh_token *ret)
{
    struct refresh_token token = *used;
    bool found = true;
    for (int steps = 0; found && steps < REPEAT_MAX; steps++) {
        struct problem *p = find_successor(app, rq, session, &token, &found);
        if (p)
            return p;
        if (found && text_equal(session->refresh_hash, hash_of(&token))) {
            *ret = token;
            return NULL;
        }
    }
    return invalid(rq);
}

static struct problem *refresh(struct app *app, struct request *rq, struct response *rs)
{
    struct refresh_token used, next;
    struct session session = {0};
    struct user user = {0};
    enum worth worth;
    struct problem *p = weigh(app, rq, &used, &session, &worth);
    if (p)
        return p;
    if (worth == WORTH_NOTHING)
        return invalid(rq);
    if (worth == WORTH_STOLEN) {
        rs->refusal = invalid(rq); /* and the end of the session is committed */
        return session_delete(app->db, rq->arena, session.user_id, session.id, rq->now);
    }
    p = user_find(app->db, rq->arena, session.user_id, &user);
    if ((p && p->type == &problem_user_not_found) || (!p && !user.is_active))
        return invalid(rq);
    if (!p)
        p = worth == WORTH_CURRENT ? rotate(app, rq, &session, &used, &next)
                                   : repeat(app, rq, &session, &used, &next);
    if (p)
        return p;
    const struct tokens tokens = tokens_make(app, rq, &session, next.text);
    record_to_json(&rs->body, &tokens_record, &tokens);
    rs->after = app_purge;
    return NULL;
}

/* ---- logout ---- */

/* Whose session ends: the caller's, or without one, or with a token that has expired, that of a
 * live refresh token. */
static struct problem *find_session(struct app *app, struct request *rq, struct session *ret)
{
    const struct refresh_body *in = rq->in;
    struct refresh_token token;
    enum worth worth;
    if (rq->caller.known) {
        ret->id = rq->caller.session;
        ret->user_id = rq->caller.id;
        return NULL;
    }
    if (!in->refresh_token.data)
        return problem(rq->arena, rq->expired ? &problem_token_expired : &problem_no_token, NULL);
    struct problem *p = weigh(app, rq, &token, ret, &worth);
    if (!p && worth != WORTH_CURRENT && worth != WORTH_USED)
        p = invalid(rq);
    return p;
}

static struct problem *logout(struct app *app, struct request *rq, struct response *rs)
{
    const struct refresh_body *in = rq->in;
    struct session session = {0};
    (void)rs;
    struct problem *p = find_session(app, rq, &session);
    if (p)
        return p;
    if (in->all)
        return session_delete_all(app->db, rq->arena, session.user_id, (struct uuid){{0}});
    p = session_delete(app->db, rq->arena, session.user_id, session.id, rq->now);
    /* Ended meanwhile by another way, it is over all the same. */
    return p && p->type == &problem_session_not_found ? NULL : p;
}

/* After a commit of which nobody knows: what is over needs no second try. */
static struct problem *is_logged_out(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct refresh_body *in = rq->in;
    struct uuid id = rq->caller.session;
    struct refresh_token token;
    struct session session;
    bool lives;
    if (!rq->caller.known && refresh_read(rq->arena, in->refresh_token, &token))
        id = token.session;
    struct problem *p = session_lock(app->db, rq->arena, id, rq->now, &session, &lives);
    if (!p)
        *ret_yes = !lives;
    return p;
}

/* ---- one's own sessions ---- */

struct session_query {
    int64_t page, limit;
    struct text cursor;
};

static const struct field session_query_fields[] = {PAGE_FIELDS(struct session_query)};
static const struct record session_query_record =
    RECORD("SessionQuery", struct session_query, session_query_fields, .rule = NULL);

static struct problem *list(struct app *app, struct request *rq, struct response *rs)
{
    struct page page;
    struct page_total total = {0};
    struct problem *p = page_open(&page, rq, rs, &session_record, "-created_at", app->keys);
    if (!p)
        p = session_page(app->db, rq->arena, rq->caller.id, rq->caller.session, rq->now,
                         &page.window, page_add, &page, &total);
    if (!p)
        page_close(&page, rq->base, total);
    return p;
}

static struct problem *end(struct app *app, struct request *rq, struct response *rs)
{
    (void)rs;
    return session_delete(app->db, rq->arena, rq->caller.id, rq->path_ids[0], rq->now);
}

static struct problem *is_ended(struct app *app, struct request *rq, bool *ret_yes)
{
    struct session session;
    bool found;
    struct problem *p =
        session_lock(app->db, rq->arena, rq->path_ids[0], rq->now, &session, &found);
    if (!p)
        *ret_yes = !found;
    return p;
}

static const struct problem_type *const token_problems[] = {&problem_invalid_token, NULL};
static const struct problem_type *const logout_problems[] = {&problem_no_token, NULL};
static const struct problem_type *const end_problems[] = {&problem_session_not_found, NULL};

static const struct route routes[] = {
    {METHOD_POST, "/auth/refresh", refresh, AUTH_IGNORED, .body = &refresh_record,
     .transaction = true, .committed = router_run_again, .status = 200, .reply = &tokens_record,
     .problems = token_problems, .id = "refresh",
     .summary = "Get new tokens for a refresh token, which is used up."},
    {METHOD_POST, "/auth/logout", logout, AUTH_ANYONE, .outlives_token = true,
     .body = &logout_record, .body_optional = true, .transaction = true, .locks_caller = true,
     .committed = is_logged_out, .status = 204, .problems = logout_problems, .id = "logout",
     .summary = "End this session, or all of the user's."},
    {METHOD_GET, "/auth/sessions", list, AUTH_USER, .query = &session_query_record, .status = 200,
     .pages = true, .reply_record = &session_record, .id = "listSessions",
     .summary = "List one's own sessions."},
    {METHOD_DELETE, "/auth/sessions/{id}", end, AUTH_USER, .transaction = true,
     .locks_caller = true, .committed = is_ended, .status = 204, .problems = end_problems,
     .id = "endSession", .summary = "End one of one's own sessions."},
};

const struct resource session_resource =
    RESOURCE("sessions", "How a login goes on, and how it ends.", routes);

/* Sessions: judge a refresh token, refresh, log out, list, end. */
#include "fcgi-app/accounts/purge.h"
#include "fcgi-app/app.h"
#include "fcgi-app/routes.h"
#include "fcgi-app/accounts/tokens.h"

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/list/list.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/accounts/user_model.h"

#define REPEAT_MAX 100 /* refreshes within the grace period; no client does more */

struct refresh_body {
    struct text refresh_token;
    bool all;
};

#define REFRESH_TOKEN(use_, example_)                                                              \
    FIELD(struct refresh_body, refresh_token, .use = (use_), .max = 1000, .example = (example_),   \
          .doc = "The session's refresh token.")

static const struct field refresh_fields[] = {REFRESH_TOKEN(FIELD_REQUIRED, REFRESH_TOKEN_EXAMPLE)};

static const struct field logout_fields[] = {
    FIELD(struct refresh_body, all, .use = FIELD_CREATE, .default_value = "false",
          .example = "false", .doc = "End all sessions of the user."),
    REFRESH_TOKEN(FIELD_CREATE | FIELD_NULLABLE, NULL), /* Authorization does */
};

static const struct record refresh_record =
    RECORD("Refresh", struct refresh_body, refresh_fields, .rule = NULL);
static const struct record logout_record =
    RECORD("Logout", struct refresh_body, logout_fields, .rule = NULL);

/* ---- the state of a refresh token ---- */

enum token_state {
    TOKEN_UNKNOWN,
    TOKEN_CURRENT,  /* the session's own */
    TOKEN_IN_GRACE, /* used a moment ago: the live one may be had again */
    TOKEN_REUSED,   /* ours, but used long ago: two clients have it */
};

/* By now: a database that stalls keeps a request waiting, and the client hears of its new token
 * only after that. */
static struct instant present(const struct request *rq)
{
    int64_t waited_ns = rq->came ? monotonic_ns() - rq->came : 0;
    return (struct instant){rq->now.us + waited_ns / 1000};
}

/* When a token was used "a moment ago": before the client asked, or since. One used in the future,
 * by more than clocks of hosts differ, was used before a clock was set back, an unknown time ago.
 */
static struct span grace(const struct request *rq)
{
    return (struct span){instant_plus_s(rq->now, -REFRESH_GRACE_S),
                         instant_plus_s(present(rq), CLOCK_LEEWAY_S)};
}

static struct text hash_of(const struct refresh_token *token)
{
    return (struct text){(const char *)token->hash, sizeof token->hash};
}

/* Look a token up and lock its session. */
static struct problem *classify_token(struct app *app, struct request *rq,
                                      struct refresh_token *ret_token, struct session *ret_session,
                                      enum token_state *ret)
{
    const struct refresh_body *in = rq->body;
    bool found, used;
    *ret = TOKEN_UNKNOWN;
    if (!refresh_read(rq->arena, in->refresh_token, ret_token))
        return NULL;
    struct problem *p =
        session_lock(app->db, rq->arena, ret_token->session, rq->now, ret_session, &found);
    if (p || !found)
        return p;
    if (text_equal(ret_session->refresh_hash, hash_of(ret_token))) {
        *ret = TOKEN_CURRENT;
        return NULL;
    }
    p = session_was_refreshed(app->db, rq->arena, ret_token->session, ret_token->hash, grace(rq),
                              &used);
    if (!p)
        *ret = used                                    ? TOKEN_IN_GRACE
               : refresh_is_ours(app->keys, ret_token) ? TOKEN_REUSED
                                                       : TOKEN_UNKNOWN;
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
    return session_rotate(app->db, rq->arena, session, ret->hash, present(rq),
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
    for (size_t key = 0; !found && key < keyring_count(app->keys); key++) {
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

/* The session's live token again, as many steps from `used` as it was refreshed since. To hand out
 * one that is used already would end the client's session. */
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
    enum token_state token_state;
    struct problem *p = classify_token(app, rq, &used, &session, &token_state);
    if (p)
        return p;
    if (token_state == TOKEN_UNKNOWN)
        return invalid(rq);
    if (token_state == TOKEN_REUSED) {
        rs->refusal = invalid(rq); /* and the end of the session is committed */
        return session_delete(app->db, rq->arena, session.user_id, session.id, rq->now);
    }
    p = user_find(app->db, rq->arena, session.user_id, &user);
    if ((p && p->type == &problem_user_not_found) || (!p && !user.is_active))
        return invalid(rq);
    if (!p)
        p = token_state == TOKEN_CURRENT ? rotate(app, rq, &session, &used, &next)
                                         : repeat(app, rq, &session, &used, &next);
    if (p)
        return p;
    const struct tokens tokens = tokens_make(app, rq->arena, rq->now, &session, next.text);
    record_to_json(&rs->body, &tokens_record, &tokens);
    rs->after = purge_expired;
    return NULL;
}

/* ---- logout ---- */

/* Whose session ends: the caller's, or without one, or with a token that has expired, that of a
 * live refresh token. */
static struct problem *find_session(struct app *app, struct request *rq, struct session *ret)
{
    const struct refresh_body *in = rq->body;
    struct refresh_token token;
    enum token_state token_state;
    if (rq->caller.known) {
        ret->id = rq->caller.session;
        ret->user_id = rq->caller.id;
        return NULL;
    }
    if (!in->refresh_token.data)
        return problem(rq->arena, rq->expired ? &problem_token_expired : &problem_no_token, NULL);
    struct problem *p = classify_token(app, rq, &token, ret, &token_state);
    if (!p && token_state != TOKEN_CURRENT && token_state != TOKEN_IN_GRACE)
        p = invalid(rq);
    return p;
}

static struct problem *logout(struct app *app, struct request *rq, struct response *rs)
{
    const struct refresh_body *in = rq->body;
    struct session session = {0};
    (void)rs;
    struct problem *p = find_session(app, rq, &session);
    if (p)
        return p;
    if (in->all)
        return session_delete_all(app->db, rq->arena, session.user_id, (struct uuid){{0}});
    p = session_delete(app->db, rq->arena, session.user_id, session.id, rq->now);
    /* It may have ended meanwhile in another way. */
    return p && p->type == &problem_session_not_found ? NULL : p;
}

/* After an in-doubt commit: a session that has ended needs no second try. */
static struct problem *is_logged_out(struct app *app, struct request *rq, bool *ret_yes)
{
    const struct refresh_body *in = rq->body;
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

static const struct field session_query_fields[] = {LIST_FIELDS};
static const struct record session_query_record =
    RECORD("SessionQuery", struct list_query, session_query_fields, .rule = NULL);

static struct problem *list(struct app *app, struct request *rq, struct response *rs)
{
    struct list_scope scope = session_scope(rq->caller.id, rq->caller.session, rq->now);
    int64_t written;
    return app_list(app, rq, rs, &session_list, &scope, &written);
}

static struct problem *end(struct app *app, struct request *rq, struct response *rs)
{
    (void)rs;
    return session_delete(app->db, rq->arena, rq->caller.id, rq->path_ids[0], rq->now);
}

static struct problem *is_over(struct app *app, struct request *rq, struct uuid id, bool *ret_yes)
{
    struct session session;
    bool found;
    struct problem *p = session_lock(app->db, rq->arena, id, rq->now, &session, &found);
    if (!p)
        *ret_yes = !found;
    return p;
}

static struct problem *is_ended(struct app *app, struct request *rq, bool *ret_yes)
{
    return is_over(app, rq, rq->path_ids[0], ret_yes);
}

/* ---- another's, for an admin ---- */

/* One's own are at /auth/sessions, where ending the one that asks is meant. */
static struct problem *find_other(struct app *app, struct request *rq)
{
    struct user user;
    if (uuid_equal(&rq->path_ids[0], &rq->caller.id))
        return problem(rq->arena, &problem_forbidden, "These are your own: see /auth/sessions.");
    return user_find(app->db, rq->arena, rq->path_ids[0], &user);
}

static struct problem *list_of_user(struct app *app, struct request *rq, struct response *rs)
{
    struct list_scope scope = session_scope(rq->path_ids[0], rq->caller.session, rq->now);
    int64_t written;
    struct problem *p = find_other(app, rq);
    return p ? p : app_list(app, rq, rs, &session_list, &scope, &written);
}

static struct problem *end_of_user(struct app *app, struct request *rq, struct response *rs)
{
    (void)rs;
    struct problem *p = find_other(app, rq);
    return p ? p : session_delete(app->db, rq->arena, rq->path_ids[0], rq->path_ids[1], rq->now);
}

static struct problem *is_ended_of_user(struct app *app, struct request *rq, bool *ret_yes)
{
    return is_over(app, rq, rq->path_ids[1], ret_yes);
}

static const struct problem_type *const token_problems[] = {&problem_invalid_token, NULL};
static const struct problem_type *const logout_problems[] = {&problem_no_token, NULL};
static const struct problem_type *const end_problems[] = {&problem_session_not_found, NULL};
static const struct problem_type *const other_list_problems[] = {&problem_forbidden,
                                                                 &problem_user_not_found, NULL};
static const struct problem_type *const other_end_problems[] = {
    &problem_forbidden, &problem_user_not_found, &problem_session_not_found, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_POST,
        .path = "/auth/refresh",
        .handle = refresh,
        .auth = AUTH_NONE,
        .body = &refresh_record,
        .in_doubt = in_doubt_repeat,
        .reply = {.members = &tokens_record},
        .flags = ROUTE_TRANSACTION,
        .problems = token_problems,
        .operation_id = "refresh",
        .summary = "Get new tokens for a refresh token, which is used up.",
    },
    {
        .method = METHOD_GET,
        .path = "/auth/sessions",
        .handle = list,
        .auth = AUTH_USER,
        .query = &session_query_record,
        .reply = MANY(&session_record),
        .operation_id = "listSessions",
        .summary = "List one's own sessions.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/auth/sessions/{id}",
        .handle = end,
        .auth = AUTH_USER,
        .in_doubt = is_ended,
        .flags = ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .problems = end_problems,
        .operation_id = "endSession",
        .summary = "End one of one's own sessions.",
    },
    {
        .method = METHOD_POST,
        .path = "/auth/logout",
        .handle = logout,
        .auth = AUTH_OPTIONAL,
        .body = &logout_record,
        .in_doubt = is_logged_out,
        .flags = ROUTE_TRANSACTION | ROUTE_BODY_OPTIONAL | ROUTE_LOCKS_CALLER |
                 ROUTE_OUTLIVES_TOKEN | ROUTE_NO_UNDO,
        .problems = logout_problems,
        .operation_id = "logout",
        .summary = "End this session, or all of the user's.",
    },
    {
        .method = METHOD_GET,
        .path = "/users/{id}/sessions",
        .handle = list_of_user,
        .auth = AUTH_ADMIN,
        .query = &session_query_record,
        .reply = MANY(&session_record),
        .problems = other_list_problems,
        .operation_id = "listSessionsOfUser",
        .summary = "List the sessions of another.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/users/{id}/sessions/{session_id}",
        .handle = end_of_user,
        .auth = AUTH_ADMIN,
        .in_doubt = is_ended_of_user,
        .flags = ROUTE_TRANSACTION | ROUTE_LOCKS_CALLER,
        .problems = other_end_problems,
        .operation_id = "endSessionOfUser",
        .summary = "End a session of another, who lost a device.",
    },
};

const struct resource session_resource =
    RESOURCE("sessions", "How a login goes on, and how it ends.", routes);

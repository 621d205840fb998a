#include "tests/support/people.h"

#include <string.h>

#include "common/db/counter_recount.h"
#include "fcgi-app/accounts/tokens.h"

struct uuid id_of(const char *text)
{
    struct uuid id;
    ck_assert(uuid_parse(text, strlen(text), &id));
    return id;
}

const char *make_disabled_user(const char *email, unsigned role)
{
    const char *id = make_user(email, role);
    run_sql(say("UPDATE users SET is_active = 0 WHERE id = '%s'", id));
    return id;
}

struct entry {
    struct session session;
    struct refresh_token refresh;
};

static struct problem *insert_session(void *context)
{
    const struct entry *entry = context;
    return session_insert(the_app->db, the_arena, &entry->session, entry->refresh.hash);
}

struct login enter(const char *email)
{
    struct user user = {0};
    bool found;
    must(user_find_by_email(the_app->db, the_arena, text_of(email), &user, &found));
    ck_assert_msg(found, "no user %s", email);
    the_time.us += 1000;
    struct entry entry = {
        .session = {.id = uuid_make(the_time),
                    .user_id = user.id,
                    .created_at = the_time,
                    .last_used_at = the_time,
                    .expires_at = instant_plus_s(the_time, the_app->settings->refresh_ttl_s),
                    .ip = TEXT("192.0.2.1")}};
    entry.refresh = refresh_make(the_arena, the_app->keys, entry.session.id);
    in_transaction(insert_session, &entry);
    struct tokens tokens =
        tokens_make(the_app, the_arena, the_time, &entry.session, entry.refresh.text);
    return (struct login){
        tokens.access_token.data, tokens.refresh_token.data,
        field_to_text(the_arena, record_find(&session_record, "id"), &entry.session)};
}

struct login enter_new(const char *email, unsigned role)
{
    (void)make_user(email, role);
    return enter(email);
}

const char *bearer_of(const char *email)
{
    return enter(email).access;
}

const char *bearer_of_new(const char *email, unsigned role)
{
    return enter_new(email, role).access;
}

struct login login_of(struct answer answer)
{
    ck_status(answer, 200);
    return (struct login){.access = answer_text(answer, "access_token"),
                          .refresh = answer_text(answer, "refresh_token")};
}

struct answer refresh(const char *token)
{
    return api_post(NULL, "/auth/refresh", object("{'refresh_token':'%s'}", token));
}

void ck_alive(const char *access)
{
    ck_status(api_get(access, "/auth/profile"), 200);
}

void ck_ended(const struct login *login)
{
    ck_status(api_get(login->access, "/auth/profile"), 401);
    ck_status(refresh(login->refresh), 401);
}

void pass_s(int64_t seconds)
{
    the_time = instant_plus_s(the_time, seconds);
}

int64_t rows_in(const char *from)
{
    return ask_number(say("SELECT COUNT(*) AS n FROM %s", from));
}

int64_t answer_total(struct answer answer)
{
    return answer_integer(answer, "pagination.total");
}

void in_transaction(struct problem *(*body)(void *context), void *context)
{
    must(db_transaction(the_app->db, the_arena, body, NULL, context));
}

int64_t total_kept(const struct counter *counter, const char *owner, unsigned lowest,
                   unsigned highest)
{
    int64_t n;
    struct uuid id = owner ? id_of(owner) : (struct uuid){{0}};
    must(counter_read(the_app->db, the_arena, counter, owner ? &id : NULL, lowest, highest, &n));
    return n;
}

/* What differs between a table and what is kept of it: by owner, where it has any, and as a whole;
 * and counts of nothing, which nobody would ever delete. */
static const char *const unlike[] = {
    "SELECT COUNT(*) AS n FROM (SELECT kind FROM (SELECT role + 0 - 1 AS kind, 1 AS n FROM users "
    "WHERE left_at IS NULL UNION ALL SELECT kind, -n FROM list_counts WHERE total = 1 UNION ALL "
    "SELECT kind, -n FROM list_journal WHERE total = 1) AS d GROUP BY kind HAVING SUM(n) <> 0) AS "
    "wrong",
    "SELECT COUNT(*) AS n FROM (SELECT kind FROM (SELECT published AS kind, 1 AS n FROM posts "
    "JOIN users ON users.id = author_id AND left_at IS NULL UNION ALL SELECT kind, -n FROM "
    "list_counts WHERE total = 2 AND owner = '" NIL_ID "' UNION ALL SELECT kind, -n FROM "
    "list_journal WHERE total = 2) AS d GROUP BY kind HAVING SUM(n) <> 0) AS wrong",
    "SELECT COUNT(*) AS n FROM (SELECT owner, kind FROM (SELECT author_id AS owner, published AS "
    "kind, 1 AS n FROM posts JOIN users ON users.id = author_id AND left_at IS NULL UNION ALL "
    "SELECT owner, kind, -n FROM list_counts WHERE total = 2 AND owner <> '" NIL_ID "' UNION ALL "
    "SELECT owner, kind, -n FROM list_journal WHERE total = 2 AND owner <> '" NIL_ID "') AS d "
    "GROUP BY owner, kind HAVING SUM(n) <> 0) AS wrong",
    "SELECT COUNT(*) AS n FROM list_counts WHERE n = 0 AND owner <> '" NIL_ID "'",
};

void ck_kept(void)
{
    for (size_t i = 0; i < sizeof unlike / sizeof *unlike; i++)
        ck_assert_msg(ask_number(unlike[i]) == 0, "not 0: %s", unlike[i]);
}

static void count_one_again(const struct counter *counter)
{
    struct uuid after = {{0}};
    do
        must(counter_recount(the_app->db, the_arena, counter, &after));
    while (!uuid_is_nil(&after));
}

void count_again(void)
{
    count_one_again(&user_counter);
    count_one_again(&post_counter);
}

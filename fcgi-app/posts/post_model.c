#include "fcgi-app/posts/post_model.h"

#include <string.h>

#include "common/base/fold.h"
#include "common/base/problem.h"
#include "common/db/counter.h"
#include "common/db/window.h"

const struct problem_type problem_post_not_found = {404, "Post not found", "post_not_found",
                                                    "There is no post with this id."};

/* ---- fields ---- */

/* Unicode's White_Space (PropList.txt) and the byte order mark: what \s means to a client. */
static const char *const spaces[] = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\302\205",     "\302\240",     "\341\232\200", "\342\200\200", "\342\200\201", "\342\200\202",
    "\342\200\203", "\342\200\204", "\342\200\205", "\342\200\206", "\342\200\207", "\342\200\210",
    "\342\200\211", "\342\200\212", "\342\200\250", "\342\200\251", "\342\200\257", "\342\201\237",
    "\343\200\200", "\357\273\277",
};

/* The length of the white space at `at`, or 0. */
static size_t space_at(const char *at)
{
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (strncmp(at, spaces[i], strlen(spaces[i])) == 0)
            return strlen(spaces[i]);
    return 0;
}

static bool is_not_blank(struct text t)
{
    size_t at = 0, len = 0;
    while (at < t.len && (len = space_at(t.data + at)) > 0)
        at += len;
    return at < t.len;
}

static const struct format title_format = {
    .pattern = "\\S",
    .valid = is_not_blank,
    .code = FAULT_FORMAT,
    .message = "Must not be only white space.",
};

static const struct field post_fields[] = {
    FIELD(struct post, id, .use = FIELD_SHOWN, .doc = "The post's id."),
    FIELD(struct post, title, .use = FIELD_SHOWN | FIELD_REQUIRED | FIELD_CHANGE, .min = 1,
          .max = 255, .format = &title_format, .example = "On engines", .doc = "The headline."),
    FIELD(struct post, content, .use = FIELD_SHOWN | FIELD_REQUIRED | FIELD_CHANGE | FIELD_BYTES,
          .min = 1, .max = 65535, .example = "They weave algebraic patterns.", .doc = "The text."),
    FIELD(struct post, published, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE,
          .default_value = "false", .example = "true",
          .doc = "Whether others than the author and admins see it."),
    FIELD(struct post, author_id, .use = FIELD_SHOWN, .doc = "Who wrote it."),
    FIELD(struct post, created_at, .use = FIELD_SHOWN, .doc = "When it was written."),
    FIELD(struct post, updated_at, .use = FIELD_SHOWN, .doc = "When it was changed last."),
    FIELD(struct post, version, .use = FIELD_VERSION, .doc = "Rises with every change."),
};

const char *const post_sorts[] = {
    [POST_NEWEST] = "-created_at",
    [POST_OLDEST] = "created_at",
    [POST_BY_TITLE] = "title",
    [POST_BY_TITLE_DOWN] = "-title",
    NULL,
};

#define SEARCH_FIELDS                                                                              \
    PAGE_FIELDS,                                                                                   \
        FIELD(struct post_query, q, .max = 200,                                                    \
              .doc = "Only posts with all of these words in title or content."),                   \
        FIELD(struct post_query, published,                                                        \
              .doc = "Only published posts, or only drafts that the caller may see."),             \
        FIELD(struct page_query, sort, .choices = post_sorts, .default_value = "-created_at",      \
              .doc = "The order; a leading minus reverses it.")

static const struct field author_post_query_fields[] = {SEARCH_FIELDS};

static const struct field post_query_fields[] = {
    SEARCH_FIELDS,
    FIELD(struct post_query, author_id, .doc = "Only posts of this user."),
};

const struct record post_record = RECORD("Post", struct post, post_fields, .rule = NULL);
const struct record post_query_record =
    RECORD("PostQuery", struct post_query, post_query_fields, .rule = NULL);
const struct record author_post_query_record =
    RECORD("AuthorPostQuery", struct post_query, author_post_query_fields, .rule = NULL);

/* ---- statements ---- */

#define COLUMNS "id, title, content, published, author_id, created_at, updated_at, version"

/* Posts of a deleted author exist for nobody, but their rows are deleted bit by bit; see
 * departure.h. */
#define AUTHOR_STAYS                                                                               \
    "NOT EXISTS (SELECT 1 FROM user_departures WHERE user_departures.user_id = posts.author_id)"

/* Only for an author who is there, and stays until the transaction ends. */
static const struct sql sql_insert = {
    "INSERT INTO posts (id, author_id, title, content, published, created_at, updated_at) "
    "SELECT ?, id, ?, ?, ?, ?, ? FROM users WHERE id = ? AND left_at IS NULL LOCK IN SHARE MODE",
    NULL};
/* As a join of two rows by key, which are read while the plan is made; the subquery makes a plan of
 * its own, and costs a third of the whole. */
static const struct sql sql_find = {
    "SELECT " COLUMNS
    " FROM posts LEFT JOIN user_departures ON user_departures.user_id = author_id "
    "WHERE id = ? AND user_departures.user_id IS NULL",
    &post_record};
static const struct sql sql_lock = {
    "SELECT " COLUMNS " FROM posts WHERE id = ? AND " AUTHOR_STAYS " FOR UPDATE", &post_record};
static const struct sql sql_keep_author = {
    "SELECT 1 AS n FROM users WHERE id = ? AND left_at IS NULL LOCK IN SHARE MODE",
    &counted_record};
static const struct sql sql_update = {
    "UPDATE posts SET title = ?, content = ?, published = ?, updated_at = ?, "
    "version = ? WHERE id = ?",
    NULL};
static const struct sql sql_delete = {"DELETE FROM posts WHERE id = ?", NULL};

static const struct sql sql_count_for_author = {
    "INSERT INTO post_counts (author_id, published, n) VALUES (?, ?, ?) "
    "ON DUPLICATE KEY UPDATE n = n + VALUES(n)",
    NULL};
static const struct sql sql_count_in_total = {
    "UPDATE post_totals SET n = n + ? WHERE published = ? AND slot = ?", NULL};
static const struct sql sql_author_total = {
    "SELECT SUM(n) AS n FROM post_counts WHERE author_id = ? AND published BETWEEN ? AND ?",
    &counted_record};
static const struct sql sql_author_total_locked = {
    "SELECT n FROM post_counts WHERE author_id = ? AND published = ? FOR UPDATE", &counted_record};
static const struct sql sql_total = {
    "SELECT SUM(n) AS n FROM post_totals WHERE published BETWEEN ? AND ?", &counted_record};
static const struct sql sql_forget_author = {"DELETE FROM post_counts WHERE author_id = ?", NULL};
/* The index is forced, for there may be many. */
static const struct sql sql_delete_newest = {
    "DELETE posts FROM (SELECT id FROM posts FORCE INDEX (ix_posts_author_created) "
    "WHERE author_id = ? ORDER BY created_at DESC, id DESC LIMIT ?) AS newest "
    "STRAIGHT_JOIN posts ON posts.id = newest.id",
    NULL};

/* ---- counting ---- */

static struct problem *add_to_total(struct db *db, struct arena *a, bool published, int64_t by)
{
    return db_execute(db, a, &sql_count_in_total,
                      DB_ARGS(db_integer(by), db_integer(published), db_integer(count_slot())),
                      NULL);
}

static struct problem *count_post(struct db *db, struct arena *a, struct uuid author,
                                  bool published, int64_t by)
{
    struct problem *p =
        db_execute(db, a, &sql_count_for_author,
                   DB_ARGS(db_uuid(author), db_integer(published), db_integer(by)), NULL);
    return p ? p : add_to_total(db, a, published, by);
}

struct problem *post_uncount_author(struct db *db, struct arena *a, struct uuid author)
{
    for (int published = 0; published <= 1; published++) {
        int64_t n;
        struct problem *p = count_read(db, a, &sql_author_total_locked,
                                       DB_ARGS(db_uuid(author), db_integer(published)), &n);
        if (!p && n)
            p = add_to_total(db, a, published, -n);
        if (p)
            return p;
    }
    return db_execute(db, a, &sql_forget_author, DB_ARGS(db_uuid(author)), NULL);
}

/* ---- one post ---- */

struct problem *post_insert(struct db *db, struct arena *a, const struct post *post)
{
    uint64_t inserted = 0;
    struct problem *p =
        db_execute(db, a, &sql_insert,
                   DB_ARGS(db_uuid(post->id), db_text(post->title), db_text(post->content),
                           db_integer(post->published), db_time(post->created_at),
                           db_time(post->updated_at), db_uuid(post->author_id)),
                   &inserted);
    if (!p && !inserted) { /* as if the row of the author were gone already */
        p = problem_because(a, &problem_internal, "the author of a new post is gone");
        p->constraint = "fk_posts_author";
    }
    return p ? p : count_post(db, a, post->author_id, post->published, 1);
}

static struct problem *find_one(struct db *db, struct arena *a, const struct sql *sql,
                                struct uuid id, struct post *ret)
{
    bool found;
    struct problem *p = db_find(db, a, sql, DB_ARGS(db_uuid(id)), ret, &found);
    if (!p && !found)
        p = problem(a, &problem_post_not_found, NULL);
    return p;
}

struct problem *post_find(struct db *db, struct arena *a, struct uuid id, struct post *ret)
{
    return find_one(db, a, &sql_find, id, ret);
}

struct problem *post_lock(struct db *db, struct arena *a, struct uuid id, struct post *ret)
{
    return find_one(db, a, &sql_lock, id, ret);
}

struct problem *post_exists_locked(struct db *db, struct arena *a, struct uuid id, bool *ret_yes)
{
    struct post row;
    return db_find(db, a, &sql_lock, DB_ARGS(db_uuid(id)), &row, ret_yes);
}

/* Otherwise the author could be deleted meanwhile, and counters be changed afterwards. */
static struct problem *hold_author(struct db *db, struct arena *a, struct uuid author,
                                   struct uuid held)
{
    int64_t there = 0;
    if (uuid_equal(&author, &held))
        return NULL;
    struct problem *p = count_read(db, a, &sql_keep_author, DB_ARGS(db_uuid(author)), &there);
    if (!p && !there)
        p = problem(a, &problem_post_not_found, NULL);
    return p;
}

struct problem *post_update(struct db *db, struct arena *a, const struct post *before,
                            const struct post *post, struct uuid held)
{
    bool moves = before->published != post->published;
    struct problem *p = moves ? hold_author(db, a, post->author_id, held) : NULL;
    if (!p)
        p = db_execute(db, a, &sql_update,
                       DB_ARGS(db_text(post->title), db_text(post->content),
                               db_integer(post->published), db_time(post->updated_at),
                               db_integer(post->version), db_uuid(post->id)),
                       NULL);
    if (p || !moves)
        return p;
    p = count_post(db, a, post->author_id, before->published, -1);
    return p ? p : count_post(db, a, post->author_id, post->published, 1);
}

struct problem *post_delete(struct db *db, struct arena *a, const struct post *post,
                            struct uuid held)
{
    struct problem *p = hold_author(db, a, post->author_id, held);
    if (!p)
        p = db_execute(db, a, &sql_delete, DB_ARGS(db_uuid(post->id)), NULL);
    return p ? p : count_post(db, a, post->author_id, post->published, -1);
}

struct problem *post_delete_newest(struct db *db, struct arena *a, struct uuid author,
                                   int64_t limit, uint64_t *ret_deleted)
{
    return db_execute(db, a, &sql_delete_newest, DB_ARGS(db_uuid(author), db_integer(limit)),
                      ret_deleted);
}

/* ---- many posts ---- */

#define REACH 2000 /* rows of deleted authors that one page looks through */

/* The parts of one page's statement: constant SQL here, values in `args`. */
struct search {
    const char *from, *where;
    struct db_arg args[16];
    size_t count;
};

static void add_text(struct arena *a, struct search *s, const char *condition)
{
    s->where = arena_printf(a, "%s%s%s", s->where, *s->where ? " AND " : " WHERE ", condition);
}

static void add_arg(struct search *s, struct db_arg arg)
{
    s->args[s->count++] = arg;
}

static void add_condition(struct arena *a, struct search *s, const char *condition,
                          struct db_arg arg)
{
    add_text(a, s, condition);
    add_arg(s, arg);
}

static const char *order_of(unsigned sort)
{
    static const char *const orders[] = {
        [POST_NEWEST] = "created_at DESC, id DESC",
        [POST_OLDEST] = "created_at, id",
        [POST_BY_TITLE] = "title, id",
        [POST_BY_TITLE_DOWN] = "title DESC, id DESC",
    };
    return orders[sort];
}

static bool is_by_title(unsigned sort)
{
    return sort == POST_BY_TITLE || sort == POST_BY_TITLE_DOWN;
}

/* The index that has the order of a list. Only an author's own posts by title are sorted when
 * they are asked for. */
static const char *index_of(unsigned sort, const struct post_filter *filter)
{
    if (filter->by_author)
        return filter->drafts && filter->published ? "ix_posts_author_created"
                                                   : "ix_posts_author_published_created";
    return is_by_title(sort) ? "ix_posts_published_title" : "ix_posts_published_created";
}

static struct problem *count_all(struct db *db, struct arena *a, const struct post_filter *filter,
                                 struct page_total *ret)
{
    struct db_arg lowest = db_integer(!filter->drafts), highest = db_integer(filter->published);
    if (filter->by_author)
        return count_read(db, a, &sql_author_total,
                          DB_ARGS(db_uuid(filter->author_id), lowest, highest), &ret->count);
    return count_read(db, a, &sql_total, DB_ARGS(lowest, highest), &ret->count);
}

/* A comparison with a row, in the order of the list. Of two comparisons with its key the first is
 * what the index is entered by. */
static void compare(struct arena *a, struct search *s, unsigned sort, const char *condition,
                    const struct page_window *row)
{
    struct db_arg key = is_by_title(sort) ? db_text(row->text) : db_time(row->time);
    add_condition(a, s, condition, key);
    add_arg(s, key);
    add_arg(s, db_uuid(row->id));
}

/* Only what comes after a row. */
static void begin_after(struct arena *a, struct search *s, unsigned sort,
                        const struct page_window *row)
{
    static const char *const conditions[] = {
        [POST_NEWEST] = "created_at <= ? AND (created_at < ? OR id < ?)",
        [POST_OLDEST] = "created_at >= ? AND (created_at > ? OR id > ?)",
        [POST_BY_TITLE] = "title >= ? AND (title > ? OR id > ?)",
        [POST_BY_TITLE_DOWN] = "title <= ? AND (title < ? OR id < ?)",
    };
    compare(a, s, sort, conditions[sort], row);
}

/* Only what comes before a row, and the row. */
static void end_with(struct arena *a, struct search *s, unsigned sort,
                     const struct page_window *row)
{
    static const char *const conditions[] = {
        [POST_NEWEST] = "created_at >= ? AND (created_at > ? OR id >= ?)",
        [POST_OLDEST] = "created_at <= ? AND (created_at < ? OR id <= ?)",
        [POST_BY_TITLE] = "title <= ? AND (title < ? OR id <= ?)",
        [POST_BY_TITLE_DOWN] = "title >= ? AND (title > ? OR id >= ?)",
    };
    compare(a, s, sort, conditions[sort], row);
}

/* Who takes the rows, and how many there were. */
struct taker {
    void (*each)(void *context, const void *post);
    void *context;
    int64_t count;
};

static void take(void *context, const void *row)
{
    struct taker *taker = context;
    taker->count++;
    taker->each(taker->context, row);
}

static struct problem *read_rows(struct db *db, struct arena *a, unsigned sort,
                                 const struct page_window *window, struct search s,
                                 struct taker *taker)
{
    const struct sql sql = {arena_printf(a,
                                         "SELECT " COLUMNS " FROM posts%s%s ORDER BY %s "
                                         "LIMIT ? OFFSET ?",
                                         s.from, s.where, order_of(sort)),
                            &post_record};
    add_arg(&s, db_integer(window->limit));
    add_arg(&s, db_integer(window->offset));
    return db_each(db, a, &sql, (struct db_args){s.args, s.count}, take, taker);
}

/* The row that many rows on, including those of deleted authors; from the index alone. */
static struct problem *look_ahead(struct db *db, struct arena *a, unsigned sort, int64_t rows,
                                  struct search s, struct page_window *ret, bool *ret_found)
{
    struct post row = {0};
    const struct sql sql = {
        arena_printf(a, "SELECT id, %s FROM posts%s%s ORDER BY %s LIMIT 1 OFFSET ?",
                     is_by_title(sort) ? "title" : "created_at", s.from, s.where, order_of(sort)),
        &post_record};
    add_arg(&s, db_integer(rows - 1));
    struct problem *p = db_find(db, a, &sql, (struct db_args){s.args, s.count}, &row, ret_found);
    if (!p && *ret_found)
        *ret = (struct page_window){.id = row.id, .time = row.created_at, .text = row.title};
    return p;
}

/* There are deleted authors, perhaps with more posts left than a page may look through. So find
 * first how far it may look, and return that as the place to continue from. */
static struct problem *read_within_reach(struct db *db, struct arena *a, unsigned sort,
                                         const struct page_window *window, struct search *s,
                                         struct taker *taker, struct page_total *found)
{
    int64_t rows = window->offset + window->limit + REACH;
    bool cut = false;
    struct problem *p = look_ahead(db, a, sort, rows, *s, &found->end, &cut);
    if (p)
        return p;
    if (cut)
        end_with(a, s, sort, &found->end);
    add_text(a, s, AUTHOR_STAYS);
    p = read_rows(db, a, sort, window, *s, taker);
    found->left_out = true;
    found->cut = cut && taker->count < window->limit;
    return p;
}

/* Nearly always there is no deleted author with rows left; then no row is tested. */
static struct problem *read_in_order(struct db *db, struct arena *a, unsigned sort,
                                     const struct page_window *window, struct search *s,
                                     struct taker *taker, struct page_total *found)
{
    struct search quick = *s;
    add_text(a, &quick, "NOT EXISTS (SELECT 1 FROM user_departures)");
    struct problem *p = read_rows(db, a, sort, window, quick, taker);
    if (p || taker->count)
        return p;
    return read_within_reach(db, a, sort, window, s, taker, found);
}

struct matches {
    int64_t looked_at;
    int64_t n; /* of authors who are not deleted */
};

static const struct field matches_fields[] = {
    FIELD(struct matches, looked_at, .doc = "How many rows were looked at."),
    FIELD(struct matches, n, .doc = "How many of these count."),
};
static const struct record matches_record =
    RECORD("Matches", struct matches, matches_fields, .rule = NULL);

/* How the rows are found. */
enum path {
    PATH_LIST,     /* along the index that has the order: the optimizer of a prepared statement
                      does not see the LIMIT's value, and now and then takes a scan with a sort */
    PATH_RARE,     /* from the word index, and then sorted */
    PATH_FREQUENT, /* along the order again, looking each row up in what the word index found:
                      sorting that would cost more than walking to the end of a page */
};

static void plan(struct arena *a, const struct post_query *query, const struct post_filter *filter,
                 const char *words, enum path path, struct search *s)
{
    static const char *const matches[] = {
        [PATH_RARE] = "MATCH (title, content) AGAINST (? IN BOOLEAN MODE)",
        [PATH_FREQUENT] = "IF(MATCH (title, content) AGAINST (? IN BOOLEAN MODE), 1, 0) = 1"};
    *s = (struct search){.from = "", .where = ""};
    if (path != PATH_RARE)
        s->from = arena_printf(
            a, path == PATH_LIST ? " FORCE INDEX (%s)" : " FORCE INDEX FOR ORDER BY (%s)",
            index_of(query->paging.sort, filter));
    if (path != PATH_LIST)
        add_condition(a, s, matches[path], db_text(text_of(words)));
    if (filter->by_author) {
        add_condition(a, s, "author_id = ?", db_uuid(filter->author_id));
        add_condition(a, s, "NOT EXISTS (SELECT 1 FROM user_departures WHERE user_id = ?)",
                      db_uuid(filter->author_id));
    }
    if (filter->drafts != filter->published)
        add_condition(a, s, "published = ?", db_integer(filter->published));
}

/* So many rows are looked at, whoever wrote them. */
static struct problem *count_found(struct db *db, struct arena *a, const struct search *s,
                                   struct page_total *ret)
{
    struct matches matches = {0};
    bool found;
    const struct sql sql = {arena_printf(a,
                                         "SELECT COUNT(*) AS looked_at, COALESCE(SUM(" AUTHOR_STAYS
                                         "), 0) AS n "
                                         "FROM (SELECT author_id FROM posts%s LIMIT %d) AS posts",
                                         s->where, SEARCH_COUNT_MAX + 1),
                            &matches_record};
    struct problem *p = db_find(db, a, &sql, (struct db_args){s->args, s->count}, &matches, &found);
    if (p)
        return p;
    ret->capped = matches.looked_at > SEARCH_COUNT_MAX;
    ret->count = matches.n < SEARCH_COUNT_MAX ? matches.n : SEARCH_COUNT_MAX;
    return NULL;
}

static struct problem *read_page(struct db *db, struct arena *a, unsigned sort,
                                 const struct post_filter *filter, const struct page_window *window,
                                 struct search *s, struct taker *taker, struct page_total *found)
{
    if (filter->by_author)
        return read_rows(db, a, sort, window, *s, taker);
    if (*s->from)
        return read_in_order(db, a, sort, window, s, taker, found);
    add_text(a, s, AUTHOR_STAYS); /* of a search that has not found many */
    return read_rows(db, a, sort, window, *s, taker);
}

struct problem *post_page(struct db *db, struct arena *a, const struct post_query *query,
                          const struct post_filter *filter, const struct page_window *window,
                          void (*each)(void *context, const void *post), void *context,
                          struct page_total *ret_total)
{
    const char *words = match_all_words(a, query->q);
    struct page_total found = {0};
    struct taker taker = {each, context, 0};
    struct problem *p = NULL;
    struct search s;
    bool nothing_to_search = query->q.len && !*words;
    if ((!filter->drafts && !filter->published) || nothing_to_search) {
        *ret_total = found;
        return NULL;
    }
    plan(a, query, filter, words, *words ? PATH_RARE : PATH_LIST, &s);
    if (*words)
        p = count_found(db, a, &s, &found);
    else if (!window->after)
        p = count_all(db, a, filter, &found);
    if (!p && found.capped)
        plan(a, query, filter, words, PATH_FREQUENT, &s);
    if (!p && window->after)
        begin_after(a, &s, query->paging.sort, window);
    if (!p && (window->after || found.capped || window->offset < found.count))
        p = read_page(db, a, query->paging.sort, filter, window, &s, &taker, &found);
    if (!p)
        *ret_total = found;
    return p;
}

/* ---- rows from elsewhere ---- */

static const struct sql sql_lock_counts = {"SELECT n FROM post_counts FOR UPDATE", &counted_record};
static const struct sql sql_lock_totals = {"SELECT n FROM post_totals FOR UPDATE", &counted_record};
static const struct sql sql_forget_counts = {"DELETE FROM post_counts", NULL};
/* An author whose first post came in between has a row, which is right. */
static const struct sql sql_recount_authors = {
    "INSERT INTO post_counts (author_id, published, n) "
    "SELECT author_id, published, COUNT(*) FROM posts WHERE " AUTHOR_STAYS
    " GROUP BY author_id, published "
    "ON DUPLICATE KEY UPDATE n = VALUES(n)",
    NULL};
static const struct sql sql_recount_totals = {
    "UPDATE post_totals SET n = IF(slot = 0, (SELECT COALESCE(SUM(n), 0) FROM post_counts "
    "WHERE post_counts.published = post_totals.published), 0)",
    NULL};

/* See user_recount() for why the counters are locked first. Authors come before totals, as in
 * every write, so that no two wait for each other. */
struct problem *post_recount(struct db *db, struct arena *a)
{
    struct problem *p = count_lock(db, a, &sql_lock_counts);
    if (!p)
        p = db_execute(db, a, &sql_forget_counts, DB_NO_ARGS, NULL);
    if (!p)
        p = db_execute(db, a, &sql_recount_authors, DB_NO_ARGS, NULL);
    if (!p)
        p = count_lock(db, a, &sql_lock_totals);
    return p ? p : db_execute(db, a, &sql_recount_totals, DB_NO_ARGS, NULL);
}

/* OPTIMIZE TABLE would do the same, but not where innodb_optimize_fulltext_only is set. */
struct problem *post_rebuild_search(struct db *db, struct arena *a)
{
    struct problem *p = db_pin(db, a); /* it may take longer than a statement has */
    if (p)
        return p;
    p = db_run(db, a, "ALTER TABLE posts FORCE");
    db_unpin(db);
    return p;
}

struct probe {
    struct uuid id;
    struct text word;
};

static const struct field probe_fields[] = {
    FIELD(struct probe, id, .doc = "A post."),
    FIELD(struct probe, word, .doc = "A word that it has."),
};
static const struct record probe_record = RECORD("Probe", struct probe, probe_fields, .rule = NULL);

/* Of INNODB_FT_DEFAULT_STOPWORD, what is not too short for any index: the frequent ones last, for
 * looking them up takes longer. */
#define STOP_WORDS                                                                                 \
    "www|und|com|where|who|about|how|when|what|will|are|was|from|this|that|with|for|the"

static const struct sql sql_find_stop_word = {
    "SELECT id, word FROM (SELECT id, LOWER(REGEXP_SUBSTR(CONCAT(' ', title, ' ',"
    " LEFT(content, 4000), ' '), '(?i)(?<=[[:space:]])(" STOP_WORDS ")(?=[[:space:].,;:!?])'))"
    " AS word FROM posts ORDER BY id DESC LIMIT 100) AS newest WHERE word <> ''"
    " ORDER BY LOCATE(word, '" STOP_WORDS "') LIMIT 1",
    &probe_record};
static const struct sql sql_look_up = {
    "SET STATEMENT max_statement_time = 1 FOR SELECT COUNT(*) AS n FROM posts"
    " WHERE id = ? AND MATCH (title, content) AGAINST (CONCAT('+', ?) IN BOOLEAN MODE)",
    &counted_record};

struct problem *post_probe_search(struct db *db, struct arena *a, const char **ret_lost)
{
    struct probe probe;
    bool found;
    int64_t n = 0;
    struct problem *p = db_find(db, a, &sql_find_stop_word, DB_NO_ARGS, &probe, &found);
    if (p)
        return p;
    /* A word that the index has so often that a second does not suffice is in the index. */
    if (found &&
        count_read(db, a, &sql_look_up, DB_ARGS(db_uuid(probe.id), db_text(probe.word)), &n))
        found = false;
    *ret_lost = found && !n ? probe.word.data : NULL;
    return NULL;
}

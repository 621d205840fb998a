#include "fcgi-app/posts/post_model.h"

#include <string.h>

#include "common/base/problem.h"
#include "common/db/counter.h"
#include "common/list/list.h"
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/user_model.h"

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
    FIELD(struct post, author_id, .use = FIELD_SHOWN, .refers_to = "User", .doc = "Who wrote it."),
    FIELD(struct post, created_at, .use = FIELD_SHOWN, .doc = "When it was written."),
    FIELD(struct post, updated_at, .use = FIELD_SHOWN, .doc = "When it was changed last."),
    FIELD(struct post, version, .use = FIELD_VERSION, .doc = "Rises with every change."),
};

static const char *const post_sorts[] = {"-created_at", "created_at", "title", "-title", NULL};

#define SEARCH_FIELDS                                                                              \
    LIST_FIELDS, LIST_RANGE_FIELDS,                                                                \
        FIELD(struct list_query, q, .max = 200,                                                    \
              .doc = "Only posts with all of these words in title or content, each as a whole "    \
                     "word; one with * at its end stands for all that begin so. Words of one "     \
                     "or two letters are not looked for."),                                        \
        FIELD(struct post_query, published,                                                        \
              .doc = "Only published posts, or only drafts that the caller may see."),             \
        FIELD(struct list_query, sort, .choices = post_sorts, .default_value = "-created_at",      \
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

#define OF_POSTS "posts"

#define COLUMNS "id, title, content, published, author_id, created_at, updated_at, version"

/* Posts of a deleted author exist for nobody, but their rows are deleted bit by bit; see
 * departure.h. */
#define AUTHOR_STAYS                                                                               \
    "NOT EXISTS (SELECT 1 FROM user_departures WHERE user_departures.user_id = posts.author_id)"

#define NOBODY_LEAVES "NOT EXISTS (SELECT 1 FROM user_departures)"

/* Only for an author who is there, and stays until the transaction ends. */
#define INSERT_FOR                                                                                 \
    "INSERT INTO posts (id, author_id, title, content, published, created_at, updated_at) "        \
    "SELECT ?, users.id, ?, ?, ?, ?, ? FROM "
#define INSERT_ARGS(post_)                                                                         \
    db_uuid((post_)->id), db_text((post_)->title), db_text((post_)->content),                      \
        db_integer((post_)->published), db_time((post_)->created_at), db_time((post_)->updated_at)
static const struct sql sql_insert = {
    INSERT_FOR "users WHERE id = ? AND left_at IS NULL LOCK IN SHARE MODE", NULL};
static const struct sql sql_insert_by_caller = {
    DB_ATOMIC(INSERT_FOR USER_WHO_CALLS " LOCK IN SHARE MODE; " DB_ATOMIC_UNLESS_NONE COUNTER_ADD),
    NULL};
/* As a join of two rows by key, which are read while the plan is made; the subquery makes a plan of
 * its own, and costs a third of the whole. */
#define WHERE_THERE                                                                                \
    " FROM posts LEFT JOIN user_departures ON user_departures.user_id = author_id "                \
    "WHERE id = ? AND user_departures.user_id IS NULL"
#define LOOK "SELECT id, author_id, published"
static const struct sql sql_find = {"SELECT " COLUMNS WHERE_THERE, &post_record};
static const struct sql sql_look = {LOOK WHERE_THERE, &post_record};
static const struct sql sql_keep = {
    LOOK " FROM posts WHERE id = ? AND " AUTHOR_STAYS " LOCK IN SHARE MODE", &post_record};
static const struct sql sql_keep_author = {
    "SELECT 1 AS n FROM users WHERE id = ? AND left_at IS NULL LOCK IN SHARE MODE",
    &counted_record};

/* The index is forced, for there may be many. */
#define NEWEST                                                                                     \
    "SELECT id FROM posts FORCE INDEX (ix_posts_author_created) WHERE author_id = ? "              \
    "ORDER BY created_at DESC, id DESC LIMIT ?"
/* They are in no total any more, but in the search index. */
static const struct sql sql_note_newest = {
    "INSERT INTO list_journal (total, owner, kind, n, row_id) SELECT ?, ?, 0, 0, id "
    "FROM (" NEWEST ") AS newest",
    NULL};
static const struct sql sql_delete_newest = {
    "DELETE posts FROM (" NEWEST ") AS newest STRAIGHT_JOIN posts ON posts.id = newest.id", NULL};

/* ---- counting ---- */

/* For each author and all together, by published. */
const struct counter post_counter = {.number = 2,
                                     .table = "posts",
                                     .owner = "author_id",
                                     .kind = "published",
                                     .where = AUTHOR_STAYS};

struct problem *post_uncount_author(struct db *db, struct arena *a, struct uuid author)
{
    return counter_clear(db, a, &post_counter, author);
}

const struct table post_table = {
    .name = "posts",
    .row = &post_record,
    .missing = &problem_post_not_found,
    .counters = COUNTERS(&post_counter),
    .shown = AUTHOR_STAYS,
    .find = &sql_find,
    .noted = true,
};

/* ---- one post ---- */

struct problem *post_insert(struct db *db, struct arena *a, const struct post *post)
{
    uint64_t inserted = 0;
    struct problem *p = db_execute(db, a, &sql_insert,
                                   DB_ARGS(INSERT_ARGS(post), db_uuid(post->author_id)), &inserted);
    if (!p && !inserted) { /* as if the row of the author were gone already */
        p = problem_because(a, &problem_internal, "the author of a new post is gone");
        p->constraint = "fk_posts_author";
    }
    return p ? p : counter_add(db, a, &post_counter, post->author_id, post->published, 1, post->id);
}

struct insert {
    struct db *db;
    struct arena *arena;
    const struct post *post;
};

static struct problem *is_inserted(void *context, bool *ret_yes)
{
    const struct insert *i = context;
    return post_exists_locked(i->db, i->arena, i->post->id, ret_yes);
}

struct problem *post_insert_by_caller(struct db *db, struct arena *a, const struct post *post,
                                      struct uuid session, struct instant now, bool *ret_done)
{
    struct insert insert = {db, a, post};
    return db_execute_atomic(
        db, a, &sql_insert_by_caller,
        DB_ARGS(INSERT_ARGS(post), USER_SESSION_ARGS(post->author_id, session, now),
                COUNTER_ADD_ARGS(&post_counter, post->author_id, post->published, 1, post->id)),
        is_inserted, &insert, ret_done);
}

struct problem *post_find(struct db *db, struct arena *a, struct uuid id, struct post *ret)
{
    return table_find(db, a, &post_table, id, ret);
}

struct problem *post_lock(struct db *db, struct arena *a, struct uuid id, struct post *ret)
{
    return table_lock(db, a, &post_table, id, ret);
}

struct problem *post_exists_locked(struct db *db, struct arena *a, struct uuid id, bool *ret_yes)
{
    return table_exists_locked(db, a, &post_table, id, ret_yes);
}

struct problem *post_look(struct db *db, struct arena *a, struct uuid id, bool keep,
                          struct post *ret)
{
    bool found;
    struct problem *p =
        db_find(db, a, keep ? &sql_keep : &sql_look, DB_ARGS(db_uuid(id)), ret, &found);
    return p || found ? p : problem(a, &problem_post_not_found, NULL);
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
    return p ? p : table_update(db, a, &post_table, before, post);
}

struct problem *post_delete(struct db *db, struct arena *a, const struct post *post,
                            struct uuid held, bool *ret_left)
{
    struct problem *p = hold_author(db, a, post->author_id, held);
    if (!p)
        p = belonging_leave(db, a, belongings, OF_POSTS, post->id, ret_left);
    return p ? p : table_delete(db, a, &post_table, post);
}

/* What belongs to them goes before them. */
struct problem *post_delete_newest(struct db *db, struct arena *a, struct uuid author,
                                   int64_t limit, uint64_t *ret_deleted)
{
    uint64_t below = 0, posts = 0;
    struct problem *p =
        belonging_delete_of(db, a, belongings, OF_POSTS, NEWEST,
                            DB_ARGS(db_uuid(author), db_integer(limit)), limit, &below);
    int64_t left = limit - (int64_t)below;
    const struct db_arg whose = db_uuid(author), count = db_integer(left);
    if (!p && left > 0)
        p = db_execute(db, a, &sql_note_newest,
                       DB_ARGS(db_integer(post_counter.number), whose, whose, count), NULL);
    if (!p && left > 0)
        p = db_execute(db, a, &sql_delete_newest, DB_ARGS(whose, count), &posts);
    if (!p)
        *ret_deleted = below + posts;
    return p;
}

/* ---- many posts ---- */

#define AUTHOR (1U << POST_AUTHOR)
#define PUBLISHED (1U << POST_PUBLISHED)

static const struct list_key post_keys[] = {{.name = "created_at"}, {.name = "title"}};
static const struct list_path post_paths[] = {
    {0, PUBLISHED, "ix_posts_published_created"},
    {0, AUTHOR, "ix_posts_author_created"},
    {0, AUTHOR | PUBLISHED, "ix_posts_author_published_created"},
    {1, PUBLISHED, "ix_posts_published_title"},
    {1, AUTHOR, "ix_posts_author_title"},
    {1, AUTHOR | PUBLISHED, "ix_posts_author_published_title"},
    {0},
};
static const struct list_counter post_counters[] = {
    {.counter = &post_counter, .owner = AUTHOR, .kind = PUBLISHED, .kinds = 2},
    {0},
};

const struct list post_list = {
    .table = "posts",
    .columns = COLUMNS,
    .row = &post_record,
    .sorts = post_sorts,
    .filters =
        {[POST_AUTHOR] = {.column = "author_id"}, [POST_PUBLISHED] = {.column = "published"}},
    .keys = post_keys,
    .paths = post_paths,
    .counters = post_counters,
    .shown = {.condition = AUTHOR_STAYS, .columns = "author_id", .unless = NOBODY_LEAVES},
    .search = &post_index,
};

const struct search_index post_index = {
    .counter = &post_counter,
    .kind = SEARCH_WORDS,
    .texts = {"title", "content"},
    .filters = {[POST_AUTHOR] = {.column = "author_id"},
                [POST_PUBLISHED] = {.column = "published", .value = "published"}},
    .slices = {{"published = 0", "ix_posts_published_created"},
               {"published = 1", "ix_posts_published_created"}},
};

/* needs: mariadb */
/* Searching as a whole: whatever was written, however the index is laid out, a search finds what
 * looking at every row finds, in the same order, page by page. */
#include "common/search/find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/db/counter_sweep.h"
#include "common/search/build.h"
#include "common/search/merge.h"
#include "common/search/postings_write.h"
#include "common/search/sweep.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"
#include "tests/support/torture.h"

#define AUTHORS 3
#define ROWS_MAX 20000

static const char *admin, *author_ids[AUTHORS];
static unsigned seed, writers = AUTHORS; /* who write; the last one leaves */
static struct arena *room;               /* of one question */

static void set_up(void)
{
    loopback_open();
    room = arena_open((size_t)1024 * 1024 * 1024);
    admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    for (int i = 0; i < AUTHORS; i++)
        author_ids[i] = make_user(say("author%d@example.org", i), ROLE_USER);
}

static void tear_down(void)
{
    arena_close(room);
    loopback_close();
}

static unsigned pick(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

static void sweep(int steps)
{
    const struct sweep_hook hook = search_hook(search_indexes);
    bool more = true;
    for (int i = 0; more && i < steps; i++)
        must(counter_sweep(the_app->db, the_arena, &hook, &more));
}

static void tend(void)
{
    bool more = true;
    sweep(1000);
    for (int i = 0; more && i < 20; i++)
        must(search_tend(the_app->db, the_arena, search_indexes, &more));
}

/* ---- texts ---- */

/* Frequent words first; of many scripts, and near each other. */
static const char *const vocabulary[] = {
    "linux",
    "Linux's",
    "kernel",
    "kernels",
    "KERNEL",
    "the",
    "caf\303\251",
    "cafe",
    "\316\223\316\271\316\254\316\275\316\275\316\267\317\202", /* Giannis, Greek */
    "\316\223\316\231\316\206\316\235\316\235\316\227\316\243",
    "\346\274\242\345\255\227", /* two Chinese letters, then three, then the last two of these */
    "\346\274\242\345\255\227\344\273\256",
    "\345\255\227\344\273\256",
    "\346\274\242\344\273\256\345\255\227",
    "\340\271\204\340\270\227\340\270\242",
    "foo",
    "foob",
    "fooba",
    "foobar",
    "foobarb",
    "foobarbaz",
    "stra\303\237e",
    "strasse",
    "ab",
    "x",
    "2026",
    "a\314\201bc",
    "\320\274\320\270\321\200",
    "na\303\257ve",
    "naive",
    "\357\254\201ne",
    "fine",
    "o-o",
    "don't",
    "rare",
    "rarer",
    "rarest",
    "unique"};

static const char *word(void)
{
    unsigned n = (unsigned)COUNT(vocabulary), a = pick(n), b = pick(n);
    return vocabulary[a < b ? a : b];
}

static struct text words(unsigned most)
{
    static const char *const between[] = {" ", " ", ", ", "\n", "-", "_", "."};
    const char *all = word();
    for (unsigned i = pick(most); i > 0; i--)
        all =
            arena_printf(the_arena, "%s%s%s", all, between[pick((unsigned)COUNT(between))], word());
    return text_of(all);
}

/* ---- rows ---- */

/* Mostly now and in turn; some long ago, some to come, some at the very same time. */
static struct instant some_time(void)
{
    unsigned how = pick(10);
    the_time.us += 1 + pick(1000000);
    if (how == 0)
        return (struct instant){the_time.us - pick(1000) * INT64_C(86400000000)};
    if (how == 1)
        return (struct instant){the_time.us + pick(1000) * INT64_C(3600000000)};
    if (how == 2)
        return (struct instant){INT64_C(1767225600000000) + pick(3)};
    return the_time;
}

static struct uuid insert_post_with(struct text content)
{
    struct post post = {.id = uuid_make(the_time),
                        .title = words(4),
                        .content = content,
                        .published = pick(4) > 0,
                        .author_id = id_of(author_ids[pick(3) ? 0 : pick(writers)]),
                        .created_at = some_time(),
                        .version = 1};
    post.updated_at = post.created_at;
    must(post_insert(the_app->db, the_arena, &post));
    return post.id;
}

static void insert_user(void)
{
    const struct user user = {
        .id = uuid_make(the_time),
        .email = text_of(say("u%d.%lld@%s.test", rand_r(&seed) % 1000,
                             (long long)the_time.us % 1000000000, pick(3) ? "many" : "few")),
        .password_hash = TEXT("x"),
        .first_name = pick(3) ? words(3) : (struct text){NULL, 0},
        .role = pick(4) == 0,
        .is_active = true,
        .created_at = some_time(),
        .version = 1};
    struct problem *p = user_insert(the_app->db, the_arena, &user);
    if (!p || p->type != &problem_email_exists) /* which may happen */
        must(p);
}

static struct problem *insert_some(void *count)
{
    for (int i = 0; i < *(int *)count; i++)
        if (pick(3))
            (void)insert_post_with(words(12));
        else
            insert_user();
    return NULL;
}

static void insert(int count)
{
    in_transaction(insert_some, &count);
}

struct some_id {
    struct uuid id;
};
static const struct field some_id_fields[] = {FIELD(struct some_id, id, .use = 0)};
static const struct record some_id_record = RECORD("SomeId", struct some_id, some_id_fields, 0);

static bool pick_row(const char *table, const char *where, struct uuid *ret)
{
    struct some_id row;
    bool found;
    const struct sql sql = {arena_printf(the_arena,
                                         "SELECT id FROM %s WHERE %s ORDER BY MD5(CONCAT(id, ?)) "
                                         "LIMIT 1",
                                         table, where),
                            &some_id_record};
    must(db_find(the_app->db, the_arena, &sql, DB_ARGS(db_integer(rand_r(&seed))), &row, &found));
    *ret = row.id;
    return found;
}

static struct problem *change_post(void *context)
{
    struct post before, after;
    bool left;
    if (!pick_row("posts",
                  context ? context
                          : "content NOT LIKE '%anchor%' AND author_id NOT IN (SELECT user_id FROM "
                            "user_departures)",
                  &before.id))
        return NULL;
    struct problem *p = post_lock(the_app->db, the_arena, before.id, &before);
    if (p && p->type == &problem_post_not_found)
        return NULL; /* another was faster, and has deleted it */
    must(p);
    after = before;
    if (pick(4) == 0 && !context)
        return post_delete(the_app->db, the_arena, &before, before.author_id, &left);
    if (!context)
        after.published = pick(4) > 0;
    if (pick(3))
        after.title = words(4);
    if (pick(2) && !context)
        after.content = words(12);
    after.version++;
    return post_update(the_app->db, the_arena, &before, &after, before.author_id);
}

static struct problem *change_user(void *context)
{
    struct user before, after;
    (void)context;
    if (!pick_row("users", "email LIKE '%.test'", &before.id))
        return NULL;
    must(user_lock(the_app->db, the_arena, before.id, &before));
    if (pick(4) == 0) {
        must(user_uncount(the_app->db, the_arena, &before));
        return user_delete(the_app->db, the_arena, before.id);
    }
    after = before;
    after.role = pick(4) == 0;
    after.first_name = words(3);
    return user_update(the_app->db, the_arena, &before, &after);
}

/* ---- an index laid out in any way that readers must understand ---- */

struct indexed_row {
    struct uuid id, author_id;
    struct instant created_at;
    struct text text0, text1, text2;
    int64_t number;
};

static const struct field indexed_row_fields[] = {
    FIELD(struct indexed_row, id, .use = 0),         FIELD(struct indexed_row, author_id, .use = 0),
    FIELD(struct indexed_row, created_at, .use = 0), FIELD(struct indexed_row, text0, .use = 0),
    FIELD(struct indexed_row, text1, .use = 0),      FIELD(struct indexed_row, text2, .use = 0),
    FIELD(struct indexed_row, number, .use = 0),
};
static const struct record indexed_row_record =
    RECORD("IndexedRow", struct indexed_row, indexed_row_fields, 0);

struct rows {
    struct indexed_row *list;
    size_t count;
};

static void keep_row(void *context, const void *row)
{
    struct rows *rows = context;
    struct indexed_row *r = &rows->list[rows->count++];
    ck_assert_uint_lt(rows->count, ROWS_MAX);
    *r = *(const struct indexed_row *)row;
    r->text0 = arena_text(room, r->text0);
    r->text1 = arena_text(room, r->text1);
}

static struct rows rows_by(const struct search_index *index, const char *order)
{
    bool posts = index == &post_index;
    struct rows rows = {arena_array(room, ROWS_MAX, sizeof *rows.list), 0};
    const struct sql sql = {
        arena_printf(room, "SELECT %s, %s FROM %s WHERE %s ORDER BY %s",
                     search_columns(room, index),
                     posts ? "author_id, published AS number" : "role + 0 - 1 AS number",
                     index->counter->table, index->counter->where, order),
        &indexed_row_record};
    must(db_each(the_app->db, room, &sql, DB_NO_ARGS, keep_row, &rows));
    return rows;
}

static struct terms terms_of(const struct search_index *index, const struct indexed_row *row)
{
    const struct text texts[] = {row->text0, row->text1};
    const unsigned char number = (unsigned char)row->number;
    bool posts = index == &post_index;
    struct terms terms = posts ? terms_of_words(room, texts, 2) : terms_of_parts(room, texts, 2);
    struct term_list list = {NULL, 0, 0};
    for (size_t i = 0; i < terms.count; i++)
        term_add(room, &list, terms.list[i]);
    term_add(room, &list, search_filter_term(posts ? POST_PUBLISHED : USER_ROLE, &number, 1));
    if (posts)
        term_add(room, &list,
                 search_filter_term(POST_AUTHOR, &row->author_id, sizeof row->author_id));
    return term_list_close(room, &list);
}

struct layout {
    const struct search_index *index;
    int64_t build;
    unsigned chance; /* which segments are merged */
    struct postings_writer writer;
    struct postings_key *keys;
    size_t key_count, key_room;
    int64_t *times; /* of each block: first, last */
    uint32_t end;
};

/* Where the postings of an ordinal are. */
static unsigned level_of(const struct layout *l, uint32_t ord)
{
    if ((ord / 65536 * 2654435761u ^ l->chance) % 3 == 0)
        return 3;
    return (ord / 4096 * 2654435761u ^ l->chance) % 2 ? 2 : 1;
}

static void note_key(struct layout *l, struct postings_key key)
{
    if (l->key_count == l->key_room) {
        struct postings_key *keys = arena_array(room, l->key_room * 2 + 1024, sizeof *keys);
        if (l->key_count)
            memcpy(keys, l->keys, l->key_count * sizeof *keys);
        l->keys = keys;
        l->key_room = l->key_room * 2 + 1024;
    }
    l->keys[l->key_count++] = key;
}

static int order_keys(const void *a, const void *b)
{
    const struct postings_key *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return (x->base > y->base) - (x->base < y->base);
}

static void place_row(struct layout *l, const struct indexed_row *row, uint32_t ord)
{
    static const struct sql sql = {"INSERT INTO search_rows (build, ord, id, created_at) "
                                   "VALUES (?, ?, ?, ?)",
                                   NULL};
    const struct terms terms = terms_of(l->index, row);
    unsigned level = level_of(l, ord);
    int64_t *times = &l->times[(size_t)ord / SEARCH_BLOCK * 2];
    postings_add(&l->writer, ord, terms.list, terms.count);
    for (size_t i = 0; i < terms.count; i++)
        note_key(l, (struct postings_key){level, postings_bucket(level, terms.list[i]),
                                          ord >> postings_levels[level].width
                                                     << postings_levels[level].width});
    if (row->created_at.us < times[0])
        times[0] = row->created_at.us;
    if (row->created_at.us > times[1])
        times[1] = row->created_at.us;
    must(db_execute(
        the_app->db, room, &sql,
        DB_ARGS(db_integer(l->build), db_integer(ord), db_uuid(row->id), db_time(row->created_at)),
        NULL));
}

static void store_blobs(struct layout *l)
{
    static const struct sql sql = {"INSERT INTO search_postings (build, lvl, bucket, base, "
                                   "postings) VALUES (?, ?, ?, ?, ?)",
                                   NULL};
    qsort(l->keys, l->key_count, sizeof *l->keys, order_keys);
    for (size_t i = 0; i < l->key_count; i++) {
        struct text blob;
        const struct postings_key *key = &l->keys[i];
        if (i > 0 && order_keys(key - 1, key) == 0)
            continue;
        ck_assert(postings_write(&l->writer, *key, &blob));
        must(db_execute(the_app->db, room, &sql,
                        DB_ARGS(db_integer(l->build), db_integer(key->level),
                                db_integer(key->bucket), db_integer(key->base),
                                db_bytes(blob.data, blob.len)),
                        NULL));
    }
}

static void store_range(const struct layout *l, uint32_t base)
{
    static const struct sql sql = {"INSERT INTO search_ranges (build, base, first_at, last_at, "
                                   "blocks) VALUES (?, ?, ?, ?, ?)",
                                   NULL};
    const int64_t *times = &l->times[(size_t)base / SEARCH_BLOCK * 2];
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < SEARCH_RANGE / SEARCH_BLOCK; i++) {
        first = times[2 * i] < first ? times[2 * i] : first;
        last = times[2 * i + 1] > last ? times[2 * i + 1] : last;
    }
    if (first <= last)
        must(db_execute(the_app->db, room, &sql,
                        DB_ARGS(db_integer(l->build), db_integer(base),
                                db_time((struct instant){first}), db_time((struct instant){last}),
                                db_bytes(times, SEARCH_RANGE / SEARCH_BLOCK * 2 * sizeof *times)),
                        NULL));
}

/* Ordinals in the order of time, or in none, with gaps from one to a range. */
static void give_ordinals(struct layout *l)
{
    static const char *const orders[] = {"created_at, id", "id", "MD5(id)"};
    const struct rows rows = rows_by(l->index, orders[pick(3)]);
    unsigned gap = pick(3) ? 200 : 20;
    for (size_t i = 0; i < rows.count; i++) {
        if (pick(gap) == 0)
            l->end += pick(20 * gap);
        if (pick(gap * 3) == 0 && l->end < 65536 * 6)
            l->end += 65536;
        place_row(l, &rows.list[i], l->end++);
    }
}

static struct problem *lay_out(void *context)
{
    struct layout l = {.index = context, .chance = (unsigned)rand_r(&seed)};
    int64_t number = l.index->counter->number;
    static const char *const tables[] = {"search_rows", "search_postings", "search_ranges"};
    l.build = ask_number(
        say("SELECT build AS n FROM search_builds WHERE list = %lld", (long long)number));
    for (int i = 0; i < 3; i++)
        run_sql(say("DELETE FROM %s WHERE build = %lld", tables[i], (long long)l.build));
    run_sql(say("DELETE FROM list_journal WHERE total = %lld", (long long)number));
    l.times = arena_array(room, (size_t)2 * 65536 * 16 / SEARCH_BLOCK, sizeof *l.times);
    for (size_t i = 0; i < (size_t)65536 * 16 / SEARCH_BLOCK; i++) {
        l.times[2 * i] = INT64_MAX;
        l.times[2 * i + 1] = INT64_MIN;
    }
    postings_writer_init(&l.writer, 4000000);
    give_ordinals(&l);
    store_blobs(&l);
    for (uint32_t base = 0; base < l.end; base += SEARCH_RANGE)
        store_range(&l, base);
    uint32_t next = (l.end / SEARCH_RANGE + 1) * SEARCH_RANGE; /* nothing before is merged */
    run_sql(say("UPDATE search_builds SET next_ord = %u, written = %u, merged1_base = %u, "
                "merged1_bucket = 0, merged2_base = %u, merged2_bucket = 0 WHERE build = %lld",
                next, next, next, next, (long long)l.build));
    postings_writer_release(&l.writer);
    return NULL;
}

/* ---- questions ---- */

struct question {
    const struct search_index *index;
    const char *q, *sort;
    int published, author, role; /* -1: any */
    bool ranged;
    struct instant from, before;
    unsigned limit;
};

static bool is_ascii(const char *w)
{
    while (*w && (unsigned char)*w < 0x80)
        w++;
    return !*w;
}

static const char *some_query(bool words_only)
{
    const char *q = "";
    for (unsigned i = pick(20) ? 1 + pick(3) : 25; i > 0 && strlen(q) < 150; i--) {
        const char *w = word();
        if (pick(4) == 0 && is_ascii(w))
            w = arena_printf(room, "%.*s%s", (int)(1 + pick((unsigned)strlen(w))), w,
                             words_only ? "*" : "");
        q = arena_printf(room, "%s%s%s", q, *q ? " " : "", w);
        if (!words_only)
            break;
    }
    return q;
}

static const char *some_part(void)
{
    static const char *const parts[] = {"u1", "many", ".test", "few.test", "@", "2", "99@", "U"};
    return pick(2) ? parts[pick((unsigned)COUNT(parts))] : some_query(false);
}

static struct question some_question(void)
{
    static const char *const post_sorts[] = {"-created_at", "-created_at", "-created_at",
                                             "created_at",  "title",       "-title"};
    static const char *const user_sorts[] = {"created_at",  "created_at", "-created_at",
                                             "-created_at", "email",      "-email"};
    static const unsigned page_limits[] = {1, 2, 7, 20, 20, 100};
    bool posts = pick(3) > 0;
    struct question ask = {
        .index = posts ? &post_index : &user_index,
        .q = posts ? some_query(true) : some_part(),
        .sort = posts ? post_sorts[pick(6)] : user_sorts[pick(6)],
        .published = posts ? pick(4) > 0 : -1,
        .author = posts && pick(3) == 0 ? (int)pick(AUTHORS) : -1,
        .role = !posts && pick(3) == 0 ? (int)pick(2) : -1,
        .ranged = pick(4) == 0,
        .limit = page_limits[pick(6)],
    };
    ask.from.us = the_time.us - pick(1000) * INT64_C(86400000000);
    ask.before.us = ask.from.us + (1 + pick(1000)) * INT64_C(86400000000);
    return ask;
}

static bool is_asked_for(const struct question *ask, struct query *query,
                         const struct indexed_row *row)
{
    const struct search_row texts = {.text0 = row->text0, .text1 = row->text1};
    int kind = ask->index == &post_index ? ask->published : ask->role;
    struct uuid author = ask->author < 0 ? row->author_id : id_of(author_ids[ask->author]);
    return (kind < 0 || kind == row->number) && uuid_equal(&author, &row->author_id) &&
           (!ask->ranged ||
            (row->created_at.us >= ask->from.us && row->created_at.us < ask->before.us)) &&
           search_row_matches(query, ask->index, &texts);
}

/* Of all rows, in order, those that are asked for; each with a blank. */
static const char *scan(const struct question *ask, size_t *ret_count)
{
    bool down = *ask->sort == '-';
    const char *key = down ? ask->sort + 1 : ask->sort;
    const struct rows rows =
        rows_by(ask->index,
                arena_printf(room, "%s%s, id%s", strcmp(key, "email") == 0 ? "email_folded" : key,
                             down ? " DESC" : "", down ? " DESC" : ""));
    struct query *query = search_query(room, ask->index, text_of(ask->q));
    char *all = arena_alloc(room, rows.count * UUID_TEXT_SIZE + 1), *at = all;
    for (size_t i = 0; i < rows.count; i++)
        if (is_asked_for(ask, query, &rows.list[i])) {
            uuid_format(&rows.list[i].id, at);
            at[UUID_TEXT_SIZE - 1] = ' ';
            at += UUID_TEXT_SIZE;
        }
    *at = '\0';
    *ret_count = (size_t)(at - all) / UUID_TEXT_SIZE;
    return all;
}

static const char *escape(const char *s)
{
    const char *all = "";
    for (; *s; s++)
        all = arena_printf(room, "%s%%%02X", all, (unsigned char)*s);
    return all;
}

static const char *url_of(const struct question *ask)
{
    bool posts = ask->index == &post_index;
    char from[INSTANT_TEXT_SIZE], before[INSTANT_TEXT_SIZE];
    instant_format(ask->from, from);
    instant_format(ask->before, before);
    const char *url = arena_printf(room, "/%s?q=%s&sort=%s&limit=%u", posts ? "posts" : "users",
                                   escape(ask->q), ask->sort, ask->limit);
    if (ask->published >= 0)
        url = arena_printf(room, "%s&published=%s", url, ask->published ? "true" : "false");
    if (ask->author >= 0)
        url = arena_printf(room, "%s&author_id=%s", url, author_ids[ask->author]);
    if (ask->role >= 0)
        url = arena_printf(room, "%s&role=%s", url, user_role_words[ask->role]);
    return ask->ranged
               ? arena_printf(room, "%s&created_after=%s&created_before=%s", url, from, before)
               : url;
}

/* The ids of a page, each with a blank. */
static const char *ids_of(struct answer answer)
{
    ck_status(answer, 200);
    const char *ids = answer_column(answer, "id");
    return *ids ? arena_printf(room, "%s ", ids) : "";
}

static void ck_first_page(struct answer answer, const struct question *ask, size_t count,
                          bool everything)
{
    bool capped = answer_has(answer, "pagination.total_capped");
    int64_t total = answer_total(answer);
    int64_t known = count < LIST_COUNT_MAX ? (int64_t)count : LIST_COUNT_MAX;
    if (everything || !capped)
        ck_assert_msg(total == known, "SEED=%u: %s: %lld of %zu", seed, url_of(ask),
                      (long long)total, count);
    ck_assert_int_le(total, known);
    if (everything)
        ck_assert_int_eq(capped, count > LIST_COUNT_MAX);
    if (everything)
        ck_assert_uint_eq(answer_count(answer), count < ask->limit ? count : ask->limit);
}

/* Page by page, by cursor. */
static void ck_walk(const struct question *ask, const char *expected, size_t count, bool everything)
{
    const char *url = url_of(ask), *at = expected;
    struct answer answer = api_get(admin, "%s", url);
    ck_status(answer, 200);
    ck_first_page(answer, ask, count, everything);
    for (int pages = 0; pages < 12; pages++) {
        const char *ids = ids_of(answer);
        ck_assert_msg(strncmp(at, ids, strlen(ids)) == 0, "%s: page %d is\n%s\nnot\n%.1000s", url,
                      pages, ids, at);
        at += strlen(ids);
        if (answer_is_null(answer, "pagination.next_cursor")) {
            ck_assert_msg(!*at, "%s: missing after page %d:\n%.1000s", url, pages, at);
            return;
        }
        if (everything)
            ck_assert_uint_eq(answer_count(answer), ask->limit);
        answer = api_get(admin, "%s&cursor=%s", url, answer_text(answer, "pagination.next_cursor"));
    }
}

/* A page by its number. */
static void ck_page(const struct question *ask, const char *expected, size_t count)
{
    size_t page = 1 + pick((unsigned)(count / ask->limit) + 2), before = (page - 1) * ask->limit;
    if (before >= LIST_COUNT_MAX)
        return;
    struct answer answer =
        api_get(admin, "%s&page=%zu&total=%s", url_of(ask), page, pick(2) ? "true" : "false");
    size_t left = before < count ? count - before : 0,
           shown = left < ask->limit ? left : ask->limit;
    const char *ids = ids_of(answer);
    ck_assert_msg(strlen(ids) == shown * UUID_TEXT_SIZE &&
                      strncmp(ids, expected + (left ? before * UUID_TEXT_SIZE : 0),
                              shown * UUID_TEXT_SIZE) == 0,
                  "%s: page %zu is\n%s", url_of(ask), page, ids);
}

static void ask_something(bool everything)
{
    const struct question ask = some_question();
    size_t count;
    const char *expected = scan(&ask, &count);
    ck_walk(&ask, expected, count, everything);
    if (everything)
        ck_page(&ask, expected, count);
    arena_reset(room);
}

static void change_something(void)
{
    switch (pick(8)) {
    case 0:
        in_transaction(lay_out, (void *)(uintptr_t)(pick(2) ? &post_index : &user_index));
        break;
    case 1:
        insert((int)pick(40));
        break;
    case 2:
    case 3:
        for (unsigned i = pick(20); i > 0; i--)
            in_transaction(change_post, NULL);
        break;
    case 4:
        for (unsigned i = pick(10); i > 0; i--)
            in_transaction(change_user, NULL);
        break;
    case 5:
        sweep((int)pick(4));
        break;
    default:
        tend();
    }
    arena_reset(room);
}

struct life {
    unsigned seed;
    bool everything; /* the reach is larger than the tables */
};

static void live(void *context)
{
    const struct life *life = context;
    seed = life->seed;
    writers = AUTHORS - 1;
    loopback_set(life->everything ? "SEARCH_REACH=1000000" : "SEARCH_REACH=100");
    admin = bearer_of("admin@example.org"); /* time passes */
    for (int i = 0; i < 12; i++) {
        change_something();
        for (int n = 0; n < 4; n++)
            ask_something(life->everything);
    }
}

CASE("finding", set_up, tear_down);
CASE_LIMIT_S(36000);

TEST(a_search_finds_what_a_scan_finds)
{
    const char *leaves = author_ids[AUTHORS - 1];
    unsigned first = torture_seed();
    seed = first;
    insert(700);
    for (int i = 0; i < torture_rounds(6); i++) {
        struct life life = {.seed = first + (unsigned)i, .everything = i % 3 > 0};
        if (i == 4)
            run_sql(say("UPDATE users SET left_at = '2026-01-01' WHERE id = '%s'", leaves));
        if (i == 4)
            run_sql(say("INSERT INTO user_departures (user_id, left_at) VALUES ('%s', "
                        "'2026-01-01')",
                        leaves));
        wait_for(run_aside(live, &life));
        the_time.us += INT64_C(60000000);
    }
}

/* ---- while others write ---- */

/* What is changed has its anchor all the time; some are long, and get another ordinal each time. */
static const char *drop_anchors(void)
{
    const char *ids = "";
    for (int i = 0; i < 40; i++) {
        struct post post = {.id = uuid_make(the_time),
                            .title = words(4),
                            .content =
                                text_of(say("anchor %s", i % 3 ? "short" : repeat("long ", 2000))),
                            .published = true,
                            .author_id = id_of(author_ids[0])};
        char id[UUID_TEXT_SIZE];
        the_time.us += 1000;
        post.created_at = post.updated_at = the_time;
        must(post_insert(the_app->db, the_arena, &post));
        uuid_format(&post.id, id);
        ids = say("%s%s%s", id, *ids ? " " : "", ids);
    }
    return ids;
}

static struct problem *drop_them(void *ret)
{
    *(const char **)ret = drop_anchors();
    return NULL;
}

static void churn(int number, void *rounds)
{
    seed += (unsigned)number * 7919;
    for (int i = 0; i < *(int *)rounds; i++) {
        for (int n = 0; n < 4; n++)
            in_transaction(change_post, (void *)(uintptr_t) "content LIKE 'anchor%'");
        in_transaction(change_post, NULL);
        insert(3);
        if (i % 4 == 0)
            tend();
        else
            sweep(1 + i % 3);
    }
}

/* As those who write and delete posts do it. */
static struct problem *note_posts(const char *where, int n)
{
    return db_run(the_app->db, the_arena,
                  say("INSERT INTO list_journal (total, owner, kind, n, row_id) SELECT 2, "
                      "author_id, published, %d, id FROM posts WHERE %s",
                      n, where));
}

static struct problem *write_flock(void *number)
{
    struct problem *p =
        db_run(the_app->db, the_arena,
               say("INSERT INTO posts (id, author_id, title, content, published, created_at) "
                   "SELECT UUID(), '%s', 'goes', 'anchor flock%d', 1, '%s' - INTERVAL seq SECOND "
                   "FROM seq_1_to_260",
                   author_ids[0], *(int *)number, "2026-01-01"));
    return p ? p : note_posts(say("content = 'anchor flock%d'", *(int *)number), 1);
}

static struct problem *delete_posts(void *where)
{
    struct problem *p = note_posts(where, -1);
    return p ? p : db_run(the_app->db, the_arena, say("DELETE FROM posts WHERE %s", (char *)where));
}

/* What stays gets new ordinals again and again, as the blocks where it is lose all others. */
static void flock(int number, void *rounds)
{
    const char *mine = say("content = 'anchor flock%d'", number);
    for (int i = 0; i < *(int *)rounds; i++) {
        in_transaction(write_flock, &number);
        sweep(3);
        in_transaction(delete_posts, (void *)(uintptr_t)mine);
        sweep(3);
    }
}

/* Of all that have the word only those of `ids`. */
static const char *walk_among(const char *ids)
{
    struct answer answer;
    const char *found = "", *cursor = "";
    do {
        answer = api_get(admin, "/posts?q=anchor&limit=100&total=false%s", cursor);
        ck_status(answer, 200);
        for (char *rest,
             *id = strtok_r(arena_printf(the_arena, "%s", answer_column(answer, "id")), " ", &rest);
             id; id = strtok_r(NULL, " ", &rest))
            if (strstr(ids, id))
                found = say("%s%s%s", found, *found ? " " : "", id);
        if (!answer_is_null(answer, "pagination.next_cursor"))
            cursor = say("&cursor=%s", answer_text(answer, "pagination.next_cursor"));
    } while (!answer_is_null(answer, "pagination.next_cursor"));
    return found;
}

static const char *walk_anchors(void)
{
    struct answer answer = api_get(admin, "/posts?q=anchor&limit=9&total=false");
    const char *ids = answer_column(answer, "id");
    while (!answer_is_null(answer, "pagination.next_cursor")) {
        answer = api_get(admin, "/posts?q=anchor&limit=9&cursor=%s",
                         answer_text(answer, "pagination.next_cursor"));
        ids = say("%s %s", ids, answer_column(answer, "id"));
    }
    return ids;
}

CASE("others", set_up, tear_down);
CASE_LIMIT_S(36000);

TEST(what_stays_is_found_while_others_write_and_sweep)
{
    int rounds = torture_rounds(25);
    const char *ids;
    seed = torture_seed();
    loopback_set("SEARCH_REACH=100000");
    insert(100);
    in_transaction(drop_them, &ids);
    sweep(2);
    const struct parallel others = parallel_begin(2, churn, &rounds);

    for (int i = 0; i < rounds * 4; i++)
        ck_assert_str_eq(walk_anchors(), ids);

    parallel_end(&others);
    ck_assert_str_eq(walk_anchors(), ids);
}

/* It has the word, has it no more, and so on. */
static void waver(int number, void *id)
{
    (void)number;
    for (int i = 0; i < 2000; i++)
        run_sql(say("UPDATE posts SET content = '%s' WHERE id = '%s'", i % 2 ? "anchor" : "none",
                    (const char *)id));
}

TEST(a_sorted_page_is_not_the_last_because_a_row_changes)
{
    const char *ids;
    seed = torture_seed();
    in_transaction(drop_them, &ids);
    run_sql("UPDATE posts SET title = CONCAT('title ', id)");
    sweep(2);
    char *first = arena_copy(the_arena, ids, UUID_TEXT_SIZE - 1);
    const struct parallel others = parallel_begin(1, waver, first);

    for (int i = 0; i < 300; i++) {
        struct answer answer = api_get(admin, "/posts?q=anchor&sort=-title&limit=20");
        ck_status(answer, 200);
        ck_assert_msg(!answer_is_null(answer, "pagination.next_cursor"), "%s", answer.text);
    }

    parallel_end(&others);
}

TEST(what_stays_is_found_while_the_rest_of_its_block_goes)
{
    int rounds = torture_rounds(25);
    const char *ids;
    seed = torture_seed();
    loopback_set("SEARCH_REACH=100000");
    in_transaction(drop_them, &ids);
    sweep(2);
    const struct parallel others = parallel_begin(2, flock, &rounds);

    for (int i = 0; i < rounds * 2; i++)
        ck_assert_str_eq(walk_among(ids), ids);

    parallel_end(&others);
    ck_assert_str_eq(walk_anchors(), ids);
    ck_assert_int_le(rows_in("search_ranges"), 2);
}

/* ---- what is wrong ---- */

TEST(without_an_index_a_search_is_refused_and_a_list_is_not)
{
    run_sql("UPDATE search_builds SET state = 'building'");

    ck_problem(api_get(NULL, "/posts?q=linux"), UNAVAILABLE);
    ck_problem(api_get(admin, "/users?q=author"), UNAVAILABLE);
    ck_status(api_get(admin, "/users?q=a"), 200);
    ck_status(api_get(NULL, "/posts"), 200);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts?q=a+b")), 0);
}

/* Whatever is there: bytes of nobody, those of another key, cut ones. */
TEST(a_search_passes_over_blobs_that_are_not_whole)
{
    seed = torture_seed();
    insert(60);
    sweep(100);
    in_transaction(lay_out, (void *)(uintptr_t)&post_index);
    arena_reset(room);
    for (int i = 0; i < 60; i++) {
        run_sql(say("UPDATE search_postings SET postings = %s WHERE build > 0 ORDER BY "
                    "MD5(CONCAT(lvl, bucket, base, %d)) LIMIT 3",
                    i % 3 == 0   ? "LEFT(postings, LENGTH(postings) - 1)"
                    : i % 3 == 1 ? "CONCAT(postings, UNHEX('00FF'))"
                                 : "REVERSE(postings)",
                    i));
        struct answer answer = api_get(admin, "/posts?q=%s", vocabulary[i % 6 ? 3 : 0]);
        ck_status(answer, 200);
    }
    run_sql("UPDATE search_postings SET postings = 'x'");
    ck_assert_str_eq(answer_column(api_get(admin, "/posts?q=kernel"), "id"), "");

    must(search_build(the_app->db, the_arena, &post_index, NULL));
    must(search_build(the_app->db, the_arena, &user_index, NULL));

    seed = 1;
    for (int i = 0; i < 10; i++)
        ask_something(true);
}

/* The row's own time is right. */
TEST(a_row_whose_time_was_changed_is_in_its_place_where_it_is_later)
{
    seed = 1;
    insert(30);
    const char *first = write_post(bearer_of("author0@example.org"), "moved", "anchor one", true);
    the_time.us += 1000000;
    const char *second = write_post(bearer_of("author0@example.org"), "moved", "anchor two", true);
    sweep(10);
    ck_assert_str_eq(answer_column(api_get(NULL, "/posts?q=anchor"), "id"),
                     say("%s %s", second, first));

    run_sql(say("UPDATE posts SET created_at = '2001-01-01' WHERE id = '%s'", second));

    ck_assert_str_eq(answer_column(api_get(NULL, "/posts?q=anchor"), "id"), first);
    run_sql(say("INSERT INTO list_journal (total, owner, kind, n, row_id) VALUES (2, '" NIL_ID
                "', 0, 0, '%s')",
                second));
    ck_assert_str_eq(answer_column(api_get(NULL, "/posts?q=anchor"), "id"),
                     say("%s %s", first, second));
}

/* ---- what it costs ---- */

static int64_t status_of(const char *names)
{
    return ask_number(say("SELECT CAST(SUM(variable_value) AS INTEGER) AS n FROM "
                          "information_schema.session_status WHERE variable_name LIKE '%s'",
                          names));
}

/* What a search asks of the server, when its statements are prepared. */
static void cost_of(const char *path, int64_t *ret_statements, int64_t *ret_rows)
{
    ck_status(api_get(admin, "%s", path), 200);
    int64_t rows = status_of("Handler_read%"), statements = status_of("Com_stmt_execute");
    ck_status(api_get(admin, "%s", path), 200);
    *ret_rows = status_of("Handler_read%") - rows;
    *ret_statements = status_of("Com_stmt_execute") - statements;
}

static void import(const char *numbers)
{
    run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) SELECT "
                "UUID(), id, CONCAT('number ', seq), CONCAT('common text', "
                "IF(seq %% 100 = 0, ' hundredth', ''), IF(seq = 77, ' solitary', '')), 1, "
                "'2020-01-01' + INTERVAL seq SECOND FROM users JOIN seq_%s WHERE email = "
                "'author0@example.org'",
                numbers));
    must(search_build(the_app->db, the_arena, &post_index, NULL));
    run_sql("ANALYZE TABLE posts, search_rows, search_postings, search_ranges, search_builds");
}

static const char *const far_pages[] = {
    "/posts?q=common&page=50&total=false",
    "/posts?q=common&page=50&total=false&sort=created_at",
    "/posts?q=common&page=50&total=false&sort=title",
};

/* What the look at the numbers costs is in it, 3 statements and some 60 rows. */
static const struct {
    const char *path;
    int64_t statements, rows;
} costly[] = {
    /* The journal, ranges, postings, the blocks' times, keys, rows; and the caller. A block of 256
     * keys may not suffice where the next one overlaps it. */
    {"/posts?q=common&total=false", 11, 700},
    {"/posts?q=common&total=false&sort=created_at", 11, 700},
    {"/posts?q=comm*&total=false", 11, 700},
    {"/posts?q=common+hundredth&limit=5", 11, 500},
    {"/posts?q=solitary", 9, 150},
    {"/posts?q=common+nowhere", 7, 150},
    /* A thousand texts are counted. */
    {"/posts?q=common", 14, 2500},
    /* A thousand candidates, then as many rows by title as the reach says. */
    {"/posts?q=common&sort=title&total=false", 14, 2500},
};

CASE("costs", set_up, tear_down);
CASE_LIMIT_S(300);

/* Nobody wants to know how many there are, but numbers end where that would have been all. */
TEST(far_on_next_leads_to_a_cursor)
{
    import("1_to_1100");
    for (int i = 0; i < COUNT(far_pages); i++) {
        const char *next = answer_link(api_get(admin, "%s", far_pages[i]), "next");
        ck_assert_msg(strstr(next, "?cursor=") != NULL, "%s", next);
        ck_status(api_get(admin, "%s", next + strlen("/api")), 200);
    }
}

static const char *const sizes[] = {"1_to_5000", "5001_to_15000"};

TEST(a_search_costs_the_same_in_a_larger_table)
{
    int64_t statements, rows;
    loopback_set("SEARCH_REACH=500");
    for (int size = 0; size < COUNT(sizes); size++) {
        import(sizes[size]);
        for (int i = 0; i < COUNT(costly); i++) {
            cost_of(costly[i].path, &statements, &rows);
            ck_assert_msg(statements <= costly[i].statements, "%s: %lld statements", costly[i].path,
                          (long long)statements);
            ck_assert_msg(rows <= costly[i].rows, "%s: %lld rows", costly[i].path, (long long)rows);
        }
    }
}

/* ---- rows that are gone ---- */

/* All but the first of import(), as those who swept have left them. */
static void delete_imported(int from)
{
    run_sql(say("DELETE FROM posts WHERE created_at >= '2020-01-01' + INTERVAL %d SECOND", from));
    run_sql("DELETE search_rows FROM search_rows JOIN search_builds USING (build) "
            "WHERE list = 2 AND NOT EXISTS (SELECT 1 FROM posts WHERE posts.id = search_rows.id)");
    count_again();
}

/* How many rows there are, by cursor, and on how many pages. */
static size_t walk(const char *path, int *ret_pages)
{
    struct answer answer = api_get(admin, "%s", path);
    size_t count = answer_count(answer);
    for (*ret_pages = 1; !answer_is_null(answer, "pagination.next_cursor"); ++*ret_pages) {
        answer =
            api_get(admin, "%s&cursor=%s", path, answer_text(answer, "pagination.next_cursor"));
        ck_status(answer, 200);
        count += answer_count(answer);
    }
    return count;
}

static const char *const orders[] = {"-created_at", "created_at", "title"};

TEST_EACH(a_search_passes_over_so_many_rows_that_are_gone, orders)
{
    const char *path = say("/posts?q=common&limit=100&sort=%s", orders[_i]);
    int64_t statements, rows;
    int pages;
    import("1_to_40000");
    delete_imported(300);

    cost_of(path, &statements, &rows);

    ck_assert_int_le(statements, 2 * SEARCH_GONE_MAX / SEARCH_BLOCK + 30);
    ck_assert_uint_eq(walk(path, &pages), 299);
    ck_assert_int_le(pages, 3 + 40000 / SEARCH_GONE_MAX);
}

/* They get new ordinals and all others are deleted, when it is known which ordinals may match and
 * not yet which blocks are wanted. */
TEST_TIMES(rows_that_move_before_their_block_is_read_are_found, 2)
{
    struct search_question question = {.index = &post_index,
                                       .query = search_query(room, &post_index, TEXT("common")),
                                       .oldest_first = _i,
                                       .from = LIST_FROM,
                                       .before = LIST_BEFORE};
    struct search_place places[1000];
    struct search *search;
    size_t count, stay = 0;
    import("1_to_600");
    run_sql("UPDATE search_builds SET next_ord = 1024, written = 1024 WHERE list = 2");
    must(search_open(the_app->db, room, &question, &search));

    run_sql("UPDATE posts SET content = CONCAT('common hundredth', REPEAT(' long', 2000)) WHERE "
            "content LIKE '%hundredth'");
    must(note_posts("content LIKE '%hundredth%'", 0));
    in_transaction(delete_posts, (void *)(uintptr_t) "content NOT LIKE '%hundredth%'");
    sweep(1000);
    must(search_next(search, COUNT(places), places, &count));

    for (size_t i = 0; i < count; i++) {
        char id[UUID_TEXT_SIZE];
        uuid_format(&places[i].id, id);
        stay += rows_in(say("posts WHERE id = '%s'", id)) > 0;
    }
    ck_assert_uint_eq(stay, 6);
}

/* Of forty thousand, the first 600 stay. */
TEST_EACH(what_was_deleted_is_in_no_searchs_way, orders)
{
    const char *path = say("/posts?q=common&limit=100&sort=%s", orders[_i]);
    int64_t statements, rows;
    int pages;
    import("1_to_40000");
    in_transaction(delete_posts, (void *)(uintptr_t) "created_at > '2020-01-01 00:10:00'");
    sweep(1000);

    cost_of(path, &statements, &rows);

    ck_assert_int_le(statements, 30);
    ck_assert_int_le(rows, 8000); /* a busy server is asked twice */
    ck_assert_int_eq(answer_total(api_get(admin, "%s", path)), 600);
    ck_assert_uint_eq(walk(path, &pages), 600);
    ck_assert_int_le(pages, 7);
}

TEST(what_was_looked_through_before_rows_that_are_gone_is_told)
{
    import("1_to_40000");
    delete_imported(300);

    struct answer answer = api_get(admin, "/posts?q=common");

    ck_status(answer, 200);
    ck_assert_uint_eq(answer_count(answer), 0);
    ck_assert(answer_has(answer, "pagination.total_capped"));
    ck_assert(!answer_is_null(answer, "pagination.next_cursor"));
}

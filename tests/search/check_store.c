/* needs: mariadb */
/* What is stored of a search index: whatever is written, swept, merged, built and killed, each row
 * is found by its terms. */
#include "common/search/store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/db/counter_sweep.h"
#include "common/search/build.h"
#include "common/search/merge.h"
#include "common/search/sweep.h"
#include "common/search/terms.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

static struct arena *room; /* of one look at the tables */
static const char *author;

static void set_up(void)
{
    loopback_open();
    author = make_user("ada@example.org", ROLE_USER);
    room = arena_open((size_t)512 * 1024 * 1024);
}

static void tear_down(void)
{
    arena_close(room);
    loopback_close();
}

static bool sweep(void)
{
    const struct sweep_hook hook = search_hook(search_indexes);
    bool more = true;
    must(counter_sweep(the_app->db, the_arena, &hook, &more));
    return more;
}

static void sweep_all(void)
{
    while (sweep())
        continue;
}

/* ---- what is stored ---- */

/* A term of an ordinal; of a wild one, all those of a bucket. */
struct pairs {
    uint64_t *list;
    size_t count, room;
};

struct stored {
    struct pairs pairs, wild;
    size_t blobs;
};

static void add_pair(struct pairs *pairs, uint64_t pair)
{
    if (pairs->count == pairs->room) {
        uint64_t *list = arena_array(room, pairs->room * 2 + 4096, sizeof *list);
        if (pairs->count)
            memcpy(list, pairs->list, pairs->count * sizeof *list);
        pairs->list = list;
        pairs->room = pairs->room * 2 + 4096;
    }
    pairs->list[pairs->count++] = pair;
}

static void add_list(struct pairs *pairs, const struct posting_list *list, uint64_t high)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    size_t n;
    while ((n = posting_list_read(list, &at, chunk)) > 0)
        for (size_t i = 0; i < n; i++)
            add_pair(pairs, high << 32 | chunk[i]);
}

struct stored_blob {
    int64_t lvl, bucket, base;
    struct text postings;
};

static const struct field stored_blob_fields[] = {
    FIELD(struct stored_blob, lvl, .use = 0),
    FIELD(struct stored_blob, bucket, .use = 0),
    FIELD(struct stored_blob, base, .use = 0),
    FIELD(struct stored_blob, postings, .use = 0),
};
static const struct record stored_blob_record =
    RECORD("StoredBlob", struct stored_blob, stored_blob_fields, 0);

/* Wild ordinals are noted with the number of their bucket of level 3, of each that has it. */
static void keep_blob(void *context, const void *row)
{
    struct stored *stored = context;
    const struct stored_blob *blob = row;
    struct postings_key key = {(unsigned)blob->lvl, (uint32_t)blob->bucket, (uint32_t)blob->base};
    struct postings p;
    const char *fault = postings_open(&p, key, blob->postings);
    ck_assert_msg(!fault, "a blob: %s", fault);
    unsigned shift = 12 - postings_levels[key.level].bits;
    for (uint64_t i = 0; i < 1u << shift; i++)
        add_list(&stored->wild, &p.wild, (uint64_t)key.bucket << shift | i);
    for (postings_seek(&p, 0); p.on_entry; postings_step(&p))
        add_list(&stored->pairs, &p.list, p.term);
    stored->blobs++;
}

static int order_pairs(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sort_pairs(struct pairs *pairs)
{
    if (pairs->count)
        qsort(pairs->list, pairs->count, sizeof *pairs->list, order_pairs);
}

static bool has_pair(const struct pairs *pairs, uint64_t high, uint32_t ord)
{
    uint64_t pair = high << 32 | ord;
    return pairs->count &&
           bsearch(&pair, pairs->list, pairs->count, sizeof *pairs->list, order_pairs);
}

static void read_stored(int64_t build, struct stored *ret)
{
    static const struct sql sql = {
        "SELECT lvl, bucket, base, postings FROM search_postings WHERE build = ?",
        &stored_blob_record};
    *ret = (struct stored){.blobs = 0};
    must(db_each(the_app->db, room, &sql, DB_ARGS(db_integer(build)), keep_blob, ret));
    sort_pairs(&ret->pairs);
    sort_pairs(&ret->wild);
}

/* ---- each row is found ---- */

struct look {
    const struct search_index *index;
    struct stored stored;
    struct arena *scratch;
    int64_t rows;
};

static void ck_term(const struct look *look, const struct indexed *row, uint32_t term)
{
    uint32_t ord = (uint32_t)(row->live - 1);
    char id[UUID_TEXT_SIZE];
    if (has_pair(&look->stored.pairs, term, ord) || has_pair(&look->stored.wild, term >> 20, ord))
        return;
    uuid_format(&row->id, id);
    ck_abort_msg("%s of %s has the ordinal %u, but not the term %08x: \"%.200s\"", id,
                 look->index->counter->table, ord, term, row->text0.data ? row->text0.data : "");
}

static void ck_row(void *context, const void *at)
{
    struct look *look = context;
    const struct indexed *row = at;
    const struct text texts[] = {row->text0, row->text1, row->text2};
    const unsigned char kind =
        (unsigned char)(look->index == &user_index ? row->number0 : row->number1);
    struct terms terms = look->index->kind == SEARCH_WORDS
                             ? terms_of_words(look->scratch, texts, 3)
                             : terms_of_parts(look->scratch, texts, 3);
    for (size_t i = 0; i < terms.count; i++)
        ck_term(look, row, terms.list[i]);
    ck_term(look, row, search_filter_term(look->index == &post_index, &kind, 1));
    if (look->index == &post_index)
        ck_term(look, row, search_filter_term(0, &row->uuid0, sizeof row->uuid0));
    look->rows++;
    arena_reset(look->scratch);
}

static int64_t live_build(const struct search_index *index)
{
    return ask_number(say("SELECT COALESCE(MAX(build), 0) AS n FROM search_builds WHERE list = %u "
                          "AND state = 'live'",
                          index->counter->number));
}

/* Whatever is not in the journal has an ordinal; and the times of its block hold its own. */
static void ck_found(const struct search_index *index)
{
    struct look look = {.index = index, .scratch = arena_open((size_t)64 * 1024 * 1024)};
    int64_t build = live_build(index);
    const char *table = index->counter->table,
               *joined = say("%s LEFT JOIN search_rows AS r ON r.id = %s.id AND r.build = %lld",
                             table, table, (long long)build);
    const char *waits = say("EXISTS (SELECT 1 FROM list_journal WHERE total = %u AND row_id = "
                            "%s.id)",
                            index->counter->number, table);
    const struct sql sql = {say("SELECT %s, r.ord + 1 AS live FROM %s WHERE r.ord IS NOT NULL AND "
                                "NOT %s AND %s",
                                indexed_columns(the_arena, index), joined, waits,
                                index->counter->where),
                            &indexed_record};
    ck_rows(say("%s WHERE r.ord IS NULL AND %s AND NOT %s", joined, index->counter->where, waits),
            0);
    read_stored(build, &look.stored);
    must(db_each(the_app->db, room, &sql, DB_NO_ARGS, ck_row, &look));
    arena_close(look.scratch);
    arena_reset(room);
}

static void ck_all_found(void)
{
    for (size_t i = 0; search_indexes[i]; i++)
        ck_found(search_indexes[i]);
}

CASE("sweep", set_up, tear_down);
CASE_LIMIT_S(180);

/* ---- sweeps ---- */

static struct post written;

static struct problem *insert(void *context)
{
    return post_insert(the_app->db, the_arena, context);
}

static struct uuid write_one(const char *title, const char *content)
{
    written = (struct post){.id = uuid_make(the_time),
                            .title = text_of(title),
                            .content = text_of(content),
                            .published = true,
                            .author_id = id_of(author),
                            .created_at = the_time,
                            .updated_at = the_time,
                            .version = 1};
    in_transaction(insert, &written);
    the_time.us += 1000;
    return written.id;
}

TEST(what_was_written_is_found_once_it_is_swept)
{
    for (int i = 0; i < 600; i++)
        (void)write_one(say("A title %d", i), say("words in common, and word%d", i * 7919 % 100));

    sweep_all();

    ck_all_found();
    ck_rows("search_rows JOIN posts ON posts.id = search_rows.id", 600);
    ck_rows("search_rows JOIN users ON users.id = search_rows.id", 1);
    ck_rows("search_postings WHERE lvl = 1 AND base > 256", 32);
    ck_rows("search_ranges", 2);
}

/* ---- builds ---- */

static void build(const struct search_index *index)
{
    must(search_build(the_app->db, the_arena, index, NULL));
}

static void write_many(int from, int to, const char *at)
{
    run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) "
                "SELECT UUID(), '%s', CONCAT('title ', seq), CONCAT('words in common, and word', "
                "MOD(seq * 7919, 1000)), MOD(seq, 10) > 0, '%s' + INTERVAL MOD(seq * 7919, %d) "
                "SECOND FROM seq_%d_to_%d",
                author, at, to - from + 1, from, to));
}

TEST(a_table_is_built)
{
    write_many(1, 70000, "2026-01-01");

    build(&post_index);

    long long made = live_build(&post_index);
    ck_found(&post_index);
    ck_rows(say("search_rows WHERE build = %lld", made), 70000);
    ck_rows(say("search_postings WHERE build = %lld AND lvl = 1 AND base >= 69632", made), 64);
    ck_rows(say("search_postings WHERE build = %lld AND lvl = 1 AND base < 69632", made), 0);
    ck_rows(say("search_postings WHERE build = %lld AND lvl = 2", made), 256);
    ck_rows(say("search_ranges WHERE build = %lld", made), 2);
    ck_rows("search_builds WHERE state = 'leaving'", 1);
    ck_rows(say("search_rows AS a JOIN search_rows AS b ON b.build = a.build AND b.ord = a.ord + 1 "
                "WHERE a.build = %lld AND a.created_at > b.created_at",
                made),
            0);
}

/* needs: mariadb */
/* What is stored of a search index: whatever is written, swept, merged, built and killed, each row
 * is found by its terms. */
#include "common/search/store.h"

#include <endian.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/db/counter_sweep.h"
#include "common/search/build.h"
#include "common/search/merge.h"
#include "common/search/sweep.h"
#include "common/search/terms.h"
#include "fcgi-app/accounts/departure.h"
#include "tests/support/parallel.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"
#include "tests/support/torture.h"

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

struct stored_range {
    int64_t base;
    struct instant first_at, last_at;
    struct text blocks;
};

static const struct field stored_range_fields[] = {
    FIELD(struct stored_range, base, .use = 0),
    FIELD(struct stored_range, first_at, .use = 0),
    FIELD(struct stored_range, last_at, .use = 0),
    FIELD(struct stored_range, blocks, .use = 0),
};
static const struct record stored_range_record =
    RECORD("StoredRange", struct stored_range, stored_range_fields, 0);

#define RANGES_MAX 400

struct look {
    const struct search_index *index;
    struct stored stored;
    struct stored_range ranges[RANGES_MAX];
    size_t range_count;
    struct arena *scratch;
    int64_t rows;
};

static void keep_range(void *context, const void *row)
{
    struct look *look = context;
    struct stored_range *range = &look->ranges[look->range_count++];
    ck_assert_uint_le(look->range_count, RANGES_MAX);
    *range = *(const struct stored_range *)row;
    ck_assert_uint_eq(range->blocks.len, 4096);
    range->blocks = arena_text(room, range->blocks);
}

static void ck_within(struct instant first, struct instant last, struct instant t)
{
    ck_assert_int_le(first.us, t.us);
    ck_assert_int_ge(last.us, t.us);
}

/* The times of its range and block hold the row's own. */
static void ck_times(const struct look *look, uint32_t ord, struct instant t)
{
    size_t i = 0;
    uint64_t block[2];
    while (i < look->range_count && look->ranges[i].base != ord / SEARCH_RANGE * SEARCH_RANGE)
        i++;
    ck_assert_uint_lt(i, look->range_count);
    memcpy(block, look->ranges[i].blocks.data + ord % SEARCH_RANGE / SEARCH_BLOCK * sizeof block,
           sizeof block);
    ck_within(look->ranges[i].first_at, look->ranges[i].last_at, t);
    ck_within((struct instant){(int64_t)le64toh(block[0])},
              (struct instant){(int64_t)le64toh(block[1])}, t);
}

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
    ck_times(look, (uint32_t)(row->live - 1), row->created_at);
    look->rows++;
    arena_reset(look->scratch);
}

static int64_t live_build(const struct search_index *index)
{
    return ask_number(say("SELECT COALESCE(MAX(build), 0) AS n FROM search_builds WHERE list = %u "
                          "AND state = 'live'",
                          index->counter->number));
}

/* What was merged is not left behind, and no ordinal is beyond those that were given. */
static void ck_tidy(int64_t build)
{
    const char *of = say("search_postings AS p JOIN search_builds AS b ON b.build = p.build WHERE "
                         "b.build = %lld",
                         (long long)build);
    for (int level = 1; level <= 2; level++)
        ck_rows(say("%s AND lvl = %d AND (base < merged%d_base OR (base < merged%d_base + %d AND "
                    "bucket < merged%d_bucket))",
                    of, level, level, level, level == 1 ? 4096 : 65536, level),
                0);
    ck_rows(say("%s AND lvl = 0 AND LENGTH(postings) > patch_max", of), 0);
    ck_rows(say("search_rows AS r JOIN search_builds AS b ON b.build = r.build WHERE b.build = "
                "%lld AND (ord >= next_ord OR written <> next_ord)",
                (long long)build),
            0);
    ck_rows(say("search_builds WHERE build = %lld AND lost > 0", (long long)build), 0);
}

/* Whatever is not in the journal has an ordinal, and is found by it. */
static void ck_found(const struct search_index *index)
{
    struct look look = {.index = index, .scratch = arena_open((size_t)64 * 1024 * 1024)};
    static const struct sql sql_ranges = {
        "SELECT base, first_at, last_at, blocks FROM search_ranges WHERE build = ?",
        &stored_range_record};
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
    ck_tidy(build);
    read_stored(build, &look.stored);
    must(db_each(the_app->db, room, &sql_ranges, DB_ARGS(db_integer(build)), keep_range, &look));
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

/* ---- blocks that rows leave ---- */

/* As those who delete do it. */
static struct problem *delete_those(void *where)
{
    struct problem *p =
        db_run(the_app->db, the_arena,
               say("INSERT INTO list_journal (total, owner, kind, n, row_id) SELECT 2, author_id, "
                   "published, -1, id FROM posts WHERE %s",
                   (const char *)where));
    return p ? p
             : db_run(the_app->db, the_arena,
                      say("DELETE FROM posts WHERE %s", (const char *)where));
}

static void delete_where(const char *where)
{
    in_transaction(delete_those, (void *)(uintptr_t)where);
    sweep_all();
}

/* Of 300 rows each fifth, the last of the first block, too. */
static void write_stays(const char *content)
{
    for (int i = 0; i < 300; i++)
        (void)write_one(i % 5 ? "goes" : say("stays %d", i), content);
    sweep_all();
    ck_rows("search_rows WHERE ord < 256 AND build = (SELECT MAX(build) FROM search_builds WHERE "
            "list = 2)",
            256);
}

static int64_t rows_of_first_block(void)
{
    return rows_in("search_rows JOIN posts ON posts.id = search_rows.id WHERE ord < 256");
}

#define EMPTY_TIMES "UNHEX('FFFFFFFFFFFFFF7F0000000000000080')"

static void ck_first_block_is_empty(bool empty)
{
    ck_rows("search_ranges WHERE build = (SELECT MAX(build) FROM search_builds WHERE list = 2) AND "
            "LEFT(blocks, 16) = " EMPTY_TIMES,
            empty);
}

TEST(a_block_that_all_rows_have_left_is_empty)
{
    write_stays("a few words");

    delete_where("title = 'goes'");
    ck_assert_int_eq(rows_of_first_block(), 52);
    ck_first_block_is_empty(false);
    delete_where("title <> 'stays 0' AND SUBSTRING(title, 7) + 0 < 255");
    ck_first_block_is_empty(false);
    delete_where("title = 'stays 0'");
    ck_first_block_is_empty(false);
    delete_where("title = 'stays 255'");

    ck_assert_int_eq(rows_of_first_block(), 0);
    ck_first_block_is_empty(true);
    ck_all_found();
}

TEST(a_range_that_all_rows_have_left_is_forgotten)
{
    write_stays("a few words");
    run_sql("UPDATE search_builds SET next_ord = 65536, written = 65536 WHERE list = 2");
    (void)write_one("stays", "beyond");
    sweep_all();
    const char *ranges = "search_ranges JOIN search_builds USING (build) WHERE list = 2";
    ck_rows(ranges, 2);

    delete_where("content <> 'beyond'");

    ck_rows(say("%s AND base = 65536", ranges), 1);
    ck_rows(ranges, 1);
    ck_all_found();
}

/* ---- beside the nodes of a cluster ---- */

struct saving {
    bool is_taken; /* the build was, by another, in the first try */
    int tries;
};

static struct problem *save(void *context)
{
    struct saving *saving = context;
    struct builds builds;
    struct problem *p = store_lock(the_app->db, the_arena, &post_index, &builds);
    if (!p)
        p = store_take_turn(the_app->db, the_arena, &builds.live);
    if (!p && saving->tries++ == 0 && saving->is_taken)
        p = db_run(the_app->db, the_arena, "UPDATE search_builds SET turn = turn + 1");
    return p ? p : store_save(the_app->db, the_arena, &builds.live);
}

TEST(what_was_passed_by_another_begins_again)
{
    struct saving alone = {.is_taken = false}, passed = {.is_taken = true};
    int64_t turn = ask_number("SELECT turn AS n FROM search_builds WHERE list = 2");

    must(db_transaction(the_app->db, the_arena, save, NULL, &alone));
    ck_assert_int_eq(alone.tries, 1);

    must(db_transaction(the_app->db, the_arena, save, NULL, &passed));
    ck_assert_int_eq(passed.tries, 2);
    ck_rows(say("search_builds WHERE list = 2 AND turn = %lld", (long long)turn + 2), 1);
}

static struct problem *take_old_turn(void *context)
{
    struct build *old = context, build = *old;
    return store_take_turn(the_app->db, the_arena, &build);
}

TEST(a_turn_is_taken_from_where_it_was_read)
{
    struct builds builds;
    must(store_lock(the_app->db, the_arena, &post_index, &builds));
    run_sql("UPDATE search_builds SET turn = turn + 1");

    ck_assert(
        db_is_conflict(db_transaction(the_app->db, the_arena, take_old_turn, NULL, &builds.live)));

    builds.live.turn++;
    must(db_transaction(the_app->db, the_arena, take_old_turn, NULL, &builds.live));
}

TEST(a_step_writes_the_turns_of_the_indexes_that_it_writes)
{
    int64_t users = ask_number("SELECT turn AS n FROM search_builds WHERE list = 1");
    int64_t posts = ask_number("SELECT turn AS n FROM search_builds WHERE list = 2");
    sweep_all();
    ck_rows(say("search_builds WHERE list = 1 AND turn = %lld", (long long)users + 1), 1);

    (void)write_one("One", "more");
    sweep_all();

    ck_rows(say("search_builds WHERE list = 1 AND turn = %lld", (long long)users + 1), 1);
    ck_rows(say("search_builds WHERE list = 2 AND turn = %lld", (long long)posts + 1), 1);
}

static const char *const taken[] = {
    "SELECT build, next_ord, UUID(), '2026-01-01' FROM search_builds WHERE list = 2",
    "SELECT build, 77, posts.id, '2026-01-01' FROM search_builds JOIN posts WHERE list = 2",
};

/* An ordinal of another row, and a row of another ordinal that no join finds. */
TEST_EACH(no_ordinal_is_taken_from_its_row, taken)
{
    const struct sweep_hook hook = search_hook(search_indexes);
    bool more;
    sweep_all();
    (void)write_one("One", "more");
    run_sql(say("INSERT INTO search_rows (build, ord, id, created_at) %s", taken[_i]));
    int64_t counted = rows_in("search_rows WHERE created_at = '2026-01-01'");
    ck_assert_int_eq(counted, 1);

    const struct problem *p = counter_sweep(the_app->db, the_arena, &hook, &more);

    ck_assert(_i == 0 ? db_is_conflict(p) : !p);
    ck_rows("search_rows WHERE created_at = '2026-01-01'", 1);
    ck_rows("list_journal", _i == 0);
    run_sql("DELETE FROM search_rows WHERE created_at = '2026-01-01'");
    run_sql("INSERT INTO list_journal (total, owner, kind, n, row_id) SELECT 2, author_id, 0, 0, "
            "id FROM posts");
    sweep_all();
    ck_all_found();
}

/* ---- builds ---- */

static void build(const struct search_index *index)
{
    must(search_build(the_app->db, the_arena, index, NULL));
}

/* So many at once that a busy machine takes less than DB_STATEMENT_LIMIT_S. */
#define WRITTEN_AT_ONCE 1000

static void write_many(int from, int to, const char *at)
{
    for (int i = from; i <= to; i += WRITTEN_AT_ONCE)
        run_sql(say("INSERT INTO posts (id, author_id, title, content, published, created_at) "
                    "SELECT UUID(), '%s', CONCAT('title ', seq), CONCAT('words in common, and "
                    "word', MOD(seq * 7919, 1000)), MOD(seq, 10) > 0, '%s' + INTERVAL "
                    "MOD(seq * 7919, %d) SECOND FROM seq_%d_to_%d",
                    author, at, to - from + 1, i,
                    to - i < WRITTEN_AT_ONCE ? to : i + WRITTEN_AT_ONCE - 1));
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

/* What is done while a build stands still. */
struct meanwhile {
    int times;
    struct uuid changed, deleted, old;
};

static struct problem *change_title(void *context)
{
    struct post before, after;
    struct problem *p = post_lock(the_app->db, the_arena, *(struct uuid *)context, &before);
    if (p)
        return p;
    after = before;
    after.version++;
    after.title = TEXT("changed meanwhile");
    return post_update(the_app->db, the_arena, &before, &after, (struct uuid){{0}});
}

static struct problem *delete_it(void *context)
{
    const struct uuid *id = context;
    struct post post;
    bool left;
    struct problem *p = post_lock(the_app->db, the_arena, *id, &post);
    return p ? p : post_delete(the_app->db, the_arena, &post, (struct uuid){{0}}, &left);
}

static void write_meanwhile(void *context, const struct search_index *index, int64_t rows)
{
    struct meanwhile *m = context;
    (void)index, (void)rows;
    if (m->times++)
        return;
    in_transaction(change_title, &m->changed);
    in_transaction(delete_it, &m->deleted);
    the_time = instant_plus_s(the_time, -86400);
    m->old = write_one("written meanwhile", "with a time before all others");
    the_time = instant_plus_s(the_time, 2 * 86400);
    (void)write_one("written meanwhile", "with a time after all others");
    sweep_all();
}

TEST(what_is_written_while_an_index_is_built_is_in_it)
{
    struct meanwhile m = {.times = 0};
    const struct build_progress progress = {write_meanwhile, &m};
    m.changed = write_one("a post", "with words");
    m.deleted = write_one("another", "with words");
    for (int i = 0; i < 600; i++)
        (void)write_one("one", "of many");
    sweep_all();

    must(search_build(the_app->db, the_arena, &post_index, &progress));

    ck_assert_int_ge(m.times, 1);
    ck_rows("list_journal", 0);
    ck_found(&post_index);
    ck_rows(say("search_rows WHERE build = %lld", (long long)live_build(&post_index)), 603);
    build(&post_index);
    ck_found(&post_index);
}

static void die_meanwhile(void *context, const struct search_index *index, int64_t rows)
{
    (void)context, (void)index, (void)rows;
    (void)raise(SIGKILL);
}

static void build_and_die(void *context)
{
    must(search_build(the_app->db, the_arena, &post_index, context));
}

static void interrupt_build(const struct build_progress *die)
{
    struct build_progress copy = *die;
    int status;
    pid_t pid = run_aside(build_and_die, &copy);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_rows("search_builds WHERE state = 'building' AND written > 0", 1);
}

TEST(a_build_that_was_interrupted_goes_on_unless_rows_were_imported)
{
    const struct build_progress die = {die_meanwhile, NULL};
    for (int i = 0; i < 600; i++)
        (void)write_one("one", "of many");
    sweep_all();

    interrupt_build(&die);
    int64_t begun = ask_number("SELECT build AS n FROM search_builds WHERE state = 'building'");
    build(&post_index);
    ck_assert_int_eq(live_build(&post_index), begun);
    ck_found(&post_index);

    interrupt_build(&die);
    begun = ask_number("SELECT build AS n FROM search_builds WHERE state = 'building'");
    write_many(1, 1, "2001-01-01");
    build(&post_index);
    ck_assert_int_gt(live_build(&post_index), begun);
    ck_found(&post_index);
    ck_rows("search_builds WHERE state = 'building'", 0);
}

/* ---- what cannot be read ---- */

static void tend_all(void)
{
    bool more;
    do
        must(search_tend(the_app->db, the_arena, search_indexes, &more));
    while (more);
}

/* As if so many ordinals had been given. */
static void leap_to(int ordinal)
{
    run_sql(say("UPDATE search_builds SET next_ord = %d, written = %d WHERE list = 2 AND state = "
                "'live'",
                ordinal, ordinal));
}

static int64_t lost(void)
{
    return ask_number("SELECT lost AS n FROM search_builds WHERE list = 2 AND state = 'live'");
}

static void retitle(struct uuid id)
{
    in_transaction(change_title, &id);
}

static void meet_again(void)
{
    (void)write_one("one more", "for the segment that is open");
    sweep_all();
}

static void merge_torn(void)
{
    leap_to(4096);
    tend_all();
    ck_rows(
        say("search_postings WHERE lvl = 1 AND build = %lld", (long long)live_build(&post_index)),
        0);
}

static void fold_torn(void)
{
    run_sql("UPDATE search_builds SET patch_max = 40000 WHERE list = 2 AND state = 'live'");
    tend_all();
}

/* What is torn, who meets it, and how much is lost then. */
static const struct {
    const char *sql;
    void (*meet)(void);
    int64_t lost;
} torn[] = {
    {"UPDATE search_postings SET postings = LEFT(postings, 5) WHERE lvl = 1", meet_again, 1},
    {"UPDATE search_postings SET postings = 'nonsense' WHERE lvl = 1", merge_torn, 32},
    {"UPDATE search_postings SET postings = CONCAT(postings, 'x') WHERE lvl = 0", fold_torn, 1},
    {"UPDATE search_postings SET postings = '' WHERE lvl = 1", fold_torn, 1},
    {"UPDATE search_ranges SET blocks = LEFT(blocks, 100)", meet_again, 1},
};

TEST_EACH(what_is_torn_is_counted_and_right_again_after_a_build, torn)
{
    struct uuid id = {{0}};
    for (int i = 0; i < 100; i++)
        id = write_one("one", say("of many words%d", i));
    sweep_all();
    leap_to(256);
    retitle(id);
    meet_again();
    ck_assert_int_eq(lost(), 0);
    run_sql(torn[_i].sql);

    torn[_i].meet();

    ck_assert_int_ge(lost(), torn[_i].lost);
    build(&post_index);
    ck_assert_int_eq(lost(), 0);
    ck_found(&post_index);
}

/* ---- what is hard ---- */

static const char *distinct_words(int number)
{
    struct buf b;
    buf_init(&b, (size_t)64 * 1024);
    for (int i = 0; !b.full && i < 13000; i++)
        buf_printf(&b, "%x ", 0x1000 + number * 13000 + i);
    const char *text = arena_copy(the_arena, b.data, b.len);
    buf_release(&b);
    return text;
}

static const char *one_word(int number)
{
    (void)number;
    return repeat("again ", 10900);
}

/* One run of Chinese, each two neighbours of which are another pair. */
static const char *one_run(int number)
{
    (void)number;
    static char text[10001 * 3 + 1];
    for (unsigned i = 0; i < 10001; i++) {
        unsigned c = 0x4E00 + i * 7919 % 20000;
        text[3 * i] = (char)(0xE0 | c >> 12);
        text[3 * i + 1] = (char)(0x80 | (c >> 6 & 63));
        text[3 * i + 2] = (char)(0x80 | (c & 63));
    }
    return text;
}

static const char *(*const hard[])(int number) = {distinct_words, one_word, one_run};

/* A step takes few of them, and closes the segment that they make long. */
TEST_EACH(long_texts_are_swept_in_short_steps, hard)
{
    int steps = 1;
    for (int i = 0; i < 40; i++)
        (void)write_one("long", hard[_i](i));

    while (sweep())
        steps++;

    ck_found(&post_index);
    ck_assert_int_ge(steps, _i == 2 ? 4 : 8);
    ck_rows("search_postings WHERE LENGTH(postings) > 1048576", 0);
    if (_i == 0)
        ck_assert_int_gt(ask_number("SELECT next_ord AS n FROM search_builds WHERE list = 2 AND "
                                    "state = 'live'"),
                         256);
    leap_to(8192);
    tend_all();
    ck_found(&post_index);
}

/* ---- several at once ---- */

static void write_sweep_and_tend(int number, void *context)
{
    bool more;
    (void)context;
    the_time.us += number; /* ids of their own */
    for (int i = 0; i < 120; i++) {
        (void)write_one(say("by %d", number), say("word%d", i));
        if (i % 10 == 0)
            (void)sweep();
        if (i % 30 == 0)
            must(search_tend(the_app->db, the_arena, search_indexes, &more));
        if (i == 60 && number == 0)
            build(&post_index);
    }
}

TEST(two_pools_sweep_and_build_at_once)
{
    parallel(4, write_sweep_and_tend, NULL);

    sweep_all();

    ck_all_found();
    ck_rows("posts", 480);
    ck_rows(say("search_rows WHERE build = %lld", (long long)live_build(&post_index)), 480);
    ck_kept();
}

/* ---- the database dies ---- */

static void work_on(void *context)
{
    bool more;
    (void)context;
    for (;;) {
        const struct sweep_hook hook = search_hook(search_indexes);
        if (counter_sweep(the_app->db, the_arena, &hook, &more) ||
            search_tend(the_app->db, the_arena, search_indexes, &more) ||
            search_build(the_app->db, the_arena, &post_index, NULL))
            _exit(EXIT_SUCCESS); /* it is dead */
    }
}

TEST_TIMES(what_a_dead_database_leaves_is_whole, 2)
{
    for (int i = 0; i < 700; i++)
        (void)write_one("one", say("of many words%d", i));
    pid_t pid = run_aside(work_on, NULL);
    (void)usleep(_i ? 20000 : 90000);

    ck_assert_int_eq(system("\"$DATABASE_CONTROL\" kill"), 0);
    wait_for(pid);
    ck_assert_int_eq(system("\"$DATABASE_CONTROL\" start"), 0);

    ck_all_found();
    sweep_all();
    build(&post_index);
    ck_all_found();
    ck_rows("posts", 700);
}

/* ---- whatever happens ---- */

#define ROUNDS 200
#define KEPT 400 /* posts that may be changed and deleted */

static uint64_t seed;
static struct uuid posts[KEPT];
static size_t post_count;
static const char *happened; /* for who reads a failure */

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(seed >> 33) % n;
}

/* A few hundred words, some in other scripts, now and then very many. */
static const char *random_text(unsigned words)
{
    static const char *const strange[] = {"\u6f22\u5b57\u304b\u306a",
                                          "\u0393\u03b9\u03ac\u03bd\u03bd\u03b7\u03c2", "caf\u00e9",
                                          "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22"};
    struct buf b;
    buf_init(&b, (size_t)1024 * 1024);
    for (unsigned i = 0; i < words; i++)
        if (below(20) == 0)
            buf_printf(&b, "%s ", strange[below(4)]);
        else
            buf_printf(&b, "%s%u ", words > 1000 ? "" : "word",
                       below(words > 1000 ? 99999999 : 500));
    const char *text = arena_copy(the_arena, b.data ? b.data : "", b.len);
    buf_release(&b);
    return text;
}

static unsigned random_length(void)
{
    unsigned kind = below(100);
    return kind == 0 ? 6000 : kind < 5 ? 900 : 1 + below(60);
}

/* Mostly now; an import, another host's clock. */
static struct instant random_time(void)
{
    if (below(10) > 0)
        return the_time;
    return instant_plus_s(the_time, (int64_t)below(200000000) - 190000000);
}

static void write_random(void)
{
    written = (struct post){.id = uuid_make(the_time),
                            .title = text_of(random_text(3)),
                            .content = text_of(random_text(random_length())),
                            .published = below(10) > 0,
                            .author_id = id_of(author),
                            .created_at = random_time(),
                            .updated_at = the_time,
                            .version = 1};
    in_transaction(insert, &written);
    if (post_count < KEPT)
        posts[post_count++] = written.id;
}

static void write_some(void)
{
    for (unsigned i = below(40) + 1; i > 0; i--)
        write_random();
}

static struct problem *change(void *context)
{
    const struct uuid *id = context;
    struct post before, after;
    struct problem *p = post_lock(the_app->db, the_arena, *id, &before);
    if (p)
        return p;
    after = before;
    after.version++;
    after.published = below(3) == 0 ? !before.published : before.published;
    if (below(3) > 0)
        after.content = text_of(random_text(random_length()));
    return post_update(the_app->db, the_arena, &before, &after, (struct uuid){{0}});
}

static void change_some(void)
{
    for (unsigned i = below(30); post_count && i > 0; i--)
        in_transaction(change, &posts[below((unsigned)post_count)]);
}

static void delete_some(void)
{
    for (unsigned i = below(5); post_count && i > 0; i--) {
        size_t n = below((unsigned)post_count);
        in_transaction(delete_it, &posts[n]);
        posts[n] = posts[--post_count];
    }
}

static struct problem *let_go(void *context)
{
    struct user user;
    struct problem *p = user_lock(the_app->db, the_arena, *(struct uuid *)context, &user);
    return p ? p : departure_begin(the_app->db, the_arena, &user, the_time);
}

static void come_and_go(void)
{
    struct uuid id = id_of(make_user(
        say("u%u.%llu@example.org", below(1000000), (unsigned long long)the_time.us), ROLE_USER));
    if (below(2))
        in_transaction(let_go, &id);
}

static void tend(void)
{
    bool more, all = below(3) == 0;
    do
        must(search_tend(the_app->db, the_arena, search_indexes, &more));
    while (more && all);
}

/* As if so many rows had come and gone. */
static void leap(void)
{
    static const char *const steps[] = {"256", "1024", "4096", "20480"};
    run_sql(say("UPDATE search_builds SET next_ord = (next_ord DIV 256 + 1) * 256 + %s - 256, "
                "written = next_ord WHERE state = 'live'",
                steps[below(4)]));
}

/* As if very much had been changed. */
static void fill_patch(void)
{
    run_sql(say("UPDATE search_builds SET patch_max = %u WHERE state = 'live' AND patch_max > 0",
                below(2) ? 40000 : 70000));
}

static void build_one(void)
{
    build(search_indexes[below(2)]);
}

static void age(void)
{
    run_sql("UPDATE search_builds SET since = since - INTERVAL 2 MINUTE WHERE state = 'leaving'");
}

static void set_clock_at_random(void)
{
    set_clock((int64_t)below(7200) - 3600);
}

static void sweep_once(void)
{
    (void)sweep();
}

static void (*const doomed[])(void) = {sweep_once, tend, build_one};

static void work_until_killed(void *context)
{
    for (;;)
        doomed[*(unsigned *)context]();
}

/* At any point of its work. */
static void kill_one(void)
{
    unsigned which = below(3);
    int status;
    pid_t pid = run_aside(work_until_killed, &which);
    (void)usleep(below(50000));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

/* Each so often in a hundred. */
static const struct {
    const char *name;
    void (*happen)(void);
    unsigned weight;
} events[] = {
    {"write", write_some, 22},
    {"change", change_some, 18},
    {"delete", delete_some, 6},
    {"users", come_and_go, 3},
    {"sweep", sweep_once, 18},
    {"tend", tend, 12},
    {"leap", leap, 7},
    {"build", build_one, 2},
    {"age", age, 2},
    {"clock", set_clock_at_random, 2},
    {"kill", kill_one, 5},
    {"patch", fill_patch, 3},
};

static void let_something_happen(void)
{
    unsigned at = below(100);
    size_t i = 0;
    for (; at >= events[i].weight; i++)
        at -= events[i].weight;
    happened = events[i].name;
    events[i].happen();
    the_time.us += 1000;
}

CASE("random", set_up, tear_down);
CASE_LIMIT_S(3600);

/* From empty tables to an index that is built again. */
static void live_once(void)
{
    post_count = 0;
    for (int i = 0; i < ROUNDS; i++) {
        let_something_happen();
        if (i % 8 == 0 || strcmp(happened, "kill") == 0 || strcmp(happened, "build") == 0)
            ck_all_found();
    }
    sweep_all();
    ck_all_found();
    ck_rows("list_journal", 0);
    build(&user_index);
    build(&post_index);
    ck_all_found();
}

TEST(whatever_happens_each_row_is_found)
{
    seed = torture_seed();
    live_once();
    for (int lives = torture_rounds(1); lives > 1; lives--) {
        tear_down();
        set_up();
        live_once();
    }
}

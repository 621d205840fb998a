#include "common/search/store.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/problem.h"
#include "common/field/field.h"
#include "common/search/terms.h"

/* Few forms of each statement: where there is less to say, something is said twice. */
#define FOUR(what_, by_) what_ by_ what_ by_ what_ by_ what_
#define SIXTEEN(what_, by_) FOUR(FOUR(what_, by_), by_)
#define SIXTY_FOUR(what_, by_) FOUR(SIXTEEN(what_, by_), by_)
#define ROWS_AT_ONCE 64
#define KEYS_AT_ONCE 16
#define BLOBS_AT_ONCE 8
#define BLOCKS_AT_ONCE 16
#define BLOBS_BYTES ((size_t)256 * 1024) /* of those that are written by one statement */

/* ---- builds ---- */

static const char *const states[] = {
    [BUILD_BUILDING] = "building", [BUILD_LIVE] = "live", [BUILD_LEAVING] = "leaving", NULL};

static const struct field build_fields[] = {
    FIELD(struct build, build, .doc = "Its number."),
    FIELD(struct build, list, .doc = "Of which index."),
    FIELD(struct build, state, .choices = states, .doc = "Whether it is read."),
    FIELD(struct build, age_s, .doc = "For how long, in seconds."),
    FIELD(struct build, next_ord, .doc = "The next ordinal."),
    FIELD(struct build, written, .doc = "Ordinals below this have their postings."),
    FIELD(struct build, built_at, .doc = "The place that building has come to, a time"),
    FIELD(struct build, built_id, .doc = "and an id."),
    FIELD(struct build, merged1_base, .doc = "How far level 1 is merged: segments,"),
    FIELD(struct build, merged1_bucket, .doc = "and buckets of the next one."),
    FIELD(struct build, merged2_base, .doc = "How far level 2 is."),
    FIELD(struct build, merged2_bucket, .doc = "The same."),
    FIELD(struct build, patch_max, .doc = "Bytes of the longest patch."),
    FIELD(struct build, lost, .doc = "Blobs that could not be read."),
    FIELD(struct build, turn, .doc = "Rises with each transaction."),
    FIELD(struct build, format, .doc = "Of what is stored."),
    FIELD(struct build, unicode, .doc = "By whose letters."),
};
const struct record build_record = RECORD("Build", struct build, build_fields, .rule = NULL);

static const struct sql sql_lock = {
    "SELECT " BUILD_COLUMNS " FROM search_builds FORCE INDEX (ix_search_builds_list) "
    "WHERE list = ? AND state IN ('building', 'live') ORDER BY build FOR UPDATE",
    &build_record};
static const struct sql sql_try_lock = {
    "SELECT " BUILD_COLUMNS " FROM search_builds FORCE INDEX (ix_search_builds_list) "
    "WHERE list = ? AND state = 'live' ORDER BY build DESC LIMIT 1 FOR UPDATE SKIP LOCKED",
    &build_record};
static const struct sql sql_save = {
    "UPDATE search_builds SET next_ord = ?, written = ?, built_at = ?, built_id = ?, "
    "merged1_base = ?, merged1_bucket = ?, merged2_base = ?, merged2_bucket = ?, patch_max = ?, "
    "lost = ? WHERE build = ? AND turn = ?",
    NULL};
static const struct sql sql_turn = {
    "UPDATE search_builds SET turn = turn + 1 WHERE build = ? AND turn = ?", NULL};

struct locking {
    struct arena *arena;
    struct builds *builds;
};

static void keep_build(void *context, const void *row)
{
    struct locking *l = context;
    const struct build *build = row;
    struct build *kept = build->state == BUILD_LIVE ? &l->builds->live : &l->builds->making;
    *kept = *build; /* the later one, should there be two */
    kept->unicode = arena_text(l->arena, build->unicode);
}

struct problem *store_lock(struct db *db, struct arena *a, const struct search_index *index,
                           struct builds *ret)
{
    struct locking l = {a, ret};
    *ret = (struct builds){{0}, {0}};
    return db_each(db, a, &sql_lock, DB_ARGS(db_integer(index->counter->number)), keep_build, &l);
}

struct problem *store_try_lock(struct db *db, struct arena *a, const struct search_index *index,
                               struct build *ret)
{
    bool found;
    *ret = (struct build){0};
    return db_find(db, a, &sql_try_lock, DB_ARGS(db_integer(index->counter->number)), ret, &found);
}

static struct problem *or_conflict(struct db *db, struct arena *a, struct problem *p,
                                   uint64_t matched)
{
    return p || matched ? p : db_conflict(db, a);
}

struct problem *store_take_turn(struct db *db, struct arena *a, struct build *b)
{
    uint64_t matched = 0;
    struct problem *p = db_guard(db, a); /* half of what belongs together is worse than nothing */
    if (!p)
        p = db_execute(db, a, &sql_turn, DB_ARGS(db_integer(b->build), db_integer(b->turn)),
                       &matched);
    b->turn++;
    return or_conflict(db, a, p, matched);
}

struct problem *store_save(struct db *db, struct arena *a, const struct build *b)
{
    uint64_t matched = 0;
    struct problem *p =
        db_execute(db, a, &sql_save,
                   DB_ARGS(db_integer(b->next_ord), db_integer(b->written), db_time(b->built_at),
                           db_uuid(b->built_id), db_integer(b->merged1_base),
                           db_integer(b->merged1_bucket), db_integer(b->merged2_base),
                           db_integer(b->merged2_bucket), db_integer(b->patch_max),
                           db_integer(b->lost), db_integer(b->build), db_integer(b->turn)),
                   &matched);
    return or_conflict(db, a, p, matched);
}

/* ---- blobs ---- */

struct blob_row {
    int64_t lvl, bucket, base;
    struct text postings;
};

static const struct field blob_fields[] = {
    FIELD(struct blob_row, lvl, .doc = "The level."),
    FIELD(struct blob_row, bucket, .doc = "The bucket."),
    FIELD(struct blob_row, base, .doc = "The first ordinal of the segment."),
    FIELD(struct blob_row, postings, .doc = "The blob."),
};
static const struct record blob_record = RECORD("Blob", struct blob_row, blob_fields, .rule = NULL);

#define SELECT "SELECT lvl, bucket, base, postings FROM search_postings WHERE build = ? AND "
#define KEY "(lvl = ? AND bucket = ? AND base = ?)"
#define WRITE(rows_)                                                                               \
    "INSERT INTO search_postings (build, lvl, bucket, base, postings) VALUES " rows_               \
    " ON DUPLICATE KEY UPDATE postings = VALUES(postings)"
#define BLOB "(?, ?, ?, ?, ?)"

/* Thirty-two keys, and not all rows of the level. */
static const struct sql sql_segment = {
    SELECT "lvl = ? AND base = ? AND bucket IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, "
           "15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31) ORDER BY bucket",
    &blob_record};
static const struct sql sql_bucket = {
    SELECT "lvl = ? AND bucket = ? AND base BETWEEN ? AND ? ORDER BY base", &blob_record};
static const struct sql sql_keys = {SELECT "(" SIXTEEN(KEY, " OR ") ")", &blob_record};
static const struct sql sql_write = {WRITE(BLOB), NULL};
static const struct sql sql_write_many = {WRITE(FOUR(BLOB, ", ") ", " FOUR(BLOB, ", ")), NULL};
static const struct sql sql_delete = {"DELETE FROM search_postings WHERE build = ? AND " KEY, NULL};

void store_add_blob(struct arena *a, struct blobs *blobs, struct postings_key key,
                    struct text bytes)
{
    if (blobs->count == blobs->room) {
        size_t room = blobs->room ? 2 * blobs->room : 64;
        struct blob *list = arena_array(a, room, sizeof *list);
        if (blobs->count)
            memcpy(list, blobs->list, blobs->count * sizeof *list);
        *blobs = (struct blobs){list, blobs->count, room};
    }
    blobs->list[blobs->count++] = (struct blob){key, bytes};
}

struct reading {
    struct arena *arena;
    struct blobs *blobs;
};

static void keep_blob(void *context, const void *row)
{
    struct reading *r = context;
    const struct blob_row *blob = row;
    store_add_blob(
        r->arena, r->blobs,
        (struct postings_key){(unsigned)blob->lvl, (uint32_t)blob->bucket, (uint32_t)blob->base},
        arena_text(r->arena, blob->postings));
}

static struct problem *read_blobs(struct db *db, struct arena *a, const struct sql *sql,
                                  struct db_args args, struct blobs *ret)
{
    struct reading r = {a, ret};
    return db_each(db, a, sql, args, keep_blob, &r);
}

struct problem *store_read_segment(struct db *db, struct arena *a, const struct build *build,
                                   unsigned level, uint32_t base, struct blobs *ret)
{
    return read_blobs(db, a, &sql_segment,
                      DB_ARGS(db_integer(build->build), db_integer(level), db_integer(base)), ret);
}

struct problem *store_read_bucket(struct db *db, struct arena *a, const struct build *build,
                                  struct postings_key key, uint32_t last, struct blobs *ret)
{
    return read_blobs(db, a, &sql_bucket,
                      DB_ARGS(db_integer(build->build), db_integer(key.level),
                              db_integer(key.bucket), db_integer(key.base), db_integer(last)),
                      ret);
}

struct problem *store_read_blobs(struct db *db, struct arena *a, const struct build *build,
                                 const struct postings_key *keys, size_t count, struct blobs *ret)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < count; i += KEYS_AT_ONCE) {
        struct db_arg args[1 + 3 * KEYS_AT_ONCE], *arg = args;
        *arg++ = db_integer(build->build);
        for (size_t k = i; k < i + KEYS_AT_ONCE; k++) {
            const struct postings_key *key = &keys[k < count ? k : i];
            *arg++ = db_integer(key->level);
            *arg++ = db_integer(key->bucket);
            *arg++ = db_integer(key->base);
        }
        p = read_blobs(db, a, &sql_keys, (struct db_args){args, 1 + 3 * KEYS_AT_ONCE}, ret);
    }
    return p;
}

static struct problem *write_some(struct db *db, struct arena *a, const struct build *build,
                                  const struct blob *blobs, size_t count)
{
    struct db_arg args[5 * BLOBS_AT_ONCE], *arg = args;
    for (size_t i = 0; i < count; i++) {
        *arg++ = db_integer(build->build);
        *arg++ = db_integer(blobs[i].key.level);
        *arg++ = db_integer(blobs[i].key.bucket);
        *arg++ = db_integer(blobs[i].key.base);
        *arg++ = db_bytes(blobs[i].bytes.data, blobs[i].bytes.len);
    }
    if (!blobs->bytes.data)
        return db_execute(db, a, &sql_delete, (struct db_args){args, 4}, NULL);
    return db_execute(db, a, count == 1 ? &sql_write : &sql_write_many,
                      (struct db_args){args, 5 * count}, NULL);
}

/* How many of the next blobs fit into one statement. */
static size_t fit_together(const struct blob *blobs, size_t count)
{
    size_t bytes = 0;
    if (count < BLOBS_AT_ONCE)
        return 1;
    for (size_t i = 0; i < BLOBS_AT_ONCE; i++) {
        bytes += blobs[i].bytes.len;
        if (!blobs[i].bytes.data || bytes > BLOBS_BYTES)
            return 1;
    }
    return BLOBS_AT_ONCE;
}

struct problem *store_write_blobs(struct db *db, struct arena *a, const struct build *build,
                                  const struct blobs *blobs)
{
    struct problem *p = NULL;
    for (size_t i = 0, n; !p && i < blobs->count; i += n) {
        n = fit_together(&blobs->list[i], blobs->count - i);
        p = write_some(db, a, build, &blobs->list[i], n);
    }
    return p;
}

bool store_open_blob(struct build *build, const struct blob *blob, struct postings *ret)
{
    const char *fault = postings_open(ret, blob->key, blob->bytes);
    if (!fault)
        return true;
    LOG(LOG_LEVEL_ERROR, log_event("search_blob_lost"), log_number("list", build->list),
        log_number("build", build->build), log_number("level", blob->key.level),
        log_number("bucket", blob->key.bucket), log_number("base", blob->key.base),
        log_text("cause", fault));
    build->lost++;
    return false;
}

static struct text own(struct arena *a, struct text bytes)
{
    return bytes.data ? (struct text){arena_copy(a, bytes.data, bytes.len), bytes.len} : bytes;
}

struct problem *store_unite(struct arena *a, struct build *build, struct postings_writer *w,
                            const struct blob *stored, struct postings_key key, struct text *ret)
{
    struct postings in[2];
    bool fits = postings_write(w, key, ret);
    bool is_stored = stored && store_open_blob(build, stored, &in[0]);
    *ret = fits ? own(a, *ret) : *ret;
    if (fits && !ret->data)
        *ret = is_stored ? stored->bytes : *ret;
    else if (fits && is_stored) {
        fits = !postings_open(&in[1], key, *ret) && postings_merge(w, in, 2, key, ret);
        *ret = own(a, *ret);
    }
    return fits ? NULL : problem_because(a, &problem_internal, "too much is noted at once");
}

struct problem *store_add_postings(struct db *db, struct arena *a, struct build *build,
                                   struct postings_writer *w, unsigned level, uint32_t base,
                                   size_t *ret_sum, size_t *ret_longest)
{
    const struct blob *stored[STORE_BUCKETS] = {NULL};
    struct blobs old = {NULL, 0, 0}, new = {NULL, 0, 0};
    struct problem *p = store_read_segment(db, a, build, level, base, &old);
    for (size_t i = 0; i < old.count; i++)
        stored[old.list[i].key.bucket % STORE_BUCKETS] = &old.list[i];
    *ret_sum = *ret_longest = 0;
    for (uint32_t bucket = 0; !p && bucket < STORE_BUCKETS; bucket++) {
        struct postings_key key = {level, bucket, base};
        struct text bytes;
        p = store_unite(a, build, w, stored[bucket], key, &bytes);
        if (p || !bytes.data)
            continue;
        store_add_blob(a, &new, key, bytes);
        *ret_sum += bytes.len;
        *ret_longest = bytes.len > *ret_longest ? bytes.len : *ret_longest;
    }
    return p ? p : store_write_blobs(db, a, build, &new);
}

/* ---- rows ---- */

#define ORDINAL "(?, ?, ?, ?)"

/* Where there are fewer rows, one is written again and changes nothing. No ordinal is -1: that
 * refuses one that is another row's. */
static const struct sql sql_write_rows = {
    "INSERT INTO search_rows (build, ord, id, created_at) VALUES " SIXTY_FOUR(
        ORDINAL, ", ") " ON DUPLICATE KEY UPDATE ord = IF(search_rows.id = VALUES(id) AND "
                       "search_rows.ord = VALUES(ord), search_rows.ord, -1)",
    NULL};
static const struct sql sql_forget_rows = {
    "DELETE search_rows FROM search_rows FORCE INDEX (uq_search_rows_id) WHERE build IN (?, ?) "
    "AND id IN (" SIXTEEN("?", ", ") ", " SIXTEEN("?", ", ") ")",
    NULL};

void store_add_ordinal(struct arena *a, struct ordinals *ordinals, struct ordinal ordinal)
{
    if (ordinals->count == ordinals->room) {
        size_t room = ordinals->room ? 2 * ordinals->room : 256;
        struct ordinal *list = arena_array(a, room, sizeof *list);
        if (ordinals->count)
            memcpy(list, ordinals->list, ordinals->count * sizeof *list);
        *ordinals = (struct ordinals){list, ordinals->count, room};
    }
    ordinals->list[ordinals->count++] = ordinal;
}

static struct problem *or_taken(struct db *db, struct arena *a, const struct build *build,
                                struct problem *p)
{
    if (!db_is_out_of_range(p))
        return p;
    LOG(LOG_LEVEL_ERROR, log_event("search_ordinal_taken"), log_number("list", build->list),
        log_number("build", build->build), log_number("next", build->next_ord),
        log_text("advice", "should it come again: postern reindex"));
    return db_conflict(db, a);
}

struct problem *store_write_rows(struct db *db, struct arena *a, const struct build *build,
                                 const struct ordinals *ordinals)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < ordinals->count; i += ROWS_AT_ONCE) {
        struct db_arg args[4 * ROWS_AT_ONCE], *arg = args;
        for (size_t k = i; k < i + ROWS_AT_ONCE; k++) {
            const struct ordinal *o = &ordinals->list[k < ordinals->count ? k : i];
            *arg++ = db_integer(build->build);
            *arg++ = db_integer(o->ord);
            *arg++ = db_uuid(o->id);
            *arg++ = db_time(o->created_at);
        }
        p = db_execute(db, a, &sql_write_rows, (struct db_args){args, 4 * ROWS_AT_ONCE}, NULL);
    }
    return or_taken(db, a, build, p);
}

struct found_row {
    int64_t ord;
};

static const struct field found_fields[] = {
    FIELD(struct found_row, ord, .doc = "The ordinal of a row, or the first of a block."),
};
static const struct record found_record =
    RECORD("FoundRow", struct found_row, found_fields, .rule = NULL);

static const struct sql sql_find_rows = {
    "SELECT ord FROM search_rows FORCE INDEX (uq_search_rows_id) WHERE build = ? AND id IN "
    "(" SIXTEEN("?", ", ") ", " SIXTEEN("?", ", ") ")",
    &found_record};

struct finding {
    uint32_t *list;
    size_t count;
};

/* Once, though what fills a statement up is found again. */
static void note_found(void *context, const void *row)
{
    struct finding *found = context;
    uint32_t ord = (uint32_t)((const struct found_row *)row)->ord;
    for (size_t i = 0; i < found->count; i++)
        if (found->list[i] == ord)
            return;
    found->list[found->count++] = ord;
}

struct problem *store_find_rows(struct db *db, struct arena *a, const struct build *build,
                                const struct uuid *ids, size_t count, uint32_t *ret,
                                size_t *ret_count)
{
    struct finding found = {ret, 0};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < count; i += STORE_AT_ONCE) {
        struct db_arg args[1 + STORE_AT_ONCE], *arg = args;
        *arg++ = db_integer(build->build);
        for (size_t k = i; k < i + STORE_AT_ONCE; k++)
            *arg++ = db_uuid(ids[k < count ? k : i]);
        p = db_each(db, a, &sql_find_rows, (struct db_args){args, 1 + STORE_AT_ONCE}, note_found,
                    &found);
    }
    *ret_count = found.count;
    return p;
}

struct problem *store_forget_rows(struct db *db, struct arena *a, const struct build *build,
                                  const struct build *other, const struct uuid *ids, size_t count)
{
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < count; i += STORE_AT_ONCE) {
        struct db_arg args[2 + STORE_AT_ONCE], *arg = args;
        *arg++ = db_integer(build->build);
        *arg++ = db_integer(other->build);
        for (size_t k = i; k < i + STORE_AT_ONCE; k++)
            *arg++ = db_uuid(ids[k < count ? k : i]);
        p = db_execute(db, a, &sql_forget_rows, (struct db_args){args, 2 + STORE_AT_ONCE}, NULL);
    }
    return p;
}

/* ---- blocks without rows ---- */

/* One statement for so many blocks: a round trip for each would be most of a sweep's time. */
#define IS_EMPTY                                                                                   \
    "SELECT CAST(? AS SIGNED) AS ord FROM DUAL "                                                   \
    "WHERE NOT EXISTS (SELECT 1 FROM search_rows WHERE build = ? AND ord BETWEEN ? AND ?)"
static const struct sql sql_empty = {SIXTEEN(IS_EMPTY, " UNION ALL "), &found_record};

struct problem *store_find_empty(struct db *db, struct arena *a, const struct build *build,
                                 const uint32_t *blocks, size_t count, uint32_t *ret,
                                 size_t *ret_count)
{
    struct finding found = {ret, 0};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < count; i += BLOCKS_AT_ONCE) {
        struct db_arg args[4 * BLOCKS_AT_ONCE], *arg = args;
        for (size_t k = i; k < i + BLOCKS_AT_ONCE; k++) {
            uint32_t block = blocks[k < count ? k : i];
            *arg++ = db_integer(block);
            *arg++ = db_integer(build->build);
            *arg++ = db_integer(block);
            *arg++ = db_integer(block + (int64_t)(SEARCH_BLOCK - 1));
        }
        p = db_each(db, a, &sql_empty, (struct db_args){args, 4 * BLOCKS_AT_ONCE}, note_found,
                    &found);
    }
    *ret_count = found.count;
    return p;
}

/* ---- the table that is indexed ---- */

static const struct field indexed_fields[] = {
    FIELD(struct indexed, id, .doc = "The row's id."),
    FIELD(struct indexed, created_at, .doc = "When it was made."),
    FIELD(struct indexed, text0, .doc = "Its texts."),
    FIELD(struct indexed, text1, .doc = "The same."),
    FIELD(struct indexed, text2, .doc = "The same."),
    FIELD(struct indexed, uuid0, .doc = "What it is filtered by, where that is an id."),
    FIELD(struct indexed, uuid1, .doc = "The same."),
    FIELD(struct indexed, uuid2, .doc = "The same."),
    FIELD(struct indexed, uuid3, .doc = "The same."),
    FIELD(struct indexed, number0, .doc = "Where that is a number."),
    FIELD(struct indexed, number1, .doc = "The same."),
    FIELD(struct indexed, number2, .doc = "The same."),
    FIELD(struct indexed, number3, .doc = "The same."),
    FIELD(struct indexed, live, .doc = "Its place in the index that is read."),
    FIELD(struct indexed, making, .doc = "Its place in the one that is made."),
    FIELD(struct indexed, passed, .doc = "Whether that should have it."),
};
const struct record indexed_record =
    RECORD("Indexed", struct indexed, indexed_fields, .rule = NULL);

const char *indexed_columns(struct arena *a, const struct search_index *index)
{
    const char *table = index->counter->table;
    const char *sql = arena_printf(a, "%s.id AS id, %s.created_at AS created_at", table, table);
    for (size_t i = 0; i < SEARCH_TEXTS_MAX && index->texts[i]; i++)
        sql = arena_printf(a, "%s, %s.%s AS text%zu", sql, table, index->texts[i], i);
    for (size_t i = 0; i < SEARCH_FILTERS_MAX && index->filters[i].column; i++) {
        const struct search_filter *f = &index->filters[i];
        sql = f->value ? arena_printf(a, "%s, %s AS number%zu", sql, f->value, i)
                       : arena_printf(a, "%s, %s.%s AS uuid%zu", sql, table, f->column, i);
    }
    return sql;
}

size_t indexed_size(const struct indexed *row)
{
    return row->text0.len + row->text1.len + row->text2.len;
}

uint32_t search_filter_term(unsigned filter, const void *value, size_t len)
{
    char bytes[1 + sizeof(struct uuid)] = {(char)filter};
    memcpy(bytes + 1, value, len);
    return term_of(TERM_FILTER, bytes, 1 + len);
}

static size_t filter_terms(const struct search_index *index, const struct indexed *row,
                           uint32_t ret[SEARCH_FILTERS_MAX])
{
    const struct uuid *ids[] = {&row->uuid0, &row->uuid1, &row->uuid2, &row->uuid3};
    const int64_t numbers[] = {row->number0, row->number1, row->number2, row->number3};
    size_t count = 0;
    for (; count < SEARCH_FILTERS_MAX && index->filters[count].column; count++) {
        unsigned char number = (unsigned char)numbers[count];
        bool is_number = index->filters[count].value != NULL;
        ret[count] = is_number ? search_filter_term((unsigned)count, &number, 1)
                               : search_filter_term((unsigned)count, ids[count], sizeof **ids);
    }
    return count;
}

size_t indexed_add(struct postings_writer *w, struct arena *scratch,
                   const struct search_index *index, const struct indexed *row, uint32_t ord)
{
    const struct text texts[SEARCH_TEXTS_MAX] = {row->text0, row->text1, row->text2};
    uint32_t filters[SEARCH_FILTERS_MAX];
    size_t filter_count = filter_terms(index, row, filters);
    struct terms terms = index->kind == SEARCH_WORDS
                             ? terms_of_words(scratch, texts, SEARCH_TEXTS_MAX)
                             : terms_of_parts(scratch, texts, SEARCH_TEXTS_MAX);
    postings_add(w, ord, terms.list, terms.count);
    postings_add(w, ord, filters, filter_count);
    return terms.count + filter_count;
}

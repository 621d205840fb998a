#include "common/search/merge.h"

#include <string.h>

#include "common/base/instant.h"
#include "common/base/problem.h"
#include "common/field/field.h"

#define TEND_NS (20 * INT64_C(1000000))
#define FOLD_BYTES 32768 /* of the longest patch, from which on patches are folded */
#define FOLD_TARGETS 128 /* blobs that are looked at by one step */
#define LEAVE_S 60       /* after which nobody reads a build that was replaced */
#define PAIRS_MAX ((size_t)256 * 1024)
#define SEGMENTS 16u /* that become one */

/* ---- merging ---- */

static const struct sql sql_delete_bucket = {
    "DELETE FROM search_postings WHERE build = ? AND lvl = ? AND bucket = ? "
    "AND base BETWEEN ? AND ?",
    NULL};

static int64_t segment_size(unsigned level)
{
    return INT64_C(1) << postings_levels[level].width;
}

/* Are the ordinals of a larger segment all there? */
static bool is_due(const struct build *b, unsigned level)
{
    if (level == 1)
        return b->written >= b->merged1_base + segment_size(2);
    return b->merged1_base >= b->merged2_base + segment_size(3);
}

static size_t open_all(struct build *build, const struct blobs *blobs, struct postings *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < blobs->count && count < SEGMENTS; i++)
        count += store_open_blob(build, &blobs->list[i], &ret[count]);
    return count;
}

/* What a bucket of sixteen segments is in the next level: several buckets of one. */
static struct problem *merge_blobs(struct arena *a, struct build *build, const struct blobs *from,
                                   struct postings_key key, struct blobs *ret)
{
    struct postings in[SEGMENTS];
    struct postings_writer w;
    unsigned level = key.level + 1,
             shift = postings_levels[level].bits - postings_levels[key.level].bits;
    size_t count = open_all(build, from, in);
    bool fits = true;
    postings_writer_init(&w, 0);
    for (uint32_t i = 0; fits && count && i < 1u << shift; i++) {
        struct postings_key to = {level, key.bucket << shift | i, key.base};
        struct text bytes;
        fits = postings_merge(&w, in, count, to, &bytes);
        if (bytes.data)
            store_add_blob(a, ret, to,
                           (struct text){arena_copy(a, bytes.data, bytes.len), bytes.len});
    }
    postings_writer_release(&w);
    return fits ? NULL : problem_because(a, &problem_internal, "segments do not merge");
}

static struct problem *merge_bucket(struct db *db, struct arena *a, struct build *build,
                                    struct postings_key key)
{
    struct blobs from = {NULL, 0, 0}, to = {NULL, 0, 0};
    int64_t last = key.base + segment_size(key.level + 1) - 1;
    struct problem *p = store_read_bucket(db, a, build, key, (uint32_t)last, &from);
    if (!p)
        p = merge_blobs(a, build, &from, key, &to);
    if (!p)
        p = store_write_blobs(db, a, build, &to);
    if (p || !from.count)
        return p;
    return db_execute(db, a, &sql_delete_bucket,
                      DB_ARGS(db_integer(build->build), db_integer(key.level),
                              db_integer(key.bucket), db_integer(key.base), db_integer(last)),
                      NULL);
}

/* The next bucket of a level. */
static struct problem *merge_next(struct db *db, struct arena *a, struct build *b, unsigned level)
{
    int64_t *base = level == 1 ? &b->merged1_base : &b->merged2_base;
    int64_t *bucket = level == 1 ? &b->merged1_bucket : &b->merged2_bucket;
    struct problem *p =
        merge_bucket(db, a, b, (struct postings_key){level, (uint32_t)*bucket, (uint32_t)*base});
    if (++*bucket == 1 << postings_levels[level].bits) {
        *bucket = 0;
        *base += segment_size(level + 1);
    }
    return p;
}

/* Level 1 first: it is what each reader reads all of. */
struct problem *merge_some(struct db *db, struct arena *a, struct build *build, unsigned buckets,
                           bool *ret_more)
{
    struct problem *p = NULL;
    unsigned done = 0, level;
    for (; !p && done < buckets; done++) {
        level = is_due(build, 1) ? 1 : 2;
        if (!is_due(build, level))
            break;
        p = merge_next(db, a, build, level);
    }
    *ret_more = done > 0;
    return p;
}

/* ---- folding ---- */

struct length {
    int64_t bucket, bytes;
};

static const struct field length_fields[] = {
    FIELD(struct length, bucket, .doc = "Of the patch."),
    FIELD(struct length, bytes, .doc = "How long it is."),
};
static const struct record length_record =
    RECORD("Length", struct length, length_fields, .rule = NULL);

static const struct sql sql_lengths = {
    "SELECT bucket, LENGTH(postings) AS bytes FROM search_postings WHERE build = ? AND lvl = 0 "
    "ORDER BY bytes DESC, bucket LIMIT 2",
    &length_record};

struct lengths {
    struct length list[2];
    size_t count;
};

static void keep_length(void *context, const void *row)
{
    struct lengths *lengths = context;
    if (lengths->count < 2)
        lengths->list[lengths->count++] = *(const struct length *)row;
}

/* A term of a row, and the number of the blob that is to have it. */
struct folded {
    uint32_t term, ord;
    size_t target;
};

/* One step. */
struct fold {
    struct db *db;
    struct arena *arena;
    struct build *build;
    struct postings patch;
    struct postings_writer taken, left;
    struct postings_key keys[FOLD_TARGETS]; /* of the blobs that it folds into */
    size_t key_count;
    struct folded *pairs;
    size_t pair_count, pair_room;
};

/* Which blob has the postings of this ordinal. No segment is half merged when patches are folded.
 */
static struct postings_key place_of(const struct build *b, uint32_t term, uint32_t ord)
{
    unsigned level = ord < b->merged2_base ? 3 : ord < b->merged1_base ? 2 : 1;
    uint32_t within = (uint32_t)(segment_size(level) - 1);
    return (struct postings_key){level, postings_bucket(level, term), ord & ~within};
}

static bool is_key(const struct postings_key *a, const struct postings_key *b)
{
    return a->level == b->level && a->bucket == b->bucket && a->base == b->base;
}

/* Terms rise, so that a key which was met is among the last. False where there is no room. */
static bool find_target(struct fold *f, struct postings_key key, size_t *ret)
{
    for (size_t i = f->key_count; i > 0; i--)
        if (is_key(&f->keys[i - 1], &key)) {
            *ret = i - 1;
            return true;
        }
    if (f->key_count == FOLD_TARGETS)
        return false;
    *ret = f->key_count;
    f->keys[f->key_count++] = key;
    return true;
}

static void note_pair(struct fold *f, struct folded pair)
{
    if (f->pair_count == f->pair_room) {
        struct folded *more = arena_array(f->arena, 2 * f->pair_room + 1024, sizeof *more);
        if (f->pair_count)
            memcpy(more, f->pairs, f->pair_count * sizeof *more);
        f->pairs = more;
        f->pair_room = 2 * f->pair_room + 1024;
    }
    f->pairs[f->pair_count++] = pair;
}

/* Take the ordinals of one entry whose blobs have room; the rest stays in the patch. */
static void take_entry(struct fold *f)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    size_t n;
    while ((n = posting_list_read(&f->patch.list, &at, chunk)) > 0)
        for (size_t i = 0; i < n; i++) {
            struct folded pair = {f->patch.term, chunk[i], 0};
            struct postings_key key = place_of(f->build, pair.term, pair.ord);
            if (find_target(f, key, &pair.target))
                note_pair(f, pair);
            else
                postings_add(&f->left, pair.ord, &pair.term, 1);
        }
}

/* Rows that may have any term stay; there are none but after a flood of terms. */
static void leave_wild(struct fold *f)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    size_t n;
    while ((n = posting_list_read(&f->patch.wild, &at, chunk)) > 0)
        for (size_t i = 0; i < n; i++)
            postings_add(&f->left, chunk[i], NULL, SIZE_MAX);
}

static const struct blob *find_blob(const struct blobs *blobs, const struct postings_key *key)
{
    for (size_t i = 0; i < blobs->count; i++)
        if (is_key(&blobs->list[i].key, key))
            return &blobs->list[i];
    return NULL;
}

/* What a blob lacks is noted; one that cannot be read lacks all, and is as if it were not there.
 * Most of what a changed row has it had before. */
static void note_missing(struct fold *f, const struct blob **stored, bool *ret_lacks)
{
    struct postings *opened = arena_array(f->arena, FOLD_TARGETS, sizeof *opened);
    for (size_t i = 0; i < f->key_count; i++)
        if (stored[i] && !store_open_blob(f->build, stored[i], &opened[i]))
            stored[i] = NULL;
    for (size_t i = 0; i < f->pair_count; i++) {
        const struct folded *pair = &f->pairs[i];
        struct posting_list list = {.count = 0};
        if (stored[pair->target])
            list = postings_find(&opened[pair->target], pair->term);
        if (list.count && posting_list_has(&list, pair->ord))
            continue;
        postings_add(&f->taken, pair->ord, &pair->term, 1);
        ret_lacks[pair->target] = true;
    }
}

static struct problem *write_targets(struct fold *f)
{
    const struct blob *stored[FOLD_TARGETS] = {NULL};
    bool lacks[FOLD_TARGETS] = {false};
    struct blobs read = {NULL, 0, 0}, changed = {NULL, 0, 0};
    struct problem *p = store_read_blobs(f->db, f->arena, f->build, f->keys, f->key_count, &read);
    for (size_t i = 0; i < f->key_count; i++)
        stored[i] = find_blob(&read, &f->keys[i]);
    if (!p)
        note_missing(f, stored, lacks);
    for (size_t i = 0; !p && i < f->key_count; i++) {
        struct text bytes;
        if (!lacks[i])
            continue;
        p = store_unite(f->arena, f->build, &f->taken, stored[i], f->keys[i], &bytes);
        if (!p)
            store_add_blob(f->arena, &changed, f->keys[i], bytes);
    }
    return p ? p : store_write_blobs(f->db, f->arena, f->build, &changed);
}

static struct problem *write_left(struct fold *f, struct postings_key key, size_t *ret_len)
{
    struct blobs blobs = {NULL, 0, 0};
    struct text bytes;
    if (!postings_write(&f->left, key, &bytes))
        return problem_because(f->arena, &problem_internal, "a patch has become longer");
    store_add_blob(f->arena, &blobs, key, bytes);
    *ret_len = bytes.len;
    return store_write_blobs(f->db, f->arena, f->build, &blobs);
}

static void fold_release(void *object)
{
    struct fold *f = object;
    postings_writer_release(&f->taken);
    postings_writer_release(&f->left);
}

static struct problem *fold_blob(struct db *db, struct arena *a, struct build *build,
                                 const struct blob *blob, size_t *ret_left)
{
    struct fold *f = arena_alloc(a, sizeof *f);
    *f = (struct fold){.db = db, .arena = a, .build = build};
    postings_writer_init(&f->taken, PAIRS_MAX);
    postings_writer_init(&f->left, PAIRS_MAX);
    arena_defer(a, fold_release, f);
    if (store_open_blob(build, blob, &f->patch)) {
        leave_wild(f);
        for (postings_seek(&f->patch, 0); f->patch.on_entry; postings_step(&f->patch))
            take_entry(f);
    }
    struct problem *p = write_targets(f);
    return p ? p : write_left(f, blob->key, ret_left);
}

/* Fold some of the longest blob of the patch. */
static struct problem *fold_some(struct db *db, struct arena *a, struct build *build)
{
    struct lengths lengths = {.count = 0};
    struct blobs blobs = {NULL, 0, 0};
    size_t left = 0;
    struct problem *p =
        db_each(db, a, &sql_lengths, DB_ARGS(db_integer(build->build)), keep_length, &lengths);
    struct postings_key key = {POSTINGS_PATCH, (uint32_t)lengths.list[0].bucket, 0};
    if (!p && lengths.count)
        p = store_read_blobs(db, a, build, &key, 1, &blobs);
    if (!p && blobs.count)
        p = fold_blob(db, a, build, &blobs.list[0], &left);
    int64_t next = lengths.count > 1 ? lengths.list[1].bytes : 0;
    build->patch_max = (int64_t)left > next ? (int64_t)left : next;
    return p;
}

/* ---- leaving ---- */

#define GOING "DELETE FROM search_"

static const struct sql sql_claim_leaving = {
    "SELECT " BUILD_COLUMNS " FROM search_builds WHERE build = ? AND state = 'leaving' "
    "FOR UPDATE SKIP LOCKED",
    &build_record};
static const struct sql sql_drop_postings = {GOING "postings WHERE build = ? LIMIT 200", NULL};
static const struct sql sql_drop_rows = {GOING "rows WHERE build = ? LIMIT 2000", NULL};
static const struct sql sql_drop_ranges = {GOING "ranges WHERE build = ? LIMIT 200", NULL};
static const struct sql sql_drop_build = {GOING "builds WHERE build = ?", NULL};

static struct problem *drop_some(struct db *db, struct arena *a, int64_t number)
{
    static const struct sql *const steps[] = {&sql_drop_postings, &sql_drop_rows, &sql_drop_ranges,
                                              &sql_drop_build};
    struct problem *p = NULL;
    uint64_t dropped = 0;
    for (size_t i = 0; !p && !dropped && i < sizeof steps / sizeof *steps; i++)
        p = db_execute(db, a, steps[i], DB_ARGS(db_integer(number)), &dropped);
    return p;
}

/* ---- what is due ---- */

static const struct sql sql_all = {
    "SELECT " BUILD_COLUMNS " FROM search_builds WHERE list = ? ORDER BY build", &build_record};

struct tending {
    struct db *db;
    struct arena *arena;
    const struct search_index *index;
    bool live;       /* the live build has something due, */
    int64_t leaving; /* this one has left; 0: none */
    bool done;       /* something was */
};

static bool is_any_due(const struct build *b)
{
    return is_due(b, 1) || is_due(b, 2) || b->patch_max > FOLD_BYTES;
}

static void note_due(void *context, const void *row)
{
    struct tending *t = context;
    const struct build *b = row;
    t->live |= b->state == BUILD_LIVE && is_any_due(b);
    if (b->state == BUILD_LEAVING && b->age_s >= LEAVE_S)
        t->leaving = b->build;
}

static struct problem *look(struct tending *t)
{
    t->live = false;
    t->leaving = 0;
    return db_each(t->db, t->arena, &sql_all, DB_ARGS(db_integer(t->index->counter->number)),
                   note_due, t);
}

static struct problem *tend_live(void *context)
{
    struct tending *t = context;
    struct build build;
    struct problem *p = store_try_lock(t->db, t->arena, t->index, &build);
    t->done = false;
    if (!p && build.build)
        p = store_take_turn(t->db, t->arena, &build);
    if (p || !build.build)
        return p;
    p = merge_some(t->db, t->arena, &build, 1, &t->done);
    if (!p && !t->done && build.patch_max > FOLD_BYTES) {
        p = fold_some(t->db, t->arena, &build);
        t->done = true;
    }
    return p || !t->done ? p : store_save(t->db, t->arena, &build);
}

static struct problem *tend_leaving(void *context)
{
    struct tending *t = context;
    struct build build;
    struct problem *p = db_find(t->db, t->arena, &sql_claim_leaving,
                                DB_ARGS(db_integer(t->leaving)), &build, &t->done);
    return p || !t->done ? p : drop_some(t->db, t->arena, t->leaving);
}

/* Steps of one index, until there are none or the time has passed. */
static struct problem *tend(struct tending *t, int64_t end_ns, bool *ret_more)
{
    struct problem *p = look(t);
    t->done = t->live || t->leaving;
    while (!p && t->done) {
        if (monotonic_ns() >= end_ns) {
            *ret_more = true;
            break;
        }
        /* Of a step that was made already, nothing is due any more. */
        p = db_transaction(t->db, t->arena, t->live ? tend_live : tend_leaving, db_in_doubt_repeat,
                           t);
        if (!p && t->done)
            p = look(t);
        t->done = t->done && (t->live || t->leaving);
    }
    return p;
}

struct problem *search_tend(struct db *db, struct arena *a,
                            const struct search_index *const *indexes, bool *ret_more)
{
    int64_t end_ns = monotonic_ns() + TEND_NS;
    struct problem *p = NULL;
    *ret_more = false;
    for (size_t i = 0; !p && indexes[i]; i++) {
        struct tending t = {.db = db, .arena = a, .index = indexes[i]};
        p = tend(&t, end_ns, ret_more);
    }
    return p;
}

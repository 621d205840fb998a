/* store.h -- what is stored of a search index: its builds, blobs and rows; times.h has the rest.
 * For those who write it: sweep.h, merge.h and build.h.
 *
 * A new index is made beside the one that is read, as a build with a number of its own; all its
 * rows have that number. A row of search_builds tells how far it has come, and whoever writes
 * anything of a build has that row locked, and has written its turn first: other nodes of a cluster
 * do not see locks, but of two who have written one row the later begins again.
 *
 *     a sweep       appends rows that are new, in level 1; notes changes in the patch; the next
 *     a merge step  makes sixteen segments one of the next level, a bucket at a time; folds the
 *                   patch into the segments
 *     a build       goes through the table
 *
 * Each is one transaction of some milliseconds, and whatever is killed has not been. Who reads
 * never waits, and sees every posting where it was or where it is: levels are read upwards, and
 * nothing moves down.
 *
 * A row that is found by terms that it has no more is tested by who asks. So nothing is ever taken
 * out of a blob; a row that is gone loses its row of search_rows, and a block that has none any
 * more its times (times.h), so that searches pass it over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/db/db.h"
#include "common/search/index.h"
#include "common/search/postings.h"
#include "common/search/postings_write.h"

#define STORE_BUCKETS 32u /* of level 1, and of the patch */
#define STORE_AT_ONCE 32  /* ids in one statement */

/* A row of search_builds. */
struct build {
    int64_t build; /* 0: there is none */
    int64_t list;
    unsigned state; /* enum build_state */
    int64_t age_s;  /* since it is in this state */
    int64_t next_ord, written;
    struct instant built_at;
    struct uuid built_id;
    int64_t merged1_base, merged1_bucket, merged2_base, merged2_bucket;
    int64_t patch_max, lost;
    int64_t turn; /* rises with each transaction */
    int64_t format;
    struct text unicode;
};

enum build_state { BUILD_BUILDING, BUILD_LIVE, BUILD_LEAVING };

extern const struct record build_record;

#define BUILD_COLUMNS                                                                              \
    "build, list, state, TIMESTAMPDIFF(SECOND, since, UTC_TIMESTAMP(6)) AS age_s, next_ord, "      \
    "written, built_at, built_id, merged1_base, merged1_bucket, merged2_base, merged2_bucket, "    \
    "patch_max, lost, turn, format, unicode"

/* Those of one list that are written. */
struct builds {
    struct build live, making;
};

/** Lock the builds of an index that are written, until the transaction ends. */
struct problem *store_lock(struct db *db, struct arena *a, const struct search_index *index,
                           struct builds *ret) MUST_USE;

/** Lock the live one, unless somebody else has: then there is none. */
struct problem *store_try_lock(struct db *db, struct arena *a, const struct search_index *index,
                               struct build *ret) MUST_USE;

/** Raise the turn of a build that was locked, before anything of it is written. db_conflict() when
 *  it is not as it was read. */
struct problem *store_take_turn(struct db *db, struct arena *a, struct build *build) MUST_USE;

/** Store how far a build has come. To be called in each transaction that has its turn, and as the
 *  last; db_conflict() when it has it no more. */
struct problem *store_save(struct db *db, struct arena *a, const struct build *build) MUST_USE;

/* ---- blobs ---- */

struct blob {
    struct postings_key key;
    struct text bytes; /* null: to be deleted */
};

struct blobs {
    struct blob *list;
    size_t count, room;
};

void store_add_blob(struct arena *a, struct blobs *blobs, struct postings_key key,
                    struct text bytes);

/** Read the 32 blobs of the patch, or of the segment of level 1 that begins at `base`. They live as
 *  long as `a`, as do all that are read. */
struct problem *store_read_segment(struct db *db, struct arena *a, const struct build *build,
                                   unsigned level, uint32_t base, struct blobs *ret) MUST_USE;

/** Read one bucket of all segments from `base` to `last`. */
struct problem *store_read_bucket(struct db *db, struct arena *a, const struct build *build,
                                  struct postings_key key, uint32_t last,
                                  struct blobs *ret) MUST_USE;

/** Read the blobs of some keys; those that are not there are left out. */
struct problem *store_read_blobs(struct db *db, struct arena *a, const struct build *build,
                                 const struct postings_key *keys, size_t count,
                                 struct blobs *ret) MUST_USE;

/** Store blobs, in place of those with the same keys. */
struct problem *store_write_blobs(struct db *db, struct arena *a, const struct build *build,
                                  const struct blobs *blobs) MUST_USE;

/** postings_open(); one that is not whole is logged and counted as lost. */
bool store_open_blob(struct build *build, const struct blob *blob, struct postings *ret) MUST_USE;

/** The bytes of one bucket: what was noted, united with what is `stored`, which may be NULL. `ret`
 * is null where there is nothing. */
struct problem *store_unite(struct arena *a, struct build *build, struct postings_writer *w,
                            const struct blob *stored, struct postings_key key,
                            struct text *ret) MUST_USE;

/** Add what was noted of one segment of level 1, or of the patch, to what is stored of it. Tells
 * how long all its blobs are that were written, and the longest. */
struct problem *store_add_postings(struct db *db, struct arena *a, struct build *build,
                                   struct postings_writer *w, unsigned level, uint32_t base,
                                   size_t *ret_sum, size_t *ret_longest) MUST_USE;

/* ---- rows ---- */

/* A row that gets an ordinal. */
struct ordinal {
    uint32_t ord;
    struct uuid id;
    struct instant created_at;
};

struct ordinals {
    struct ordinal *list;
    size_t count, room;
};

void store_add_ordinal(struct arena *a, struct ordinals *ordinals, struct ordinal ordinal);

/** Give these rows their ordinals. db_conflict(), and a line in the log, when one is another row's;
 *  an ordinal that a row has already stays. */
struct problem *store_write_rows(struct db *db, struct arena *a, const struct build *build,
                                 const struct ordinals *ordinals) MUST_USE;

/** The ordinals of these rows, in any order; a row that has none is left out. `ret` has room for
 *  all. */
struct problem *store_find_rows(struct db *db, struct arena *a, const struct build *build,
                                const struct uuid *ids, size_t count, uint32_t *ret,
                                size_t *ret_count) MUST_USE;

/** Take the ordinals of these rows away, in up to two builds. */
struct problem *store_forget_rows(struct db *db, struct arena *a, const struct build *build,
                                  const struct build *other, const struct uuid *ids,
                                  size_t count) MUST_USE;

/** Which of these blocks, given by their first ordinals, have no row; `ret` has room for all. */
struct problem *store_find_empty(struct db *db, struct arena *a, const struct build *build,
                                 const uint32_t *blocks, size_t count, uint32_t *ret,
                                 size_t *ret_count) MUST_USE;

/* ---- the table that is indexed ---- */

/* One of its rows. */
struct indexed {
    struct uuid id;
    struct instant created_at;
    struct text text0, text1, text2;
    struct uuid uuid0, uuid1, uuid2, uuid3;
    int64_t number0, number1, number2, number3;
    int64_t live, making; /* its ordinals there plus 1; 0: it has none */
    bool passed;          /* the build that is making went past its place */
};

extern const struct record indexed_record;

/** The columns of a row of the index's table, as SQL. */
const char *indexed_columns(struct arena *a, const struct search_index *index);

/** Bytes of its texts. */
size_t indexed_size(const struct indexed *row);

/** Note that the row has its terms; returns how many. `scratch` is used up. */
size_t indexed_add(struct postings_writer *w, struct arena *scratch,
                   const struct search_index *index, const struct indexed *row, uint32_t ord);

#include "common/search/times.h"

#include <endian.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/field/field.h"

#define BLOCKS (SEARCH_RANGE / SEARCH_BLOCK)
#define TIMES_SIZE (BLOCKS * 2 * sizeof(int64_t))

struct range {
    struct instant first_at, last_at;
    struct text blocks;
};

static const struct field range_fields[] = {
    FIELD(struct range, first_at, .doc = "When its first row was made."),
    FIELD(struct range, last_at, .doc = "When its last row was."),
    FIELD(struct range, blocks, .doc = "The same of each block."),
};
static const struct record range_record = RECORD("Range", struct range, range_fields, .rule = NULL);

static const struct sql sql_range = {
    "SELECT first_at, last_at, blocks FROM search_ranges WHERE build = ? AND base = ?",
    &range_record};
static const struct sql sql_drop_range = {"DELETE FROM search_ranges WHERE build = ? AND base = ?",
                                          NULL};
static const struct sql sql_write_range = {
    "INSERT INTO search_ranges (build, base, first_at, last_at, blocks) VALUES (?, ?, ?, ?, ?) "
    "ON DUPLICATE KEY UPDATE first_at = VALUES(first_at), last_at = VALUES(last_at), "
    "blocks = VALUES(blocks)",
    NULL};

/* From when to when, as it is stored. */
static void put_times(unsigned char *at, int64_t first, int64_t last)
{
    uint64_t little[2] = {htole64((uint64_t)first), htole64((uint64_t)last)};
    memcpy(at, little, sizeof little);
}

static void widen(unsigned char *at, struct instant t)
{
    uint64_t little[2];
    memcpy(little, at, sizeof little);
    int64_t first = (int64_t)le64toh(little[0]), last = (int64_t)le64toh(little[1]);
    put_times(at, t.us < first ? t.us : first, t.us > last ? t.us : last);
}

/* The times as they are stored; of blocks without rows, or where they cannot be read, those that
 * are right whatever is in them. */
static void read_times(struct build *build, const struct range *range, bool found,
                       unsigned char times[TIMES_SIZE])
{
    bool is_whole = found && range->blocks.len == TIMES_SIZE;
    if (is_whole) {
        memcpy(times, range->blocks.data, TIMES_SIZE);
        return;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        put_times(times + 16 * i, found ? INT64_MIN : INT64_MAX, found ? INT64_MAX : INT64_MIN);
    build->lost += found;
}

static void note_time(struct range *range, unsigned char *times, const struct ordinal *o)
{
    widen(times + 16 * (o->ord % SEARCH_RANGE / SEARCH_BLOCK), o->created_at);
    if (o->created_at.us < range->first_at.us)
        range->first_at = o->created_at;
    if (o->created_at.us > range->last_at.us)
        range->last_at = o->created_at;
}

static struct problem *find_range(struct db *db, struct arena *a, const struct build *build,
                                  uint32_t base, struct range *ret, bool *ret_found)
{
    return db_find(db, a, &sql_range, DB_ARGS(db_integer(build->build), db_integer(base)), ret,
                   ret_found);
}

static struct problem *write_range(struct db *db, struct arena *a, const struct build *build,
                                   uint32_t base, const struct range *range,
                                   const unsigned char times[TIMES_SIZE])
{
    return db_execute(db, a, &sql_write_range,
                      DB_ARGS(db_integer(build->build), db_integer(base), db_time(range->first_at),
                              db_time(range->last_at), db_bytes(times, TIMES_SIZE)),
                      NULL);
}

/* ---- rows that get ordinals ---- */

/* Of the ordinals of one range. */
static struct problem *note_range(struct db *db, struct arena *a, struct build *build,
                                  const struct ordinal *list, size_t count)
{
    uint32_t base = list->ord / SEARCH_RANGE * SEARCH_RANGE;
    struct range range = {.blocks = {NULL, 0}};
    unsigned char times[TIMES_SIZE];
    bool found;
    struct problem *p = find_range(db, a, build, base, &range, &found);
    if (p)
        return p;
    if (!found)
        range.first_at = range.last_at = list->created_at;
    read_times(build, &range, found, times);
    for (size_t i = 0; i < count; i++)
        note_time(&range, times, &list[i]);
    return write_range(db, a, build, base, &range, times);
}

struct problem *times_note(struct db *db, struct arena *a, struct build *build,
                           const struct ordinals *ordinals)
{
    struct problem *p = NULL;
    for (size_t i = 0, n; !p && i < ordinals->count; i += n) {
        const struct ordinal *list = &ordinals->list[i];
        for (n = 1; i + n < ordinals->count; n++)
            if (list[n].ord / SEARCH_RANGE != list->ord / SEARCH_RANGE)
                break;
        p = note_range(db, a, build, list, n);
    }
    return p;
}

/* ---- blocks without rows ---- */

static bool is_any_left(const unsigned char times[TIMES_SIZE])
{
    unsigned char none[16];
    put_times(none, INT64_MAX, INT64_MIN);
    for (size_t i = 0; i < BLOCKS; i++)
        if (memcmp(times + 16 * i, none, sizeof none) != 0)
            return true;
    return false;
}

/* Of the blocks of one range. */
static struct problem *forget_some(struct db *db, struct arena *a, struct build *build,
                                   const uint32_t *blocks, size_t count)
{
    uint32_t base = blocks[0] / SEARCH_RANGE * SEARCH_RANGE;
    struct range range = {.blocks = {NULL, 0}};
    unsigned char times[TIMES_SIZE];
    bool found;
    struct problem *p = find_range(db, a, build, base, &range, &found);
    if (p || !found)
        return p;
    read_times(build, &range, found, times);
    for (size_t i = 0; i < count; i++)
        put_times(times + 16 * (blocks[i] % SEARCH_RANGE / SEARCH_BLOCK), INT64_MAX, INT64_MIN);
    if (is_any_left(times))
        return write_range(db, a, build, base, &range, times);
    return db_execute(db, a, &sql_drop_range, DB_ARGS(db_integer(build->build), db_integer(base)),
                      NULL);
}

struct problem *times_forget(struct db *db, struct arena *a, struct build *build,
                             const uint32_t *blocks, size_t count)
{
    struct problem *p = NULL;
    for (size_t i = 0, n; !p && i < count; i += n) {
        for (n = 1; i + n < count; n++)
            if (blocks[i + n] / SEARCH_RANGE != blocks[i] / SEARCH_RANGE)
                break;
        p = forget_some(db, a, build, &blocks[i], n);
    }
    return p;
}

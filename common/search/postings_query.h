/* postings_query.h -- which ordinals of one segment's range have all of some terms: sets of
 * ordinals, united and intersected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/search/postings.h"

/*
 *     struct postings_query *q = postings_query_open(a, 2);
 *     for each range of ordinals, in the order that is asked for {
 *         postings_query_range(q, key.level, key.base);
 *         for the blobs of each term's bucket, patches included {
 *             postings_query_any(q, 0, &blob_of_linux, linux);
 *             postings_query_any(q, 1, &blob_of_kernel, kernel);
 *         }
 *         n = postings_query_match(q, POSTINGS_NEWEST, 0, cursor, found, room);
 *     }
 */
struct postings_query;

enum postings_order {
    POSTINGS_NEWEST, /* the highest ordinal first */
    POSTINGS_OLDEST,
};

/** A query for rows that have something of each of `groups` groups. Lives as long as `a`, takes
 *  up to 8 KiB of it for each group, and can be used for one range after another. */
struct postings_query *postings_query_open(struct arena *a, size_t groups);

/** Begin with the ordinals that a segment of this level (not a patch) has from `base` on. All
 *  groups are empty then. */
void postings_query_range(struct postings_query *q, unsigned level, uint32_t base);

/** The rows of the group `group` are also those with `term` in this blob, which may be that of any
 *  segment or a patch. The blob stays in place until the next range. */
void postings_query_any(struct postings_query *q, size_t group, struct postings *blob,
                        uint32_t term);

/** The rows of the group are also those of this list, of any segment or a patch, which stays in
 * place in the same way. */
void postings_query_list(struct postings_query *q, size_t group, struct posting_list list);

/**
 * Find ordinals that are in all groups, from `from` to `to`, both included, in this order, at most
 * `room` of them; where as many are found as have room, the next call may begin beside the last.
 *
 * Returns how many there are in `ret`. With `ret` NULL they are only counted. A query of no groups
 * finds every ordinal.
 */
size_t postings_query_match(struct postings_query *q, enum postings_order order, uint32_t from,
                            uint32_t to, uint32_t *ret, size_t room);

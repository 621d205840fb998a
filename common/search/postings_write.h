/* postings_write.h -- make the blobs of a search index: from rows, or from other blobs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/search/postings.h"

/* Rows that are noted, and memory for the blob that is made. On the caller's storage; owns its
 * memory. */
struct postings_writer {
    struct buf pairs; /* uint64_t: a term, and below it an ordinal */
    struct buf wild;  /* uint32_t: ordinals of rows that did not fit */
    bool sorted;
    struct postings_key key; /* of the blob */
    struct buf offsets;      /* uint32_t: of one list of the blob */
    struct buf blob;
    uint32_t least; /* the lowest term that may come next */
};

/** A writer of rows with up to `max` terms in all, which take 8 bytes each. Besides, it takes up to
 *  8 MiB. */
void postings_writer_init(struct postings_writer *w, size_t max);

/** Free the memory. */
void postings_writer_release(struct postings_writer *w);

/** Forget the rows. */
void postings_writer_reset(struct postings_writer *w);

/** Note that a row has these terms, in any order and as often as they come. One that does not fit
 *  any more is noted as a row that may have any term, of which there may be a million. */
void postings_add(struct postings_writer *w, uint32_t ordinal, const uint32_t *terms, size_t count);

/**
 * Pack one bucket of what was noted; rows outside of its segment are left out.
 *
 * `ret` borrows from `w` until the next blob is made; it is null where there is nothing to store.
 * False, and `ret` null, when it would be longer than POSTINGS_MAX. Only a patch of very many rows
 * can be: then make several.
 */
bool postings_write(struct postings_writer *w, struct postings_key key, struct text *ret) MUST_USE;

/**
 * Unite blobs of any segments into that of one bucket: what they have of its terms and ordinals.
 *
 * Sixteen segments become one of the next level in this way; so do a segment and patches become the
 * same segment. It is fastest when segments come in the order of their bases, patches after them,
 * and when the buckets rise from call to call. `ret` and false are as above.
 */
bool postings_merge(struct postings_writer *w, struct postings *in, size_t count,
                    struct postings_key key, struct text *ret) MUST_USE;

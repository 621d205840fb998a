/* post_model.h -- posts in the database. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db/counter.h"
#include "common/db/db.h"
#include "common/db/table.h"
#include "common/list/list.h"
#include "common/field/field.h"
#include "common/search/index.h"

struct post {
    struct uuid id;
    struct text title;
    struct text content;
    bool published;
    struct uuid author_id;
    struct instant created_at;
    struct instant updated_at;
    int64_t version; /* rises with every change */
};

struct post_query {
    struct list_query list;
    struct uuid author_id;
    bool published;
};

/* The filters of post_list. */
enum { POST_AUTHOR, POST_PUBLISHED };

extern const struct list post_list;
extern const struct table post_table;

extern const struct record post_record;
extern const struct record post_query_record;        /* of /posts */
extern const struct record author_post_query_record; /* of /users/{id}/posts: no author_id */
extern const struct counter post_counter;            /* by author and published */
extern const struct search_index post_index;         /* by words; its filters are the list's */
extern const struct problem_type problem_post_not_found;

/** Store `post` and count it; its author stays until the transaction ends. A violation of
 *  fk_posts_author (db_is_violation) when the author has gone meanwhile. */
struct problem *post_insert(struct db *db, struct arena *a, const struct post *post) MUST_USE;

/**
 * The same in a transaction of its own, one round trip, if the author may call with `session` at
 * `now` (see caller_find()): otherwise `*ret_done` is false. Author and session stay as they are
 * until it is committed. An in-doubt commit is resolved.
 */
struct problem *post_insert_by_caller(struct db *db, struct arena *a, const struct post *post,
                                      struct uuid session, struct instant now,
                                      bool *ret_done) MUST_USE;

/** problem_post_not_found when there is none. */
struct problem *post_find(struct db *db, struct arena *a, struct uuid id,
                          struct post *ret) MUST_USE;

/** Is there one? A locking read, which waits for whoever writes it. */
struct problem *post_exists_locked(struct db *db, struct arena *a, struct uuid id,
                                   bool *ret_yes) MUST_USE;

/** As post_find(), and keep others from writing the row until the transaction ends. */
struct problem *post_lock(struct db *db, struct arena *a, struct uuid id,
                          struct post *ret) MUST_USE;

/** Fill only id, author_id and published: without its text. With `keep` the post stays as it is
 * until the transaction ends. problem_post_not_found. */
struct problem *post_look(struct db *db, struct arena *a, struct uuid id, bool keep,
                          struct post *ret) MUST_USE;

/** Store title, content and published of `post`, whose row is `before`; problem_post_not_found when
 * its author has gone. `held` is a user whose row is locked already. In a transaction. */
struct problem *post_update(struct db *db, struct arena *a, const struct post *before,
                            const struct post *post, struct uuid held) MUST_USE;

/** Delete a post that is locked, in the same way, with what belongs to it; `*ret_left` tells that
 *  some of that is left for belonging_sweep(). */
struct problem *post_delete(struct db *db, struct arena *a, const struct post *post,
                            struct uuid held, bool *ret_left) MUST_USE;

/** Take all posts of an author, whose row is locked and about to go, out of the totals. */
struct problem *post_uncount_author(struct db *db, struct arena *a, struct uuid author) MUST_USE;

/** Delete up to `limit` posts of an author who has been taken out of the totals, the newest
 *  first, and before them what belongs to them; fewer are deleted only where no more were left. */
struct problem *post_delete_newest(struct db *db, struct arena *a, struct uuid author,
                                   int64_t limit, uint64_t *ret_deleted) MUST_USE;

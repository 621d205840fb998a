/* list_internal.h -- what the files list*.c know of a list while it is read; for no other file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/problem.h"
#include "common/list/list.h"
#include "common/search/query.h"

/* The end of a statement that is being composed: constant SQL, and the values of its `?`. */
struct clause {
    const char *where;
    struct db_arg args[LIST_FILTERS_MAX + 16];
    size_t count;
};

/* A list while it is read. */
struct reading {
    struct db *db;
    struct arena *a;
    const struct list *list;
    const struct list_query *query;
    const struct list_scope *scope;
    const struct list_window *window;
    const struct list_taker *taker;
    struct query *match; /* NULL: no `q` was asked */
    const struct list_key *key;
    enum field_type type; /* of the key */
    bool down;            /* the order is reversed */
    const char *index;
    bool counts;     /* the total is wanted, for an answer or to know whether there is a page */
    int64_t taken;   /* rows */
    bool short_list; /* counting has seen all of it */
};

void clause_add(struct clause *c, struct db_arg arg);
void clause_add_condition(struct arena *a, struct clause *c, const char *condition);

/** The filters of the scope; which rows may be shown. */
void list_add_filters(const struct reading *r, struct clause *c);
void list_add_test(const struct reading *r, struct clause *c);

/** What the index of the path does not hold. */
void list_add_residue(const struct reading *r, struct clause *c);

/** Rows from one side of a place; with `and_it`, the row there too. */
void list_add_side(const struct reading *r, struct clause *c, const struct list_place *place,
                   bool greater, bool and_it);

/** From where and to where in the order of time, and in no other order than that. */
void list_add_range(const struct reading *r, struct clause *c);

/** All that the index of the path knows: filters, and from where on. */
struct clause list_path_clause(const struct reading *r);

/** The columns of a row, as its record wants them. */
const char *list_columns(const struct reading *r);
const char *list_order(const struct reading *r);
const char *list_from(const struct reading *r);

/** Does the list go by the time, which the range is over? */
bool list_is_by_time(const struct reading *r);

/** `r` along the time, from the first row on, whatever the order of `of`. `window` is its own. */
struct reading list_along_time(const struct reading *of, struct list_window *window);

/** The row that many rows on, shown or not; from the index alone. */
struct problem *list_look_ahead(const struct reading *r, struct clause c, int64_t rows,
                                struct list_place *ret, bool *ret_found) MUST_USE;

/** Take rows from a statement, and forget them; `context` is the struct reading. */
void list_take(void *context, const void *row);
void list_restart(void *context);

/** May a page be asked for by that number? */
struct problem *list_check_reach(const struct reading *r, const struct list_total *total) MUST_USE;

/** Read the page and the total of a list with a `q`, in list_search.c. */
struct problem *list_read_matches(struct reading *r, struct list_total *ret) MUST_USE;

#include "common/list/list.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "common/db/budget.h"
#include "common/db/counter.h"
#include "common/db/table.h"
#include "common/list/list_internal.h"
#include "common/search/find.h"

#define SHALLOW 100 /* rows passed over in whole; beyond, the ids come first */

/* ---- by time ---- */

const char *const list_by_time_sorts[] = {"-created_at", "created_at", NULL};
const struct list_key list_by_time_keys[] = {{.name = "created_at"}};

static const struct field by_time_fields[] = {
    LIST_FIELDS,
    LIST_RANGE_FIELDS,
    FIELD(struct list_query, sort, .choices = list_by_time_sorts, .default_value = "-created_at",
          .doc = "The order; a leading minus reverses it."),
};
const struct record list_by_time_record =
    RECORD("ListQuery", struct list_query, by_time_fields, .rule = NULL);

/* ---- one statement ---- */

void clause_add(struct clause *c, struct db_arg arg)
{
    if (c->count == sizeof c->args / sizeof *c->args)
        abort(); /* no list has so many */
    c->args[c->count++] = arg;
}

static void add_args(struct clause *c, const struct clause *of)
{
    for (size_t i = 0; i < of->count; i++)
        clause_add(c, of->args[i]);
}

void clause_add_condition(struct arena *a, struct clause *c, const char *condition)
{
    c->where = arena_printf(a, "%s%s%s", c->where, *c->where ? " AND " : " WHERE ", condition);
}

static const char *column_of(const struct list_key *key)
{
    return key->column ? key->column : key->name;
}

const char *list_order(const struct reading *r)
{
    const char *column = column_of(r->key), *down = r->down ? " DESC" : "";
    if (r->key->unique)
        return arena_printf(r->a, "%s%s", column, down);
    return arena_printf(r->a, "%s%s, id%s", column, down, down);
}

void list_add_filters(const struct reading *r, struct clause *c)
{
    for (unsigned i = 0; i < LIST_FILTERS_MAX; i++) {
        const struct list_filter *filter = &r->list->filters[i];
        struct db_arg value = r->scope->values[i];
        if (!(r->scope->filters & 1U << i))
            continue;
        clause_add_condition(r->a, c, arena_printf(r->a, "%s = ?", filter->column));
        clause_add(c, filter->words ? db_text(text_of(filter->words[value.integer])) : value);
    }
}

/* ---- places in the order ---- */

static const struct field *key_field(const struct list *list, const struct list_key *key)
{
    const struct field *field = record_find(list->row, key->name);
    if (!field || (field->type != FIELD_TIME && field->type != FIELD_TEXT))
        abort(); /* a key that is no such member of the rows */
    return field;
}

static struct list_place place_by(const struct list *list, const struct field *key, const void *row)
{
    const char *at = row;
    const struct field *id = record_find(list->row, "id");
    struct list_place place = {.id = *(const struct uuid *)(const void *)(at + id->offset)};
    if (key->type == FIELD_TIME)
        place.time = *(const struct instant *)(const void *)(at + key->offset);
    else
        place.text = *(const struct text *)(const void *)(at + key->offset);
    return place;
}

static struct db_arg value_at(const struct reading *r, const struct list_place *place)
{
    return r->type == FIELD_TIME ? db_time(place->time) : db_text(place->text);
}

/* Rows from one side of a place; with `and_it`, the row there too. The first of the two comparisons
 * with the key is what the index is entered by. */
void list_add_side(const struct reading *r, struct clause *c, const struct list_place *place,
                   bool greater, bool and_it)
{
    const char *column = column_of(r->key), *value = r->key->value ? r->key->value : "?";
    const char *sign = greater ? ">" : "<", *equal = and_it ? "=" : "";
    if (r->key->unique) {
        clause_add_condition(r->a, c, arena_printf(r->a, "%s %s%s %s", column, sign, equal, value));
        clause_add(c, value_at(r, place));
        return;
    }
    clause_add_condition(r->a, c,
                         arena_printf(r->a, "%s %s= %s AND (%s %s %s OR id %s%s ?)", column, sign,
                                      value, column, sign, value, sign, equal));
    clause_add(c, value_at(r, place));
    clause_add(c, value_at(r, place));
    clause_add(c, db_uuid(place->id));
}

static void add_time(const struct reading *r, struct clause *c, const char *comparison,
                     struct instant t)
{
    clause_add_condition(r->a, c, arena_printf(r->a, "%s %s ?", r->list->keys->name, comparison));
    clause_add(c, db_time(t));
}

bool list_is_by_time(const struct reading *r)
{
    return r->key == r->list->keys;
}

/* From where and to where in the order of time; always said, so that pages with a range, with a
 * cursor and with neither are one statement. */
void list_add_range(const struct reading *r, struct clause *c)
{
    const struct list_window *w = r->window;
    const struct instant from = w->ranged ? w->from : LIST_FROM;
    const struct instant before = w->ranged ? w->before : LIST_BEFORE;
    /* Before the first row that there can be. */
    struct list_place begin = {.time = before};
    if (!r->down) {
        begin.time.us = from.us - 1;
        memset(&begin.id, 0xFF, sizeof begin.id);
    }
    list_add_side(r, c, w->after ? &w->place : &begin, !r->down, false);
    add_time(r, c, r->down ? ">=" : "<", r->down ? from : before);
}

/* All that the index of the path knows: filters, and from where on. */
struct clause list_path_clause(const struct reading *r)
{
    struct clause c = {.where = ""};
    list_add_filters(r, &c);
    if (list_is_by_time(r))
        list_add_range(r, &c);
    else if (r->window->after)
        list_add_side(r, &c, &r->window->place, !r->down, false);
    return c;
}

/* ---- rows that are looked through and left out ---- */

/* Does a condition remain that the index of the path does not hold? */
static bool has_residue(const struct reading *r)
{
    return r->window->ranged && !list_is_by_time(r);
}

void list_add_residue(const struct reading *r, struct clause *c)
{
    if (r->window->ranged && !list_is_by_time(r)) {
        add_time(r, c, ">=", r->window->from);
        add_time(r, c, "<", r->window->before);
    }
}

void list_add_test(const struct reading *r, struct clause *c)
{
    if (!r->list->shown.condition)
        return;
    clause_add_condition(r->a, c, r->list->shown.condition);
    for (size_t i = 0; i < r->scope->shown_arg_count; i++)
        clause_add(c, r->scope->shown_args[i]);
}

/* ---- rows ---- */

void list_take(void *context, const void *row)
{
    struct reading *r = context;
    r->taken++;
    r->taker->each(r->taker->context, row);
}

void list_restart(void *context)
{
    struct reading *r = context;
    r->taken = 0;
    r->taker->restart(r->taker->context);
}

/* The index is forced: the optimizer of a prepared statement does not see the LIMIT's value, and
 * now and then takes a scan with a sort. */
const char *list_from(const struct reading *r)
{
    return arena_printf(r->a, "%s FORCE INDEX (%s)", r->list->table, r->index);
}

const char *list_columns(const struct reading *r)
{
    return r->list->columns ? r->list->columns : table_columns(r->a, r->list->row);
}

/* A prepared statement that runs again reads the whole row of each entry of an index that has a
 * generated column, of 20,000 for a deep page, if its connection read the table meanwhile: MariaDB
 * 10.11.19 forgets that the index has all that is asked. So where many entries are passed over,
 * and `key->generated`, it is prepared again, for the price of one round trip. */
static struct problem *read_rows(struct reading *r, const struct clause *c)
{
    const struct list *list = r->list;
    const char *order = list_order(r), *columns = list_columns(r), *text;
    struct clause all = {.where = c->where};
    for (size_t i = 0; i < r->scope->column_arg_count; i++)
        clause_add(&all, r->scope->column_args[i]);
    add_args(&all, c);
    clause_add(&all, db_integer(r->window->limit));
    clause_add(&all, db_integer(r->window->offset));
    if (r->window->offset <= SHALLOW)
        text = arena_printf(r->a, "SELECT %s FROM %s%s ORDER BY %s LIMIT ? OFFSET ?", columns,
                            list_from(r), all.where, order);
    else /* sorts what one page has */
        text =
            arena_printf(r->a,
                         "SELECT %s FROM (SELECT id AS page_id FROM %s%s ORDER BY %s "
                         "LIMIT ? OFFSET ?) AS page STRAIGHT_JOIN %s ON %s.id = page_id "
                         "ORDER BY %s",
                         columns, list_from(r), all.where, order, list->table, list->table, order);
    const struct sql sql = {text, list->row, r->key->generated && r->window->offset > SHALLOW};
    return budget_each(r->db, r->a, &sql, (struct db_args){all.args, all.count}, list_restart,
                       list_take, r);
}

/* The row that many rows on, shown or not; from the index alone. */
struct problem *list_look_ahead(const struct reading *r, struct clause c, int64_t rows,
                                struct list_place *ret, bool *ret_found)
{
    void *row = arena_alloc(r->a, r->list->row->size);
    const char *key = r->key->column ? arena_printf(r->a, "%s AS %s", r->key->column, r->key->name)
                                     : r->key->name;
    const struct sql sql = {arena_printf(r->a,
                                         "SELECT id, %s FROM %s%s ORDER BY %s LIMIT 1 OFFSET ?",
                                         key, list_from(r), c.where, list_order(r)),
                            r->list->row, r->key->generated};
    clause_add(&c, db_integer(rows - 1));
    struct problem *p =
        budget_find(r->db, r->a, &sql, (struct db_args){c.args, c.count}, row, ret_found);
    if (!p && *ret_found)
        *ret = place_by(r->list, key_field(r->list, r->key), row);
    return p;
}

/* There may be more rows that are not shown than a page may look through. So find first how far it
 * may look, and tell that as the place to continue from. */
static struct problem *read_within_reach(struct reading *r, struct list_total *total)
{
    struct clause c = list_path_clause(r);
    int64_t rows = r->window->offset + r->window->limit + r->window->search_reach;
    bool cut = false;
    struct problem *p = r->short_list ? NULL : list_look_ahead(r, c, rows, &total->end, &cut);
    if (p)
        return p;
    if (cut)
        list_add_side(r, &c, &total->end, r->down, true);
    list_add_residue(r, &c);
    list_add_test(r, &c);
    p = read_rows(r, &c);
    total->cut = !p && cut && r->taken < r->window->limit;
    return p;
}

/* Nearly always every row of a path is shown; then none is tested. */
static struct problem *read_page(struct reading *r, struct list_total *total)
{
    const struct list_test *shown = &r->list->shown;
    struct clause c = list_path_clause(r);
    if (has_residue(r) || (shown->condition && !shown->unless))
        return read_within_reach(r, total);
    if (shown->unless)
        clause_add_condition(r->a, &c, shown->unless);
    struct problem *p = read_rows(r, &c);
    if (p || r->taken || !shown->unless)
        return p;
    total->left_out = true;
    return read_within_reach(r, total);
}

/* ---- counting ---- */

/* The counter that keeps the total of the scope; NULL when none does. */
static const struct list_counter *counter_of(const struct reading *r)
{
    const struct list_counter *kept = r->list->counters;
    if (r->window->ranged)
        return NULL;
    for (; kept && kept->counter; kept++)
        if (!(r->scope->filters & ~(kept->owner | kept->kind)))
            return kept;
    return NULL;
}

static struct db_arg value_of(const struct list_scope *scope, unsigned filter)
{
    unsigned n = 0;
    while (filter >> (n + 1))
        n++;
    return scope->values[n];
}

static struct problem *read_counter(const struct reading *r, const struct list_counter *kept,
                                    struct list_total *total)
{
    const struct list_scope *scope = r->scope;
    struct uuid owner;
    unsigned lowest = 0, highest = kept->kinds - 1;
    bool of_owner = scope->filters & kept->owner;
    if (of_owner)
        owner = value_of(scope, kept->owner).uuid;
    if (scope->filters & kept->kind)
        lowest = highest = (unsigned)value_of(scope, kept->kind).integer;
    total->counted = true;
    return counter_read(r->db, r->a, kept->counter, of_owner ? &owner : NULL, lowest, highest,
                        &total->count);
}

struct matches {
    int64_t looked_at;
    int64_t n; /* that are shown */
};

static const struct field matches_fields[] = {
    FIELD(struct matches, looked_at, .doc = "How many rows were looked at."),
    FIELD(struct matches, n, .doc = "How many of these are shown."),
};
static const struct record matches_record =
    RECORD("Matches", struct matches, matches_fields, .rule = NULL);

/* The way through the rows that has this order and these filters. */
static const struct list_path *find_path(const struct list *list, const struct list_key *key,
                                         unsigned filters)
{
    for (const struct list_path *path = list->paths; path->index; path++)
        if (&list->keys[path->key] == key && path->filters == filters)
            return path;
    abort(); /* a controller asks for what its list does not offer */
}

/* Without a test every row of the path is shown, or it is not known: then none is found. */
static struct problem *count_rows(const struct reading *r, bool tested, struct list_total *total)
{
    struct clause c = {.where = ""}, path = list_path_clause(r);
    struct matches found = {0};
    bool any;
    if (tested)
        list_add_test(r, &c);
    else if (r->list->shown.condition)
        clause_add_condition(r->a, &path, r->list->shown.unless);
    const char *test = *c.where ? c.where + strlen(" WHERE ") : "";
    const char *columns = *test ? r->list->shown.columns : "1";
    const char *shown = *test ? arena_printf(r->a, "COALESCE(SUM(%s), 0)", test) : "COUNT(*)";
    add_args(&c, &path);
    clause_add(&c, db_integer(LIST_COUNT_MAX + 1));
    const struct sql sql = {arena_printf(r->a,
                                         "SELECT COUNT(*) AS looked_at, %s AS n "
                                         "FROM (SELECT %s FROM %s%s LIMIT ?) AS %s",
                                         shown, columns, list_from(r), path.where, r->list->table),
                            &matches_record};
    struct problem *p =
        budget_find(r->db, r->a, &sql, (struct db_args){c.args, c.count}, &found, &any);
    total->counted = true;
    total->capped = found.looked_at > LIST_COUNT_MAX;
    total->count = found.n < LIST_COUNT_MAX ? found.n : LIST_COUNT_MAX;
    return p;
}

struct reading list_along_time(const struct reading *of, struct list_window *window)
{
    struct reading r = *of;
    *window = *of->window;
    window->after = false;
    r.window = window;
    r.key = r.list->keys;
    r.type = FIELD_TIME;
    r.index = find_path(r.list, r.key, r.scope->filters)->index;
    return r;
}

static struct problem *count_some(const struct reading *of, struct list_total *total)
{
    struct list_window window;
    const struct reading r = list_along_time(of, &window);
    const struct list_test *shown = &r.list->shown;
    bool tested = shown->condition && !shown->unless;
    struct problem *p = count_rows(&r, tested, total);
    return p || tested || total->count || !shown->condition ? p : count_rows(&r, true, total);
}

/* Where the page is so far on that the total decides whether there is one, it is looked up though
 * nobody asked for it. */
static struct problem *count(struct reading *r, struct list_total *total)
{
    const struct list_counter *kept = counter_of(r);
    int64_t far = kept ? r->window->page_reach : LIST_COUNT_MAX - 1;
    if (r->window->after || (!r->counts && r->window->offset <= far))
        return NULL;
    if (kept)
        return read_counter(r, kept, total);
    struct problem *p = count_some(r, total);
    r->short_list = !p && !total->capped && !r->window->ranged;
    return p;
}

struct problem *list_check_reach(const struct reading *r, const struct list_total *total)
{
    int64_t offset = r->window->offset;
    bool known_end = total->counted && !total->capped && total->count <= offset;
    bool too_far = offset > r->window->page_reach || (total->capped && total->count <= offset);
    if (!offset || !too_far || known_end)
        return NULL;
    return problem_of_field(r->a, "page", FAULT_RANGE,
                            "Is too far from the first; go on with `cursor`, which takes the "
                            "next_cursor of the page before.");
}

/* ---- the whole ---- */

static const char *sort_word(const struct list *list, unsigned sort)
{
    return list->sorts[sort];
}

static const struct list_key *find_key(const struct list *list, unsigned sort)
{
    const char *word = sort_word(list, sort), *name = *word == '-' ? word + 1 : word;
    const struct list_key *key = list->keys;
    while (strcmp(key->name, name) != 0)
        key++;
    return key;
}

static struct problem *read_all(struct reading *r, struct list_total *total)
{
    struct problem *p = count(r, total);
    if (!p && !r->window->after)
        p = list_check_reach(r, total);
    bool has_any = !total->counted || total->capped || r->window->offset < total->count;
    return p || !has_any ? p : read_page(r, total);
}

static struct problem *read_once(struct reading *r, struct list_total *total)
{
    *total = (struct list_total){.bounded = r->match || !counter_of(r)};
    return r->match ? list_read_matches(r, total) : read_all(r, total);
}

struct problem *list_read(struct db *db, struct arena *a, const struct list *list,
                          const struct list_query *query, const struct list_scope *scope,
                          const struct list_window *window, const struct list_taker *taker,
                          struct list_total *ret)
{
    struct list_total total = {0};
    struct reading r = {.db = db,
                        .a = a,
                        .list = list,
                        .query = query,
                        .scope = scope,
                        .window = window,
                        .taker = taker};
    r.key = find_key(list, query->sort);
    r.type = list_key_field(list, query->sort)->type;
    r.down = *sort_word(list, query->sort) == '-';
    r.counts = query->total;
    r.index = find_path(list, r.key, scope->filters)->index;
    if (query->q.len)
        r.match = search_query(a, list->search, query->q);
    bool nothing = scope->nothing || (r.match && r.match->finds_nothing);
    total.counted = nothing;
    struct problem *p = nothing ? NULL : read_once(&r, &total);
    /* It may be past the end, or too far: the total tells. */
    if (!p && total.cut && !r.taken && window->offset && !r.counts) {
        r.counts = true;
        p = read_once(&r, &total);
    }
    if (!p)
        *ret = total;
    return p;
}

void list_filter_by(struct list_scope *scope, unsigned n, struct db_arg value)
{
    scope->filters |= 1U << n;
    scope->values[n] = value;
}

const struct field *list_key_field(const struct list *list, unsigned sort)
{
    return key_field(list, find_key(list, sort));
}

struct list_place list_place_of(const struct list *list, unsigned sort, const void *row)
{
    return place_by(list, list_key_field(list, sort), row);
}

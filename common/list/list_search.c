/* Pages of what a search finds: in the order of time as the index hands it out, in another order
 * sorted by the database where it is not much, and else by looking through the rows. */
#include <stdlib.h>
#include <string.h>

#include "common/db/budget.h"
#include "common/list/list_internal.h"
#include "common/search/find.h"

#define BATCH_FEW 32 /* rows that are read at once; statements are for so many, */
#define BATCH_WHOLE 128
#define BATCH_MAX 256
#define STEP_FIRST 128 /* of a walk */
#define STEP 512

/* ---- rows that may match, some at a time ---- */

struct numbered_id {
    struct uuid id;
    size_t number;
};

struct batch {
    struct search_place places[BATCH_MAX];
    struct numbered_id ids[BATCH_MAX]; /* in their order */
    size_t count;
    bool whole; /* rows are read, else their texts only */
    bool matches[BATCH_MAX];
    const void *rows[BATCH_MAX];
};

struct looking {
    struct reading *r;
    struct search *search;
    struct search_place *ahead; /* found already, and not looked at */
    size_t ahead_count;
    int64_t reach, looked, matched;
    bool ended;               /* everything was looked at */
    bool stopped;             /* search_stopped(): not everything, and no more now */
    struct search_place last; /* that was looked at */
    struct search_place stop;
    int64_t first, end; /* which of the matches are the page */
    const void **rows;  /* these */
    int64_t row_count;
    struct uuid *ids; /* of the matches, or NULL */
    bool tested;      /* some rows must not be shown, and each is asked for it */
    size_t seen;      /* rows of this batch */
    struct batch batch;
};

static struct text text_at(const struct list *list, const char *name, const void *row)
{
    const struct field *f = record_find(list->row, name);
    return *(const struct text *)(const void *)((const char *)row + f->offset);
}

static bool row_matches(const struct reading *r, const void *row)
{
    struct text texts[SEARCH_TEXTS_MAX];
    size_t count = 0;
    for (; count < SEARCH_TEXTS_MAX && r->list->search->texts[count]; count++)
        texts[count] = text_at(r->list, r->list->search->texts[count], row);
    return query_matches(r->match, texts, count);
}

static const void *copy_row(struct arena *a, const struct record *record, const void *row)
{
    char *copy = arena_copy(a, row, record->size);
    for (size_t i = 0; i < record->count; i++)
        if (record->fields[i].type == FIELD_TEXT) {
            struct text *t = (void *)(copy + record->fields[i].offset);
            *t = arena_text(a, *t);
        }
    return copy;
}

static int compare_ids(const void *a, const void *b)
{
    const struct numbered_id *x = a, *y = b;
    return memcmp(&x->id, &y->id, sizeof x->id);
}

/* The first of those with this id, or the end. */
static size_t find_id(const struct batch *b, const struct uuid *id)
{
    size_t low = 0, high = b->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&b->ids[middle].id, id, sizeof *id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The row's own time is right, should the index have another. */
static void note_row(struct looking *l, struct search_place place, bool matches, const void *row)
{
    struct batch *b = &l->batch;
    if (!matches)
        return;
    for (size_t i = find_id(b, &place.id); i < b->count && uuid_equal(&b->ids[i].id, &place.id);
         i++) {
        size_t number = b->ids[i].number;
        if (b->places[number].time.us != place.time.us) {
            search_again(l->search, place);
            continue;
        }
        b->matches[number] = true;
        if (row)
            b->rows[number] = copy_row(l->r->a, l->r->list->row, row);
    }
}

static void note_texts(void *context, const void *row)
{
    struct looking *l = context;
    const struct search_row *texts = row;
    l->seen++;
    note_row(l, (struct search_place){texts->created_at, texts->id},
             search_row_matches(l->r->match, l->r->list->search, texts), NULL);
}

static struct search_place place_of(const struct list *list, const void *row)
{
    const struct field *id = record_find(list->row, "id");
    const struct field *time = record_find(list->row, list->keys->name);
    return (struct search_place){
        .id = *(const struct uuid *)(const void *)((const char *)row + id->offset),
        .time = *(const struct instant *)(const void *)((const char *)row + time->offset)};
}

static void note_whole(void *context, const void *row)
{
    struct looking *l = context;
    l->seen++;
    note_row(l, place_of(l->r->list, row), row_matches(l->r, row), row);
}

static void forget_batch(void *context)
{
    struct looking *l = context;
    l->seen = 0;
    memset(l->batch.matches, 0, sizeof l->batch.matches);
}

/* ---- statements that name ids: of few forms, the last id is repeated ---- */

static const char *whole_from(const struct reading *r)
{
    return arena_printf(r->a, "%s FORCE INDEX (PRIMARY)", r->list->table);
}

static void add_ids(struct reading *r, struct clause *c, size_t size)
{
    clause_add_condition(r->a, c, arena_printf(r->a, "id IN (%s)", search_marks(r->a, size)));
}

/* The values of a statement in the order of its text. */
static struct db_args join_args(struct reading *r, bool whole, const struct uuid *ids, size_t count,
                                size_t size, const struct clause *c)
{
    size_t before = whole ? r->scope->column_arg_count : 0, n = 0;
    struct db_arg *args = arena_array(r->a, before + size + c->count, sizeof *args);
    for (size_t i = 0; i < before; i++)
        args[n++] = r->scope->column_args[i];
    for (size_t i = 0; i < size; i++)
        args[n++] = db_uuid(ids[i < count ? i : count - 1]);
    for (size_t i = 0; i < c->count; i++)
        args[n++] = c->args[i];
    return (struct db_args){args, n};
}

static void add_shown(const struct reading *r, bool tested, struct clause *c)
{
    if (tested)
        list_add_test(r, c);
    else if (r->list->shown.condition)
        clause_add_condition(r->a, c, r->list->shown.unless);
}

static struct problem *ask_batch(struct looking *l)
{
    struct reading *r = l->r;
    struct batch *b = &l->batch;
    size_t most = b->whole ? BATCH_WHOLE : BATCH_MAX;
    size_t size = b->count <= BATCH_FEW ? BATCH_FEW : most;
    struct uuid ids[BATCH_MAX];
    struct clause c = {.where = ""};
    for (size_t i = 0; i < b->count; i++)
        ids[i] = b->ids[i].id;
    add_ids(r, &c, size);
    list_add_filters(r, &c);
    add_shown(r, l->tested, &c);
    const struct sql sql = {
        arena_printf(r->a, "SELECT %s FROM %s%s",
                     b->whole ? list_columns(r) : search_columns(r->a, r->list->search),
                     whole_from(r), c.where),
        b->whole ? r->list->row : &search_row_record};
    forget_batch(l);
    return budget_each(r->db, r->a, &sql, join_args(r, b->whole, ids, b->count, size, &c),
                       forget_batch, b->whole ? note_whole : note_texts, l);
}

/* Nearly always every row is shown; then none is tested, which is a fifth of what it takes. */
static struct problem *read_batch(struct looking *l)
{
    const struct list_test *shown = &l->r->list->shown;
    l->tested |= shown->condition && !shown->unless;
    struct problem *p = ask_batch(l);
    if (p || l->seen || l->tested || !shown->condition)
        return p;
    l->tested = true;
    return ask_batch(l);
}

/* ---- looking ---- */

static struct problem *take_batch(struct looking *l, size_t want)
{
    struct batch *b = &l->batch;
    struct problem *p = NULL;
    if (l->ahead_count) {
        b->count = want < l->ahead_count ? want : l->ahead_count;
        memcpy(b->places, l->ahead, b->count * sizeof *b->places);
        l->ahead += b->count;
        l->ahead_count -= b->count;
    } else {
        p = search_next(l->search, want, b->places, &b->count);
        l->stopped = !p && b->count < want && search_stopped(l->search, &l->stop);
        l->ended = !p && b->count < want && !l->stopped;
    }
    for (size_t i = 0; !p && i < b->count; i++)
        b->ids[i] = (struct numbered_id){b->places[i].id, i};
    if (!p)
        qsort(b->ids, b->count, sizeof *b->ids, compare_ids);
    return p;
}

static void keep_batch(struct looking *l)
{
    struct batch *b = &l->batch;
    for (size_t i = 0; i < b->count; i++) {
        if (!b->matches[i])
            continue;
        if (b->whole && l->matched >= l->first && l->matched < l->end)
            l->rows[l->row_count++] = b->rows[i];
        if (l->ids && l->matched < LIST_COUNT_MAX)
            l->ids[l->matched] = b->places[i].id;
        l->matched++;
    }
    l->looked += (int64_t)b->count;
    if (b->count)
        l->last = b->places[b->count - 1];
    if (l->stopped)
        l->last = l->stop;
}

/* How many to look at next: as many as are missing, more where those did not suffice. */
static size_t batch_size(const struct looking *l, int64_t until, bool first)
{
    int64_t most = l->batch.whole ? BATCH_WHOLE : BATCH_MAX, want = until - l->matched;
    if (!first && l->batch.whole && want < most)
        want = most;
    if (want > most)
        want = most;
    return (size_t)(want < l->reach - l->looked ? want : l->reach - l->looked);
}

/* Look until there are so many matches, as far as the reach goes. */
static struct problem *look(struct looking *l, int64_t until, bool whole)
{
    bool first = true;
    l->batch.whole = whole;
    while (l->matched < until && l->looked < l->reach && !l->ended && !l->stopped) {
        struct problem *p = take_batch(l, batch_size(l, until, first));
        if (!p && l->batch.count)
            p = read_batch(l);
        if (p)
            return p;
        keep_batch(l);
        first = false;
    }
    return NULL;
}

static uint32_t term_of_filter(unsigned n, const struct db_arg *value)
{
    const unsigned char number = (unsigned char)value->integer;
    if (value->type == DB_UUID)
        return search_filter_term(n, &value->uuid, sizeof value->uuid);
    return search_filter_term(n, &number, sizeof number);
}

static void add_filter_terms(const struct reading *r, struct search_question *q)
{
    const struct search_filter *filters = r->list->search->filters;
    for (unsigned i = 0; i < LIST_FILTERS_MAX; i++)
        for (unsigned n = 0; r->scope->filters & 1U << i && n < SEARCH_FILTERS_MAX; n++)
            if (filters[n].column && strcmp(filters[n].column, r->list->filters[i].column) == 0)
                q->filters[q->filter_count++] = term_of_filter(n, &r->scope->values[i]);
}

/* Matches along the time, from where `r` begins. */
static struct problem *open_looking(struct looking *l, struct reading *r)
{
    const struct list_window *w = r->window;
    struct search_question question = {.index = r->list->search,
                                       .query = r->match,
                                       .oldest_first = !r->down,
                                       .after = w->after,
                                       .place = {w->place.time, w->place.id},
                                       .from = w->ranged ? w->from : LIST_FROM,
                                       .before = w->ranged ? w->before : LIST_BEFORE};
    add_filter_terms(r, &question);
    l->r = r;
    return search_open(r->db, r->a, &question, &l->search);
}

/* Where the page is so far on that the total decides whether there is one, it is found out though
 * nobody asked for it. */
static bool is_counted(const struct reading *r)
{
    return !r->window->after && (r->counts || r->window->offset >= LIST_COUNT_MAX);
}

static void note_total(const struct looking *l, struct list_total *total)
{
    total->counted = true;
    total->capped = l->matched > LIST_COUNT_MAX || !l->ended;
    total->count = l->matched < LIST_COUNT_MAX ? l->matched : LIST_COUNT_MAX;
}

static void hand_out(struct reading *r, const void **rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        list_take(r, rows[i]);
}

/* ---- in the order of time ---- */

static struct problem *look_for_page(struct looking *l)
{
    struct problem *p = look(l, l->first, false);
    return p ? p : look(l, l->end, true);
}

static struct problem *read_by_time(struct reading *r, struct list_total *total)
{
    const struct list_window *w = r->window;
    struct looking *l = arena_alloc(r->a, sizeof *l);
    /* A page further on than counting goes is not there, or not to be had. */
    l->first = w->offset < LIST_COUNT_MAX ? w->offset : LIST_COUNT_MAX + 1;
    l->end = w->offset < LIST_COUNT_MAX ? w->offset + w->limit : l->first;
    l->reach = l->end + w->search_reach;
    l->rows = arena_array(r->a, (size_t)w->limit, sizeof *l->rows);
    struct problem *p = open_looking(l, r);
    if (!p)
        p = look_for_page(l);
    if (!p && is_counted(r))
        p = look(l, LIST_COUNT_MAX + 1, false);
    if (p)
        return p;
    if (is_counted(r))
        note_total(l, total);
    total->unreadable = search_unreadable(l->search);
    total->cut = l->row_count < w->limit && !l->ended;
    total->end = (struct list_place){.id = l->last.id, .time = l->last.time};
    p = w->after ? NULL : list_check_reach(r, total);
    if (!p)
        hand_out(r, l->rows, l->row_count);
    return p;
}

/* ---- through the rows ---- */

#define KEY_MAX 1100 /* bytes of a text that a list is sorted by */

struct walk {
    struct reading *r;
    const void **rows;
    int64_t passed, row_count;               /* matches before the page, and on it */
    int64_t passed_before, row_count_before; /* this step */
    int64_t seen;                            /* rows of this step */
    bool tested;                             /* as of looking */
    struct list_place last;
    char text[KEY_MAX]; /* of `last` */
};

static void note_last(struct walk *w, const void *row)
{
    w->last = list_place_of(w->r->list, w->r->query->sort, row);
    if (!w->last.text.data)
        return;
    if (w->last.text.len > sizeof w->text)
        abort(); /* no list has such a key */
    memcpy(w->text, w->last.text.data, w->last.text.len);
    w->last.text.data = w->text;
}

static void step_over(void *context, const void *row)
{
    struct walk *w = context;
    const struct reading *r = w->r;
    w->seen++;
    note_last(w, row);
    if (w->row_count == r->window->limit || !row_matches(r, row))
        return;
    if (w->passed < r->window->offset)
        w->passed++;
    else
        w->rows[w->row_count++] = copy_row(r->a, r->list->row, row);
}

static void restart_step(void *context)
{
    struct walk *w = context;
    w->passed = w->passed_before;
    w->row_count = w->row_count_before;
    w->seen = 0;
}

/* The next rows after `window`'s place, up to `end` unless it is NULL. */
static struct problem *ask_step(struct walk *w, const struct list_window *window,
                                const struct list_place *end, int64_t rows)
{
    struct reading r = *w->r;
    r.window = window;
    struct clause c = list_path_clause(&r), all = {.where = ""};
    if (end)
        list_add_side(&r, &c, end, r.down, true);
    list_add_residue(&r, &c);
    add_shown(&r, w->tested, &c);
    for (size_t i = 0; i < r.scope->column_arg_count; i++)
        clause_add(&all, r.scope->column_args[i]);
    for (size_t i = 0; i < c.count; i++)
        clause_add(&all, c.args[i]);
    clause_add(&all, db_integer(rows));
    const struct sql sql = {arena_printf(r.a, "SELECT %s FROM %s%s ORDER BY %s LIMIT ?",
                                         list_columns(&r), list_from(&r), c.where, list_order(&r)),
                            r.list->row};
    w->passed_before = w->passed;
    w->row_count_before = w->row_count;
    w->seen = 0;
    return budget_each(r.db, r.a, &sql, (struct db_args){all.args, all.count}, restart_step,
                       step_over, w);
}

/* As read_batch(). In a range of time a step may have no rows because none is in it. */
static struct problem *walk_step(struct walk *w, const struct list_window *window,
                                 const struct list_place *end, int64_t rows)
{
    const struct list_test *shown = &w->r->list->shown;
    w->tested |= shown->condition && (!shown->unless || window->ranged);
    struct problem *p = ask_step(w, window, end, rows);
    if (p || w->seen || w->tested || !shown->condition)
        return p;
    w->tested = true;
    return ask_step(w, window, end, rows);
}

static struct problem *walk_to(struct walk *w, const struct list_place *end)
{
    struct list_window window = *w->r->window;
    for (int64_t rows = STEP_FIRST;; rows = STEP) {
        struct problem *p = walk_step(w, &window, end, rows);
        if (p || w->seen < rows || w->row_count == window.limit)
            return p;
        window.after = true;
        window.place = w->last;
        window.place.text = arena_text(w->r->a, w->last.text); /* a step may be asked twice */
    }
}

/* A page may look at more rows than counting did, and at others. What is shown counts; of the next
 * page counting knows nothing, and would refuse its number. */
static void note_shown(const struct reading *r, int64_t rows, struct list_total *total)
{
    int64_t most = r->window->limit - 1, found = r->window->offset + (rows < most ? rows : most);
    if (!rows || !total->capped || found <= total->count)
        return;
    total->count = found < LIST_COUNT_MAX ? found : LIST_COUNT_MAX;
}

static struct problem *walk(struct reading *r, struct list_total *total)
{
    const struct list_window *window = r->window;
    struct walk *w = arena_alloc(r->a, sizeof *w);
    int64_t rows = window->offset + window->limit + window->search_reach;
    bool cut = false;
    w->r = r;
    w->rows = arena_array(r->a, (size_t)window->limit, sizeof *w->rows);
    struct problem *p = list_look_ahead(r, list_path_clause(r), rows, &total->end, &cut);
    if (!p)
        p = walk_to(w, cut ? &total->end : NULL);
    if (p)
        return p;
    total->cut = cut && w->row_count < window->limit;
    note_shown(r, w->row_count, total);
    hand_out(r, w->rows, w->row_count);
    return NULL;
}

/* ---- counting, where nothing can be looked up ---- */

struct tally {
    const struct reading *r;
    int64_t n;
};

static void tally_row(void *context, const void *row)
{
    struct tally *t = context;
    t->n += search_row_matches(t->r->match, t->r->list->search, row);
}

static void tally_again(void *context)
{
    ((struct tally *)context)->n = 0;
}

static struct problem *count_by_walking(const struct reading *of, struct list_total *total)
{
    struct list_window window;
    struct list_place end;
    const struct reading r = list_along_time(of, &window);
    struct clause c = list_path_clause(&r);
    struct tally tally = {&r, 0};
    bool cut = false;
    struct problem *p = list_look_ahead(&r, c, window.search_reach + 1, &end, &cut);
    if (p)
        return p;
    if (cut)
        list_add_side(&r, &c, &end, r.down, true);
    list_add_test(&r, &c);
    const struct sql sql = {arena_printf(r.a, "SELECT %s FROM %s%s",
                                         search_columns(r.a, r.list->search), list_from(&r),
                                         c.where),
                            &search_row_record};
    p = budget_each(r.db, r.a, &sql, (struct db_args){c.args, c.count}, tally_again, tally_row,
                    &tally);
    total->counted = true;
    total->capped = cut || tally.n > LIST_COUNT_MAX;
    total->count = tally.n < LIST_COUNT_MAX ? tally.n : LIST_COUNT_MAX;
    return p;
}

static struct problem *read_by_walking(struct reading *r, struct list_total *total)
{
    struct problem *p = is_counted(r) ? count_by_walking(r, total) : NULL;
    if (!p && !r->window->after)
        p = list_check_reach(r, total);
    bool has_any = !total->counted || total->capped || r->window->offset < total->count;
    return p || !has_any ? p : walk(r, total);
}

/* ---- in another order ---- */

static void take_match(void *context, const void *row)
{
    struct walk *w = context;
    w->seen++;
    note_last(w, row);
    if (row_matches(w->r, row))
        list_take(w->r, row);
}

static void take_again(void *context)
{
    struct walk *w = context;
    w->seen = 0;
    list_restart(w->r);
}

/* The database sorts rows that were found to match. One that was changed since is left out, and
 * then the page is no longer full, though it is not the last. */
static struct problem *sort_matches(struct reading *r, const struct uuid *ids, size_t count,
                                    struct list_total *total)
{
    struct walk *walk = arena_alloc(r->a, sizeof *walk);
    const struct list_window *w = r->window;
    size_t size = count <= BATCH_FEW ? BATCH_FEW : LIST_COUNT_MAX;
    struct clause c = {.where = ""};
    add_ids(r, &c, size);
    list_add_filters(r, &c);
    list_add_test(r, &c);
    if (w->after)
        list_add_side(r, &c, &w->place, !r->down, false);
    clause_add(&c, db_integer(w->limit));
    clause_add(&c, db_integer(w->offset));
    const struct sql sql = {arena_printf(r->a, "SELECT %s FROM %s%s ORDER BY %s LIMIT ? OFFSET ?",
                                         list_columns(r), whole_from(r), c.where, list_order(r)),
                            r->list->row};
    walk->r = r;
    struct problem *p = budget_each(r->db, r->a, &sql, join_args(r, true, ids, count, size, &c),
                                    take_again, take_match, walk);
    total->cut = !p && walk->seen == w->limit && r->taken < w->limit;
    total->end = walk->last;
    return p;
}

/* All that may match, if that is not more than can be counted. */
static struct problem *find_all(struct looking *l, struct reading *along, bool *ret_few)
{
    l->ahead = arena_array(along->a, LIST_COUNT_MAX + 1, sizeof *l->ahead);
    l->ids = arena_array(along->a, LIST_COUNT_MAX, sizeof *l->ids);
    l->reach = LIST_COUNT_MAX + 1 + along->window->search_reach;
    struct problem *p = open_looking(l, along);
    if (!p)
        p = search_next(l->search, LIST_COUNT_MAX + 1, l->ahead, &l->ahead_count);
    *ret_few = !p && l->ahead_count <= LIST_COUNT_MAX && !search_stopped(l->search, &l->stop);
    return p;
}

static struct problem *read_sorted(struct reading *r, struct list_total *total)
{
    struct list_window window;
    struct reading along = list_along_time(r, &window);
    struct looking *l = arena_alloc(r->a, sizeof *l);
    bool few;
    struct problem *p = find_all(l, &along, &few);
    if (!p && (few || is_counted(r)))
        p = look(l, LIST_COUNT_MAX + 1, false);
    if (p)
        return p;
    if (is_counted(r))
        note_total(l, total);
    total->unreadable = search_unreadable(l->search);
    p = r->window->after ? NULL : list_check_reach(r, total);
    if (p || (few && r->window->offset >= l->matched))
        return p;
    return few ? sort_matches(r, l->ids, (size_t)l->matched, total) : walk(r, total);
}

/* ---- the whole ---- */

struct problem *list_read_matches(struct reading *r, struct list_total *total)
{
    if (!search_is_indexed(r->match, r->a))
        return read_by_walking(r, total);
    return list_is_by_time(r) ? read_by_time(r, total) : read_sorted(r, total);
}

#include "common/search/find.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/base/problem.h"
#include "common/db/budget.h"
#include "common/field/field.h"
#include "common/search/find_blocks.h"

#define KEYS_FEW 32                            /* ordinals of a statement, or FIND_BLOCK_MAX */
#define WAITING_MAX ((size_t)64 * 1024 * 1024) /* bytes */

_Static_assert(SEARCH_TERMS_MAX + SEARCH_FILTERS_MAX <= FIND_GROUPS_MAX, "groups for all terms");

/* A row that may match, and is handed out when its turn comes. */
struct candidate {
    int64_t rank;
    struct uuid id;
};

struct search {
    struct finding of;
    struct query *query;
    struct blocks *blocks;
    struct buf waiting; /* struct candidate: a heap, the first in order at its top */
    bool begun;         /* only what comes after `last` */
    struct candidate last;
    int64_t end; /* rows with ordinals below this are in the postings that were read */
    size_t keys; /* how many were found of those that were asked for */
    size_t gone; /* how many were not, in all */
    bool stopped;
    struct candidate stop;
};

/* ---- texts of rows ---- */

static const struct field search_row_fields[] = {
    FIELD(struct search_row, id, .doc = "A row."),
    FIELD(struct search_row, created_at, .doc = "When it was made."),
    FIELD(struct search_row, text0, .doc = "Its texts."),
    FIELD(struct search_row, text1, .doc = "Its texts."),
    FIELD(struct search_row, text2, .doc = "Its texts."),
};
const struct record search_row_record =
    RECORD("SearchRow", struct search_row, search_row_fields, .rule = NULL);

static size_t text_count(const struct search_index *index)
{
    size_t count = 0;
    while (count < SEARCH_TEXTS_MAX && index->texts[count])
        count++;
    return count;
}

const char *search_columns(struct arena *a, const struct search_index *index)
{
    const char *columns = "id, created_at";
    for (size_t i = 0; i < text_count(index); i++)
        columns = arena_printf(a, "%s, %s AS text%zu", columns, index->texts[i], i);
    return columns;
}

bool search_row_matches(struct query *query, const struct search_index *index,
                        const struct search_row *row)
{
    const struct text texts[] = {row->text0, row->text1, row->text2};
    return query_matches(query, texts, text_count(index));
}

const char *search_marks(struct arena *a, size_t count)
{
    char *marks = arena_alloc(a, count * 3 + 1), *at = marks;
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, i ? ", ?" : "?");
    return marks;
}

/* ---- what waits ---- */

static int compare(const struct search *s, const struct candidate *a, const struct candidate *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    int order = memcmp(&a->id, &b->id, sizeof a->id);
    return s->of.oldest_first ? order : -order;
}

static struct candidate *waiting(const struct search *s)
{
    return (struct candidate *)(void *)s->waiting.data;
}

static size_t waiting_count(const struct search *s)
{
    return s->waiting.len / sizeof(struct candidate);
}

static void push(struct search *s, struct candidate c)
{
    size_t i = waiting_count(s);
    buf_add(&s->waiting, &c, sizeof c);
    if (s->waiting.full)
        return;
    struct candidate *heap = waiting(s);
    for (; i > 0 && compare(s, &c, &heap[(i - 1) / 2]) < 0; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = c;
}

static struct candidate pop(struct search *s)
{
    struct candidate *heap = waiting(s), top = heap[0];
    size_t count = waiting_count(s) - 1, i = 0, child;
    struct candidate last = heap[count];
    s->waiting.len = count * sizeof last;
    for (; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && compare(s, &heap[child + 1], &heap[child]) < 0)
            child++;
        if (compare(s, &last, &heap[child]) <= 0)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static bool comes_later(const struct search *s, const struct candidate *c)
{
    return !s->begun || compare(s, c, &s->last) > 0;
}

static void add(struct search *s, struct instant time, struct uuid id)
{
    struct candidate c = {rank_of(&s->of, time.us), id};
    if (c.rank >= s->of.lowest && c.rank <= s->of.highest && comes_later(s, &c))
        push(s, c);
}

/* ---- rows that may not be in the index yet ---- */

static void forget_tail(void *context)
{
    buf_reset(&((struct search *)context)->waiting);
}

static void add_tail(void *context, const void *row)
{
    struct search *s = context;
    const struct search_row *r = row;
    if (search_row_matches(s->query, s->of.index, r))
        add(s, r->created_at, r->id);
}

static struct problem *read_tail(struct search *s)
{
    const struct search_index *index = s->of.index;
    const char *table = index->counter->table;
    struct arena *a = s->of.arena;
    const struct sql sql = {arena_printf(a,
                                         "SELECT %s FROM (SELECT DISTINCT row_id FROM list_journal "
                                         "WHERE total = ? AND row_id IS NOT NULL) AS written "
                                         "STRAIGHT_JOIN %s ON %s.id = row_id",
                                         search_columns(a, index), table, table),
                            &search_row_record};
    return budget_each(s->of.db, a, &sql, DB_ARGS(db_integer(index->counter->number)), forget_tail,
                       add_tail, s);
}

/* ---- keys ---- */

struct key_row {
    int64_t ord;
    struct uuid id;
    struct instant created_at;
};

static const struct field key_fields[] = {
    FIELD(struct key_row, ord, .doc = "The ordinal of a row."),
    FIELD(struct key_row, id, .doc = "The row."),
    FIELD(struct key_row, created_at, .doc = "When it was made."),
};
static const struct record key_record = RECORD("Key", struct key_row, key_fields, .rule = NULL);

#define SELECT_KEYS "SELECT ord, id, created_at FROM search_rows WHERE build = ? AND ord "

/* The keys come again; one that is met twice does no harm. */
static void count_again(void *context)
{
    ((struct search *)context)->keys = 0;
}

static void add_key(void *context, const void *row)
{
    struct search *s = context;
    const struct key_row *r = row;
    s->keys++;
    add(s, r->created_at, r->id);
}

static void add_moved(void *context, const void *row)
{
    const struct key_row *r = row;
    ((struct search *)context)->end = r->ord + 1;
    add_key(context, row);
}

static const struct sql sql_moved = {SELECT_KEYS ">= ? ORDER BY ord LIMIT 10000", &key_record};

/* An ordinal is nobody's when its row was deleted, and when the row got another one. If that was a
 * moment ago, the postings that we have know nothing of the other; but it is among the latest. */
static struct problem *find_moved(struct search *s)
{
    return budget_each(s->of.db, s->of.arena, &sql_moved,
                       DB_ARGS(db_integer(blocks_build(s->blocks)), db_integer(s->end)),
                       count_again, add_moved, s);
}

static struct problem *ask_keys(struct search *s, const uint32_t *ordinals, size_t count)
{
    const size_t size = count <= KEYS_FEW ? KEYS_FEW : FIND_BLOCK_MAX;
    struct arena *a = s->of.arena;
    struct db_arg *args = arena_array(a, size + 1, sizeof *args);
    const struct sql sql = {arena_printf(a, SELECT_KEYS "IN (%s)", search_marks(a, size)),
                            &key_record};
    args[0] = db_integer(blocks_build(s->blocks));
    for (size_t i = 0; i < size; i++)
        args[i + 1] = db_integer(ordinals[i < count ? i : count - 1]);
    s->keys = 0;
    return budget_each(s->of.db, a, &sql, (struct db_args){args, size + 1}, count_again, add_key,
                       s);
}

static struct problem *read_keys(struct search *s, const uint32_t *ordinals, size_t count)
{
    struct problem *p = ask_keys(s, ordinals, count);
    size_t gone = s->keys < count ? count - s->keys : 0;
    s->gone += gone;
    if (!p && gone)
        p = find_moved(s);
    if (!p && s->waiting.full)
        p = problem_because(s->of.arena, &problem_unavailable,
                            "a search found too many rows of one time");
    return p;
}

static struct problem *take_some(struct search *s, size_t want)
{
    uint32_t ordinals[FIND_BLOCK_MAX];
    size_t count = 0;
    struct problem *p = blocks_take(s->blocks, want, ordinals, &count);
    if (!p && blocks_passed_empty(s->blocks))
        p = find_moved(s);
    return p || !count ? p : read_keys(s, ordinals, count);
}

/* ---- the whole ---- */

struct query *search_query(struct arena *a, const struct search_index *index, struct text q)
{
    return index->kind == SEARCH_PART ? query_of_part(a, q) : query_of_words(a, q);
}

bool search_is_indexed(const struct query *query, struct arena *a)
{
    return query_terms(query, a, 1).count > 0;
}

static void add_term(struct finding *of, uint32_t term)
{
    size_t i = of->term_count++;
    for (; i > 0 && of->terms[i - 1] > term; i--)
        of->terms[i] = of->terms[i - 1];
    of->terms[i] = term;
}

static void add_terms(struct finding *of, const struct search_question *question)
{
    struct terms terms = query_terms(question->query, of->arena, SEARCH_TERMS_MAX);
    for (size_t i = 0; i < terms.count; i++)
        add_term(of, terms.list[i]);
    for (size_t i = 0; i < question->filter_count; i++)
        add_term(of, question->filters[i]);
}

static struct finding finding_of(struct db *db, struct arena *a,
                                 const struct search_question *question)
{
    struct finding of = {
        .db = db, .arena = a, .index = question->index, .oldest_first = question->oldest_first};
    const int64_t first = rank_of(&of, question->from.us);
    const int64_t last = rank_of(&of, question->before.us - 1);
    of.lowest = of.oldest_first ? first : last;
    of.highest = of.oldest_first ? last : first;
    if (question->after && rank_of(&of, question->place.time.us) > of.lowest)
        of.lowest = rank_of(&of, question->place.time.us);
    add_terms(&of, question);
    return of;
}

static void release_waiting(void *waiting)
{
    buf_release(waiting);
}

struct problem *search_open(struct db *db, struct arena *a, const struct search_question *question,
                            struct search **ret)
{
    struct search *s = *ret = arena_alloc(a, sizeof *s);
    s->of = finding_of(db, a, question);
    s->query = question->query;
    s->begun = question->after;
    s->last = (struct candidate){rank_of(&s->of, question->place.time.us), question->place.id};
    buf_init(&s->waiting, WAITING_MAX);
    arena_defer(a, release_waiting, &s->waiting);
    struct problem *p = read_tail(s);
    if (!p)
        p = blocks_open(&s->of, &s->blocks);
    if (!p)
        s->end = blocks_end(s->blocks);
    return p;
}

static struct search_place place_of(const struct search *s, const struct candidate *c)
{
    return (struct search_place){{rank_of(&s->of, c->rank)}, c->id};
}

/* Postings stay when their rows go, until a block has none any more; a request must not pay for all
 * that have ever been. It ends only where another one gets further: behind the place that this one
 * began at. */
static bool stops(struct search *s, int64_t bound)
{
    static const struct uuid first = {{0}};
    struct uuid last;
    memset(&last, 0xff, sizeof last);
    s->stop = (struct candidate){bound - 1, s->of.oldest_first ? last : first};
    s->stopped = s->gone > SEARCH_GONE_MAX && s->stop.rank > s->of.lowest;
    return s->stopped;
}

/* No place in the order is left to go on from. */
static struct problem *too_many_gone(const struct search *s)
{
    return problem_because(s->of.arena, &problem_unavailable,
                           "a search met too many rows of one time that are gone; `postern "
                           "reindex` forgets them");
}

/* Take more ordinals, if there are any. */
static struct problem *take_more(struct search *s, bool more, int64_t bound, size_t want,
                                 bool *ret_any)
{
    *ret_any = more && !stops(s, bound);
    if (*ret_any && s->gone > 4 * SEARCH_GONE_MAX)
        return too_many_gone(s);
    return *ret_any ? take_some(s, want) : NULL;
}

struct problem *search_next(struct search *s, size_t want, struct search_place *ret,
                            size_t *ret_count)
{
    size_t count = 0;
    for (bool any = true; any && count < want;) {
        int64_t bound = 0;
        bool more = blocks_bound(s->blocks, &bound);
        if (waiting_count(s) && (!more || waiting(s)->rank < bound)) {
            struct candidate c = pop(s);
            if (!comes_later(s, &c))
                continue;
            s->begun = true;
            s->last = c;
            ret[count++] = place_of(s, &c);
            continue;
        }
        struct problem *p = take_more(s, more, bound, want - count, &any);
        if (p)
            return p;
    }
    *ret_count = count;
    return NULL;
}

bool search_stopped(const struct search *s, struct search_place *ret)
{
    *ret = place_of(s, &s->stop);
    return s->stopped;
}

void search_again(struct search *s, struct search_place place)
{
    add(s, place.time, place.id);
}

int64_t search_unreadable(const struct search *s)
{
    return blocks_unreadable(s->blocks);
}

#include "common/search/query.h"

#include <string.h>

#include "common/search/folding.h"

/* What is the same for each row that is held against a query. */
struct query_memo {
    struct arena *arena;
    struct fold_room room;
    size_t *prefixes, prefix_count; /* which needs these are */
    bool has_words;
    bool seeks; /* words and prefixes are few and plain: each is looked for by itself */
    uint64_t
        lengths; /* of the words, in bytes: one bit for each, the last for all that are longer */
    struct word_slot {
        uint32_t hash;
        size_t need; /* which, counted from 1; 0 where the slot is free */
    } * slots;       /* of words, a power of two, at most half full */
    size_t slot_mask;
    bool *found; /* of each need, in this row */
    size_t missing;
};

/* ---- reading ---- */

struct needs {
    struct arena *arena;
    struct need *list;
    size_t count, room;
};

static void add_need(struct needs *needs, enum need_kind kind, struct text t)
{
    for (size_t i = 0; i < needs->count; i++)
        if (needs->list[i].kind == kind && text_equal(needs->list[i].text, t))
            return;
    if (needs->count == needs->room) {
        size_t room = needs->room ? needs->room * 2 : 8;
        struct need *list = arena_array(needs->arena, room, sizeof *list);
        if (needs->count)
            memcpy(list, needs->list, needs->count * sizeof *list);
        needs->list = list;
        needs->room = room;
    }
    needs->list[needs->count++] = (struct need){kind, t};
}

/* Is a star here, and no letter after it? */
static bool is_star_at_end(struct text rest)
{
    enum point_kind kind = POINT_BLANK;
    if (rest.len == 0 || *rest.data != '*')
        return false;
    if (rest.len > 1)
        point_at(rest.data + 1, rest.data + rest.len, &kind);
    return kind == POINT_BLANK;
}

static void add_piece(struct needs *needs, const struct piece *piece, struct text rest)
{
    struct text t = {piece->data, piece->len};
    if (piece->kind == PIECE_RUN && piece->letters >= TERM_RUN_MIN)
        add_need(needs, NEED_RUN, t);
    else if (piece->kind == PIECE_WORD && piece->points >= TERM_WORD_MIN)
        add_need(needs, is_star_at_end(rest) ? NEED_PREFIX : NEED_WORD, t);
}

static size_t slot_of(const struct query_memo *memo, uint32_t hash)
{
    return hash & memo->slot_mask;
}

static uint64_t length_bit(size_t len)
{
    return (uint64_t)1 << (len < 63 ? len : 63);
}

static void remember_word(struct query_memo *memo, size_t number, struct text word)
{
    uint32_t hash = term_of(TERM_WORD, word.data, word.len);
    size_t at = slot_of(memo, hash);
    while (memo->slots[at].need)
        at = (at + 1) & memo->slot_mask;
    memo->slots[at] = (struct word_slot){hash, number + 1};
    memo->lengths |= length_bit(word.len);
    memo->has_words = true;
}

#define SEEK_MAX 4 /* with more of them it is quicker to read each word of a text */

/* A letter or digit that is one byte, of folded text. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool may_seek(const struct needs *needs)
{
    size_t words = 0;
    for (size_t i = 0; i < needs->count; i++) {
        const struct need *need = &needs->list[i];
        if (need->kind != NEED_WORD && need->kind != NEED_PREFIX)
            continue;
        words++;
        for (size_t k = 0; k < need->text.len; k++)
            if (!is_plain(need->text.data[k]))
                return false;
    }
    return words <= SEEK_MAX;
}

static struct query_memo *remember(const struct needs *needs)
{
    struct query_memo *memo = arena_alloc(needs->arena, sizeof *memo);
    size_t slots = 8;
    while (slots < 2 * needs->count)
        slots *= 2;
    *memo = (struct query_memo){
        .arena = needs->arena,
        .prefixes = arena_array(needs->arena, needs->count + 1, sizeof *memo->prefixes),
        .slots = arena_array(needs->arena, slots, sizeof *memo->slots),
        .slot_mask = slots - 1,
        .seeks = may_seek(needs),
        .found = arena_array(needs->arena, needs->count + 1, sizeof *memo->found),
    };
    for (size_t i = 0; i < needs->count; i++)
        if (needs->list[i].kind == NEED_WORD)
            remember_word(memo, i, needs->list[i].text);
        else if (needs->list[i].kind == NEED_PREFIX)
            memo->prefixes[memo->prefix_count++] = i;
    return memo;
}

static struct query *query_of(const struct needs *needs, struct text q)
{
    struct query *query = arena_alloc(needs->arena, sizeof *query);
    *query = (struct query){
        .needs = needs->list,
        .count = needs->count,
        .is_empty = q.len == 0,
        .finds_nothing = q.len > 0 && needs->count == 0,
        .memo = remember(needs),
    };
    return query;
}

struct query *query_of_words(struct arena *a, struct text q)
{
    struct needs needs = {.arena = a};
    struct text rest = fold_text(a, q);
    struct piece piece;
    while ((piece = piece_next(&rest)).kind != PIECE_END)
        add_piece(&needs, &piece, rest);
    return query_of(&needs, q);
}

struct query *query_of_part(struct arena *a, struct text q)
{
    struct needs needs = {.arena = a};
    struct text folded = fold_text(a, q);
    if (folded.len > 0)
        add_need(&needs, NEED_PART, folded);
    return query_of(&needs, q);
}

/* ---- looking up ---- */

static void add_prefix(struct arena *a, struct term_list *list, struct text t)
{
    struct text rest = t;
    struct piece piece = piece_next(&rest);
    size_t points = piece.points >= TERM_PREFIX_LONG ? TERM_PREFIX_LONG : TERM_PREFIX_SHORT;
    term_add(a, list, term_of(TERM_PREFIX, t.data, piece_bytes(&piece, points)));
}

static void add_terms(struct arena *a, struct term_list *list, const struct need *need)
{
    switch (need->kind) {
    case NEED_WORD:
        term_add(a, list, term_of(TERM_WORD, need->text.data, need->text.len));
        break;
    case NEED_PREFIX:
        add_prefix(a, list, need->text);
        break;
    case NEED_RUN:
        term_add_grams(a, list, TERM_PAIR, need->text, 2);
        break;
    case NEED_PART:
        term_add_grams(a, list, TERM_GRAM, need->text, TERM_GRAM_POINTS);
        break;
    }
}

struct terms query_terms(const struct query *query, struct arena *a, size_t max)
{
    struct term_list list = {NULL, 0, 0};
    for (size_t i = 0; i < query->count; i++)
        add_terms(a, &list, &query->needs[i]);
    struct terms terms = term_list_close(a, &list);
    return (struct terms){terms.list, terms.count < max ? terms.count : max};
}

/* ---- holding against a row ---- */

static void found(struct query_memo *memo, size_t need)
{
    memo->missing -= !memo->found[need];
    memo->found[need] = true;
}

static void look_for_word(const struct query *query, const struct piece *word)
{
    struct query_memo *memo = query->memo;
    if (!(memo->lengths & length_bit(word->len)))
        return;
    uint32_t hash = term_of(TERM_WORD, word->data, word->len);
    for (size_t at = slot_of(memo, hash); memo->slots[at].need; at = (at + 1) & memo->slot_mask)
        if (memo->slots[at].hash == hash && text_equal(query->needs[memo->slots[at].need - 1].text,
                                                       (struct text){word->data, word->len})) {
            found(memo, memo->slots[at].need - 1);
            return;
        }
}

static void look_for_prefixes(const struct query *query, const struct piece *word)
{
    struct query_memo *memo = query->memo;
    for (size_t i = 0; i < memo->prefix_count; i++) {
        struct text prefix = query->needs[memo->prefixes[i]].text;
        if (word->len >= prefix.len && *word->data == *prefix.data &&
            memcmp(word->data, prefix.data, prefix.len) == 0)
            found(memo, memo->prefixes[i]);
    }
}

enum seen { SEEN_NOT, SEEN, SEEN_UNSURE };

/* A plain word stands between blanks that are one byte each. Beside a byte of a longer character
 * it takes a closer look. */
static enum seen seek(const struct need *need, struct text folded)
{
    const char *at = folded.data, *end = at + folded.len;
    while ((at = memmem(at, (size_t)(end - at), need->text.data, need->text.len))) {
        const char *after = at + need->text.len;
        char before = ' ', next = ' ';
        if (at > folded.data)
            before = at[-1];
        if (need->kind == NEED_WORD && after < end)
            next = *after;
        if ((before | next) & 0x80)
            return SEEN_UNSURE;
        if (!is_plain(before) && !is_plain(next))
            return SEEN;
        for (at = after; at < end && is_plain(*at);)
            at++;
    }
    return SEEN_NOT;
}

/* False: the words must be read. */
static bool seek_words(const struct query *query, struct text folded)
{
    for (size_t i = 0; i < query->count; i++) {
        const struct need *need = &query->needs[i];
        if ((need->kind != NEED_WORD && need->kind != NEED_PREFIX) || query->memo->found[i])
            continue;
        enum seen seen = seek(need, folded);
        if (seen == SEEN_UNSURE)
            return false;
        if (seen == SEEN)
            found(query->memo, i);
    }
    return true;
}

static void look_for_words(const struct query *query, struct text folded)
{
    struct query_memo *memo = query->memo;
    struct piece piece;
    if ((!memo->has_words && memo->prefix_count == 0) || (memo->seeks && seek_words(query, folded)))
        return;
    while (memo->missing && (piece = piece_next(&folded)).kind != PIECE_END) {
        if (piece.kind != PIECE_WORD || piece.points < TERM_WORD_MIN)
            continue;
        look_for_word(query, &piece);
        look_for_prefixes(query, &piece);
    }
}

/* What begins and ends with letters that stand in runs is in one of them, when it is there. */
static void look_for_parts(const struct query *query, struct text folded)
{
    for (size_t i = 0; i < query->count; i++) {
        const struct need *need = &query->needs[i];
        if ((need->kind == NEED_RUN || need->kind == NEED_PART) && !query->memo->found[i] &&
            memmem(folded.data, folded.len, need->text.data, need->text.len))
            found(query->memo, i);
    }
}

bool query_matches(struct query *query, const struct text *texts, size_t count)
{
    struct query_memo *memo = query->memo;
    if (query->finds_nothing)
        return false;
    memset(memo->found, 0, query->count * sizeof *memo->found);
    memo->missing = query->count;
    for (size_t i = 0; i < count && memo->missing; i++) {
        struct text folded = fold_into(memo->arena, &memo->room, texts[i]);
        if (!folded.data)
            continue;
        look_for_parts(query, folded);
        look_for_words(query, folded);
    }
    return memo->missing == 0;
}

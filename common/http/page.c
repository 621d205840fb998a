#include "common/http/page.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "common/list/list.h"
#include "common/field/json_write.h"
#include "common/http/response.h"
#include "common/http/router.h"

#define TAG_SIZE                                                                                   \
    16 /* of a cursor: enough against guessing, HMAC cut as RFC 2104 section 5 allows */
#define KEY_MAX 1100 /* bytes of a sort key: 255 characters of UTF-8 and some room */

struct pagination {
    int64_t page;
    int64_t limit;
    int64_t total;
    int64_t pages;
    struct text next_cursor;
    bool total_capped;
};

#define PAGE FIELD(struct pagination, page, .use = FIELD_SHOWN, .example = "1", .doc = "This page.")
#define LIMIT                                                                                      \
    FIELD(struct pagination, limit, .use = FIELD_SHOWN, .example = "20",                           \
          .doc = "How many things a page has at most.")
#define NEXT_CURSOR                                                                                \
    FIELD(struct pagination, next_cursor, .use = FIELD_SHOWN | FIELD_NULLABLE,                     \
          .doc = "For the parameter `cursor` of the next page; null at the end. A page may hold "  \
                 "fewer rows than `limit`, even none, and have one all the same.")

static const struct field pagination_fields[] = {
    PAGE,
    LIMIT,
    FIELD(struct pagination, total, .use = FIELD_SHOWN, .example = "1",
          .doc = "How many things there are on all pages."),
    FIELD(struct pagination, pages, .use = FIELD_SHOWN, .example = "1",
          .doc = "How many pages there are; 0 when there is nothing."),
    NEXT_CURSOR,
    FIELD(struct pagination, total_capped, .use = FIELD_SHOWN | FIELD_OMIT_EMPTY, .example = "true",
          .doc = "True where counting stopped: there are at least `total`."),
};

const struct record pagination_record =
    RECORD("Pagination", struct pagination, pagination_fields, .rule = NULL);

static const struct field uncounted_pagination_fields[] = {PAGE, LIMIT, NEXT_CURSOR};

const struct record uncounted_pagination_record =
    RECORD("UncountedPagination", struct pagination, uncounted_pagination_fields, .rule = NULL);

static const struct field cursor_pagination_fields[] = {LIMIT, NEXT_CURSOR};

const struct record cursor_pagination_record =
    RECORD("CursorPagination", struct pagination, cursor_pagination_fields, .rule = NULL);

/* ---- what was asked ---- */

static int64_t offset_of(int64_t page, int64_t limit)
{
    if (page - 1 > INT64_MAX / limit)
        return INT64_MAX;
    return (page - 1) * limit;
}

/* ---- cursors ---- */

/* The length says where a value ends, whatever is in it. */
static const char *add_to_scope(struct arena *a, const char *scope, const char *name,
                                const char *value)
{
    return arena_printf(a, "%s\n%s %zu %s", scope, name, strlen(value), value);
}

static const char *value_text(struct arena *a, const struct db_arg *value)
{
    char *id = arena_alloc(a, UUID_TEXT_SIZE);
    if (value->type != DB_UUID)
        return arena_printf(a, "%lld", (long long)value->integer);
    uuid_format(&value->uuid, id);
    return id;
}

/* What the caller may see. */
static const char *add_filters(const struct page *page, const char *bound)
{
    const struct list_scope *scope = page->scope;
    struct arena *a = page->rq->arena;
    for (unsigned i = 0; i < LIST_FILTERS_MAX; i++)
        if (scope->filters & 1U << i)
            bound = add_to_scope(a, bound, page->list->filters[i].column,
                                 value_text(a, &scope->values[i]));
    return bound;
}

/* An empty text is no filter; and a filter's value, which may be there though nobody asked for it,
 * is bound as a part of what the caller may see. */
static bool binds_nothing(const struct page *page, const struct field *f)
{
    const char *at = page->rq->query;
    if (f->type == FIELD_TEXT && !((const struct text *)(const void *)(at + f->offset))->len)
        return true;
    for (size_t i = 0; i < LIST_FILTERS_MAX; i++) {
        const char *column = page->list->filters[i].column;
        if (column && strcmp(column, f->name) == 0)
            return true;
    }
    return false;
}

/* What a cursor is bound to: the path, all of the query that decides which rows come in which
 * order, and what the caller may see of them. */
static const char *scope_of(const struct page *page)
{
    const struct request *rq = page->rq;
    const struct record *r = rq->route->query;
    char *path = arena_strdup(rq->arena, rq->path);
    for (char *c = path; *c; c++)
        *c = (char)tolower((unsigned char)*c); /* an id may be spelled in either case */
    const char *bound = path;
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        bool counts = f->default_value || (rq->query_given & ((field_set)1 << i));
        if (counts && f->offset > offsetof(struct list_query, total) && !binds_nothing(page, f))
            bound = add_to_scope(rq->arena, bound, f->name, field_to_text(rq->arena, f, rq->query));
    }
    return add_filters(page, bound);
}

/* A cursor is TAG, id and key: the tag is the HMAC of all the rest and the scope. */
static void make_tag(const struct page *page, size_t key, const unsigned char *rest, size_t len,
                     unsigned char ret_mac[32])
{
    const char *scope = scope_of(page);
    size_t scope_len = strlen(scope);
    unsigned char *all = arena_alloc(page->rq->arena, len + scope_len);
    memcpy(all, rest, len);
    memcpy(all + len, scope, scope_len);
    keyring_mac(page->keys, key, "cursor", all, len + scope_len, ret_mac);
}

static bool is_by_time(const struct page *page)
{
    return list_key_field(page->list, page->query->sort)->type == FIELD_TIME;
}

static const char *make_cursor(const struct page *page)
{
    const struct list_place *last = &page->last;
    bool is_time = is_by_time(page);
    struct text key =
        is_time ? (struct text){(const char *)&last->time, sizeof last->time} : last->text;
    struct arena *a = page->rq->arena;
    unsigned char mac[32], *bytes = arena_alloc(a, TAG_SIZE + sizeof last->id + key.len);
    memcpy(bytes + TAG_SIZE, &last->id, sizeof last->id);
    if (key.len)
        memcpy(bytes + TAG_SIZE + sizeof last->id, key.data, key.len);
    make_tag(page, 0, bytes + TAG_SIZE, sizeof last->id + key.len, mac);
    memcpy(bytes, mac, TAG_SIZE);
    return base64url(a, bytes, TAG_SIZE + sizeof last->id + key.len);
}

static bool is_ours(const struct page *page, const unsigned char *bytes, size_t len)
{
    unsigned char mac[32];
    for (size_t i = 0; i < keyring_count(page->keys); i++) {
        make_tag(page, i, bytes + TAG_SIZE, len - TAG_SIZE, mac);
        if (secret_equal(mac, bytes, TAG_SIZE))
            return true;
    }
    return false;
}

static bool read_cursor(struct page *page, struct text cursor)
{
    struct list_place *place = &page->window.place;
    size_t len = cursor.len * 3 / 4, head = TAG_SIZE + sizeof place->id;
    unsigned char *bytes = arena_alloc(page->rq->arena, len + 1);
    if (len < head || len > head + KEY_MAX ||
        !base64url_decode(cursor.data, cursor.len, bytes, len) || !is_ours(page, bytes, len))
        return false;
    memcpy(&place->id, bytes + TAG_SIZE, sizeof place->id);
    if (is_by_time(page))
        memcpy(&place->time, bytes + head, sizeof place->time); /* ours, and so of this size */
    else
        place->text = (struct text){(const char *)bytes + head, len - head};
    page->window.after = true;
    return true;
}

/* ---- reading and writing ---- */

/* Not every list has a range. */
static bool is_given(const struct request *rq, const char *name)
{
    const struct record *r = rq->route->query;
    const struct field *f = record_find(r, name);
    return f && (rq->query_given & ((field_set)1 << (f - r->fields)));
}

static void read_range(struct page *page)
{
    struct list_window *w = &page->window;
    bool from = is_given(page->rq, "created_after"), before = is_given(page->rq, "created_before");
    w->ranged = from || before;
    w->from = from ? page->query->created_after : LIST_FROM;
    w->before = before ? page->query->created_before : LIST_BEFORE;
}

struct problem *page_open(struct page *page, const struct page_source *source, struct request *rq,
                          struct response *rs, const struct list *list,
                          const struct list_scope *scope)
{
    const struct list_query *query = rq->query;
    *page = (struct page){.rq = rq,
                          .rs = rs,
                          .list = list,
                          .query = query,
                          .scope = scope,
                          .keys = source->keys,
                          .viewer = {rq->caller.id, rq->caller.admin, rq->now},
                          .number = query->page,
                          .limit = query->limit};
    page->window = (struct list_window){.limit = page->limit + 1,
                                        .offset = offset_of(page->number, page->limit),
                                        .page_reach = source->page_reach,
                                        .search_reach = source->search_reach};
    if (query->cursor.data && !read_cursor(page, query->cursor))
        return problem_of_field(rq->arena, "cursor", FAULT_FORMAT,
                                "Is not one that this list has given out for these filters.");
    if (page->window.after)
        page->window.offset = 0;
    if (list->view)
        page->seen = arena_alloc(rq->arena, list->row->size);
    read_range(page);
    json_object(&rs->body);
    json_key(&rs->body, PAGE_DATA_KEY);
    json_array(&rs->body);
    page->begin = rs->body.len;
    return NULL;
}

/* Any row may become the last one, and then its place is where the next page begins. */
static void remember(struct page *page, const void *row)
{
    page->last = list_place_of(page->list, page->query->sort, row);
    page->last.text = arena_text(page->rq->arena, page->last.text);
}

static void write_row(struct page *page, const void *row)
{
    const struct list *list = page->list;
    const struct record *as = list->view ? list->view(&page->viewer, row, page->seen) : list->row;
    response_item(page->rs, as, list->view ? page->seen : row);
}

void page_add(void *context, const void *row)
{
    struct page *page = context;
    struct buf *body = &page->rs->body;
    size_t len = body->len;
    if (page->written == page->limit || page->cut) {
        page->more = true;
        return;
    }
    write_row(page, row);
    if (page->written && body->len > PAGE_BYTES_MAX) {
        body->len = len;
        page->more = page->cut = true;
        return;
    }
    page->written++;
    remember(page, row);
}

void page_restart(void *context)
{
    struct page *page = context;
    page->rs->body.len = page->begin;
    page->written = 0;
    page->more = page->cut = false;
}

/* ---- Link ---- */

/* What stands in a query may be any byte that nginx let through; in a header between < and >
 * it may not. */
static void put_safely(struct buf *b, const char *part, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)part[i];
        if (c > ' ' && c < 0x7F && !strchr("<>\"\\^`{|}", c))
            buf_add(b, &part[i], 1);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static bool names(const char *pair, size_t len, const char *name)
{
    size_t n = strlen(name);
    return len >= n && memcmp(pair, name, n) == 0 && (len == n || pair[n] == '=');
}

/* The query as it came, without `page` and `cursor`. */
static void put_filters(struct buf *b, const char *query)
{
    while (*query) {
        size_t len = strcspn(query, "&");
        if (len && !names(query, len, "page") && !names(query, len, "cursor")) {
            buf_puts(b, "&");
            put_safely(b, query, len);
        }
        query += len + (query[len] == '&');
    }
}

static void put_link(struct page *page, struct buf *b, const char *name, const char *value,
                     const char *relation)
{
    const char *base = page->rq->base ? page->rq->base : "";
    buf_puts(b, b->len ? ", <" : "<");
    put_safely(b, base, strlen(base));
    put_safely(b, page->rq->path, strlen(page->rq->path));
    /* Ours comes first, and the first counts: also where the query has it as `p%61ge`. */
    buf_printf(b, "?%s=%s", name, value);
    put_filters(b, page->rq->raw_query);
    buf_printf(b, ">; rel=\"%s\"", relation);
}

static void put_page_link(struct page *page, struct buf *b, int64_t number, const char *relation)
{
    put_link(page, b, "page", arena_printf(page->rq->arena, "%lld", (long long)number), relation);
}

/* May a page be asked for by this number, of a list that goes so far? Where nothing was counted for
 * this page, it is for one that is too far, which is refused then. */
static bool is_within_reach(const struct page *page, const struct list_total *total, int64_t number)
{
    int64_t offset = offset_of(number, page->limit);
    if (offset > page->window.page_reach || (total->bounded && offset >= LIST_COUNT_MAX))
        return false;
    return !(total->capped && offset >= total->count);
}

static void add_number_links(struct page *page, struct buf *b, const struct list_total *total,
                             int64_t pages)
{
    int64_t before = page->number - 1;
    if (total->counted && !page->written && pages < before)
        before = pages;
    put_page_link(page, b, 1, "first");
    if (before > 0 && is_within_reach(page, total, before))
        put_page_link(page, b, before, "prev");
}

static void add_links(struct page *page, const struct list_total *total, const char *cursor,
                      int64_t pages)
{
    struct buf b;
    bool by_number = !page->window.after;
    buf_init(&b, HEADER_VALUE_MAX);
    if (by_number)
        add_number_links(page, &b, total, pages);
    if (by_number && page->more && !page->cut && is_within_reach(page, total, page->number + 1))
        put_page_link(page, &b, page->number + 1, "next");
    else if (cursor)
        put_link(page, &b, "cursor", cursor, "next");
    if (by_number && page->query->total && pages && !total->capped &&
        is_within_reach(page, total, pages))
        put_page_link(page, &b, pages, "last");
    if (b.len && !b.full)
        response_header(page->rs, "Link", "%.*s", (int)b.len, b.data);
    buf_release(&b);
}

/* ---- closing ---- */

static const struct record *pagination_of(const struct page *page)
{
    if (page->window.after)
        return &cursor_pagination_record;
    return page->query->total ? &pagination_record : &uncounted_pagination_record;
}

void page_close(struct page *page, const struct list_total *total)
{
    struct buf *b = &page->rs->body;
    if (total->cut && !page->more) {
        page->more = page->cut = true;
        page->last = total->end;
    }
    const struct pagination pagination = {
        .page = page->number,
        .limit = page->limit,
        .total = total->count,
        .pages = total->count / page->limit + (total->count % page->limit != 0),
        .next_cursor = text_of(page->more ? make_cursor(page) : NULL),
        .total_capped = total->capped,
    };
    json_array_end(b);
    json_key(b, PAGE_PAGINATION_KEY);
    record_to_json(b, pagination_of(page), &pagination);
    json_object_end(b);
    add_links(page, total, pagination.next_cursor.data, pagination.pages);
}

struct problem *page_list(const struct page_source *source, struct request *rq, struct response *rs,
                          const struct list *list, const struct list_scope *scope,
                          struct list_total *ret, int64_t *ret_written)
{
    struct page page;
    const struct list_taker taker = {page_add, page_restart, &page};
    struct problem *p = page_open(&page, source, rq, rs, list, scope);
    if (!p)
        p = list_read(source->db, rq->arena, list, rq->query, scope, &page.window, &taker, ret);
    if (p)
        return p;
    page_close(&page, ret);
    *ret_written = page.written;
    return NULL;
}

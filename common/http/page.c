#include "common/http/page.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/crypto/digest.h"
#include "common/crypto/keyring.h"
#include "common/db/window.h"
#include "common/field/json_write.h"
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

#define LIMIT                                                                                      \
    FIELD(struct pagination, limit, .use = FIELD_SHOWN, .example = "20",                           \
          .doc = "How many things a page has at most.")
#define NEXT_CURSOR                                                                                \
    FIELD(struct pagination, next_cursor, .use = FIELD_SHOWN | FIELD_NULLABLE,                     \
          .doc = "For the parameter `cursor` of the next page; null at the end. A page may hold "  \
                 "fewer rows than `limit`, even none, and have one all the same.")

static const struct field pagination_fields[] = {
    FIELD(struct pagination, page, .use = FIELD_SHOWN, .example = "1", .doc = "This page."),
    LIMIT,
    FIELD(struct pagination, total, .use = FIELD_SHOWN, .example = "1",
          .doc = "How many things there are on all pages."),
    FIELD(struct pagination, pages, .use = FIELD_SHOWN, .example = "1",
          .doc = "How many pages there are; 0 when there is nothing."),
    NEXT_CURSOR,
    FIELD(struct pagination, total_capped, .use = FIELD_SHOWN | FIELD_OMIT_EMPTY, .example = "true",
          .doc = "True where a search stopped counting; there may be more than `total`."),
};

const struct record pagination_record =
    RECORD("Pagination", struct pagination, pagination_fields, .rule = NULL);

static const struct field cursor_pagination_fields[] = {LIMIT, NEXT_CURSOR};

const struct record cursor_pagination_record =
    RECORD("CursorPagination", struct pagination, cursor_pagination_fields, .rule = NULL);

/* ---- what was asked ---- */

/* The field that the list is sorted by. */
static const struct field *find_key(const struct record *r, const char *word)
{
    const struct field *key = record_find(r, *word == '-' ? word + 1 : word);
    if (!key || (key->type != FIELD_TIME && key->type != FIELD_TEXT))
        abort(); /* a table whose sorts are not members of its rows */
    return key;
}

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

/* What a cursor is bound to: the path, and all of the query that decides which rows come in
 * which order, which is all but page, limit and cursor. */
static const char *scope_of(const struct request *rq)
{
    const struct record *r = rq->route->query;
    char *path = arena_strdup(rq->arena, rq->path);
    for (char *c = path; *c; c++)
        *c = (char)tolower((unsigned char)*c); /* an id may be spelled in either case */
    const char *scope = path;
    for (size_t i = 0; i < r->count; i++) {
        const struct field *f = &r->fields[i];
        bool counts = f->default_value || (rq->query_given & ((field_set)1 << i));
        if (counts && f->offset >= offsetof(struct page_query, sort))
            scope = add_to_scope(rq->arena, scope, f->name, field_to_text(rq->arena, f, rq->query));
    }
    return scope;
}

/* A cursor is TAG, id and key: the tag is the HMAC of all the rest and the scope. */
static void make_tag(const struct page *page, size_t key, const unsigned char *rest, size_t len,
                     unsigned char ret_mac[32])
{
    const char *scope = scope_of(page->rq);
    size_t scope_len = strlen(scope);
    unsigned char *all = arena_alloc(page->rq->arena, len + scope_len);
    memcpy(all, rest, len);
    memcpy(all + len, scope, scope_len);
    keyring_mac(page->keys, key, "cursor", all, len + scope_len, ret_mac);
}

static const char *make_cursor(const struct page *page)
{
    const struct page_window *last = &page->last;
    bool is_time = page->key->type == FIELD_TIME;
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
    struct page_window *w = &page->window;
    size_t len = cursor.len * 3 / 4, head = TAG_SIZE + sizeof w->id;
    unsigned char *bytes = arena_alloc(page->rq->arena, len + 1);
    if (len < head || len > head + KEY_MAX ||
        !base64url_decode(cursor.data, cursor.len, bytes, len) || !is_ours(page, bytes, len))
        return false;
    w->after = true;
    memcpy(&w->id, bytes + TAG_SIZE, sizeof w->id);
    if (page->key->type == FIELD_TIME)
        memcpy(&w->time, bytes + head, sizeof w->time); /* ours, and so of this size */
    else
        w->text = (struct text){(const char *)bytes + head, len - head};
    return true;
}

/* ---- reading and writing ---- */

struct problem *page_open(struct page *page, struct request *rq, struct response *rs,
                          const struct record *r, const char *const *sorts,
                          const struct keyring *keys)
{
    const struct page_query *query = rq->query;
    *page = (struct page){.rq = rq,
                          .rs = rs,
                          .r = r,
                          .keys = keys,
                          .key = find_key(r, sorts[query->sort]),
                          .number = query->page,
                          .limit = query->limit};
    page->window.limit = page->limit + 1;
    page->window.offset = offset_of(page->number, page->limit);
    if (query->cursor.data && !read_cursor(page, query->cursor))
        return problem_of_field(rq->arena, "cursor", FAULT_FORMAT,
                                "Is not one that this list has given out for these filters.");
    if (page->window.after)
        page->window.offset = 0;
    json_object(&rs->body);
    json_key(&rs->body, PAGE_DATA_KEY);
    json_array(&rs->body);
    return NULL;
}

/* Only the last row's place is kept, and so only it is copied. */
static void remember(struct page *page, const void *row)
{
    const char *at = row;
    const struct field *id = record_find(page->r, "id");
    memcpy(&page->last.id, at + id->offset, sizeof page->last.id);
    if (page->key->type == FIELD_TIME)
        memcpy(&page->last.time, at + page->key->offset, sizeof page->last.time);
    else
        page->last.text = arena_text(page->rq->arena,
                                     *(const struct text *)(const void *)(at + page->key->offset));
}

void page_add(void *context, const void *row)
{
    struct page *page = context;
    if (page->written == page->limit) {
        page->more = true;
        return;
    }
    response_item(page->rs, page->r, row);
    if (++page->written == page->limit)
        remember(page, row);
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

static void put_link(struct page *page, struct buf *b, const char *base_path, const char *name,
                     const char *value, const char *relation)
{
    buf_puts(b, b->len ? ", <" : "<");
    put_safely(b, base_path, strlen(base_path));
    put_safely(b, page->rq->path, strlen(page->rq->path));
    /* Ours comes first, and the first counts: also where the query has it as `p%61ge`. */
    buf_printf(b, "?%s=%s", name, value);
    put_filters(b, page->rq->raw_query);
    buf_printf(b, ">; rel=\"%s\"", relation);
}

static void put_page_link(struct page *page, struct buf *b, const char *base_path, int64_t number,
                          const char *relation)
{
    put_link(page, b, base_path, "page", arena_printf(page->rq->arena, "%lld", (long long)number),
             relation);
}

static void add_links(struct page *page, const char *base_path, const char *cursor, int64_t pages,
                      bool capped)
{
    struct buf b;
    buf_init(&b, HEADER_VALUE_MAX);
    bool is_inside = page->number - 1 < pages || (capped && page->written);
    int64_t before = is_inside ? page->number - 1 : pages;
    if (page->window.after) {
        if (cursor)
            put_link(page, &b, base_path, "cursor", cursor, "next");
    } else {
        put_page_link(page, &b, base_path, 1, "first");
        if (before > 0)
            put_page_link(page, &b, base_path, before, "prev");
        if (page->cut)
            put_link(page, &b, base_path, "cursor", cursor, "next");
        else if (page->more)
            put_page_link(page, &b, base_path, page->number + 1, "next");
        if (pages && !capped)
            put_page_link(page, &b, base_path, pages, "last");
    }
    if (b.len && !b.full)
        response_header(page->rs, "Link", "%.*s", (int)b.len, b.data);
    buf_release(&b);
}

/* ---- closing ---- */

void page_close(struct page *page, const char *base_path, struct page_total total)
{
    struct buf *b = &page->rs->body;
    if (total.cut && !page->more) {
        page->more = page->cut = true;
        page->last = total.end;
    }
    const struct pagination pagination = {
        .page = page->number,
        .limit = page->limit,
        .total = total.count,
        .pages = total.count / page->limit + (total.count % page->limit != 0),
        .next_cursor = text_of(page->more ? make_cursor(page) : NULL),
        .total_capped = total.capped,
    };
    json_array_end(b);
    json_key(b, PAGE_PAGINATION_KEY);
    record_to_json(b, page->window.after ? &cursor_pagination_record : &pagination_record,
                   &pagination);
    json_object_end(b);
    add_links(page, base_path, pagination.next_cursor.data, pagination.pages, total.capped);
}

#include "page.h"

int64_t page_offset(int64_t page, int64_t limit)
{
    if (page - 1 > INT64_MAX / limit)
        return INT64_MAX;
    return (page - 1) * limit;
}

void page_begin(const struct page_writer *w)
{
    json_object(w->b);
    json_key(w->b, "data");
    json_array(w->b);
}

void page_add(void *writer, const void *row)
{
    const struct page_writer *w = writer;
    record_to_json(w->b, w->r, row);
}

static void put_integer(struct buf *b, const char *key, int64_t n)
{
    json_key(b, key);
    json_integer(b, n);
}

void page_end(const struct page_writer *w, int64_t page, int64_t limit, struct page_total total)
{
    json_array_end(w->b);
    json_key(w->b, "pagination");
    json_object(w->b);
    put_integer(w->b, "page", page);
    put_integer(w->b, "limit", limit);
    put_integer(w->b, "total", total.count);
    put_integer(w->b, "pages", total.count / limit + (total.count % limit != 0));
    if (total.capped) {
        json_key(w->b, "total_capped");
        json_boolean(w->b, true);
    }
    json_object_end(w->b);
    json_object_end(w->b);
}

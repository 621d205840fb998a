#include "page.h"

struct pagination {
    int64_t page;
    int64_t limit;
    int64_t total;
    int64_t pages;
    bool total_capped;
};

static const struct field pagination_fields[] = {
    FIELD(struct pagination, page, .use = FIELD_SHOWN, .example = "1", .doc = "This page."),
    FIELD(struct pagination, limit, .use = FIELD_SHOWN, .example = "20",
          .doc = "How many things a page has at most."),
    FIELD(struct pagination, total, .use = FIELD_SHOWN, .example = "1",
          .doc = "How many things there are on all pages."),
    FIELD(struct pagination, pages, .use = FIELD_SHOWN, .example = "1",
          .doc = "How many pages there are; 0 when there is nothing."),
    FIELD(struct pagination, total_capped, .use = FIELD_SHOWN | FIELD_OPTIONAL, .example = "true",
          .doc = "True where a search stopped counting; there may be more than `total`."),
};

const struct record pagination_record =
    RECORD("Pagination", struct pagination, pagination_fields, 0);

int64_t page_offset(int64_t page, int64_t limit)
{
    if (page - 1 > INT64_MAX / limit)
        return INT64_MAX;
    return (page - 1) * limit;
}

void page_begin(const struct page_writer *w)
{
    json_object(w->b);
    json_key(w->b, PAGE_DATA_KEY);
    json_array(w->b);
}

void page_add(void *writer, const void *row)
{
    const struct page_writer *w = writer;
    record_to_json(w->b, w->r, row);
}

void page_end(const struct page_writer *w, int64_t page, int64_t limit, struct page_total total)
{
    const struct pagination pagination = {
        .page = page,
        .limit = limit,
        .total = total.count,
        .pages = total.count / limit + (total.count % limit != 0),
        .total_capped = total.capped,
    };
    json_array_end(w->b);
    json_key(w->b, PAGE_PAGINATION_KEY);
    record_to_json(w->b, &pagination_record, &pagination);
    json_object_end(w->b);
}

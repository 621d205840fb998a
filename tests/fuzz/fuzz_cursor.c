/* Cursors of lists: as they come; and with the first byte 'm', one that we make ourselves for a row
 * whose title is the rest, which must lead back to it. */
#include <string.h>

#include "common/base/problem.h"
#include "common/crypto/keyring.h"
#include "common/field/json.h"
#include "common/http/page.h"
#include "common/http/request.h"
#include "common/http/response.h"
#include "common/http/router.h"
#include "fcgi-app/posts/post_model.h"
#include "tests/support/fuzz.h"

#define BY_TITLE 2 /* of the words for `sort` */

static struct keyring *keys;

static struct problem *open_with(struct arena *a, struct text cursor, unsigned sort,
                                 struct request *rq, struct response *rs, struct page *page)
{
    static const struct route route = {.path = "/posts", .query = &post_query_record};
    static const struct list_scope everybody = {0};
    struct post_query *query = arena_alloc(a, sizeof *query);
    const struct page_source source = {.keys = keys, .page_reach = 20000, .search_reach = 1000};
    query->list = (struct list_query){.page = 1, .limit = 20, .cursor = cursor, .sort = sort};
    *rq = (struct request){.arena = a,
                           .base = "/api",
                           .path = "/posts",
                           .raw_query = "",
                           .route = &route,
                           .query = query,
                           .query_given = UINT64_MAX};
    return page_open(page, &source, rq, rs, &post_list, &everybody);
}

static struct text make(struct arena *a, struct text title)
{
    struct request rq;
    struct response rs;
    struct page page;
    const struct json *body;
    response_init(&rs);
    need(!open_with(a, (struct text){0}, BY_TITLE, &rq, &rs, &page));
    page.last = (struct list_place){.id = {{1, 2, 3}}, .text = title};
    page.more = true;
    page_close(&page, &(const struct list_total){0});
    need(!json_parse(a, rs.body.data, rs.body.len, &body));
    response_release(&rs);
    return json_as_text(json_get(json_get(body, "pagination"), "next_cursor"));
}

static void come_back(struct arena *a, struct text title)
{
    struct request rq;
    struct response rs;
    struct page page;
    struct text cursor = make(a, title);
    response_init(&rs);
    if (cursor.data && title.len <= 1024) {
        need(!open_with(a, cursor, BY_TITLE, &rq, &rs, &page));
        need(page.window.after && text_equal(page.window.place.text, title));
        need(open_with(a, cursor, 0, &rq, &rs, &page)); /* another order */
    }
    response_release(&rs);
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    struct request rq;
    struct response rs;
    struct page page;
    if (!keys)
        need(!keyring_open(a, "kQ3vT8mZr1Yx6Lw9Pc2Nd5Hb7Jg4Fs0A", NULL, "postern", &keys));
    if (size && data[0] == 'm') {
        come_back(a, (struct text){(const char *)data + 1, size - 1});
        return;
    }
    response_init(&rs); /* nobody guesses a tag */
    need(open_with(a, text_of(fuzz_string(a, data, size)), BY_TITLE, &rq, &rs, &page) ||
         !page.window.after);
    response_release(&rs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("cursor");

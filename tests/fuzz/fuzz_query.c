/* Query strings, into the structs of all lists; and percent-encoding by itself. */
#include <string.h>

#include "common/base/encode.h"
#include "common/base/problem.h"
#include "common/base/utf8.h"
#include "common/field/field.h"
#include "common/list/list.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/posts/post_model.h"
#include "tests/support/fuzz.h"

static void read_as(struct arena *a, const struct record *r, const char *query)
{
    struct post_query row = {0}; /* the largest; it begins as all of them do */
    field_set given = 0;
    need(r->size <= sizeof row);
    if (record_from_query(a, r, query, &row, &given))
        return;
    need(row.list.page >= 1 && row.list.limit >= 1 && row.list.limit <= LIST_LIMIT_MAX);
    need(!row.list.q.data || utf8_is_clean(row.list.q.data, row.list.q.len));
    need(!row.list.cursor.data || row.list.cursor.len <= 2000);
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    static const struct record *const records[] = {&user_query_record, &post_query_record,
                                                   &author_post_query_record, &list_by_time_record};
    const char *query = fuzz_string(a, data, size);
    char *decoded = arena_strdup(a, query);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        read_as(a, records[i], query);
    if (percent_decode(decoded))
        need(strlen(decoded) <= strlen(query));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("query");

/* JSON as bodies have it: any bytes are refused, or make a tree and then a struct of each record.
 */
#include <string.h>

#include "common/base/problem.h"
#include "common/base/utf8.h"
#include "common/field/field.h"
#include "common/field/json.h"
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/posts/post_model.h"
#include "tests/support/fuzz.h"

static unsigned walk(const struct json *node, unsigned depth)
{
    int64_t n;
    unsigned values = 1;
    struct text t = json_as_text(node);
    need(depth <= JSON_DEPTH_MAX && (!t.data || utf8_is_clean(t.data, t.len)));
    if (json_type(node) == JSON_NUMBER && json_as_integer(node, &n))
        need(n >= -INT64_C(9007199254740991) && n <= INT64_C(9007199254740991));
    if (json_type(node) == JSON_ARRAY)
        for (size_t i = 0; json_item(node, i) && i < 1000; i++)
            values += walk(json_item(node, i), depth + 1);
    return values;
}

static void decode(struct arena *a, const struct json *tree, const struct record *r)
{
    for (int i = 0; i < 4; i++) {
        field_set given = 0;
        void *row = arena_alloc(a, r->size);
        enum record_mode mode = i & 1 ? RECORD_CHANGE : RECORD_CREATE;
        if (record_from_json(a, r, tree, mode, i & 2, NULL, row, &given))
            continue;
        for (size_t f = 0; f < r->count; f++) /* nothing but what it may set */
            need(!(given & (field_set)1 << f) || field_lets_in(&r->fields[f], mode, i & 2));
    }
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    const struct json *tree = NULL;
    if (json_parse(a, (const char *)data, size, &tree))
        return;
    need(tree && json_type(tree) == JSON_OBJECT && walk(tree, 1) <= JSON_VALUES_MAX);
    (void)json_get(tree, "title");
    decode(a, tree, &user_record);
    decode(a, tree, &registration_record);
    decode(a, tree, &post_record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("json");

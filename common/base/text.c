#include "common/base/text.h"

#include <string.h>

struct text text_of(const char *s)
{
    return (struct text){s, s ? strlen(s) : 0};
}

bool text_equal(struct text a, struct text b)
{
    if (!a.data || !b.data)
        return a.data == b.data;
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

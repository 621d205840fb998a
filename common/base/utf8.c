#include "common/base/utf8.h"

#include <string.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The second byte is where overlong forms, surrogates and values past the end show
 * (RFC 3629 section 4's grammar). */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return is_tail(second);
    }
}

static size_t length_by_first(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if ((first & 0xF0) == 0xE0)
        return 3;
    if (first >= 0xF0 && first <= 0xF4)
        return 4;
    return 0;
}

size_t utf8_sequence(const char *at, size_t room)
{
    const unsigned char *s = (const unsigned char *)at;
    if (room == 0)
        return 0;
    size_t len = length_by_first(s[0]);
    if (len == 0 || len > room)
        return 0;
    if (len > 1 && !second_fits(s[0], s[1]))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_tail(s[i]))
            return 0;
    return len;
}

bool utf8_is_clean(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_sequence(text + i, len - i);
        if (n == 0 || text[i] == '\0')
            return false;
        i += n;
    }
    return true;
}

size_t utf8_mark(const char *text, size_t len)
{
    static const char mark[] = {'\xEF', '\xBB', '\xBF'};
    return len >= sizeof mark && memcmp(text, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

size_t utf8_length(const char *text, size_t len)
{
    size_t points = 0;
    for (size_t i = 0; i < len; i++)
        points += !is_tail((unsigned char)text[i]);
    return points;
}

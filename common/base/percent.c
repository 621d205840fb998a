#include "common/base/percent.h"

#include <string.h>

#include "common/base/hex.h"

int percent_byte(const char *at, size_t room)
{
    if (room < 3 || at[0] != '%' || hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
        return -1;
    return hex_digit(at[1]) * 16 + hex_digit(at[2]);
}

bool percent_decode(char *text)
{
    char *to = text;
    for (const char *at = text, *end = text + strlen(text); at < end; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int byte = percent_byte(at, (size_t)(end - at));
        if (byte <= 0)
            return false;
        *to++ = (char)byte;
        at += 2;
    }
    *to = '\0';
    return true;
}

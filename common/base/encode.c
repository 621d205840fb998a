#include "common/base/encode.h"

#include <stdint.h>
#include <string.h>

#include "common/base/arena.h"

/* ---- percent-encoding ---- */

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

/* ---- base64url (RFC 4648 section 5) ---- */

static int base64url_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_read(const char *text, size_t len, unsigned char *ret, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned held = 0; /* bits not yet written */
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = base64url_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret[n++] = (unsigned char)(bits >> held);
        }
    }
    if (held == 6 || (bits & ((1u << held) - 1)) != 0)
        return false;
    *ret_len = n;
    return true;
}

const char *base64url(struct arena *a, const void *data, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *bytes = data;
    char *text = arena_array(a, len / 3 + 1, 4);
    char *c = text;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            *c++ = alphabet[bits >> (held - 6) & 63];
    }
    if (held)
        *c++ = alphabet[bits << (6 - held) & 63];
    *c = '\0';
    return text;
}

bool base64url_decode(const char *text, size_t len, void *ret, size_t size)
{
    size_t got;
    if (len != (size * 4 + 2) / 3)
        return false;
    return base64url_read(text, len, ret, &got) && got == size;
}

#include "common/base/fold.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <wchar.h>
#include <wctype.h>

#include "common/base/exhausted.h"
#include "common/base/utf8.h"

/* The C library knows Unicode's letters, but only in a locale that is UTF-8; every glibc since 2.35
 * has this one built in. Without it (an older host) only ASCII is folded. */
static locale_t unicode(void)
{
    static locale_t made;
    if (!made)
        made = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!made && errno == ENOMEM)
        exhausted("out of memory: newlocale");
    return made;
}

/* Read one code point of well-formed text. */
static wint_t decode(const char *at, size_t len)
{
    static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    wint_t c = (unsigned char)at[0] & first_bits[len];
    for (size_t i = 1; i < len; i++)
        c = (c << 6) | ((unsigned char)at[i] & 0x3F);
    return c;
}

static size_t encode(wint_t c, char *ret)
{
    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char first_marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    ret[0] = (char)(first_marks[len] | c);
    return len;
}

static wint_t lower(wint_t c)
{
    locale_t locale = unicode();
    if (locale)
        return towlower_l(c, locale);
    return c < 0x80 ? (wint_t)tolower((int)c) : c;
}

struct text fold(struct arena *a, struct text t)
{
    if (!t.data)
        return t;
    char *out = arena_array(a, t.len + 1, 4); /* a letter may take more bytes in lower case */
    size_t len = 0;
    for (size_t i = 0; i < t.len;) {
        size_t n = utf8_sequence(t.data + i, t.len - i);
        if (n == 0) /* rows from elsewhere; ours are checked when they come in */
            break;
        len += encode(lower(decode(t.data + i, n)), out + len);
        i += n;
    }
    return (struct text){out, len};
}

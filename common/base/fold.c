#include "common/base/fold.h"

#include <ctype.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "common/base/utf8.h"

/* The C library knows Unicode's letters, but only in a locale that is UTF-8; every glibc since 2.35
 * has this one built in. Without it (an older host) only ASCII is folded. */
static locale_t unicode(void)
{
    static locale_t made;
    if (!made)
        made = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
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

/* Marks and numbers that the C library does not take for letters or digits, but MariaDB 10.11 does
 * when it cuts text into words: found by indexing abcXxyz for every X of the basic plane. */
static const struct {
    unsigned short first, last;
} word_marks[] = {
    {0x00B2, 0x00B3}, {0x00B9, 0x00B9}, {0x00BC, 0x00BE}, {0x0300, 0x0344}, {0x0346, 0x036F},
    {0x0483, 0x0486}, {0x0488, 0x0489}, {0x0591, 0x05AF}, {0x0658, 0x0658}, {0x06DE, 0x06E0},
    {0x06EA, 0x06EC}, {0x0740, 0x074A}, {0x07EB, 0x07F3}, {0x093C, 0x093C}, {0x094D, 0x094D},
    {0x0951, 0x0954}, {0x09BC, 0x09BC}, {0x09CD, 0x09CD}, {0x09F4, 0x09F9}, {0x0A3C, 0x0A3C},
    {0x0A4D, 0x0A4D}, {0x0ABC, 0x0ABC}, {0x0ACD, 0x0ACD}, {0x0B3C, 0x0B3C}, {0x0B4D, 0x0B4D},
    {0x0BCD, 0x0BCD}, {0x0BF0, 0x0BF2}, {0x0C4D, 0x0C4D}, {0x0CBC, 0x0CBC}, {0x0CCD, 0x0CCD},
    {0x0D4D, 0x0D4D}, {0x0DCA, 0x0DCA}, {0x0E47, 0x0E4C}, {0x0E4E, 0x0E4E}, {0x0EC8, 0x0ECC},
    {0x0F18, 0x0F19}, {0x0F2A, 0x0F33}, {0x0F35, 0x0F35}, {0x0F37, 0x0F37}, {0x0F39, 0x0F39},
    {0x0F3E, 0x0F3F}, {0x0F82, 0x0F84}, {0x0F86, 0x0F87}, {0x0FC6, 0x0FC6}, {0x1037, 0x1037},
    {0x1039, 0x1039}, {0x135F, 0x135F}, {0x1369, 0x137C}, {0x1714, 0x1714}, {0x1734, 0x1734},
    {0x17C9, 0x17D3}, {0x17DD, 0x17DD}, {0x17F0, 0x17F9}, {0x180B, 0x180D}, {0x1939, 0x193B},
    {0x1B34, 0x1B34}, {0x1B44, 0x1B44}, {0x1B6B, 0x1B73}, {0x1DC0, 0x1DCA}, {0x1DFE, 0x1DFF},
    {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089}, {0x20D0, 0x20EF}, {0x2153, 0x215F},
    {0x2460, 0x249B}, {0x24EA, 0x24FF}, {0x2776, 0x2793}, {0x2CFD, 0x2CFD}, {0x302A, 0x302F},
    {0x3099, 0x309A}, {0x3192, 0x3195}, {0x3220, 0x3229}, {0x3251, 0x325F}, {0x3280, 0x3289},
    {0x32B1, 0x32BF}, {0xA806, 0xA806}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE23},
};

static bool is_word_mark(wint_t c)
{
    for (size_t i = 0; i < sizeof word_marks / sizeof *word_marks; i++)
        if (c >= word_marks[i].first && c <= word_marks[i].last)
            return true;
    return false;
}

static bool is_word_point(wint_t c)
{
    locale_t locale = unicode();
    if (c < 0x80 || !locale)
        return c >= 0x80 || isalnum((int)c) || c == '_';
    return iswalnum_l(c, locale) || is_word_mark(c);
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

/* The bytes of the gram at `at`, or 0 when fewer points are left. */
static size_t gram_at(const char *at, size_t room)
{
    size_t len = 0;
    for (int i = 0; i < GRAM_POINTS; i++) {
        size_t n = utf8_sequence(at + len, room - len);
        if (n == 0)
            return 0;
        len += n;
    }
    return len;
}

/* An x and hex: no stop word, no length limit and no collation applies to such a word. */
static char *put_gram(char *out, const char *at, size_t len)
{
    *out++ = 'x';
    for (size_t i = 0; i < len; i++)
        out += sprintf(out, "%02x", (unsigned char)at[i]);
    return out;
}

const char *fold_grams(struct arena *a, struct text folded, const char *before, size_t max)
{
    if (!folded.data)
        return "";
    size_t gram_max = strlen(before) + 1 + GRAM_POINTS * 4 * 2 + 1, len;
    char *words = arena_array(a, folded.len + 1, gram_max), *out = words;
    for (size_t at = 0; max && (len = gram_at(folded.data + at, folded.len - at)) > 0; max--) {
        if (out != words)
            *out++ = ' ';
        out = stpcpy(out, before);
        out = put_gram(out, folded.data + at, len);
        at += utf8_sequence(folded.data + at, folded.len - at);
    }
    *out = '\0';
    return words;
}

struct text like_pattern(struct arena *a, struct text t)
{
    char *out = arena_array(a, t.len + 2, 2), *at = out;
    *at++ = '%';
    for (size_t i = 0; i < t.len; i++) {
        if (strchr("%_\\", t.data[i]))
            *at++ = '\\';
        *at++ = t.data[i];
    }
    *at++ = '%';
    return (struct text){out, (size_t)(at - out)};
}

/* The length in bytes of the run of word points at `at`, and in points. */
static size_t word_at(const char *at, size_t room, size_t *ret_points)
{
    size_t len = 0, n;
    *ret_points = 0;
    while ((n = utf8_sequence(at + len, room - len)) > 0 && is_word_point(decode(at + len, n))) {
        len += n;
        (*ret_points)++;
    }
    return len;
}

const char *match_all_words(struct arena *a, struct text q)
{
    char *words = arena_array(a, q.len + 1, 3), *out = words;
    for (size_t at = 0; at < q.len;) {
        size_t points, len = word_at(q.data + at, q.len - at, &points);
        if (points > WORD_MAX)
            return "";
        if (points >= WORD_MIN) {
            out = stpcpy(out, out == words ? "+" : " +");
            out = mempcpy(out, q.data + at, len);
        }
        size_t gap = utf8_sequence(q.data + at + len, q.len - at - len);
        at += len + (gap ? gap : 1);
    }
    *out = '\0';
    return words;
}

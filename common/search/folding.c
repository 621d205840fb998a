#include "common/search/folding.h"

#include <string.h>
#include <utf8proc.h>

#include "common/base/utf8.h"

#define MARKS_MAX 30      /* on one letter, as in UAX #15's Stream-Safe Text */
#define DECOMPOSED_MAX 32 /* the longest of all has 18 code points */

struct points {
    utf8proc_int32_t first, last;
};

static bool is_in(utf8proc_int32_t c, const struct points *ranges, size_t count)
{
    for (size_t i = 0; i < count && c >= ranges[i].first; i++)
        if (c <= ranges[i].last)
            return true;
    return false;
}

/* Where the letters of Latin, Greek and Cyrillic are that do not decompose (Scripts.txt); what else
 * lies there is not a letter. */
static bool loses_marks(utf8proc_int32_t c)
{
    static const struct points ranges[] = {
        {0x41, 0x2AF},      {0x370, 0x3E1},     {0x3F0, 0x52F},     {0x1C80, 0x1C8F},
        {0x1D00, 0x1DBF},   {0x1E00, 0x1FFF},   {0x2132, 0x2132},   {0x214E, 0x214E},
        {0x2180, 0x2188},   {0x2C60, 0x2C7F},   {0xA640, 0xA69F},   {0xA720, 0xA7FF},
        {0xAB30, 0xAB6F},   {0x10140, 0x1018F}, {0x10780, 0x107BF}, {0x1DF00, 0x1DFFF},
        {0x1E030, 0x1E08F},
    };
    return is_in(c, ranges, sizeof ranges / sizeof *ranges);
}

/* Where the letters are that stand in runs: Thai; Hangul; Han, Bopomofo and kana. */
static bool is_in_runs(utf8proc_int32_t c)
{
    static const struct points ranges[] = {
        {0x0E01, 0x0E4E},   {0x1100, 0x11FF},   {0x3005, 0x3007},   {0x3021, 0x3029},
        {0x3031, 0x303C},   {0x3041, 0x31BF},   {0x31F0, 0x31FF},   {0x3400, 0x4DBF},
        {0x4E00, 0x9FFF},   {0xA960, 0xA97F},   {0xAC00, 0xD7FF},   {0xF900, 0xFAFF},
        {0x16FE2, 0x16FFF}, {0x1AFF0, 0x1B16F}, {0x20000, 0x3FFFD},
    };
    return is_in(c, ranges, sizeof ranges / sizeof *ranges);
}

static bool is_mark(int category)
{
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_ME;
}

static enum point_kind kind_of(utf8proc_int32_t c, int category)
{
    if (is_mark(category))
        return POINT_MARK;
    if (c >= 0x20000 && c <= 0x3FFFD) /* Han, also what a later Unicode adds */
        return POINT_RUN;
    if (category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_NO)
        return POINT_BLANK;
    bool is_digit = category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NO;
    return !is_digit && is_in_runs(c) ? POINT_RUN : POINT_WORD;
}

/* Unicode's simple folding: where the full one, which the library knows, makes several letters of
 * one, it is the lower case. */
static utf8proc_int32_t fold_case(utf8proc_int32_t c, const utf8proc_property_t *property)
{
    utf8proc_int32_t full[DECOMPOSED_MAX];
    int boundary = 0;
    if (property->casefold_seqindex == UINT16_MAX)
        return c;
    utf8proc_ssize_t count =
        utf8proc_decompose_char(c, full, DECOMPOSED_MAX, UTF8PROC_CASEFOLD, &boundary);
    return count == 1 ? full[0] : utf8proc_tolower(c);
}

/* Of what is no mark: do marks after it count for nothing? They do not in the alphabets above, nor
 * where they stand on no letter at all. */
static bool base_loses_marks(utf8proc_int32_t folded, int category)
{
    return folded < 0x80 || loses_marks(folded) || kind_of(folded, category) == POINT_BLANK;
}

static size_t decompose(utf8proc_int32_t c, utf8proc_int32_t ret[DECOMPOSED_MAX])
{
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(
        c, ret, DECOMPOSED_MAX, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    return count < 0 || count > DECOMPOSED_MAX ? 0 : (size_t)count;
}

/* ---- the alphabets of two bytes a letter ---- */

#define TWO_BYTES 0x800

/* What is known of their code points, kept from the first look on: folding Greek or Russian takes a
 * quarter of the time. */
static struct {
    uint16_t folded; /* the one letter that it becomes, which loses marks; or 0: look closer */
    uint8_t kind;
} known[TWO_BYTES];

static uint16_t folded_letter(utf8proc_int32_t c)
{
    utf8proc_int32_t parts[DECOMPOSED_MAX];
    size_t count = decompose(c, parts);
    const utf8proc_property_t *property = utf8proc_get_property(count ? parts[0] : c);
    if (count == 0 || property->ignorable || is_mark(property->category))
        return 0;
    for (size_t i = 1; i < count; i++)
        if (!is_mark(utf8proc_get_property(parts[i])->category))
            return 0;
    utf8proc_int32_t folded = fold_case(parts[0], property);
    return base_loses_marks(folded, property->category) ? (uint16_t)folded : 0;
}

static void know(void)
{
    if (known[0].folded)
        return;
    for (utf8proc_int32_t c = TWO_BYTES - 1; c >= 0; c--) {
        known[c].kind = (uint8_t)kind_of(c, utf8proc_get_property(c)->category);
        known[c].folded = folded_letter(c);
    }
    known[0].folded = 1; /* all are there */
}

/* ---- reading ---- */

/* Read one code point of well-formed text. */
static utf8proc_int32_t decode(const char *at, size_t len)
{
    static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    utf8proc_int32_t c = (unsigned char)at[0] & first_bits[len];
    for (size_t i = 1; i < len; i++)
        c = (c << 6) | ((unsigned char)at[i] & 0x3F);
    return c;
}

size_t point_at(const char *at, const char *end, enum point_kind *ret_kind)
{
    size_t len = utf8_sequence(at, (size_t)(end - at));
    know();
    if (len == 0) {
        *ret_kind = POINT_BLANK;
        return 1;
    }
    utf8proc_int32_t c = decode(at, len);
    *ret_kind = len <= 2 ? known[c].kind : kind_of(c, utf8proc_get_property(c)->category);
    return len;
}

/* ---- folding ---- */

/* A letter that keeps its marks waits for them here, decomposed, until the next letter comes. */
struct fold {
    struct arena *arena;
    struct fold_room *room;
    size_t len;       /* of what is written to `room` */
    bool drops_marks; /* those that follow now */
    size_t marks;     /* of the last letter */
    size_t count;     /* of `waiting`: a letter, or a Korean syllable's two or three, and marks */
    utf8proc_int32_t waiting[3 + MARKS_MAX];
};

static void make_room(struct fold *f, size_t more)
{
    if (f->room->size - f->len >= more)
        return;
    size_t size = f->len + more;
    char *data = arena_array(f->arena, size, 2);
    if (f->len)
        memcpy(data, f->room->data, f->len);
    *f->room = (struct fold_room){data, size * 2};
}

static void put(struct fold *f, utf8proc_int32_t c)
{
    f->len += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)f->room->data + f->len);
}

static int class_of(utf8proc_int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Marks of different classes may come in any order: sort them (UAX #15, Canonical Ordering). There
 * are few. */
static void sort_waiting(struct fold *f)
{
    for (size_t i = 1; i < f->count; i++) {
        utf8proc_int32_t c = f->waiting[i];
        size_t at = i;
        for (int class = class_of(c); class && at > 0 && class_of(f->waiting[at - 1]) > class; at--)
            f->waiting[at] = f->waiting[at - 1];
        f->waiting[at] = c;
    }
}

static void write_waiting(struct fold *f)
{
    utf8proc_ssize_t count = (utf8proc_ssize_t)f->count;
    if (count == 0)
        return;
    if (count > 1) {
        sort_waiting(f);
        count = utf8proc_normalize_utf32(f->waiting, count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    }
    make_room(f, f->count * 4);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        put(f, f->waiting[i]);
    f->count = 0;
}

#define SYLLABLE_FIRST 0xAC00
#define SYLLABLE_LAST 0xD7A3

/* The Korean letters that make a syllable: a vowel after a leading consonant, then a trailing one,
 * also after a syllable without (the Unicode Standard, section 3.12). */
static bool goes_on_syllable(const struct fold *f, utf8proc_int32_t c)
{
    const utf8proc_int32_t *w = f->waiting;
    bool is_vowel = c >= 0x1161 && c <= 0x1175, is_trailing = c >= 0x11A8 && c <= 0x11C2;
    if (f->count == 1 && w[0] >= SYLLABLE_FIRST && w[0] <= SYLLABLE_LAST)
        return is_trailing && (w[0] - SYLLABLE_FIRST) % 28 == 0;
    if (f->count == 0 || w[0] < 0x1100 || w[0] > 0x1112)
        return false;
    return f->count == 1 ? is_vowel
                         : f->count == 2 && w[1] >= 0x1161 && w[1] <= 0x1175 && is_trailing;
}

static void add_mark(struct fold *f, utf8proc_int32_t c)
{
    if (f->drops_marks || f->marks == MARKS_MAX)
        return;
    f->waiting[f->count++] = c;
    f->marks++;
}

static void add_base(struct fold *f, utf8proc_int32_t c, const utf8proc_property_t *property)
{
    if (!goes_on_syllable(f, c))
        write_waiting(f);
    c = fold_case(c, property);
    f->marks = 0;
    f->drops_marks = base_loses_marks(c, property->category);
    if (f->drops_marks) {
        make_room(f, 4);
        put(f, c);
    } else {
        f->waiting[f->count++] = c;
    }
}

/* A zero-width space shows nothing either, but ends a word. */
static bool shows_nothing(const utf8proc_property_t *property, utf8proc_int32_t c)
{
    return property->ignorable && c != 0x200B;
}

static void add_part(struct fold *f, utf8proc_int32_t c, const utf8proc_property_t *property)
{
    if (shows_nothing(property, c))
        return;
    if (is_mark(property->category))
        add_mark(f, c);
    else
        add_base(f, c, property);
}

/* A Korean syllable could be cut into letters, but they would be put together again. */
static void add_point(struct fold *f, utf8proc_int32_t c)
{
    const utf8proc_property_t *property = utf8proc_get_property(c);
    if (property->decomp_seqindex == UINT16_MAX) {
        add_part(f, c, property);
        return;
    }
    utf8proc_int32_t parts[DECOMPOSED_MAX];
    size_t count = decompose(c, parts);
    for (size_t i = 0; i < count; i++)
        add_part(f, parts[i], utf8proc_get_property(parts[i]));
}

static void add_known(struct fold *f, utf8proc_int32_t c)
{
    if (!known[c].folded) {
        add_point(f, c);
        return;
    }
    write_waiting(f);
    make_room(f, 4);
    put(f, known[c].folded);
    f->drops_marks = true;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight letters at once: those from A to Z get the bit that makes them small. False when they are
 * not all ASCII. */
static bool fold_eight(const char *at, char *ret)
{
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    if (eight & EACH(0x80))
        return false;
    uint64_t from_a = eight + EACH(0x80 - 'A'), after_z = eight + EACH(0x80 - 'Z' - 1);
    eight |= (from_a & ~after_z & EACH(0x80)) >> 2;
    memcpy(ret, &eight, sizeof eight);
    return true;
}

/* Most text, and all of it needs no table. */
static size_t add_ascii(struct fold *f, const char *at, size_t len)
{
    write_waiting(f);
    make_room(f, len + 1);
    char *out = f->room->data + f->len;
    size_t i = 0;
    while (len - i >= 8 && fold_eight(at + i, out + i))
        i += 8;
    for (; i < len && (unsigned char)at[i] < 0x80; i++)
        out[i] = (char)(at[i] + (at[i] >= 'A' && at[i] <= 'Z' ? 'a' - 'A' : 0));
    f->len += i;
    f->drops_marks = true;
    return i;
}

struct text fold_into(struct arena *a, struct fold_room *room, struct text t)
{
    struct fold f = {.arena = a, .room = room, .drops_marks = true};
    if (!t.data)
        return t;
    know();
    for (size_t i = 0; i < t.len;) {
        if ((unsigned char)t.data[i] < 0x80) {
            i += add_ascii(&f, t.data + i, t.len - i);
            continue;
        }
        size_t len = utf8_sequence(t.data + i, t.len - i);
        if (len > 2)
            add_point(&f, decode(t.data + i, len));
        else if (len)
            add_known(&f, decode(t.data + i, len));
        else
            add_ascii(&f, " ", 1);
        i += len ? len : 1;
    }
    write_waiting(&f);
    make_room(&f, 1);
    room->data[f.len] = '\0';
    return (struct text){room->data, f.len};
}

struct text fold_text(struct arena *a, struct text t)
{
    struct fold_room room = {NULL, 0};
    return fold_into(a, &room, t);
}

const char *fold_unicode(void)
{
    return utf8proc_unicode_version();
}

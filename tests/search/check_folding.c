#include "common/search/folding.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "common/base/utf8.h"
#include "tests/support/suite.h"

static struct arena *a;

static void set_up(void)
{
    a = arena_open((size_t)64 * 1024 * 1024);
}

static void tear_down(void)
{
    arena_close(a);
}

/* ---- what becomes of what ---- */

static const struct {
    const char *text, *folded;
} folds[] = {
    {"", ""},
    {"abc", "abc"},
    {"ABC xyz 123 !?_@", "abc xyz 123 !?_@"},
    {"Caf\u00E9 Cafe\u0301", "cafe cafe"},
    {"\u00C4\u00D6\u00DC\u00E4", "aoua"},
    {"Stra\u00DFe STRA\u1E9EE", "stra\u00DFe stra\u00DFe"}, /* the simple folding: one letter */
    {"\u00D8\u0141\u0110", "\u00F8\u0142\u0111"},           /* a stroke is no mark */
    {"Vi\u1EC7t Nam, \u0110\u1ED3ng", "viet nam, \u0111ong"},
    {"\u0130stanbul ISTANBUL", "istanbul istanbul"},
    {"\u0131\u015F\u0131k", "\u0131s\u0131k"}, /* without a dot it is another letter */
    {"\u017Fecret", "secret"},
    {"\u212Aelvin \u212B", "kelvin a"},
    {"\u0393\u0399\u0386\u039D\u039D\u0397\u03A3", "\u03B3\u03B9\u03B1\u03BD\u03BD\u03B7\u03C3"},
    {"\u0393\u03B9\u03AC\u03BD\u03BD\u03B7\u03C2", "\u03B3\u03B9\u03B1\u03BD\u03BD\u03B7\u03C3"},
    {"\u03D0\u03D1\u03D5\u03D6\u03F0\u03F1\u03F5", "\u03B2\u03B8\u03C6\u03C0\u03BA\u03C1\u03B5"},
    {"\u00B5 \u2126", "\u03BC \u03C9"},
    {"\u1FB3 \u1F88 \u1FFC", "\u03B1 \u03B1 \u03C9"}, /* iota below is a mark */
    {"\u0419\u0401 \u0439\u0451", "\u0438\u0435 \u0438\u0435"},
    {"\u0456\u0308\u0407", "\u0456\u0456"},
    {"\u0540\u0531", "\u0570\u0561"}, /* Armenian */
    {"\u10A0\u1C90", "\u2D00\u10D0"}, /* Georgian */
    {"\uAB70\u13A0", "\u13A0\u13A0"}, /* Cherokee folds upwards */
    {"\U00010400", "\U00010428"},     /* Deseret */
    {"\u0939\u093F\u0928\u094D\u0926\u0940", "\u0939\u093F\u0928\u094D\u0926\u0940"},
    {"\u0958", "\u0915\u093C"},                               /* never composed */
    {"\u09C7\u09BE \u0995\u09C7\u09BE", " \u0995\u09CB"},     /* two signs make one */
    {"\u0634\u0650 \u0627\u0653", "\u0634\u0650 \u0622"},     /* Arabic keeps its marks */
    {"\uFEDF\uFEE0\uFEFB", "\u0644\u0644\u0644\u0627"},       /* but not its shapes */
    {"\u05E9\u05C1\u05B8", "\u05E9\u05B8\u05C1"},             /* Hebrew too, in their order */
    {"\u0E19\u0E49\u0E33", "\u0E19\u0E49\u0E4D\u0E32"},       /* Thai am */
    {"\u1112\u1161\u11AB\u1100\u1173\u11AF", "\uD55C\uAE00"}, /* Korean by letters */
    {"\uD558\u11AB", "\uD55C"},
    {"\u1100\u1161\u1161\u11A8\u11A8", "\uAC00\u1161\u11A8\u11A8"},
    {"\u314B\u314B", "\u110F\u110F"},
    {"\uFF76\uFF9E\uFF77", "\u30AC\u30AD"}, /* half width, voiced */
    {"\u304B\u3099\u306F\u309A", "\u304C\u3071"},
    {"\u3042\u3099", "\u3042\u3099"},     /* there is none composed */
    {"\uFF21\uFF42\uFF11\uFF0A", "ab1*"}, /* full width */
    {"\uFB01n o\uFB03ce \uFB06", "fin office st"},
    {"m\u00B2 x\u2081 \u2460 \u2122 \u00AA", "m2 x1 1 tm a"},
    {"\u2163 \u2171", "iv ii"},
    {"\u3300 \u337F", "\u30A2\u30D1\u30FC\u30C8 \u682A\u5F0F\u4F1A\u793E"},
    {"\uF900\U0002F800", "\u8C48\u4E3D"}, /* the same, twice encoded */
    {"\u6F22\u5B57", "\u6F22\u5B57"},
    {"so\u00ADft zero\u200Dwidth bidi\u200Fmark", "soft zerowidth bidimark"},
    {"a\u200Bb", "a\u200Bb"}, /* a zero-width space is between words */
    {"\u2764\uFE0Fabc 1\uFE0F\u20E3", "\u2764abc 1"},
    {"l\u00B4avion \u00A8x", "l avion  x"},
    {"!\u0301a \u0301b", "!a b"},
    {"\U0001F600", "\U0001F600"},
    {"a\u00A0b\u3000c\u2003d", "a b c d"},
    {"\xFF"
     "a\xC3"
     "b\xE2\x82",
     " a b  "},
    {"\xED\xA0\x80\xC0\x80", "     "},
};

CASE("folding", set_up, tear_down);

TEST_EACH(letters_of_all_scripts_are_folded, folds)
{
    struct text folded = fold_text(a, text_of(folds[_i].text));

    ck_assert_str_eq(folded.data, folds[_i].folded);
    ck_assert_uint_eq(folded.len, strlen(folds[_i].folded));
}

TEST_EACH(what_is_folded_stays, folds)
{
    struct text folded = fold_text(a, text_of(folds[_i].folded));

    ck_assert_str_eq(folded.data, folds[_i].folded);
}

TEST(null_stays_null)
{
    ck_assert_ptr_null(fold_text(a, (struct text){NULL, 0}).data);
}

TEST(eight_letters_fold_as_one_does)
{
    for (int c = 0; c < 0x80; c++)
        for (size_t at = 0; at < 16; at++) {
            char text[] = "@AMZ[`amz{~ .AZ0";
            text[at] = (char)c;
            struct text one = fold_text(a, (struct text){text + at, 1});
            struct text all = fold_text(a, (struct text){text, 16});
            ck_assert_uint_eq(all.len, 16);
            ck_assert_int_eq(all.data[at], one.data[0]);
            ck_assert_int_eq(one.data[0], c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
}

TEST(the_library_names_its_unicode)
{
    ck_assert_int_ge(atoi(fold_unicode()), 14);
}

/* ---- what holds for all of Unicode ---- */

/* RFC 3629 section 3's table. */
static size_t encode(uint32_t c, char *ret)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    ret[0] = (char)(marks[len] | c);
    return len;
}

static bool is_stable(struct text once)
{
    static struct fold_room room;
    return utf8_is_clean(once.data, once.len) && text_equal(once, fold_into(a, &room, once));
}

static const char *const surroundings[][2] = {
    {"", ""},
    {"a", "\u0301"},            /* a Latin letter, a mark */
    {"\u05D0", "\u0323\u0301"}, /* one that keeps its marks, of two classes */
    {"\u1100", "\u1161"},       /* Korean letters */
    {"\uAC00", "\u11A8"},
    {"\u304B\u0345", "\u3099"},
};

TEST_EACH(every_code_point_folds_to_what_stays, surroundings)
{
    struct fold_room room = {NULL, 0};
    for (uint32_t c = 1; c <= 0x10FFFF; c++) {
        char text[32], *end = stpcpy(text, surroundings[_i][0]);
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        end += encode(c, end);
        end = stpcpy(end, surroundings[_i][1]);

        struct text once = fold_into(a, &room, (struct text){text, (size_t)(end - text)});

        if (!is_stable(once) || once.len > 11 * (size_t)(end - text))
            ck_abort_msg("U+%04X gives %s", c, once.data);
    }
}

/* Marks, letters that compose and decompose, and what else has rules of its own. */
static uint32_t random_point(void)
{
    static const uint32_t ranges[][2] = {
        {0x20, 0x7E},       {0xA0, 0x24F},    {0x300, 0x36F},     {0x370, 0x52F},
        {0x590, 0x5F4},     {0x610, 0x6D3},   {0x900, 0x9FF},     {0xB40, 0xBD7},
        {0xD3E, 0xDDF},     {0xE01, 0xE4E},   {0xF40, 0xFBC},     {0x1025, 0x1039},
        {0x1100, 0x11FF},   {0x1B05, 0x1B44}, {0x1E00, 0x1FFF},   {0x200B, 0x200F},
        {0x3040, 0x30FF},   {0x3099, 0x309A}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
        {0xFE00, 0xFE0F},   {0xFF00, 0xFFEF}, {0x11099, 0x110BA}, {0x1D15E, 0x1D1C0},
        {0x20000, 0x2FA1D},
    };
    const uint32_t *range = ranges[random() % COUNT(ranges)];
    uint32_t point = range[0] + (uint32_t)random() % (range[1] - range[0] + 1);
    /* A vowel of old Korean that utf8proc_NFC() takes for the end of a syllable of none, and loses.
     */
    return point == 0x11A7 ? 0x11A8 : point;
}

static struct text random_text(size_t points)
{
    char *text = arena_array(a, points + 1, 4);
    size_t len = 0;
    while (points-- > 0)
        len += encode(random_point(), text + len);
    return (struct text){text, len};
}

static unsigned seed_and_tell(void)
{
    unsigned seed = (unsigned)time(NULL);
    const char *given = getenv("SEED");
    if (given)
        seed = (unsigned)atoi(given);
    srandom(seed);
    return seed;
}

TEST(random_texts_fold_to_what_stays)
{
    unsigned seed = seed_and_tell();
    for (int round = 0; round < 50000; round++) {
        struct text once = fold_text(a, random_text(1 + (size_t)random() % 12));

        ck_assert_msg(is_stable(once), "SEED=%u, round %d: %s", seed, round, once.data);
    }
}

/* The library's own forms of a text (UAX #15) are the same to a reader. */
static utf8proc_uint8_t *(*const forms[])(const utf8proc_uint8_t *) = {
    utf8proc_NFD,
    utf8proc_NFC,
    utf8proc_NFKD,
    utf8proc_NFKC,
};

TEST_EACH(all_forms_of_a_text_fold_to_one, forms)
{
    unsigned seed = seed_and_tell();
    for (int round = 0; round < 20000; round++) {
        struct text text = random_text(1 + (size_t)random() % 12);
        char *form = (char *)forms[_i]((const utf8proc_uint8_t *)text.data);

        ck_assert_msg(text_equal(fold_text(a, text_of(form)), fold_text(a, text)),
                      "SEED=%u, round %d: %s", seed, round, text.data);
        free(form);
    }
}

TEST(random_bytes_do_no_harm)
{
    unsigned seed = seed_and_tell();
    for (int round = 0; round < 50000; round++) {
        size_t len = (size_t)random() % 24;
        char *bytes = malloc(len + 1); /* a sanitizer sees a look past the end */
        for (size_t i = 0; i < len; i++)
            bytes[1 + i] = (char)(random() % 3 ? 0x80 | random() : random());

        struct text once = fold_text(a, (struct text){bytes + 1, len});

        ck_assert_msg(text_equal(once, fold_text(a, once)), "SEED=%u, round %d", seed, round);
        free(bytes);
        if (round % 1000 == 0)
            arena_reset(a);
    }
}

/* ---- long texts ---- */

static struct text repeated(const char *pattern, size_t len)
{
    size_t part = strlen(pattern), count = len / part;
    char *text = arena_alloc(a, count * part + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * part, pattern, part);
    return (struct text){text, count * part};
}

TEST(text_that_grows_by_folding_fits)
{
    struct text folded = fold_text(a, repeated("\u023A", 2000)); /* two bytes become three */
    ck_assert_uint_eq(folded.len, 3000);
    ck_assert_mem_eq(folded.data + 2997, "\u2C65", 3);

    folded = fold_text(a, repeated("\uFDFA", 65535)); /* three become 33 */
    ck_assert_uint_eq(folded.len, 65535 * 11);
}

/* Sorting marks must not take the square of their number. */
TEST(a_letter_keeps_thirty_marks)
{
    char *text = arena_alloc(a, 2 + 65532 + 1), *end = stpcpy(text, "\u05D0");
    for (int i = 0; i < 65532 / 4; i++)
        end = stpcpy(end, "\u0301\u0323");

    struct text folded = fold_text(a, text_of(text));

    ck_assert_uint_eq(folded.len, 2 + 30 * 2);
    ck_assert_str_eq(fold_text(a, folded).data, folded.data);
}

TEST(one_room_serves_many_texts)
{
    struct fold_room room = {NULL, 0};
    ck_assert_str_eq(fold_into(a, &room, repeated("AB ", 60000)).data + 59995, "b ab ");
    const char *before = room.data;

    ck_assert_str_eq(fold_into(a, &room, TEXT("\u00C9t\u00E9")).data, "ete");
    ck_assert_str_eq(fold_into(a, &room, TEXT("")).data, "");

    ck_assert_ptr_eq(room.data, before);
}

/* ---- letters, digits, marks and the rest ---- */

static const struct {
    const char *point;
    enum point_kind kind;
} kinds[] = {
    {"a", POINT_WORD},           {"9", POINT_WORD},         {" ", POINT_BLANK},
    {"_", POINT_BLANK},          {"*", POINT_BLANK},        {"\x7F", POINT_BLANK},
    {"\u00DF", POINT_WORD},      {"\u03C3", POINT_WORD},    {"\u0301", POINT_MARK},
    {"\u093F", POINT_MARK},      {"\u20DD", POINT_MARK},    {"\u0967", POINT_WORD},
    {"\u2776", POINT_WORD},      {"\u00D7", POINT_BLANK},   {"\u2019", POINT_BLANK},
    {"\u02BC", POINT_WORD},      {"\u0E81", POINT_WORD},    {"\u1780", POINT_WORD},
    {"\u1000", POINT_WORD},      {"\u0E01", POINT_RUN},     {"\u0E46", POINT_RUN},
    {"\u0E48", POINT_MARK},      {"\u0E51", POINT_WORD},    {"\u0E3F", POINT_BLANK},
    {"\u6F22", POINT_RUN},       {"\u3005", POINT_RUN},     {"\u3007", POINT_RUN},
    {"\u304B", POINT_RUN},       {"\u30FC", POINT_RUN},     {"\u30FB", POINT_BLANK},
    {"\u3099", POINT_MARK},      {"\u3105", POINT_RUN},     {"\uAC00", POINT_RUN},
    {"\u1112", POINT_RUN},       {"\u3001", POINT_BLANK},   {"\U00020000", POINT_RUN},
    {"\U00031350", POINT_RUN},   {"\U000323B0", POINT_RUN}, /* of a later Unicode */
    {"\U0001F600", POINT_BLANK}, {"\u0378", POINT_BLANK},   {"\xFF", POINT_BLANK},
    {"\u200B", POINT_BLANK},     {"\u2028", POINT_BLANK},
};

TEST_EACH(every_code_point_is_of_one_kind, kinds)
{
    const char *point = kinds[_i].point;
    enum point_kind kind;

    ck_assert_uint_eq(point_at(point, point + strlen(point), &kind), strlen(point));
    ck_assert_int_eq(kind, kinds[_i].kind);
}

#include "common/field/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/problem.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* Parse from memory that ends where the text does, so that a sanitizer sees every look past its
 * end. */
static struct problem *parse(const char *text, size_t len, const struct json **ret)
{
    char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    struct problem *p = json_parse(a, exact, len, ret);
    free(exact);
    return p;
}

static const struct json *parsed(const char *text)
{
    const struct json *object = NULL;
    struct problem *p = parse(text, strlen(text), &object);
    ck_assert_msg(!p, "%s: %s", text, p ? p->message : "");
    ck_assert_int_eq(json_type(object), JSON_OBJECT);
    return object;
}

/* What RFC 8259 allows, by its sections. */
static const char *const accepted[] = {
    /* 2: structure and white space */
    "{}",
    " \t\r\n{ \t\r\n} \t\r\n",
    "{\"a\":1}",
    "{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }",
    "{\"a\":[]}",
    "{\"a\":[ ]}",
    "{\"a\":[{},{}]}",
    /* 3: the three words */
    "{\"a\":true,\"b\":false,\"c\":null}",
    /* 4: names may be anything, also equal in different objects, or but for case */
    "{\"\":0}",
    "{\"a\":{\"a\":{\"a\":0}}}",
    "{\"a\":[{\"b\":0},{\"b\":0}]}",
    "{\"a\":0,\"A\":0}",
    /* 6: numbers */
    "{\"a\":0}",
    "{\"a\":-0}",
    "{\"a\":-1}",
    "{\"a\":1234567890}",
    "{\"a\":0.5}",
    "{\"a\":1.25e10}",
    "{\"a\":1E+2}",
    "{\"a\":1e-2}",
    "{\"a\":0e0}",
    "{\"a\":1e999}",
    "{\"a\":-1e-9999}",
    "{\"a\":123456789012345678901234567890123456789012345678901234567890123}",
    "{\"a\":1234567890123456789012345678901234567890123456789012345678901234}",
    "{\"a\":[-0.00000000000000000000000000000000000000000000000000000000000000000000000001]}",
    "{\"a\":1e00000000000000000000000000000000000000000000000000000000000000000000000002}",
    /* 7: strings */
    "{\"a\":\"\"}",
    "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
    "{\"a\":\"\\u0001\\u001f\\u007f\\u00e9\\uABCD\\uabcd\"}",
    "{\"a\":\"\x7F\"}",
    "{\"a\":\"\\ud83d\\ude00\"}",
    "{\"a\":\"\\uDBFF\\uDFFF\"}",
    "{\"a\":\"\\ud7ff\\ue000\\uffff\"}",
    "{\"a\":\"// no comment /* */\"}",
    /* 8.1: the bounds of UTF-8's lengths, and a byte order mark that is text */
    "{\"a\":\"\xC2\x80 \xDF\xBF\"}",
    "{\"a\":\"\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF\"}",
    "{\"a\":\"\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"}",
    "{\"a\":\"\xEF\xBB\xBF\"}",
    "{\"\xC3\xA9\":1,\"e\xCC\x81\":2}",
};

CASE("json", scratch_open, scratch_close);

TEST_EACH(what_the_grammar_allows_is_accepted, accepted)
{
    const struct json *object = NULL;

    struct problem *p = parse(accepted[_i], strlen(accepted[_i]), &object);

    ck_assert_msg(!p, "%s: %s", accepted[_i], p ? p->message : "");
    ck_assert_int_eq(json_type(object), JSON_OBJECT);
}

#define BAD(text_, message_)                                                                       \
    {                                                                                              \
        text_, sizeof(text_) - 1, message_                                                         \
    }
#define BAD_JSON(text_, fault_, byte_)                                                             \
    BAD(text_, "The body is not JSON: " fault_ " at byte " byte_ ".")

static const struct {
    const char *text;
    size_t len;
    const char *message;
} refused[] = {
    BAD("", "The body is empty."),
    BAD(" \n\t\r", "The body is empty."),
    /* documents that are none, or not an object */
    BAD("[]", "The body is not a JSON object."),
    BAD("\"a\"", "The body is not a JSON object."),
    BAD("12", "The body is not a JSON object."),
    BAD("null", "The body is not a JSON object."),
    BAD_JSON("a", "a value is missing", "1"),
    BAD_JSON("\xEF\xBB\xBF{} x", "something behind its end", "7"),
    BAD_JSON("{}\xEF\xBB\xBF", "something behind its end", "3"),
    BAD_JSON(" \xEF\xBB\xBF{}", "a value is missing", "2"),
    BAD_JSON("\xEF\xBB\xBF\xEF\xBB\xBF{}", "a value is missing", "4"),
    BAD_JSON("{\0}", "a key is missing", "2"),
    BAD_JSON("\0{}", "a value is missing", "1"),
    /* what is left open */
    BAD_JSON("{", "it ends unfinished", "2"),
    BAD_JSON("{\"a", "it ends unfinished", "4"),
    BAD_JSON("{\"a\"", "it ends unfinished", "5"),
    BAD_JSON("{\"a\":", "it ends unfinished", "6"),
    BAD_JSON("{\"a\":1", "it ends unfinished", "7"),
    BAD_JSON("{\"a\":1,", "it ends unfinished", "8"),
    BAD_JSON("{\"a\":-", "it ends unfinished", "7"),
    BAD_JSON("{\"a\":1.", "it ends unfinished", "8"),
    BAD_JSON("{\"a\":1e+", "it ends unfinished", "9"),
    BAD_JSON("{\"a\":[", "it ends unfinished", "7"),
    BAD_JSON("{\"a\":\"\\", "it ends unfinished", "8"),
    BAD_JSON("{\"a\":\"\\u12", "it ends unfinished", "11"),
    BAD_JSON("{\"a\":[1}", "a comma or a closing bracket is missing", "8"),
    BAD_JSON("{\"a\":1]", "a comma or a closing bracket is missing", "7"),
    /* what is left over */
    BAD_JSON("{}}", "something behind its end", "3"),
    BAD_JSON("{} {}", "something behind its end", "4"),
    BAD_JSON("{}\0", "something behind its end", "3"),
    BAD_JSON("{}//", "something behind its end", "3"),
    BAD_JSON("1 2", "something behind its end", "3"),
    /* commas, colons, keys */
    BAD_JSON("{,}", "a key is missing", "2"),
    BAD_JSON("{\"a\":1,}", "a key is missing", "8"),
    BAD_JSON("{\"a\":1,,\"b\":2}", "a key is missing", "8"),
    BAD_JSON("{a:1}", "a key is missing", "2"),
    BAD_JSON("{'a':1}", "a key is missing", "2"),
    BAD_JSON("{1:1}", "a key is missing", "2"),
    BAD_JSON("{\"a\" 1}", "a colon is missing", "6"),
    BAD_JSON("{\"a\",1}", "a colon is missing", "5"),
    BAD_JSON("{\"a\"::1}", "a value is missing", "6"),
    BAD_JSON("{\"a\":}", "a value is missing", "6"),
    BAD_JSON("{\"a\":1 \"b\":2}", "a comma or a closing bracket is missing", "8"),
    BAD_JSON("{\"a\":[1,]}", "a value is missing", "9"),
    BAD_JSON("{\"a\":[,1]}", "a value is missing", "7"),
    BAD_JSON("{\"a\":[1 2]}", "a comma or a closing bracket is missing", "9"),
    BAD_JSON("{\"a\":[1:2]}", "a comma or a closing bracket is missing", "8"),
    BAD_JSON("{/* no */}", "a key is missing", "2"),
    /* white space that is none in JSON */
    BAD_JSON("{\f}", "a key is missing", "2"),
    BAD_JSON("{\v}", "a key is missing", "2"),
    BAD_JSON("{\xC2\xA0}", "a key is missing", "2"),
    BAD_JSON("{\x01\"a\":1}", "a key is missing", "2"),
    /* words */
    BAD_JSON("{\"a\":True}", "a value is missing", "6"),
    BAD_JSON("{\"a\":tru}", "an unknown word", "6"),
    BAD_JSON("{\"a\":nul", "an unknown word", "6"),
    BAD_JSON("{\"a\":nullnull}", "a comma or a closing bracket is missing", "10"),
    BAD_JSON("{\"a\":NaN}", "a value is missing", "6"),
    BAD_JSON("{\"a\":Infinity}", "a value is missing", "6"),
    BAD_JSON("{\"a\":-Infinity}", "a digit is missing", "7"),
    BAD_JSON("{\"a\":undefined}", "a value is missing", "6"),
    /* numbers */
    BAD_JSON("{\"a\":01}", "a comma or a closing bracket is missing", "7"),
    BAD_JSON("{\"a\":-01}", "a comma or a closing bracket is missing", "8"),
    BAD_JSON("{\"a\":00}", "a comma or a closing bracket is missing", "7"),
    BAD_JSON("{\"a\":+1}", "a value is missing", "6"),
    BAD_JSON("{\"a\":.5}", "a value is missing", "6"),
    BAD_JSON("{\"a\":5.}", "a digit is missing", "8"),
    BAD_JSON("{\"a\":1.e2}", "a digit is missing", "8"),
    BAD_JSON("{\"a\":1e}", "a digit is missing", "8"),
    BAD_JSON("{\"a\":1e+-2}", "a digit is missing", "9"),
    BAD_JSON("{\"a\":--1}", "a digit is missing", "7"),
    BAD_JSON("{\"a\":0x10}", "a comma or a closing bracket is missing", "7"),
    BAD_JSON("{\"a\":1_000}", "a comma or a closing bracket is missing", "7"),
    BAD_JSON("{\"a\":1,5}", "a key is missing", "8"),
    BAD_JSON("{\"a\":\xEF\xBC\x91}", "a value is missing", "6"),
    /* control characters and escapes */
    BAD_JSON("{\"a\":\"\n\"}", "a control character in a string", "7"),
    BAD_JSON("{\"a\":\"\x1F\"}", "a control character in a string", "7"),
    BAD_JSON("{\"a\":\"\0\"}", "a control character in a string", "7"),
    BAD_JSON("{\"a\t\":1}", "a control character in a string", "4"),
    BAD_JSON("{\"content\": \"two\nlines\"}", "a control character in a string", "17"),
    BAD_JSON("{\"a\":\"\\x41\"}", "an unknown escape", "8"),
    BAD_JSON("{\"a\":\"\\'\"}", "an unknown escape", "8"),
    BAD_JSON("{\"a\":\"\\\0\"}", "an unknown escape", "8"),
    BAD_JSON("{\"a\":\"\\U0041\"}", "an unknown escape", "8"),
    BAD_JSON("{\"a\":\"\\u004\"}", "four hexadecimal digits are missing", "12"),
    BAD_JSON("{\"a\":\"\\u00g0\"}", "four hexadecimal digits are missing", "11"),
    BAD("{\"a\":\"x\\u0000y\"}", "The body holds the character U+0000 at byte 8."),
    BAD("{\"a\\u0000\":1}", "The body holds the character U+0000 at byte 4."),
    /* surrogates */
    BAD_JSON("{\"a\":\"\\ud800\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\udc00\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\ud800x\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\ud800\\n\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\ud800\\u0041\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\ud800\\ud800\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\ud800\\ue000\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"a\":\"\\ude00\\ud83d\"}", "half of a surrogate pair", "7"),
    BAD_JSON("{\"\\ud800\":1}", "half of a surrogate pair", "3"),
    /* bytes that are not UTF-8 (RFC 3629 sections 3 and 10) */
    BAD_JSON("{\"a\":\"\x80\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xBF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xE9\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xC0\x80\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xC0\xAF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xC1\xBF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xE0\x9F\xBF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xED\xA0\x80\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xED\xBF\xBF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xF0\x8F\xBF\xBF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xF4\x90\x80\x80\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xF8\x88\x80\x80\x80\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xFE\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xFF\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xE2\x82\"}", "bad UTF-8", "7"),
    BAD_JSON("{\"a\":\"\xE2\x82", "bad UTF-8", "7"),
    BAD_JSON("{\"\xFF\":1}", "bad UTF-8", "3"),
    BAD_JSON("{\0\"\0a\0\"\0:\0001\0}\0", "a key is missing", "2"), /* UTF-16 */
    /* names that are there twice */
    BAD("{\"a\":1,\"a\":1}", "The body has the key \"a\" twice in an object."),
    BAD("{\"a\":1,\"b\":2,\"a\":3}", "The body has the key \"a\" twice in an object."),
    BAD("{\"\":1,\"\":1}", "The body has the key \"\" twice in an object."),
    BAD("{\"a\":1,\"\\u0061\":1}", "The body has the key \"a\" twice in an object."),
    BAD("{\"\xC3\xA9\":1,\"\\u00E9\":1}", "The body has the key \"\xC3\xA9\" twice in an object."),
    BAD("{\"/\":1,\"\\/\":1}", "The body has the key \"/\" twice in an object."),
    BAD("{\"x\":{\"a\":1,\"a\":2}}", "The body has the key \"a\" twice in an object."),
    BAD("{\"x\":[0,[{\"b\":0},{\"a\":1,\"a\":2}]]}",
        "The body has the key \"a\" twice in an object."),
};

TEST_EACH(what_the_grammar_does_not_allow_is_refused_with_its_place, refused)
{
    const struct json *object = NULL;

    struct problem *p = parse(refused[_i].text, refused[_i].len, &object);

    ck_assert_msg(p, "%s", refused[_i].text);
    ck_assert_ptr_eq(p->type, &problem_bad_json);
    ck_assert_str_eq(p->message, refused[_i].message);
    ck_assert_ptr_null(object);
}

/* Every document cut short anywhere is refused, and nothing after it is read. */
TEST(every_cut_document_is_refused)
{
    static const char text[] =
        "{\"key\":[1,-2.5e+3,\"\\ud83d\\ude00\xE2\x82\xAC\",true,{\"n\":null}]}";
    const struct json *object;

    ck_assert_ptr_null(parse(text, sizeof text - 1, &object));
    for (size_t len = 0; len < sizeof text - 1; len++)
        ck_assert_msg(parse(text, len, &object), "cut to %zu bytes", len);
}

/* `depth` levels, the object included, every second one an object if `mixed`. */
static char *nest(size_t depth, bool mixed)
{
    char *text = arena_alloc(a, 6 * depth + 1);
    char *closers = arena_alloc(a, depth + 1);
    size_t at = 0;
    for (size_t level = 0; level < depth; level++) {
        bool object = level == 0 || (mixed && level % 2 == 0);
        const char *opener = !object ? "[" : level + 1 < depth ? "{\"a\":" : "{";
        memcpy(text + at, opener, strlen(opener));
        at += strlen(opener);
        closers[depth - 1 - level] = object ? '}' : ']';
    }
    memcpy(text + at, closers, depth);
    return text;
}

TEST_TIMES(as_many_levels_as_allowed_are_accepted, 2)
{
    bool mixed = _i;

    (void)parsed(nest(JSON_DEPTH_MAX, mixed));
}

TEST_TIMES(one_level_more_is_refused, 2)
{
    const struct json *object;
    const char *text = nest(JSON_DEPTH_MAX + 1, _i);

    struct problem *p = parse(text, strlen(text), &object);

    ck_assert_ptr_nonnull(p);
    ck_assert_msg(strncmp(p->message, "The body is nested too deeply at byte ", 38) == 0, "%s",
                  p->message);
}

TEST(levels_that_are_closed_do_not_count)
{
    char *text = arena_alloc(a, 3000);
    strcpy(text, "{\"a\":[[]");
    for (int i = 0; i < 500; i++)
        strcat(text, ",[[]]");
    strcat(text, "]}");

    (void)parsed(text);
}

TEST(a_byte_order_mark_is_skipped)
{
    int64_t n;
    const struct json *object = parsed("\xEF\xBB\xBF {\"a\":7}");
    ck_assert(json_as_integer(json_get(object, "a"), &n));
    ck_assert_int_eq(n, 7);

    /* with a number so long that it is spelled again */
    object = parsed(arena_printf(a, "\xEF\xBB\xBF{\"a\":7.%0100d}", 0));
    ck_assert(json_as_integer(json_get(object, "a"), &n));
    ck_assert_int_eq(n, 7);

    struct problem *p = parse("\xEF\xBB\xBF", 3, &object);
    ck_assert_str_eq(p->message, "The body is empty.");
}

TEST_TIMES(half_a_megabyte_of_brackets_is_refused_early, 2)
{
    size_t len = 512u * 1024;
    const struct json *object;
    char *text = arena_alloc(a, len);
    memset(text, _i ? '[' : '{', len);
    memcpy(text, "{\"a\":", 5);

    struct problem *p = parse(text, len, &object);

    ck_assert_ptr_eq(p->type, &problem_bad_json);
}

/* `{"a":[0,0,…]}` has two values more than its zeros. */
TEST_TIMES(more_values_than_a_body_has_are_refused, 4)
{
    static const char *const units[] = {"0,", "[],", "{},", "\"\","};
    const char *unit = units[_i];
    size_t n = JSON_VALUES_MAX - 2;
    const struct json *object;
    char *text = arena_alloc(a, n * strlen(unit) + 16);
    char *at = text + sprintf(text, "{\"a\":[");
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "%s", unit);
    strcpy(at - 1, "]}");

    ck_assert_int_eq(json_type(json_get(parsed(text), "a")), JSON_ARRAY);

    sprintf(at - 1, ",%.*s]}", (int)strlen(unit) - 1, unit);
    struct problem *p = parse(text, strlen(text), &object);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_eq(p->type, &problem_bad_json);
    ck_assert_ptr_nonnull(strstr(p->message, "too many values"));
}

/* `{"k0":0,"k1":1,…}`; `last` is added after them. */
static char *many_keys(int n, const char *last)
{
    char *text = arena_alloc(a, (size_t)n * 24 + 64);
    char *at = text + sprintf(text, "{");
    for (int i = 0; i < n; i++)
        at += sprintf(at, "\"k%d\":%d,", i, i);
    sprintf(at, "%s}", last);
    return text;
}

TEST(ten_thousand_keys_are_accepted)
{
    int64_t value;

    const struct json *object = parsed(many_keys(10000, "\"last\":7"));

    ck_assert(json_as_integer(json_get(object, "last"), &value));
    ck_assert_int_eq(value, 7);
}

TEST(one_repeated_key_among_ten_thousand_is_found)
{
    const struct json *object;
    const char *text = many_keys(10000, "\"k\\u0035\":7");

    struct problem *p = parse(text, strlen(text), &object);

    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(p->message, "The body has the key \"k5\" twice in an object.");
}

TEST(a_long_repeated_key_is_shown_in_part_and_in_whole_characters)
{
    const struct json *object;
    char *key = arena_alloc(a, 101);
    for (int i = 0; i < 50; i++)
        memcpy(key + 2 * i, "\xC3\xA9", 2); /* after the x, byte 64 is the first of two */
    const char *text = arena_printf(a, "{\"x%s\":1,\"x%s\":2}", key, key);

    struct problem *p = parse(text, strlen(text), &object);

    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(p->message,
                     arena_printf(a, "The body has the key \"x%.62s\" twice in an object.",
                                  key)); /* 63 bytes of it */
}

TEST(a_failure_leaves_the_result_untouched)
{
    const struct json *before = parsed("{\"a\":1}");
    const struct json *object = before;

    ck_assert_ptr_nonnull(parse("{\"a\":1,\"a\":2}", 13, &object));
    ck_assert_ptr_nonnull(parse("{", 1, &object));

    ck_assert_ptr_eq(object, before);
}

TEST(keys_are_matched_exactly)
{
    const struct json *object = parsed("{\"Role\":\"b\",\"role\":\"a\",\"\\u0069d\":1}");

    ck_assert_str_eq(json_as_text(json_get(object, "role")).data, "a");
    ck_assert_str_eq(json_as_text(json_get(object, "Role")).data, "b");
    ck_assert_ptr_null(json_get(object, "ROLE"));
    ck_assert_ptr_nonnull(json_get(object, "id"));
    ck_assert_ptr_null(json_get(object, ""));
}

TEST(every_type_is_told)
{
    const struct json *o =
        parsed("{\"n\":null,\"t\":true,\"f\":false,\"i\":1,\"s\":\"x\",\"a\":[1],\"o\":{}}");

    ck_assert_int_eq(json_type(json_get(o, "n")), JSON_NULL);
    ck_assert_int_eq(json_type(json_get(o, "t")), JSON_BOOLEAN);
    ck_assert_int_eq(json_type(json_get(o, "f")), JSON_BOOLEAN);
    ck_assert_int_eq(json_type(json_get(o, "i")), JSON_NUMBER);
    ck_assert_int_eq(json_type(json_get(o, "s")), JSON_TEXT);
    ck_assert_int_eq(json_type(json_get(o, "a")), JSON_ARRAY);
    ck_assert_int_eq(json_type(json_get(o, "o")), JSON_OBJECT);
    ck_assert(json_as_boolean(json_get(o, "t")));
    ck_assert(!json_as_boolean(json_get(o, "f")));
    ck_assert_ptr_null(json_as_text(json_get(o, "i")).data);
}

TEST(text_is_unescaped)
{
    static const char escaped[] = "\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00";
    static const char plain[] = "\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";

    const struct json *object = parsed(arena_printf(a, "{\"a\":\"%s\"}", escaped));

    struct text t = json_as_text(json_get(object, "a"));
    ck_assert_uint_eq(t.len, sizeof plain - 1);
    ck_assert_str_eq(t.data, plain);
}

static const struct {
    const char *number;
    bool whole;
    int64_t value;
} integers[] = {
    {"0", true, 0},
    {"-0", true, 0},
    {"-17", true, -17},
    {"2147483648", true, 2147483648},
    {"9007199254740991", true, 9007199254740991},
    {"-9007199254740991", true, -9007199254740991},
    {"9007199254740992", false, 0},
    {"9007199254740993", false, 0},
    {"-9007199254740992", false, 0},
    {"18446744073709551617", false, 0},
    {"1e2", true, 100},
    {"1.0", true, 1},
    {"15e-1", false, 0},
    {"0.5", false, 0},
    {"1e999", false, 0},
    {"-1e999", false, 0},
    {"1e-999", true, 0},
    {"\"1\"", false, 0},
    {"true", false, 0},
    {"null", false, 0},
    {"[1]", false, 0},
    /* longer than cJSON reads unless CVE-2023-26819 is fixed in it */
    {"1.0000000000000000000000000000000000000000000000000000000000000000000", true, 1},
    {"-12e0000000000000000000000000000000000000000000000000000000000000000001", true, -120},
    {"1000000000000000000000000000000000000000000000000000000000000000000e-65", true, 10},
    {"1000000000000000000000000000000000000000000000000000000000000000000000", false, 0},
    {"0.5000000000000000000000000000000000000000000000000000000000000000000", false, 0},
    {"1e00000000000000000000000000000000000000000000000000000000000000999", false, 0},
    {"-1e00000000000000000000000000000000000000000000000000000000000000999", false, 0},
};

TEST_EACH(integers_are_whole_and_exact, integers)
{
    int64_t value = 42;

    const struct json *object = parsed(arena_printf(a, "{\"a\":%s}", integers[_i].number));

    ck_assert_msg(json_as_integer(json_get(object, "a"), &value) == integers[_i].whole, "%s",
                  integers[_i].number);
    ck_assert_int_eq(value, integers[_i].whole ? integers[_i].value : 42);
}

TEST(several_long_numbers_keep_their_neighbours)
{
    int64_t b, d;
    const struct json *object = parsed("{\"a\":1.00000000000000000000000000000000000000000000000000"
                                       "00000000000000,\"b\":2,\"c\":\"text 1.0\",\"d\":3.000000000"
                                       "0000000000000000000000000000000000000000000000000000000}");

    ck_assert(json_as_integer(json_get(object, "b"), &b));
    ck_assert(json_as_integer(json_get(object, "d"), &d));
    ck_assert_int_eq(b, 2);
    ck_assert_int_eq(d, 3);
    ck_assert_str_eq(json_as_text(json_get(object, "c")).data, "text 1.0");
}

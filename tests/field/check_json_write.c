#include "common/field/json_write.h"

#include <check.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/field/json.h"
#include "tests/support/suite.h"

#define MIB ((size_t)1024 * 1024)
static struct buf b;

static void set_up(void)
{
    buf_init(&b, 8 * MIB);
}

static void tear_down(void)
{
    buf_release(&b);
}

static void assert_holds(const char *expected)
{
    ck_assert(!b.full);
    ck_assert_uint_eq(b.len, strlen(expected));
    if (b.len)
        ck_assert_mem_eq(b.data, expected, b.len);
}

static void one_of_each(void)
{
    json_object(&b);
    json_key(&b, "null");
    json_null(&b);
    json_key(&b, "yes");
    json_boolean(&b, true);
    json_key(&b, "no");
    json_boolean(&b, false);
    json_key(&b, "n");
    json_integer(&b, -5);
    json_key(&b, "s");
    json_string(&b, "x");
    json_key(&b, "t");
    json_text(&b, TEXT("y"));
    json_member(&b, "m", "z");
    json_object_end(&b);
}

CASE("json_write", set_up, tear_down);

TEST(one_value_of_each_kind_is_written)
{
    one_of_each();

    assert_holds("{\"null\":null,\"yes\":true,\"no\":false,\"n\":-5,\"s\":\"x\",\"t\":\"y\","
                 "\"m\":\"z\"}");
}

TEST(every_value_but_the_first_has_a_comma_in_an_array)
{
    json_array(&b);
    json_null(&b);
    json_boolean(&b, true);
    json_integer(&b, 1);
    json_string(&b, "s");
    json_text(&b, TEXT(""));
    json_object(&b);
    json_object_end(&b);
    json_array(&b);
    json_array_end(&b);
    json_array(&b);
    json_integer(&b, 2);
    json_array_end(&b);
    json_integer(&b, 3);
    json_array_end(&b);

    assert_holds("[null,true,1,\"s\",\"\",{},[],[2],3]");
}

TEST(members_after_containers_have_a_comma)
{
    json_object(&b);
    json_key(&b, "a");
    json_object(&b);
    json_object_end(&b);
    json_key(&b, "b");
    json_array(&b);
    json_array_end(&b);
    json_member(&b, "c", "d");
    json_object_end(&b);

    assert_holds("{\"a\":{},\"b\":[],\"c\":\"d\"}");
}

static const char *const punctuation[] = {"{", "[", ":", ",", "}", "]", "a:", "[{:", "\"", "\\"};

TEST_EACH(text_that_ends_in_punctuation_does_not_lose_the_comma, punctuation)
{
    json_array(&b);
    json_string(&b, punctuation[_i]);
    json_integer(&b, 1);
    json_array_end(&b);

    ck_assert_mem_eq(b.data + b.len - 4, "\",1]", 4);
}

TEST(null_text_is_null)
{
    json_array(&b);
    json_text(&b, (struct text){NULL, 0});
    json_string(&b, NULL);
    json_array_end(&b);

    assert_holds("[null,null]");
}

static const struct {
    struct text text;
    const char *json;
} escapes[] = {
    {{"", 0}, "\"\""},
    {{"plain", 5}, "\"plain\""},
    {{"\"", 1}, "\"\\\"\""},
    {{"\\", 1}, "\"\\\\\""},
    {{"/", 1}, "\"/\""},
    {{"\b\t\n\f\r", 5}, "\"\\b\\t\\n\\f\\r\""},
    {{"\0", 1}, "\"\\u0000\""},
    {{"\x01\x0B\x1F", 3}, "\"\\u0001\\u000b\\u001f\""},
    {{"\x7F", 1}, "\"\x7F\""},
    {{"a\nb\"c", 5}, "\"a\\nb\\\"c\""},
    {{"\"a\"", 3}, "\"\\\"a\\\"\""},
    {{"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9}, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
};

TEST_EACH(text_is_escaped_as_rfc_8259_section_7_wants_it, escapes)
{
    json_text(&b, escapes[_i].text);

    assert_holds(escapes[_i].json);
}

TEST(keys_are_escaped_too)
{
    json_object(&b);
    json_member(&b, "a\"b\n", "c");
    json_object_end(&b);

    assert_holds("{\"a\\\"b\\n\":\"c\"}");
}

static const struct {
    int64_t number;
    const char *json;
} numbers[] = {{0, "0"},
               {-1, "-1"},
               {INT64_MAX, "9223372036854775807"},
               {INT64_MIN, "-9223372036854775808"},
               {9007199254740993, "9007199254740993"}};

TEST_EACH(integers_keep_all_their_digits, numbers)
{
    json_integer(&b, numbers[_i].number);

    assert_holds(numbers[_i].json);
}

TEST(every_ascii_character_comes_back_from_a_parser)
{
    struct arena *a = arena_open(MIB);
    const struct json *document;
    char all[127];
    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;

    json_object(&b);
    json_key(&b, "all");
    json_text(&b, (struct text){all, sizeof all});
    json_object_end(&b);

    ck_assert_ptr_null(json_parse(a, b.data, b.len, &document));
    struct text back = json_as_text(json_get(document, "all"));
    ck_assert(text_equal(back, (struct text){all, sizeof all}));
    arena_close(a);
}

TEST(a_document_past_the_bound_is_told_at_the_end)
{
    b.max = 40;

    one_of_each();

    ck_assert(b.full);
    ck_assert_uint_le(b.len, 40);
}

TEST(nothing_is_added_to_a_full_buffer)
{
    b.max = 10;
    buf_puts(&b, "0123456789A");

    json_member(&b, "k", "v");

    ck_assert(b.full);
    ck_assert_uint_eq(b.len, 0);
}

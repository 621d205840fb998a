#include "common/field/json_write.h"

#include <string.h>

#include "common/field/json.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

static void one_of_each(void)
{
    json_object(&scratch);
    json_key(&scratch, "null");
    json_null(&scratch);
    json_key(&scratch, "yes");
    json_boolean(&scratch, true);
    json_key(&scratch, "no");
    json_boolean(&scratch, false);
    json_key(&scratch, "n");
    json_integer(&scratch, -5);
    json_key(&scratch, "s");
    json_string(&scratch, "x");
    json_key(&scratch, "t");
    json_text(&scratch, TEXT("y"));
    json_member(&scratch, "m", "z");
    json_object_end(&scratch);
}

CASE("json_write", scratch_open, scratch_close);

TEST(one_value_of_each_kind_is_written)
{
    one_of_each();

    ck_holds("{\"null\":null,\"yes\":true,\"no\":false,\"n\":-5,\"s\":\"x\",\"t\":\"y\","
             "\"m\":\"z\"}");
}

TEST(every_value_but_the_first_has_a_comma_in_an_array)
{
    json_array(&scratch);
    json_null(&scratch);
    json_boolean(&scratch, true);
    json_integer(&scratch, 1);
    json_string(&scratch, "s");
    json_text(&scratch, TEXT(""));
    json_object(&scratch);
    json_object_end(&scratch);
    json_array(&scratch);
    json_array_end(&scratch);
    json_array(&scratch);
    json_integer(&scratch, 2);
    json_array_end(&scratch);
    json_integer(&scratch, 3);
    json_array_end(&scratch);

    ck_holds("[null,true,1,\"s\",\"\",{},[],[2],3]");
}

TEST(members_after_containers_have_a_comma)
{
    json_object(&scratch);
    json_key(&scratch, "a");
    json_object(&scratch);
    json_object_end(&scratch);
    json_key(&scratch, "b");
    json_array(&scratch);
    json_array_end(&scratch);
    json_member(&scratch, "c", "d");
    json_object_end(&scratch);

    ck_holds("{\"a\":{},\"b\":[],\"c\":\"d\"}");
}

static const char *const punctuation[] = {"{", "[", ":", ",", "}", "]", "a:", "[{:", "\"", "\\"};

TEST_EACH(text_that_ends_in_punctuation_does_not_lose_the_comma, punctuation)
{
    json_array(&scratch);
    json_string(&scratch, punctuation[_i]);
    json_integer(&scratch, 1);
    json_array_end(&scratch);

    ck_assert_mem_eq(scratch.data + scratch.len - 4, "\",1]", 4);
}

TEST(null_text_is_null)
{
    json_array(&scratch);
    json_text(&scratch, (struct text){NULL, 0});
    json_string(&scratch, NULL);
    json_array_end(&scratch);

    ck_holds("[null,null]");
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
    json_text(&scratch, escapes[_i].text);

    ck_holds(escapes[_i].json);
}

TEST(keys_are_escaped_too)
{
    json_object(&scratch);
    json_member(&scratch, "a\"b\n", "c");
    json_object_end(&scratch);

    ck_holds("{\"a\\\"b\\n\":\"c\"}");
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
    json_integer(&scratch, numbers[_i].number);

    ck_holds(numbers[_i].json);
}

TEST(every_ascii_character_comes_back_from_a_parser)
{
    const struct json *document;
    char all[127];
    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;

    json_object(&scratch);
    json_key(&scratch, "all");
    json_text(&scratch, (struct text){all, sizeof all});
    json_object_end(&scratch);

    ck_assert_ptr_null(json_parse(a, scratch.data, scratch.len, &document));
    struct text back = json_as_text(json_get(document, "all"));
    ck_assert(text_equal(back, (struct text){all, sizeof all}));
}

TEST(a_document_past_the_bound_is_told_at_the_end)
{
    scratch.max = 40;

    one_of_each();

    ck_assert(scratch.full);
    ck_assert_uint_le(scratch.len, 40);
}

TEST(nothing_is_added_to_a_full_buffer)
{
    scratch.max = 10;
    buf_puts(&scratch, "0123456789A");

    json_member(&scratch, "k", "v");

    ck_assert(scratch.full);
    ck_assert_uint_eq(scratch.len, 0);
}

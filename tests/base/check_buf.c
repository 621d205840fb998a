#include "common/base/buf.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/field/json.h"
#include "common/field/json_write.h"
#include "tests/support/memory.h"
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

/* ---- growing text ---- */

CASE("buf", set_up, tear_down);

TEST(a_new_buffer_is_empty)
{
    ck_assert_uint_eq(b.len, 0);
    ck_assert_uint_eq(b.max, 8 * MIB);
    ck_assert(!b.full);
}

TEST(what_is_added_follows_what_is_there)
{
    buf_puts(&b, "one");
    buf_add(&b, " twofold", 4);
    buf_add(&b, "ignored", 0);
    buf_printf(&b, " %d%c", 3, '!');
    buf_puts(&b, "");

    assert_holds("one two 3!");
}

TEST(nul_bytes_are_bytes)
{
    buf_add(&b, "a\0b", 3);

    ck_assert_uint_eq(b.len, 3);
    ck_assert_mem_eq(b.data, "a\0b", 3);
}

TEST(growth_keeps_every_byte)
{
    for (int i = 0; i < 300000; i++)
        buf_add(&b, &(char){(char)(i % 251)}, 1);

    ck_assert_uint_eq(b.len, 300000);
    for (int i = 0; i < 300000; i++)
        ck_assert_int_eq((unsigned char)b.data[i], i % 251);
}

TEST(a_buffer_takes_exactly_its_bound)
{
    b.max = 10;

    buf_add(&b, "0123456", 7);
    buf_add(&b, "789", 3);

    assert_holds("0123456789");
}

TEST(printing_takes_exactly_the_bound_too)
{
    b.max = 10;

    buf_printf(&b, "%d", 1234567890);

    assert_holds("1234567890");
}

TEST_TIMES(writing_past_the_bound_sets_full_and_changes_nothing_else, 3)
{
    b.max = 10;
    buf_puts(&b, "01234567");

    switch (_i) {
    case 0:
        buf_puts(&b, "890");
        break;
    case 1:
        buf_add(&b, "890", 3);
        break;
    default:
        buf_printf(&b, "%d", 890);
    }

    ck_assert(b.full);
    ck_assert_uint_eq(b.len, 8);
    ck_assert_mem_eq(b.data, "01234567", 8);
}

TEST(a_full_buffer_stays_as_it_is)
{
    b.max = 10;
    buf_puts(&b, "0123456789A");
    ck_assert(b.full);

    buf_puts(&b, "x");
    buf_printf(&b, "y");
    json_member(&b, "k", "v");

    ck_assert(b.full);
    ck_assert_uint_eq(b.len, 0);
}

TEST(a_huge_length_does_not_wrap_round)
{
    buf_puts(&b, "abc");

    buf_add(&b, "x", (size_t)-1);

    ck_assert(b.full);
    ck_assert_uint_eq(b.len, 3);
}

TEST(a_reset_buffer_is_empty_again_and_keeps_little_memory)
{
    buf_puts(&b, "some text");
    size_t room = b.room;

    buf_reset(&b);

    ck_assert_uint_eq(b.room, room);
    assert_holds("");
    buf_puts(&b, "new");
    assert_holds("new");
}

TEST(a_full_buffer_can_be_reset)
{
    b.max = 4;
    buf_puts(&b, "12345");
    ck_assert(b.full);

    buf_reset(&b);
    buf_puts(&b, "1234");

    assert_holds("1234");
}

TEST(memory_above_one_mebibyte_is_given_back_by_a_reset)
{
    char *text = calloc(1, 3 * MIB);
    buf_add(&b, text, 3 * MIB);
    free(text);
    ck_assert_uint_ge(b.room, 3 * MIB);

    buf_reset(&b);

    ck_assert_uint_le(b.room, MIB);
    ck_assert_uint_eq(b.max, 8 * MIB);
    buf_puts(&b, "again");
    assert_holds("again");
}

TEST(a_released_buffer_holds_nothing_and_can_be_released_again)
{
    buf_puts(&b, "text");

    buf_release(&b);
    ck_assert_ptr_null(b.data);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_uint_eq(b.room, 0);

    buf_release(&b);
}

/* ---- wiping ---- */

static void add_secret(void)
{
    char secret[64 + SECRET_SIZE] = {0}; /* behind what free() itself overwrites */
    secret_write(secret + 64);
    buf_add(&b, secret, sizeof secret);
    wipe(secret, sizeof secret);
}

TEST(a_release_leaves_no_secret_in_memory)
{
    add_secret();
    ck_assert(memory_holds_secret());

    buf_release(&b);

    ck_assert(!memory_holds_secret());
}

TEST(a_release_wipes_what_was_there_before_a_reset)
{
    add_secret();
    buf_reset(&b);

    buf_release(&b);

    ck_assert(!memory_holds_secret());
}

TEST(growth_leaves_no_secret_behind)
{
    add_secret();
    void *in_the_way = malloc(6000); /* so that the buffer has to move */
    for (int i = 0; i < 5000; i++)
        buf_puts(&b, "text");

    buf_release(&b);

    bool held = memory_holds_secret();
    free(in_the_way);
    ck_assert(!held);
}

/* ---- the JSON writer ---- */

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

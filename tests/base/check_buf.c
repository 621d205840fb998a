#include "common/base/buf.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

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
    char secret[64 + SECRET_SIZE] = {0}; /* after what free() itself overwrites */
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

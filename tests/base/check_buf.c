#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/memory.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define MIB ((size_t)1024 * 1024)

/* ---- growing text ---- */

CASE("buf", scratch_open, scratch_close);

TEST(a_new_buffer_is_empty)
{
    ck_assert_uint_eq(scratch.len, 0);
    ck_assert_uint_eq(scratch.max, 8 * MIB);
    ck_assert(!scratch.full);
}

TEST(what_is_added_follows_what_is_there)
{
    buf_puts(&scratch, "one");
    buf_add(&scratch, " twofold", 4);
    buf_add(&scratch, "ignored", 0);
    buf_printf(&scratch, " %d%c", 3, '!');
    buf_puts(&scratch, "");

    ck_holds("one two 3!");
}

TEST(nul_bytes_are_bytes)
{
    buf_add(&scratch, "a\0b", 3);

    ck_assert_uint_eq(scratch.len, 3);
    ck_assert_mem_eq(scratch.data, "a\0b", 3);
}

TEST(nothing_is_left_after_a_reset)
{
    buf_puts(&scratch, "a secret");
    const char *before = scratch.data;

    buf_reset(&scratch);

    ck_assert_uint_eq(scratch.len, 0);
    ck_assert_ptr_eq(scratch.data, before);
    ck_assert_mem_eq(before, "\0\0\0\0\0\0\0", 8);
}

TEST(growth_keeps_every_byte)
{
    for (int i = 0; i < 300000; i++)
        buf_add(&scratch, &(char){(char)(i % 251)}, 1);

    ck_assert_uint_eq(scratch.len, 300000);
    for (int i = 0; i < 300000; i++)
        ck_assert_int_eq((unsigned char)scratch.data[i], i % 251);
}

TEST(a_buffer_takes_exactly_its_bound)
{
    scratch.max = 10;

    buf_add(&scratch, "0123456", 7);
    buf_add(&scratch, "789", 3);

    ck_holds("0123456789");
}

TEST(printing_takes_exactly_the_bound_too)
{
    scratch.max = 10;

    buf_printf(&scratch, "%d", 1234567890);

    ck_holds("1234567890");
}

TEST_TIMES(writing_past_the_bound_sets_full_and_changes_nothing_else, 3)
{
    scratch.max = 10;
    buf_puts(&scratch, "01234567");

    switch (_i) {
    case 0:
        buf_puts(&scratch, "890");
        break;
    case 1:
        buf_add(&scratch, "890", 3);
        break;
    default:
        buf_printf(&scratch, "%d", 890);
    }

    ck_assert(scratch.full);
    ck_assert_uint_eq(scratch.len, 8);
    ck_assert_mem_eq(scratch.data, "01234567", 8);
}

TEST(a_full_buffer_stays_as_it_is)
{
    scratch.max = 10;
    buf_puts(&scratch, "0123456789A");
    ck_assert(scratch.full);

    buf_puts(&scratch, "x");
    buf_printf(&scratch, "y");

    ck_assert(scratch.full);
    ck_assert_uint_eq(scratch.len, 0);
}

TEST(a_huge_length_does_not_wrap_round)
{
    buf_puts(&scratch, "abc");

    buf_add(&scratch, "x", (size_t)-1);

    ck_assert(scratch.full);
    ck_assert_uint_eq(scratch.len, 3);
}

TEST(a_reset_buffer_is_empty_again_and_keeps_little_memory)
{
    buf_puts(&scratch, "some text");
    size_t room = scratch.room;

    buf_reset(&scratch);

    ck_assert_uint_eq(scratch.room, room);
    ck_holds("");
    buf_puts(&scratch, "new");
    ck_holds("new");
}

TEST(a_full_buffer_can_be_reset)
{
    scratch.max = 4;
    buf_puts(&scratch, "12345");
    ck_assert(scratch.full);

    buf_reset(&scratch);
    buf_puts(&scratch, "1234");

    ck_holds("1234");
}

TEST(memory_above_one_mebibyte_is_given_back_by_a_reset)
{
    char *text = calloc(1, 3 * MIB);
    buf_add(&scratch, text, 3 * MIB);
    free(text);
    ck_assert_uint_ge(scratch.room, 3 * MIB);

    buf_reset(&scratch);

    ck_assert_uint_le(scratch.room, MIB);
    ck_assert_uint_eq(scratch.max, 8 * MIB);
    buf_puts(&scratch, "again");
    ck_holds("again");
}

TEST(a_released_buffer_holds_nothing_and_can_be_released_again)
{
    buf_puts(&scratch, "text");

    buf_release(&scratch);
    ck_assert_ptr_null(scratch.data);
    ck_assert_uint_eq(scratch.len, 0);
    ck_assert_uint_eq(scratch.room, 0);

    buf_release(&scratch);
}

/* ---- wiping ---- */

static void add_secret(void)
{
    char secret[64 + SECRET_SIZE] = {0}; /* after what free() itself overwrites */
    secret_write(secret + 64);
    buf_add(&scratch, secret, sizeof secret);
    wipe(secret, sizeof secret);
}

TEST(a_release_leaves_no_secret_in_memory)
{
    add_secret();
    ck_assert(memory_holds_secret());

    buf_release(&scratch);

    ck_assert(!memory_holds_secret());
}

TEST(a_release_wipes_what_was_there_before_a_reset)
{
    add_secret();
    buf_reset(&scratch);

    buf_release(&scratch);

    ck_assert(!memory_holds_secret());
}

TEST(growth_leaves_no_secret_behind)
{
    add_secret();
    void *in_the_way = malloc(6000); /* so that the buffer has to move */
    for (int i = 0; i < 5000; i++)
        buf_puts(&scratch, "text");

    buf_release(&scratch);

    bool held = memory_holds_secret();
    free(in_the_way);
    ck_assert(!held);
}

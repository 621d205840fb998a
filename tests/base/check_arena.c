#include "common/base/arena.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/support/memory.h"
#include "tests/support/suite.h"

#define MIB ((size_t)1024 * 1024)

static struct arena *a;

static void set_up(void)
{
    a = arena_open(4 * MIB);
}

static void tear_down(void)
{
    arena_close(a);
}

/* ---- memory ---- */

static bool is_zero(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i])
            return false;
    return true;
}

CASE("arena", set_up, tear_down);

TEST(memory_is_zeroed_and_aligned_for_any_type)
{
    for (size_t size = 0; size < 300; size++) {
        char *p = arena_alloc(a, size);

        ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
        ck_assert(is_zero(p, size));
        memset(p, 0xFF, size);
    }
}

TEST(memory_used_before_a_reset_is_zeroed_again)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            char *p = arena_alloc(a, 10000);
            ck_assert(is_zero(p, 10000));
            memset(p, 0xFF, 10000);
        }
        arena_reset(a);
    }
}

TEST(pieces_do_not_overlap)
{
    unsigned char *pieces[500];
    for (size_t i = 0; i < 500; i++) {
        pieces[i] = arena_alloc(a, i * 7 % 1500 + 1);
        memset(pieces[i], (int)(i % 251), i * 7 % 1500 + 1);
    }

    for (size_t i = 0; i < 500; i++)
        for (size_t at = 0; at < i * 7 % 1500 + 1; at++)
            ck_assert_uint_eq(pieces[i][at], i % 251);
}

TEST(a_piece_larger_than_a_block_is_given)
{
    char *large = arena_alloc(a, 3 * MIB);

    ck_assert(is_zero(large, 3 * MIB));
    memset(large, 1, 3 * MIB);
}

TEST(an_array_has_room_for_every_element)
{
    int64_t *numbers = arena_array(a, 1000, sizeof *numbers);

    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(numbers[i], 0);
        numbers[i] = i;
    }
    ck_assert_ptr_nonnull(arena_array(a, 0, 8));
    ck_assert_ptr_nonnull(arena_array(a, 8, 0));
}

TEST(after_a_reset_the_whole_bound_is_there_again)
{
    for (int i = 0; i < 20; i++) {
        memset(arena_alloc(a, 3 * MIB), 1, 3 * MIB);
        arena_reset(a);
    }
}

TEST(the_first_block_is_kept_by_a_reset)
{
    void *before = arena_alloc(a, 100);
    arena_alloc(a, MIB);

    arena_reset(a);

    ck_assert_ptr_eq(arena_alloc(a, 100), before);
}

/* ---- bounds ---- */

struct end {
    int status;
    char message[200];
};

/* Run `act` in a process of its own; how does it end, and what does it say? */
static struct end end_of(void (*act)(void))
{
    struct end end = {0};
    int said[2];
    ck_assert_int_eq(pipe(said), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(said[1], STDERR_FILENO);
        act();
        _exit(EXIT_SUCCESS);
    }
    (void)close(said[1]);
    FILE *from = fdopen(said[0], "r");
    ck_assert_ptr_nonnull(from);
    end.message[fread(end.message, 1, sizeof end.message - 1, from)] = '\0';
    (void)fclose(from);
    ck_assert_int_eq(waitpid(pid, &end.status, 0), pid);
    return end;
}

static void assert_gave_up(struct end end)
{
    ck_assert(WIFEXITED(end.status));
    ck_assert_int_eq(WEXITSTATUS(end.status), EX_SOFTWARE);
    ck_assert_int_eq(EX_SOFTWARE, 70);
    ck_assert_ptr_nonnull(strstr(end.message, "out of memory"));
    ck_assert_ptr_nonnull(strchr(end.message, '\n'));
}

static void ask_for_all_in_one(void)
{
    arena_alloc(a, 4 * MIB + 1);
}

static void ask_for_all_in_pieces(void)
{
    for (int i = 0; i < 5000; i++)
        arena_alloc(a, 1024);
}

static void ask_for_everything(void)
{
    arena_alloc(a, SIZE_MAX);
}

static void ask_for_an_overflowing_array(void)
{
    arena_array(a, SIZE_MAX / 16 + 2, 16);
}

static void ask_for_a_long_text(void)
{
    arena_printf(a, "%*d", (int)(5 * MIB), 1);
}

static void (*const too_much[])(void) = {ask_for_all_in_one, ask_for_all_in_pieces,
                                         ask_for_everything, ask_for_an_overflowing_array,
                                         ask_for_a_long_text};

TEST_EACH(who_asks_for_more_than_the_bound_ends_with_a_message_and_status_70, too_much)
{
    assert_gave_up(end_of(too_much[_i]));
}

static void ask_for_what_was_promised(void)
{
    struct arena *small = arena_open(100 * (size_t)1024);
    arena_alloc(small, 60 * (size_t)1024);
    arena_alloc(small, 30 * (size_t)1024);
    arena_close(small);
}

TEST(who_asks_for_less_than_the_bound_gets_it)
{
    struct end end = end_of(ask_for_what_was_promised);

    ck_assert_msg(WIFEXITED(end.status) && WEXITSTATUS(end.status) == EXIT_SUCCESS,
                  "90 of 100 KiB were refused: %s", end.message);
}

/* ---- copies and texts ---- */

TEST(a_copy_is_apart_from_its_source_and_ends_in_nul)
{
    char source[] = "ab\0cd";

    char *copy = arena_copy(a, source, 5);
    source[0] = 'x';

    ck_assert_mem_eq(copy, "ab\0cd", 6);
}

TEST(a_copy_of_nothing_is_an_empty_string)
{
    ck_assert_str_eq(arena_copy(a, NULL, 0), "");
    ck_assert_str_eq(arena_strdup(a, ""), "");
}

TEST(a_string_is_copied_whole)
{
    char source[] = "hello";

    char *copy = arena_strdup(a, source);
    source[0] = 'j';

    ck_assert_str_eq(copy, "hello");
}

TEST(a_text_is_copied_with_a_nul_after_it)
{
    char source[] = "hello, world";

    struct text copy = arena_text(a, (struct text){source, 5});
    source[0] = 'j';

    ck_assert_uint_eq(copy.len, 5);
    ck_assert_str_eq(copy.data, "hello");
}

TEST(null_stays_null_and_empty_stays_empty)
{
    ck_assert_ptr_null(arena_text(a, (struct text){NULL, 0}).data);
    ck_assert_ptr_nonnull(arena_text(a, TEXT("")).data);
    ck_assert_uint_eq(arena_text(a, TEXT("")).len, 0);
}

TEST(printed_text_is_as_long_as_it_needs_to_be)
{
    char *text = arena_printf(a, "%s-%d-%*d", "a", 42, 100000, 7);

    ck_assert_uint_eq(strlen(text), 5 + 100000);
    ck_assert_mem_eq(text, "a-42-   ", 8);
    ck_assert_str_eq(text + 5 + 99998, " 7");
    ck_assert_str_eq(arena_printf(a, "%s", ""), "");
}

TEST(a_text_of_a_string_borrows_it)
{
    const char *s = "abc";

    ck_assert_ptr_eq(text_of(s).data, s);
    ck_assert_uint_eq(text_of(s).len, 3);
    ck_assert_ptr_null(text_of(NULL).data);
    ck_assert_uint_eq(text_of(NULL).len, 0);
}

#define NULL_TEXT                                                                                  \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static const struct {
    struct text a, b;
    bool equal;
} pairs[] = {
    {{"abc", 3}, {"abc", 3}, true},    {{"abc", 3}, {"abcd", 3}, true},
    {{"abc", 3}, {"abd", 3}, false},   {{"abc", 3}, {"ab", 2}, false},
    {{"", 0}, {"", 0}, true},          {{"", 0}, {"x", 1}, false},
    {{"a\0b", 3}, {"a\0c", 3}, false}, {{"a\0b", 3}, {"a\0b", 3}, true},
    {NULL_TEXT, NULL_TEXT, true},      {NULL_TEXT, {"", 0}, false},
    {{"", 0}, NULL_TEXT, false},
};

TEST_EACH(texts_are_equal_when_all_bytes_are, pairs)
{
    ck_assert_int_eq(text_equal(pairs[_i].a, pairs[_i].b), pairs[_i].equal);
}

/* ---- destructors ---- */

static char destroyed[16];

static void note_destruction(void *object)
{
    strncat(destroyed, object, 1); /* reads the object: it must still be there */
}

TEST(destructors_run_at_a_reset_latest_first_and_once)
{
    *destroyed = '\0';
    arena_defer(a, note_destruction, arena_strdup(a, "1"));
    arena_defer(a, note_destruction, arena_strdup(a, "2"));
    arena_alloc(a, MIB);
    arena_defer(a, note_destruction, arena_strdup(a, "3"));
    ck_assert_str_eq(destroyed, "");

    arena_reset(a);
    ck_assert_str_eq(destroyed, "321");

    arena_reset(a);
    ck_assert_str_eq(destroyed, "321");
}

TEST(destructors_run_at_the_close)
{
    struct arena *other = arena_open(MIB);
    *destroyed = '\0';
    arena_defer(other, note_destruction, arena_strdup(other, "a"));
    arena_defer(other, note_destruction, arena_strdup(other, "b"));

    arena_close(other);

    ck_assert_str_eq(destroyed, "ba");
}

static void defer_another(void *object)
{
    arena_defer(object, note_destruction, arena_strdup(object, "n"));
}

TEST(what_a_destructor_defers_is_run_too)
{
    *destroyed = '\0';
    arena_defer(a, defer_another, a);

    arena_reset(a);

    ck_assert_str_eq(destroyed, "n");
}

TEST(closing_nothing_does_nothing)
{
    arena_close(NULL);
}

/* ---- wiping ---- */

TEST(wiped_memory_is_zero)
{
    char secret[33] = "0123456789abcdef0123456789abcdef";

    wipe(secret + 1, 30);

    ck_assert_int_eq(secret[0], '0');
    ck_assert_int_eq(secret[31], 'f');
    ck_assert(is_zero(secret + 1, 30));
}

/* A secret in the first block, one in a later block and one in a block of its own. */
static void keep_secrets(struct arena *in)
{
    secret_write(arena_alloc(in, SECRET_SIZE + 200));
    for (int i = 0; i < 8; i++)
        secret_write((char *)arena_alloc(in, 20000) + 9000);
    secret_write((char *)arena_alloc(in, MIB) + MIB / 2);
}

TEST(a_reset_leaves_no_secret_in_memory)
{
    keep_secrets(a);
    ck_assert(memory_holds_secret());

    arena_reset(a);

    ck_assert(!memory_holds_secret());
}

TEST(a_close_leaves_no_secret_in_memory)
{
    struct arena *other = arena_open(4 * MIB);
    keep_secrets(other);
    ck_assert(memory_holds_secret());

    arena_close(other);

    ck_assert(!memory_holds_secret());
}

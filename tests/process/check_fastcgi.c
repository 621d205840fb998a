#include "common/process/fastcgi.h"

#include <string.h>

#include "tests/support/records.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define BODY_MAX 1000

static struct fastcgi f;

static void set_up(void)
{
    scratch_open();
    fastcgi_init(&f, BODY_MAX);
}

static void tear_down(void)
{
    fastcgi_release(&f);
    scratch_close();
}

/* ---- records, into the scratch buffer ---- */

static void put(unsigned char type, unsigned id, const void *data, size_t len, size_t padding)
{
    put_record_of(&scratch, id, type, data, len, padding);
}

static void begin(unsigned id, unsigned char role)
{
    const unsigned char body[8] = {0, role};
    put(BEGIN, id, body, sizeof body, 0);
}

static void put_request(const char *body, size_t padding)
{
    begin(1, 1);
    put(PARAMS, 1, "\1\2Abc\0\0", 7, padding);
    put(PARAMS, 1, NULL, 0, padding);
    put(STDIN, 1, body, strlen(body), padding);
    put(STDIN, 1, NULL, 0, padding);
}

/* Give what was put in pieces of `piece` bytes. */
static enum fastcgi_step give(size_t piece)
{
    enum fastcgi_step step = FASTCGI_MORE;
    for (size_t at = 0; at < scratch.len && step == FASTCGI_MORE; at += piece) {
        size_t left = scratch.len - at;
        step = fastcgi_take(&f, scratch.data + at, left < piece ? left : piece);
    }
    buf_reset(&scratch);
    return step;
}

static void ck_answer(const void *expected, size_t len)
{
    ck_assert_uint_eq(f.answer.len, len);
    ck_assert_mem_eq(f.answer.data, expected, len);
}

#define ck_says(text_) ck_answer(text_, sizeof(text_) - 1)

CASE("reading", set_up, tear_down);

static const size_t pieces[] = {1, 2, 7, 8, 9, 16, 100, 100000};

TEST_EACH(a_request_is_read_however_it_is_cut, pieces)
{
    put_request("the body", 3);

    ck_assert_int_eq(give(pieces[_i]), FASTCGI_WHOLE);

    char *const *params = fastcgi_params(&f, a);
    ck_assert_uint_eq(f.id, 1);
    ck_assert_uint_eq(f.body.len, 8);
    ck_assert_mem_eq(f.body.data, "the body", 8);
    ck_assert_str_eq(params[0], "A=bc");
    ck_assert_str_eq(params[1], "=");
    ck_assert_ptr_null(params[2]);
    ck_assert_uint_eq(f.answer.len, 0);
}

TEST(padding_is_taken_to_its_end)
{
    put_request("x", 255);
    size_t whole = scratch.len;

    for (size_t at = 0; at + 1 < whole; at++)
        ck_assert_int_eq(fastcgi_take(&f, scratch.data + at, 1), FASTCGI_MORE);
    ck_assert_int_eq(fastcgi_take(&f, scratch.data + whole - 1, 1), FASTCGI_WHOLE);
}

TEST(what_follows_the_request_is_ignored)
{
    put_request("x", 0);
    put(STDIN, 1, "y", 1, 0);
    buf_add(&scratch, "noise", 5);

    ck_assert_int_eq(give(100000), FASTCGI_WHOLE);
    ck_assert_uint_eq(f.body.len, 1);
}

TEST(the_next_request_has_nothing_of_the_one_before)
{
    put_request("first", 0);
    ck_assert_int_eq(give(100), FASTCGI_WHOLE);
    const char *before = f.body.data;

    fastcgi_reset(&f);

    ck_assert_mem_eq(before, "\0\0\0\0\0", 5);
    put_request("", 0);
    ck_assert_int_eq(give(100), FASTCGI_WHOLE);
    ck_assert_uint_eq(f.body.len, 0);
    ck_assert_str_eq(fastcgi_params(&f, a)[0], "A=bc");
}

TEST(long_names_and_values_have_four_bytes_of_length)
{
    char value[300];
    memset(value, 'v', sizeof value);
    begin(1, 1);
    put(PARAMS, 1, "\1\x80\0\1\x2CN", 6, 0); /* 300 */
    put(PARAMS, 1, value, sizeof value, 0);
    put(PARAMS, 1, NULL, 0, 0);
    put(STDIN, 1, NULL, 0, 0);

    ck_assert_int_eq(give(50), FASTCGI_WHOLE);

    char *const *params = fastcgi_params(&f, a);
    ck_assert_uint_eq(strlen(params[0]), 302);
    ck_assert_mem_eq(params[0], "N=vvv", 5);
    ck_assert_ptr_null(params[1]);
}

#define PAIRS(text_)                                                                               \
    {                                                                                              \
        text_, sizeof(text_) - 1                                                                   \
    }
static const struct {
    const char *text;
    size_t len;
} bad_pairs[] = {
    PAIRS("\1"),
    PAIRS("\1\1"),
    PAIRS("\1\1N"),
    PAIRS("\2\0N"),
    PAIRS("\1\2NV"),
    PAIRS("\x80\0\0"),
    PAIRS("\x80\0\0\1"),
    PAIRS("\x80\0\0\1\x80\0\0"),
    PAIRS("\xBF\xFF\xFF\xFF\xBF\xFF\xFF\xFFNV"),
    PAIRS("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFNV"),
    PAIRS("\1\xFF\xFF\xFF\xFFNV"),
    PAIRS("\1\1AB\1\1N"),
};

TEST_EACH(lengths_beyond_the_end_are_no_parameters, bad_pairs)
{
    begin(1, 1);
    put(PARAMS, 1, bad_pairs[_i].text, bad_pairs[_i].len, 0);
    put(PARAMS, 1, NULL, 0, 0);
    put(STDIN, 1, NULL, 0, 0);

    ck_assert_int_eq(give(100), FASTCGI_WHOLE);

    ck_assert_ptr_null(fastcgi_params(&f, a));
}

static const struct {
    size_t len;
    bool full;
} bodies[] = {{BODY_MAX - 1, false}, {BODY_MAX, false}, {BODY_MAX + 1, true}, {60000, true}};

TEST_EACH(a_body_is_kept_up_to_its_bound_and_counted_beyond, bodies)
{
    char *body = arena_alloc(a, 60001);
    memset(body, 'b', bodies[_i].len);
    put_request(body, 0);

    ck_assert_int_eq(give(1000), FASTCGI_WHOLE);

    ck_assert_int_eq(f.body.full, bodies[_i].full);
    ck_assert_uint_eq(f.body_len, bodies[_i].len);
}

/* ---- what ends it ---- */

TEST(a_body_without_end_ends)
{
    static const char part[60000];
    enum fastcgi_step step = FASTCGI_MORE;
    size_t times = 0;
    put_request("x", 0);
    scratch.len -= 8; /* without the end of the body */
    ck_assert_int_eq(give(1000), FASTCGI_MORE);

    for (; step == FASTCGI_MORE; times++) {
        put(STDIN, 1, part, sizeof part, 0);
        step = give(100000);
    }

    ck_assert_int_eq(step, FASTCGI_BROKEN);
    ck_assert_uint_eq(times, (BODY_MAX + FASTCGI_DRAIN_MAX) / sizeof part + 1);
    ck_assert_uint_le(f.body.room, 4096);
}

TEST(parameters_without_end_end)
{
    static const char part[60000];
    enum fastcgi_step step = FASTCGI_MORE;
    size_t times = 0;
    begin(1, 1);
    for (; step == FASTCGI_MORE; times++) {
        put(PARAMS, 1, part, sizeof part, 0);
        step = give(100000);
    }

    ck_assert_int_eq(step, FASTCGI_BROKEN);
    ck_assert_uint_eq(times, FASTCGI_PARAMS_MAX / sizeof part + 1);
}

/* Before the request is whole, and without memory for it. */
TEST(a_parameter_is_found_as_soon_as_it_has_come)
{
    begin(1, 1);
    put(PARAMS, 1,
        "\x01\x02"
        "AbcHTTP",
        7, 0);
    ck_assert_int_eq(give(100000), FASTCGI_MORE);

    struct text value = fastcgi_param(&f, "A"), none = fastcgi_param(&f, "B");

    ck_assert_uint_eq(value.len, 2);
    ck_assert_mem_eq(value.data, "bc", 2);
    ck_assert_uint_eq(none.len, 0);
}

/* What is of no use, or asks again and again, does not go on for ever. */
static void put_useless(int kind)
{
    static const unsigned char begin_body[8] = {0, 1};
    switch (kind) {
    case 0: /* records of another request */
        put(STDIN, 7, "", 0, 0);
        return;
    case 1: /* of a type that there is not */
        put(77, 0, "", 0, 0);
        return;
    case 2: /* questions */
        put(GET_VALUES, 0, "\x0E\0FCGI_MAX_CONNS", 16, 0);
        return;
    case 3: /* other requests */
        put(BEGIN, 2, begin_body, sizeof begin_body, 0);
        return;
    default: /* a stream that only a filter has */
        put(DATA, 1, "x", 1, 0);
    }
}

TEST_TIMES(what_is_of_no_use_ends, 5)
{
    enum fastcgi_step step;
    size_t times = 0;
    begin(1, 1);
    do {
        put_useless(_i);
        step = give(100000);
        buf_reset(&f.answer); /* as when it is sent */
    } while (step == FASTCGI_MORE && ++times < 100000);

    ck_assert_int_eq(step, FASTCGI_BROKEN);
    ck_assert_uint_gt(times, 1000);
}

/* Of what is not sent there is a bound as well. */
TEST(an_answer_that_nobody_takes_ends)
{
    enum fastcgi_step step;
    do {
        put_useless(3);
        begin(1, 1);
        put_useless(2);
        step = give(100000);
        f.skipped = 0;
    } while (step == FASTCGI_MORE);

    ck_assert_int_eq(step, FASTCGI_BROKEN);
}

static void put_broken(int kind)
{
    static const unsigned char version[] = {2, BEGIN, 0, 1, 0, 8, 0, 0};
    begin(1, 1);
    switch (kind) {
    case 0:
        buf_reset(&scratch);
        buf_add(&scratch, version, sizeof version);
        return;
    case 1: /* a beginning of another size */
        buf_reset(&scratch);
        put(BEGIN, 1, "\0\1\0\0\0\0\0", 7, 0);
        return;
    case 2: /* the same request again */
        begin(1, 1);
        return;
    case 3:
        put(ABORT, 1, NULL, 0, 0);
        return;
    case 4: /* a body before the end of the parameters */
        put(STDIN, 1, "x", 1, 0);
        return;
    case 5: /* parameters after their end */
        put(PARAMS, 1, NULL, 0, 0);
        put(PARAMS, 1, "\0\0", 2, 0);
        return;
    case 6: /* after it, in the body */
        put(PARAMS, 1, NULL, 0, 0);
        put(STDIN, 1, "x", 1, 0);
        put(ABORT, 1, NULL, 0, 0);
        return;
    default: /* a long question */
        put(GET_VALUES, 0, memset(arena_alloc(a, 600), 0, 600), 600, 0);
    }
}

TEST_TIMES(what_is_not_by_the_specification_ends_at_once, 8)
{
    put_broken(_i);

    ck_assert_int_eq(give(1), FASTCGI_BROKEN);
    ck_assert_uint_eq(f.answer.len, 0);
}

TEST(another_role_is_refused)
{
    begin(258, 3);

    ck_assert_int_eq(give(100), FASTCGI_BROKEN);
    ck_says("\1\3\1\2\0\10\0\0\0\0\0\0\3\0\0\0");
}

TEST(a_second_request_on_a_connection_is_refused_and_the_first_goes_on)
{
    begin(1, 1);
    begin(2, 1);
    put(PARAMS, 2, "\1\1XY", 4, 0);
    put(STDIN, 2, "other", 5, 0);
    put(PARAMS, 1, "\1\2Abc", 5, 0);
    put(PARAMS, 1, NULL, 0, 0);
    put(ABORT, 2, NULL, 0, 0);
    put(STDIN, 1, NULL, 0, 0);

    ck_assert_int_eq(give(3), FASTCGI_WHOLE);

    ck_says("\1\3\0\2\0\10\0\0\0\0\0\0\1\0\0\0");
    ck_assert_uint_eq(f.id, 1);
    ck_assert_uint_eq(f.body.len, 0);
    ck_assert_ptr_null(fastcgi_params(&f, a)[1]);
}

/* ---- about ourselves ---- */

TEST(what_we_can_is_told)
{
    put(GET_VALUES, 0, "\x0E\0FCGI_MAX_CONNS\xF\0FCGI_MPXS_CONNS\3\0xyz\xD\0FCGI_MAX_REQS", 53, 0);

    ck_assert_int_eq(give(5), FASTCGI_MORE);

    ck_says("\1\12\0\0\0\63\0\0\x0E\1FCGI_MAX_CONNS1\xF\1FCGI_MPXS_CONNS0\xD\1FCGI_MAX_REQS1");
}

TEST(a_question_with_wrong_lengths_is_answered_as_far_as_it_goes)
{
    put(GET_VALUES, 0, "\xD\0FCGI_MAX_REQS\x7F\0FCGI", 21, 0);

    ck_assert_int_eq(give(100), FASTCGI_MORE);

    ck_says("\1\12\0\0\0\20\0\0\xD\1FCGI_MAX_REQS1");
}

TEST(a_type_that_is_unknown_is_told)
{
    put(77, 0, "xy", 2, 1);

    ck_assert_int_eq(give(100), FASTCGI_MORE);

    ck_says("\1\13\0\0\0\10\0\0\115\0\0\0\0\0\0\0");
}

/* ---- writing ---- */

CASE("writing", scratch_open, scratch_close);

TEST(an_answer_is_records_and_an_end)
{
    fastcgi_put(&scratch, 258, "text", 4);
    fastcgi_put_end(&scratch, 258);

    ck_assert_uint_eq(scratch.len, 12 + 8 + 16);
    ck_assert_mem_eq(scratch.data,
                     "\1\6\1\2\0\4\0\0text\1\6\1\2\0\0\0\0\1\3\1\2\0\10\0\0\0\0\0\0\0\0\0\0", 36);
}

TEST(nothing_is_no_record_for_it_would_be_the_end)
{
    fastcgi_put(&scratch, 1, "", 0);

    ck_assert_uint_eq(scratch.len, 0);
}

TEST(a_long_answer_is_cut)
{
    struct buf out;
    char *text = arena_alloc(a, 70000);
    buf_init(&out, 100000);

    fastcgi_put(&out, 1, text, 70000);

    ck_assert_uint_eq(out.len, 8 + 65528 + 8 + 70000 - 65528);
    ck_assert_mem_eq(out.data, "\1\6\0\1\377\370\0\0", 8);
    ck_assert_mem_eq(out.data + 8 + 65528, "\1\6\0\1\21\170\0\0", 8);
    buf_release(&out);
}

TEST(an_answer_without_a_buffer_is_the_same)
{
    char out[64] = "";
    fastcgi_put(&scratch, 258, "text", 4);
    fastcgi_put_end(&scratch, 258);

    ck_assert_uint_eq(fastcgi_write(out, sizeof out, 258, "text", 4), scratch.len);

    ck_assert_mem_eq(out, scratch.data, scratch.len);
    ck_assert_uint_eq(fastcgi_write(out, scratch.len - 1, 258, "text", 4), 0);
}

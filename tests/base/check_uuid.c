#include "common/base/uuid.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/exhausted.h"
#include "tests/support/child.h"
#include "tests/support/suite.h"

static int refusals, refusal; /* how often getrandom(2) fails, and why */

/* In the place of the C library's. */
ssize_t getrandom(void *to, size_t len, unsigned flags)
{
    if (refusals-- <= 0)
        return syscall(SYS_getrandom, to, len, flags);
    errno = refusal;
    return -1;
}

/* RFC 9562 appendix A.6: version 7, made at 2022-02-22T19:22:22Z. */
static const char sample_text[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
static const struct uuid sample = {{0x01, 0x7F, 0x22, 0xE2, 0x79, 0xB0, 0x7C, 0xC3, 0x98, 0xC4,
                                    0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F}};
static const struct instant sample_time = {1645557742000000};

static int compare(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

CASE("uuid", NULL, NULL);

TEST(the_rfc_s_example_is_formatted)
{
    char text[UUID_TEXT_SIZE];

    uuid_format(&sample, text);

    ck_assert_str_eq(text, sample_text);
}

static const char *const spellings[] = {
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
    "017f22E2-79b0-7Cc3-98c4-dC0c0c07398f",
};

TEST_EACH(the_rfc_s_example_is_parsed_in_either_case, spellings)
{
    struct uuid id;

    ck_assert(uuid_parse(spellings[_i], strlen(spellings[_i]), &id));

    ck_assert(uuid_equal(&id, &sample));
}

/* Of RFC 9562: version 1 and 4 of appendix A, nil and max of sections 5.9 and 5.10. */
static const char *const others[] = {
    "c232ab00-9414-11ec-b3c8-9f6bdeced846",
    "919108f7-52d1-4320-9bac-f847db4148a8",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
};

TEST_EACH(any_version_survives_the_round_trip, others)
{
    struct uuid id;
    char text[UUID_TEXT_SIZE];

    ck_assert(uuid_parse(others[_i], strlen(others[_i]), &id));
    uuid_format(&id, text);

    ck_assert_str_eq(text, others[_i]);
}

#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct {
    const char *text;
    size_t len;
} malformed[] = {
    BYTES(""),
    BYTES("017f22e2-79b0-7cc3-98c4-dc0c0c07398"),
    BYTES("017f22e2-79b0-7cc3-98c4-dc0c0c07398f0"),
    BYTES("017f22e279b07cc398c4dc0c0c07398f"),
    BYTES("017f22e279b07cc398c4dc0c0c07398f0000"),
    BYTES("{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}"),
    BYTES("017f22e2-79b0-7cc3-98c4-dc0c0c07398g"),
    BYTES("g17f22e2-79b0-7cc3-98c4-dc0c0c07398f"),
    BYTES("017f22e2_79b0-7cc3-98c4-dc0c0c07398f"),
    BYTES("017f22e27-9b0-7cc3-98c4-dc0c0c07398f"),
    BYTES("017f22e2-79b0-7cc3-98c4--c0c0c07398f"),
    BYTES(" 17f22e2-79b0-7cc3-98c4-dc0c0c07398f"),
    BYTES("0x7f22e2-79b0-7cc3-98c4-dc0c0c07398f"),
    BYTES("017f22e2-79b0-7cc3-98c4-dc0c0c07398\0"),
    BYTES("017f22e2-79b0-7cc3-98c4-dc0c0c0739\xC3\xA9"),
};

TEST_EACH(malformed_text_is_refused_and_leaves_the_result_untouched, malformed)
{
    struct uuid id = sample;

    ck_assert(!uuid_parse(malformed[_i].text, malformed[_i].len, &id));

    ck_assert(uuid_equal(&id, &sample));
}

TEST(the_zero_value_is_nil_and_nothing_else)
{
    struct uuid id = {{0}};

    ck_assert(uuid_is_nil(&id));
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        id = (struct uuid){{0}};
        id.bytes[i] = 1;
        ck_assert(!uuid_is_nil(&id));
    }
}

TEST(equality_looks_at_every_byte)
{
    for (size_t i = 0; i < sizeof sample.bytes; i++) {
        struct uuid other = sample;
        other.bytes[i] ^= 0x80;
        ck_assert(!uuid_equal(&other, &sample));
    }
    ck_assert(uuid_equal(&sample, &sample));
}

/* The tests below may share a process, so each takes a later time than those before it. */

TEST(a_new_id_has_the_time_the_version_and_the_variant)
{
    struct uuid id = uuid_make(sample_time);

    ck_assert_mem_eq(id.bytes, sample.bytes, 6);
    ck_assert_uint_eq(id.bytes[6] >> 4, 7);
    ck_assert_uint_eq(id.bytes[8] >> 6, 2);
}

TEST(ids_of_one_millisecond_rise)
{
    struct instant now = {1700000000000000};
    struct uuid last = uuid_make(now);

    for (int i = 0; i < 100000; i++) {
        struct uuid next = uuid_make(now);
        if (compare(last, next) >= 0)
            ck_abort_msg("id %d does not rise", i);
        last = next;
    }
    ck_assert_mem_eq(last.bytes, "\x01\x8B\xCF\xE5\x68\x00", 6);
}

TEST(ids_rise_when_the_clock_steps_back)
{
    struct instant now = {1710000000000000};
    struct uuid last = uuid_make(now);

    for (int i = 0; i < 1000; i++) {
        now.us -= 3600 * (int64_t)1000000;
        struct uuid next = uuid_make(now);
        ck_assert_int_lt(compare(last, next), 0);
        last = next;
    }
}

TEST(ids_follow_the_clock_again_when_it_has_caught_up)
{
    struct instant now = {1720000000000000};
    struct uuid before = uuid_make((struct instant){now.us + 5000});
    struct uuid later = uuid_make(now);

    struct uuid after = uuid_make((struct instant){now.us + 6000});

    ck_assert_int_lt(compare(before, later), 0);
    ck_assert_int_lt(compare(later, after), 0);
    ck_assert_mem_eq(after.bytes, "\x01\x90\x77\xFD\x30\x06", 6);
}

/* The counter has 2^18 values, of which a millisecond starts in the lower half: after that many
 * ids at the latest it must go on in the next millisecond. */
TEST(ids_rise_when_the_counter_of_a_millisecond_is_used_up)
{
    struct instant now = {1730000000000000};
    struct uuid first = uuid_make(now);
    struct uuid last = first;
    int made = 1;

    while (memcmp(last.bytes, first.bytes, 6) == 0 && made <= 1 << 18) {
        struct uuid next = uuid_make(now);
        if (compare(last, next) >= 0)
            ck_abort_msg("id %d does not rise", made);
        last = next;
        made++;
    }

    ck_assert_int_gt(made, 1 << 17);
    ck_assert_int_le(made, 1 << 18);
    ck_assert_int_eq(last.bytes[5], first.bytes[5] + 1);
}

/* Both ends of what 48 bits hold; an instant reaches further. */
TEST_TIMES(times_out_of_range_are_brought_into_it, 2)
{
    if (_i == 0) {
        struct uuid id = uuid_make((struct instant){-1});
        ck_assert_uint_eq(id.bytes[6] >> 4, 7);
    } else {
        struct uuid id = uuid_make((struct instant){INT64_MAX});
        ck_assert_mem_eq(id.bytes, "\xFF\xFF\xFF\xFF\xFF\xFF", 6);
    }
}

/* The 56 bits at the end of 10,000 ids: all different, each bit set about half of the times. */
TEST(the_rest_of_an_id_is_random)
{
    enum { MADE = 10000 };
    static int ones[56];
    unsigned char before[7] = {0};

    for (int i = 0; i < MADE; i++) {
        struct uuid id = uuid_make((struct instant){1740000000000000});
        ck_assert_mem_ne(id.bytes + 9, before, 7);
        memcpy(before, id.bytes + 9, 7);
        for (int bit = 0; bit < 56; bit++)
            ones[bit] += id.bytes[9 + bit / 8] >> (bit % 8) & 1;
    }

    for (int bit = 0; bit < 56; bit++) { /* ten standard deviations */
        ck_assert_int_gt(ones[bit], MADE / 2 - 500);
        ck_assert_int_lt(ones[bit], MADE / 2 + 500);
    }
}

TEST(a_child_does_not_share_the_random_bytes_of_its_parent)
{
    struct instant now = {1750000000000000};
    struct uuid of_parent = uuid_make(now), of_child;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);

    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        of_child = uuid_make(now);
        _exit(write(ends[1], &of_child, sizeof of_child) == (ssize_t)sizeof of_child ? 0 : 1);
    }
    of_parent = uuid_make(now);
    ck_assert_int_eq(read(ends[0], &of_child, sizeof of_child), (ssize_t)sizeof of_child);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);

    ck_assert_mem_ne(of_parent.bytes + 9, of_child.bytes + 9, 7);
}

static void end(void)
{
    _exit(EX_SOFTWARE);
}

/* The exit status of a process that is refused so often when it makes an id. */
static int end_of_refused(int times, int why)
{
    pid_t pid = fork();
    if (pid == 0) {
        refusals = times;
        refusal = why;
        on_exhausted(end);
        (void)uuid_make((struct instant){1750000000000000});
        _exit(EX_OK);
    }
    return end_of(pid);
}

TEST(without_random_bytes_there_is_no_id)
{
    ck_assert_int_eq(end_of_refused(1, ENOSYS), EX_SOFTWARE);
    ck_assert_int_eq(end_of_refused(2, EINTR), EX_OK); /* only interrupted */
}

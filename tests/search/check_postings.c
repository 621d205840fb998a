#include "common/search/postings.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/search/postings_write.h"
#include "tests/support/plain.h"
#include "tests/support/suite.h"

#define PAIRS_MAX ((size_t)1 << 20)

static struct postings_writer writer;

static void open_writer(void)
{
    postings_writer_init(&writer, PAIRS_MAX);
}

static void close_writer(void)
{
    postings_writer_release(&writer);
}

static void add(uint32_t ordinal, uint32_t term)
{
    postings_add(&writer, ordinal, &term, 1);
}

static struct text blob_of(struct postings_key key)
{
    struct text blob;
    ck_assert(postings_write(&writer, key, &blob));
    return blob;
}

static struct postings opened(struct postings_key key, struct text blob)
{
    struct postings p;
    const char *why = postings_open(&p, key, blob);
    ck_assert_msg(!why, "%s", why);
    return p;
}

static const struct postings_key first_key = {.level = 1};

CASE("format", open_writer, close_writer);

/* The bytes are those of the header's picture, worked out by hand. */
TEST(a_blob_has_the_bytes_that_the_header_tells)
{
    static const char bytes[] = "\x01\x02"             /* version, level */
                                "\x00"                 /* none is wild */
                                "\x03\x00\x07\x00"     /* term 3, one ordinal: 4,096 + 7 */
                                "\xC8\x01\x01\x00\x00" /* term 204 = 3 + 1 + 200, two ordinals */
                                "\xFF\x0F";
    add(4096 + 4095, 204);
    add(4096 + 7, 3);
    add(4096, 204);
    struct text blob = blob_of((struct postings_key){.level = 2, .base = 4096});
    ck_assert_uint_eq(blob.len, sizeof bytes - 1);
    ck_assert_mem_eq(blob.data, bytes, blob.len);
}

TEST(many_offsets_become_a_bitmap)
{
    for (uint32_t i = 0; i < 31; i++)
        add(8 * i, 1);
    ck_assert_uint_eq(blob_of(first_key).len, 3 + 2 + 31);

    add(255, 1);
    struct text blob = blob_of(first_key);

    ck_assert_uint_eq(blob.len, 3 + 2 + 32);
    ck_assert_int_eq(blob.data[5], 1);
    ck_assert_int_eq((unsigned char)blob.data[36], 0x80);
}

TEST(nothing_makes_no_blob)
{
    ck_assert_ptr_null(blob_of(first_key).data);
    add(256, 1);               /* is of the next segment */
    add(0, UINT32_C(1) << 27); /* is of the next bucket */
    ck_assert_ptr_null(blob_of(first_key).data);
}

TEST(an_empty_blob_is_a_blob)
{
    struct postings p = opened(first_key, TEXT("\x01\x01\x00"));
    ck_assert_uint_eq(p.wild.count, 0);
    ck_assert_uint_eq(postings_find(&p, 0).count, 0);
}

#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct {
    const char *why;
    struct text blob;
} refused[] = {
    {"it is too short or too long", {NULL, 0}},
    {"it is too short or too long", BYTES("\x01\x01")},
    {"it is of another version", BYTES("\x02\x01\x00")},
    {"it is of another level", BYTES("\x01\x02\x00")},
    {"a number is cut or has a spelling that is not ours", BYTES("\x01\x01\x80")},
    {"a number is cut or has a spelling that is not ours", BYTES("\x01\x01\x80\x00")},
    {"a number is cut or has a spelling that is not ours", BYTES("\x01\x01\x00\x05")},
    {"a number is cut or has a spelling that is not ours",
     BYTES("\x01\x01\x00\xFF\xFF\xFF\xFF\x1F\x00\x00")},
    {"a number is cut or has a spelling that is not ours",
     BYTES("\x01\x01\x00\x81\x80\x80\x80\x80\x00\x00\x00")},
    {"a list has more ordinals than its segment", BYTES("\x01\x01\x81\x02")},
    {"a list has more ordinals than its segment", BYTES("\x01\x01\x00\x05\x80\x02")},
    {"a list has more ordinals than its segment", BYTES("\x01\x01\x00\x05\xFF\xFF\xFF\xFF\x0F")},
    {"a list is cut", BYTES("\x01\x01\x00\x05\x01\x00")},
    {"a list is cut", BYTES("\x01\x01\x00\x05\xFF\x01\x00")},
    {"a term is of another bucket", BYTES("\x01\x01\x00\x80\x80\x80\x40\x00\x00")},
    {"a term is of another bucket", BYTES("\x01\x01\x00\x05\x00\x00\xFF\xFF\xFF\xFF\x0F\x00\x00")},
    {"offsets do not rise", BYTES("\x01\x01\x00\x05\x01\x07\x07")},
    {"offsets do not rise", BYTES("\x01\x01\x00\x05\x01\x07\x06")},
    {"offsets do not rise", BYTES("\x01\x01\x02\x07\x06")},
    {"a bitmap has more or fewer bits than its count says",
     BYTES(
         "\x01\x01\x00\x05\x1F\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11"
         "\x12\x13\x14\x15\x16\x17\x18\x19\x1A\x1B\x1C\x1D\x1E\x1F\x20")},
};

TEST_EACH(other_bytes_are_refused_with_a_reason, refused)
{
    struct postings p;
    const char *why = postings_open(&p, first_key, refused[_i].blob);
    ck_assert_ptr_nonnull(why);
    ck_assert_str_eq(why, refused[_i].why);
}

TEST(an_offset_past_the_segment_is_refused)
{
    struct postings p;
    const struct postings_key key = {.level = 2};
    ck_assert_ptr_null(postings_open(&p, key, TEXT("\x01\x02\x00\x05\x00\xFF\x0F")));
    const char *why = postings_open(&p, key, TEXT("\x01\x02\x00\x05\x00\x00\x10"));
    ck_assert_str_eq(why, "offsets do not rise");
}

static const struct postings_key no_keys[] = {
    {.level = 4},
    {.level = 1, .bucket = 32},
    {.level = 2, .bucket = 256},
    {.level = 3, .bucket = 4096},
    {.level = 0, .base = 256},
    {.level = 1, .base = 128},
    {.level = 2, .base = 256},
    {.level = 3, .base = 4096},
};

TEST_EACH(a_key_that_no_segment_has_is_refused, no_keys)
{
    struct postings p;
    char blob[] = {POSTINGS_VERSION, (char)no_keys[_i].level, 0};
    const char *why = postings_open(&p, no_keys[_i], (struct text){blob, sizeof blob});
    ck_assert_str_eq(why, "there is no such segment");
}

/* How many ordinals a list has: none, one, beside the change to a bitmap, all. */
static const struct {
    unsigned level;
    uint32_t count;
} sizes[] = {
    {1, 0},    {1, 1}, {1, 31},   {1, 32},   {1, 255},   {1, 256},   {2, 1}, {2, 255},  {2, 256},
    {2, 4096}, {3, 1}, {3, 4095}, {3, 4096}, {3, 65535}, {3, 65536}, {0, 1}, {0, 5000},
};

TEST_EACH(a_list_of_any_size_is_read_as_it_was_written, sizes)
{
    unsigned level = sizes[_i].level;
    uint32_t size = level ? UINT32_C(1) << postings_levels[level].width : UINT32_MAX;
    uint32_t count = sizes[_i].count, at = 0, seen = 0, chunk[POSTINGS_CHUNK];
    const struct postings_key key = {.level = level, .base = level ? UINT32_MAX - size + 1 : 0};
    bool same = true;
    /* Spread from the first to the last. */
    uint32_t gap = count > 1 ? (size - 1) / (count - 1) : 0;
    for (uint32_t i = 0; i < count; i++)
        add(key.base + (i + 1 == count ? size - 1 : i * gap), 5);
    add(key.base, 6);

    struct postings p = opened(key, blob_of(key));
    struct posting_list list = postings_find(&p, 5);

    ck_assert_uint_eq(list.count, count);
    for (size_t n; (n = posting_list_read(&list, &at, chunk)) > 0;)
        for (size_t i = 0; i < n; i++, seen++)
            same &= chunk[i] == key.base + (seen + 1 == count ? size - 1 : seen * gap);
    ck_assert(same);
    ck_assert_uint_eq(seen, count);
    ck_assert_uint_eq(postings_find(&p, 4).count, 0);
    ck_assert_uint_eq(postings_find(&p, 6).count, 1);
    ck_assert_uint_eq(postings_find(&p, 7).count, 0);
    ck_assert_uint_eq(postings_find(&p, 5).count, count); /* and back again */
}

/* --- damage --- */

/* Random rows, in one bucket of a segment; some of them wild, at times. */
static struct text random_blob(struct postings_key *ret_key)
{
    unsigned level = random_below(POSTINGS_LEVELS), bits = postings_levels[level].bits;
    uint32_t size = level ? UINT32_C(1) << postings_levels[level].width : 1000000;
    uint32_t terms = 1 + random_below(20), rows = 1 + random_below(300);
    *ret_key = (struct postings_key){.level = level, .bucket = random_below(UINT32_C(1) << bits)};
    ret_key->base = level ? random_below(100) * size : 0;
    postings_writer_release(&writer);
    postings_writer_init(&writer, random_below(2) ? rows : rows - rows / 8);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t term = random_below(terms) * random_below(2000);
        add(ret_key->base + random_below(size), ret_key->bucket << (32 - bits) | term);
    }
    return blob_of(*ret_key);
}

/* Look at all that a blob has. Wherever that reads, a sanitizer watches: the copy has no byte after
 * it. */
static bool is_read(struct postings_key key, const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    struct postings p;
    if (!copy)
        abort();
    if (len)
        memcpy(copy, bytes, len);
    bool good = !postings_open(&p, key, (struct text){copy, len});
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    if (good)
        for (postings_seek(&p, 0); p.on_entry; postings_step(&p), at = 0)
            while (posting_list_read(&p.list, &at, chunk) > 0)
                continue;
    free(copy);
    return good;
}

CASE("damage", open_writer, close_writer);

/* A blob may end after any entry; cut elsewhere it is refused. */
TEST(what_is_cut_within_an_entry_is_refused)
{
    random_begin();
    for (int round = 0; round < 60; round++) {
        struct postings_key key;
        struct text blob = random_blob(&key);
        struct postings p = opened(key, blob);
        size_t good = 1, taken = 0; /* the cut before the first entry */
        for (postings_seek(&p, 0); p.on_entry; postings_step(&p))
            good++;
        for (size_t len = 0; len <= blob.len; len++)
            taken += is_read(key, blob.data, len);
        ck_assert_uint_eq(taken, good);
    }
}

TEST(changed_bytes_are_refused_or_read_within_bounds)
{
    size_t taken = 0, refused_count = 0;
    random_begin();
    for (int round = 0; round < 20000; round++) {
        static struct postings_key key;
        static char bytes[65536];
        static size_t len;
        if (round % 50 == 0) {
            struct text blob = random_blob(&key);
            len = blob.len < sizeof bytes ? blob.len : sizeof bytes;
            memcpy(bytes, blob.data, len);
        }
        size_t where = random_below((uint32_t)len);
        char before = bytes[where];
        bytes[where] = (char)(before ^ (1 + random_below(255)));
        if (is_read(key, bytes, len))
            taken++;
        else
            refused_count++;
        bytes[where] = before;
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_gt(refused_count, 0);
}

/* --- a second reader --- */

static void print_list(FILE *to, const struct posting_list *list)
{
    uint32_t at = 0, chunk[POSTINGS_CHUNK];
    for (size_t n; (n = posting_list_read(list, &at, chunk)) > 0;)
        for (size_t i = 0; i < n; i++)
            fprintf(to, " %u", chunk[i]);
    fputc('\n', to);
}

/* As postings.pl prints it. */
static void print_blob(FILE *to, struct postings *p)
{
    fprintf(to, "blob %u %u %u\nwild", p->key.level, p->key.bucket, p->key.base);
    print_list(to, &p->wild);
    for (postings_seek(p, 0); p->on_entry; postings_step(p)) {
        fprintf(to, "%u", p->term);
        print_list(to, &p->list);
    }
}

static void expect_same(FILE *a, FILE *b)
{
    char *line_a = NULL, *line_b = NULL;
    size_t room_a = 0, room_b = 0;
    bool same = true;
    ssize_t len;
    rewind(a);
    while ((len = getline(&line_a, &room_a, a)) > 0) {
        same = same && getline(&line_b, &room_b, b) == len;
        same = same && memcmp(line_a, line_b, (size_t)len) == 0;
    }
    ck_assert(same);
    ck_assert_int_eq(getline(&line_b, &room_b, b), -1);
    free(line_a);
    free(line_b);
}

CASE("second reader", open_writer, close_writer);

TEST(another_reader_that_was_written_from_the_header_agrees)
{
    const char *srcdir = getenv("srcdir");
    char name[] = "/tmp/postings-XXXXXX", command[4096];
    int fd = mkstemp(name);
    FILE *blobs = fdopen(fd, "w"), *ours = tmpfile();
    ck_assert(blobs && ours);
    random_begin();
    for (int round = 0; round < 200; round++) {
        struct postings_key key;
        struct text blob = random_blob(&key);
        struct postings p = opened(key, blob);
        fprintf(blobs, "%u %u %u %zu\n", key.level, key.bucket, key.base, blob.len);
        ck_assert_uint_eq(fwrite(blob.data, 1, blob.len, blobs), blob.len);
        print_blob(ours, &p);
    }
    ck_assert_int_eq(fclose(blobs), 0);
    snprintf(command, sizeof command, "perl '%s/tests/search/postings.pl' '%s'",
             srcdir ? srcdir : ".", name);

    FILE *theirs = popen(command, "r");

    ck_assert_ptr_nonnull(theirs);
    expect_same(ours, theirs);
    ck_assert_int_eq(pclose(theirs), 0);
    remove(name);
    fclose(ours);
}

/* Few in a list of offsets, many in a bitmap. */
static const struct {
    unsigned level;
    uint32_t base, step, count;
} lists[] = {{0, 0, 70001, 60},  {1, 512, 37, 6},      {1, 512, 3, 80},      {2, 4096, 301, 13},
             {2, 4096, 2, 2000}, {3, 131072, 901, 70}, {3, 131072, 5, 13000}};

CASE("looking into a list", open_writer, close_writer);

TEST_EACH(a_list_has_what_is_in_it_and_nothing_else, lists)
{
    const uint32_t base = lists[_i].base, step = lists[_i].step, count = lists[_i].count;
    struct postings_key key = {.level = lists[_i].level, .base = base};
    for (uint32_t i = 0; i < count; i++)
        add(base + 1 + i * step, 7);
    struct postings p = opened(key, blob_of(key));

    struct posting_list list = postings_find(&p, 7);

    ck_assert_uint_eq(list.count, count);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert(posting_list_has(&list, base + 1 + i * step));
        ck_assert(!posting_list_has(&list, base + i * step));
    }
    ck_assert(!posting_list_has(&list, base - 1));
    ck_assert(!posting_list_has(&list, base + 1 + count * step));
    ck_assert(!posting_list_has(&list, base + 1 + (1u << 17)));
}

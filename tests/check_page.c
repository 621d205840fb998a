#include "common/page.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static struct arena *a;
static struct buf b;

static void set_up(void)
{
    a = arena_open((size_t)1024 * 1024);
    buf_init(&b, 65536);
}

static void tear_down(void)
{
    buf_release(&b);
    arena_close(a);
}

/* ---- what may be asked ---- */

struct asked {
    int64_t page, limit;
    struct text q;
};

static const struct field asked_fields[] = {
    PAGE_FIELDS(struct asked),
    FIELD(struct asked, q, .doc = "What to look for."),
};

static const struct record asked_record = RECORD("Asked", struct asked, asked_fields, 0);

static const struct {
    const char *query;
    int64_t page, limit; /* page 0: refused */
} queries[] = {
    {"", 1, 20},
    {"page=3", 3, 20},
    {"limit=1", 1, 1},
    {"limit=100&page=7", 7, 100},
    {"page=2&page=9", 2, 20},
    {"page=9007199254740991", INT64_C(9007199254740991), 20},
    {"page=0", 0, 0},
    {"page=-1", 0, 0},
    {"page=", 0, 0},
    {"page=one", 0, 0},
    {"page=9007199254740992", 0, 0},
    {"page=99999999999999999999", 0, 0},
    {"limit=0", 0, 0},
    {"limit=101", 0, 0},
    {"limit=-5", 0, 0},
    {"limit=1e1", 0, 0},
};

START_TEST(page_and_limit_are_read_within_their_bounds)
{
    struct asked asked = {0};
    field_set given;

    struct problem *p = record_from_query(a, &asked_record, queries[_i].query, &asked, &given);

    ck_assert_int_eq(p == NULL, queries[_i].page > 0);
    if (p)
        return;
    ck_assert_int_eq(asked.page, queries[_i].page);
    ck_assert_int_eq(asked.limit, queries[_i].limit);
}
END_TEST

START_TEST(every_list_documents_the_two)
{
    ck_assert_str_eq(asked_fields[0].name, "page");
    ck_assert_str_eq(asked_fields[1].name, "limit");
    ck_assert_int_eq(asked_fields[1].max, PAGE_LIMIT_MAX);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(asked_fields[i].doc);
        ck_assert_ptr_nonnull(asked_fields[i].example);
    }
}
END_TEST

/* ---- the offset ---- */

static const struct {
    int64_t page, limit, offset;
} offsets[] = {
    {1, 20, 0},
    {2, 20, 20},
    {3, 100, 200},
    {1, 1, 0},
    {INT64_C(9007199254740991), 1, INT64_C(9007199254740990)},
    {INT64_C(9007199254740991), 100, INT64_C(900719925474099000)},
    {INT64_MAX, 1, INT64_MAX - 1},
    {INT64_MAX / 100 + 1, 100, INT64_MAX / 100 * 100},
    {INT64_MAX / 100 + 2, 100, INT64_MAX},
    {INT64_MAX, 100, INT64_MAX},
};

START_TEST(the_offset_is_what_the_pages_before_hold_and_does_not_overflow)
{
    ck_assert_int_eq(page_offset(offsets[_i].page, offsets[_i].limit), offsets[_i].offset);
}
END_TEST

/* ---- the answer ---- */

struct item {
    int64_t n;
    struct text hidden;
};

static const struct field item_fields[] = {
    FIELD(struct item, n, .use = FIELD_SHOWN),
    FIELD(struct item, hidden, .use = FIELD_CREATE),
};

static const struct record item_record = RECORD("Item", struct item, item_fields, 0);

static const struct {
    int items;
    int64_t page, limit;
    struct page_total total;
    const char *json;
} answers[] = {
    {0,
     1,
     20,
     {0, false},
     "{\"data\":[],\"pagination\":{\"page\":1,\"limit\":20,\"total\":0,\"pages\":0}}"},
    {1,
     1,
     20,
     {1, false},
     "{\"data\":[{\"n\":1}],\"pagination\":{\"page\":1,\"limit\":20,\"total\":1,\"pages\":1}}"},
    {2,
     1,
     2,
     {4, false},
     "{\"data\":[{\"n\":1},{\"n\":2}],"
     "\"pagination\":{\"page\":1,\"limit\":2,\"total\":4,\"pages\":2}}"},
    {2,
     1,
     2,
     {5, false},
     "{\"data\":[{\"n\":1},{\"n\":2}],"
     "\"pagination\":{\"page\":1,\"limit\":2,\"total\":5,\"pages\":3}}"},
    {0,
     9,
     20,
     {3, false},
     "{\"data\":[],\"pagination\":{\"page\":9,\"limit\":20,\"total\":3,\"pages\":1}}"},
    {0,
     2,
     100,
     {10000, true},
     "{\"data\":[],\"pagination\":{\"page\":2,\"limit\":100,\"total\":10000,\"pages\":100,"
     "\"total_capped\":true}}"},
    {0,
     1,
     100,
     {INT64_MAX, false},
     "{\"data\":[],\"pagination\":{\"page\":1,\"limit\":100,\"total\":9223372036854775807,"
     "\"pages\":92233720368547759}}"},
};

START_TEST(a_list_has_its_rows_and_its_pagination)
{
    struct page_writer w = {&b, &item_record};

    page_begin(&w);
    for (int i = 1; i <= answers[_i].items; i++)
        page_add(&w, &(struct item){i, TEXT("not shown")});
    page_end(&w, answers[_i].page, answers[_i].limit, answers[_i].total);

    ck_assert_str_eq(arena_copy(a, b.data, b.len), answers[_i].json);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("page");
    TCase *t = tcase_create("page");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, page_and_limit_are_read_within_their_bounds, 0, COUNT(queries));
    tcase_add_test(t, every_list_documents_the_two);
    tcase_add_loop_test(t, the_offset_is_what_the_pages_before_hold_and_does_not_overflow, 0,
                        COUNT(offsets));
    tcase_add_loop_test(t, a_list_has_its_rows_and_its_pagination, 0, COUNT(answers));
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* needs: mariadb */
/* Lists in pages, by number and by cursor. */
#include "common/http/page.h"

#include <string.h>

#include "common/crypto/keyring.h"
#include "common/list/list.h"
#include "common/http/router.h"
#include "common/search/build.h"
#include "tests/support/people.h"
#include "tests/support/suite.h"

#define OTHER_KEY "Zt7Bq2Wn5Xc8Vm1Lk4Jh6Gf9Ds3Ap0Qr"

/* ---- a small list ---- */

struct asked {
    struct list_query list;
    bool red;
};

struct item {
    struct uuid id;
    struct text name;
    struct instant made_at;
    struct text hidden;
};

static const char *const sorts[] = {"made_at", "-made_at", "name", "-name", NULL};

static const struct field asked_fields[] = {
    LIST_FIELDS,
    LIST_RANGE_FIELDS,
    FIELD(struct list_query, q, .doc = "What to look for."),
    FIELD(struct asked, red, .doc = "Only red ones."),
    FIELD(struct list_query, sort, .choices = sorts, .default_value = "made_at",
          .doc = "The order."),
};
static const struct field item_fields[] = {
    FIELD(struct item, id, .doc = "Its id."),
    FIELD(struct item, name, .use = FIELD_SHOWN),
    FIELD(struct item, made_at, .doc = "Its time."),
    FIELD(struct item, hidden, .use = FIELD_CREATE),
};
static const struct record asked_record = RECORD("Asked", struct asked, asked_fields, 0);
static const struct record item_record = RECORD("Item", struct item, item_fields, 0);
static const struct list_key item_keys[] = {{.name = "made_at"}, {.name = "name"}};
static const struct list item_list = {
    .row = &item_record,
    .sorts = sorts,
    .keys = item_keys,
    .filters = {{.column = "owner"}},
};
static const struct route list_route = {
    .method = METHOD_GET,
    .query = &asked_record,
};

static struct arena *a;
static struct keyring *keys;
static struct request rq;
static struct response rs;
static struct page page;
static struct page_source source;
static struct list_scope scope;
static struct item items[101];

static void use_keys(const char *key, const char *previous)
{
    keyring_close(keys);
    ck_assert_ptr_null(keyring_open(a, key, previous, "check", &keys));
    source.keys = keys;
}

static void set_up(void)
{
    a = arena_open((size_t)256 * 1024 * 1024);
    keys = NULL;
    source = (struct page_source){.page_reach = 20000, .search_reach = 2000};
    scope = (struct list_scope){0};
    use_keys(SECRET_KEY, NULL);
    response_init(&rs);
    for (int i = 0; i < COUNT(items); i++)
        items[i] = (struct item){.id = {{1, 2, 3, [15] = (unsigned char)i}},
                                 .name = TEXT("a name"),
                                 .made_at = {1000 + i},
                                 .hidden = TEXT("not shown")};
}

static void tear_down(void)
{
    response_release(&rs);
    keyring_close(keys);
    arena_close(a);
}

/* Begin to answer a request for the list at `path`. */
static struct problem *open_list(const char *path, const char *query)
{
    struct asked *asked = arena_alloc(a, sizeof *asked);
    response_reset(&rs);
    rq = (struct request){.arena = a,
                          .method = METHOD_GET,
                          .base = "/api",
                          .path = path,
                          .raw_query = query,
                          .route = &list_route,
                          .query = asked};
    struct problem *p = record_from_query(a, &asked_record, query, asked, &rq.query_given);
    return p ? p : page_open(&page, &source, &rq, &rs, &item_list, &scope);
}

/* Answer one from the first `rows` items, of `total`. */
static void list(const char *query, int rows, struct list_total total)
{
    ck_assert_ptr_null(open_list("/items", query));
    for (int i = 0; i < rows; i++)
        page_add(&page, &items[i]);
    total.counted = true;
    page_close(&page, &total);
}

static const char *body(void)
{
    return arena_copy(a, rs.body.data, rs.body.len);
}

static const char *headers(void)
{
    return arena_copy(a, rs.headers.data ? rs.headers.data : "", rs.headers.len);
}

/* ---- what may be asked ---- */

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

static void fill(void);

CASE("numbers", set_up, tear_down);
CASE_LIMIT_S(120);

TEST_EACH(page_and_limit_are_read_within_their_bounds, queries)
{
    struct problem *p = open_list("/items", queries[_i].query);

    ck_assert_int_eq(p == NULL, queries[_i].page > 0);
    if (p)
        return;
    ck_assert_int_eq(page.number, queries[_i].page);
    ck_assert_int_eq(page.limit, queries[_i].limit);
    ck_assert_int_eq(page.window.limit, queries[_i].limit + 1);
    ck_assert(!page.window.after);
}

TEST(every_list_documents_the_three)
{
    static const char *const names[] = {"page", "limit", "cursor"};
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(asked_fields[i].name, names[i]);
        ck_assert_ptr_nonnull(asked_fields[i].doc);
    }
    ck_assert_int_eq(asked_fields[1].max, LIST_LIMIT_MAX);
}

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

TEST_EACH(the_offset_is_what_the_pages_before_hold_and_does_not_overflow, offsets)
{
    const struct asked asked = {.list = {.page = offsets[_i].page, .limit = offsets[_i].limit}};
    ck_assert_ptr_null(open_list("/items", ""));
    response_reset(&rs);
    rq.query = &asked;

    ck_assert_ptr_null(page_open(&page, &source, &rq, &rs, &item_list, &scope));

    ck_assert_int_eq(page.window.offset, offsets[_i].offset);
}

/* ---- the answer ---- */

#define A_NAME "{\"name\":\"a name\"}"

static const struct {
    const char *query;
    int rows;
    struct list_total total;
    const char *json; /* $ stands for the cursor */
} answers[] = {
    {"",
     0,
     {0, false},
     "{\"data\":[],\"pagination\":{\"page\":1,\"limit\":20,\"total\":0,\"pages\":0,"
     "\"next_cursor\":null}}"},
    {"",
     1,
     {1, false},
     "{\"data\":[" A_NAME "],\"pagination\":{\"page\":1,\"limit\":20,\"total\":1,\"pages\":1,"
     "\"next_cursor\":null}}"},
    {"limit=2",
     3,
     {4, false},
     "{\"data\":[" A_NAME "," A_NAME "],\"pagination\":{\"page\":1,\"limit\":2,\"total\":4,"
     "\"pages\":2,\"next_cursor\":\"$\"}}"},
    {"limit=2&page=2",
     2,
     {4, false},
     "{\"data\":[" A_NAME "," A_NAME "],\"pagination\":{\"page\":2,\"limit\":2,\"total\":4,"
     "\"pages\":2,\"next_cursor\":null}}"},
    {"limit=1",
     2,
     {5, false},
     "{\"data\":[" A_NAME "],\"pagination\":{\"page\":1,\"limit\":1,\"total\":5,"
     "\"pages\":5,\"next_cursor\":\"$\"}}"},
    {"page=9",
     0,
     {3, false},
     "{\"data\":[],\"pagination\":{\"page\":9,\"limit\":20,\"total\":3,\"pages\":1,"
     "\"next_cursor\":null}}"},
    {"page=2&limit=100",
     0,
     {1000, true},
     "{\"data\":[],\"pagination\":{\"page\":2,\"limit\":100,\"total\":1000,\"pages\":10,"
     "\"next_cursor\":null,\"total_capped\":true}}"},
    {"limit=1&total=false",
     2,
     {0},
     "{\"data\":[" A_NAME "],\"pagination\":{\"page\":1,\"limit\":1,\"next_cursor\":\"$\"}}"},
    {"limit=100",
     0,
     {INT64_MAX, false},
     "{\"data\":[],\"pagination\":{\"page\":1,\"limit\":100,\"total\":9223372036854775807,"
     "\"pages\":92233720368547759,\"next_cursor\":null}}"},
};

/* The cursor of the answer; NULL where there is none. */
static const char *next_cursor(void)
{
    static const char key[] = "\"next_cursor\":\"";
    const char *at = strstr(body(), key);
    return at ? arena_copy(a, at + strlen(key), strcspn(at + strlen(key), "\"")) : NULL;
}

/* `text` with the cursor for its $. */
static const char *with_cursor(const char *text)
{
    const char *mark = strchr(text, '$'), *cursor = next_cursor();
    if (!mark)
        return text;
    ck_assert_ptr_nonnull(cursor);
    return arena_printf(a, "%.*s%s%s", (int)(mark - text), text, cursor, mark + 1);
}

TEST_EACH(a_list_has_its_rows_and_its_pagination, answers)
{
    list(answers[_i].query, answers[_i].rows, answers[_i].total);

    ck_assert_str_eq(body(), with_cursor(answers[_i].json));
}

TEST(rows_that_come_again_replace_those_of_before)
{
    const struct list_total three = {.count = 3, .counted = true};
    list("limit=2", 3, three);
    const char *expected = body();

    ck_assert_ptr_null(open_list("/items", "limit=2"));
    for (int i = 10; i < 15; i++)
        page_add(&page, &items[i]);
    page_restart(&page);
    for (int i = 0; i < 3; i++)
        page_add(&page, &items[i]);
    page_close(&page, &three);

    ck_assert_str_eq(body(), expected);
}

TEST(behind_a_cursor_nothing_is_counted)
{
    list("limit=2", 3, (struct list_total){9, false});
    const char *query = arena_printf(a, "page=7&limit=3&cursor=%s", next_cursor());

    list(query, 4, (struct list_total){9, true});
    ck_assert_str_eq(body(), with_cursor("{\"data\":[" A_NAME "," A_NAME "," A_NAME "],"
                                         "\"pagination\":{\"limit\":3,\"next_cursor\":\"$\"}}"));

    list(query, 1, (struct list_total){9, false});
    ck_assert_str_eq(body(), "{\"data\":[" A_NAME "],"
                             "\"pagination\":{\"limit\":3,\"next_cursor\":null}}");
    ck_assert_str_eq(headers(), "");
}

/* ---- Link ---- */

#define AT "</api/items?page="

static const struct {
    const char *query;
    int rows;
    struct list_total total;
    const char *link;
} links[] = {
    {"", 0, {0, false}, AT "1>; rel=\"first\""},
    {"", 3, {3, false}, AT "1>; rel=\"first\", " AT "1>; rel=\"last\""},
    {"limit=2",
     3,
     {5, false},
     AT "1&limit=2>; rel=\"first\", " AT "2&limit=2>; rel=\"next\", " AT
        "3&limit=2>; rel=\"last\""},
    {"page=2&limit=2",
     3,
     {5, false},
     AT "1&limit=2>; rel=\"first\", " AT "1&limit=2>; rel=\"prev\", " AT
        "3&limit=2>; rel=\"next\", " AT "3&limit=2>; rel=\"last\""},
    {"limit=2&page=3",
     1,
     {5, false},
     AT "1&limit=2>; rel=\"first\", " AT "2&limit=2>; rel=\"prev\", " AT
        "3&limit=2>; rel=\"last\""},
    /* far past the end, prev is the last page */
    {"limit=2&page=4",
     0,
     {5, false},
     AT "1&limit=2>; rel=\"first\", " AT "3&limit=2>; rel=\"prev\", " AT
        "3&limit=2>; rel=\"last\""},
    {"limit=2&page=9000",
     0,
     {5, false},
     AT "1&limit=2>; rel=\"first\", " AT "3&limit=2>; rel=\"prev\", " AT
        "3&limit=2>; rel=\"last\""},
    {"page=9007199254740991", 0, {0, false}, AT "1>; rel=\"first\""},
    /* where counting stopped, nobody knows the last */
    {"limit=1", 2, {1000, true}, AT "1&limit=1>; rel=\"first\", " AT "2&limit=1>; rel=\"next\""},
    {"limit=1&page=500",
     2,
     {1000, true},
     AT "1&limit=1>; rel=\"first\", " AT "499&limit=1>; rel=\"prev\", " AT
        "501&limit=1>; rel=\"next\""},
    /* and numbers end there: a cursor goes on */
    {"limit=1&page=1000",
     2,
     {1000, true},
     AT "1&limit=1>; rel=\"first\", " AT "999&limit=1>; rel=\"prev\", "
        "</api/items?cursor=$&limit=1>; rel=\"next\""},
    /* as where PAGE_REACH ends; the last page is not told then */
    {"limit=100&page=201",
     101,
     {99000},
     AT "1&limit=100>; rel=\"first\", " AT "200&limit=100>; rel=\"prev\", "
        "</api/items?cursor=$&limit=100>; rel=\"next\""},
    {"limit=100&page=200",
     101,
     {20100},
     AT "1&limit=100>; rel=\"first\", " AT "199&limit=100>; rel=\"prev\", " AT
        "201&limit=100>; rel=\"next\", " AT "201&limit=100>; rel=\"last\""},
    /* past the end of what numbers reach */
    {"limit=100&page=9000", 0, {99000}, AT "1&limit=100>; rel=\"first\""},
    /* nobody wants to know */
    {"limit=1&total=false",
     2,
     {0},
     AT "1&limit=1&total=false>; rel=\"first\", " AT "2&limit=1&total=false>; rel=\"next\""},
    /* nor would it be known where numbers end, unless they end where counting would have stopped */
    {"limit=1&page=999&total=false",
     2,
     {.bounded = true},
     AT "1&limit=1&total=false>; rel=\"first\", " AT "998&limit=1&total=false>; rel=\"prev\", " AT
        "1000&limit=1&total=false>; rel=\"next\""},
    {"limit=1&page=1000&total=false",
     2,
     {.bounded = true},
     AT "1&limit=1&total=false>; rel=\"first\", " AT "999&limit=1&total=false>; rel=\"prev\", "
        "</api/items?cursor=$&limit=1&total=false>; rel=\"next\""},
    {"limit=1&page=1000&total=false",
     2,
     {0},
     AT "1&limit=1&total=false>; rel=\"first\", " AT "999&limit=1&total=false>; rel=\"prev\", " AT
        "1001&limit=1&total=false>; rel=\"next\""},
    /* other parameters stay as they came, unknown ones too */
    {"red=true&q=a+b%20c&unknown=1&&x",
     1,
     {1, false},
     AT "1&red=true&q=a+b%20c&unknown=1&x>; rel=\"first\", " AT
        "1&red=true&q=a+b%20c&unknown=1&x>; rel=\"last\""},
    {"pages=3&cursors=4&pag=5",
     1,
     {1, false},
     AT "1&pages=3&cursors=4&pag=5>; rel=\"first\", " AT
        "1&pages=3&cursors=4&pag=5>; rel=\"last\""},
    {"page=1&page=5", 1, {1, false}, AT "1>; rel=\"first\", " AT "1>; rel=\"last\""},
};

TEST_EACH(link_leads_to_other_pages, links)
{
    list(links[_i].query, links[_i].rows, links[_i].total);

    ck_assert_str_eq(headers(), with_cursor(arena_printf(a, "Link: %s\r\n", links[_i].link)));
}

TEST(link_leads_from_a_cursor_to_the_next_only)
{
    list("limit=2&q=x", 3, (struct list_total){9, false});
    const char *query = arena_printf(a, "cursor=%s&page=3&q=x&limit=2", next_cursor());

    list(query, 3, (struct list_total){0, false});

    ck_assert_str_eq(headers(),
                     with_cursor("Link: </api/items?cursor=$&q=x&limit=2>; rel=\"next\"\r\n"));
}

/* However the query spells it, the link's own number is read first. */
TEST(a_page_spelled_with_escapes_does_not_win)
{
    list("p%61ge=2&limit=1", 2, (struct list_total){5, false});
    ck_assert_int_eq(page.number, 2);
    const char *next = strstr(headers(), "page=3&p%61ge=2&limit=1>; rel=\"next\"");
    ck_assert_ptr_nonnull(next);

    ck_assert_ptr_null(open_list("/items", "page=3&p%61ge=2&limit=1"));

    ck_assert_int_eq(page.number, 3);
}

TEST(no_byte_of_a_query_breaks_the_header)
{
    for (int c = 1; c < 256; c++) {
        const char hostile[] = {'x', '=', (char)c, '>', '"', ',', '<', '\0'};

        list(hostile, 1, (struct list_total){1, false});

        const char *line = headers(), *at = line;
        unsigned opened = 0;
        ck_assert_msg(strncmp(line, "Link: <", 7) == 0, "byte %d: %s", c, line);
        ck_assert_ptr_eq(strstr(line, "\r\n"), line + strlen(line) - 2);
        for (; *at != '\r'; at++) {
            ck_assert_msg(*at >= ' ' && *at < 0x7F, "byte %d: %s", c, line);
            opened += *at == '<';
        }
        ck_assert_uint_eq(opened, 2);
        ck_assert_ptr_nonnull(strstr(line, "%3E%22,%3C>; rel=\"first\", </api/items?page=1&x="));
    }
}

TEST(the_longest_search_is_repeated_in_all_links)
{
    char *query = arena_strdup(a, "page=2&limit=1&q=");
    for (int i = 0; i < 200; i++)
        query = arena_printf(a, "%s%%F0%%9F%%98%%80", query);

    list(query, 2, (struct list_total){5, false});

    ck_assert_ptr_nonnull(strstr(headers(), "rel=\"first\""));
    ck_assert_ptr_nonnull(strstr(headers(), "rel=\"prev\""));
    ck_assert_ptr_nonnull(strstr(headers(), "rel=\"next\""));
    ck_assert_ptr_nonnull(strstr(headers(), "rel=\"last\""));
}

TEST(a_query_too_long_to_repeat_has_no_links_and_its_answer)
{
    char *query = arena_alloc(a, 20001);
    memset(query, 'x', 20000);

    list(query, 1, (struct list_total){1, false});

    ck_assert_str_eq(headers(), "");
    ck_assert_ptr_nonnull(strstr(body(), "\"total\":1"));
}

/* ---- cursors ---- */

static const char *cursor_of(const char *query, int rows)
{
    list(query, rows, (struct list_total){99, false});
    ck_assert_ptr_nonnull(next_cursor());
    return next_cursor();
}

/* Is `cursor` taken for the list at `path` with `query`? */
static bool taken_at(const char *path, const char *query, const char *cursor)
{
    struct problem *p = open_list(path, arena_printf(a, "%s&cursor=%s", query, cursor));
    if (!p)
        return true;
    ck_assert_ptr_eq(p->type, &problem_invalid);
    ck_assert_uint_eq(p->fault_count, 1);
    ck_assert_str_eq(p->faults[0].field, "cursor");
    ck_assert_uint_eq(rs.body.len, 0);
    return false;
}

static bool taken(const char *query, const char *cursor)
{
    return taken_at("/items", query, cursor);
}

CASE("cursors", set_up, tear_down);
CASE_LIMIT_S(120);

TEST(a_cursor_leads_behind_the_last_row_shown)
{
    const char *cursor = cursor_of("limit=3&page=5", 4);

    ck_assert(taken("limit=3", cursor));

    ck_assert(page.window.after);
    ck_assert_int_eq(page.window.offset, 0);
    ck_assert_int_eq(page.window.limit, 4);
    ck_assert(uuid_equal(&page.window.place.id, &items[2].id));
    ck_assert_int_eq(page.window.place.time.us, items[2].made_at.us);
}

TEST(a_cursor_keeps_the_longest_name)
{
    const char *name = "";
    for (int i = 0; i < 255; i++)
        name = arena_printf(a, "%s\360\237\230\200", name);
    items[0].name = text_of(name);

    ck_assert(taken("sort=-name", cursor_of("limit=1&sort=-name", 2)));

    ck_assert(uuid_equal(&page.window.place.id, &items[0].id));
    ck_assert(text_equal(page.window.place.text, text_of(name)));
}

TEST(a_cursor_shows_neither_names_nor_ids)
{
    static const char plain[] = "a name";
    items[0].name = TEXT(plain);
    const char *cursor = cursor_of("limit=1&sort=name", 2);

    ck_assert_ptr_null(strstr(cursor, plain));
    ck_assert_uint_eq(strspn(cursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_"),
                      strlen(cursor)); /* nothing that a query would have to escape */
}

static const char *const key_sorts[] = {"sort=made_at", "sort=-name"};

TEST_EACH(a_cursor_with_any_character_changed_is_refused, key_sorts)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *query = key_sorts[_i];
    const char *good = cursor_of(arena_printf(a, "limit=1&%s", query), 2);
    char *bad = arena_strdup(a, good);
    ck_assert(taken(query, good));
    for (size_t i = 0; i < strlen(good); i++) {
        for (const char *c = alphabet; *c; c++) {
            if (*c == good[i])
                continue;
            bad[i] = *c;
            ck_assert_msg(!taken(query, bad), "%s for %s", bad, good);
        }
        bad[i] = good[i];
    }
    ck_assert(taken(query, bad));
}

TEST_EACH(a_cursor_of_another_length_is_refused, key_sorts)
{
    const char *query = key_sorts[_i];
    const char *good = cursor_of(arena_printf(a, "limit=1&%s", query), 2);

    for (size_t len = 0; len < strlen(good); len++)
        ck_assert(!taken(query, arena_copy(a, good, len)));

    ck_assert(!taken(query, arena_printf(a, "%sA", good)));
    ck_assert(!taken(query, arena_printf(a, "%s=", good)));
    ck_assert(!taken(query, arena_printf(a, "%s%%00", good)));
    ck_assert(!taken(query, arena_printf(a, "%s+", good)));
    ck_assert(!taken(query, arena_printf(a, "%s%s", good, good)));
}

static const char *const garbage[] = {
    "0",
    "null",
    "%00",
    "%FF%FE",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "....",
    "eyJhbGciOiJub25lIn0",
    "'%20OR%201=1",
};

TEST_EACH(what_was_never_a_cursor_is_refused, garbage)
{
    ck_assert_ptr_nonnull(open_list("/items", arena_printf(a, "cursor=%s", garbage[_i])));
}

TEST(a_cursor_longer_than_any_is_refused)
{
    char *text = arena_alloc(a, 3001);
    memset(text, 'A', 3000);
    ck_assert(!taken("", text));
    text[2000] = '\0';
    ck_assert(!taken("", text));
}

/* A cursor of `q=x&red=true`, asked for in other ways. */
static const struct {
    const char *path, *query;
    bool taken;
} scopes[] = {
    {"/items", "q=x&red=true", true},
    {"/items", "red=true&q=x", true},
    {"/items", "red=true&q=%78", true},
    {"/items", "q=x&red=true&sort=made_at", true}, /* the default, spelled out */
    {"/items", "q=x&red=true&limit=77", true},
    {"/items", "q=x&red=true&page=5", true},
    {"/items", "q=x&red=true&page=0", true}, /* nobody looks at it */
    {"/items", "q=x&red=true&page=", true},
    {"/items", "q=x&red=true&unknown=1", true},
    {"/items", "q=x&q=y&red=true", true},
    {"/items", "q=y&red=true", false},
    {"/items", "q=X&red=true", false},
    {"/items", "q=&red=true", false},
    {"/items", "red=true", false},
    {"/items", "q=x", false},
    {"/items", "q=x&red=false", false},
    {"/items", "q=x&red=true&sort=-made_at", false},
    {"/items", "q=x&red=true&sort=name", false},
    {"/items", "q=x%0Ared%204%20true", false},
    {"/items", "q=x%0Ared=true", false},
    {"/item", "q=x&red=true", false},
    {"/items/x", "q=x&red=true", false},
    {"/others", "q=x&red=true", false},
};

TEST_EACH(a_cursor_is_bound_to_list_filters_and_sort, scopes)
{
    const char *cursor = cursor_of("q=x&red=true&limit=2", 3);

    ck_assert_int_eq(taken_at(scopes[_i].path, scopes[_i].query, cursor), scopes[_i].taken);
}

/* It is no filter. */
TEST(a_cursor_goes_with_an_empty_text_and_without)
{
    ck_assert(taken("q=&red=true", cursor_of("red=true&limit=2", 3)));
    ck_assert(taken("red=true", cursor_of("q=&red=true&limit=2", 3)));
}

TEST(filters_that_look_alike_are_told_apart)
{
    static const char *const alike[] = {"q=x%0Ared=true", "q=x%0Ared%204%20true", "q=x&red=true",
                                        "q=1%20x&red=true"};
    for (int i = 0; i < COUNT(alike); i++) {
        const char *cursor = cursor_of(arena_printf(a, "limit=1&%s", alike[i]), 2);
        for (int j = 0; j < COUNT(alike); j++)
            ck_assert_int_eq(taken(alike[j], cursor), i == j);
    }
}

TEST(a_cursor_outlives_a_change_of_the_signing_key)
{
    const char *cursor = cursor_of("limit=1", 2);

    use_keys(OTHER_KEY, SECRET_KEY);
    ck_assert(taken("", cursor));
    const char *new = cursor_of("limit=1", 2);
    ck_assert(taken("", new));

    use_keys(SECRET_KEY, NULL);
    ck_assert(!taken("", new));
    use_keys(OTHER_KEY, NULL);
    ck_assert(!taken("", cursor));
    ck_assert(taken("", new));
}

/* ---- whole lists, through the application ---- */

static const char *ada_id, *ada, *admin;

/* What the program does with rows from elsewhere. */
static void recount(void)
{
    for (size_t i = 0; search_indexes[i]; i++)
        must(search_build(the_app->db, the_arena, search_indexes[i], NULL));
    count_again();
}

/* Posts whose times are three and whose titles are alike in the column's collation: `Apfel` is
 * `apfel` is `\303\204pfel` is `apfel `. Ids of more than one version. */
#define ADD_POSTS(numbers)                                                                         \
    "INSERT INTO posts (id, author_id, title, content, published, created_at) SELECT "             \
    "IF(MOD(seq, 3), UUID(), CONCAT(LEFT(UUID(), 14), '7', SUBSTR(UUID(), 16))), users.id, "       \
    "ELT(1 + MOD(seq, 6), 'Apfel', 'apfel', '\303\204PFEL', 'apfel ', 'Birne', 'birn\303\250'), "  \
    "'some words', MOD(seq, 4) <> 0, '2026-01-01' + INTERVAL MOD(seq, 3) SECOND FROM users "       \
    "JOIN " numbers " WHERE email LIKE 'a%@example.org'"
#define ADD_USERS(numbers, prefix)                                                                 \
    "INSERT INTO users (id, email, password_hash, first_name, role, "                              \
    "created_at) SELECT UUID(), CONCAT('" prefix "', seq, '@Many.test'), '', 'Name', "             \
    "IF(MOD(seq, 3), 'user', 'admin'), '2026-01-01' + INTERVAL MOD(seq, 3) SECOND FROM " numbers
#define ADD_SESSIONS(numbers, prefix)                                                              \
    "INSERT INTO sessions (id, user_id, refresh_hash, created_at, last_used_at, expires_at) "      \
    "SELECT UUID(), users.id, UNHEX(SHA2(CONCAT('" prefix "', seq), 256)), "                       \
    "'2026-01-01' + INTERVAL MOD(seq, 3) SECOND, '2026-01-01', '2099-01-01' FROM users "           \
    "JOIN " numbers " WHERE email = 'ada@example.org'"

static void fill(void)
{
    loopback_open();
    ada_id = make_user("ada@example.org", ROLE_USER);
    make_user("admin@example.org", ROLE_ADMIN);
    ada = log_in("ada@example.org");
    admin = log_in("admin@example.org");
    run_sql(ADD_POSTS("seq_1_to_40"));
    run_sql(ADD_USERS("seq_1_to_40", "m"));
    run_sql(ADD_SESSIONS("seq_1_to_30", "s"));
    recount();
}

/* A list, with $ for Ada's id; each has at most 100 rows, so that one page shows it whole. */
static const struct {
    const char *path;
    bool is_admin;
} walks[] = {
    {"/users?", false},
    {"/users?sort=-created_at", false},
    {"/users?sort=email", false},
    {"/users?sort=-email", false},
    {"/users?role=user", false},
    {"/users?role=admin&sort=-created_at", false},
    {"/users?role=user&sort=email", false},
    {"/users?role=user&sort=-email", false},
    {"/users?q=many.test", false},
    {"/users?q=many.test&sort=-created_at", false},
    {"/users?q=many.test&sort=-email&role=user", false},
    {"/users?q=m", false},
    {"/posts?", false},
    {"/posts?sort=created_at", false},
    {"/posts?sort=title", false},
    {"/posts?sort=-title", false},
    {"/posts?published=false", false},
    {"/posts?published=false&sort=title", false},
    {"/posts?published=false", true},
    {"/posts?published=false&sort=-title", true},
    {"/posts?q=words", false},
    {"/posts?q=words&sort=created_at", false},
    {"/posts?q=words&sort=title", false},
    {"/posts?q=words&sort=-title", false},
    {"/posts?author_id=$", false},
    {"/posts?author_id=$&sort=-title", false},
    {"/users/$/posts?", false},
    {"/users/$/posts?sort=created_at", false},
    {"/users/$/posts?sort=title", false},
    {"/users/$/posts?sort=-title", false},
    {"/users/$/posts?published=true&sort=title", false},
    {"/users/$/posts?published=false", false},
    {"/users/$/posts?q=words&sort=title", false},
    {"/auth/sessions?", false},
};

static const char *path_of_walk(int i)
{
    const char *path = walks[i].path, *mark = strchr(path, '$');
    return mark ? say("%.*s%s%s", (int)(mark - path), path, ada_id, mark + 1) : path;
}

static const char *token_of_walk(int i)
{
    return walks[i].is_admin ? admin : ada;
}

/* Without the base path. */
static const char *next_of(struct answer answer)
{
    const char *link = answer_link(answer, "next");
    return link ? link + strlen("/api") : NULL;
}

/* Go on from a page by its cursor, and hold the two ways of telling it against each other. */
static const char *go_on(struct answer answer, const char *path)
{
    bool at_end = answer_is_null(answer, "pagination.next_cursor");
    ck_assert_int_eq(next_of(answer) == NULL, at_end);
    if (at_end)
        return NULL;
    return say("%s&limit=7&cursor=%s", path, answer_text(answer, "pagination.next_cursor"));
}

static void ck_has_only_cursor(struct answer answer)
{
    ck_assert(answer_has(answer, "pagination.limit"));
    ck_assert(!answer_has(answer, "pagination.page"));
    ck_assert(!answer_has(answer, "pagination.total"));
    ck_assert(!answer_has(answer, "pagination.pages"));
}

CASE("whole lists", fill, loopback_close);
CASE_LIMIT_S(120);

TEST_EACH(a_walk_by_cursor_sees_what_one_large_page_shows, walks)
{
    const char *path = path_of_walk(_i), *token = token_of_walk(_i), *seen = "";
    struct answer whole = api_get(token, "%s&limit=100", path);
    ck_status(whole, 200);
    ck_assert_uint_gt(answer_count(whole), 7);
    ck_assert_int_eq(answer_integer(whole, "pagination.total"), (int64_t)answer_count(whole));
    ck_assert(answer_is_null(whole, "pagination.next_cursor"));

    struct answer answer = api_get(token, "%s&limit=7", path);
    for (int n = 0;; n++) {
        ck_status(answer, 200);
        if (n)
            ck_has_only_cursor(answer);
        seen = say("%s%s%s", seen, n ? " " : "", answer_column(answer, "id"));
        const char *next = go_on(answer, path);
        if (!next)
            break;
        ck_assert_uint_eq(answer_count(answer), 7);
        if (n % 2)
            next = next_of(answer);
        else if (n == 0) /* Link's next of a numbered page is the next number */
            ck_assert_str_eq(answer_column(api_get(token, "%s", next_of(answer)), "id"),
                             answer_column(api_get(token, "%s", next), "id"));
        answer = api_get(token, "%s", next);
    }

    ck_assert_str_eq(seen, answer_column(whole, "id"));
}

TEST(a_cursor_may_be_given_another_limit)
{
    for (int i = 0; i < COUNT(walks); i++) {
        const char *path = path_of_walk(i), *token = token_of_walk(i);
        struct answer whole = api_get(token, "%s&limit=100", path);
        struct answer first = api_get(token, "%s&limit=3", path);

        struct answer rest = api_get(token, "%s&limit=100&cursor=%s", path,
                                     answer_text(first, "pagination.next_cursor"));

        ck_status(rest, 200);
        ck_assert_str_eq(say("%s %s", answer_column(first, "id"), answer_column(rest, "id")),
                         answer_column(whole, "id"));
    }
}

/* Rows come everywhere in the list, and the row that the cursor stands on goes. */
static void disturb(const char *last_id, int number)
{
    static const char *const tables[] = {"posts", "users", "sessions"};
    for (int i = 0; i < COUNT(tables); i++)
        run_sql(say("DELETE FROM %s WHERE id = '%s'%s", tables[i], last_id,
                    i == 1 ? " AND email LIKE '%Many.test'" : ""));
    run_sql(ADD_POSTS("seq_1_to_6"));
    run_sql(say(ADD_USERS("seq_1_to_6", "n%d-"), number));
    run_sql(say(ADD_SESSIONS("seq_1_to_3", "t%d-"), number));
    recount();
}

TEST_EACH(a_walk_sees_each_row_once_while_others_come_and_go, walks)
{
    const char *path = path_of_walk(_i), *token = token_of_walk(_i);
    struct answer before = api_get(token, "%s&limit=100", path);
    struct answer answer = api_get(token, "%s&limit=7", path);
    const char *seen = "", *next;
    for (int n = 0;; n++) {
        ck_status(answer, 200);
        seen = say("%s %s", seen, answer_column(answer, "id"));
        next = go_on(answer, path);
        if (!next || n == 40)
            break;
        if (n < 4) /* not for ever: rows that come behind are walked, too */
            disturb(answer_text(answer, "data.6.id"), n);
        answer = api_get(token, "%s", next);
    }
    ck_assert_ptr_null(next);
    for (const char *at = seen; *at; at += 1 + 36)
        ck_assert_msg(!strstr(at + 36, arena_copy(the_arena, at + 1, 36)), "twice: %.36s", at + 1);
    for (size_t i = 0; i < answer_count(before); i++)
        ck_assert_ptr_nonnull(strstr(seen, answer_text(before, say("data.%zu.id", i))));
}

static void ck_past_the_end(struct answer answer)
{
    ck_status(answer, 200);
    ck_assert_uint_eq(answer_count(answer), 0);
    ck_assert_int_gt(answer_integer(answer, "pagination.total"), 7);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), 1);
    ck_assert(answer_is_null(answer, "pagination.next_cursor"));
    ck_assert_ptr_nonnull(strstr(answer_header(answer, "Link"), "?page=1&"));
}

TEST(a_page_past_the_end_is_empty)
{
    for (int i = 0; i < COUNT(walks); i++) {
        const char *path = path_of_walk(i), *token = token_of_walk(i);
        ck_past_the_end(api_get(token, "%s&limit=100&page=2", path));
        ck_past_the_end(api_get(token, "%s&limit=100&page=100000", path));
        ck_past_the_end(api_get(token, "%s&limit=100&page=9007199254740991", path));
    }
}

static void ck_good_only_here(int here, const char *cursor)
{
    for (int i = 0; i < COUNT(walks); i++) {
        if (strcmp(walks[i].path, walks[here].path) == 0)
            continue;
        struct answer answer = api_get(token_of_walk(i), "%s&cursor=%s", path_of_walk(i), cursor);
        ck_problem(answer, 400, "Bad Request", "invalid");
        ck_assert_str_eq(answer_faults(answer), "cursor format");
    }
}

TEST(a_cursor_of_one_list_is_none_of_another)
{
    for (int i = 0; i < COUNT(walks); i++) {
        struct answer first = api_get(token_of_walk(i), "%s&limit=1", path_of_walk(i));
        ck_good_only_here(i, answer_text(first, "pagination.next_cursor"));
    }
}

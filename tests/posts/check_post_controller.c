/* needs: mariadb */
/* Posts: list, write, read, change, delete, as clients see it. */
#include "tests/support/loopback.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/people.h"
#include "tests/support/refusals.h"
#include "tests/support/suite.h"

#define GRIN "\360\237\230\200" /* U+1F600, four bytes */

/* Who is there when a test begins: an author, another user, and an admin; NULL is anonymous. */
static const char *ada_id, *bob_id;
static const char *ada, *bob, *admin;

static void set_up(void)
{
    loopback_open();
    ada_id = make_user("ada@example.org", ROLE_USER);
    bob_id = make_user("bob@example.org", ROLE_USER);
    admin = bearer_of_new("admin@example.org", ROLE_ADMIN);
    ada = bearer_of("ada@example.org");
    bob = bearer_of("bob@example.org");
}

static const char *path_of(const char *id)
{
    return say("/posts/%s", id);
}

static const char *titles(const char *token, const char *path)
{
    struct answer answer = api_get(token, "%s", path);
    ck_status(answer, 200);
    ck_assert_uint_le(answer_count(answer), (size_t)answer_total(answer));
    return answer_column(answer, "title");
}

/* ---- writing ---- */

CASE("writing", set_up, loopback_close);

TEST(a_post_is_written_as_a_draft)
{
    struct answer answer =
        api_post(ada, "/posts", object("{'title':'On engines','content':'Text.'}"));

    ck_status(answer, 201);
    const char *id = answer_text(answer, "post.id");
    ck_assert_str_eq(answer_header(answer, "Location"), say("/api/posts/%s", id));
    ck_assert_str_eq(answer_text(answer, "post.title"), "On engines");
    ck_assert_str_eq(answer_text(answer, "post.content"), "Text.");
    ck_assert(!answer_boolean(answer, "post.published"));
    ck_assert_str_eq(answer_text(answer, "post.author_id"), ada_id);
    ck_assert_str_eq(answer_text(answer, "post.created_at"),
                     answer_text(answer, "post.updated_at"));
    ck_assert_str_eq(answer_header(answer, "Cache-Control"), "private, no-cache");
    ck_assert_str_eq(api_get(ada, "/posts/%s", id).text, answer.text);
}

TEST(a_post_is_published_when_told)
{
    struct answer answer =
        api_post(ada, "/posts", object("{'title':'T','content':'C','published':true}"));

    ck_status(answer, 201);
    ck_assert(answer_boolean(answer, "post.published"));
    ck_status(api_get(NULL, "/posts/%s", answer_text(answer, "post.id")), 200);
}

TEST(nobody_writes_in_anothers_name)
{
    struct answer answer =
        api_post(ada, "/posts",
                 object("{'title':'T','content':'C','author_id':'%s','id':7,'created_at':null,"
                        "'updated_at':'2000-01-01T00:00:00Z'}",
                        bob_id));

    ck_status(answer, 201);
    ck_assert_str_eq(answer_text(answer, "post.author_id"), ada_id);
    ck_assert_str_gt(answer_text(answer, "post.updated_at"), "2001");
}

TEST(writing_needs_a_token)
{
    ck_problem(api_post(NULL, "/posts", "{}"), NO_TOKEN);
    ck_problem(api_post("nonsense", "/posts", "{}"), INVALID_TOKEN);
    ck_problem(api_patch(NULL, "/posts/" NOBODY_ID, "{}"), NO_TOKEN);
    ck_problem(api_delete(NULL, "/posts/" NOBODY_ID), NO_TOKEN);
}

static const struct refusal bad_posts[] = {
    {"{}", MISSING_FIELDS, "title required, content required"},
    {"{'title':'','published':'yes'}", MISSING_FIELDS,
     "title too_short, content required, published type"},
    {"{'title':null,'content':null,'published':null}", INVALID,
     "title type, content type, published type"},
    {"{'title':7,'content':[]}", INVALID, "title type, content type"},
    {"{'title':'','content':''}", INVALID, "title too_short, content too_short"},
    {"{'title':' \\t\\n\\r','content':' '}", INVALID, "title format"},
    {"{'title':'\302\240\343\200\200\342\200\203','content':' '}", INVALID, "title format"},
    {"{'title':'T','content':'C','published':1}", INVALID, "published type"},
};

TEST_EACH(a_bad_post_is_told_all_its_faults, bad_posts)
{
    ck_refusal("POST", ada, "/posts", &bad_posts[_i]);

    ck_rows("posts", 0);
}

/* One way is a transaction of many statements, the other all at once. */
static const struct {
    const char *body;
    const char *before; /* SQL */
    const char *type;
    bool anonymous;
} ways[] = {
    {"{'title':'T','content':'C'}", .before = NULL},
    {"{'title':'T','content':'C','published':true,'author_id':7}", .before = NULL},
    {"{'title':'T'}", .before = NULL},
    {"no JSON", .before = NULL},
    {"{'title':'T','content':'C'}", .type = "text/plain"},
    {"{'title':'T','content':'C'}", .anonymous = true},
    {"{'title':'T','content':'C'}", "UPDATE users SET is_active = 0"},
    {"{'title':'T','content':'C'}", "UPDATE users SET left_at = UTC_TIMESTAMP(6)"},
    {"{'title':'T','content':'C'}", "DELETE FROM users"},
    {"{'title':'T','content':'C'}", "DELETE FROM sessions"},
    {"{'title':'T','content':'C'}", "UPDATE sessions SET expires_at = created_at"},
    {"{'title':'T','content':'C'}",
     "UPDATE sessions SET last_used_at = last_used_at + INTERVAL 2 DAY"},
    {"no JSON", "UPDATE users SET is_active = 0"},
};

/* Without what differs in each answer. */
static const char *without(const char *text, const char *word)
{
    const char *at;
    while (word && (at = strstr(text, word)))
        text = say("%.*s*%s", (int)(at - text), text, at + strlen(word));
    return text;
}

static const char *told(int way, const char *key)
{
    struct answer answer =
        api_ask(.method = "POST", .path = "/posts", .token = ways[way].anonymous ? NULL : ada,
                .body = object("%s", ways[way].body), .type = ways[way].type, .param = key);
    const char *id = answer.status < 300 ? answer_text(answer, "post.id") : NULL;
    return without(without(say("%d\n%s%s", answer.status, answer.headers, answer.text), id),
                   answer_header(answer, "X-Request-Id"));
}

TEST_EACH(with_a_key_a_post_is_answered_and_stored_as_without, ways)
{
    if (ways[_i].before)
        run_sql(ways[_i].before);

    const char *at_once = told(_i, NULL);
    const char *keyed = told(_i, "HTTP_IDEMPOTENCY_KEY=0123456789");

    int written = strncmp(at_once, "201", 3) == 0 ? 2 : 0;
    ck_assert_str_eq(at_once, keyed);
    ck_rows("posts", written);
    ck_rows("list_journal WHERE total = 2", written);
    ck_rows("posts JOIN list_journal ON row_id = posts.id AND total = 2 AND owner = author_id AND "
            "kind = published AND list_journal.n = 1",
            written);
    ck_assert_int_le(ask_number("SELECT COUNT(DISTINCT author_id, title, content, published, "
                                "created_at, updated_at, version) AS n FROM posts"),
                     1);
}

TEST(a_title_has_255_code_points)
{
    const char *longest = repeat(GRIN, 255);
    struct answer fits = api_post(ada, "/posts", object("{'title':'%s','content':'C'}", longest));
    struct answer longer =
        api_post(ada, "/posts", object("{'title':'%sx','content':'C'}", longest));

    ck_status(fits, 201);
    ck_assert_str_eq(
        answer_text(api_get(ada, "/posts/%s", answer_text(fits, "post.id")), "post.title"),
        longest);
    ck_invalid(longer, "title too_long");
}

/* Each of `times` parts is `size` bytes long; one more byte is too much. */
static const struct {
    const char *part;
    size_t times;
    const char *end;
} longest_contents[] = {{"x", 65535, ""}, {GRIN, 16383, "xyz"}, {"\303\244", 32767, "z"}};

TEST_EACH(content_has_65535_bytes, longest_contents)
{
    const char *longest = say("%s%s", repeat(longest_contents[_i].part, longest_contents[_i].times),
                              longest_contents[_i].end);
    ck_assert_uint_eq(strlen(longest), 65535);
    struct answer fits = api_post(ada, "/posts", object("{'title':'T','content':'%s'}", longest));
    struct answer longer =
        api_post(ada, "/posts", object("{'title':'T','content':'%sx'}", longest));

    ck_status(fits, 201);
    const char *id = answer_text(fits, "post.id");
    ck_assert_str_eq(answer_text(api_get(ada, "/posts/%s", id), "post.content"), longest);
    ck_invalid(longer, "content too_long");
}

TEST(a_page_of_the_longest_posts_is_answered)
{
    /* A control character takes six bytes in JSON. */
    const char *body =
        say("{\"title\":\"T\",\"content\":\"%s\",\"published\":true}", repeat("\\u0001", 65535));
    ck_status(api_post(ada, "/posts", body), 201);
    run_sql("INSERT INTO posts (id, author_id, title, content, published) SELECT UUID(), "
            "author_id, seq, content, 1 FROM posts JOIN seq_1_to_99");
    count_again();

    struct answer answer = api_get(NULL, "/posts?limit=100");
    const char *seen = answer_column(answer, "id");
    int pages = 1;
    for (; !answer_is_null(answer, "pagination.next_cursor"); pages++) {
        ck_assert_uint_eq(answer_count(answer), 21); /* 8 MiB hold no more */
        ck_assert_ptr_nonnull(strstr(answer_header(answer, "Link"), "?cursor="));
        answer = api_get(NULL, "/posts?limit=100&cursor=%s",
                         answer_text(answer, "pagination.next_cursor"));
        ck_status(answer, 200);
        seen = say("%s %s", seen, answer_column(answer, "id"));
    }

    ck_assert_int_eq(pages, 5);
    ck_assert_uint_eq(strlen(seen), 100 * 37 - 1);
}

TEST(text_comes_back_as_it_went_in)
{
    struct answer answer = api_post(
        ada, "/posts",
        "{\"title\":\" \\\"T\\\\ <b>&amp;\",\"content\":\"\\u0001\\t" GRIN "e\314\201\\u2028 \"}");

    ck_status(answer, 201);
    const char *id = answer_text(answer, "post.id");
    ck_assert_str_eq(answer_text(api_get(ada, "/posts/%s", id), "post.title"), " \"T\\ <b>&amp;");
    ck_assert_str_eq(answer_text(api_get(ada, "/posts/%s", id), "post.content"),
                     "\001\t" GRIN "e\314\201\342\200\250 ");
}

/* ---- who sees what ---- */

CASE("reading and changing", set_up, loopback_close);

TEST(a_published_post_is_for_everybody)
{
    const char *id = write_post(ada, "T", "C", true);

    struct answer answer = api_get(NULL, "/posts/%s", id);

    ck_status(answer, 200);
    ck_assert_ptr_null(answer_header(answer, "Cache-Control"));
    ck_assert_str_eq(answer_header(api_get(bob, "/posts/%s", id), "Cache-Control"),
                     "private, no-cache");
    ck_problem(api_get("nonsense", "/posts/%s", id), INVALID_TOKEN);
}

TEST(a_draft_exists_for_its_author_and_admins_only)
{
    const char *id = write_post(ada, "T", "C", false);

    ck_status(api_get(ada, "/posts/%s", id), 200);
    ck_status(api_get(admin, "/posts/%s", id), 200);
    ck_problem(api_get(NULL, "/posts/%s", id), POST_NOT_FOUND);
    ck_problem(api_get(bob, "/posts/%s", id), POST_NOT_FOUND);
    ck_problem(api_patch(bob, path_of(id), "{}"), POST_NOT_FOUND);
    ck_problem(api_delete(bob, "/posts/%s", id), POST_NOT_FOUND);
    ck_assert_str_eq(answer_text(api_get(bob, "/posts/%s", id), "message"),
                     answer_text(api_get(bob, "/posts/" NOBODY_ID), "message"));
}

TEST(what_is_read_depends_on_who_asks)
{
    const char *id = write_post(ada, "Open", "to all", true);
    const char *const varying[] = {"/posts", say("/posts/%s", id), say("/users/%s/posts", ada_id)};
    for (int i = 0; i < COUNT(varying); i++) {
        ck_assert_str_eq(answer_header(api_get(NULL, "%s", varying[i]), "Vary"),
                         "Authorization, Cookie");
        ck_assert_str_eq(answer_header(api_get(ada, "%s", varying[i]), "Vary"),
                         "Authorization, Cookie");
    }
    struct answer known = api_ask(.path = varying[1], .param = "HTTP_IF_NONE_MATCH=\"1\"");
    ck_status(known, 304);
    ck_assert_str_eq(answer_header(known, "Vary"), "Authorization, Cookie");
    ck_assert_ptr_null(answer_header(api_get(NULL, "/health"), "Vary"));
}

/* Else its author would get from a cache what a stranger was told. */
TEST(that_a_draft_is_not_there_depends_on_who_asks_too)
{
    const char *id = write_post(ada, "T", "C", false);

    struct answer stranger = api_get(NULL, "/posts/%s", id);

    ck_problem(stranger, POST_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(stranger.headers, "\r\nVary: Authorization, Cookie\r\n"));
}

TEST(an_answer_to_a_cookie_is_private)
{
    const char *id = write_post(ada, "T", "C", true);
    const char *const paths[] = {"/posts", say("/posts/%s", id), "/posts/" NOBODY_ID};
    for (int i = 0; i < COUNT(paths); i++)
        ck_assert_str_eq(
            answer_header(api_ask(.path = paths[i], .param = "HTTP_COOKIE=a=b"), "Cache-Control"),
            "private, no-cache");
    ck_assert_ptr_null(
        answer_header(api_ask(.path = "/health", .param = "HTTP_COOKIE=a=b"), "Cache-Control"));
}

TEST(an_unknown_post_is_not_found)
{
    ck_problem(api_get(NULL, "/posts/" NOBODY_ID), POST_NOT_FOUND);
    ck_problem(api_patch(ada, "/posts/" NOBODY_ID, "{}"), POST_NOT_FOUND);
    ck_problem(api_delete(admin, "/posts/" NOBODY_ID), POST_NOT_FOUND);
    ck_problem(api_get(NULL, "/posts/7"), POST_NOT_FOUND);
    ck_problem(api_patch(ada, "/posts/7", "{}"), POST_NOT_FOUND);
    ck_problem(api_delete(admin, "/posts/7"), POST_NOT_FOUND);
    ck_problem(api_delete(NULL, "/posts/7"), NO_TOKEN);
}

TEST(an_id_is_taken_in_upper_case)
{
    char *id = arena_strdup(the_arena, write_post(ada, "T", "C", true));
    const char *shown = arena_strdup(the_arena, id);
    for (char *at = id; *at; at++)
        *at = (char)(*at >= 'a' && *at <= 'f' ? *at - 'a' + 'A' : *at);

    ck_assert_str_eq(answer_text(api_get(NULL, "/posts/%s", id), "post.id"), shown);
    ck_assert_str_eq(titles(NULL, say("/posts?author_id=%s", ada_id)), "T");
}

/* ---- changing ---- */

TEST(an_author_changes_a_post)
{
    const char *id = write_post(ada, "T", "C", false);
    struct answer before = api_get(ada, "/posts/%s", id);
    pass_s(60);

    struct answer answer = api_patch(ada, path_of(id), object("{'title':'New','published':true}"));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "post.title"), "New");
    ck_assert_str_eq(answer_text(answer, "post.content"), "C");
    ck_assert(answer_boolean(answer, "post.published"));
    ck_assert_str_gt(answer_text(answer, "post.updated_at"),
                     answer_text(before, "post.updated_at"));
    ck_assert_str_eq(answer_text(answer, "post.created_at"),
                     answer_text(before, "post.created_at"));
    ck_assert_str_eq(api_get(NULL, "/posts/%s", id).text, answer.text);
}

TEST(an_admin_changes_and_deletes_any_post)
{
    const char *id = write_post(ada, "T", "C", false);

    struct answer answer = api_patch(admin, path_of(id), object("{'content':'by the admin'}"));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_text(answer, "post.author_id"), ada_id);
    ck_status(api_delete(admin, "/posts/%s", id), 204);
}

static const char *const idle_changes[] = {
    "{}",
    "{'unknown':{}}",
    "{'id':1,'author_id':'" NOBODY_ID "','created_at':null,'updated_at':[]}",
};

TEST_EACH(what_may_not_be_set_is_ignored, idle_changes)
{
    const char *id = write_post(ada, "T", "C", true);
    struct answer before = api_get(ada, "/posts/%s", id);
    pass_s(60);

    ck_assert_str_eq(api_patch(ada, path_of(id), object("%s", idle_changes[_i])).text, before.text);

    ck_assert_str_eq(api_get(ada, "/posts/%s", id).text, before.text);
}

static const struct {
    const char *body, *faults;
} bad_changes[] = {
    {"{'title':null,'content':null,'published':null}", "title type, content type, published type"},
    {"{'title':'','content':'','published':'no'}",
     "title too_short, content too_short, published type"},
    {"{'title':'   '}", "title format"},
};

TEST_EACH(a_bad_change_is_told_all_its_faults, bad_changes)
{
    const char *id = write_post(ada, "T", "C", true);

    struct answer answer = api_patch(ada, path_of(id), object("%s", bad_changes[_i].body));

    ck_invalid(answer, bad_changes[_i].faults);
}

TEST(anothers_published_post_is_not_for_a_user_to_change)
{
    const char *id = write_post(ada, "T", "C", true);

    ck_problem(api_patch(bob, path_of(id), "{}"), FORBIDDEN);
    ck_problem(api_delete(bob, "/posts/%s", id), FORBIDDEN);
    ck_problem(api_patch(bob, path_of(id), "["), BAD_JSON);
    ck_problem(
        api_ask(.method = "PATCH", .path = path_of(id), .token = bob, .body = "x", .type = "x"),
        NOT_JSON);
}

TEST(a_deleted_post_is_gone)
{
    const char *id = write_post(ada, "T", "C", true);

    struct answer answer = api_delete(ada, "/posts/%s", id);

    ck_status(answer, 204);
    ck_assert_str_eq(answer.text, "");
    ck_problem(api_get(ada, "/posts/%s", id), POST_NOT_FOUND);
    ck_problem(api_delete(ada, "/posts/%s", id), POST_NOT_FOUND);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts")), 0);
}

TEST(paths_have_their_methods)
{
    struct answer answer = api_ask(.method = "PUT", .path = "/posts");

    ck_problem(answer, METHOD_NOT_ALLOWED);
    ck_assert_str_eq(answer_header(answer, "Allow"), "GET, HEAD, POST, OPTIONS");
    ck_assert_str_eq(
        answer_header(api_ask(.method = "OPTIONS", .path = "/posts/" NOBODY_ID), "Allow"),
        "GET, HEAD, PATCH, DELETE, OPTIONS");
    ck_status(api_ask(.method = "HEAD", .path = "/posts"), 200);
    ck_status(api_ask(.method = "POST", .path = say("/users/%s/posts", ada_id)), 405);
}

/* ---- lists ---- */

/* Drafts and published posts of both users, in this order; `d` in a name is a draft. */
static void write_posts(void)
{
    write_post(ada, "a1", "by Ada", true);
    write_post(ada, "ad2", "by Ada", false);
    write_post(bob, "b3", "by Bob", true);
    write_post(bob, "bd4", "by Bob", false);
    write_post(ada, "a5", "by Ada", true);
}

/* Who asks for what, and which titles come. %A and %B stand for the ids of Ada and Bob. */
static const struct {
    char who; /* - anonymous, a Ada, b Bob, r the admin */
    const char *path;
    const char *titles; /* NULL: 401 */
} views[] = {
    {'-', "/posts", "a5 b3 a1"},
    {'-', "/posts?published=true", "a5 b3 a1"},
    {'-', "/posts?author_id=%A", "a5 a1"},
    {'-', "/posts?author_id=" NOBODY_ID, ""},
    {'-', "/posts?published=false", NULL},
    {'-', "/posts?published=false&author_id=%A", NULL},
    {'a', "/posts", "a5 b3 a1"},
    {'a', "/posts?published=false", "ad2"},
    {'a', "/posts?published=false&author_id=%A", "ad2"},
    {'a', "/posts?published=false&author_id=%B", ""},
    {'a', "/posts?published=false&author_id=" NOBODY_ID, ""},
    {'a', "/posts?published=true&author_id=%B", "b3"},
    {'r', "/posts", "a5 b3 a1"},
    {'r', "/posts?published=false", "bd4 ad2"},
    {'r', "/posts?published=false&author_id=%B", "bd4"},
    {'r', "/posts?author_id=%B", "b3"},
    {'-', "/users/%A/posts", "a5 a1"},
    {'-', "/users/%A/posts?published=true", "a5 a1"},
    {'-', "/users/%A/posts?published=false", NULL},
    {'a', "/users/%A/posts", "a5 ad2 a1"},
    {'a', "/users/%A/posts?published=true", "a5 a1"},
    {'a', "/users/%A/posts?published=false", "ad2"},
    {'a', "/users/%A/posts?author_id=%B", "a5 ad2 a1"}, /* an unknown parameter here */
    {'b', "/users/%A/posts", "a5 a1"},
    {'b', "/users/%A/posts?published=true", "a5 a1"},
    {'b', "/users/%A/posts?published=false", ""},
    {'r', "/users/%A/posts", "a5 ad2 a1"},
    {'r', "/users/%A/posts?published=true", "a5 a1"},
    {'r', "/users/%A/posts?published=false", "ad2"},
    /* The same with a search. */
    {'-', "/posts?q=ada", "a5 a1"},
    {'-', "/posts?q=ada&published=false", NULL},
    {'a', "/posts?q=ada&published=false", "ad2"},
    {'a', "/posts?q=bob&published=false", ""},
    {'a', "/posts?q=bob&published=false&author_id=%B", ""},
    {'r', "/posts?q=ada&published=false", "ad2"},
    {'a', "/users/%A/posts?q=ada", "a5 ad2 a1"},
    {'a', "/users/%A/posts?q=bob", ""},
    {'b', "/users/%A/posts?q=ada", "a5 a1"},
    {'b', "/users/%A/posts?q=ada&published=false", ""},
    {'r', "/users/%A/posts?q=ada&published=false", "ad2"},
};

static struct answer rename_if(const char *id, const char *etag)
{
    return api_ask(.method = "PATCH", .path = path_of(id), .token = ada,
                   .body = object("{'title':'New'}"), .param = say("HTTP_IF_MATCH=%s", etag));
}

TEST(a_list_has_what_if_match_wants)
{
    const char *const lists[] = {"/posts", "/posts?q=algebra", "/posts?limit=1",
                                 say("/users/%s/posts", ada_id)};
    const char *id = write_post(ada, "Engines", "of algebra", true);
    for (int i = 0; i < COUNT(lists); i++) {
        const char *etag = answer_text(api_get(NULL, "%s", lists[i]), "data.0.etag");
        ck_assert_str_eq(etag, answer_header(api_get(ada, "/posts/%s", id), "ETag"));

        ck_status(rename_if(id, etag), 200);
        ck_problem(rename_if(id, etag), PRECONDITION_FAILED);
    }
    ck_assert(!answer_has(api_get(ada, "/posts/%s", id), "post.etag"));
}

static struct answer write_unless(const char *method, const char *id, const char *tags)
{
    return api_ask(.method = method, .path = path_of(id), .token = ada,
                   .body = object("{'title':'New'}"), .param = say("HTTP_IF_NONE_MATCH=%s", tags));
}

TEST(a_version_that_is_not_meant_is_not_touched)
{
    const char *id = write_post(ada, "Engines", "of algebra", true);
    const char *tag = answer_header(api_get(ada, "/posts/%s", id), "ETag");

    struct answer refused = write_unless("PATCH", id, say("\"17\", W/%s", tag));
    struct answer kept = write_unless("DELETE", id, "*");
    struct answer same = api_get(ada, "/posts/%s", id);

    ck_problem(refused, PRECONDITION_FAILED);
    ck_assert_str_eq(answer_header(refused, "ETag"), tag);
    ck_problem(kept, PRECONDITION_FAILED);
    ck_assert_str_eq(answer_header(same, "ETag"), tag);
    ck_status(write_unless("PATCH", id, "\"17\""), 200);
    ck_status(write_unless("DELETE", id, tag), 204);
}

static const char *with_ids(const char *path)
{
    const char *mark = strchr(path, '%');
    if (!mark)
        return path;
    return with_ids(
        say("%.*s%s%s", (int)(mark - path), path, mark[1] == 'A' ? ada_id : bob_id, mark + 2));
}

static void set_up_posts(void)
{
    set_up();
    write_posts();
}

/* They are written once, for these tests only read. */
CASE("views", loopback_again, NULL);
CASE_AROUND(set_up_posts, loopback_close);

TEST_EACH(a_list_shows_what_its_reader_may_see, views)
{
    const char *token = views[_i].who == 'a'   ? ada
                        : views[_i].who == 'b' ? bob
                        : views[_i].who == 'r' ? admin
                                               : NULL;

    struct answer answer = api_get(token, "%s", with_ids(views[_i].path));

    if (!views[_i].titles) {
        ck_problem(answer, NO_TOKEN);
        return;
    }
    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "title"), views[_i].titles);
    ck_assert_int_eq(answer_total(answer), answer_count(answer));
}

CASE("lists", set_up, loopback_close);

TEST(the_posts_of_an_unknown_user_are_not_found)
{
    ck_problem(api_get(NULL, "/users/" NOBODY_ID "/posts"), USER_NOT_FOUND);
    ck_problem(api_get(ada, "/users/" NOBODY_ID "/posts?published=false"), USER_NOT_FOUND);
    ck_problem(api_get(NULL, "/users/" NOBODY_ID "/posts?q=word"), USER_NOT_FOUND);
    ck_problem(api_get(NULL, "/users/" NOBODY_ID "/posts?q=a"), USER_NOT_FOUND);
    ck_status(api_get(NULL, "/users/%s/posts", bob_id), 200);
    ck_problem(api_get(NULL, "/users/7/posts"), USER_NOT_FOUND);
}

TEST(a_bad_token_is_refused_where_anyone_may_read)
{
    ck_problem(api_get("nonsense", "/posts"), INVALID_TOKEN);
    ck_problem(api_get("nonsense", "/users/%s/posts", ada_id), INVALID_TOKEN);
    run_sql("UPDATE users SET is_active = 0 WHERE email = 'ada@example.org'");
    ck_problem(api_get(ada, "/posts"), USER_INACTIVE);
}

static const struct {
    const char *query;
    int page, limit, total, pages;
    const char *titles;
} pages[] = {
    {"", 1, 20, 3, 1, "a5 b3 a1"},
    {"?limit=2", 1, 2, 3, 2, "a5 b3"},
    {"?limit=2&page=2", 2, 2, 3, 2, "a1"},
    {"?limit=2&page=3", 3, 2, 3, 2, ""},
    {"?limit=1&page=3&page=1", 3, 1, 3, 3, "a1"},
    {"?q=ada&limit=1&page=2", 2, 1, 2, 2, "a1"},
    {"?q=nowhere", 1, 20, 0, 0, ""},
    {"?q=", 1, 20, 3, 1, "a5 b3 a1"},
    {"?sort=created_at", 1, 20, 3, 1, "a1 b3 a5"},
    {"?sort=-created_at", 1, 20, 3, 1, "a5 b3 a1"},
    {"?sort=title", 1, 20, 3, 1, "a1 a5 b3"},
    {"?sort=-title", 1, 20, 3, 1, "b3 a5 a1"},
    {"?sort=-title&q=ada", 1, 20, 2, 1, "a5 a1"},
    {"?sort=title&author_id=%A", 1, 20, 2, 1, "a1 a5"},
};

CASE("views", loopback_again, NULL);

TEST_EACH(a_page_shows_its_part, pages)
{
    struct answer answer = api_get(NULL, "/posts%s", with_ids(pages[_i].query));

    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "title"), pages[_i].titles);
    ck_assert_int_eq(answer_integer(answer, "pagination.page"), pages[_i].page);
    ck_assert_int_eq(answer_integer(answer, "pagination.limit"), pages[_i].limit);
    ck_assert_int_eq(answer_total(answer), pages[_i].total);
    ck_assert_int_eq(answer_integer(answer, "pagination.pages"), pages[_i].pages);
    ck_assert(!answer_has(answer, "pagination.total_capped"));
}

static const struct {
    const char *query, *faults;
} bad_queries[] = {
    {"?page=0", "page range"},
    {"?limit=101", "limit range"},
    {"?limit=-1", "limit range"},
    {"?sort=author", "sort range"},
    {"?sort=email", "sort range"},
    {"?published=1", "published type"},
    {"?published=True", "published type"},
    {"?published=", "published type"},
    {"?author_id=7", "author_id format"},
    {"?author_id=", "author_id format"},
    {"?q=%C3%28", "q format"},
    {"?author_id=x&published=x&sort=x&limit=x&page=x",
     "author_id format, published type, sort range, limit type, page type"},
};

CASE("lists", set_up, loopback_close);

TEST_EACH(a_bad_query_is_told_all_its_faults, bad_queries)
{
    struct answer answer = api_get(NULL, "/posts%s", bad_queries[_i].query);

    ck_invalid(answer, bad_queries[_i].faults);
}

TEST(titles_are_sorted_by_the_collation)
{
    static const char *const written[] = {"beta", "\303\204lpha", "Gamma", "alpha b", NULL};
    for (size_t i = 0; written[i]; i++)
        write_post(ada, written[i], "x", true);

    ck_assert_str_eq(titles(NULL, "/posts?sort=title"), "\303\204lpha alpha b beta Gamma");
    ck_assert_str_eq(titles(NULL, "/posts?sort=-title"), "Gamma beta alpha b \303\204lpha");
    ck_assert_str_eq(titles(ada, say("/users/%s/posts?sort=-title", ada_id)),
                     "Gamma beta alpha b \303\204lpha");
}

static const char *const walks[] = {"?sort=created_at", "?sort=-created_at", "?sort=title",
                                    "?sort=-title", "?sort=title&q=same"};

TEST_EACH(posts_that_tie_are_neither_skipped_nor_doubled, walks)
{
    const char *walked = "";
    for (int i = 0; i < 9; i++)
        write_post(i % 2 ? ada : bob, "same", "same", true);
    run_sql("UPDATE posts SET created_at = '2020-02-02 02:02:02.222222'");
    const char *whole = answer_column(api_get(NULL, "/posts%s", walks[_i]), "id");

    for (int page = 1; page <= 9; page++)
        walked =
            say("%s%s%s", walked, *walked ? " " : "",
                answer_column(api_get(NULL, "/posts%s&limit=1&page=%d", walks[_i], page), "id"));

    ck_assert_uint_eq(strlen(whole), 9 * 36 + 8);
    ck_assert_str_eq(walked, whole);
}

TEST(totals_follow_every_change)
{
    write_posts();
    const char *id = write_post(bob, "b6", "by Bob", false);
    ck_assert_int_eq(answer_total(api_get(admin, "/posts?published=false")), 3);

    ck_status(api_patch(bob, path_of(id), object("{'published':true}")), 200);
    ck_assert_int_eq(answer_total(api_get(NULL, "/posts")), 4);
    ck_assert_int_eq(answer_total(api_get(bob, "/posts?published=false")), 1);
    ck_status(api_patch(bob, path_of(id), object("{'published':true,'title':'T'}")), 200);
    ck_status(api_delete(bob, "/posts/%s", id), 204);

    ck_assert_int_eq(answer_total(api_get(NULL, "/posts")), 3);
    ck_assert_int_eq(answer_total(api_get(bob, "/users/%s/posts", bob_id)), 2);
}

/* ---- searching ---- */

static const struct {
    const char *title, *content;
} library[] = {
    {"t1", "The quick brown fox jumps over the lazy dog"},
    {"t2", "A quick-tempered BROWN bear"},
    {"Brownies t3", "are not brown_bear food at 375 degrees"},
    {"t4", "\303\234ber \320\234\320\276\321\201\320\272\320\262\320\260 caf\303\251s"},
    {"t5", "don't panic: it is +mostly \\\"harmless\\\" (really)"},
    {"t6", "foo.bar@example.org/path 3.14159"},
    {"t7", "\316\223\316\271\316\254\316\275\316\275\316\267\317\202 wei\303\237"},
    {"t8", "x\346\274\242\345\255\227\344\273\256\345\220\215y"}, /* four Chinese letters */
};

static const struct {
    const char *q, *titles;
} searches[] = {
    {"quick", "t2 t1"},
    {"QUICK brown", "t2 t1"},
    {"quick fox", "t1"},
    {"brown+food", "Brownies t3"},    /* of brown_bear */
    {"Brownies+food", "Brownies t3"}, /* one in the title, one in the content */
    {"brown_bear", "Brownies t3 t2"},
    {"brow", ""},
    {"rown", ""},
    {"brown*", "Brownies t3 t2 t1"},
    {"bro*", "Brownies t3 t2 t1"},
    {"BROWNI*", "Brownies t3"},
    {"browni*+fox", ""},
    {"br*", ""}, /* too short */
    {"bro*+qui*", "t2 t1"},
    {"*rown", ""},
    {"bro*n", ""},
    {"the", "t1"},
    {"are+not", "Brownies t3"},
    {"over+the+lazy", "t1"},
    {"quick+of+a+in", "t2 t1"}, /* short words are ignored */
    {"it", ""},
    {"a+b+++c", ""},
    {"%2B-%3C%3E~*%22%28%29", ""},
    {"+", ""},
    {"-quick", "t2 t1"},
    {"quick+-fox", "t1"},
    {"quick+fox-", "t1"},
    {"%2Bquick+%2Bbear", "t2"},
    {"~quick+%3Efox", "t1"},
    {"%22brown+quick%22", "t2 t1"}, /* no phrase */
    {"%28quick", "t2 t1"},
    {"quick%40brown", "t2 t1"},
    {"fox+@3+dog", "t1"},
    {"375", "Brownies t3"},
    {"14159", "t6"},
    {"3.14159", "t6"},
    {"foo.bar", "t6"},
    {"foo.bar@example.org/path", "t6"},
    {"%C3%9CBER", "t4"},
    {"%C3%BCber+%D0%9C%D0%9E%D0%A1%D0%9A%D0%92%D0%90", "t4"},
    {"caf%C3%A9s", "t4"},
    {"CAFES+uber", "t4"},
    {"%CE%93%CE%99%CE%86%CE%9D%CE%9D%CE%97%CE%A3", "t7"}, /* upper case, with its accent */
    {"%CE%B3%CE%B9%CE%B1%CE%BD%CE%BD%CE%B7%CF%83", "t7"}, /* without, and the inner sigma */
    {"WEI%E1%BA%9E", "t7"},                               /* the capital sharp s */
    {"weiss", ""},                                        /* which is one letter */
    {"%E6%BC%A2%E5%AD%97", "t8"},                         /* the first two letters */
    {"%E5%AD%97%E4%BB%AE", "t8"},                         /* those in the middle */
    {"%E6%BC%A2%E5%AD%97%E4%BB%AE%E5%90%8D", "t8"},       /* all */
    {"%E6%BC%A2%E4%BB%AE", ""},                           /* no neighbours */
    {"%E4%BB%AE", ""},                                    /* one is too short */
    {"%E6%BC%A2%E5%AD%97+%E4%BB%AE%E5%90%8D", "t8"},
    {"don%27t", "t5"},
    {"panic%3A", "t5"},
    {"mostly+harmless+really", "t5"},
    {"quick%0Abrown%09fox", "t1"},
    {"quick%E2%80%89brown", "t2 t1"}, /* a thin space */
    {"quick%5Cbrown", "t2 t1"},
    {"quick+quick+quick", "t2 t1"},
    {"nowhere+quick", ""},
};

static void set_up_library(void)
{
    set_up();
    for (size_t i = 0; i < sizeof library / sizeof *library; i++) {
        const char *body = say("{\"title\":\"%s\",\"content\":\"%s\",\"published\":true}",
                               library[i].title, library[i].content);
        the_time.us += 1000;
        ck_status(api_post(ada, "/posts", body), 201);
    }
}

CASE("searching the library", loopback_again, NULL);
CASE_AROUND(set_up_library, loopback_close);

TEST_EACH(a_search_wants_all_words_whole_and_in_any_case, searches)
{
    ck_assert_str_eq(titles(NULL, say("/posts?q=%s", searches[_i].q)), searches[_i].titles);
}

CASE("searching", set_up, loopback_close);

/* Letters, marks and digits of many scripts: each must be found by itself. */
static const char *const words[] = {
    "na\303\257ve",
    "cafe\314\201s", /* a combining accent */
    "\340\244\271\340\244\277\340\244\250\340\245\215\340\244\246\340\245\200", /* Devanagari */
    "\340\270\227\340\270\265\340\271\210\340\270\231\340\270\265\340\271\210", /* Thai */
    "\327\251\326\270\327\201\327\234\327\225\326\271\327\235", /* Hebrew with points */
    "\330\263\331\204\330\247\331\205",                         /* Arabic */
    "\346\235\261\344\272\254\351\203\275",                     /* Chinese */
    "\355\225\234\352\265\255\354\226\264",                     /* Korean */
    "\331\241\331\242\331\243",                                 /* Arabic digits */
    "x\302\262\302\263\302\271",                                /* superscripts */
    "\342\205\247\342\205\250\342\205\251",                     /* Roman numerals */
    "snake_case_word",
    "O'Reilly",
    "under\342\200\277tie",
    "soft\302\255hyphen",
    "zero\342\200\213width",
    "join\342\200\215er",
};

static const char *percent_encoded(const char *s)
{
    const char *text = "";
    for (; *s; s++)
        text = say("%s%%%02X", text, (unsigned char)*s);
    return text;
}

TEST_EACH(a_word_of_any_script_is_found_by_itself, words)
{
    write_post(ada, "other", "something else", true);
    write_post(ada, "found", words[_i], true);

    ck_assert_str_eq(titles(NULL, say("/posts?q=%s", percent_encoded(words[_i]))), "found");
}

TEST(a_search_follows_changes)
{
    const char *id = write_post(ada, "Old title", "old content", true);
    ck_status(api_patch(ada, path_of(id), object("{'title':'Newer title'}")), 200);

    ck_assert_str_eq(titles(NULL, "/posts?q=newer"), "Newer title");
    ck_assert_str_eq(titles(NULL, "/posts?q=newer+old"), "Newer title");
    ck_status(api_patch(ada, path_of(id), object("{'content':'other'}")), 200);

    ck_assert_str_eq(titles(NULL, "/posts?q=old"), "");
    ck_status(api_delete(ada, "/posts/%s", id), 204);
    ck_assert_str_eq(titles(NULL, "/posts?q=newer"), "");
}

/* ---- slow lists ---- */

CASE("slow lists", set_up, loopback_close);

static const char *const post_lists[] = {"/posts", "/posts?sort=-title", "/posts?q=engines",
                                         "/users/%s/posts"};

/* A table that others have locked stands for all that keeps a statement waiting. */
TEST_EACH(a_list_that_takes_too_long_is_refused_and_later_whole, post_lists)
{
    const char *path =
        strchr(post_lists[_i], '%') ? say("/users/%s/posts", ada_id) : post_lists[_i];
    struct db *locker;
    write_post(ada, "On engines", "Text.", true);
    loopback_set("LIST_BUDGET_MS=50");
    must(db_open(the_arena, getenv("DATABASE_URL"), &locker));
    must(db_run(locker, the_arena, "LOCK TABLES posts WRITE"));

    struct answer answer = api_get(NULL, "%s", path);
    db_close(locker);

    ck_problem(answer, UNAVAILABLE);
    ck_assert_ptr_nonnull(answer_header(answer, "Retry-After"));
    ck_assert_ptr_nonnull(strstr(answer_text(answer, "message"), "narrow the search"));
    while ((answer = api_get(NULL, "%s", path)).status == 503) /* the lock takes its time to go */
        continue;
    ck_status(answer, 200);
    ck_assert_str_eq(answer_column(answer, "title"), "On engines");
}

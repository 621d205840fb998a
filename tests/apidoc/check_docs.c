#include "common/apidoc/docs.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/crypto/digest.h"
#include "fcgi-app/docs_assets.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define EVIL "<img src=x onerror=\"alert('1')\">&"
#define EVIL_ESCAPED "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;"

struct plant {
    struct uuid id, parent;
    struct text name;
    int64_t height;
};

static const struct field plant_fields[] = {
    FIELD(struct plant, id, .use = FIELD_SHOWN, .doc = "The plant's id."),
    FIELD(struct plant, parent, .use = FIELD_SHOWN, .refers_to = "Plant", .doc = "Whose seed."),
    FIELD(struct plant, name, .use = FIELD_SHOWN | FIELD_REQUIRED, .min = 2, .max = 30,
          .example = "Fern", .new_example = "Adam's needle", .doc = "The name, in `code` " EVIL),
    FIELD(struct plant, height, .use = FIELD_SHOWN | FIELD_CREATE, .min = 1, .max = 99,
          .default_value = "7", .doc = "In metres."),
};

static const struct record plant_record = RECORD("Plant", struct plant, plant_fields, .rule = NULL);

/* A login, and how it goes on. */
struct key {
    struct text password, access_token, refresh_token;
};

static const struct field key_fields[] = {
    FIELD(struct key, password, .use = FIELD_REQUIRED, .example = "open", .doc = "The word.")};
static const struct field again_fields[] = {
    FIELD(struct key, refresh_token, .use = FIELD_REQUIRED, .example = "abc", .doc = "The other.")};
static const struct field token_fields[] = {
    FIELD(struct key, access_token, .use = FIELD_SHOWN, .example = "def", .doc = "It.")};
static const struct record key_record = RECORD("Key", struct key, key_fields, .rule = NULL);
static const struct record again_record = RECORD("Again", struct key, again_fields, .rule = NULL);
static const struct record token_record = RECORD("Token", struct key, token_fields, .rule = NULL);

static bool is_never(const struct app *app)
{
    (void)app;
    return false;
}

#define SHOW(path_, operation_id_)                                                                 \
    .method = METHOD_GET, .path = (path_), .auth = AUTH_OPTIONAL,                                  \
    .reply = {.members = &plant_record}, .operation_id = (operation_id_), .summary = "Show."

static const struct route routes[] = {
    {
        .method = METHOD_POST,
        .path = "/plants",
        .auth = AUTH_USER,
        .body = &plant_record,
        .reply = ONE("plant", &plant_record),
        .status = 201,
        .flags = ROUTE_IDEMPOTENCY_KEY,
        .operation_id = "createPlant",
        .summary = EVIL,
    },
    {
        .method = METHOD_GET,
        .path = "/plants/{id}",
        .auth = AUTH_OPTIONAL,
        .reply = ONE("plant", &plant_record),
        .operation_id = "getPlant",
        .summary = "Show.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/plants/{id}",
        .auth = AUTH_OPTIONAL,
        .operation_id = "deletePlant",
        .summary = "Pull it out.",
    },
    {
        .method = METHOD_POST,
        .path = "/key",
        .auth = AUTH_NONE,
        .body = &key_record,
        .reply = {.members = &token_record, .key = "plant", .record = &plant_record},
        .flags = ROUTE_NO_UNDO,
        .operation_id = "enter",
        .summary = "Enter.",
    },
    {
        .method = METHOD_POST,
        .path = "/key/again",
        .auth = AUTH_NONE,
        .body = &again_record,
        .reply = {.members = &token_record},
        .operation_id = "enterAgain",
        .summary = "Enter again.",
    },
    {
        .method = METHOD_GET,
        .path = "/me",
        .auth = AUTH_USER,
        .reply = ONE("plant", &plant_record),
        .operation_id = "getMe",
        .summary = "Who am I?",
    },
    {SHOW("/weeds", "listWeeds"), .enabled = is_never},
    {SHOW("/roots", "listRoots"), .flags = ROUTE_LOOPBACK_ONLY},
};

static const struct resource plants = RESOURCE("plants", EVIL, routes);
static const struct resource *const resources[] = {&plants, NULL};

static const char *page;

static void set_up(void)
{
    const struct api api = {.title = EVIL,
                            .version = EVIL,
                            .license = "MIT",
                            .description = EVIL,
                            .base_path = "/garden",
                            .resources = resources};
    scratch_open();
    docs_write(&scratch, &api, &docs_assets);
    page = arena_copy(a, scratch.data, scratch.len);
}

static bool has(const char *text)
{
    return strstr(page, text) != NULL;
}

CASE("docs", set_up, scratch_close);

TEST(every_route_that_is_offered_has_its_place)
{
    ck_assert(has("<article id=\"op-createPlant\">"));
    ck_assert(has("<article id=\"op-getPlant\">"));
    ck_assert(has("<a href=\"#op-getPlant\">"));
    ck_assert(!has("listWeeds"));
    ck_assert(!has("/weeds"));
    ck_assert(!has("listRoots"));
    ck_assert(!has("/roots"));
}

TEST(fields_are_told_with_their_bounds)
{
    ck_assert(has("2–30 characters"));
    ck_assert(has("1–99 · default <code>7</code>"));
    ck_assert(has("The name, in <code>code</code> "));
    ck_assert(has("<span class=bounds>8–128 characters</span>")); /* Idempotency-Key */
}

TEST(text_is_escaped_wherever_it_stands)
{
    ck_assert(!has("<img"));
    ck_assert(has("<title>" EVIL_ESCAPED " API</title>"));
    ck_assert(has("<p class=summary>" EVIL_ESCAPED));
    ck_assert(has("</code> " EVIL_ESCAPED));
}

TEST(the_example_for_a_shell_has_no_quote_of_its_own)
{
    ck_assert(has("Adam\\u0027s needle"));
    ck_assert(has("curl &quot;$API/plants&quot;"));
}

TEST(what_is_made_is_another_than_what_is_there)
{
    ck_assert(has("&quot;name&quot;: &quot;Fern&quot;"));
    ck_assert(has("<textarea name=\"body\" data-in=body data-type=\"application/json\" rows=7 "
                  "spellcheck=false>\n{\n  &quot;name&quot;: &quot;Adam&#39;s needle&quot;"));
}

TEST(an_id_of_the_path_is_told_in_words)
{
    ck_assert(has("The plant&#39;s id. A UUID, in upper or lower case."));
    ck_assert(has("curl &quot;$API/plants/$PLANT_ID&quot;"));
    ck_assert(has("name=\"id\" data-as=\"PLANT_ID\" placeholder=\"uuid\" required"));
    ck_assert(has(" data-leads=\"id=getPlant parent=getPlant \""));
}

TEST(who_may_call_without_a_token_writes_with_one)
{
    ck_assert(has("curl -X DELETE &quot;$API/plants/$PLANT_ID&quot; \\\n"
                  "  -H &quot;Authorization: Bearer $TOKEN&quot;"));
    ck_assert(has("curl &quot;$API/plants/$PLANT_ID&quot;</code>"));
}

TEST(what_cannot_be_undone_is_asked_for)
{
    ck_assert(has("data-ask=\"Pull it out.\""));
    ck_assert(has("data-ask=\"Enter.\""));
    ck_assert(!has("data-ask=\"Enter again.\""));
    ck_assert(!has("data-ask=\"Show.\""));
}

TEST(the_page_knows_how_its_login_goes_on)
{
    ck_assert(has("<form id=login-form data-method=\"POST\" data-path=\"/key\""));
    ck_assert(has(" data-refresh=\"/key/again\" data-who=\"/me\" data-key=\"plant\">"));
    ck_assert(has("&quot;refresh_token&quot;: &quot;&#39;&quot;$REFRESH_TOKEN&quot;&#39;&quot;"));
    ck_assert(has("&quot;refresh_token&quot;: &quot;abc&quot;"));
}

TEST(each_button_and_table_has_a_name_of_its_own)
{
    ck_assert(has("Send<span class=vh> DELETE /plants/{id}</span></button>"));
    ck_assert(has("Try it<span class=vh>: DELETE /plants/{id}</span></summary>"));
    ck_assert(has("<caption>Path<span class=vh> of DELETE /plants/{id}</span></caption>"));
}

TEST(changes_are_told_by_version)
{
    struct buf b;
    const struct api api = {.title = "T",
                            .version = "1",
                            .license = "MIT",
                            .description = "D",
                            .base_path = "",
                            .public_url = "https://garden.example",
                            .resources = resources};
    const struct docs_assets assets = {.page = "{{changes}}{{address}}",
                                       .style = "",
                                       .script = "",
                                       .changes =
                                           "2.0, of May\n  - Plants\n    have `roots` & <b>.\n"
                                           "  - More.\n1.0, of April\n  - It is there."};
    buf_init(&b, (size_t)4 * 1024 * 1024);
    docs_write(&b, &api, &assets);
    const char *text = arena_copy(a, b.data, b.len);
    buf_release(&b);

    ck_assert_str_eq(text, "<h3>2.0, of May</h3>\n<ul>\n<li>Plants\nhave <code>roots</code> &amp; "
                           "&lt;b&gt;.\n<li>More.\n</ul>\n<h3>1.0, of April</h3>\n<ul>\n"
                           "<li>It is there.\n</ul>\nhttps://garden.example");
}

TEST(each_code_has_the_place_that_a_problem_leads_to)
{
    ck_assert(has("<tr id=\"no_token\">"));
    ck_assert(has("<tr id=\"method_not_allowed\">"));
    const char *first = strstr(page, "<tr id=\"unavailable\">");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "<tr id=\"unavailable\">"));
}

/* The text of the first element that is written `<name>…</name>`. */
static const char *element(const char *name)
{
    const char *open = strstr(page, arena_printf(a, "<%s>", name));
    ck_assert_ptr_nonnull(open);
    open += strlen(name) + 2;
    const char *close = strstr(open, arena_printf(a, "</%s>", name));
    ck_assert_ptr_nonnull(close);
    return arena_copy(a, open, (size_t)(close - open));
}

static const char *hash_of(const char *text)
{
    unsigned char hash[32];
    sha256(text, strlen(text), hash);
    char *base64 = arena_strdup(a, base64url(a, hash, sizeof hash));
    for (char *c = base64; *c; c++)
        *c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
    return arena_printf(a, "'sha256-%s='", base64);
}

TEST(the_policy_lets_in_what_is_in_the_page_and_nothing_else)
{
    const char *policy = docs_policy(a, &docs_assets);

    ck_assert_ptr_nonnull(
        strstr(policy, arena_printf(a, "style-src %s;", hash_of(element("style")))));
    ck_assert_ptr_nonnull(
        strstr(policy, arena_printf(a, "script-src %s;", hash_of(element("script")))));
    ck_assert_ptr_nonnull(strstr(policy, "default-src 'none';"));
    ck_assert_ptr_null(strstr(policy, "unsafe"));
}

TEST(nothing_is_fetched_from_elsewhere)
{
    ck_assert(!has("src=\"http"));
    ck_assert(!has("href=\"http"));
    ck_assert(!has("@import"));
    ck_assert(!has("url("));
}

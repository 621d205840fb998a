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
    struct text name;
    int64_t height;
};

static const struct field plant_fields[] = {
    FIELD(struct plant, name, .use = FIELD_SHOWN | FIELD_REQUIRED, .min = 2, .max = 30,
          .example = "Adam's needle", .doc = "The name, in `code` " EVIL),
    FIELD(struct plant, height, .use = FIELD_SHOWN | FIELD_CREATE, .min = 1, .max = 99,
          .default_value = "7", .doc = "In metres."),
};

static const struct record plant_record = RECORD("Plant", struct plant, plant_fields, .rule = NULL);

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
        .operation_id = "createPlant",
        .summary = EVIL,
    },
    {SHOW("/plants/{id}", "getPlant")},
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

/* The validator of the tests has tests of its own: a reply that is not described is refused. */
#include "tests/support/described.h"

#include <string.h>

#include "common/apidoc/openapi.h"
#include "common/base/problem.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

#define ID "01890a5d-ac96-774b-bcce-b302099a8057"
#define TIME "2026-01-31T12:00:00.000000Z"
#define PLANT                                                                                      \
    "{'id':'" ID "','name':'Fern','note':null,'height':3,'kind':'tree','planted':'" TIME "'}"
#define ITEM                                                                                       \
    "{'id':'" ID "','name':'Fern','note':null,'height':3,'kind':'tree','planted':'" TIME           \
    "','etag':'\\'1\\''}"
#define PAGE "{'page':1,'limit':20,'total':1,'pages':1,'next_cursor':null}"
#define BY_CURSOR "{'limit':20,'next_cursor':null}"
#define WORDS "'message':'M.','request_id':'12345678'"

/* ---- a small API ---- */

struct plant {
    struct uuid id;
    struct text name, note;
    int64_t height;
    unsigned kind;
    struct instant planted;
    int64_t version;
};

static const char *const kinds[] = {"tree", "herb", NULL};

static const struct field plant_fields[] = {
    FIELD(struct plant, id, .use = FIELD_SHOWN, .doc = "The id."),
    FIELD(struct plant, name, .use = FIELD_SHOWN | FIELD_REQUIRED, .doc = "The name."),
    FIELD(struct plant, note, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_NULLABLE, .doc = "A note."),
    FIELD(struct plant, height, .use = FIELD_SHOWN, .doc = "In metres."),
    FIELD(struct plant, kind, .use = FIELD_SHOWN, .choices = kinds, .doc = "What it is."),
    FIELD(struct plant, planted, .use = FIELD_SHOWN, .doc = "When."),
    FIELD(struct plant, version, .use = FIELD_VERSION),
};

static const struct record plant_record = RECORD("Plant", struct plant, plant_fields, .rule = NULL);

static const struct problem_type problem_no_plant = {404, "Plant not found", "plant_not_found",
                                                     "There is no plant with this id."};
static const struct problem_type *const show_problems[] = {&problem_no_plant, NULL};

static const struct route routes[] = {
    {
        .method = METHOD_GET,
        .path = "/plants",
        .auth = AUTH_OPTIONAL,
        .reply = MANY(&plant_record),
        .operation_id = "listPlants",
        .summary = "List.",
    },
    {
        .method = METHOD_POST,
        .path = "/plants",
        .auth = AUTH_USER,
        .body = &plant_record,
        .reply = ONE("plant", &plant_record),
        .status = 201,
        .operation_id = "createPlant",
        .summary = "Make.",
    },
    {
        .method = METHOD_GET,
        .path = "/plants/{id}",
        .auth = AUTH_OPTIONAL,
        .reply = ONE("plant", &plant_record),
        .flags = ROUTE_ETAG,
        .problems = show_problems,
        .operation_id = "getPlant",
        .summary = "Show.",
    },
    {
        .method = METHOD_GET,
        .path = "/plants/rare",
        .auth = AUTH_NONE,
        .reply = {.members = &plant_record},
        .operation_id = "getRare",
        .summary = "Show.",
    },
    {
        .method = METHOD_DELETE,
        .path = "/plants/{id}",
        .auth = AUTH_USER,
        .operation_id = "deletePlant",
        .summary = "Delete.",
    },
};

static const struct resource plants = RESOURCE("plants", "What grows.", routes);
static const struct resource *const resources[] = {&plants, NULL};

static const struct described *document;

static void set_up(void)
{
    const struct api api = {.title = "Garden",
                            .version = "1",
                            .license = "MIT",
                            .description = "Plants.",
                            .base_path = "/garden",
                            .resources = resources};
    scratch_open();
    openapi_write(&scratch, &api);
    document = described_open(a, arena_copy(a, scratch.data, scratch.len));
    ck_assert_ptr_nonnull(document);
}

static const char *fault_of(const char *method, const char *path, int status, const char *headers,
                            const char *body)
{
    const struct seen seen = {method, path, status,
                              arena_printf(a, "X-Request-Id: 12345678\r\n%s", headers),
                              unquote(body)};
    return described_fault(document, a, &seen);
}

#define JSON_TYPE "Content-Type: application/json\r\n"
#define TAGGED JSON_TYPE "ETag: \"1\"\r\n"

/* ---- as any validator judges ---- */

/* A schema of the body, what is answered, and what is wrong with it; NULL: nothing. */
static const struct {
    const char *schema, *body, *wrong;
} judged[] = {
#define TWO                                                                                        \
    "[{'type':'object','required':['a'],'properties':{'a':{'type':'integer'}}},"                   \
    "{'type':'object','properties':{'b':{'type':'integer'}}}]"
    /* Members that are not described are allowed: what fits the first fits the second, too. */
    {"{'oneOf':" TWO "}", "{'a':1}", "more than one"},
    {"{'oneOf':" TWO "}", "{'b':1}", NULL},
    {"{'oneOf':" TWO "}", "{'a':'x','b':'y'}", "wrong type"},
    {"{'anyOf':" TWO "}", "{'a':1}", NULL},
    {"{'anyOf':" TWO "}", "{'b':1}", NULL},
    {"{'anyOf':" TWO "}", "{'b':'y'}", "wrong type"},
    {"{'anyOf':" TWO "}", "{'c':1}", "not described"}, /* our own rule */
    {"{'type':'object','properties':{'a':{'anyOf':" TWO "}}}", "{'a':{'a':1}}", NULL},
    {"{'type':'object','properties':{'a':{}},'additionalProperties':false}", "{'a':1}", NULL},
    {"{'type':'object','properties':{'a':{}},'additionalProperties':false}", "{'a':1,'b':2}",
     "may not have b"},
    {"{'type':'object','additionalProperties':{'type':'integer'}}", "{'b':'x'}", "wrong type"},
    {"{'type':'object','maxProperties':1}", "{'b':'x'}", "not known"},
};

CASE("described", set_up, scratch_close);

TEST_EACH(a_schema_means_what_json_schema_says, judged)
{
    const char *text = arena_printf(
        a,
        "{'paths':{'/x':{'get':{'responses':{'200':{'content':{'application/json':{'schema':%s"
        "}}}}}}}}",
        judged[_i].schema);
    const struct described *own = described_open(a, unquote(text));
    const struct seen seen = {"GET", "/x", 200, JSON_TYPE, unquote(judged[_i].body)};
    ck_assert_ptr_nonnull(own);

    const char *wrong = described_fault(own, a, &seen);

    if (judged[_i].wrong)
        ck_assert_msg(wrong && strstr(wrong, judged[_i].wrong), "%s", wrong ? wrong : "is good");
    else
        ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* ---- what is described ---- */

static const struct {
    const char *method, *path;
    int status;
    const char *headers, *body;
} good[] = {
    {"GET", "/plants", 200, JSON_TYPE, "{'data':[],'pagination':" PAGE "}"},
    {"GET", "/plants?page=1", 200, JSON_TYPE, "{'data':[" ITEM "],'pagination':" PAGE "}"},
    {"GET", "/plants", 200, JSON_TYPE, "{'data':[" ITEM "],'pagination':" BY_CURSOR "}"},
    {"GET", "/plants/", 200, "content-type: application/json; charset=utf-8\n",
     "{'data':[],'pagination':" PAGE "}"},
    {"HEAD", "/plants", 200, JSON_TYPE, ""},
    {"POST", "/plants", 201, JSON_TYPE "Location: /garden/plants/1\r\n", "{'plant':" PLANT "}"},
    {"GET", "/plants/" ID, 200, TAGGED, "{'plant':" PLANT "}"},
    {"GET", "/plants/" ID, 304, "ETag: \"1\"\r\n", ""},
    {"GET", "/plants/rare", 200, JSON_TYPE, PLANT},
    {"DELETE", "/plants/" ID, 204, "", ""},
    {"GET", "/plants/" ID, 404, JSON_TYPE,
     "{'error':'Plant not found','code':'plant_not_found'," WORDS "}"},
    {"GET", "/plants/" ID, 404, "Content-Type: application/problem+json\r\n",
     "{'type':'/docs#plant_not_found','title':'Plant not found','status':404,'detail':'M.',"
     "'code':'plant_not_found','request_id':'12345678'}"},
    {"POST", "/plants", 400, JSON_TYPE,
     "{'error':'Bad Request','code':'missing_fields'," WORDS ",'missing_fields':['name'],"
     "'details':[{'field':'name','code':'required','message':'Is required.'}]}"},
    {"GET", "/stones", 404, JSON_TYPE, "{'error':'Not Found','code':'not_found'," WORDS "}"},
    {"GET", "/stones", 404, "Content-Type: application/problem+json\r\n",
     "{'type':'/docs#not_found','title':'Not Found','status':404,'detail':'M.',"
     "'code':'not_found','request_id':'12345678'}"},
    {"PUT", "/plants", 405, JSON_TYPE, "{'error':'No','code':'method_not_allowed'," WORDS "}"},
    {"OPTIONS", "/plants", 204, "", ""},
};

TEST_EACH(a_reply_that_is_described_passes, good)
{
    const char *wrong =
        fault_of(good[_i].method, good[_i].path, good[_i].status, good[_i].headers, good[_i].body);

    ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* ---- what is not ---- */

#define SHOW(plant) "GET", "/plants/" ID, 200, TAGGED, "{'plant':" plant "}"

static const struct {
    const char *method, *path;
    int status;
    const char *headers, *body;
    const char *word; /* of the sentence */
} bad[] = {
    {"GET", "/plants", 202, JSON_TYPE, "{'data':[],'pagination':" PAGE "}", "status"},
    {"GET", "/plants", 200, JSON_TYPE, "{'data':[]}", "lacks \"pagination\""},
    {"GET", "/plants", 200, JSON_TYPE, "{'data':{},'pagination':" PAGE "}",
     "/data is of the wrong"},
    {"GET", "/plants", 200, JSON_TYPE, "{'data':[1],'pagination':" PAGE "}", "/data/0 is of the"},
    {"GET", "/plants", 200, JSON_TYPE, "{'data':[" PLANT "],'pagination':" PAGE "}",
     "/data/0 lacks \"etag\""},
    {"GET", "/plants/" ID, 200, TAGGED, "{'plant':" ITEM "}", "not described: etag"},
    {"GET", "/plants", 200, JSON_TYPE, "{'data':[],'pagination':{'limit':1}}", "/pagination lacks"},
    {"GET", "/plants", 200, "Content-Type: text/plain\r\n", "{}", "media type text/plain"},
    {"GET", "/plants", 200, "", "{}", "Content-Type"},
    {"GET", "/plants", 200, JSON_TYPE, "{", "no JSON"},
    {"POST", "/plants", 201, JSON_TYPE, "{'plant':" PLANT "}", "header Location"},
    {"GET", "/plants/" ID, 200, JSON_TYPE, "{'plant':" PLANT "}", "header ETag"},
    {"GET", "/plants/" ID, 304, "", "", "header ETag"},
    {"DELETE", "/plants/" ID, 204, "", "{}", "none is described"},
    {SHOW("{'id':'" ID "','name':'Fern','note':null,'height':3,'kind':'tree'}"),
     "lacks \"planted\""},
    {SHOW("{'id':'7','name':'F','note':null,'height':3,'kind':'tree','planted':'" TIME "'}"),
     "/plant/id is no uuid"},
    {SHOW("{'id':'" ID "','name':null,'note':null,'height':3,'kind':'tree','planted':'" TIME "'}"),
     "/plant/name is of the wrong type, null"},
    {SHOW("{'id':'" ID "','name':'F','note':7,'height':3,'kind':'tree','planted':'" TIME "'}"),
     "/plant/note is of the wrong type"},
    {SHOW("{'id':'" ID "','name':'F','note':'','height':3.5,'kind':'tree','planted':'" TIME "'}"),
     "/plant/height is of the wrong type"},
    {SHOW("{'id':'" ID "','name':'F','note':'','height':3,'kind':'moss','planted':'" TIME "'}"),
     "/plant/kind is none of those"},
    {SHOW("{'id':'" ID "','name':'F','note':'','height':3,'kind':'herb','planted':'soon'}"),
     "/plant/planted is no date-time"},
    {SHOW("{'id':'" ID "','name':'F','note':'','height':3,'kind':'herb','planted':'" TIME
          "','secret':1}"),
     "not described: secret"},
    {"GET", "/plants/" ID, 404, JSON_TYPE, "{'error':'No','code':'invalid'," WORDS "}",
     "/code is none of those"},
    {"GET", "/plants/" ID, 404, JSON_TYPE, "{'error':'No','code':'plant_not_found','message':'M.'}",
     "lacks \"request_id\""},
    {"GET", "/plants/" ID, 404, JSON_TYPE,
     "{'error':'No','code':'plant_not_found'," WORDS ",'cause':'SQL'}", "not described: cause"},
    {"DELETE", "/plants/" ID, 401, JSON_TYPE, "{'error':'No','code':'no_token'," WORDS "}",
     "header WWW-Authenticate"},
    {"GET", "/stones", 200, JSON_TYPE, "{}", "no operation"},
    {"GET", "/stones", 403, JSON_TYPE, "{'error':'No','code':'forbidden'," WORDS "}",
     "may not answer 403.forbidden"},
    {"GET", "/stones", 404, JSON_TYPE, "{'error':'Not Found','code':'not_found'}", "lacks"},
};

TEST_EACH(a_reply_that_is_not_described_is_refused, bad)
{
    const char *wrong =
        fault_of(bad[_i].method, bad[_i].path, bad[_i].status, bad[_i].headers, bad[_i].body);

    ck_assert_msg(wrong != NULL, "%s %s %s passed", bad[_i].method, bad[_i].path, bad[_i].body);
    ck_assert_msg(strstr(wrong, bad[_i].word) != NULL, "%s does not tell of %s", wrong,
                  bad[_i].word);
}

TEST(a_reply_without_its_request_id_is_refused)
{
    const struct seen seen = {"DELETE", "/plants/" ID, 204, "", ""};

    ck_assert_ptr_nonnull(described_fault(document, a, &seen));
}

TEST(a_document_that_is_no_json_is_none)
{
    ck_assert_ptr_null(described_open(a, "{"));
}

TEST(a_keyword_that_nobody_knows_is_a_fault)
{
    document = described_open(
        a, unquote("{'paths':{'/x':{'get':{'responses':{'200':{'content':{'application/json':"
                   "{'schema':{'type':'object','minProperties':1}}}}}}}}}"));
    const char *wrong = fault_of("GET", "/x", 200, JSON_TYPE, "{}");

    ck_assert_ptr_nonnull(wrong);
    ck_assert_ptr_nonnull(strstr(wrong, "minProperties"));
}

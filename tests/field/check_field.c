#include "common/field/field.h"

#include <stdlib.h>
#include <string.h>

#include "common/field/json.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

/* ---- a struct with a member of each type and of each use ---- */

struct thing {
    struct uuid id;
    struct text title;
    struct text nick;
    struct text mail;
    struct text blob;
    int64_t size;
    bool open;
    unsigned colour;
    struct instant due;
    struct uuid owner;
    struct text rank;
    struct text hidden;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct problem_type bad_mail = {400, "Invalid email format", "invalid_email",
                                             "The e-mail address is not one."};

static bool has_at(struct text t)
{
    return memchr(t.data, '@', t.len) != NULL;
}

static const struct format mail_format = {.valid = has_at,
                                          .code = FAULT_FORMAT,
                                          .message = "Must be an e-mail address.",
                                          .problem = &bad_mail};

static bool is_not_admin(struct text t)
{
    return !text_equal(t, TEXT("admin"));
}

static const struct format nick_format = {
    .valid = is_not_admin, .code = FAULT_COMMON, .message = "Must be another."};

static const struct field thing_fields[] = {
    FIELD(struct thing, id, .use = FIELD_SHOWN),
    FIELD(struct thing, title, .use = FIELD_SHOWN | FIELD_REQUIRED | FIELD_NOT_EMPTY | FIELD_CHANGE,
          .min = 2, .max = 5),
    FIELD(struct thing, nick, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE | FIELD_NULLABLE,
          .min = 1, .max = 10, .format = &nick_format),
    FIELD(struct thing, mail, .use = FIELD_SHOWN | FIELD_REQUIRED | FIELD_ADMIN_CHANGE, .max = 20,
          .format = &mail_format),
    FIELD(struct thing, blob, .use = FIELD_CREATE | FIELD_CHANGE | FIELD_BYTES, .min = 1, .max = 4),
    FIELD(struct thing, size, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE, .min = -5,
          .max = 10, .default_value = "7"),
    FIELD(struct thing, open, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE,
          .default_value = "true"),
    FIELD(struct thing, colour, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE,
          .choices = colours, .default_value = "blue"),
    FIELD(struct thing, due, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE),
    FIELD(struct thing, owner, .use = FIELD_SHOWN | FIELD_CREATE | FIELD_CHANGE),
    FIELD(struct thing, rank, .use = FIELD_SHOWN | FIELD_ADMIN_CHANGE, .max = 3),
    FIELD(struct thing, hidden, .max = 3),
};

static const struct record thing_record = RECORD("Thing", struct thing, thing_fields, 0);

static bool is_title_the_nick(const void *row)
{
    const struct thing *thing = row;
    return thing->title.data && text_equal(thing->title, thing->nick);
}

static const struct rule different = {.field = "nick",
                                      .broken = is_title_the_nick,
                                      .code = FAULT_COMMON,
                                      .message = "Must differ from the title."};

static const struct record ruled_record =
    RECORD("Thing", struct thing, thing_fields, .rule = &different);

#define AT(member) FIELD_AT(&thing_record, struct thing, member)
#define UUID_TEXT "01890a5d-ac96-774b-bcce-b302099a8057"

static struct thing thing;
static field_set given;

static void set_up(void)
{
    scratch_open();
    memset(&thing, 0, sizeof thing);
    given = 42;
}

static const struct json *parsed(const char *text)
{
    const struct json *object;
    must(json_parse(a, unquote(text), strlen(text), &object));
    return object;
}

static struct problem *read_json(const struct record *r, enum record_mode mode, bool admin,
                                 const char *text)
{
    return record_from_json(a, r, parsed(text), mode, admin, NULL, &thing, &given);
}

static struct problem *create(const char *text)
{
    return read_json(&thing_record, RECORD_CREATE, false, text);
}

static struct problem *change(const char *text)
{
    return read_json(&thing_record, RECORD_CHANGE, false, text);
}

static struct problem *ask(const char *query)
{
    return record_from_query(a, &thing_record, query, &thing, &given);
}

static void assert_fine(const struct problem *p)
{
    if (p)
        ck_abort_msg("%s: %s: %s", p->message, p->fault_count ? p->faults[0].field : "",
                     p->fault_count ? p->faults[0].message : "");
}

/* All faults as `field:word`, in order. */
static const char *faults_of(const struct problem *p)
{
    const char *list = "";
    for (size_t i = 0; p && i < p->fault_count; i++)
        list = arena_printf(a, "%s%s%s:%s", list, i ? " " : "", p->faults[i].field,
                            fault_word(p->faults[i].code));
    return list;
}

/* ---- the table ---- */

CASE("field", set_up, scratch_close);

TEST(types_follow_from_the_members)
{
    static const struct {
        const char *name;
        enum field_type type;
    } expected[] = {{"id", FIELD_UUID},      {"title", FIELD_TEXT}, {"size", FIELD_INTEGER},
                    {"open", FIELD_BOOLEAN}, {"due", FIELD_TIME},   {"colour", FIELD_ENUM}};
    for (int i = 0; i < COUNT(expected); i++) {
        const struct field *f = record_find(&thing_record, expected[i].name);
        ck_assert_ptr_nonnull(f);
        ck_assert_int_eq(f->type, expected[i].type);
    }
    ck_assert_uint_eq(thing_record.size, sizeof(struct thing));
    ck_assert_uint_eq(thing_record.count, 12);
}

TEST(fields_are_found_by_their_whole_name_only)
{
    ck_assert_ptr_eq(record_find(&thing_record, "title"), &thing_fields[1]);
    ck_assert_ptr_null(record_find(&thing_record, "titl"));
    ck_assert_ptr_null(record_find(&thing_record, "titles"));
    ck_assert_ptr_null(record_find(&thing_record, "TITLE"));
    ck_assert_ptr_null(record_find(&thing_record, ""));
}

TEST(a_field_is_one_bit_of_a_set)
{
    ck_assert_uint_eq(AT(id), 1);
    ck_assert_uint_eq(AT(title), 2);
    ck_assert_uint_eq(AT(hidden), 1 << 11);
}

/* ---- from JSON: what is taken ---- */

#define NEEDED "'title':'abc','mail':'a@b'"

TEST(every_type_is_read)
{
    assert_fine(create("{" NEEDED ",'size':-5,'open':false,'colour':'green',"
                       "'due':'2026-01-02T03:04:05+01:00','owner':'" UUID_TEXT "'}"));

    struct uuid id;
    ck_assert(uuid_parse(UUID_TEXT, 36, &id));
    ck_assert_str_eq(thing.title.data, "abc");
    ck_assert_uint_eq(thing.title.len, 3);
    ck_assert_str_eq(thing.mail.data, "a@b");
    ck_assert_int_eq(thing.size, -5);
    ck_assert(!thing.open);
    ck_assert_uint_eq(thing.colour, 1);
    ck_assert_int_eq(thing.due.us, INT64_C(1767319445000000));
    ck_assert(uuid_equal(&thing.owner, &id));
    ck_assert_uint_eq(given, AT(title) | AT(mail) | AT(size) | AT(open) | AT(colour) | AT(due) |
                                 AT(owner));
}

TEST(unknown_members_are_ignored)
{
    assert_fine(create("{" NEEDED ",'stranger':[{}],'Title':1}"));

    ck_assert_uint_eq(given, AT(title) | AT(mail));
}

TEST(defaults_fill_what_is_absent_at_creation)
{
    assert_fine(create("{" NEEDED "}"));

    ck_assert_int_eq(thing.size, 7);
    ck_assert(thing.open);
    ck_assert_uint_eq(thing.colour, 2);
    ck_assert_uint_eq(given, AT(title) | AT(mail));
}

TEST(what_is_given_is_not_overwritten_by_a_default)
{
    assert_fine(create("{" NEEDED ",'size':0,'open':false,'colour':'red'}"));

    ck_assert_int_eq(thing.size, 0);
    ck_assert(!thing.open);
    ck_assert_uint_eq(thing.colour, 0);
}

TEST(a_change_has_no_defaults_and_needs_nothing)
{
    assert_fine(change("{}"));

    ck_assert_int_eq(thing.size, 0);
    ck_assert(!thing.open);
    ck_assert_uint_eq(given, 0);
}

TEST(a_change_takes_what_may_change)
{
    assert_fine(change("{'title':'new','size':3}"));

    ck_assert_str_eq(thing.title.data, "new");
    ck_assert_int_eq(thing.size, 3);
    ck_assert_uint_eq(given, AT(title) | AT(size));
}

TEST(fields_that_the_mode_does_not_let_in_are_ignored_whatever_they_hold)
{
    assert_fine(create("{" NEEDED ",'id':5,'rank':[],'hidden':'far too long'}"));
    ck_assert_uint_eq(given, AT(title) | AT(mail));
    ck_assert_ptr_null(thing.hidden.data);

    assert_fine(change("{'id':5,'hidden':7,'mail':{},'rank':'far too long'}"));
    ck_assert_uint_eq(given, 0);
}

TEST(an_admin_may_change_more)
{
    const char *text = "{'rank':'top','mail':'c@d','size':1,'id':3,'hidden':'h'}";

    assert_fine(read_json(&thing_record, RECORD_CHANGE, true, text));

    ck_assert_str_eq(thing.rank.data, "top");
    ck_assert_str_eq(thing.mail.data, "c@d");
    ck_assert_uint_eq(given, AT(rank) | AT(mail) | AT(size));
}

static const struct field own_fields[] = {
    FIELD(struct thing, title, .use = FIELD_ADMIN_CHANGE | FIELD_NOT_OWN, .max = 3),
    FIELD(struct thing, rank, .use = FIELD_ADMIN_CHANGE, .max = 3)};
static const struct record own_record = RECORD("Own", struct thing, own_fields, .rule = NULL);

static const struct {
    enum rank rank;
    int given;
    const char *faults;
} ranks[] = {{RANK_USER, 0, ""}, {RANK_ADMIN, 3, "title:too_long"}, {RANK_ADMIN_OWN, 2, ""}};

/* Whatever it holds, it is not looked at. */
TEST_EACH(an_admin_may_change_of_others_what_they_may_not_of_their_own, ranks)
{
    const struct json *good = parsed("{'title':'abc','rank':'top'}"),
                      *bad = parsed("{'title':'abcd','rank':'top'}");

    assert_fine(record_from_json(a, &own_record, good, RECORD_CHANGE, ranks[_i].rank, NULL, &thing,
                                 &given));
    ck_assert_int_eq((int)given, ranks[_i].given);
    struct problem *p =
        record_from_json(a, &own_record, bad, RECORD_CHANGE, ranks[_i].rank, NULL, &thing, &given);
    ck_assert_str_eq(p ? faults_of(p) : "", ranks[_i].faults);
}

struct entry {
    struct text key, name;
    bool guest;
};

static const struct field entry_fields[] = {
    FIELD(struct entry, key, .use = FIELD_SHOWN | FIELD_PRIVATE | FIELD_REQUIRED, .max = 9,
          .unless = "guest"),
    FIELD(struct entry, name, .use = FIELD_SHOWN | FIELD_REQUIRED, .max = 9),
    FIELD(struct entry, guest, .use = FIELD_CREATE),
};
static const struct record entry_record = RECORD("Entry", struct entry, entry_fields, .rule = NULL);
static const struct record public_record =
    RECORD("Entry", struct entry, entry_fields, .hidden = FIELD_PRIVATE);

static const struct {
    const char *text, *faults;
} entries[] = {
    {"{'key':'k','name':'n'}", ""},
    {"{'name':'n','guest':true}", ""},
    {"{'key':'k','name':'n','guest':true}", ""},
    {"{'name':'n'}", "key:required"},
    {"{'name':'n','guest':false}", "key:required"},
    {"{'name':'n','guest':1}", "key:required guest:type"},
    {"{'guest':true}", "name:required"},
    {"{'key':null,'name':'n','guest':true}", "key:type"},
};

TEST_EACH(a_boolean_may_stand_in_for_what_is_required, entries)
{
    struct entry entry = {{NULL, 0}, {NULL, 0}, false};

    struct problem *p = record_from_json(a, &entry_record, parsed(entries[_i].text), RECORD_CREATE,
                                         RANK_USER, NULL, &entry, &given);

    ck_assert_str_eq(p ? faults_of(p) : "", entries[_i].faults);
}

TEST(what_is_private_is_left_out_where_it_is_hidden)
{
    const struct entry entry = {TEXT("k"), TEXT("n"), false};

    record_to_json(&scratch, &public_record, &entry);

    ck_holds("{\"name\":\"n\"}");
}

TEST(and_written_where_it_is_not)
{
    const struct entry entry = {TEXT("k"), TEXT("n"), false};

    record_to_json(&scratch, &entry_record, &entry);

    ck_holds("{\"key\":\"k\",\"name\":\"n\"}");
}

TEST(a_setting_may_say_how_long_a_text_must_be)
{
    static int64_t least = 2;
    static const struct field fields[] = {
        FIELD(struct thing, title, .use = FIELD_CREATE, .min_at = &least, .max = 9)};
    static const struct record settable = RECORD("Settable", struct thing, fields, .rule = NULL);

    ck_assert_ptr_null(read_json(&settable, RECORD_CREATE, false, "{\"title\":\"ab\"}"));

    least = 3;
    ck_assert_int_eq(field_min(&fields[0]), 3);
    struct problem *p = read_json(&settable, RECORD_CREATE, false, "{\"title\":\"ab\"}");
    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(p->faults[0].message, "Must have at least 3 characters.");
}

TEST(an_admins_fields_are_held_to_their_rules)
{
    struct problem *p = read_json(&thing_record, RECORD_CHANGE, true, "{'rank':'long'}");

    ck_assert_str_eq(faults_of(p), "rank:too_long");
}

TEST(an_admin_creates_as_everybody)
{
    assert_fine(read_json(&thing_record, RECORD_CREATE, true, "{" NEEDED ",'rank':'top'}"));

    ck_assert_ptr_null(thing.rank.data);
}

TEST(texts_borrow_from_the_document)
{
    const struct json *object = parsed("{'title':'abc'}");

    assert_fine(
        record_from_json(a, &thing_record, object, RECORD_CHANGE, false, NULL, &thing, &given));

    ck_assert_ptr_eq(thing.title.data, json_as_text(json_get(object, "title")).data);
}

TEST(null_clears_what_is_nullable)
{
    assert_fine(change("{'nick':null}"));
    ck_assert_ptr_null(thing.nick.data);
    ck_assert_uint_eq(given, AT(nick));

    assert_fine(create("{" NEEDED ",'nick':null}"));
    ck_assert_ptr_null(thing.nick.data);
}

/* ---- from JSON: what is wrong ---- */

static const struct {
    const char *member; /* of a change */
    const char *faults, *message;
} single_faults[] = {
    {"'title':null", "title:type", "Must be a string."},
    {"'title':5", "title:type", "Must be a string."},
    {"'title':['abc']", "title:type", "Must be a string."},
    {"'title':''", "title:too_short", "Must have at least 2 characters."},
    {"'title':'a'", "title:too_short", "Must have at least 2 characters."},
    {"'title':'\xC3\xA9'", "title:too_short", "Must have at least 2 characters."},
    {"'title':'\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9'", "", ""},
    {"'title':'abcdef'", "title:too_long", "Must have at most 5 characters."},
    {"'nick':''", "nick:too_short", "Must have at least 1 characters."},
    {"'nick':'admin'", "nick:common", "Must be another."},
    {"'nick':true", "nick:type", "Must be a string."},
    {"'blob':'\xC3\xA9\xC3\xA9'", "", ""},
    {"'blob':'\xC3\xA9\xC3\xA9x'", "blob:too_long", "Must have at most 4 bytes."},
    {"'blob':''", "blob:too_short", "Must have at least 1 bytes."},
    {"'blob':null", "blob:type", "Must be a string."},
    {"'size':'5'", "size:type", "Must be a whole number."},
    {"'size':1.5", "size:type", "Must be a whole number."},
    {"'size':null", "size:type", "Must be a whole number."},
    {"'size':1e99", "size:type", "Must be a whole number."},
    {"'size':-6", "size:range", "Must be from -5 to 10."},
    {"'size':11", "size:range", "Must be from -5 to 10."},
    {"'size':1e1", "", ""},
    {"'open':'true'", "open:type", "Must be a boolean."},
    {"'open':1", "open:type", "Must be a boolean."},
    {"'open':null", "open:type", "Must be a boolean."},
    {"'colour':'pink'", "colour:range", "Must be one of: red, green, blue."},
    {"'colour':'Red'", "colour:range", "Must be one of: red, green, blue."},
    {"'colour':''", "colour:range", "Must be one of: red, green, blue."},
    {"'colour':0", "colour:type", "Must be a string."},
    {"'due':'tomorrow'", "due:format", "Must be a date and time as RFC 3339 writes it."},
    {"'due':0", "due:type", "Must be a string."},
    {"'owner':'me'", "owner:format", "Must be a UUID."},
    {"'owner':'01890a5dac96774bbccEb302099a8057'", "owner:format", "Must be a UUID."},
    {"'owner':{}", "owner:type", "Must be a string."},
};

TEST_EACH(a_wrong_value_is_told_by_a_word_and_a_sentence, single_faults)
{
    struct problem *p = change(arena_printf(a, "{%s}", single_faults[_i].member));

    ck_assert_str_eq(faults_of(p), single_faults[_i].faults);
    if (!p)
        return;
    ck_assert_ptr_eq(p->type, &problem_invalid);
    ck_assert_str_eq(p->message, problem_invalid.message);
    ck_assert_uint_eq(p->fault_count, 1);
    ck_assert_str_eq(p->faults[0].message, single_faults[_i].message);
    ck_assert_uint_eq(given, 42); /* untouched on failure */
}

TEST(all_faults_are_told_at_once_in_the_order_of_the_table)
{
    struct problem *p = change("{'owner':1,'due':'','colour':5,'open':0,'size':99,'blob':'12345',"
                               "'nick':[],'title':'x'}");

    ck_assert_str_eq(faults_of(p), "title:too_short nick:type blob:too_long size:range open:type "
                                   "colour:type due:format owner:type");
}

static const struct {
    const char *object, *faults;
} incomplete[] = {
    {"{}", "title:required mail:required"},
    {"{'mail':'a@b'}", "title:required"},
    {"{'title':'abc'}", "mail:required"},
    /* null and empty count as missing where the field has to be filled, and only there */
    {"{'title':null,'mail':'a@b'}", "title:required"},
    {"{'title':'','mail':'a@b'}", "title:required"},
    {"{'size':99,'nick':'admin'}", "title:required nick:common mail:required size:range"},
    {"{'mail':'nobody'}", "title:required mail:format"},
    {"{'title':7}", "title:type mail:required"},
};

TEST_EACH(a_missing_field_is_told_with_all_other_faults, incomplete)
{
    struct problem *p = create(incomplete[_i].object);

    ck_assert_str_eq(faults_of(p), incomplete[_i].faults);
    ck_assert_ptr_eq(p->type, &problem_missing_fields);
    ck_assert_str_eq(p->message, problem_missing_fields.message);
    ck_assert_uint_eq(given, 42);
}

TEST(null_is_no_value_for_a_required_field)
{
    struct problem *p = create("{'title':'abc','mail':null}");

    ck_assert_str_eq(faults_of(p), "mail:type");
    ck_assert_ptr_eq(p->type, &problem_invalid);
}

static const struct problem_type lacking = {400, "Missing credentials", "missing_fields", "No."};

static struct problem *create_or(const struct problem_type *missing, const char *text)
{
    return record_from_json(a, &thing_record, parsed(text), RECORD_CREATE, false, missing, &thing,
                            &given);
}

TEST(the_caller_may_have_another_word_for_missing_fields)
{
    struct problem *p = create_or(&lacking, "{'size':99}");

    ck_assert_ptr_eq(p->type, &lacking);
    ck_assert_str_eq(p->message, "No.");
    ck_assert_str_eq(faults_of(p), "title:required mail:required size:range");
}

TEST(the_other_word_is_not_used_when_nothing_is_missing)
{
    struct problem *p = create_or(&lacking, "{" NEEDED ",'size':99}");

    ck_assert_ptr_eq(p->type, &problem_invalid);
}

TEST(a_format_may_have_an_answer_of_its_own)
{
    struct problem *p = create("{'title':'abc','mail':'nobody'}");

    ck_assert_ptr_eq(p->type, &bad_mail);
    ck_assert_str_eq(p->message, bad_mail.message);
    ck_assert_str_eq(faults_of(p), "mail:format");
    ck_assert_str_eq(p->faults[0].message, "Must be an e-mail address.");
}

TEST(the_answer_of_a_format_comes_before_the_general_one)
{
    ck_assert_ptr_eq(create("{'title':'x','mail':'nobody'}")->type, &bad_mail);
    ck_assert_ptr_eq(create("{'title':'abc','mail':'nobody','size':99}")->type, &bad_mail);
}

TEST(a_value_of_the_wrong_type_is_not_a_matter_of_its_format)
{
    struct problem *p = create("{'title':'abc','mail':5}");

    ck_assert_ptr_eq(p->type, &problem_invalid);
    ck_assert_str_eq(faults_of(p), "mail:type");
}

TEST(a_rule_between_fields_is_looked_at)
{
    const char *same = "{'title':'abc','nick':'abc','mail':'a@b'}";
    const char *other = "{'title':'abc','nick':'abd','mail':'a@b'}";

    struct problem *p = read_json(&ruled_record, RECORD_CREATE, false, same);
    ck_assert_ptr_eq(p->type, &problem_invalid);
    ck_assert_str_eq(faults_of(p), "nick:common");
    ck_assert_str_eq(p->faults[0].message, "Must differ from the title.");

    memset(&thing, 0, sizeof thing);
    assert_fine(read_json(&ruled_record, RECORD_CREATE, false, other));
}

TEST(a_rule_between_fields_is_told_with_all_other_faults)
{
    struct problem *p =
        read_json(&ruled_record, RECORD_CREATE, false, "{'title':'abc','nick':'abc','size':99}");

    ck_assert_str_eq(faults_of(p), "mail:required size:range nick:common");
    ck_assert_ptr_eq(p->type, &problem_missing_fields);
}

/* ---- from a query string ---- */

static const struct {
    const char *query, *title; /* NULL: not given */
} decoded[] = {
    {"", NULL},
    {"&", NULL},
    {"&&&", NULL},
    {"title=abc", "abc"},
    {"&title=abc&", "abc"},
    {"x=1&title=abc&y=2", "abc"},
    {"title=a+b", "a b"},
    {"title=a%2Bb", "a+b"},
    {"title=%61%62c", "abc"},
    {"title=%C3%A9%c3%a9", "\xC3\xA9\xC3\xA9"},
    {"t%69tle=abc", "abc"},
    {"title=a%26b", "a&b"},
    {"title=a%3Db", "a=b"},
    {"title=a=b", "a=b"},
    {"title===", "=="},
    {"title=%25%32%35", "%25"}, /* decoded once, not twice */
    /* a `%` that no two digits follow stays: URL standard, percent-decode */
    {"title=100%", "100%"},
    {"title=a%4", "a%4"},
    {"title=a%zz", "a%zz"},
    {"title=a%%41", "a%A"},
    {"title=%4g1", "%4g1"},
    /* the first of two counts */
    {"title=abc&title=xyz", "abc"},
    {"title=abc&title=far+too+long", "abc"},
    {"title=abc&t%69tle=xyz", "abc"},
    /* others are others */
    {"Title=abc", NULL},
    {"titles=abc", NULL},
    {"title%00=abc", NULL},
    {"=abc", NULL},
    {"abc", NULL},
};

TEST_EACH(a_query_is_decoded_as_the_url_standard_does, decoded)
{
    char *exact = strdup(decoded[_i].query); /* a sanitizer sees a look past the end */

    struct problem *p = ask(exact);

    free(exact);
    assert_fine(p);
    ck_assert_pstr_eq(thing.title.data, decoded[_i].title);
}

TEST(a_query_sets_values_of_all_types)
{
    assert_fine(ask("size=-5&open=false&colour=green&due=2026-01-02T03:04:05Z&"
                    "owner=01890A5D-AC96-774B-BCCE-B302099A8057&nick=Zo%C3%AB"));

    struct uuid id;
    ck_assert(uuid_parse(UUID_TEXT, 36, &id));
    ck_assert_int_eq(thing.size, -5);
    ck_assert(!thing.open);
    ck_assert_uint_eq(thing.colour, 1);
    ck_assert_int_eq(thing.due.us, INT64_C(1767323045000000));
    ck_assert(uuid_equal(&thing.owner, &id));
    ck_assert_str_eq(thing.nick.data, "Zo\xC3\xAB");
    ck_assert_uint_eq(given, AT(size) | AT(open) | AT(colour) | AT(due) | AT(owner) | AT(nick));
}

TEST(a_query_has_defaults_and_needs_nothing)
{
    assert_fine(ask("size=0&stranger=1"));

    ck_assert_int_eq(thing.size, 0);
    ck_assert(thing.open);
    ck_assert_uint_eq(thing.colour, 2);
    ck_assert_uint_eq(given, AT(size));
}

static const struct {
    const char *query, *faults;
} bad_queries[] = {
    {"title=a", "title:too_short"},
    {"title=", "title:too_short"},
    {"title", "title:too_short"},
    {"title=abcdef", "title:too_long"},
    {"title=a%00b", "title:format"},
    {"title=a%FFb", "title:format"},
    {"title=a%C3", "title:format"},
    {"mail=nobody", "mail:format"},
    {"size=", "size:type"},
    {"size", "size:type"},
    {"size=-", "size:type"},
    {"size=--1", "size:type"},
    {"size=+5", "size:type"},
    {"size=%2B5", "size:type"},
    {"size=5x", "size:type"},
    {"size=0x5", "size:type"},
    {"size=1.0", "size:type"},
    {"size=%205", "size:type"},
    {"size=5%00", "size:type"},
    {"size=11", "size:range"},
    {"size=-6", "size:range"},
    {"size=99999999999999999999", "size:range"},
    {"size=-99999999999999999999", "size:range"},
    {"open=", "open:type"},
    {"open=1", "open:type"},
    {"open=TRUE", "open:type"},
    {"open=true%00", "open:type"},
    {"colour=pink", "colour:range"},
    {"colour=red%00", "colour:range"},
    {"owner=me", "owner:format"},
    {"owner=" UUID_TEXT "x", "owner:format"},
    {"owner=" UUID_TEXT "%00", "owner:format"},
    {"due=now", "due:format"},
    {"due=2026-01-02T03:04:05Z%00junk", "due:format"},
    {"due=2026-01-02T03:04:05+01:00", "due:format"}, /* its plus is a space */
    {"owner=me&size=x&title=a", "owner:format size:type title:too_short"},
    {"size=x&size=5", "size:type"}, /* the first counts, also when it is wrong */
};

TEST_EACH(faults_of_a_query_are_told_all_at_once, bad_queries)
{
    struct problem *p = ask(bad_queries[_i].query);

    ck_assert_str_eq(faults_of(p), bad_queries[_i].faults);
    ck_assert_int_eq(p->type->status, 400);
    ck_assert_uint_eq(given, 42);
}

static const struct field either_fields[] = {
    FIELD(struct thing, size, .min = 1, .max = 10, .default_value = "7", .replaced_by = "title"),
    FIELD(struct thing, title, .min = 3),
    FIELD(struct thing, open, .doc = "Whether it is."),
};
static const struct record either_record = RECORD("Either", struct thing, either_fields, 0);

static const struct {
    const char *query, *faults;
    int64_t size;
} either[] = {
    {"size=5", "", 5},
    {"size=5&open=true", "", 5},
    {"size=5&title=abc", "", 7},
    {"size=99&title=abc", "", 7},
    {"title=abc&size=&size=x", "", 7},
    {"size=99&t%69tle=abc", "", 7},
    {"size=99", "size:range", 0},
    {"size=99&titles=abc", "size:range", 0},
    {"size=99&open=x&title=", "open:type title:too_short", 0},
};

TEST_EACH(a_field_may_be_ignored_beside_another, either)
{
    struct problem *p = record_from_query(a, &either_record, either[_i].query, &thing, &given);

    ck_assert_str_eq(faults_of(p), either[_i].faults);
    if (p)
        return;
    ck_assert_int_eq(thing.size, either[_i].size);
    ck_assert_int_eq((given & 1) != 0, either[_i].size == 5);
}

/* ---- one field from text, and back ---- */

struct bounds {
    int64_t natural;
    struct text any;
};

static const struct field bounds_fields[] = {
    FIELD(struct bounds, natural, .use = FIELD_SHOWN),
    FIELD(struct bounds, any, .use = FIELD_SHOWN),
};

static const struct {
    const char *text;
    enum fault_code code;
    int64_t value;
    const char *message;
} naturals[] = {
    {"0", FAULT_NONE, 0, NULL},
    {"-0", FAULT_NONE, 0, NULL},
    {"007", FAULT_NONE, 7, NULL},
    {"9223372036854775807", FAULT_NONE, INT64_MAX, NULL},
    {"9223372036854775808", FAULT_RANGE, 0, "Is too large."},
    {"-1", FAULT_RANGE, 0, "Must be at least 0."},
    {"-9223372036854775809", FAULT_RANGE, 0, "Must be at least 0."},
    {"", FAULT_TYPE, 0, "Must be a whole number."},
};

TEST_EACH(an_integer_without_a_largest_value_goes_as_far_as_its_type, naturals)
{
    struct bounds row = {0};
    const char *message = NULL;

    enum fault_code code =
        field_from_text(a, &bounds_fields[0], text_of(naturals[_i].text), &row, &message);

    ck_assert_int_eq(code, naturals[_i].code);
    ck_assert_int_eq(row.natural, naturals[_i].value);
    if (code)
        ck_assert_str_eq(message, naturals[_i].message);
}

TEST(text_without_bounds_may_have_any_length)
{
    struct bounds row = {0};
    const char *message;
    char *text = arena_alloc(a, 100001);
    memset(text, 'x', 100000);

    ck_assert_int_eq(field_from_text(a, &bounds_fields[1], text_of(text), &row, &message), 0);
    ck_assert_ptr_eq(row.any.data, text); /* borrowed */
    ck_assert_int_eq(field_from_text(a, &bounds_fields[1], TEXT(""), &row, &message), 0);
    ck_assert_uint_eq(row.any.len, 0);
}

static const char *const round_trips[] = {
    "title=abc",
    "size=-3",
    "open=true",
    "open=false",
    "colour=red",
    "colour=blue",
    "due=2026-01-02T03:04:05.000006Z",
    ("id=" UUID_TEXT),
};

TEST_EACH(values_are_shown_as_they_are_read, round_trips)
{
    char *name = arena_strdup(a, round_trips[_i]), *value = strchr(name, '=') + 1;
    value[-1] = '\0';
    const struct field *f = record_find(&thing_record, name);
    const char *message;

    ck_assert_int_eq(field_from_text(a, f, text_of(value), &thing, &message), FAULT_NONE);

    ck_assert_str_eq(field_to_text(a, f, &thing), value);
}

TEST(null_is_shown_as_nothing)
{
    ck_assert_str_eq(field_to_text(a, &thing_fields[1], &thing), "");
}

/* ---- to JSON, and between structs ---- */

TEST(the_shown_fields_are_written_in_the_order_of_the_table)
{
    ck_assert(uuid_parse(UUID_TEXT, 36, &thing.id));
    thing.title = TEXT("a\"b");
    thing.mail = TEXT("a@b");
    thing.blob = TEXT("not shown");
    thing.hidden = TEXT("not shown");
    thing.size = -7;
    thing.open = true;
    thing.colour = 1;
    thing.due.us = 6;

    record_to_json(&scratch, &thing_record, &thing);

    ck_holds("{\"id\":\"" UUID_TEXT "\",\"title\":\"a\\\"b\",\"nick\":null,"
             "\"mail\":\"a@b\",\"size\":-7,\"open\":true,\"colour\":\"green\","
             "\"due\":\"1970-01-01T00:00:00.000006Z\","
             "\"owner\":\"00000000-0000-0000-0000-000000000000\",\"rank\":null}");
}

TEST(an_overlay_copies_the_given_members_and_no_others)
{
    struct thing from = {.title = TEXT("new"), .size = 1, .open = true, .colour = 2, .due = {3}};
    struct thing to = {.title = TEXT("old"),
                       .nick = TEXT("nick"),
                       .size = 9,
                       .colour = 1,
                       .due = {9},
                       .rank = TEXT("r")};
    memset(&from.owner, 0xAA, sizeof from.owner);

    record_overlay(&thing_record, AT(title) | AT(nick) | AT(open) | AT(owner) | AT(due), &from,
                   &to);

    ck_assert_str_eq(to.title.data, "new");
    ck_assert_ptr_null(to.nick.data);
    ck_assert(to.open);
    ck_assert(uuid_equal(&to.owner, &from.owner));
    ck_assert_int_eq(to.due.us, 3);
    ck_assert_int_eq(to.size, 9);
    ck_assert_uint_eq(to.colour, 1);
    ck_assert_str_eq(to.rank.data, "r");
}

TEST(an_overlay_of_nothing_changes_nothing)
{
    struct thing from = {.size = 1}, to = {.size = 9, .title = TEXT("old")}, before = to;

    record_overlay(&thing_record, 0, &from, &to);

    ck_assert_mem_eq(&to, &before, sizeof to);
}

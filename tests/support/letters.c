#include "tests/support/letters.h"

#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/secret.h"
#include "tests/support/people.h"

static const struct field row_fields[] = {
    FIELD(struct outbox_row, id, .doc = "Its id."),
    FIELD(struct outbox_row, kind, .doc = "What kind of message."),
    FIELD(struct outbox_row, address, .doc = "To whom."),
    FIELD(struct outbox_row, kid, .doc = "The key of its token."),
};
static const struct record row_record = RECORD("Letter", struct outbox_row, row_fields, .rule = 0);

static const struct sql sql_last = {"SELECT id, kind, address, kid FROM outbox WHERE kind = ? AND "
                                    "address = ? ORDER BY id DESC LIMIT 1",
                                    &row_record};
static const struct sql sql_after = {"SELECT id, kind, address, kid FROM outbox WHERE id > ? AND "
                                     "kind <> 'nobody' ORDER BY id",
                                     &row_record};

int64_t letters_to(const char *kind, const char *to)
{
    return rows_in(say("outbox WHERE kind <> 'nobody'%s%s",
                       kind ? say(" AND kind = '%s'", kind) : "",
                       to ? say(" AND address = '%s'", to) : ""));
}

const char *token_mailed(const char *kind, const char *to)
{
    struct outbox_row row = {0};
    bool found;
    must(db_find(the_app->db, the_arena, &sql_last,
                 DB_ARGS(db_text(text_of(kind)), db_text(text_of(to))), &row, &found));
    ck_assert_msg(found, "no message \"%s\" waits for %s", kind, to);
    const char *token = letter_secret(the_app, the_arena, &row.id, row.kid);
    ck_assert_ptr_nonnull(token);
    return token;
}

struct seen {
    struct uuid last;
    const char *list;
};

static void note(void *context, const void *row)
{
    const struct outbox_row *letter = row;
    struct seen *seen = context;
    seen->last = letter->id;
    seen->list = say("%s%s%s %s", seen->list, *seen->list ? ", " : "", letter->kind.data,
                     letter->address.data);
}

void ck_mailed(const char *messages)
{
    static struct uuid last;
    struct seen seen = {last, ""};
    must(db_each(the_app->db, the_arena, &sql_after, DB_ARGS(db_uuid(last)), note, &seen));
    last = seen.last;
    ck_assert_str_eq(seen.list, messages);
}

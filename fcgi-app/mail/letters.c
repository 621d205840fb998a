#include "fcgi-app/mail/letters.h"

#include "fcgi-app/settings.h"

const struct letter_row letters[LETTER_KINDS] = {
    [LETTER_NOBODY] = {"nobody"},
    [LETTER_RESET] = {"reset", LINK_RESET, .is_limited = true},
    [LETTER_INVITE] = {"invite", LINK_RESET},
    [LETTER_VERIFY] = {"verify", LINK_VERIFY, .is_limited = true},
    [LETTER_CHANGE] = {"change", LINK_VERIFY, .has_other = true, .is_limited = true},
    [LETTER_TAKEN] = {"taken", .is_limited = true},
    [LETTER_PASSWORD_CHANGED] = {"password_changed"},
    [LETTER_PASSWORD_RESET] = {"password_reset"},
    [LETTER_EMAIL_CHANGED] = {"email_changed", LINK_UNDO, .has_other = true},
    [LETTER_EMAIL_CHANGED_BY_ADMIN] = {"email_changed_by_admin", .has_other = true},
    [LETTER_UNDONE_RESET] = {"undone_reset", LINK_RESET},
    [LETTER_ACCOUNT_DELETED] = {"account_deleted"},
    [LETTER_TEST] = {"test"},
};

enum letter_kind letter_find(struct text name)
{
    for (int kind = 0; kind < LETTER_KINDS; kind++)
        if (text_equal(name, text_of(letters[kind].name)))
            return (enum letter_kind)kind;
    return LETTER_KINDS;
}

bool letter_has_token(enum letter_kind kind)
{
    return letters[kind].link != LINK_NONE;
}

struct text letter_url(const struct settings *settings, enum letter_kind kind)
{
    switch (letters[kind].link) {
    case LINK_VERIFY:
        return settings->verify_url;
    case LINK_UNDO:
        return settings->undo_url;
    case LINK_RESET:
        return settings->reset_url;
    case LINK_NONE:
        break;
    }
    return TEXT("");
}

const char *letter_url_name(enum letter_kind kind)
{
    static const char *const names[] = {NULL, "VERIFY_URL", "UNDO_URL", "RESET_URL"};
    return names[letters[kind].link];
}

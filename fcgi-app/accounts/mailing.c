#include "fcgi-app/accounts/mailing.h"

#include "common/base/problem.h"
#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/secret.h"

bool mailing_is_on(const struct app *app)
{
    return app->settings->mail_command.len > 0;
}

/* Counted also for nobody, so that how many there were tells nothing. */
static bool has_room(struct actor by, const struct mailing *mailing)
{
    return !by.rq || mailing->uncounted || !letters[mailing->letter].is_limited ||
           limits_take_mailbox(by.app, by.rq, mailing->to);
}

static struct problem *add_token(struct actor by, const struct mailing *mailing, struct uuid id,
                                 bool sent)
{
    const struct mailed_rule *rule = &mailed_rules[mailing->token];
    bool leads = sent && letter_has_token(mailing->letter);
    bool is_of_user = leads || rule->is_awaited;
    enum mailed_kind kind = is_of_user ? mailing->token : MAILED_NOBODY;
    unsigned char hash[32];
    struct problem *p = NULL;
    const struct mailed_token token = {.id = id,
                                       .kind = kind,
                                       .user_id = is_of_user ? mailing->user_id : id,
                                       .address = mailing->to,
                                       .sequence = mailing->sequence,
                                       .expires_at =
                                           instant_plus_s(by.now, mailed_rules[kind].ttl_s)};
    letter_hash(by.app, by.arena, &id, hash);
    if (!leads)
        hash[0] ^= 0xFF; /* of no text that anybody could have */
    if (rule->is_replaced)
        p = mailed_void_kind(by.app->db, by.arena, mailing->user_id, mailing->token);
    return p ? p : mailed_insert(by.app->db, by.arena, &token, hash);
}

struct problem *mailing_add(struct actor by, const struct mailing *mailing)
{
    if (!mailing_is_on(by.app))
        return NULL;
    bool sent = has_room(by, mailing) && !mailing->for_nobody;
    int64_t ttl_s =
        letter_has_token(mailing->letter) ? mailed_rules[mailing->token].ttl_s : NOTICE_TTL_S;
    const struct letter letter = {.id = uuid_make(by.now),
                                  .kind = sent ? mailing->letter : LETTER_NOBODY,
                                  .to = mailing->to,
                                  .other = mailing->other,
                                  .expires_at = instant_plus_s(by.now, ttl_s),
                                  .at = by.now};
    struct problem *p = NULL;
    if (mailing->token != MAILED_NOBODY)
        p = add_token(by, mailing, letter.id, sent);
    return p ? p : outbox_add(by.app, by.arena, &letter);
}

struct problem *mailing_judge_claim(struct actor by, struct mailing *mailing)
{
    struct user owner = {0};
    bool taken = false, kept = false;
    const struct text address = mailing->to;
    struct problem *p = user_find_by_email(by.app->db, by.arena, address, &owner, &taken);
    if (!p)
        p = mailed_keeps(by.app->db, by.arena, address, mailing->user_id, by.now, &kept);
    if (taken) {
        mailing->letter = LETTER_TAKEN;
        mailing->to = owner.email;
        mailing->other = (struct text){0};
    }
    mailing->for_nobody = kept && !taken;
    return p;
}

struct problem *mailing_notice(struct actor by, enum letter_kind letter, struct text to,
                               struct text other)
{
    return mailing_add(by, &(const struct mailing){.letter = letter, .to = to, .other = other});
}

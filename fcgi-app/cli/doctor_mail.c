/* Doctor's look at mail: would it be sent, what would it say, and what waits? */
#include "fcgi-app/cli/doctor.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/base/problem.h"
#include "fcgi-app/mail/outbox.h"
#include "fcgi-app/mail/texts.h"

#define LATE_US INT64_C(600000000) /* a message that waits for longer is worth a look */

/* ---- the settings ---- */

static void check_command(struct doctor *doctor)
{
    const struct settings *s = doctor->settings;
    const char *words = s->mail_command.data + strspn(s->mail_command.data, " \t");
    const char *program = arena_copy(doctor->arena, words, strcspn(words, " \t"));
    struct stat st;
    if (*program != '/')
        doctor_tell(doctor, VERDICT_FAIL, "MAIL_COMMAND",
                    "must begin with the program's whole path");
    else if (stat(program, &st) != 0 || !S_ISREG(st.st_mode) || access(program, X_OK) != 0)
        doctor_tell(doctor, VERDICT_FAIL, "MAIL_COMMAND",
                    "%s cannot be run; install it, or let this "
                    "user run it",
                    program);
    else
        doctor_ok(doctor, "MAIL_COMMAND can be run");
}

/* Each setting once, though several kinds have it. */
static void check_links(struct doctor *doctor)
{
    bool seen[LINK_RESET + 1] = {[LINK_NONE] = true};
    for (int kind = 0; kind < LETTER_KINDS; kind++) {
        if (!seen[letters[kind].link] && !letter_url(doctor->settings, kind).len)
            doctor_tell(doctor, VERDICT_WARN, letter_url_name(kind),
                        "is not set, so a message has a bare token and no link");
        seen[letters[kind].link] = true;
    }
}

static void check_sender(struct doctor *doctor)
{
    const char *from = doctor->settings->mail_from.data;
    if (from && strstr(from, "@localhost"))
        doctor_tell(doctor, VERDICT_WARN, "MAIL_FROM",
                    "is %s, which others refuse; set an address of a domain of yours", from);
}

/* The server refuses to start then. */
static void check_none_is_needed(struct doctor *doctor)
{
    if (doctor->settings->verify_email != VERIFY_EMAIL_OFF)
        doctor_tell(doctor, VERDICT_FAIL, "VERIFY_EMAIL",
                    "is not off, and nobody could verify an address; set MAIL_COMMAND too");
}

void doctor_mail_settings(struct doctor *doctor)
{
    struct mail_texts texts;
    struct problem *p = texts_load(doctor->arena, doctor->settings->mail_texts, &texts);
    if (p)
        doctor_tell(doctor, VERDICT_FAIL, "MAIL_TEXTS", "%s", p->cause + strlen("MAIL_TEXTS: "));
    if (!doctor->settings->mail_command.len) {
        check_none_is_needed(doctor);
        return;
    }
    check_command(doctor);
    check_sender(doctor);
    check_links(doctor);
}

/* ---- the outbox ---- */

static void check_waiting(struct doctor *doctor, const struct outbox_counts *counts)
{
    int64_t age_us = counts->waiting ? instant_now().us - counts->oldest.us : 0;
    if (age_us < LATE_US)
        doctor_ok(doctor, "%" PRId64 " messages wait to be sent", counts->waiting);
    else if (!doctor->settings->mail_command.len)
        doctor_tell(doctor, VERDICT_WARN, "mail",
                    "%" PRId64 " messages wait, and there is no MAIL_COMMAND any more",
                    counts->waiting);
    else
        doctor_tell(doctor, VERDICT_WARN, "mail",
                    "%" PRId64 " messages wait, the oldest for %" PRId64 " min; is the server "
                    "running? see `postern mail list` for what the last attempts said",
                    counts->waiting, age_us / 60000000);
}

void doctor_mail(struct doctor *doctor, struct db *db)
{
    struct outbox_counts counts;
    if (outbox_count(db, doctor->arena, &counts))
        return; /* reported already: there is no schema to ask */
    check_waiting(doctor, &counts);
    if (counts.failed || counts.given_up)
        doctor_tell(doctor, VERDICT_WARN, "mail",
                    "of the last week %" PRId64 " messages were refused and %" PRId64
                    " given up; see `postern mail list`, fix what it shows, and run `postern mail "
                    "retry all`",
                    counts.failed, counts.given_up);
}

/* Doctor's look at stored passwords: does a login verify them? */
#include "fcgi-app/cli/doctor.h"

#include <inttypes.h>

#include "common/crypto/password.h"
#include "common/base/problem.h"
#include "fcgi-app/accounts/hash_model.h"

struct tally {
    int64_t seen, dear;
};

static void count(void *context, const void *row)
{
    struct tally *t = context;
    const struct hash_form *form = row;
    t->seen += form->n;
    if (form->form.data && password_costs_too_much(form->form.data))
        t->dear += form->n;
}

void doctor_hashes(struct doctor *doctor, struct db *db)
{
    struct tally t = {0};
    struct problem *p = hash_forms(db, doctor->arena, count, &t);
    const char *which =
        t.seen < 2 * (int64_t)HASHES_OF_EACH_END ? "" : " (of the first and the last users by id)";
    if (p)
        doctor_tell(doctor, VERDICT_WARN, "stored passwords", "cannot be looked at: %s", p->cause);
    else if (t.dear)
        doctor_tell(doctor, VERDICT_WARN, "stored passwords",
                    "%" PRId64 " of %" PRId64 " looked at%s take more than a second to verify, so "
                    "no login takes them; have their owners reset them",
                    t.dear, t.seen, which);
    else
        doctor_ok(doctor,
                  "stored passwords: none of %" PRId64 " looked at%s takes too long to verify",
                  t.seen, which);
}

/* Doctor's look at who is counted: do clients come with addresses of their own? */
#include "fcgi-app/cli/doctor.h"

#include <inttypes.h>

#include "common/base/problem.h"
#include "common/http/address.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/limits.h"

#define LOGINS_LOOKED_AT 1000

struct tally {
    struct address_list proxies;
    int64_t seen, uncounted;
};

/* Does it say that no client was told of? With proxies that are trusted a private address is that
 * of a client, unless it is one of theirs. */
static bool is_of_a_proxy(const struct tally *t, const struct address *address)
{
    if (t->proxies.count)
        return address_list_has(&t->proxies, address);
    return address_is_local(address) || address_is_private(address);
}

static void count(void *context, const void *row)
{
    struct tally *t = context;
    const struct session *session = row;
    struct address address = {.kind = ADDRESS_UNIX}; /* which is kept as null */
    t->seen++;
    if (session->ip.data && !address_parse(session->ip, &address))
        return;
    t->uncounted += is_of_a_proxy(t, &address);
}

static void tell(struct doctor *doctor, const struct tally *t)
{
    if (2 * t->uncounted <= t->seen)
        doctor_ok(doctor, "limits by network: clients come with addresses of their own");
    else
        doctor_tell(
            doctor, VERDICT_WARN, "limits by network",
            "%" PRId64 " of the last %" PRId64 " logins came from a proxy, this machine or "
            "a private network, which are not limited; name the proxies in TRUSTED_PROXIES, "
            "here and for nginx/render, unless the clients are there themselves",
            t->uncounted, t->seen);
}

void doctor_limits(struct doctor *doctor, struct db *db)
{
    const struct settings *s = doctor->settings;
    struct tally t = {.seen = 0};
    if (s->env != ENV_PRODUCTION)
        return;
    if (!limits_all(s)) {
        doctor_tell(doctor, VERDICT_WARN, "LIMITS",
                    "%s is limited, which is for load tests; set LIMITS and LOGIN_LIMIT to on",
                    limits_guesses(s) ? "nothing but wrong passwords" : "nothing");
        return;
    }
    if (!address_list_parse(doctor->arena, s->trusted_proxies, &t.proxies) ||
        session_newest(db, doctor->arena, LOGINS_LOOKED_AT, count, &t))
        return; /* reported already */
    tell(doctor, &t);
}

#include "common/base/lease.h"

#include "common/base/instant.h"

#define LEASE_MAX_NS                                                                               \
    INT64_C(60000000000) /* longer ones are none: the memory may be from another boot */

static bool is_free(int64_t until, int64_t now)
{
    return until <= now || until > now + LEASE_MAX_NS;
}

static bool replace(struct lease *l, _Atomic int64_t *places, unsigned place, int64_t before,
                    int64_t until)
{
    if (!atomic_compare_exchange_strong(&places[place], &before, until))
        return false;
    *l = (struct lease){place, until};
    return true;
}

bool lease_take(struct lease *l, _Atomic int64_t *places, unsigned count, int64_t until)
{
    int64_t now = monotonic_ns();
    if (l->until && replace(l, places, l->place, l->until, until))
        return true;
    for (unsigned i = 0; i < count; i++) {
        int64_t seen = atomic_load(&places[i]);
        if (is_free(seen, now) && replace(l, places, i, seen, until))
            return true;
    }
    return false;
}

void lease_end(struct lease *l, _Atomic int64_t *places)
{
    if (l->until)
        (void)replace(l, places, l->place, l->until, 0);
    l->until = 0;
}

bool lease_is_free(const _Atomic int64_t *places, unsigned count)
{
    int64_t now = monotonic_ns();
    for (unsigned i = 0; i < count; i++)
        if (is_free(atomic_load(&places[i]), now))
            return true;
    return false;
}

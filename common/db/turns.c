#include "common/db/turns.h"

#include "common/base/instant.h"

#define NS_PER_MS INT64_C(1000000)
#define FIRST_MS 1       /* until the first of those who wait asks again */
#define LATER_MS 5       /* and the others */
#define GONE_MS 50       /* who has not asked for so long does not any more */
#define OTHERS_MS 1000   /* so long after another request there may be more */
#define NOTE_EVERY_MS 10 /* not with each request, for all would write to one cache line */

static unsigned limit_now(struct turns_shared *shared, struct turns_limit limit, int64_t now)
{
    int64_t age = now - atomic_load_explicit(&shared->others, memory_order_relaxed);
    unsigned count = age >= 0 && age < OTHERS_MS * NS_PER_MS ? limit.few : limit.many;
    count = count ? count : 1;
    return count < TURNS_MAX ? count : TURNS_MAX;
}

/* Does one wait that came before? The time when it said so may be of another boot. */
static bool is_overtaking(struct turns_shared *shared, int64_t came, int64_t now)
{
    int64_t first = atomic_load(&shared->first), age = now - atomic_load(&shared->told);
    return first && first < came && age >= 0 && age < GONE_MS * NS_PER_MS;
}

/* Two who do so at once may come in the wrong order, until they ask again. */
static void be_first(struct turns_shared *shared, int64_t came, int64_t now)
{
    atomic_store(&shared->first, came);
    atomic_store(&shared->told, now);
}

bool turns_take(struct lease *l, struct turns_shared *shared, struct turns_limit limit,
                int64_t came, int64_t until)
{
    int64_t now = monotonic_ns();
    if (!l->until && is_overtaking(shared, came, now))
        return false;
    if (!lease_take(l, shared->places, limit_now(shared, limit, now), until)) {
        be_first(shared, came, now);
        return false;
    }
    (void)atomic_compare_exchange_strong(&shared->first, &came, 0);
    return true;
}

unsigned turns_wait_ms(struct turns_shared *shared, struct turns_limit limit, int64_t came)
{
    int64_t now = monotonic_ns();
    if (is_overtaking(shared, came, now))
        return LATER_MS;
    be_first(shared, came, now);
    return lease_is_free(shared->places, limit_now(shared, limit, now)) ? 0 : FIRST_MS;
}

void turns_note_other(struct turns_shared *shared)
{
    int64_t now = monotonic_ns(),
            age = now - atomic_load_explicit(&shared->others, memory_order_relaxed);
    if (age < 0 || age >= NOTE_EVERY_MS * NS_PER_MS)
        atomic_store_explicit(&shared->others, now, memory_order_relaxed);
}

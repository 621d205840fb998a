#include "common/base/gate.h"

#include "common/base/instant.h"

#define NS_PER_MS INT64_C(1000000)
#define FIRST_MS 1       /* until the first of those who wait asks again */
#define LATER_MS 5       /* and the others */
#define GONE_MS 20       /* who has not asked for so long does not any more */
#define OTHERS_MS 1000   /* so long after another request there may be more */
#define NOTE_EVERY_MS 10 /* not with each request, for all would write to one cache line */

static unsigned limit_now(struct gate *gate, struct gate_limit limit, int64_t now)
{
    int64_t age = now - atomic_load_explicit(&gate->others, memory_order_relaxed);
    unsigned count = age >= 0 && age < OTHERS_MS * NS_PER_MS ? limit.few : limit.many;
    count = count ? count : 1;
    return count < GATE_PLACES_MAX ? count : GATE_PLACES_MAX;
}

/* Does one wait that came before? The time when it said so may be of another boot. */
static bool is_overtaking(struct gate *gate, int64_t came, int64_t now)
{
    int64_t first = atomic_load(&gate->first), age = now - atomic_load(&gate->told);
    return first && first < came && age >= 0 && age < GONE_MS * NS_PER_MS;
}

/* Two who do so at once may come in the wrong order, until they ask again. */
static void be_first(struct gate *gate, int64_t came, int64_t now)
{
    atomic_store(&gate->first, came);
    atomic_store(&gate->told, now);
}

bool gate_enter(struct lease *l, struct gate *gate, struct gate_limit limit, int64_t came,
                int64_t until)
{
    int64_t now = monotonic_ns();
    if (!l->until && is_overtaking(gate, came, now))
        return false;
    if (!lease_take(l, gate->places, limit_now(gate, limit, now), until)) {
        be_first(gate, came, now);
        return false;
    }
    (void)atomic_compare_exchange_strong(&gate->first, &came, 0);
    return true;
}

unsigned gate_wait_ms(struct gate *gate, struct gate_limit limit, int64_t came)
{
    int64_t now = monotonic_ns();
    if (is_overtaking(gate, came, now))
        return LATER_MS;
    be_first(gate, came, now);
    return lease_is_free(gate->places, limit_now(gate, limit, now)) ? 0 : FIRST_MS;
}

void gate_note_other(struct gate *gate)
{
    int64_t now = monotonic_ns(),
            age = now - atomic_load_explicit(&gate->others, memory_order_relaxed);
    if (age < 0 || age >= NOTE_EVERY_MS * NS_PER_MS)
        atomic_store_explicit(&gate->others, now, memory_order_relaxed);
}

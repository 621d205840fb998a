#include "common/process/limiter.h"

#include <string.h>

#include "common/crypto/digest.h"

#define TIME_BITS 42 /* ms, 139 years; the bits above tell keys of a set apart */
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define LATE_MS                                                                                    \
    (10 * 60 * 1000) /* longer than any request takes between reading the time and counting */
#define WEEK_MS INT64_C(604800000)

/* A lock in the library would be one for each process. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics take a lock");
_Static_assert((LIMITER_SETS & (LIMITER_SETS - 1)) == 0, "the number of sets is a power of two");

/* What there is of a key just now. */
struct finding {
    size_t way;    /* where it is, or would go */
    uint64_t word; /* what is there */
    int64_t fill;  /* ms until that has leaked out, 0 when it is another key's */
    int64_t all;   /* the same, with all words that are the key's */
};

static uint64_t tag_of(uint64_t key)
{
    return key & ~TIME_MASK;
}

static int64_t time_of(uint64_t word)
{
    return (int64_t)(word & TIME_MASK);
}

/* ---- time ---- */

/* After a restart of the machine our time goes on where it was. One word, for others may set it
 * just now. */
static void begin_time(struct limiter *l, uint64_t boot)
{
    uint64_t origin = atomic_load(&l->origin), next;
    do {
        if (tag_of(origin) == tag_of(boot))
            return;
        next = tag_of(boot) | (atomic_load(&l->latest) & TIME_MASK);
    } while (!atomic_compare_exchange_strong(&l->origin, &origin, next));
}

static int64_t our_time(const struct limiter *l, int64_t uptime_ms)
{
    return time_of(atomic_load(&l->origin)) + uptime_ms;
}

static void note_time(struct limiter *l, int64_t now_ms)
{
    uint64_t latest = atomic_load(&l->latest);
    while (latest < (uint64_t)now_ms &&
           !atomic_compare_exchange_strong(&l->latest, &latest, (uint64_t)now_ms))
        continue;
}

/* ---- counters ---- */

void limiter_begin(struct limiter *l, uint64_t boot)
{
    begin_time(l, boot);
    for (size_t i = 0; i < sizeof l->secret / sizeof *l->secret; i++) {
        uint64_t none = 0, chosen = 0;
        while (chosen == 0)
            random_bytes(&chosen, sizeof chosen);
        atomic_compare_exchange_strong(&l->secret[i], &none, chosen);
    }
}

uint64_t limiter_key(const struct limiter *l, const char *what, struct text whom)
{
    uint64_t secret[sizeof l->secret / sizeof *l->secret], key;
    unsigned char mac[32];
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        secret[i] = atomic_load(&l->secret[i]);
    hmac_sha256(secret, sizeof secret, what, strlen(what), mac);
    hmac_sha256(mac, sizeof mac, whom.data ? whom.data : "", whom.len, mac);
    memcpy(&key, mac, sizeof key);
    wipe(secret, sizeof secret);
    return key;
}

static int64_t full_of(const struct limit *limit)
{
    return limit->burst * limit->interval_ms;
}

static size_t set_of(uint64_t key)
{
    return key & (LIMITER_SETS - 1);
}

static void add_word(struct finding *f, size_t way, uint64_t word, int64_t now_ms, int64_t full)
{
    int64_t fill = time_of(word) - now_ms;
    if (fill < 0 || fill - full > LATE_MS)
        fill = 0;
    else if (fill > full) /* counted by a process whose time is later than ours */
        fill = full;
    if (f->all == 0)
        *f = (struct finding){way, word, fill, 0};
    f->all += fill;
}

/* When another key's word has leaked out. One that would take longer than any limit allows is not
 * from our time, and goes first. */
static int64_t end_of(uint64_t word, int64_t now_ms)
{
    return time_of(word) - now_ms > WEEK_MS + LATE_MS ? 0 : time_of(word);
}

/* Of a key that has no word, the one that it would replace. */
static struct finding look(const struct limiter *l, uint64_t key, int64_t now_ms, int64_t full)
{
    struct finding f = {0}, stalest = {0};
    int64_t earliest = INT64_MAX;
    bool found = false;
    for (size_t way = 0; way < LIMITER_WAYS; way++) {
        uint64_t word = atomic_load(&l->words[set_of(key)][way]);
        if (tag_of(word) == tag_of(key)) {
            add_word(&f, way, word, now_ms, full);
            found = true;
        } else if (end_of(word, now_ms) < earliest) {
            earliest = end_of(word, now_ms);
            stalest = (struct finding){.way = way, .word = word};
        }
    }
    return found ? f : stalest;
}

static bool replace(struct limiter *l, uint64_t key, struct finding f, int64_t time_ms)
{
    return atomic_compare_exchange_strong(&l->words[set_of(key)][f.way], &f.word,
                                          tag_of(key) | ((uint64_t)time_ms & TIME_MASK));
}

int64_t limiter_wait_ms(const struct limiter *l, uint64_t key, const struct limit *limit,
                        int64_t uptime_ms)
{
    int64_t full = full_of(limit);
    int64_t wait = look(l, key, our_time(l, uptime_ms), full).all + limit->interval_ms - full;
    return wait > 0 ? wait : 0;
}

int64_t limiter_take_ms(struct limiter *l, uint64_t key, const struct limit *limit,
                        int64_t uptime_ms)
{
    int64_t full = full_of(limit), now_ms = our_time(l, uptime_ms);
    struct finding f;
    note_time(l, now_ms);
    do {
        f = look(l, key, now_ms, full);
        int64_t wait = f.all + limit->interval_ms - full;
        if (wait > 0)
            return wait;
    } while (!replace(l, key, f, now_ms + f.fill + limit->interval_ms));

    /* When several put a new key in at the same moment as others change the set, there may be two
     * words of it. Then both count, and the process that sees too much takes its own back. */
    if (look(l, key, now_ms, full).all <= full)
        return 0;
    limiter_give_back(l, key, limit);
    return limit->interval_ms;
}

void limiter_give_back(struct limiter *l, uint64_t key, const struct limit *limit)
{
    struct finding f;
    do {
        f = look(l, key, 0, INT64_MAX);
        if (tag_of(f.word) != tag_of(key) || f.fill < limit->interval_ms)
            return; /* it had to make room */
    } while (!replace(l, key, f, f.fill - limit->interval_ms));
}

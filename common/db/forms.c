#include "common/db/forms.h"

#include "common/base/instant.h"

#define NS_PER_MS INT64_C(1000000)
#define FOR_MS 2000 /* so long a text that was slow is taken for slow */

/* A word has the time in ms, 139 years of them; how often; and what tells texts apart. */
#define TIME_BITS 42
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define COUNT_ONE (UINT64_C(1) << TIME_BITS)
#define COUNT_MAX 3U
#define TAG_MASK (~(TIME_MASK | (COUNT_MAX * COUNT_ONE)))

/* A lock in the library would be one for each process. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics take a lock");

/* FNV-1a, of 64 bits. */
uint64_t forms_hash(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t now_ms(void)
{
    return (uint64_t)(monotonic_ns() / NS_PER_MS) & TIME_MASK;
}

unsigned forms_noted(const struct forms *forms, uint64_t hash)
{
    uint64_t word = atomic_load(&forms->words[hash % FORMS_MAX]);
    uint64_t age = now_ms() - (word & TIME_MASK); /* huge for a time that is to come */
    if (((word ^ hash) & TAG_MASK) || age >= FOR_MS)
        return 0;
    return (unsigned)(word / COUNT_ONE) & COUNT_MAX;
}

void forms_note(struct forms *forms, uint64_t hash)
{
    unsigned count = forms_noted(forms, hash);
    count += count < COUNT_MAX;
    atomic_store(&forms->words[hash % FORMS_MAX], (hash & TAG_MASK) | count * COUNT_ONE | now_ms());
}

void forms_forget(struct forms *forms, uint64_t hash)
{
    if (forms_noted(forms, hash))
        atomic_store(&forms->words[hash % FORMS_MAX], 0);
}

#include "common/base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/base/exhausted.h"

#define TIME_BITS 48
#define COUNTER_BITS 18 /* the 12 of rand_a and the first 6 of rand_b */

/* Random bytes in stock, so that an id does not cost a system call. getrandom(2) hands out up
 * to 256 in one piece. */
static struct {
    unsigned char bytes[256];
    size_t left;
} stock;

/* What the last id had. */
static struct {
    uint64_t ms;
    uint32_t counter;
} last;

_Noreturn static void give_up(const char *what)
{
    exhausted("no random bytes: %s: %s", what, strerror(errno));
}

/* A child that kept the stock would hand out the same bytes as its parent. A pthread_atfork()
 * handler costs nothing per id, where getpid(2) would be a system call each time, and needs no page
 * of its own, as MADV_WIPEONFORK would. */
static void forget_stock(void)
{
    wipe(&stock, sizeof stock);
}

static void fill_stock(void)
{
    static bool guarded;
    if (!guarded) {
        errno = pthread_atfork(NULL, NULL, forget_stock);
        if (errno)
            give_up("pthread_atfork");
        guarded = true;
    }
    while (getrandom(stock.bytes, sizeof stock.bytes, 0) != (ssize_t)sizeof stock.bytes)
        if (errno != EINTR)
            give_up("getrandom");
    stock.left = sizeof stock.bytes;
}

static void take_random(void *ret, size_t len)
{
    if (stock.left < len)
        fill_stock();
    stock.left -= len;
    memcpy(ret, stock.bytes + stock.left, len);
    wipe(stock.bytes + stock.left, len);
}

/* A millisecond's counter starts anywhere in the lower half (RFC 9562 section 6.2, "counter
 * rollover handling"), which leaves 131,072 ids before it is used up. */
static void start_millisecond(uint64_t ms)
{
    uint32_t random;
    take_random(&random, sizeof random);
    last.ms = ms;
    last.counter = random >> (32 - COUNTER_BITS + 1);
}

/* Never lower than the last one's; a counter that is used up runs ahead of the clock. */
static void advance(uint64_t ms)
{
    if (ms > last.ms)
        start_millisecond(ms);
    else if (++last.counter >> COUNTER_BITS)
        start_millisecond(last.ms + 1);
}

/* The time stamp has no sign and ends in the year 10889. */
static uint64_t milliseconds(struct instant t)
{
    const int64_t most = ((int64_t)1 << TIME_BITS) - 1;
    int64_t ms = t.us / 1000;
    return ms < 0 ? 0 : ms > most ? (uint64_t)most : (uint64_t)ms;
}

struct uuid uuid_make(struct instant now)
{
    struct uuid id;
    advance(milliseconds(now));
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (unsigned char)(last.ms >> (40 - 8 * i));
    id.bytes[6] = (unsigned char)(0x70 | last.counter >> 14); /* version 7 */
    id.bytes[7] = (unsigned char)(last.counter >> 6);
    id.bytes[8] = (unsigned char)(0x80 | (last.counter & 0x3F)); /* variant of RFC 9562 */
    take_random(id.bytes + 9, 7);
    return id;
}

/* Does a hyphen come before byte `i` in the text? */
static bool hyphen_before(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

void uuid_format(const struct uuid *id, char ret_text[UUID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char *c = ret_text;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (hyphen_before(i))
            *c++ = '-';
        *c++ = hex[id->bytes[i] >> 4];
        *c++ = hex[id->bytes[i] & 15];
    }
    *c = '\0';
}

bool uuid_parse(const char *text, size_t len, struct uuid *ret)
{
    struct uuid id;
    if (len != UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        if (hyphen_before(i) && *text++ != '-')
            return false;
        int high = hex_digit(*text++);
        int low = hex_digit(*text++);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *ret = id;
    return true;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool uuid_is_nil(const struct uuid *id)
{
    static const struct uuid nil;
    return uuid_equal(id, &nil);
}

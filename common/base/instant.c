#include "common/base/instant.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000LL /* microseconds */

struct instant instant_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    return (struct instant){ts.tv_sec * SECOND + ts.tv_nsec / 1000};
}

int64_t monotonic_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* fails for no clock that is there */
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t uptime_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts); /* since Linux 2.6.39 */
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* A random UUID, of which both halves are folded into one. */
uint64_t boot_number(void)
{
    uint64_t number = 0;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    for (int c; file && (c = fgetc(file)) != EOF && c != '\n';)
        if (isxdigit(c))
            number = (number << 4 | number >> 60) ^
                     (uint64_t)(isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    if (file)
        (void)fclose(file);
    return number;
}

struct instant instant_plus_s(struct instant t, int64_t seconds)
{
    int64_t us;
    if (__builtin_mul_overflow(seconds, SECOND, &us) || __builtin_add_overflow(t.us, us, &us))
        us = seconds < 0 ? INT64_MIN : INT64_MAX; /* before or after all others */
    return (struct instant){us};
}

struct civil instant_to_civil(struct instant t)
{
    int64_t us = t.us % SECOND;
    time_t seconds = (time_t)(t.us / SECOND);
    if (us < 0) { /* before 1970 both are rounded up */
        us += SECOND;
        seconds--;
    }
    struct tm tm = {0};
    (void)gmtime_r(&seconds, &tm); /* it fails past the year 2^31, to which no instant comes */
    return (struct civil){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                          tm.tm_min,         tm.tm_sec,     (int)us};
}

struct instant instant_from_civil(struct civil c)
{
    struct tm tm = {.tm_year = c.year - 1900,
                    .tm_mon = c.month - 1,
                    .tm_mday = c.day,
                    .tm_hour = c.hour,
                    .tm_min = c.minute,
                    .tm_sec = c.second};
    return (struct instant){timegm(&tm) * SECOND + c.us};
}

static struct instant nearest(struct instant t, struct instant first, struct instant last)
{
    return t.us < first.us ? first : t.us > last.us ? last : t;
}

/* `n` as `width` digits; anything beyond them is cut off. */
static char *put_digits(char *at, int n, int width)
{
    for (int i = width - 1; i >= 0; i--, n /= 10)
        at[i] = (char)('0' + n % 10);
    return at + width;
}

void instant_format(struct instant t, char ret_text[INSTANT_TEXT_SIZE])
{
    static const struct instant first = {-62167219200 * SECOND}, /* 0000-01-01 */
        last = {253402300800 * SECOND - 1};                      /* the end of 9999 */
    struct civil c = instant_to_civil(nearest(t, first, last));
    const struct {
        int n, width;
        char after;
    } parts[] = {{c.year, 4, '-'},   {c.month, 2, '-'},  {c.day, 2, 'T'}, {c.hour, 2, ':'},
                 {c.minute, 2, ':'}, {c.second, 2, '.'}, {c.us, 6, 'Z'}};
    char *at = ret_text;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        at = put_digits(at, parts[i].n, parts[i].width);
        *at++ = parts[i].after;
    }
    *at = '\0';
}

/* The fraction of a second, after its dot: six digits count, any number may be there; -1 if none.
 * `*ret_more`: it is more than these. */
static int read_fraction(const char **at, bool *ret_more)
{
    int us = 0, digits = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++, digits++)
        if (digits < 6)
            us = us * 10 + (**at - '0');
        else
            *ret_more |= **at != '0';
    if (digits == 0)
        return -1;
    for (; digits < 6; digits++)
        us *= 10;
    return us;
}

/* Does `text` begin like `shape`, in which d is any digit? */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; text++, shape++) {
        bool digit = *text >= '0' && *text <= '9';
        bool same = *text == *shape || (*shape == 'T' && (*text == 't' || *text == ' '));
        if (*shape == 'd' ? !digit : !same)
            return false;
    }
    return true;
}

/* `Z`, `+hh:mm` or `-hh:mm` as minutes east of UTC, up to the end of the text. */
static bool read_offset(const char *at, int *ret_minutes)
{
    int hours, minutes;
    if ((*at == 'Z' || *at == 'z') && at[1] == '\0') {
        *ret_minutes = 0;
        return true;
    }
    if ((*at != '+' && *at != '-') || !has_shape(at + 1, "dd:dd") || at[6] != '\0' ||
        sscanf(at + 1, "%2d:%2d", &hours, &minutes) != 2 || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = (*at == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool instant_parse(const char *text, struct instant *ret)
{
    struct civil c = {0};
    int offset;
    bool more = false;
    if (strlen(text) < 20 || !has_shape(text, "dddd-dd-ddTdd:dd:dd") ||
        sscanf(text, "%4d-%2d-%2d%*c%2d:%2d:%2d", &c.year, &c.month, &c.day, &c.hour, &c.minute,
               &c.second) != 6)
        return false;
    const char *rest = text + 19;
    if (*rest == '.') {
        rest++;
        c.us = read_fraction(&rest, &more);
    }
    if (c.us < 0 || !read_offset(rest, &offset))
        return false;
    /* A day that the calendar does not have comes back as another one. */
    struct instant t = instant_from_civil(c);
    struct civil back = instant_to_civil(t);
    if (c.month != back.month || c.day != back.day || c.hour != back.hour ||
        c.minute != back.minute || c.second != back.second)
        return false;
    t = instant_plus_s(t, -60LL * offset);
    t.us += more && instant_to_civil((struct instant){t.us + 1}).year <= 9999;
    back = instant_to_civil(t);
    if (back.year < 0 || back.year > 9999) /* which RFC 3339 could not write */
        return false;
    *ret = t;
    return true;
}

/* E-mail addresses and new passwords, by their formats; folding, by which addresses are compared;
 * times and ids. */
#include <string.h>

#include "common/base/fold.h"
#include "common/base/instant.h"
#include "common/base/utf8.h"
#include "common/base/uuid.h"
#include "fcgi-app/accounts/user_model.h"
#include "tests/support/fuzz.h"

static void judge_email(struct text t)
{
    if (!email_format.valid(t))
        return;
    const char *at = memchr(t.data, '@', t.len);
    need(at && at > t.data && memchr(at, '.', t.len - (size_t)(at - t.data)));
    for (size_t i = 0; i < t.len; i++)
        need(t.data[i] > ' ' && t.data[i] < 0x7F);
    need(strlen(t.data) == t.len);
}

/* What was folded is folded; and clean text stays so. */
static void judge_folding(struct arena *a, struct text t)
{
    struct text once = fold(a, t), twice = fold(a, once);
    need(text_equal(once, twice));
    need(!utf8_is_clean(t.data, t.len) || utf8_is_clean(once.data, once.len));
}

static void judge_time(struct text t)
{
    struct instant at, again;
    struct uuid id;
    char text[INSTANT_TEXT_SIZE + UUID_TEXT_SIZE];
    if (instant_parse(t.data, &at)) {
        instant_format(at, text);
        need(instant_parse(text, &again) && again.us == at.us);
    }
    if (uuid_parse(t.data, t.len, &id)) {
        uuid_format(&id, text);
        need(strlen(text) == 36 && t.len == 36);
    }
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    struct text t = {fuzz_string(a, data, size), 0};
    t.len = strlen(t.data);
    judge_email(t);
    (void)new_password_format.valid(t);
    judge_folding(a, t);
    judge_time(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("email");

/* The configuration file, by the program's own table of settings. Files that it names for secrets
 * are left alone. */
#include <string.h>

#include "common/base/problem.h"
#include "common/field/config.h"
#include "fcgi-app/settings.h"
#include "tests/support/fuzz.h"

#define SETTINGS_MAX 64

static const char *const *secrets(struct arena *a)
{
    const char **names = arena_array(a, settings_record.count + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < settings_record.count; i++)
        if (settings_record.fields[i].use & FIELD_SECRET)
            names[n++] = settings_record.fields[i].name;
    return names;
}

static void judge(const struct settings *s)
{
    need(s->workers >= 1 && s->access_ttl_s >= 10 && s->max_body > 0);
    need(s->base_path.len == 0 || s->base_path.data[0] == '/');
}

static void parse(struct arena *a, const uint8_t *data, size_t size)
{
    static const char path[] = "postern.conf";
    struct settings settings = {0};
    struct origin origins[SETTINGS_MAX] = {{0}};
    const struct config_flags flags = {.unread = secrets(a)};
    struct problem *p =
        config_load_text(a, &settings_record, flags, NULL, (struct text){(const char *)data, size},
                         path, &settings, origins);
    need(settings_record.count <= SETTINGS_MAX);
    if (p)
        need(p->cause && strstr(p->cause, path)); /* it tells the line */
    else
        judge(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_in_arena(parse, data, size);
}

FUZZ_REPLAY("config");

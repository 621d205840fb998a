#include "common/field/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

#define FILE_MAX ((size_t)64 * 1024) /* bytes; more is not a configuration */

struct loading {
    struct arena *arena;
    const struct record *r;
    void *ret;
    struct origin *origins;
    const char *const *unread;
};

static struct problem *wrong(struct arena *a, const char *origin, const char *name,
                             const char *message)
{
    return problem_because(a, &problem_internal, "%s: %s: %s", origin, name, message);
}

const char *config_name(struct arena *a, const struct field *f)
{
    return field_heading(a, f);
}

const struct field *config_flag_field(const struct record *r, const char *flag)
{
    for (size_t i = 0; i < r->count; i++) {
        const char *name = r->fields[i].name, *given = flag;
        while (*name && (*name == *given || (*name == '_' && *given == '-'))) {
            name++;
            given++;
        }
        if (!*name && !*given)
            return r->fields[i].use & FIELD_SECRET ? NULL : &r->fields[i];
    }
    return NULL;
}

/* ---- reading files ---- */

static struct problem *read_file(struct arena *a, const char *path, struct text *ret)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return problem_because(a, &problem_internal, "%s: %s", path, strerror(errno));
    char *text = arena_alloc(a, FILE_MAX + 1);
    size_t len = fread(text, 1, FILE_MAX + 1, file);
    int failed = ferror(file);
    (void)fclose(file);
    if (failed)
        return problem_because(a, &problem_internal, "%s cannot be read", path);
    if (len > FILE_MAX)
        return problem_because(a, &problem_internal, "%s is larger than 64 KiB", path);
    size_t mark = utf8_mark(text, len);
    *ret = (struct text){text + mark, len - mark};
    return NULL;
}

static struct text trimmed(const char *from, const char *end)
{
    while (from < end && isspace((unsigned char)*from))
        from++;
    while (from < end && isspace((unsigned char)end[-1]))
        end--;
    return (struct text){from, (size_t)(end - from)};
}

/* ---- one setting ---- */

static struct problem *set(struct loading *l, const struct field *f, struct text value,
                           struct origin origin)
{
    const char *message = NULL;
    struct text copy = arena_text(l->arena, value);
    if (field_from_text(l->arena, f, copy, l->ret, &message))
        return wrong(l->arena, origin.text, config_name(l->arena, f), message);
    l->origins[f - l->r->fields] = origin;
    return NULL;
}

static bool is_left_alone(const struct loading *l, const struct field *f)
{
    const char *const *name = l->unread;
    while (name && *name && strcmp(*name, f->name) != 0)
        name++;
    return name && *name;
}

static struct problem *set_from_file(struct loading *l, const struct field *f, const char *path,
                                     struct origin origin)
{
    const struct origin from = {origin.kind, arena_printf(l->arena, "%s < %s", origin.text, path),
                                path};
    struct text value;
    if (is_left_alone(l, f)) {
        l->origins[f - l->r->fields] = from;
        return NULL;
    }
    struct problem *p = read_file(l->arena, path, &value);
    if (p)
        return wrong(l->arena, origin.text, config_name(l->arena, f), p->cause);
    while (value.len && (value.data[value.len - 1] == '\n' || value.data[value.len - 1] == '\r'))
        value.len--;
    return set(l, f, value, from);
}

/* The field that `name` means, and whether it is the name of a file with the value. */
static const struct field *find_setting(const struct loading *l, struct text name, bool *ret_file)
{
    for (size_t i = 0; i < l->r->count; i++) {
        const struct field *f = &l->r->fields[i];
        const char *plain = config_name(l->arena, f);
        bool file = (f->use & FIELD_SECRET) &&
                    text_equal(name, text_of(arena_printf(l->arena, "%s_FILE", plain)));
        if (file || text_equal(name, text_of(plain))) {
            *ret_file = file;
            return f;
        }
    }
    return NULL;
}

/* ---- the sources ---- */

static struct problem *take_line(struct loading *l, const char *line, const char *end,
                                 const char *where)
{
    const struct origin origin = {.kind = ORIGIN_FILE, .text = where};
    struct text whole = trimmed(line, end);
    if (whole.len == 0 || *whole.data == '#')
        return NULL;
    const char *equals = memchr(whole.data, '=', whole.len);
    if (!equals)
        return problem_because(l->arena, &problem_internal, "%s: not of the form NAME = value",
                               where);
    struct text name = trimmed(whole.data, equals);
    struct text value = trimmed(equals + 1, whole.data + whole.len);
    const char *name_text = arena_copy(l->arena, name.data, name.len);
    bool is_file;
    const struct field *f = find_setting(l, name, &is_file);
    if (!f)
        return wrong(l->arena, where, name_text, "there is no such setting");
    if (l->origins[f - l->r->fields].kind)
        return wrong(l->arena, where, name_text, "is set twice");
    if (is_file)
        return set_from_file(l, f, arena_copy(l->arena, value.data, value.len), origin);
    return set(l, f, value, origin);
}

static struct problem *take_lines(struct loading *l, struct text text, const char *path)
{
    struct problem *p = NULL;
    size_t number = 0;
    if (!text.len)
        return NULL; /* there may be no pointer either */
    for (const char *at = text.data; !p && at < text.data + text.len;) {
        const char *newline = memchr(at, '\n', (size_t)(text.data + text.len - at));
        const char *end = newline ? newline : text.data + text.len;
        p = take_line(l, at, end, arena_printf(l->arena, "%s:%zu", path, ++number));
        at = end + 1;
    }
    return p;
}

static const char *lookup(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

static struct problem *take_environment(struct loading *l, char *const *environment)
{
    const struct origin origin = {.kind = ORIGIN_ENVIRONMENT, .text = "environment"};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < l->r->count; i++) {
        const struct field *f = &l->r->fields[i];
        const char *name = config_name(l->arena, f);
        const char *file_name = arena_printf(l->arena, "%s_FILE", name);
        const char *value = lookup(environment, name);
        const char *file = f->use & FIELD_SECRET ? lookup(environment, file_name) : NULL;
        if (value && file)
            p = wrong(l->arena, origin.text, name, "is set, and so is its _FILE");
        else if (value)
            p = set(l, f, text_of(value), origin);
        else if (file)
            p = set_from_file(l, f, file, origin);
    }
    return p;
}

static struct problem *take_flags(struct loading *l, struct config_flags flags)
{
    const struct origin origin = {.kind = ORIGIN_FLAG, .text = "flag"};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < flags.count; i++)
        p = set(l, record_find(l->r, flags.list[i].name), text_of(flags.list[i].value), origin);
    return p;
}

static struct problem *take_defaults(struct loading *l)
{
    const struct origin origin = {.kind = ORIGIN_DEFAULT, .text = "default"};
    struct problem *p = NULL;
    for (size_t i = 0; !p && i < l->r->count; i++)
        if (!l->origins[i].kind && l->r->fields[i].default_value)
            p = set(l, &l->r->fields[i], text_of(l->r->fields[i].default_value), origin);
    return p;
}

struct problem *config_load_text(struct arena *a, const struct record *r, struct config_flags flags,
                                 char *const *environment, struct text text, const char *path,
                                 void *ret, struct origin *ret_origins)
{
    struct loading l = {a, r, ret, ret_origins, flags.unread};
    struct problem *p = take_lines(&l, text, path);
    if (!p)
        p = take_environment(&l, environment);
    if (!p)
        p = take_flags(&l, flags);
    if (!p)
        p = take_defaults(&l);
    return p;
}

struct problem *config_load(struct arena *a, const struct record *r, struct config_flags flags,
                            char *const *environment, const char *path, void *ret,
                            struct origin *ret_origins)
{
    struct text text = {0};
    struct problem *p = path ? read_file(a, path, &text) : NULL;
    return p ? p : config_load_text(a, r, flags, environment, text, path, ret, ret_origins);
}

#include "tests/support/exposition.h"
#include "common/base/arena.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define DIGITS "0123456789"
#define SERIES_MAX 20000

struct reading {
    struct arena *a;
    const char **families, **series; /* their names; all that came by */
    size_t family_count, series_count;
    const char *family, *type; /* the one that samples belong to; NULL type: only its HELP came */
    /* Of a histogram: the labels without le, and the last bucket. */
    const char *of;
    double le, count;
    bool summed;
};

struct sample {
    const char *series; /* the whole of it */
    const char *name, *labels, *le;
    double value;
};

/* A name at `at`, with colons where `colons` says so; NULL when there is none. */
static const char *take_name(struct arena *a, const char **at, bool colons)
{
    size_t first = strspn(*at, LETTERS) || (colons && **at == ':');
    size_t len = first ? strspn(*at, colons ? LETTERS DIGITS ":" : LETTERS DIGITS) : 0;
    const char *name = len ? arena_copy(a, *at, len) : NULL;
    *at += len;
    return name;
}

static bool take(const char **at, const char *what)
{
    if (strncmp(*at, what, strlen(what)) != 0)
        return false;
    *at += strlen(what);
    return true;
}

/* Behind the opening quote, up to and with the closing one. */
static bool take_value(const char **at)
{
    while (**at && **at != '"') {
        if (**at == '\\' && !strchr("\\\"n", *++*at))
            return false;
        *at += **at != '\0';
    }
    return take(at, "\"");
}

static bool take_label(struct reading *r, const char **at, struct sample *s)
{
    const char *begin = *at, *name = take_name(r->a, at, false);
    if (!name || !take(at, "=\""))
        return false;
    const char *value = *at;
    if (!take_value(at))
        return false;
    if (strcmp(name, "le") == 0)
        s->le = arena_copy(r->a, value, (size_t)(*at - 1 - value));
    else
        s->labels = arena_printf(r->a, "%s%.*s,", s->labels, (int)(*at - begin), begin);
    return true;
}

static bool take_number(const char *text, double *ret)
{
    char *end;
    if (strcmp(text, "+Inf") == 0) {
        *ret = HUGE_VAL;
        return true;
    }
    *ret = strtod(text, &end);
    return strspn(text, DIGITS "-.e") == strlen(text) && end != text && !*end;
}

static bool take_sample(struct reading *r, const char *line, struct sample *s)
{
    const char *at = line;
    *s = (struct sample){.labels = ""};
    s->name = take_name(r->a, &at, true);
    if (s->name && take(&at, "{")) {
        do
            if (!take_label(r, &at, s))
                return false;
        while (take(&at, ","));
        if (!take(&at, "}"))
            return false;
    }
    s->series = arena_copy(r->a, line, (size_t)(at - line));
    return s->name && take(&at, " ") && take_number(at, &s->value);
}

static bool is_among(const char *const *list, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], what) == 0)
            return true;
    return false;
}

/* ---- what each line must be ---- */

static const char *read_help(struct reading *r, const char *rest)
{
    const char *name = take_name(r->a, &rest, true);
    if (!name || !take(&rest, " ") || !*rest)
        return "no name, or no help";
    if (is_among(r->families, r->family_count, name))
        return "a family twice";
    if (r->of && !r->summed)
        return "a histogram without its sum";
    if (r->of)
        return "a histogram without its count";
    if (r->family_count == SERIES_MAX)
        return "too many families";
    r->families[r->family_count++] = r->family = name;
    r->type = NULL;
    return NULL;
}

static const char *read_type(struct reading *r, const char *rest)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *name = take_name(r->a, &rest, true);
    if (!name || !r->family || r->type || strcmp(name, r->family) != 0 || !take(&rest, " "))
        return "TYPE does not follow its HELP";
    if (!is_among(types, 3, rest))
        return "an unknown type";
    if (strcmp(rest, "counter") == 0 &&
        (strlen(name) < 6 || strcmp(name + strlen(name) - 6, "_total") != 0))
        return "a counter's name does not end in _total";
    r->type = arena_strdup(r->a, rest);
    return NULL;
}

static const char *read_bucket(struct reading *r, const struct sample *s)
{
    double le;
    if (!s->le || !take_number(s->le, &le))
        return "a bucket without its bound";
    if (r->of && strcmp(r->of, s->labels) != 0)
        return "a histogram that does not end";
    if (r->of && (le <= r->le || s->value < r->count || r->summed))
        return "a bucket that does not rise";
    r->of = s->labels;
    r->le = le;
    r->count = s->value;
    r->summed = false;
    return NULL;
}

static const char *read_end(struct reading *r, const struct sample *s, bool is_count)
{
    if (!r->of || strcmp(r->of, s->labels) != 0 || s->le || !isinf(r->le))
        return "not after a bucket +Inf of its own";
    if (is_count != r->summed)
        return "sum and count in another order";
    if (is_count && s->value != r->count)
        return "the count is not what +Inf says";
    r->summed = true;
    if (is_count)
        r->of = NULL;
    return NULL;
}

static const char *read_histogram(struct reading *r, const struct sample *s)
{
    const char *suffix = s->name + strlen(r->family);
    if (strcmp(suffix, "_bucket") == 0)
        return read_bucket(r, s);
    if (strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0)
        return read_end(r, s, suffix[1] == 'c');
    return "no part of a histogram";
}

static const char *read_sample(struct reading *r, const char *line)
{
    struct sample s;
    if (!take_sample(r, line, &s))
        return "no sample";
    if (!r->type || strncmp(s.name, r->family, strlen(r->family)) != 0)
        return "not of the family whose TYPE came last";
    if (is_among(r->series, r->series_count, s.series) || r->series_count == SERIES_MAX)
        return "twice";
    r->series[r->series_count++] = s.series;
    if (strcmp(r->type, "histogram") == 0)
        return read_histogram(r, &s);
    if (strcmp(s.name, r->family) != 0 || s.le)
        return "another name than its family";
    if (strcmp(r->type, "counter") == 0 && !(s.value >= 0 && isfinite(s.value)))
        return "a counter that is no count";
    return NULL;
}

static const char *read_line(struct reading *r, const char *line)
{
    if (take(&line, "# HELP "))
        return read_help(r, line);
    if (take(&line, "# TYPE "))
        return read_type(r, line);
    return *line == '#' ? "a comment" : read_sample(r, line);
}

const char *exposition_fault(struct arena *a, const char *text)
{
    struct reading r = {.a = a,
                        .families = arena_array(a, SERIES_MAX, sizeof(char *)),
                        .series = arena_array(a, SERIES_MAX, sizeof(char *))};
    while (*text) {
        const char *end = strchr(text, '\n');
        if (!end)
            return "the last line has no end";
        const char *line = arena_copy(a, text, (size_t)(end - text));
        const char *wrong = read_line(&r, line);
        if (wrong)
            return arena_printf(a, "%s: %s", wrong, line);
        text = end + 1;
    }
    return r.of ? "a histogram that does not end" : r.series_count ? NULL : "nothing is told";
}

/* ---- values ---- */

/* Call it for every line that is a sample. */
static double sum_of(const char *text,
                     bool (*counts)(const char *line, const char *what, const char *part),
                     const char *what, const char *part, double none)
{
    double sum = 0;
    bool any = false;
    for (; *text; text = strchr(text, '\n') + 1) {
        if (*text == '#' || !counts(text, what, part))
            continue;
        const char *end = strchr(text, '\n');
        while (*--end != ' ')
            continue;
        sum += strtod(end, NULL);
        any = true;
    }
    return any ? sum : none;
}

static bool is_series(const char *line, const char *what, const char *part)
{
    (void)part;
    return strncmp(line, what, strlen(what)) == 0 && line[strlen(what)] == ' ';
}

static bool is_of_name(const char *line, const char *what, const char *part)
{
    size_t len = strcspn(line, "\n");
    return strncmp(line, what, strlen(what)) == 0 && strchr("{ ", line[strlen(what)]) &&
           memmem(line, len, part, strlen(part)) != NULL;
}

const char *ck_exposition(struct arena *a, const char *text)
{
    const char *wrong = exposition_fault(a, text);
    ck_assert_msg(!wrong, "%s", wrong);
    return text;
}

double exposition_value(const char *text, const char *series)
{
    return sum_of(text, is_series, series, "", -1);
}

double exposition_sum(const char *text, const char *name, const char *part)
{
    return sum_of(text, is_of_name, name, part, 0);
}

double exposition_requests(const char *text, const char *route, const char *method, int status)
{
    char series[200];
    (void)snprintf(series, sizeof series,
                   "postern_http_requests_total{route=\"%s\",method=\"%s\",status=\"%d\"}", route,
                   method, status);
    return exposition_value(text, series);
}

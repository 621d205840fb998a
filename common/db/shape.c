#include "common/db/shape.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- words ---- */

enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_STRING, TOKEN_OTHER };

struct token {
    enum token_type type;
    struct text text; /* a name without its quotes */
};

struct reader {
    const char *at;
    struct token token; /* the one under way */
};

static const char *skip_space(const char *s)
{
    for (;;) {
        if (isspace((unsigned char)*s))
            s++;
        else if (strncmp(s, "--", 2) == 0 || *s == '#')
            s = strchrnul(s, '\n');
        else if (strncmp(s, "/*", 2) == 0)
            s = strstr(s + 2, "*/") ? strstr(s + 2, "*/") + 2 : strchr(s, '\0');
        else
            return s;
    }
}

static bool is_of_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* A string may hold whatever looks like a word; a quote that is doubled begins another one. */
static void next(struct reader *r)
{
    const char *begin = skip_space(r->at), *end = begin;
    enum token_type type = TOKEN_OTHER;
    if (!*begin) {
        type = TOKEN_END;
    } else if (*begin == '`' || *begin == '\'' || *begin == '"') {
        type = *begin == '`' ? TOKEN_NAME : TOKEN_STRING;
        end = strchrnul(begin + 1, *begin);
        r->at = *end ? end + 1 : end;
        r->token = (struct token){type, {begin + 1, (size_t)(end - begin - 1)}};
        return;
    } else if (is_of_word(*begin)) {
        type = TOKEN_WORD;
        while (is_of_word(*end))
            end++;
    } else {
        end++;
    }
    r->at = end;
    r->token = (struct token){type, {begin, (size_t)(end - begin)}};
}

static bool same_letters(struct text t, const char *word)
{
    return t.len == strlen(word) && strncasecmp(t.data, word, t.len) == 0;
}

static bool is(const struct reader *r, const char *word)
{
    bool is_quoted = r->token.type == TOKEN_NAME || r->token.type == TOKEN_STRING;
    return !is_quoted && same_letters(r->token.text, word);
}

static bool take(struct reader *r, const char *word)
{
    bool yes = is(r, word);
    if (yes)
        next(r);
    return yes;
}

static void take_existence(struct reader *r)
{
    if (take(r, "IF")) {
        take(r, "NOT");
        take(r, "EXISTS");
    }
}

static struct text take_name(struct reader *r)
{
    struct text name = r->token.text;
    next(r);
    return name;
}

/* To the comma that ends a part, or the parenthesis that ends the list it is in. */
static void skip_part(struct reader *r)
{
    for (int depth = 0; r->token.type != TOKEN_END; next(r)) {
        if (depth == 0 && (is(r, ",") || is(r, ")")))
            return;
        depth += is(r, "(");
        depth -= is(r, ")");
    }
}

/* ---- what they make ---- */

static void forget_columns(struct shape *s, struct text table, const struct text *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->column_count; i++) {
        const struct shape_column *c = &s->columns[i];
        if (!text_equal(c->table, table) || (name && !text_equal(c->name, *name)))
            s->columns[kept++] = *c;
    }
    s->column_count = kept;
}

static void forget_table(struct shape *s, struct text table)
{
    size_t kept = 0;
    forget_columns(s, table, NULL);
    for (size_t i = 0; i < s->table_count; i++)
        if (!text_equal(s->tables[i].name, table))
            s->tables[kept++] = s->tables[i];
    s->table_count = kept;
}

static bool has_table(const struct shape *s, struct text table)
{
    for (size_t i = 0; i < s->table_count; i++)
        if (text_equal(s->tables[i].name, table))
            return true;
    return false;
}

/* Does a part of a definition begin like this that is no column? */
static bool is_no_column(const struct reader *r)
{
    static const char *const words[] = {"PRIMARY",   "CONSTRAINT", "INDEX",   "KEY",    "UNIQUE",
                                        "FULLTEXT",  "SPATIAL",    "FOREIGN", "CHECK",  "PERIOD",
                                        "PARTITION", "SYSTEM",     "LIKE",    "SELECT", "("};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is(r, words[i]))
            return true;
    return r->token.type == TOKEN_END;
}

static void add_column(struct shape *s, struct reader *r, struct text table, size_t origin,
                       bool is_from_the_start)
{
    struct text name = take_name(r);
    s->columns[s->column_count++] =
        (struct shape_column){table, name, r->token.text, origin, is_from_the_start};
}

static void read_create(struct shape *s, struct reader *r, size_t origin)
{
    if (!take(r, "TABLE"))
        return;
    take_existence(r);
    struct text table = take_name(r);
    if (has_table(s, table))
        return;
    s->tables[s->table_count++] = (struct shape_table){table, origin};
    if (!is(r, "("))
        return;
    do {
        next(r);
        if (!is_no_column(r))
            add_column(s, r, table, origin, true);
        skip_part(r);
    } while (is(r, ","));
}

/* One of the comma-separated parts of ALTER TABLE. */
static void read_change(struct shape *s, struct reader *r, struct text table, size_t origin)
{
    bool adds = is(r, "ADD"), renames = is(r, "RENAME");
    if (!adds && !renames && !is(r, "DROP") && !is(r, "MODIFY") && !is(r, "CHANGE") &&
        !is(r, "ALTER"))
        return;
    next(r);
    bool of_column = take(r, "COLUMN");
    if (renames && !of_column) {
        if (!is_no_column(r))
            forget_table(s, table);
        return;
    }
    take_existence(r);
    if (is_no_column(r))
        return;
    struct text name = r->token.text;
    forget_columns(s, table, &name);
    if (adds)
        add_column(s, r, table, origin, false);
}

static void read_alter(struct shape *s, struct reader *r, size_t origin)
{
    if (!take(r, "TABLE"))
        return;
    take_existence(r);
    struct text table = take_name(r);
    for (;;) {
        read_change(s, r, table, origin);
        skip_part(r);
        if (!is(r, ","))
            return;
        next(r);
    }
}

/* DROP TABLE a, b; RENAME TABLE a TO c, b TO d. */
static void read_end(struct shape *s, struct reader *r)
{
    if (!take(r, "TABLE"))
        return;
    take_existence(r);
    while (r->token.type != TOKEN_END) {
        forget_table(s, take_name(r));
        skip_part(r);
        if (!take(r, ","))
            return;
    }
}

static void read_statement(struct shape *s, const char *statement, size_t origin)
{
    struct reader r = {.at = statement};
    next(&r);
    if (take(&r, "SET") && take(&r, "STATEMENT"))
        while (r.token.type != TOKEN_END && !take(&r, "FOR"))
            next(&r);
    if (take(&r, "CREATE"))
        read_create(s, &r, origin);
    else if (take(&r, "ALTER"))
        read_alter(s, &r, origin);
    else if (take(&r, "DROP") || take(&r, "RENAME"))
        read_end(s, &r);
}

/* Each column stands after a parenthesis, a comma or ADD. */
static size_t parts_of(const char *statement)
{
    size_t count = 1;
    for (; *statement; statement++)
        count += *statement == '(' || *statement == ',';
    return count;
}

struct shape shape_read(struct arena *a, const char *const *statements, const size_t *origins,
                        size_t count)
{
    struct shape s = {0};
    size_t parts = 0;
    for (size_t i = 0; i < count; i++)
        parts += parts_of(statements[i]);
    s.tables = arena_array(a, count + 1, sizeof *s.tables);
    s.columns = arena_array(a, parts + 1, sizeof *s.columns);
    for (size_t i = 0; i < count; i++)
        read_statement(&s, statements[i], origins[i]);
    return s;
}

bool shape_is_type(struct text type, struct text data_type)
{
    static const char *const others[][2] = {
        {"BOOLEAN", "tinyint"}, {"BOOL", "tinyint"}, {"INTEGER", "int"},  {"DEC", "decimal"},
        {"NUMERIC", "decimal"}, {"REAL", "double"},  {"JSON", "longtext"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (same_letters(type, others[i][0]))
            return same_letters(data_type, others[i][1]);
    return type.len == data_type.len && strncasecmp(type.data, data_type.data, type.len) == 0;
}

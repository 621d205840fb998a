/* shape.h -- which tables and columns SQL makes, as far as that can be read from its text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"

struct shape_table {
    struct text name;
    size_t origin; /* the first text that creates it */
};

struct shape_column {
    struct text table, name;
    struct text type;       /* its first word, such as VARCHAR */
    size_t origin;          /* the text that makes it, */
    bool is_from_the_start; /* and whether it does so with the table */
};

/* All names and types borrow from the texts. */
struct shape {
    struct shape_table *tables;
    size_t table_count;
    struct shape_column *columns;
    size_t column_count;
};

/**
 * Read CREATE TABLE, ALTER TABLE, DROP TABLE and RENAME TABLE from `statements[count]`, each
 * without its semicolon, in order; `origins` numbers the text that each is from. What is changed
 * in a way that is not read (MODIFY, CHANGE, RENAME) is left out of the result: all that is in it
 * is there when the statements have run. Other statements are passed over.
 */
struct shape shape_read(struct arena *a, const char *const *statements, const size_t *origins,
                        size_t count);

/** Is `data_type`, as information_schema spells it, what a column of `type` has? */
bool shape_is_type(struct text type, struct text data_type);

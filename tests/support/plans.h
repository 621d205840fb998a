/* plans.h -- by which index a list goes through its table: its statements as the server got them;
 * and what they cost. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list/list.h"

#define TEXTS_MAX 4000

struct texts {
    const char *list[TEXTS_MAX];
    size_t count;
};

/** Let the tests read what was asked: before loopback_open(). */
void watch_allow(void);

/** From now on, note what is asked. */
void watch(void);

/** What was asked of the table since watch(), with its values or (`prepared`) without. */
struct texts *watched(const char *table, bool prepared);

/** Assert that all that was asked of the list's table since watch() goes by that index, once in
 * each statement or (`at_least` 0) not at all, as with a deleted user where nothing can be found;
 * and sorts no rows. */
void ck_plans(const struct list *list, const char *index, int at_least);

/** Read one page, which must have rows; totals are another test's. */
void read_form(const struct list *list, const struct list_scope *scope, unsigned sort,
               const struct list_window *window);

/** Does the path have the key of that sort? */
bool is_sort_of(const struct list *list, unsigned sort, const struct list_path *path);

/** The sum of the session's status variables of that pattern, of which asking takes some itself. */
int64_t status_of(const char *pattern);

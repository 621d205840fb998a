/* json.h -- read JSON strictly: what passes is RFC 8259 without its loopholes, then cJSON parses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

struct problem;
struct json; /* a node of a parsed document, owned by the arena it was parsed into */

#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX ((size_t)20000) /* of a whole document; bodies have dozens */

enum json_type {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_TEXT,
    JSON_ARRAY,
    JSON_OBJECT,
};

/**
 * Parse the `len` bytes at `text` as one JSON object; `ret` lives as long as `a`.
 *
 * Refused with problem_bad_json, and one sentence that says what is wrong and at which
 * byte, counted from 1 (or which key): nothing but white space, anything that RFC 8259's grammar
 * does not allow (control characters in strings, 01, trailing bytes, …), bad UTF-8 and lone
 * surrogates (RFC 3629), U+0000 in any spelling, nesting deeper than JSON_DEPTH_MAX, more than
 * JSON_VALUES_MAX values, a key twice in an object (compared after unescaping), and a document that
 * is not an object. A byte order mark before it is skipped. Costs no more than n log n in the
 * length of the text, and no stack that grows with it. problem_unavailable only if there is no
 * memory for the tree, which is wiped when the arena is.
 */
struct problem *json_parse(struct arena *a, const char *text, size_t len,
                           const struct json **ret) MUST_USE;

/** The member called `key`, matched exactly; NULL when there is none. */
const struct json *json_get(const struct json *object, const char *key);

enum json_type json_type(const struct json *node);

/** The string of a JSON_TEXT, borrowed from the document; null for other types. */
struct text json_as_text(const struct json *node);

bool json_as_boolean(const struct json *node);

/** False unless it is a number whose nearest double is whole and at most 2^53 - 1 either way,
 *  however it is spelled: 1e2 is 100. `ret` is untouched then. */
bool json_as_integer(const struct json *node, int64_t *ret) MUST_USE;

/** The element at `index` of a JSON_ARRAY; NULL past its end. */
const struct json *json_item(const struct json *array, size_t index);

/* json_write.h -- write JSON (RFC 8259), without a tree. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/text.h"

/* The JSON writer: commas are placed by looking at the byte before, so that calls nest as
 * the document does. Text must be UTF-8; control characters, quotes and backslashes are
 * escaped as RFC 8259 section 7 wants it. */
void json_object(struct buf *b);
void json_object_end(struct buf *b);
void json_array(struct buf *b);
void json_array_end(struct buf *b);
void json_key(struct buf *b, const char *key);
void json_text(struct buf *b, struct text t);   /* null data: null */
void json_string(struct buf *b, const char *s); /* NULL: null */
void json_integer(struct buf *b, int64_t n);
void json_boolean(struct buf *b, bool yes);
void json_null(struct buf *b);

/** A key and its string in one; the most frequent pair by far. */
void json_member(struct buf *b, const char *key, const char *s);

/** A key and the beginning of its value. */
void json_key_object(struct buf *b, const char *key);
void json_key_array(struct buf *b, const char *key);

/** A key and an array of strings, NULL at the end. */
void json_key_strings(struct buf *b, const char *key, const char *const *strings);

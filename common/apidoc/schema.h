/* schema.h -- a record as it is on the wire: which fields its forms have, and examples of bodies.
 */
#pragma once

#include <stdbool.h>

#include "common/field/field.h"

struct arena;
struct buf;
struct problem_type;
struct route;

/* A record has up to three forms on the wire. */
enum form { FORM_REPLY, FORM_CREATE, FORM_CHANGE };

/** The form in which the route reads its body. */
enum form form_of_body(const struct route *route);

/** Does the form have this field? */
bool form_has(enum form form, const struct field *f);

/** Is it always there (in replies), or must it be given (in bodies)? */
bool form_requires(enum form form, const struct field *f);

bool form_may_be_null(enum form form, const struct field *f);

/** The form's name: "Post", "NewPost", "PostChange". A record that is never shown has no "New". */
const char *form_name(struct arena *a, enum form form, const struct record *r);

/** Write an example of the field's value: its own, or null where that may be, or one of its type.
 */
void form_sample_value(struct buf *b, enum form form, const struct field *f);

/** Write an object as an example. In bodies, optional fields without an example are left out. */
void form_sample(struct buf *b, enum form form, const struct record *r);

/** Write the members of such an object into the one that is open in `b`. */
void form_sample_members(struct buf *b, enum form form, const struct record *r);

/** Its type in a word, or its format: "string", "uuid", "email", … */
const char *field_type_word(const struct field *f);

/** Write `text` as a value of the field's type. */
void field_text_to_json(struct buf *b, const struct field *f, const char *text);

/** Write an example of what the route answers when all is well; nothing where that is no JSON. */
void form_sample_reply(struct buf *b, const struct route *route);

/** Write an example of the failure's body. */
void form_sample_problem(struct buf *b, const struct problem_type *type);

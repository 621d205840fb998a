/* forms.h -- which texts of statements were slow a moment ago, in memory that processes share. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define FORMS_MAX 64

/* Zeroed it knows of none. Texts of one word push each other out. */
struct forms {
    _Atomic uint64_t words[FORMS_MAX];
};

/** What stands for a text. */
uint64_t forms_hash(const char *text);

/** How often in a row it was noted, 3 at most; 0 when that was not a moment ago, for 2 s. */
unsigned forms_noted(const struct forms *forms, uint64_t hash);

/** Note it once more. */
void forms_note(struct forms *forms, uint64_t hash);

/** It was quick, this time. */
void forms_forget(struct forms *forms, uint64_t hash);

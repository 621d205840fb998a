/* database_model.h -- what the database server says of itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/db.h"

struct database {
    struct text version; /* "10.11.6-MariaDB-0+deb12u1" */
    struct instant now;  /* by its clock */
    int64_t connections_max;
    bool read_only;             /* takes no writes */
    int64_t word_min, word_max; /* characters of a word that is found by search */
};

struct problem *database_ask(struct db *db, struct arena *a, struct database *ret) MUST_USE;

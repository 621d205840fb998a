/* migrations.h -- the files of sql/, compiled in. */
#pragma once

#include "common/db/migrate.h"

extern const struct migration migrations[];
extern const size_t migration_count;

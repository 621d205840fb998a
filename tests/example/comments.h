/* comments.h -- what users say about posts. */
#pragma once

#include "common/db/table.h"
#include "common/http/router.h"

extern const struct table comment_table;
extern const struct counter comments_of_post, comments_of_user;
extern const struct resource comment_resource;

/* post_access.h -- who may see a post; also for what is put below one. */
#pragma once

#include "fcgi-app/app.h"
#include "fcgi-app/posts/post_model.h"

/** For all but its author and admins a draft does not exist: problem_post_not_found. `post` is a
 *  struct post, of which no more than post_look() fills is read; the form that owned.h wants. */
struct problem *post_check_visible(struct app *app, struct request *rq, const void *post) MUST_USE;

/** The same by id, without reading what the post says. `to_add` is for who puts something below it,
 *  in a transaction: until that ends, the post is not deleted. */
struct problem *post_require_visible(struct app *app, struct request *rq, struct uuid id,
                                     bool to_add) MUST_USE;

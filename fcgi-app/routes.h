/* routes.h -- the list of controllers, and the API that they make up. */
#pragma once

#include "common/apidoc/api.h"
#include "common/http/router.h"

struct counter;

extern const struct resource auth_resource, profile_resource, session_resource, password_resource,
    email_resource, user_resource, post_resource, system_resource;

/* All of them, NULL at the end; resources.c. */
extern const struct resource *const resources[];

/* All totals that are kept, NULL at the end; resources.c. */
extern const struct counter *const counters[];

/** What the API says of itself; borrows from `app`, which needs no more than its settings. */
struct api routes_describe(const struct app *app);

/* routes.h -- the list of controllers. */
#pragma once

#include "common/http/router.h"

extern const struct resource auth_resource, session_resource, password_resource, user_resource,
    post_resource, system_resource;

/* All of them, NULL at the end. */
extern const struct resource *const resources[];

#include "fcgi-app/routes.h"

const struct resource *const resources[] = {
    &auth_resource, &session_resource, &password_resource,
    &user_resource, &post_resource,    &system_resource,
    NULL,
};

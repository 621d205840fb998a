#include "fcgi-app/routes.h"

#include "fcgi-app/accounts/caller.h"
#include "fcgi-app/app.h"

struct api routes_describe(const struct app *app)
{
    static const struct problem_type *const token_problems[] = {&problem_user_inactive, NULL};
    return (struct api){
        .title = "Postern",
        .version = PACKAGE_VERSION,
        .license = "MIT",
        .description =
            "Users, auth and posts over HTTP. Bodies are JSON in UTF-8, times are RFC 3339 in "
            "UTC, ids are UUIDs. Unknown members and parameters are ignored. Every failure has "
            "one form, `Problem`; clients tell failures apart by its `code`.",
        .base_path = app->settings->base_path.data,
        .public_url = app->settings->public_url.data,
        .contact = app->settings->contact.data,
        .resources = resources,
        .app = app,
        .token_problems = token_problems,
        .limits = limits_describe,
    };
}

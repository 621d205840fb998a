/* What the product is made up of: the routes of each resource, the totals that are kept, and what
 * goes with a user or another row that is deleted. A new resource adds its lines here. */
#include "fcgi-app/routes.h"

#include "common/http/idempotency.h"
#include "fcgi-app/accounts/departure.h"
#include "fcgi-app/accounts/mailed_tokens.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/posts/post_model.h"

const struct resource *const resources[] = {
    &auth_resource,     &profile_resource, &session_resource,
    &password_resource, &email_resource,   &user_resource,
    &post_resource,     &system_resource,  NULL,
};

const struct counter *const counters[] = {
    &user_counter,
    &post_counter,
    NULL,
};

/* Which lists can be searched. */
const struct search_index *const search_indexes[] = {&user_index, &post_index, NULL};

/* In the order in which they are deleted. What was answered to a user comes first, for it may be a
 * copy of the rest. */
const struct belonging belongings[] = {
    {.of = "users", .delete_newest = idempotency_forget_caller},
    {.of = "users", .delete_newest = mailed_delete_some},
    {.of = "users", .delete_newest = post_delete_newest, .uncount = post_uncount_author},
    {.of = "users", .delete_newest = session_delete_newest},
    {0},
};

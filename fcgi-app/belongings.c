/* What goes with a user who is deleted, a row for each table; departure.h says how. */
#include "fcgi-app/accounts/departure.h"

#include "common/http/idempotency.h"
#include "fcgi-app/accounts/reset_model.h"
#include "fcgi-app/accounts/session_model.h"
#include "fcgi-app/posts/post_model.h"

/* What was answered to the user comes first, for it may be a copy of the rest. */
const struct belonging belongings[] = {
    {.delete_newest = idempotency_forget_caller},
    {.delete_newest = reset_delete_some},
    {.delete_newest = post_delete_newest, .uncount = post_uncount_author},
    {.delete_newest = session_delete_newest},
    {0},
};

/* purge.h -- delete what has expired and what is left of deleted users, a little at a time. */
#pragma once

#include "fcgi-app/app.h"

/** Delete a few rows that have expired, and some of users who left. To be left in `after` of a
 *  response whose request made a row of that kind, so that they never pile up. */
void purge_expired(void *app, struct request *rq);

/** Go on with what purge_expired() found to be much work, for some milliseconds; true when there is
 *  more. The form that server.h wants for `spare`. `context` is the app. */
bool purge_departed(void *context, struct arena *a);

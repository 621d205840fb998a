/* actor.h -- who does something to an account, and when: a request's caller, or an operator. */
#pragma once

#include "fcgi-app/app.h"

struct actor {
    struct app *app;
    struct arena *arena;
    struct instant now;
    struct request *rq; /* whose caller and If-Match count; NULL: an operator, who may do all */
};

/** The caller of `rq`, from which it borrows. */
static inline struct actor actor_of(struct app *app, struct request *rq)
{
    return (struct actor){.app = app, .arena = rq->arena, .now = rq->now, .rq = rq};
}

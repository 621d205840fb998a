#include "tests/e2e/own.h"

#include "tests/e2e/http.h"

struct backend own;
struct front own_front;

void start_own_front(void)
{
    front_start(&own_front, &own, LIST("LOGIN_LIMIT=off"));
    the_front = &own_front;
}

void start_own(const char *const *names)
{
    backend_start(&own, names);
    start_own_front();
}

void stop_own(void)
{
    front_stop(&own_front);
    backend_stop(&own);
}

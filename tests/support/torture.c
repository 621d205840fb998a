#include "tests/support/torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

unsigned torture_seed(void)
{
    static unsigned calls;
    const char *given = getenv("SEED");
    unsigned seed =
        given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) + 1000000007u * calls++;
    printf("SEED=%u\n", seed);
    fflush(stdout); /* before a fork, and before the worst */
    return seed;
}

int torture_rounds(int usual)
{
    const char *times = getenv("TORTURE");
    return times && atoi(times) > 0 ? usual * atoi(times) : usual;
}

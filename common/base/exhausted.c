#include "common/base/exhausted.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static void (*last_act)(void);

void on_exhausted(void (*last)(void))
{
    last_act = last;
}

_Noreturn void exhausted(const char *format, ...)
{
    void (*last)(void) = last_act;
    va_list args;
    last_act = NULL; /* it may find itself here */
    va_start(args, format);
    fputs("postern: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    if (last)
        last();
    exit(EX_SOFTWARE);
}

/* lockdown_internal.h -- the two halves of lockdown.c. */
#pragma once

#include "common/process/lockdown.h"

/* Sanitizers trace the process, which is refused here. */
#ifdef POSTERN_INSTRUMENTED
#define LOCKDOWN_WORKS false
#else
#define LOCKDOWN_WORKS true
#endif

/* At its end a process of a build for coverage writes what it has counted, beside the objects. */
#ifdef POSTERN_COUNTERS
#define COUNTS true
#define COUNTER_FOLDERS                                                                            \
    POSTERN_COUNTERS "/common", POSTERN_COUNTERS "/fcgi-app", POSTERN_COUNTERS "/tests",
#else
#define COUNTS false
#define COUNTER_FOLDERS
#endif

/** Restrict files and ports by Landlock. The version that holds, 0 with the reason in errno. */
int lockdown_files(const struct lockdown *kept);

/** The version of Landlock here; 0: there is none. */
int lockdown_files_version(void);

/** Filter the system calls; false with the reason in errno. */
bool lockdown_calls(const struct lockdown *kept);

/** Could they be filtered? */
bool lockdown_calls_work(void);

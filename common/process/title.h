/* title.h -- what ps(1) shows of a process: its own command line, which it may write on. */
#pragma once

struct arena;

/**
 * Copy a program's arguments into `a`, for all to use from then on, so that title_set() may write
 * where they were. The copy ends with NULL as `argv` does. Once, in main().
 */
char **title_keep(struct arena *a, int argc, char **argv);

/**
 * Show "PROGRAM: WHAT" in the place of the command line, cut to what room that has. Holds for this
 * process alone, and those that it forks. Nothing happens before title_keep().
 */
void title_set(const char *what);

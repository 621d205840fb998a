/* exposition.h -- a strict reader of Prometheus' text format, version 0.0.4. */
#pragma once

#include "common/base/compiler.h"

struct arena;

/**
 * What is wrong with `text`, or NULL.
 *
 * Stricter than the format: every family has HELP and TYPE in this order, its samples after them
 * in one piece, no sample is there twice, none has a timestamp; counters end in _total and are
 * not negative; of a histogram the buckets rise, end with +Inf, and sum and count follow.
 */
const char *exposition_fault(struct arena *a, const char *text);

/** `text`, in which nothing may be wrong. */
const char *ck_exposition(struct arena *a, const char *text);

/** The value of `series`, which is spelled as the text spells it: `name` or `name{labels}`; -1 when
 *  it is not there. */
double exposition_value(const char *text, const char *series);

/** The sum of all series of this name whose labels hold `part`, which may be "". */
double exposition_sum(const char *text, const char *name, const char *part);

/** Of a route, how many requests with this method were answered by this status; -1: none. */
double exposition_requests(const char *text, const char *route, const char *method, int status);

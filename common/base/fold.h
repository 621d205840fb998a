/* fold.h -- text without regard to case, for what identifies an account. Searches compare another
 * form: common/search/folding.h. */
#pragma once

#include "common/base/arena.h"

/** `t` with every letter in lower case (Unicode's simple mapping); null stays null. */
struct text fold(struct arena *a, struct text t);

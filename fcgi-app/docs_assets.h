/* docs_assets.h -- the files of fcgi-app/docs/, compiled in. */
#pragma once

#include "common/apidoc/docs.h"

extern const struct docs_assets docs_assets;

/* Which lists can be searched, a row for each; common/search/index.h says how. */
#include "fcgi-app/accounts/user_model.h"
#include "fcgi-app/posts/post_model.h"

const struct search_index *const search_indexes[] = {&user_index, &post_index, NULL};

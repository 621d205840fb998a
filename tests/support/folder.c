#include "tests/support/folder.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DESCRIPTORS 8

void folder_make(char *name)
{
    memcpy(name + strlen(name) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(name));
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *where)
{
    (void)s, (void)type, (void)where;
    return remove(path);
}

void folder_remove(const char *name)
{
    ck_assert_int_eq(nftw(name, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS), 0);
}

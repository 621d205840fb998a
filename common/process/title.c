#include "common/process/title.h"

#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"

static char *room; /* NULL: nobody may write there */
static size_t room_len;
static const char *program;

/* The kernel puts all arguments behind each other. */
static size_t length_of(int argc, char *const *argv)
{
    const char *end = argv[0];
    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(argv[i]) + 1;
    return (size_t)(end - argv[0]);
}

char **title_keep(struct arena *a, int argc, char **argv)
{
    char **kept = arena_array(a, (size_t)argc + 1, sizeof *kept);
    for (int i = 0; i < argc; i++)
        kept[i] = arena_strdup(a, argv[i]);
    kept[argc] = NULL;
    if (argc == 0)
        return kept;
    const char *slash = strrchr(kept[0], '/');
    program = slash ? slash + 1 : kept[0];
    room = argv[0];
    room_len = length_of(argc, argv);
    return kept;
}

void title_set(const char *what)
{
    if (!room)
        return;
    memset(room, 0, room_len);
    (void)snprintf(room, room_len, "%s: %s", program, what);
}

#include "tests/support/sockets.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/process/socket.h"
#include "tests/support/folder.h"
#include "tests/support/scratch.h"
#include "tests/support/suite.h"

char folder[] = "check-socket-XXXXXX";
char path[64];

void sockets_open(void)
{
    folder_make(folder);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
}

void sockets_close(void)
{
    folder_remove(folder);
}

int listen_at(const char *address)
{
    int fd = -1;
    must(socket_listen(a, address, 128, NULL, &fd));
    return fd;
}

int connect_to(const char *where)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, where, strlen(where));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

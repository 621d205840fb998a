#include "common/process/accept_queue.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct question {
    struct nlmsghdr head;
    struct unix_diag_req what;
};

/* The kernel answers within send(2), so that nothing has to be waited for. */
static ssize_t ask_kernel(const struct question *q, void *answer, size_t room)
{
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return -1;
    ssize_t len = -1;
    if (send(netlink, q, sizeof *q, 0) == sizeof *q)
        len = recv(netlink, answer, room, MSG_DONTWAIT);
    (void)close(netlink);
    return len;
}

/* The attribute that holds the length of the queue, among all that follow the message. */
static bool find_queue(const char *at, size_t rest, unsigned *ret)
{
    struct rtattr attribute;
    while (rest >= sizeof attribute) {
        struct unix_diag_rqlen queue;
        memcpy(&attribute, at, sizeof attribute);
        if (attribute.rta_type == UNIX_DIAG_RQLEN && rest >= RTA_LENGTH(sizeof queue)) {
            memcpy(&queue, at + RTA_LENGTH(0), sizeof queue);
            *ret = queue.udiag_rqueue;
            return true;
        }
        size_t step = RTA_ALIGN(attribute.rta_len);
        if (step < sizeof attribute || step > rest)
            return false;
        at += step;
        rest -= step;
    }
    return false;
}

static bool read_answer(const struct nlmsghdr *head, size_t len, uint32_t inode, unsigned *ret)
{
    struct unix_diag_msg found;
    const char *body = (const char *)head + NLMSG_HDRLEN;
    if (!NLMSG_OK(head, len) || head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        head->nlmsg_len < NLMSG_LENGTH(sizeof found))
        return false;
    memcpy(&found, body, sizeof found);
    return found.udiag_ino == inode &&
           find_queue(body + sizeof found, NLMSG_PAYLOAD(head, sizeof found), ret);
}

static bool read_unix(int fd, unsigned *ret)
{
    struct stat s;
    union {
        struct nlmsghdr head;
        char bytes[1024];
    } answer;
    if (fstat(fd, &s) != 0)
        return false;
    const struct question q = {
        .head = {.nlmsg_len = sizeof q,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .what = {.sdiag_family = AF_UNIX,
                 .udiag_states = UINT32_MAX,
                 .udiag_ino = (uint32_t)s.st_ino,
                 .udiag_show = UDIAG_SHOW_RQLEN,
                 .udiag_cookie = {UINT32_MAX, UINT32_MAX}}}; /* whichever it has */
    ssize_t len = ask_kernel(&q, &answer, sizeof answer);
    return len > 0 && read_answer(&answer.head, (size_t)len, q.what.udiag_ino, ret);
}

/* Of a listening socket, Linux tells its queue where others have segments in flight. */
static bool read_tcp(int fd, unsigned *ret)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    *ret = info.tcpi_unacked;
    return true;
}

bool accept_queue_read(int listen_fd, unsigned *ret_waiting)
{
    int listens = 0, family = 0;
    socklen_t len = sizeof listens;
    if (getsockopt(listen_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens ||
        getsockopt(listen_fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0)
        return false;
    return family == AF_UNIX ? read_unix(listen_fd, ret_waiting) : read_tcp(listen_fd, ret_waiting);
}

/* ceiling.c -- the least that a FastCGI worker can do, for comparison.
 *
 *   ceiling LISTEN WORKERS             answer a fixed body
 *   ceiling LISTEN WORKERS DATABASE    the same, after one prepared SELECT of the post whose id is
 *                                      the end of the path; DATABASE is MariaDB's socket, and
 *                                      CEILING_PASSWORD that of its user postern
 *
 * Nothing is checked that the benchmark does not need.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcgiapp.h>
#include <mysql.h>

#define BACKLOG 4096 /* as postern has it */
#define COLUMNS 7
#define COLUMN_MAX 1024
#define UUID_LEN 36

/* A profile, as long as a usual one. */
static const char body[] =
    "{\"user\":{\"id\":\"0191d5a8-7c00-7abc-8def-0123456789ab\","
    "\"email\":\"ada.lovelace@example.org\",\"first_name\":\"Ada\",\"last_name\":\"Lovelace\","
    "\"role\":\"user\",\"is_active\":true,\"created_at\":\"2024-09-09T08:07:06.000005Z\","
    "\"updated_at\":\"2024-09-09T08:07:06.000005Z\"}}";

static char key[UUID_LEN], columns[COLUMNS][COLUMN_MAX];

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "ceiling: %s\n", what);
    exit(EXIT_FAILURE);
}

static MYSQL_STMT *prepare(const char *socket)
{
    static const char sql[] = "SELECT id, title, content, published, author_id, created_at, "
                              "updated_at FROM posts WHERE id = ?";
    MYSQL_BIND in = {.buffer_type = MYSQL_TYPE_STRING, .buffer = key, .buffer_length = UUID_LEN};
    MYSQL_BIND out[COLUMNS];
    MYSQL *mysql = mysql_init(NULL);
    need(mysql_real_connect(mysql, "localhost", "postern", getenv("CEILING_PASSWORD"), "postern", 0,
                            socket, 0) != NULL,
         mysql_error(mysql));
    MYSQL_STMT *statement = mysql_stmt_init(mysql);
    memset(out, 0, sizeof out);
    for (int i = 0; i < COLUMNS; i++) {
        out[i].buffer_type = MYSQL_TYPE_STRING;
        out[i].buffer = columns[i];
        out[i].buffer_length = COLUMN_MAX;
    }
    need(!mysql_stmt_prepare(statement, sql, strlen(sql)), mysql_error(mysql));
    need(!mysql_stmt_bind_param(statement, &in), mysql_error(mysql));
    need(!mysql_stmt_bind_result(statement, out), mysql_error(mysql));
    return statement;
}

static void ask(MYSQL_STMT *statement, const char *path)
{
    size_t len = strlen(path);
    need(len >= UUID_LEN, "the path ends in no id");
    memcpy(key, path + len - UUID_LEN, UUID_LEN);
    need(!mysql_stmt_execute(statement) && !mysql_stmt_fetch(statement), "no such post");
    need(mysql_stmt_fetch(statement) == MYSQL_NO_DATA, "more than one post");
}

_Noreturn static void work(int listen_fd, const char *database)
{
    FCGX_Request request;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* libfcgi would go on waiting after a SIGTERM */
    MYSQL_STMT *statement = database ? prepare(database) : NULL;
    need(!FCGX_Init() && !FCGX_InitRequest(&request, listen_fd, 0), "libfcgi does not start");
    while (FCGX_Accept_r(&request) == 0) {
        if (statement)
            ask(statement, FCGX_GetParam("DOCUMENT_URI", request.envp));
        (void)FCGX_FPrintF(request.out,
                           "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                           (int)strlen(body), body);
        FCGX_Finish_r(&request);
    }
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    need(argc == 3 || argc == 4, "usage: ceiling LISTEN WORKERS [DATABASE]");
    int listen_fd = FCGX_OpenSocket(argv[1], BACKLOG);
    need(listen_fd >= 0, "cannot listen");
    for (int left = atoi(argv[2]); left > 0; left--)
        if (fork() == 0)
            work(listen_fd, argc == 4 ? argv[3] : NULL);
    (void)wait(NULL); /* none should end */
    return EXIT_FAILURE;
}

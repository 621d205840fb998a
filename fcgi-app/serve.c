/* `postern serve`: from settings to sockets, workers, and the parent that keeps them. */
#include "fcgi-app/cli/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/process/systemd.h"
#include "common/field/config_find.h"
#include "common/base/log.h"
#include "common/process/pool.h"
#include "common/base/problem.h"
#include "common/process/reexec.h"
#include "common/process/server.h"
#include "common/search/build.h"
#include "common/process/socket.h"
#include "fcgi-app/limits.h"
#include "fcgi-app/lock_in.h"
#include "fcgi-app/mailer.h"
#include "fcgi-app/system/database_model.h"
#include "fcgi-app/worker.h"

#define HASH_NICE 10     /* a password hash takes long enough to let all else come first */
#define SCRIPT_GRACE_S 2 /* mod_fcgid kills three seconds after SIGTERM */

static struct problem *warn_about_index(struct app *app, struct arena *a,
                                        const struct search_index *index)
{
    struct index_state state;
    struct problem *p = search_look(app->db, a, index, &state);
    if (!p && (!state.is_live || !state.is_ours || state.lost))
        LOG(LOG_LEVEL_WARNING, log_event("search_incomplete"),
            log_text("table", index->counter->table),
            log_text("cause", state.is_live ? "run `postern reindex`" : "run `postern migrate`"));
    return p;
}

static void warn_about_schema(struct app *app)
{
    struct arena *a = arena_open((size_t)1024 * 1024);
    struct problem *p = database_check_schema(app->db, a);
    for (size_t i = 0; !p && search_indexes[i]; i++)
        p = warn_about_index(app, a, search_indexes[i]);
    if (p)
        LOG(LOG_LEVEL_WARNING, log_event("not_ready"),
            log_text("cause", p->cause ? p->cause : p->message));
    arena_close(a);
}

/* What workers are made from. */
struct plan {
    const struct settings *settings;
    struct shared *shared;
    int mail_wake; /* of the helper that sends mail; -1: there is none */
    int hash_fd;   /* the socket for hashes alone; -1: there is none */
    /* The rest is for a worker without a parent. */
    struct reexec *reexec;
    unsigned grace_s;
    bool is_script, finds_base;
    bool is_cgi;                       /* one request, and not on a socket */
    const char *config_path, *program; /* of a script; see app.h */
};

/* When all is open that a worker writes to. */
static void lock_worker(void *context)
{
    const struct app *app = context;
    struct arena *a = arena_open((size_t)1024 * 1024);
    lock_in(a, app->settings,
            app->worker->pool ? WORKER_OF_POOL
            : app->program    ? WORKER_SCRIPT
                              : WORKER_ALONE);
    arena_close(a);
}

/* How a worker of the plan serves. */
static struct server server_of(const struct plan *plan, struct app *app,
                               const struct pool_worker *worker)
{
    const struct settings *settings = plan->settings;
    return (struct server){.listen_fd = worker->listen_fd,
                           .base_path = settings->base_path.data,
                           .is_script = plan->is_script,
                           .finds_base = plan->finds_base,
                           .body_max = (size_t)settings->max_body,
                           .handle = app_handle,
                           .wait_ms = app_wait_ms,
                           .is_for_one_kind = worker->listen_fd == plan->hash_fd,
                           .context = app,
                           .begin = lock_worker,
                           .ready = pool_worker_is_ready,
                           .busy_since = worker->busy_since,
                           .idle_s = (unsigned)settings->db_idle_s,
                           .idle = app_rest,
                           .spare = mailer_spare,
                           .quiet_s = SWEEP_S,
                           .grace_s = plan->grace_s,
                           .reexec = plan->reexec};
}

/* One worker, from start to end. `context` is the plan. */
static void work(void *context, const struct pool_worker *worker)
{
    const struct plan *plan = context;
    const struct settings *settings = plan->settings;
    struct arena *a = arena_open((size_t)1024 * 1024);
    struct app *app;
    struct problem *p = app_open(a, settings, plan->shared, &app);
    if (p) {
        LOG(LOG_LEVEL_ERROR, log_event("cannot_start"), log_text("cause", p->cause));
        arena_close(a);
        return;
    }
    app->config_path = plan->config_path;
    app->program = plan->program;
    app->worker = worker;
    app->mail_wake = plan->mail_wake;
    const struct server server = server_of(plan, app, worker);
    if (plan->is_cgi) {
        app->sweeps = true; /* what the requests before it have left */
        server_run_once(&server, environ);
    } else {
        warn_about_schema(app);
        server_run(&server);
    }
    app_close(app);
    arena_close(a);
}

/* The helper of the pool, from start to end. It is forked before the workers. */
static void help(void *context)
{
    const struct plan *plan = context;
    mailer_help(plan->settings, plan->shared, plan->mail_wake);
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

bool serve_is_wanted(void)
{
    return is_listening(STDIN_FILENO) || serve_is_cgi();
}

bool serve_is_cgi(void)
{
    return getenv("GATEWAY_INTERFACE") && !is_listening(STDIN_FILENO);
}

/* A bad key or URL must stop the program, not its workers one after another. */
static int check_start(struct cli *cli)
{
    struct app *app;
    struct problem *p = app_open(cli->arena, &cli->settings, NULL, &app);
    if (p)
        return complain(EX_CONFIG, "%s", p->cause);
    /* At a start, a database that refuses us may still be set up later. Before a reload, there are
     * workers that it accepts, which must not be replaced. */
    if (reexec_is_trial())
        p = db_check_access(app->db, cli->arena);
    app_close(app);
    if (p)
        return complain(EX_CONFIG, "DATABASE_URL: %s", p->cause);
    p = mailer_check(cli->arena, &cli->settings);
    if (p)
        return complain(EX_CONFIG, "%s", p->cause);
    if (cli->settings.env == ENV_PRODUCTION && geteuid() == 0)
        return complain(EX_NOPERM, "does not serve as root, unless ENV is development");
    return EX_OK;
}

enum { FAST, HASH, SOCKETS };

/* Sockets that a service manager has passed, to us or before a reload; -1 where there is none. */
static struct problem *take_passed(struct cli *cli, int ret_fds[SOCKETS])
{
    static const char *const names[SOCKETS] = {"fast", "hash"};
    static const char *const kept[SOCKETS] = {"passed fast", "passed hash"};
    int fds[SOCKETS];
    struct problem *p = systemd_take_sockets(cli->arena, names, SOCKETS, fds);
    for (int i = 0; !p && i < SOCKETS; i++) {
        if (fds[i] < 0)
            fds[i] = reexec_inherited_fd(kept[i]);
        else if (!is_listening(fds[i]))
            p = problem_because(cli->arena, &problem_internal,
                                "descriptor %d was passed as the socket %s, but does not listen",
                                fds[i], names[i]);
        if (fds[i] >= 0)
            reexec_keep_fd(kept[i], fds[i]);
    }
    if (!p && fds[FAST] < 0 && fds[HASH] >= 0)
        p = problem_because(cli->arena, &problem_internal,
                            "of the sockets fast and hash only hash was passed");
    if (!p)
        memcpy(ret_fds, fds, sizeof fds);
    return p;
}

/* A socket from before a reload is kept, so that no waiting connection is refused. */
static struct problem *listen_on(struct cli *cli, struct text address, int64_t backlog, int *ret)
{
    const char *group = cli->settings.socket_group.data;
    int fd = reexec_inherited_fd(address.data);
    struct problem *p = fd < 0
                            ? socket_listen(cli->arena, address.data, (int)backlog, group, &fd)
                            : socket_listen_on(cli->arena, fd, address.data, (int)backlog, group);
    if (p)
        return p;
    reexec_keep_fd(address.data, fd);
    *ret = fd;
    return NULL;
}

/* The shared counters are kept as well. */
static struct problem *share(struct cli *cli, struct shared **ret)
{
    static const char name[] = "shared";
    int fd = reexec_inherited_fd(name);
    struct problem *p = app_share(cli->arena, &cli->settings, &fd, ret);
    if (!p && fd >= 0)
        reexec_keep_fd(name, fd);
    return p;
}

/* Use sockets that were passed or, where none was, our own. */
static struct problem *open_sockets(struct cli *cli, int fds[SOCKETS])
{
    const struct settings *s = &cli->settings;
    if (fds[FAST] >= 0)
        return NULL;
    struct problem *p = listen_on(cli, s->listen, s->backlog, &fds[FAST]);
    if (!p && s->hash_listen.len)
        p = listen_on(cli, s->hash_listen, s->hash_backlog, &fds[HASH]);
    return p;
}

/* What wakes the helper is kept over a reload, for the old workers tell the new helper. */
static struct problem *open_wake(struct cli *cli, int *ret)
{
    static const char name[] = "mail";
    if (!cli->settings.mail_command.len)
        return NULL;
    int fd = reexec_inherited_fd(name);
    if (fd < 0)
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return problem_because(cli->arena, &problem_internal, "eventfd: %s", strerror(errno));
    reexec_keep_fd(name, fd);
    *ret = fd;
    return NULL;
}

static int run_pool(struct cli *cli, struct plan *plan, int fds[SOCKETS])
{
    const struct settings *s = &cli->settings;
    const char *where = fds[FAST] >= 0 ? "LISTEN_FDS" : s->listen.data;
    struct problem *p = open_sockets(cli, fds);
    if (!p)
        p = open_wake(cli, &plan->mail_wake);
    if (p)
        return complain(EX_UNAVAILABLE, "%s", p->cause);
    if (reexec_is_trial())
        return EX_OK;
    plan->hash_fd = fds[HASH];
    const struct pool_group groups[] = {
        {.name = "fast", .listen_fd = fds[FAST], .workers = (unsigned)s->workers},
        {.name = "hash",
         .listen_fd = fds[HASH],
         .workers = (unsigned)s->hash_workers,
         .nice = HASH_NICE},
    };
    const struct pool pool = {.groups = groups,
                              .count = fds[HASH] >= 0 ? 2 : 1,
                              .drain_s = (unsigned)s->drain_s,
                              .hang_s = (unsigned)s->hang_s,
                              .argv = cli->program,
                              .work = work,
                              .help = plan->mail_wake >= 0 ? help : NULL,
                              .context = plan,
                              .metrics = &plan->shared->metrics};
    LOG(LOG_LEVEL_INFO, log_event("started"), log_text("listen", where),
        log_number("workers", s->workers),
        log_number("hash_workers", fds[HASH] >= 0 ? s->hash_workers : 0));
    pool_run(&pool);
    LOG(LOG_LEVEL_INFO, log_event("stopped"));
    return EX_OK;
}

/* From here on messages go to the log; what prevented the start went to the terminal. */
static int open_log(struct cli *cli)
{
    const char *where = cli->settings.log_to.data;
    int failed = log_open(where);
    return failed ? complain(EX_CANTCREAT, "LOG_TO: %s: %s", where, strerror(failed)) : EX_OK;
}

/* The arguments for a re-exec: with the program's path, which a web server may not have passed. */
static char **arguments(const struct cli *cli, const char *program)
{
    size_t count = 0;
    while (cli->program[count])
        count++;
    char **list = arena_array(cli->arena, count + 1, sizeof *list);
    memcpy(list, cli->program, count * sizeof *list);
    if (program && count)
        list[0] = arena_strdup(cli->arena, program);
    return list;
}

/* What a web server's script finds out with each request. */
static void follow_script(struct cli *cli, struct plan *plan, const char *program)
{
    const struct field *base_path = record_find(&settings_record, "base_path");
    plan->is_script = true;
    plan->finds_base = cli->origins[base_path - settings_record.fields].kind == ORIGIN_DEFAULT;
    plan->config_path = cli->config_path;
    plan->program = program;
}

/* A process that counts for itself counts nothing. */
static int run_cgi(struct cli *cli, struct plan *plan)
{
    const struct settings *s = &cli->settings;
    if (!s->state_file.len && limits_guesses(s))
        return complain(EX_CONFIG, "as a CGI program it takes STATE_FILE, in which wrong passwords "
                                   "are counted from one request to the next");
    follow_script(cli, plan, program_path(cli->arena));
    plan->is_cgi = true;
    work(plan, &(const struct pool_worker){.listen_fd = -1});
    return EX_OK;
}

/* One worker on descriptor 0. A web server that runs us as its script cannot tell us of a new
 * program or configuration, and does not wait long at the end. */
static void run_alone(struct cli *cli, struct plan *plan)
{
    const char *program = program_path(cli->arena);
    struct reexec reexec;
    reexec_init(&reexec, arguments(cli, program), cli->is_script ? program : NULL,
                cli->is_script ? cli->config_path : NULL);
    plan->reexec = &reexec;
    plan->grace_s = (unsigned)cli->settings.drain_s;
    if (cli->is_script) {
        follow_script(cli, plan, program);
        plan->grace_s = plan->grace_s < SCRIPT_GRACE_S ? plan->grace_s : SCRIPT_GRACE_S;
    }
    work(plan, &(const struct pool_worker){.listen_fd = STDIN_FILENO});
}

int command_serve(struct cli *cli)
{
    struct plan plan = {.settings = &cli->settings, .mail_wake = -1, .hash_fd = -1};
    int status = check_start(cli);
    if (status == EX_OK)
        status = open_log(cli);
    if (status != EX_OK)
        return status;
    struct problem *p = share(cli, &plan.shared);
    if (p)
        return complain(EX_UNAVAILABLE, "%s", p->cause);
    int fds[SOCKETS];
    p = take_passed(cli, fds);
    if (p)
        return complain(EX_CONFIG, "%s", p->cause);
    if (!cli->is_script && (fds[FAST] >= 0 || cli->settings.listen.len))
        return run_pool(cli, &plan, fds);
    if (serve_is_cgi())
        return run_cgi(cli, &plan);
    if (!is_listening(STDIN_FILENO))
        return complain(EX_USAGE, "LISTEN is not set, and descriptor 0 is not a listening socket");
    if (!reexec_is_trial())
        run_alone(cli, &plan);
    return EX_OK;
}

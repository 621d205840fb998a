/* needs: mariadb */
/* A day in the life, through a real mail client and over SMTP on the loop-back to a mailbox:
 * invited, registered, verified, address changed and undone, password forgotten and reset. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/http.h"
#include "tests/e2e/own.h"
#include "tests/support/refusals.h"

#define MSMTP "/usr/bin/msmtp"
#define SINK "/usr/lib/python3/dist-packages/aiosmtpd"
#define PYTHON "/usr/bin/python3"
#define NEW_WORD "weaver of patterns"
#define THIEF_WORD "what the thief chose"
#define VERIFY_URL "https://app.example.org/verify#token="
#define UNDO_URL "https://app.example.org/undo#token="
#define RESET_URL "https://app.example.org/reset#token="

static char boxes[WORLD_PATH]; /* a Maildir */
static pid_t sink;

/* ---- the mail server ---- */

static bool is_listening(int port)
{
    return world_run(LIST("bash", "-c", say("exec 2>/dev/null 3<>/dev/tcp/127.0.0.1/%d", port)),
                     NULL, NULL, NULL) == 0;
}

static void start_sink(int port)
{
    snprintf(boxes, sizeof boxes, "%.100s/mail", world_folder());
    sink =
        world_start_as_us(LIST(PYTHON, "-W", "ignore", "-m", "aiosmtpd", "-n", "-l",
                               say("127.0.0.1:%d", port), "-c", "aiosmtpd.handlers.Mailbox", boxes),
                          NULL, world_folder(), say("%s/sink.log", world_folder()));
    for (long end = now_ms() + PATIENCE_MS; !is_listening(port); pause_ms(50))
        ck_assert_int_lt(now_ms(), end);
}

static void set_up(void)
{
    http_set_up();
    int port = world_free_port();
    start_sink(port);
    start_own(LIST("WORKERS=2", "HASH_WORKERS=1", "VERIFY_EMAIL=required",
                   say("MAIL_COMMAND=" MSMTP " -t --host=127.0.0.1 --port=%d --auto-from=off "
                       "--from=postern@example.org",
                       port),
                   "MAIL_FROM=Postern <postern@example.org>", "VERIFY_URL=" VERIFY_URL,
                   "UNDO_URL=" UNDO_URL, "RESET_URL=" RESET_URL));
}

static void tear_down(void)
{
    stop_own();
    (void)world_end(sink, SIGTERM);
    http_tear_down();
}

/* ---- reading mail ---- */

static bool is_to(const char *message, const char *to)
{
    return strcasestr(message, say("\nTo: %s\n", to)) != NULL;
}

/* The message to that address that has this in it, which is taken out; NULL while there is none. */
static const char *find_mail(const char *to, const char *has)
{
    const char *found = NULL, *folder = say("%s/new", boxes);
    DIR *listing = opendir(folder);
    if (!listing)
        return NULL;
    for (struct dirent *entry; !found && (entry = readdir(listing));) {
        if (entry->d_name[0] == '.')
            continue;
        const char *path = say("%s/%s", folder, entry->d_name);
        const char *text = say("\n%s", file_text(path));
        if (!is_to(text, to) || !strstr(text, has))
            continue;
        found = text;
        ck_assert_int_eq(unlink(path), 0);
    }
    closedir(listing);
    return found;
}

static const char *await_mail(const char *to, const char *has)
{
    const char *message;
    for (long end = now_ms() + PATIENCE_MS; !(message = find_mail(to, has)); pause_ms(50))
        ck_assert_msg(now_ms() < end, "no message to %s with %s: see %s", to, has, own.log);
    return message;
}

/* Quoted-printable would cut a long line, and the links are plain ASCII: they stand as they are. */
static const char *await_token(const char *to, const char *url)
{
    const char *at = strstr(await_mail(to, url), url) + strlen(url);
    return arena_copy(the_arena, at,
                      strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvw"
                                 "xyz0123456789-_"));
}

/* ---- calling ---- */

static struct answer post(const char *token, const char *path, const char *body)
{
    return fetch(.path = path, .token = token, .body = body);
}

static struct answer log_in_with(const char *email, const char *password)
{
    return post(NULL, "/api/auth/login", object("{'email':'%s','password':'%s'}", email, password));
}

static struct answer verify(const char *token, const char *mailed, const char *password)
{
    return post(token, "/api/auth/email/verify",
                password ? object("{'token':'%s','password':'%s'}", mailed, password)
                         : object("{'token':'%s'}", mailed));
}

static struct answer reset(const char *mailed, const char *password)
{
    return post(NULL, "/api/auth/password/reset",
                object("{'token':'%s','new_password':'%s'}", mailed, password));
}

/* ---- the day ---- */

static void be_invited(const char *email)
{
    ck_status(post(token_of(ADMIN_EMAIL), "/api/users",
                   object("{'email':'%s','invite':true,'first_name':'Ida'}", email)),
              201);

    ck_status(reset(await_token(email, RESET_URL), NEW_WORD), 204);

    ck_status(log_in_with(email, NEW_WORD), 200);
    (void)await_mail(email, "password");
}

static const char *join(const char *email)
{
    struct answer made =
        post(NULL, "/api/auth/register",
             object("{'email':'%s','password':'" PASSWORD "','first_name':'Ada'}", email));
    ck_status(made, 201);
    ck_problem(log_in_with(email, PASSWORD), INVALID_CREDENTIALS);

    ck_status(verify(NULL, await_token(email, VERIFY_URL), PASSWORD), 200);

    struct answer login = log_in_with(email, PASSWORD);
    ck_status(login, 200);
    ck_assert(answer_boolean(login, "user.email_verified"));
    return answer_text(login, "access_token");
}

/* Somebody has the session and the password. */
static void be_robbed(const char *token, const char *email, const char *thief)
{
    ck_status(post(token, "/api/auth/email",
                   object("{'email':'%s','current_password':'" PASSWORD "'}", thief)),
              202);
    ck_status(verify(token, await_token(thief, VERIFY_URL), NULL), 200);
    ck_status(post(token, "/api/auth/password",
                   object("{'current_password':'" PASSWORD "','new_password':'" THIEF_WORD "'}")),
              204);
    ck_status(log_in_with(thief, THIEF_WORD), 200);

    ck_status(
        post(NULL, "/api/auth/email/undo", object("{'token':'%s'}", await_token(email, UNDO_URL))),
        204);

    ck_problem(log_in_with(thief, THIEF_WORD), INVALID_CREDENTIALS);
    ck_problem(log_in_with(email, THIEF_WORD), INVALID_CREDENTIALS);
    ck_status(reset(await_token(email, RESET_URL), NEW_WORD), 204);
    ck_status(log_in_with(email, NEW_WORD), 200);
}

static void forget(const char *email)
{
    ck_status(post(NULL, "/api/auth/password/forgot", object("{'email':'%s'}", email)), 202);
    ck_status(reset(await_token(email, RESET_URL), "another long enough one"), 204);
    ck_status(log_in_with(email, "another long enough one"), 200);
}

CASE("mail over SMTP", set_up, tear_down);
CASE_LIMIT_S(600);

NGINX_TEST(a_day_in_the_life)
{
    const char *ada = say("%s1@example.org", email_prefix()),
               *thief = say("%s2@example.org", email_prefix()),
               *ida = say("%s3@example.org", email_prefix());

    be_invited(ida);
    const char *token = join(ada);
    be_robbed(token, ada, thief);
    forget(ada);

    /* Who tries a taken address is told nothing, and its owner is. */
    ck_status(
        post(NULL, "/api/auth/register", object("{'email':'%s','password':'" PASSWORD "'}", ada)),
        201);
    (void)await_mail(ada, "postern@example.org");
    ck_status(fetch(.method = "DELETE", .path = "/api/auth/profile",
                    .token = answer_text(log_in_with(ida, NEW_WORD), "access_token"),
                    .body = object("{'current_password':'" NEW_WORD "'}")),
              204);
    (void)await_mail(ida, "postern@example.org");
    for (long end = now_ms() + PATIENCE_MS;
         database_number("SELECT COUNT(*) FROM outbox WHERE state "
                         "<> 'nobody'");
         pause_ms(50))
        ck_assert_int_lt(now_ms(), end);
}

int main(void)
{
    if (access(MSMTP, X_OK) != 0 || access(SINK, R_OK) != 0) {
        fputs("msmtp or python3-aiosmtpd is not installed\n", stderr);
        return 77;
    }
    return http_main();
}

/* story.c -- the examples of the page, typed in a shell one after another, tell one story: what
 * each of them needs was there before, and what they answer is what the page says. */
#include <stdlib.h>
#include <string.h>

#include "common/field/json.h"
#include "tests/e2e/http.h"
#include "tests/e2e/own.h"

enum teller { NOBODY, ADA, ADMIN };

/* Ada registers, writes, comes back, changes what is hers; an admin makes Grace; all leaves no
 * trace. `keep` is what later examples take from the answer: NAME=a.b.c, separated by blanks. */
static const struct step {
    const char *operation;
    enum teller teller;
    int status;
    const char *keep;
} story[] = {
    {"getHealth", NOBODY, 200, NULL},
    {"getReady", NOBODY, 200, NULL},
    {"getOpenapi", NOBODY, 200, NULL},
    {"getDocs", NOBODY, 200, NULL},
    {"register", NOBODY, 201, "USER_ID=user.id"},
    {"login", NOBODY, 200, "ADA=access_token REFRESH_TOKEN=refresh_token"},
    {"getProfile", ADA, 200, NULL},
    {"createPost", ADA, 201, "POST_ID=post.id"},
    {"listPosts", NOBODY, 200, NULL},
    {"getPost", NOBODY, 200, NULL},
    {"updatePost", ADA, 200, NULL},
    {"listPostsOfUser", NOBODY, 200, NULL},
    {"listUsers", ADA, 200, NULL},
    {"getUser", ADA, 200, NULL},
    {"updateUser", ADA, 200, NULL},
    {"refresh", NOBODY, 200, "ADA=access_token"},
    {"listSessions", ADA, 200, "SESSION_ID=data.0.id"},
    {"login", NOBODY, 200, "ADA=access_token"},
    {"endSession", ADA, 204, NULL},
    {"listSessionsOfUser", ADMIN, 200, "SESSION_ID=data.0.id"},
    {"endSessionOfUser", ADMIN, 204, NULL},
    {"login", NOBODY, 200, "ADA=access_token"},
    {"logout", ADA, 204, NULL},
    {"getProfile", ADA, 401, NULL},
    {"login", NOBODY, 200, "ADA=access_token"},
    {"sendVerification", ADA, 202, NULL},
    {"changeEmail", ADA, 202, NULL}, /* the token of which goes nowhere, as all here */
    {"verifyEmail", NOBODY, 400, NULL},
    {"undoEmailChange", NOBODY, 400, NULL},
    {"changePassword", ADA, 204, NULL},
    {"forgotPassword", NOBODY, 202, NULL},
    {"resetPassword", NOBODY, 400, NULL}, /* its token is none that was mailed */
    {"deletePost", ADA, 204, NULL},
    {"createUser", ADMIN, 201, "USER_ID=user.id"},
    {"deleteUser", ADMIN, 204, NULL},
    {"deleteProfile", ADA, 204, NULL},
    {"getProfile", ADA, 401, NULL},
};

static void start_with_mail(void)
{
    start_own(LIST("MAIL_COMMAND=/bin/true"));
}

NGINX_CASE("story");
CASE_AROUND(start_with_mail, stop_own);

/* ---- the page ---- */

static const char *unescape(const char *html, size_t len)
{
    static const struct {
        const char *entity;
        char is;
    } entities[] = {{"&quot;", '"'}, {"&#39;", '\''}, {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}};
    char *text = arena_copy(the_arena, html, len), *to = text;
    for (const char *from = text; *from;) {
        size_t i = 0;
        while (i < sizeof entities / sizeof *entities &&
               strncmp(from, entities[i].entity, strlen(entities[i].entity)) != 0)
            i++;
        if (i < sizeof entities / sizeof *entities) {
            *to++ = entities[i].is;
            from += strlen(entities[i].entity);
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    return text;
}

/* The command in the first <code> behind `mark`. */
static const char *command_behind(const char *page, const char *mark)
{
    const char *at = strstr(page, mark);
    ck_assert_msg(at != NULL, "the page has no %s", mark);
    at = strstr(at, "<code>") + strlen("<code>");
    return unescape(at, (size_t)(strstr(at, "</code>") - at));
}

static const char *example_of(const char *page, const char *operation)
{
    const char *article = strstr(page, say("<article id=\"op-%s\">", operation));
    ck_assert_msg(article != NULL, "the page has no %s", operation);
    return command_behind(article, "<pre class=snippet>");
}

/* ---- the shell ---- */

struct shell {
    const char *names[16]; /* NAME=value */
    size_t count;
};

static const char *value_of(const struct shell *sh, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < sh->count; i++)
        if (strncmp(sh->names[i], name, len) == 0 && sh->names[i][len] == '=')
            return sh->names[i] + len + 1;
    return "";
}

static void set(struct shell *sh, const char *name, const char *value)
{
    size_t i = 0, len = strlen(name);
    while (i < sh->count && !(strncmp(sh->names[i], name, len) == 0 && sh->names[i][len] == '='))
        i++;
    if (i == sh->count)
        sh->count++;
    ck_assert_uint_lt(sh->count, sizeof sh->names / sizeof *sh->names);
    sh->names[i] = say("%s=%s", name, value);
}

/* What bash says to the command; it must end well, and use no variable that is not set. */
static const char *type(const struct shell *sh, const char *command)
{
    struct buf out;
    buf_init(&out, (size_t)4 * 1024 * 1024);
    int status = world_run(LIST("bash", "-euc", command), sh->names, NULL, &out);
    const char *text = arena_copy(the_arena, out.data ? out.data : "", out.len);
    buf_release(&out);
    ck_assert_msg(status == 0, "%s\nends with %d: %s", command, status, text);
    return text;
}

/* The same, where the command is one curl, whose status ends its output. */
static struct answer call(const struct shell *sh, const char *command)
{
    const char *said =
        type(sh, say("curl() { command curl -sS -w '\\n%%{http_code}' \"$@\"; }\n%s", command));
    const char *end = strrchr(said, '\n');
    ck_assert_msg(end != NULL, "%s\nsays %s", command, said);
    struct answer r = {.status = (int)strtol(end + 1, NULL, 10),
                       .headers = "",
                       .text = arena_copy(the_arena, said, (size_t)(end - said))};
    if (json_parse(the_arena, r.text, strlen(r.text), &r.body))
        r.body = NULL;
    return r;
}

static void keep(struct shell *sh, struct answer r, const char *what)
{
    while (what && *what) {
        size_t name = strcspn(what, "="), whole = strcspn(what, " ");
        set(sh, arena_copy(the_arena, what, name),
            answer_text(r, arena_copy(the_arena, what + name + 1, whole - name - 1)));
        what += whole + (what[whole] == ' ');
    }
}

static struct shell open_shell(void)
{
    struct shell sh = {.count = 0};
    set(&sh, "API", say("http://127.0.0.1:%d/api", the_front->port));
    set(&sh, "ADMIN", token_of(ADMIN_EMAIL));
    return sh;
}

static void take_step(struct shell *sh, const char *page, const struct step *step)
{
    if (step->teller != NOBODY)
        set(sh, "TOKEN", value_of(sh, step->teller == ADA ? "ADA" : "ADMIN"));
    const char *command = example_of(page, step->operation);
    struct answer r = call(sh, command);
    ck_assert_msg(r.status == step->status, "%s\nanswers %d instead of %d: %s", command, r.status,
                  step->status, r.text);
    keep(sh, r, step->keep);
}

TEST(the_examples_tell_one_story)
{
    const char *page = fetch(.path = "/api/docs").text;
    struct shell sh = open_shell();

    for (int i = 0; i < COUNT(story); i++)
        take_step(&sh, page, &story[i]);
}

TEST(every_example_is_in_the_story)
{
    static const char mark[] = "<article id=\"op-";
    const char *page = fetch(.path = "/api/docs").text;
    int count = 0;
    for (const char *at = strstr(page, mark); at; at = strstr(at + 1, mark), count++) {
        const char *name = at + strlen(mark);
        int i = 0;
        while (i < COUNT(story) &&
               strncmp(name, say("%s\"", story[i].operation), strlen(story[i].operation) + 1) != 0)
            i++;
        ck_assert_msg(i < COUNT(story), "%.30s is not in the story", name);
    }
    ck_assert_int_gt(count, 20);
}

TEST(five_minutes_can_be_typed)
{
    const char *page = fetch(.path = "/api/docs").text;
    struct shell sh = open_shell();
    char *command = arena_strdup(the_arena, command_behind(page, "<pre id=\"story\">"));
    char *rest = strchr(command, '\n'); /* behind the line that sets API to a site's address */
    ck_assert_int_eq(strncmp(command, "API=", 4), 0);

    const char *said = type(&sh, rest + 1);

    ck_assert_ptr_nonnull(strstr(said, "\"email\":\"ada@example.org\""));
    ck_assert_ptr_nonnull(strstr(said, "\"post\":{"));
    ck_assert_ptr_nonnull(strstr(said, "\"pagination\":{"));
}

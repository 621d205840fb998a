#include "fcgi-app/cli/terminal.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "common/base/utf8.h"

#define ESCAPE_SIZE 6 /* \uXXXX */
#define LINE_SIZE 1100
#define COMPLAINT_MAX ((size_t)1024 * 1024)

/* ---- what is safe to show ---- */

/* The code point of the well-formed sequence of `len` bytes at `at`. */
static uint32_t code_point(const char *at, size_t len)
{
    const unsigned char *byte = (const unsigned char *)at;
    if (len == 1)
        return *byte;
    uint32_t point = *byte & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (byte[i] & 0x3f);
    return point;
}

/* C0, DEL and C1 steer terminals; the others turn text around, or end a line for some (Unicode
 * Technical Report 36 section 2.5). */
static bool is_harmful(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x061c || point == 0x200e ||
           point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069);
}

const char *shown_text(struct arena *a, struct text t)
{
    char *text = arena_array(a, t.len + 1, ESCAPE_SIZE), *to = text;
    for (size_t i = 0; i < t.len;) {
        size_t len = utf8_sequence(t.data + i, t.len - i);
        uint32_t point = len ? code_point(t.data + i, len) : 0xfffd;
        if (!len || is_harmful(point)) {
            to += snprintf(to, ESCAPE_SIZE + 1, "\\u%04x", (unsigned)point);
            i += len ? len : 1;
            continue;
        }
        memcpy(to, t.data + i, len);
        to += len;
        i += len;
    }
    return text;
}

/* Terminals count as wcwidth(3) does, which knows characters by the locale: ours is always UTF-8,
 * not the user's. Without that locale each character counts as one place. */
static locale_t utf8_locale(void)
{
    static locale_t locale;
    if (!locale)
        locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return locale;
}

size_t shown_width(const char *text)
{
    locale_t ours = utf8_locale(), before = ours ? uselocale(ours) : (locale_t)0;
    size_t width = 0, room = strlen(text);
    for (size_t len; room; text += len, room -= len) {
        len = utf8_sequence(text, room);
        int places = ours && len ? wcwidth((wchar_t)code_point(text, len)) : 1;
        width += places < 0 ? 1 : (size_t)places; /* a character that the locale does not know */
        len = len ? len : 1;
    }
    if (before)
        (void)uselocale(before);
    return width;
}

int flush_output(void)
{
    static int failed;
    if (fflush(stdout) != 0 && !failed)
        failed = errno;
    if (ferror(stdout) && !failed)
        failed = EIO; /* while it was printed, and nobody has seen why */
    return failed;
}

int complain(int status, const char *format, ...)
{
    struct arena *a = arena_open(COMPLAINT_MAX);
    va_list args;
    va_start(args, format);
    fprintf(stderr, "postern: %s\n", shown_text(a, text_of(arena_vprintf(a, format, args))));
    va_end(args);
    arena_close(a);
    return status;
}

/* ---- questions ---- */

static volatile sig_atomic_t caught;

static void note_signal(int number)
{
    caught = number;
}

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define WATCHED (sizeof watched / sizeof *watched)

/* Cut a line that ended with `end`, a character or EOF, or was too long. False where there was
 * none, and when it is no text: cut at its NUL it would be another password. */
static bool end_line(char line[LINE_SIZE], size_t len, int end)
{
    if (len && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return end == '\n' || (end != '\0' && len > 0);
}

/* A line of standard input without its end. */
static bool read_line(char line[LINE_SIZE])
{
    size_t len = 0;
    int c;
    while ((c = getc(stdin)) != EOF && c != '\n' && c != '\0' && len < LINE_SIZE - 1)
        line[len++] = (char)c;
    return end_line(line, len, c);
}

/* The same from a terminal, on which a line may come in parts, each sent off by a ctrl-D: signals
 * come in while we wait for any of them. False after one, too. */
static bool read_typed(char line[LINE_SIZE], const sigset_t *waiting)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    size_t len = 0;
    while (len < LINE_SIZE - 1) {
        if (ppoll(&input, 1, NULL, waiting) != 1)
            return false;
        ssize_t got = read(STDIN_FILENO, line + len, LINE_SIZE - 1 - len);
        if (got <= 0)
            return end_line(line, len, EOF);
        for (ssize_t i = 0; i < got; i++, len++)
            if (line[len] == '\n' || line[len] == '\0')
                return end_line(line, len, line[len]);
    }
    return end_line(line, len, EOF);
}

/* Take the watched signals, but only while ppoll() waits: one that came before would be
 * missed. Returns through `ret_waiting` the mask for that. */
static void hold_signals(struct sigaction before[WATCHED], sigset_t *ret_waiting)
{
    const struct sigaction note = {.sa_handler = note_signal};
    sigset_t held;
    caught = 0;
    (void)sigemptyset(&held);
    for (size_t i = 0; i < WATCHED; i++)
        (void)sigaddset(&held, watched[i]);
    (void)sigprocmask(SIG_BLOCK, &held, ret_waiting);
    for (size_t i = 0; i < WATCHED; i++)
        (void)sigaction(watched[i], &note, &before[i]);
}

static void let_signals_go(const struct sigaction before[WATCHED], const sigset_t *mask)
{
    for (size_t i = 0; i < WATCHED; i++)
        (void)sigaction(watched[i], &before[i], NULL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    if (caught)
        (void)raise(caught);
}

/* No signal may leave the terminal without echo: each is held until echo is on again. */
static bool read_unseen(const char *prompt, char line[LINE_SIZE])
{
    struct sigaction before[WATCHED];
    struct termios loud, mute;
    sigset_t waiting;
    if (tcgetattr(STDIN_FILENO, &loud) != 0)
        return false;
    mute = loud;
    mute.c_lflag &= ~(tcflag_t)ECHO;
    mute.c_lflag |= ECHONL;
    hold_signals(before, &waiting);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &mute); /* drop what was typed before */
    fprintf(stderr, "%s: ", prompt);
    bool read = read_typed(line, &waiting);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &loud);
    let_signals_go(before, &waiting);
    return read && !caught;
}

static const char *ask_twice(struct arena *a)
{
    char first[LINE_SIZE] = "", second[LINE_SIZE] = "";
    const char *password = NULL;
    if (!read_unseen("New password", first) || !read_unseen("Once more", second))
        complain(EX_NOINPUT, "no password was given");
    else if (strcmp(first, second) != 0)
        complain(EX_NOINPUT, "the two are not the same");
    else
        password = arena_strdup(a, first);
    wipe(first, sizeof first);
    wipe(second, sizeof second);
    return password;
}

const char *ask_password(struct arena *a, bool plain)
{
    char line[LINE_SIZE];
    if (!plain && isatty(STDIN_FILENO))
        return ask_twice(a);
    if (!read_line(line)) {
        complain(EX_NOINPUT, "no password on standard input, as a line of text");
        return NULL;
    }
    const char *password = arena_strdup(a, line + utf8_mark(line, strlen(line)));
    wipe(line, sizeof line);
    return password;
}

bool ask_yes(const char *question)
{
    char line[LINE_SIZE];
    if (!isatty(STDIN_FILENO))
        return false;
    fprintf(stderr, "%s [y/N] ", question);
    return read_line(line) && (strcmp(line, "y") == 0 || strcmp(line, "yes") == 0);
}

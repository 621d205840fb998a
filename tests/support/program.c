#include "tests/support/program.h"

#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)1024 * 1024)

void program_expect(void)
{
    ck_assert_msg(access(PROGRAM, X_OK) == 0, "run this in the build folder, beside " PROGRAM);
}

static const char *slurp(FILE *file)
{
    char *text = arena_alloc(the_arena, OUTPUT_MAX);
    rewind(file);
    size_t len = fread(text, 1, OUTPUT_MAX - 1, file);
    ck_assert_int_eq(ferror(file), 0);
    text[len] = '\0';
    fclose(file);
    return text;
}

static FILE *file_with(const void *bytes, size_t len)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    fwrite(bytes, 1, len, file);
    rewind(file);
    return file;
}

_Noreturn void program_become(char *const *argv, FILE *in, FILE *out, FILE *err)
{
    dup2(fileno(in), STDIN_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    alarm(PROGRAM_LIMIT_S); /* holds for the program too */
    execv(PROGRAM, argv);
    _exit(127);
}

/* Cut at spaces: no argument here has one. */
char **program_words(const char *line)
{
    char **argv = arena_array(the_arena, 32, sizeof *argv);
    size_t n = 0;
    argv[n++] = arena_strdup(the_arena, "postern");
    for (const char *at = line; *at && n < 31;) {
        size_t len = strcspn(at, " ");
        argv[n++] = arena_copy(the_arena, at, len);
        at += len + (at[len] == ' ');
    }
    return argv;
}

struct run run_with_bytes(const void *input, size_t len, const char *line)
{
    FILE *in = file_with(input, len), *out = file_with("", 0), *err = file_with("", 0);
    char **argv = program_words(line);
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        program_become(argv, in, out, err);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    fclose(in);
    struct run run = {.out = slurp(out), .err = slurp(err)};
    ck_assert_msg(WIFEXITED(status), "%s ended by signal %d: %s", line, WTERMSIG(status), run.err);
    run.status = WEXITSTATUS(status);
    return run;
}

struct run run_with_input(const char *input, const char *line)
{
    return run_with_bytes(input, strlen(input), line);
}

struct run run(const char *line)
{
    return run_with_input("", line);
}

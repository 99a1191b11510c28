/* peer_posix.c - llama-bench as a child: its words, its JSON. */
#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define OUTPUT_BYTES 65536

/* Signals that we have blocked for a thread of ours are not blocked for the child. */
static int start(const char *program, char *const *words, int out, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int failed = posix_spawnp(child, program, &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* What does not fit is read all the same, so that the child can end. */
static void read_output(int from, char *text)
{
    char more[4096];
    size_t len = 0;
    for (;;) {
        bool room = len + 1 < OUTPUT_BYTES;
        ssize_t n = read(from, room ? text + len : more, room ? OUTPUT_BYTES - 1 - len : sizeof more);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        if (room) len += (size_t)n;
    }
    text[len] = '\0';
}

static int capture(const char *program, char *const *words, char *text)
{
    int ends[2], status = 0;
    pid_t child;
    if (pipe(ends) != 0) return cli_fail("no pipe to %s: %s", program, strerror(errno));
    int failed = start(program, words, ends[1], &child);
    close(ends[1]);
    if (failed == 0) read_output(ends[0], text);
    close(ends[0]);
    if (failed != 0) return cli_fail("%s cannot be started: %s", program, strerror(failed));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return CLI_OK;
    return cli_fail("%s did not end well (%s %d)", program, WIFEXITED(status) ? "exit" : "signal",
                    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int cli_peer_run(const char *program, const cli_peer_test *test, double *tokens_per_second)
{
    static const char KEY[] = "\"avg_ts\":";
    static char text[OUTPUT_BYTES];
    char prompt[16], answer[16], depth[16], threads[16];
    snprintf(prompt, sizeof prompt, "%u", test->prompt);
    snprintf(answer, sizeof answer, "%u", test->answer);
    snprintf(depth, sizeof depth, "%u", test->depth);
    snprintf(threads, sizeof threads, "%u", test->threads);
    const char *words[] = {program, "-m", test->model, "-t", threads, "-p", prompt, "-n",
                           answer,  "-d", depth,       "-r", "1",     "-o", "json", NULL};
    int code = capture(program, (char *const *)words, text);
    if (code != CLI_OK) return code;
    const char *at = strstr(text, KEY);
    *tokens_per_second = at != NULL ? strtod(at + sizeof KEY - 1, NULL) : 0;
    return *tokens_per_second > 0 ? CLI_OK : cli_fail("%s did not say how fast it was", program);
}

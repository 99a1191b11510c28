/* interrupt_posix.c - what Ctrl-C and its like do. */
#include "interrupt.h"

#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static chord_session *const *watched;
static size_t watched_count;
static bool interrupted;
static void (*restore_terminal)(void);

static void leave(int code)
{
    if (restore_terminal != NULL) restore_terminal();
    _exit(code);
}

static void handle(int signal_number)
{
    pthread_mutex_lock(&mutex);
    if (signal_number != SIGINT) leave(128 + signal_number);
    if (watched_count == 0 || interrupted) leave(CLI_INTERRUPTED);
    interrupted = true;
    for (size_t i = 0; i < watched_count; i++) chord_session_cancel(watched[i]);
    pthread_mutex_unlock(&mutex);
}

void cli_interrupt_start(void) { cli_signals_start(handle); }

void cli_interrupt_watch(chord_session *const *sessions, size_t count)
{
    pthread_mutex_lock(&mutex);
    watched = sessions;
    watched_count = count;
    interrupted = false;
    pthread_mutex_unlock(&mutex);
}

bool cli_interrupted(void)
{
    pthread_mutex_lock(&mutex);
    bool was = interrupted;
    pthread_mutex_unlock(&mutex);
    return was;
}

void cli_interrupt_hold(void) { pthread_mutex_lock(&mutex); }
void cli_interrupt_release(void) { pthread_mutex_unlock(&mutex); }

void cli_interrupt_before_exit(void (*restore)(void))
{
    pthread_mutex_lock(&mutex);
    restore_terminal = restore;
    pthread_mutex_unlock(&mutex);
}

/* interrupt_posix.c - signals, taken by a thread of their own. */
#include "interrupt.h"

#include <limits.h>
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

/* A signal that was ignored when we started (nohup, a shell's background job) stays ignored. */
static void our_signals(sigset_t *set)
{
    static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(set);
    for (size_t i = 0; i < CLI_COUNT(SIGNALS); i++) {
        struct sigaction action;
        if (sigaction(SIGNALS[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(set, SIGNALS[i]);
    }
}

static void *wait_for_signals(void *ud)
{
    sigset_t set;
    (void)ud;
    our_signals(&set);
    for (;;) {
        int signal_number;
        if (sigwait(&set, &signal_number) == 0) handle(signal_number);
    }
    return NULL;
}

void cli_interrupt_start(void)
{
    sigset_t set;
    pthread_t thread;
    pthread_attr_t attributes;
    our_signals(&set);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536 > PTHREAD_STACK_MIN ? 65536 : (size_t)PTHREAD_STACK_MIN);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, wait_for_signals, NULL) != 0) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pthread_attr_destroy(&attributes);
}

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

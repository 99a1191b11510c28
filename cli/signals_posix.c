/* signals_posix.c - a thread that waits for signals. */
#include "signals.h"

#include "cli.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>

static void (*handler)(int number);

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
        int number;
        if (sigwait(&set, &number) == 0) handler(number);
    }
    return NULL;
}

void cli_signals_start(void (*handle)(int number))
{
    sigset_t set;
    pthread_t thread;
    pthread_attr_t attributes;
    handler = handle;
    our_signals(&set);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536 > PTHREAD_STACK_MIN ? 65536 : (size_t)PTHREAD_STACK_MIN);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, wait_for_signals, NULL) != 0) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pthread_attr_destroy(&attributes);
}

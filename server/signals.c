/* signals.c - a thread that waits for signals. */
#include "signals.h"

#include "cli.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static bool ready, asked;
static void (*before_exit)(void);

/* A signal that was ignored when we started stays ignored. */
static void our_signals(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < CLI_COUNT(SIGNALS); i++) {
        struct sigaction action;
        if (sigaction(SIGNALS[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(set, SIGNALS[i]);
    }
}

static void handle(int number)
{
    pthread_mutex_lock(&mutex);
    if (asked || !ready) {
        if (before_exit != NULL) before_exit();
        _exit(ready ? 128 + number : 0);
    }
    asked = true;
    pthread_cond_broadcast(&came);
    pthread_mutex_unlock(&mutex);
}

static void *wait_for_signals(void *ud)
{
    sigset_t set;
    (void)ud;
    our_signals(&set);
    for (;;) {
        int number;
        if (sigwait(&set, &number) == 0) handle(number);
    }
    return NULL;
}

void server_signals_start(void)
{
    sigset_t set;
    pthread_t thread;
    pthread_attr_t attributes;
    signal(SIGPIPE, SIG_IGN);
    our_signals(&set);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536 > PTHREAD_STACK_MIN ? 65536 : (size_t)PTHREAD_STACK_MIN);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, wait_for_signals, NULL) != 0) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pthread_attr_destroy(&attributes);
}

void server_signals_before_ready(void (*leave)(void))
{
    pthread_mutex_lock(&mutex);
    before_exit = leave;
    pthread_mutex_unlock(&mutex);
}

void server_signals_ready(void)
{
    pthread_mutex_lock(&mutex);
    ready = true;
    pthread_mutex_unlock(&mutex);
}

void server_signals_wait(void)
{
    pthread_mutex_lock(&mutex);
    while (!asked) pthread_cond_wait(&came, &mutex);
    pthread_mutex_unlock(&mutex);
}

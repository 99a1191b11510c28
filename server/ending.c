/* ending.c - the end that is asked for. */
#include "ending.h"

#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static bool ready, asked;
static void (*before_exit)(void);

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

void server_ending_start(void)
{
    signal(SIGPIPE, SIG_IGN);
    cli_signals_start(handle);
}

void server_ending_before_ready(void (*leave)(void))
{
    pthread_mutex_lock(&mutex);
    before_exit = leave;
    pthread_mutex_unlock(&mutex);
}

void server_ending_ready(void)
{
    pthread_mutex_lock(&mutex);
    ready = true;
    pthread_mutex_unlock(&mutex);
}

void server_ending_wait(void)
{
    pthread_mutex_lock(&mutex);
    while (!asked) pthread_cond_wait(&came, &mutex);
    pthread_mutex_unlock(&mutex);
}

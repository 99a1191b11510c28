/* signals.h - the end of a server: the first signal asks for it, the second is it. */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <stdbool.h>

/* Before any thread is started: SIGINT, SIGTERM and SIGHUP are taken by a thread of their own. */
void server_signals_start(void);
/* Until the first came. From then on another ends the process at once. */
void server_signals_wait(void);
/* Until then the first signal ends the process: there is nothing to be finished. `leave` is called before, may be NULL. */
void server_signals_before_ready(void (*leave)(void));
void server_signals_ready(void);

#endif

/* ending.h - the end of a server: the first signal asks for it, the second is it. */
#ifndef SERVER_ENDING_H
#define SERVER_ENDING_H

#include <stdbool.h>

/* Before any thread is started: SIGINT, SIGTERM and SIGHUP are taken by a thread of their own. */
void server_ending_start(void);
/* Until the first came. From then on another ends the process at once. */
void server_ending_wait(void);
/* Until then the first signal ends the process: there is nothing to be finished. `leave` is called before, may be NULL. */
void server_ending_before_ready(void (*leave)(void));
void server_ending_ready(void);

#endif

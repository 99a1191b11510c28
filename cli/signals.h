/* signals.h - signals that end programs go to a thread of their own, so that who handles them may take locks. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* SIGINT, SIGTERM and SIGHUP, unless they were ignored when we started (nohup, a shell's background job). Before any other
 * thread is made. */
void cli_signals_start(void (*handle)(int number));

#endif

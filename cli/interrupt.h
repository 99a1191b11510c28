/* interrupt.h - Ctrl-C stops what runs and keeps what stands. A thread waits for the signal, so
 * that it may take locks. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "cli.h"

/* Before any other thread is made. */
void cli_interrupt_start(void);
/* Ctrl-C cancels this session's call from now on (once; a second one ends the program). NULL: nothing to stop, Ctrl-C
 * ends the program with CLI_INTERRUPTED. */
void cli_interrupt_watch(chord_session *session);
/* Ctrl-C came since cli_interrupt_watch. */
bool cli_interrupted(void);
/* Called before a signal ends the program: gives the terminal back as it was. */
void cli_interrupt_before_exit(void (*restore)(void));

#endif

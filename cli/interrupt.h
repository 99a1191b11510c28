/* interrupt.h - Ctrl-C stops what runs and keeps what stands. A thread waits for the signal, so
 * that it may take locks. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "cli.h"

/* Before any other thread is made. */
void cli_interrupt_start(void);
/* Ctrl-C cancels these sessions' calls from now on (once; a second one ends the program). None: nothing to stop, Ctrl-C
 * ends the program with CLI_INTERRUPTED. The list lives until it is no longer watched. */
void cli_interrupt_watch(chord_session *const *sessions, size_t count);
/* Ctrl-C came since cli_interrupt_watch. */
bool cli_interrupted(void);
/* Called before a signal ends the program: gives the terminal back as it was. */
void cli_interrupt_before_exit(void (*restore)(void));
/* In between no signal ends the program: for a moment. */
void cli_interrupt_hold(void);
void cli_interrupt_release(void);

#endif

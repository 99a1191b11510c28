/* interrupt_wasi.c - a WASI host passes no signals on: Ctrl-C ends the host, and the program with it. */
#include "interrupt.h"

void cli_interrupt_start(void) {}
void cli_interrupt_watch(chord_session *session) { (void)session; }
bool cli_interrupted(void) { return false; }
void cli_interrupt_before_exit(void (*restore)(void)) { (void)restore; }

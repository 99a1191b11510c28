/* interrupt_wasi.c - a WASI host passes no signals on: Ctrl-C ends the host, and the program with it. */
#include "interrupt.h"

void cli_interrupt_start(void) {}
void cli_interrupt_watch(chord_session *const *sessions, size_t count) { (void)sessions, (void)count; }
bool cli_interrupted(void) { return false; }
void cli_interrupt_hold(void) {}
void cli_interrupt_release(void) {}
void cli_interrupt_before_exit(void (*restore)(void)) { (void)restore; }

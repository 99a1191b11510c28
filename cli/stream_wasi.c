/* stream_wasi.c - the host waits for the reader. */
#include "stream.h"

void cli_streams_start(void) {}

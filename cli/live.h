/* live.h - one line on stderr that tells how far long work is, when stderr is a terminal. */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "cli.h"

typedef struct cli_live {
    bool on, shown;
    chord_phase phase; /* of the library's progress; CHORD_PHASE_OPEN: the next one counts from its beginning */
    const char *label; /* in front of it: "tg128 2/3", or NULL */
    uint64_t start_ns, start_bytes, start_stall_ns;
    uint64_t tokens; /* prefill: in the prompt; decode: made so far */
} cli_live;

void cli_live_start(cli_live *live);
/* A line of text until the next progress. */
void cli_live_say(cli_live *live, const char *text);
/* For chord_session_on_progress; ud is the cli_live. */
void cli_live_progress(void *ud, const chord_progress *progress);
/* Take the line away, before anything else is written to the terminal. */
void cli_live_clear(cli_live *live);

uint64_t cli_clock_ns(void);

#endif

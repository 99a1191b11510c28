/* live.c - the live line: phase, percent, MB/s, tokens/s, stall. */
#include "live.h"

#include "host.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t cli_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cli_live_start(cli_live *live) { *live = (cli_live){.on = isatty(STDERR_FILENO) != 0}; }

void cli_live_say(cli_live *live, const char *text)
{
    size_t room = cli_terminal_columns() - 1;
    if (!live->on) return;
    fprintf(stderr, "\r\033[K%.*s", (int)(strlen(text) < room ? strlen(text) : room), text);
    fflush(stderr);
    live->shown = true;
}

void cli_live_clear(cli_live *live)
{
    if (!live->shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    live->shown = false;
}

/* A new phase counts from its beginning. */
static void begin_phase(cli_live *live, const chord_progress *p)
{
    live->phase = p->phase;
    live->start_ns = cli_clock_ns();
    live->start_bytes = p->bytes_read;
    live->start_stall_ns = p->stall_ns;
}

void cli_live_progress(void *ud, const chord_progress *p)
{
    cli_live *live = ud;
    char line[200];
    if (!live->on) return;
    if (live->phase != p->phase) begin_phase(live, p);
    double seconds = (double)(cli_clock_ns() - live->start_ns) / 1e9;
    if (seconds < 0.05) seconds = 0.05;
    bool decode = p->phase == CHORD_PHASE_DECODE;
    double share = p->total != 0 ? (double)p->done / (double)p->total : 0;
    double tokens = decode ? (double)live->tokens : (double)live->tokens * share;
    int used = snprintf(line, sizeof line, "%s%s%s", live->label != NULL ? live->label : "",
                        live->label != NULL ? "  " : "", chord_phase_text(p->phase));
    if (!decode) used += snprintf(line + used, sizeof line - (size_t)used, "  %3.0f %%", share * 100);
    snprintf(line + used, sizeof line - (size_t)used, "  %.0f MB/s  %.1f tokens/s  stall %.0f %%",
             (double)(p->bytes_read - live->start_bytes) / 1e6 / seconds, tokens / seconds,
             (double)(p->stall_ns - live->start_stall_ns) / 1e7 / seconds);
    cli_live_say(live, line);
}

/* log.c - sentences that are no failure, for the caller's log. */
#include "api/api_inner.h"

void chord_runtime_say(const chord_runtime *r, chord_log_level level, const char *format, ...)
{
    char line[512];
    if (r->log == NULL) return;
    va_list args;
    va_start(args, format);
    chord_vformat(line, sizeof line, format, args);
    va_end(args);
    r->log(r->log_ud, level, line);
}

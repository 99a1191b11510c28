/* failure_guest.c - a call of the host that failed, as an error of ours. */
#include "base/system_inner.h"
#include "chord_host_v1.h"

chord_status chord_host_failure(chord_error *err, int64_t code, const char *what)
{
    char text[256];
    chord_status status = code == CHORD_HOST_MEMORY        ? CHORD_BUDGET
                          : code == CHORD_HOST_UNSUPPORTED ? CHORD_UNSUPPORTED
                          : code == CHORD_HOST_CANCELLED   ? CHORD_CANCELLED
                                                           : CHORD_IO;
    text[0] = '\0';
    chord_host_error_text(text, sizeof text);
    if (text[0] == '\0') chord_format(text, sizeof text, "the host answered %d", (int)code);
    return chord_fail(err, status, "%s: %s", what, text);
}

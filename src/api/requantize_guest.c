/* requantize_guest.c - guests quantise nothing: requantize_libc.c says why. */
#include "api/api_inner.h"

chord_status chord_files_requantize(chord_runtime *r, const char *format, chord_files *files, chord_error *err)
{
    (void)r, (void)files;
    return chord_fail(err, CHORD_UNSUPPORTED, "quantising to %s is left out of WebAssembly guests", format);
}

/* base.c - status words and error sentences. */
#include "base/system_inner.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little endian and are read as they lie");
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "IEEE 754 floats");
_Static_assert(CHORD_OK == 0, "a zeroed status means success");

#define STATUS_TEXT(name, text) text,
static const char *const status_texts[CHORD_STATUS_COUNT] = {CHORD_STATUS_MAP(STATUS_TEXT)};
#undef STATUS_TEXT

const char *chord_status_text(chord_status status)
{
    return (unsigned)status < CHORD_STATUS_COUNT ? status_texts[status] : "unknown status";
}

const char *chord_version(void) { return CHORD_VERSION; }

/* Names come from files: a sentence stays one line of whole characters whatever they hold. */
static void tidy(char *text)
{
    size_t len = strlen(text);
    text[chord_utf8_whole(text, len)] = '\0';
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) *text = '?';
}

static void fill(chord_error *err, chord_status status, int os_errno, const char *format, va_list args)
{
    err->status = status;
    err->os_errno = os_errno;
    chord_vformat(err->text, sizeof err->text, format, args);
    if (os_errno != 0) {
        char reason[96];
        chord_system_error_text(os_errno, reason, sizeof reason);
        size_t len = strlen(err->text);
        /* The reason matters more than the end of a long name. */
        size_t room = sizeof err->text - 3 - strlen(reason);
        if (len > room) len = chord_utf8_whole(err->text, room);
        chord_format(err->text + len, sizeof err->text - len, ": %s", reason);
    }
    tidy(err->text);
}

chord_status chord_fail(chord_error *err, chord_status status, const char *format, ...)
{
    if (err == NULL) return status;
    va_list args;
    va_start(args, format);
    fill(err, status, 0, format, args);
    va_end(args);
    return status;
}

chord_status chord_fail_os(chord_error *err, chord_status status, int os_errno, const char *format, ...)
{
    if (err == NULL) return status;
    va_list args;
    va_start(args, format);
    fill(err, status, os_errno, format, args);
    va_end(args);
    return status;
}

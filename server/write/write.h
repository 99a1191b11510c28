/* write.h - JSON and plain text into counted memory. A writer remembers its first failure, so that only its end is asked.
 * key is NULL inside lists and for the outermost value. */
#ifndef SERVER_WRITE_H
#define SERVER_WRITE_H

#include "json/json.h"

typedef struct writer {
    chord_buffer *out;
    bool follows; /* a comma is due before the next item */
    chord_status status;
    chord_error error;
} writer;

static inline writer writer_of(chord_buffer *out) { return (writer){.out = out}; }

void write_bytes(writer *w, const char *text, size_t len); /* as they are */
void write_plain(writer *w, const char *format, ...) CHORD_LIKE_PRINTF(2, 3);
void write_open(writer *w, const char *key, char bracket); /* '{' or '[' */
void write_close(writer *w, char bracket);
void write_text(writer *w, const char *key, const char *text);
void write_text_n(writer *w, const char *key, const char *text, size_t len); /* invalid UTF-8 becomes U+FFFD */
void write_u64(writer *w, const char *key, uint64_t value);
void write_i64(writer *w, const char *key, int64_t value);
void write_f64(writer *w, const char *key, double value); /* nine digits; what is not a number becomes null */
void write_bool(writer *w, const char *key, bool value);
void write_null(writer *w, const char *key);
void write_json(writer *w, const char *key, const char *json);         /* JSON as it stands there */
void write_value(writer *w, const char *key, const chord_json *value); /* as it was read */

#endif

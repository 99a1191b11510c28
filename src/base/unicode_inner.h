/* unicode_inner.h - tables of unicode.c: scripts/make-unicode and scripts/make-case write them. */
#ifndef CHORD_UNICODE_INNER_H
#define CHORD_UNICODE_INNER_H

#include "base/base.h"

typedef struct chord_case_range { /* every stride-th code from first to last maps to itself + delta */
    uint32_t first, last, stride;
    int32_t delta;
} chord_case_range;
typedef struct chord_case_long {
    uint16_t code, to[3]; /* zeros fill it up; none of them lies beyond U+FFFF */
} chord_case_long;

extern const uint32_t chord_unicode_ranges[], chord_unicode_range_count; /* first code << 3 | chord_char_class */
extern const chord_case_range chord_upper_ranges[], chord_lower_ranges[];
extern const chord_case_long chord_upper_long[], chord_title_long[];
extern const size_t chord_upper_ranges_count, chord_lower_ranges_count, chord_upper_long_count, chord_title_long_count;
/* How characters without their accents are packed: unicode_base_tables.c. */
extern const uint8_t chord_unicode_bases_low[], chord_unicode_bases_high[];
extern const size_t chord_unicode_bases_low_bytes, chord_unicode_bases_high_bytes;
extern const uint32_t chord_unicode_controls[][2];
extern const size_t chord_unicode_controls_count;

#endif

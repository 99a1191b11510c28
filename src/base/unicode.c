/* unicode.c - what a character is, and its other case. */
#include "base/unicode_inner.h"

chord_char_class chord_char_class_of(uint32_t code)
{
    uint32_t low = 0, high = chord_unicode_range_count; /* the range wanted starts at low or later, before high */
    if (code > 0x10FFFF) return CHORD_CHAR_OTHER;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (chord_unicode_ranges[middle] >> 3 <= code) low = middle;
        else high = middle;
    }
    return (chord_char_class)(chord_unicode_ranges[low] & 7);
}

static uint32_t fold(const chord_case_range *ranges, size_t count, uint32_t code)
{
    size_t low = 0, high = count; /* the first range whose last is not below code */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < code) low = middle + 1;
        else high = middle;
    }
    if (low == count || code < ranges[low].first || (code - ranges[low].first) % ranges[low].stride != 0) return code;
    return (uint32_t)((int64_t)code + ranges[low].delta);
}

uint32_t chord_char_upper(uint32_t code)
{
    if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
    return fold(chord_upper_ranges, chord_upper_ranges_count, code);
}

uint32_t chord_char_lower(uint32_t code)
{
    if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return fold(chord_lower_ranges, chord_lower_ranges_count, code);
}

static size_t fold_long(const chord_case_long *table, size_t count, uint32_t code, uint32_t out[3])
{
    for (size_t i = 0; i < count && table[i].code <= code; i++) {
        if (table[i].code != code) continue;
        size_t n = 0;
        for (; n < 3 && table[i].to[n] != 0; n++) out[n] = table[i].to[n];
        return n;
    }
    return 0;
}

size_t chord_char_upper_full(uint32_t code, uint32_t out[3])
{
    size_t n = code < 0x80 ? 0 : fold_long(chord_upper_long, chord_upper_long_count, code, out);
    if (n > 0) return n;
    out[0] = chord_char_upper(code);
    return 1;
}

size_t chord_char_title_full(uint32_t code, uint32_t out[3])
{
    size_t n = code < 0x80 ? 0 : fold_long(chord_title_long, chord_title_long_count, code, out);
    return n > 0 ? n : chord_char_upper_full(code, out);
}

bool chord_char_is_cased(uint32_t code)
{
    uint32_t upper[3];
    return chord_char_lower(code) != code || chord_char_upper_full(code, upper) > 1 || upper[0] != code;
}

static uint32_t next_number(const uint8_t **at)
{
    uint32_t number = 0;
    for (uint32_t shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        number |= (byte & 127u) << shift;
        if (byte < 128) return number;
    }
}

uint32_t chord_char_base(uint32_t code)
{
    if (code >= 0xAC00 && code <= 0xD7A3) return 0x1100 + (code - 0xAC00) / 588; /* Hangul's first letters */
    const uint8_t *at = code < 0xAC00 ? chord_unicode_bases_low : chord_unicode_bases_high;
    const uint8_t *end = at + (code < 0xAC00 ? chord_unicode_bases_low_bytes : chord_unicode_bases_high_bytes);
    uint32_t last = 0, base = 0;
    while (at < end && last < code) {
        uint32_t step = next_number(&at), gap = step & 1 ? next_number(&at) : 2, first = last + (gap >> 1);
        last = first + (gap & 1 ? next_number(&at) : 0);
        base += step & 2 ? 0u - ((step >> 2) + 1) : step >> 2;
        if (code >= first && code <= last) return base;
    }
    return code;
}

bool chord_char_is_control(uint32_t code)
{
    for (size_t i = 0; i < chord_unicode_controls_count; i++)
        if (code >= chord_unicode_controls[i][0] && code <= chord_unicode_controls[i][1]) return true;
    return false;
}

/* decimal_inner.h - a number as decimal digits, between decimal.c and format.c. */
#ifndef CHORD_DECIMAL_INNER_H
#define CHORD_DECIMAL_INNER_H

#include "base/base.h"

/* 0.DIGITS * 10^point, without zeros at either end; no digits: zero. */
typedef struct chord_decimal {
    uint32_t digits;
    int32_t point;
    uint8_t digit[1120];
} chord_decimal;

/* All digits of a finite magnitude >= 0. */
void chord_decimal_expand(double magnitude, chord_decimal *out);
/* Keeps that many digits, half to even; says whether the magnitude grew. */
bool chord_decimal_round(chord_decimal *d, int64_t keep);
/* The fewest digits that read back as this magnitude, the nearest among those. */
void chord_decimal_shortest(double magnitude, chord_decimal *out);

#endif

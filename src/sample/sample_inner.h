/* sample_inner.h - exp and log of our own: the same bits on every host, and no library. */
#ifndef CHORD_SAMPLE_INNER_H
#define CHORD_SAMPLE_INNER_H

#include "sample/sample.h"

/* e^x for x <= 0, within 1e-15 of its value; below -700: 0. */
double chord_exp_below(double x);
/* Natural logarithm of a positive normal number, within 1e-15 of its value (absolute where that is below 1). */
double chord_log(double x);
/* Sum of e^((values[i * stride] - best) * scale), in a fixed order; no value is above best. */
double chord_exp_sum(const float *values, size_t count, size_t stride, float best, double scale);
/* Sum of e^(values[i] - best) within 3e-7 of its value, four times as fast. */
double chord_exp_sum_f32(const float *values, size_t count, float best);
float chord_highest(const float *values, size_t count, size_t stride); /* count > 0 */

#endif

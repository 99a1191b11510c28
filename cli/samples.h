/* samples.h - what was measured several times. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <stdint.h>

double cli_mean(const double *samples, uint32_t count);      /* 0: of none */
double cli_deviation(const double *samples, uint32_t count); /* of a sample; 0: of one */

#endif

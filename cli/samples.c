/* samples.c - mean and deviation. */
#include "samples.h"

#include <math.h>

double cli_mean(const double *samples, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += samples[i];
    return count > 0 ? sum / count : 0;
}

double cli_deviation(const double *samples, uint32_t count)
{
    double mean = cli_mean(samples, count), sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += (samples[i] - mean) * (samples[i] - mean);
    return count > 1 ? sqrt(sum / (count - 1)) : 0;
}

/* sum.h - SHA-256 by libcrypto. */
#ifndef FETCH_SUM_H
#define FETCH_SUM_H

#include "inner.h"

typedef struct fetch_sum {
    const fetch_library *library;
    void *context;
} fetch_sum;

chord_status fetch_sum_start(fetch_sum *sum, const fetch *f, chord_error *err);
void fetch_sum_add(fetch_sum *sum, const void *bytes, size_t len);
void fetch_sum_end(fetch_sum *sum, char hex[65]);
void fetch_sum_close(fetch_sum *sum);

#endif

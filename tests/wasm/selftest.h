/* selftest.h - results of kernels as one number each, to be compared between hosts: the same source runs
 * natively and in wasm. */
#ifndef CHORD_SELFTEST_H
#define CHORD_SELFTEST_H

#include "base/base.h"

/* The name of case `index`, NULL past the last one. */
const char *selftest_name(uint32_t index);
/* xxHash64 of what the case computes with the best kernels this host has; 0 when memory was refused. reference: with
 * the specification's instead, which must give the same. */
uint64_t selftest_hash(uint32_t index, uint32_t reference);

#endif

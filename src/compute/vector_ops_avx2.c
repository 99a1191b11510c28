/* vector_ops_avx2.c - vector operations for AVX2 and F16C. */
#define SPELLING chord_vector_ops_avx2
#include "compute/vector_ops.inc"

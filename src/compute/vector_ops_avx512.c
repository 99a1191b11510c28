/* vector_ops_avx512.c - vector operations for AVX-512. */
#define SPELLING chord_vector_ops_avx512
#include "compute/vector_ops.inc"

/* vector_ops_avx512.c - vector operations for AVX-512. */
#if defined(__AVX512F__)
#define SPELLING chord_vector_ops_avx512
#include "compute/vector_ops.inc"
#else
typedef int chord_nothing_here; /* another architecture: an empty unit is not C */
#endif

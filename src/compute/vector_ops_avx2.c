/* vector_ops_avx2.c - vector operations for AVX2 and F16C. */
#if defined(__AVX2__)
#define SPELLING chord_vector_ops_avx2
#include "compute/vector_ops.inc"
#else
typedef int chord_nothing_here; /* another architecture: an empty unit is not C */
#endif

/* vector_ops_ref.c - vector operations for the plain target: SSE2, NEON, or wasm SIMD. */
#define SPELLING chord_vector_ops_ref
#include "compute/vector_ops.inc"

/* encode_avx2.c - rows of floats as blocks, with AVX2. */
#define CHORD_ISA avx2
#include "quant/encode_body.inc"

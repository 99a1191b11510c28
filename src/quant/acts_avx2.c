/* acts_avx2.c - activations prepared with AVX2. */
#include "quant/quant_inner.h"

#define CHORD_ISA avx2
#include "quant/acts_body.inc"

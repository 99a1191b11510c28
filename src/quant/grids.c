/* grids.c - the grids of the IQ formats, an entry in two bytes. */
#include "quant/grids.h"

#include "quant/grids.inc"

#define CODES(codes) codes,
const uint16_t chord_grid_iq2_xxs[256] = {CHORD_GRID_IQ2_XXS(CODES)};
const uint16_t chord_grid_iq2_xs[512] = {CHORD_GRID_IQ2_XS(CODES)};
const uint16_t chord_grid_iq2_s[1024] = {CHORD_GRID_IQ2_S(CODES)};
const uint16_t chord_grid_iq3_xxs[256] = {CHORD_GRID_IQ3_XXS(CODES)};
const uint16_t chord_grid_iq3_s[512] = {CHORD_GRID_IQ3_S(CODES)};
const uint16_t chord_grid_iq1[2048] = {CHORD_GRID_IQ1(CODES)};

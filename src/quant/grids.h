/* grids.h - the values that weights of the IQ formats may have, and the groups of them that a grid holds. They are part of
 * the formats' definition; only the packing is ours: an entry is the codes of its eight or four elements, first one
 * lowest. */
#ifndef CHORD_QUANT_GRIDS_H
#define CHORD_QUANT_GRIDS_H

#include <stdint.h>

/* Eight codes of two bits: 8, 25, 43. */
extern const uint16_t chord_grid_iq2_xxs[256], chord_grid_iq2_xs[512], chord_grid_iq2_s[1024];
/* Four codes of three bits: 4, 12, 20, 28, 36, 44, 52, 62, and the odd numbers to 15. */
extern const uint16_t chord_grid_iq3_xxs[256], chord_grid_iq3_s[512];
/* Eight codes of two bits: -1, 0, 1. */
extern const uint16_t chord_grid_iq1[2048];

#endif

/* quant_types.h - the tensor formats GGUF knows: ids, names and sizes. Ids as in ggml.h (ggml_type). */
#ifndef CHORD_QUANT_TYPES_H
#define CHORD_QUANT_TYPES_H

#include "base/base.h"

/*  id  name  elements per block  bytes per block. 4, 5, 31 to 33 and 36 to 38: of old files, no longer made. */
/* clang-format off */
#define CHORD_TYPE_MAP(X)                                                                          \
    X(0, F32, 1, 4) X(1, F16, 1, 2) X(2, Q4_0, 32, 18) X(3, Q4_1, 32, 20) X(4, Q4_2, 16, 10)       \
    X(5, Q4_3, 16, 12) X(6, Q5_0, 32, 22) X(7, Q5_1, 32, 24) X(8, Q8_0, 32, 34) X(9, Q8_1, 32, 36) \
    X(10, Q2_K, 256, 84) X(11, Q3_K, 256, 110) X(12, Q4_K, 256, 144) X(13, Q5_K, 256, 176)         \
    X(14, Q6_K, 256, 210) X(15, Q8_K, 256, 292) X(16, IQ2_XXS, 256, 66) X(17, IQ2_XS, 256, 74)     \
    X(18, IQ3_XXS, 256, 98) X(19, IQ1_S, 256, 50) X(20, IQ4_NL, 32, 18) X(21, IQ3_S, 256, 110)     \
    X(22, IQ2_S, 256, 82) X(23, IQ4_XS, 256, 136) X(24, I8, 1, 1) X(25, I16, 1, 2) X(26, I32, 1, 4) \
    X(27, I64, 1, 8) X(28, F64, 1, 8) X(29, IQ1_M, 256, 56) X(30, BF16, 1, 2)                      \
    X(31, Q4_0_4_4, 32, 18) X(32, Q4_0_4_8, 32, 18) X(33, Q4_0_8_8, 32, 18) X(34, TQ1_0, 256, 54)  \
    X(35, TQ2_0, 256, 66) X(36, IQ4_NL_4_4, 32, 18) X(37, IQ4_NL_4_8, 32, 18)                      \
    X(38, IQ4_NL_8_8, 32, 18) X(39, MXFP4, 32, 17) X(40, NVFP4, 64, 36) X(41, Q1_0, 128, 18)       \
    X(42, Q2_0, 64, 18)
/* clang-format on */

#define CHORD_TYPE_ENUM(id, name, elems, bytes) CHORD_TYPE_##name = id,
typedef enum chord_type { CHORD_TYPE_MAP(CHORD_TYPE_ENUM) CHORD_TYPE_ID_MAX = 64 } chord_type;
#undef CHORD_TYPE_ENUM

/* Over a format's id in a file: the tensor's whole panels are packed (quant.h), the rows behind them as ever. Ours alone,
 * so every other program refuses the tensor by its id instead of computing with it. */
#define CHORD_TYPE_PACKED 0x40000000u
/* Of the packed layout. What pack.c writes has changed: one more (tests/quant/test_packed_layout.c holds the bytes). */
#define CHORD_PACK_VERSION 1u

typedef struct chord_type_info {
    const char *name; /* as the field writes it: "Q4_K" */
    uint32_t block_elems, block_bytes;
} chord_type_info;
/* NULL for an id that is not a known format. */
const chord_type_info *chord_type_get(uint32_t id);

#endif

/* cpu_names.c - what users call the instruction sets that there are kernels for. */
#include "quant/quant.h"

/* X(name, what may be used, what makes it the fastest there is); fastest first. */
#define WASM_SIMD CHORD_CPU_WASM_SIMD
#define WASM_BEST (CHORD_CPU_WASM_SIMD | CHORD_CPU_WASM_RELAXED)
#define HOSTED (CHORD_CPU_HOST_ROWS | CHORD_CPU_BANK_ROWS)
/* clang-format off */
#define NAME_MAP(X)                                                                                            \
    X("avx512", CHORD_CPU_AVX2 | CHORD_CPU_AVX512, CHORD_CPU_AVX2 | CHORD_CPU_AVX512)                          \
    X("avx2", CHORD_CPU_AVX2, CHORD_CPU_AVX2)                                                                  \
    X("rows", WASM_BEST | HOSTED, CHORD_CPU_HOST_ROWS)                                                         \
    X("relaxed-simd", WASM_BEST, CHORD_CPU_WASM_RELAXED)                                                       \
    X("simd128", WASM_SIMD, WASM_SIMD)                                                                         \
    X("ref", CHORD_CPU_ANY, CHORD_CPU_ANY)
/* clang-format on */

typedef struct isa_name {
    const char *name;
    uint32_t mask, needs;
} isa_name;

#define NAME_ROW(name, mask, needs) {name, mask, needs},
static const isa_name isa_names[] = {NAME_MAP(NAME_ROW)};

bool chord_cpu_by_name(const char *name, uint32_t *mask)
{
    *mask = ~0u;
    if (name == NULL) return true;
    for (uint32_t i = 0; i < CHORD_COUNT(isa_names); i++)
        if (chord_text_equal(name, isa_names[i].name)) {
            *mask = isa_names[i].mask;
            return true;
        }
    return false;
}

const char *chord_cpu_name(uint32_t cpu)
{
    uint32_t i = 0;
    while ((isa_names[i].needs & ~cpu) != 0) i++; /* the last one needs nothing */
    return isa_names[i].name;
}

const char *chord_cpu_list(void)
{
#define NAME_TEXT(name, mask, needs) ", " name
    static const char list[] = NAME_MAP(NAME_TEXT);
    return list + 2;
}

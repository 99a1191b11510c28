/* The AVX-512 kernels on float rows, emulated as in test_avx512_emulated.c, against the specification. */
#if __has_include(<simde/x86/avx512.h>)
#include "avx512_emulated.h"
#include "quant_cases.h"

#include "../../src/quant/float_avx512.c"
#undef CHORD_FLOAT_KERNEL

#define CHORD_FLOAT_KERNEL(format, name, isa, cpu) \
    {CHORD_TYPE_##format, "avx512 emulated", cpu, chord_rows_##name##_emulated},

int main(void)
{
    static const chord_float_kernel kernels[] = {CHORD_FLOAT_FORMATS(CHORD_FLOAT_KERNEL, emulated, CHORD_CPU_AVX512)};
    const uint32_t lengths[] = {1, 15, 16, 31, 100, 1024}, rows = 5, tokens = 9;
    for (uint32_t k = 0; k < CHORD_COUNT(kernels); k++)
        for (uint32_t i = 0; i < CHORD_COUNT(lengths); i++) {
            format_case of, *f = &of;
            CHECK(case_of((uint32_t)kernels[k].type, f));
            const chord_format_ops *format = chord_format_get(f->type);
            uint32_t n = lengths[i], row_bytes = n * chord_type_get((uint32_t)f->type)->block_bytes;
            uint8_t *w = make_weights(f, n, rows, W_RANDOM);
            float *x = make_activations(n, tokens, X_RANDOM), out[5 * 9];
            kernels[k].rows(w, n, rows, x, tokens, out, rows);
            for (uint32_t t = 0; t < tokens; t++)
                for (uint32_t r = 0; r < rows; r++) {
                    float want = chord_ref_dot_float(format, w + r * row_bytes, n, x + t * n);
                    CHECK(memcmp(&want, &out[t * rows + r], sizeof want) == 0);
                }
            free_odd(w);
            free(x);
        }
    return check_done();
}
#else
#include <stdio.h>
int main(void)
{
    printf("skipped: SIMDe's headers (libsimde-dev) are not installed, the AVX-512 kernels cannot be emulated\n");
    return 77;
}
#endif

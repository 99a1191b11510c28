/* The AVX-512 kernels on any CPU: their source once more, on SIMDe's spelling of the intrinsics in plain C, against the
 * specification. Skipped where SIMDe's headers (Debian: libsimde-dev) are not installed. */
#if __has_include(<simde/x86/avx512.h>)
#include "avx512_emulated.h"
#include "quant_cases.h"

#include "../../src/quant/packed_avx512.c"
#undef CHORD_PANEL_KERNEL

#define CHORD_PANEL_KERNEL(format, name, isa, cpu) \
    {CHORD_TYPE_##format, "avx512 emulated", cpu, chord_few_##name##_emulated, chord_many_##name##_emulated},

int main(void)
{
    static const chord_panel_kernel kernels[] = {CHORD_PANELS_avx512(CHORD_PANEL_KERNEL, emulated, CHORD_CPU_AVX512)};
    for (uint32_t k = 0; k < CHORD_COUNT(kernels); k++) check_panel_kernel_everywhere(&kernels[k]);
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

/* cpu.c - what this CPU and system allow; the floating-point mode. */
#include "base/system_inner.h"
#if defined(CHORD_FREESTANDING)
#include "chord_host_v1.h"
#endif

#if defined(__x86_64__)

typedef struct cpuid_words {
    uint32_t a, b, c, d;
} cpuid_words;

static cpuid_words cpuid(uint32_t leaf, uint32_t subleaf)
{
    cpuid_words w;
    __asm__ __volatile__("cpuid" : "=a"(w.a), "=b"(w.b), "=c"(w.c), "=d"(w.d) : "a"(leaf), "c"(subleaf));
    return w;
}

/* Register files the system saves on a switch (XCR0). */
static uint32_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

uint32_t chord_cpu_features(void)
{
    enum { OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };                      /* 1.ecx */
    enum { AVX2 = 1 << 5, BMI2 = 1 << 8, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30 }; /* 7.ebx */
    enum { VBMI = 1 << 1, VNNI = 1 << 11 };                                         /* 7.ecx */
    const uint32_t vl = 1u << 31, ymm = 0x06, zmm = 0xE6;
    uint32_t found = CHORD_CPU_ANY;
    if (cpuid(0, 0).a < 7) return found;
    cpuid_words one = cpuid(1, 0), seven = cpuid(7, 0);
    if (!has(one.c, OSXSAVE | AVX | F16C)) return found;
    uint32_t saved = saved_registers();
    if (!has(saved, ymm) || !has(seven.b, AVX2 | BMI2)) return found;
    found |= CHORD_CPU_AVX2;
    if (has(saved, zmm) && has(seven.b, F | DQ | BW | vl) && has(seven.c, VBMI | VNNI)) found |= CHORD_CPU_AVX512;
    return found;
}

/* MXCSR: rounding control (0x6000), flush to zero (0x8000), denormals are zero (0x0040). */
uint32_t chord_float_enter(void)
{
    uint32_t saved = __builtin_ia32_stmxcsr();
    uint32_t wanted = saved & ~0xE040u;
    if (wanted != saved) __builtin_ia32_ldmxcsr(wanted);
    return saved;
}

void chord_float_leave(uint32_t saved)
{
    /* The sticky exception flags of the caller are not worth keeping apart. */
    if ((saved & 0xE040u) != 0) __builtin_ia32_ldmxcsr(saved);
}

#elif defined(__aarch64__)

uint32_t chord_cpu_features(void)
{
    const uint64_t dot = 1u << 20; /* HWCAP_ASIMDDP; NEON itself is in all of them */
    return CHORD_CPU_NEON | ((chord_cpu_hwcap() & dot) != 0 ? CHORD_CPU_NEON_DOT : 0);
}

/* FPCR: rounding mode (bits 22-23), flush to zero (24), FZ16 (19). */
uint32_t chord_float_enter(void)
{
    uint64_t saved;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved));
    uint64_t wanted = saved & ~0x1C80000ull;
    if (wanted != saved) __asm__ __volatile__("msr fpcr, %0" : : "r"(wanted));
    return (uint32_t)saved;
}

void chord_float_leave(uint32_t saved)
{
    uint64_t value = saved;
    if ((saved & 0x1C80000u) != 0) __asm__ __volatile__("msr fpcr, %0" : : "r"(value));
}

#else

uint32_t chord_cpu_features(void)
{
    uint32_t found = CHORD_CPU_ANY;
#if defined(__wasm_simd128__)
    found |= CHORD_CPU_WASM_SIMD; /* a module that holds SIMD does not load elsewhere */
#endif
#if defined(__wasm_relaxed_simd__)
    found |= CHORD_CPU_WASM_RELAXED;
#endif
#if defined(CHORD_FREESTANDING)
    int32_t rows = chord_host_rows_offered();
    if (rows != CHORD_HOST_ROWS_NONE) found |= CHORD_CPU_HOST_ROWS;
    if (rows == CHORD_HOST_ROWS_AND_BANKS) found |= CHORD_CPU_BANK_ROWS;
#endif
    return found;
}

uint32_t chord_float_enter(void) { return 0; }
void chord_float_leave(uint32_t saved) { (void)saved; }

#endif

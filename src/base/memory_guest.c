/* memory_guest.c - the freestanding face: small blocks from linear memory (linear_wasm.c), and the words C
 * leaves to a library. */
#include "base/system_inner.h"

extern unsigned char __heap_base; /* where the linker's data and stack end */

void *chord_system_block_get(uint64_t bytes) { return chord_linear_get(bytes, 64, false); }
void chord_system_block_free(void *block, uint64_t bytes) { chord_linear_free(block, bytes); }

/* Linear memory never shrinks, but free blocks are used again. */
uint64_t chord_process_bytes(void) { return (uintptr_t)&__heap_base + chord_linear_taken_bytes(); }

/* ---- the words C leaves to a library ---------------------------------------------------------- */

#if defined(__wasm_bulk_memory__)
/* These become one instruction each. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n) { return __builtin_memcpy(dst, src, n); }
void *memmove(void *dst, const void *src, size_t n) { return __builtin_memmove(dst, src, n); }
void *memset(void *dst, int value, size_t n) { return __builtin_memset(dst, value, n); }
#else
/* no_builtin: the compiler must not turn these loops into calls of themselves. */
__attribute__((no_builtin)) void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    unsigned char *d = dst;
    const unsigned char *s = src;
    for (size_t i = 0; i < n; i++) d[i] = s[i];
    return dst;
}

__attribute__((no_builtin)) void *memmove(void *dst, const void *src, size_t n)
{
    unsigned char *d = dst;
    const unsigned char *s = src;
    if ((uintptr_t)dst <= (uintptr_t)src)
        for (size_t i = 0; i < n; i++) d[i] = s[i];
    else
        for (size_t i = n; i-- > 0;) d[i] = s[i];
    return dst;
}

__attribute__((no_builtin)) void *memset(void *dst, int value, size_t n)
{
    unsigned char *d = dst;
    for (size_t i = 0; i < n; i++) d[i] = (unsigned char)value;
    return dst;
}
#endif

__attribute__((no_builtin)) int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    size_t i = 0;
    while (i + 8 <= n && chord_load_u64(x + i) == chord_load_u64(y + i)) i += 8;
    for (; i < n; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

__attribute__((no_builtin)) size_t strlen(const char *text)
{
    size_t n = 0;
    while (text[n] != '\0') n++;
    return n;
}

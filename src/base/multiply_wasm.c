/* multiply_wasm.c - the one function the compiler expects of its own run-time library: a checked 64-bit multiplication
 * becomes a product of 128 bits, which wasm cannot make in one instruction. */
#include "base/base.h"

typedef unsigned __int128 wide;
wide __multi3(wide a, wide b);

wide __multi3(wide a, wide b)
{
    uint64_t a_low = (uint64_t)a, b_low = (uint64_t)b;
    uint64_t a0 = a_low & 0xffffffffu, a1 = a_low >> 32, b0 = b_low & 0xffffffffu, b1 = b_low >> 32;
    uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + (middle & 0xffffffffu);
    uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32);
    high += (uint64_t)(a >> 64) * b_low + a_low * (uint64_t)(b >> 64);
    return (wide)high << 64 | (other << 32 | (low & 0xffffffffu));
}

/* encode.c - rows of floats as blocks. The bytes are those of the reference runtime. */
#define CHORD_ISA any
#include "quant/encode_body.inc"

static const chord_encoder *encoder_of(chord_type type, uint32_t cpu)
{
#if defined(__x86_64__)
    if (cpu & CHORD_CPU_AVX2) return chord_encoder_avx2(type);
#endif
    (void)cpu;
    return chord_encoder_any(type);
}

static bool is_float(chord_type type)
{
    return type == CHORD_TYPE_F32 || type == CHORD_TYPE_F16 || type == CHORD_TYPE_BF16;
}

bool chord_encodes(chord_type type) { return is_float(type) || chord_encoder_any(type) != NULL; }

/* No NaN, no infinity. */
static bool are_numbers(const float *x, uint64_t n)
{
    uint32_t most = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    return most < 0x7f800000;
}

static bool encode_floats(chord_type type, const float *x, uint64_t n, uint8_t *out)
{
    uint32_t beyond = 0;
    if (type == CHORD_TYPE_F32) memcpy(out, x, n * sizeof *x);
    else
        for (uint64_t i = 0; i < n; i++) {
            uint16_t half = type == CHORD_TYPE_F16 ? chord_f32_to_f16(x[i]) : chord_f32_to_bf16(x[i]);
            uint32_t most = type == CHORD_TYPE_F16 ? 0x7c00u : 0x7f80u;
            beyond |= (half & most) == most;
            memcpy(out + 2 * i, &half, sizeof half);
        }
    return beyond == 0;
}

/* values: (run) for each lane, in the order of the row. */
static void put_lanes(float lanes[][CHORD_ENCODE_LANES], const float *values, uint32_t run, uint32_t count)
{
    for (uint32_t lane = 0; lane < count; lane++)
        for (uint32_t i = 0; i < run; i++) lanes[i][lane] = values[lane * run + i];
}

bool chord_encode_row(chord_type type, const float *x, uint64_t n, const float *importance, uint8_t *out, uint32_t cpu)
{
    if (!are_numbers(x, n)) return false;
    if (is_float(type)) return encode_floats(type, x, n, out);
    const chord_encoder *encoder = encoder_of(type, cpu);
    const chord_type_info *info = chord_type_get((uint32_t)type);
    chord_encode_lanes l = {.run = encoder->run, .weighed = importance != NULL};
    uint64_t group = (uint64_t)CHORD_ENCODE_LANES * encoder->run;
    group = group / info->block_elems * info->block_elems;
    for (uint64_t i = 0; importance != NULL && i < n; i++) l.mean_square += x[i] * x[i];
    l.mean_square /= (float)n;
    for (uint64_t first = 0; first < n; first += group) {
        uint64_t columns = chord_min_u64(group, n - first);
        if (columns < group) memset(l.x, 0, sizeof l.x), memset(l.w, 0, sizeof l.w);
        l.count = (uint32_t)(columns / l.run);
        put_lanes(l.x, x + first, l.run, l.count);
        if (importance != NULL) put_lanes(l.w, importance + first, l.run, l.count);
        if (!encoder->blocks(&l, out + first / info->block_elems * info->block_bytes)) return false;
    }
    return true;
}

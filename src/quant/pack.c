/* pack.c - rows to panels and back. A packed panel is a sequence of block columns; in each, every field of the block
 * stands for sixteen rows at once, first all rows' first dword, then all rows' second ... so that one vector load is
 * the same dword of sixteen (or eight, or four) rows. f16 fields come first, as sixteen halves. Nothing changes but the
 * order of the bytes, with two exceptions:
 * - The 32 high bits of Q5_0 and Q5_1 are rearranged: bit 8 b + s of the dword belongs to element 4 s + b, so that
 *   (dword >> s) & 0x01010101 is the high bits of the four elements of step s.
 * - Q6_K's four weights of a byte position in 128 columns, whose low and high bits share two nibble bytes and a byte of
 *   high bits, become three whole ones below two bits each of the fourth: taking them apart again is half the work.
 *
 * The vectors are the compiler's (16 bytes), so this is one source for every instruction set. */
#include "quant/panels.h"

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t u32x4 __attribute__((vector_size(16)));

/* The fields as a table, ended by a unit of 0; NULL: a format without a packed layout. */
static const chord_field *fields_of(chord_type type)
{
#define FIELD_ROW(...) {__VA_ARGS__},
#define FIELD_TABLE(format, name, isa, cpu) \
    static const chord_field fields_##name[] = {CHORD_FIELDS_##format(FIELD_ROW){0, 0, 0, 0, 0}};
#define FIELD_CASE(format, name, isa, cpu) \
    case CHORD_TYPE_##format: return fields_##name;
    CHORD_PANELS(FIELD_TABLE, , )
    switch ((int)type) {
        CHORD_PANELS(FIELD_CASE, , )
    default: return NULL;
    }
}

INLINE u32x4 load4(const uint8_t *p)
{
    u32x4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store4(uint8_t *p, u32x4 v) { memcpy(p, &v, sizeof v); }

/* Exchanges the bits under mask with those `shift` above. */
INLINE u32x4 swap_bits(u32x4 v, uint32_t mask, uint32_t shift)
{
    u32x4 changed = (v >> shift ^ v) & mask;
    return v ^ changed ^ changed << shift;
}

/* Bit 4 s + b -> 8 b + s: the five bits of the position turn by two, which takes four exchanges (0 1, 0 2, 1 3, 2 4).
 */
INLINE u32x4 high_bits_to_steps(u32x4 v)
{
    v = swap_bits(v, 0x22222222u, 1);
    v = swap_bits(v, 0x0a0a0a0au, 3);
    v = swap_bits(v, 0x00cc00ccu, 6);
    return swap_bits(v, 0x0000f0f0u, 12);
}

INLINE u32x4 steps_to_high_bits(u32x4 v)
{
    v = swap_bits(v, 0x0000f0f0u, 12);
    v = swap_bits(v, 0x00cc00ccu, 6);
    v = swap_bits(v, 0x0a0a0a0au, 3);
    return swap_bits(v, 0x22222222u, 1);
}

/* Q6_K, four weights at each byte: v[0] and v[1] have the low four bits of the first and second, and above them those
 * of the third and fourth; v[2] has the high two bits of all, the first one's lowest. */
INLINE void q6_to_runs(u32x4 v[3])
{
    u32x4 low = v[0], low1 = v[1], high = v[2];
    v[0] = (low & 0x0f0f0f0fu) | (high << 4 & 0x30303030u) | (low1 << 2 & 0xc0c0c0c0u);
    v[1] = (low1 & 0xcfcfcfcfu) | (high << 2 & 0x30303030u);
    v[2] = (low >> 4 & 0x0f0f0f0fu) | (high & 0xf0f0f0f0u);
}

INLINE void runs_to_q6(u32x4 v[3])
{
    u32x4 a = v[0], b = v[1], c = v[2];
    v[0] = (a & 0x0f0f0f0fu) | (c << 4 & 0xf0f0f0f0u);
    v[1] = (b & 0xcfcfcfcfu) | (a >> 2 & 0x30303030u);
    v[2] = (a >> 4 & 0x03030303u) | (b >> 2 & 0x0c0c0c0cu) | (c & 0xf0f0f0f0u);
}

/* Four dwords of four rows each, dword by dword. */
INLINE void transpose_dwords(const uint8_t *const rows[4], uint64_t offset, u32x4 out[4])
{
    u32x4 a = load4(rows[0] + offset), b = load4(rows[1] + offset);
    u32x4 c = load4(rows[2] + offset), d = load4(rows[3] + offset);
    u32x4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    out[0] = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    out[1] = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    ab = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    out[2] = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    out[3] = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

INLINE void pack_dwords(const uint8_t *const rows[4], uint64_t offset, uint8_t *dst, uint64_t step_bytes)
{
    u32x4 v[4];
    transpose_dwords(rows, offset, v);
    for (uint32_t k = 0; k < 4; k++) store4(dst + k * step_bytes, v[k]);
}

#define Q6_SLOT 18u  /* the first of the steps' dwords */
#define Q6_STEPS 16u /* three dwords each */

/* Q6_K's weights of one block, rows 4 quad .. 4 quad + 3. */
INLINE void pack_q6_weights(const uint8_t *const rows[4], uint64_t block, uint8_t *dst, uint32_t quad)
{
    for (uint32_t i = 0; i < Q6_STEPS; i += 4) {
        uint64_t low = block + 64 * (i / 8) + 4 * (i % 8);
        u32x4 v[3][4];
        transpose_dwords(rows, low, v[0]);
        transpose_dwords(rows, low + 32, v[1]);
        transpose_dwords(rows, block + 128 + 4 * i, v[2]);
        for (uint32_t k = 0; k < 4; k++) {
            uint8_t *at = dst + 16 * (Q6_SLOT + 12 * (i + k)) + 16 * quad;
            u32x4 step[3] = {v[0][k], v[1][k], v[2][k]};
            q6_to_runs(step);
            for (uint32_t part = 0; part < 3; part++) store4(at + 64 * part, step[part]);
        }
    }
}

INLINE void gather_dword(const uint8_t *const rows[4], uint64_t offset, uint8_t *dst, bool high_bits)
{
    u32x4 v = {chord_load_u32(rows[0] + offset), chord_load_u32(rows[1] + offset), chord_load_u32(rows[2] + offset),
               chord_load_u32(rows[3] + offset)};
    store4(dst, high_bits ? high_bits_to_steps(v) : v);
}

/* One field of one block, four rows: lanes 4 quad .. 4 quad + 3. */
INLINE void pack_field(chord_field f, const uint8_t *const rows[4], uint64_t block, uint8_t *dst, uint32_t quad)
{
    uint64_t from = block + f.from;
    if (f.unit <= 2) {
        for (uint32_t k = 0; k < f.count; k++)
            for (uint32_t r = 0; r < 4; r++)
                memcpy(dst + 16 * (f.slot + f.unit * k) + f.unit * (4 * quad + r), rows[r] + from + f.unit * k, f.unit);
        return;
    }
    if (f.unit == 6) return; /* pack_q6_weights */
    uint64_t step = 16ull * f.step;
    uint8_t *out = dst + 16 * f.slot + 16 * quad;
    if (f.count < 4) {
        for (uint32_t k = 0; k < f.count; k++) gather_dword(rows, from + 4 * k, out + k * step, f.unit == 5);
        return;
    }
    for (uint32_t k = 0; k + 4 <= f.count; k += 4) pack_dwords(rows, from + 4 * k, out + k * step, step);
    uint32_t last = f.count - 4u; /* the last four once more, where the count is no multiple of four */
    if (f.count % 4 != 0) pack_dwords(rows, from + 4 * last, out + last * step, step);
}

/* One function for each format, its fields known to the compiler. */
#define PACK_FIELD(...) pack_field((chord_field){__VA_ARGS__}, lanes + 4 * quad, from, dst, quad);
#define BLOCK_BYTES(format) CHORD_TRAITS_##format.block_bytes
#define PACK_BLOCKS(format, name, isa, cpu)                                                                     \
    static void pack_##name(const uint8_t *const lanes[16], uint32_t blocks, uint8_t *dst)                      \
    {                                                                                                           \
        for (uint32_t b = 0; b < blocks; b++, dst += 16 * BLOCK_BYTES(format))                                  \
            for (uint32_t quad = 0; quad < 4; quad++) {                                                         \
                uint64_t from = b * BLOCK_BYTES(format);                                                        \
                {                                                                                               \
                    CHORD_FIELDS_##format(PACK_FIELD)                                                           \
                }                                                                                               \
                if (CHORD_TYPE_##format == CHORD_TYPE_Q6_K) pack_q6_weights(lanes + 4 * quad, from, dst, quad); \
            }                                                                                                   \
    }
CHORD_PANELS(PACK_BLOCKS, , )

/* A format without fields: the sixteen blocks of a column follow each other. */
static void pack_whole(const uint8_t *const lanes[16], uint32_t blocks, uint64_t block_bytes, uint8_t *dst)
{
    for (uint64_t b = 0; b < blocks; b++)
        for (uint32_t r = 0; r < CHORD_PANEL_ROWS; r++, dst += block_bytes)
            memcpy(dst, lanes[r] + b * block_bytes, block_bytes);
}

void chord_pack_slice(chord_type type, const uint8_t *src, uint64_t row_bytes, uint32_t rows, uint32_t first_block,
                      uint32_t blocks, uint8_t *dst)
{
    uint64_t block_bytes = chord_type_get(type)->block_bytes;
    const uint8_t *lanes[CHORD_PANEL_ROWS];
    for (uint32_t r = 0; r < CHORD_PANEL_ROWS; r++)
        lanes[r] = src + (r < rows ? r : rows - 1) * row_bytes + first_block * block_bytes;
    switch ((int)type) {
#define PACK_CASE(format, name, isa, cpu) \
    case CHORD_TYPE_##format: pack_##name(lanes, blocks, dst); break;
        CHORD_PANELS(PACK_CASE, , )
    default: pack_whole(lanes, blocks, block_bytes, dst);
    }
}

/* A block whose fields were gathered from a packed column. */
static void q6_row_from_runs(uint8_t *block)
{
    for (uint32_t i = 0; i < Q6_STEPS; i++) {
        uint8_t *low = block + 64 * (i / 8) + 4 * (i % 8), *low1 = low + 32, *high = block + 128 + 4 * i;
        u32x4 v[3] = {{chord_load_u32(low)}, {chord_load_u32(low1)}, {chord_load_u32(high)}};
        runs_to_q6(v);
        memcpy(low, &v[0], 4);
        memcpy(low1, &v[1], 4);
        memcpy(high, &v[2], 4);
    }
}

/* One block of a packed column whose fields are known. */
static void gather_block(const chord_field *f, const uint8_t *column, uint32_t lane, uint8_t *block)
{
    for (; f->unit != 0; f++) {
        uint32_t size = f->unit <= 2 ? f->unit : 4;
        for (uint32_t k = 0; k < f->count; k++) {
            uint8_t *to = block + f->from + size * k;
            memcpy(to, column + 16 * (f->slot + f->step * k) + size * lane, size);
            if (f->unit == 5) {
                u32x4 v = steps_to_high_bits((u32x4){chord_load_u32(to)});
                memcpy(to, &v, 4);
            }
        }
    }
}

bool chord_rows_have_panels(chord_type type) { return fields_of(type) != NULL; }

void chord_unpack_row(chord_type type, const uint8_t *panel, uint32_t blocks, uint32_t lane, uint8_t *row)
{
    uint64_t block_bytes = chord_type_get(type)->block_bytes;
    const chord_field *fields = fields_of(type);
    for (uint32_t b = 0; b < blocks; b++, row += block_bytes, panel += CHORD_PANEL_ROWS * block_bytes) {
        if (fields == NULL) memcpy(row, panel + lane * block_bytes, block_bytes);
        else gather_block(fields, panel, lane, row);
        if (type == CHORD_TYPE_Q6_K) q6_row_from_runs(row);
    }
}

void chord_rows_pack(chord_type type, const uint8_t *src, uint8_t *dst, uint32_t n, uint32_t rows, void *scratch)
{
    const chord_type_info *info = chord_type_get(type);
    uint32_t blocks = n / info->block_elems, whole = rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS;
    uint64_t row_bytes = (uint64_t)blocks * info->block_bytes, panel_bytes = CHORD_PANEL_ROWS * row_bytes;
    for (uint32_t r = 0; r < whole; r += CHORD_PANEL_ROWS, src += panel_bytes, dst += panel_bytes) {
        /* The copy also makes sixteen streams from memory one. */
        memcpy(scratch, src, panel_bytes);
        chord_pack_slice(type, scratch, row_bytes, CHORD_PANEL_ROWS, 0, blocks, dst);
    }
    if (src != dst) memmove(dst, src, (rows - whole) * row_bytes);
}

/* pack.c - rows to panels and back. A packed panel is a sequence of block columns; in each, every field of the block
 * stands for sixteen rows at once, first all rows' first dword, then all rows' second ... so that one vector load is
 * the same dword of sixteen (or eight, or four) rows. f16 fields come first, as sixteen halves. Nothing changes but the
 * order of the bytes, with two exceptions:
 * - The 32 high bits of Q5_0 and Q5_1 are rearranged: bit 8 b + s of the dword belongs to element 4 s + b, so that
 *   (dword >> s) & 0x01010101 is the high bits of the four elements of step s.
 * - Q6_K's four weights of a byte position in 128 columns, whose low and high bits share two nibble bytes and a byte of
 *   high bits, become three whole ones below two bits each of the fourth: taking them apart again is half the work.
 *
 * The vectors are the compiler's: pack_body.inc is one source for every instruction set. */
#include "quant/panels.h"

#define INLINE static inline __attribute__((always_inline))

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

/* `count` fields of one or two bytes of each row, row by row. */
INLINE void pack_small(const uint8_t *const rows[4], uint64_t from, uint32_t unit, uint32_t count, uint8_t *out)
{
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t r = 0; r < 4; r++) memcpy(out + unit * (16 * k + r), rows[r] + from + unit * k, unit);
}

#define CHORD_ISA any
#define PACK_LANES 4
#include "quant/pack_body.inc"

INLINE u32x4 steps_to_high_bits(u32x4 v)
{
    v = swap_bits(v, 0x0000f0f0u, 12);
    v = swap_bits(v, 0x00cc00ccu, 6);
    v = swap_bits(v, 0x0a0a0a0au, 3);
    return swap_bits(v, 0x22222222u, 1);
}

INLINE void runs_to_q6(u32x4 v[3])
{
    u32x4 a = v[0], b = v[1], c = v[2];
    v[0] = (a & 0x0f0f0f0fu) | (c << 4 & 0xf0f0f0f0u);
    v[1] = (b & 0xcfcfcfcfu) | (a >> 2 & 0x30303030u);
    v[2] = (a >> 4 & 0x03030303u) | (b >> 2 & 0x0c0c0c0cu) | (c & 0xf0f0f0f0u);
}

/* A format without fields: the sixteen blocks of a column follow each other. */
static void pack_whole(const uint8_t *const lanes[16], uint32_t blocks, uint64_t block_bytes, uint8_t *dst)
{
    for (uint64_t b = 0; b < blocks; b++)
        for (uint32_t r = 0; r < CHORD_PANEL_ROWS; r++, dst += block_bytes)
            memcpy(dst, lanes[r] + b * block_bytes, block_bytes);
}

void chord_pack_slice(chord_type type, const uint8_t *src, uint64_t row_bytes, uint32_t rows, uint32_t first_block,
                      uint32_t blocks, uint8_t *dst, uint32_t cpu)
{
    uint64_t block_bytes = chord_type_get(type)->block_bytes;
    const uint8_t *lanes[CHORD_PANEL_ROWS];
    for (uint32_t r = 0; r < CHORD_PANEL_ROWS; r++)
        lanes[r] = src + (r < rows ? r : rows - 1) * row_bytes + first_block * block_bytes;
#if defined(__x86_64__)
    if ((cpu & CHORD_CPU_AVX2) != 0 && chord_pack_columns_avx2(type, lanes, blocks, dst)) return;
#else
    (void)cpu;
#endif
    if (!chord_pack_columns_any(type, lanes, blocks, dst)) pack_whole(lanes, blocks, block_bytes, dst);
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

void chord_rows_pack(chord_type type, const uint8_t *src, uint8_t *dst, uint32_t n, uint32_t rows, void *scratch,
                     uint32_t cpu)
{
    const chord_type_info *info = chord_type_get(type);
    uint32_t blocks = n / info->block_elems, whole = rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS;
    uint64_t row_bytes = (uint64_t)blocks * info->block_bytes, panel_bytes = CHORD_PANEL_ROWS * row_bytes;
    for (uint32_t r = 0; r < whole; r += CHORD_PANEL_ROWS, src += panel_bytes, dst += panel_bytes) {
        /* The copy also makes sixteen streams from memory one. */
        memcpy(scratch, src, panel_bytes);
        chord_pack_slice(type, scratch, row_bytes, CHORD_PANEL_ROWS, 0, blocks, dst, cpu);
    }
    if (src != dst) memmove(dst, src, (rows - whole) * row_bytes);
}

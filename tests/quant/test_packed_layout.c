/* The packed layout is a file format (`chord pack`): its bytes are pinned for each format. Who changes them gives it another
 * number, CHORD_PACK_VERSION, and pins the new bytes here; files of the old one are then refused. */
#include "quant_cases.h"

#define PINNED_VERSION 1u
#define ROWS 35u /* two panels and a tail */
#define BLOCKS 3u

static const struct {
    chord_type type;
    uint64_t hash;
} PINNED[] = {
    {CHORD_TYPE_Q4_0, 0x7901280aeaa06ce5u},   {CHORD_TYPE_Q4_1, 0xcfc10ebf0d1cd700u},
    {CHORD_TYPE_Q5_0, 0x4da2ec4606044bb2u},   {CHORD_TYPE_Q5_1, 0xaf03d5495a7348d1u},
    {CHORD_TYPE_Q8_0, 0x2cdaef8cc173e80au},   {CHORD_TYPE_Q2_K, 0xc9d0d608cd6c023bu},
    {CHORD_TYPE_Q3_K, 0x2b1edd97f192860bu},   {CHORD_TYPE_Q4_K, 0x8583690f92c587a6u},
    {CHORD_TYPE_Q5_K, 0x1ab508c3ec9bc2c4u},   {CHORD_TYPE_Q6_K, 0x0c63d51963a150a9u},
    {CHORD_TYPE_IQ4_NL, 0x7901280aeaa06ce5u}, {CHORD_TYPE_IQ4_XS, 0x02d9b8e70492ea6du},
    {CHORD_TYPE_MXFP4, 0x89e6a2a1713ff0c5u},
};

static uint8_t rows[ROWS * BLOCKS * 256], packed[sizeof rows], back[BLOCKS * 256], scratch[16 * BLOCKS * 256];

static void check_back(chord_type type, uint64_t row_bytes)
{
    for (uint32_t r = 0; r < ROWS; r++) {
        const uint8_t *from = packed + r * row_bytes;
        if (r < ROWS / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS) {
            uint32_t lane = r % CHORD_PANEL_ROWS;
            chord_unpack_row(type, packed + (r - lane) * row_bytes, BLOCKS, lane, back);
            from = back;
        }
        CHECK_SAY(memcmp(from, rows + r * row_bytes, row_bytes) == 0, "%s: row %u", chord_type_get(type)->name, r);
    }
}

static void check_format(chord_type type, uint64_t pinned, uint32_t cpu)
{
    const chord_type_info *info = chord_type_get(type);
    uint64_t row_bytes = (uint64_t)BLOCKS * info->block_bytes;
    random_state = 88172645463325252ull;
    for (size_t i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)random_u32();
    memset(packed, 0, sizeof packed);
    chord_rows_pack(type, rows, packed, BLOCKS * info->block_elems, ROWS, scratch, cpu);
    uint64_t hash = chord_hash_of(packed, ROWS * row_bytes);
    CHECK_SAY(hash == pinned, "%s: the packed bytes hash to 0x%016llx: another layout is another CHORD_PACK_VERSION",
              info->name, (unsigned long long)hash);
    check_back(type, row_bytes);
}

int main(void)
{
    uint32_t with_panels = 0;
    for (uint32_t type = 0; type < CHORD_TYPE_ID_MAX; type++) with_panels += chord_rows_have_panels((chord_type)type);
    CHECK(with_panels == CHORD_COUNT(PINNED));
    CHECK(!chord_rows_have_panels(CHORD_TYPE_F16));
    CHECK(CHORD_PACK_VERSION == PINNED_VERSION);
    for (size_t i = 0; i < CHORD_COUNT(PINNED); i++) {
        check_format(PINNED[i].type, PINNED[i].hash, CHORD_CPU_ANY);
        check_format(PINNED[i].type, PINNED[i].hash, chord_cpu_features());
    }
    return check_done();
}

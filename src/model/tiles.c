/* tiles.c - the weights of a pass cut into tiles, in the order in which the pass uses them. How large depends on the
 * budget. */
#include "model/model_inner.h"

#define TILE_BYTES_MAX (8 * CHORD_MIB)
#define TILE_BYTES_READ (2 * CHORD_MIB) /* larger ones are read no faster */
#define TILE_BYTES_MIN (64 * 1024ull)
#define TILES_MAX (1u << 24)

/* Large tiles read well, small ones leave more of a small budget to pins: a sixty-fourth of the budget, within limits.
 * Where the ring is next to nothing of the budget, larger ones still: threads meet at the end of each. */
static uint64_t tile_bytes_for(uint64_t budget_bytes)
{
    uint64_t bytes = chord_min_u64(budget_bytes / 64, chord_max_u64(TILE_BYTES_READ, budget_bytes / 512));
    return chord_min_u64(chord_max_u64(bytes, TILE_BYTES_MIN), TILE_BYTES_MAX);
}

/* Whole panels, and an even share of panels for up to four workers where the tile is large enough. */
static uint32_t rows_for(uint64_t row_bytes, uint64_t tile_bytes, uint64_t rows)
{
    uint64_t fit = chord_max_u64(tile_bytes / row_bytes, 1);
    uint64_t unit = fit >= 4 * CHORD_PANEL_ROWS ? 4 * CHORD_PANEL_ROWS : CHORD_PANEL_ROWS;
    return (uint32_t)chord_min_u64(chord_max_u64(fit / unit * unit, unit), rows);
}

/* Slots of the ring are as large as the largest tile, so where weights stream the output is cut no coarser than the largest
 * of the others. In memory it is cut as it comes: threads meet at the end of each tile. */
static uint64_t output_tile_bytes(const chord_blueprint *p, uint64_t tile_bytes, uint64_t budget_bytes)
{
    uint64_t largest = 0;
    if (budget_bytes > p->weight_bytes) return tile_bytes;
    for (uint32_t i = 0; i < p->order_count; i++) {
        uint64_t row_bytes = p->order[i]->tensor->row_bytes;
        uint64_t bytes = rows_for(row_bytes, tile_bytes, p->order[i]->rows) * row_bytes;
        if (p->order[i] != &p->output) largest = chord_max_u64(largest, bytes);
    }
    return largest != 0 ? chord_min_u64(largest, tile_bytes) : tile_bytes;
}

bool chord_weight_has_panels(const chord_tensor *t, uint64_t row_first, uint64_t rows)
{
    uint64_t end = row_first + rows;
    return row_first % CHORD_PANEL_ROWS == 0 && (end % CHORD_PANEL_ROWS == 0 || end == t->rows);
}

static chord_tile tile_of(const chord_weight *w, uint32_t i)
{
    const chord_tensor *t = w->tensor;
    uint64_t first = (uint64_t)i * w->tile_rows, rows = chord_min_u64(w->tile_rows, w->rows - first);
    return (chord_tile){.shard = t->shard,
                        .offset = t->offset + (w->row_first + first) * t->row_bytes,
                        .bytes = (uint32_t)(rows * t->row_bytes)};
}

static void set_tiles(chord_weight *w, uint32_t rows, uint64_t first, uint32_t step)
{
    w->tile_rows = rows;
    w->tile_count = (uint32_t)chord_ceil_div(w->rows, rows);
    w->tile_first = (uint32_t)first;
    w->tile_step = step;
}

/* The weight's tiles, and those of its pair between them, from number *count on. */
static chord_status cut(chord_weight *w, uint64_t tile_bytes, uint64_t *count, chord_error *err)
{
    uint64_t row_bytes = chord_weight_row_bytes(w);
    if (w->pair != NULL) row_bytes = chord_max_u64(row_bytes, chord_weight_row_bytes(w->pair));
    if (row_bytes * CHORD_PANEL_ROWS > UINT32_MAX)
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' has rows of %" PRIu64 " bytes", w->tensor->name,
                          row_bytes);
    uint32_t rows = rows_for(row_bytes, tile_bytes, w->rows), step = w->pair != NULL ? 2 : 1;
    set_tiles(w, rows, *count, step);
    if (w->pair != NULL) set_tiles(w->pair, rows, *count + 1, step);
    *count += (uint64_t)w->tile_count * step * chord_max_u64(w->experts, 1);
    if (*count > TILES_MAX)
        return chord_fail(err, CHORD_UNSUPPORTED, "the model has more than %u tiles of weights", TILES_MAX);
    return CHORD_OK;
}

static bool is_remade(const chord_blueprint *p)
{
    for (uint32_t i = 0; i < p->order_count; i++)
        if (p->order[i]->tensor->file_type != p->order[i]->tensor->type) return true;
    return false;
}

/* What tiles that are made anew take of the files. */
static chord_status list_read_bytes(chord_blueprint *p, chord_error *err)
{
    p->read_bytes = p->expert_read_bytes = NULL;
    if (!is_remade(p)) return CHORD_OK;
    p->read_bytes = chord_arena_get(&p->tile_arena, p->tile_count * sizeof *p->read_bytes);
    p->expert_read_bytes = chord_arena_get(&p->tile_arena, p->expert_tile_count * sizeof *p->read_bytes);
    if (p->read_bytes == NULL || p->expert_read_bytes == NULL) return chord_arena_fail(&p->tile_arena, err);
    for (uint32_t i = 0; i < p->order_count; i++) {
        const chord_weight *w = p->order[i];
        const chord_tile *tiles = w->experts != 0 ? p->expert_tiles : p->tiles;
        uint32_t *out = w->experts != 0 ? p->expert_read_bytes : p->read_bytes,
                 last = (uint32_t)chord_max_u64(w->experts, 1) * w->tile_count;
        for (uint32_t t = 0, at = w->tile_first; t < last; t++, at += w->tile_step)
            out[at] = (uint32_t)(tiles[at].bytes / w->tensor->row_bytes * chord_tensor_file_row_bytes(w->tensor));
    }
    return CHORD_OK;
}

static chord_status list_tiles(chord_blueprint *p, chord_error *err)
{
    chord_arena_free(&p->tile_arena);
    p->tiles = chord_arena_get(&p->tile_arena, p->tile_count * sizeof *p->tiles);
    p->expert_tiles = chord_arena_get(&p->tile_arena, p->expert_tile_count * sizeof *p->expert_tiles);
    if (p->tiles == NULL || p->expert_tiles == NULL) return chord_arena_fail(&p->tile_arena, err);
    for (uint32_t i = 0; i < p->order_count; i++) {
        const chord_weight *w = p->order[i];
        for (uint32_t t = 0; t < w->tile_count && w->experts == 0; t++)
            p->tiles[w->tile_first + t * w->tile_step] = tile_of(w, t);
        for (uint32_t e = 0; e < w->experts; e++) {
            chord_weight one = chord_expert_part(w, e);
            for (uint32_t t = 0; t < w->tile_count; t++)
                p->expert_tiles[one.tile_first + t * w->tile_step] = tile_of(&one, t);
        }
    }
    return list_read_bytes(p, err);
}

/* A plan may be made before the stores are known: as for tiles of a pass (pager_plan.c). */
static void sum_up_experts(chord_blueprint *p)
{
    p->expert_slot_bytes = p->expert_slot_max = 0;
    for (uint32_t i = 0; i < p->expert_tile_count; i++) {
        uint64_t bytes = chord_align_up(p->expert_tiles[i].bytes, 4096) + 2 * 4096;
        p->expert_slot_bytes += bytes;
        p->expert_slot_max = chord_max_u64(p->expert_slot_max, bytes);
    }
}

chord_status chord_blueprint_cut(chord_blueprint *p, uint64_t budget_bytes, chord_error *err)
{
    uint64_t tile_bytes = tile_bytes_for(budget_bytes), count = 0, expert_count = 0, layer_count = 0;
    p->tile_rows_max = p->layer_tiles_max = 0;
    for (uint32_t i = 0; i < p->order_count; i++) {
        chord_weight *w = p->order[i];
        if (i == p->order_before_output) p->tiles_without_output = (uint32_t)count;
        if (i > 0 && p->order[i - 1]->pair == w) continue; /* its tiles stand between the other's */
        if (w->experts != 0) {
            uint64_t before = expert_count;
            CHORD_TRY(cut(w, tile_bytes, &expert_count, err));
            if (i == 0 || p->order[i - 1]->experts == 0) layer_count = 0; /* the first of its layer */
            layer_count += expert_count - before;
            p->layer_tiles_max = (uint32_t)chord_max_u64(p->layer_tiles_max, layer_count);
        } else
            CHORD_TRY(cut(w, w == &p->output ? output_tile_bytes(p, tile_bytes, budget_bytes) : tile_bytes, &count,
                          err));
        if (w->pair != NULL || w == &p->output)
            p->tile_rows_max = w->tile_rows > p->tile_rows_max ? w->tile_rows : p->tile_rows_max;
    }
    p->tile_count = (uint32_t)count;
    p->expert_tile_count = (uint32_t)expert_count;
    CHORD_TRY(list_tiles(p, err));
    sum_up_experts(p);
    return CHORD_OK;
}

/* ---- of experts -------------------------------------------------------------------------------- */

/* In the order in which they are used. */
uint32_t chord_expert_tiles(const chord_layer *layer, uint32_t expert, uint32_t *list)
{
    chord_weight gate = chord_expert_part(&layer->expert_gate, expert),
                 up = chord_expert_part(&layer->expert_up, expert),
                 down = chord_expert_part(&layer->expert_down, expert);
    uint32_t n = 0;
    for (uint32_t i = 0; i < up.tile_count; i++) {
        if (gate.tensor != NULL) list[n++] = gate.tile_first + i * gate.tile_step;
        list[n++] = up.tile_first + i * up.tile_step;
    }
    for (uint32_t i = 0; i < down.tile_count; i++) list[n++] = down.tile_first + i * down.tile_step;
    return n;
}

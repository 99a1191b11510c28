/* parts.c - the tensors in which a weight lies: one, or, of experts in older files, one for each. */
#include "model/model_inner.h"

chord_weight chord_expert_part(const chord_weight *w, uint32_t expert)
{
    chord_weight one = *w;
    if (w->parts != NULL) one.tensor = w->parts[expert];
    one.row_first += (uint64_t)expert * w->row_step;
    one.tile_first += expert * w->tile_count * w->tile_step;
    if (w->bias != NULL) one.bias += (uint64_t)expert * w->rows;
    return one;
}

uint32_t chord_weight_tensors(const chord_weight *w) { return w->parts != NULL ? w->experts : 1; }

const chord_tensor *chord_weight_tensor(const chord_weight *w, uint32_t index)
{
    return w->parts != NULL ? w->parts[index] : w->tensor;
}

uint64_t chord_weight_row_bytes(const chord_weight *w)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < chord_weight_tensors(w); i++)
        bytes = chord_max_u64(bytes, chord_weight_tensor(w, i)->row_bytes);
    return bytes;
}

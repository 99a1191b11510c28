/* experts_cache.c - the memory that keeps the experts that were used last, and what is counted of it. */
#include "model/model_inner.h"

chord_status chord_experts_open(chord_network *net, chord_readers *readers, uint64_t memory_bytes, chord_error *err)
{
    const chord_blueprint *p = &net->print;
    if (p->expert_tile_count == 0) return CHORD_OK;
    net->expert_set = (chord_tile_set){
        .stores = net->stores, .tiles = p->expert_tiles, .read_bytes = p->expert_read_bytes};
    chord_asked_source source = chord_asked_tiles(&net->expert_set, p->expert_tile_count);
    void *memory = NULL;
    CHORD_TRY(chord_alloc(net->heap, p->expert_tile_count * (sizeof(uint64_t) + 1), "the uses of experts", &memory,
                          err));
    uint64_t *uses = memory;
    uint8_t *pins = (uint8_t *)(uses + p->expert_tile_count);
    chord_asked_config config = {
        .heap = net->heap, .readers = readers, .source = source, .pins = pins, .asked_max = p->layer_tiles_max};
    chord_status status = chord_asked_plan(&source, uses, memory_bytes, CHORD_EXPERT_RING_LEAST, pins, &config.ring,
                                           err);
    config.lazy = config.ring == 0; /* all of them fit, so memory comes as they are used */
    if (status == CHORD_OK) status = chord_asked_open(&config, &net->experts, err);
    chord_free(net->heap, memory);
    return status;
}

void chord_experts_count(const chord_network *net, chord_pager_stats *out)
{
    chord_pager_stats_get(net->pager, out);
    if (net->experts == NULL) return;
    chord_asked_stats asked;
    chord_asked_stats_get(net->experts, &asked);
    out->hits += asked.hits - chord_min_u64(asked.hits, asked.read_ahead);
    out->misses += asked.misses + asked.read_ahead;
    out->evictions += asked.evictions;
    out->bytes_read += asked.bytes_read;
    out->stall_ns += atomic_load(&net->expert_stall_ns);
}

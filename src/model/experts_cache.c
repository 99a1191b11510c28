/* experts_cache.c - the memory that keeps experts, which of them stay, and what is counted of it. */
#include "model/model_inner.h"

/* ---- worth ------------------------------------------------------------------------------------ */

/* What an expert is worth is how often it was chosen, where a choice counts half as much so many tokens later. Its
 * logarithm is kept, on a scale on which what was chosen never grows old but what is chosen now counts ever more. */
#define HALF_LIFE_TOKENS 32.0
#define LN_2 0.6931471805599453

static double add_choice(double worth, double now)
{
    double high = worth > now ? worth : now, low = worth > now ? now : worth;
    return high + chord_log2(1.0 + (double)chord_expf((float)((low - high) * LN_2)));
}

void chord_experts_value(chord_network *net, const uint32_t *tiles, uint32_t tile_count, const uint32_t *rows,
                         uint32_t count, uint32_t all)
{
    if (net->expert_worth == NULL) return;
    double worth = net->expert_worth[tiles[0]];
    for (uint32_t i = 0; i < count; i++)
        worth = add_choice(worth, (double)(net->routed + rows[i] - all) / HALF_LIFE_TOKENS);
    chord_asked_value(net->experts, tiles, tile_count, worth);
}

/* ---- open and close --------------------------------------------------------------------------- */

/* More reads at once, for a sixty-fourth of the memory that is not needed: matrices of experts are small. */
static uint64_t grow_readers(const chord_blueprint *p, chord_readers *readers, uint64_t memory_bytes)
{
    uint64_t least = CHORD_EXPERT_RING_LEAST * p->expert_slot_max;
    if (memory_bytes >= p->expert_slot_bytes || memory_bytes <= least) return 0;
    uint64_t threads = CHORD_READERS_DEFAULT + (memory_bytes - least) / 64 / CHORD_THREAD_BYTES;
    threads = chord_min_u64(threads, chord_reads_at_once(p->expert_slot_max));
    uint64_t bytes = chord_readers_cost(readers, (uint32_t)threads);
    chord_readers_grow(readers, (uint32_t)threads);
    return bytes;
}

static chord_status open_cache(chord_network *net, chord_asked_config *config, chord_error *err)
{
    void *memory;
    uint32_t count = net->print.expert_tile_count;
    config->lazy = config->ring == 0; /* all of them fit, so memory comes as they are used */
    if (config->ring != 0) {
        CHORD_TRY(chord_alloc(net->heap, count * sizeof *net->expert_worth, "the worth of experts", &memory, err));
        config->worth = net->expert_worth = memory;
        config->hopes_max = config->asked_max;
    }
    return chord_asked_open(config, &net->experts, err);
}

chord_status chord_experts_open(chord_network *net, chord_readers *readers, uint64_t memory_bytes, chord_error *err)
{
    const chord_blueprint *p = &net->print;
    if (p->expert_tile_count == 0) return CHORD_OK;
    net->expert_set = (chord_tile_set){
        .stores = net->stores, .tiles = p->expert_tiles, .read_bytes = p->expert_read_bytes};
    chord_asked_source source = chord_asked_tiles(&net->expert_set, p->expert_tile_count);
    void *memory = NULL;
    memory_bytes -= grow_readers(p, readers, memory_bytes);
    CHORD_TRY(chord_alloc(net->heap, p->expert_tile_count * (sizeof(uint64_t) + 1), "the uses of experts", &memory,
                          err));
    uint64_t *uses = memory;
    uint8_t *pins = (uint8_t *)(uses + p->expert_tile_count);
    chord_asked_config config = {.heap = net->heap,
                                 .readers = readers,
                                 .source = source,
                                 .pins = pins,
                                 .by_size = true,
                                 .asked_max = p->layer_tiles_max};
    chord_status status = chord_asked_plan(&source, uses, memory_bytes, CHORD_EXPERT_RING_LEAST, pins, &config.ring,
                                           err);
    if (status == CHORD_OK) status = open_cache(net, &config, err);
    chord_free(net->heap, memory);
    return status;
}

void chord_experts_close(chord_network *net)
{
    chord_asked_close(net->experts);
    chord_free(net->heap, net->expert_worth);
}

/* ---- counters --------------------------------------------------------------------------------- */

void chord_experts_count(const chord_network *net, chord_pager_stats *out)
{
    chord_pager_stats_get(net->pager, out);
    if (net->experts == NULL) return;
    chord_asked_stats asked;
    chord_asked_stats_get(net->experts, &asked);
    uint64_t wasted = asked.hoped - asked.hoped_used,
             read_ahead = asked.read_ahead - chord_min_u64(wasted, asked.read_ahead);
    out->hits += asked.hits - chord_min_u64(asked.hits, read_ahead);
    out->misses += asked.misses + read_ahead;
    out->evictions += asked.evictions;
    out->prefetched_used += asked.hoped_used;
    out->prefetched_wasted += wasted;
    out->bytes_read += asked.bytes_read;
    out->read_ns += asked.read_ns;
    out->stall_ns += atomic_load(&net->expert_stall_ns);
}

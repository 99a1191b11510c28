/* kv_plan.c - the memory of keys and values: how much that is, and how it is laid out when the network opens. One region: the
 * tables of all sequences, of each block who owns and who keeps it, the blocks, all free, states, and what is known of texts. */
#include "model/model_inner.h"

/* The same on machines of all widths of pointers: so is the plan. */
static uint64_t table_bytes(uint32_t blocks) { return chord_align_up(blocks * 8ull, 64); }

typedef struct pool_plan {
    uint32_t sequences, table_blocks; /* entries of one sequence's tables */
    uint64_t blocks, blocks_bytes, tables_bytes, owners_bytes, keepers_bytes;
} pool_plan;

static pool_plan plan_pools(const chord_blueprint *p, const chord_kv_needs *needs)
{
    pool_plan plan = {.sequences = needs->sessions + needs->branches};
    for (uint32_t i = 0; i < p->caches; i++) {
        uint64_t blocks = chord_pool_blocks(p, needs, i);
        plan.table_blocks += chord_cache_blocks(p, i, needs->context_tokens, needs->chunk_tokens);
        plan.blocks += blocks;
        plan.blocks_bytes += blocks * chord_cache_block_bytes(p, needs, i);
    }
    plan.tables_bytes = plan.sequences * table_bytes(plan.table_blocks);
    plan.owners_bytes = chord_align_up(plan.blocks * sizeof(uint16_t), 64);
    plan.keepers_bytes = chord_align_up(plan.blocks * sizeof(uint32_t), 64);
    return plan;
}

static uint64_t region_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    pool_plan plan = plan_pools(p, needs);
    return plan.tables_bytes + plan.owners_bytes + plan.keepers_bytes + plan.blocks_bytes +
           chord_states_bytes(p, needs) + chord_kept_bytes(p, needs);
}

uint64_t chord_kv_plan_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    return region_bytes(p, needs) + (needs->folder ? chord_kv_folder_bytes(p, needs) : 0);
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

static void set_caches(const chord_network *net, chord_kv_type type, uint8_t **table, chord_kv *kv)
{
    const chord_blueprint *p = &net->print;
    for (uint32_t i = 0; i < p->caches; i++) {
        const chord_layer *layer = chord_cache_of(p, i).layer;
        kv[i] = (chord_kv){.type = type,
                           .kv_heads = layer->kv_heads,
                           .head_dim = layer->head_dim,
                           .value_dim = layer->value_dim,
                           .blocks = chord_cache_blocks(p, i, net->context_tokens, net->chunk_tokens),
                           .table = table};
        table += kv[i].blocks;
    }
}

static chord_status open_tables(chord_network *net, const chord_kv_needs *needs, const pool_plan *plan, uint8_t *memory,
                                chord_error *err)
{
    const chord_blueprint *p = &net->print;
    for (uint32_t s = 0; s < plan->sequences; s++) {
        net->sequences[s].kv = chord_arena_get(&net->print.arena, p->caches * sizeof(chord_kv));
        if (net->sequences[s].kv == NULL) return chord_arena_fail(&p->arena, err);
        set_caches(net, needs->type, (uint8_t **)(void *)memory, net->sequences[s].kv);
        memory += table_bytes(plan->table_blocks);
    }
    return CHORD_OK;
}

static chord_status open_pools(chord_network *net, const chord_kv_needs *needs, const pool_plan *plan, uint8_t *memory,
                               chord_error *err)
{
    const chord_blueprint *p = &net->print;
    uint16_t *owners = (uint16_t *)(void *)memory;
    uint32_t *keeper = (uint32_t *)(void *)(memory + plan->owners_bytes);
    uint8_t *blocks = memory + plan->owners_bytes + plan->keepers_bytes;
    net->kv_pools = chord_arena_get(&net->print.arena, p->caches * sizeof *net->kv_pools);
    if (net->kv_pools == NULL) return chord_arena_fail(&p->arena, err);
    for (uint32_t k = 0; k < p->caches; k++) {
        chord_kv_pool *pool = &net->kv_pools[k];
        uint32_t count = (uint32_t)chord_pool_blocks(p, needs, k);
        *pool = (chord_kv_pool){.blocks = blocks,
                                .block_bytes = chord_cache_block_bytes(p, needs, k),
                                .owners = owners,
                                .keeper = keeper,
                                .count = count,
                                .free_count = count};
        for (uint32_t i = 0; i < count; i++) keeper[i] = CHORD_KEPT_NONE;
        blocks += count * pool->block_bytes;
        owners += count;
        keeper += count;
    }
    return CHORD_OK;
}

chord_status chord_sequences_open(chord_network *net, const chord_kv_needs *needs, chord_error *err)
{
    const chord_blueprint *p = &net->print;
    pool_plan plan = plan_pools(p, needs);
    net->sequences = chord_arena_get(&net->print.arena, plan.sequences * sizeof *net->sequences);
    if (net->sequences == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(chord_region_open(net->heap, region_bytes(p, needs), "the KV cache", false, false, &net->kv_region, err));
    uint8_t *memory = net->kv_region.base;
    CHORD_TRY(open_tables(net, needs, &plan, memory, err));
    memory += plan.tables_bytes;
    CHORD_TRY(open_pools(net, needs, &plan, memory, err));
    memory += plan.owners_bytes + plan.keepers_bytes + plan.blocks_bytes;
    chord_states_open(net, needs, memory);
    chord_kept_open(net, needs, memory + chord_states_bytes(p, needs));
    net->session_count = needs->sessions;
    net->shared_tokens = needs->shared_tokens;
    net->kv_tokens = needs->tokens;
    net->sequence_count = plan.sequences;
    return CHORD_OK;
}

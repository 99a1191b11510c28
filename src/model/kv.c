/* kv.c - sequences: for each cache (a layer has one; one whose older keys are made of several tokens has two) a table of
 * blocks of 64 positions, which come from the network's pool as the sequence grows, and go back when it is cut or
 * closed. Layers that are no attention have none (states.c). The pool is reserved when the network opens. Sequences that
 * were one text up to some place share its blocks; whoever writes to a shared block gets a copy of it first. */
#include "model/model_inner.h"

chord_cache chord_cache_of(const chord_blueprint *p, uint32_t i)
{
    const chord_layer *layer = &p->layers[i % p->h.layers];
    if (i >= p->h.layers) return (chord_cache){layer, 0, layer->every};
    return (chord_cache){layer, layer->window, layer->kv_layer == i && chord_attends(layer)};
}

/* Those with a window keep the window, the largest chunk, and the block that the window's start cuts; layers that read
 * another's keep nothing. */
static uint32_t blocks_for(const chord_blueprint *p, uint32_t i, uint32_t context_tokens, uint32_t chunk_tokens)
{
    chord_cache c = chord_cache_of(p, i);
    if (c.every == 0) return 0;
    uint64_t tokens = chord_ceil_div(context_tokens, c.every);
    if (c.window != 0) tokens = chord_min_u64(tokens, (uint64_t)c.window + chunk_tokens + CHORD_KV_BLOCK);
    return (uint32_t)chord_ceil_div(tokens, CHORD_KV_BLOCK);
}

/* The same on machines of all widths of pointers: so is the plan. */
static uint64_t table_bytes(uint32_t blocks) { return chord_align_up(blocks * 8ull, 64); }

/* A branch writes to the block where it left its sequence and, in CHORD_BRANCH_TOKENS, at most to one more. */
#define BRANCH_BLOCKS 2u
_Static_assert(CHORD_BRANCH_TOKENS <= CHORD_KV_BLOCK, "a branch ends in the block after its first");

typedef struct pool_plan {
    uint32_t sequences, table_blocks; /* entries of one sequence's tables */
    uint64_t blocks, blocks_bytes, tables_bytes, owners_bytes;
} pool_plan;

static uint64_t block_bytes_of(const chord_blueprint *p, const chord_kv_needs *needs, uint32_t i)
{
    const chord_layer *layer = chord_cache_of(p, i).layer;
    return chord_kv_block_bytes(needs->type, layer->kv_heads, layer->head_dim, layer->value_dim);
}

/* Of all sequences, of one cache. Whole blocks of what sessions have in common stand once, unless a window lets go of them:
 * each session writes to the block in which it goes on by itself. */
static uint64_t pool_blocks(const chord_blueprint *p, const chord_kv_needs *needs, uint32_t i)
{
    uint64_t blocks = blocks_for(p, i, needs->context_tokens, needs->chunk_tokens);
    if (blocks == 0) return 0;
    uint64_t span = (uint64_t)chord_cache_of(p, i).every * CHORD_KV_BLOCK;
    uint64_t shared = blocks == chord_ceil_div(needs->context_tokens, span) ? needs->shared_tokens / span : 0;
    return shared + needs->sessions * (blocks - shared) + (uint64_t)needs->branches * BRANCH_BLOCKS;
}

static pool_plan plan_pool(const chord_blueprint *p, const chord_kv_needs *needs)
{
    pool_plan plan = {.sequences = needs->sessions + needs->branches};
    for (uint32_t i = 0; i < p->caches; i++) {
        uint64_t blocks = pool_blocks(p, needs, i);
        plan.table_blocks += blocks_for(p, i, needs->context_tokens, needs->chunk_tokens);
        plan.blocks += blocks;
        plan.blocks_bytes += blocks * block_bytes_of(p, needs, i);
    }
    plan.tables_bytes = plan.sequences * table_bytes(plan.table_blocks);
    plan.owners_bytes = chord_align_up(plan.blocks * sizeof(uint16_t), 64);
    return plan;
}

uint64_t chord_kv_plan_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    pool_plan plan = plan_pool(p, needs);
    return plan.blocks_bytes + plan.tables_bytes + plan.owners_bytes + chord_states_bytes(p, needs);
}

/* ---- pools: with the mutex held ---------------------------------------------------------------------- */

/* At the start of a block that is no sequence's. */
typedef struct chord_kv_free {
    struct chord_kv_free *next;
} chord_kv_free;

/* In how many tables the block stands. */
static uint16_t *owners_of(const chord_kv_pool *pool, const uint8_t *block)
{
    return &pool->owners[(uint64_t)(block - pool->blocks) / pool->block_bytes];
}

static void put_free(chord_kv_pool *pool, uint8_t *block)
{
    chord_kv_free *link = (void *)block;
    link->next = pool->free;
    pool->free = link;
}

static void give_block(chord_kv_pool *pool, uint8_t **entry)
{
    if (*entry != NULL && --*owners_of(pool, *entry) == 0) put_free(pool, *entry);
    *entry = NULL;
}

/* There are as many as all sequences together can need, while they have in common what they were to have. NULL: they
 * have not. */
static uint8_t *take_block(chord_kv_pool *pool)
{
    chord_kv_free *link = pool->free;
    if (link == NULL) return NULL;
    pool->free = link->next;
    *link = (chord_kv_free){0};
    *owners_of(pool, (uint8_t *)link) = 1;
    return (uint8_t *)link;
}

/* A block that is this table's alone. False: there is none. */
static bool own_block(chord_kv_pool *pool, uint8_t **entry)
{
    uint8_t *shared = *entry;
    if (shared != NULL && *owners_of(pool, shared) == 1) return true;
    uint8_t *block = take_block(pool);
    if (block == NULL) return false;
    *entry = block;
    if (shared == NULL) return true;
    memcpy(block, shared, (size_t)pool->block_bytes);
    --*owners_of(pool, shared);
    return true;
}

static void share_block(chord_kv_pool *pool, uint8_t **to, uint8_t *block)
{
    if (block != NULL) ++*owners_of(pool, block);
    give_block(pool, to);
    *to = block;
}

/* Blocks from the one of position `length` on; those of a window all or none. */
static void give_blocks(chord_network *net, chord_sequence *s, uint32_t length)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        chord_kv *kv = &s->kv[k];
        chord_cache c = chord_cache_of(&net->print, k);
        if (kv->blocks == 0 || (length != 0 && c.window != 0)) continue;
        uint32_t first = (uint32_t)chord_ceil_div(length / c.every, CHORD_KV_BLOCK);
        for (uint32_t i = first; i < kv->blocks; i++) give_block(&net->kv_pools[k], &kv->table[i]);
    }
}

chord_status chord_sequence_reach(chord_network *net, chord_sequence *s, uint32_t first, uint32_t length,
                                  chord_error *err)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        chord_kv *kv = &s->kv[k];
        uint32_t every = chord_cache_of(&net->print, k).every;
        if (kv->blocks == 0 || length / every == first / every) continue;
        for (uint32_t i = first / every / CHORD_KV_BLOCK; i <= (length / every - 1) / CHORD_KV_BLOCK; i++)
            if (!own_block(&net->kv_pools[k], &kv->table[i % kv->blocks]))
                return chord_fail(err, CHORD_FULL,
                                  "no memory is left for the keys and values of position %u: it was taken for %u "
                                  "sessions that have the first %u positions in common",
                                  (uint32_t)chord_max_u64(first, (uint64_t)i * CHORD_KV_BLOCK * every),
                                  net->session_count, net->shared_tokens);
    }
    if (length > s->length_high) s->length_high = length;
    return CHORD_OK;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void set_caches(const chord_network *net, chord_kv_type type, uint8_t **table, chord_kv *kv)
{
    const chord_blueprint *p = &net->print;
    for (uint32_t i = 0; i < p->caches; i++) {
        const chord_layer *layer = chord_cache_of(p, i).layer;
        kv[i] = (chord_kv){.type = type,
                           .kv_heads = layer->kv_heads,
                           .head_dim = layer->head_dim,
                           .value_dim = layer->value_dim,
                           .blocks = blocks_for(p, i, net->context_tokens, net->chunk_tokens),
                           .table = table};
        table += kv[i].blocks;
    }
}

static chord_status open_pools(chord_network *net, const chord_kv_needs *needs, uint16_t *owners, uint8_t *blocks,
                               chord_error *err)
{
    const chord_blueprint *p = &net->print;
    net->kv_pools = chord_arena_get(&net->print.arena, p->caches * sizeof *net->kv_pools);
    if (net->kv_pools == NULL) return chord_arena_fail(&p->arena, err);
    for (uint32_t k = 0; k < p->caches; k++) {
        chord_kv_pool *pool = &net->kv_pools[k];
        uint64_t count = pool_blocks(p, needs, k);
        *pool = (chord_kv_pool){.blocks = blocks, .block_bytes = block_bytes_of(p, needs, k), .owners = owners};
        for (uint64_t i = count; i-- > 0;) put_free(pool, blocks + i * pool->block_bytes); /* first taken first */
        blocks += count * pool->block_bytes;
        owners += count;
    }
    return CHORD_OK;
}

/* The region: the tables of all sequences, the counts of owners, the blocks, all free, and states. */
chord_status chord_sequences_open(chord_network *net, const chord_kv_needs *needs, chord_error *err)
{
    const chord_blueprint *p = &net->print;
    pool_plan plan = plan_pool(p, needs);
    net->sequences = chord_arena_get(&net->print.arena, plan.sequences * sizeof *net->sequences);
    if (net->sequences == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(chord_region_open(net->heap, chord_kv_plan_bytes(p, needs), "the KV cache", true, false, &net->kv_region,
                                err));
    uint8_t *memory = net->kv_region.base;
    for (uint32_t s = 0; s < plan.sequences; s++) {
        net->sequences[s].kv = chord_arena_get(&net->print.arena, p->caches * sizeof(chord_kv));
        if (net->sequences[s].kv == NULL) return chord_arena_fail(&p->arena, err);
        uint8_t *table = memory + s * table_bytes(plan.table_blocks);
        set_caches(net, needs->type, (uint8_t **)(void *)table, net->sequences[s].kv);
    }
    CHORD_TRY(open_pools(net, needs, (uint16_t *)(void *)(memory + plan.tables_bytes),
                         memory + plan.tables_bytes + plan.owners_bytes, err));
    chord_states_open(net, needs, memory + plan.tables_bytes + plan.owners_bytes + plan.blocks_bytes);
    net->session_count = needs->sessions;
    net->shared_tokens = needs->shared_tokens;
    net->sequence_count = plan.sequences;
    return CHORD_OK;
}

/* ---- sequences ------------------------------------------------------------------------------------- */

/* The first of sequences [first, end) that is free, empty; NULL: none. */
static chord_sequence *take_sequence(chord_network *net, uint32_t first, uint32_t end)
{
    chord_sequence *s = NULL;
    chord_mutex_lock(&net->mutex);
    for (uint32_t i = first; i < end && s == NULL; i++)
        if (!net->sequences[i].taken) s = &net->sequences[i];
    if (s != NULL) {
        s->taken = true;
        chord_states_forget(s, 0);
        s->length = s->length_high = 0;
        s->room = net->context_tokens;
        s->counted = (chord_sequence_counts){0};
        atomic_store(&s->cancelled, false);
    }
    chord_mutex_unlock(&net->mutex);
    return s;
}

chord_status chord_sequence_open(chord_network *net, chord_sequence **out, chord_error *err)
{
    *out = take_sequence(net, 0, net->session_count);
    if (*out != NULL) return CHORD_OK;
    return chord_fail(err, CHORD_FULL, "all %u sessions of this model are open; sessions_max was set when it opened",
                      net->session_count);
}

chord_sequence *chord_sequence_branch(chord_network *net, const chord_sequence *from, uint32_t length)
{
    chord_sequence *s = NULL;
    if (length < net->context_tokens && chord_network_can_guess(net))
        s = take_sequence(net, net->session_count, net->sequence_count);
    if (s == NULL) return NULL;
    s->room = (uint32_t)chord_min_u64(length + CHORD_BRANCH_TOKENS, net->context_tokens);
    if (chord_sequence_copy(net, s, from, length) == length) return s;
    chord_sequence_close(net, s);
    return NULL;
}

void chord_sequence_close(chord_network *net, chord_sequence *sequence)
{
    if (sequence == NULL) return;
    chord_mutex_lock(&net->mutex);
    give_blocks(net, sequence, 0);
    sequence->taken = false;
    chord_mutex_unlock(&net->mutex);
}

uint32_t chord_sequence_length(const chord_sequence *sequence) { return sequence->length; }

/* True when every position that a query at `length` may look at still lies in the blocks of its window. */
static bool still_there(const chord_network *net, const chord_sequence *s, uint32_t length)
{
    for (uint32_t l = 0; l < net->print.h.layers; l++) {
        uint32_t window = net->print.layers[l].window, blocks = s->kv[l].blocks;
        if (window == 0 || blocks == 0 || length == 0 || s->length_high == 0) continue;
        uint32_t oldest = length + 1 > window ? (length + 1 - window) / CHORD_KV_BLOCK : 0;
        if (oldest + blocks <= (s->length_high - 1) / CHORD_KV_BLOCK) return false;
    }
    return true;
}

uint32_t chord_sequence_cut(chord_network *net, chord_sequence *s, uint32_t length)
{
    if (length < s->length) {
        length = chord_states_cut(net, s, length);
        s->length = still_there(net, s, length) ? length : 0;
    }
    if (s->length == 0) s->length_high = 0;
    chord_states_forget(s, s->length);
    chord_mutex_lock(&net->mutex);
    give_blocks(net, s, s->length);
    chord_mutex_unlock(&net->mutex);
    return s->length;
}

uint32_t chord_sequence_copy(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length)
{
    if (length > from->length || !still_there(net, from, length)) length = 0;
    length = chord_states_length(net, from, length);
    chord_states_copy(net, to, from, length);
    chord_mutex_lock(&net->mutex);
    for (uint32_t k = 0; k < net->print.caches; k++) {
        chord_cache c = chord_cache_of(&net->print, k);
        uint32_t blocks = from->kv[k].blocks, used = blocks; /* of a window: a ring, wherever they are */
        if (blocks != 0 && (c.window == 0 || length == 0))
            used = (uint32_t)chord_ceil_div(length / c.every, CHORD_KV_BLOCK);
        for (uint32_t i = 0; i < blocks; i++)
            share_block(&net->kv_pools[k], &to->kv[k].table[i], i < used ? from->kv[k].table[i] : NULL);
    }
    to->length = length;
    to->length_high = length != 0 ? from->length_high : 0;
    chord_mutex_unlock(&net->mutex);
    return length;
}

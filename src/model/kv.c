/* kv.c - sequences: for each layer a table of blocks of 64 positions, which come from the network's pool as the
 * sequence grows, and go back when it is cut or closed. The pool is reserved when the network opens. */
#include "model/model_inner.h"

/* Layers with a window keep the window, the largest chunk, and the block that the window's start cuts. */
static uint32_t blocks_for(const chord_layer *layer, uint32_t context_tokens, uint32_t chunk_tokens)
{
    uint64_t tokens = context_tokens;
    if (layer->window != 0) tokens = chord_min_u64(tokens, (uint64_t)layer->window + chunk_tokens + CHORD_KV_BLOCK);
    return (uint32_t)chord_ceil_div(tokens, CHORD_KV_BLOCK);
}

static uint32_t sequence_blocks(const chord_blueprint *p, uint32_t context, uint32_t chunk)
{
    uint32_t blocks = 0;
    for (uint32_t l = 0; l < p->h.layers; l++) blocks += blocks_for(&p->layers[l], context, chunk);
    return blocks;
}

/* The same on machines of all widths of pointers: so is the plan. */
static uint64_t table_bytes(uint32_t blocks) { return chord_align_up(blocks * 8ull, 64); }

uint64_t chord_kv_plan_bytes(const chord_blueprint *p, chord_kv_type type, uint32_t context, uint32_t chunk)
{
    uint32_t blocks = sequence_blocks(p, context, chunk);
    return blocks * chord_kv_block_bytes(type, p->h.kv_heads, p->h.head_dim) + table_bytes(blocks);
}

/* ---- the pool: blocks that are no sequence's, with the mutex held ---------------------------------- */

/* At the start of a free block. */
typedef struct chord_kv_free {
    struct chord_kv_free *next;
} chord_kv_free;

static void give_block(chord_network *net, uint8_t **entry)
{
    chord_kv_free *block = (void *)*entry;
    if (block == NULL) return;
    block->next = net->kv_free;
    net->kv_free = block;
    *entry = NULL;
}

/* There are as many as all sequences together can need. */
static void take_block(chord_network *net, uint8_t **entry)
{
    chord_kv_free *block = net->kv_free;
    if (*entry != NULL) return;
    CHORD_ASSERT(block != NULL);
    net->kv_free = block->next;
    *block = (chord_kv_free){0};
    *entry = (void *)block;
}

/* Blocks from the one of position `length` on; those of a window all or none. */
static void give_blocks(chord_network *net, chord_sequence *s, uint32_t length)
{
    uint32_t first = (uint32_t)chord_ceil_div(length, CHORD_KV_BLOCK);
    for (uint32_t l = 0; l < net->print.h.layers; l++) {
        chord_kv *kv = &s->kv[l];
        if (length != 0 && net->print.layers[l].window != 0) continue;
        for (uint32_t i = first; i < kv->blocks; i++) give_block(net, &kv->table[i]);
    }
}

void chord_sequence_reach(chord_network *net, chord_sequence *s, uint32_t first, uint32_t length)
{
    chord_mutex_lock(&net->mutex);
    for (uint32_t l = 0; l < net->print.h.layers; l++)
        for (uint32_t i = first / CHORD_KV_BLOCK; i <= (length - 1) / CHORD_KV_BLOCK; i++)
            take_block(net, &s->kv[l].table[i % s->kv[l].blocks]);
    if (length > s->length_high) s->length_high = length;
    chord_mutex_unlock(&net->mutex);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void set_layers(const chord_network *net, chord_kv_type type, uint8_t **table, chord_kv *kv)
{
    const chord_blueprint *p = &net->print;
    for (uint32_t l = 0; l < p->h.layers; l++) {
        kv[l] = (chord_kv){.type = type,
                           .kv_heads = p->h.kv_heads,
                           .head_dim = p->h.head_dim,
                           .blocks = blocks_for(&p->layers[l], net->context_tokens, net->chunk_tokens),
                           .table = table};
        table += kv[l].blocks;
    }
}

/* The region: the tables of all sequences, then the blocks, all free. */
chord_status chord_sequences_open(chord_network *net, uint32_t count, chord_kv_type type, chord_error *err)
{
    const chord_blueprint *p = &net->print;
    uint64_t bytes = chord_kv_plan_bytes(p, type, net->context_tokens, net->chunk_tokens);
    net->sequences = chord_arena_get(&net->print.arena, count * sizeof *net->sequences);
    if (net->sequences == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(chord_region_open(net->heap, bytes * count, "the KV cache", true, false, &net->kv_region, err));
    uint32_t blocks = sequence_blocks(p, net->context_tokens, net->chunk_tokens);
    uint8_t *memory = net->kv_region.base;
    for (uint32_t s = 0; s < count; s++, memory += table_bytes(blocks)) {
        net->sequences[s].kv = chord_arena_get(&net->print.arena, p->h.layers * sizeof(chord_kv));
        if (net->sequences[s].kv == NULL) return chord_arena_fail(&p->arena, err);
        set_layers(net, type, (uint8_t **)(void *)memory, net->sequences[s].kv);
    }
    for (uint64_t i = (uint64_t)blocks * count; i-- > 0;) { /* the first is taken first */
        uint8_t *block = memory + i * chord_kv_block_bytes(type, p->h.kv_heads, p->h.head_dim);
        give_block(net, &block);
    }
    net->sequence_count = count;
    return CHORD_OK;
}

/* ---- sequences ------------------------------------------------------------------------------------- */

chord_status chord_sequence_open(chord_network *net, chord_sequence **out, chord_error *err)
{
    chord_status status = CHORD_OK;
    *out = NULL;
    chord_mutex_lock(&net->mutex);
    for (uint32_t i = 0; i < net->sequence_count && *out == NULL; i++) {
        if (net->sequences[i].taken) continue;
        *out = &net->sequences[i];
        (*out)->taken = true;
        (*out)->length = (*out)->length_high = 0;
        (*out)->counted = (chord_sequence_counts){0};
        atomic_store(&(*out)->cancelled, false);
    }
    chord_mutex_unlock(&net->mutex);
    if (*out == NULL)
        status = chord_fail(err, CHORD_FULL,
                            "all %u sessions of this model are open; sessions_max was set when it opened",
                            net->sequence_count);
    return status;
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
        if (window == 0 || length == 0 || s->length_high == 0) continue;
        uint32_t oldest = length + 1 > window ? (length + 1 - window) / CHORD_KV_BLOCK : 0;
        if (oldest + blocks <= (s->length_high - 1) / CHORD_KV_BLOCK) return false;
    }
    return true;
}

uint32_t chord_sequence_cut(chord_network *net, chord_sequence *s, uint32_t length)
{
    if (length < s->length) s->length = still_there(net, s, length) ? length : 0;
    if (s->length == 0) s->length_high = 0;
    chord_mutex_lock(&net->mutex);
    give_blocks(net, s, s->length);
    chord_mutex_unlock(&net->mutex);
    return s->length;
}

/* kv.c - sequences: one KV cache per layer, rings of blocks of 64 positions. */
#include "model/model_inner.h"

/* Layers with a window keep the window, the largest chunk, and the block that the window's start cuts. */
static uint32_t blocks_for(const chord_layer *layer, uint32_t context_tokens, uint32_t chunk_tokens)
{
    uint64_t tokens = context_tokens;
    if (layer->window != 0) tokens = chord_min_u64(tokens, (uint64_t)layer->window + chunk_tokens + CHORD_KV_BLOCK);
    return (uint32_t)chord_ceil_div(tokens, CHORD_KV_BLOCK);
}

static uint64_t layer_bytes(const chord_blueprint *p, uint32_t layer, chord_kv_type type, uint32_t context,
                            uint32_t chunk)
{
    uint32_t blocks = blocks_for(&p->layers[layer], context, chunk);
    return chord_align_up(chord_kv_bytes(type, p->h.kv_heads, p->h.head_dim, blocks), 64);
}

uint64_t chord_kv_plan_bytes(const chord_blueprint *p, chord_kv_type type, uint32_t context, uint32_t chunk)
{
    uint64_t bytes = 0;
    for (uint32_t l = 0; l < p->h.layers; l++) bytes += layer_bytes(p, l, type, context, chunk);
    return bytes;
}

chord_status chord_sequences_open(chord_network *net, uint32_t count, chord_kv_type type, chord_error *err)
{
    const chord_blueprint *p = &net->print;
    uint64_t bytes = chord_kv_plan_bytes(p, type, net->context_tokens, net->chunk_tokens);
    net->sequences = chord_arena_get(&net->print.arena, count * sizeof *net->sequences);
    if (net->sequences == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(chord_region_open(net->heap, bytes * count, "the KV cache", true, false, &net->kv_region, err));
    uint8_t *memory = net->kv_region.base;
    for (uint32_t s = 0; s < count; s++) {
        chord_kv *kv = chord_arena_get(&net->print.arena, p->h.layers * sizeof *kv);
        if (kv == NULL) return chord_arena_fail(&p->arena, err);
        for (uint32_t l = 0; l < p->h.layers; l++) {
            kv[l] = (chord_kv){.type = type,
                               .kv_heads = p->h.kv_heads,
                               .head_dim = p->h.head_dim,
                               .memory = memory,
                               .blocks = blocks_for(&p->layers[l], net->context_tokens, net->chunk_tokens)};
            memory += layer_bytes(p, l, type, net->context_tokens, net->chunk_tokens);
        }
        net->sequences[s].kv = kv;
    }
    net->sequence_count = count;
    return CHORD_OK;
}

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
    sequence->taken = false;
    chord_mutex_unlock(&net->mutex);
}

uint32_t chord_sequence_length(const chord_sequence *sequence) { return sequence->length; }

/* True when every position that a query at `length` may look at still lies in the ring. */
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
    return s->length;
}

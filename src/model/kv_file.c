/* kv_file.c - what a sequence knows of its text, as bytes that another sequence of such a network can take up: of each cache
 * the blocks that a query behind the text may look at, then the state of recurrent layers. They depend neither on the
 * machine nor on the budget. */
#include "model/model_inner.h"

/* Blocks [first, end) of a cache, by the positions they hold. */
typedef struct block_span {
    uint32_t first, end;
} block_span;

static block_span span_of(const chord_network *net, const chord_sequence *s, uint32_t k, uint32_t length)
{
    chord_cache c = chord_cache_of(&net->print, k);
    if (s->kv[k].blocks == 0) return (block_span){0};
    return (block_span){chord_cache_oldest(&c, length), (uint32_t)chord_ceil_div(length / c.every, CHORD_KV_BLOCK)};
}

static uint64_t state_bytes(const chord_network *net) { return net->print.h.recurrence.floats * sizeof(float); }

uint64_t chord_sequence_saved_bytes(const chord_network *net, const chord_sequence *s, uint32_t length)
{
    uint64_t bytes = length != 0 ? state_bytes(net) : 0;
    for (uint32_t k = 0; k < net->print.caches; k++) {
        block_span span = span_of(net, s, k, length);
        if (s->kv[k].blocks != 0) bytes += (span.end - span.first) * net->kv_pools[k].block_bytes;
    }
    return bytes;
}

uint64_t chord_network_saved_kind(const chord_network *net)
{
    const chord_blueprint *p = &net->print;
    bool long_rope = p->long_factors != NULL && p->ropes[0].factors == p->long_factors;
    return (uint64_t)net->sequences[0].kv[0].type | (uint64_t)long_rope << 8;
}

static chord_status each_block(const chord_network *net, const chord_sequence *s, uint32_t length, chord_on_saved go,
                               void *ud, chord_error *err)
{
    for (uint32_t k = 0; k < net->print.caches; k++) {
        const chord_kv *kv = &s->kv[k];
        block_span span = span_of(net, s, k, length);
        for (uint32_t i = span.first; i < span.end; i++)
            CHORD_TRY(go(ud, kv->table[i % kv->blocks], (size_t)net->kv_pools[k].block_bytes, err));
    }
    return CHORD_OK;
}

uint32_t chord_sequence_saved_length(const chord_network *net, const chord_sequence *s, uint32_t length)
{
    return chord_states_length(net, s, length);
}

chord_status chord_sequence_save(const chord_network *net, const chord_sequence *s, uint32_t length, chord_on_saved go,
                                 void *ud, chord_error *err)
{
    CHORD_TRY(each_block(net, s, length, go, ud, err));
    if (state_bytes(net) == 0 || length == 0) return CHORD_OK;
    return go(ud, chord_states_at(s, length), (size_t)state_bytes(net), err);
}

static chord_status take_up(chord_network *net, chord_sequence *s, uint32_t length, chord_on_saved go, void *ud,
                            chord_error *err)
{
    chord_mutex_lock(&net->mutex);
    chord_status status = chord_sequence_reach(net, s, 0, length, err);
    chord_mutex_unlock(&net->mutex);
    CHORD_TRY(status);
    CHORD_TRY(each_block(net, s, length, go, ud, err));
    if (state_bytes(net) == 0) return CHORD_OK;
    CHORD_TRY(go(ud, s->states[0].values, (size_t)state_bytes(net), err));
    s->states[0].length = length;
    return CHORD_OK;
}

static void set_length(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t length)
{
    chord_mutex_lock(&net->mutex);
    chord_kept_record(net, s, tokens, length);
    s->length = s->length_low = length;
    chord_mutex_unlock(&net->mutex);
}

chord_status chord_sequence_load(chord_network *net, chord_sequence *s, const int32_t *tokens, uint32_t length,
                                 chord_on_saved go, void *ud, chord_error *err)
{
    chord_sequence_cut(net, s, 0);
    if (length == 0) return CHORD_OK;
    chord_status status = take_up(net, s, length, go, ud, err);
    set_length(net, s, tokens, length);
    if (status != CHORD_OK) chord_sequence_cut(net, s, 0); /* whatever was taken goes back */
    return status;
}

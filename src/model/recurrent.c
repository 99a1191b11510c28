/* recurrent.c - layers that carry a state from token to token in place of keys and values: how large it is, which layers
 * they are, and the words that all kinds share. */
#include "model/model_inner.h"

/* ---- sizes ------------------------------------------------------------------------------------ */

static chord_status check_sizes(const chord_blueprint *p, uint32_t inner, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    bool delta = p->arch->recurrent == CHORD_MIXER_DELTA;
    if (r->heads % r->groups != 0 || inner % r->heads != 0 || (delta && r->values != r->keys))
        return chord_fail(err, CHORD_CORRUPT, "recurrent layers of %u values, %u heads, %u groups and %u keys are none",
                          inner, r->heads, r->groups, r->keys);
    if (r->keys % 16 == 0 && r->values % 16 == 0) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED, "recurrent heads of %u values and %u keys are no multiples of 16",
                      r->values, r->keys);
}

static chord_status read_heads(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_recurrence *r = &p->h.recurrence;
    uint32_t inner;
    const chord_key_range sizes = {1, 1u << 20}, small = {1, 4096};
    CHORD_TRY(chord_key_u32(p, g, "ssm.conv_kernel", CHORD_KEY_NEEDED, (chord_key_range){2, CHORD_CONV_COLUMNS_MAX},
                            &r->columns, err));
    CHORD_TRY(chord_key_u32(p, g, "ssm.inner_size", CHORD_KEY_NEEDED, sizes, &inner, err));
    CHORD_TRY(chord_key_u32(p, g, "ssm.state_size", CHORD_KEY_NEEDED, small, &r->keys, err));
    CHORD_TRY(chord_key_u32(p, g, "ssm.time_step_rank", CHORD_KEY_NEEDED, small, &r->heads, err));
    CHORD_TRY(chord_key_u32(p, g, "ssm.group_count", CHORD_KEY_NEEDED, small, &r->groups, err));
    r->values = inner / r->heads;
    r->channels = inner + 2 * r->groups * r->keys;
    return check_sizes(p, inner, err);
}

static chord_status read_sizes(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_recurrence *r = &p->h.recurrence;
    if (p->arch->recurrent != CHORD_MIXER_SHORT_CONV) return read_heads(p, g, err);
    r->channels = p->h.embedding;
    if (r->channels % 16 != 0)
        return chord_fail(err, CHORD_UNSUPPORTED, "convolutions of %u channels are no multiple of 16", r->channels);
    return chord_key_u32(p, g, "shortconv.l_cache", CHORD_KEY_NEEDED, (chord_key_range){2, CHORD_CONV_COLUMNS_MAX},
                         &r->columns, err);
}

/* Delta nets say it by a list, or every n-th layer is attention; of the others those without heads of keys are recurrent. */
static chord_status read_kinds(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    static const char LIST[] = "attention.recurrent_layers";
    bool delta = p->arch->recurrent == CHORD_MIXER_DELTA, listed = delta && chord_key_there(p, g, LIST);
    bool both = p->arch->recurrent == CHORD_MIXER_BOTH;
    uint32_t every = 0;
    if (listed) CHORD_TRY(chord_key_of_layers(p, g, LIST, 0, (chord_key_range){0, 1}, each, err));
    else if (delta)
        CHORD_TRY(chord_key_u32(p, g, "full_attention_interval", 4, (chord_key_range){1, UINT32_MAX}, &every, err));
    for (uint32_t l = 0; l < p->h.layers; l++) {
        chord_layer *layer = &p->layers[l];
        bool recurrent = listed ? each[l] != 0 : delta ? (l + 1) % every != 0 : both || layer->kv_heads == 0;
        if (recurrent) layer->mixer = p->arch->recurrent;
        if ((p->arch->has & CHORD_ONE_BLOCK) != 0 && layer->ff != 0) layer->mixer = CHORD_MIXER_NONE;
    }
    return CHORD_OK;
}

chord_status chord_recurrence_read(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    chord_recurrence *r = &p->h.recurrence;
    if (p->arch->recurrent == CHORD_MIXER_ATTENTION) return CHORD_OK;
    CHORD_TRY(read_sizes(p, g, err));
    CHORD_TRY(read_kinds(p, g, each, err));
    r->layer_floats = (r->columns - 1ull) * r->channels + (uint64_t)r->heads * r->values * r->keys;
    for (uint32_t l = 0; l < p->h.layers; l++) {
        if (p->layers[l].mixer != p->arch->recurrent) continue;
        p->layers[l].recurrent.at = r->floats;
        r->floats += r->layer_floats;
    }
    return CHORD_OK;
}

/* ---- words ------------------------------------------------------------------------------------ */

float *chord_state_part(const chord_sequence *s, uint32_t state, uint64_t at)
{
    return state != CHORD_STATES ? s->states[state].values + at : NULL;
}

void chord_op_convolve(chord_pass *p, chord_operand x, uint32_t column, uint32_t layer, bool silu)
{
    const chord_recurrent *r = &p->print->layers[layer].recurrent;
    const chord_recurrence *sizes = &p->print->h.recurrence;
    if (!chord_op_begin(p, x, p->width[x])) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_sequence *s = p->segments[i].call->sequence;
        chord_conv_args args = {.x = chord_op_row(p, x, p->segments[i].row) + column,
                                .stride = p->width[x],
                                .kernel = r->kernel,
                                .bias = r->kernel_bias,
                                .past = chord_state_part(s, s->state_past, r->at),
                                .next = chord_state_part(s, s->state_next, r->at),
                                .kept = s->kept_tokens != 0 ? chord_state_part(s, s->state_kept, r->at) : NULL,
                                .tokens = p->segments[i].count,
                                .channels = sizes->channels,
                                .columns = sizes->columns,
                                .kept_tokens = s->kept_tokens,
                                .silu = silu};
        chord_convolve(&p->net->compute, &args);
    }
}

void chord_op_recur(chord_pass *p, chord_operand to, chord_operand x, chord_places places, uint32_t layer)
{
    const chord_recurrence *sizes = &p->print->h.recurrence;
    const uint64_t at = p->print->layers[layer].recurrent.at + (sizes->columns - 1ull) * sizes->channels;
    if (!chord_op_begin(p, to, (uint64_t)sizes->heads * sizes->values)) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_sequence *s = p->segments[i].call->sequence;
        uint32_t row = p->segments[i].row;
        chord_recur_args args = {.q = chord_op_row(p, x, row) + places.q,
                                 .k = chord_op_row(p, x, row) + places.k,
                                 .v = chord_op_row(p, x, row) + places.v,
                                 .stride = p->width[x],
                                 .decay = chord_op_row(p, CHORD_V, row),
                                 .gain = chord_op_row(p, CHORD_K, row),
                                 .out = chord_op_row(p, to, row),
                                 .past = chord_state_part(s, s->state_past, at),
                                 .next = chord_state_part(s, s->state_next, at),
                                 .kept = s->kept_tokens != 0 ? chord_state_part(s, s->state_kept, at) : NULL,
                                 .tokens = p->segments[i].count,
                                 .heads = sizes->heads,
                                 .key_heads = sizes->groups,
                                 .keys = sizes->keys,
                                 .values = sizes->values,
                                 .kept_tokens = s->kept_tokens,
                                 .delta = p->print->layers[layer].mixer == CHORD_MIXER_DELTA,
                                 .round = (p->print->arch->has & CHORD_KEYS_ROUND) != 0};
        chord_recur(&p->net->compute, &args);
    }
}

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
    r->row_floats = r->channels + (r->heads != 0 ? r->channels + 2ull * r->heads : 0);
    for (uint32_t l = 0; l < p->h.layers; l++) {
        if (p->layers[l].mixer != p->arch->recurrent) continue;
        p->layers[l].recurrent.at = r->floats;
        p->layers[l].recurrent.log_at = r->log_floats;
        r->floats += r->layer_floats;
        r->log_floats += r->row_floats;
    }
    return CHORD_OK;
}

/* ---- words ------------------------------------------------------------------------------------ */

float *chord_state_part(const chord_sequence *s, uint32_t state, uint64_t at)
{
    return state != CHORD_STATES ? s->states[state].values + at : NULL;
}

float *chord_state_log(const chord_sequence *s, const chord_blueprint *p, uint32_t layer, uint32_t row)
{
    const chord_recurrence *r = &p->h.recurrence;
    if (s->log == NULL) return NULL;
    return s->log + p->layers[layer].recurrent.log_at * CHORD_LOG_ROWS + row * r->row_floats;
}

/* The rows of a segment go to the log, `at` floats from a row's start. */
static void note_rows(const chord_pass *p, const chord_segment *segment, chord_operand x, uint32_t column, uint64_t n,
                      uint64_t at, uint32_t layer)
{
    for (uint32_t i = 0; i < segment->count && segment->count <= CHORD_LOG_ROWS; i++) {
        float *log = chord_state_log(segment->call->sequence, p->print, layer, i);
        if (log != NULL) memcpy(log + at, chord_op_row(p, x, segment->row + i) + column, n * sizeof *log);
    }
}

static chord_conv_args convolution(const chord_blueprint *p, const chord_sequence *s, uint32_t layer)
{
    const chord_recurrent *r = &p->layers[layer].recurrent;
    return (chord_conv_args){.kernel = r->kernel,
                             .bias = r->kernel_bias,
                             .past = chord_state_part(s, s->state_past, r->at),
                             .next = chord_state_part(s, s->state_next, r->at),
                             .channels = p->h.recurrence.channels,
                             .columns = p->h.recurrence.columns};
}

void chord_op_convolve(chord_pass *p, chord_operand x, uint32_t column, uint32_t layer, bool silu)
{
    if (!chord_op_begin(p, x, p->width[x])) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *segment = &p->segments[i];
        const chord_sequence *s = segment->call->sequence;
        chord_conv_args args = convolution(p->print, s, layer);
        note_rows(p, segment, x, column, args.channels, 0, layer);
        args.x = chord_op_row(p, x, segment->row) + column;
        args.stride = p->width[x];
        args.tokens = segment->count;
        args.silu = silu;
        args.kept_tokens = s->kept_tokens;
        if (s->kept_tokens != 0) args.kept = chord_state_part(s, s->state_kept, p->print->layers[layer].recurrent.at);
        chord_convolve(&p->net->compute, &args);
    }
}

/* x: rows with queries, keys and values, in the order that the kind of layer has. */
static chord_recur_args recurrence(const chord_blueprint *p, const chord_sequence *s, uint32_t layer, const float *x)
{
    const chord_recurrence *r = &p->h.recurrence;
    bool delta = p->layers[layer].mixer == CHORD_MIXER_DELTA;
    uint64_t at = p->layers[layer].recurrent.at + (r->columns - 1ull) * r->channels;
    uint32_t inner = r->heads * r->values, keys = r->groups * r->keys;
    return (chord_recur_args){.q = x + (delta ? 0 : inner + keys),
                              .k = x + (delta ? keys : inner),
                              .v = x + (delta ? 2 * keys : 0),
                              .past = chord_state_part(s, s->state_past, at),
                              .next = chord_state_part(s, s->state_next, at),
                              .heads = r->heads,
                              .key_heads = r->groups,
                              .keys = r->keys,
                              .values = r->values,
                              .delta = delta,
                              .round = (p->arch->has & CHORD_KEYS_ROUND) != 0};
}

void chord_op_recur(chord_pass *p, chord_operand to, chord_operand x, uint32_t layer)
{
    const chord_recurrence *r = &p->print->h.recurrence;
    if (!chord_op_begin(p, to, (uint64_t)r->heads * r->values)) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *segment = &p->segments[i];
        const chord_sequence *s = segment->call->sequence;
        chord_recur_args args = recurrence(p->print, s, layer, chord_op_row(p, x, segment->row));
        note_rows(p, segment, x, 0, r->channels, r->channels, layer);
        note_rows(p, segment, CHORD_K, 0, r->heads, 2ull * r->channels, layer);
        note_rows(p, segment, CHORD_V, 0, r->heads, 2ull * r->channels + r->heads, layer);
        args.stride = p->width[x];
        args.gain = chord_op_row(p, CHORD_K, segment->row);
        args.decay = chord_op_row(p, CHORD_V, segment->row);
        args.out = chord_op_row(p, to, segment->row);
        args.tokens = segment->count;
        args.kept_tokens = s->kept_tokens;
        if (s->kept_tokens != 0)
            args.kept = chord_state_part(s, s->state_kept,
                                         p->print->layers[layer].recurrent.at + (r->columns - 1ull) * r->channels);
        chord_recur(&p->net->compute, &args);
    }
}

/* ---- once more -------------------------------------------------------------------------------- */

/* Row by row: each is taken from the log, and what it gives goes behind the log's end, where nobody looks at it. */
static void redo_layer(const chord_network *net, const chord_sequence *s, uint32_t layer, uint32_t rows)
{
    const chord_blueprint *p = &net->print;
    const chord_recurrence *r = &p->h.recurrence;
    float *spare = s->log + r->log_floats * CHORD_LOG_ROWS;
    chord_conv_args conv = convolution(p, s, layer);
    conv.x = spare;
    conv.stride = r->channels;
    conv.tokens = rows;
    for (uint32_t i = 0; i < rows; i++)
        memcpy(spare + (uint64_t)i * r->channels, chord_state_log(s, p, layer, i), r->channels * sizeof *spare);
    chord_convolve(&net->solo, &conv);
    if (r->heads == 0) return;
    chord_recur_args args = recurrence(p, s, layer, chord_state_log(s, p, layer, 0) + r->channels);
    float *rates = spare + (uint64_t)CHORD_LOG_ROWS * r->heads * r->values;
    for (uint32_t i = 0; i < 2 * rows; i++) /* gains of all rows, then decays */
        memcpy(rates + (uint64_t)i * r->heads,
               chord_state_log(s, p, layer, i % rows) + 2ull * r->channels + i / rows * r->heads,
               r->heads * sizeof *rates);
    args.stride = r->row_floats;
    args.gain = rates;
    args.decay = rates + (uint64_t)rows * r->heads;
    args.out = spare;
    args.tokens = rows;
    chord_recur(&net->solo, &args);
}

void chord_recurrence_redo(const chord_network *net, chord_sequence *s, uint32_t rows)
{
    uint32_t saved = chord_float_enter();
    for (uint32_t l = 0; l < net->print.h.layers; l++) {
        chord_mixer mixer = net->print.layers[l].mixer;
        if (mixer != CHORD_MIXER_ATTENTION && mixer != CHORD_MIXER_NONE) redo_layer(net, s, l, rows);
    }
    chord_float_leave(saved);
}

/* compressed.c - attention whose keys are its values, with a window; of all that is older, several tokens are seen as one
 * (DeepSeek-V4). Such a key is made of `every` tokens from what two matrices say of each, a value v and a weight s, to which
 * comes one of its place among them. Channel by channel, over these tokens:
 *
 *   w = softmax of s (exp(s - max s), divided by their sum);  key = rms(sum of w * v), turned by the first one's position
 *
 * Where every is OVERLAP, v and s have two halves, and a key is made of twice as many tokens: the first half of those
 * before, the second half of its own. Sums ascend, each product and sum is rounded by itself. What is needed of tokens
 * whose key is not made yet is carried as a state (states.c), since it cannot be had again. */
#include "model/model_inner.h"

#define OVERLAP 4u
#define EVERY_MAX 128u

/* ---- sizes ------------------------------------------------------------------------------------ */

static uint32_t halves_of(const chord_layer *layer) { return layer->every == OVERLAP ? 2 : 1; }

uint64_t chord_compressed_width(const chord_layer *layer) { return (uint64_t)halves_of(layer) * layer->head_dim; }

/* Tokens that a state has: a ring, each with v and s; enough for the last few to be taken back. */
static uint32_t ring_of(const chord_layer *layer)
{
    return layer->every != 0 ? halves_of(layer) * layer->every + CHORD_LOG_ROWS : 0;
}

static chord_status read_streams(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_hparams *h = &p->h;
    CHORD_TRY(chord_key_u32(p, g, "hyper_connection.count", CHORD_KEY_NEEDED, (chord_key_range){2, 16}, &h->streams,
                            err));
    uint32_t all = h->streams * h->embedding; /* what the file says that layers give */
    CHORD_TRY(chord_key_u32(p, g, "embedding_length_out", all, (chord_key_range){all, all}, &all, err));
    CHORD_TRY(chord_key_u32(p, g, "hyper_connection.sinkhorn_iterations", CHORD_KEY_NEEDED, (chord_key_range){1, 1024},
                            &h->stream_rounds, err));
    return chord_key_f32(p, g, "hyper_connection.epsilon", 0.0f, &h->stream_eps, err);
}

static chord_status read_outputs(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_hparams *h = &p->h;
    const chord_key_range sizes = {1, 1u << 20};
    CHORD_TRY(chord_key_u32(p, g, "attention.sliding_window", CHORD_KEY_NEEDED, (chord_key_range){1, 1u << 28},
                            &h->window, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.q_lora_rank", CHORD_KEY_NEEDED, sizes, &h->query_rank, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.output_group_count", CHORD_KEY_NEEDED, (chord_key_range){1, 4096},
                            &h->output_groups, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.output_lora_rank", CHORD_KEY_NEEDED, sizes, &h->output_rank, err));
    for (uint32_t l = 0; l < h->layers; l++)
        if (p->layers[l].kv_heads != 1 || p->layers[l].heads % h->output_groups != 0 ||
            p->layers[l].heads != p->layers[0].heads)
            return chord_fail(err, CHORD_CORRUPT, "layer %u has %u heads, %u of keys, for %u groups of outputs", l,
                              p->layers[l].heads, p->layers[l].kv_heads, h->output_groups);
    return CHORD_OK;
}

/* An index chooses among keys that are made of a few tokens: all, as long as there are no more than top_k. So long a text
 * is what these models are run for here; the index is left out. */
static chord_status leave_out_index(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    uint32_t top_k;
    CHORD_TRY(chord_key_u32(p, g, "attention.indexer.top_k", CHORD_KEY_NEEDED, (chord_key_range){1, 1u << 26}, &top_k,
                            err));
    if (p->h.trained_tokens > top_k * OVERLAP) p->h.trained_tokens = top_k * OVERLAP;
    p->h.index_left_out = true;
    return CHORD_OK;
}

static chord_status read_every(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    chord_recurrence *r = &p->h.recurrence;
    bool indexed = false;
    CHORD_TRY(chord_key_of_layers(p, g, "attention.compress_ratios", CHORD_KEY_NEEDED, (chord_key_range){0, EVERY_MAX},
                                  each, err));
    for (uint32_t l = 0; l < p->h.layers; l++) {
        chord_layer *layer = &p->layers[l];
        layer->every = each[l];
        if (each[l] != 0 && each[l] != OVERLAP && each[l] != EVERY_MAX)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "metadata '%s.attention.compress_ratios' is %u in layer %u; 0, %u and %u are supported",
                              p->arch->name, each[l], l, OVERLAP, EVERY_MAX);
        indexed = indexed || each[l] == OVERLAP;
        layer->recurrent.at = r->floats;
        r->floats += 2ull * ring_of(layer) * chord_compressed_width(layer);
    }
    if (r->floats != 0) p->caches = 2 * p->h.layers;
    return indexed ? leave_out_index(p, g, err) : CHORD_OK;
}

chord_status chord_compressed_read(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    CHORD_TRY(read_streams(p, g, err));
    CHORD_TRY(read_outputs(p, g, err));
    CHORD_TRY(read_every(p, g, each, err));
    return chord_key_u32(p, g, "hash_layer_count", 0, (chord_key_range){0, p->h.layers}, &p->h.routing.by_token, err);
}

/* ---- keys of several tokens ------------------------------------------------------------------- */

/* Of one sequence, whose tokens [first, first + count) are rows of the pass from `row` on. */
typedef struct compressor {
    const chord_pass *p;
    const chord_layer *layer;
    const float *past; /* ring */
    uint32_t first, row, width, ring;
} compressor;

/* v, or s, of a token. */
static const float *of_token(const compressor *c, uint32_t position, bool weight)
{
    if (position >= c->first)
        return chord_op_row(c->p, weight ? CHORD_LATENT_Q : CHORD_GATE, c->row + position - c->first);
    return c->past + (2ull * (position % c->ring) + weight) * c->width;
}

/* out (head_dim): of the tokens from `start` on */
static void make_key(const compressor *c, uint32_t start, float *out)
{
    uint32_t every = c->layer->every, n = c->layer->head_dim, count = 0;
    const float *v[2 * OVERLAP > EVERY_MAX ? 2 * OVERLAP : EVERY_MAX], *s[CHORD_COUNT(v)];
    if (c->width > n) {
        for (uint32_t t = start >= every ? start - every : start; t < start; t++, count++)
            v[count] = of_token(c, t, false), s[count] = of_token(c, t, true);
    }
    for (uint32_t t = start; t < start + every; t++, count++)
        v[count] = of_token(c, t, false) + (c->width - n), s[count] = of_token(c, t, true) + (c->width - n);
    for (uint32_t i = 0; i < n; i++) {
        float max = s[0][i], sum = 0.0f, key = 0.0f, w[CHORD_COUNT(v)];
        for (uint32_t t = 1; t < count; t++) max = s[t][i] > max ? s[t][i] : max;
        for (uint32_t t = 0; t < count; t++) sum += w[t] = chord_expf(s[t][i] - max);
        for (uint32_t t = 0; t < count; t++) key += w[t] / sum * v[t][i];
        out[i] = key;
    }
}

static void finish_key(const compressor *c, uint32_t start, float *key)
{
    const chord_blueprint *print = c->p->print;
    const chord_rotary *rotary = &print->ropes[c->layer->rope];
    const chord_norm *norm = &c->layer->compressor_norm;
    float table[1024];
    chord_rmsnorm(&c->p->net->solo, key, key, norm->weight, 1, norm->n, print->h.norm_eps);
    chord_rope_table(table, start, 1, rotary);
    chord_rope(&c->p->net->solo, key + norm->n - rotary->dims, table, 1, 1, norm->n, rotary->dims, false);
}

/* A state of the text's first `length` tokens, and of a few less. */
static void carry(const compressor *c, uint32_t length, float *to)
{
    uint32_t every = c->layer->every, least = length > CHORD_LOG_ROWS ? length - CHORD_LOG_ROWS : 0;
    uint32_t open = least / every * every;
    uint32_t from = c->width > c->layer->head_dim && open >= every ? open - every : open;
    for (uint32_t t = from; t < length; t++)
        for (uint32_t weight = 0; weight < 2; weight++)
            memcpy(to + (2ull * (t % c->ring) + weight) * c->width, of_token(c, t, weight != 0), c->width * sizeof *to);
}

/* Key `first` + i goes to row i of the segment. */
typedef struct keys_job {
    const compressor *c;
    uint32_t first;
} keys_job;

static void make_keys(void *ud, uint32_t worker, chord_share share)
{
    const keys_job *job = ud;
    const compressor *c = job->c;
    (void)worker;
    for (uint32_t i = (uint32_t)share.first; i < share.end; i++) {
        uint32_t start = (job->first + i) * c->layer->every;
        float *key = chord_op_row(c->p, CHORD_K, c->row + i);
        make_key(c, start, key);
        finish_key(c, start, key);
        memcpy(chord_op_row(c->p, CHORD_V, c->row + i), key, c->layer->head_dim * sizeof *key);
    }
}

static void compress_segment(const chord_pass *p, const chord_segment *segment, uint32_t l)
{
    const chord_layer *layer = &p->print->layers[l];
    const chord_sequence *s = segment->call->sequence;
    uint64_t at = layer->recurrent.at;
    compressor c = {p,
                    layer,
                    chord_state_part(s, s->state_past, at),
                    segment->first,
                    segment->row,
                    (uint32_t)chord_compressed_width(layer),
                    ring_of(layer)};
    uint32_t end = segment->first + segment->count, first = segment->first / layer->every;
    uint32_t keys = end / layer->every - first;
    keys_job job = {&c, first};
    chord_pool_run(keys < 2 ? NULL : p->net->compute.pool, keys, 1, make_keys, &job);
    if (keys != 0)
        chord_kv_write(&p->net->compute, &s->kv[p->print->h.layers + l], first, keys, chord_op_row(p, CHORD_K, c.row),
                       chord_op_row(p, CHORD_V, c.row));
    carry(&c, end, chord_state_part(s, s->state_next, at));
    if (s->kept_tokens != 0) carry(&c, segment->first + s->kept_tokens, chord_state_part(s, s->state_kept, at));
}

void chord_op_compress(chord_pass *p, uint32_t l)
{
    const chord_layer *layer = &p->print->layers[l];
    uint64_t width = chord_compressed_width(layer);
    if (!chord_op_begin(p, CHORD_LATENT_Q, width)) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        for (uint32_t r = 0; r < s->count; r++)
            chord_add(&p->net->solo, chord_op_row(p, CHORD_LATENT_Q, s->row + r),
                      layer->compressor_places + (s->first + r) % layer->every * width, width);
        compress_segment(p, s, l);
    }
}

/* ---- what was heard ---------------------------------------------------------------------------- */

/* Second numbers of pairs change their signs: turned between two such changes, a pair is turned back. */
static void flip_pairs(const chord_pass *p, chord_operand x, uint32_t head_dim, uint32_t dims)
{
    uint64_t heads = (uint64_t)p->rows * p->width[x] / head_dim;
    for (uint64_t h = 0; h < heads; h++) {
        float *end = chord_op_row(p, x, 0) + (h + 1) * head_dim - dims;
        for (uint32_t i = 1; i < dims; i += 2) end[i] = -end[i];
    }
}

void chord_op_turn_back(chord_pass *p, chord_operand x, uint32_t layer)
{
    const chord_layer *l = &p->print->layers[layer];
    uint32_t dims = p->print->ropes[l->rope].dims;
    if (p->net != NULL) flip_pairs(p, x, l->head_dim, dims);
    chord_op_turn_ends(p, x, layer, l->head_dim);
    if (p->net != NULL) flip_pairs(p, x, l->head_dim, dims);
}

chord_status chord_op_output_groups(chord_pass *p, chord_operand to, chord_operand heard, uint32_t layer,
                                    chord_error *err)
{
    chord_layer *l = &p->print->layers[layer];
    const chord_hparams *h = &p->print->h;
    if (p->net == NULL) chord_op_note(p, &l->attn_output_a);
    if (!chord_op_begin(p, to, (uint64_t)h->output_groups * h->output_rank)) return CHORD_OK;
    chord_heads groups = {.count = h->output_groups,
                          .x = chord_op_row(p, heard, 0),
                          .x_head = p->width[heard] / h->output_groups,
                          .x_stride = p->width[heard],
                          .out = chord_op_row(p, to, 0),
                          .out_head = h->output_rank,
                          .out_stride = p->width[to]};
    return chord_linear_heads(p->net, &l->attn_output_a, &groups, p->rows, err);
}

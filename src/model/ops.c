/* ops.c - the words in which a forward pass is written. Each takes named operands, which hold a row for each row of the pass
 * that still matters. Run without a network (record.c) they only note what they use: which weights in which
 * order, and how wide each operand gets. */
#include "model/model_inner.h"

static float *at(const chord_pass *p, chord_operand operand) { return p->net->scratch.operands[operand]; }
static uint64_t values(const chord_pass *p, chord_operand operand) { return (uint64_t)p->rows * p->width[operand]; }

/* The operand is written anew. False: this is a recording, there is nothing to compute. */
static bool write_to(chord_pass *p, chord_operand to, uint64_t width)
{
    p->width[to] = (uint32_t)width;
    if (p->inputs_of == to) p->inputs_of = CHORD_OPERANDS;
    if (p->net != NULL) return true;
    p->print->width_max[to] = (uint32_t)chord_max_u64(p->print->width_max[to], width);
    return false;
}

float *chord_op_row(const chord_pass *p, chord_operand operand, uint32_t row)
{
    return at(p, operand) + (uint64_t)row * p->width[operand];
}

typedef struct rows_job {
    const chord_pass *pass;
    chord_row_word *word;
    uint32_t layer;
} rows_job;

static void run_rows(void *ud, uint32_t worker, chord_share share)
{
    const rows_job *job = ud;
    (void)worker;
    for (uint64_t r = share.first; r < share.end; r++) job->word(job->pass, job->layer, (uint32_t)r);
}

#define ROWS_FOR_THREADS 4u

void chord_op_rows(const chord_pass *p, chord_row_word *word, uint32_t layer)
{
    rows_job job = {p, word, layer};
    chord_pool_run(p->rows < ROWS_FOR_THREADS ? NULL : p->net->compute.pool, p->rows, 1, run_rows, &job);
}

/* What a linear word reads: quantised once, however many weights read it. */
static chord_inputs *inputs_from(chord_pass *p, chord_operand from)
{
    if (p->inputs_of != from)
        chord_inputs_set(p->net, p->net->scratch.acts, &p->inputs, at(p, from), p->width[from], p->rows);
    p->inputs_of = from;
    return &p->inputs;
}

/* The first recording counts, the second one has a list. */
static void note_weight(chord_blueprint *p, chord_weight *w)
{
    if (p->order != NULL) p->order[p->order_count] = w;
    p->order_count++;
}

/* ---- norms and products ----------------------------------------------------------------------- */

bool chord_op_begin(chord_pass *p, chord_operand to, uint64_t width) { return write_to(p, to, width); }

void chord_op_note(chord_pass *p, chord_weight *w) { note_weight(p->print, w); }

void chord_op_norm(chord_pass *p, chord_operand to, chord_operand from, const chord_norm *norm)
{
    if (!write_to(p, to, norm->n)) return;
    chord_norm_rows(p->net, at(p, to), at(p, from), norm, p->rows, (p->print->arch->has & CHORD_LAYER_NORM) != 0);
}

void chord_op_norm_parts(chord_pass *p, chord_operand x, const chord_norm *norm)
{
    if (norm->n == 0 || !write_to(p, x, p->width[x])) return;
    chord_norm_rows(p->net, at(p, x), at(p, x), norm, values(p, x) / norm->n, false);
}

void chord_op_add(chord_pass *p, chord_operand x, chord_operand y)
{
    if (!write_to(p, x, p->width[x])) return;
    chord_add(&p->net->compute, at(p, x), at(p, y), values(p, x));
}

void chord_op_copy(chord_pass *p, chord_operand to, chord_operand from)
{
    if (write_to(p, to, p->width[from])) memcpy(at(p, to), at(p, from), values(p, from) * sizeof(float));
}

void chord_op_gate(chord_pass *p, chord_operand gate, chord_operand x)
{
    if (!chord_op_begin(p, gate, p->width[gate])) return;
    chord_glu_mul(&p->net->compute, CHORD_GLU_SILU, at(p, gate), at(p, x), values(p, gate));
}

void chord_op_scale(chord_pass *p, chord_operand x, float factor)
{
    if (factor == 1.0f || !write_to(p, x, p->width[x])) return;
    chord_scale(&p->net->compute, at(p, x), factor, values(p, x));
}

void chord_op_scale_by(chord_pass *p, chord_operand x, const float *factor)
{
    if (factor != NULL) chord_op_scale(p, x, *factor);
}

chord_status chord_op_linear(chord_pass *p, chord_operand to, chord_weight *w, chord_operand from, chord_error *err)
{
    if (p->net == NULL) note_weight(p->print, w);
    if (!write_to(p, to, w->rows)) return CHORD_OK;
    return chord_linear(p->net, at(p, to), w, inputs_from(p, from), err);
}

chord_status chord_op_glu(chord_pass *p, chord_operand to, chord_weight *gate, chord_weight *up, chord_operand from,
                          chord_error *err)
{
    if (p->net == NULL) {
        note_weight(p->print, gate);
        note_weight(p->print, up);
        gate->pair = up;
    }
    if (!write_to(p, to, gate->rows)) return CHORD_OK;
    return chord_linear_glu(p->net, at(p, to), gate, p->print->arch->glu, inputs_from(p, from), err);
}

chord_status chord_op_active(chord_pass *p, chord_operand to, chord_weight *w, chord_operand from, chord_error *err)
{
    CHORD_TRY(chord_op_linear(p, to, w, from, err));
    if (p->net != NULL) chord_glu_mul(&p->net->compute, p->print->arch->glu, at(p, to), NULL, values(p, to));
    return CHORD_OK;
}

chord_status chord_op_own(chord_pass *p, chord_operand to, chord_weight *w, chord_operand from, uint32_t layer,
                          chord_error *err)
{
    CHORD_TRY(chord_op_linear(p, to, w, from, err));
    if (p->net == NULL) return CHORD_OK;
    const float *own = at(p, CHORD_OWN) + (uint64_t)layer * w->rows;
    for (uint32_t r = 0; r < p->rows; r++)
        chord_glu_mul(&p->net->solo, p->print->arch->glu, at(p, to) + (uint64_t)r * w->rows,
                      own + (uint64_t)r * p->width[CHORD_OWN], w->rows);
    return CHORD_OK;
}

static void note_experts(chord_pass *p, chord_layer *layer)
{
    bool gated = layer->expert_gate.tensor != NULL;
    if (gated) note_weight(p->print, &layer->expert_gate);
    note_weight(p->print, &layer->expert_up);
    note_weight(p->print, &layer->expert_down);
    if (gated) layer->expert_gate.pair = &layer->expert_up;
}

chord_status chord_op_experts(chord_pass *p, chord_operand to, uint32_t layer, chord_operand scores, chord_operand from,
                              chord_error *err)
{
    if (p->net == NULL) note_experts(p, &p->print->layers[layer]);
    if (!write_to(p, to, p->print->h.embedding)) return CHORD_OK;
    CHORD_TRY(chord_experts_by_token(p, layer, err));
    return chord_experts_run(p->net, layer, at(p, scores), at(p, CHORD_X), inputs_from(p, from), at(p, to), err);
}

void chord_op_switch(chord_pass *p, chord_operand x, chord_operand by)
{
    if (!write_to(p, x, p->width[x])) return;
    for (uint32_t r = 0; r < p->rows; r++)
        chord_scale(&p->net->solo, at(p, x) + (uint64_t)r * p->width[x],
                    1.0f / (1.0f + chord_expf(-at(p, by)[(uint64_t)r * p->width[by]])), p->width[x]);
}

chord_status chord_op_fold(chord_pass *p, chord_weight *w, chord_operand from, chord_fold fold, void *ud,
                           chord_error *err)
{
    return chord_linear_fold(p->net, w, inputs_from(p, from), fold, ud, err);
}

/* ---- attention -------------------------------------------------------------------------------- */

void chord_op_rope(chord_pass *p, chord_operand x, uint32_t layer)
{
    const chord_layer *l = &p->print->layers[layer];
    if (l->rope == CHORD_ROPES || !write_to(p, x, p->width[x])) return;
    chord_rope(&p->net->compute, at(p, x), p->net->scratch.ropes[l->rope], p->rows, p->width[x] / l->head_dim,
               l->head_dim, p->print->ropes[l->rope].dims, (p->print->arch->has & CHORD_NEOX) != 0);
}

void chord_op_temper(chord_pass *p, chord_operand x, uint32_t layer)
{
    const chord_hparams *h = &p->print->h;
    bool turned = p->print->layers[layer].rope != CHORD_ROPES;
    if (turned && (p->print->arch->has & CHORD_CHUNKS) != 0) return;
    if (h->temperature == 0.0f || !write_to(p, x, p->width[x])) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        for (uint32_t r = 0; r < s->count; r++) {
            double times = (double)((s->first + r + h->temperature_first) / h->temperature_tokens + 1u);
            double factor = 1.0 + (double)h->temperature * chord_log2(times) * 0.6931471805599453;
            chord_scale(&p->net->solo, at(p, x) + (uint64_t)(s->row + r) * p->width[x], (float)factor, p->width[x]);
        }
    }
}

void chord_op_remember(chord_pass *p, uint32_t layer)
{
    if (p->net == NULL) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        chord_kv_write(&p->net->compute, &s->call->sequence->kv[layer], s->first, s->count,
                       at(p, CHORD_K) + (uint64_t)s->row * p->width[CHORD_K],
                       at(p, CHORD_V) + (uint64_t)s->row * p->width[CHORD_V]);
    }
}

void chord_op_attend(chord_pass *p, chord_operand to, chord_operand q, uint32_t layer)
{
    const chord_layer *l = &p->print->layers[layer];
    if (!write_to(p, to, (uint64_t)l->heads * l->value_dim)) return;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        const float *x = at(p, q) + (uint64_t)s->row * p->width[q];
        float *heard = at(p, to) + (uint64_t)s->row * p->width[to];
        chord_attention_args args = {.first = s->first,
                                     .tokens = s->count,
                                     .heads = l->heads,
                                     .window = l->window,
                                     .chunks = (p->print->arch->has & CHORD_CHUNKS) != 0,
                                     .scale = l->attention_scale,
                                     .softcap = p->print->h.scores_softcap,
                                     .sinks = l->sinks,
                                     .far = l->every != 0 ? &s->call->sequence->kv[p->print->h.layers + layer] : NULL,
                                     .every = l->every};
        chord_attention(&p->net->compute, heard, x, &s->call->sequence->kv[l->kv_layer], &args,
                        p->net->scratch.attention);
    }
}

void chord_op_switch_heads(chord_pass *p, chord_operand x, chord_operand by)
{
    uint32_t heads = p->width[by], n = p->width[x] / heads;
    if (!write_to(p, x, p->width[x])) return;
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t h = 0; h < heads; h++)
            chord_scale(&p->net->solo, chord_op_row(p, x, r) + (uint64_t)h * n,
                        1.0f / (1.0f + chord_expf(-chord_op_row(p, by, r)[h])), n);
}

static void part_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_layer *l = &p->print->layers[layer];
    const float *from = chord_op_row(p, CHORD_GATE, row);
    float *to = chord_op_row(p, CHORD_Q, row);
    for (uint32_t h = 0; h < l->heads; h++)
        memcpy(to + h * l->head_dim, from + 2 * h * l->head_dim, l->head_dim * sizeof *to);
}

void chord_op_part_heads(chord_pass *p, uint32_t layer)
{
    if (write_to(p, CHORD_Q, p->width[CHORD_GATE] / 2)) chord_op_rows(p, part_row, layer);
}

static void gate_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_layer *l = &p->print->layers[layer];
    float *heard = chord_op_row(p, CHORD_Q, row), *gate = chord_op_row(p, CHORD_GATE, row) + l->head_dim;
    for (uint32_t h = 0; h < l->heads; h++, heard += l->head_dim, gate += 2 * l->head_dim) {
        chord_glu_mul(&p->net->solo, CHORD_GLU_SIGMOID, gate, heard, l->head_dim);
        memcpy(heard, gate, l->head_dim * sizeof *heard);
    }
}

void chord_op_gate_heads(chord_pass *p, uint32_t layer)
{
    if (write_to(p, CHORD_Q, p->width[CHORD_Q])) chord_op_rows(p, gate_row, layer);
}

/* ---- rows that still matter ------------------------------------------------------------------- */

static void gather(float *x, uint64_t width, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count && width != 0; i++)
        if (rows[i] != i) memcpy(x + i * width, x + rows[i] * width, (size_t)width * sizeof *x);
}

/* The segments that `count` rows, ascending, leave of those there are: each a run of neighbouring positions. */
static void narrow_segments(chord_pass *p, const uint32_t *rows, uint32_t count)
{
    chord_segment *to = p->net->scratch.runs;
    uint32_t runs = 0, from = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (rows[i] >= p->segments[from].row + p->segments[from].count) from++;
        const chord_segment *s = &p->segments[from];
        bool goes_on = i > 0 && rows[i] == rows[i - 1] + 1 && rows[i] != s->row;
        if (goes_on) to[runs - 1].count++;
        else to[runs++] = (chord_segment){.call = s->call, .first = s->first + rows[i] - s->row, .row = i, .count = 1};
    }
    memcpy(p->segments, to, runs * sizeof *to);
    p->segment_count = runs;
}

/* From here on only these rows, ascending. */
static void keep_rows(chord_pass *p, const uint32_t *rows, uint32_t count)
{
    static const chord_operand KEPT[] = {CHORD_X, CHORD_NORM, CHORD_OWN, CHORD_AHEAD, CHORD_MIXES};
    if (count == p->rows) return;
    for (size_t i = 0; i < CHORD_COUNT(KEPT); i++) gather(at(p, KEPT[i]), p->width[KEPT[i]], rows, count);
    for (uint32_t i = 0; i < p->print->rope_count; i++)
        gather(p->net->scratch.ropes[i], p->print->ropes[i].dims, rows, count);
    narrow_segments(p, rows, count);
    p->rows = count;
    p->inputs_of = CHORD_OPERANDS;
}

bool chord_op_narrow(chord_pass *p)
{
    if (p->net == NULL) {
        p->print->order_before_output = p->print->order_count;
        return true;
    }
    keep_rows(p, p->wanted, p->wanted_count);
    for (uint32_t i = 0; i < p->wanted_count; i++) p->wanted[i] = i;
    return p->rows != 0;
}

static void mark_dropped(chord_pass *p)
{
    for (uint32_t i = 0; i < p->segment_count; i++)
        if (atomic_load(&p->segments[i].call->sequence->cancelled)) p->segments[i].call->dropped = true;
}

/* Rows of calls that were cancelled meanwhile go, when there are others. */
chord_status chord_op_drop(chord_pass *p, chord_error *err)
{
    if (p->net == NULL || p->segment_count < 2) return CHORD_OK;
    uint32_t *rows = p->net->scratch.kept, count = 0, wanted = 0, looked = 0;
    mark_dropped(p);
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        for (uint32_t r = s->row; r < s->row + s->count; r++) {
            bool is_wanted = looked < p->wanted_count && p->wanted[looked] == r;
            looked += is_wanted;
            if (s->call->dropped) continue;
            if (is_wanted) p->wanted[wanted++] = count;
            rows[count++] = r;
        }
    }
    if (count == p->rows) return CHORD_OK;
    if (count == 0) return chord_fail(err, CHORD_CANCELLED, "cancelled");
    p->wanted_count = wanted;
    keep_rows(p, rows, count);
    chord_calls_drop(p->net);
    return CHORD_OK;
}

/* experts.c - feed-forward layers of which each token uses a few of many (Shazeer et al. 2017, arXiv:1701.06538). Their
 * tiles are asked for when the router has chosen, all at once for all rows of a pass, and stay in a cache as long as there
 * is room. What experts say is summed up from 0 in ascending order of the experts, whatever arrives first:
 *
 *   out = (...(0 + w_a * y_a) + w_b * y_b ...), a < b < ...      each operation rounded by itself */
#include "model/model_inner.h"

/* ---- who goes where --------------------------------------------------------------------------- */

static void sort_ids(uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = i; j > 0 && ids[j] < ids[j - 1]; j--) {
            uint32_t id = ids[j];
            ids[j] = ids[j - 1];
            ids[j - 1] = id;
        }
}

/* A row of a table of tokens: whole numbers of 32 bits, as the file has them. */
static chord_status read_ids(chord_network *net, const chord_tensor *t, uint32_t token, uint32_t *ids, chord_error *err)
{
    uint32_t used = net->print.h.routing.used, experts = net->print.h.routing.experts;
    uint8_t *bytes = (uint8_t *)ids;
    CHORD_TRY(chord_pager_read(net->pager, t->shard, t->offset + token * t->row_bytes, (size_t)t->row_bytes, bytes,
                               err));
    for (uint32_t i = 0; i < used; i++) ids[i] = chord_load_u32(bytes + 4 * i);
    sort_ids(ids, used);
    for (uint32_t i = 0; i < used; i++)
        if (ids[i] >= experts || (i > 0 && ids[i] == ids[i - 1]))
            return chord_fail(err, CHORD_CORRUPT, "tensor '%s' names expert %u for token %u, of %u, or it twice",
                              t->name, ids[i], token, experts);
    return CHORD_OK;
}

chord_status chord_experts_by_token(chord_pass *p, uint32_t l, chord_error *err)
{
    const chord_tensor *t = p->print->layers[l].experts_by_token;
    if (t == NULL) return CHORD_OK;
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        for (uint32_t r = s->row; r < s->row + s->count; r++)
            CHORD_TRY(read_ids(p->net, t, (uint32_t)s->call->args->tokens[chord_segment_index(s, r)],
                               p->net->scratch.experts.ids + (uint64_t)r * p->print->h.routing.used, err));
    }
    return CHORD_OK;
}

/* first[e] .. first[e + 1]: the rows that go to expert e, ascending, and their weights. */
static void sort_rows(chord_network *net, uint32_t rows)
{
    const chord_routing *r = &net->print.h.routing;
    chord_expert_scratch *s = &net->scratch.experts;
    uint32_t all = rows * r->used, at = 0;
    memset(s->first, 0, (r->experts + 1) * sizeof *s->first);
    for (uint32_t i = 0; i < all; i++) s->first[s->ids[i]]++;
    for (uint32_t e = 0; e <= r->experts; e++) {
        uint32_t count = s->first[e];
        s->first[e] = at;
        at += count;
    }
    for (uint32_t i = 0; i < all; i++) {
        uint32_t to = s->first[s->ids[i]]++;
        s->rows[to] = i / r->used;
        s->row_weights[to] = s->weights[i];
    }
    memmove(s->first + 1, s->first, r->experts * sizeof *s->first);
    s->first[0] = 0;
}

static uint32_t count_of(const chord_expert_scratch *s, uint32_t expert)
{
    return s->first[expert + 1] - s->first[expert];
}

/* All tiles of all experts that are used. Where the list of what is asked for is full, pins read the rest. */
static void ask(chord_network *net, const chord_layer *layer, uint32_t rows)
{
    chord_expert_scratch *s = &net->scratch.experts;
    uint32_t n = 0;
    for (uint32_t e = 0; e < net->print.h.routing.experts; e++) {
        if (count_of(s, e) == 0) continue;
        uint32_t first = n;
        n += chord_expert_tiles(layer, e, s->list + n);
        chord_experts_value(net, s->list + first, n - first, s->rows + s->first[e], count_of(s, e), rows);
    }
    (void)chord_asked_ask(net->experts, s->list, n);
}

static bool is_here(chord_network *net, const chord_layer *layer, uint32_t expert)
{
    uint32_t *list = net->scratch.experts.list, n = chord_expert_tiles(layer, expert, list);
    return chord_asked_has(net->experts, list, n);
}

/* ---- what they say ---------------------------------------------------------------------------- */

/* The rows of x that go to this expert: all of them, or a copy, which may be weighed. */
static chord_inputs *inputs_of(chord_network *net, chord_inputs *x, uint32_t expert, chord_inputs *own)
{
    chord_expert_scratch *s = &net->scratch.experts;
    uint32_t count = count_of(s, expert);
    const uint32_t *rows = s->rows + s->first[expert];
    bool weighed = (net->print.arch->has & CHORD_WEIGHED_INPUTS) != 0;
    if (count == x->tokens && !weighed) return x;
    for (uint32_t i = 0; i < count; i++) {
        float *to = s->x + (uint64_t)i * x->n;
        memcpy(to, x->x + (uint64_t)rows[i] * x->n, x->n * sizeof *to);
        if (weighed) chord_scale(&net->solo, to, s->row_weights[s->first[expert] + i], x->n);
    }
    chord_inputs_set(net, s->acts, own, s->x, x->n, count);
    return own;
}

/* y: (rows of this expert, embedding) */
static chord_status compute_expert(chord_network *net, const chord_layer *layer, uint32_t expert, chord_inputs *x,
                                   float *y, chord_error *err)
{
    chord_expert_scratch *s = &net->scratch.experts;
    chord_weight gate = chord_expert_part(&layer->expert_gate, expert),
                 up = chord_expert_part(&layer->expert_up, expert),
                 down = chord_expert_part(&layer->expert_down, expert);
    chord_inputs own, *in = inputs_of(net, x, expert, &own);
    chord_glu glu = net->print.arch->glu;
    gate.pair = &up;
    if (gate.tensor != NULL) CHORD_TRY(chord_linear_glu(net, s->gate, &gate, glu, in, err));
    else {
        CHORD_TRY(chord_linear(net, s->gate, &up, in, err));
        chord_glu_mul(&net->compute, glu, s->gate, NULL, (uint64_t)count_of(s, expert) * up.rows);
    }
    chord_inputs_set(net, s->acts, &own, s->gate, up.rows, count_of(s, expert));
    return chord_linear(net, y, &down, &own, err);
}

typedef struct sum_job {
    const uint32_t *rows;
    const float *weights, *y; /* weights NULL: 1 */
    float *out;
    uint32_t n;
} sum_job;

static void sum_task(void *ud, uint32_t worker, chord_share share)
{
    const sum_job *job = ud;
    (void)worker;
    for (uint64_t i = share.first; i < share.end; i++) {
        float *out = job->out + (uint64_t)job->rows[i] * job->n, weight = job->weights != NULL ? job->weights[i] : 1.0f;
        const float *y = job->y + i * job->n;
        for (uint32_t c = 0; c < job->n; c++) out[c] = out[c] + weight * y[c];
    }
}

#define ROWS_AT_ONCE 8u /* a thread's piece */

static void sum_up(chord_network *net, uint32_t expert, const float *y, float *out)
{
    chord_expert_scratch *s = &net->scratch.experts;
    bool weighed = (net->print.arch->has & CHORD_WEIGHED_INPUTS) != 0; /* before */
    sum_job job = {.rows = s->rows + s->first[expert],
                   .weights = weighed ? NULL : s->row_weights + s->first[expert],
                   .y = y,
                   .out = out,
                   .n = net->print.h.embedding};
    uint32_t count = count_of(s, expert);
    chord_pool_run(count < 2 * ROWS_AT_ONCE ? NULL : net->compute.pool, count, ROWS_AT_ONCE, sum_task, &job);
}

/* One that is here, while others are read, or else the first of these; experts: all are done. */
static uint32_t choose_next(chord_network *net, const chord_layer *layer)
{
    const chord_expert_scratch *s = &net->scratch.experts;
    uint32_t experts = net->print.h.routing.experts, first = experts;
    for (uint32_t e = 0; e < experts; e++) {
        if (count_of(s, e) == 0 || s->done[e]) continue;
        if (is_here(net, layer, e)) return e;
        if (first == experts) first = e;
    }
    return first;
}

/* Few rows: what all say is kept till the end. Before one is waited for, what others have said tells of the next layer. */
static chord_status run_few(chord_network *net, uint32_t l, const float *stream, chord_inputs *x, float *out,
                            chord_error *err)
{
    const chord_layer *layer = &net->print.layers[l];
    chord_expert_scratch *s = &net->scratch.experts;
    uint32_t experts = net->print.h.routing.experts, n = net->print.h.embedding;
    bool hoped = false;
    for (uint32_t e; (e = choose_next(net, layer)) < experts; s->done[e] = true) {
        if (!hoped && !is_here(net, layer, e)) chord_experts_hope(net, l, stream, x->tokens), hoped = true;
        CHORD_TRY(compute_expert(net, layer, e, x, s->kept + (uint64_t)s->first[e] * n, err));
    }
    if (!hoped) chord_experts_hope(net, l, stream, x->tokens);
    for (uint32_t e = 0; e < experts; e++)
        if (count_of(s, e) != 0) sum_up(net, e, s->kept + (uint64_t)s->first[e] * n, out);
    return CHORD_OK;
}

static chord_status run_many(chord_network *net, const chord_layer *layer, chord_inputs *x, float *out,
                             chord_error *err)
{
    chord_expert_scratch *s = &net->scratch.experts;
    for (uint32_t e = 0; e < net->print.h.routing.experts; e++) {
        if (count_of(s, e) == 0) continue;
        CHORD_TRY(compute_expert(net, layer, e, x, s->out, err));
        sum_up(net, e, s->out, out);
    }
    return CHORD_OK;
}

chord_status chord_experts_run(chord_network *net, uint32_t l, const float *scores, const float *stream,
                               chord_inputs *x, float *out, chord_error *err)
{
    const chord_layer *layer = &net->print.layers[l];
    CHORD_TRY(chord_experts_route(net, l, scores, x->tokens, err));
    chord_experts_judge(net, l, x->tokens);
    sort_rows(net, x->tokens);
    ask(net, layer, x->tokens);
    memset(out, 0, (uint64_t)x->tokens * net->print.h.embedding * sizeof *out);
    if (x->tokens * net->print.h.routing.used > CHORD_EXPERT_ROWS_KEPT) return run_many(net, layer, x, out, err);
    memset(net->scratch.experts.done, 0, net->print.h.routing.experts);
    return run_few(net, l, stream, x, out, err);
}

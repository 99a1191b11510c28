/* scratch.c - the buffers of one pass, sized once for the largest chunk. */
#include "model/model_inner.h"

/* A plan is the same on machines of all widths of pointers. */
#define SEGMENT_BYTES 24u
_Static_assert(sizeof(chord_segment) <= SEGMENT_BYTES, "a segment fits");

/* Hands out pieces of a block; with base 0 it only counts. */
typedef struct carver {
    uintptr_t base;
    uint64_t used;
} carver;

static void *carve(carver *c, uint64_t bytes)
{
    void *piece = c->base != 0 ? (void *)(c->base + c->used) : NULL;
    c->used = chord_align_up(c->used + bytes, 64);
    return piece;
}

static float *carve_f32(carver *c, uint64_t count) { return carve(c, count * sizeof(float)); }

/* Of the tables whose rows are added to others. */
static uint64_t row_columns(const chord_blueprint *p)
{
    uint64_t columns = 0;
    for (uint32_t i = CHORD_TABLE_TOKENS + 1; i < CHORD_TABLES; i++)
        if (p->tables[i] != NULL) columns = chord_max_u64(columns, p->tables[i]->dims[0]);
    return columns;
}

static uint64_t attention_bytes(const chord_blueprint *p, uint32_t threads)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->h.layers; i++) {
        const chord_layer *l = &p->layers[i];
        bytes = chord_max_u64(bytes, chord_attention_scratch_bytes(threads, l->head_dim, l->value_dim, l->heads));
    }
    return bytes;
}

static void carve_acts(carver *c, const chord_blueprint *p, uint32_t chunk, void *acts[CHORD_ACT_COUNT])
{
    for (int kind = 0; kind < CHORD_ACT_COUNT; kind++)
        acts[kind] = p->uses[kind] ? carve(c, chord_act_bytes((chord_act)kind, p->columns_max, chunk)) : NULL;
}

static void carve_experts(carver *c, const chord_blueprint *p, uint32_t chunk, chord_expert_scratch *s)
{
    uint64_t n = chunk, experts = p->h.routing.experts, used = p->h.routing.used, e = p->h.embedding;
    if (p->expert_tile_count == 0) return;
    s->ids = carve(c, n * used * sizeof *s->ids);
    s->weights = carve_f32(c, n * used);
    s->route = carve_f32(c, 2 * experts);
    s->first = carve(c, (experts + 1) * sizeof *s->first);
    s->rows = carve(c, n * used * sizeof *s->rows);
    s->row_weights = carve_f32(c, n * used);
    s->list = carve(c, p->layer_tiles_max * sizeof *s->list);
    s->done = carve(c, experts);
    s->hoped = carve(c, CHORD_EXPERT_ROWS_KEPT * sizeof *s->hoped);
    s->x = carve_f32(c, n * e);
    s->gate = carve_f32(c, n * p->h.expert_ff);
    s->out = carve_f32(c, n * e);
    s->kept = carve_f32(c, chord_min_u64(CHORD_EXPERT_ROWS_KEPT, n * used) * e);
    carve_acts(c, p, chunk, s->acts);
}

static void carve_head(carver *c, const chord_blueprint *p, uint32_t chunk, chord_head_scratch *s)
{
    uint64_t widest = p->h.latent_spread ? 0 : chord_max_u64(p->h.latent, p->h.latent_head_dim);
    if (p->h.output_groups != 0) widest = (uint64_t)p->layers[0].heads * p->layers[0].head_dim / p->h.output_groups;
    if (widest == 0) return;
    s->x = carve_f32(c, chunk * widest);
    carve_acts(c, p, chunk, s->acts);
}

uint64_t chord_scratch_layout(const chord_blueprint *p, uint32_t chunk, uint32_t logit_rows, uint32_t threads,
                              chord_scratch *s)
{
    carver c = {.base = (uintptr_t)s->region.base};
    uint64_t n = chunk;
    for (int b = 0; b < CHORD_OPERANDS; b++)
        s->operands[b] = carve_f32(&c, (b == CHORD_LOGITS ? logit_rows : n) * p->width_max[b]);
    s->tile = carve_f32(&c, n * p->tile_rows_max);
    for (uint32_t i = 0; i < CHORD_ROPES; i++)
        s->ropes[i] = carve_f32(&c, i < p->rope_count ? n * p->ropes[i].dims : 0);
    s->row = carve_f32(&c, row_columns(p));
    s->scores = carve(&c, n * sizeof *s->scores);
    s->segments = carve(&c, n * SEGMENT_BYTES);
    s->runs = carve(&c, n * SEGMENT_BYTES);
    s->wanted = carve(&c, n * sizeof *s->wanted);
    s->kept = carve(&c, n * sizeof *s->kept);
    carve_acts(&c, p, chunk, s->acts);
    carve_experts(&c, p, chunk, &s->experts);
    carve_head(&c, p, chunk, &s->head);
    s->attention = carve(&c, attention_bytes(p, threads));
    s->worker_bytes = chord_align_up(chord_rows_scratch_bytes(p->columns_max), 64);
    s->workers = carve(&c, s->worker_bytes * threads);
    return c.used;
}

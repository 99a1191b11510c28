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

uint64_t chord_scratch_layout(const chord_blueprint *p, uint32_t chunk, uint32_t logit_rows, uint32_t threads,
                              chord_scratch *s)
{
    const chord_hparams *h = &p->h;
    carver c = {.base = (uintptr_t)s->region.base};
    uint64_t n = chunk;
    for (int b = 0; b < CHORD_OPERANDS; b++)
        s->operands[b] = carve_f32(&c, (b == CHORD_LOGITS ? logit_rows : n) * p->width_max[b]);
    s->tile = carve_f32(&c, n * p->tile_rows_max);
    s->rope = carve_f32(&c, n * h->rope_dims);
    s->rope_window = carve_f32(&c, h->window != 0 ? n * h->rope_dims : 0);
    s->scores = carve(&c, n * sizeof *s->scores);
    s->segments = carve(&c, n * SEGMENT_BYTES);
    s->runs = carve(&c, n * SEGMENT_BYTES);
    s->wanted = carve(&c, n * sizeof *s->wanted);
    s->kept = carve(&c, n * sizeof *s->kept);
    for (int kind = 0; kind < CHORD_ACT_COUNT; kind++)
        s->acts[kind] = p->uses[kind] ? carve(&c, chord_act_bytes((chord_act)kind, p->columns_max, chunk)) : NULL;
    s->attention = carve(&c, chord_attention_scratch_bytes(threads, h->head_dim, h->heads));
    s->worker_bytes = chord_align_up(chord_rows_scratch_bytes(p->columns_max), 64);
    s->workers = carve(&c, s->worker_bytes * threads);
    return c.used;
}

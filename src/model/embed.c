/* embed.c - a pass's first step: the rows of its tokens, read one by one through a small cache, and the rotary tables of
 * their positions. */
#include "model/model_inner.h"

/* A packed row comes with its panel: sixteen times the bytes are still one small read against a pass, and a table that is
 * also the output would else stand in the file twice. The workers' scratch is idle here and holds sixteen rows. */
static chord_status read_row(chord_network *net, const chord_tensor *t, uint32_t index, uint8_t *row, chord_error *err)
{
    uint32_t lane = index % CHORD_PANEL_ROWS, first = index - lane;
    if (!t->packed || t->rows - first < CHORD_PANEL_ROWS)
        return chord_pager_read(net->pager, t->shard, t->offset + index * t->row_bytes, (size_t)t->row_bytes, row, err);
    uint8_t *panel = net->scratch.workers;
    CHORD_TRY(chord_pager_read(net->pager, t->shard, t->offset + first * t->row_bytes,
                               (size_t)(CHORD_PANEL_ROWS * t->row_bytes), panel, err));
    chord_unpack_row(t->type, panel, (uint32_t)(t->dims[0] / chord_type_get(t->type)->block_elems), lane, row);
    return CHORD_OK;
}

/* The table's row as numbers. */
static chord_status take_row(chord_network *net, chord_table which, uint32_t index, float *out, chord_error *err)
{
    const chord_tensor *t = net->print.tables[which];
    const chord_row_cache *cache = &net->rows[which];
    uint32_t slot = index % CHORD_EMBEDDING_CACHE_ROWS;
    uint8_t *row = cache->rows + slot * t->row_bytes;
    if (cache->tags[slot] != (int32_t)index + 1) {
        cache->tags[slot] = 0;
        CHORD_TRY(read_row(net, t, index, row, err));
        cache->tags[slot] = (int32_t)index + 1;
    }
    chord_format_get(t->type)->dequantize(row, out, t->dims[0]);
    return CHORD_OK;
}

/* x += factor * the table's row */
static chord_status add_row(chord_network *net, chord_table which, uint32_t index, float factor, float *x,
                            chord_error *err)
{
    uint64_t n = net->print.tables[which]->dims[0];
    float *row = net->scratch.row;
    CHORD_TRY(take_row(net, which, index, row, err));
    if (factor != 1.0f) chord_scale(&net->solo, row, factor, n);
    chord_add(&net->solo, x, row, n);
    return CHORD_OK;
}

static chord_status embed_segment(chord_network *net, const chord_segment *s, chord_error *err)
{
    const chord_hparams *h = &net->print.h;
    const int32_t *tokens = s->call->args->tokens + s->call->done;
    for (uint32_t i = 0; i < s->count; i++) {
        float *x = net->scratch.operands[CHORD_X] + (uint64_t)(s->row + i) * h->streams * h->embedding;
        CHORD_TRY(take_row(net, CHORD_TABLE_TOKENS, (uint32_t)tokens[i], x, err));
        if (h->embedding_scale != 1.0f) chord_scale(&net->solo, x, h->embedding_scale, h->embedding);
        if (net->print.tables[CHORD_TABLE_POSITIONS] != NULL)
            CHORD_TRY(add_row(net, CHORD_TABLE_POSITIONS, s->first + i, 1.0f, x, err));
        for (uint32_t k = 1; k < h->streams; k++) memcpy(x + (uint64_t)k * h->embedding, x, h->embedding * sizeof *x);
    }
    return CHORD_OK;
}

static void turn_segment(const chord_network *net, const chord_segment *s)
{
    for (uint32_t i = 0; i < net->print.rope_count; i++) {
        const chord_rotary *r = &net->print.ropes[i];
        chord_rope_table(net->scratch.ropes[i] + (uint64_t)s->row * r->dims, s->first, s->count, r);
    }
}

static chord_status add_own_rows(chord_pass *p, float factor, chord_error *err)
{
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        const int32_t *tokens = s->call->args->tokens + s->call->done;
        for (uint32_t r = 0; r < s->count; r++)
            CHORD_TRY(add_row(p->net, CHORD_TABLE_OWN, (uint32_t)tokens[r], factor,
                              p->net->scratch.operands[CHORD_OWN] + (uint64_t)(s->row + r) * p->width[CHORD_OWN], err));
    }
    return CHORD_OK;
}

/* What each layer gets for itself: the mean, by their squares, of what the token's embedding says of it and of what a table
 * of its own does. */
static chord_status embed_own(chord_pass *p, chord_error *err)
{
    chord_blueprint *print = p->print;
    if (print->h.own_columns == 0) return CHORD_OK;
    CHORD_TRY(chord_op_linear(p, CHORD_OWN, &print->own_projection, CHORD_X, err));
    chord_op_scale(p, CHORD_OWN, 1.0f / __builtin_sqrtf((float)print->h.embedding));
    chord_op_norm_parts(p, CHORD_OWN, &print->own_norm);
    if (p->net != NULL) CHORD_TRY(add_own_rows(p, __builtin_sqrtf((float)print->h.own_columns), err));
    chord_op_scale(p, CHORD_OWN, 0.707106781f);
    return CHORD_OK;
}

chord_status chord_embed(chord_pass *p, chord_error *err)
{
    if (!chord_op_begin(p, CHORD_X, (uint64_t)p->print->h.streams * p->print->h.embedding)) return embed_own(p, err);
    for (uint32_t i = 0; i < p->segment_count; i++) {
        CHORD_TRY(embed_segment(p->net, &p->segments[i], err));
        turn_segment(p->net, &p->segments[i]);
    }
    return embed_own(p, err);
}

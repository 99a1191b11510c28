/* embed.c - a pass's first step: the rows of its tokens, read one by one through a small cache, and the rotary tables of
 * their positions. */
#include "model/model_inner.h"

/* A packed row comes with its panel: sixteen times the bytes are still one small read against a pass, and a table that is
 * also the output would else stand in the file twice. The workers' scratch is idle here and holds sixteen rows. */
static chord_status read_row(chord_network *net, uint32_t index, uint8_t *row, chord_error *err)
{
    const chord_tensor *t = net->print.embedding;
    uint32_t lane = index % CHORD_PANEL_ROWS, first = index - lane;
    if (!t->packed || t->rows - first < CHORD_PANEL_ROWS)
        return chord_pager_read(net->pager, t->shard, t->offset + index * t->row_bytes, (size_t)t->row_bytes, row, err);
    uint8_t *panel = net->scratch.workers;
    CHORD_TRY(chord_pager_read(net->pager, t->shard, t->offset + first * t->row_bytes,
                               (size_t)(CHORD_PANEL_ROWS * t->row_bytes), panel, err));
    chord_unpack_row(t->type, panel, (uint32_t)(t->dims[0] / chord_type_get(t->type)->block_elems), lane, row);
    return CHORD_OK;
}

static chord_status embedding_row(chord_network *net, int32_t token, const uint8_t **out, chord_error *err)
{
    const chord_tensor *t = net->print.embedding;
    uint32_t slot = (uint32_t)token % CHORD_EMBEDDING_CACHE_ROWS;
    uint8_t *row = net->embedding_cache + slot * t->row_bytes;
    if (net->embedding_tags[slot] != token + 1) {
        net->embedding_tags[slot] = 0;
        CHORD_TRY(read_row(net, (uint32_t)token, row, err));
        net->embedding_tags[slot] = token + 1;
    }
    *out = row;
    return CHORD_OK;
}

static chord_status embed_segment(chord_network *net, const chord_segment *s, float *x, chord_error *err)
{
    const chord_format_ops *format = chord_format_get(net->print.embedding->type);
    const int32_t *tokens = s->call->args->tokens + s->call->done;
    for (uint32_t i = 0; i < s->count; i++) {
        const uint8_t *row;
        CHORD_TRY(embedding_row(net, tokens[i], &row, err));
        format->dequantize(row, x + (uint64_t)i * net->print.h.embedding, net->print.h.embedding);
    }
    return CHORD_OK;
}

static void turn_segment(const chord_blueprint *print, const chord_scratch *scratch, const chord_segment *s)
{
    const chord_hparams *h = &print->h;
    uint64_t at = (uint64_t)s->row * h->rope_dims;
    chord_rope_table(scratch->rope + at, s->first, s->count, h->rope_dims, h->rope_base, h->rope_scale,
                     print->rope_factors);
    if (h->window != 0)
        chord_rope_table(scratch->rope_window + at, s->first, s->count, h->rope_dims, h->window_rope_base, 1.0f, NULL);
}

chord_status chord_embed(chord_pass *p, chord_error *err)
{
    const chord_hparams *h = &p->print->h;
    float *x = p->net->scratch.operands[CHORD_X];
    for (uint32_t i = 0; i < p->segment_count; i++) {
        const chord_segment *s = &p->segments[i];
        CHORD_TRY(embed_segment(p->net, s, x + (uint64_t)s->row * h->embedding, err));
        turn_segment(p->print, &p->net->scratch, s);
    }
    p->width[CHORD_X] = h->embedding;
    if (h->embedding_scale != 1.0f)
        chord_scale(&p->net->compute, x, h->embedding_scale, (uint64_t)p->rows * h->embedding);
    return CHORD_OK;
}

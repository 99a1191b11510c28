/* layer.c - steps that several architectures share. */
#include "model/model_inner.h"

void chord_attend(const chord_chunk *c, uint32_t l, uint32_t rows)
{
    chord_network *net = c->net;
    const chord_hparams *h = &net->print.h;
    const chord_layer *layer = &net->print.layers[l];
    chord_scratch *s = &net->scratch;
    uint64_t width = (uint64_t)h->heads * h->head_dim;
    const float *table = layer->window != 0 ? s->rope_window : s->rope;
    uint32_t skip = c->count - rows;
    chord_rope(&net->compute, s->q + skip * width, table + (uint64_t)skip * h->rope_dims, rows, h->heads, h->head_dim,
               h->rope_dims, h->rope_neox);
    chord_attention_args args = {.first = c->first + skip,
                                 .tokens = rows,
                                 .heads = h->heads,
                                 .window = layer->window,
                                 .scale = h->attention_scale};
    float *q = s->q + skip * width;
    chord_attention(&net->compute, q, q, &c->sequence->kv[l], &args, s->attention);
}

void chord_remember(const chord_chunk *c, uint32_t l)
{
    chord_network *net = c->net;
    const chord_hparams *h = &net->print.h;
    chord_scratch *s = &net->scratch;
    const float *table = net->print.layers[l].window != 0 ? s->rope_window : s->rope;
    chord_rope(&net->compute, s->k, table, c->count, h->kv_heads, h->head_dim, h->rope_dims, h->rope_neox);
    chord_kv_write(&net->compute, &c->sequence->kv[l], c->first, c->count, s->k, s->v);
}

void chord_rope_tables(const chord_chunk *c)
{
    const chord_blueprint *p = &c->net->print;
    const chord_hparams *h = &p->h;
    chord_rope_table(c->net->scratch.rope, c->first, c->count, h->rope_dims, h->rope_base, h->rope_scale,
                     p->rope_factors);
    if (h->window != 0)
        chord_rope_table(c->net->scratch.rope_window, c->first, c->count, h->rope_dims, h->window_rope_base, 1.0f,
                         NULL);
}

/* ---- embedding rows, read one by one through a small cache --------------------------------------- */

static chord_status embedding_row(chord_network *net, int32_t token, const uint8_t **out, chord_error *err)
{
    const chord_tensor *t = net->print.embedding;
    uint32_t slot = (uint32_t)token % CHORD_EMBEDDING_CACHE_ROWS;
    uint8_t *row = net->embedding_cache + slot * t->row_bytes;
    if (net->embedding_tags[slot] != token + 1) {
        net->embedding_tags[slot] = 0;
        CHORD_TRY(chord_pager_read(net->pager, t->shard, t->offset + (uint64_t)token * t->row_bytes,
                                   (size_t)t->row_bytes, row, err));
        net->embedding_tags[slot] = token + 1;
    }
    *out = row;
    return CHORD_OK;
}

chord_status chord_embed(chord_network *net, const int32_t *tokens, uint32_t count, float *out, chord_error *err)
{
    const chord_hparams *h = &net->print.h;
    const chord_format_ops *format = chord_format_get(net->print.embedding->type);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row;
        CHORD_TRY(embedding_row(net, tokens[i], &row, err));
        format->dequantize(row, out + (uint64_t)i * h->embedding, h->embedding);
    }
    if (h->embedding_scale != 1.0f) chord_scale(&net->compute, out, h->embedding_scale, (uint64_t)count * h->embedding);
    return CHORD_OK;
}

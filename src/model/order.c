/* order.c - how a file's tensors should stand so that a pass reads it front to back. */
#include "model/model_inner.h"

typedef enum kind { KIND_REST, KIND_VECTOR, KIND_WEIGHT, KIND_CUT, KIND_LISTED } kind;

static uint32_t list_all(const uint8_t *kinds, uint64_t count, kind wanted, uint32_t *numbers, uint32_t at)
{
    for (uint32_t i = 0; i < count; i++)
        if (kinds[i] == wanted) numbers[at++] = i;
    return at;
}

/* A tensor with matrices that panels would be cut by stays as it is: behind all others, where nothing is packed. */
static void mark_weight(uint8_t *kinds, const chord_weight *w)
{
    for (uint32_t i = 0; i < chord_weight_tensors(w); i++) {
        const chord_tensor *t = chord_weight_tensor(w, i);
        uint8_t *kind = &kinds[t->number];
        if (!chord_weight_has_panels(t, w->row_first, w->rows)) *kind = KIND_CUT;
        else if (*kind != KIND_CUT) *kind = KIND_WEIGHT;
    }
}

static uint32_t list_weight(uint8_t *kinds, const chord_weight *w, uint32_t *numbers, uint32_t at)
{
    for (uint32_t i = 0; i < chord_weight_tensors(w); i++) {
        uint32_t number = chord_weight_tensor(w, i)->number;
        if (kinds[number] == KIND_WEIGHT) numbers[at++] = number;
        if (kinds[number] == KIND_WEIGHT) kinds[number] = KIND_LISTED;
    }
    return at;
}

static chord_status order_of(chord_blueprint *p, const chord_gguf *g, chord_file_order *out, chord_error *err)
{
    uint64_t count = chord_gguf_tensor_count(g);
    uint8_t *kinds = chord_arena_get(&p->arena, count);
    if (kinds == NULL) return chord_arena_fail(&p->arena, err);
    for (uint64_t i = 0; i < count; i++) kinds[i] = p->claimed[i] ? KIND_VECTOR : KIND_REST;
    for (uint32_t i = 0; i < CHORD_TABLES; i++)
        if (p->tables[i] != NULL) kinds[p->tables[i]->number] = KIND_REST;
    for (uint32_t l = 0; l < p->h.layers; l++)
        if (p->layers[l].experts_by_token != NULL) kinds[p->layers[l].experts_by_token->number] = KIND_REST;
    for (uint32_t i = 0; i < p->order_count; i++) mark_weight(kinds, p->order[i]);
    uint32_t at = out->weights = list_all(kinds, count, KIND_VECTOR, out->numbers, 0);
    for (uint32_t i = 0; i < p->order_count; i++) at = list_weight(kinds, p->order[i], out->numbers, at);
    out->rest = at;
    at = list_all(kinds, count, KIND_CUT, out->numbers, at);
    list_all(kinds, count, KIND_REST, out->numbers, at);
    return CHORD_OK;
}

chord_status chord_network_order(chord_heap *heap, const chord_gguf *g, chord_file_order *out, chord_error *err)
{
    chord_blueprint p;
    CHORD_TRY(chord_blueprint_open(&p, heap, g, 0, err));
    chord_status status = order_of(&p, g, out, err);
    chord_blueprint_close(&p);
    return status;
}

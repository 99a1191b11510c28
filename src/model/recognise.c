/* recognise.c - what a file is: no model, one of an architecture that is not supported, or which. */
#include "model/model_inner.h"

/* What general.type says that is no model. */
static chord_status check_type(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    static const struct {
        const char *type, *what;
    } TYPES[] = {
        {"adapter", "an adapter (LoRA), which belongs to a model and is none by itself"},
        {"mmproj", "a projector for pictures or sound (mmproj), which belongs to a model and is none by itself"},
        {"imatrix", "an importance matrix, which serves to quantise a model"}};
    const char *type;
    size_t len;
    CHORD_TRY(chord_gguf_get_text_start(g, "general.type", 64, &p->arena, &type, &len, err));
    for (size_t i = 0; i < CHORD_COUNT(TYPES) && type != NULL; i++)
        if (chord_text_equal(type, TYPES[i].type))
            return chord_fail(err, CHORD_UNSUPPORTED, "the file is %s", TYPES[i].what);
    return CHORD_OK;
}

chord_status chord_blueprint_recognise(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    char known[512];
    size_t len;
    CHORD_TRY(check_type(p, g, err));
    CHORD_TRY(chord_gguf_get_text(g, "general.architecture", 64, &p->arena, &p->h.architecture, &len, err));
    if (p->h.architecture == NULL) return chord_fail(err, CHORD_CORRUPT, "the file has no 'general.architecture'");
    CHORD_TRY(chord_gguf_get_text_start(g, "general.name", 4096, &p->arena, &p->h.name, &len, err));
    if (p->h.name == NULL) p->h.name = "";
    p->arch = chord_arch_find(p->h.architecture);
    if (p->arch == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "the architecture '%s' is not supported; these are: %s",
                          p->h.architecture, chord_arch_list(known, sizeof known));
    if (chord_gguf_tensor_count(g) == 0)
        return chord_fail(err, CHORD_UNSUPPORTED, "the file has no tensors: it is a vocabulary without weights");
    CHORD_TRY(chord_claim_keys(p, g, err));
    return chord_claim_known(p, g, err);
}

chord_status chord_network_recognise(chord_heap *heap, const chord_gguf *g, bool text_only, chord_error *err)
{
    chord_blueprint p = {0};
    chord_arena_init(&p.arena, heap, CHORD_BLUEPRINT_BYTES_MAX, "the model's structure");
    chord_status status = text_only ? check_type(&p, g, err) : chord_blueprint_recognise(&p, g, err);
    chord_arena_free(&p.arena);
    return status;
}

/* draft_model.c - a model that guesses for another: may it, for their tokens must be the same texts; and its part in a
 * session. */
#include "api/api_inner.h"

#define KEY "tokenizer.ggml.tokens"

static chord_status compare(chord_gguf_walk *own, chord_gguf_walk *other, chord_error *err)
{
    uint64_t count = chord_min_u64(own->value->count, other->value->count);
    for (uint64_t i = 0; i < count; i++) {
        const char *a, *b;
        size_t a_len, b_len;
        CHORD_TRY(chord_gguf_walk_text(own, &a, &a_len, err));
        CHORD_TRY(chord_gguf_walk_text(other, &b, &b_len, err));
        if (a_len != b_len || memcmp(a, b, a_len) != 0)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "the draft model has another vocabulary: token %" PRIu64
                              " is '%.*s' there and '%.*s' here",
                              i, (int)chord_min_u64(b_len, 40), b, (int)chord_min_u64(a_len, 40), a);
    }
    return CHORD_OK;
}

static chord_status compare_tokens(const chord_gguf *own, const chord_gguf *other, chord_error *err)
{
    const chord_gguf_value *values[2] = {chord_gguf_find(own, KEY), chord_gguf_find(other, KEY)};
    chord_gguf_walk walks[2];
    for (int i = 0; i < 2; i++)
        if (values[i] == NULL || values[i]->type != CHORD_GGUF_ARRAY)
            return chord_fail(err, CHORD_UNSUPPORTED, "the %s has no list of tokens, so guesses cannot be understood",
                              i == 0 ? "model" : "draft model");
    CHORD_TRY(chord_gguf_walk_open(own, values[0], &walks[0], err));
    chord_status status = chord_gguf_walk_open(other, values[1], &walks[1], err);
    if (status == CHORD_OK) {
        status = compare(&walks[0], &walks[1], err);
        chord_gguf_walk_close(&walks[1]);
    }
    chord_gguf_walk_close(&walks[0]);
    return status;
}

chord_status chord_draft_model_check(const chord_model *m, const chord_model *draft, chord_error *err)
{
    if (draft->runtime != m->runtime)
        return chord_fail(err, CHORD_INVALID, "the draft model belongs to another runtime");
    if (draft->net == NULL || !draft->drafts)
        return chord_fail(err, CHORD_INVALID, "the draft model was opened %s",
                          draft->net == NULL ? "without its weights" : "without the option drafts");
    return compare_tokens(m->files.gguf, draft->files.gguf, err);
}

/* Of a pass's waiting: a further row goes to other experts, of which as many are not in memory. */
#define FURTHER_ROW_WAITS 0.8

chord_status chord_drafts_open(chord_session *s, chord_error *err)
{
    chord_model_info info;
    chord_draft_gate_init(&s->drafts.gate);
    chord_network_describe(s->model->net, &info);
    if (info.plan.expert_cache_bytes < info.plan.expert_bytes) s->drafts.gate.further_stall = FURTHER_ROW_WAITS;
    return s->model->draft != NULL ? chord_sequence_open(s->model->draft->net, &s->drafts.sequence, err) : CHORD_OK;
}

void chord_drafts_close(chord_session *s)
{
    if (s->drafts.sequence != NULL) chord_sequence_close(s->model->draft->net, s->drafts.sequence);
    chord_free(s->model->runtime->heap, s->drafts.tops);
}

/* slots.c - which session a prompt goes to, and what of it is known there. */
#include "engine/engine_inner.h"

#define WORTH_COPYING 32u /* tokens: less is evaluated quicker than looked for */

chord_status engine_slots_open(engine_slots *slots, const engine_config *config, chord_error *err)
{
    chord_model_info info;
    chord_model_describe(config->model, &info);
    slots->count = config->session_count;
    slots->context_tokens = info.context_tokens;
    for (uint32_t i = 0; i < slots->count; i++) {
        void *memory;
        CHORD_TRY(chord_alloc(config->heap, info.context_tokens * sizeof(int32_t), "a session's tokens", &memory, err));
        slots->all[i] = (engine_slot){.session = config->sessions[i], .tokens = memory};
    }
    return CHORD_OK;
}

void engine_slots_close(engine_slots *slots, chord_heap *heap)
{
    for (uint32_t i = 0; i < slots->count; i++) chord_free(heap, slots->all[i].tokens);
}

static uint32_t shared(const engine_slot *slot, const int32_t *tokens, uint32_t count)
{
    uint32_t n = 0;
    while (n < slot->known && n < count && slot->tokens[n] == tokens[n]) n++;
    return n;
}

engine_slot *engine_slots_choose(engine_slots *slots, const int32_t *tokens, uint32_t count)
{
    engine_slot *best = NULL;
    uint32_t most = 0;
    for (uint32_t i = 0; i < slots->count; i++) {
        engine_slot *slot = &slots->all[i];
        if (slot->job != NULL) continue;
        uint32_t n = shared(slot, tokens, count);
        if (best != NULL && (n < most || (n == most && slot->used_ns >= best->used_ns))) continue;
        best = slot;
        most = n;
    }
    return best;
}

const engine_slot *engine_slots_source(const engine_slots *slots, const engine_slot *slot, const engine_job *job)
{
    const engine_slot *from = NULL;
    uint32_t most = shared(slot, job->tokens, job->count) + WORTH_COPYING;
    for (uint32_t i = 0; i < slots->count; i++) {
        const engine_slot *other = &slots->all[i];
        bool lent = other->job != NULL && other->job->state == ENGINE_LENT;
        uint32_t n = other == slot || lent ? 0 : shared(other, job->tokens, job->count);
        if (n <= most) continue;
        most = n;
        from = other;
    }
    return from;
}

chord_status engine_slot_begin(engine_slot *slot, const engine_slot *from, engine_job *job)
{
    size_t reused = 0;
    slot->room = 0;
    slot->parked = slot->returning = false;
    if (from != NULL) (void)chord_session_copy(slot->session, from->session, NULL); /* else it is computed */
    chord_session_stats_reset(slot->session);
    slot->known = 0;
    CHORD_TRY(chord_session_feed(slot->session, job->tokens, job->count, &reused, &job->error));
    memcpy(slot->tokens, job->tokens, job->count * sizeof *slot->tokens);
    slot->known = job->reused = (uint32_t)reused;
    job->prompt_left = job->count - job->reused;
    if (job->prompt_left == 0) job->prompt_left = 1; /* the last token's logits */
    return chord_generate_start(slot->session, &job->options, &job->error);
}

void engine_slot_note(engine_slot *slot, const engine_slots *slots, const chord_step *step)
{
    engine_job *job = slot->job;
    if (job->first_ns == 0) slot->known = job->count - step->prompt_left;
    job->prompt_left = step->prompt_left;
    if (step->has_piece) slot->returning = false;
    if (step->has_piece && step->piece.token >= 0 && slot->known < slots->context_tokens)
        slot->tokens[slot->known++] = step->piece.token;
}

/* A flag that was raised when the call was over would end the next one. A token more is asked for, and it is answered before
 * anything is computed. */
void engine_slot_calm(engine_slot *slot, const engine_slots *slots)
{
    uint32_t n = slot->known > 0 ? slot->known : 1;
    if (!slot->raised) return;
    slot->raised = false;
    if (n < slots->context_tokens) slot->tokens[n++] = slot->tokens[0];
    if (chord_session_sync(slot->session, slot->tokens, n, NULL, NULL) != CHORD_CANCELLED)
        chord_session_reset(slot->session);
    slot->known = n - 1;
}

/* states.c - what recurrent layers carry from token to token, of each sequence: it cannot be taken back, so a sequence has it
 * three times. A pass reads the one of its first position and writes another, which counts when the pass is over: one that
 * fails leaves all as it was. What a pass of few tokens (guesses are checked in such) brought to the layers is kept: of the
 * tokens that are right the state is made once more from the one that was read, without weights. The third is kept for texts that go on otherwise: of a pass with more than a few tokens (a
 * prompt), a few before its end, since the next prompt often repeats this one but for its last words. */
#include "model/model_inner.h"

#define KEPT_BEFORE 8u /* tokens */

static uint64_t state_bytes(const chord_blueprint *p)
{
    return chord_align_up(p->h.recurrence.floats * sizeof(float), 64);
}

/* With room behind it for what is made once more and not looked at. */
static uint64_t log_bytes(const chord_blueprint *p)
{
    const chord_recurrence *r = &p->h.recurrence;
    uint64_t spare = chord_max_u64(r->channels, (uint64_t)r->heads * (r->values + 2ull));
    return r->log_floats != 0 ? chord_align_up(CHORD_LOG_ROWS * (r->log_floats + spare) * sizeof(float), 64) : 0;
}

uint64_t chord_states_bytes(const chord_blueprint *p, const chord_kv_needs *needs)
{
    return needs->sessions * (CHORD_STATES * state_bytes(p) + log_bytes(p));
}

bool chord_network_can_guess(const chord_network *net) { return net->print.h.recurrence.floats == 0; }

uint32_t chord_network_guesses_max(const chord_network *net)
{
    return chord_network_can_guess(net) ? UINT32_MAX : CHORD_LOG_ROWS - 1;
}

/* Branches have none. */
void chord_states_open(chord_network *net, const chord_kv_needs *needs, uint8_t *memory)
{
    if (state_bytes(&net->print) == 0) return;
    for (uint32_t s = 0; s < needs->sessions; s++) {
        for (uint32_t i = 0; i < CHORD_STATES; i++, memory += state_bytes(&net->print))
            net->sequences[s].states[i] = (chord_state){(float *)(void *)memory, CHORD_STATE_NONE};
        if (log_bytes(&net->print) != 0) net->sequences[s].log = (float *)(void *)memory;
        memory += log_bytes(&net->print);
    }
}

void chord_states_forget(chord_sequence *s, uint32_t length)
{
    for (uint32_t i = 0; i < CHORD_STATES; i++)
        if (s->states[i].length > length || length == 0) s->states[i].length = CHORD_STATE_NONE;
    if (length == 0) s->state_kept = CHORD_STATES;
    if (length <= s->log_first) s->log_rows = 0;
}

/* The state of the longest text of at most so many tokens; CHORD_STATES: there is none. */
static uint32_t find_state(const chord_sequence *s, uint32_t length)
{
    uint32_t best = CHORD_STATES;
    for (uint32_t i = 0; i < CHORD_STATES; i++) {
        uint32_t known = s->states[i].length;
        if (known <= length && (best == CHORD_STATES || known > s->states[best].length)) best = i;
    }
    return best;
}

uint32_t chord_states_length(const chord_network *net, const chord_sequence *s, uint32_t length)
{
    if (net->print.h.recurrence.floats == 0 || length == 0) return length;
    uint32_t best = find_state(s, length);
    return best != CHORD_STATES ? s->states[best].length : 0;
}

/* Whether the state of a text of so many tokens can be made. Keys made of several tokens keep as much as that takes. */
static bool is_logged(const chord_sequence *s, uint32_t length)
{
    if (length <= s->log_first || length > s->log_first + s->log_rows) return false;
    return s->state_past == CHORD_STATES ? s->log_first == 0 : s->states[s->state_past].length == s->log_first;
}

uint32_t chord_states_cut(const chord_network *net, chord_sequence *s, uint32_t length)
{
    uint32_t known = chord_states_length(net, s, length);
    if (known == length || !is_logged(s, length)) return known;
    if (s->log != NULL) chord_recurrence_redo(net, s, length - s->log_first);
    s->states[s->state_next].length = length;
    return length;
}

float *chord_states_at(const chord_sequence *s, uint32_t length)
{
    uint32_t best = find_state(s, length);
    CHORD_ASSERT(best != CHORD_STATES && s->states[best].length == length);
    return s->states[best].values;
}

void chord_states_copy(const chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length)
{
    chord_states_forget(to, to == from ? length : 0);
    if (net->print.h.recurrence.floats == 0 || to == from || length == 0) return;
    const chord_state *state = &from->states[find_state(from, length)];
    memcpy(to->states[0].values, state->values, (size_t)state_bytes(&net->print));
    to->states[0].length = length;
}

/* Another than these two. */
static uint32_t other_than(uint32_t a, uint32_t b)
{
    uint32_t i = 0;
    while (i == a || i == b) i++;
    return i;
}

void chord_states_begin(const chord_network *net, chord_sequence *s, uint32_t count)
{
    if (net->print.h.recurrence.floats == 0) return;
    s->state_past = s->length != 0 ? find_state(s, s->length) : CHORD_STATES;
    CHORD_ASSERT(s->length == 0 || s->states[s->state_past].length == s->length);
    s->kept_tokens = count > KEPT_BEFORE ? count - KEPT_BEFORE : 0;
    s->state_next = other_than(s->state_past, s->state_kept);
    if (s->kept_tokens != 0) {
        s->state_kept = other_than(s->state_past, s->state_next);
        s->states[s->state_kept].length = CHORD_STATE_NONE;
    }
    s->states[s->state_next].length = CHORD_STATE_NONE;
    s->log_rows = 0;
}

void chord_states_end(const chord_network *net, chord_sequence *s, uint32_t count)
{
    if (net->print.h.recurrence.floats == 0) return;
    s->states[s->state_next].length = s->length + count;
    s->log_first = s->length;
    s->log_rows = count <= CHORD_LOG_ROWS ? count : 0;
    if (s->kept_tokens != 0) s->states[s->state_kept].length = s->length + s->kept_tokens;
}

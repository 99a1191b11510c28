/* matcher.c - a text on its way, and the tokens that may come next: the tree of tokens is walked with a state for each byte of
 * the way, and what begins with a byte that may not come is passed over at once. */
#include "grammar/lexicon.h"
#include "grammar/states.h"

#define MASKS_KEPT 8u

typedef struct kept_mask {
    uint32_t state; /* 0: none */
    uint64_t *words;
} kept_mask;

struct chord_matcher {
    chord_heap *heap;
    const chord_lexicon *lexicon;
    chord_grammar_states states;
    void *memory;
    uint32_t state; /* CHORD_STATE_DEAD: only end tokens may come */
    bool over;      /* an end token came */
    kept_mask masks[MASKS_KEPT];
    uint64_t *words;
    uint32_t word_count, next_mask;
    uint32_t path[CHORD_LEXICON_DEPTH + 1]; /* of a walk: the state before each byte */
};

chord_status chord_matcher_open(chord_heap *heap, const chord_rules *rules, const chord_lexicon *lexicon,
                                uint64_t memory_bytes, chord_matcher **out, chord_error *err)
{
    void *memory;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_matcher), "a text with a grammar", &memory, err));
    chord_matcher *m = memory;
    m->heap = heap;
    m->lexicon = lexicon;
    m->word_count = (lexicon->vocabulary + 63) / 64;
    uint64_t bytes = chord_grammar_states_bytes(rules, memory_bytes);
    chord_status status = chord_alloc(heap, bytes, "the states of a grammar", &m->memory, err);
    if (status == CHORD_OK)
        status = chord_alloc(heap, MASKS_KEPT * m->word_count * sizeof(uint64_t), "masks of tokens", &memory, err);
    if (status != CHORD_OK) {
        chord_free(heap, m->memory);
        chord_free(heap, m);
        return status;
    }
    m->words = memory;
    for (uint32_t i = 0; i < MASKS_KEPT; i++) m->masks[i].words = m->words + (uint64_t)i * m->word_count;
    chord_grammar_states_open(&m->states, rules, m->memory, bytes);
    chord_matcher_reset(m);
    *out = m;
    return CHORD_OK;
}

void chord_matcher_close(chord_matcher *m)
{
    if (m == NULL) return;
    chord_free(m->heap, m->words);
    chord_free(m->heap, m->memory);
    chord_free(m->heap, m);
}

static chord_status too_much(chord_error *err)
{
    return chord_fail(err, CHORD_UNSUPPORTED, "grammar: there are too many ways to read this text at once");
}

/* Only the state of the text stays. */
static chord_status make_room(chord_matcher *m, chord_error *err)
{
    for (uint32_t i = 0; i < MASKS_KEPT; i++) m->masks[i].state = 0;
    m->state = chord_grammar_states_forget(&m->states, m->state);
    return m->state == CHORD_STATE_FULL ? too_much(err) : CHORD_OK;
}

void chord_matcher_reset(chord_matcher *m)
{
    for (uint32_t i = 0; i < MASKS_KEPT; i++) m->masks[i].state = 0;
    (void)chord_grammar_states_forget(&m->states, CHORD_STATE_DEAD);
    m->state = chord_grammar_states_begin(&m->states);
    m->over = false;
}

/* ---- going on ----------------------------------------------------------------------------------------------- */

chord_status chord_matcher_bytes(chord_matcher *m, const char *bytes, size_t len, size_t *taken, chord_error *err)
{
    *taken = 0;
    if (m->state == CHORD_STATE_FULL) return too_much(err);
    while (*taken < len && !m->over) {
        uint32_t to = chord_grammar_states_step(&m->states, m->state, (uint8_t)bytes[*taken]);
        if (to == CHORD_STATE_FULL) {
            CHORD_TRY(make_room(m, err));
            to = chord_grammar_states_step(&m->states, m->state, (uint8_t)bytes[*taken]);
            if (to == CHORD_STATE_FULL) return too_much(err);
        }
        if (to == CHORD_STATE_DEAD) return CHORD_OK;
        m->state = to;
        ++*taken;
    }
    return CHORD_OK;
}

bool chord_matcher_may_end(const chord_matcher *m)
{
    return m->over || (m->state != CHORD_STATE_FULL && m->states.states[m->state].may_end);
}

chord_status chord_matcher_accept(chord_matcher *m, int32_t token, chord_error *err)
{
    const chord_lexicon *x = m->lexicon;
    if (token < 0 || (uint32_t)token >= x->vocabulary)
        return chord_fail(err, CHORD_INVALID, "grammar: there is no token %d", token);
    uint32_t len = x->start[token + 1] - x->start[token];
    if (x->ends[token] && chord_matcher_may_end(m)) {
        m->over = true;
        return CHORD_OK;
    }
    size_t taken;
    if (len == 0 || m->over) return chord_fail(err, CHORD_INVALID, "grammar: token %d may not come here", token);
    CHORD_TRY(chord_matcher_bytes(m, (const char *)x->bytes + x->start[token], len, &taken, err));
    if (taken == len) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "grammar: byte %zu of token %d may not come here", taken + 1, token);
}

/* ---- masks ---------------------------------------------------------------------------------------------------- */

static void set_token(const chord_lexicon *x, uint64_t *words, int32_t token)
{
    for (; token >= 0; token = x->same[token]) words[token >> 6] |= 1ull << (token & 63);
}

/* False: there is no room for a state on the way. */
static bool walk(chord_matcher *m, uint64_t *words)
{
    const chord_lexicon *x = m->lexicon;
    const chord_twig *twigs = x->twigs;
    chord_grammar_states *s = &m->states;
    uint32_t *path = m->path;
    path[0] = m->state;
    for (uint32_t i = 0; i < x->twig_count;) {
        const chord_twig *t = &twigs[i];
        uint32_t to = chord_grammar_states_step(s, path[t->depth], t->byte);
        if (to == CHORD_STATE_DEAD) {
            i = t->end;
            continue;
        }
        if (to == CHORD_STATE_FULL) return false;
        path[t->depth + 1] = to;
        if (t->token >= 0) set_token(x, words, t->token);
        i++;
    }
    return true;
}

static chord_status make_mask(chord_matcher *m, kept_mask *mask, chord_error *err)
{
    const chord_lexicon *x = m->lexicon;
    for (uint32_t tries = 0;; tries++) {
        memset(mask->words, 0, m->word_count * sizeof *mask->words);
        if (m->over || walk(m, mask->words)) break;
        if (tries > 0) return too_much(err);
        CHORD_TRY(make_room(m, err));
    }
    if (chord_matcher_may_end(m))
        for (uint32_t i = 0; i < x->vocabulary; i++)
            if (x->ends[i]) mask->words[i >> 6] |= 1ull << (i & 63);
    mask->state = m->over ? 0 : m->state;
    return CHORD_OK;
}

chord_status chord_matcher_mask(chord_matcher *m, const uint64_t **out, chord_error *err)
{
    *out = NULL;
    if (m->state == CHORD_STATE_FULL) return too_much(err);
    for (uint32_t i = 0; i < MASKS_KEPT; i++) {
        if (m->masks[i].state != m->state || m->over || m->state == 0) continue;
        *out = m->masks[i].words;
        return CHORD_OK;
    }
    kept_mask *mask = &m->masks[m->next_mask++ % MASKS_KEPT];
    CHORD_TRY(make_mask(m, mask, err));
    *out = mask->words;
    return CHORD_OK;
}

/* ---- what must come -------------------------------------------------------------------------------------------- */

/* The one byte that may come here; -1: there are several, or none, or the text may end. */
static int32_t only_byte(chord_grammar_states *s, uint32_t state)
{
    int32_t only = -1;
    if (s->states[state].may_end) return -1;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t to = chord_grammar_states_step(s, state, (uint8_t)byte);
        if (to == CHORD_STATE_FULL || (to != CHORD_STATE_DEAD && only >= 0)) return -1;
        if (to != CHORD_STATE_DEAD) only = (int32_t)byte;
    }
    return only;
}

size_t chord_matcher_forced(chord_matcher *m, char *out, size_t cap)
{
    size_t len = 0;
    if (m->over || m->state == CHORD_STATE_FULL) return 0;
    for (uint32_t state = m->state; len < cap; len++) {
        int32_t byte = only_byte(&m->states, state);
        if (byte < 0) break;
        out[len] = (char)byte;
        state = chord_grammar_states_step(&m->states, state, (uint8_t)byte);
    }
    return len;
}

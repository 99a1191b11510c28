/* matcher.c - a text on its way, and the tokens that may come next: the tree of tokens is walked with a state for each byte of
 * the way, and what begins with a byte that may not come is passed over at once. */
#include "grammar/lexicon.h"
#include "grammar/states.h"

#define MASKS_KEPT 8u
#define TWIGS_AT_ONCE 64u /* between two looks at whether enough was done */

typedef struct kept_mask {
    uint32_t state; /* 0: none */
    uint32_t used;  /* of several that with the least is the oldest */
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
    uint32_t word_count, uses;
    /* a walk, which may stop anywhere and be gone on with by whoever wants that mask */
    kept_mask *making;                      /* NULL: there is none */
    uint32_t twig;                          /* the next one */
    uint32_t path[CHORD_LEXICON_DEPTH + 1]; /* the state before each byte; the first: whose mask it is */
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

static void forget_masks(chord_matcher *m)
{
    for (uint32_t i = 0; i < MASKS_KEPT; i++) m->masks[i].state = 0;
    m->making = NULL;
}

/* Only the state of the text stays. */
static chord_status make_room(chord_matcher *m, chord_error *err)
{
    forget_masks(m);
    m->state = chord_grammar_states_forget(&m->states, m->state);
    return m->state == CHORD_STATE_FULL ? too_much(err) : CHORD_OK;
}

void chord_matcher_reset(chord_matcher *m)
{
    forget_masks(m);
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

static bool is_raised(const atomic_bool *flag) { return flag != NULL && atomic_load(flag); }

typedef enum walked { WALK_WHOLE, WALK_STOPPED, WALK_FULL } walked; /* full: of states on the way */

/* Goes on where it stopped. */
static walked walk(chord_matcher *m, const atomic_bool *enough)
{
    const chord_lexicon *x = m->lexicon;
    const chord_twig *twigs = x->twigs;
    chord_grammar_states *s = &m->states;
    uint32_t *path = m->path, left = TWIGS_AT_ONCE;
    for (uint32_t i = m->twig; i < x->twig_count;) {
        const chord_twig *t = &twigs[i];
        if (left-- == 0) {
            m->twig = i;
            if (is_raised(enough)) return WALK_STOPPED;
            left = TWIGS_AT_ONCE;
        }
        uint32_t to = chord_grammar_states_step(s, path[t->depth], t->byte);
        if (to == CHORD_STATE_DEAD) {
            i = t->end;
            continue;
        }
        if (to == CHORD_STATE_FULL) return WALK_FULL;
        path[t->depth + 1] = to;
        if (t->token >= 0) set_token(x, m->making->words, t->token);
        i++;
    }
    return WALK_WHOLE;
}

static void allow_ends(chord_matcher *m, uint64_t *words)
{
    const chord_lexicon *x = m->lexicon;
    for (uint32_t i = 0; i < x->vocabulary; i++)
        if (x->ends[i]) words[i >> 6] |= 1ull << (i & 63);
}

/* In the oldest one's place. */
static kept_mask *begin_mask(chord_matcher *m)
{
    kept_mask *oldest = &m->masks[0];
    for (uint32_t i = 1; i < MASKS_KEPT; i++)
        if (m->masks[i].used < oldest->used) oldest = &m->masks[i];
    oldest->state = oldest->used = 0;
    memset(oldest->words, 0, m->word_count * sizeof *oldest->words);
    return oldest;
}

static kept_mask *find_mask(chord_matcher *m, uint32_t state)
{
    for (uint32_t i = 0; i < MASKS_KEPT && state != CHORD_STATE_DEAD; i++) {
        if (m->masks[i].state != state) continue;
        m->masks[i].used = ++m->uses;
        return &m->masks[i];
    }
    return NULL;
}

static walked make_mask(chord_matcher *m, uint32_t state, const atomic_bool *enough, kept_mask **out)
{
    kept_mask *mask = *out = find_mask(m, state);
    if (mask != NULL) return WALK_WHOLE;
    if (m->making == NULL || m->path[0] != state) {
        m->making = begin_mask(m);
        m->path[0] = state;
        m->twig = 0;
    }
    walked how = walk(m, enough);
    if (how == WALK_STOPPED) return how;
    mask = *out = m->making;
    m->making = NULL;
    if (how == WALK_FULL) return how;
    if (m->states.states[state].may_end) allow_ends(m, mask->words);
    mask->state = state;
    mask->used = ++m->uses;
    return how;
}

/* Of the place where the text is. *out NULL: it was stopped. */
static chord_status make_own(chord_matcher *m, const atomic_bool *enough, kept_mask **out, chord_error *err)
{
    *out = NULL;
    if (m->state == CHORD_STATE_FULL) return too_much(err);
    walked how = make_mask(m, m->state, enough, out);
    if (how == WALK_FULL) {
        CHORD_TRY(make_room(m, err));
        how = make_mask(m, m->state, enough, out);
    }
    return how == WALK_FULL ? too_much(err) : CHORD_OK;
}

chord_status chord_matcher_mask(chord_matcher *m, const uint64_t **out, chord_error *err)
{
    kept_mask *mask;
    *out = NULL;
    if (m->over) {
        mask = begin_mask(m);
        allow_ends(m, mask->words);
    } else {
        CHORD_TRY(make_own(m, NULL, &mask, err));
    }
    *out = mask->words;
    return CHORD_OK;
}

/* ---- masks that will be asked for --------------------------------------------------------------------------------- */

/* CHORD_STATE_DEAD: the token may not come, or the text is over with it. */
static uint32_t state_behind(chord_matcher *m, uint32_t state, int32_t token)
{
    const chord_lexicon *x = m->lexicon;
    if (token < 0 || (uint32_t)token >= x->vocabulary || x->start[token] == x->start[token + 1])
        return CHORD_STATE_DEAD;
    for (uint32_t i = x->start[token]; i < x->start[token + 1] && state != CHORD_STATE_FULL; i++)
        state = chord_grammar_states_step(&m->states, state, x->bytes[i]);
    return state;
}

bool chord_matcher_is_ahead(chord_matcher *m) { return m->over || find_mask(m, m->state) != NULL; }

void chord_matcher_ahead(chord_matcher *m, const int32_t *tokens, uint32_t count, const atomic_bool *enough)
{
    kept_mask *mask;
    if (m->over || make_own(m, enough, &mask, NULL) != CHORD_OK || mask == NULL) return;
    uint32_t state = m->state;
    for (uint32_t i = 0; i < count && i + 1 < MASKS_KEPT; i++) {
        state = state_behind(m, state, tokens[i]);
        if (state == CHORD_STATE_DEAD || state == CHORD_STATE_FULL) return;
        if (make_mask(m, state, enough, &mask) != WALK_WHOLE) return;
    }
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

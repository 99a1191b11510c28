/* step.c - many sessions, one pass for all, one thread: the servers' and the guests' way to share the weights. */
#include "api/api_inner.h"

static chord_status check(const chord_step *steps, size_t count, chord_error *err)
{
    for (size_t i = 0; i < count; i++) {
        CHORD_NEED(steps[i].session, "the session of a step");
        if (steps[i].session->model != steps[0].session->model)
            return chord_fail(err, CHORD_INVALID, "the sessions of steps 0 and %zu are of different models", i);
    }
    return CHORD_OK;
}

static void leave(chord_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) (void)chord_session_leave(steps[i].session, CHORD_OK);
}

static chord_status enter(chord_step *steps, size_t count, chord_error *err)
{
    for (size_t i = 0; i < count; i++) {
        chord_status status = chord_session_enter(steps[i].session, err);
        if (status == CHORD_OK) continue;
        leave(steps, i);
        return status;
    }
    return CHORD_OK;
}

/* What all parts of a step are to each other. */
typedef struct company {
    chord_step *steps;
    size_t count;
    chord_forward_call *calls; /* of each step */
    chord_check *checks;       /* their arguments; of those without a session nothing else */
    chord_draft_line *lines;   /* guesses, of those that may guess, in order */
    chord_session *guesser;    /* the first of them; NULL: none */
    uint32_t guessers, texts, prompts, guesses;
    uint64_t start_ns, stalled_ns;
} company;

/* Tokens that were guessed right in a pass before. */
static bool has_drawn(const chord_session *s)
{
    return s->generation.running && s->drafts.given < s->drafts.drawn_count;
}

static bool anyone_has_drawn(const company *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (has_drawn(c->steps[i].session)) return true;
    return false;
}

/* A call without tokens is over before it begins. */
static void prepare(company *c, size_t i, bool pass)
{
    chord_step *step = &c->steps[i];
    chord_session *s = step->session;
    chord_forward_args *args = &c->checks[i].args;
    *step = (chord_step){.session = s, .piece = {.text = ""}};
    c->calls[i] = (chord_forward_call){.sequence = s->sequence, .args = args};
    c->checks[i] = (chord_check){0};
    chord_generation_drop_given(s);
    if (!pass || !s->generation.running || !chord_generation_needs_pass(s)) return;
    chord_phase phase = chord_generation_phase(s);
    if (chord_generation_may_guess(s)) {
        c->checks[i].session = s;
        chord_drafts_look_up(s);
        c->lines[c->guessers++].tree = &s->drafts.tree;
        c->guesser = c->guesser == NULL ? s : c->guesser;
        c->texts++;
        return;
    }
    step->status = chord_session_left(s, phase, args, &step->error);
    if (args->count > 0) chord_session_form_ahead(s, NULL, 0);
    c->texts += args->count > 0 && phase == CHORD_PHASE_DECODE;
    c->prompts += args->count > 0 && phase != CHORD_PHASE_DECODE;
}

static uint64_t stall_ns(const chord_session *s)
{
    chord_sequence_counts counts;
    if (s == NULL) return 0;
    chord_sequence_stats(s->model->net, s->sequence, &counts);
    return counts.pager.stall_ns;
}

/* Everyone's last token has a row, each prompt has one at least; the rest of the rows are for guesses. Where what was wrong
 * cannot be taken back in company there are none. */
static void share_guesses(company *c)
{
    if (c->guesser == NULL) return;
    const chord_network *net = c->guesser->model->net;
    uint32_t rows = chord_network_rows_max(net), taken = c->texts + c->prompts;
    uint32_t most = rows > taken && chord_network_can_guess(net) ? rows - taken : 0;
    chord_draft_share(c->lines, c->guessers, &c->guesser->drafts.gate, c->texts, most);
    for (size_t i = 0; i < c->count; i++) {
        if (c->checks[i].session == NULL) continue;
        chord_check_begin(c->checks[i].session, &c->checks[i]);
        c->guesses += c->checks[i].args.count - 1;
    }
}

/* Passes with prompts say nothing of what guesses cost. */
static void note_pass(const company *c, uint64_t ns)
{
    uint64_t stalled_ns = stall_ns(c->guesser) - c->stalled_ns;
    for (size_t i = 0; i < c->count && c->prompts == 0; i++)
        if (c->checks[i].session != NULL && c->calls[i].status == CHORD_OK)
            chord_draft_note_company(&c->checks[i].session->drafts.gate, c->texts, c->guesses,
                                     c->checks[i].args.count - 1, ns, stalled_ns);
}

/* A text that has ended gives out all of what it held back. */
static chord_status make_piece(chord_step *step)
{
    chord_session *s = step->session;
    bool more, draw = chord_generation_needs_pass(s);
    step->over = !s->generation.running;
    if (step->over || (draw && !s->has_logits)) return CHORD_OK; /* tokens of its prompt are left for another pass */
    if (draw) CHORD_TRY(chord_session_draw(s, s->logits, 0, &step->error));
    CHORD_TRY(chord_generation_take(s, &step->piece, &step->error));
    step->has_piece = true;
    step->over = !s->generation.running;
    return step->over ? chord_generation_flush(s, &step->piece, &more, &step->error) : CHORD_OK;
}

static uint32_t prompt_left(const chord_session *s)
{
    uint32_t done = chord_sequence_length(s->sequence);
    return done < s->count && chord_generation_phase(s) == CHORD_PHASE_PREFILL ? s->count - done : 0;
}

static void settle(chord_step *step, chord_forward_call *call, const chord_check *check)
{
    if (check->session != NULL) call->status = chord_check_end(check, call->status, &call->error);
    if (step->status == CHORD_OK && call->status != CHORD_OK) {
        step->status = call->status;
        step->error = call->error;
    }
    if (step->status == CHORD_OK) step->status = make_piece(step);
    step->prompt_left = prompt_left(step->session);
    if (step->status == CHORD_OK) return;
    chord_generation_end(step->session);
    step->has_piece = false;
    step->over = true;
}

static chord_status run_pass(company *c, chord_error *err)
{
    chord_model *m = c->steps[0].session->model;
    bool measure = false;
    share_guesses(c);
    for (size_t i = 0; i < c->count; i++) c->checks[i].args.one_pass = true;
    c->stalled_ns = stall_ns(c->guesser);
    uint64_t pass_ns = chord_clock_ns();
    CHORD_TRY(chord_network_forward_all(m->net, c->calls, (uint32_t)c->count, err));
    uint64_t now_ns = chord_clock_ns();
    for (size_t i = 0; i < c->count; i++)
        if (c->checks[i].args.count > 0)
            measure = chord_session_count_ns(c->steps[i].session, now_ns - c->start_ns) || measure;
    note_pass(c, now_ns - pass_ns);
    if (measure) chord_runtime_measure(m->runtime);
    return CHORD_OK;
}

/* Without company a session guesses as it does elsewhere, its draft model is asked too. */
static void run_alone(company *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->checks[i].session == NULL) continue;
        c->calls[i].status = chord_drafts_pass(c->checks[i].session, &c->calls[i].error);
        c->checks[i].session = NULL; /* there is nothing left to settle */
    }
}

/* Passes are worth most when all have a part in them: while somebody has tokens at hand there is none. */
static chord_status run(company *c, chord_error *err)
{
    bool pass = !anyone_has_drawn(c);
    c->start_ns = chord_clock_ns();
    for (size_t i = 0; i < c->count; i++) prepare(c, i, pass);
    if (c->guesser != NULL && c->texts + c->prompts == 1) run_alone(c);
    else if (pass) CHORD_TRY(run_pass(c, err));
    for (size_t i = 0; i < c->count; i++) settle(&c->steps[i], &c->calls[i], &c->checks[i]);
    return CHORD_OK;
}

chord_status chord_sessions_step(chord_step *steps, size_t count, chord_error *err)
{
    void *memory = NULL;
    if (count == 0) return CHORD_OK;
    CHORD_NEED(steps, "the list of steps");
    CHORD_TRY(check(steps, count, err));
    CHORD_TRY(enter(steps, count, err));
    chord_heap *heap = steps[0].session->model->runtime->heap;
    chord_status status = chord_alloc(heap, count * CHORD_STEP_BYTES, "a step", &memory, err);
    if (status == CHORD_OK) {
        company c = {.steps = steps, .count = count, .calls = memory};
        c.checks = (void *)(c.calls + count);
        c.lines = (void *)(c.checks + count);
        status = run(&c, err);
        chord_free(heap, memory);
    }
    leave(steps, count);
    return status;
}

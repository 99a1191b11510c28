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

/* A call without tokens is over before it begins. */
static void prepare(chord_step *step, chord_forward_call *call, chord_forward_args *args)
{
    chord_session *s = step->session;
    *step = (chord_step){.session = s, .piece = {.text = ""}};
    chord_generation_drop_given(s);
    if (s->generation.running && chord_generation_needs_pass(s))
        step->status = chord_session_left(s, chord_generation_phase(s), args, &step->error);
    args->one_pass = true;
    *call = (chord_forward_call){.sequence = s->sequence, .args = args};
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

static void settle(chord_step *step, const chord_forward_call *call)
{
    if (step->status == CHORD_OK && call->status != CHORD_OK) {
        step->status = call->status;
        step->error = call->error;
    }
    if (step->status == CHORD_OK) step->status = make_piece(step);
    if (step->status == CHORD_OK) return;
    chord_generation_end(step->session);
    step->has_piece = false;
    step->over = true;
}

/* Call i, of arguments i, is that of step i. */
static chord_status run(chord_step *steps, size_t count, chord_forward_call *calls, chord_forward_args *args,
                        chord_error *err)
{
    chord_model *m = steps[0].session->model;
    bool measure = false;
    for (size_t i = 0; i < count; i++) prepare(&steps[i], &calls[i], &args[i]);
    uint64_t start_ns = chord_clock_ns();
    CHORD_TRY(chord_network_forward_all(m->net, calls, (uint32_t)count, err));
    uint64_t spent_ns = chord_clock_ns() - start_ns;
    for (size_t i = 0; i < count; i++)
        if (args[i].count > 0) measure = chord_session_count_ns(steps[i].session, spent_ns) || measure;
    if (measure) chord_runtime_measure(m->runtime);
    for (size_t i = 0; i < count; i++) settle(&steps[i], &calls[i]);
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
        chord_forward_call *calls = memory;
        status = run(steps, count, calls, (void *)(calls + count), err);
        chord_free(heap, memory);
    }
    leave(steps, count);
    return status;
}

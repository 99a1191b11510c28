/* wasi_nn_compute.c - a context's prompt, the text made from it, whole or piece by piece.
 *
 * The session keeps what it evaluated: a prompt that begins as the last text did costs only its new tokens. */
#include "wasi_nn_inner.h"

uint32_t nn_context_limit(const nn_context *c)
{
    uint32_t asked = c->options.context_tokens;
    return asked != 0 && asked < c->model->context_tokens ? asked : c->model->context_tokens;
}

static void forget_text(nn_context *c)
{
    c->output.len = c->single_at = c->output_tokens = 0;
    c->stream = NN_STREAM_IDLE;
    c->computed = c->stepped = false;
}

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

/* Room for as many tokens as the context holds: longer prompts are only counted. */
static nn_errno need_tokens(const nn_call *call, nn_context *c)
{
    chord_error err = {0};
    void *memory = NULL;
    if (c->tokens_cap == c->model->context_tokens) return NN_SUCCESS;
    chord_free(call->nn->heap, c->tokens);
    c->tokens = NULL;
    c->tokens_cap = 0;
    if (chord_alloc(call->nn->heap, c->model->context_tokens * sizeof(int32_t), "a prompt's tokens", &memory, &err) !=
        CHORD_OK)
        return nn_fail_status(call, &err);
    c->tokens = memory;
    c->tokens_cap = c->model->context_tokens;
    return NN_SUCCESS;
}

nn_errno nn_set_prompt(const nn_call *call, nn_context *c, const char *text, size_t len)
{
    chord_error err = {0};
    forget_text(c);
    c->prompt_tokens = c->reused_tokens = 0;
    nn_errno code = nn_session_need(call, c);
    if (code == NN_SUCCESS) code = need_tokens(call, c);
    if (code != NN_SUCCESS) return code;
    size_t need = 0;
    chord_status status = chord_tokenize(c->model->model, text, len, CHORD_TOKENIZE_RAW, c->tokens, c->tokens_cap,
                                         &need, &err);
    if (status != CHORD_OK && status != CHORD_SHORT) return nn_fail_status(call, &err);
    if (need == 0)
        return nn_fail(call, NN_INVALID_ARGUMENT,
                       "a prompt of %zu bytes without tokens gives the model nothing to continue", len);
    c->prompt_tokens = need;
    return NN_SUCCESS;
}

nn_errno nn_set_metadata(const nn_call *call, nn_context *c, const char *json, size_t len)
{
    nn_options changed = c->options;
    nn_errno code = nn_options_read(call, json, len, &changed);
    if (code == NN_SUCCESS) code = nn_model_adapt(call, c, &changed);
    chord_mutex_lock(&call->nn->mutex); /* others look at what we wish when the model opens */
    if (code == NN_SUCCESS) c->options = changed;
    chord_mutex_unlock(&call->nn->mutex);
    return code;
}

/* ---- one text -------------------------------------------------------------------------------------------------- */

/* After a cancel the session may still carry it into its next call: it is dropped, the next
 * compute opens a fresh one. */
static nn_errno cancelled(const nn_call *call, nn_context *c)
{
    nn_session_drop(call->nn, c);
    return nn_fail(call, NN_RUNTIME_ERROR, "execution context %u was cancelled after %zu tokens", c->handle,
                   c->output_tokens);
}

static bool is_cancelled(const nn_call *call, const nn_context *c)
{
    chord_mutex_lock(&call->nn->mutex);
    bool is = c->cancelled;
    chord_mutex_unlock(&call->nn->mutex);
    return is;
}

static nn_errno check_prompt(const nn_call *call, const nn_context *c)
{
    uint32_t limit = nn_context_limit(c);
    if (c->prompt_tokens < limit && c->prompt_tokens <= c->tokens_cap) return NN_SUCCESS;
    if (c->prompt_tokens < limit)
        return nn_fail(call, NN_PROMPT_TOO_LONG,
                       "the prompt of %zu tokens was longer than the context when it was set: set it again",
                       c->prompt_tokens);
    return nn_fail(
        call, NN_PROMPT_TOO_LONG,
        "the prompt has %zu tokens, the context holds %u and one of them must be made: give %zu fewer, or a larger ctx-size",
        c->prompt_tokens, limit, c->prompt_tokens - limit + 1);
}

static uint64_t next_seed(wasi_nn *nn)
{
    uint64_t parts[2] = {chord_clock_ns(), 0};
    chord_mutex_lock(&nn->mutex);
    parts[1] = ++nn->seeds;
    chord_mutex_unlock(&nn->mutex);
    return chord_hash_of(parts, sizeof parts);
}

static chord_generate_options generate_options(const nn_call *call, nn_context *c)
{
    const nn_options *o = &c->options;
    uint32_t room = nn_context_limit(c) - (uint32_t)c->prompt_tokens;
    bool all = o->predict_tokens < 0 || o->predict_tokens > room;
    c->full_at_length = all;
    memcpy(c->active_stops, o->stops, sizeof c->active_stops);
    for (uint32_t i = 0; i < o->stop_count; i++) c->stop_list[i] = c->active_stops[i];
    chord_generate_options g = {.max_tokens = all ? room : (uint32_t)o->predict_tokens,
                                .sampling = o->sampling,
                                .stops = c->stop_list,
                                .stop_count = o->stop_count,
                                .ignore_end = o->ignore_end};
    if (o->random_seed) g.sampling.seed = next_seed(call->nn);
    return g;
}

/* Evaluates the prompt. */
static nn_errno begin(const nn_call *call, nn_context *c)
{
    chord_error err = {0};
    forget_text(c);
    c->computed = true;
    if (c->prompt_tokens == 0)
        return nn_fail(call, NN_INVALID_ARGUMENT, "execution context %u has no prompt: set_input 0 comes first",
                       c->handle);
    nn_errno code = nn_session_need(call, c);
    if (code == NN_SUCCESS) code = check_prompt(call, c);
    if (code != NN_SUCCESS) return code;
    if (is_cancelled(call, c)) return cancelled(call, c);
    c->running = generate_options(call, c);
    c->pieces = 0;
    c->fresh = false;
    chord_status status = chord_session_sync(c->session, c->tokens, c->prompt_tokens, &c->reused_tokens, &err);
    if (status == CHORD_CANCELLED || is_cancelled(call, c)) return cancelled(call, c);
    if (status == CHORD_OK) status = chord_generate_start(c->session, &c->running, &err);
    return status == CHORD_OK ? NN_SUCCESS : nn_fail_status(call, &err);
}

/* Another context had the session in the middle of this text: the same prompt, settings and seed make the same
 * pieces again. */
static nn_errno resume(const nn_call *call, nn_context *c)
{
    chord_error err = {0};
    chord_piece piece;
    bool more = true;
    nn_errno code = nn_session_need(call, c);
    if (code != NN_SUCCESS || !c->fresh) return code;
    chord_status status = chord_session_sync(c->session, c->tokens, c->prompt_tokens, NULL, &err);
    if (status == CHORD_OK) status = chord_generate_start(c->session, &c->running, &err);
    for (uint64_t n = 0; status == CHORD_OK && more && n < c->pieces; n++)
        status = chord_generate_next(c->session, &piece, &more, &err);
    if (status == CHORD_CANCELLED || is_cancelled(call, c)) return cancelled(call, c);
    c->fresh = status != CHORD_OK;
    return status == CHORD_OK ? NN_SUCCESS : nn_fail_status(call, &err);
}

/* One more piece of text. */
static nn_errno step(const nn_call *call, nn_context *c, bool *more)
{
    chord_error err = {0};
    chord_piece piece;
    chord_generate_result result;
    chord_status status = chord_generate_next(c->session, &piece, more, &err);
    chord_generate_result_get(c->session, &result);
    c->output_tokens = result.tokens;
    c->single_at = c->output.len;
    c->pieces++;
    if (status == CHORD_OK && *more) status = chord_buffer_append(&c->output, piece.text, piece.len, &err);
    if (status == CHORD_CANCELLED || is_cancelled(call, c)) return cancelled(call, c);
    return status == CHORD_OK ? NN_SUCCESS : nn_fail_status(call, &err);
}

/* Why the text ended: success, or that the context is full. */
static nn_errno reason(const nn_call *call, const nn_context *c)
{
    chord_generate_result result;
    chord_generate_result_get(c->session, &result);
    nn_log(call, &c->options,
           "execution context %u: %zu prompt tokens, %zu of them known from before, %zu made; it ended by \"%s\"",
           c->handle, c->prompt_tokens, c->reused_tokens, c->output_tokens, chord_stop_reason_text(result.stop_reason));
    bool full = result.stop_reason == CHORD_STOP_CONTEXT ||
                (result.stop_reason == CHORD_STOP_LENGTH && c->full_at_length);
    if (!full) return NN_SUCCESS;
    return nn_fail(
        call, NN_CONTEXT_FULL,
        "the context of %u tokens is full: %zu of the prompt and %zu made; a shorter prompt goes on from here",
        nn_context_limit(c), c->prompt_tokens, c->output_tokens);
}

/* stream-stdout. False: enough. */
static bool print_piece(const nn_call *call, const nn_context *c)
{
    const chord_guest_options *host = call->host->options;
    size_t len = c->output.len - c->single_at;
    if (!c->options.stream || host == NULL || host->on_emit == NULL || len == 0) return true;
    return host->on_emit(host->ud, c->output.data + c->single_at, len);
}

nn_errno nn_compute(const nn_call *call, nn_context *c)
{
    bool more = true;
    nn_errno code = begin(call, c);
    if (code != NN_SUCCESS || c->options.predict_tokens == 0) return code;
    while (code == NN_SUCCESS && more) {
        code = step(call, c, &more);
        if (code == NN_SUCCESS && !print_piece(call, c)) return code;
    }
    return code == NN_SUCCESS ? reason(call, c) : code;
}

nn_errno nn_compute_single(const nn_call *call, nn_context *c)
{
    bool more = c->options.predict_tokens != 0;
    nn_errno code = NN_SUCCESS;
    if (c->stream == NN_STREAM_ENDED) return c->end;
    code = c->stream == NN_STREAM_IDLE ? begin(call, c) : resume(call, c);
    if (code == NN_SUCCESS) {
        c->stream = NN_STREAM_RUNNING;
        c->stepped = true;
        if (more) code = step(call, c, &more);
    }
    if (code != NN_SUCCESS && code != NN_BUSY) c->stream = NN_STREAM_IDLE; /* who is busy can be asked on */
    if (code != NN_SUCCESS || more) return code;
    code = c->options.predict_tokens != 0 ? reason(call, c) : NN_SUCCESS;
    c->single_at = c->output.len;
    c->stream = NN_STREAM_ENDED;
    c->end = code == NN_SUCCESS ? NN_END_OF_SEQUENCE : code;
    return c->end;
}

void nn_fini_single(nn_context *c) { forget_text(c); }

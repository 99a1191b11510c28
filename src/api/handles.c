/* handles.c - how long runtimes, models and sessions live, and who may call into a session.
 *
 * A handle that was closed lives until the last of what stands on it is closed: models and files on a runtime, sessions
 * and borrowed vocabularies on a model. A session is inside one call at a time. What a callback of that call asks for is
 * refused, or, where there is no status to refuse with (close, reset), done when the call ends. */
#include "api/api_inner.h"

/* ---- counted lives ------------------------------------------------------------------------------------- */

void chord_runtime_keep(chord_runtime *r) { atomic_fetch_add(&r->keepers, 1); }

void chord_runtime_drop(chord_runtime *r)
{
    if (atomic_fetch_sub(&r->keepers, 1) != 1) return;
    chord_heap *heap = r->heap;
    chord_readers_close(r->readers);
    chord_pool_close(r->pool);
    chord_free(heap, r);
    chord_heap_close(heap);
}

void chord_files_close(chord_files *f)
{
    if (f->lender != NULL) {
        chord_model_drop(f->lender);
        *f = (chord_files){0};
        return;
    }
    chord_gguf_close(f->gguf);
    for (uint32_t i = 0; i < f->count; i++) chord_store_close(f->stores[i]);
    *f = (chord_files){0};
}

/* What is still to be written is; what went wrong with it is said. */
static void close_network(chord_model *m)
{
    char warning[256];
    if (m->net == NULL) return;
    chord_network_finish_folder(m->net);
    if (chord_network_folder_warning(m->net, warning, sizeof warning))
        chord_runtime_say(m->runtime, CHORD_LOG_WARN, "%s", warning);
    chord_network_close(m->net);
}

void chord_model_keep(chord_model *m) { atomic_fetch_add(&m->keepers, 1); }

void chord_model_drop(chord_model *m)
{
    if (atomic_fetch_sub(&m->keepers, 1) != 1) return;
    chord_runtime *r = m->runtime;
    close_network(m);
    chord_grammars_close(m);
    if (m->draft != NULL) chord_model_drop(m->draft);
    if (m->vocab_owner != NULL) chord_model_drop(m->vocab_owner);
    else chord_vocab_close(m->vocab);
    chord_arena_free(&m->arena);
    chord_files_close(&m->files);
    chord_mutex_free(&m->making);
    chord_free(r->heap, m);
    chord_runtime_drop(r);
}

void chord_runtime_close(chord_runtime *r)
{
    if (r != NULL) chord_runtime_drop(r);
}

void chord_model_close(chord_model *m)
{
    if (m != NULL) chord_model_drop(m);
}

/* ---- inside a session ---------------------------------------------------------------------------------- */

enum { IDLE, INSIDE, CLOSING };

void chord_session_forget(chord_session *s)
{
    (void)chord_sequence_cut(s->model->net, s->sequence, 0);
    chord_sequence_unreserve(s->model->net, s->sequence);
    chord_generation_end(s);
    s->count = s->drafts.known = 0;
    s->has_logits = s->parked = false;
}

static void free_session(chord_session *s)
{
    chord_model *m = s->model;
    chord_heap *heap = m->runtime->heap;
    chord_sequence_close(m->net, s->sequence);
    chord_session_form_end(s);
    chord_drafts_close(s);
    chord_buffer_free(&s->pending);
    chord_buffer_free(&s->pending_kinds);
    chord_mutex_free(&s->counting);
    chord_free(heap, s->tokens);
    chord_free(heap, s->logits);
    chord_free(heap, s->sample_scratch);
    chord_free(heap, s);
    chord_model_drop(m);
}

chord_status chord_session_enter(chord_session *s, chord_error *err)
{
    uint32_t idle = IDLE;
    if (s->model->runtime->process_id != chord_process_id())
        return chord_fail(err, CHORD_INVALID,
                          "the session was opened before fork(); its threads are in another process");
    if (atomic_compare_exchange_strong(&s->use, &idle, INSIDE)) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID,
                      "the session is inside a call: of another thread, or of which this is a callback");
}

chord_status chord_session_leave(chord_session *s, chord_status status)
{
    uint32_t inside = INSIDE;
    chord_session_form_settle(s); /* a pass that failed draws nothing */
    if (atomic_exchange(&s->reset_later, false)) chord_session_forget(s);
    if (!atomic_compare_exchange_strong(&s->use, &inside, IDLE)) free_session(s);
    return status;
}

bool chord_session_is_over(const chord_session *s)
{
    return atomic_load(&s->use) == CLOSING || atomic_load(&s->reset_later);
}

void chord_session_close(chord_session *s)
{
    if (s == NULL) return;
    if (s->sequence != NULL)
        chord_sequence_cancel(s->model->net, s->sequence); /* first: then the call may end any time */
    if (atomic_exchange(&s->use, CLOSING) == IDLE) free_session(s);
}

void chord_session_reset(chord_session *s)
{
    if (s == NULL) return;
    if (chord_session_enter(s, NULL) != CHORD_OK) {
        atomic_store(&s->reset_later, true);
        return;
    }
    chord_session_forget(s);
    (void)chord_session_leave(s, CHORD_OK);
}

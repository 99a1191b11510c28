/* lent.c - what is computed by a request's own thread, with a session that the engine lends. */
#include "dialects/dialects_inner.h"

static void gone(void *ud) { engine_cancel(ud); }

chord_status dialect_with_session(ask *a, const ask_prompt *prompt,
                                  chord_status (*use)(chord_session *session, void *ud, chord_error *err), void *ud,
                                  chord_error *err)
{
    engine_job job = {.tokens = prompt->tokens, .count = prompt->count, .lend = true};
    engine_answer work = {.jobs = &job, .count = 1};
    chord_status status = engine_submit(a->s->engine, &work, err);
    if (status == CHORD_OK) {
        if (!wire_on_gone(a->wire, gone, &work)) engine_cancel(&work);
        chord_session *session = engine_borrow(&work);
        status = session != NULL ? use(session, ud, err) : chord_fail(err, CHORD_CANCELLED, "cancelled");
        if (session != NULL) job.status = status;
        wire_on_gone(a->wire, NULL, NULL);
    }
    engine_end(&work);
    return status;
}

/* forms_guest.c - guests make no texts of a form: forms_libc.c says why. */
#include "api/api_inner.h"

uint64_t chord_grammars_bytes(uint64_t vocabulary_bytes, uint64_t sessions)
{
    return (void)vocabulary_bytes, (void)sessions, 0;
}

chord_status chord_grammars_open(chord_model *m, chord_error *err)
{
    (void)m;
    return chord_fail(err, CHORD_UNSUPPORTED, "grammars are left out of WebAssembly guests");
}

void chord_grammars_close(chord_model *m) { (void)m; }
chord_status chord_session_form_start(chord_session *s, chord_error *err) { return (void)s, (void)err, CHORD_OK; }
void chord_session_form_ahead(chord_session *s, const int32_t *guesses, uint32_t count)
{
    (void)s, (void)guesses, (void)count;
}
void chord_session_form_settle(chord_session *s) { (void)s; }
void chord_session_form_end(chord_session *s) { (void)s; }

chord_status chord_session_form_mask(chord_session *s, const uint64_t **mask, chord_error *err)
{
    (void)s, (void)err;
    *mask = NULL;
    return CHORD_OK;
}

chord_status chord_session_form_accept(chord_session *s, int32_t token, chord_error *err)
{
    return (void)s, (void)token, (void)err, CHORD_OK;
}

uint32_t chord_session_form_forced(chord_session *s, int32_t *tokens, uint32_t cap)
{
    return (void)s, (void)tokens, (void)cap, 0;
}

bool chord_session_wants_special(const chord_session *s, const char *name, size_t len)
{
    return (void)s, (void)name, (void)len, false;
}

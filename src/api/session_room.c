/* session_room.c - what a session has of the memory for keys and values: reserved before it is needed, given up for a while. */
#include "api/api_inner.h"

chord_status chord_session_salt(chord_session *s, uint64_t salt, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_TRY(chord_session_enter(s, err));
    if (chord_sequence_salt(s->model->net, s->sequence, salt)) chord_session_forget(s);
    return chord_session_leave(s, CHORD_OK);
}

chord_status chord_session_reserve(chord_session *s, uint32_t tokens, bool *later, chord_error *err)
{
    bool others = false;
    CHORD_NEED(s, "the session");
    CHORD_TRY(chord_session_enter(s, err));
    chord_status status = chord_sequence_reserve(s->model->net, s->sequence, tokens, &others, err);
    if (later != NULL) *later = others;
    return chord_session_leave(s, status);
}

/* The last token's logits stay, so that nothing is evaluated before the text really goes on. */
chord_status chord_session_park(chord_session *s, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_TRY(chord_session_enter(s, err));
    (void)chord_sequence_cut(s->model->net, s->sequence, 0);
    chord_sequence_unreserve(s->model->net, s->sequence);
    s->parked = s->count > 0;
    return chord_session_leave(s, CHORD_OK);
}

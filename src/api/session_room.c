/* session_room.c - what a session has of the memory for keys and values: reserved before it is needed, given up for a while. */
#include "api/api_inner.h"

chord_status chord_session_salt(chord_session *s, uint64_t salt, chord_error *err)
{
    CHORD_NEED(s, "the session");
    (void)salt;
    return CHORD_OK;
}

chord_status chord_session_reserve(chord_session *s, uint32_t tokens, bool *later, chord_error *err)
{
    CHORD_NEED(s, "the session");
    if (later != NULL) *later = false;
    (void)tokens;
    return CHORD_OK;
}

chord_status chord_session_park(chord_session *s, chord_error *err)
{
    CHORD_NEED(s, "the session");
    return CHORD_OK;
}

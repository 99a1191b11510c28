/* ask.c - a request in memory, and why it is refused. */
#include "ask/ask.h"

#include <stdio.h>

chord_status ask_open(served *s, wire_request *wire, ask **out)
{
    void *memory;
    CHORD_TRY(chord_alloc(s->heap, sizeof(ask), "a request", &memory, NULL));
    ask *a = *out = memory;
    a->s = s;
    a->wire = wire;
    chord_arena_init(&a->arena, s->heap, s->arena_bytes_max, "the request");
    return CHORD_OK;
}

void ask_close(ask *a)
{
    served *s = a->s;
    bool taken = a->taken;
    chord_grammar_close(a->grammar);
    for (uint32_t i = 0; i < a->reply_count; i++) chord_reply_close(a->replies[i]);
    chord_arena_free(&a->arena);
    chord_free(s->heap, a);
    if (taken) models_give(s);
}

writer ask_writer(ask *a, chord_buffer *text)
{
    chord_buffer_init(text, a->s->heap, SIZE_MAX / 2);
    return writer_of(text);
}

/* ---- refusals --------------------------------------------------------------------------------------------- */

static bool refuse(ask *a, uint32_t status, const char *type, const char *param, const char *format, va_list args)
{
    refusal *r = &a->wrong;
    r->status = status;
    r->type = type;
    snprintf(r->param, sizeof r->param, "%s", param != NULL ? param : "");
    vsnprintf(r->message, sizeof r->message, format, args);
    return false;
}

bool ask_refuse(ask *a, uint32_t status, const char *type, const char *param, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse(a, status, type, param, format, args);
    va_end(args);
    return false;
}

bool ask_invalid(ask *a, const char *param, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse(a, 400, "invalid_request_error", param, format, args);
    va_end(args);
    return false;
}

void refusal_of(const chord_error *err, refusal *out)
{
    bool busy = err->status == CHORD_FULL || err->status == CHORD_BUDGET || err->status == CHORD_NO_MEMORY ||
                err->status == CHORD_CANCELLED;                                     /* the server ends */
    bool theirs = err->status == CHORD_INVALID || err->status == CHORD_UNSUPPORTED; /* forms with too many ways, too */
    *out = (refusal){.status = busy     ? 503
                               : theirs ? 400
                                        : 500,
                     .type = busy     ? "unavailable_error"
                             : theirs ? "invalid_request_error"
                                      : "server_error"};
    snprintf(out->message, sizeof out->message, "%s", err->text);
}

bool ask_fail(ask *a, const char *param, const chord_error *err)
{
    refusal_of(err, &a->wrong);
    snprintf(a->wrong.param, sizeof a->wrong.param, "%s", param != NULL ? param : "");
    return false;
}

bool ask_memory(ask *a)
{
    chord_error err;
    chord_arena_fail(&a->arena, &err);
    if (a->arena.used_bytes < a->s->arena_bytes_max / 2) return ask_fail(a, NULL, &err);
    return ask_refuse(a, 413, "invalid_request_error", NULL, "the request takes more memory than there is for one: %s",
                      err.text);
}

void *ask_get(ask *a, uint64_t bytes)
{
    void *memory = chord_arena_get(&a->arena, bytes);
    if (memory == NULL) ask_memory(a);
    return memory;
}

/* template.h - chat templates: Jinja as Hugging Face's transformers runs it.
 *
 * All input is bounded: nesting, steps and bytes have limits named here, and going past one is an error with its
 * place. */
#ifndef CHORD_TEMPLATE_H
#define CHORD_TEMPLATE_H

#include "json/json.h"

/* Settings: trim_blocks, lstrip_blocks, loop controls, the generation tag, keep_trailing_newline off; raise_exception,
 * strftime_now, tojson (ensure_ascii off), namespace, range, dict, cycler and joiner. Sandboxed: lists and mappings
 * cannot be changed. Every template ends: after at most CHORD_TEMPLATE_STEPS_MAX steps, each of which is one node,
 * item or comparison, 64 bytes copied, compared or hashed, or 16 bytes looked at one by one (seconds in all, whatever
 * the template says); output and memory stay within the ceilings given (CHORD_BUDGET), and the stack within 192 KiB. A
 * construct we lack is CHORD_UNSUPPORTED with line and column; a syntax error CHORD_CORRUPT, another error of the
 * template CHORD_INVALID, both with their place; raise_exception is CHORD_INVALID with its message alone. Lacking:
 * inheritance, include and import, autoescape; integers beyond 64 bits; powers with a fraction; %e and %g. */
#define CHORD_TEMPLATE_STEPS_MAX 20000000ull
#define CHORD_TEMPLATE_OUTPUT_MAX (16 * CHORD_MIB)
#define CHORD_TEMPLATE_MEMORY_MAX (64 * CHORD_MIB)
typedef struct chord_template_args {
    const char *text;
    size_t len;
    const chord_json *root; /* an object: its members become template variables ("messages", "tools", ...) */
    const char *messages;   /* the JSON that root was read from, for who runs the template elsewhere (guest/template) */
    size_t messages_len;
    bool open_reply;       /* add_generation_prompt */
    const char *bos, *eos; /* bos_token, eos_token; NULL: undefined */
    int64_t now_unix_s;    /* for strftime_now */
    uint64_t steps_max;    /* 0: CHORD_TEMPLATE_STEPS_MAX */
} chord_template_args;
chord_status chord_template_run(chord_heap *heap, const chord_template_args *args, chord_buffer *out, chord_error *err);

/* The object that a template finds of this JSON: a list is its "messages". The tree lives in arena. */
chord_status chord_template_root(chord_arena *arena, const char *messages, size_t len, const chord_json **out,
                                 chord_error *err);
/* A byte-order mark says how a text is encoded and is no part of it. */
void chord_skip_mark(const char **text, size_t *len);

#endif

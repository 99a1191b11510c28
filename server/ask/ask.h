/* ask.h - a request's body, read: what it says by whose names, what is wrong with it, and the prompt that becomes of it. */
#ifndef SERVER_ASK_H
#define SERVER_ASK_H

#include "json/json.h"
#include "models/models.h"
#include "write/write.h"

typedef struct refusal {
    uint32_t status; /* 0: nothing is wrong */
    const char *type, *code;
    char param[80], message[480];
    uint64_t prompt_tokens, context_tokens; /* of a prompt that is too long, else 0 */
} refusal;

/* What may be called. */
typedef struct ask_calls {
    const char *tools; /* JSON, as templates are given them; NULL: none */
    size_t len;
    uint32_t count;
    const char *tool;           /* that has to be called; NULL: any */
    bool required, one, strict; /* one: not several in one answer; strict: calls have the form of their schemas */
} ask_calls;

typedef struct ask {
    served *s; /* the model that is asked; until that is known, any */
    bool taken;
    wire_request *wire;
    chord_arena arena;
    const chord_json *root; /* an object */
    chord_grammar *grammar; /* of the answer; NULL: it is free */
    ask_calls calls;
    chord_chat_caps caps;
    bool caps_known;
    bool apart; /* what is thought, said and called is told apart: a schema is of what is said */
    bool keep_thoughts, hide_thoughts;
    const char *said_schema, *said_param;
    size_t said_len;
    bool nothing;              /* no token is wanted */
    bool continues, continued; /* an answer that is the last message is gone on with; it was found */
    bool no_reply;             /* the template begins none */
    chord_reply **replies;     /* one for each answer */
    uint32_t reply_count;
    refusal wrong;
} ask;

chord_status ask_open(served *s, wire_request *wire, ask **out);
void ask_close(ask *a);

/* All of these return false, for `return ask_...`, when the request is refused. */
bool ask_refuse(ask *a, uint32_t status, const char *type, const char *param, const char *format, ...)
    CHORD_LIKE_PRINTF(5, 6);
bool ask_invalid(ask *a, const char *param, const char *format, ...) CHORD_LIKE_PRINTF(3, 4); /* 400 */
/* The library's sentence, with the status that its kind has in HTTP. */
bool ask_fail(ask *a, const char *param, const chord_error *err);
void refusal_of(const chord_error *err, refusal *out);
bool ask_memory(ask *a);               /* there is none */
void *ask_get(ask *a, uint64_t bytes); /* in the request's arena, NULL: refused */

/* The body becomes root, and the model it names is taken: it is open until the request is closed. */
bool ask_parse(ask *a);
bool ask_take(ask *a, served *wanted); /* the model, which is opened for it */

/* ---- fields; one that is null is as one that is not there ------------------------------------------------ */

const chord_json *ask_field(const chord_json *object, const char *key);
bool ask_bool(ask *a, const char *key, bool *out);
bool ask_whole(ask *a, const char *key, int64_t low, int64_t high, int64_t *out);
bool ask_number(ask *a, const char *key, double low, double high, float *out);
bool ask_text(ask *a, const chord_json *object, const char *key, const char **out); /* NULL: not there */
/* A field that cannot be done, unless it says nothing: null, false, [], {} or "". */
bool ask_cannot(ask *a, const char *key, const char *why);
bool ask_is(const chord_json *object, const char *key, const char *text); /* a field is this text */
bool ask_is_true(const chord_json *object, const char *key);

/* ---- JSON that is made; NULL: refused ------------------------------------------------------------------- */

chord_json *ask_new(ask *a, chord_json_kind kind, size_t len);
chord_json *ask_new_text(ask *a, const char *text);
typedef struct ask_member {
    const char *key;
    const chord_json *value; /* NULL: it is left out */
} ask_member;
chord_json *ask_new_object(ask *a, size_t count, const ask_member *members);

/* ---- tools and thoughts ----------------------------------------------------------------------------------- */

/* "tools" and what goes with them. skip_others: tools that are no functions are passed over. */
bool ask_tools(ask *a, bool skip_others);
bool ask_caps(ask *a); /* what the template can do */
/* For the system message, where the template shows no tools; NULL: nothing is to be said. */
bool ask_describe_tools(ask *a, const char **out);
bool ask_write_calls(ask *a, const chord_json *calls, writer *w);
bool ask_calls_as_text(ask *a, const chord_json *calls, const char *text, size_t len, const char **out,
                       size_t *out_len);
const chord_json *ask_name_of_call(const chord_json *messages, size_t before, const chord_json *id);
bool ask_write_thinking(ask *a, writer *w);
bool ask_reasoning_format(ask *a);

/* ---- what is asked of a text ----------------------------------------------------------------------------- */

/* Sampling, stops, seed, form, by the names that all dialects share. max_keys: NULL-terminated names of the most tokens. */
bool ask_options(ask *a, chord_generate_options *out, const char *const *max_keys, int64_t least);
/* A form that could not be made: its schema is at fault, or memory is short; for ever, where nobody else is there. */
bool ask_form_failed(ask *a, const char *param, const chord_error *err);
/* Of the options: "grammar", "json_schema", "response_format". */
bool ask_form(ask *a, chord_generate_options *out);
/* One such as "response_format"; NULL: none. */
bool ask_format(ask *a, const char *param, const chord_json *format, chord_generate_options *out);
/* bias.c: "logit_bias", as OpenAI's clients or llama.cpp's have it. */
bool ask_biases(ask *a, chord_generate_options *out);
/* A text, or a list of texts, that must not be empty. */
bool ask_stops(ask *a, const char *key, chord_generate_options *out);

/* ---- prompts ----------------------------------------------------------------------------------------------- */

typedef struct ask_prompt {
    int32_t *tokens;
    uint32_t count;
    const char *text; /* what was cut into tokens; NULL: tokens were given */
    size_t len;
    uint32_t cap; /* of a list that grows (ask_append) */
} ask_prompt;
/* A message's content, text alone, with the parts of a list joined. */
bool ask_content(ask *a, const chord_json *content, const char *where, const char **text, size_t *len);
/* "messages" in the order and shape that templates want. extra: a text for the system message, behind those there; or NULL. */
bool ask_messages(ask *a, const chord_json *messages, const char *system, writer *w);
/* "add_generation_prompt": whether the template begins a reply; "continue_final_message": whether an answer that is the last message
 * is gone on with, which is so unless one of them says no. */
bool ask_reply_begin(ask *a);
#define ASK_MARK "[chord: here it goes on]" /* stands behind that answer until the template has shown it */
/* conversation: {"messages": ..., further variables}. Refused when it does not fit into the context. */
bool ask_render(ask *a, const chord_buffer *conversation, ask_prompt *out);
bool ask_rendered_text(ask *a, const chord_buffer *conversation, const char **text, size_t *len);
bool ask_tokenize(ask *a, const char *text, size_t len, chord_tokenize_mode mode, ask_prompt *out);
/* A text, or a list of token ids and texts: the first of these has what stands before every text. */
bool ask_prompt_of(ask *a, const chord_json *value, const char *where, ask_prompt *out);
bool ask_fits(ask *a, const ask_prompt *prompt);
/* "prompt": one or several, which all fit and have a text. */
bool ask_prompts(ask *a, uint32_t most, ask_prompt **out, uint32_t *count);
bool ask_is_several(const chord_json *value);
/* A text behind another one: with special tokens, without what stands before every text. */
bool ask_tokenize_inside(ask *a, const char *text, size_t len, ask_prompt *out);
bool ask_append(ask *a, ask_prompt *to, const ask_prompt *more);
/* So many replies that read the answers to a prompt; then the form they have to have, and the special tokens they look for. */
bool ask_read_reply(ask *a, const ask_prompt *prompt, uint32_t count);
bool ask_reply_form(ask *a, chord_generate_options *out);
writer ask_writer(ask *a, chord_buffer *text); /* JSON into the server's memory */
/* The bytes of tokens, special ones written out when so wanted. */
bool ask_detokenize(ask *a, const int32_t *tokens, size_t count, bool special, const char **text, size_t *len);

#endif

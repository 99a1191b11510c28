/* dialects_inner.h - the paths. */
#ifndef SERVER_DIALECTS_INNER_H
#define SERVER_DIALECTS_INNER_H

#include "dialects/answer.h"
#include "dialects/dialects.h"

extern const dialect dialect_openai; /* of paths that are no answers: its errors */
extern const dialect dialect_anthropic;
extern const dialect dialect_native;

void dialect_chat(ask *a);
void dialect_chat_tokens(ask *a);
void dialect_completions(ask *a);
void dialect_messages(ask *a);
void dialect_count_tokens(ask *a);
void dialect_responses(ask *a);
void dialect_responses_tokens(ask *a);
void dialect_completion(ask *a);
void dialect_infill(ask *a);
void dialect_tokenize(ask *a);
void dialect_detokenize(ask *a);
void dialect_apply_template(ask *a);
void dialect_models(ask *a);
void dialect_model(ask *a, const char *name);
void dialect_embeddings(ask *a);
void dialect_props(ask *a);
void dialect_slots(ask *a);
void dialect_health(ask *a);
void dialect_metrics(ask *a);

/* native.c: what /completion and /infill have in common; the options of the request, and its run. */
bool dialect_read_native(ask *a, answer *flags);
void dialect_run_native(ask *a, const answer *flags, const ask_prompt *prompts, uint32_t count);
/* What a text is made with, as members; most_tokens -1: no limit. */
void dialect_write_settings(const chord_generate_options *o, int64_t most_tokens, int64_t seed, writer *w);
/* A session of the engine's, for as long as `use` computes with it for these tokens; who goes meanwhile cancels it. */
chord_status dialect_with_session(ask *a, const ask_prompt *prompt,
                                  chord_status (*use)(chord_session *session, void *ud, chord_error *err), void *ud,
                                  chord_error *err);
/* Log probabilities of a prompt's tokens, and the likeliest in their places, as pieces; those of its first are none. */
typedef struct prompt_scores {
    float *logprobs;      /* (count); [0] is nothing */
    chord_candidate *top; /* (count * top_count) */
    uint32_t top_count;
} prompt_scores;
/* false: refused, or the client is gone. */
bool dialect_score(ask *a, const ask_prompt *prompt, uint32_t top_count, prompt_scores *out);
/* {"messages": [...]} and what else a template is told; from the request's. */
bool dialect_conversation(ask *a, const char *system, chord_buffer *out);
bool dialect_conversation_of(ask *a, const chord_json *messages, const char *system, chord_buffer *out);
bool dialect_items(ask *a, chord_json **out);  /* the input of responses as messages */
bool dialect_blocks(ask *a, chord_json **out); /* Anthropic's messages as the others have them */
bool dialect_logprob_options(ask *a, chord_generate_options *o);
void dialect_write_logprobs(answer *an, writer *w, const engine_piece *p);
/* An answer of OpenAI's up to its choices, and what it counts. */
void dialect_open_choices(const answer *an, const char *object, writer *w);
void dialect_write_usage(const answer *an, writer *w);
const char *dialect_finish_reason(const choice *c);

#endif

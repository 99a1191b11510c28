/* guest.h - what a host finds in the module. Every call runs to its end; a status is a chord_status. */
#ifndef CHORD_GUEST_H
#define CHORD_GUEST_H

#include "chord.h"

#if defined(__wasm__)
#define GUEST_EXPORT(name) __attribute__((export_name(name)))
#else
#define GUEST_EXPORT(name)
#endif

#define GUEST_TOKENS_MAX 4096u

/* Open the model behind chord_read; budget_bytes 0: what memory reaches. Closes the one that was open. */
int32_t guest_open(uint64_t model_bytes, uint64_t budget_bytes, uint32_t context_tokens);
void guest_close(void);
/* Where the prompt is written, room for GUEST_TOKENS_MAX; generated tokens follow it. */
int32_t *guest_tokens(void);
/* Evaluate the prompt, then up to max_tokens greedy tokens, past end tokens too. */
int32_t guest_generate(uint32_t prompt_tokens, uint32_t max_tokens);
uint32_t guest_token_count(void); /* prompt and generated */
uint64_t guest_logits_hash(void); /* of the last guest_generate (chord.h) */
const char *guest_error(void);    /* the sentence of the last failure */

#endif

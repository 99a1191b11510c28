/* sample.h - logits to token. Pure: the same inputs give the same token on every host.
 *
 * Randomness is a function of (seed, sequence, absolute position, draw), so a drafted token can be verified by drawing
 * the target's own token. */
#ifndef CHORD_SAMPLE_H
#define CHORD_SAMPLE_H

#include "base/base.h"

/* A uniform number in [0, 1) with 53 bits: SplitMix64 over the four numbers. */
double chord_sample_uniform(uint64_t seed, uint64_t sequence, uint64_t position, uint64_t draw);

typedef struct chord_sample_args {
    const chord_sampling *sampling;
    const int32_t *past; /* the tokens before, for penalties */
    size_t past_count;
    uint64_t sequence, position;
    /* A bit for each token, 64 in a word: others are left out. NULL: all are allowed. */
    const uint64_t *allowed;
    const chord_bias *biases; /* of tokens below n or not: those that are not say nothing */
    size_t bias_count;
} chord_sample_args;
/* scratch: chord_sample_scratch_bytes(n). logits (n) are changed by biases and penalties only in scratch. Order: biases, penalties,
 * top-k, typical, top-p, min-p, temperature (the reference runtime's order). Ties: the lower id. */
chord_status chord_sample(const chord_sample_args *args, const float *logits, uint32_t n, void *scratch, int32_t *token,
                          chord_error *err);
uint64_t chord_sample_scratch_bytes(uint32_t n);
/* log of the token's probability in softmax(logits). */
float chord_sample_logprob(const float *logits, uint32_t n, int32_t token);
/* The same, and the likeliest *count tokens beside it, the likeliest first, ties to the lower id; fewer when there are not so
 * many. */
float chord_sample_top(const float *logits, uint32_t n, int32_t token, chord_candidate *top, uint32_t *count);
/* The likeliest `want` tokens of softmax(logits / temperature), the likeliest first, ties to the lower id, with their
 * probabilities; temperature 0: as 1. Gives how many. */
uint32_t chord_sample_likeliest(const float *logits, uint32_t n, float temperature, uint32_t want, int32_t *tokens,
                                float *probabilities);

#endif

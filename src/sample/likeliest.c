/* likeliest.c - the head of a distribution, for who wants to guess rather than to draw. */
#include "sample/sample_inner.h"

uint32_t chord_sample_likeliest(const float *logits, uint32_t n, float temperature, uint32_t want, int32_t *tokens,
                                float *probabilities)
{
    uint32_t found = 0;
    if (n == 0 || want == 0) return 0;
    for (uint32_t i = 0; i < n; i++) {
        if (found == want && !(logits[i] > logits[tokens[found - 1]])) continue;
        uint32_t at = found < want ? found++ : want - 1;
        for (; at > 0 && logits[tokens[at - 1]] < logits[i]; at--) tokens[at] = tokens[at - 1];
        tokens[at] = (int32_t)i;
    }
    float best = logits[tokens[0]];
    double scale = temperature > 0.0f ? 1.0 / (double)temperature : 1.0;
    double sum = temperature > 0.0f ? chord_exp_sum(logits, n, 1, best, scale) : chord_exp_sum_f32(logits, n, best);
    for (uint32_t i = 0; i < found; i++)
        probabilities[i] = (float)(chord_exp_below((double)(logits[tokens[i]] - best) * scale) / sum);
    return found;
}

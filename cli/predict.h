/* predict.h - how fast a plan will be, from what this machine was seen to do. */
#ifndef CLI_PREDICT_H
#define CLI_PREDICT_H

#include "rates.h"

typedef struct cli_prediction {
    double disk_bytes_per_s, weights_bytes_per_s;
    const char *disk_source, *weights_source; /* "measured", "seen with this model", "assumed", ... */
    double disk_s, compute_s;                 /* of one pass; the longer one bounds it */
    double expert_hits;                       /* the share of what a token uses of experts that is expected in memory */
    double guess_s;                           /* of one pass of the draft model, else 0 */
    double guesses_right;                     /* the share of guesses that are expected to be right */
    uint32_t guesses;                         /* passes of the draft model before one of the model */
    double tokens_per_pass, tokens_per_second;
} cli_prediction;

/* plan: of the model; draft: of a draft model beside it, NULL: none; sequences: that share each pass. What does not fit is
 * 0 tokens/s. */
cli_prediction cli_predict(const chord_plan *plan, const chord_plan *draft, uint32_t sequences, const cli_rates *rates,
                           uint32_t threads);

/* The exponent (rates.h) that so many hits show; 0: they show none. */
double cli_expert_habit(const chord_plan *plan, double hits);

#endif

/* report.h - what a run did, as two lines for people and as the "stats" object for programs. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "json_out.h"
#include "rates.h"

/* Passes over the weights that belong together: a prompt, an answer, a test. */
typedef struct cli_span {
    uint64_t ns, stall_ns, bytes_read, passes;
    uint64_t tokens;  /* of an answer */
    uint64_t guesses; /* that were checked */
} cli_span;

typedef struct cli_report {
    chord_stats stats;
    chord_plan plan;
    cli_span prefill, decode;
    cli_rates rates;
    bool sampled; /* tokens were drawn, with this seed */
    uint64_t seed;
    uint64_t found_tokens;              /* of the prompt, that were evaluated before */
    double predicted_tokens_per_second; /* before it ran; 0: nobody did */
} cli_report;

/* What happened between two looks at the counters, while spent_ns went by in forward passes. */
cli_span cli_span_between(const chord_stats *before, const chord_stats *after, uint64_t spent_ns);
/* 100 x max(compute alone, streamed bytes / disk rate) / time; in memory weight bytes / memory rate / time. Not a
 * number without the rate it needs, or when nothing ran. */
double cli_roofline_percent(const cli_span *span, const chord_plan *plan, const cli_rates *rates, bool one_token_each);
double cli_per_second(uint64_t count, uint64_t ns); /* 0 when no time went by */

/* Splits the counters of a session that ran one prompt and one answer. */
void cli_report_make(const chord_stats *after_prompt, const chord_stats *after_answer, const chord_plan *plan,
                     const cli_rates *rates, cli_report *out);
void cli_report_print(const cli_report *report);             /* on stderr */
void cli_report_json(const cli_report *report, json_out *j); /* as "stats" */
/* The rate at which weights were computed with, worth keeping once a few tokens were made; else 0. */
double cli_weights_rate(const cli_span *decode, const chord_plan *plan);
/* The share of guesses that were right, worth keeping after a few passes; else 0. */
double cli_guesses_right(const cli_report *report);
/* The share of what tokens used of experts that was in memory; 0: too few passes to say, or no experts. */
double cli_expert_hits(const cli_report *report);

#endif

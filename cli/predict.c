/* predict.c - the time of a pass is that of its bytes or that of its arithmetic, whichever is longer. */
#include "predict.h"

#include <math.h>

/* Until this machine was measured: one NVMe disk, one memory channel's worth of weights, or less with few cores. */
#define ASSUMED_DISK_BYTES_PER_S 1.5e9
#define ASSUMED_NETWORK_BYTES_PER_S 12.5e6
#define ASSUMED_WEIGHTS_BYTES_PER_S_CORE 4e9
#define ASSUMED_WEIGHTS_BYTES_PER_S_MOST 16e9
#define ASSUMED_GUESSES_RIGHT 0.75
#define ASSUMED_EXPERT_HABIT 0.35 /* fits what was published of trained mixtures: 53 % with a tenth in memory */
#define FURTHER_ROW 0.25          /* of the arithmetic of one */
#define GUESSES_MAX 12u

static void take_rates(cli_prediction *p, const cli_rates *rates, uint32_t threads)
{
    double cores = ASSUMED_WEIGHTS_BYTES_PER_S_CORE * threads;
    p->disk_bytes_per_s = rates->disk_bytes_per_s;
    p->disk_source = rates->from_network ? "seen from this host" : "measured";
    p->weights_bytes_per_s = rates->weights_bytes_per_s;
    p->weights_source = rates->weights_of_model ? "seen with this model" : "seen with another model";
    p->guesses_right = rates->guesses_right > 0 ? rates->guesses_right : ASSUMED_GUESSES_RIGHT;
    if (p->disk_bytes_per_s <= 0) {
        p->disk_bytes_per_s = rates->from_network ? ASSUMED_NETWORK_BYTES_PER_S : ASSUMED_DISK_BYTES_PER_S;
        p->disk_source = "assumed";
    }
    if (p->weights_bytes_per_s <= 0) {
        p->weights_bytes_per_s = cores < ASSUMED_WEIGHTS_BYTES_PER_S_MOST ? cores : ASSUMED_WEIGHTS_BYTES_PER_S_MOST;
        p->weights_source = "assumed";
    }
}

static double longer(double a, double b) { return a > b ? a : b; }

static double expert_hits(const chord_plan *plan, const cli_rates *rates)
{
    double part = (double)plan->expert_cache_bytes / (double)plan->expert_bytes;
    if (plan->expert_bytes == 0 || part >= 1) return 1;
    return pow(part, rates->expert_habit > 0 ? rates->expert_habit : ASSUMED_EXPERT_HABIT);
}

double cli_expert_habit(const chord_plan *plan, double hits)
{
    double part = (double)plan->expert_cache_bytes / (double)plan->expert_bytes;
    bool cached = plan->expert_bytes != 0 && plan->expert_cache_bytes != 0 && part < 1;
    return cached && hits > 0.01 && hits < 0.99 ? log(hits) / log(part) : 0;
}

static double bytes_read(const cli_prediction *p, const chord_plan *plan)
{
    return (double)plan->streamed_bytes_per_pass + (1 - p->expert_hits) * (double)plan->expert_bytes_per_token;
}

static double pass_s(const cli_prediction *p, const chord_plan *plan, uint32_t rows)
{
    double compute = (double)plan->read_bytes_per_pass / p->weights_bytes_per_s * (1 + FURTHER_ROW * (rows - 1));
    return longer(compute, bytes_read(p, plan) / p->disk_bytes_per_s);
}

/* As many guesses as make most tokens in a second. */
static void choose_guesses(cli_prediction *p, const chord_plan *plan, const chord_plan *draft)
{
    double tokens = 1, likely = 1;
    p->guess_s = pass_s(p, draft, 1);
    for (uint32_t n = 1; n <= GUESSES_MAX; n++) {
        likely *= p->guesses_right;
        tokens += likely;
        double speed = tokens / (n * p->guess_s + pass_s(p, plan, n + 1));
        if (speed <= p->tokens_per_second) continue;
        p->tokens_per_second = speed;
        p->tokens_per_pass = tokens;
        p->guesses = n;
    }
}

cli_prediction cli_predict(const chord_plan *plan, const chord_plan *draft, uint32_t sequences, const cli_rates *rates,
                           uint32_t threads)
{
    cli_prediction p = {.tokens_per_pass = sequences};
    take_rates(&p, rates, threads);
    p.expert_hits = expert_hits(plan, rates);
    p.disk_s = bytes_read(&p, plan) / p.disk_bytes_per_s;
    p.compute_s = (double)plan->read_bytes_per_pass / p.weights_bytes_per_s * (1 + FURTHER_ROW * (sequences - 1));
    if (!plan->fits || (draft != NULL && !draft->fits)) return p;
    double pass = longer(p.compute_s, p.disk_s);
    p.tokens_per_second = pass > 0 ? sequences / pass : 0;
    if (draft != NULL) choose_guesses(&p, plan, draft);
    return p;
}

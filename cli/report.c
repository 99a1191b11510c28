/* report.c - counters to sentences and JSON. */
#include "report.h"

#include "host.h"
#include "terminal.h"

#include <math.h>

#define PASSES_WORTH_LEARNING 8

cli_span cli_span_between(const chord_stats *before, const chord_stats *after, uint64_t spent_ns)
{
    return (cli_span){.ns = spent_ns,
                      .stall_ns = after->stall_ns - before->stall_ns,
                      .bytes_read = after->bytes_read - before->bytes_read,
                      .passes = after->passes - before->passes};
}

double cli_per_second(uint64_t count, uint64_t ns) { return ns != 0 ? (double)count * 1e9 / (double)ns : 0; }

double cli_roofline_percent(const cli_span *span, const chord_plan *plan, const cli_rates *rates, bool one_token_each)
{
    if (span->ns == 0 || span->passes == 0) return NAN;
    double seconds = (double)span->ns / 1e9;
    bool experts_stream = plan->expert_cache_bytes < plan->expert_bytes;
    if (plan->streamed_bytes_per_pass == 0 &&
        !experts_stream) { /* in memory: many tokens at once are bound by arithmetic, which has no such roof */
        if (rates->memory_bytes_per_s <= 0 || !one_token_each) return NAN;
        return 100 * (double)(plan->read_bytes_per_pass * span->passes) / rates->memory_bytes_per_s / seconds;
    }
    if (rates->disk_bytes_per_s <= 0) return NAN;
    double compute = span->ns > span->stall_ns ? (double)(span->ns - span->stall_ns) / 1e9 : 0;
    uint64_t bytes = experts_stream ? span->bytes_read : plan->streamed_bytes_per_pass * span->passes;
    double disk = (double)bytes / rates->disk_bytes_per_s;
    return 100 * (compute > disk ? compute : disk) / seconds;
}

double cli_weights_rate(const cli_span *decode, const chord_plan *plan)
{
    bool one_row_each = decode->guesses == 0 && decode->tokens <= decode->passes;
    if (decode->passes < PASSES_WORTH_LEARNING || decode->ns <= decode->stall_ns || !one_row_each) return 0;
    return (double)(plan->read_bytes_per_pass * decode->passes) * 1e9 / (double)(decode->ns - decode->stall_ns);
}

double cli_expert_hits(const cli_report *r)
{
    const cli_span *d = &r->decode;
    double used = (double)(r->plan.expert_bytes_per_token * d->passes);
    double missed = (double)d->bytes_read - (double)(r->plan.streamed_bytes_per_pass * d->passes);
    return d->passes < PASSES_WORTH_LEARNING || used <= 0 ? 0 : 1 - missed / used;
}

double cli_guesses_right(const cli_report *r)
{
    uint64_t right = r->stats.draft_accepted_tokens, ended = r->stats.draft_passes; /* each with one that was wrong */
    return ended >= PASSES_WORTH_LEARNING ? (double)right / (double)(right + ended) : 0;
}

void cli_report_make(const chord_stats *after_prompt, const chord_stats *after_answer, const chord_plan *plan,
                     const cli_rates *rates, cli_report *out)
{
    static const chord_stats START = {0};
    *out = (cli_report){.stats = *after_answer, .plan = *plan, .rates = *rates};
    out->prefill = cli_span_between(&START, after_prompt, after_prompt->prefill_ns);
    out->decode = cli_span_between(after_prompt, after_answer, after_answer->decode_ns);
    /* the first one came with the prompt's last logits */
    out->decode.tokens = after_answer->output_tokens > 0 ? after_answer->output_tokens - 1 : 0;
    out->decode.guesses = after_answer->drafted_tokens;
}

static double roofline(const cli_report *r)
{
    if (r->decode.passes > 0) return cli_roofline_percent(&r->decode, &r->plan, &r->rates, true);
    return cli_roofline_percent(&r->prefill, &r->plan, &r->rates, false);
}

void cli_report_print(const cli_report *r)
{
    char budget[32], peak[32], bytes[32], answer[96] = "", roof[48] = "", seed[32] = "", predicted[32] = "",
                                          found[48] = "";
    const chord_stats *s = &r->stats;
    double percent = roofline(r), spent = (double)(r->prefill.ns + r->decode.ns);
    if (percent - percent == 0) snprintf(roof, sizeof roof, ", %.0f %% of the roofline", percent);
    if (r->predicted_tokens_per_second > 0 && r->decode.tokens > 0)
        snprintf(predicted, sizeof predicted, " (predicted %.2g)", r->predicted_tokens_per_second);
    if (r->found_tokens > 0) snprintf(found, sizeof found, " and %" PRIu64 " that were found", r->found_tokens);
    if (r->sampled) snprintf(seed, sizeof seed, "; seed %" PRIu64, r->seed);
    if (s->output_tokens > 0)
        snprintf(answer, sizeof answer, "answer %" PRIu64 " tokens, %.1f tokens/s%s; ", s->output_tokens,
                 cli_per_second(r->decode.tokens, s->decode_ns), predicted);
    cli_print_to(stderr, "prompt %" PRIu64 " tokens%s, %.1f tokens/s; %speak %s of %s%s\n", s->prompt_tokens, found,
                 cli_per_second(s->prompt_tokens, s->prefill_ns), answer, cli_size_text(s->peak_bytes, peak),
                 cli_size_text(s->budget_bytes, budget), seed);
    cli_print_to(stderr, "%s: read %s in %.2f s, stalled %.2f s (%.0f %%)%s%s\n",
                 s->mapped && r->plan.expert_cache_bytes >= r->plan.expert_bytes ? "mapped" : "streamed",
                 cli_size_text(s->bytes_read, bytes), (double)s->read_ns / 1e9, (double)s->stall_ns / 1e9,
                 spent > 0 ? 100 * (double)s->stall_ns / spent : 0, roof, cli_host_reads);
}

void cli_report_json(const cli_report *r, json_out *j)
{
    const chord_stats *s = &r->stats;
    json_open(j, "stats", '{');
    json_f64(j, "prefill_tokens_per_second", cli_per_second(s->prompt_tokens, s->prefill_ns));
    json_f64(j, "decode_tokens_per_second", cli_per_second(r->decode.tokens, s->decode_ns));
    json_f64(j, "predicted_tokens_per_second",
             r->predicted_tokens_per_second > 0 ? r->predicted_tokens_per_second : 0.0 / 0.0);
    json_u64(j, "budget_bytes", s->budget_bytes);
    json_u64(j, "peak_bytes", s->peak_bytes);
    json_u64(j, "bytes_read", s->bytes_read);
    json_u64(j, "read_ns", s->read_ns);
    json_u64(j, "stall_ns", s->stall_ns);
    json_f64(j, "roofline_percent", roofline(r));
    json_u64(j, "resident_bytes", s->resident_bytes);
    json_u64(j, "window_bytes", s->window_bytes);
    json_u64(j, "kv_bytes", s->kv_bytes);
    json_u64(j, "scratch_bytes", s->scratch_bytes);
    json_u64(j, "streamed_bytes_per_pass", r->plan.streamed_bytes_per_pass);
    if (r->plan.requantized_bytes > 0) json_u64(j, "requantized_bytes", r->plan.requantized_bytes);
    json_u64(j, "hits", s->hits);
    json_u64(j, "misses", s->misses);
    json_u64(j, "evictions", s->evictions);
    json_u64(j, "prefetched_used", s->prefetched_used);
    json_u64(j, "prefetched_late", s->prefetched_late);
    json_u64(j, "prefetched_wasted", s->prefetched_wasted);
    json_u64(j, "prompt_tokens", s->prompt_tokens);
    json_u64(j, "reused_tokens", s->reused_tokens);
    json_u64(j, "output_tokens", s->output_tokens);
    json_u64(j, "drafted_tokens", s->drafted_tokens);
    json_u64(j, "accepted_tokens", s->accepted_tokens);
    json_u64(j, "draft_passes", s->draft_passes);
    json_u64(j, "draft_accepted_tokens", s->draft_accepted_tokens);
    json_u64(j, "prefill_ns", s->prefill_ns);
    json_u64(j, "decode_ns", s->decode_ns);
    json_u64(j, "mask_ns", s->mask_ns);
    json_u64(j, "decode_bytes_read", r->decode.bytes_read);
    json_u64(j, "decode_stall_ns", r->decode.stall_ns);
    json_u64(j, "passes", s->passes);
    json_u64(j, "context_tokens", r->plan.context_tokens);
    json_u64(j, "chunk_tokens", r->plan.chunk_tokens);
    json_bool(j, "mapped", s->mapped);
    json_close(j, '}');
}

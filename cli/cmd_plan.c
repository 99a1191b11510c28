/* cmd_plan.c - what a budget buys, from the file's header alone. */
#include "open.h"
#include "rates.h"
#include "json_out.h"
#include "terminal.h"

#include <stddef.h>

/* Until this machine was measured: one NVMe disk, one memory channel's worth of weights, or less with few cores. */
#define ASSUMED_DISK_BYTES_PER_S 1.5e9
#define ASSUMED_WEIGHTS_BYTES_PER_S_CORE 4e9
#define ASSUMED_WEIGHTS_BYTES_PER_S_MOST 16e9

typedef struct prediction {
    double disk, weights, compute_s, disk_s, tokens_per_second;
    const char *disk_source, *weights_source;
} prediction;

static prediction predict(const chord_plan *plan, const cli_rates *rates, uint32_t threads)
{
    prediction p = {.disk = rates->disk_bytes_per_s,
                    .disk_source = "measured",
                    .weights = rates->weights_bytes_per_s,
                    .weights_source = rates->weights_of_model ? "seen with this model" : "seen with another model"};
    if (p.disk <= 0) {
        p.disk = ASSUMED_DISK_BYTES_PER_S;
        p.disk_source = "assumed";
    }
    if (p.weights <= 0) {
        double cores = ASSUMED_WEIGHTS_BYTES_PER_S_CORE * threads;
        p.weights = cores < ASSUMED_WEIGHTS_BYTES_PER_S_MOST ? cores : ASSUMED_WEIGHTS_BYTES_PER_S_MOST;
        p.weights_source = "assumed";
    }
    p.compute_s = (double)plan->read_bytes_per_pass / p.weights;
    p.disk_s = (double)plan->streamed_bytes_per_pass / p.disk;
    double pass = p.compute_s > p.disk_s ? p.compute_s : p.disk_s;
    p.tokens_per_second = plan->fits && pass > 0 ? 1 / pass : 0;
    return p;
}

static void print_json_plan(const chord_plan *plan, const prediction *p, uint32_t threads, json_out *j)
{
    json_open(j, NULL, '{');
    json_bool(j, "fits", plan->fits);
    json_u64(j, "budget_bytes", plan->budget_bytes);
    json_u64(j, "budget_bytes_min", plan->budget_bytes_min);
    json_u64(j, "context_tokens", plan->context_tokens);
    json_u64(j, "context_tokens_max", plan->context_tokens_max);
    json_u64(j, "model_bytes", plan->model_bytes);
    json_bool(j, "mapped", plan->mapped);
    json_bool(j, "packed", plan->packed);
    json_u64(j, "resident_bytes", plan->resident_bytes);
    json_u64(j, "window_bytes", plan->window_bytes);
    json_u64(j, "kv_bytes", plan->kv_bytes);
    json_u64(j, "scratch_bytes", plan->scratch_bytes);
    json_u64(j, "fixed_bytes", plan->fixed_bytes);
    json_u64(j, "streamed_bytes_per_pass", plan->streamed_bytes_per_pass);
    json_u64(j, "read_bytes_per_pass", plan->read_bytes_per_pass);
    json_u64(j, "chunk_tokens", plan->chunk_tokens);
    json_u64(j, "tiles", plan->tiles);
    json_u64(j, "tiles_pinned", plan->tiles_pinned);
    json_u64(j, "ring_slots", plan->ring_slots);
    json_u64(j, "threads", threads);
    json_f64(j, "predicted_tokens_per_second", plan->fits ? p->tokens_per_second : 0.0 / 0.0);
    json_open(j, "rates", '{');
    json_f64(j, "disk_bytes_per_s", p->disk);
    json_text(j, "disk_source", p->disk_source);
    json_f64(j, "weights_bytes_per_s", p->weights);
    json_text(j, "weights_source", p->weights_source);
    json_close(j, '}');
    json_close(j, '}');
}

static void print_row(const char *name, uint64_t bytes, const char *remark)
{
    char size[32];
    cli_print("  %-22s%12s   %s\n", name, cli_size_text(bytes, size), remark);
}

static void print_memory(const chord_plan *plan)
{
    char remark[160];
    char size[32];
    cli_print("memory: a budget of %s\n", cli_size_text(plan->budget_bytes, size));
    snprintf(remark, sizeof remark, "%u of %u tiles%s", plan->tiles_pinned, plan->tiles,
             !plan->mapped  ? ""
             : plan->packed ? ", mapped from the file and used as they lie there"
                            : ", mapped from the file");
    if (plan->fits) print_row("weights that stay", plan->resident_bytes, remark);
    snprintf(remark, sizeof remark, "%u slots", plan->ring_slots);
    if (plan->fits && !plan->mapped) print_row("ring for the others", plan->window_bytes, remark);
    snprintf(remark, sizeof remark, "%u tokens", plan->context_tokens);
    print_row("KV cache", plan->kv_bytes, remark);
    snprintf(remark, sizeof remark, "prompts in chunks of %u tokens", plan->chunk_tokens);
    print_row("scratch", plan->scratch_bytes, remark);
    print_row("everything else", plan->fixed_bytes, "code, stacks, page tables, tokenizer, directory");
}

static void print_table(const cli_args *args, const chord_plan *plan, const prediction *p)
{
    char size[32], other[32];
    cli_print("%s: %s of weights, %s of them in each token's pass\n\n", args->model,
              cli_size_text(plan->model_bytes, size), cli_size_text(plan->read_bytes_per_pass, other));
    print_memory(plan);
    if (plan->mapped) cli_print("\nNothing streams: everything fits.\n");
    else if (plan->fits)
        cli_print("\nStreamed for each pass: %s.\n", cli_size_text(plan->streamed_bytes_per_pass, size));
    cli_print("Smallest budget for this context: %s.", cli_size_text(plan->budget_bytes_min, size));
    if (plan->context_tokens_max > 0)
        cli_print(" Largest context for this budget: %u tokens.", plan->context_tokens_max);
    cli_print("\n");
    if (!plan->fits) return;
    cli_print("\nPredicted: %.3g tokens/s, bound by %s\n", p->tokens_per_second,
              p->disk_s > p->compute_s ? "the disk" : "arithmetic and memory");
    cli_print("  weights computed with at %6.2f GB/s   %s\n", p->weights / 1e9, p->weights_source);
    if (!plan->mapped) cli_print("  weights read at          %6.2f GB/s   %s\n", p->disk / 1e9, p->disk_source);
    if (p->disk_source[0] == 'a' || p->weights_source[0] == 'a')
        cli_print("  (`chord bench %s --probe` measures what is assumed)\n", args->model);
}

static int show(const cli_args *args, cli_open *o)
{
    chord_error err;
    chord_plan plan;
    cli_rates rates;
    if (chord_model_plan(o->runtime, &o->source, &o->options, &plan, &err) != CHORD_OK) return cli_fail_with(&err);
    uint32_t threads = chord_runtime_threads(o->runtime);
    cli_rates_load(args->model, threads, &rates);
    prediction p = predict(&plan, &rates, threads);
    int code;
    if (args->json) {
        json_out j = {0};
        print_json_plan(&plan, &p, threads, &j);
        code = json_print(&j);
        json_free(&j);
    } else {
        print_table(args, &plan, &p);
        code = cli_finish_output();
    }
    if (plan.fits) return code;
    if (o->options.mode == CHORD_MODE_MAPPED && plan.budget_bytes_min <= plan.budget_bytes)
        return cli_fail("a budget of %.2f MiB cannot map the whole model", (double)plan.budget_bytes / CLI_MIB);
    return cli_refuse(&plan);
}

static int run(const cli_args *args)
{
    cli_open o;
    if (args->model == NULL) return cli_usage(&cli_plan, "which model? give the path of a GGUF file");
    int code = cli_open_runtime(args, &o);
    if (code == CLI_OK) code = show(args, &o);
    cli_close(&o);
    return code;
}

static const cli_option OPTIONS[] = {
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("the context to plan for, in tokens (default: what the model was trained for, at most 4096)"),
    CLI_OPTION_JSON,
    CLI_OPTION_MODEL,
};

const cli_command cli_plan = {
    .name = "plan",
    .summary = "what a memory budget buys, before anything is loaded",
    .usage = "MODEL [options]",
    .text = "Says which weights would stay in memory and how many bytes would be streamed for each token, the smallest "
            "budget and the "
            "largest context that work, and how fast that will be. Reads the file's header only. Exit code 1 when it "
            "cannot work.",
    .examples = "  chord plan model.gguf --memory 1G\n"
                "  chord plan model.gguf --memory 512M --ctx 8192 --json\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .run = run,
};

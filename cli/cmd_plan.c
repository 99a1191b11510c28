/* cmd_plan.c - what a budget buys, from the file's header alone. */
#include "draft.h"
#include "json_out.h"
#include "source.h"
#include "terminal.h"

#include <stddef.h>
#include <string.h>

static void put_draft(const cli_split *split, json_out *j)
{
    json_open(j, "draft", '{');
    json_bool(j, "used", split->drafts);
    json_u64(j, "bytes", split->draft_bytes);
    json_u64(j, "resident_bytes", split->draft.resident_bytes);
    json_u64(j, "streamed_bytes_per_pass", split->draft.streamed_bytes_per_pass);
    json_u64(j, "guesses", split->prediction.guesses);
    json_f64(j, "guesses_right", split->prediction.guesses_right);
    json_f64(j, "tokens_per_pass", split->prediction.tokens_per_pass);
    json_close(j, '}');
}

/* Of a model that is not here. */
static void put_remote(const chord_plan *plan, json_out *j)
{
    const cli_remote *r = cli_source_remote();
    if (r == NULL) return;
    json_open(j, "remote", '{');
    json_text(j, "source", r->source);
    json_text(j, "host", r->host);
    json_bool(j, "kept", r->kept);
    json_u64(j, "bytes", r->total_bytes);
    json_u64(j, "missing_bytes", r->missing_bytes);
    json_u64(j, "network_bytes_per_token", r->kept ? 0 : plan->streamed_bytes_per_pass);
    json_f64(j, "network_bytes_per_s", r->bytes_per_s);
    json_close(j, '}');
}

static void print_json_plan(const cli_args *args, const cli_split *split, uint32_t threads, json_out *j)
{
    const chord_plan *plan = &split->plan;
    const cli_prediction *p = &split->prediction;
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
    if (args->requantize != NULL) {
        json_text(j, "requantize", args->requantize);
        json_u64(j, "requantized_bytes", plan->requantized_bytes);
        json_u64(j, "requantized_file_bytes", plan->requantized_file_bytes);
    }
    json_u64(j, "expert_bytes", plan->expert_bytes);
    json_u64(j, "expert_cache_bytes", plan->expert_cache_bytes);
    json_u64(j, "expert_bytes_per_token", plan->expert_bytes_per_token);
    json_f64(j, "expert_hits", p->expert_hits);
    json_u64(j, "chunk_tokens", plan->chunk_tokens);
    json_u64(j, "tiles", plan->tiles);
    json_u64(j, "tiles_pinned", plan->tiles_pinned);
    json_u64(j, "ring_slots", plan->ring_slots);
    json_u64(j, "threads", threads);
    json_f64(j, "predicted_tokens_per_second", plan->fits ? p->tokens_per_second : 0.0 / 0.0);
    json_open(j, "rates", '{');
    json_f64(j, "disk_bytes_per_s", p->disk_bytes_per_s);
    json_text(j, "disk_source", p->disk_source);
    json_f64(j, "weights_bytes_per_s", p->weights_bytes_per_s);
    json_text(j, "weights_source", p->weights_source);
    json_close(j, '}');
    put_remote(plan, j);
    if (args->draft != NULL) put_draft(split, j);
    json_close(j, '}');
}

static void print_row(const char *name, uint64_t bytes, const char *remark)
{
    char size[32];
    cli_print("  %-22s%12s   %s\n", name, cli_size_text(bytes, size), remark);
}

static void print_memory(const cli_split *split, uint32_t sessions, uint32_t shared)
{
    const chord_plan *plan = &split->plan;
    char remark[160];
    char size[32];
    cli_print("memory: a budget of %s\n", cli_size_text(plan->budget_bytes, size));
    snprintf(remark, sizeof remark, "%u of %u tiles%s", plan->tiles_pinned, plan->tiles,
             !plan->mapped  ? ""
             : plan->packed ? ", mapped from the file and used as they lie there"
                            : ", mapped from the file");
    if (plan->fits) print_row("weights that stay", plan->resident_bytes, remark);
    if (plan->expert_bytes != 0) {
        snprintf(remark, sizeof remark, "of %s; what is used most stays", cli_size_text(plan->expert_bytes, size));
        print_row("experts in memory", plan->expert_cache_bytes, remark);
    }
    snprintf(remark, sizeof remark, "%u slots", plan->ring_slots);
    if (plan->fits && !plan->mapped) print_row("ring for the others", plan->window_bytes, remark);
    int said = sessions > 1 ? snprintf(remark, sizeof remark, "%u sessions, each of ", sessions) : 0;
    snprintf(remark + said, sizeof remark - (size_t)said, "%u tokens", plan->context_tokens);
    if (sessions > 1 && shared > 0)
        snprintf(remark + strlen(remark), sizeof remark - strlen(remark), ", the first %u in common", shared);
    print_row("KV cache", plan->kv_bytes, remark);
    snprintf(remark, sizeof remark, "prompts in chunks of %u tokens", plan->chunk_tokens);
    print_row("scratch", plan->scratch_bytes, remark);
    if (split->drafts) {
        snprintf(remark, sizeof remark, "%u of %u tiles stay", split->draft.tiles_pinned, split->draft.tiles);
        print_row("draft model", split->draft_bytes, remark);
    }
    print_row("everything else", plan->fixed_bytes, "code, stacks, page tables, tokenizer, directory");
}

static void print_draft(const cli_split *split)
{
    const cli_prediction *p = &split->prediction;
    char size[32];
    if (!split->drafts) {
        cli_print("The draft model is not used: %s.\n",
                  split->fits ? "no share of this budget is expected to pay" : "it does not fit beside the model");
        return;
    }
    cli_print("  guesses ahead          %6u        %.0f %% of them right, %.2g tokens a pass\n", p->guesses,
              100 * p->guesses_right, p->tokens_per_pass);
    cli_print("  for each of them       %9s   streamed by the draft model\n",
              cli_size_text(split->draft.streamed_bytes_per_pass, size));
}

/* "The network" where each pass brings its bytes from there, else the disk. */
static const char *link_name(void)
{
    const cli_remote *r = cli_source_remote();
    return r != NULL && !r->kept ? "the network" : "the disk";
}

static void print_remote(const chord_plan *plan)
{
    const cli_remote *r = cli_source_remote();
    char size[32], other[32];
    if (r == NULL) return;
    if (!r->kept) {
        cli_print("Not kept here: each token brings %s from %s.\n", cli_size_text(plan->streamed_bytes_per_pass, size),
                  r->host);
        return;
    }
    cli_print("Not here yet: %s of %s are still to come from %s", cli_size_text(r->missing_bytes, size),
              cli_size_text(r->total_bytes, other), r->host);
    if (r->bytes_per_s > 0)
        cli_print(", in %.0f s at %.0f MB/s as the last time", (double)r->missing_bytes / r->bytes_per_s,
                  r->bytes_per_s / 1e6);
    cli_print("; then they stream from the disk.\n");
}

static void print_table(const cli_args *args, const cli_split *split)
{
    const chord_plan *plan = &split->plan;
    const cli_prediction *p = &split->prediction;
    char size[32], other[32];
    cli_print("%s: %s of weights, %s of them in each token's pass\n\n", args->model,
              cli_size_text(plan->model_bytes, size), cli_size_text(plan->read_bytes_per_pass, other));
    print_memory(split, args->parallel, args->shared);
    if (args->requantize != NULL)
        cli_print("\nQuantised to %s as they are read: %s of weights, %s in the file.\n", args->requantize,
                  cli_size_text(plan->requantized_bytes, size), cli_size_text(plan->requantized_file_bytes, other));
    if (plan->mapped && plan->expert_cache_bytes >= plan->expert_bytes)
        cli_print("\nNothing streams: everything fits.\n");
    else if (plan->fits && plan->streamed_bytes_per_pass == 0) cli_print("\nWhat every pass uses stays.\n");
    else if (plan->fits)
        cli_print("\nStreamed for each pass: %s.\n", cli_size_text(plan->streamed_bytes_per_pass, size));
    if (plan->expert_bytes != 0)
        cli_print("Experts: each token uses %s; %.0f %% of it is expected in memory, the rest is read.\n",
                  cli_size_text(plan->expert_bytes_per_token, size), 100 * p->expert_hits);
    cli_print("Smallest budget for this context: %s.", cli_size_text(plan->budget_bytes_min, size));
    if (plan->context_tokens_max > 0)
        cli_print(" Largest context for this budget: %u tokens.", plan->context_tokens_max);
    cli_print("\n");
    print_remote(plan);
    if (!plan->fits) return;
    cli_print("\nPredicted: %.3g tokens/s, bound by %s\n", p->tokens_per_second,
              p->disk_s > p->compute_s ? link_name() : "arithmetic and memory");
    cli_print("  weights computed with at %6.2f GB/s   %s\n", p->weights_bytes_per_s / 1e9, p->weights_source);
    if (!plan->mapped || plan->expert_cache_bytes < plan->expert_bytes)
        cli_print("  weights read at          %6.2f GB/s   %s\n", p->disk_bytes_per_s / 1e9, p->disk_source);
    if (args->draft != NULL) print_draft(split);
    if (cli_source_remote() == NULL && (p->disk_source[0] == 'a' || p->weights_source[0] == 'a'))
        cli_print("  (`chord bench %s --probe` measures what is assumed)\n", args->model);
}

static void take_network(cli_rates *rates)
{
    const cli_remote *r = cli_source_remote();
    if (r == NULL || r->kept) return;
    rates->from_network = true;
    rates->disk_bytes_per_s = r->bytes_per_s;
}

static int make_plan(const cli_args *args, cli_open *o, cli_split *split)
{
    chord_error err;
    cli_rates rates;
    uint32_t threads = chord_runtime_threads(o->runtime);
    if (args->draft != NULL) {
        int code = cli_open_text(o, args->context);
        return code == CLI_OK ? cli_split_budget(o, args->context, split) : code;
    }
    *split = (cli_split){0};
    if (chord_model_plan(o->runtime, &o->source, &o->options, &split->plan, &err) != CHORD_OK)
        return cli_fail_with(&err);
    cli_rates_load(args->model, threads, &rates);
    take_network(&rates);
    split->prediction = cli_predict(&split->plan, NULL, cli_sessions(&o->options), &rates, threads);
    return CLI_OK;
}

static int show(const cli_args *args, cli_open *o)
{
    cli_split split;
    const chord_plan *plan = &split.plan;
    int code = make_plan(args, o, &split);
    if (code != CLI_OK) return code;
    if (args->json) {
        json_out j = {0};
        print_json_plan(args, &split, chord_runtime_threads(o->runtime), &j);
        code = json_print(&j);
        json_free(&j);
    } else {
        print_table(args, &split);
        code = cli_finish_output();
    }
    if (plan->fits) return code;
    if (o->options.mode == CHORD_MODE_MAPPED && plan->budget_bytes_min <= plan->budget_bytes)
        return cli_fail("a budget of %.2f MiB cannot map the whole model", (double)plan->budget_bytes / CLI_MIB);
    return cli_refuse(plan, cli_sessions(&o->options));
}

static int run(const cli_args *args)
{
    cli_open o;
    if (args->model == NULL) return cli_usage(&cli_plan, "which model? give the path of a GGUF file");
    int code = cli_check_draft(&cli_plan, args);
    if (code == CLI_OK) code = cli_check_kv_dir(&cli_plan, args);
    if (code != CLI_OK) return code;
    code = cli_open_runtime(args, &o);
    if (code == CLI_OK) code = show(args, &o);
    cli_close(&o);
    return code;
}

static const cli_option OPTIONS[] = {
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("the context to plan for, in tokens (default: what the model was trained for, at most 4096)"),
    CLI_OPTIONS_KV_DIR,
    CLI_OPTIONS_DRAFT_MODEL,
    CLI_OPTION_PARALLEL("plan for N answers at once, each with a context of its own (default 1)"),
    {"--shared", NULL, CLI_U32, CLI_FIELD(shared), "N",
     "with --parallel: the first N tokens of the context, the prompt, are the same in all answers, and kept once", 1,
     1 << 24},
    CLI_OPTION_JSON,
    CLI_OPTION_MODEL,
    CLI_OPTION_NO_CACHE,
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
                "  chord plan model.gguf --memory 512M --ctx 8192 --json\n"
                "  chord plan model.gguf --memory 1G --ctx 1100 --parallel 8 --shared 1000\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .reads = CLI_READS_HEADER,
    .run = run,
};

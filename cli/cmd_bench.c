/* cmd_bench.c - prompt and generation speed as the field tabulates them (pp, tg), with the bytes, the waiting and the
 * roofline beside them. */
#include "interrupt.h"
#include "open.h"
#include "peer.h"
#include "report.h"
#include "samples.h"
#include "terminal.h"

#include <stddef.h>
#include <stdlib.h>

#define PROMPT_DEFAULT 512
#define PREDICT_DEFAULT 128
#define REPETITIONS_DEFAULT 3
#define REPETITIONS_MAX 100
#define PARALLEL_TESTS_MAX 8

typedef struct bench_test {
    char name[40];           /* "pp512", "tg128", "tg128 @ d4096" */
    uint32_t prompt, answer; /* one of them 0 */
    uint32_t parallel;       /* sequences that answer at once; 0: one, by itself */
    uint32_t runs;
    double rates[REPETITIONS_MAX], peer_rates[REPETITIONS_MAX]; /* tokens per second */
    cli_span total;
    chord_stats stats; /* of all runs */
} bench_test;

typedef struct bench {
    const cli_args *args;
    cli_open open;
    chord_model_info info;
    bench_test tests[2 + PARALLEL_TESTS_MAX];
    uint32_t test_count, threads;
    uint32_t number; /* of the run */
    int32_t *ids;
    chord_probe before, after;
    cli_rates rates;
} bench;

/* ---- one run ------------------------------------------------------------------------------------------- */

/* Ids that look like nothing in particular, the same each time: no text, but the same work. */
static void make_ids(bench *b, uint32_t count)
{
    uint64_t state = 0x9E3779B97F4A7C15u;
    b->ids = cli_alloc(b->ids, count * sizeof *b->ids);
    for (uint32_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        b->ids[i] = (int32_t)((state >> 33) % b->info.vocabulary);
    }
}

/* A prompt that is timed is no text that was evaluated before, and no session finds what another one has of its depth. */
static void change_ids(bench *b, const bench_test *t, uint32_t session)
{
    uint32_t depth = b->args->bench_depth;
    if (depth > 0) b->ids[0] = (int32_t)(session % b->info.vocabulary);
    if (t->prompt != 0) b->ids[depth] = (int32_t)(b->number % b->info.vocabulary);
}

static bool count_piece(void *ud, const chord_piece *piece)
{
    bench *b = ud;
    b->open.live.tokens += piece->token >= 0;
    return true;
}

/* A past of so many tokens, which is not the test's to read. */
static chord_status go_to_depth(bench *b, chord_session *session, uint32_t depth, chord_error *err)
{
    if (depth == 0) {
        chord_session_reset(session);
        return CHORD_OK;
    }
    b->open.live.phase = CHORD_PHASE_OPEN;
    b->open.live.tokens = depth;
    return chord_session_sync(session, b->ids, depth, NULL, err);
}

/* All that answer at once, from their pasts on; each token of the answer but the last is read, too. */
static chord_status run_parallel(bench *b, const bench_test *t, uint32_t depth, chord_error *err)
{
    chord_generate_options options = {.max_tokens = t->answer, .ignore_end = true};
    chord_step steps[CLI_PARALLEL_MAX] = {{0}};
    chord_status status = CHORD_OK;
    for (uint32_t i = 0; i < t->parallel && status == CHORD_OK; i++) {
        steps[i].session = b->open.sessions[i];
        change_ids(b, t, i);
        status = chord_session_feed(steps[i].session, b->ids, depth + 1, NULL, err);
        if (status == CHORD_OK) status = chord_generate_start(steps[i].session, &options, err);
    }
    for (uint32_t going = t->parallel; going > 0 && status == CHORD_OK;) {
        status = chord_sessions_step(steps, t->parallel, err);
        going = 0;
        for (uint32_t i = 0; i < t->parallel && status == CHORD_OK; i++) {
            going += !steps[i].over;
            status = steps[i].status;
            if (status != CHORD_OK) *err = steps[i].error;
        }
    }
    return status;
}

static chord_status run_test(bench *b, const bench_test *t, uint32_t depth, chord_error *err)
{
    b->open.live.phase = CHORD_PHASE_OPEN;
    b->open.live.tokens = t->prompt != 0 ? t->prompt : 1;
    if (t->prompt != 0) return chord_session_sync(b->open.session, b->ids, depth + t->prompt, NULL, err);
    if (t->parallel != 0) return run_parallel(b, t, depth, err);
    chord_generate_options options = {.max_tokens = t->answer, .ignore_end = true};
    chord_status status = chord_session_sync(b->open.session, b->ids, depth + 1, NULL, err);
    b->open.live.tokens = 0;
    return status == CHORD_OK ? chord_session_generate(b->open.session, &options, count_piece, b, NULL, err) : status;
}

static chord_status time_test(bench *b, bench_test *t, chord_error *err)
{
    chord_stats before, after;
    uint32_t depth = b->args->bench_depth;
    uint32_t sequences = t->parallel != 0 ? t->parallel : 1;
    chord_status status = CHORD_OK;
    b->number++;
    for (uint32_t i = 0; i < sequences && status == CHORD_OK; i++) {
        change_ids(b, t, i);
        status = go_to_depth(b, b->open.sessions[i], depth, err);
    }
    if (status != CHORD_OK) return status;
    chord_session_stats(b->open.session, &before);
    uint64_t start = cli_clock_ns();
    status = run_test(b, t, depth, err);
    uint64_t spent = cli_clock_ns() - start;
    if (status != CHORD_OK) return status;
    chord_session_stats(b->open.session, &after);
    cli_span span = cli_span_between(&before, &after, spent);
    t->rates[t->runs++] = cli_per_second(sequences * (uint64_t)(t->prompt + t->answer), spent);
    t->total.ns += span.ns;
    t->total.stall_ns += span.stall_ns;
    t->total.bytes_read += span.bytes_read;
    t->total.passes += span.passes;
    t->total.tokens += sequences * (uint64_t)t->answer;
    return CHORD_OK;
}

/* The other program's turn, between two of ours. */
static int time_peer(bench *b, bench_test *t)
{
    const cli_args *args = b->args;
    cli_peer_test test = {.model = args->peer_model != NULL ? args->peer_model : args->model,
                          .threads = b->threads,
                          .prompt = t->prompt,
                          .answer = t->answer,
                          .depth = args->bench_depth};
    char line[80];
    snprintf(line, sizeof line, "%s %u/%u by the other program", t->name, t->runs, args->repetitions);
    cli_live_say(&b->open.live, line);
    return cli_peer_run(args->peer, &test, &t->peer_rates[t->runs - 1]);
}

/* A run that is not counted comes first: it maps and repacks what later runs find done. */
static int run_tests(bench *b)
{
    chord_error err;
    bench_test warm_up = {.answer = 1};
    b->open.live.label = "warm-up";
    int code = run_test(b, &warm_up, 0, &err) == CHORD_OK ? CLI_OK : cli_fail_with(&err);
    for (uint32_t i = 0; i < b->test_count && code == CLI_OK; i++) {
        bench_test *t = &b->tests[i];
        chord_session_stats_reset(b->open.session);
        while (t->runs < b->args->repetitions && code == CLI_OK) {
            char label[64];
            snprintf(label, sizeof label, "%s %u/%u", t->name, t->runs + 1, b->args->repetitions);
            b->open.live.label = label;
            if (time_test(b, t, &err) != CHORD_OK) code = cli_fail_with(&err);
            b->open.live.label = NULL;
            if (code == CLI_OK && b->args->peer != NULL && t->parallel == 0) code = time_peer(b, t);
        }
        chord_session_stats(b->open.session, &t->stats);
    }
    cli_live_clear(&b->open.live);
    return code;
}

/* ---- results ------------------------------------------------------------------------------------------------ */

static double ratio_of(const bench_test *t) { return cli_mean(t->rates, t->runs) / cli_mean(t->peer_rates, t->runs); }

static const char *speed_text(const double *rates, uint32_t runs, char out[48])
{
    snprintf(out, 48, "%.2f +- %.2f", cli_mean(rates, runs), cli_deviation(rates, runs));
    return out;
}

static double roofline_of(const bench *b, const bench_test *t)
{
    return cli_roofline_percent(&t->total, &b->info.plan, &b->rates, t->answer != 0 && t->parallel == 0);
}

static void print_table(const bench *b)
{
    int wide = b->args->bench_depth != 0 || b->args->bench_parallel != NULL ? 16 : 7; /* names of tests */
    bool peer = b->args->peer != NULL;
    cli_print("| %-28s | %10s | %8s | %10s | %7s | %*s | %18s | %12s | %7s | %8s |%s\n", "model", "size", "params",
              "budget", "threads", wide, "test", "t/s", "read / pass", "stall", "roofline",
              peer ? "          peer t/s |   ratio |" : "");
    cli_print("| ---------------------------- | ---------: | -------: | ---------: | ------: | %.*s: | "
              "-----------------: | -----------: | ------: | -------: |%s\n",
              wide - 1, "----------------", peer ? " -----------------: | ------: |" : "");
    for (uint32_t i = 0; i < b->test_count; i++) {
        const bench_test *t = &b->tests[i];
        char size[32], budget[32], bytes[32], speed[48], roof[24] = "n/a", beside[96] = "";
        double percent = roofline_of(b, t);
        if (percent - percent == 0) snprintf(roof, sizeof roof, "%.0f %%", percent);
        if (peer && t->parallel != 0) snprintf(beside, sizeof beside, " %17s | %7s |", "-", "-");
        else if (peer)
            snprintf(beside, sizeof beside, " %17s | %7.2f |", speed_text(t->peer_rates, t->runs, speed), ratio_of(t));
        cli_print("| %-28.28s | %10s | %6.2f B | %10s | %7u | %*s | %18s | %12s | %5.0f %% | %8s |%s\n",
                  b->info.name != NULL && b->info.name[0] != '\0' ? b->info.name : b->info.architecture,
                  cli_size_text(b->info.plan.model_bytes, size), (double)b->info.parameters / 1e9,
                  cli_size_text(t->stats.budget_bytes, budget), b->threads, wide, t->name,
                  speed_text(t->rates, t->runs, speed),
                  cli_size_text(t->total.passes > 0 ? t->total.bytes_read / t->total.passes : 0, bytes),
                  t->total.ns > 0 ? 100 * (double)t->total.stall_ns / (double)t->total.ns : 0, roof, beside);
    }
    if (b->args->probe)
        cli_print("\ndisk %.2f GB/s before, %.2f GB/s after; memory %.2f GB/s before, %.2f GB/s after\n",
                  b->before.disk_bytes_per_s / 1e9, b->after.disk_bytes_per_s / 1e9, b->before.memory_bytes_per_s / 1e9,
                  b->after.memory_bytes_per_s / 1e9);
    cli_print("peak %s of a budget of %s\n", cli_size_text(b->tests[b->test_count - 1].stats.peak_bytes, (char[32]){0}),
              cli_size_text(b->tests[b->test_count - 1].stats.budget_bytes, (char[32]){0}));
}

static void put_samples(const char *key, const double *rates, uint32_t runs, json_out *j)
{
    json_open(j, key, '[');
    for (uint32_t i = 0; i < runs; i++) json_f64(j, NULL, rates[i]);
    json_close(j, ']');
}

static void put_test(const bench *b, const bench_test *t, json_out *j)
{
    json_open(j, NULL, '{');
    json_text(j, "test", t->name);
    json_u64(j, "prompt_tokens", t->prompt);
    json_u64(j, "output_tokens", t->answer);
    json_u64(j, "parallel", t->parallel != 0 ? t->parallel : 1);
    json_u64(j, "depth_tokens", b->args->bench_depth);
    json_f64(j, "tokens_per_second", cli_mean(t->rates, t->runs));
    json_f64(j, "deviation", cli_deviation(t->rates, t->runs));
    put_samples("samples", t->rates, t->runs, j);
    if (b->args->peer != NULL && t->parallel == 0) {
        json_f64(j, "peer_tokens_per_second", cli_mean(t->peer_rates, t->runs));
        json_f64(j, "peer_deviation", cli_deviation(t->peer_rates, t->runs));
        put_samples("peer_samples", t->peer_rates, t->runs, j);
        json_f64(j, "ratio", ratio_of(t));
    }
    json_u64(j, "ns", t->total.ns);
    json_u64(j, "passes", t->total.passes);
    json_u64(j, "bytes_read", t->total.bytes_read);
    json_u64(j, "stall_ns", t->total.stall_ns);
    json_f64(j, "roofline_percent", roofline_of(b, t));
    json_close(j, '}');
}

static void put_probe(const chord_probe *p, const char *key, json_out *j)
{
    json_open(j, key, '{');
    json_f64(j, "disk_bytes_per_s", p->disk_bytes_per_s);
    json_f64(j, "memory_bytes_per_s", p->memory_bytes_per_s);
    json_u64(j, "read_bytes", p->read_bytes);
    json_u64(j, "depth", p->depth);
    json_close(j, '}');
}

/* The counters of both tests as one object of the shape that `run` gives. */
static void put_stats(const bench *b, json_out *j)
{
    static const chord_stats NONE = {0};
    const bench_test *pp = NULL, *tg = NULL;
    for (uint32_t i = 0; i < b->test_count; i++)
        if (b->tests[i].parallel == 0) *(b->tests[i].prompt != 0 ? &pp : &tg) = &b->tests[i];
    const chord_stats *p = pp != NULL ? &pp->stats : &NONE, *t = tg != NULL ? &tg->stats : &NONE;
    chord_stats sum = tg != NULL ? *t : *p;
    if (pp != NULL && tg != NULL) {
        sum.bytes_read += p->bytes_read;
        sum.read_ns += p->read_ns;
        sum.stall_ns += p->stall_ns;
        sum.passes += p->passes;
        sum.hits += p->hits;
        sum.misses += p->misses;
        sum.evictions += p->evictions;
        sum.prefetched_used += p->prefetched_used;
        sum.prefetched_late += p->prefetched_late;
        sum.prefetched_wasted += p->prefetched_wasted;
    }
    sum.prompt_tokens = p->prompt_tokens; /* of the prompt test alone: the other's single token is not one */
    sum.prefill_ns = p->prefill_ns;
    cli_report report = {.stats = sum, .plan = b->info.plan, .rates = b->rates};
    if (pp != NULL) report.prefill = pp->total;
    if (tg != NULL) report.decode = tg->total;
    report.stats.decode_ns = report.decode.ns;
    cli_report_json(&report, j);
}

static int print_json(const bench *b)
{
    json_out j = {0};
    json_open(&j, NULL, '{');
    json_text(&j, "model", b->args->model);
    json_text(&j, "architecture", b->info.architecture);
    json_u64(&j, "model_bytes", b->info.plan.model_bytes);
    json_u64(&j, "parameters", b->info.parameters);
    json_u64(&j, "threads", b->threads);
    json_open(&j, "tests", '[');
    for (uint32_t i = 0; i < b->test_count; i++) put_test(b, &b->tests[i], &j);
    json_close(&j, ']');
    if (b->args->probe) {
        put_probe(&b->before, "probe_before", &j);
        put_probe(&b->after, "probe_after", &j);
    }
    put_stats(b, &j);
    json_close(&j, '}');
    int code = json_print(&j);
    json_free(&j);
    return code;
}

/* ---- the order of things ------------------------------------------------------------------------------------- */

static int probe(bench *b, chord_probe *out)
{
    chord_error err;
    cli_live_say(&b->open.live, "measuring disk and memory");
    chord_status status = chord_probe_run(b->open.runtime, &b->open.source, out, &err);
    cli_live_clear(&b->open.live);
    return status == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

static int measure(bench *b)
{
    uint32_t prompt = b->args->bench_prompt, answer = (uint32_t)b->args->predict;
    uint32_t context = (prompt > answer + 1 ? prompt : answer + 1) + b->args->bench_depth;
    b->open.options.no_vocabulary = true;
    for (uint32_t i = 0; i < b->test_count; i++)
        if (b->tests[i].parallel > b->open.options.sessions_max) b->open.options.sessions_max = b->tests[i].parallel;
    int code = cli_open_session(&b->open, b->args->context != 0 ? b->args->context : context);
    if (code != CLI_OK) return code;
    chord_model_describe(b->open.model, &b->info);
    make_ids(b, context);
    cli_interrupt_watch(b->open.sessions, cli_sessions(&b->open.options));
    code = run_tests(b);
    cli_interrupt_watch(NULL, 0);
    for (uint32_t i = 0; i < cli_sessions(&b->open.options); i++) {
        chord_session_close(b->open.sessions[i]);
        b->open.sessions[i] = NULL;
    }
    b->open.session = NULL;
    return code;
}

static double average(double a, double b) { return a > 0 && b > 0 ? (a + b) / 2 : a + b; }

/* The rates that rooflines are measured by: those of just now where they were asked for, else those remembered. The
 * model goes first, the second probe needs its memory; its names are kept. */
static int settle_rates(bench *b, char names[2][64])
{
    int code = CLI_OK;
    cli_rates seen = {0};
    snprintf(names[0], 64, "%s", b->info.name != NULL ? b->info.name : "");
    snprintf(names[1], 64, "%s", b->info.architecture);
    b->info.name = names[0];
    b->info.architecture = names[1];
    chord_model_close(b->open.model);
    b->open.model = NULL;
    if (b->args->probe) code = probe(b, &b->after);
    cli_rates_load(b->args->model, b->threads, &b->rates);
    if (b->args->probe) {
        seen.disk_bytes_per_s = b->rates.disk_bytes_per_s = average(b->before.disk_bytes_per_s,
                                                                    b->after.disk_bytes_per_s);
        seen.memory_bytes_per_s = b->rates.memory_bytes_per_s = average(b->before.memory_bytes_per_s,
                                                                        b->after.memory_bytes_per_s);
    }
    for (uint32_t i = 0; i < b->test_count; i++)
        if (b->tests[i].answer != 0 && b->tests[i].parallel == 0 && b->args->requantize == NULL)
            seen.weights_bytes_per_s = cli_weights_rate(&b->tests[i].total, &b->info.plan);
    cli_rates_save(b->args->model, b->threads, &seen);
    return code;
}

static int go(bench *b)
{
    char names[2][64];
    int code = cli_open_runtime(b->args, &b->open);
    if (code != CLI_OK) return code;
    b->threads = chord_runtime_threads(b->open.runtime);
    if (b->args->probe) code = probe(b, &b->before);
    if (code == CLI_OK) code = measure(b);
    if (code == CLI_OK) code = settle_rates(b, names);
    if (code != CLI_OK) return code;
    if (b->args->json) return print_json(b);
    print_table(b);
    return cli_finish_output();
}

/* "1,2,4": a test each. */
static int add_parallel_tests(bench *b, const char *list)
{
    for (const char *at = list; at != NULL;) {
        char *end;
        long n = *at >= '1' && *at <= '9' ? strtol(at, &end, 10) : 0;
        if (n < 1 || n > CLI_PARALLEL_MAX || (*end != ',' && *end != '\0'))
            return cli_usage(&cli_bench, "-pl takes numbers from 1 to %d such as 1,2,4, not '%s'", CLI_PARALLEL_MAX,
                             list);
        if (b->test_count == CLI_COUNT(b->tests))
            return cli_usage(&cli_bench, "-pl takes %d numbers at most", PARALLEL_TESTS_MAX);
        b->tests[b->test_count++] = (bench_test){.answer = (uint32_t)b->args->predict, .parallel = (uint32_t)n};
        at = *end == ',' ? end + 1 : NULL;
    }
    return CLI_OK;
}

static void name_test(bench_test *t, uint32_t depth_tokens)
{
    char depth[16] = "", parallel[8] = "";
    if (depth_tokens != 0) snprintf(depth, sizeof depth, " @ d%u", depth_tokens);
    if (t->parallel != 0) snprintf(parallel, sizeof parallel, " x%u", t->parallel);
    snprintf(t->name, sizeof t->name, "%s%u%s%s", t->prompt != 0 ? "pp" : "tg", t->prompt + t->answer, parallel, depth);
}

static int run(const cli_args *args)
{
    bench b = {.args = args};
    if (args->model == NULL) return cli_usage(&cli_bench, "which model? give the path of a GGUF file");
    if (args->bench_prompt == 0 && args->predict == 0)
        return cli_usage(&cli_bench, "-p 0 and -n 0 leave nothing to measure");
    if (args->bench_prompt != 0) b.tests[b.test_count++] = (bench_test){.prompt = args->bench_prompt};
    if (args->predict != 0) b.tests[b.test_count++] = (bench_test){.answer = (uint32_t)args->predict};
    if (args->peer_model != NULL && args->peer == NULL)
        return cli_usage(&cli_bench, "--vs-model goes with --vs LLAMA_BENCH");
    if (args->bench_parallel != NULL && args->predict == 0)
        return cli_usage(&cli_bench, "-pl goes with tokens to generate (-n)");
    int code = args->bench_parallel != NULL ? add_parallel_tests(&b, args->bench_parallel) : CLI_OK;
    if (code != CLI_OK) return code;
    for (uint32_t i = 0; i < b.test_count; i++) name_test(&b.tests[i], args->bench_depth);
    code = go(&b);
    free(b.ids);
    cli_close(&b.open);
    return code;
}

static void defaults(cli_args *args)
{
    args->bench_prompt = PROMPT_DEFAULT;
    args->predict = PREDICT_DEFAULT;
    args->repetitions = REPETITIONS_DEFAULT;
}

static const cli_option OPTIONS[] = {
    {"--n-prompt", "-p", CLI_U32, CLI_FIELD(bench_prompt), "N",
     "tokens of the prompt test (default 512; 0: leave it out)", 0, 1 << 20},
    {"--n-gen", "-n", CLI_I64, CLI_FIELD(predict), "N", "tokens of the generation test (default 128; 0: leave it out)",
     0, 1 << 20},
    {"--n-depth", "-d", CLI_U32, CLI_FIELD(bench_depth), "N",
     "tokens that stand in the context before each test, and are not timed (default 0)", 0, 1 << 20},
    {"--n-parallel", "-pl", CLI_TEXT, CLI_FIELD(bench_parallel), "N,N,...",
     "more generation tests, with so many sequences that share each pass over the weights (1,2,4,8); tokens per second "
     "are those of all together",
     0, 0},
    {"--repetitions", "-r", CLI_U32, CLI_FIELD(repetitions), "N", "how often each test is run (default 3)", 1,
     REPETITIONS_MAX},
    {"--vs", NULL, CLI_TEXT, CLI_FIELD(peer), "LLAMA_BENCH",
     "run this llama-bench in turn with each of our runs, with the same model, threads and test, and print its speed "
     "and the ratio; both have the model in memory then",
     0, 0},
    {"--vs-model", NULL, CLI_TEXT, CLI_FIELD(peer_model), "MODEL",
     "what the other program reads, where that is another file (the original of a packed one)", 0, 0},
    {"--probe", NULL, CLI_FLAG, CLI_FIELD(probe), NULL,
     "measure disk and memory just before and after; rooflines refer to that, and `plan` remembers it (takes 64 MiB "
     "for a moment)",
     0, 0},
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("tokens of context to reserve (default: what the tests need)"),
    CLI_OPTION_JSON,
    CLI_OPTION_MODEL,
};

const cli_command cli_bench = {
    .name = "bench",
    .summary = "how fast a model is on this machine",
    .usage = "MODEL [options]",
    .text = "Measures reading a prompt (pp) and generating (tg), each several times after one run to warm up, and "
            "prints a row for each: "
            "tokens per second with their deviation, bytes read for each pass over the weights, the share of time "
            "spent waiting for them, "
            "and how near that is to the best this machine could do.",
    .examples = "  chord bench model.gguf\n"
                "  chord bench model.gguf --memory 1G -p 64 -n 16 -r 1 --probe\n"
                "  chord bench model.gguf -d 2048 -n 32 --vs llama.cpp/build/bin/llama-bench\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .defaults = defaults,
    .run = run,
};

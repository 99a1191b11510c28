/* One hash: logits and tokens are bit-identical over budgets, thread counts, instruction sets, prompt
 * chunking, policies and modes. */
#include "check.h"
#include "chord.h"
#include "models.h"

#include <string.h>

typedef struct run {
    const char *what;
    uint64_t budget_bytes;
    uint32_t threads, chunk;
    const char *cpu;
    chord_policy policy;
    chord_mode mode;
    bool no_repack;
} run;

static const char PROMPT[] =
    "Water boils at 100 degrees Celsius because the pressure of its vapour then equals that of the air. On a mountain";

/* 24 greedy tokens after PROMPT; the hash, or 0 when something failed. */
static uint64_t hash_of(const char *path, const run *r, uint64_t *peak_bytes)
{
    chord_error err = {0};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_source source = {.uri = path};
    chord_runtime_options options = {.budget_bytes = r->budget_bytes, .threads = r->threads, .cpu = r->cpu};
    chord_model_options model_options = {.context_tokens = 192,
                                         .chunk_tokens = r->chunk,
                                         .policy = r->policy,
                                         .mode = r->mode,
                                         .no_repack = r->no_repack};
    int32_t tokens[128];
    size_t n = 0;
    chord_generate_result result = {0};
    chord_generate_options generate = {.max_tokens = 24, .ignore_end = true};
    chord_stats stats = {0};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
    if (model != NULL) {
        CHECK_OK(chord_tokenize(model, PROMPT, strlen(PROMPT), CHORD_TOKENIZE_RAW, tokens, 128, &n, &err));
        CHECK_OK(chord_session_open(model, &session, &err));
        CHECK_OK(chord_session_sync(session, tokens, n, NULL, &err));
        CHECK_OK(chord_session_generate(session, &generate, NULL, NULL, &result, &err));
        chord_session_stats(session, &stats);
        CHECK(result.tokens == 24 && result.stop_reason == CHORD_STOP_LENGTH);
        CHECK(stats.peak_bytes <= stats.budget_bytes);
    }
    *peak_bytes = stats.peak_bytes;
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return result.logits_hash;
}

static uint64_t smallest_budget(const char *path)
{
    chord_error err = {0};
    chord_runtime *runtime = NULL;
    chord_source source = {.uri = path};
    chord_runtime_options options = {.budget_bytes = 2048ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = 192};
    chord_plan plan = {0};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_plan(runtime, &source, &model_options, &plan, &err));
    chord_runtime_close(runtime);
    CHECK(plan.budget_bytes_min > 0);
    return plan.budget_bytes_min;
}

static void compare(const char *name, const char *path, uint64_t model_bytes)
{
    const uint64_t all = 2 * model_bytes + (256ull << 20), smallest = smallest_budget(path);
    const run RUNS[] = {
        {"all, 2 threads", all, 2, 0, NULL, 0, 0, false},
        {"all, 1 thread", all, 1, 0, NULL, 0, 0, false},
        {"all, mapped without repacking", all, 2, 0, NULL, 0, 0, true},
        {"all, paged", all, 2, 0, NULL, 0, CHORD_MODE_PAGED, false},
        {"75 %", model_bytes / 4 * 3 + smallest / 2, 2, 0, NULL, 0, 0, false},
        {"50 %, 3 threads", model_bytes / 2 + smallest / 2, 3, 0, NULL, 0, 0, false},
        {"50 %, lru", model_bytes / 2 + smallest / 2, 2, 0, NULL, CHORD_POLICY_LRU, 0, false},
        {"25 %", model_bytes / 4 + smallest / 2, 1, 0, NULL, 0, 0, false},
        /* this process has grown since the plan was made */
        {"smallest", smallest + (1ull << 20), 2, 0, NULL, 0, 0, false},
        {"no cache", all, 2, 0, NULL, CHORD_POLICY_NONE, CHORD_MODE_PAGED, false},
        {"one token at a time", all, 2, 1, NULL, 0, 0, false},
        {"chunks of 7", all, 2, 7, NULL, 0, 0, false},
        {"avx2", all, 2, 0, "avx2", 0, 0, false},
        {"avx512", all, 2, 0, "avx512", 0, 0, false},
        {"neon", all, 2, 0, "neon", 0, 0, false},
        {"neon-dot", all, 2, 0, "neon-dot", 0, 0, false},
        {"ref", all, 2, 0, "ref", 0, 0, false},
    };
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof RUNS / sizeof RUNS[0]; i++) {
        chord_runtime_options probe = {.budget_bytes = all, .threads = 1, .cpu = RUNS[i].cpu};
        chord_runtime *runtime = NULL;
        chord_status status = chord_runtime_open(&probe, &runtime, NULL);
        chord_runtime_close(runtime);
        if (status == CHORD_UNSUPPORTED) {
            printf("%s: %s: this CPU cannot\n", name, RUNS[i].what);
            continue;
        }
        uint64_t peak, hash = hash_of(path, &RUNS[i], &peak);
        printf("%s: %-32s %016llx  budget %6.1f MiB, peak %6.1f MiB\n", name, RUNS[i].what, (unsigned long long)hash,
               (double)RUNS[i].budget_bytes / 1048576.0, (double)peak / 1048576.0);
        fflush(stdout);
        if (first == 0) first = hash;
        CHECK_SAY(hash == first && hash != 0, "%s: %s", name, RUNS[i].what);
    }
}

int main(void)
{
    chord_error err = {0};
    char path[1024];
    CHECK_OK(chord_guard_install(&err));
    if (!model_path("smollm2", path, sizeof path)) return SKIPPED;
    compare("smollm2", path, 98ull << 20);
    return check_done();
}

/* A read that fails in the middle of a pass leaves nothing half done: what is evaluated after it has the bits of a model that never failed.
 * Weights are of a format that is packed in memory, in budgets where some stay and others come and go. */
#include "check.h"
#include "chord.h"
#include "family_models.h"

#define TOKENS 24

static fm_model m;
static int32_t tokens[TOKENS];
static uint64_t reads, fail_first, fail_end; /* by number, from 1 on */
static uint64_t share_bytes;                 /* the smallest share of the budget that has worked; 0: all of it */
static float plain[TOKENS * FM_VOCABULARY], other[TOKENS * FM_VOCABULARY];

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    const gguf_builder *b = ud;
    uint64_t number = __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
    if (number >= fail_first && number < fail_end) return CHORD_IO;
    if (offset > b->len || len > b->len - offset) return CHORD_IO;
    memcpy(dst, b->bytes + offset, len);
    return CHORD_OK;
}

static bool keep_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    memcpy((float *)ud + position * vocabulary, logits, vocabulary * sizeof *logits);
    return true;
}

/* Twice where the first time fails. */
static chord_status evaluate(chord_session *session, float *rows, int *failures)
{
    chord_error err;
    chord_status status = CHORD_IO;
    for (int turn = 0; turn < 3 && status != CHORD_OK; turn++) {
        chord_session_reset(session);
        status = chord_session_logits(session, tokens, TOKENS, 0, keep_row, rows, &err);
        *failures += status != CHORD_OK;
    }
    return status;
}

static chord_runtime *open_runtime(void)
{
    chord_error err;
    chord_runtime *runtime = NULL;
    CHECK_OK(chord_runtime_open(&(chord_runtime_options){.budget_bytes = 1ull << 30, .threads = 2}, &runtime, &err));
    return runtime;
}

/* In the smallest share of the budget that works, in whole steps, found by trying: what the process has already counts, and a
 * sanitizer's memory. */
static chord_status open_model(chord_runtime *runtime, uint64_t step_bytes, chord_model **out, chord_error *err)
{
    chord_source source = {.read = read_bytes, .size_bytes = m.b.len, .ud = &m.b};
    chord_model_options options = {
        .context_tokens = 64, .chunk_tokens = 8, .no_prefetch = true, .share_bytes = share_bytes};
    chord_status status;
    while ((status = chord_model_open(runtime, &source, &options, out, err)) == CHORD_BUDGET && step_bytes != 0)
        options.share_bytes = share_bytes += step_bytes;
    return status;
}

/* From the reads of opening on, the two at `number` fail: a read is tried once more by itself. */
static int run(uint64_t step_bytes, uint64_t number, float *rows)
{
    chord_runtime *runtime = open_runtime();
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_error err;
    int failures = 0;
    fail_first = fail_end = 0;
    CHECK_OK(open_model(runtime, step_bytes, &model, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    fail_first = number != 0 ? __atomic_load_n(&reads, __ATOMIC_RELAXED) + number : 0;
    fail_end = fail_first + (number != 0 ? 2 : 0);
    CHECK(evaluate(session, rows, &failures) == CHORD_OK);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return failures;
}

static void check_family(const char *name)
{
    fm_family family = {0};
    for (size_t f = 0; f < FM_COUNT; f++)
        if (strcmp(FM_FAMILIES[f].name, name) == 0) family = FM_FAMILIES[f];
    family.has |= FM_Q8;
    fm_build(&m, &family);
    int failures = 0;
    share_bytes = 0;
    CHECK(run(0, 0, plain) == 0);
    for (uint64_t more = 0; more < 3; more++) {
        uint64_t step_bytes = share_bytes = (2 * more + 1) << 17;
        for (uint64_t number = 1; number < 150; number += CHECK_EVERY(1, 2, 6) + number / 20) {
            memset(other, 0, sizeof other);
            failures += run(step_bytes, number, other);
            CHECK_SAY(memcmp(plain, other, sizeof plain) == 0, "%s, read %llu: other bits after a failure", name,
                      (unsigned long long)number);
        }
    }
    CHECK_SAY(failures > 20 / CHECK_EVERY(1, 2, 6), "%s: only %d reads failed", name, failures);
    gb_free(&m.b);
}

int main(void)
{
    for (int i = 0; i < TOKENS; i++) tokens[i] = 65 + i * 7 % 120;
    check_family("llama");
    check_family("qwen3moe");
    check_family("deepseek2");
    return check_done();
}

/* A text as one vector: the hidden states behind its logits, which the file's own output matrix shows; the mean of those of its
 * tokens, the first, the last; whatever the chunks and the budget; without a byte of the output matrix; as the file's key says. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#include <math.h>

#define COUNT 40u

static tiny_model m;
static chord_error err;
static int32_t tokens[COUNT];
static uint32_t pooling_type;

typedef struct opened {
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session;
} opened;

static opened open_session(uint64_t budget_bytes, uint32_t chunk_tokens)
{
    opened o = {0};
    const chord_runtime_options options = {.budget_bytes = budget_bytes, .threads = 2};
    const chord_model_options model_options = {.context_tokens = 64, .chunk_tokens = chunk_tokens};
    const chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    CHECK_OK(chord_runtime_open(&options, &o.runtime, &err));
    CHECK_OK(chord_model_open(o.runtime, &source, &model_options, &o.model, &err));
    CHECK_OK(chord_session_open(o.model, &o.session, &err));
    return o;
}

static void close_session(opened *o)
{
    chord_session_close(o->session);
    chord_model_close(o->model);
    chord_runtime_close(o->runtime);
}

/* ---- against the output matrix -------------------------------------------------------------------------- */

static bool keep_logits(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    (void)position;
    memcpy(ud, logits, vocabulary * sizeof *logits);
    return true;
}

/* The embedding matrix is the output's: Q8_0, of a scale and 32 numbers a block. */
static double dot_row(uint32_t row, const float *x)
{
    const uint8_t *block = m.b.bytes + m.data + m.tensors[0].offset + row * (TINY_EMBEDDING / 32) * 34;
    double sum = 0;
    for (uint32_t i = 0; i < TINY_EMBEDDING; i++) {
        const uint8_t *at = block + i / 32 * 34;
        CHECK(at[0] == 0x18 && at[1] == 0x14);
        sum += (double)(int8_t)at[2 + i % 32] * (double)x[i];
    }
    return sum * ldexp(1 + 0x018 / 1024.0, 5 - 15); /* the half 0x1418 */
}

static void test_logits(void)
{
    opened o = open_session(64 << 20, 0);
    float hidden[TINY_EMBEDDING], logits[TINY_VOCABULARY];
    CHECK_OK(chord_session_embed(o.session, tokens, COUNT, CHORD_POOLING_LAST, hidden, &err));
    chord_session_reset(o.session);
    CHECK_OK(chord_session_logits(o.session, tokens, COUNT, COUNT - 1, keep_logits, logits, &err));
    double most = 0;
    for (uint32_t i = 0; i < TINY_VOCABULARY; i++) most = fmax(most, fabs((double)logits[i]));
    for (uint32_t i = 0; i < TINY_VOCABULARY; i++) {
        double wanted = dot_row(i, hidden);
        CHECK_SAY(fabs(wanted - (double)logits[i]) <= 0.02 * most, "logit %u: %f is not %f", i, (double)logits[i],
                  wanted);
    }
    close_session(&o);
}

/* ---- folding ---------------------------------------------------------------------------------------------- */

static void check_same(const char *what, const float *a, const float *b, double tolerance)
{
    for (uint32_t i = 0; i < TINY_EMBEDDING; i++)
        CHECK_SAY(fabs((double)(a[i] - b[i])) <= tolerance, "%s, %u: %f is not %f", what, i, (double)a[i],
                  (double)b[i]);
}

static void test_folds(void)
{
    opened o = open_session(64 << 20, 0);
    float each[COUNT][TINY_EMBEDDING], mean[TINY_EMBEDDING], got[TINY_EMBEDDING];
    for (uint32_t n = 1; n <= COUNT; n++)
        CHECK_OK(chord_session_embed(o.session, tokens, n, CHORD_POOLING_LAST, each[n - 1], &err));
    for (uint32_t i = 0; i < TINY_EMBEDDING; i++) {
        double sum = 0;
        for (uint32_t n = 0; n < COUNT; n++) sum += (double)each[n][i];
        mean[i] = (float)(sum / COUNT);
    }
    CHECK_OK(chord_session_embed(o.session, tokens, COUNT, CHORD_POOLING_MEAN, got, &err));
    check_same("the mean", got, mean, 1e-5);
    CHECK_OK(chord_session_embed(o.session, tokens, COUNT, CHORD_POOLING_FIRST, got, &err));
    check_same("the first", got, each[0], 0);
    CHECK_OK(chord_session_embed(o.session, tokens, COUNT, CHORD_POOLING_MODEL, got, &err));
    check_same("as the file says", got, pooling_type == CHORD_POOLING_LAST ? each[COUNT - 1] : mean, 1e-5);
    chord_model_info info;
    chord_model_describe(o.model, &info);
    CHECK(info.pooling == (pooling_type == 0 ? CHORD_POOLING_MEAN : pooling_type));
    close_session(&o);
}

/* The same bits, and the pass ends before the output matrix. */
static void test_everywhere(void)
{
    float first[TINY_EMBEDDING], got[TINY_EMBEDDING];
    for (uint32_t chunk = 0; chunk <= 16; chunk += 8) {
        opened o = open_session(64 << 20, chunk);
        CHECK_OK(chord_session_embed(o.session, tokens, COUNT, CHORD_POOLING_MEAN, chunk == 0 ? first : got, &err));
        if (chunk != 0) CHECK(memcmp(first, got, sizeof first) == 0);
        chord_generate_result result;
        const chord_generate_options generate = {.max_tokens = 4, .ignore_end = true};
        CHECK_OK(chord_session_generate(o.session, &generate, NULL, NULL, &result, &err));
        CHECK(result.tokens == 4);
        close_session(&o);
    }
}

static void test_refusals(void)
{
    opened o = open_session(64 << 20, 0);
    float out[TINY_EMBEDDING];
    CHECK(chord_session_embed(o.session, tokens, 0, CHORD_POOLING_MEAN, out, &err) == CHORD_INVALID);
    CHECK(chord_session_embed(NULL, tokens, 1, CHORD_POOLING_MEAN, out, &err) == CHORD_INVALID);
    CHECK(chord_session_embed(o.session, tokens, 1, (chord_pooling)9, out, &err) == CHORD_INVALID);
    const int32_t foreign[] = {1, TINY_VOCABULARY};
    CHECK(chord_session_embed(o.session, foreign, 2, CHORD_POOLING_MEAN, out, &err) == CHORD_INVALID);
    int32_t many[65] = {0};
    CHECK(chord_session_embed(o.session, many, 65, CHORD_POOLING_MEAN, out, &err) == CHORD_FULL);
    CHECK_OK(chord_session_embed(o.session, many, 64, CHORD_POOLING_MEAN, out, &err));
    close_session(&o);
}

static void add_pooling(gguf_builder *b) { gb_value_u32(b, "llama.pooling_type", pooling_type); }

int main(void)
{
    for (uint32_t i = 0; i < COUNT; i++) tokens[i] = (int32_t)(i * 37 % 256);
    tiny_build(&m);
    test_logits();
    test_folds();
    test_everywhere();
    test_refusals();
    gb_free(&m.b);
    pooling_type = CHORD_POOLING_LAST;
    tiny_build_more(&m, add_pooling, NULL);
    test_folds();
    gb_free(&m.b);
    pooling_type = 4; /* a rank, by tensors that no generating model has */
    tiny_build_more(&m, add_pooling, NULL);
    const chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    const chord_runtime_options options = {.budget_bytes = 64 << 20};
    chord_runtime *runtime;
    chord_model *model;
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK(chord_model_open(runtime, &source, NULL, &model, &err) == CHORD_CORRUPT);
    chord_runtime_close(runtime);
    gb_free(&m.b);
    return check_done();
}

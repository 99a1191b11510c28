/* Guessing ahead changes the time, never the text: tokens, log probabilities and hashes are those without, whoever guesses,
 * however well, and wherever it stops. */
#include "api/api_inner.h"

#include "check.h"
#include "tiny_model.h"

#include <unistd.h>

#define MADE 60
#define CONTEXT 128

static chord_error err;
static chord_runtime *runtime;
static uint32_t warnings;

typedef struct source_state {
    tiny_model m;
    bool broken;
} source_state;

static source_state target, other;

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    const source_state *s = ud;
    if (s->broken || offset > s->m.b.len || len > s->m.b.len - offset) return CHORD_IO;
    memcpy(dst, s->m.b.bytes + offset, len);
    return CHORD_OK;
}

static void note_warning(void *ud, chord_log_level level, const char *line)
{
    (void)ud, (void)line;
    warnings += level == CHORD_LOG_WARN;
}

static chord_model *open_model(source_state *from, const chord_model_options *more)
{
    chord_model *model = NULL;
    chord_source source = {.read = read_bytes, .size_bytes = from->m.b.len, .ud = from};
    chord_model_options options = *more;
    options.context_tokens = CONTEXT;
    options.policy = CHORD_POLICY_NONE; /* each pass reads */
    options.no_vocabulary = options.drafts;
    CHECK_OK(chord_model_open(runtime, &source, &options, &model, &err));
    return model;
}

typedef struct made {
    int32_t tokens[MADE];
    float logprobs[MADE];
    uint32_t count, leave_at; /* 0: not before the end */
    chord_generate_result result;
    chord_stats stats;
} made;

static bool take(void *ud, const chord_piece *piece)
{
    made *m = ud;
    if (piece->token < 0) return true;
    m->tokens[m->count] = piece->token;
    m->logprobs[m->count++] = piece->logprob;
    return m->count != m->leave_at;
}

/* Rows cost nothing and a pass of the draft model little: all that can be guessed is. */
static void guess_always(chord_session *s)
{
    chord_draft_gate *gate = &s->drafts.gate;
    gate->fixed = true;
    for (uint32_t i = 0; i < CHORD_DRAFT_ROW_CLASSES; i++) gate->pass_ns[i] = 1e6;
    gate->draft_ns = 1e3;
}

static void generate(chord_session *s, chord_generate_options options, made *out)
{
    CHECK_OK(chord_session_generate(s, &options, take, out, &out->result, &err));
    chord_session_stats(s, &out->stats);
}

static void check_same(const made *a, const made *b)
{
    CHECK(a->count == b->count && a->result.logits_hash == b->result.logits_hash);
    CHECK(a->result.stop_reason == b->result.stop_reason && a->result.tokens == b->result.tokens);
    CHECK(memcmp(a->tokens, b->tokens, a->count * sizeof *a->tokens) == 0);
    CHECK(memcmp(a->logprobs, b->logprobs, a->count * sizeof *a->logprobs) == 0);
}

/* An answer in three parts: one that the caller leaves, one from where it was left, and one after a changed past. */
static void answer(chord_model *model, const chord_generate_options *options, made out[3])
{
    static const int32_t PROMPT[] = {72, 101, 108, 72, 101, 108, 72}, AGAIN[] = {72, 101, 108, 9};
    chord_session *s;
    chord_generate_options how = *options;
    memset(out, 0, 3 * sizeof *out);
    CHECK_OK(chord_session_open(model, &s, &err));
    guess_always(s);
    CHECK_OK(chord_session_sync(s, PROMPT, CHORD_COUNT(PROMPT), NULL, &err));
    out[0].leave_at = 17;
    generate(s, how, &out[0]);
    how.max_tokens = 11;
    generate(s, how, &out[1]);
    CHECK_OK(chord_session_sync(s, AGAIN, CHORD_COUNT(AGAIN), NULL, &err));
    how.max_tokens = MADE;
    generate(s, how, &out[2]);
    chord_session_close(s);
}

static const chord_sampling SAMPLINGS[] = {
    {.temperature = 0},
    {.temperature = 0.7f, .seed = 3, .top_p = 0.9f},
    {.temperature = 4, .seed = 8},
    {.temperature = 0.3f, .seed = 5, .repeat_penalty = 1.3f, .frequency_penalty = 0.2f},
};

static uint64_t drafted, accepted, saved_passes;

static void check_answers(chord_model *plain, chord_model *model)
{
    static const uint32_t MOST[] = {1, 4, 16, 32};
    made expected[3], got[3];
    for (size_t i = 0; i < CHORD_COUNT(SAMPLINGS); i++) {
        chord_generate_options options = {.sampling = SAMPLINGS[i], .ignore_end = true, .want_logprobs = true};
        answer(plain, &options, expected);
        for (size_t k = 0; k < CHORD_COUNT(MOST); k++) {
            options.draft_tokens = MOST[k];
            answer(model, &options, got);
            for (int part = 0; part < 3; part++) check_same(&got[part], &expected[part]);
            CHECK(got[2].stats.output_tokens == expected[2].stats.output_tokens);
            CHECK(got[2].stats.accepted_tokens <= got[2].stats.drafted_tokens);
            drafted += got[2].stats.drafted_tokens;
            accepted += got[2].stats.accepted_tokens;
            CHECK(got[2].stats.passes <= expected[2].stats.passes);
            saved_passes += expected[2].stats.passes - got[2].stats.passes;
        }
    }
}

/* from: what drafts; NULL: the text alone. */
static void check_drafts(source_state *from, uint64_t accepted_least)
{
    chord_model *plain = open_model(&target, &(chord_model_options){0}), *draft = NULL;
    if (from != NULL) draft = open_model(from, &(chord_model_options){.drafts = true});
    chord_model *model = open_model(&target, &(chord_model_options){.draft = draft});
    drafted = accepted = saved_passes = 0;
    check_answers(plain, model);
    printf("%llu drafted, %llu accepted, %llu passes saved\n", (unsigned long long)drafted,
           (unsigned long long)accepted, (unsigned long long)saved_passes);
    CHECK_SAY(accepted >= accepted_least && saved_passes > 0 && saved_passes <= accepted, "%llu accepted",
              (unsigned long long)accepted);
    chord_model_close(draft); /* lives as long as its model */
    chord_model_close(model);
    chord_model_close(plain);
}

/* A draft that cannot be read any more is no failure; it is said once. */
static void check_broken_draft(void)
{
    made expected[3], got[3];
    chord_generate_options options = {.ignore_end = true, .draft_tokens = 8};
    chord_model *plain = open_model(&target, &(chord_model_options){0});
    chord_model *draft = open_model(&other, &(chord_model_options){.drafts = true});
    chord_model *model = open_model(&target, &(chord_model_options){.draft = draft});
    answer(plain, &options, expected);
    other.broken = true;
    warnings = 0;
    answer(model, &options, got);
    for (int part = 0; part < 3; part++) check_same(&got[part], &expected[part]);
    CHECK_SAY(warnings == 1, "%u warnings", warnings);
    other.broken = false;
    chord_model_close(model);
    chord_model_close(draft);
    chord_model_close(plain);
}

/* A cancel ends the call; the next one goes on with the same text. */
static void check_cancel(void)
{
    static const int32_t PROMPT[] = {5, 6, 7, 5, 6};
    chord_model *draft = open_model(&target, &(chord_model_options){.drafts = true});
    chord_model *model = open_model(&target, &(chord_model_options){.draft = draft});
    chord_generate_options options = {.ignore_end = true, .max_tokens = 30};
    made expected = {0}, got = {0};
    chord_session *s;
    CHECK_OK(chord_session_open(model, &s, &err));
    guess_always(s);
    CHECK_OK(chord_session_sync(s, PROMPT, CHORD_COUNT(PROMPT), NULL, &err));
    generate(s, options, &expected);
    CHECK_OK(chord_session_sync(s, PROMPT, CHORD_COUNT(PROMPT), NULL, &err));
    options.draft_tokens = 16;
    options.max_tokens = 9;
    generate(s, options, &got);
    chord_session_cancel(s);
    CHECK(chord_session_generate(s, &options, take, &got, NULL, &err) == CHORD_CANCELLED && got.count == 9);
    options.max_tokens = 21;
    generate(s, options, &got);
    CHECK(got.count == 30 && memcmp(got.tokens, expected.tokens, sizeof expected.tokens[0] * 30) == 0);
    chord_session_close(s);
    chord_model_close(model);
    chord_model_close(draft);
}

static void check_refusals(void)
{
    chord_model *model = NULL, *no_draft = open_model(&target, &(chord_model_options){0});
    chord_source source = {.read = read_bytes, .size_bytes = target.m.b.len, .ud = &target};
    chord_model_options options = {.context_tokens = CONTEXT, .draft = no_draft};
    CHECK(chord_model_open(runtime, &source, &options, &model, &err) == CHORD_INVALID && model == NULL);
    CHECK_SAY(strstr(err.text, "without the option drafts") != NULL, "%s", err.text);
    chord_model_close(no_draft);

    static const char TOKENS[] = "tokenizer.ggml.tokens";
    source_state changed = {0};
    tiny_build(&changed.m);
    for (size_t at = 0; at + sizeof TOKENS < changed.m.b.len; at++)
        if (memcmp(changed.m.b.bytes + at, TOKENS, sizeof TOKENS - 1) == 0) {
            changed.m.b.bytes[at + sizeof TOKENS - 1 + 16 + 8] ^= 1; /* the first token's first byte */
            break;
        }
    chord_model *draft = open_model(&changed, &(chord_model_options){.drafts = true});
    options.draft = draft;
    CHECK(chord_model_open(runtime, &source, &options, &model, &err) == CHORD_UNSUPPORTED && model == NULL);
    CHECK_SAY(strstr(err.text, "another vocabulary: token 0") != NULL, "%s", err.text);
    chord_model_close(draft);
    gb_free(&changed.m.b);
}

static void add_output(tiny_model *model)
{
    tiny_add(model, "output.weight", TINY_Q8_0, TINY_EMBEDDING, TINY_VOCABULARY);
}

int main(void)
{
    alarm(CHECK_FOREVER_S);
    tiny_build(&target.m);
    tiny_build_more(&other.m, NULL, add_output);
    chord_runtime_options options = {.budget_bytes = 96ull << 20, .threads = 2, .log = note_warning};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    check_drafts(NULL, 1);
    check_drafts(&target, 700);
    check_drafts(&other, 1);
    check_broken_draft();
    check_cancel();
    check_refusals();
    chord_runtime_close(runtime);
    gb_free(&target.m.b);
    gb_free(&other.m.b);
    return check_done();
}

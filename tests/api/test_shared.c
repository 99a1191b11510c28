/* Sessions that have a prompt in common keep it once: a budget is enough that was not, every text is the one it was, and who
 * goes another way hears that there is no memory for it. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#include <unistd.h>

#define SESSIONS 12
#define MADE 20
#define PROMPT_MAX 450
#define BLOCK 64

static tiny_model tiny;
static chord_error err;
static chord_runtime *runtime;
static chord_model *model;

static const chord_source SOURCE = {.read = gb_read, .ud = &tiny.b};

static chord_model_options options_for(uint32_t prompt, uint32_t shared)
{
    return (chord_model_options){.context_tokens = prompt + MADE,
                                 .sessions_max = SESSIONS,
                                 .shared_tokens = shared,
                                 .chunk_tokens = 32,
                                 .mode = CHORD_MODE_PAGED};
}

static chord_plan plan_for(uint32_t prompt, uint32_t shared)
{
    chord_plan plan;
    chord_source source = SOURCE;
    chord_model_options options = options_for(prompt, shared);
    source.size_bytes = tiny.b.len;
    CHECK_OK(chord_model_plan(runtime, &source, &options, &plan, &err));
    return plan;
}

static void open_runtime(uint64_t budget_bytes)
{
    chord_runtime_options options = {.budget_bytes = budget_bytes, .threads = 2};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
}

static chord_status open_model(uint32_t prompt, uint32_t shared)
{
    chord_source source = SOURCE;
    chord_model_options options = options_for(prompt, shared);
    source.size_bytes = tiny.b.len;
    return chord_model_open(runtime, &source, &options, &model, &err);
}

static void close_model(void)
{
    chord_model_close(model);
    chord_runtime_close(runtime);
}

static void make_prompt(int32_t *tokens, int32_t which)
{
    for (int32_t t = 0; t < PROMPT_MAX; t++) tokens[t] = (t * 31 + which * 57 + t * t) % 256;
}

static chord_generate_options how(uint32_t i)
{
    return (chord_generate_options){.max_tokens = MADE - i % 6,
                                    .ignore_end = true,
                                    .draft_tokens = i % 2 * 8,
                                    .sampling = {.temperature = 1 + (float)(i % 4), .seed = i}};
}

/* Answers to one prompt, side by side. */
static void answer(uint32_t prompt, chord_session **sessions, chord_generate_result *out)
{
    int32_t tokens[PROMPT_MAX];
    chord_step steps[SESSIONS] = {{0}};
    make_prompt(tokens, 0);
    CHECK_OK(chord_session_sync(sessions[0], tokens, prompt, NULL, &err));
    for (uint32_t i = 0; i < SESSIONS; i++) {
        chord_generate_options options = how(i);
        if (i > 0) CHECK_OK(chord_session_copy(sessions[i], sessions[0], &err));
        CHECK_OK(chord_generate_start(sessions[i], &options, &err));
        steps[i].session = sessions[i];
    }
    for (bool more = true; more;) {
        more = false;
        if (chord_sessions_step(steps, SESSIONS, &err) != CHORD_OK) CHECK_SAY(false, "%s", err.text);
        for (uint32_t i = 0; i < SESSIONS; i++) {
            CHECK_SAY(steps[i].status == CHORD_OK, "session %u: %s", i, steps[i].error.text);
            more = more || !steps[i].over;
        }
    }
    for (uint32_t i = 0; i < SESSIONS; i++) chord_generate_result_get(sessions[i], &out[i]);
}

static void open_sessions(chord_session **sessions)
{
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK_OK(chord_session_open(model, &sessions[i], &err));
}

static void check_same(const chord_generate_result *a, const chord_generate_result *b)
{
    for (uint32_t i = 0; i < SESSIONS; i++)
        CHECK_SAY(a[i].logits_hash == b[i].logits_hash && a[i].tokens == b[i].tokens, "session %u", i);
}

/* Another prompt in one of them needs blocks that are not there; the others do not suffer, and what they give back is its. */
static void check_another_way(uint32_t prompt, chord_session **sessions, const chord_generate_result *wanted)
{
    int32_t tokens[PROMPT_MAX];
    chord_generate_result result, again[SESSIONS];
    chord_generate_options options = {.max_tokens = 1, .ignore_end = true};
    make_prompt(tokens, 1);
    CHECK(chord_session_sync(sessions[1], tokens, prompt, NULL, &err) == CHORD_FULL);
    CHECK_SAY(strstr(err.text, "positions in common") != NULL, "%s", err.text);
    CHECK_OK(chord_session_generate(sessions[2], &options, NULL, NULL, &result, &err));
    CHECK(result.tokens == 1);
    for (uint32_t i = 0; i < SESSIONS; i++) chord_session_reset(sessions[i]);
    CHECK_OK(chord_session_sync(sessions[1], tokens, prompt, NULL, &err));
    chord_session_reset(sessions[1]);
    answer(prompt, sessions, again);
    check_same(again, wanted);
}

static void check_prompt(uint32_t prompt)
{
    chord_session *sessions[SESSIONS];
    chord_generate_result plain[SESSIONS], shared[SESSIONS];
    open_runtime(256ull << 20);
    chord_plan one_each = plan_for(prompt, 0), common = plan_for(prompt, prompt);
    /* tables apart, memory goes as blocks do */
    uint64_t blocks = (prompt + MADE + BLOCK - 1) / BLOCK, whole = prompt / BLOCK;
    uint64_t block_bytes = TINY_LAYERS * 2ull * 32 * BLOCK * 2; /* keys and values of 32 columns, two bytes each */
    CHECK_SAY(one_each.kv_bytes - common.kv_bytes >= (SESSIONS - 1) * whole * block_bytes &&
                  common.kv_bytes >= (whole + SESSIONS * (blocks - whole)) * block_bytes,
              "%llu, in common %llu", (unsigned long long)one_each.kv_bytes, (unsigned long long)common.kv_bytes);
    CHECK_OK(open_model(prompt, 0));
    open_sessions(sessions);
    answer(prompt, sessions, plain);
    for (uint32_t i = 0; i < SESSIONS; i++) chord_session_close(sessions[i]);
    close_model();

    open_runtime(256ull << 20); /* what the process itself takes has grown */
    uint64_t budget_bytes = plan_for(prompt, prompt).budget_bytes_min + (1 << 19);
    chord_runtime_close(runtime);
    open_runtime(budget_bytes);
    if (prompt == PROMPT_MAX) CHECK(open_model(prompt, 0) == CHORD_BUDGET);
    CHECK_OK(open_model(prompt, prompt));
    if (model == NULL) return;
    open_sessions(sessions);
    answer(prompt, sessions, shared);
    check_same(shared, plain);
    if (prompt > BLOCK) check_another_way(prompt, sessions, plain);
    for (uint32_t i = 0; i < SESSIONS; i++) chord_session_close(sessions[i]);
    close_model();
}

int main(void)
{
    static const uint32_t PROMPTS[] = {1, 63, 64, 65, 256, PROMPT_MAX};
    alarm(CHECK_FOREVER_S);
    tiny_build(&tiny);
    for (size_t i = 0; i < sizeof PROMPTS / sizeof *PROMPTS; i++) check_prompt(PROMPTS[i]);
    gb_free(&tiny.b);
    return check_done();
}

/* A session of a model with recurrent layers, or with keys that are made of several tokens: what its own text tells is guessed ahead, a draft model
 * is refused, and of a prompt that is changed near its end most is kept. */
#include "api/api_inner.h"
#include "check.h"
#include "family_models.h"

#include <unistd.h>

#define PROMPT 140u
#define MADE 110u

static fm_model m;
static chord_error err;
static chord_runtime *runtime;
static int32_t tokens[PROMPT];

static const chord_source SOURCE = {.read = gb_read, .ud = &m.b};

static chord_status open_model(chord_model_options options, chord_model **model)
{
    chord_source source = SOURCE;
    source.size_bytes = m.b.len;
    options.policy = CHORD_POLICY_NONE; /* weights stream: guesses pay */
    options.mode = CHORD_MODE_PAGED;
    options.context_tokens = 256;
    options.share_bytes = 64 << 20;
    return chord_model_open(runtime, &source, &options, model, &err);
}

static chord_generate_result answer(chord_session *session, uint32_t draft_tokens)
{
    chord_generate_options options = {.max_tokens = MADE, .draft_tokens = draft_tokens, .ignore_end = true};
    chord_generate_result result = {0};
    CHECK_OK(chord_session_sync(session, tokens, PROMPT, NULL, &err));
    CHECK_OK(chord_session_generate(session, &options, NULL, NULL, &result, &err));
    return result;
}

/* More rows take no longer: guesses pay, however slow the arithmetic is. */
static void set_times(chord_session *s)
{
    s->drafts.gate.fixed = true;
    for (uint32_t i = 0; i < CHORD_DRAFT_ROW_CLASSES; i++) s->drafts.gate.pass_ns[i] = 1e6;
}

/* right: some of them are. */
static void check_guesses(chord_model *model, bool right)
{
    chord_session *session;
    chord_stats stats;
    CHECK_OK(chord_session_open(model, &session, &err));
    set_times(session);
    chord_generate_result plain = answer(session, 0), guessed = answer(session, 8);
    chord_session_stats(session, &stats);
    CHECK(plain.tokens == MADE && guessed.tokens == MADE && plain.logits_hash == guessed.logits_hash);
    CHECK_SAY(stats.drafted_tokens > stats.accepted_tokens && (stats.accepted_tokens > 0 || !right),
              "%llu of %llu guesses were right", (unsigned long long)stats.accepted_tokens,
              (unsigned long long)stats.drafted_tokens);
    chord_session_close(session);
}

static void check_reuse(chord_model *model)
{
    chord_session *session;
    size_t reused = 1;
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, tokens, PROMPT, &reused, &err));
    CHECK(reused == 0);
    chord_generate_result first = answer(session, 0);
    int32_t last = tokens[PROMPT - 3];
    tokens[PROMPT - 3] = last + 1;
    CHECK_OK(chord_session_sync(session, tokens, PROMPT, &reused, &err));
    CHECK_SAY(reused == PROMPT - 8, "%zu tokens were kept", reused);
    tokens[PROMPT - 3] = last;
    CHECK(answer(session, 0).logits_hash == first.logits_hash);
    CHECK_OK(chord_session_sync(session, tokens, 10, &reused, &err));
    CHECK(reused == 0);
    chord_session_close(session);
}

static void check_model(const char *name)
{
    const chord_runtime_options options = {.budget_bytes = 256 << 20, .threads = 2};
    chord_model *model, *draft, *none;
    size_t f = 0;
    while (strcmp(FM_FAMILIES[f].name, name) != 0) f++;
    fm_build(&m, &FM_FAMILIES[f]);
    for (uint32_t i = 0; i < PROMPT; i++) tokens[i] = (int32_t)(i % 5 * 13 + i % 3 + 40);
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(open_model((chord_model_options){0}, &model));
    check_guesses(model, true);
    check_reuse(model);
    CHECK_OK(open_model((chord_model_options){.chunk_tokens = 3}, &none)); /* a check takes more than one pass */
    check_guesses(none, false);
    chord_model_close(none);
    CHECK_OK(open_model((chord_model_options){.drafts = true}, &draft));
    CHECK(open_model((chord_model_options){.draft = draft}, &none) == CHORD_UNSUPPORTED);
    CHECK_SAY(strstr(err.text, "recurrent") != NULL, "%s", err.text);
    chord_model_close(draft);
    chord_model_close(model);
    chord_runtime_close(runtime);
    gb_free(&m.b);
}

int main(void)
{
    alarm(CHECK_FOREVER_S);
    check_model("qwen35");
    check_model("deepseek4");
    return check_done();
}

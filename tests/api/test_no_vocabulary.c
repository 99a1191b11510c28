/* A file that says that it has no vocabulary ("none"): ids in, ids out, with the hash that a vocabulary would not change; what
 * needs text is refused. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#define MADE 8

static tiny_model tiny;
static chord_error err;

static bool take(void *ud, const chord_piece *piece)
{
    int32_t *made = ud;
    if (piece->token >= 0) made[++made[0]] = piece->token;
    return true;
}

/* made: how many, then they. */
static uint64_t generate(bool has_vocabulary, int32_t made[MADE + 1])
{
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_source source = {.read = gb_read, .size_bytes = tiny.b.len, .ud = &tiny.b};
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 1};
    chord_model_options model_options = {.context_tokens = 64};
    chord_generate_options how = {.max_tokens = MADE, .ignore_end = true};
    chord_generate_result result = {0};
    int32_t prompt[] = {72, 101, 108}, ids[8];
    size_t need = 0;
    made[0] = 0;
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
    chord_status status = chord_tokenize(model, "ab", 2, CHORD_TOKENIZE_PLAIN, ids, 8, &need, &err);
    CHECK(status == (has_vocabulary ? CHORD_OK : CHORD_INVALID));
    CHECK(has_vocabulary || strstr(err.text, "its file has none") != NULL);
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, prompt, 3, NULL, &err));
    CHECK_OK(chord_session_generate(session, &how, take, made, &result, &err));
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return result.logits_hash;
}

int main(void)
{
    static const char KEY[] = "tokenizer.ggml.model";
    int32_t with[MADE + 1], without[MADE + 1];
    tiny_build(&tiny);
    uint64_t hash = generate(true, with);
    for (size_t at = 0; at + sizeof KEY < tiny.b.len; at++)
        if (memcmp(tiny.b.bytes + at, KEY, sizeof KEY - 1) == 0) {
            uint8_t *text = tiny.b.bytes + at + sizeof KEY - 1 + 4 + 8;
            CHECK(memcmp(text, "gpt2", 4) == 0);
            memcpy(text, "none", 4);
            break;
        }
    CHECK(generate(false, without) == hash && memcmp(with, without, sizeof with) == 0 && with[0] == MADE);
    gb_free(&tiny.b);
    return check_done();
}

/* A session that is saved and taken up by another one: under another budget, in other chunks, of another runtime it goes on as
 * if it had never stopped, and evaluates nothing again. Models with windows, latent attention, experts and recurrent layers.
 * Damaged, cut or foreign bytes are refused, and the session works on. */
#include "base/base.h"
#include "check.h"
#include "chord.h"
#include "family_models.h"

#include <stdlib.h>
#include <unistd.h>

#define PROMPT 70u /* more than a block of the cache */
#define FIRST 12u
#define SECOND 20u
#define CONTEXT 128u

static fm_model m;
static chord_error err;
static int32_t tokens[PROMPT];

typedef struct buffer {
    uint8_t *bytes;
    size_t len, at;
} buffer;

static chord_status write_bytes(void *ud, void *bytes, size_t len, chord_error *e)
{
    buffer *b = ud;
    (void)e;
    b->bytes = realloc(b->bytes, b->len + len);
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    return CHORD_OK;
}

static chord_status take_bytes(void *ud, void *bytes, size_t len, chord_error *e)
{
    buffer *b = ud;
    if (len > b->len - b->at) {
        if (e != NULL) *e = (chord_error){.status = CHORD_IO, .text = "the bytes end"};
        return CHORD_IO;
    }
    memcpy(bytes, b->bytes + b->at, len);
    b->at += len;
    return CHORD_OK;
}

typedef struct opened {
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session;
} opened;

static opened open_session(const fm_model *file, chord_model_options options)
{
    opened o = {0};
    const chord_runtime_options runtime_options = {.budget_bytes = 256 << 20, .threads = 2};
    chord_source source = {.read = gb_read, .size_bytes = file->b.len, .ud = (void *)&file->b};
    if (options.context_tokens == 0) options.context_tokens = CONTEXT;
    CHECK_OK(chord_runtime_open(&runtime_options, &o.runtime, &err));
    CHECK_OK(chord_model_open(o.runtime, &source, &options, &o.model, &err));
    CHECK_OK(chord_session_open(o.model, &o.session, &err));
    return o;
}

static void close_session(opened *o)
{
    chord_session_close(o->session);
    chord_model_close(o->model);
    chord_runtime_close(o->runtime);
}

/* From the session's past on. */
static uint64_t go_on(chord_session *session, uint32_t count)
{
    chord_generate_options options = {.max_tokens = count, .ignore_end = true};
    chord_generate_result result = {0};
    CHECK_OK(chord_session_generate(session, &options, NULL, NULL, &result, &err));
    CHECK(result.tokens == count);
    return result.logits_hash;
}

static void save(chord_session *session, buffer *b)
{
    uint64_t bytes = 0;
    *b = (buffer){0};
    CHECK_OK(chord_session_saved_bytes(session, &bytes, &err));
    CHECK_OK(chord_session_save(session, write_bytes, b, &err));
    CHECK_SAY(b->len == bytes, "%zu bytes were saved, %llu were told", b->len, (unsigned long long)bytes);
}

static chord_status load(chord_session *session, buffer *b)
{
    b->at = 0;
    return chord_session_load(session, take_bytes, b, &err);
}

/* A prompt, some tokens, then the rest: here, and in a session that took it up. */
static void check_family(const char *name)
{
    buffer b;
    chord_stats stats;
    opened here = open_session(&m, (chord_model_options){0});
    CHECK_OK(chord_session_sync(here.session, tokens, PROMPT, NULL, &err));
    (void)go_on(here.session, FIRST);
    save(here.session, &b);
    uint64_t wanted = go_on(here.session, SECOND);

    const chord_model_options others[] = {{.chunk_tokens = 7, .policy = CHORD_POLICY_NONE, .mode = CHORD_MODE_PAGED},
                                          {.context_tokens = 200, .sessions_max = 2}};
    for (size_t i = 0; i < CHORD_COUNT(others); i++) {
        opened there = open_session(&m, others[i]);
        CHECK_OK(chord_session_sync(there.session, tokens, 9, NULL, &err)); /* what it knew is forgotten */
        CHECK_OK(load(there.session, &b));
        CHECK(b.at == b.len);
        chord_session_stats_reset(there.session);
        uint64_t hash = go_on(there.session, SECOND);
        CHECK_SAY(hash == wanted, "%s: it goes on as %016llx, not %016llx", name, (unsigned long long)hash,
                  (unsigned long long)wanted);
        chord_session_stats(there.session, &stats);
        CHECK_SAY(stats.prompt_tokens == 0 && stats.passes <= SECOND,
                  "%s: %llu tokens were evaluated again, %llu passes", name, (unsigned long long)stats.prompt_tokens,
                  (unsigned long long)stats.passes);
        close_session(&there);
    }
    close_session(&here);
    free(b.bytes);
}

/* Whatever was done to the bytes: refused, and the session answers. */
static void check_refused(opened *o, buffer *b, const char *what, uint64_t wanted)
{
    chord_status status = load(o->session, b);
    CHECK_SAY(status != CHORD_OK && err.text[0] != '\0', "%s: it was taken", what);
    CHECK_OK(chord_session_sync(o->session, tokens, PROMPT, NULL, &err));
    uint64_t hash = go_on(o->session, 3);
    CHECK_SAY(hash == wanted, "%s: after that the session says something else", what);
}

static void check_damage(void)
{
    buffer b, cut;
    opened o = open_session(&m, (chord_model_options){0});
    CHECK_OK(chord_session_sync(o.session, tokens, PROMPT, NULL, &err));
    save(o.session, &b);
    uint64_t wanted = go_on(o.session, 3);
    for (size_t at = 0; at < b.len; at += at < 400 ? 1 : 4099) {
        char what[64];
        snprintf(what, sizeof what, "byte %zu of %zu", at, b.len);
        b.bytes[at] ^= 0x41;
        check_refused(&o, &b, what, wanted);
        b.bytes[at] ^= 0x41;
        cut = (buffer){.bytes = b.bytes, .len = at};
        check_refused(&o, &cut, what, wanted);
    }
    CHECK_OK(load(o.session, &b));
    CHECK(go_on(o.session, 3) == wanted);
    close_session(&o);

    opened shorter = open_session(&m, (chord_model_options){.context_tokens = PROMPT - 1});
    CHECK(load(shorter.session, &b) == CHORD_FULL);
    CHECK_SAY(strstr(err.text, "70 tokens, the context holds 69") != NULL, "%s", err.text);
    close_session(&shorter);
    opened other = open_session(&m, (chord_model_options){.kv_type = CHORD_KV_Q8_0});
    CHECK(load(other.session, &b) == CHORD_INVALID);
    CHECK_SAY(strstr(err.text, "KV cache") != NULL, "%s", err.text);
    close_session(&other);
    free(b.bytes);
}

/* What a window did not bring along is not there when the text is cut: it is evaluated again. */
static void check_cut(void)
{
    enum { LONG = 200, COMMON = 140, SHORT = 150 };
    int32_t text[LONG];
    buffer b;
    size_t reused;
    for (uint32_t i = 0; i < LONG; i++) text[i] = (int32_t)(i % 7 * 31 + i % 11);
    const chord_model_options options = {.context_tokens = 256, .chunk_tokens = 64};
    opened here = open_session(&m, options);
    CHECK_OK(chord_session_sync(here.session, text, LONG, NULL, &err));
    save(here.session, &b);
    close_session(&here);
    text[COMMON] = 1;
    opened alone = open_session(&m, options), there = open_session(&m, options);
    CHECK_OK(chord_session_sync(alone.session, text, SHORT, NULL, &err));
    uint64_t wanted = go_on(alone.session, 5);
    CHECK_OK(load(there.session, &b));
    CHECK_OK(chord_session_sync(there.session, text, SHORT, &reused, &err));
    CHECK_SAY(go_on(there.session, 5) == wanted, "%zu tokens were kept", reused);
    close_session(&alone);
    close_session(&there);
    free(b.bytes);
}

static void build(const char *name)
{
    size_t f = 0;
    while (strcmp(FM_FAMILIES[f].name, name) != 0) f++;
    fm_build(&m, &FM_FAMILIES[f]);
}

int main(void)
{
    static const char *const NAMES[] = {"llama", "gemma3",     "deepseek2", "qwen3moe", "qwen35",
                                        "lfm2",  "nemotron_h", "falcon-h1", "deepseek4"};
    alarm(CHECK_FOREVER_S);
    for (uint32_t i = 0; i < PROMPT; i++) tokens[i] = (int32_t)(i % 5 * 13 + i % 3 + 40);
    for (size_t i = 0; i < CHORD_COUNT(NAMES); i++) {
        build(NAMES[i]);
        check_family(NAMES[i]);
        if (i == 0) check_damage();
        check_cut();
        gb_free(&m.b);
    }
    return check_done();
}

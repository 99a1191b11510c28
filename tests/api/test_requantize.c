/* Weights that are quantised when they are read give the bits of a file that was quantised before: each architecture, in memory
 * and streamed, with any number of threads; what is counted, what stays as it is, and what is refused. */
#include "base/base.h"
#include "check.h"
#include "chord.h"
#include "family_models.h"

#include <unistd.h>

#define TOKENS 40
#define FILE_BYTES_MAX (4u << 20)
#define KEPT_MAX 64

static chord_error err;

typedef struct bytes {
    uint8_t *at;
    size_t len;
} bytes;

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    const bytes *b = ud;
    if (offset > b->len || len > b->len - offset) return CHORD_IO;
    memcpy(dst, b->at + offset, len);
    return CHORD_OK;
}

static chord_status put(void *ud, uint32_t part, uint32_t parts, uint64_t offset, const void *from, size_t len,
                        chord_error *error)
{
    bytes *b = ud;
    (void)part, (void)parts, (void)error;
    if (offset + len > FILE_BYTES_MAX) return CHORD_IO;
    memcpy(b->at + offset, from, len);
    if (offset + len > b->len) b->len = offset + len;
    return CHORD_OK;
}

static chord_source source_of(bytes *b) { return (chord_source){.read = read_bytes, .size_bytes = b->len, .ud = b}; }

static chord_runtime *open_runtime(uint32_t threads)
{
    chord_runtime_options options = {.budget_bytes = 1ull << 30, .threads = threads};
    chord_runtime *runtime = NULL;
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    return runtime;
}

/* ---- the file that is quantised before ---------------------------------------------------------------------------- */

typedef struct kept {
    chord_tensor_type types[KEPT_MAX];
    char names[KEPT_MAX][80];
    size_t count;
} kept;

static void quantize(bytes *from, const char *type, const kept *except, bytes *to)
{
    chord_runtime *runtime = open_runtime(2);
    chord_source source = source_of(from);
    chord_pack_target target = {.write = put, .ud = to};
    chord_quantize_options options = {
        .pure = true, .token_embedding_type = "F32", .tensor_types = except->types, .tensor_type_count = except->count};
    to->len = 0;
    CHECK_OK(chord_quantize(runtime, &source, type, &options, &target, &err));
    chord_runtime_close(runtime);
}

/* Rows that are no whole blocks become F16 there, and stay F32 here. */
static void find_fallbacks(bytes *made, kept *out)
{
    chord_runtime *runtime = open_runtime(1);
    chord_source source = source_of(made);
    chord_file *file = NULL;
    chord_file_tensor t;
    *out = (kept){0};
    CHECK_OK(chord_file_open(runtime, &source, &file, &err));
    for (uint64_t i = 0; chord_file_tensor_at(file, i, &t) && out->count < KEPT_MAX; i++) {
        if (strcmp(t.type, "F16") != 0) continue;
        snprintf(out->names[out->count], sizeof out->names[0], "%s", t.name);
        out->types[out->count] = (chord_tensor_type){.name = out->names[out->count], .type = "F32"};
        out->count++;
    }
    CHECK(out->count < KEPT_MAX);
    chord_file_close(file);
    chord_runtime_close(runtime);
}

/* ---- what models say ------------------------------------------------------------------------------------------------ */

typedef struct said {
    chord_status status;
    char error[sizeof err.text];
    float rows[TOKENS * FM_VOCABULARY];
    size_t count;
    chord_plan plan;
    chord_stats stats;
} said;

static bool keep_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    said *s = ud;
    (void)position;
    memcpy(s->rows + s->count++ * vocabulary, logits, vocabulary * sizeof *logits);
    return true;
}

typedef struct way {
    uint32_t threads, chunk;
    bool least; /* the smallest share that works: weights stream */
    const char *requantize;
} way;

static void compute(chord_model *model, said *out)
{
    int32_t tokens[TOKENS];
    chord_session *session = NULL;
    chord_model_info info;
    for (int32_t i = 0; i < TOKENS; i++) tokens[i] = (i * 37 + 11) % FM_VOCABULARY;
    out->status = chord_session_open(model, &session, &err);
    if (out->status != CHORD_OK) return;
    out->status = chord_session_logits(session, tokens, TOKENS, 0, keep_row, out, &err);
    chord_model_describe(model, &info);
    chord_session_stats(session, &out->stats);
    out->plan = info.plan;
    chord_session_close(session);
}

static void ask(bytes *file, const way *w, said *out)
{
    chord_runtime *runtime = open_runtime(w->threads);
    chord_source source = source_of(file);
    chord_model *model = NULL;
    chord_model_options options = {
        .context_tokens = TOKENS, .chunk_tokens = w->chunk, .requantize = w->requantize, .no_vocabulary = true};
    out->count = 0;
    if (w->least) options.share_bytes = 512 << 10;
    do out->status = chord_model_open(runtime, &source, &options, &model, &err);
    while (w->least && out->status == CHORD_BUDGET && (options.share_bytes += 128 << 10) < 64u << 20);
    snprintf(out->error, sizeof out->error, "%s", out->status != CHORD_OK ? err.text : "");
    if (out->status == CHORD_OK) compute(model, out);
    chord_model_close(model);
    chord_runtime_close(runtime);
}

static said wanted, got;
static uint32_t streamed, answered;

static void check_family(const fm_family *family, const char *type, bytes *file, bytes *made)
{
    const way WAYS[] = {{.threads = 2, .requantize = type},
                        {.threads = 1, .chunk = 7, .least = true, .requantize = type},
                        {.threads = 3, .chunk = 16, .least = true, .requantize = type}};
    kept none = {0}, fallbacks;
    quantize(file, type, &none, made);
    find_fallbacks(made, &fallbacks);
    if (fallbacks.count > 0) quantize(file, type, &fallbacks, made);
    ask(made, &(way){.threads = 2}, &wanted);
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
        ask(file, &WAYS[i], &got);
        CHECK_SAY(got.status == wanted.status && strcmp(got.error, wanted.error) == 0, "%s %s, way %zu: '%s', not '%s'",
                  family->name, type, i, got.error, wanted.error);
        CHECK_SAY(got.count == wanted.count &&
                      memcmp(got.rows, wanted.rows, sizeof *got.rows * got.count * FM_VOCABULARY) == 0,
                  "%s %s, way %zu", family->name, type, i);
        if (got.status != CHORD_OK) continue;
        answered++;
        streamed += got.plan.streamed_bytes_per_pass > 0;
        CHECK(got.plan.requantized_bytes > 0 && got.plan.requantized_file_bytes > 3 * got.plan.requantized_bytes);
        CHECK(got.plan.read_bytes_per_pass <= wanted.plan.read_bytes_per_pass + 1);
    }
}

/* ---- what is counted, and what is refused ---------------------------------------------------------------------------- */

static const fm_family *family_named(const char *name)
{
    for (size_t i = 0; i < sizeof FM_FAMILIES / sizeof *FM_FAMILIES; i++)
        if (strcmp(FM_FAMILIES[i].name, name) == 0) return &FM_FAMILIES[i];
    CHECK(false);
    return NULL;
}

static chord_status try_open(bytes *file, const chord_model_options *options)
{
    chord_runtime *runtime = open_runtime(1);
    chord_source source = source_of(file);
    chord_model *model = NULL;
    chord_status status = chord_model_open(runtime, &source, options, &model, &err);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return status;
}

/* A pass that keeps nothing reads all of the file's matrices but the table of tokens, of which it reads rows. */
static void check_counters(bytes *file)
{
    const way W = {.threads = 1, .chunk = TOKENS, .requantize = "Q4_0", .least = true};
    ask(file, &W, &got);
    const chord_plan *p = &got.plan;
    CHECK(p->requantized_file_bytes == p->requantized_bytes / 18 * 128);
    CHECK(p->streamed_bytes_per_pass > 0 && p->streamed_bytes_per_pass <= p->requantized_file_bytes);
    CHECK_SAY(got.stats.bytes_read >= p->requantized_file_bytes, "%llu read, the matrices have %llu in the file",
              (unsigned long long)got.stats.bytes_read, (unsigned long long)p->requantized_file_bytes);
}

static chord_status count_past(void *ud, void *from, size_t len, chord_error *error)
{
    (void)error, (void)from;
    *(uint64_t *)ud += len;
    return CHORD_OK;
}

/* Whoever asks for bytes of a tensor may ask for parts of rows: what a saved past knows its model by does. */
static void check_past(bytes *file)
{
    static const int32_t TOKEN[] = {5};
    chord_runtime *runtime = open_runtime(1);
    chord_source source = source_of(file);
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_model_options options = {.context_tokens = TOKENS, .requantize = "Q8_0", .no_vocabulary = true};
    uint64_t past_bytes = 0;
    CHECK_OK(chord_model_open(runtime, &source, &options, &model, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, TOKEN, 1, NULL, &err));
    CHECK_OK(chord_session_save(session, count_past, &past_bytes, &err));
    CHECK(past_bytes > 0);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
}

static void check_refusals(bytes *file)
{
    chord_model_options options = {.requantize = "Q4", .no_vocabulary = true};
    CHECK(try_open(file, &options) == CHORD_INVALID && strstr(err.text, "'Q4'") != NULL);
    options.requantize = "Q8_0";
    options.mode = CHORD_MODE_MAPPED;
    CHECK(try_open(file, &options) == CHORD_INVALID && strstr(err.text, "cannot be mapped") != NULL);
}

/* A value that no format holds: the sentence names its tensor and row. */
static void check_bad_value(fm_model *model, bytes *file)
{
    const way W = {.threads = 2, .requantize = "Q4_0"};
    static const char NAME[] = "blk.0.ffn_up.weight";
    chord_runtime *runtime = open_runtime(1);
    chord_source source = source_of(file);
    chord_file *opened = NULL;
    chord_file_tensor t = {0};
    CHECK_OK(chord_file_open(runtime, &source, &opened, &err));
    for (uint64_t i = 0; chord_file_tensor_at(opened, i, &t) && strcmp(t.name, NAME) != 0; i++) {}
    CHECK(strcmp(t.name, NAME) == 0);
    memcpy(model->b.bytes + t.offset + 4 * t.dims[0] * 3, &(float){1e38f}, 4);
    chord_file_close(opened);
    chord_runtime_close(runtime);
    ask(file, &W, &got);
    CHECK_SAY(got.status == CHORD_CORRUPT && strstr(err.text, NAME) != NULL && strstr(err.text, "row 3 ") != NULL, "%s",
              err.text);
}

#ifdef CHORD_FAULTS
/* Every allocation and read in turn fails once: what opens is closed again, and what is computed is right. */
static void check_faults(bytes *file)
{
    uint32_t failed = 0, walked = 0;
    ask(file, &(way){.threads = 1, .requantize = "Q8_0"}, &wanted);
    for (bool fired = true; fired; walked++) {
        chord_runtime *runtime = open_runtime(1);
        chord_source source = source_of(file);
        chord_model *model = NULL;
        chord_model_options options = {
            .context_tokens = TOKENS, .requantize = "Q8_0", .no_vocabulary = true, .mode = CHORD_MODE_PAGED};
        chord_fault_arm(walked + 1);
        got.count = 0;
        got.status = chord_model_open(runtime, &source, &options, &model, &err);
        if (got.status == CHORD_OK) compute(model, &got);
        fired = chord_fault_fired();
        chord_fault_arm(0);
        chord_model_close(model);
        chord_runtime_close(runtime);
        if (got.status == CHORD_OK) CHECK(memcmp(got.rows, wanted.rows, sizeof got.rows) == 0);
        else failed++;
    }
    printf("%u faults, %u failures\n", walked, failed);
    CHECK(walked > 20 && failed > 20);
}
#endif

static void check_one(void)
{
    static fm_model m;
    fm_build(&m, family_named("llama"));
    bytes file = {.at = m.b.bytes, .len = m.b.len};
    check_counters(&file);
    check_refusals(&file);
    check_past(&file);
#ifdef CHORD_FAULTS
    check_faults(&file);
#endif
    check_bad_value(&m, &file);
    gb_free(&m.b);
}

int main(void)
{
    static uint8_t memory[FILE_BYTES_MAX];
    static fm_model m;
    alarm(CHECK_FOREVER_S);
    for (size_t i = 0; i < FM_COUNT; i += CHECK_EVERY(1, 3, 7)) {
        bytes made = {.at = memory};
        fm_build(&m, &FM_FAMILIES[i]);
        bytes file = {.at = m.b.bytes, .len = m.b.len};
        check_family(&FM_FAMILIES[i], i % 2 == 0 ? "Q8_0" : "q4_0", &file, &made);
        gb_free(&m.b);
    }
    check_one();
    printf("%u answers, %u of them streamed\n", answered, streamed);
    CHECK(answered > 100 / CHECK_EVERY(1, 3, 7) && streamed > 30 / CHECK_EVERY(1, 3, 7));
    return check_done();
}

/* Every import of chord_host_v1 with values that a hostile guest would give: the documented code, or a clean trap, and
 * nobody else notices. */
#include "host_fixture.h"
#include "quant/quant.h"

#define PAGE 65536ull

static chord_host *host;
static const char *model;
static uint64_t model_bytes;
static witness other;

static char logged[8192];
static size_t logged_len;
static int log_lines, emitted;
static bool emit_more = true;
static void on_log(void *ud, chord_log_level level, const char *line)
{
    (void)ud, (void)level;
    log_lines++;
    logged_len = (size_t)snprintf(logged, sizeof logged, "%s", line);
}
static bool on_emit(void *ud, const char *from, size_t len)
{
    (void)ud;
    volatile char sum = 0;
    for (size_t i = 0; i < len; i++) sum = (char)(sum + from[i]);
    emitted++;
    return emit_more;
}
static void on_progress(void *ud, const chord_host_progress *p)
{
    (void)ud;
    CHECK(p->phase <= 2);
}

static chord_guest *open_with(chord_guest_options o, memory_kind kind, const char *extra)
{
    module_plan plan = {.memory = kind, .pages = 64, .pages_max = 256, .extra = extra};
    o.module = put_module("calls.wasm", &plan);
    o.model = o.model == NULL ? model : o.model[0] == '\0' ? NULL : o.model;
    o.on_log = on_log, o.on_emit = on_emit, o.on_progress = on_progress;
    return guest_open(host, o);
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

/* A range of `bytes` that is wrong: beyond the end, on both sides of it, or wrapping. */
typedef struct range {
    uint64_t at, len;
} range;
static const range *bad_ranges(bool wide, uint64_t end)
{
    static range r[12];
    uint64_t top = wide ? UINT64_MAX : UINT32_MAX;
    const range list[] = {{end, 1},     {end - 1, 2}, {end + 1, 1}, {0, end + 1},
                          {top, 1},     {top, top},   {1, top},     {end / 2, top - end / 2 + 1},
                          {top - 7, 8}, {4, top - 3}, {0, top},     {0, 0}};
    memcpy(r, list, sizeof r);
    return r;
}

static void check_ranges(chord_guest *g, bool wide)
{
    uint64_t end = 64 * PAGE, top = wide ? UINT64_MAX : UINT32_MAX;
    for (const range *r = bad_ranges(wide, end); r->at + r->len != 0 || r->len != 0; r++) {
        if (r->len > 1) CHECK_ASK(g, CHORD_HOST_RANGE, "emit", r->at, r->len);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_open", r->at, r->len);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_read", 0, 0, r->at, r->len);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_fetch", 0, 0, 1, r->at, r->len);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, 0, 1, r->at, r->len);
        if (r->at + r->len > end || r->at > top - r->len) CHECK_ASK(g, CHORD_HOST_RANGE, "file_unmap", r->at, r->len);
        (void)ASK(g, "log", 0, r->at, r->len);
        (void)ASK(g, "error_text", r->at, r->len);
        CHECK(witness_lives(&other));
    }
    const uint64_t structs[] = {end, end - 1, end - 8, end - 39, end + 4096, top, top - 7, top - 200};
    for (size_t i = 0; i < CHORD_COUNT(structs); i++) {
        (void)ASK(g, "progress", structs[i]);
        CHECK_ASK(g, CHORD_HOST_RANGE, "tensor_at", 0, 0, structs[i]);
        CHECK_ASK(g, CHORD_HOST_RANGE, "rows", structs[i]);
    }
    const uint64_t words[] = {end, end - 1, end - 2, end - 3, 1, 2, 3, top, top - 3};
    for (size_t i = 0; i < CHORD_COUNT(words); i++) {
        CHECK_ASK(g, CHORD_HOST_RANGE, "wait", words[i], 0, 0);
        CHECK_ASK(g, CHORD_HOST_RANGE, "wake", words[i], 1);
    }
    CHECK_ASK(g, CHORD_HOST_WAKE_CHANGED, "wait", end - 4, 7, UINT64_MAX);
    CHECK_ASK(g, CHORD_HOST_WAKE_TIMEOUT, "wait", end - 4, 0, 1000);
    CHECK_ASK(g, 0, "wake", end - 4, UINT32_MAX);
    CHECK_ASK(g, 0, "wake", end - 4, 0);
}

/* Values at the edge that are right. */
static void check_edges(chord_guest *g)
{
    uint64_t end = 64 * PAGE;
    CHECK_ASK(g, CHORD_HOST_OK, "file_read", 0, model_bytes, end, 0);
    CHECK_ASK(g, CHORD_HOST_OK, "file_read", 0, model_bytes - 1, end - 1, 1);
    CHECK_ASK(g, CHORD_HOST_OK, "tensor_at", 0, 0, end - sizeof(chord_host_tensor));
    CHECK_ASK(g, 0, "emit", end, 0);
    CHECK(ASK(g, "error_text", 0, 0) >= 0 && ASK(g, "error_text", end, 0) >= 0);
    uint8_t *bytes = chord_guest_bytes(g, 0, end);
    bytes[9] = 77;
    CHECK(ASK(g, "error_text", 8, 1) >= 0);
    CHECK(bytes[8] == 0 && bytes[9] == 77);
    CHECK(chord_guest_bytes(g, end, 0) != NULL && chord_guest_bytes(g, end, 1) == NULL &&
          chord_guest_bytes(g, UINT64_MAX, 2) == NULL);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static const uint32_t BAD_FILES[] = {1, 2, 63, 64, 255, 256, 1024, 0x7fffffff, 0x80000000u, UINT32_MAX};

static void check_handles(chord_guest *g)
{
    for (size_t i = 0; i < CHORD_COUNT(BAD_FILES); i++) {
        uint64_t f = BAD_FILES[i];
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_size", f);
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_align", f);
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_read", f, 0, 0, 1);
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_fetch", f, 0, 1, 0, 65536);
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_prefetch", f, 0, 1);
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", f, 0, 1, 0, 65536);
        CHECK_ASK(g, CHORD_HOST_INVALID, "tensor_count", f);
        CHECK_ASK(g, CHORD_HOST_INVALID, "tensor_at", f, 0, 0);
        CHECK(ASK(g, "bank_show", f, 0) < 0 && ASK(g, "bank_close", f) < 0 &&
              ASK(g, "thread_join", f) == CHORD_HOST_INVALID);
    }
    CHECK(ASK(g, "bank_close", 0) < 0 && ASK(g, "thread_join", 0) == CHORD_HOST_INVALID);
    int64_t tensors = ASK(g, "tensor_count", 0);
    CHECK(tensors == 20);
    CHECK_ASK(g, CHORD_HOST_INVALID, "tensor_at", 0, (uint64_t)tensors, 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "tensor_at", 0, UINT64_MAX, 0);
}

static int64_t open_name(chord_guest *g, const char *name, size_t len)
{
    memcpy(chord_guest_bytes(g, 4096, len), name, len);
    return ASK(g, "file_open", 4096, len);
}

/* Nothing beyond the model, no file beside it. */
static void check_files(chord_guest *g)
{
    char longest[5000];
    CHECK(ASK(g, "file_size", 0) == (int64_t)model_bytes);
    const uint64_t offsets[] = {model_bytes,         model_bytes - 1,     model_bytes + 1, UINT64_MAX,
                                (uint64_t)INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX - 1};
    for (size_t i = 0; i < CHORD_COUNT(offsets); i++) {
        memset(chord_guest_bytes(g, 0, 16), 0x5a, 16);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_read", 0, offsets[i], 0, 2);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_fetch", 0, offsets[i], 2, 0, 65536);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_prefetch", 0, offsets[i], 2);
        CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, offsets[i], 2, 0, 65536);
        CHECK(((uint8_t *)chord_guest_bytes(g, 0, 16))[0] == 0x5a);
    }
    CHECK_ASK(g, CHORD_HOST_RANGE, "file_prefetch", 0, 1, UINT64_MAX);
    CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, 1, UINT64_MAX, 0, 65536);
    CHECK_ASK(g, CHORD_HOST_RANGE, "file_map", 0, 0, 0, 0, 65536);
    put_file(in_folder("secret.gguf"), "secret", 6);
    CHECK(open_name(g, "", 0) == 0 && open_name(g, "\0/etc/passwd", 12) == 0);
    CHECK(open_name(g, in_folder("secret.gguf"), strlen(in_folder("secret.gguf"))) == CHORD_HOST_INVALID);
    CHECK(open_name(g, "secret.gguf", 11) == CHORD_HOST_INVALID && open_name(g, "../x", 4) == CHORD_HOST_INVALID);
    CHECK(open_name(g, "/etc/passwd", 11) == CHORD_HOST_INVALID && open_name(g, "/dev/zero", 9) == CHORD_HOST_INVALID);
    memset(longest, 'a', sizeof longest);
    CHECK(open_name(g, longest, 4095) == CHORD_HOST_INVALID && open_name(g, longest, 4096) == CHORD_HOST_RANGE);
    for (uint64_t slack = 0; slack < 8192; slack += 1000) /* a slot too small, or not aligned */
        CHECK_ASK(g, CHORD_HOST_INVALID, "file_fetch", 0, 0, 5000, 0, 5000 + slack);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_fetch", 0, 0, 1, 8, 65536);
    CHECK(ASK(g, "file_fetch", 0, model_bytes - 1, 1, 0, 65536) >= 0);
}

/* The draft model's files follow the model's, in a folder of their own. */
static void check_draft(void)
{
    char name[256], text[64];
    chord_guest *g = open_with((chord_guest_options){.draft = model}, OWN32, NULL);
    const char *slash = strrchr(model, '/'), *own = slash != NULL ? slash + 1 : model;
    snprintf(name, sizeof name, "draft/%s", own);
    CHECK(open_name(g, "", 0) == 0 && open_name(g, own, strlen(own)) == 0);
    CHECK(open_name(g, "draft/", 6) == 1 && open_name(g, name, strlen(name)) == 1);
    CHECK(open_name(g, "draft/x", 7) == CHORD_HOST_INVALID && open_name(g, "draft", 5) == CHORD_HOST_INVALID);
    CHECK(open_name(g, "draft/draft/", 12) == CHORD_HOST_INVALID);
    CHECK(ASK(g, "file_name", 1, 0, 64) == (int64_t)strlen(name));
    memcpy(text, chord_guest_bytes(g, 0, sizeof text), sizeof text);
    CHECK_SAY(strncmp(text, name, sizeof text - 1) == 0, "%s", text);
    CHECK(ASK(g, "file_name", 0, 0, 64) == (int64_t)strlen(own));
    CHECK(ASK(g, "file_size", 1) == (int64_t)model_bytes && ASK(g, "tensor_count", 1) == 20);
    CHECK_ASK(g, CHORD_HOST_OK, "tensor_at", 1, 0, 0);
    CHECK(((chord_host_tensor *)chord_guest_bytes(g, 0, sizeof(chord_host_tensor)))->file == 1);
    CHECK_ASK(g, CHORD_HOST_OK, "file_read", 1, 0, 0, 16);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_size", 2);
    chord_guest_close(g);
    g = open_with((chord_guest_options){0}, OWN32, NULL);
    CHECK(open_name(g, "draft/", 6) == CHORD_HOST_INVALID);
    chord_guest_close(g);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void check_words(chord_guest *g)
{
    uint8_t *bytes = chord_guest_bytes(g, 0, 64 * PAGE);
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    memcpy(bytes + 100, "\x1b[31m\xc2\x9b\x7f", 8);
    log_lines = 0;
    (void)ASK(g, "log", 0, 0, 256);
    (void)ASK(g, "log", 0x80000000u, 0, 64 * PAGE);
    CHECK(log_lines == 2 && logged_len <= 1024);
    (void)ASK(g, "log", 0, 1, 255);
    bool plain = true;
    for (size_t i = 0; i < logged_len; i++)
        if ((unsigned char)logged[i] < ' ' || logged[i] == 127) plain = false;
    CHECK(plain && strstr(logged, "\xc2\x9b") == NULL);
    emit_more = false, emitted = 0;
    CHECK_ASK(g, 1, "emit", 0, 64 * PAGE);
    emit_more = true;
    CHECK_ASK(g, 0, "emit", 0, 1);
    CHECK(emitted == 2);
    memset(bytes, 0xff, 64); /* a phase that is none */
    (void)ASK(g, "progress", 0);
    CHECK_ASK(g, CHORD_HOST_VERSION, "version");
    CHECK(ASK(g, "clock_ns") > 0 && ASK(g, "clock_unix_s") > 0 && ASK(g, "memory_limit") > 0);
    CHECK(ASK(g, "file_read", 9, 0, 0, 1) == CHORD_HOST_INVALID);
    int64_t len = ASK(g, "error_text", 0, 64);
    CHECK(len > 10 && strncmp((char *)bytes, "file 9 is not open", 18) == 0);
    CHECK(ASK(g, "error_text", 0, 5) == len && strcmp((char *)bytes, "file") == 0);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* 32 rows of Q8_0, two tokens: each in pages of its own. */
static const chord_host_rows ROWS_JOB = {.weights = PAGE,
                                         .acts = 2 * PAGE,
                                         .out = 3 * PAGE,
                                         .out_stride = 32,
                                         .type = CHORD_TYPE_Q8_0,
                                         .columns = 64,
                                         .rows = 32,
                                         .act_kind = CHORD_ACT_Q8_32,
                                         .tokens = 2,
                                         .tokens_max = 4};

static int64_t ask_rows(chord_guest *g, chord_host_rows job)
{
    memcpy(chord_guest_bytes(g, 0, sizeof job), &job, sizeof job);
    return ASK(g, "rows", 0);
}

static void check_rows_refusals(chord_guest *g)
{
    const chord_host_rows good = ROWS_JOB;
    CHECK(ask_rows(g, good) == CHORD_HOST_OK);
#define WITH(...)                                                \
    ask_rows(g, (chord_host_rows){.weights = good.weights,       \
                                  .acts = good.acts,             \
                                  .out = good.out,               \
                                  .out_stride = good.out_stride, \
                                  .type = good.type,             \
                                  .columns = good.columns,       \
                                  .rows = good.rows,             \
                                  .act_kind = good.act_kind,     \
                                  .tokens = good.tokens,         \
                                  .tokens_max = good.tokens_max, \
                                  __VA_ARGS__})
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
    for (uint32_t type = 0; type < 300; type++) {
        int64_t code = WITH(.type = type);
        CHECK(code == CHORD_HOST_OK || code == CHORD_HOST_INVALID);
        code = WITH(.type = type, .columns = 256, .rows = 16, .act_kind = type % 5);
        CHECK(code == CHORD_HOST_OK || code == CHORD_HOST_INVALID);
    }
    CHECK(WITH(.type = UINT32_MAX) == CHORD_HOST_INVALID && WITH(.act_kind = 3) == CHORD_HOST_INVALID &&
          WITH(.act_kind = UINT32_MAX) == CHORD_HOST_INVALID);
    CHECK(WITH(.columns = 0) == CHORD_HOST_INVALID && WITH(.columns = 33) == CHORD_HOST_INVALID &&
          WITH(.columns = UINT32_MAX & ~31u) == CHORD_HOST_INVALID);
    CHECK(WITH(.rows = 0) == CHORD_HOST_INVALID && WITH(.rows = UINT32_MAX) == CHORD_HOST_INVALID &&
          WITH(.tokens = 0) == CHORD_HOST_INVALID);
    CHECK(WITH(.tokens = 5) == CHORD_HOST_INVALID &&
          WITH(.tokens = UINT32_MAX, .tokens_max = UINT32_MAX) == CHORD_HOST_INVALID);
    CHECK(WITH(.columns = 1u << 24, .rows = 1u << 24) == CHORD_HOST_RANGE &&
          WITH(.tokens_max = 65536, .columns = 1u << 20) == CHORD_HOST_RANGE);
    const uint64_t far[] = {64 * PAGE,       64 * PAGE - 2, UINT32_MAX, UINT64_MAX,
                            UINT64_MAX - 63, 1ull << 63,    1ull << 32, (1ull << 32) + PAGE};
    for (size_t i = 0; i < CHORD_COUNT(far); i++) {
        CHECK(WITH(.weights = far[i]) == CHORD_HOST_RANGE);
        CHECK(WITH(.acts = far[i]) == CHORD_HOST_RANGE);
        CHECK(WITH(.out = far[i]) == CHORD_HOST_RANGE);
        CHECK(WITH(.out_stride = far[i]) == CHORD_HOST_RANGE);
        CHECK(WITH(.type = CHORD_TYPE_F32, .act_kind = CHORD_ACT_F32, .x = far[i]) == CHORD_HOST_RANGE);
    }
    CHECK(WITH(.weights = PAGE + 1) == CHORD_HOST_RANGE && WITH(.acts = 2 * PAGE + 32) == CHORD_HOST_RANGE &&
          WITH(.out = 3 * PAGE + 2) == CHORD_HOST_RANGE);
    CHECK(WITH(.out_stride = UINT64_MAX / 4 + 2) == CHORD_HOST_RANGE &&
          WITH(.out_stride = 1ull << 62) == CHORD_HOST_RANGE);
    /* over its own inputs */
    CHECK(WITH(.out_stride = 0) <= 0 && WITH(.out = PAGE) == CHORD_HOST_OK && WITH(.out = 2 * PAGE) == CHORD_HOST_OK);
#pragma GCC diagnostic pop
}

/* Weights, activations and results in turn end where the memory ends: a kernel that looks further
 * would fault in the host. */
static void check_rows_at_end(chord_guest *g)
{
    uint64_t end = 64 * PAGE;
    for (uint32_t type = 0; type < 40; type++) {
        const chord_format_ops *format = chord_type_get(type) != NULL ? chord_format_get((chord_type)type) : NULL;
        if (format == NULL) continue;
        const chord_type_info *info = chord_type_get(type);
        for (uint32_t rows = 1; rows <= 48; rows += rows < 4 ? 1 : 11)
            for (uint32_t tokens = 1; tokens <= 20; tokens += tokens < 3 ? 1 : 17)
                for (uint32_t packed = 0; packed < 2; packed++) {
                    uint32_t columns = info->block_elems == 1 ? 67 : info->block_elems * 3;
                    uint64_t weights = (uint64_t)columns / info->block_elems * info->block_bytes * rows,
                             x = (uint64_t)columns * tokens * 4;
                    uint64_t acts = format->act == CHORD_ACT_F32 ? 0 : chord_act_bytes(format->act, columns, tokens);
                    chord_host_rows job = {.weights = (end - weights) & ~1ull,
                                           .acts = PAGE,
                                           .x = PAGE,
                                           .out = 3 * PAGE,
                                           .out_stride = rows,
                                           .type = type,
                                           .columns = columns,
                                           .rows = rows,
                                           .packed = packed,
                                           .act_kind = (uint32_t)format->act,
                                           .tokens = tokens,
                                           .tokens_max = tokens};
                    CHECK(ask_rows(g, job) == CHORD_HOST_OK);
                    job.weights = PAGE, job.acts = (end - acts) & ~63ull, job.x = end - x;
                    CHECK(ask_rows(g, job) == CHORD_HOST_OK);
                    job.acts = job.x = 8 * PAGE, job.out = end - (uint64_t)rows * tokens * 4;
                    CHECK(ask_rows(g, job) == CHORD_HOST_OK);
                    job.out += 4;
                    CHECK(ask_rows(g, job) == CHORD_HOST_RANGE);
                }
    }
    CHECK(witness_lives(&other));
}

/* Rows whose weights lie in a bank: the same results; no byte beyond the bank, no bank that a window shows
 * or that is not open. */
static void check_rows_in_banks(void)
{
    chord_guest *g = open_with((chord_guest_options){0}, SHARED32, NULL);
    chord_host_rows job = ROWS_JOB;
    uint64_t bytes = 32 * 2 * 34;
    uint8_t *memory = chord_guest_bytes(g, 0, 16 * PAGE), want[32 * 2 * 4];
    for (uint64_t i = PAGE; i < 3 * PAGE; i++) memory[i] = (uint8_t)(i * 7 % 61);
    CHECK(ask_rows(g, job) == CHORD_HOST_OK);
    memcpy(want, memory + 3 * PAGE, sizeof want);
    CHECK_ASK(g, CHORD_HOST_ROWS_AND_BANKS, "rows_offered");
    CHECK_ASK(g, 0, "bank_open", PAGE);
    CHECK_ASK(g, 1, "bank_open", PAGE);
    CHECK_ASK(g, CHORD_HOST_OK, "bank_write", 1, PAGE - bytes, PAGE, bytes);
    memset(memory + PAGE, 0, PAGE);
    memset(memory + 3 * PAGE, 0, sizeof want);
    job.bank = 2, job.weights = PAGE - bytes;
    CHECK(ask_rows(g, job) == CHORD_HOST_OK && memcmp(memory + 3 * PAGE, want, sizeof want) == 0);
    const uint64_t beyond[] = {PAGE - bytes + 2, PAGE, UINT32_MAX - 1, UINT64_MAX - 1, 1ull << 32};
    for (size_t i = 0; i < CHORD_COUNT(beyond); i++) {
        job.weights = beyond[i];
        CHECK(ask_rows(g, job) == CHORD_HOST_RANGE);
    }
    job.weights = 1;
    CHECK(ask_rows(g, job) == CHORD_HOST_RANGE); /* odd */
    job.weights = 0;
    const uint32_t none[] = {3, UINT32_MAX, 1u << 31};
    for (size_t i = 0; i < CHORD_COUNT(none); i++) {
        job.bank = none[i];
        CHECK(ask_rows(g, job) == CHORD_HOST_RANGE);
    }
    job.bank = 1;
    CHECK_ASK(g, CHORD_HOST_OK, "bank_show", 0, 8 * PAGE);
    CHECK(ask_rows(g, job) == CHORD_HOST_RANGE);
    CHECK_ASK(g, CHORD_HOST_OK, "bank_close", 0);
    CHECK(ask_rows(g, job) == CHORD_HOST_RANGE);
    CHECK_ASK(g, CHORD_HOST_OK, "bank_show", 1, 8 * PAGE); /* nobody is at it any more */
    chord_guest_close(g);
    g = open_with((chord_guest_options){.no_banks = true}, SHARED32, NULL);
    CHECK_ASK(g, CHORD_HOST_ROWS, "rows_offered");
    chord_guest_close(g);
}

/* ---- before the memory is known, without a model, without offers ------------------------------------------------- */

/* The start function runs before the host has seen the module's memory. */
static void check_start(void)
{
    static const char EXTRA[] =
        "(global $sum (mut i32) (i32.const 0))"
        "(func $add (param i32) (global.set $sum (i32.add (global.get $sum) (local.get 0))))"
        "(func $start"
        " (call $add (call $file_read (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))"
        " (call $add (call $file_open (i32.const 0) (i32.const 0)))"
        " (call $add (call $emit (i32.const 0) (i32.const 1)))"
        " (call $log (i32.const 0) (i32.const 0) (i32.const 1)) (call $progress (i32.const 0))"
        " (drop (call $error_text (i32.const 0) (i32.const 64)))"
        " (call $add (i32.wrap_i64 (call $file_map (i32.const 0) (i64.const 0) (i64.const 16) (i32.const 65536)"
        " (i32.const 65536))))"
        " (call $add (call $file_unmap (i32.const 65536) (i32.const 65536)))"
        " (call $add (call $tensor_at (i32.const 0) (i64.const 0) (i32.const 0)))"
        " (drop (call $window_skew)) (drop (call $bank_limit)) (drop (call $bank_open (i32.const 65536)))"
        " (drop (call $bank_show (i32.const 0) (i32.const 0))) (drop (call $bank_close (i32.const 0)))"
        " (drop (call $thread_start (i32.const 0))) (drop (call $thread_join (i32.const 0)))"
        " (drop (call $wait (i32.const 0) (i32.const 0) (i64.const 1000)))"
        " (drop (call $wake (i32.const 0) (i32.const 1)))"
        " (drop (call $rows (i32.const 0))))"
        "(start $start) (func (export \"sum\") (result i32) global.get $sum)"
        "(func (export \"chord_thread_main\") (param i32))";
    chord_guest *g = open_with((chord_guest_options){0}, OWN32, EXTRA);
    uint64_t sum = 0;
    CHECK_OK(chord_guest_call(g, "sum", NULL, 0, &sum, &err));
    /* each of the seven, but unmap of no window, which is INVALID at most */
    CHECK((int32_t)sum == 6 * CHORD_HOST_RANGE);
    chord_guest_close(g);
    g = open_with((chord_guest_options){0}, SHARED32, EXTRA);
    CHECK_OK(chord_guest_call(g, "sum", NULL, 0, &sum, &err));
    chord_guest_close(g);
    CHECK(witness_lives(&other));
}

static void check_without(void)
{
    chord_guest *g = open_with((chord_guest_options){.model = ""}, OWN32, NULL);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_open", 0, 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_size", 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "tensor_count", 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "file_map", 0, 0, 1, 0, 65536);
    CHECK(ASK(g, "bank_limit") > 0 && ASK(g, "bank_open", 65536) == 0);
    CHECK_ASK(g, CHORD_HOST_UNSUPPORTED, "bank_show", 0, 0);
    CHECK_ASK(g, CHORD_HOST_OK, "bank_close", 0);
    CHECK_ASK(g, CHORD_HOST_INVALID, "bank_close", 0);
    CHECK_ASK(g, CHORD_HOST_UNSUPPORTED, "thread_start", 0);
    CHECK_ASK(g, 1, "thread_limit");
    chord_guest_close(g);
    g = open_with((chord_guest_options){.no_rows = true, .no_banks = true, .copy = true}, SHARED32, NULL);
    CHECK_ASK(g, 0, "rows_offered");
    CHECK_ASK(g, CHORD_HOST_UNSUPPORTED, "rows", 0);
    CHECK_ASK(g, CHORD_HOST_UNSUPPORTED, "bank_open", 65536);
    CHECK_ASK(g, 0, "bank_limit");
    CHECK_ASK(g, CHORD_HOST_UNSUPPORTED, "file_map", 0, 0, 1, 0, 65536);
    chord_guest_close(g);
}

/* A call into a guest from one of its own calls is refused. */
static chord_guest *entered;
static chord_status entered_status;
static bool enter_again(void *ud, const char *from, size_t len)
{
    (void)ud, (void)from, (void)len;
    uint64_t result;
    chord_error mine;
    entered_status = chord_guest_call(entered, "version", NULL, 0, &result, &mine);
    return true;
}
static void check_entered(void)
{
    module_plan plan = {.memory = OWN32, .pages = 1, .pages_max = 1};
    entered = guest_open(host,
                         (chord_guest_options){.module = put_module("entered.wasm", &plan), .on_emit = enter_again});
    CHECK_ASK(entered, 0, "emit", 0, 1);
    CHECK(entered_status == CHORD_INVALID);
    CHECK_ASK(entered, CHORD_HOST_VERSION, "version");
    chord_guest_close(entered);
}

int main(void)
{
    folder_open();
    CHECK_OK(chord_guard_install(&err));
    host = host_open((chord_host_options){0});
    model = kept(put_model("model.gguf"));
    struct stat s;
    stat(model, &s);
    model_bytes = (uint64_t)s.st_size;
    other = witness_open(host, model);
    CHECK(witness_lives(&other));
    for (memory_kind kind = OWN32; kind <= SHARED64; kind++) {
        chord_guest *g = open_with((chord_guest_options){0}, kind, NULL);
        CHECK(chord_guest_is_wide(g) == (kind == OWN64 || kind == SHARED64));
        check_edges(g);
        if (kind != OWN64) check_ranges(g, kind == SHARED64);
        check_handles(g);
        if (kind != OWN64) check_files(g);
        check_words(g);
        check_rows_refusals(g);
        check_rows_at_end(g);
        chord_guest_close(g);
        CHECK(witness_lives(&other));
    }
    check_rows_in_banks();
    check_start();
    check_draft();
    check_without();
    check_entered();
    chord_guest_close(other.guest);
    chord_host_close(host);
    folder_close();
    return check_done();
}

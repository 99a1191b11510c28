/* wasi_nn.c - the imports of module wasi_ephemeral_nn: wasi-nn's witx interface with WasmEdge's GGML extension.
 *
 * Arguments are i32 in all of them: the interface is of wasm32, its tensors hold 32-bit pointers. Where the reference
 * and its guests are silent or at odds, this is what we do:
 *  - Everything is copied out of the guest's memory before it is looked at.
 *  - get_output into too small a buffer copies the whole characters that fit and answers success; *written is what was
 *    copied. Calling again with a larger buffer gives all.
 *  - A buffer "of 0 bytes" at a real address is how LlamaEdge's guests ask (a Vec with a capacity and no length): it
 *    gets the text, up to NN_UNSIZED_BYTES_MAX, which is what they reserve. At an address below NN_NOWHERE (an empty
 *    slice) nothing is written.
 *  - Output 1 is there from the beginning; guests ask it for the version. Output 0 needs a compute,
 *    be it one that failed.
 *  - A stream that ended goes on answering so until fini_single or a new prompt. n-predict and reverse-prompt
 *    count for streams too.
 *  - unload ends the graph's contexts: the crates have no other way to end one. */
#include "wasi_nn_inner.h"

#define NN_UNSIZED_BYTES_MAX 245888u
#define NN_NOWHERE 1024u

enum {
    ENCODING_AUTODETECT = 5,
    ENCODING_GGML = 6,
    TARGET_CPU = 0,
    TARGET_GPU = 1,
    TARGET_TPU = 2,
    TARGET_AUTO = 3,
    TENSOR_U8 = 3
};

/* ---- the guest's memory ---------------------------------------------------------------------------------------- */

static nn_errno outside(const nn_call *call, const char *what, uint32_t at, uint64_t len)
{
    if (call->host->memory == NULL) return nn_fail(call, NN_MISSING_MEMORY, "the guest exports no memory");
    return nn_fail(call, NN_INVALID_ARGUMENT, "%s, %llu bytes at %u, is not inside the guest's %llu bytes of memory",
                   what, (unsigned long long)len, at, (unsigned long long)call->host->memory_bytes);
}

static nn_errno check_range(const nn_call *call, const char *what, uint32_t at, uint64_t len)
{
    return host_bytes(call->host, at, len) != NULL ? NN_SUCCESS : outside(call, what, at, len);
}

static nn_errno copy_in(const nn_call *call, const char *what, uint32_t at, uint64_t len, void *to)
{
    const void *from = host_bytes(call->host, at, len);
    if (from == NULL) return outside(call, what, at, len);
    if (len > 0) memcpy(to, from, len);
    return NN_SUCCESS;
}

/* A copy in host memory, terminated; the caller frees it. */
static nn_errno copy_alloc(const nn_call *call, const char *what, uint32_t at, uint64_t len, uint64_t len_max,
                           void **out)
{
    chord_error err = {0};
    *out = NULL;
    nn_errno code = check_range(call, what, at, len);
    if (code != NN_SUCCESS) return code;
    if (len > len_max)
        return nn_fail(call, NN_TOO_LARGE, "%s has %llu bytes, the most is %llu", what, (unsigned long long)len,
                       (unsigned long long)len_max);
    if (chord_alloc(call->nn->heap, len + 1, what, out, &err) != CHORD_OK) return nn_fail_status(call, &err);
    return copy_in(call, what, at, len, *out);
}

static void store_u32(const nn_call *call, uint32_t at, uint32_t value)
{
    void *to = host_bytes(call->host, at, sizeof value);
    if (to != NULL) memcpy(to, &value, sizeof value);
}

/* ---- load ------------------------------------------------------------------------------------------------------- */

static nn_errno read_config(const nn_call *call, uint32_t at, uint32_t len, nn_options *options)
{
    void *json = NULL;
    nn_errno code = copy_alloc(call, "the metadata", at, len, NN_METADATA_BYTES_MAX, &json);
    if (code == NN_SUCCESS) code = nn_options_read(call, json, len, options);
    chord_free(call->nn->heap, json);
    return code;
}

static nn_errno check_target(const nn_call *call, uint32_t encoding, uint32_t target)
{
    if (encoding != ENCODING_GGML && encoding != ENCODING_AUTODETECT)
        return nn_fail(call, NN_INVALID_ENCODING,
                       "graph encoding %u: only GGML (6) and Autodetect (5) are computed here", encoding);
    if (target > TARGET_AUTO) return nn_fail(call, NN_INVALID_ARGUMENT, "there is no execution target %u", target);
    if (target == TARGET_GPU || target == TARGET_TPU)
        nn_say(call, CHORD_LOG_WARN, "a %s was asked for; this host computes on the CPU",
               target == TARGET_GPU ? "GPU" : "TPU");
    return NN_SUCCESS;
}

/* Builder 0 is the file, builder 1, when there is one, metadata. */
static nn_errno load(const nn_call *call, const uint64_t *args)
{
    uint32_t builders = (uint32_t)args[0], count = (uint32_t)args[1], out = (uint32_t)args[4], parts[4] = {0},
             handle = 0;
    nn_options options;
    void *bytes = NULL;
    nn_options_default(&options);
    nn_errno code = check_range(call, "the graph's handle", out, sizeof handle);
    if (code == NN_SUCCESS) code = check_target(call, (uint32_t)args[2], (uint32_t)args[3]);
    if (code == NN_SUCCESS && (count == 0 || count > 2))
        code = nn_fail(call, NN_INVALID_ARGUMENT, "%u graph builders: a GGUF model is one, metadata may be a second",
                       count);
    if (code == NN_SUCCESS) code = copy_in(call, "the list of graph builders", builders, count * 8ull, parts);
    if (code == NN_SUCCESS && count == 2) code = read_config(call, parts[2], parts[3], &options);
    if (code == NN_SUCCESS)
        code = copy_alloc(call, "the model (large ones are given by name, --nn-preload)", parts[0], parts[1],
                          NN_MODEL_BYTES_MAX, &bytes);
    if (code == NN_SUCCESS) code = nn_load_bytes(call, bytes, parts[1], &options, &handle);
    if (code == NN_SUCCESS) store_u32(call, out, handle);
    else chord_free(call->nn->heap, bytes);
    return code;
}

static nn_errno load_named(const nn_call *call, uint32_t name_at, uint32_t name_len, const nn_options *options,
                           uint32_t out)
{
    void *name = NULL;
    uint32_t handle = 0;
    nn_errno code = check_range(call, "the graph's handle", out, sizeof handle);
    if (code == NN_SUCCESS) code = copy_alloc(call, "the model's name", name_at, name_len, NN_NAME_BYTES_MAX, &name);
    if (code == NN_SUCCESS) code = nn_load_name(call, name, options, &handle);
    if (code == NN_SUCCESS) store_u32(call, out, handle);
    chord_free(call->nn->heap, name);
    return code;
}

static nn_errno load_by_name(const nn_call *call, const uint64_t *args)
{
    nn_options options;
    nn_options_default(&options);
    return load_named(call, (uint32_t)args[0], (uint32_t)args[1], &options, (uint32_t)args[2]);
}

static nn_errno load_by_name_with_config(const nn_call *call, const uint64_t *args)
{
    nn_options options;
    nn_options_default(&options);
    nn_errno code = read_config(call, (uint32_t)args[2], (uint32_t)args[3], &options);
    return code == NN_SUCCESS ? load_named(call, (uint32_t)args[0], (uint32_t)args[1], &options, (uint32_t)args[4])
                              : code;
}

static nn_errno unload(const nn_call *call, const uint64_t *args) { return nn_unload(call, (uint32_t)args[0]); }

/* ---- execution contexts ------------------------------------------------------------------------------------------ */

static nn_errno init_execution_context(const nn_call *call, const uint64_t *args)
{
    uint32_t handle = 0;
    nn_errno code = check_range(call, "the execution context's handle", (uint32_t)args[1], sizeof handle);
    if (code == NN_SUCCESS) code = nn_context_open(call, (uint32_t)args[0], &handle);
    if (code == NN_SUCCESS) store_u32(call, (uint32_t)args[1], handle);
    return code;
}

static nn_errno finalize_execution_context(const nn_call *call, const uint64_t *args)
{
    return nn_context_close(call, (uint32_t)args[0]);
}

/* The dimensions are not looked at: guests give [1] for texts of any length. The type is one byte, three of
 * padding may follow it. */
static nn_errno read_tensor(const nn_call *call, uint32_t at, uint64_t len_max, void **data, uint32_t *len)
{
    uint32_t tensor[5] = {0}; /* dimensions, their count, type, data, bytes of data */
    *data = NULL;
    nn_errno code = copy_in(call, "the tensor", at, sizeof tensor, tensor);
    if (code == NN_SUCCESS) code = check_range(call, "the tensor's dimensions", tensor[0], tensor[1] * 4ull);
    if (code == NN_SUCCESS && (tensor[2] & 0xFF) != TENSOR_U8)
        code = nn_fail(call, NN_INVALID_ARGUMENT, "the tensor's type is %u; texts are U8 (3)", tensor[2] & 0xFF);
    if (code == NN_SUCCESS) code = copy_alloc(call, "the tensor's data", tensor[3], tensor[4], len_max, data);
    *len = tensor[4];
    return code;
}

static nn_errno set_input(const nn_call *call, const uint64_t *args)
{
    uint32_t index = (uint32_t)args[1], len = 0;
    nn_context *c = NULL;
    void *data = NULL;
    if (index > 1)
        return nn_fail(call, NN_INVALID_ARGUMENT, "there is no input %u: 0 is the prompt, 1 metadata", index);
    nn_errno code = nn_context_enter(call, (uint32_t)args[0], false, &c);
    if (code != NN_SUCCESS) return code;
    code = read_tensor(call, (uint32_t)args[2], index == 0 ? NN_PROMPT_BYTES_MAX : NN_METADATA_BYTES_MAX, &data, &len);
    if (code == NN_SUCCESS) code = index == 0 ? nn_set_prompt(call, c, data, len) : nn_set_metadata(call, c, data, len);
    chord_free(call->nn->heap, data);
    nn_context_leave(call, c);
    return code;
}

static nn_errno compute(const nn_call *call, const uint64_t *args)
{
    nn_context *c = NULL;
    nn_errno code = nn_context_enter(call, (uint32_t)args[0], true, &c);
    if (code != NN_SUCCESS) return code;
    code = nn_compute(call, c);
    nn_context_leave(call, c);
    return code;
}

static nn_errno compute_single(const nn_call *call, const uint64_t *args)
{
    nn_context *c = NULL;
    nn_errno code = nn_context_enter(call, (uint32_t)args[0], true, &c);
    if (code != NN_SUCCESS) return code;
    code = nn_compute_single(call, c);
    nn_context_leave(call, c);
    return code;
}

static nn_errno fini_single(const nn_call *call, const uint64_t *args)
{
    nn_context *c = NULL;
    nn_errno code = nn_context_enter(call, (uint32_t)args[0], false, &c);
    if (code != NN_SUCCESS) return code;
    nn_fini_single(c);
    nn_context_leave(call, c);
    return NN_SUCCESS;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

typedef struct give_args {
    uint32_t at, max, written_at;
} give_args;

static nn_errno give(const nn_call *call, const char *data, size_t len, give_args to)
{
    bool unsized_vec = to.max == 0 && to.at >= NN_NOWHERE;
    size_t room = unsized_vec ? NN_UNSIZED_BYTES_MAX : to.max;
    size_t n = len <= room ? len : chord_utf8_whole(data, room);
    nn_errno code = check_range(call, "the count of bytes written", to.written_at, sizeof(uint32_t));
    if (code == NN_SUCCESS) code = check_range(call, "the output buffer", to.at, unsized_vec ? n : to.max);
    if (code != NN_SUCCESS) return code;
    if (n > 0) memcpy(host_bytes(call->host, to.at, n), data, n);
    store_u32(call, to.written_at, (uint32_t)n);
    if (n < len)
        nn_say(call, CHORD_LOG_WARN, "the output has %zu bytes, the buffer holds %zu: %zu were copied", len, room, n);
    return NN_SUCCESS;
}

/* CHORD_VERSION as a number: 0.1.0 is 100. Guests show it as llama_build_number, for which they want one. */
static uint32_t version_number(void)
{
    uint32_t parts[3] = {0}, part = 0;
    for (const char *p = CHORD_VERSION; *p != '\0' && part < 3; p++) {
        if (*p == '.') part++;
        else parts[part] = parts[part] * 10 + (uint32_t)(*p - '0');
    }
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

static nn_errno give_counts(const nn_call *call, const nn_context *c, give_args to)
{
    char json[256];
    size_t n = chord_format(
        json, sizeof json,
        "{\"input_tokens\": %zu, \"output_tokens\": %zu, \"reused_tokens\": %zu, \"llama_build_number\": %u, "
        "\"llama_commit\": \"chord %s\"}",
        c->prompt_tokens, c->output_tokens, c->reused_tokens, version_number(), CHORD_VERSION);
    return give(call, json, n, to);
}

static nn_errno output(const nn_call *call, const uint64_t *args, bool single)
{
    uint32_t index = (uint32_t)args[1];
    give_args to = {(uint32_t)args[2], (uint32_t)args[3], (uint32_t)args[4]};
    nn_context *c = NULL;
    if (index > 1)
        return nn_fail(call, NN_INVALID_ARGUMENT, "there is no output %u: 0 is the text, 1 its counts", index);
    nn_errno code = nn_context_enter(call, (uint32_t)args[0], false, &c);
    if (code != NN_SUCCESS) return code;
    size_t from = single ? c->single_at : 0;
    const char *text = c->output.len > 0 ? c->output.data + from : "";
    if (index == 1) code = give_counts(call, c, to);
    else if (single ? c->stepped : c->computed) code = give(call, text, c->output.len - from, to);
    else code = nn_fail(call, NN_RUNTIME_ERROR, "execution context %u computed nothing yet", c->handle);
    nn_context_leave(call, c);
    return code;
}

static nn_errno get_output(const nn_call *call, const uint64_t *args) { return output(call, args, false); }
static nn_errno get_output_single(const nn_call *call, const uint64_t *args) { return output(call, args, true); }

/* get_error(buf, max, *written): the sentence of the guest's last failure. Ours; guests of the reference do without. */
static nn_errno get_error(const nn_call *call, const uint64_t *args)
{
    char line[sizeof call->nn->sentence];
    chord_mutex_lock(&call->nn->mutex);
    memcpy(line, call->nn->sentence, sizeof line);
    chord_mutex_unlock(&call->nn->mutex);
    return give(call, line, strlen(line), (give_args){(uint32_t)args[0], (uint32_t)args[1], (uint32_t)args[2]});
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define NN_IMPORT_MAP(X)                 \
    X(load, "iiiii")                     \
    X(load_by_name, "iii")               \
    X(load_by_name_with_config, "iiiii") \
    X(unload, "i")                       \
    X(init_execution_context, "ii")      \
    X(finalize_execution_context, "i")   \
    X(set_input, "iii")                  \
    X(compute, "i")                      \
    X(compute_single, "i")               \
    X(fini_single, "i")                  \
    X(get_output, "iiiii")               \
    X(get_output_single, "iiiii")        \
    X(get_error, "iii")

static int64_t run(host_call *host, const char *import, nn_errno (*body)(const nn_call *, const uint64_t *),
                   const uint64_t *args)
{
    nn_call call = {host, host->state, import};
    if (call.nn == NULL) return nn_fail(&call, NN_RUNTIME_ERROR, "this guest was given no models");
    return body(&call, args);
}

#define NN_RUN(name, takes) \
    static int64_t run_##name(host_call *call, const uint64_t *args) { return run(call, #name, name, args); }
NN_IMPORT_MAP(NN_RUN)
#define NN_ENTRY(name, takes) {#name, takes, 'i', run_##name},
static const host_import IMPORTS[] = {NN_IMPORT_MAP(NN_ENTRY)};

/* ---- open, close, cancel ----------------------------------------------------------------------------------------- */

static chord_status copy_text(chord_heap *heap, const char *text, const char **out, chord_error *err)
{
    void *memory = NULL;
    size_t len = strlen(text);
    CHORD_TRY(chord_alloc(heap, len + 1, "the models' names", &memory, err));
    memcpy(memory, text, len + 1);
    *out = memory;
    return CHORD_OK;
}

static chord_status copy_preloads(wasi_nn *nn, const chord_nn_preload *preloads, size_t count, chord_error *err)
{
    void *memory = NULL;
    CHORD_TRY(chord_alloc(nn->heap, count * sizeof *preloads, "the models' names", &memory, err));
    nn->preloads = memory;
    for (size_t i = 0; i < count; i++) {
        if (preloads[i].name == NULL || preloads[i].path == NULL)
            return chord_fail(err, CHORD_INVALID, "model %zu for wasi-nn lacks a name or a path", i + 1);
        nn->preload_count = i + 1;
        CHORD_TRY(copy_text(nn->heap, preloads[i].name, &nn->preloads[i].name, err));
        CHORD_TRY(copy_text(nn->heap, preloads[i].path, &nn->preloads[i].path, err));
    }
    return CHORD_OK;
}

chord_status wasi_nn_open(chord_heap *heap, chord_runtime *runtime, const chord_nn_preload *preloads, size_t count,
                          wasi_nn **out, chord_error *err)
{
    void *memory = NULL;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(wasi_nn), "wasi-nn", &memory, err));
    wasi_nn *nn = memory;
    nn->heap = heap;
    nn->runtime = runtime;
    chord_mutex_init(&nn->opening);
    chord_mutex_init(&nn->mutex);
    chord_status status = copy_preloads(nn, preloads, count, err);
    if (status != CHORD_OK) {
        wasi_nn_close(nn);
        return status;
    }
    *out = nn;
    return CHORD_OK;
}

void wasi_nn_close(wasi_nn *nn)
{
    if (nn == NULL) return;
    nn_free_all(nn);
    for (size_t i = 0; i < nn->preload_count; i++) {
        chord_free(nn->heap, (void *)(uintptr_t)nn->preloads[i].name);
        chord_free(nn->heap, (void *)(uintptr_t)nn->preloads[i].path);
    }
    chord_free(nn->heap, nn->preloads);
    chord_mutex_free(&nn->opening);
    chord_mutex_free(&nn->mutex);
    chord_runtime *own = nn->owns_runtime ? nn->runtime : NULL;
    chord_free(nn->heap, nn);
    chord_runtime_close(own);
}

void wasi_nn_cancel(wasi_nn *nn)
{
    if (nn == NULL) return;
    chord_mutex_lock(&nn->mutex);
    for (nn_context *c = nn->contexts; c != NULL; c = c->next) {
        if (!c->computes) continue;
        c->cancelled = true;
        if (c->session != NULL) chord_session_cancel(c->session);
    }
    chord_mutex_unlock(&nn->mutex);
}

/* ---- the service ------------------------------------------------------------------------------------------------ */

static chord_status open_service(const host_given *given, void **state, chord_error *err)
{
    const chord_guest_options *o = given->options;
    chord_runtime_options options = {
        .budget_bytes = given->budget_bytes - chord_heap_used_bytes(given->heap),
        .threads = o->threads,
    };
    chord_runtime *runtime;
    wasi_nn *nn;
    CHORD_TRY(chord_runtime_open(&options, &runtime, err));
    chord_status status = wasi_nn_open(given->heap, runtime, o->preloads, o->preload_count, &nn, err);
    if (status != CHORD_OK) {
        chord_runtime_close(runtime);
        return status;
    }
    nn->owns_runtime = true;
    *state = nn;
    return CHORD_OK;
}

static void close_service(void *state) { wasi_nn_close(state); }
static void cancel_service(void *state) { wasi_nn_cancel(state); }

const host_service wasi_nn_service = {.module = "wasi_ephemeral_nn",
                                      .imports = IMPORTS,
                                      .import_count = CHORD_COUNT(IMPORTS),
                                      .holds_weights = true,
                                      .open = open_service,
                                      .close = close_service,
                                      .cancel = cancel_service};
